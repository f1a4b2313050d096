"""Which trained network is meant: the teacher, the chosen hybrid, or any that is on file.

Nothing is trained here. What is not on file is an error that says what is, and what would make it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ensrepro import artifacts, config, evaluate, weights
from ensrepro.artifacts import NotOnFileError
from ensrepro.config import DEFAULT_PAIR
from ensrepro.models.hybrid import UNet
from ensrepro.space import Architecture
from ensrepro.steps import chosen, context, finetune, teacher
from ensrepro.steps.context import Context

NAMES = TEACHER, KNEE = "teacher", "knee"  # beside labels and numbers
HYBRID = re.compile(r"hybrid-(\d+)-s(\d+)\.safetensors")


@dataclass(frozen=True)
class Trained:
    """A trained network and what it is; `name` says it to people."""

    ctx: Context
    architecture: Architecture
    net: UNet
    name: str


def on_file(ctx: Context) -> dict[int, int]:
    """The fine-tuned hybrids, weights and manifest: number of the architecture -> first seed."""
    found: dict[int, int] = {}
    for path in ctx.store.own(artifacts.WEIGHTS, "").glob("hybrid-*.safetensors"):
        match = HYBRID.fullmatch(path.name)
        if match and ctx.store.manifest(path.stem).exists():
            number, seed = map(int, match.groups())
            found[number] = min(seed, found.get(number, seed))
    return dict(sorted(found.items()))


def teacher_path(ctx: Context) -> Path:
    """Where the weights of the task's teacher are, or would be."""
    return teacher.of_teacher(ctx).store.weights(teacher.STEP)


def choices(ctx: Context) -> str:
    """What may be asked for, as a list."""
    hybrids = on_file(ctx)
    names = [TEACHER] * teacher_path(ctx).exists() + [KNEE] * (chosen.on_file(ctx) is not None)
    labels = (ctx.space.label(ctx.space.architecture(number)) for number in hybrids)
    return ", ".join([*names, *(f"{n} ({x})" for n, x in zip(hybrids, labels, strict=True))])


def knee(ctx: Context) -> tuple[Architecture, UNet]:
    """The chosen hybrid, of its pair's notebook; an error says what there is and what chooses."""
    try:
        found = chosen.required(ctx)
    except NotOnFileError as error:
        raise FileNotFoundError(
            f"arch is {KNEE!r}, but {error}; on file: {choices(ctx) or 'nothing'}"
        ) from None
    return found.architecture, chosen.network(ctx, found)


def numbered(ctx: Context, arch: str) -> int:
    """The number of an architecture that is on file, from its number or label."""
    try:
        number = int(arch) if arch.isdecimal() else ctx.space.index(ctx.space.labeled(arch))
    except ValueError:
        number = -1
    if number not in on_file(ctx):
        raise ValueError(
            f"arch is {arch!r}; expected what {ctx.task.name} has on file in profile "
            f"{ctx.profile.name}: {choices(ctx)}"
        )
    return number


def hybrid(ctx: Context, number: int) -> UNet:
    """A fine-tuned hybrid of its first seed; a ValueError for weights that its manifest disowns."""
    job = ctx.space.architecture(number), on_file(ctx)[number]
    manifest = ctx.store.manifest(finetune.job_name(ctx, job))
    return finetune.load(ctx, job, artifacts.read_json(manifest)["result"]["digest"])


def get(
    arch: str = TEACHER, *, task: str, profile: str = "mini", pair: str = DEFAULT_PAIR
) -> Trained:
    """A trained network by name: `teacher`, `knee`, or the number or label of an architecture.

    `knee` is the chosen fine-tuned hybrid. A FileNotFoundError says what is not on file.
    """
    ctx = context.open_context(profile, task, pair=pair)
    config.check_data(ctx.profile)
    path, place = teacher_path(ctx), f"of {task} ({profile})"
    if not path.exists() and not on_file(ctx):
        raise weights.no_teacher(path, task, profile, pair)
    if arch == TEACHER and path.exists():
        net = evaluate.trained_teacher(task, profile, pair)
        return Trained(ctx, ctx.space.teacher, net, f"{TEACHER} {place}")
    if arch == KNEE:
        architecture, net = knee(ctx)
        return Trained(ctx, architecture, net, f"{ctx.space.label(architecture)} {place}")
    number = numbered(ctx, arch)
    architecture = ctx.space.architecture(number)
    return Trained(
        ctx, architecture, hybrid(ctx, number), f"{ctx.space.label(architecture)} {place}"
    )
