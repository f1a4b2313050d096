"""Networks that were measured elsewhere, as rows: with a ratio only where there is one.

A ratio is how many times as long a network takes as the teacher of its pair. It is taken round by
round where a file says so; else it is that of the medians, and only under conditions that are
known to be equal (`records.ratio`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from statistics import median
from typing import Any, NamedTuple

from ensrepro import config, records, timing
from ensrepro.config import PAIRS
from ensrepro.exchange import Exchange
from ensrepro.records import NETWORK, Comparison, Record

BY_ROUND, OF_MEDIANS = "round by round", "of medians"
REFERENCE, NO_TEACHER = "the reference", "no teacher under the same conditions"
TEACHER = "teacher"
MEASURES = {  # fields in which two records of one network under the same conditions may differ
    *("p50_ms", "p90_ms", "p99_ms", "n", "seconds", "drift", "load", "peak_memory_mib"),
    *("source", "created"),
}


class Standing(NamedTuple):
    """How a network stands to its teacher: the ratio, its range, and where it is from."""

    ratio: float | None
    low: float | None
    high: float | None
    basis: str


def is_teacher(record: Record, pair: str) -> bool:
    """Whether a record is of the teacher of a pair."""
    if pair not in PAIRS:
        return False
    own = PAIRS[pair]
    label = own.space.label(own.space.teacher)
    return record.architecture == label and record.pair in (pair, config.teacher_pair(own).name)


def family(record: Record) -> str:
    """Of its surrogates: `teacher` where there are none, its pair where that is not ours."""
    if is_teacher(record, record.pair):
        return TEACHER
    return PAIRS[record.pair].efficient if record.pair in PAIRS else record.pair


def standing(
    own: Sequence[Record], compared: Sequence[Comparison], others: Sequence[Record]
) -> Standing:
    """Of the records of one network, among what it was compared with and may be."""
    one = own[0]
    if compared:
        middle = median(comparison.median for comparison in compared)
        low, high = (c.low for c in compared), (c.high for c in compared)
        return Standing(middle, min(low), max(high), BY_ROUND)
    if is_teacher(one, one.pair):
        return Standing(1.0, None, None, REFERENCE)
    if unknown := timing.untold(one.conditions):
        return Standing(None, None, None, f"unknown {', '.join(unknown)}")
    ratios = []
    for teacher in (record for record in others if is_teacher(record, one.pair)):
        with suppress(ValueError):  # other conditions, task or width
            ratios += [records.ratio(record, teacher) for record in own]
    if not ratios:
        return Standing(None, None, None, NO_TEACHER)
    return Standing(median(ratios), None, None, OF_MEDIANS)


def rows(files: Sequence[Exchange]) -> list[dict[str, Any]]:
    """A row for each imported network and its conditions; `n_files` is over how many.

    A network that was measured several times has the median of its medians.
    """
    groups: dict[tuple[Any, ...], list[tuple[Record, list[Comparison]]]] = {}
    for file in files:
        for record in (record for record in file.records if record.part == NETWORK):
            key = tuple(v for k, v in asdict(record).items() if k not in MEASURES)
            own = [one for one in file.comparisons if one.is_of(record)]
            groups.setdefault(key, []).append((record, own))
    every = [record for group in groups.values() for record, _ in group]
    found = []
    for group in groups.values():
        own = [record for record, _ in group]
        of = standing(own, [one for _, compared in group for one in compared], every)
        one = own[0]
        found.append(
            {
                "device": one.device,
                "family": family(one),
                "task": one.task,
                "architecture": one.architecture,
                "width": one.width,
                "resolution": one.resolution,
                "runtime": f"{one.runtime} {one.version}",
                "threads": one.threads,
                "dtype": one.dtype,
                "n_files": len(own),
                "ms": median(record.p50_ms for record in own),
                **of._asdict(),
            }
        )
    keys = ("device", "task", "resolution", "runtime", "family", "architecture")
    return sorted(found, key=lambda row: [row[key] for key in keys])
