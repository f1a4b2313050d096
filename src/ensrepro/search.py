"""The search over architectures: proposals, their evaluation through a ledger, `run` (section 3.4).

Objectives are minimized: psnr_drop (PSNR of the teacher minus PSNR of the hybrid, dB), the penalty,
which is a known table (assumptions A4, A7), and where it is asked for the latency, another one; as
the penalty table LATENCY it takes the penalty's place. A run makes `n_trials` *proposals*, the
first two of which are the teacher and the cheapest architecture (assumption A9).

* A repeated proposal is answered from memory or the ledger. It counts as one of the paper's 500
  (assumption A22); `n_unique` says how many differ, `n_evaluated` how many were measured now.
* Proposals follow from (sampler, seed, batch) and the measured values alone. The ledger never
  steers them: a run that was killed asks again in the same order, gets its own answers back, and
  continues as if nothing had happened.
* With a latency budget or a largest drop only architectures within them can be on the front. The
  anchors, and the single swaps of `additive`, are measured all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import inf

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ensrepro import landscape, pareto, samplers
from ensrepro.ledger import Answers, Ledger, Metrics, Objective
from ensrepro.samplers import BATCHES, SAMPLERS, WITHOUT_BUDGETS, WITHOUT_REPEATS
from ensrepro.samplers.problem import Problem
from ensrepro.space import PENALTY_TABLES, RESTORMER, Architecture, Space

LATENCY = "latency"  # as a penalty table: what each choice takes on a device, in ms
Progress = Callable[[int, int], None]  # (proposals answered, n_trials)


@dataclass(frozen=True)
class Settings:
    """What was asked of a run.

    With `minimizes_latency` it is an objective; the front stays within `latency_budget_ms` and
    `max_drop_db`, where they are given.
    """

    sampler: str
    n_trials: int
    seed: int
    penalty_table: str
    batch: int
    latency_budget_ms: float | None = None
    minimizes_latency: bool = False
    max_drop_db: float | None = None


@dataclass(frozen=True)
class SearchResult:
    """A finished run: n proposals in order, the teacher first, the cheapest second.

    The arrays have shape (n,), `points` (n, 2 or 3): psnr_drop, penalty and, as an objective, the
    latency. `allowed` says which are within the budgets; `hypervolume[i]` is that of those among
    the first i + 1 proposals, up to the reference point of `anchors`. `seconds` is the time the run
    took; `n_evaluated` counts what was measured in it, not found in the ledger.
    """

    settings: Settings
    architectures: tuple[Architecture, ...]
    psnr: NDArray[np.float64]
    ssim: NDArray[np.float64]
    points: NDArray[np.float64]
    allowed: NDArray[np.bool_]
    anchors: pareto.Anchors
    hypervolume: NDArray[np.float64]
    n_evaluated: int
    seconds: float

    @property
    def drop(self) -> NDArray[np.float64]:
        """PSNR below the teacher in dB, (n,)."""
        return self.points[:, pareto.DROP]

    @property
    def penalty(self) -> NDArray[np.float64]:
        return self.points[:, pareto.PENALTY]

    @cached_property
    def unique(self) -> tuple[int, ...]:
        """The first proposal of every architecture, sorted by architecture."""
        first: dict[Architecture, int] = {}
        for i, architecture in enumerate(self.architectures):
            first.setdefault(architecture, i)
        return tuple(first[architecture] for architecture in sorted(first))

    @property
    def n_unique(self) -> int:
        return len(self.unique)

    @cached_property
    def front(self) -> tuple[int, ...]:
        """Proposals on the front, by psnr_drop; of equal points the first by architecture."""
        within = np.array([i for i in self.unique if self.allowed[i]], dtype=np.intp)
        if not len(within):
            asked = self.settings
            raise ValueError(
                f"none of {len(self.architectures)} proposals is within latency_budget_ms "
                f"{asked.latency_budget_ms} and max_drop_db {asked.max_drop_db}; "
                "expected at least one on the front"
            )
        return tuple(int(i) for i in within[pareto.front(self.points[within])])


def _count(name: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is {value!r}; expected an integer >= {least}")
    return value


def settings(
    space: Space,
    sampler: str,
    n_trials: int,
    seed: int,
    penalty_table: str,
    batch: int | None = None,
    latency_budget_ms: float | None = None,
    minimizes_latency: bool = False,
    max_drop_db: float | None = None,
) -> Settings:
    """These arguments of `run`, checked; the sampler's own batch where none is given."""
    for name, value, table in (
        ("sampler", sampler, SAMPLERS),
        ("penalty_table", penalty_table, (*PENALTY_TABLES, LATENCY)),
    ):
        if not isinstance(value, str) or value not in table:
            raise ValueError(f"{name} is {value!r}; expected one of {', '.join(table)}")
    _count("n_trials", n_trials, 2)  # the teacher and the cheapest
    if sampler in WITHOUT_REPEATS and n_trials > space.n_architectures:
        raise ValueError(
            f"n_trials is {n_trials}; {sampler} draws without replacement "
            f"from {space.n_architectures} architectures"
        )
    for name, bound in (("latency_budget_ms", latency_budget_ms), ("max_drop_db", max_drop_db)):
        if bound is None:
            continue
        if isinstance(bound, bool) or not isinstance(bound, (int, float)) or not 0 < bound < inf:
            raise ValueError(f"{name} is {bound!r}; expected a number above 0")
        if sampler in WITHOUT_BUDGETS:
            raise ValueError(f"{name} is {bound}; {sampler} takes none, as in the paper")
    batch = BATCHES[sampler] if batch is None else _count("batch", batch, 1)
    return Settings(
        sampler,
        n_trials,
        _count("seed", seed, 0),
        penalty_table,
        batch,
        latency_budget_ms,
        minimizes_latency,
        max_drop_db,
    )


def problem(asked: Settings, space: Space, latency_ms: ArrayLike | None) -> Problem:
    """The known objectives of all candidates, and which are within the budget."""
    by_latency = asked.penalty_table == LATENCY
    known = [] if by_latency else [landscape.penalties(asked.penalty_table, space).ravel()]
    allowed = np.ones(space.n_architectures, dtype=np.bool_)
    budget = asked.latency_budget_ms
    if budget is not None or asked.minimizes_latency or by_latency:
        latency = (
            np.asarray(latency_ms, dtype=np.float64) if latency_ms is not None else np.empty(0)
        )
        if latency.shape != allowed.shape or not np.isfinite(latency).all():
            raise ValueError(
                f"latency_ms has shape {latency.shape}; expected a finite latency for each of "
                f"{space.n_architectures} architectures"
            )
        if asked.minimizes_latency or by_latency:
            known.append(latency)
        if budget is not None:
            allowed = latency <= budget
            if not allowed.any():
                raise ValueError(
                    f"latency_budget_ms is {budget:g}; expected at least {latency.min()}, "
                    "the latency of the fastest architecture"
                )
    found = Problem(space, np.column_stack(known), allowed, asked.seed, asked.max_drop_db)
    reachable = np.count_nonzero(allowed) + np.count_nonzero(~allowed[list(found.anchors)])
    if asked.sampler in WITHOUT_REPEATS and asked.n_trials > reachable:
        raise ValueError(
            f"n_trials is {asked.n_trials}; {asked.sampler} draws without replacement from the "
            f"{reachable} architectures that are anchors or within the budget"
        )
    return found


def _result(
    asked: Settings,
    stated: Problem,
    proposals: list[Architecture],
    metrics: list[Metrics],
    n_evaluated: int,
    start: float,
) -> SearchResult:
    """The run's arrays, and its hypervolume after each proposal."""
    psnr, ssim = (np.array(column) for column in zip(*metrics, strict=True))
    numbers = [stated.space.index(a) for a in proposals]
    points = np.column_stack([psnr[0] - psnr, stated.known[numbers]])
    most = inf if asked.max_drop_db is None else asked.max_drop_db
    allowed = stated.allowed[numbers] & (points[:, pareto.DROP] <= most)
    reference = stated.reference(points)
    counted = np.where(allowed[:, None], points, reference)  # at the reference: adds nothing
    return SearchResult(
        asked,
        tuple(proposals),
        psnr,
        ssim,
        points,
        allowed,
        stated.box(points),
        pareto.hypervolume_trace(counted, reference),
        n_evaluated,
        time.perf_counter() - start,
    )


def carry_out(
    objective: Objective,
    asked: Settings,
    *,
    space: Space = RESTORMER,
    latency_ms: ArrayLike | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> SearchResult:
    """`run`, of arguments that `settings` has checked."""
    stated = problem(asked, space, latency_ms)
    start = time.perf_counter()
    answers = Answers(objective, space, ledger)
    proposals: list[Architecture] = []
    metrics: list[Metrics] = []
    proposer = samplers.proposer(asked.sampler, stated)
    while len(proposals) < asked.n_trials:
        new = proposer.ask(min(asked.batch, asked.n_trials - len(proposals)))
        if not new:  # nothing is left to propose
            break
        proposals += new
        metrics += answers.of(new)
        proposer.tell(np.array([metrics[0].psnr - m.psnr for m in metrics[-len(new) :]]))
        if progress is not None:
            progress(len(proposals), asked.n_trials)
    return _result(asked, stated, proposals, metrics, answers.n_evaluated, start)


def run(
    objective: Objective,
    *,
    space: Space = RESTORMER,
    sampler: str = samplers.DEFAULT,
    n_trials: int = 500,
    seed: int = 0,
    penalty_table: str = "blocks",
    latency_ms: ArrayLike | None = None,
    latency_budget_ms: float | None = None,
    minimizes_latency: bool = False,
    max_drop_db: float | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
    batch: int | None = None,
) -> SearchResult:
    """Propose `n_trials` architectures and measure the ones that are new.

    The objective gets a batch of new architectures in sorted order, so that neighbors share their
    first stages, and returns their metrics in that order. `latency_ms`, (n_architectures,), is
    needed for a budget or as an objective. The same arguments and the same measured values give
    the same proposals; `batch` is one of these arguments.
    """
    asked = settings(
        *(space, sampler, n_trials, seed, penalty_table, batch),
        latency_budget_ms=latency_budget_ms,
        minimizes_latency=minimizes_latency,
        max_drop_db=max_drop_db,
    )
    return carry_out(
        objective, asked, space=space, latency_ms=latency_ms, ledger=ledger, progress=progress
    )
