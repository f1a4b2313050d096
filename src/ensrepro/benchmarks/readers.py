"""A benchmark's images as networks get them: float32 in [0, 1], views side by side as channels.

8-bit values are divided by 255 and 16-bit ones by 65535. Where 16-bit files are read as 8 bit,
their lower byte is cut off (value >> 8), as Pillow does, and OpenCV if it is not asked for more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ensrepro import images, png
from ensrepro.benchmarks import blocks
from ensrepro.benchmarks.layouts import TARGET, Benchmark

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """One image of a benchmark: its files by role and, in files of blocks, which one it is."""

    name: str
    files: Mapping[str, Path]
    block: tuple[int, int] | None = None


class InputAndTarget(NamedTuple):
    """Degraded (H, W, 3 or 6) and target (H, W, 3), both in [0, 1]."""

    degraded: Image
    target: Image


def read_image(path: Path, bits: int) -> Image:
    """(H, W, 3) in [0, 1]; a ValueError names a file that is damaged or not of 16 bits if asked."""
    if bits == 16:
        return png.read_wide(path).astype(np.float32) / np.float32(65535)
    return images.read(path).pixels


@dataclass
class Reader:
    """Reads one image at a time; files of blocks are kept, since every block is in the same two."""

    benchmark: Benchmark
    _blocks: dict[Path, NDArray[np.uint8]] = field(default_factory=dict)

    def image(self, path: Path, block: tuple[int, int] | None) -> Image:
        if block is None or self.benchmark.block_shape is None:
            return read_image(path, self.benchmark.read_bits)
        if path not in self._blocks:
            self._blocks[path] = blocks.read(path, self.benchmark.block_shape)
        return self._blocks[path][block].astype(np.float32) / np.float32(255)

    def pair(self, sample: Sample) -> InputAndTarget:
        """A ValueError or FileNotFoundError names a file that cannot be read."""
        views = [self.image(p, sample.block) for role, p in sample.files.items() if role != TARGET]
        target = self.image(sample.files[TARGET], sample.block)
        sizes = {image.shape[:2] for image in (*views, target)}
        if len(sizes) > 1:
            raise ValueError(f"{sample.name} has files of {len(sizes)} sizes; expected one")
        return InputAndTarget(np.concatenate(views, axis=2), target)
