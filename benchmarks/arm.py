"""Exported networks on another processor: do they give the same output? Called by `arm.sh`.

`python benchmarks/arm.py write FOLDER` writes ONNX files, and for each an input and the output of
this machine's onnxruntime; `compare FOLDER`, for which numpy and onnxruntime are enough, runs them
where it is called and fails if an output is farther than 1e-5 from what is in the folder. Weights
are random but for one network, whose are trained. One has the paper's width: there a scan is
written in single steps, in narrow networks in chunks.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime

SEED, WITHIN = 0, 1e-5
IMAGE, RESTORED = "image", "restored"
SIDE, WINDOWED = 32, 128  # pixels; the images of a Uformer have sides that are multiples of 128
TEACHER, ALL, FEWEST = "T T T T T T T T", "4 6 6 8 6 6 4 4", "2 2 2 2 2 2 2 2"
MIXED, WINDOWS = "T 4 2 8 T T 4 2", "1 T 2 T 2 T 2 T 1"
# pair, architecture, profile that fixes the width, side of the image
RANDOM = (
    ("restormer-mambair", TEACHER, "smoke", SIDE),
    ("restormer-mambair", ALL, "smoke", SIDE),
    ("restormer-mambair", MIXED, "smoke", SIDE),
    ("restormer-mambair", FEWEST, "paper", SIDE),
    ("restormer-edge", ALL, "smoke", SIDE),
    ("restormer-edge", FEWEST, "smoke", SIDE),
    ("restormer-edge", MIXED, "smoke", SIDE),
    ("uformer-mambair", WINDOWS, "smoke", WINDOWED),
)


def output(path: Path, image: np.ndarray) -> np.ndarray:
    """The network's output for (1, 3, H, W)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})[0]


def random_networks() -> Iterator[tuple[str, bytes, int]]:
    """Name, ONNX file and side of the image of each network with random weights."""
    from ensrepro.devices.subjects import Subject, made

    for pair, architecture, profile, side in RANDOM:
        part = made(Subject(pair, "denoise", "network", architecture, side), profile, SEED)
        width = part.module.shape.width
        yield f"{pair}-{architecture.replace(' ', '-')}-width-{width}", part.content(), side


def trained_network() -> tuple[str, bytes, int]:
    """The same of the chosen hybrid for `denoise`, as `export` writes it."""
    from ensrepro import export
    from ensrepro.restoring import networks

    found = networks.get(networks.KNEE, task="denoise")
    said = export.describe(found.ctx, found.architecture, found.net)
    with TemporaryDirectory() as folder:
        content = export.to_onnx(found.net, Path(folder) / "net.onnx", said).read_bytes()
    name = f"trained-{said.pair}-{said.architecture.replace(' ', '-')}-width-{said.width}"
    return name, content, SIDE


def write(folder: Path) -> None:
    """Networks, what they are given, and what they make of it here."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [*random_networks(), trained_network()]
    for name, content, side in made:
        path = folder / f"{name}.onnx"
        path.write_bytes(content)
        image = np.random.default_rng(SEED).random((1, 3, side, side), dtype=np.float32)
        given = {IMAGE: image, RESTORED: output(path, image)}
        np.savez(path.with_suffix(".npz"), **given)
    print(f"{len(made)} networks, {platform.machine()}, onnxruntime {onnxruntime.__version__}")


def compare(folder: Path) -> bool:
    """Print how far each output is from the one in the folder; whether all are near."""
    print(f"{platform.machine()}, onnxruntime {onnxruntime.__version__}")
    worst = 0.0
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise SystemExit(f"{folder} has no networks; expected those of: arm.py write {folder}")
    for path in paths:
        start = time.perf_counter()
        given = np.load(path)
        found, expected = output(path.with_suffix(".onnx"), given[IMAGE]), given[RESTORED]
        away = float(np.abs(found - expected).max())
        worst = max(worst, away if np.isfinite(found).all() else np.inf)
        seconds = time.perf_counter() - start
        reach = np.abs(expected).max()
        print(f"  {path.stem:<50} {away:.2e} away, outputs to {reach:.2f}, {seconds:.0f} s")
    print(
        f"farthest {worst:.2e}, allowed {WITHIN:g}: {'equal' if worst <= WITHIN else 'NOT EQUAL'}"
    )
    return worst <= WITHIN


def main() -> int:
    """Exit status 1 if an output differs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("write", "compare"))
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    if asked.what == "write":
        write(asked.folder)
        return 0
    return 0 if compare(asked.folder) else 1


if __name__ == "__main__":
    sys.exit(main())
