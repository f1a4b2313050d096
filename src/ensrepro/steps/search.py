"""Step 3, the search: architectures proposed by a sampler, measured on the validation crops (3.5).

All runs of a pool share one ledger, so no architecture is ever measured twice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

import ensrepro
from ensrepro import evaluate, pareto, search
from ensrepro.artifacts import Provenance
from ensrepro.data import VALIDATION
from ensrepro.ledger import Key, Ledger, Metrics
from ensrepro.search import SearchResult
from ensrepro.space import Architecture
from ensrepro.steps.context import Context, Progress
from ensrepro.steps.pool import Pool
from ensrepro.steps.teacher import Teacher

LEDGER = "evaluations"


@dataclass(frozen=True)
class SearchSummary:
    """A finished run, in the order of its proposals.

    `architectures` are numbers in the space; psnr in dB; `hypervolume` after each proposal; `front`
    positions in these lists, by psnr_drop.
    """

    sampler: str
    n_trials: int
    seed: int
    penalty_table: str
    architectures: list[int]
    psnr: list[float]
    ssim: list[float]
    penalty: list[float]
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


def step_name(sampler: str, n_trials: int, seed: int, penalty_table: str) -> str:
    """Name of a run's manifest."""
    return f"search-{sampler}-{n_trials}-{penalty_table}-s{seed}"


def open_ledger(ctx: Context, teacher: Teacher, pool: Pool) -> Ledger:
    """The evaluations of this pool on these validation crops."""
    key = Key(
        validation=ctx.recipes[VALIDATION],
        weights=f"{teacher.result.digest}-{pool.result.digest}",
        task=ctx.task.name,
        profile=ctx.profile.name,
        pair=ctx.pair.name,
        code_version=ensrepro.__version__,
    )
    return Ledger(ctx.store.ledger(LEDGER), key)


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
        hypervolume=result.hypervolume.tolist(),
        front=list(result.front),
        n_unique=result.n_unique,
    )


def make(
    ctx: Context,
    teacher: Teacher,
    pool: Pool,
    settings: search.Settings,
    progress: Progress | None,
) -> tuple[SearchSummary, Provenance]:
    """Run the search against the shared ledger."""
    started = time.perf_counter()

    def objective(architectures: list[Architecture]) -> list[Metrics]:
        return evaluate.measure(
            teacher.net, pool.surrogates, architectures, ctx.validation, ctx.task.protocol
        )

    result = search.run(
        objective,
        space=ctx.space,
        sampler=settings.sampler,
        n_trials=settings.n_trials,
        seed=settings.seed,
        penalty_table=settings.penalty_table,
        batch=settings.batch,
        ledger=open_ledger(ctx, teacher, pool),
        progress=None if progress is None else lambda done, of: progress("search", done, of),
    )
    return summary(ctx, result), ctx.provenance(settings.seed, started)


def get(
    ctx: Context,
    teacher: Teacher,
    pool: Pool,
    *,
    sampler: str = "nsga2",
    n_trials: int | None = None,
    seed: int = 0,
    penalty_table: str = "blocks",
    progress: Progress | None = None,
) -> SearchSummary:
    """A search run: from its manifest, or run now. `n_trials` None takes the profile's."""
    settings = search.settings(
        ctx.space,
        sampler,
        ctx.profile.n_trials if n_trials is None else n_trials,
        seed,
        penalty_table,
    )
    step = step_name(sampler, settings.n_trials, seed, penalty_table)
    identity = ctx.identity(
        teacher=teacher.result.digest, pool=pool.result.digest, batch=settings.batch
    )
    return ctx.result(
        step, SearchSummary, identity, lambda: make(ctx, teacher, pool, settings, progress)
    )
