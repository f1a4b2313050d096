"""The study on a space of six architectures: runs on file, resumed, and what is refused."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from test_truth import TINY, VOLUME, table

from ensrepro import artifacts, search, study, truth
from ensrepro.study import Budget

PLAN = {"random": Budget(3, 6), "nsga2": Budget(2, 4)}


def start(folder, **arguments) -> study.StudyResult:
    return study.run(table(), folder, **{"plan": PLAN, "space": TINY, **arguments})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder and the result of one study; progress as it was told."""
    folder, seen = tmp_path_factory.mktemp("study"), []
    result = start(folder, processes=2, progress=lambda done, of: seen.append((done, of)))
    return folder, result, seen


def test_every_sampler_runs_with_every_seed_in_the_plan_s_order(finished):
    _, result, seen = finished
    runs = [(run["sampler"], run["seed"], run["n_trials"]) for run in result.runs]
    assert runs == [("random", 0, 6), ("random", 1, 6), ("random", 2, 6), ("nsga2", 0, 4),
                    ("nsga2", 1, 4)]  # fmt: skip
    assert seen == [(done, 5) for done in range(1, 6)]


def test_the_truth_is_told_with_the_runs(finished):
    _, result, _ = finished
    assert result.hypervolume == pytest.approx(VOLUME)
    assert (result.front, result.candidates) == ([0, 1, 4, 5], [4, 1, 5, 0])
    assert result.reference == pytest.approx([4.4, 6.52])


def test_a_run_of_the_whole_space_finds_the_truth(finished):
    _, result, _ = finished
    for run in result.runs[:3]:  # random draws each of the 6 once
        assert run["ratios"][-1] == 1.0
        assert run["milestones"][-1]["recall"] == 1.0
        assert run["milestones"][-1]["n_different"] == 6
        assert run["targets"][-1]["proposals"] <= 6
    assert len({run["digest"] for run in result.runs[:3]}) > 1  # the seeds differ


def test_a_run_is_that_of_the_search(finished):
    folder, _, _ = finished
    known = truth.read(table(), TINY)
    found = search.run(known.metrics, space=TINY, sampler="nsga2", n_trials=4, seed=1)
    content = json.loads((folder / "nsga2-4-s1.json").read_text())
    assert content["run"]["proposals"] == [TINY.index(a) for a in found.architectures]
    assert content["run"]["cpu_seconds"] >= 0


def test_a_finished_study_is_read_and_not_run(finished):
    folder, result, _ = finished
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    seen = []
    assert start(folder, progress=lambda done, of: seen.append(done)) == result
    assert seen == []
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_study_that_was_stopped_goes_on(finished, tmp_path):
    def stop(done, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(tmp_path, progress=stop)
    n_before = len(list(tmp_path.glob("*.json")))
    assert 1 <= n_before < 5
    seen = []
    again = start(tmp_path, progress=lambda done, of: seen.append(done))
    assert seen == list(range(n_before + 1, 6))
    for ours, theirs in zip(again.runs, finished[1].runs, strict=True):
        assert ours | {"cpu_seconds": 0} == theirs | {"cpu_seconds": 0}


def test_a_larger_plan_keeps_the_runs_there_are(finished, tmp_path):
    folder, result, _ = finished
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    seen = []
    more = PLAN | {"random": Budget(4, 6)}
    larger = start(tmp_path, plan=more, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(6, 6)]
    assert larger.runs[:3] == result.runs[:3]


def test_the_environment_is_left_as_it_was(finished, tmp_path):
    before = dict(os.environ)
    start(tmp_path, plan={"random": Budget(1, 2)})
    assert dict(os.environ) == before


def test_a_result_survives_its_manifest(finished, tmp_path):
    _, result, _ = finished
    made = artifacts.provenance("mini", "denoise", 0, 1.0, 1)
    path = tmp_path / "study.json"
    artifacts.write_manifest(path, "study", {}, made, result)
    assert artifacts.read_manifest(path, "study", study.StudyResult, {}) == result


def test_counts_are_spaced_evenly_and_hold_the_milestones_and_budgets():
    counts = study.trace_counts({"gp": Budget(1, 180), "random": Budget(1, 500)})
    assert {1, 50, 100, 180, 200, 500} <= set(counts)
    assert counts == sorted(set(counts))
    assert 45 <= len(counts) <= 65
    steps = np.diff(np.log(counts[-20:]))
    assert steps.max() < 0.15  # 500 is 60 steps of 0.11 from 1


def test_the_study_s_plan_is_big_enough_and_says_where_it_is_not():
    for sampler, (n_seeds, n_trials) in study.PLAN.items():
        dear = "ehvi" in sampler or sampler == "gp"
        assert n_seeds >= (10 if dear else 20)
        assert n_trials == (100 if sampler in {"gp", "paper-ehvi"} else 500)


def test_the_runs_of_a_seed_come_together():
    known = truth.read(table(), TINY)
    order = [(asked.sampler, asked.seed) for asked in study.planned(known, PLAN)]
    assert order == [("random", 0), ("nsga2", 0), ("random", 1), ("nsga2", 1), ("random", 2)]


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        ({}, "the plan is empty; expected at least one sampler"),
        ({"cma": Budget(1, 6)}, "sampler is 'cma'; expected one of exact-ehvi"),
        ({"nsga2": Budget(0, 6)}, "nsga2 has 0 seeds; expected at least 1"),
        ({"nsga2": Budget(1, 0)}, "n_trials is 0; expected an integer >= 2"),
        ({"random": Budget(1, 7)}, "n_trials is 7; random draws without replacement from 6"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused_before_anything_runs(plan, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        start(tmp_path, plan=plan)
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_is_not_whole_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the table has 4 rows; expected 6"):
        study.run(table().iloc[:4], tmp_path, plan=PLAN, space=TINY)


def test_runs_of_another_table_are_refused_by_name(finished, tmp_path):
    folder, _, _ = finished
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    other = table((0.0, 1.0, 3.0, 1.0, 2.5, 4.0))
    with pytest.raises(ValueError, match=r"random-6-s0.json was made with table='.*move it away"):
        study.run(other, tmp_path, plan=PLAN, space=TINY)


def test_a_damaged_file_is_refused_by_name(tmp_path):
    (tmp_path / "random-6-s0.json").write_text("{")
    with pytest.raises(ValueError, match=r"random-6-s0.json is no run of a study.*delete it"):
        start(tmp_path, plan={"random": Budget(1, 6)})
