"""Step 2, the pool: surrogates, each distilled from a stage of the teacher (3.3, 3.4)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import nn

from ensrepro import data, distill, evaluate
from ensrepro.artifacts import Provenance
from ensrepro.distill import Distilled, Fidelity, Key
from ensrepro.models.counting import parameters
from ensrepro.steps import context
from ensrepro.steps.context import Context, Progress
from ensrepro.steps.teacher import Teacher
from ensrepro.terminal import repeating

STEP = "pool"
SEED = 0

Surrogates = dict[Key, nn.Sequential]


@dataclass(frozen=True)
class PoolResult:
    """One row a surrogate: stage, depth, n_parameters, relative_error, explained, psnr_drop (dB,
    it alone in the teacher), seconds and loss, the last mean of 50 steps."""

    digest: str
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Pool:
    """The surrogates by (stage, depth) and their manifest."""

    surrogates: Surrogates
    result: PoolResult


def as_module(surrogates: Surrogates) -> nn.ModuleDict:
    """All surrogates in one module, named `stage-depth`."""
    return nn.ModuleDict({f"{name}-{depth}": m for (name, depth), m in surrogates.items()})


def untrained(ctx: Context) -> Surrogates:
    """Surrogates of the right shapes with arbitrary weights."""
    return {
        (stage.name, depth): distill.untrained(stage, depth, ctx.shape, SEED)
        for stage in ctx.space.stages
        for depth in stage.depths
    }


def metadata(ctx: Context) -> dict[str, str]:
    """What the weights file says of itself."""
    return {"step": STEP, "profile": ctx.profile.name, "task": ctx.task.name}


def rows(ctx: Context, teacher: Teacher, trained: Sequence[Distilled]) -> list[dict[str, Any]]:
    """Each surrogate measured on validation features, and alone in the teacher."""
    space, surrogates = ctx.space, {d.key: d.module for d in trained}
    images = data.to_tensor([pair.degraded for pair in ctx.validation])
    features = distill.stage_io(teacher.net, images)
    swaps = [
        space.swapped(name, space.stage(name).depths.index(depth) + 1)
        for name, depth in space.surrogates
    ]
    base, *single = evaluate.measure(
        teacher.net, surrogates, [space.teacher, *swaps], ctx.validation, ctx.task.protocol
    )
    by_key = {d.key: d for d in trained}
    table = []
    for key, measured in zip(space.surrogates, single, strict=True):
        fidelity: Fidelity = distill.fidelity(surrogates[key], features[key[0]])
        table.append(
            {
                "stage": key[0],
                "depth": key[1],
                "n_parameters": parameters(surrogates[key]),
                **fidelity._asdict(),
                "psnr_drop": base.psnr - measured.psnr,
                "seconds": by_key[key].history.seconds,
                "loss": context.loss_curve(by_key[key].history.losses)[-1],
            }
        )
    return table


def folder(ctx: Context, teacher: Teacher) -> Path:
    """Cached features and checkpoints; another teacher has another folder."""
    return ctx.store.checkpoint(f"features-{teacher.result.digest}").with_suffix("")


def make(
    ctx: Context, teacher: Teacher, progress: Progress | None
) -> tuple[PoolResult, Provenance]:
    """Distill every surrogate, save their weights, and measure them."""
    started = time.perf_counter()
    settings, where = ctx.profile.distillation, folder(ctx, teacher)
    with context.one_thread():
        distill.cache_features(teacher.net, ctx.task.name, settings, SEED, where)
    keys, trained = ctx.space.surrogates, []
    with repeating(progress, "distill", len(keys)) as report:
        for done in distill.distill_many(
            keys, ctx.space, ctx.shape, settings, folder=where, seed=SEED, processes=ctx.n_processes
        ):
            context.round_to_half(done.module)
            trained.append(done)
            report(len(trained))
    surrogates = {key: next(d.module for d in trained if d.key == key) for key in keys}
    everything = as_module(surrogates)
    context.save(everything, ctx.store.new_weights(STEP), metadata(ctx))
    result = PoolResult(context.digest(everything), rows(ctx, teacher, trained))
    return result, ctx.provenance(SEED, started)


def get(ctx: Context, teacher: Teacher, progress: Progress | None = None) -> Pool:
    """The task's pool: from its files, or distilled now."""
    identity = ctx.identity(
        distillation=asdict(ctx.profile.distillation), seed=SEED, teacher=teacher.result.digest
    )
    result = ctx.result(STEP, PoolResult, identity, lambda: make(ctx, teacher, progress))
    surrogates = untrained(ctx)
    path = ctx.store.weights(STEP)
    context.load(as_module(surrogates), path, metadata(ctx), result.digest)
    return Pool({key: module.eval() for key, module in surrogates.items()}, result)


def opposed(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Stages whose surrogates are in opposite order by feature error and by PSNR drop."""
    found = []
    for stage in dict.fromkeys(row["stage"] for row in rows):
        own = sorted(
            (row for row in rows if row["stage"] == stage), key=lambda row: row["relative_error"]
        )
        drops = [row["psnr_drop"] for row in own]
        if len(own) > 1 and all(a > b for a, b in pairwise(drops)):
            found.append(stage)
    return found
