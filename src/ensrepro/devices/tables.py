"""What the records of a device say, as rows for tables and figures.

A *ratio* is how many times as long something takes as the reference of its group: the Restormer
block, the teacher's stage, the teacher. Below 1 it is faster. `low` and `high` enclose eight rounds
of ten, so a ratio whose range includes 1 is no difference; nor is one of a few rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ensrepro import config, landscape, paper, pareto
from ensrepro.config import DEFAULT_PAIR, PAIRS, Pair
from ensrepro.devices import subjects
from ensrepro.devices.shelf import Shelf
from ensrepro.devices.stage_sums import StageTable, Whole, sums
from ensrepro.devices.whole import FEWEST
from ensrepro.records import NETWORK
from ensrepro.space import RESTORMER

Row = dict[str, Any]
FAMILY = {pair.name: pair.efficient for pair in subjects.family(DEFAULT_PAIR).pairs}
NAMES = {"mambair": "MambaIR", "edge": "Edge"}  # of families, in sentences
PUBLISHED = ("deblurring", "deraining", "denoising")  # of the paper's hybrids


def of_level(part: str) -> bool:
    """Whether a part is a single block."""
    return part.startswith("level_")


def block_rows(found: Shelf, threads: int) -> list[Row]:
    """A row for each family, level and side: ratio to the Restormer block, low, high."""
    own = [row for row in found.comparisons if of_level(row["part"]) and row["threads"] == threads]
    rows = [
        {
            "family": row["architecture"],
            "level": int(row["part"].removeprefix("level_")),
            "side": row["side"],
            "ratio": row["median"],
            "low": row["low"],
            "high": row["high"],
            "n": row["n"],
            "reference_ms": row["reference_ms"],
        }
        for row in own
    ]
    return sorted(rows, key=lambda row: (row["family"], row["level"], row["side"]))


def stage_rows(found: Shelf, side: int, threads: int) -> list[Row]:
    """A row a stage: teacher's ms, and that of each surrogate, as `mambair_4` or `edge_4`."""
    rows = []
    for stage in RESTORMER.stages:
        of = found.of(stage.name, side, threads)
        own: Row = {"stage": stage.name, "teacher": None}
        for record in of:
            key = f"{FAMILY[record.pair]}_{record.architecture}"
            own["teacher" if record.architecture == "T" else key] = record.p50_ms
        rows.append(own)
    depths = sorted({depth for stage in RESTORMER.stages for depth in stage.depths}, reverse=True)
    every = [f"{family}_{depth}" for family in FAMILY.values() for depth in depths]
    return [dict.fromkeys(every) | row for row in rows]


def network_rows(found: Shelf, threads: int) -> list[Row]:
    """A row for each hybrid and side: ratio to the teacher of its task, and both memories."""
    rows = []
    for row in found.comparisons:
        if row["part"] != NETWORK or row["threads"] != threads:
            continue
        of = found.of(NETWORK, row["side"], threads)
        peaks = {(r.pair, r.task, r.architecture): r.peak_memory_mib for r in of}
        rows.append(
            {
                "family": FAMILY[row["pair"]],
                "task": row["task"],
                "architecture": row["architecture"],
                "side": row["side"],
                "ratio": row["median"],
                "low": row["low"],
                "high": row["high"],
                "n": row["n"],
                "ms": row["median"] * row["reference_ms"],
                "reference_ms": row["reference_ms"],
                "peak_mib": peaks.get((row["pair"], row["task"], row["architecture"])),
                "reference_peak_mib": peaks.get((DEFAULT_PAIR, row["task"], row["reference"])),
            }
        )
    return sorted(rows, key=lambda row: (row["family"], row["architecture"], row["side"]))


def published_rows() -> list[Row]:
    """The paper's four latencies: name, ms, and ratio to its Restormer."""
    teacher = paper.scalar("latency_restormer")
    named = {"Restormer": "latency_restormer"}
    named |= {f"hybrid for {task}": f"latency_ens_{task}" for task in PUBLISHED}
    values = {name: paper.scalar(key) for name, key in named.items()}
    return [{"network": name, "ms": ms, "ratio": ms / teacher} for name, ms in values.items()]


@dataclass(frozen=True)
class Count:
    """Of `n` ratios of one family, how many are slower or faster than 1 beyond their range.

    `hasty` ones are of too few rounds to be either.
    """

    n: int
    slower: int
    faster: int
    hasty: int
    least: float
    most: float


def count(rows: Sequence[Mapping[str, Any]], family: str) -> Count:
    """How the rows of a family stand to their reference; a ValueError if there are none."""
    own = [row for row in rows if row["family"] == family]
    if not own:
        raise ValueError(f"rows have no family {family!r}; expected at least one row of it")
    ratios = [row["ratio"] for row in own]
    enough = [row for row in own if row["n"] >= FEWEST]
    slower = sum(row["low"] > 1 for row in enough)
    faster = sum(row["high"] < 1 for row in enough)
    return Count(len(own), slower, faster, len(own) - len(enough), min(ratios), max(ratios))


def finding(rows: Sequence[Mapping[str, Any]], family: str, what: str) -> str:
    """One sentence: whether a family is slower or faster than Restormer, counted and ranged."""
    of, name = count(rows, family), NAMES.get(family, family)
    span = f"{of.least:.2f} to {of.most:.2f} times as long"
    if of.slower == of.n:
        return f"Every {name} {what} takes **longer** than Restormer's: {span}."
    if of.faster == of.n:
        return f"Every {name} {what} is **faster** than Restormer's: {span}."
    rest = of.n - of.slower - of.faster - of.hasty
    hasty = f", timed in fewer than {FEWEST} rounds {of.hasty}" if of.hasty else ""
    return (
        f"{name} {what}s against Restormer's, over all sizes: slower {of.slower}, faster "
        f"{of.faster}, within the range of the measurement {rest}{hasty}; they take {span}."
    )


def additivity(found: Shelf, table: StageTable, pair: Pair) -> list[Row]:
    """Hybrids that were timed whole: label, both latencies, and by how much the sum is off.

    Each latency is a share of the teacher's of its own kind, since the parts and the whole networks
    were timed minutes apart; `ratio` is the sum's share over that of the whole.
    """
    teacher, *hybrids = sums(found, table, pair) or [Whole("", 1.0, 1.0)]
    rows = []
    for one in hybrids:
        parts, whole = one.sum_ms / teacher.sum_ms, one.whole_ms / teacher.whole_ms
        own = {"sum": parts, "whole": whole, "ratio": parts / whole}
        rows.append({"architecture": one.label, **own})
    return rows


@dataclass(frozen=True)
class Tradeoff:
    """Drop (dB) and latency (ms) of all architectures, (n, 2), and fronts as their numbers.

    `exact` is the front of drop and latency; `by_penalty` that of drop and penalty, which the
    paper's search aims at; `rank` is Spearman's correlation of penalty and latency.
    """

    points: NDArray[np.float64]
    exact: list[int]
    by_penalty: list[int]
    rank: float

    def kept(self) -> float | None:
        """Share of the exact front's hypervolume that the front by penalty has on this device.

        Only what is faster than the teacher counts; None if nothing on the exact front is.
        """
        both = self.points[[*self.exact, *self.by_penalty]]
        reference = float(both[:, 0].max()) + 1e-9, float(self.points[0, 1])
        whole = pareto.hypervolume(self.points[self.exact], reference)
        return (
            pareto.hypervolume(self.points[self.by_penalty], reference) / whole if whole else None
        )


def tradeoff(
    psnr: NDArray[np.float64], table: StageTable, pair: Pair, budget_ms: float = 0.0
) -> Tradeoff:
    """Every architecture of a table whose PSNR is known, on a device; a budget of 0 is none."""
    if psnr.shape != table.latency_ms.shape:
        raise ValueError(
            f"psnr has shape {psnr.shape}; expected {table.latency_ms.shape}, one an architecture"
        )
    drop = psnr[0] - psnr
    points = np.column_stack([drop, table.latency_ms])
    penalty = landscape.penalties("blocks", pair.space).ravel()
    within = np.flatnonzero(table.latency_ms <= (budget_ms or np.inf))
    if not within.size:
        raise ValueError(
            f"latency_budget_ms is {budget_ms:g}; expected at least {table.latency_ms.min():.4g}, "
            "the latency of the fastest architecture"
        )
    exact = within[pareto.front(points[within])]
    proxy = within[pareto.front(np.column_stack([drop, penalty])[within])]
    rank = float(stats.spearmanr(penalty, table.latency_ms).statistic)
    return Tradeoff(points, exact.tolist(), proxy.tolist(), rank)


def proxy_finding(known: Tradeoff) -> str:
    """One or two sentences: how well the penalty stands in for latency on this device."""
    order = (
        f"The penalty and this latency order architectures with a rank correlation of "
        f"{known.rank:+.2f} (1: alike, below 0: the other way round)."
    )
    kept = known.kept()
    if kept is None:
        return f"{order} Nothing on the exact front is faster than the teacher here."
    return (
        f"{order} Of the hypervolume that the exact front has below the teacher's latency, the "
        f"front that the penalty leads to has {kept:.0%}."
    )


def front_rows(known: Tradeoff, pair: Pair, n_rows: int = 8) -> list[Row]:
    """Some architectures along the exact front: stages, drop, ms, ratio to the teacher."""
    space, teacher_ms = pair.space, known.points[0, 1]
    every = known.exact[:: max(1, len(known.exact) // n_rows)]
    return [
        {
            "stages": space.label(space.architecture(n)),
            "drop": known.points[n, 0],
            "ms": known.points[n, 1],
            "ratio": known.points[n, 1] / teacher_ms,
        }
        for n in every
    ]


def n_faster(known: Tradeoff) -> int:
    """How many architectures are faster than the teacher."""
    return int((known.points[:, 1] < known.points[0, 1]).sum())


def share_finding(known: Tradeoff) -> str:
    """One sentence: how many architectures are faster than the teacher."""
    return (
        f"Of {len(known.points):,} architectures {n_faster(known):,} are faster than the teacher "
        "on this device."
    )


class Fastest(NamedTuple):
    """An architecture of the exact front, and whether it drops by no more than was asked."""

    number: int
    is_within: bool


def fastest_within(tradeoff: Tradeoff, most_db: float) -> Fastest:
    """The fastest on the exact front that drops by at most `most_db`; else what drops least.

    A latency budget can leave nothing within it.
    """
    drop, latency = tradeoff.points.T
    near = [n for n in tradeoff.exact if drop[n] <= most_db]
    if not near:
        return Fastest(min(tradeoff.exact, key=lambda n: float(drop[n])), False)
    return Fastest(min(near, key=lambda n: float(latency[n])), True)


def fastest_finding(tradeoff: Tradeoff, most_db: float, pair: Pair) -> str:
    """One sentence about what `fastest_within` finds."""
    found = fastest_within(tradeoff, most_db)
    drop, latency = tradeoff.points[found.number]
    name = f"`{pair.space.label(pair.space.architecture(found.number))}`"
    times = f"with {latency / tradeoff.points[0, 1]:.2f} times the teacher's latency"
    if found.is_within:
        return (
            f"The fastest that loses at most {most_db:g} dB before fine-tuning is {name}, {times}."
        )
    return (
        f"Nothing within the latency budget loses at most {most_db:g} dB before fine-tuning; "
        f"{name} loses least, {drop:.2f} dB, {times}."
    )


def pair_of(name: str) -> Pair:
    """The pair of a name, if its parts are measured; a ValueError lists those that are."""
    return config.named("pair", name, {pair: PAIRS[pair] for pair in FAMILY})
