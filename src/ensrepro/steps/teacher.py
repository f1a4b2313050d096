"""Step 1, the teacher: a Restormer trained on the task (section 3.2)."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from ensrepro import artifacts, evaluate
from ensrepro.artifacts import Provenance
from ensrepro.models.hybrid import UNet, build
from ensrepro.steps import context
from ensrepro.steps.context import Context, Progress

STEP = "teacher"
SEED = 0  # one teacher a task (assumption A16)


@dataclass(frozen=True)
class TeacherResult:
    """The teacher's weights by digest, its training, and what its stages are worth.

    `losses` are means over 50 steps; `validation` holds [step, dB]; `identity_drops` dB a stage;
    `test` rows of method, image, psnr, ssim for the input, the classical methods and the teacher.
    """

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


def classical(ctx: Context) -> list[dict[str, Any]]:
    """Test rows of the degraded input and of the classical denoisers that are installed."""
    rows = ctx.rows("input", evaluate.degraded)
    rows += ctx.rows("nlm", evaluate.non_local_means)
    if artifacts.installed("bm3d") != "absent":
        rows += ctx.rows("bm3d", evaluate.bm3d)
    return rows


def metadata(ctx: Context) -> dict[str, str]:
    """What the weights file says of itself."""
    return {"step": STEP, "profile": ctx.profile.name, "task": ctx.task.name}


def make(ctx: Context, progress: Progress | None) -> tuple[TeacherResult, Provenance]:
    """Train the teacher, save its weights, and measure it."""
    started = time.perf_counter()
    net = untrained(ctx)
    history = context.train(ctx, net, ctx.profile.teacher, seed=SEED, name=STEP, progress=progress)
    context.save(net, ctx.store.new_weights(STEP), metadata(ctx))
    result = TeacherResult(
        digest=context.digest(net),
        n_parameters=sum(p.numel() for p in net.parameters()),
        seconds=history.seconds,
        losses=context.loss_curve(history.losses),
        validation=[list(point) for point in history.validation],
        identity_drops=evaluate.identity_drops(net, ctx.validation, ctx.task.protocol),
        test=classical(ctx) + ctx.rows("teacher", partial(evaluate.restore, net)),
    )
    return result, ctx.provenance(SEED, started)


def get(ctx: Context, progress: Progress | None = None) -> Teacher:
    """The task's teacher: from its files, or trained now."""
    identity = ctx.identity(schedule=asdict(ctx.profile.teacher), seed=SEED)
    result = artifacts.load_or_run(
        ctx.store.manifest(STEP), STEP, TeacherResult, identity, lambda: make(ctx, progress)
    )
    net = untrained(ctx)
    context.load(net, ctx.store.weights(STEP), metadata(ctx), result.digest)
    return Teacher(net.eval(), result)
