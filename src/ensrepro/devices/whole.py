"""One network timed whole, in alternation with its teacher: read from a device's files, or timed.

A device that is not this machine is only read. What it does not have is timed here, and the result
says where it is from.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ensrepro import artifacts
from ensrepro.artifacts import Store
from ensrepro.config import Pair
from ensrepro.devices import measuring, shelf, subjects
from ensrepro.devices.asking import Asked
from ensrepro.devices.measuring import Progress, slug
from ensrepro.devices.shelf import Shelf
from ensrepro.devices.subjects import NETWORKS, Subject
from ensrepro.records import MEASURED, NETWORK, Record
from ensrepro.timing import Conditions, Spread

FEWEST = 10  # rounds that a verdict takes: of fewer, eight of ten is a matter of one


@dataclass(frozen=True)
class Raced:
    """How many times as long a network takes as its teacher, round by round; of the teacher, 1.

    `device` is where, `teacher_ms` the teacher's median there.
    """

    device: str
    conditions: Conditions
    ratio: Spread
    teacher_ms: float
    is_noisy: bool

    def row(self) -> dict[str, Any]:
        """What a headline says: ratio, range, rounds, teacher's ms, and under which conditions."""
        of = self.ratio
        times = {"ratio": of.median, "low": of.low, "high": of.high, "rounds": of.n}
        told = {"device": self.device, "is_noisy": self.is_noisy, **asdict(self.conditions)}
        return times | {"teacher_ms": self.teacher_ms} | told

    def finding(self) -> str:
        """What the rounds say, and whether that is faster, slower, or neither."""
        of = self.ratio
        said = (
            f"{of.median:.2f} times the teacher's time ({of.low:.2f} to {of.high:.2f}, "
            f"{of.n} rounds in alternation)"
        )
        if of.n < FEWEST:
            return f"{said}, too few rounds for a verdict"
        if of.low <= 1 <= of.high:
            return f"{said}, neither faster nor slower beyond that range"
        return f"{said}, which is **{'faster' if of.high < 1 else 'slower'}**"


def teachers(found: Shelf, reference: Subject, threads: int) -> list[Record]:
    """The records of a teacher, one a series that it was timed in."""
    own = found.of(NETWORK, reference.side, threads)
    names = reference.task, reference.architecture
    return [r for r in own if r.source == MEASURED and (r.task, r.architecture) == names]


def on_file(found: Shelf, pair: Pair, asked: Asked) -> Raced | None:
    """What a device's files say of the group that is asked for, if they say it."""
    reference, network = asked.groups[0].subjects[0], asked.groups[0].subjects[-1]
    kept = shelf.about(found, pair.name, asked.task)
    for teacher in reversed(teachers(kept, reference, asked.threads)):
        rows = [
            row
            for row in shelf.of_series(kept.comparisons, [teacher])
            if (row["pair"], row["architecture"]) == (network.pair, network.architecture)
        ]
        spread = [Spread(r["median"], r["low"], r["high"], r["n"]) for r in rows]
        spread += [Spread(1.0, 1.0, 1.0, teacher.n)] if network == reference else []
        if spread:
            own = pair.name, asked.task, asked.side, asked.threads, teacher.version
            is_noisy = measuring.stem(NETWORKS, *own, asked.group) in kept.noisy
            return Raced(found.device, teacher.conditions, spread[0], teacher.p50_ms, is_noisy)
    return None


def get(
    store: Store,
    device: str,
    pair: Pair,
    task: str,
    label: str,
    side: int,
    threads: int = 1,
    progress: Progress | None = None,
) -> Raced:
    """The architecture of a label against its teacher: `device`'s, else timed here.

    `device` is the name of a folder.
    """
    group = subjects.network_group(pair.name, task, label, side)
    here = artifacts.cpu_model()
    asked = Asked(NETWORKS, side, threads, task, here, store, pair.name, group)
    known = on_file(shelf.take(store, device), pair, asked)
    if known is not None:
        return known
    measuring.get(asked, progress)
    timed = on_file(shelf.take(store, slug(here)), pair, asked)
    if timed is None:
        raise ValueError(
            f"{slug(here)} has no latency of {group.name}; expected the one just taken"
        )
    return timed
