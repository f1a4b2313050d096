"""What notebooks call: parameters checked, progress shown, runs finished, a task redone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from device_records import put, shelf_store, stages

from ensrepro import artifacts, pipeline, search
from ensrepro.devices import shelf
from ensrepro.pipeline import Run
from ensrepro.space import RESTORMER, UFORMER
from ensrepro.steps import finetune
from ensrepro.steps import search as steps_search
from ensrepro.steps.context import Context
from ensrepro.steps.knee import KneeChoice

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository."""
    monkeypatch.setattr(artifacts, "repository", lambda: tmp_path)
    return tmp_path


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"task": "dehaze"}, ValueError, "task is 'dehaze'; expected one of denoise"),
        ({"task": 1}, ValueError, "task is 1; expected one of denoise"),
        ({"profile": "huge"}, ValueError, "profile is 'huge'; expected one of smoke, mini"),
        ({"profile": None}, ValueError, "profile is None; expected one of smoke, mini"),
        ({"profile": "paper"}, ValueError, "profile is 'paper', the paper's own scale; needs data"),
        ({"sampler": ["gp"]}, ValueError, "sampler is ['gp']; expected one of exact-ehvi"),
        ({"profile": ["smoke"]}, ValueError, "profile is ['smoke']; expected one of smoke, mini"),
        ({"seed": -1}, ValueError, "seed is -1; expected an integer >= 0"),
        ({"seed": 0.0}, ValueError, "seed is 0.0; expected an integer >= 0"),
        ({"seed": "0"}, ValueError, "seed is '0'; expected an integer >= 0"),
        ({"seed": True}, ValueError, "seed is True; expected an integer >= 0"),
        ({"stage": "encoder_3", "depth": 3}, ValueError, "depth is 3; encoder_3 has surrogates of"),
        ({"out": 5}, TypeError, "out is 5; expected the path of a folder"),
        ({"out": None}, TypeError, "out is None; expected the path of a folder"),
        ({"device": 8}, TypeError, "device is 8; expected a name"),
        ({"n_draws": 0}, ValueError, "n_draws is 0; expected an integer >= 1"),
        ({"threads": 1.5}, TypeError, "threads is 1.5; expected an integer"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_with_what_can(checkout, changed, error, message):
    given = {"task": "denoise", "profile": "smoke", "seed": 0, "out": "", **changed}
    with pytest.raises(error) as caught:
        pipeline.start("04_search", **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files(checkout) == {}


def test_a_run_keeps_every_parameter_and_computes_nothing_by_itself(checkout):
    run = pipeline.start("04_search", task="denoise", profile="smoke", seed=3, sampler="random")
    assert run.seed == 3
    assert run.parameters == {
        "task": "denoise", "profile": "smoke", "seed": 3, "out": "", "sampler": "random",
    }  # fmt: skip
    assert run.ctx.store.root == checkout
    assert files(checkout) == {}


def test_a_pair_is_a_parameter_where_it_is_given(checkout):
    asked = {"task": "denoise", "profile": "smoke"}
    first = pipeline.start("03_distillation", **asked)
    assert first.ctx.pair.name == "restormer-mambair"
    assert "pair" not in first.parameters
    run = pipeline.start("10_uformer", **asked, pair="uformer-mambair")
    assert run.parameters["pair"] == "uformer-mambair"
    assert run.ctx.space == UFORMER
    assert run.manifest.parent == checkout / "results" / "smoke" / "denoise-uformer"
    assert "task denoise, pair uformer-mambair," in run.caption("Text.")
    assert "task denoise, commit" in first.caption("Text.")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pair": "uformer"}, "pair is 'uformer'; expected one of restormer-mambair, uformer-"),
        ({"pair": 1}, "pair is 1; expected one of restormer-mambair, uformer-mambair"),
        ({"pair": "uformer-mambair", "stage": "refinement"}, "stage is 'refinement'; expected"),
        ({"stage": "encoder_4"}, "stage is 'encoder_4'; expected one of encoder_1, encoder_2"),
        (
            {"pair": "uformer-mambair", "task": "defocus_dual"},
            "task defocus_dual has 6 input channels; Uformer takes 3",
        ),
    ],
)
def test_what_a_pair_does_not_have_is_refused(checkout, changed, message):
    given = {"task": "denoise", "profile": "smoke", **changed}
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        pipeline.start("10_uformer", **given)
    assert message in str(caught.value)
    assert files(checkout) == {}


@pytest.mark.parametrize("is_out_given", [False, True])
def test_finishing_writes_a_manifest_where_results_go(checkout, tmp_path, is_out_given):
    out = tmp_path / "mine" if is_out_given else ""
    run = pipeline.start("05_knee", task="denoise", profile="smoke", out=str(out))
    expected = (out or checkout / "results" / "smoke" / "denoise") / "05_knee.manifest.json"
    assert run.manifest == expected
    run.finish({"knee": torch.tensor(3.5).numpy()[()], "label": "T T"})
    content = json.loads(expected.read_text())
    assert content["headline"] == {"knee": 3.5, "label": "T T"}
    assert content["parameters"]["profile"] == "smoke"
    assert content["provenance"]["seed"] == 0
    with pytest.raises(ValueError, match="JSON"):
        run.finish({"knee": float("nan")})
    assert json.loads(expected.read_text()) == content


# ---------------------------------------------------------------- what is going to be trained


def test_a_training_is_announced_once_and_before_it_begins(checkout, capsys, monkeypatch):
    run = pipeline.start("04_search", task="derain", profile="mini")
    told: list[str] = []

    def stop(ctx: Context, *_rest: object) -> None:
        if not ctx.may_compute:
            raise artifacts.NotOnFileError
        told.append(capsys.readouterr().err)
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline.teacher, "get", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run.search()
    first, second = told
    assert first.count("\n") == 1
    assert "derain in profile mini" in first
    steps = ("pretraining of the teacher of denoise", "teacher of derain", "pool of 22 surrogates")
    assert [step in first for step in steps] == [True] * 3
    assert second == ""
    assert files(checkout) == {}


def test_where_nothing_may_be_computed_nothing_is_announced(checkout, capsys):
    run = pipeline.start("13_tasks", task="denoise", profile="smoke")
    reading = replace(run, ctx=replace(run.ctx, may_compute=False))
    with pytest.raises(artifacts.NotOnFileError):
        reading.pool  # noqa: B018
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------- jobs


def test_every_candidate_is_a_job_once_and_so_is_what_they_are_compared_with(checkout):
    ctx = pipeline.start("06_finetune", task="denoise", profile="smoke").ctx
    one, two = (0, 1, 0, 0, 0, 0, 0, 0), (0, 2, 0, 0, 0, 0, 0, 0)
    choice = KneeChoice((one, two, one), (3, 4, 5), [])
    others = [(RESTORMER.all_ssm, 0), (RESTORMER.teacher, 0)]
    assert pipeline.jobs_of(ctx, choice) == [(one, 0), (two, 0), *others]
    within = KneeChoice((RESTORMER.all_ssm, one), (0, 1), [])
    assert pipeline.jobs_of(ctx, within) == [others[0], (one, 0), others[1]]


def test_seeds_of_an_architecture_are_those_of_the_profile(checkout):
    ctx = pipeline.start("06_finetune", task="denoise", profile="mini").ctx
    result = finetune.FinetuneResult(5, 0, "", 1, 1.0, 2.0, 1.0, [], [], [])
    chosen = finetune.Finetuned(None, result)  # type: ignore[arg-type]
    assert pipeline.seeds_of(ctx, chosen) == [(RESTORMER.architecture(5), s) for s in range(3)]


def test_searches_bring_the_asked_one_random_and_what_is_on_file(checkout, monkeypatch):
    run = pipeline.start("04_search", task="denoise", profile="smoke", seed=2)
    made: list[str] = []

    def search(self: Run, sampler: str, *_rest: object) -> str:
        if not self.ctx.may_compute and sampler != "motpe":  # the one on file
            raise artifacts.NotOnFileError(sampler)
        if self.ctx.may_compute:
            made.append(sampler)
        return sampler

    monkeypatch.setattr(Run, "search", search)
    assert list(run.searches("nsga2", None, "rank")) == ["nsga2", "random", "motpe"]
    assert made == ["nsga2", "random"]


# ---------------------------------------------------------------- devices


def test_a_notebook_takes_the_device_that_it_names_or_the_first_one(checkout: Path):
    put(shelf_store(checkout), "stages-256-t1", stages())
    asked = {"task": "denoise", "profile": "mini"}
    assert pipeline.start("09_latency", **asked, device="").device.device == "pixel-8"
    assert pipeline.start("09_latency", **asked, device="pixel-8").device.device == "pixel-8"
    with pytest.raises(ValueError, match="device is 'pixel-9'; expected one on file: pixel-8"):
        _ = pipeline.start("09_latency", **asked, device="pixel-9").device


def test_without_a_device_on_file_a_notebook_says_how_to_measure_one(checkout: Path):
    run = pipeline.start("09_latency", task="denoise", profile="mini", device="")
    with pytest.raises(
        FileNotFoundError, match="no device has been measured; expected one: python"
    ):
        _ = run.device


def test_a_device_of_another_family_is_refused(checkout: Path):
    put(shelf_store(checkout), "stages", stages(pair="uformer-mambair"))
    asked = {"task": "denoise", "profile": "mini", "device": "pixel-8"}
    with pytest.raises(ValueError, match="of which nothing of restormer-mambair was measured"):
        _ = pipeline.start("09_latency", **asked).device


def test_stages_of_a_pair_are_read_where_a_device_has_them_else_this_machine_is_measured(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
):
    store, uformer = shelf_store(checkout), "uformer-mambair"
    put(store, "stages", stages(), device="a-1")
    asked = {"task": "denoise", "profile": "mini", "pair": uformer, "device": ""}
    measured = []

    def this_machine(_store, task, _progress, pair, kinds, *_threads) -> str:
        measured.append((task, pair, *kinds))
        put(store, "stages-uformer", stages(pair=uformer), device="zen-9")
        return "zen-9"

    monkeypatch.setattr(shelf, "this_machine", this_machine)
    assert pipeline.start("10_uformer", **asked).staged.device == "zen-9"
    assert measured == [("denoise", uformer, "stages")]
    assert pipeline.start("10_uformer", **asked).staged.device == "zen-9"
    assert len(measured) == 1
    assert pipeline.start("10_uformer", **asked | {"device": "here"}).staged.device == "zen-9"
    assert len(measured) == 2


def test_the_search_of_a_device_has_a_file_of_its_own():
    asked = search.settings(RESTORMER, "random", 5, 0, search.LATENCY)
    known = steps_search.Known(
        latency_ms=np.ones(RESTORMER.n_architectures), device="pixel-8-256-t1"
    )
    name = steps_search.step_name(asked, known)
    assert name == "search-random-5-latency-s0-on-pixel-8-256-t1"
