"""Step 5, fine-tuning: hybrids trained end to end, the best one chosen, and judged (section 3.5).

Each (architecture, seed) is a job of its own with its own manifest and weights.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from ensrepro import evaluate
from ensrepro.artifacts import Provenance
from ensrepro.models.counting import parameters
from ensrepro.models.hybrid import UNet, assemble, build
from ensrepro.space import Architecture
from ensrepro.steps import context, pool, teacher
from ensrepro.steps.context import Context, Progress
from ensrepro.steps.pool import Pool
from ensrepro.steps.teacher import Teacher

Job = tuple[Architecture, int]  # (architecture, seed)


@dataclass(frozen=True)
class FinetuneResult:
    """A fine-tuned hybrid: before and after (validation, dB), its training, its test rows."""

    architecture: int
    seed: int
    digest: str
    n_parameters: int
    before: float
    after: float
    seconds: float
    losses: list[float]
    validation: list[list[float]]
    test: list[dict[str, Any]]


@dataclass(frozen=True)
class Finetuned:
    """The network and its manifest."""

    net: UNet
    result: FinetuneResult


def job_name(ctx: Context, job: Job) -> str:
    """Name of the job's manifest, weights and checkpoint."""
    architecture, seed = job
    return f"hybrid-{ctx.space.index(architecture):05d}-s{seed}"


def owner(ctx: Context, job: Job) -> Context:
    """The context that a job's files belong to; the teacher's own is shared by all its pairs."""
    return teacher.of_teacher(ctx) if job[0] == ctx.space.teacher else ctx


def metadata(ctx: Context, job: Job) -> dict[str, str]:
    """What the weights file says of itself."""
    return {
        "step": "finetune",
        "profile": ctx.profile.name,
        "task": ctx.task.name,
        "architecture": ctx.space.label(job[0]),
    }


def make(ctx: Context, base: Teacher, parts: Pool, job: Job) -> tuple[FinetuneResult, Provenance]:
    """Fine-tune one hybrid end to end; the teacher and the pool stay as they are."""
    architecture, seed = job
    started, name = time.perf_counter(), job_name(ctx, job)
    net = deepcopy(assemble(base.net, parts.surrogates, architecture))
    before = ctx.psnr(net)
    # a checkpoint of a hybrid from another teacher or pool must not be taken up
    checkpoint = f"{name}-{base.result.digest}-{parts.result.digest}"
    history = context.train(ctx, net, ctx.profile.finetune, seed=seed + 1, name=checkpoint)
    context.save(net, ctx.store.new_weights(name), metadata(ctx, job))
    result = FinetuneResult(
        architecture=ctx.space.index(architecture),
        seed=seed,
        digest=context.digest(net),
        n_parameters=parameters(net),
        before=before,
        after=ctx.psnr(net),
        seconds=history.seconds,
        losses=context.loss_curve(history.losses),
        validation=[list(point) for point in history.validation],
        test=ctx.rows(ctx.space.label(architecture), partial(evaluate.restore, net)),
    )
    return result, ctx.provenance(seed, started)


def load(ctx: Context, job: Job, digest: str) -> UNet:
    """A fine-tuned hybrid from its weights; a ValueError if they are not of the digest."""
    name, ctx = job_name(ctx, job), owner(ctx, job)
    net = build(job[0], ctx.shape, ctx.space)
    context.load(net, ctx.store.weights(name), metadata(ctx, job), digest)
    return net.eval()


def get(ctx: Context, base: Teacher, parts: Pool, job: Job) -> Finetuned:
    """One fine-tuned hybrid: from its files, or trained now."""
    name, ctx = job_name(ctx, job), owner(ctx, job)
    identity = ctx.identity(
        schedule=asdict(ctx.profile.finetune),
        seed=job[1],
        architecture=list(job[0]),
        teacher=base.result.digest,
        pool="" if job[0] == ctx.space.teacher else parts.result.digest,  # nothing of it is in it
    )
    result = ctx.result(name, FinetuneResult, identity, lambda: make(ctx, base, parts, job))
    return Finetuned(load(ctx, job, result.digest), result)


def _worker(ctx: Context, job: Job) -> None:
    """One job on one thread, in any process; its result is in the files."""
    with context.one_thread():
        base = teacher.get(ctx)
        get(ctx, base, pool.get(ctx, base), job)


def is_on_file(ctx: Context, job: Job) -> bool:
    """Whether a job's manifest exists."""
    return owner(ctx, job).store.manifest(job_name(ctx, job)).exists()


def get_many(
    ctx: Context,
    base: Teacher,
    parts: Pool,
    jobs: Sequence[Job],
    progress: Progress | None = None,
) -> Iterator[Finetuned]:
    """Several fine-tuned hybrids, in order; those that are missing are trained in parallel."""
    missing = [job for job in jobs if not is_on_file(ctx, job)]
    if missing and ctx.may_compute:
        context.side_by_side(ctx, partial(_worker, ctx), missing, "fine-tune", progress)
    for job in jobs:
        yield get(ctx, base, parts, job)


def best(results: Iterable[Finetuned]) -> Finetuned:
    """The highest validation PSNR after fine-tuning (assumption A12); test photos are not seen."""
    return max(results, key=lambda finetuned: finetuned.result.after)


class Gain(NamedTuple):
    """Mean over `n` photos of a difference in PSNR (dB), and the standard error of that mean."""

    mean: float
    standard_error: float
    n: int

    @property
    def half_width(self) -> float:
        """Half the width (dB) of the mean's 95 % interval by Student's t; NaN for one photo."""
        return float(stats.t.ppf(0.975, self.n - 1) * self.standard_error)


def paired_gain(rows: Sequence[dict[str, Any]], reference: Sequence[dict[str, Any]]) -> Gain:
    """What one network gains over another, photo by photo; NaN as the error of a single photo."""
    psnr = {row["image"]: row["psnr"] for row in reference}
    gains = np.array([row["psnr"] - psnr[row["image"]] for row in rows])
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
    return Gain(float(gains.mean()), float(error), len(gains))


def mean_test(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Mean PSNR (dB) on the test photos by method, in the order of the rows."""
    methods = dict.fromkeys(row["method"] for row in rows)
    return {
        method: float(np.mean([row["psnr"] for row in rows if row["method"] == method]))
        for method in methods
    }
