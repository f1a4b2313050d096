"""Tasks side by side: what is on file is found, what is not is left out, and nothing is trained."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ensrepro import across, evaluate, pipeline, training
from ensrepro.artifacts import NotOnFileError
from ensrepro.config import TASKS
from ensrepro.space import RESTORMER

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """`denoise` with pool and search, `deblur` with a teacher only, at the smallest scale."""
    out = str(tmp_path_factory.mktemp("smoke"))
    run = pipeline.start("test", task="denoise", profile="smoke", out=out)
    found = run.search()
    deblur = pipeline.start("test", task="deblur", profile="smoke", out=out)
    digest = deblur.teacher.result.digest
    return SimpleNamespace(run=run, found=found, digest=digest)


@pytest.fixture(autouse=True)
def nothing_trained(made, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(training, "fit", refuse)


def test_tasks_are_found_as_far_as_they_are_on_file(made):
    runs = across.with_teacher(made.run)
    assert list(runs) == ["denoise", "deblur"]
    assert runs["deblur"].teacher.result.digest == made.digest
    assert list(across.with_pool(runs)) == ["denoise"]
    found = across.searched(across.with_pool(runs))
    assert found["denoise"].found == made.found
    drop, penalty = found["denoise"].knee_point
    assert [drop, penalty] in made.found.points.tolist()
    assert across.final_rows(runs, found) == []


def test_a_teachers_row_says_what_it_gains(made):
    rows = across.teacher_rows(across.with_teacher(made.run))
    assert [row["task"] for row in rows] == ["denoise", "deblur"]
    assert [row["start"] for row in rows] == ["white_noise", "denoise"]
    for row in rows:
        task = TASKS[row["task"]]
        run = across.of_task(made.run, task.name)
        expected = np.mean(
            [
                evaluate.metrics.psnr(evaluate.degraded(p.degraded), p.clean, task.protocol)
                for p in run.ctx.test
            ]
        )
        assert row["input"] == pytest.approx(expected)
        assert row["gain"] == pytest.approx(row["teacher"] - row["input"])


def test_drops_have_a_row_a_task_and_a_column_a_stage_or_surrogate(made):
    runs = across.with_teacher(made.run)
    drops = across.identity_drops(runs)
    assert drops.shape == (2, 8)
    assert drops[0].tolist() == list(made.run.teacher.result.identity_drops.values())
    swaps = across.swap_drops(across.with_pool(runs))
    assert swaps.shape == (1, 22)
    assert swaps[0, 3] == made.run.pool.result.rows[3]["psnr_drop"]


def test_an_architecture_loses_elsewhere_what_a_search_there_would_measure(made):
    pools = across.with_pool(across.with_teacher(made.run))
    numbers = made.found.architectures[:3]
    asked = [RESTORMER.architecture(number) for number in numbers]
    moved = across.transfer(pools, asked)
    assert moved.shape == (3, 1)
    assert moved[:, 0] == pytest.approx(made.found.points[:3, 0], abs=1e-4)


def test_own_knees_are_told_from_those_of_other_tasks():
    moved = np.array([[0.1, 0.9, 0.4], [0.5, 0.2, 0.3]])  # knees of b and c, tried in a, b, c
    rows = across.transfer_rows(moved, ["b", "c"], ["a", "b", "c"])
    assert rows == [
        {"task": "b", "own": 0.9, "least": 0.2, "most": 0.2},
        {"task": "c", "own": 0.3, "least": 0.4, "most": 0.4},
    ]
    (alone,) = across.transfer_rows(moved[:1, :1], ["a"], ["a"])
    assert alone == {"task": "a", "own": 0.1, "least": None, "most": None}


def test_a_sample_is_the_same_middle_of_a_photo_in_every_task():
    mild = {task: across.sample(task, 0.0, 64) for task in TASKS}
    severe = {task: across.sample(task, 1.0, 64) for task in TASKS}
    for task in TASKS:
        assert mild[task].image.shape == (64, 64, 3)
        assert mild[task].psnr > severe[task].psnr
    blurs = [mild[task].image for task in ("deblur", "defocus", "defocus_dual")]
    assert all(abs(image - blurs[0]).mean() < 0.05 for image in blurs)
    with pytest.raises(ValueError, match="size of a crop"):
        across.sample("deblur", 0.5, 1000)


def test_a_final_row_tells_its_networks_apart(made):
    """Networks of known scores under their own names; seed 0 of each, as for every task."""

    def network(architecture: tuple[int, ...], psnr: float) -> SimpleNamespace:
        rows = [{"method": "m", "image": "i", "psnr": psnr, "ssim": 0.9}] * 2
        number = RESTORMER.index(architecture)
        return SimpleNamespace(
            result=SimpleNamespace(architecture=number, n_parameters=100, test=rows)
        )

    hybrid = (0, 3, 0, 0, 0, 0, 0, 0)
    tuned = {
        hybrid: network(hybrid, 31.0),
        RESTORMER.all_ssm: network(RESTORMER.all_ssm, 29.0),
        RESTORMER.teacher: network(RESTORMER.teacher, 30.0),
    }
    row = across.final_row(made.run, tuned[hybrid], tuned)
    scores = across.means(made.run)
    assert row == {
        "task": "denoise",
        "architecture": "T 2 T T T T T T",
        "size": 100 / made.run.teacher.result.n_parameters,
        "input": scores["input"],
        "teacher": scores["teacher"],
        "longer": 30.0,
        "hybrid": 31.0,
        "all_ssm": 29.0,
    }


def test_an_outcome_has_the_best_by_validation_with_the_seeds_that_are_on_file():
    def tuned(architecture: tuple[int, ...], seed: int, after: float) -> SimpleNamespace:
        number = RESTORMER.index(architecture)
        return SimpleNamespace(
            result=SimpleNamespace(architecture=number, seed=seed, after=after, test=[])
        )

    worse, best = (0, 3, 0, 0, 0, 0, 0, 0), (0, 0, 3, 0, 0, 0, 0, 0)
    validation = {worse: 30.0, best: 31.0, RESTORMER.all_ssm: 32.0, RESTORMER.teacher: 33.0}

    class Files:
        """Every architecture with seed 0, the best and the teacher also with seed 2."""

        ctx = SimpleNamespace(space=RESTORMER, profile=SimpleNamespace(n_seeds=3))

        def finetuned(self, jobs):
            others = {(best, 2), (RESTORMER.teacher, 2)}
            if any(seed and (a, seed) not in others for a, seed in jobs):
                raise NotOnFileError("not there")
            return [tuned(a, seed, validation[a]) for a, seed in jobs]

    search = SimpleNamespace(choice=SimpleNamespace(candidates=(worse, best)))
    found = across.outcome(Files(), search)
    assert [one.result.seed for one in found.chosen] == [0, 2]
    assert {one.result.architecture for one in found.chosen} == {RESTORMER.index(best)}
    assert found.all_ssm.result.after == 32.0  # what is beside the candidates is never chosen
    assert [(one.result.seed, one.result.after) for one in found.longer] == [(0, 33.0), (2, 33.0)]
    assert set(found.tuned) == set(validation)


def test_other_tasks_compute_nothing_and_write_nothing(made):
    other = across.of_task(made.run, "derain")
    assert not other.ctx.may_compute
    assert other.ctx.task.name == other.ctx.store.task == "derain"
    folder = made.run.ctx.store.root
    before = sorted(folder.rglob("*"))
    across.teacher_rows(across.with_teacher(made.run))
    assert sorted(folder.rglob("*")) == before


def test_what_was_tried_names_the_stages_that_stayed_idle():
    started = pipeline.start("test", task="denoise", profile="mini")
    runs = {task: across.of_task(started, task) for task in ("denoise", "derain")}
    (row,) = across.tried_rows(runs, 0.0)
    assert (row["task"], row["what"]) == ("derain", "a veil of up to a fifth of the light")
    assert row["idle"] == "encoder_3 -0.55, bottleneck -0.03"  # as the committed manifest has them
    assert "decoder_3" in across.tried_rows(runs, 0.1)[0]["idle"]


def test_only_idle_stages_are_asked_again_of_the_teacher_that_was_trained_longer(monkeypatch):
    ctx = SimpleNamespace(space=RESTORMER, validation=[], task=TASKS["derain"])
    drops = {"encoder_1": 9.0, "bottleneck": -0.01, "decoder_3": 0.02}
    teacher = SimpleNamespace(result=SimpleNamespace(identity_drops=drops))
    asked = []

    def finetuned(jobs):
        asked.extend(jobs)
        return [SimpleNamespace(net="longer")]

    def missing(jobs):
        raise NotOnFileError("not trained")

    def identity_drops(net, pairs, protocol, stages):
        assert (net, protocol) == ("longer", TASKS["derain"].protocol)
        drops = {"encoder_1": 8.0, "bottleneck": 0.07, "decoder_3": -0.03}
        return {stage: drops[stage] for stage in stages}

    monkeypatch.setattr(evaluate, "identity_drops", identity_drops)
    runs = {
        "derain": SimpleNamespace(ctx=ctx, teacher=teacher, finetuned=finetuned),
        "deblur": SimpleNamespace(ctx=ctx, teacher=teacher, finetuned=missing),
    }
    assert across.longer_rows(runs, 0.05) == [
        {"task": "derain", "stage": "bottleneck", "teacher": -0.01, "longer": 0.07},
        {"task": "derain", "stage": "decoder_3", "teacher": 0.02, "longer": -0.03},
    ]
    assert asked == [(RESTORMER.teacher, 0)]
