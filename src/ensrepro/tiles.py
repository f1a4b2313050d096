"""Large images in overlapping tiles: how they are cut, and how the results are blended.

Tiles are squares (at the end of an image less). Neighbors share OVERLAP pixels, over which one
fades into the other; the last tile of a row or column is moved inward and may share more. What is
in memory at a time is one row of tiles, whatever the image's height.
H, W: height and width of the image; C: channels of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Restorer = Callable[[slice, slice], Image]  # (rows, columns) of a tile -> it restored, (h, w, C)
Report = Callable[[int, int], None]  # (tiles done, of)

OVERLAP = 32  # pixels that neighboring tiles share; blended linearly
MIB = 2**20
# Working memory without gradients, in float32 values a pixel and a channel of the stem.
# benchmarks/memory.py found 52 to 86 for teachers, 35 to 47 for all-SSM networks (widths 8 and 48,
# 256 to 512 pixels a side); a third is added, because allocators differ.
VALUES_PER_PIXEL = 112


class Plan(NamedTuple):
    """The first rows and columns of the tiles of an image of height x width pixels."""

    height: int
    width: int
    side: int
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    @property
    def n_tiles(self) -> int:
        """Forward passes of the network."""
        return len(self.tops) * len(self.lefts)


def memory_of(width: int, n_pixels: int) -> float:
    """MiB that a network whose stem has `width` channels needs for so many pixels."""
    return 4 * VALUES_PER_PIXEL * width * n_pixels / MIB


def tile_side(width: int, multiple: int, memory_mib: float) -> int:
    """Side of the largest square that a network of this width restores within `memory_mib`."""
    pixels = memory_mib * MIB / (4 * VALUES_PER_PIXEL * width)
    side = int(pixels**0.5) // multiple * multiple
    if side <= 2 * OVERLAP:
        raise ValueError(
            f"memory_mib is {memory_mib:g}; expected more: tiles of {side} pixels are too small"
        )
    return side


def check_side(side: int, multiple: int) -> int:
    """The side of a tile that someone asks for; a ValueError if it cannot be."""
    least = (2 * OVERLAP // multiple + 1) * multiple
    if side < least or side % multiple:
        raise ValueError(
            f"tile is {side} pixels; expected a multiple of {multiple}, at least {least}"
        )
    return side


def starts(length: int, side: int) -> list[int]:
    """First pixels of tiles that cover 0 .. length - 1, the last one flush with the end."""
    if length <= side:
        return [0]
    return [*range(0, length - side, side - OVERLAP), length - side]


def whole(height: int, width: int) -> Plan:
    """The image as one tile."""
    return Plan(height, width, max(height, width), (0,), (0,))


def cut(height: int, width: int, side: int) -> Plan:
    """Tiles of `side` pixels."""
    return Plan(height, width, side, tuple(starts(height, side)), tuple(starts(width, side)))


def ramp(side: int, at_start: bool, at_end: bool) -> Image:
    """Blending weights along one axis of a tile; they fall off where a neighbor overlaps."""
    weights = np.ones(side, np.float32)
    rise = (np.arange(OVERLAP, dtype=np.float32) + 1) / (OVERLAP + 1)
    if not at_start:
        weights[:OVERLAP] = rise
    if not at_end:
        weights[-OVERLAP:] = np.minimum(weights[-OVERLAP:], rise[::-1])
    return weights


def extended(rows: Image, n_rows: int) -> Image:
    """The sums so far, with zeros below up to `n_rows`."""
    return np.pad(rows, ((0, n_rows - len(rows)), (0, 0), (0, 0)))


def blended(
    plan: Plan, restored: Restorer, channels: int, report: Report | None = None
) -> Iterator[Image]:
    """The restored image from top to bottom in pieces, (n, W, channels) each.

    `report` hears of every tile that is done.
    """
    total = np.zeros((0, plan.width, channels), np.float32)
    weight = np.zeros((0, plan.width, 1), np.float32)
    done = 0
    for top, following in zip(plan.tops, (*plan.tops[1:], plan.height), strict=True):
        bottom = min(top + plan.side, plan.height)
        total, weight = (extended(sums, bottom - top) for sums in (total, weight))
        across = ramp(bottom - top, top == plan.tops[0], top == plan.tops[-1])[:, None, None]
        for left in plan.lefts:
            columns = slice(left, min(left + plan.side, plan.width))
            length = columns.stop - left
            along = ramp(length, left == plan.lefts[0], left == plan.lefts[-1])[None, :, None]
            fall = across * along
            total[:, columns] += restored(slice(top, bottom), columns) * fall
            weight[:, columns] += fall
            done += 1
            if report is not None:
                report(done, plan.n_tiles)
        n_final = following - top  # no later tile reaches these rows
        yield total[:n_final] / weight[:n_final]
        total, weight = total[n_final:], weight[n_final:]
