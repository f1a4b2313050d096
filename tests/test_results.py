"""The committed results of the profile that the book shows: whole, consistent, ready to read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ensrepro import artifacts, comparison, evaluate, metrics, pareto, pipeline
from ensrepro.figures.distillation import ALIVE_DB
from ensrepro.restoring import networks
from ensrepro.samplers import DEFAULT
from ensrepro.steps import baselines, context, finetune, knee


@pytest.fixture
def run() -> pipeline.Run:
    """Profile mini, where making anything is an error."""
    started = pipeline.start("test", task="denoise", profile="mini")
    return replace(started, ctx=replace(started.ctx, may_compute=False))


def test_everything_that_the_notebooks_show_is_there(run: pipeline.Run):
    choice = knee.choose(run.ctx, run.search())
    for sampler in (DEFAULT, "nsga2", "random"):
        assert run.search(sampler).n_trials == run.ctx.profile.n_trials
    tuned = run.finetuned(pipeline.jobs_of(run.ctx, choice))
    assert len(tuned) == run.ctx.profile.n_candidates + 2
    best = finetune.best(tuned[: run.ctx.profile.n_candidates])
    repeats = run.finetuned(pipeline.seeds_of(run.ctx, best))
    assert len({result.result.digest for result in repeats}) == run.ctx.profile.n_seeds


def test_the_teacher_beats_its_input_and_non_local_means(run: pipeline.Run):
    """By the margins that a teacher has to have to be worth distilling."""
    mean = finetune.mean_test([*baselines.rows(run.ctx), *run.teacher.result.test])
    assert mean["teacher"] >= mean["input"] + 8
    assert mean["teacher"] >= mean["nlm"] + 1


def test_the_stages_that_a_search_is_about_are_alive(run: pipeline.Run):
    """All but the bottleneck, which this teacher does not need: notebook 3 says so."""
    drops = run.teacher.result.identity_drops
    assert {name for name, drop in drops.items() if drop < ALIVE_DB} == {"bottleneck"}


def test_a_committed_score_is_what_the_committed_weights_give(run: pipeline.Run):
    """To 1e-3 dB: another processor sums in another order."""
    pair = min(run.ctx.test, key=lambda pair: pair.clean.size)
    restored = evaluate.restore(run.teacher.net, pair.degraded)
    row = next(row for row in run.teacher.result.test if row["image"] == pair.name)
    score = metrics.psnr(restored, pair.clean, run.ctx.task.protocol)
    assert score == pytest.approx(row["psnr"], abs=1e-3)


def test_the_pool_has_one_row_for_each_surrogate(run: pipeline.Run):
    rows = run.pool.result.rows
    assert [(row["stage"], row["depth"]) for row in rows] == list(run.ctx.space.surrogates)


def test_the_table_is_that_of_the_committed_networks_and_the_search_reads_it(run: pipeline.Run):
    assert run.truth is not None
    found = run.search()
    assert found.psnr == run.truth.quality[found.architectures, 0].tolist()
    whole = pareto.hypervolume(run.truth.front(), pareto.reference_point(found.anchors))
    assert 0.99 * whole < found.hypervolume[-1] <= whole + 1e-9


def test_exact_ehvi_needs_at_most_80_proposals_to_99_percent_in_half_of_its_runs(run: pipeline.Run):
    """A sixth of the paper's 500."""
    rows = comparison.to_target(run.study.runs)
    row = next(r for r in rows if (r["sampler"], r["target"]) == (DEFAULT, 0.99))
    assert row["median"] <= 80


def test_whoever_restores_with_the_knee_has_the_hybrid_that_was_chosen(run: pipeline.Run):
    """As search, knee and fine-tuning give it; its weights are those that its manifest names."""
    found = networks.get("knee", task="denoise")
    candidates = knee.choose(run.ctx, run.search()).candidates
    best = finetune.best(run.finetuned([(architecture, 0) for architecture in candidates]))
    assert run.ctx.space.index(found.architecture) == best.result.architecture
    manifest = run.ctx.store.manifest(finetune.job_name(run.ctx, (found.architecture, 0)))
    assert context.digest(found.net) == artifacts.read_json(manifest)["result"]["digest"]
