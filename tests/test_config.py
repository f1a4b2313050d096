"""Profiles, tasks and schedules: frozen values that make sense."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensrepro.config import (
    DEFAULT_PAIR,
    PAIRS,
    PROFILES,
    RESTORMER_SCHEDULE,
    TASKS,
    MambaIRShape,
    Phase,
    Profile,
    Schedule,
    named,
    teacher_pair,
)
from ensrepro.space import RESTORMER

DOWN = 8  # three halvings: a side of the patch must be a multiple


def schedules(profile: Profile) -> dict[str, Schedule]:
    return {
        "teacher": profile.teacher,
        "surrogates": profile.distillation.schedule,
        "surrogates at full resolution": profile.distillation.full_resolution,
        "fine-tuning": profile.finetune,
    }


each_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_each_step_falls_into_the_phase_that_a_walk_finds(lengths):
    phases = tuple(Phase(steps, 1, 8 * (i + 1)) for i, steps in enumerate(lengths))
    schedule = Schedule(phases, lr=1e-3)
    walked = [phase for phase in phases for _ in range(phase.steps)]
    assert schedule.n_steps == len(walked)
    assert [schedule.phase_at(step) for step in range(schedule.n_steps)] == walked


def test_the_borders_of_a_phase():
    first, second = Phase(10, 4, 64), Phase(5, 2, 96)
    schedule = Schedule((first, second), lr=1e-3)
    assert schedule.phase_at(0) == schedule.phase_at(9) == first
    assert schedule.phase_at(10) == schedule.phase_at(14) == second


@pytest.mark.parametrize("step", [-1, 15, 1000])
def test_a_step_outside_the_schedule_is_refused(step):
    schedule = Schedule((Phase(10, 4, 64), Phase(5, 2, 96)), lr=1e-3)
    with pytest.raises(ValueError, match=rf"step is {step}; expected 0\.\.14"):
        schedule.phase_at(step)


def test_named_returns_the_value_of_a_name():
    for name, profile in PROFILES.items():
        assert named("profile", name, PROFILES) is profile


@pytest.mark.parametrize("name", ["large", "", "Mini", None, 3, ["mini"], True])
def test_named_lists_what_is_allowed(name):
    with pytest.raises(ValueError, match=r"one of smoke, mini, small, paper$") as caught:
        named("profile", name, PROFILES)
    assert f"profile is {name!r}" in str(caught.value)


def test_every_value_is_known_by_its_own_name():
    for table in (PROFILES, TASKS, PAIRS):
        assert all(value.name == name for name, value in table.items())
    assert list(PROFILES) == ["smoke", "mini", "small", "paper"]
    assert "denoise" in TASKS
    assert list(PAIRS) == [
        "restormer-mambair",
        "uformer-mambair",
        "restormer-edge",
        "restormer-stateless",
    ]
    assert next(iter(PAIRS)) == DEFAULT_PAIR


def test_the_pairs_have_the_spaces_of_their_teachers_and_folders_of_their_own():
    # section 3.4; assumption A34
    sizes = {name: (p.space.n_architectures, p.space.n_surrogates) for name, p in PAIRS.items()}
    assert sizes == {
        "restormer-mambair": (34_560, 22),
        "uformer-mambair": (20_000, 21),
        "restormer-edge": (34_560, 22),
        "restormer-stateless": (34_560, 22),
    }
    assert PAIRS[DEFAULT_PAIR].suffix == ""  # its results were there before there were pairs
    assert len({pair.suffix for pair in PAIRS.values()}) == len(PAIRS)


def test_pairs_that_share_a_teacher_have_the_same_family_and_sizes():
    shared = {p.name: teacher_pair(p).name for p in PAIRS.values() if p.teacher_of}
    assert shared == dict.fromkeys(["restormer-edge", "restormer-stateless"], "restormer-mambair")
    for name, other in shared.items():
        kind = name.removeprefix("restormer-")
        own = {"name": name, "efficient": kind, "suffix": f"-{kind}", "teacher_of": other}
        assert replace(PAIRS[other], **own) == PAIRS[name]
    assert teacher_pair(PAIRS["uformer-mambair"]) == PAIRS["uformer-mambair"]


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_pairs_multiple_is_what_its_deepest_level_halves_to_whole_windows(pair):
    deepest = max(stage.level for stage in pair.space.stages)
    window = {"restormer": 1, "uformer": 8}[pair.expressive]  # Uformer, section 4.1: windows of 8
    assert pair.multiple == window * 2**deepest


@each_profile
def test_profiles_are_frozen_all_the_way_down(profile):
    def frozen(value: object) -> bool:
        if is_dataclass(value):
            with pytest.raises(FrozenInstanceError):
                setattr(value, fields(value)[0].name, None)
            return all(frozen(getattr(value, field.name)) for field in fields(value))
        if isinstance(value, tuple):
            return all(map(frozen, value))
        return value is None or isinstance(value, (str, int, float))

    assert frozen(profile)
    assert hash(profile) == hash(pickle.loads(pickle.dumps(profile)))


@each_profile
def test_a_profile_fits_the_first_pair_as_it_is(profile):
    assert profile.fitted(PAIRS[DEFAULT_PAIR].multiple) == profile


def test_mini_for_uformer_sees_as_many_pixels_in_fewer_patches():
    mini = PROFILES["mini"].fitted(128)
    assert mini.teacher.phases == (Phase(1600, 1, 128), Phase(800, 1, 128))
    assert mini.pretraining.phases == (Phase(3200, 1, 128), Phase(800, 1, 128))
    assert mini.finetune.phases == (Phase(270, 1, 128), Phase(80, 1, 128))
    assert mini.distillation.schedule.phases == (Phase(400, 1, 128),)
    assert (mini.distillation.n_patches, mini.distillation.patch) == (64, 128)
    assert 64 * 128**2 == 256 * 64**2
    assert (mini.evaluation.n_validation, mini.evaluation.validation_size) == (8, 128)
    assert mini.evaluation.test_size is None
    assert PROFILES["paper"].fitted(128).pretraining is None


@each_profile
def test_every_schedule_of_a_profile_makes_sense(profile):
    for what, schedule in schedules(profile).items():
        assert schedule.phases, what
        assert schedule.n_steps == sum(phase.steps for phase in schedule.phases)
        for phase in schedule.phases:
            assert phase.steps > 0, what
            assert phase.batch > 0, what
            assert phase.patch > 0, what
            assert phase.patch % DOWN == 0, what
        assert 0 < schedule.lr_min < schedule.lr < 0.1, what
        assert 0 <= schedule.hold < 1, what
        assert 0 <= schedule.warmup < schedule.n_steps, what
        assert schedule.clip > 0, what
        assert 0 <= schedule.weight_decay < 0.1, what
        assert schedule.checkpoint_every > 0, what
        patches = [phase.patch for phase in schedule.phases]
        assert patches == sorted(patches), f"{what}: patches grow"


@each_profile
def test_every_number_of_a_profile_makes_sense(profile):
    assert profile.price
    assert profile.width % max(stage.heads for stage in RESTORMER.stages) == 0
    images = profile.evaluation
    assert images.n_validation > 0
    assert images.validation_size % DOWN == 0
    assert images.n_test > 0
    assert images.test_size is None or images.test_size % DOWN == 0
    assert profile.n_trials >= 2  # the teacher and the cheapest always count
    assert 1 <= profile.n_candidates <= profile.n_trials
    assert profile.n_seeds >= 1
    assert profile.max_processes >= 1
    distillation = profile.distillation
    for schedule in (distillation.schedule, distillation.full_resolution):
        for phase in schedule.phases:
            assert phase.batch <= distillation.n_patches  # drawn without replacement
            assert phase.patch == distillation.patch  # the cache has one size
    assert distillation.full_resolution.n_steps >= distillation.schedule.n_steps


def test_searches_worth_the_name_have_the_papers_500_evaluations():
    # section 3.5; assumption A9
    assert {name for name, p in PROFILES.items() if p.n_trials == 500} == {"mini", "small", "paper"}
    assert {name for name, p in PROFILES.items() if p.n_candidates == 5} == {
        "mini",
        "small",
        "paper",
    }


def test_the_papers_teacher_is_trained_as_restormer_was():
    # Restormer, section 4: 300K iterations, (patch, batch) (128, 64) ... (384, 8), 3e-4 to 1e-6
    steps = {phase.patch: phase.batch for phase in RESTORMER_SCHEDULE.phases}
    assert steps == {128: 64, 160: 40, 192: 32, 256: 16, 320: 8, 384: 8}
    assert RESTORMER_SCHEDULE.n_steps == 300_000
    assert (RESTORMER_SCHEDULE.lr, RESTORMER_SCHEDULE.lr_min) == (3e-4, 1e-6)
    assert PROFILES["paper"].teacher == RESTORMER_SCHEDULE
    assert PROFILES["paper"].width == 48


def test_the_inner_width_is_rounded_up_to_the_multiple():
    # MambaIR's U-Net: int(1.5 * 48) = 72 and so on; small profiles: 16 at 8 channels (A6)
    paper = PROFILES["paper"].mambair
    assert [paper.inner_width(c) for c in (48, 96, 192, 384)] == [72, 144, 288, 576]
    mini = PROFILES["mini"].mambair
    assert [mini.inner_width(c) for c in (8, 16, 32, 64)] == [16, 16, 32, 64]


@given(st.integers(1, 400), st.sampled_from([1, 4, 16]), st.sampled_from([1.0, 1.5, 2.0]))
def test_the_inner_width_is_the_least_multiple_that_is_wide_enough(channels, multiple, expand):
    width = MambaIRShape(expand, 4, multiple).inner_width(channels)
    assert width % multiple == 0
    assert 0 <= width - int(expand * channels) < multiple


@each_profile
def test_cpu_profiles_keep_the_kernels_vectors_full(profile):
    if profile.name != "paper":
        for stage in RESTORMER.stages:
            assert profile.mambair.inner_width(profile.width * stage.width_factor) % 16 == 0


def test_every_task_states_a_protocol_that_exists():
    from ensrepro.metrics import PROTOCOLS

    for task in TASKS.values():
        assert task.protocol in PROTOCOLS
        assert task.in_channels in (3, 6)
        assert task.norm in ("bias_free", "with_bias")
