"""All tasks of a profile side by side, as far as their results are on file; nothing is trained.

An architecture is an architecture in every task, so each task's choice can be tried in all others,
on their own teachers and surrogates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ensrepro import artifacts, data, evaluate, metrics
from ensrepro.artifacts import NotOnFileError
from ensrepro.config import TASKS
from ensrepro.degrade import DEGRADATIONS, Image
from ensrepro.pipeline import Run, jobs_of, seeds_of
from ensrepro.space import Architecture
from ensrepro.steps import finetune, knee, teacher
from ensrepro.steps.finetune import Finetuned
from ensrepro.steps.knee import KneeChoice
from ensrepro.steps.search import SearchSummary

SAMPLE_SEED = 1
TRIED = "tried"  # folder of a task for manifests of teachers that were given up


class Sample(NamedTuple):
    """A degraded crop as an eye sees it, (H, W, 3), and its PSNR in dB by the task's protocol."""

    image: Image
    psnr: float


def clean_sample(side: int) -> Image:
    """The middle of the first validation photo, `side` pixels a side."""
    photo = data.load(data.photos(data.VALIDATION)[0])
    data.check_size(side, [photo])
    top, left = ((length - side) // 2 for length in photo.shape[:2])
    return data.crop(photo, top, left, side)


def sample(task: str, strength: float, side: int) -> Sample:
    """The middle of a validation photo, `side` pixels a side, as the task degrades it."""
    degrade, rng = DEGRADATIONS[task], np.random.default_rng(SAMPLE_SEED)
    scene = clean_sample(side + 2 * degrade.margin)
    degraded, clean = data.degraded_pair(degrade, scene, rng, strength)
    seen = evaluate.degraded(degraded)
    return Sample(seen, metrics.psnr(seen, clean, TASKS[task].protocol))


@dataclass(frozen=True)
class Searched:
    """A task's search and what was chosen from it."""

    found: SearchSummary
    choice: KneeChoice

    @property
    def knee_point(self) -> tuple[float, float]:
        """psnr_drop in dB and penalty of the knee."""
        drop, penalty = self.found.points[self.choice.rows[0]]
        return float(drop), float(penalty)


def of_task(run: Run, task: str) -> Run:
    """The same notebook on another task, where nothing may be computed."""
    store = replace(run.ctx.store, task=task)
    ctx = replace(run.ctx, task=TASKS[task], store=store, may_compute=False)
    return replace(run, ctx=ctx)


def with_teacher(run: Run) -> dict[str, Run]:
    """A run for each task whose teacher is on file, in the order of the tasks."""
    runs = {}
    for task in TASKS:
        other = of_task(run, task)
        with suppress(NotOnFileError):
            other.teacher  # noqa: B018 (read from its file, or not there)
            runs[task] = other
    return runs


def with_pool(runs: Mapping[str, Run]) -> dict[str, Run]:
    """Those of the runs whose pool is on file."""
    kept = {}
    for task, run in runs.items():
        with suppress(NotOnFileError):
            run.pool  # noqa: B018
            kept[task] = run
    return kept


def searched(runs: Mapping[str, Run]) -> dict[str, Searched]:
    """The default sampler's search and its knee, for each task that has one on file."""
    found = {}
    for task, run in runs.items():
        with suppress(NotOnFileError):
            summary = run.search()
            found[task] = Searched(summary, knee.choose(run.ctx, summary))
    return found


def tried_rows(runs: Mapping[str, Run], alive_db: float) -> list[dict[str, Any]]:
    """Teachers that were trained on another degradation and given up, with their idle stages.

    Each is a committed manifest whose result also says `what` was different; no weights are kept.
    """
    rows = []
    for task, run in runs.items():
        folder = artifacts.repository() / artifacts.RESULTS / run.ctx.profile.name / task / TRIED
        for path in sorted(folder.glob("*.json")):
            kept = artifacts.read_json(path)["result"]
            idle = {k: drop for k, drop in kept["identity_drops"].items() if drop < alive_db}
            said = ", ".join(f"{name} {drop:+.2f}" for name, drop in idle.items())
            rows.append({"task": task, "what": kept["what"], "idle": said or "none"})
    return rows


def longer_rows(runs: Mapping[str, Run], alive_db: float) -> list[dict[str, Any]]:
    """A row for each idle stage of a teacher that was also trained longer: does it wake?

    Keys: task, stage, teacher and longer (what each loses without the stage, dB).
    """
    rows = []
    for task, run in runs.items():
        before = run.teacher.result.identity_drops
        idle = [stage for stage, drop in before.items() if drop < alive_db]
        if not idle:
            continue
        with suppress(NotOnFileError):
            (longer,) = run.finetuned([(run.ctx.space.teacher, 0)])
            ctx = run.ctx
            after = evaluate.identity_drops(longer.net, ctx.validation, ctx.task.protocol, idle)
            rows += [
                {"task": task, "stage": stage, "teacher": before[stage], "longer": after[stage]}
                for stage in idle
            ]
    return rows


def means(run: Run) -> dict[str, float]:
    """Mean test PSNR (dB) of the degraded `input` and of the `teacher`."""
    given = run.ctx.rows("input", evaluate.degraded)
    return finetune.mean_test([*given, *run.teacher.result.test])


def start_of(run: Run) -> str:
    """What the teacher was trained on before: a task or a degradation, or nothing."""
    before = teacher.earlier(run.ctx)
    if before is not None:
        return before.task.name
    return run.ctx.task.first_learns if teacher.pretraining(run.ctx) else "nothing"


def teacher_rows(runs: Mapping[str, Run]) -> list[dict[str, Any]]:
    """A row a task: task, start, protocol, test PSNR (dB) of input and teacher, gain, minutes."""
    rows = []
    for task, run in runs.items():
        scores = means(run)
        rows.append(
            {
                "task": task,
                "start": start_of(run),
                "protocol": run.ctx.task.protocol,
                "input": scores["input"],
                "teacher": scores["teacher"],
                "gain": scores["teacher"] - scores["input"],
                "minutes": run.teacher.result.seconds / 60,
            }
        )
    return rows


def identity_drops(runs: Mapping[str, Run]) -> np.ndarray:
    """(n_tasks, n_stages): what each teacher loses without a stage, dB."""
    return np.array([list(run.teacher.result.identity_drops.values()) for run in runs.values()])


def swap_drops(runs: Mapping[str, Run]) -> np.ndarray:
    """(n_tasks, n_surrogates): what each teacher loses with one surrogate in it, dB."""
    return np.array([[row["psnr_drop"] for row in run.pool.result.rows] for run in runs.values()])


def transfer(runs: Mapping[str, Run], architectures: Sequence[Architecture]) -> np.ndarray:
    """(n_architectures, n_tasks): PSNR drop (dB) of each architecture on each task's crops."""
    columns = []
    for run in runs.values():
        ctx = run.ctx
        asked = [ctx.space.teacher, *architectures]
        pairs, protocol = ctx.validation, ctx.task.protocol
        base, *rest = evaluate.measure(run.teacher.net, run.pool.surrogates, asked, pairs, protocol)
        columns.append([base.psnr - measured.psnr for measured in rest])
    return np.array(columns).T


def transfer_rows(
    moved: np.ndarray, of: Sequence[str], tried_in: Sequence[str]
) -> list[dict[str, Any]]:
    """A row for each task of `of`: task, own (drop of its own knee, dB), least and most of others.

    `moved` (n_of, n_tried_in) is what `transfer` gave for the knees; None where there is no other.
    """
    rows = []
    for i, task in enumerate(of):
        here = moved[:, list(tried_in).index(task)]
        others = np.delete(here, i)
        ends = (float(others.min()), float(others.max())) if others.size else (None, None)
        rows.append({"task": task, "own": float(here[i]), "least": ends[0], "most": ends[1]})
    return rows


class Outcome(NamedTuple):
    """What fine-tuning came to in a task, seed 0 of each first.

    `chosen` is the candidate with the best validation PSNR, `longer` the teacher with the same
    extra steps, both with every seed on file; `tuned` is seed 0 of all of them by architecture.
    """

    chosen: tuple[Finetuned, ...]
    all_ssm: Finetuned
    longer: tuple[Finetuned, ...]
    tuned: Mapping[Architecture, Finetuned]


def with_seeds(run: Run, first: Finetuned) -> tuple[Finetuned, ...]:
    """A network of seed 0, and then those of its other seeds that are on file."""
    others: list[Finetuned] = []
    for job in seeds_of(run.ctx, first)[1:]:
        with suppress(NotOnFileError):
            others += run.finetuned([job])
    return (first, *others)


def outcome(run: Run, search: Searched) -> Outcome:
    """The fine-tuned networks of one task; a NotOnFileError where one of seed 0 is missing."""
    space = run.ctx.space
    jobs = jobs_of(run.ctx, search.choice)
    tuned = dict(zip((job[0] for job in jobs), run.finetuned(jobs), strict=True))
    best = finetune.best([tuned[a] for a in search.choice.candidates])
    longer = with_seeds(run, tuned[space.teacher])
    return Outcome(with_seeds(run, best), tuned[space.all_ssm], longer, tuned)


def outcomes(runs: Mapping[str, Run], found: Mapping[str, Searched]) -> dict[str, Outcome]:
    """The outcome of each task whose candidates are fine-tuned."""
    made = {}
    for task, search in found.items():
        with suppress(NotOnFileError):
            made[task] = outcome(runs[task], search)
    return made


def final_rows(runs: Mapping[str, Run], found: Mapping[str, Searched]) -> list[dict[str, Any]]:
    """A row for each task whose candidates are fine-tuned: test PSNR (dB) of the networks.

    Keys: task, architecture, size (parameters over the teacher's), input, teacher, longer (the
    teacher with the same extra steps), hybrid, all_ssm.
    """
    made = outcomes(runs, found)
    return [final_row(runs[task], one.chosen[0], one.tuned) for task, one in made.items()]


def final_row(run: Run, best: Finetuned, tuned: Mapping[Architecture, Finetuned]) -> dict[str, Any]:
    """One row of `final_rows`."""
    space = run.ctx.space
    networks = {"hybrid": best, "all_ssm": tuned[space.all_ssm], "longer": tuned[space.teacher]}
    before = means(run)
    return {
        "task": run.ctx.task.name,
        "architecture": space.label(space.architecture(best.result.architecture)),
        "size": best.result.n_parameters / run.teacher.result.n_parameters,
        "input": before["input"],
        "teacher": before["teacher"],
        **{
            name: float(np.mean([row["psnr"] for row in network.result.test]))
            for name, network in networks.items()
        },
    }
