"""Which trained network is meant: the teacher, the chosen hybrid, or any that is on file.

Nothing is trained here. What is not on file is an error that says what is, and what would make it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ensrepro import artifacts, config, evaluate, weights
from ensrepro.artifacts import NotOnFileError
from ensrepro.config import DEFAULT_PAIR, TASKS, teacher_pair
from ensrepro.models.hybrid import UNet, build, set_weights
from ensrepro.space import Architecture
from ensrepro.steps import context, finetune, teacher
from ensrepro.steps.context import Context
from ensrepro.steps.finetune import Finetuned

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
    """The fine-tuned hybrids: number of the architecture -> its first seed."""
    found: dict[int, int] = {}
    for path in ctx.store.own(artifacts.WEIGHTS, "").glob("hybrid-*.safetensors"):
        if match := HYBRID.fullmatch(path.name):
            number, seed = map(int, match.groups())
            found[number] = min(seed, found.get(number, seed))
    return dict(sorted(found.items()))


def has_teacher(ctx: Context) -> bool:
    """Whether the task's teacher is on file."""
    return teacher.of_teacher(ctx).store.weights(teacher.STEP).exists()


def with_weights(ctx: Context) -> Iterator[str]:
    """The tasks that have a trained network in this profile and pair."""
    for task in TASKS.values():
        other = replace(ctx, task=task, store=replace(ctx.store, task=task.name))
        if has_teacher(other) or on_file(other):
            yield task.name


def choices(ctx: Context) -> str:
    """What may be asked for, as a list."""
    hybrids = on_file(ctx)
    names = [TEACHER] * has_teacher(ctx) + [KNEE] * bool(hybrids)
    labels = (ctx.space.label(ctx.space.architecture(number)) for number in hybrids)
    return ", ".join([*names, *(f"{n} ({x})" for n, x in zip(hybrids, labels, strict=True))])


def untrained(ctx: Context) -> FileNotFoundError:
    """The error for a task that has no trained network."""
    task, profile, pair = ctx.task.name, ctx.profile.name, ctx.pair.name
    known = ", ".join(with_weights(ctx)) or "none"
    making = f"run 03_distillation --task {task} --profile {profile}"
    if teacher_pair(ctx.pair).name != DEFAULT_PAIR:
        making = f"bench --task {task} --profile {profile} --pair {pair}"
    return FileNotFoundError(
        f"{task} has no trained network of {pair} in profile {profile}; tasks that have one: "
        f"{known}; python -m ensrepro {making} trains it, which may take hours"
    )


def chosen(ctx: Context) -> Finetuned:
    """The candidate that was chosen after fine-tuning, as notebook 06 chooses it."""
    from ensrepro import pipeline
    from ensrepro.steps import knee

    run = pipeline.start(KNEE, task=ctx.task.name, profile=ctx.profile.name, pair=ctx.pair.name)
    run = replace(run, ctx=replace(run.ctx, may_compute=False))
    try:
        choice = knee.choose(run.ctx, run.search())
        return finetune.best(run.finetuned([(a, 0) for a in choice.candidates]))
    except NotOnFileError:
        making = f"run 06_finetune --task {ctx.task.name} --profile {ctx.profile.name}"
        raise FileNotFoundError(
            f"arch is {KNEE!r}, but {ctx.task.name} has no chosen hybrid of {ctx.pair.name} in "
            f"profile {ctx.profile.name}; expected one of {choices(ctx)}"
            + (f"; python -m ensrepro {making} makes it" if ctx.pair.name == DEFAULT_PAIR else "")
        ) from None


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
    """A fine-tuned hybrid from its weights, of its first seed."""
    job = ctx.space.architecture(number), on_file(ctx)[number]
    path = ctx.store.weights(finetune.job_name(ctx, job))
    net = build(job[0], ctx.shape, ctx.space)
    set_weights(net, weights.load_weights(path, finetune.metadata(ctx, job)), path)
    return net.eval()


def get(
    arch: str = TEACHER, *, task: str, profile: str = "mini", pair: str = DEFAULT_PAIR
) -> Trained:
    """A trained network by name: `teacher`, `knee`, or the number or label of an architecture.

    `knee` is the chosen fine-tuned hybrid. A FileNotFoundError says what is not on file.
    """
    ctx = context.open_context(profile, task, pair=pair)
    config.check_data(ctx.profile)
    if not has_teacher(ctx) and not on_file(ctx):
        raise untrained(ctx)
    place = f"of {task} ({profile})"
    if arch == TEACHER and has_teacher(ctx):
        net = evaluate.trained_teacher(task, profile, pair)
        return Trained(ctx, ctx.space.teacher, net, f"{TEACHER} {place}")
    if arch == KNEE:
        found = chosen(ctx)
        architecture = ctx.space.architecture(found.result.architecture)
        return Trained(ctx, architecture, found.net, f"{ctx.space.label(architecture)} {place}")
    number = numbered(ctx, arch)
    architecture = ctx.space.architecture(number)
    return Trained(
        ctx, architecture, hybrid(ctx, number), f"{ctx.space.label(architecture)} {place}"
    )
