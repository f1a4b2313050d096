"""How far a photo restored in tiles is from the same photo restored whole.

Channel attention and pooling look at all pixels and a scan carries its state across all, so a tile
does not know what the whole knows. Measured on the test photos, as they are degraded for the task.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from ensrepro import evaluate, metrics, tiles
from ensrepro.artifacts import Provenance
from ensrepro.data import Pair
from ensrepro.models.hybrid import UNet
from ensrepro.restoring import networks
from ensrepro.steps import context
from ensrepro.steps.context import Context

STEP = "tiling"
SIDES = (96, 128, 192, 256)  # of tiles, pixels
BETWEEN = "sidd"  # the protocol that compares floats in RGB as they are


@dataclass(frozen=True)
class TilingResult:
    """A row a network, photo and side of tiles: network, image, side, n_tiles, largest, between,
    gain.

    `largest` difference of a value in [0, 1]; `between` tiled and whole PSNR in dB; `gain` in dB of
    the tiled photo over the whole one by the task's protocol. `overlap` in pixels.
    """

    overlap: int
    rows: list[dict[str, Any]]


def rows(
    name: str, net: UNet, pairs: Sequence[Pair], protocol: str, sides: Sequence[int] = SIDES
) -> list[dict[str, Any]]:
    """The rows of one network; sides that a photo fits into are left out."""
    made = []
    for pair in pairs:
        whole = evaluate.run_whole(net, pair.degraded)
        base = metrics.psnr(whole, pair.clean, protocol)
        for side in sides:
            plan = evaluate.plan(net, *whole.shape[:2], tile=side)
            if plan.n_tiles == 1:
                continue
            tiled = evaluate.restore(net, pair.degraded, tile=side)
            made.append(
                {
                    "network": name,
                    "image": pair.name,
                    "side": side,
                    "n_tiles": plan.n_tiles,
                    "largest": float(np.abs(tiled - whole).max()),
                    "between": metrics.psnr(tiled, whole, BETWEEN),
                    "gain": metrics.psnr(tiled, pair.clean, protocol) - base,
                }
            )
    return made


def make(ctx: Context, nets: Mapping[str, UNet]) -> tuple[TilingResult, Provenance]:
    """Restore every test photo whole and in tiles."""
    started = time.perf_counter()
    with context.one_thread():
        found = (rows(name, net, ctx.test, ctx.task.protocol) for name, net in nets.items())
        result = TilingResult(tiles.OVERLAP, list(chain.from_iterable(found)))
    return result, ctx.provenance(0, started)


def get(task: str = "denoise", profile: str = "mini", *, may_compute: bool = False) -> TilingResult:
    """The task's teacher and its chosen hybrid: from the manifest, or measured now if that may be.

    An artifacts.NotOnFileError if neither is so.
    """
    found = {name: networks.get(name, task=task, profile=profile) for name in networks.NAMES}
    ctx = replace(found[networks.TEACHER].ctx, may_compute=may_compute)
    nets = {name: trained.net for name, trained in found.items()}
    identity = ctx.identity(
        networks={name: context.digest(net) for name, net in nets.items()},
        sides=list(SIDES),
        overlap=tiles.OVERLAP,
    )
    return ctx.result(STEP, TilingResult, identity, lambda: make(ctx, nets))
