"""A whole task redone from nothing, and how far its numbers are from the committed ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ensrepro import artifacts, outlook
from ensrepro.artifacts import NotOnFileError
from ensrepro.config import DEFAULT_PAIR, check_data
from ensrepro.pipeline import Parameter, Run, jobs_of, seeds_of
from ensrepro.samplers import DEFAULT
from ensrepro.steps import baselines, context, finetune, knee

Numbers = dict[str, float]

FOLDER = "reproduced"  # below the repository
LONGER = "teacher with the same extra steps"
SAMPLERS = (DEFAULT, "random")  # repeated; the others are compared by the study


@dataclass(frozen=True)
class Reproduction:
    """Rows of quantity, committed, reproduced and difference; None where a side has nothing.

    `n_found` results were on file from an earlier call and were not computed again.
    """

    rows: list[dict[str, Any]]
    n_found: int


def of_baselines(run: Run) -> Numbers:
    """Mean PSNR (dB) of the classical methods on the test photos."""
    psnr = finetune.mean_test(baselines.rows(run.ctx))
    return {f"{method}, test dB": value for method, value in psnr.items()}


def of_teacher(run: Run) -> Numbers:
    """The teacher's test PSNR, and what each of its stages is worth."""
    result = run.teacher.result
    drops = {f"identity at {stage}, drop dB": v for stage, v in result.identity_drops.items()}
    return {"teacher, test dB": finetune.mean_test(result.test)["teacher"], **drops}


def of_pool(run: Run) -> Numbers:
    """Feature error and single-swap drop of each surrogate."""
    values = {}
    for row in run.pool.result.rows:
        name = f"{row['stage']} {row['depth']}"
        values[f"{name}, relative error"] = row["relative_error"]
        values[f"{name}, swap drop dB"] = row["psnr_drop"]
    return values


def of_search(sampler: str) -> Callable[[Run], Numbers]:
    """Size and hypervolume of the front that one sampler finds."""

    def of_sampler(run: Run) -> Numbers:
        found = run.search(sampler)
        return {
            f"{sampler}, hypervolume": found.hypervolume[-1],
            f"{sampler}, points on the front": len(found.front),
            f"{sampler}, different proposals": found.n_unique,
        }

    return of_sampler


def of_hybrids(run: Run) -> Numbers:
    """The knee, every candidate before and after fine-tuning, and the networks beside them.

    They are those of the default sampler. Architectures are named: another one is another quantity.
    """
    found = run.search(DEFAULT)
    choice = knee.choose(run.ctx, found)
    drop, penalty = found.points[choice.rows[0]]
    label = run.ctx.space.label
    values = {
        f"knee {label(choice.knee)}, drop dB": float(drop),
        f"knee {label(choice.knee)}, penalty": float(penalty),
    }
    tuned = run.finetuned(jobs_of(run.ctx, choice))
    for architecture, candidate in zip(choice.candidates, tuned, strict=False):
        name = f"candidate {label(architecture)}"
        values[f"{name}, validation dB before"] = candidate.result.before
        values[f"{name}, validation dB after"] = candidate.result.after
    best = finetune.best(tuned[: len(choice.candidates)])
    chosen = f"chosen {label(run.ctx.space.architecture(best.result.architecture))}"
    networks = {
        "all-SSM": run.finetuned([(run.ctx.space.all_ssm, 0)])[0],
        LONGER: run.finetuned([(run.ctx.space.teacher, 0)])[0],
        **{f"{chosen}, seed {f.result.seed}": f for f in run.finetuned(seeds_of(run.ctx, best))},
    }
    for name, network in networks.items():
        (values[f"{name}, test dB"],) = finetune.mean_test(network.result.test).values()
    return values


def of_longer(run: Run) -> Numbers:
    """The teacher with the same extra steps, by the seeds that the chosen hybrid has too."""
    (first,) = run.finetuned([(run.ctx.space.teacher, 0)])
    others = run.finetuned(seeds_of(run.ctx, first)[1:])
    return {
        f"{LONGER}, seed {one.result.seed}, test dB": value
        for one in others
        for value in finetune.mean_test(one.result.test).values()
    }


SEARCHES = (of_search(name) for name in SAMPLERS)
PARTS = (of_baselines, of_teacher, of_pool, *SEARCHES, of_hybrids, of_longer)


def collect(run: Run) -> Numbers:
    """All numbers of a task; where nothing may be computed, those whose results are on file."""
    values: Numbers = {}
    for part in PARTS:
        with nullcontext() if run.ctx.may_compute else suppress(NotOnFileError):
            values |= part(run)
    return values


def compared(committed: Numbers, again: Numbers) -> list[dict[str, Any]]:
    """A row for each quantity of either side, in the order of the repetition."""
    rows = []
    for name in [*again, *(name for name in committed if name not in again)]:
        old, new = committed.get(name), again.get(name)
        difference = None if old is None or new is None else new - old
        rows.append(
            {"quantity": name, "committed": old, "reproduced": new, "difference": difference}
        )
    return rows


def reproduce(
    task: str, profile: str, root: Path | None = None, pair: str = DEFAULT_PAIR
) -> Reproduction:
    """Redo every step from nothing below `reproduced/` and compare with what is committed.

    A killed call goes on where it was.
    """
    ctx = context.open_context(profile, task, pair=pair)
    check_data(ctx.profile)
    fresh = replace(ctx.store, root=(root or artifacts.repository() / FOLDER).absolute())
    parameters: dict[str, Parameter] = {"task": task, "profile": profile, "seed": 0, "out": ""}
    started = time.perf_counter()
    # committed results that do not fit are refused now, not after the training
    committed = collect(Run("reproduce", replace(ctx, may_compute=False), parameters, started))
    n_found = len(list(fresh.own(artifacts.RESULTS, "").glob("*.json")))
    run = Run("reproduce", replace(ctx, store=fresh), parameters, started)
    run.announcer.announce(outlook.of_pool(run.ctx))
    again = collect(run)
    return Reproduction(compared(committed, again), n_found)
