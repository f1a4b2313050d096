"""What is said while a photo is restored: a line before, a bar on a terminal meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from ensrepro import tiles
from ensrepro.restoring.runtimes import Ready
from ensrepro.terminal import duration
from ensrepro.tiles import Plan, Report

LENGTH = 24  # of the bar, in characters


def announcement(plan: Plan, ready: Ready) -> str:
    """One line: size, tiles, network, runtime, memory."""
    what = "1 tile"
    if plan.n_tiles > 1:
        what = f"{plan.n_tiles} tiles of {plan.side} pixels, overlap {tiles.OVERLAP}"
    n_pixels = min(plan.side, plan.height) * min(plan.side, plan.width)
    memory = tiles.memory_of(ready.net.shape.width, n_pixels)
    threads = f"{ready.threads} thread{'s' * (ready.threads > 1)}"
    return (
        f"{plan.height} x {plan.width} pixels, {what}, {ready.name}, {ready.runtime}, {threads}, "
        f"working memory about {memory:.0f} MiB"
    )


def bar(plan: Plan, done: int, left: float) -> str:
    """The bar after so many tiles, with the rows of tiles that are whole and the time left."""
    filled = LENGTH * done // plan.n_tiles
    rows, of = done // len(plan.lefts), len(plan.tops)
    return f"[{'#' * filled}{'-' * (LENGTH - filled)}] row {rows}/{of}, {duration(left)} left"


@contextmanager
def shown(
    plan: Plan, ready: Ready, stream: TextIO, clock: Callable[[], float] = time.monotonic
) -> Iterator[Report | None]:
    """Say what will be done; on a terminal, draw a bar that is ended whatever happens."""
    stream.write(announcement(plan, ready) + "\n")
    stream.flush()
    if not stream.isatty() or plan.n_tiles == 1:
        yield None
        return
    started = clock()

    def report(done: int, of: int) -> None:
        left = (clock() - started) / done * (of - done)
        stream.write(f"\r{bar(plan, done, left):<{LENGTH + 40}}")
        stream.flush()

    try:
        yield report
    finally:
        stream.write("\n")
        stream.flush()
