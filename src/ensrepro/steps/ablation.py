"""Ablations (section 4.5, table 5): what distillation and the search are worth, all tuned alike.

    fresh    the chosen hybrid, its surrogates not distilled but as they start, inside the teacher
    random   the same architecture, every weight random
    equal    half of each stage's blocks in place of the search's choice

They stand beside the hybrid as the method makes it, and beside hybrids drawn at random, both of
which `steps.finetune` makes. `fresh` separates distillation from what the teacher's own weights are
worth; the paper has `random` only. Weights are not kept, numbers are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from ensrepro import costs, distill, evaluate
from ensrepro.artifacts import Provenance
from ensrepro.models.counting import parameters
from ensrepro.models.hybrid import UNet, assemble, build
from ensrepro.space import Architecture
from ensrepro.steps import context, halves, pool, teacher
from ensrepro.steps.context import Context, Progress
from ensrepro.steps.pool import Pool
from ensrepro.steps.teacher import Teacher

Job = tuple[str, Architecture, int]  # arm, architecture, seed

FRESH, RANDOM, EQUAL = "fresh", "random", "equal"
ARMS = (FRESH, RANDOM, EQUAL)
EVERY_STAGE = "half of every stage"  # the architecture of EQUAL, which has no number


@dataclass(frozen=True)
class AblationResult:
    """A network of one arm: before and after fine-tuning (validation, dB), its test rows."""

    arm: str
    architecture: str
    seed: int
    n_parameters: int
    before: float
    after: float
    seconds: float
    validation: list[list[float]]
    test: list[dict[str, Any]]


@dataclass(frozen=True)
class Parts:
    """What the networks of all arms are made of; see `parts`."""

    teacher: Teacher
    pool: Pool
    halves: halves.Halves
    digest: str  # of the halves


def parts(ctx: Context, base: Teacher, trained: Pool, progress: Progress | None = None) -> Parts:
    """Teacher, pool and halves: from their files, or trained now."""
    return Parts(base, trained, *halves.get(ctx, base, progress))


def undistilled(
    ctx: Context, architecture: Architecture, seed: int
) -> dict[distill.Key, nn.Module]:
    """The surrogates of an architecture as their distillation starts: each is the identity."""
    surrogates: dict[distill.Key, nn.Module] = {}
    for stage, choice in zip(ctx.space.stages, architecture, strict=True):
        if choice:
            depth = stage.depth(choice)
            surrogates[stage.name, depth] = distill.untrained(stage, depth, ctx.shape, seed)
            for block in surrogates[stage.name, depth]:
                block.zero_output()  # assumption A20
    return surrogates


def all_random(ctx: Context, architecture: Architecture, seed: int) -> UNet:
    """Random weights but for the last convolution, which is zero as in a teacher's first step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build(architecture, ctx.shape, ctx.space)
    for tensor in net.output.parameters():
        nn.init.zeros_(tensor)  # assumption A27
    return net


def network(ctx: Context, made_of: Parts, arm: str, architecture: Architecture, seed: int) -> UNet:
    """The arm's network before fine-tuning; it shares no weights with its parts."""
    base = made_of.teacher.net
    if arm == FRESH:
        return deepcopy(assemble(base, undistilled(ctx, architecture, seed), architecture))
    if arm == RANDOM:
        return all_random(ctx, architecture, seed)
    if arm == EQUAL:
        return deepcopy(halves.equal_blocks(base, made_of.halves))
    raise ValueError(f"arm is {arm!r}; expected one of {', '.join(ARMS)}")


def label(ctx: Context, arm: str, architecture: Architecture) -> str:
    """The architecture in words."""
    return EVERY_STAGE if arm == EQUAL else ctx.space.label(architecture)


def step_name(ctx: Context, arm: str, architecture: Architecture, seed: int) -> str:
    """Name of the manifest."""
    number = "" if arm == EQUAL else f"-{ctx.space.index(architecture):05d}"
    return f"ablation-{arm}{number}-s{seed}"


def make(
    ctx: Context, made_of: Parts, arm: str, architecture: Architecture, seed: int
) -> tuple[AblationResult, Provenance]:
    """Fine-tune one network of one arm, on the patches that every arm sees with this seed."""
    started, name = time.perf_counter(), step_name(ctx, arm, architecture, seed)
    net = network(ctx, made_of, arm, architecture, seed)
    before = ctx.psnr(net)
    digests = made_of.teacher.result.digest, made_of.pool.result.digest, made_of.digest
    checkpoint = "-".join((name, *digests))
    history = context.train(ctx, net, ctx.profile.finetune, seed=seed + 1, name=checkpoint)
    result = AblationResult(
        arm=arm,
        architecture=label(ctx, arm, architecture),
        seed=seed,
        n_parameters=parameters(net),
        before=before,
        after=ctx.psnr(net),
        seconds=history.seconds,
        validation=[list(point) for point in history.validation],
        test=ctx.rows(arm, partial(evaluate.restore, net)),
    )
    return result, ctx.provenance(seed, started)


def get(
    ctx: Context, made_of: Parts, arm: str, architecture: Architecture, seed: int
) -> AblationResult:
    """One network's numbers: from their file, or trained now."""
    identity = ctx.identity(
        schedule=asdict(ctx.profile.finetune),
        arm=arm,
        seed=seed,
        architecture=label(ctx, arm, architecture),
        teacher=made_of.teacher.result.digest,
        pool=made_of.pool.result.digest,
        halves=made_of.digest,
    )
    name = step_name(ctx, arm, architecture, seed)
    return ctx.result(
        name, AblationResult, identity, lambda: make(ctx, made_of, arm, architecture, seed)
    )


def _worker(ctx: Context, job: Job) -> None:
    """One job on one thread, in any process; its result is in the files."""
    with context.one_thread():
        base = teacher.get(ctx)
        get(ctx, parts(ctx, base, pool.get(ctx, base)), *job)


def get_many(
    ctx: Context, made_of: Parts, jobs: Sequence[Job], progress: Progress | None = None
) -> list[AblationResult]:
    """Several networks' numbers, in order; those that are missing are trained in parallel."""
    missing = [job for job in jobs if not ctx.store.manifest(step_name(ctx, *job)).exists()]
    if missing and ctx.may_compute:
        context.side_by_side(ctx, partial(_worker, ctx), missing, "ablation", progress)
    return [get(ctx, made_of, *job) for job in jobs]


def drawn(ctx: Context, n: int, seed: int) -> list[Architecture]:
    """`n` different architectures at random; a larger `n` begins with the same ones."""
    return [ctx.space.architecture(number) for number in costs.sampled(ctx.space, n, seed)]
