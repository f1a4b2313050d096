"""The latency of every architecture as the sum of what its stages and the glue take on a device.

A stage that is a surrogate takes the median of the teacher's times the ratio that both had in
alternation, so what slowed the machine down for a while has no part in it. That a network takes as
long as its parts is a claim, which whole networks beside the sums test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ensrepro import costs
from ensrepro.config import Pair
from ensrepro.devices import measuring
from ensrepro.devices.shelf import Shelf, about, kind_of, of_series
from ensrepro.devices.subjects import STAGES, choice_of, family
from ensrepro.records import GLUE, MEASURED, NETWORK, Record
from ensrepro.space import TEACHER
from ensrepro.timing import Conditions


@dataclass(frozen=True)
class StageTable:
    """Latency of every architecture of a pair on a device, (n_architectures,), in ms.

    `parts` are its terms by (stage, choice): the median of the teacher's stage times how many times
    as long the choice took in alternation with it. They are of networks for `task`; `is_noisy` says
    that the machine was not quiet, so that these are no milliseconds to quote.
    """

    name: str
    side: int
    threads: int
    latency_ms: NDArray[np.float64]
    task: str = ""
    conditions: Conditions | None = None
    is_noisy: bool = False
    parts: Mapping[tuple[str, int], float] = field(default_factory=dict)

    def share(self, number: int) -> float:
        """An architecture's latency as a share of the teacher's."""
        return float(self.latency_ms[number] / self.latency_ms[0])

    def remark(self, task: str) -> str:
        """What a reader has to know who wants the networks for `task`; empty if it is nothing."""
        of = (
            f" The stages are those of networks for {self.task}: norms and input channels of "
            f"{task} may differ."
        )
        noise = " **The machine was not quiet**: do not quote milliseconds."
        return (of if self.task != task else "") + (noise if self.is_noisy else "")


def stage_parts(found: Shelf, pair: Pair, side: int, threads: int) -> dict[tuple[str, int], float]:
    """Ms of (stage, choice) and of (glue, 0) of what `about` keeps.

    A ValueError names one that is missing.
    """
    teachers = family(pair.name).home.name

    def absent(part: str, label: str, owner: str) -> ValueError:
        return ValueError(f"{found.device} has no latency of {part} {label} of {owner}")

    def reference(part: str, label: str) -> Record:
        own = [r for r in found.of(part, side, threads) if r.source == MEASURED]
        own = [r for r in own if (r.pair, r.architecture) == (teachers, label)]
        if not own:
            raise absent(part, label, teachers)
        return own[-1]

    values = {(costs.GLUE, 0): reference(GLUE, GLUE).p50_ms}
    for stage in pair.space.stages:
        teacher = reference(stage.name, "T")
        values[stage.name, TEACHER] = teacher.p50_ms
        rows = [row for row in of_series(found.comparisons, [teacher]) if row["pair"] == pair.name]
        ratios = {row["architecture"]: row["median"] for row in rows}
        for label in map(str, stage.depths):
            if label not in ratios:
                raise absent(stage.name, label, pair.name)
            values[stage.name, choice_of(stage, label)] = teacher.p50_ms * ratios[label]
    return values


def stage_records(found: Shelf, pair: Pair) -> list[Record]:
    """The measured stages of a pair's family, and its glue."""
    of = family(pair.name)
    measured = [r for r in found.records if r.source == MEASURED and of.has(r.pair)]
    return [r for r in measured if kind_of(r.part) == STAGES]


def stage_table(
    found: Shelf, pair: Pair, threads: int = 1, side: int = 0, task: str = ""
) -> StageTable:
    """The latency column of a pair for a search; side 0 takes the largest that was measured.

    The stages are those that `about` finds for the task.
    """
    kept = about(found, pair.name, task)
    own = [r for r in stage_records(kept, pair) if r.threads == threads]
    measured = sorted({record.side for record in own})
    if not measured or (side and side not in measured):
        at = f" at {side} pixels" if side else ""
        raise ValueError(
            f"{found.device} has no stages on {threads} threads{at}; python -m ensrepro measure "
            f"--what stages --pair {pair.name} measures them"
        )
    chosen = side or measured[-1]
    one = next(r for r in own if r.side == chosen)
    parts = stage_parts(kept, pair, chosen, threads)
    file = measuring.stem(STAGES, pair.name, one.task, chosen, threads, one.version)
    return StageTable(
        name=f"{found.device}-{one.task}-{chosen}-t{threads}-{one.version}",
        side=chosen,
        threads=threads,
        latency_ms=costs.summed(parts, pair.space),
        task=one.task,
        conditions=one.conditions,
        is_noisy=file in found.noisy,
        parts=parts,
    )


class Whole(NamedTuple):
    """A network that was timed whole, in ms, beside the sum of its parts.

    A hybrid's is the teacher's median times how many times as long it took in alternation.
    """

    label: str
    sum_ms: float
    whole_ms: float


def sums(found: Shelf, table: StageTable, pair: Pair) -> list[Whole]:
    """The networks of the pair that were timed whole as the table's stages were, teacher first."""
    of, space = family(pair.name), pair.space
    kept = about(found, pair.name, table.task)
    networks = [r for r in kept.of(NETWORK, table.side, table.threads) if r.source == MEASURED]
    teachers = [r for r in networks if (r.task, r.architecture) == (table.task, of.teacher)]
    if not teachers:
        return []
    teacher_ms = median(r.p50_ms for r in teachers)
    rows = [row for row in of_series(kept.comparisons, teachers) if row["pair"] == pair.name]
    ratios = {of.teacher: 1.0} | {row["architecture"]: row["median"] for row in rows}

    def added(label: str) -> float:
        return float(table.latency_ms[space.index(space.labeled(label))])

    return [Whole(label, added(label), ratio * teacher_ms) for label, ratio in ratios.items()]


class SumError(NamedTuple):
    """By how much the sums of `n` hybrids, as shares of the teacher's, miss their whole latencies.

    0.1 is a sum that is a tenth too long; `low` and `high` are the least and the most.
    """

    n: int
    low: float
    high: float

    @property
    def largest(self) -> float:
        """Either way."""
        return max(abs(self.low), abs(self.high))


def sum_error(found: Shelf, table: StageTable, pair: Pair) -> SumError | None:
    """How far sums are off, by the networks that `sums` finds; None if it finds no hybrid."""
    teacher, *hybrids = sums(found, table, pair) or [Whole("", 1.0, 1.0)]
    off = [(one.sum_ms / teacher.sum_ms) / (one.whole_ms / teacher.whole_ms) - 1 for one in hybrids]
    return SumError(len(off), min(off), max(off)) if off else None
