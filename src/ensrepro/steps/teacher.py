"""Step 1, the teacher: a network of the pair's expressive family trained on the task (3.2).

A small teacher does not start from random weights (assumption A27): either it is trained on an
easier degradation first, which is a step with a manifest and weights of its own, or it takes the
weights of another task's teacher. Pairs of one expressive family share their teachers: those of
`restormer-edge` are trained, and lie, with those of `restormer-mambair` (assumption A39).
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ensrepro import artifacts, data, evaluate
from ensrepro.artifacts import Provenance
from ensrepro.config import TASKS, Schedule, teacher_pair
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


def of_teacher(ctx: Context) -> Context:
    """The context in which the teacher is trained: that of the pair whose teacher it is."""
    pair = teacher_pair(ctx.pair)
    return replace(ctx, pair=pair, store=replace(ctx.store, suffix=pair.suffix))


def untrained(ctx: Context) -> UNet:
    """The teacher before training; its output convolution is zero, so it returns its input.

    Assumption A27: with the default start the deep stages wake later.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        net = build(ctx.space.teacher, ctx.shape, ctx.space)
    for parameter in net.output.parameters():
        nn.init.zeros_(parameter)
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
        degradation=ctx.task.first_learns,
        progress=progress,
    )
    context.save(net, ctx.store.new_weights(PRETRAINING), metadata(ctx, PRETRAINING))
    losses = context.loss_curve(history.losses)
    result = PretrainingResult(context.digest(net), history.seconds, losses)
    return result, ctx.provenance(SEED, started)


def pretraining(ctx: Context) -> dict[str, Any]:
    """What fixes the first training; nothing of it where the profile or the task has none."""
    schedule = ctx.profile.pretraining
    if schedule is None or not ctx.task.first_learns:
        return {}
    images = data.recipe(data.TRAIN, ctx.task.first_learns)
    return {"pretraining": asdict(schedule), "pretraining_images": images}


def earlier(ctx: Context) -> Context | None:
    """The context of the task whose teacher this one starts from, if there is one."""
    name = ctx.task.starts_from
    if ctx.profile.pretraining is None or not name:
        return None
    return replace(ctx, task=TASKS[name], store=replace(ctx.store, task=name))


def identity(ctx: Context) -> dict[str, Any]:
    """What fixes a teacher: its own training and all before it."""
    own = {"schedule": asdict(ctx.profile.teacher), "seed": PATCHES_SEED}
    before = earlier(ctx)
    if before is not None:
        return ctx.identity(**own, start=identity(before))
    return ctx.identity(**own, **pretraining(ctx))


def pass_views(net: UNet, views: Tensor) -> None:
    """Set the skip convolution so that the stem alone gives the mean of both views.

    A dual-pixel network adds its input nowhere else. Least squares on `views`, (B, 6, H, W).
    """
    with torch.no_grad():
        stem, weight = net.stem(views), net.output.weight
        seen = [
            F.conv2d(stem[:, [i]], weight[:, [o]], padding=1)
            for o in range(weight.shape[1])
            for i in range(stem.shape[1])
        ]
        columns = torch.stack([column.flatten() for column in seen], dim=1)
        wanted = views.unflatten(1, (2, -1)).mean(1).flatten()
        solution = torch.linalg.lstsq(columns, wanted[:, None]).solution
        net.skip_conv.weight.copy_(solution.view_as(net.skip_conv.weight))


def inherit(net: UNet, before: UNet, views: Tensor) -> None:
    """Copy the weights of another task's teacher; what it lacks stays as initialized.

    Two views share the weights of one image equally; see `pass_views` for what else they need.
    """
    weights = before.state_dict()
    for name, tensor in net.state_dict().items():
        if name in weights:
            one = weights[name]
            tensor.copy_(one if one.shape == tensor.shape else one.repeat(1, 2, 1, 1) / 2)
    if net.shape.is_dual_pixel and not before.shape.is_dual_pixel:
        pass_views(net, views)


def start(ctx: Context, progress: Progress | None = None) -> tuple[UNet, str]:
    """The network that the training on the task starts from, and its digest ("" if untrained)."""
    net, schedule, before = untrained(ctx), ctx.profile.pretraining, earlier(ctx)
    if before is not None:
        found = get(before, progress)
        patches, _ = data.training_batch(
            ctx.task.name, PATCHES_SEED, 0, ctx.profile.teacher.phase_at(0)
        )
        inherit(net, found.net, patches)
        return net, found.result.digest
    if schedule is None or not ctx.task.first_learns:
        return net, ""
    made_from = ctx.identity(seed=SEED, **pretraining(ctx))
    result = ctx.result(
        PRETRAINING, PretrainingResult, made_from, lambda: make_pretraining(ctx, schedule, progress)
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
    """A ValueError if the teacher began with other weights than those on file."""
    before = earlier(ctx)
    if before is not None:
        path, step, kind, made_from = (
            before.store.manifest(STEP),
            STEP,
            TeacherResult,
            identity(before),
        )
    elif pretraining(ctx):
        path, step, kind = ctx.store.manifest(PRETRAINING), PRETRAINING, PretrainingResult
        made_from = ctx.identity(seed=SEED, **pretraining(ctx))
    else:
        return
    if not path.exists():
        return
    found = artifacts.read_manifest(path, step, kind, made_from).digest
    if found != result.start:
        raise ValueError(
            f"{ctx.store.manifest(STEP)} started from weights of the digest {result.start}; "
            f"{path} has {found}"
        )


def get(ctx: Context, progress: Progress | None = None) -> Teacher:
    """The task's teacher: from its files, or trained now."""
    own = of_teacher(ctx)
    result = own.result(STEP, TeacherResult, identity(own), lambda: make(own, progress))
    check_start(own, result)
    net = untrained(ctx)  # of this pair's shape, which says what surrogates are
    context.load(net, own.store.weights(STEP), metadata(own, STEP), result.digest)
    return Teacher(net.eval(), result)
