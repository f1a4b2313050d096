"""What notebooks and the command line call: start and finish a notebook, redo a whole task."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensrepro import artifacts, pareto
from ensrepro.artifacts import Store
from ensrepro.search import SAMPLERS
from ensrepro.space import PENALTY_TABLES, RESTORMER
from ensrepro.steps import context, finetune, knee, pool, search, teacher
from ensrepro.steps.context import Context
from ensrepro.steps.finetune import Finetuned, Job
from ensrepro.steps.knee import KneeChoice
from ensrepro.steps.pool import Pool
from ensrepro.steps.search import SearchSummary
from ensrepro.steps.teacher import Teacher

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REPRODUCED = "reproduced"  # the folder that `reproduce` fills

# What a notebook's own parameters may be; those that are not here are integers >= 0.
CHOICES: dict[str, Collection[str]] = {
    "sampler": SAMPLERS,
    "penalty_table": PENALTY_TABLES,
    "method": pareto.KNEES,
    "rule": pareto.CANDIDATE_RULES,
    "stage": [stage.name for stage in RESTORMER.stages],
}
Parameter = str | int | float | bool


def show_progress(what: str, done: int, of: int) -> None:
    """One line that rewrites itself, on the terminal; nothing of it enters a notebook."""
    stream = sys.__stderr__
    if stream is None:
        return
    if not stream.isatty() and done % max(of // 20, 1) and done != of:
        return
    end = "\n" if done == of or not stream.isatty() else ""
    stream.write(f"\r{what}: {done}/{of}{end}" if stream.isatty() else f"{what}: {done}/{of}\n")
    stream.flush()


@dataclass(frozen=True)
class Run:
    """A notebook at work: its context, its parameters, and the parts it asks for."""

    notebook: str
    ctx: Context
    parameters: dict[str, Parameter]
    started: float

    @property
    def seed(self) -> int:
        return int(self.parameters["seed"])

    @cached_property
    def teacher(self) -> Teacher:
        return teacher.get(self.ctx, show_progress)

    @cached_property
    def pool(self) -> Pool:
        return pool.get(self.ctx, self.teacher, progress=show_progress)

    def search(
        self, sampler: str, n_trials: int | None = None, penalty_table: str = "blocks"
    ) -> SearchSummary:
        """A search run with this notebook's seed; `n_trials` None or 0 takes the profile's."""
        return search.get(
            self.ctx,
            self.teacher,
            self.pool,
            sampler=sampler,
            n_trials=n_trials or None,
            seed=self.seed,
            penalty_table=penalty_table,
            progress=show_progress,
        )

    def searches(
        self, sampler: str, n_trials: int | None, penalty_table: str
    ) -> dict[str, SearchSummary]:
        """The asked run, random search to compare with, and every other run on file, by sampler."""
        n = n_trials or self.ctx.profile.n_trials
        names = [sampler, "random"] + [
            name
            for name in SAMPLERS
            if self.ctx.store.manifest(search.step_name(name, n, self.seed, penalty_table)).exists()
        ]
        return {name: self.search(name, n, penalty_table) for name in dict.fromkeys(names)}

    def caption(self, text: str) -> str:
        """A figure's caption, with profile, task and commit."""
        from ensrepro.figures import style

        return style.caption(self.ctx.profile.name, self.ctx.task.name, artifacts.commit(), text)

    def show(self, figure: Figure, name: str, alt: str, text: str) -> None:
        """Display a figure with its text alternative and its caption."""
        from ensrepro.figures import style

        style.show(figure, alt, self.caption(text), f"{self.notebook}-{name}")

    def finetuned(self, jobs: Sequence[Job]) -> list[Finetuned]:
        return list(finetune.get_many(self.ctx, self.teacher, self.pool, jobs))

    @property
    def manifest(self) -> Path:
        """Where `finish` writes: `out` if given, else among the results."""
        name = f"{self.notebook}.manifest.json"
        out = str(self.parameters["out"])
        return Path(out).absolute() / name if out else self.ctx.store.own(artifacts.RESULTS, name)

    def finish(self, headline: dict[str, Any]) -> None:
        """Say that the notebook came to its end, with the numbers worth quoting."""
        content = {
            "notebook": self.notebook,
            "parameters": self.parameters,
            "finished": artifacts.now(),
            "provenance": asdict(self.ctx.provenance(self.seed, self.started)),
            "headline": headline,
        }
        text = json.dumps(content, indent=1, allow_nan=False, default=lambda x: x.item())
        artifacts.write_bytes(self.manifest, text.encode() + b"\n")


def checked(name: str, value: Parameter) -> Parameter:
    """A notebook's own parameter; a ValueError or TypeError says what is allowed."""
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise ValueError(f"{name} is {value!r}; expected one of {', '.join(CHOICES[name])}")
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}; expected an integer")
    if value < 0:
        raise ValueError(f"{name} is {value}; expected an integer >= 0")
    return value


def start(
    notebook: str,
    *,
    task: str,
    profile: str,
    seed: int = 0,
    out: str = "",
    **extra: Parameter,
) -> Run:
    """Check a notebook's parameters; a ValueError or TypeError says what is allowed."""
    ctx = context.open_context(profile, task, out)
    parameters = {"task": task, "profile": profile, "seed": context.checked_seed(seed), "out": out}
    own = {name: checked(name, value) for name, value in extra.items()}
    return Run(notebook, ctx, {**parameters, **own}, time.perf_counter())


def jobs_of(ctx: Context, choice: KneeChoice) -> list[Job]:
    """Every candidate once, the knee with all seeds, and the all-SSM network to compare with."""
    jobs: list[Job] = [(architecture, 0) for architecture in choice.candidates]
    return [*dict.fromkeys([*jobs, (ctx.space.all_ssm, 0)])]


def seeds_of(ctx: Context, chosen: Finetuned) -> list[Job]:
    """The chosen architecture with every seed of the profile."""
    architecture = ctx.space.architecture(chosen.result.architecture)
    return [(architecture, seed) for seed in range(ctx.profile.n_seeds)]


def on_file(ctx: Context, steps: Sequence[str]) -> bool:
    """Whether all these steps have their manifest, so that nothing would be computed."""
    return all(ctx.store.manifest(step).exists() for step in steps)


def headline(run: Run, *, only_on_file: bool = False) -> dict[str, float]:
    """The numbers that a repetition of everything is compared by.

    With `only_on_file` those of finished steps alone, and nothing is computed.
    """
    ctx = run.ctx
    search_step = search.step_name("nsga2", ctx.profile.n_trials, run.seed, "blocks")
    steps = (teacher.STEP, pool.STEP, search_step)
    if only_on_file and not on_file(ctx, steps):
        return {}
    base, parts = run.teacher, run.pool
    numbers = {f"teacher test dB, {k}": v for k, v in finetune.mean_test(base.result.test).items()}
    numbers |= {f"identity drop dB, {k}": v for k, v in base.result.identity_drops.items()}
    numbers |= {
        f"swap drop dB, {row['stage']} {row['depth']}": row["psnr_drop"]
        for row in parts.result.rows
    }
    found = run.search("nsga2")
    numbers["hypervolume"] = found.hypervolume[-1]
    choice = knee.choose(ctx, found)
    numbers["knee architecture"] = ctx.space.index(choice.knee)
    jobs: list[Job] = [(architecture, 0) for architecture in choice.candidates]
    if only_on_file and not on_file(ctx, [finetune.job_name(ctx, job) for job in jobs]):
        return numbers
    jobs = seeds_of(ctx, finetune.best(run.finetuned(jobs)))
    if only_on_file:
        jobs = [job for job in jobs if on_file(ctx, [finetune.job_name(ctx, job)])]
    for finetuned in run.finetuned(jobs):
        psnr = finetune.mean_test(finetuned.result.test)
        numbers[f"chosen test dB, seed {finetuned.result.seed}"] = next(iter(psnr.values()))
    return numbers


def reproduce(task: str, profile: str, root: Path | None = None) -> list[dict[str, Any]]:
    """Redo every step from nothing below `reproduced/` and compare with what is committed.

    Rows of quantity, committed, reproduced and difference; None where nothing is committed. A
    killed call goes on where it was.
    """
    ctx = context.open_context(profile, task)
    parameters: dict[str, Parameter] = {"task": task, "profile": profile, "seed": 0, "out": ""}
    started = time.perf_counter()
    # committed results that do not fit are refused now, not after the training
    committed = headline(Run("reproduce", ctx, parameters, started), only_on_file=True)
    fresh = Store(profile, task, (root or artifacts.repository() / REPRODUCED).absolute())
    fresh_ctx = Context(ctx.profile, ctx.task, ctx.pair, fresh)
    again = headline(Run("reproduce", fresh_ctx, parameters, started))
    return [
        {
            "quantity": name,
            "committed": committed.get(name),
            "reproduced": value,
            "difference": None if name not in committed else value - committed[name],
        }
        for name, value in again.items()
    ]
