"""Distillation: the cache holds the teacher's features, surrogates learn them, in any process."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ensrepro import data, distill
from ensrepro.config import Distillation, MambaIRShape, Phase, Schedule
from ensrepro.distill import StageIO
from ensrepro.models.hybrid import NetworkShape, build, surrogate_stage
from ensrepro.space import RESTORMER

SHAPE = NetworkShape(width=8, norm="bias_free", mambair=MambaIRShape(1.0, 4, 16))
SHORT = Schedule((Phase(2, 2, 16),), lr=1e-3, clip=1.0, checkpoint_every=1)
SETTINGS = Distillation(10, 16, SHORT, replace(SHORT, phases=(Phase(3, 2, 16),)))
DEEP, SHALLOW = ("decoder_2", 2), ("encoder_1", 2)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def teacher():
    torch.manual_seed(0)
    return build(RESTORMER.teacher, SHAPE).eval()


@pytest.fixture(scope="module")
def cache(teacher, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    distill.cache_features(teacher, "denoise", SETTINGS, 0, folder)
    return folder


def states(trained):
    return {done.key: done.module.state_dict() for done in trained}


def many(folder, keys=(SHALLOW, DEEP), **options):
    return distill.distill_many(keys, RESTORMER, SHAPE, SETTINGS, folder=folder, **options)


# ---------------------------------------------------------------- features


def test_stage_outputs_are_those_of_an_ordinary_forward_pass(teacher):
    seen = {}
    handles = [
        module.register_forward_hook(lambda _, x, y, name=name: seen.update({name: (x[0], y)}))
        for name, module in teacher.stages.items()
    ]
    images = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        restored = teacher(images)
    for handle in handles:
        handle.remove()
    found = distill.stage_io(teacher, images)
    assert list(found) == [stage.name for stage in RESTORMER.stages]
    for stage in RESTORMER.stages:
        x, y = found[stage.name]
        assert (
            x.shape == y.shape == (2, SHAPE.channels(stage), 16 >> stage.level, 24 >> stage.level)
        )
        assert torch.equal(x, seen[stage.name][0]), stage.name
        assert torch.equal(y, seen[stage.name][1]), stage.name
    with torch.no_grad():
        last = teacher.leave(images, teacher.stem(images), found["refinement"].outputs)
    assert torch.equal(last, restored)


def test_cached_features_are_the_stages_inputs_and_outputs(teacher, cache):
    """Batch by batch: 8 patches, then the 2 that are left."""
    first, _ = data.training_batch("denoise", distill.FEATURE_SEED, 0, Phase(1, 8, 16))
    rest, _ = data.training_batch("denoise", distill.FEATURE_SEED, 8, Phase(1, 2, 16))
    expected = [distill.stage_io(teacher, images) for images in (first, rest)]
    for stage in RESTORMER.stages:
        found = distill.cached_features(cache, stage.name)
        for i, features in enumerate(found):
            assert torch.equal(features, torch.cat([part[stage.name][i] for part in expected]))


def test_the_teacher_is_run_once_per_patch(teacher, tmp_path):
    n_seen = []
    handle = teacher.stem.register_forward_hook(lambda _, x, __: n_seen.append(len(x[0])))
    try:
        for _ in range(2):  # the second call finds everything there
            distill.cache_features(teacher, "denoise", SETTINGS, 0, tmp_path)
    finally:
        handle.remove()
    assert n_seen == [8, 2]


def test_a_killed_cache_starts_over(teacher, cache, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    run, calls = distill.stage_io, []

    def killed(net, images):
        calls.append(len(images))
        if len(calls) == 2:
            raise Killed
        return run(net, images)

    monkeypatch.setattr(distill, "stage_io", killed)
    with pytest.raises(Killed):
        distill.cache_features(teacher, "denoise", SETTINGS, 0, tmp_path)
    assert list(tmp_path.glob("*.npy"))
    distill.cache_features(teacher, "denoise", SETTINGS, 0, tmp_path)
    assert calls == [8, 2, 8, 2]
    for path in cache.glob("*.npy"):
        assert np.array_equal(np.load(tmp_path / path.name), np.load(path)), path.name


@pytest.mark.parametrize(
    ("settings", "seed"),
    [(replace(SETTINGS, n_patches=12), 0), (replace(SETTINGS, patch=24), 0), (SETTINGS, 1)],
)
def test_a_cache_of_other_patches_is_refused(teacher, cache, settings, seed):
    with pytest.raises(ValueError, match="caches 10 patches of 16 pixels, task denoise, seed 0"):
        distill.cache_features(teacher, "denoise", settings, seed, cache)


def test_a_batch_is_a_pure_function_of_seed_and_step(cache):
    features = distill.cached_features(cache, "encoder_1")
    phase = Phase(1, 4, 16)
    x, y = distill.feature_batch(features, 3, 7, phase)
    again = distill.feature_batch(features, 3, 7, phase)
    assert torch.equal(x, again[0])
    assert torch.equal(y, again[1])
    rows = [[i for i in range(10) if torch.equal(features.inputs[i], one)] for one in x]
    assert len({row for [row] in rows}) == 4  # four different patches
    for [row], one in zip(rows, y, strict=True):
        assert torch.equal(features.outputs[row], one)
    assert not torch.equal(x, distill.feature_batch(features, 3, 8, phase)[0])
    assert not torch.equal(x, distill.feature_batch(features, 4, 7, phase)[0])


# ---------------------------------------------------------------- one surrogate


def test_stages_at_full_resolution_get_the_longer_schedule():
    for stage in RESTORMER.stages:
        expected = 3 if stage.name in ("encoder_1", "decoder_1", "refinement") else 2
        assert distill.schedule_of(stage, SETTINGS).n_steps == expected


def test_a_surrogate_starts_as_the_identity_and_learns_its_stage(cache):
    stage, features = RESTORMER.stage("encoder_2"), distill.cached_features(cache, "encoder_2")
    longer = Schedule((Phase(25, 4, 16),), lr=3e-3, clip=1.0)
    done = distill.distill(stage, 2, SHAPE, features, replace(SETTINGS, schedule=longer))
    x, y = distill.feature_batch(features, 0, 0, Phase(1, 4, 16))
    assert done.history.losses[0] == pytest.approx((x - y).abs().mean().item(), rel=1e-6)
    assert np.mean(done.history.losses[-5:]) < 0.9 * np.mean(done.history.losses[:5])
    assert not done.module.training
    assert len(done.module) == 2
    assert distill.fidelity(done.module, features).explained > 0.1


def test_distillation_is_deterministic_and_its_seed_matters(cache):
    stage, features = RESTORMER.stage("bottleneck"), distill.cached_features(cache, "bottleneck")
    one, two, other = (
        distill.distill(stage, 2, SHAPE, features, SETTINGS, seed=seed) for seed in (0, 0, 1)
    )
    assert one.history.losses == two.history.losses
    for name, tensor in one.module.state_dict().items():
        assert torch.equal(tensor, two.module.state_dict()[name]), name
    assert one.history.losses != other.history.losses


@pytest.mark.parametrize("depth", [0, 3, 8])
def test_a_depth_that_the_stage_does_not_have_is_refused(cache, depth):
    features = distill.cached_features(cache, "encoder_2")
    with pytest.raises(
        ValueError, match=rf"encoder_2: depth is {depth}; expected one of \(6, 4, 2"
    ):
        distill.distill(RESTORMER.stage("encoder_2"), depth, SHAPE, features, SETTINGS)


def test_fidelity_of_the_identity_the_truth_and_something_between():
    x = torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    features = StageIO(x, 2 * x)
    # the identity misses |T - x| = |x| of |T| = 2 |x|, and explains none of the change
    assert distill.fidelity(nn.Identity(), features) == pytest.approx((0.5, 0.0), abs=1e-6)

    class Times(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            return self.factor * x

    assert distill.fidelity(Times(2), features) == pytest.approx((0, 1), abs=1e-6)
    # 1.5 x misses 0.5 |x|: a quarter of |T|, and a quarter of the energy of the change
    assert distill.fidelity(Times(1.5), features) == pytest.approx((0.25, 0.75), abs=1e-6)
    # -x is worse than the identity: 3 |x| of 2 |x|, 1 - 9
    assert distill.fidelity(Times(-1), features) == pytest.approx((1.5, -8), abs=1e-5)


# ---------------------------------------------------------------- many surrogates


def test_processes_and_order_change_no_weight(cache, tmp_path_factory):
    copies = [tmp_path_factory.mktemp("copy") for _ in range(2)]
    for folder in copies:
        shutil.copytree(cache, folder, dirs_exist_ok=True)
    torch.set_num_threads(2)
    try:
        alone = states(many(copies[0]))
        assert torch.get_num_threads() == 2  # the caller's setting is left alone
    finally:
        torch.set_num_threads(1)
    together = list(many(copies[1], keys=(DEEP, SHALLOW), processes=2))
    assert [done.key for done in together] == [SHALLOW, DEEP]  # dearest first
    assert not any(done.module.training for done in together)
    assert len(together[0].history.losses) == 3
    for key, state in states(together).items():
        for name, tensor in state.items():
            assert torch.equal(tensor, alone[key][name]), (key, name)


def test_a_trained_surrogate_can_be_trained_on(cache):
    """What comes back owns its weights; they are not views of something read-only."""
    [done] = many(cache, keys=(DEEP,))
    with torch.no_grad():
        for parameter in done.module.parameters():
            parameter.add_(1)
    fresh = surrogate_stage(RESTORMER.stage(DEEP[0]), DEEP[1], SHAPE)
    assert fresh.state_dict().keys() == done.module.state_dict().keys()


def test_a_stopped_pool_keeps_the_surrogates_that_were_ready(cache, tmp_path, monkeypatch):
    shutil.copytree(cache, tmp_path, dirs_exist_ok=True)
    for checkpoint in tmp_path.glob("surrogate-*"):
        checkpoint.unlink()
    [first] = islice(many(tmp_path), 1)
    update, steps = distill.fit.__globals__["update"], []

    def counted(*arguments):
        steps.append(1)
        return update(*arguments)

    monkeypatch.setitem(distill.fit.__globals__, "update", counted)
    again = {done.key: done for done in many(tmp_path)}
    assert len(steps) == 2  # those of the second surrogate alone
    assert again[first.key].history.losses == first.history.losses
