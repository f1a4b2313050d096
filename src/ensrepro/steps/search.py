"""Step 3, the search: architectures proposed by a sampler, measured on the validation crops (3.5).

All runs of a pool share one ledger, so no architecture is ever measured twice. Where ENS-Bench has
the pool's table, a run reads the same numbers there and takes seconds.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

import ensrepro
from ensrepro import evaluate, pareto, search
from ensrepro.artifacts import Provenance
from ensrepro.data import VALIDATION
from ensrepro.ledger import Key, Ledger, Metrics, Objective
from ensrepro.samplers import DEFAULT
from ensrepro.search import SearchResult
from ensrepro.space import Architecture, Space
from ensrepro.steps.context import Context, Progress
from ensrepro.steps.pool import Pool
from ensrepro.steps.teacher import Teacher

LEDGER = "evaluations"

Share = Callable[[str], Objective]


@dataclass(frozen=True)
class Known:
    """What was measured of every architecture before, where ENS-Bench has it.

    `quality` is (n_architectures, 2), psnr in dB and ssim on the validation crops; `latency_ms`
    (n_architectures,), that of `device` if it is not ENS-Bench's; `table` is the hash of the file
    that quality comes from.
    """

    quality: np.ndarray | None = None
    latency_ms: np.ndarray | None = None
    table: str = ""
    device: str = ""

    def looked_up(self, space: Space) -> Objective | None:
        """The objective that reads the table, if there is one."""
        table = self.quality
        if table is None:
            return None
        return lambda architectures: [Metrics(*table[space.index(a)]) for a in architectures]


@dataclass(frozen=True)
class SearchSummary:
    """A finished run, in the order of its proposals.

    `architectures` are numbers in the space; psnr in dB; `hypervolume` after each proposal; `front`
    positions in these lists, by psnr_drop. `allowed` says which are within `latency_budget_ms`;
    `latency_ms` is there if latency was a third objective. With the penalty table `latency` the
    penalty is the latency, in ms.
    """

    sampler: str
    n_trials: int
    seed: int
    penalty_table: str
    architectures: list[int]
    psnr: list[float]
    ssim: list[float]
    penalty: list[float]
    latency_ms: list[float] | None
    latency_budget_ms: float | None
    allowed: list[bool]
    hypervolume: list[float]
    front: list[int]
    n_unique: int

    @property
    def points(self) -> np.ndarray:
        """(n, 2): psnr_drop in dB and penalty; row 0 is the teacher, row 1 the cheapest."""
        psnr = np.array(self.psnr)
        return np.column_stack([psnr[0] - psnr, self.penalty])

    @property
    def anchors(self) -> pareto.Anchors:
        return pareto.Anchors.between(self.points[0], self.points[1])


def step_name(asked: search.Settings, known: Known = Known()) -> str:
    """Name of a run's manifest; a run on the table is another one than a run that measures."""
    name = f"search-{asked.sampler}-{asked.n_trials}-{asked.penalty_table}-s{asked.seed}"
    budget = asked.latency_budget_ms
    name += "" if budget is None else f"-within{budget!r}ms"
    name += "-latency" if asked.minimizes_latency else ""
    name += f"-on-{known.device}" if known.device else ""
    return name if known.quality is None else f"{name}-table"


def key(ctx: Context, teacher: Teacher, pool: Pool) -> Key:
    """What an evaluation of this pool depends on."""
    return Key(
        validation=ctx.recipes[VALIDATION],
        weights=f"{teacher.result.digest}-{pool.result.digest}",
        task=ctx.task.name,
        profile=ctx.profile.name,
        pair=ctx.pair.name,
        code_version=ensrepro.__version__,
    )


def open_ledger(ctx: Context, teacher: Teacher, pool: Pool) -> Ledger:
    """The evaluations of this pool on these validation crops."""
    return Ledger(ctx.store.ledger(LEDGER), key(ctx, teacher, pool))


def objective(ctx: Context, teacher: Teacher, pool: Pool) -> Objective:
    """Architectures measured on the validation crops, together."""

    def measured(architectures: list[Architecture]) -> list[Metrics]:
        return evaluate.measure(
            teacher.net, pool.surrogates, architectures, ctx.validation, ctx.task.protocol
        )

    return measured


def summary(ctx: Context, result: SearchResult) -> SearchSummary:
    """The result as plain values."""
    settings = result.settings
    return SearchSummary(
        sampler=settings.sampler,
        n_trials=settings.n_trials,
        seed=settings.seed,
        penalty_table=settings.penalty_table,
        architectures=[ctx.space.index(a) for a in result.architectures],
        psnr=result.psnr.tolist(),
        ssim=result.ssim.tolist(),
        penalty=result.penalty.tolist(),
        latency_ms=result.points[:, 2].tolist() if settings.minimizes_latency else None,
        latency_budget_ms=settings.latency_budget_ms,
        allowed=result.allowed.tolist(),
        hypervolume=result.hypervolume.tolist(),
        front=list(result.front),
        n_unique=result.n_unique,
    )


def make(
    ctx: Context,
    teacher: Teacher,
    pool: Pool,
    settings: search.Settings,
    known: Known,
    share: Share | None,
    progress: Progress | None,
) -> tuple[SearchSummary, Provenance]:
    """Run the search against the shared ledger, or against the table where there is one."""
    started = time.perf_counter()

    asked, ledger = known.looked_up(ctx.space), None
    if asked is None:
        ledger = open_ledger(ctx, teacher, pool)
        name = step_name(settings, replace(known, quality=None))
        asked = objective(ctx, teacher, pool) if share is None else share(name)
    result = search.carry_out(
        asked,
        settings,
        space=ctx.space,
        latency_ms=known.latency_ms,
        ledger=ledger,
        progress=None if progress is None else lambda done, of: progress("search", done, of),
    )
    return summary(ctx, result), ctx.provenance(settings.seed, started)


def get(
    ctx: Context,
    teacher: Teacher,
    pool: Pool,
    *,
    sampler: str = DEFAULT,
    n_trials: int | None = None,
    seed: int = 0,
    penalty_table: str = "blocks",
    latency_budget_ms: float | None = None,
    minimizes_latency: bool = False,
    known: Known = Known(),
    share: Share | None = None,
    progress: Progress | None = None,
) -> SearchSummary:
    """A search run: from its manifest, or run now. `n_trials` None takes the profile's.

    `known` latencies are needed for a budget or as an objective. `share` gives the objective that
    other processes help with, for the name of the run.
    """
    settings = search.settings(
        ctx.space,
        sampler,
        ctx.profile.n_trials if n_trials is None else n_trials,
        seed,
        penalty_table,
        latency_budget_ms=latency_budget_ms,
        minimizes_latency=minimizes_latency,
    )
    search.problem(settings, ctx.space, known.latency_ms)  # refused before anything is measured
    identity = ctx.identity(
        teacher=teacher.result.digest,
        pool=pool.result.digest,
        answers="measured" if known.quality is None else f"table {known.table}",
        **asdict(settings),
    )
    if latency_budget_ms is not None or minimizes_latency or penalty_table == search.LATENCY:
        latency = np.ascontiguousarray(known.latency_ms)
        identity["latency"] = hashlib.sha256(latency.tobytes()).hexdigest()[:16]
    return ctx.result(
        step_name(settings, known),
        SearchSummary,
        identity,
        lambda: make(ctx, teacher, pool, settings, known, share, progress),
    )
