"""What a notebook calls: start, ask for parts, show, finish."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ensrepro import artifacts, bench, outlook, study
from ensrepro.artifacts import Store
from ensrepro.bench import Bench
from ensrepro.config import DEFAULT_PAIR, check_data
from ensrepro.outlook import Announcer
from ensrepro.pages import NOTEBOOK
from ensrepro.parameters import Parameter, check_values, checked
from ensrepro.samplers import DEFAULT, SAMPLERS, WITHOUT_BUDGETS
from ensrepro.space import Architecture
from ensrepro.steps import context, finetune, pool, search, teacher
from ensrepro.steps.context import Context
from ensrepro.steps.finetune import Finetuned, Job
from ensrepro.steps.knee import KneeChoice
from ensrepro.steps.pool import Pool
from ensrepro.steps.search import SearchSummary
from ensrepro.steps.teacher import Teacher
from ensrepro.study import StudyResult
from ensrepro.terminal import Terminal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ensrepro.devices.choosing import Choice
    from ensrepro.devices.shelf import Shelf
    from ensrepro.devices.stage_sums import StageTable
    from ensrepro.devices.whole import Raced

COMPARED = ("random",)  # with the sampler that was asked for


@dataclass(frozen=True)
class Run:
    """A notebook at work: its context, its parameters, and the parts it asks for."""

    notebook: str
    ctx: Context
    parameters: dict[str, Parameter]
    started: float
    terminal: Terminal = field(default_factory=Terminal)

    @cached_property
    def announcer(self) -> Announcer:
        return Announcer(self.ctx, self.terminal)

    @property
    def seed(self) -> int:
        return int(self.parameters["seed"])

    @cached_property
    def teacher(self) -> Teacher:
        self.announcer.announce(outlook.of_teacher(self.ctx))
        return teacher.get(self.ctx, self.terminal)

    @cached_property
    def pool(self) -> Pool:
        self.announcer.announce(outlook.of_pool(self.ctx))  # before the teacher announces itself
        return pool.get(self.ctx, self.teacher, self.terminal)

    @cached_property
    def truth(self) -> Bench | None:
        """Every architecture of this pool, measured, if the table is on file."""
        return bench.find(self.ctx)

    @cached_property
    def bench(self) -> Bench:
        """The table on file: this pool's, or another profile's where this one is too small."""
        if self.truth is not None:
            return self.truth
        profile, task = self.ctx.profile.table_of or self.ctx.profile.name, self.ctx.task.name
        pair, borrowed = self.ctx.pair.name, None
        if self.ctx.profile.table_of:
            borrowed = bench.on_file(bench.store_of(task, profile, pair), self.ctx.space)
        if borrowed is None:
            raise FileNotFoundError(
                f"there is no table of all architectures for {task} in {profile}; expected one: "
                f"python -m ensrepro bench --task {task} --profile {profile} --pair {pair} makes "
                "it in an hour or two, once teacher and pool are trained"
            )
        return borrowed

    @cached_property
    def quality(self) -> NDArray[np.float64] | None:
        """PSNR of every architecture, dB, (n_architectures,), where its table is on file."""
        with suppress(FileNotFoundError):
            return np.asarray(self.bench.quality[:, 0])
        return None

    @cached_property
    def devices(self) -> Store:
        """Where the latencies of all devices are."""
        from ensrepro.devices import shelf

        own = self.ctx.store
        return shelf.store_of(self.ctx.profile.name, "" if own.fallback is None else own.root)

    @cached_property
    def choice_of_device(self) -> Choice:
        """What the parameters say of the device."""
        from ensrepro.devices.choosing import Choice

        ctx, given = self.ctx, self.parameters
        asked = str(given.get("device", "")), int(given.get("threads", 1)), ctx.task.name, ctx.pair
        return Choice(self.devices, *asked, bool(ctx.profile.table_of), self.terminal)

    @cached_property
    def device(self) -> Shelf:
        """The latencies of the device that the notebook is about."""
        return self.choice_of_device.any()

    @cached_property
    def staged(self) -> Shelf:
        """The same, but certainly with the stages of this pair."""
        return self.choice_of_device.staged()

    def raced(self, table: StageTable, architecture: Architecture, threads: int = 1) -> Raced:
        """A network timed whole, beside its teacher, on an image as that of the stages."""
        label = self.ctx.space.label(architecture)
        return self.choice_of_device.raced(self.staged.device, table, label, threads)

    @cached_property
    def study(self) -> StudyResult:
        """The comparison of samplers on the table: on file, or made now."""
        plan = study.SHORT if self.ctx.profile.table_of else study.PLAN
        identity = self.ctx.identity(
            table=self.bench.result.sha256, plan={name: list(b) for name, b in plan.items()}
        )
        return self.ctx.result("study", StudyResult, identity, lambda: self._compare(plan))

    def _compare(self, plan: study.Plan) -> tuple[StudyResult, artifacts.Provenance]:
        started = time.perf_counter()
        folder = self.ctx.store.checkpoint(f"study-{self.bench.result.sha256[:16]}").with_suffix("")
        made = study.run(
            self.bench.frame,
            folder,
            plan=plan,
            space=self.ctx.space,
            processes=self.ctx.n_processes,
            progress=partial(self.terminal, "study"),
        )
        return made, self.ctx.provenance(0, started)

    def search(
        self,
        sampler: str = DEFAULT,
        n_trials: int | None = None,
        penalty_table: str = "blocks",
        latency_budget_ms: float = 0.0,
        device: StageTable | None = None,
    ) -> SearchSummary:
        """A search run with this notebook's seed.

        `n_trials` None or 0 takes the profile's; no budget is 0. Latencies are those of `device`,
        else of ENS-Bench; penalty_table `latency` makes them the objective beside the drop.
        """
        known = search.Known()
        if self.truth is not None:
            table = self.truth.result.sha256[:16]
            known = search.Known(self.truth.quality, self.truth.latency_ms, table)
        elif latency_budget_ms and device is None:
            known = search.Known(latency_ms=self.bench.latency_ms)
        if device is not None:
            known = replace(known, latency_ms=device.latency_ms, device=device.name)
        parts = self.pool
        return search.get(
            self.ctx,
            self.teacher,
            parts,
            sampler=sampler,
            n_trials=n_trials or None,
            seed=self.seed,
            penalty_table=penalty_table,
            latency_budget_ms=latency_budget_ms or None,
            known=known,
            progress=self.terminal,
        )

    def searches(
        self,
        sampler: str,
        n_trials: int | None,
        penalty_table: str,
        latency_budget_ms: float = 0.0,
    ) -> dict[str, SearchSummary]:
        """The asked run, the ones to compare it with, and every other run on file, by sampler."""
        compared = {
            name: partial(self.search, name, n_trials, penalty_table, latency_budget_ms)
            for name in dict.fromkeys([sampler, *COMPARED, *SAMPLERS])
        }
        found = {}
        reading = replace(self, ctx=replace(self.ctx, may_compute=False))
        for name, get in compared.items():
            if latency_budget_ms and name in WITHOUT_BUDGETS and name != sampler:
                continue
            if name in (sampler, *COMPARED):
                found[name] = get()
                continue
            with suppress(artifacts.NotOnFileError):
                found[name] = reading.search(name, n_trials, penalty_table, latency_budget_ms)
        return found

    def caption(self, text: str) -> str:
        """A figure's caption, with profile, task, commit, and a pair that is not the first."""
        from ensrepro.figures import style

        pair, task = self.ctx.pair.name, self.ctx.task.name
        subject = task if pair == DEFAULT_PAIR else f"{task}, pair {pair}"
        return style.caption(self.ctx.profile.name, subject, artifacts.commit(), text)

    def show(self, figure: Figure, name: str, alt: str, text: str) -> None:
        """Display a figure with its text alternative and its caption."""
        from ensrepro.figures import style

        style.show(figure, alt, self.caption(text), f"{self.notebook}-{name}")

    def finetuned(self, jobs: Sequence[Job]) -> list[Finetuned]:
        parts = self.pool
        self.announcer.announce(outlook.of_jobs(self.ctx, jobs))
        made = finetune.get_many(self.ctx, self.teacher, parts, jobs, self.terminal)
        return list(made)

    @property
    def manifest(self) -> Path:
        """Where `finish` writes: `out` if given, else among the results."""
        name = f"{self.notebook}{NOTEBOOK}"
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


def start(
    notebook: str,
    *,
    task: str,
    profile: str,
    seed: int = 0,
    out: str = "",
    pair: str | None = None,
    **extra: Parameter,
) -> Run:
    """Check a notebook's parameters; a ValueError or TypeError says what is allowed.

    Without a `pair`, which only some notebooks have as a parameter, it is the first one.
    """
    ctx = context.open_context(profile, task, out, DEFAULT_PAIR if pair is None else pair)
    check_data(ctx.profile)
    parameters = {"task": task, "profile": profile, "seed": context.checked_seed(seed), "out": out}
    own = {name: checked(ctx.space, name, value) for name, value in extra.items()}
    check_values(ctx.space, {"seed": seed, **own})
    own |= {} if pair is None else {"pair": pair}
    return Run(notebook, ctx, {**parameters, **own}, time.perf_counter())


def jobs_of(ctx: Context, choice: KneeChoice) -> list[Job]:
    """Each candidate, then what they are compared with: all-SSM, and the teacher as long again."""
    architectures = [*choice.candidates, ctx.space.all_ssm, ctx.space.teacher]
    return [(architecture, 0) for architecture in dict.fromkeys(architectures)]


def seeds_of(ctx: Context, tuned: Finetuned) -> list[Job]:
    """The architecture of a fine-tuned network with every seed of the profile.

    It is asked of the chosen hybrid and of the teacher with the same extra steps: a seed gives both
    the same patches in the same order, so they are compared seed by seed.
    """
    architecture = ctx.space.architecture(tuned.result.architecture)
    return [(architecture, seed) for seed in range(ctx.profile.n_seeds)]
