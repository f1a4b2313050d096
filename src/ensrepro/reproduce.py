"""A whole task redone from nothing, and how far its numbers are from the committed ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ensrepro import artifacts
from ensrepro.artifacts import Store
from ensrepro.pipeline import Run, jobs_of, seeds_of
from ensrepro.search import SAMPLERS
from ensrepro.steps import baselines, context, finetune, knee

Numbers = dict[str, float]

FOLDER = "reproduced"  # below the repository
CHOSEN_BY = "nsga2"  # the sampler whose front gives the knee


@dataclass(frozen=True)
class Reproduction:
    """Rows of quantity, committed, reproduced and difference; None where nothing is committed.

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
    numbers = {}
    for row in run.pool.result.rows:
        name = f"{row['stage']} {row['depth']}"
        numbers[f"{name}, relative error"] = row["relative_error"]
        numbers[f"{name}, swap drop dB"] = row["psnr_drop"]
    return numbers


def of_search(sampler: str) -> Callable[[Run], Numbers]:
    """Size and hypervolume of the front that one sampler finds."""

    def numbers(run: Run) -> Numbers:
        found = run.search(sampler)
        return {
            f"{sampler}, hypervolume": found.hypervolume[-1],
            f"{sampler}, points on the front": len(found.front),
            f"{sampler}, different proposals": found.n_unique,
        }

    return numbers


def of_hybrids(run: Run) -> Numbers:
    """The knee, every candidate before and after fine-tuning, and the networks beside them."""
    found = run.search(CHOSEN_BY)
    choice = knee.choose(run.ctx, found)
    drop, penalty = found.points[choice.rows[0]]
    numbers = {"knee, drop dB": float(drop), "knee, penalty": float(penalty)}
    tuned = run.finetuned(jobs_of(run.ctx, choice))
    for k, candidate in enumerate(tuned[: len(choice.candidates)], 1):
        numbers[f"candidate {k}, validation dB before"] = candidate.result.before
        numbers[f"candidate {k}, validation dB after"] = candidate.result.after
    best = finetune.best(tuned[: len(choice.candidates)])
    networks = {
        "all-SSM": run.finetuned([(run.ctx.space.all_ssm, 0)])[0],
        "teacher with the same extra steps": run.finetuned([(run.ctx.space.teacher, 0)])[0],
        **{f"chosen, seed {f.result.seed}": f for f in run.finetuned(seeds_of(run.ctx, best))},
    }
    for name, network in networks.items():
        (numbers[f"{name}, test dB"],) = finetune.mean_test(network.result.test).values()
    return numbers


PARTS = (of_baselines, of_teacher, of_pool, *(of_search(name) for name in SAMPLERS), of_hybrids)


def numbers(run: Run) -> Numbers:
    """All numbers of a task; where nothing may be computed, those whose results are on file."""
    found: Numbers = {}
    for part in PARTS:
        try:
            found |= part(run)
        except FileNotFoundError:
            if run.ctx.may_compute:
                raise
    return found


def reproduce(task: str, profile: str, root: Path | None = None) -> Reproduction:
    """Redo every step from nothing below `reproduced/` and compare with what is committed.

    A killed call goes on where it was.
    """
    ctx = context.open_context(profile, task)
    fresh = Store(profile, task, (root or artifacts.repository() / FOLDER).absolute())
    parameters = {"task": task, "profile": profile, "seed": 0, "out": ""}
    started = time.perf_counter()
    # committed results that do not fit are refused now, not after the training
    committed = numbers(Run("reproduce", replace(ctx, may_compute=False), parameters, started))
    n_found = len(list(fresh.own(artifacts.RESULTS, "").glob("*.json")))
    again = numbers(Run("reproduce", replace(ctx, store=fresh), parameters, started))
    rows = [
        {
            "quantity": name,
            "committed": committed.get(name),
            "reproduced": value,
            "difference": None if name not in committed else value - committed[name],
        }
        for name, value in again.items()
    ]
    return Reproduction(rows, n_found)
