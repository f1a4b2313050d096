"""What notebooks call: parameters checked, progress shown, runs finished, a task redone."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from device_records import put, shelf_store, stages

from ensrepro import artifacts, pipeline, search
from ensrepro.pipeline import Run
from ensrepro.space import RESTORMER, UFORMER
from ensrepro.steps import finetune
from ensrepro.steps import search as steps_search
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
        ({"out": 5}, TypeError, "out is 5; expected the path of a folder"),
        ({"out": None}, TypeError, "out is None; expected the path of a folder"),
        ({"device": 8}, TypeError, "device is 8; expected a name"),
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


# ---------------------------------------------------------------- progress


class Terminal(io.StringIO):
    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


def shown(monkeypatch, of: int, is_terminal: bool) -> str:
    stream = Terminal(is_terminal)
    monkeypatch.setattr(sys, "__stderr__", stream)
    for done in range(1, of + 1):
        pipeline.show_progress("train", done, of)
    return stream.getvalue()


def test_progress_is_one_line_on_a_terminal(monkeypatch):
    assert shown(monkeypatch, 3, True) == "\rtrain: 1/3\rtrain: 2/3\rtrain: 3/3\n"


@pytest.mark.parametrize("of", [1, 3, 20, 21, 4000])
def test_progress_is_a_few_lines_in_a_file(monkeypatch, of):
    lines = shown(monkeypatch, of, False).splitlines()
    assert lines[-1] == f"train: {of}/{of}"
    assert len(lines) <= 22
    assert all(line.startswith("train: ") for line in lines)


def test_progress_needs_no_terminal_at_all(monkeypatch, capfd):
    monkeypatch.setattr(sys, "__stderr__", None)
    pipeline.show_progress("train", 1, 1)
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------- jobs


def test_every_candidate_is_a_job_once_and_so_is_what_they_are_compared_with(checkout):
    ctx = pipeline.start("06_finetune", task="denoise", profile="smoke").ctx
    one, two = (0, 1, 0, 0, 0, 0, 0, 0), (0, 2, 0, 0, 0, 0, 0, 0)
    choice = KneeChoice((one, two, one), (3, 4, 5), [])
    others = [(RESTORMER.all_ssm, 0), (RESTORMER.teacher, 0)]
    assert pipeline.jobs_of(ctx, choice) == [(one, 0), (two, 0), *others]
    within = KneeChoice((RESTORMER.all_ssm, one), (0, 1), [])
    assert pipeline.jobs_of(ctx, within) == [others[0], (one, 0), others[1]]


def test_seeds_of_the_chosen_architecture_are_those_of_the_profile(checkout):
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


def test_the_search_of_a_device_has_a_file_of_its_own():
    asked = search.settings(RESTORMER, "random", 5, 0, search.LATENCY)
    known = steps_search.Known(
        latency_ms=np.ones(RESTORMER.n_architectures), device="pixel-8-256-t1"
    )
    name = steps_search.step_name(asked, known)
    assert name == "search-random-5-latency-s0-on-pixel-8-256-t1"
