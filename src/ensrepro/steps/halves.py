"""The equal-blocks hybrid of section 4.5: half of each stage's blocks are the teacher's.

It is none of the space's architectures, whose stages are of one kind, so it has parts of its own:
for each stage a stack that imitates the second half of the teacher's blocks, as deep as what it
replaces (assumption A38).
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from ensrepro import distill
from ensrepro.artifacts import Provenance
from ensrepro.distill import StageIO
from ensrepro.models.hybrid import UNet, surrogate_stage
from ensrepro.space import Stage
from ensrepro.steps import context, pool
from ensrepro.steps.context import Context, Progress
from ensrepro.steps.teacher import Teacher

STEP = "halves"
SEED = 0

Halves = dict[str, nn.Sequential]  # by stage


@dataclass(frozen=True)
class HalvesResult:
    """One row a stage: stage, depth, relative_error, explained, seconds."""

    digest: str
    rows: list[dict[str, Any]]


def kept(stage: Stage) -> int:
    """Blocks of the teacher that stay, the first ones."""
    return stage.n_blocks // 2


def untrained(ctx: Context, stage: Stage) -> nn.Sequential:
    """A stack as deep as the blocks that it stands in for; the global generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return surrogate_stage(stage, stage.n_blocks - kept(stage), ctx.shape)


@torch.no_grad()
def second_half(base: UNet, stage: Stage, features: StageIO) -> StageIO:
    """Features of a whole stage -> those of its second half, (n, C, h, w) each."""
    first = base.stages[stage.name][: kept(stage)]
    pieces = [first(piece) for piece in features.inputs.split(distill.CACHE_BATCH)]
    return StageIO(torch.cat(pieces), features.outputs)


def equal_blocks(base: UNet, halves: Halves) -> UNet:
    """The hybrid of the teacher's first halves and these; it *shares* their modules."""
    stages = [
        nn.Sequential(*base.stages[stage.name][: kept(stage)], *halves[stage.name])
        for stage in base.space.stages
    ]
    hybrid = UNet(base.shape, stages, base.space)
    for name, module in base.named_children():
        if name != "stages":
            setattr(hybrid, name, module)
    return hybrid.train(base.training)


def make(ctx: Context, base: Teacher, progress: Progress | None) -> tuple[HalvesResult, Provenance]:
    """Distill the second half of every stage, and save the weights."""
    started, settings = time.perf_counter(), ctx.profile.distillation
    where, rows, halves = pool.folder(ctx, base), [], {}
    with context.one_thread():
        distill.cache_features(base.net, ctx.task.name, settings, SEED, where)
        for stage in ctx.space.stages:
            features = second_half(base.net, stage, distill.cached_features(where, stage.name))
            half = untrained(ctx, stage)
            history = distill.imitate(
                half,
                features,
                distill.schedule_of(stage, settings),
                seed=SEED,
                checkpoint=where / f"half-{stage.name}.pt",
            )
            context.round_to_half(half)
            halves[stage.name] = half.eval()
            fidelity = distill.fidelity(half, features)
            row = {"stage": stage.name, "depth": len(half), **fidelity._asdict()}
            rows.append({**row, "seconds": history.seconds})
            if progress is not None:
                progress("distill halves", len(rows), len(ctx.space.stages))
    everything = nn.ModuleDict(halves)
    context.save(everything, ctx.store.new_weights(STEP), metadata(ctx))
    return HalvesResult(context.digest(everything), rows), ctx.provenance(SEED, started)


def metadata(ctx: Context) -> dict[str, str]:
    """What the weights file says of itself."""
    return {"step": STEP, "profile": ctx.profile.name, "task": ctx.task.name}


def get(ctx: Context, base: Teacher, progress: Progress | None = None) -> tuple[Halves, str]:
    """The halves and the digest of their weights: from their files, or distilled now."""
    settings = asdict(ctx.profile.distillation)
    identity = ctx.identity(distillation=settings, seed=SEED, teacher=base.result.digest)
    result = ctx.result(STEP, HalvesResult, identity, lambda: make(ctx, base, progress))
    halves = {stage.name: untrained(ctx, stage) for stage in ctx.space.stages}
    everything = nn.ModuleDict(halves)
    context.load(everything, ctx.store.weights(STEP), metadata(ctx), result.digest)
    return {name: module.eval() for name, module in halves.items()}, result.digest
