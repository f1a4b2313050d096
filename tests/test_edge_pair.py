"""The pair of Restormer and edge blocks: the steps of the first pair, and its very teacher."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from onnx_networks import metadata
from pair_at_work import all_steps, files, repository, started

from ensrepro import artifacts, evaluate, pipeline
from ensrepro.export import Session, to_onnx
from ensrepro.models.edge import EdgeBlock, EdgeShape
from ensrepro.models.restormer import RestormerBlock
from ensrepro.restoring import networks
from ensrepro.space import RESTORMER
from ensrepro.steps import context, finetune, teacher

pytestmark = pytest.mark.usefixtures("one_thread")

PAIR, OTHER, FOLDER = "restormer-edge", "restormer-mambair", "denoise-edge"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with repository(tmp_path_factory.mktemp("edge")) as folder:
        yield folder


@pytest.fixture(scope="module")
def made(checkout: Path) -> SimpleNamespace:
    return all_steps(PAIR)


def test_the_teacher_lies_with_the_first_pair_and_everything_else_apart(made, checkout):
    name = finetune.job_name(made.run.ctx, (made.choice.knee, 0))
    own, shared = ("pool", name), ("pretraining", "teacher")
    steps = [(FOLDER, step) for step in own] + [("denoise", step) for step in shared]
    expected = {f"weights/smoke/{folder}/{step}.safetensors" for folder, step in steps}
    steps.append((FOLDER, "search-exact-ehvi-6-blocks-s0"))
    expected |= {f"results/smoke/{folder}/{step}.json" for folder, step in steps}
    written = {path for path in files(checkout) if not path.startswith("checkpoints/")}
    assert written == expected | {f"results/smoke/{FOLDER}/evaluations.jsonl"}


def test_the_first_pair_finds_this_teacher_as_its_own(made, checkout, monkeypatch):
    before = files(checkout)
    monkeypatch.setattr(teacher, "make", None)
    monkeypatch.setattr(teacher, "make_pretraining", None)
    other = started(OTHER)
    assert other.teacher.result == made.run.teacher.result
    weights = other.teacher.net.state_dict()
    for name, tensor in made.run.teacher.net.state_dict().items():
        assert torch.equal(tensor, weights[name])
    assert files(checkout) == before
    identity = artifacts.read_json(other.ctx.store.manifest("teacher"))["identity"]
    assert identity["pair"] == OTHER
    assert "edge" not in identity["shape"]


def test_so_does_whoever_restores_with_either_pair(made):
    first, second = (evaluate.trained_teacher("denoise", "smoke", p) for p in (PAIR, OTHER))
    image = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(first(image), second(image))
        assert torch.equal(first(image), made.run.teacher.net(image))


def test_surrogates_are_edge_blocks_and_the_teacher_is_restormer(made):
    net, surrogates = made.run.teacher.net, made.run.pool.surrogates
    assert isinstance(net.shape, EdgeShape)
    assert {type(block) for stage in net.stages.values() for block in stage} == {RestormerBlock}
    assert list(surrogates) == list(RESTORMER.surrogates)
    assert {type(block) for stage in surrogates.values() for block in stage} == {EdgeBlock}


def test_distillation_moves_every_part_of_every_surrogate(made):
    for stage in made.run.pool.surrogates.values():
        for block in stage:
            assert block.conv.weight.abs().max() > 0
            assert block.project_out.weight.abs().max() > 0


def test_the_knee_is_fine_tuned_and_judged(made):
    result = made.tuned.result
    assert made.search.architectures[:2] == [0, RESTORMER.n_architectures - 1]
    assert result.architecture == RESTORMER.index(made.choice.knee)
    assert result.after == pytest.approx(made.run.ctx.psnr(made.tuned.net), abs=1e-9)
    identity = artifacts.read_json(
        made.run.ctx.store.manifest(finetune.job_name(made.run.ctx, (made.choice.knee, 0)))
    )["identity"]
    assert identity["pair"] == PAIR
    assert identity["shape"]["edge"]["expansion"] == 0.5  # as EdgeBlockShape has it


def test_the_fine_tuned_hybrid_is_the_same_in_onnxruntime(made, tmp_path):
    session = Session(to_onnx(made.tuned.net, tmp_path / "net.onnx", metadata(made.tuned.net)))
    image = made.run.ctx.validation[0].degraded
    expected = evaluate.restore(made.tuned.net, image)
    assert abs(session.restore(image) - expected).max() <= 1e-4


def test_whoever_restores_with_the_knee_has_what_notebook_6_chose_for_this_pair(made):
    label = RESTORMER.label(made.choice.knee)
    notebook = pipeline.start("06_finetune", task="denoise", profile="smoke", pair=PAIR)
    notebook.finish({"chosen": label})
    try:
        found = networks.get("knee", task="denoise", profile="smoke", pair=PAIR)
        with pytest.raises(FileNotFoundError, match=f"no chosen hybrid of {OTHER} in profile smo"):
            networks.get("knee", task="denoise", profile="smoke", pair=OTHER)
    finally:
        notebook.manifest.unlink()
    assert found.architecture == made.choice.knee
    assert context.digest(found.net) == made.tuned.result.digest


def test_what_is_on_file_is_found_again(made, checkout, monkeypatch):
    again, before = started(PAIR), files(checkout)
    monkeypatch.setattr(evaluate, "measure", None)
    assert again.search("exact-ehvi") == made.search
    assert files(checkout) == before


def test_the_teacher_that_is_trained_longer_is_one_for_all_its_pairs(made, checkout):
    job, before = (RESTORMER.teacher, 0), files(checkout)
    (longer,) = made.run.finetuned([job])
    written = {
        path
        for path in files(checkout).keys() - before.keys()
        if not path.startswith("checkpoints/")
    }
    name = finetune.job_name(made.run.ctx, job)
    assert written == {
        f"weights/smoke/denoise/{name}.safetensors",
        f"results/smoke/denoise/{name}.json",
    }
    other = started(OTHER)
    assert finetune.is_on_file(other.ctx, job)
    found = finetune.get(other.ctx, other.teacher, made.run.pool, job)
    assert found.result == longer.result
