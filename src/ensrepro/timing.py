"""The one timing harness: repeated runs, their percentiles, runs in alternation, their ratios.

A latency holds for the machine and the settings it was taken with (assumption A23). `Conditions`
say which, and no ratio is given of timings taken under different ones. Two things are compared
best in alternation (`alternate`): whatever slows the machine down hits a round of all of them, and
the ratio is taken round by round.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

Clock = Callable[[], float]
Run = Callable[[], object]

UNKNOWN = "unknown"  # a condition that nobody told


@dataclass(frozen=True)
class Conditions:
    """What a latency depends on besides the network; timings are compared only if all are equal.

    What nobody told is `UNKNOWN`, or None for `threads`, and equal to nothing, itself included.
    """

    resolution: str
    dtype: str
    threads: int | None
    runtime: str
    version: str
    cpu: str


@dataclass(frozen=True)
class Timing:
    """Percentiles over `n` runs, each a time that was measured; `seconds` is all of them together.

    `drift` is the median of the last tenth of the runs over that of the first tenth: far from 1,
    the machine was slowing down or waking up, and the percentiles say little.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    n: int
    seconds: float
    drift: float
    conditions: Conditions | None = None


@dataclass(frozen=True)
class Spread:
    """A ratio over `n` rounds: its median, and the range that eight rounds of ten are in.

    `low` and `high` are ratios of rounds, as the percentiles of a `Timing` are times of runs.
    """

    median: float
    low: float
    high: float
    n: int


def check_limits(**limits: tuple[float, float]) -> None:
    """A ValueError names the first limit, given as (value, least), that is below its least."""
    for name, (value, least) in limits.items():
        if value < least:
            raise ValueError(f"{name} is {value!r}; expected at least {least}")


def check_seconds(min_seconds: float) -> None:
    """A ValueError if this cannot be a time to measure for."""
    if not 0 <= min_seconds < math.inf:
        raise ValueError(f"min_seconds is {min_seconds!r}; expected a finite number, not negative")


def summarize(times: Sequence[float], under: Conditions | None = None) -> Timing:
    """Timing of runs that took `times`, in seconds and in order."""
    array = np.asarray(times, dtype=np.float64)
    tenth = math.ceil(len(array) / 10)
    p50, p90, p99 = np.percentile(array, [50, 90, 99], method="inverted_cdf") * 1e3
    first, last = np.median(array[:tenth]), np.median(array[-tenth:])
    drift = float(last / first) if first > 0 else math.nan
    return Timing(float(p50), float(p90), float(p99), len(array), float(array.sum()), drift, under)


def measure(
    run: Run,
    *,
    min_runs: int,
    min_seconds: float,
    warm_up: int,
    clock: Clock = time.perf_counter,
    under: Conditions | None = None,
) -> Timing:
    """Time `run()` until both minima are reached, after `warm_up` runs that do not count."""
    check_limits(min_runs=(min_runs, 1), warm_up=(warm_up, 0))
    check_seconds(min_seconds)
    for _ in range(warm_up):
        run()
    times: list[float] = []
    elapsed = 0.0
    while len(times) < min_runs or elapsed < min_seconds:
        start = clock()
        run()
        times.append(clock() - start)
        elapsed += times[-1]
    return summarize(times, under)


def is_known(value: object) -> bool:
    """Whether somebody told this condition."""
    return value is not None and str(value).strip().lower() != UNKNOWN


def untold(conditions: Conditions) -> list[str]:
    """Names of the conditions that nobody told."""
    return [name for name, value in asdict(conditions).items() if not is_known(value)]


def check_alike(ours: Conditions | None, theirs: Conditions | None) -> None:
    """A ValueError if timings under these conditions must not be compared, and why."""
    if ours is None or theirs is None:
        raise ValueError("a timing has no conditions; measure it with `under` to compare it")
    a, b = asdict(ours), asdict(theirs)
    differ = [f"{key} {a[key]} and {b[key]}" for key in a if a[key] != b[key]]
    if differ:
        raise ValueError(f"timings were taken under different conditions: {', '.join(differ)}")
    if unknown := untold(ours):
        raise ValueError(
            f"timings cannot be compared: unknown {', '.join(unknown)}; expected conditions that "
            "are known to be equal"
        )


def ratio(slow: Timing, fast: Timing) -> float:
    """How many times longer the median run of `slow` takes; ValueError if conditions differ."""
    check_alike(slow.conditions, fast.conditions)
    return slow.p50_ms / fast.p50_ms


@dataclass(frozen=True)
class Alternation:
    """Seconds of every subject in every round, by name, all under the same conditions."""

    times: Mapping[str, Sequence[float]]
    under: Conditions | None = None

    def timing(self, name: str) -> Timing:
        """Percentiles of one subject."""
        return summarize(self.times[name], self.under)

    def ratio(self, slow: str, fast: str) -> Spread:
        """How many times longer `slow` takes than `fast`, round by round."""
        ratios = np.asarray(self.times[slow]) / np.asarray(self.times[fast])
        low, high = np.percentile(ratios, [10, 90], method="inverted_cdf")
        return Spread(float(np.median(ratios)), float(low), float(high), len(ratios))


def alternate(
    runs: Mapping[str, Run],
    *,
    min_rounds: int,
    min_seconds: float,
    warm_up: int,
    rest: float = 0.0,
    clock: Clock = time.perf_counter,
    sleep: Callable[[float], object] = time.sleep,
    under: Conditions | None = None,
) -> Alternation:
    """Time all subjects once a round until both minima are reached; rounds start in turn.

    `min_seconds` is of all subjects together. Before every run is a `rest`, in seconds, that is not
    counted: threads of a runtime that wait busily for more work would slow the next subject down.
    """
    if not runs:
        raise ValueError("runs is empty; expected at least one subject")
    check_limits(min_rounds=(min_rounds, 1), warm_up=(warm_up, 0), rest=(rest, 0))
    check_seconds(min_seconds)
    names = list(runs)
    for name in names * warm_up:
        runs[name]()
    times: dict[str, list[float]] = {name: [] for name in names}
    elapsed, done = 0.0, 0
    while done < min_rounds or elapsed < min_seconds:
        first = done % len(names)
        for name in names[first:] + names[:first]:
            if rest:
                sleep(rest)
            start = clock()
            runs[name]()
            times[name].append(clock() - start)
            elapsed += times[name][-1]
        done += 1
    return Alternation({name: tuple(own) for name, own in times.items()}, under)
