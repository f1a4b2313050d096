"""The committed results of the tasks beside `denoise`: whole, and no better than they say."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ensrepro import artifacts, evaluate, metrics, pages, pipeline
from ensrepro.config import TASKS
from ensrepro.figures.distillation import ALIVE_DB
from ensrepro.samplers import DEFAULT
from ensrepro.steps import baselines, chosen, context, finetune, knee

ROOT = artifacts.repository()
MARGIN_DB = 1.0  # over the degraded input, on the test photos
# Stages that are not alive: notebook 3 of the task names them.
IDLE = {
    "derain": {"bottleneck", "decoder_3"},
    "deblur": {"bottleneck", "decoder_3"},
    "defocus": {"decoder_3"},
    "defocus_dual": {"encoder_3", "bottleneck", "decoder_3"},
}

finished = [
    task
    for task in TASKS
    if task != "denoise" and (ROOT / f"results/mini/{task}/06_finetune.manifest.json").exists()
]
each = pytest.mark.parametrize("task", finished)


def test_the_commit_of_a_chapter_is_one_that_has_its_code():
    """A page that was executed before its code was committed names a tree that does not exist."""
    found = [
        f"{path.parent.name}/{path.name.removesuffix(pages.NOTEBOOK)}"
        for path in (ROOT / "results" / "mini").glob(f"*/*{pages.NOTEBOOK}")
        if not re.fullmatch("[0-9a-f]{7,}", pages.read(path)["provenance"]["commit"])
    ]
    assert found == []


def reading(task: str) -> pipeline.Run:
    """Profile mini, where making anything is an error."""
    started = pipeline.start("test", task=task, profile="mini")
    return replace(started, ctx=replace(started.ctx, may_compute=False))


def test_the_finished_tasks_are_those_that_are_told_of():
    assert finished == list(IDLE)
    told = (ROOT / "README.md").read_text("utf-8")
    assert f"Trained so far: {', '.join(f'`{name}`' for name in ('denoise', *finished))}." in told


@each
def test_everything_that_the_pages_show_is_there(task: str):
    run = reading(task)
    choice = knee.choose(run.ctx, run.search())
    for sampler in (DEFAULT, "random"):
        assert run.search(sampler).n_trials == run.ctx.profile.n_trials
    tuned = run.finetuned(pipeline.jobs_of(run.ctx, choice))
    best = finetune.best(tuned[: run.ctx.profile.n_candidates])
    repeats = run.finetuned(pipeline.seeds_of(run.ctx, best))
    assert len({result.result.digest for result in repeats}) == run.ctx.profile.n_seeds
    told = chosen.required(run.ctx)  # by notebook 6
    assert (told.architecture, told.digest) == (
        run.ctx.space.architecture(best.result.architecture),
        best.result.digest,
    )
    rows = run.pool.result.rows
    assert [(row["stage"], row["depth"]) for row in rows] == list(run.ctx.space.surrogates)
    assert run.pool.result.digest
    pages = ROOT / "results" / "mini" / task
    assert {"03_distillation", "04_search", "05_knee", "06_finetune"} <= {
        path.stem for path in pages.glob("*.ipynb")
    }


@each
def test_the_teacher_beats_its_input(task: str):
    run = reading(task)
    mean = finetune.mean_test([*baselines.rows(run.ctx), *run.teacher.result.test])
    assert mean["teacher"] >= mean["input"] + MARGIN_DB
    drops = run.teacher.result.identity_drops
    assert {name for name, drop in drops.items() if drop < ALIVE_DB} == IDLE[task]


@each
def test_a_committed_score_is_what_the_committed_weights_give(task: str):
    """To 1e-3 dB: another processor sums in another order."""
    run = reading(task)
    with context.one_thread():
        pair = min(run.ctx.test, key=lambda pair: pair.clean.size)
        restored = evaluate.restore(run.teacher.net, pair.degraded)
    row = next(row for row in run.teacher.result.test if row["image"] == pair.name)
    score = metrics.psnr(restored, pair.clean, run.ctx.task.protocol)
    assert score == pytest.approx(row["psnr"], abs=1e-3)
