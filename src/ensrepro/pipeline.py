"""What a notebook calls: start, ask for parts, show, finish."""

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
from ensrepro.config import check_data
from ensrepro.search import SAMPLERS
from ensrepro.space import PENALTY_TABLES, RESTORMER
from ensrepro.steps import context, finetune, pool, search, teacher
from ensrepro.steps.context import Context
from ensrepro.steps.finetune import Finetuned, Job
from ensrepro.steps.knee import KneeChoice
from ensrepro.steps.pool import Pool
from ensrepro.steps.search import SearchSummary
from ensrepro.steps.teacher import Teacher

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
        made = finetune.get_many(self.ctx, self.teacher, self.pool, jobs, show_progress)
        return list(made)

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
        if not isinstance(value, str) or value not in CHOICES[name]:
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
    check_data(ctx.profile)
    parameters = {"task": task, "profile": profile, "seed": context.checked_seed(seed), "out": out}
    own = {name: checked(name, value) for name, value in extra.items()}
    return Run(notebook, ctx, {**parameters, **own}, time.perf_counter())


def jobs_of(ctx: Context, choice: KneeChoice) -> list[Job]:
    """Each candidate, then what they are compared with: all-SSM, and the teacher as long again."""
    architectures = [*choice.candidates, ctx.space.all_ssm, ctx.space.teacher]
    return [(architecture, 0) for architecture in dict.fromkeys(architectures)]


def seeds_of(ctx: Context, chosen: Finetuned) -> list[Job]:
    """The chosen architecture with every seed of the profile."""
    architecture = ctx.space.architecture(chosen.result.architecture)
    return [(architecture, seed) for seed in range(ctx.profile.n_seeds)]
