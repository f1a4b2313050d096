"""Exported networks on another processor: do they give the same output? Called by `arm.sh`.

`python benchmarks/arm.py write FOLDER` writes ONNX files, an input, and the outputs of this
machine's onnxruntime; `compare FOLDER`, for which numpy and onnxruntime are enough, runs them where
it is called and fails if an output is farther than 1e-5 from what is in the folder.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

SIDE, SEED = 32, 0
WITHIN = 1e-5
INPUT = "input.npy"
TEACHER, ALL, FEWEST = "T T T T T T T T", "4 6 6 8 6 6 4 4", "2 2 2 2 2 2 2 2"
MIXED = "T 4 2 8 T T 4 2"
NETWORKS = (
    ("restormer-mambair", TEACHER),
    ("restormer-mambair", ALL),
    ("restormer-mambair", MIXED),
    ("restormer-edge", ALL),
    ("restormer-edge", FEWEST),
    ("restormer-edge", MIXED),
)


def output(path: Path, image: np.ndarray) -> np.ndarray:
    """The network's output for (1, 3, H, W)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})[0]


def write(folder: Path) -> None:
    """Small networks with random weights, what they are given, and what they make of it here."""
    from ensrepro.devices.subjects import Subject, made

    folder.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(SEED).random((1, 3, SIDE, SIDE), dtype=np.float32)
    np.save(folder / INPUT, image)
    for pair, architecture in NETWORKS:
        part = made(Subject(pair, "denoise", "network", architecture, SIDE), "smoke", SEED)
        path = folder / f"{pair}-{architecture.replace(' ', '-')}.onnx"
        path.write_bytes(part.content())
        np.save(path.with_suffix(".npy"), output(path, image))
    print(f"{len(NETWORKS)} networks, {platform.machine()}, onnxruntime {onnxruntime.__version__}")


def compare(folder: Path) -> bool:
    """Print how far each output is from the one in the folder; whether all are near."""
    print(f"{platform.machine()}, onnxruntime {onnxruntime.__version__}")
    image, worst = np.load(folder / INPUT), 0.0
    paths = sorted(folder.glob("*.onnx"))
    if not paths:
        raise SystemExit(f"{folder} has no networks; expected those of: arm.py write {folder}")
    for path in paths:
        start = time.perf_counter()
        found, expected = output(path, image), np.load(path.with_suffix(".npy"))
        away = float(np.abs(found - expected).max())
        worst = max(worst, away if np.isfinite(found).all() else np.inf)
        seconds = time.perf_counter() - start
        reach = np.abs(expected).max()
        print(f"  {path.stem:<36} {away:.2e} away, outputs to {reach:.2f}, {seconds:.0f} s")
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
