"""The pair of Uformer and MambaIR goes through the steps that Restormer goes through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pair_at_work import all_steps, files, repository, started

from ensrepro import artifacts, evaluate
from ensrepro.config import PAIRS, PROFILES
from ensrepro.models.hybrid import assemble
from ensrepro.models.mambair import VSSBlock
from ensrepro.models.uformer import LeWinBlock
from ensrepro.space import RESTORMER, UFORMER
from ensrepro.steps import finetune, teacher

pytestmark = pytest.mark.usefixtures("one_thread")

PAIR, FOLDER = "uformer-mambair", "denoise-uformer"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with repository(tmp_path_factory.mktemp("pair")) as folder:
        yield folder


@pytest.fixture(scope="module")
def made(checkout: Path) -> SimpleNamespace:
    return all_steps(PAIR)


def test_every_step_is_made_in_folders_of_the_pair(made, checkout):
    name = finetune.job_name(made.run.ctx, (made.choice.knee, 0))
    steps = ("pretraining", "teacher", "pool", "search-exact-ehvi-6-blocks-s0", name)
    results = {f"results/smoke/{FOLDER}/{step}.json" for step in steps}
    weights = {
        f"weights/smoke/{FOLDER}/{step}.safetensors"
        for step in ("pretraining", "teacher", "pool", name)
    }
    written = {path for path in files(checkout) if not path.startswith("checkpoints/")}
    assert written == results | weights | {f"results/smoke/{FOLDER}/evaluations.jsonl"}


def test_the_teacher_is_a_uformer_on_images_that_fit_it(made):
    net, ctx = made.run.teacher.net, made.run.ctx
    assert {type(block) for stage in net.stages.values() for block in stage} == {LeWinBlock}
    assert net.multiple == PAIRS[PAIR].multiple == 128
    assert {pair.clean.shape for pair in ctx.validation} == {(128, 128, 3)}
    assert ctx.profile.teacher.phases[0].patch == 128
    assert ctx.test[0].clean.shape == (32, 32, 3)  # restoring pads it
    assert list(made.run.teacher.result.identity_drops) == [s.name for s in UFORMER.stages]


def test_an_untrained_teacher_returns_its_input(made):
    net = teacher.untrained(made.run.ctx)
    image = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(net(image), image)


def test_the_pool_has_the_21_surrogates_of_its_space(made):
    assert list(made.run.pool.surrogates) == list(UFORMER.surrogates)
    assert len(UFORMER.surrogates) == 21
    for stage in made.run.pool.surrogates.values():
        assert {type(block) for block in stage} == {VSSBlock}


def test_a_search_is_about_hybrids_of_these_very_parts(made):
    found, space = made.search, made.run.ctx.space
    assert found.architectures[:2] == [0, UFORMER.n_architectures - 1]
    assert found.n_trials == PROFILES["smoke"].n_trials
    assert found.points[0].tolist() == [0, 40]  # 1+2+8+8+2+8+8+2+1 blocks of the teacher
    number, psnr = found.architectures[-1], found.psnr[-1]
    parts = made.run.teacher.net, made.run.pool.surrogates
    hybrid = assemble(*parts, space.architecture(number))
    assert psnr == pytest.approx(made.run.ctx.psnr(hybrid), abs=1e-6)


def test_the_knee_is_fine_tuned_and_judged(made):
    result = made.tuned.result
    assert result.architecture == UFORMER.index(made.choice.knee)
    assert result.after == pytest.approx(made.run.ctx.psnr(made.tuned.net), abs=1e-9)
    assert np.isfinite([row["psnr"] for row in result.test]).all()


def test_what_is_on_file_is_found_again_and_names_the_pair(made, checkout, monkeypatch):
    again, before = started(PAIR), files(checkout)
    monkeypatch.setattr(evaluate, "measure", None)
    assert again.search("exact-ehvi") == made.search
    assert files(checkout) == before
    identity = artifacts.read_json(again.ctx.store.manifest("teacher"))["identity"]
    assert identity["pair"] == PAIR
    assert identity["shape"]["image_size"] == 128


def test_the_first_pair_does_not_see_it(made):
    other = started("restormer-mambair")
    assert other.ctx.space == RESTORMER
    assert not other.ctx.store.manifest("teacher").exists()
