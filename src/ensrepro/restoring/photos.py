"""A photo from file to file, tile by tile: what is in memory at a time is one row of tiles.

The decoded photo is there, too, 3 bytes a pixel of 8 bit, and for a moment what decodes it; of two
views 6 bytes, and for a moment 12.
H, W: height and width in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ensrepro import evaluate, images
from ensrepro.export import Session
from ensrepro.images import Picture, Values
from ensrepro.models.hybrid import UNet
from ensrepro.tiles import Plan, Report

DUAL = 6  # channels of the left and the right view together

Watch = Callable[[Plan], AbstractContextManager[Report | None]]  # told the plan, before it begins


class Views(NamedTuple):
    """What the network sees, (H, W, 3 or 6), and the picture that the result is like.

    The values of that picture are a part of what the network sees, and no copy.
    """

    values: Values
    like: Picture


def unwatched(_plan: Plan) -> AbstractContextManager[None]:
    """The watch that says nothing."""
    return nullcontext()


def read(source: Path, right: Path | None, channels: int) -> Views:
    """One photo, or the left and the right view of one; a ValueError if the network needs other."""
    if channels == DUAL and right is None:
        raise ValueError(
            f"the network takes two views of a dual-pixel sensor and {source} is one; give the "
            "right one with --right"
        )
    if channels != DUAL and right is not None:
        raise ValueError(f"right is {right}; expected none: the network takes one photo")
    left = images.read_exactly(source)
    if right is None:
        return Views(left.values, left)
    other = images.read_exactly(right)
    found = [f"{x.values.shape[0]}x{x.values.shape[1]} of {x.bits} bit" for x in (left, other)]
    if found[0] != found[1]:
        raise ValueError(f"{source} is {found[0]} and {right} is {found[1]}; expected the same")
    both = np.concatenate([left.values, other.values], axis=2)
    alpha = None if left.alpha is None else left.alpha.copy()  # else it keeps all of its photo
    return Views(both, left._replace(values=both[..., : left.values.shape[2]], alpha=alpha))


def restore(
    net: UNet | Session,
    source: str | Path,
    target: str | Path,
    *,
    right: str | Path | None = None,
    tile: int | None = None,
    memory_mib: float = 2048,
    watch: Watch = unwatched,
) -> None:
    """Restore a PNG or JPEG file into a new PNG file of the same depth, 8 or 16 bit.

    Whole if `memory_mib` of working memory is enough, else in tiles; with `tile` in tiles of so
    many pixels. It is turned as its EXIF says; transparency and color profile are passed on.
    """
    source, target = Path(source), Path(target)
    images.check_target(target)
    seen = read(source, None if right is None else Path(right), net.shape.in_channels)
    plan = evaluate.plan(net, *seen.values.shape[:2], memory_mib, tile)
    with watch(plan) as report, images.writing(target, seen.like) as add:
        for rows in evaluate.restored_rows(net, seen.values, plan, report):
            add(images.rounded(rows, seen.values.dtype))
