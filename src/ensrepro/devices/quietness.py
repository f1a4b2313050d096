"""How busy a machine is, before something is timed on it and meanwhile."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from statistics import fmean

SPARE = 0.5  # load beyond its own threads with which a machine still counts as quiet
RUNNING = Path("/proc/loadavg")  # its fourth word begins with how many processes run or wait
LOOKS, EVERY = 10, 0.05  # at it, and seconds between two of them


def load_average() -> float | None:
    """Runnable processes, a mean over the last minute; None where the system does not tell."""
    with suppress(OSError, AttributeError):
        return os.getloadavg()[0]
    return None


def others_running() -> float | None:
    """Processes that run or wait for a core beside this one, just now.

    Unlike the load average it has forgotten what this process did a minute ago; that takes its
    place where the system does not count them.
    """
    counts = []
    with suppress(OSError, ValueError, IndexError):
        for _ in range(LOOKS):
            counts.append(int(RUNNING.read_text().split()[3].partition("/")[0]) - 1)
            time.sleep(EVERY)
        return fmean(counts)
    return load_average()


def known_mean(values: list[float | None]) -> float | None:
    """The mean of what is known."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def quiet(before: float | None, meanwhile: float | None, threads: int) -> bool | None:
    """Whether little else ran, before and meanwhile; None where either is not known."""
    if before is None or meanwhile is None:
        return None
    return before <= SPARE and meanwhile <= threads + SPARE
