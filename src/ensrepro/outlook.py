"""What a run is going to make, and how long that takes: said before it begins, not after an hour.

Times are those of committed results of the same profile and family of networks, of whichever task.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ensrepro import artifacts, bench
from ensrepro.config import DEFAULT_PAIR, TASKS
from ensrepro.steps import finetune, pool, teacher
from ensrepro.steps.context import Context
from ensrepro.steps.finetune import Job
from ensrepro.terminal import Terminal, duration


@dataclass(frozen=True)
class Timed:
    """How long a step took, in seconds, and where: the task and the machine."""

    seconds: float
    where: str


@dataclass(frozen=True)
class Missing:
    """A step whose result is not on file; `timed` is None if it was never timed at this scale."""

    name: str
    timed: Timed | None


def read(paths: Iterable[Path]) -> list[tuple[float, str]]:
    """Seconds and machine of each manifest that can be read, no other is an error here.

    Of a resumed training the manifest's own seconds are those of the last call; the result's are
    those of all.
    """
    found = []
    for path in paths:
        with suppress(ValueError, KeyError, TypeError):
            content = artifacts.read_json(path)
            made = content["provenance"]
            seconds = max(made["seconds"], content["result"].get("seconds", 0.0))
            found.append((seconds, str(made["machine"])))
    return found


def timed(ctx: Context, pattern: str) -> Timed | None:
    """The mean time of committed manifests of this name, the task's own or else another task's."""
    committed = replace(ctx.store, root=artifacts.repository(), fallback=None)
    for task in dict.fromkeys([ctx.task.name, *TASKS]):
        folder = replace(committed, task=task).own(artifacts.RESULTS, "")
        found = read(sorted(folder.glob(f"{pattern}.json")))
        if found:
            mean = sum(seconds for seconds, _ in found) / len(found)
            return Timed(mean, f"{task} on {found[0][1]}")
    return None


def before_teacher(ctx: Context) -> list[Missing]:
    """What is trained before the teacher: another task's, or the teacher on something easier."""
    earlier, step = teacher.earlier(ctx), teacher.PRETRAINING
    if earlier is not None:
        return of_teacher(earlier)
    if not teacher.pretraining(ctx) or ctx.store.manifest(step).exists():
        return []
    return [Missing(f"{step} of the teacher of {ctx.task.name}", timed(ctx, step))]


def of_teacher(ctx: Context) -> list[Missing]:
    """What is trained to have the teacher; nothing if it is on file."""
    own = teacher.of_teacher(ctx)
    if own.store.manifest(teacher.STEP).exists():
        return []
    return [
        *before_teacher(own),
        Missing(f"teacher of {own.task.name}", timed(own, teacher.STEP)),
    ]


def of_pool(ctx: Context) -> list[Missing]:
    """What is trained to have the pool, the teacher included."""
    if ctx.store.manifest(pool.STEP).exists():
        return of_teacher(ctx)
    surrogates = f"pool of {ctx.space.n_surrogates} surrogates"
    return [*of_teacher(ctx), Missing(surrogates, timed(ctx, pool.STEP))]


def of_jobs(ctx: Context, jobs: Sequence[Job]) -> list[Missing]:
    """The hybrids among these that have to be fine-tuned, several at a time."""
    n_missing = sum(not finetune.is_on_file(ctx, job) for job in jobs)
    if not n_missing:
        return []
    each = timed(ctx, "hybrid-*-s*")
    turns = math.ceil(n_missing / ctx.n_processes)
    return [
        Missing(
            f"fine-tuning of {n_missing} networks",
            each and replace(each, seconds=turns * each.seconds),
        )
    ]


def of_table(ctx: Context) -> list[Missing]:
    """What is trained and measured to have the table of all architectures."""
    if ctx.store.manifest(bench.STEP).exists():
        return of_pool(ctx)
    work = timed(ctx, bench.STEP)  # summed over processes
    table = f"table of {ctx.space.n_architectures:,} architectures"
    return [
        *of_pool(ctx),
        Missing(table, work and replace(work, seconds=work.seconds / ctx.n_processes)),
    ]


def sentence(ctx: Context, missing: Sequence[Missing]) -> str:
    """What is going to be made, in one line."""
    steps = [
        f"{one.name} ({duration(one.timed.seconds)})" if one.timed else one.name for one in missing
    ]
    places = dict.fromkeys(one.timed.where for one in missing if one.timed)
    times = f"Times are those of {'; '.join(places)}. " if places else ""
    if not all(one.timed for one in missing):
        untimed = "the others" if places else "these"
        times += f"No time is on file for {untimed} ({ctx.profile.name}: {ctx.profile.price}). "
    pair = "" if ctx.pair.name == DEFAULT_PAIR else f", pair {ctx.pair.name}"
    return (
        f"Not on file, so made now for {ctx.task.name} in profile {ctx.profile.name}{pair}: "
        f"{', '.join(steps)}. {times}If interrupted, the same call goes on where it was. "
        "Progress is shown on the terminal."
    )


@dataclass
class Announcer:
    """Says before the long steps of one run what they are; each once."""

    ctx: Context
    terminal: Terminal
    said: set[str] = field(default_factory=set)

    def announce(self, missing: Iterable[Missing]) -> None:
        """One line for what has not been announced, if there is any and it may be computed."""
        new = [one for one in missing if one.name not in self.said]
        if new and self.ctx.may_compute:
            self.terminal.say(sentence(self.ctx, new))
            self.said.update(one.name for one in new)
