"""Step 4, the knee of the front and the candidates near it (section 3.5, assumptions A10, A11).

`choose` does as the paper says; `choose_fast` takes the measured latency in place of the penalty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ensrepro import pareto
from ensrepro.space import PENALTY_TABLES, Architecture, penalty
from ensrepro.steps.context import Context
from ensrepro.steps.search import SearchSummary


@dataclass(frozen=True)
class KneeChoice:
    """The candidates, the knee first, and how the knee depends on its definition.

    `rows` are positions in the search's lists; `sensitivity` has a row for every penalty table,
    method and cap: table, method, max_drop_db, architecture, psnr_drop, penalty, shift, disagrees.
    It is empty where the latency chose. `is_fallback` says that the latency was to choose and could
    not, because nothing that was proposed is faster than the teacher.
    """

    candidates: tuple[Architecture, ...]
    rows: tuple[int, ...]
    sensitivity: list[dict[str, Any]]
    is_fallback: bool = False

    @property
    def knee(self) -> Architecture:
        return self.candidates[0]


def by_table(ctx: Context, run: SearchSummary) -> Mapping[str, np.ndarray]:
    """(n, 2) points of the run under every penalty table, the run's own first.

    A ValueError for a run whose penalty is the latency of a device.
    """
    if run.penalty_table not in PENALTY_TABLES:
        raise ValueError(
            f"the search by {run.sampler} has the penalty table {run.penalty_table!r}; expected "
            f"one of {', '.join(PENALTY_TABLES)}"
        )
    names = sorted(PENALTY_TABLES, key=lambda name: name != run.penalty_table)
    architectures = [ctx.space.architecture(i) for i in run.architectures]
    return {
        name: np.column_stack(
            [run.points[:, 0], [penalty(a, name, ctx.space) for a in architectures]]
        )
        for name in names
    }


def choose(
    ctx: Context,
    run: SearchSummary,
    *,
    method: str = "chord",
    rule: str = "nearest",
    max_drop_db: float | None = None,
) -> KneeChoice:
    """The knee of a search's front and its companions; the profile says how many."""
    architectures = [ctx.space.architecture(i) for i in run.architectures]
    within = np.flatnonzero(run.allowed)
    chosen = pareto.candidates(
        run.points[within],
        run.anchors,
        rule,
        n=ctx.profile.n_candidates,
        knee_method=method,
        max_drop_db=max_drop_db,
        architectures=[architectures[i] for i in within],
    )
    rows = tuple(int(within[i]) for i in chosen)
    sensitivity = [
        {**asdict(row), "architecture": run.architectures[row.index], "disagrees": row.disagrees}
        for row in pareto.knee_sensitivity(by_table(ctx, run), 0, 1, eligible=within)
    ]
    return KneeChoice(tuple(architectures[row] for row in rows), rows, sensitivity)


def choose_fast(ctx: Context, run: SearchSummary) -> KneeChoice:
    """The knee of PSNR drop against latency among what is faster than the teacher (A40).

    Where nothing is, what `choose` takes, marked as a fallback. A ValueError for a search that did
    not minimize latency.
    """
    if run.latency_ms is None:
        raise ValueError(
            f"the search by {run.sampler} has no latencies; expected it to minimize them"
        )
    points = np.column_stack([run.points[:, pareto.DROP], run.latency_ms])
    fast = np.flatnonzero(np.array(run.allowed) & (points[:, 1] < points[0, 1]))
    if not len(fast):
        return replace(choose(ctx, run), is_fallback=True)
    fastest = fast[np.lexsort((points[fast, 0], points[fast, 1]))[0]]
    chosen = pareto.candidates(
        points[fast], pareto.Anchors.between(points[0], points[fastest]), n=ctx.profile.n_candidates
    )
    rows = tuple(int(fast[i]) for i in chosen)
    return KneeChoice(
        tuple(ctx.space.architecture(run.architectures[row]) for row in rows), rows, []
    )
