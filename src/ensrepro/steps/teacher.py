"""Step 1, the teacher: a Restormer trained on the task (section 3.2).

A small teacher is trained on an easier degradation first (assumption A27), which is a step with a
manifest and weights of its own.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from ensrepro import artifacts, data, evaluate
from ensrepro.artifacts import Provenance
from ensrepro.config import Schedule
from ensrepro.models.counting import parameters
from ensrepro.models.hybrid import UNet, build
from ensrepro.steps import context
from ensrepro.steps.context import Context, Progress

PRETRAINING, STEP = "pretraining", "teacher"
SEED = 0  # one teacher a task (assumption A16)
PATCHES_SEED = 10  # of the second training's patches: not those of the first, nor of fine-tuning


@dataclass(frozen=True)
class PretrainingResult:
    """The weights by digest, and their training; `losses` are means over 50 steps."""

    digest: str
    seconds: float
    losses: list[float]


@dataclass(frozen=True)
class TeacherResult:
    """The teacher's weights by digest, its training, and what its stages are worth.

    `start` is the digest of the weights that its training began with, "" for random ones.
    `losses` are means over 50 steps; `validation` holds [step, dB]; `identity_drops` dB a stage;
    `test` rows of method, image, psnr, ssim.
    """

    start: str
    digest: str
    n_parameters: int
    seconds: float
    losses: list[float]
    validation: list[list[float]]
    identity_drops: dict[str, float]
    test: list[dict[str, Any]]


@dataclass(frozen=True)
class Teacher:
    """The trained network and its manifest."""

    net: UNet
    result: TeacherResult


def untrained(ctx: Context) -> UNet:
    """The teacher before training; its output convolution is zero, so it returns its input.

    Assumption A27: with the default start the deep stages wake later.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        net = build(ctx.space.teacher, ctx.shape, ctx.space)
    nn.init.zeros_(net.output.weight)
    return net


def metadata(ctx: Context, step: str) -> dict[str, str]:
    """What the weights file of a step says of itself."""
    return {"step": step, "profile": ctx.profile.name, "task": ctx.task.name}


def make_pretraining(
    ctx: Context, schedule: Schedule, progress: Progress | None
) -> tuple[PretrainingResult, Provenance]:
    """Train on the degradation that the task starts from, and save the weights."""
    started, net = time.perf_counter(), untrained(ctx)
    history = context.train(
        *(ctx, net, schedule),
        seed=SEED,
        name=PRETRAINING,
        degradation=ctx.task.starts_from,
        progress=progress,
    )
    context.save(net, ctx.store.new_weights(PRETRAINING), metadata(ctx, PRETRAINING))
    losses = context.loss_curve(history.losses)
    result = PretrainingResult(context.digest(net), history.seconds, losses)
    return result, ctx.provenance(SEED, started)


def pretraining(ctx: Context) -> dict[str, Any]:
    """What fixes the first training; nothing of it where the profile has none."""
    schedule = ctx.profile.pretraining
    if schedule is None:
        return {}
    images = data.recipe(data.TRAIN, ctx.task.starts_from)
    return {"pretraining": asdict(schedule), "pretraining_images": images}


def start(ctx: Context, progress: Progress | None = None) -> tuple[UNet, str]:
    """The network that the training on the task starts from, and its digest ("" if untrained)."""
    net, schedule = untrained(ctx), ctx.profile.pretraining
    if schedule is None:
        return net, ""
    identity = ctx.identity(seed=SEED, **pretraining(ctx))
    result = ctx.result(
        PRETRAINING, PretrainingResult, identity, lambda: make_pretraining(ctx, schedule, progress)
    )
    path = ctx.store.weights(PRETRAINING)
    context.load(net, path, metadata(ctx, PRETRAINING), result.digest)
    return net, result.digest


def make(ctx: Context, progress: Progress | None) -> tuple[TeacherResult, Provenance]:
    """Train the teacher, save its weights, and measure it."""
    net, begun = start(ctx, progress)
    started = time.perf_counter()
    history = context.train(
        *(ctx, net, ctx.profile.teacher),
        seed=PATCHES_SEED,
        name=STEP,
        start=begun,
        progress=progress,
    )
    context.save(net, ctx.store.new_weights(STEP), metadata(ctx, STEP))
    result = TeacherResult(
        start=begun,
        digest=context.digest(net),
        n_parameters=parameters(net),
        seconds=history.seconds,
        losses=context.loss_curve(history.losses),
        validation=[list(point) for point in history.validation],
        identity_drops=evaluate.identity_drops(net, ctx.validation, ctx.task.protocol),
        test=ctx.rows("teacher", partial(evaluate.restore, net)),
    )
    return result, ctx.provenance(PATCHES_SEED, started)


def check_start(ctx: Context, result: TeacherResult) -> None:
    """A ValueError if the teacher began with other weights than those of the first training."""
    path = ctx.store.manifest(PRETRAINING)
    if ctx.profile.pretraining is None or not path.exists():
        return
    identity = ctx.identity(seed=SEED, **pretraining(ctx))
    found = artifacts.read_manifest(path, PRETRAINING, PretrainingResult, identity).digest
    if found != result.start:
        raise ValueError(
            f"{ctx.store.manifest(STEP)} started from weights of the digest {result.start}; "
            f"{path} has {found}"
        )


def get(ctx: Context, progress: Progress | None = None) -> Teacher:
    """The task's teacher: from its files, or trained now."""
    identity = ctx.identity(
        schedule=asdict(ctx.profile.teacher), seed=PATCHES_SEED, **pretraining(ctx)
    )
    result = ctx.result(STEP, TeacherResult, identity, lambda: make(ctx, progress))
    check_start(ctx, result)
    net = untrained(ctx)
    context.load(net, ctx.store.weights(STEP), metadata(ctx, STEP), result.digest)
    return Teacher(net.eval(), result)
