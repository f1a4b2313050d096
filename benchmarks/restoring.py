"""What tiles cost: the memory of a large photo, and how far they are from the whole image.

The differences are those of the trained teacher and the chosen hybrid on the test photos, taken
from their manifest or measured now (some minutes). Memory is measured on synthetic PNG files of
10,000 columns with a network that costs next to nothing, in a process of its own each: the peak
resident set less that before, when the network has run on one tile. What grows with the number of
rows is the photo itself; what does not is a row of tiles. Linux and macOS.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from memory import peak_bytes

MIB = 2**20
COLUMNS = 10_000
ROWS = (1000, 5000, 10_000)
BITS = (8, 16)
TILE = 512


def write(path: Path, n_rows: int, bits: int) -> None:
    """A photo-like PNG, row by row: waves with noise."""
    import numpy as np

    from ensrepro import png

    rng, x = np.random.default_rng(0), np.linspace(0, 60, COLUMNS)
    kind, top = (np.uint8, 255) if bits == 8 else (np.uint16, 65535)
    with path.open("wb") as file, png.writing(file, png.Header(n_rows, COLUMNS, bits, 3)) as add:
        for y in range(n_rows):
            wave = 0.5 + 0.4 * np.sin(x + y / 50)[None, :, None]
            noisy = wave + 0.02 * rng.standard_normal((1, COLUMNS, 3), dtype=np.float32)
            add((np.clip(noisy, 0, 1) * top).astype(kind))


def measure(path: Path) -> float:
    """MiB that restoring the file adds to the peak of this very process."""
    import numpy as np
    import torch

    from ensrepro import evaluate
    from ensrepro.models.hybrid import build
    from ensrepro.models.restormer import NetworkShape
    from ensrepro.restoring import photos
    from ensrepro.space import Space, Stage

    torch.manual_seed(0)
    space = Space("one block", (Stage("only", 1, 1, 0, 1, (1,)),))
    net = build((0,), NetworkShape(2), space).eval()
    evaluate.run_whole(net, np.zeros((TILE, TILE, 3), np.float32))
    before = peak_bytes()
    photos.restore(net, path, path.with_name("restored.png"), tile=TILE)
    return (peak_bytes() - before) / MIB


def print_memory() -> None:
    """One row for every depth and size."""
    print("bits  megapixels  MiB beside network and runtime  bytes a pixel", flush=True)
    for bits in BITS:
        for n_rows in ROWS:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "photo.png"
                for option in ("--write", "--measure"):
                    command = [sys.executable, __file__, option, str(path), str(n_rows), str(bits)]
                    done = subprocess.run(command, capture_output=True, text=True, check=True)
            mib, pixels = float(done.stdout), n_rows * COLUMNS
            per_pixel = mib * MIB / pixels
            print(f"{bits:>4}  {pixels / 1e6:>10.0f}  {mib:>30.0f}  {per_pixel:.1f}", flush=True)


def print_differences(task: str, profile: str) -> None:
    """One row for every network, photo and side of tiles."""
    from ensrepro.restoring import tiling
    from ensrepro.tables import Column, markdown

    found = tiling.get(task, profile, may_compute=True)
    forms = {"side": "d", "n_tiles": "d", "largest": ".4f", "between": ".1f", "gain": "+.3f"}
    columns = [Column(name, name, forms.get(name, "s")) for name in found.rows[0]]
    print(markdown(found.rows, columns), flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="denoise")
    parser.add_argument("--profile", default="mini")
    for option in ("--write", "--measure"):
        parser.add_argument(option, nargs=3, metavar=("FILE", "ROWS", "BITS"))
    arguments = parser.parse_args()
    if arguments.write:
        write(Path(arguments.write[0]), *map(int, arguments.write[1:]))
    elif arguments.measure:
        print(measure(Path(arguments.measure[0])))
    else:
        print_memory()  # first: a process begins with the peak of the one that starts it
        print_differences(arguments.task, arguments.profile)


if __name__ == "__main__":
    main()
