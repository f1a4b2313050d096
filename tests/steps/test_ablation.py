"""Ablations at the smallest scale: each arm is what it says, tuned like the others, made once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ensrepro import distill, pipeline, training
from ensrepro.models.mambair import VSSBlock
from ensrepro.models.restormer import RestormerBlock
from ensrepro.space import RESTORMER
from ensrepro.steps import ablation, halves

CHOSEN = (0, 3, 0, 4, 0, 0, 2, 1)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    run = pipeline.start(
        "test", task="denoise", profile="smoke", out=str(tmp_path_factory.mktemp("smoke"))
    )
    parts = ablation.parts(run.ctx, run.teacher, run.pool)
    return SimpleNamespace(ctx=run.ctx, parts=parts)


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def network(made: SimpleNamespace, arm: str, seed: int = 0) -> nn.Module:
    return ablation.network(made.ctx, made.parts, arm, CHOSEN, seed).eval()


def test_fresh_surrogates_leave_the_teacher_without_their_stages(made, image):
    teacher, net = made.parts.teacher.net, network(made, ablation.FRESH)
    kept = [module if not choice else nn.Identity() for module, choice in
            zip(teacher.stages.values(), CHOSEN, strict=True)]  # fmt: skip
    stem, outputs = teacher.stem(image), []
    for stage, module in zip(RESTORMER.stages, kept, strict=True):
        outputs.append(module(teacher.enter(stage, stem, outputs)))
    expected = teacher.leave(image, stem, outputs[-1])
    assert torch.allclose(net(image), expected, atol=1e-6)


def test_random_weights_are_those_of_the_seed_and_begin_by_returning_the_input(made, image):
    first, again, other = (network(made, ablation.RANDOM, seed) for seed in (0, 0, 1))
    assert torch.equal(first(image), image)
    states = [net.state_dict() for net in (first, again, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    teacher = made.parts.teacher.net.state_dict()
    differ = [n for n in states[0] if n.endswith("qkv.weight") and n in teacher]
    assert differ
    assert not any(torch.equal(states[0][n], teacher[n]) for n in differ)
    assert not any(torch.equal(states[0][n], states[2][n]) for n in differ)


def test_equal_blocks_are_half_the_teachers_and_half_state_space(made):
    net = network(made, ablation.EQUAL)
    for stage in RESTORMER.stages:
        kinds = [type(block) for block in net.stages[stage.name]]
        half = stage.n_blocks // 2
        assert kinds == [RestormerBlock] * half + [VSSBlock] * (stage.n_blocks - half)


def test_a_half_is_distilled_from_the_middle_of_its_stage(made, image):
    base = made.parts.teacher.net
    stage = RESTORMER.stage("encoder_2")
    features = distill.stage_io(base, image)["encoder_2"]
    found = halves.second_half(base, stage, features)
    blocks = base.stages["encoder_2"]
    assert torch.equal(found.outputs, features.outputs)
    assert torch.allclose(blocks[3:](found.inputs), features.outputs, atol=1e-6)


def test_networks_share_no_weights_with_what_they_are_made_of(made):
    own = {p.data_ptr() for p in made.parts.teacher.net.parameters()}
    own |= {p.data_ptr() for half in made.parts.halves.values() for p in half.parameters()}
    for arm in ablation.ARMS:
        assert not own & {p.data_ptr() for p in network(made, arm).parameters()}


def test_results_are_made_once_and_tell_arms_and_seeds_apart(made, monkeypatch):
    asked = [(arm, seed) for arm in ablation.ARMS for seed in (0, 1)]
    first = {a: ablation.get(made.ctx, made.parts, a[0], CHOSEN, a[1]) for a in asked}
    for (arm, seed), result in first.items():
        assert (result.arm, result.seed) == (arm, seed)
        assert len(result.test) == len(made.ctx.test)
    assert first[ablation.EQUAL, 0].architecture == ablation.EVERY_STAGE
    assert first[ablation.FRESH, 0].architecture == RESTORMER.label(CHOSEN)
    # one seed, one sequence of patches; another start
    assert first[ablation.FRESH, 0].before != first[ablation.RANDOM, 0].before

    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(training, "fit", refuse)
    jobs = [(arm, CHOSEN, seed) for arm, seed in asked]
    assert ablation.get_many(made.ctx, made.parts, jobs) == list(first.values())


def test_an_unknown_arm_is_refused(made):
    with pytest.raises(ValueError, match="arm is 'half'; expected one of fresh, random, equal"):
        network(made, "half")


def test_random_hybrids_are_different_and_more_begin_with_the_same(made):
    twenty = ablation.drawn(made.ctx, 20, 0)
    assert len(set(twenty)) == 20
    assert ablation.drawn(made.ctx, 5, 0) == twenty[:5]
    assert all(RESTORMER.check(architecture) for architecture in twenty)
