"""What is measured: every choice once, found architectures, and that parts are what they say."""

from __future__ import annotations

import pytest

from ensrepro.config import CONTROL, PAIRS
from ensrepro.devices import subjects
from ensrepro.devices.found import Found
from ensrepro.devices.subjects import BLOCKS, NETWORKS, STAGES, Subject, family
from ensrepro.models.counting import parameters
from ensrepro.models.edge import EdgeBlock
from ensrepro.models.hybrid import build
from ensrepro.models.mambair import VSSBlock
from ensrepro.models.restormer import RestormerBlock
from ensrepro.models.uformer import LeWinBlock
from ensrepro.space import RESTORMER, UFORMER

TEACHER = "T T T T T T T T"
OURS, OTHERS = family("restormer-edge"), family("uformer-mambair")


def test_stages_have_the_glue_and_every_choice_of_all_pairs_once():
    found = subjects.groups(STAGES, OURS, 64, "denoise")
    names = [one.name for group in found for one in group.subjects]
    # 8 teachers' stages, 22 surrogates of each of two pairs, and the glue
    assert len(names) == len(set(names)) == 8 + 2 * RESTORMER.n_surrogates + 1
    assert [group.subjects[0].architecture for group in found] == ["glue", *["T"] * 8]


@pytest.mark.parametrize("part", ["level_1", "level_4"])
@pytest.mark.parametrize(
    ("family", "pair", "kind"),
    [
        ("restormer", "restormer-mambair", RestormerBlock),
        ("mambair", "restormer-mambair", VSSBlock),
        ("edge", "restormer-edge", EdgeBlock),
    ],
)
def test_a_block_is_one_of_its_family_at_the_resolution_of_its_level(part, family, pair, kind):
    made = subjects.made(Subject(pair, "denoise", part, family, 64), "smoke", 0)
    assert isinstance(made.module, kind)
    # the stem has 8 channels in smoke; each level has twice the channels and half the side
    level = int(part[-1]) - 1
    assert (made.n_in, made.n_out, made.side) == (8 * 2**level, 8 * 2**level, 64 // 2**level)


@pytest.mark.parametrize("pair", [pair.name for pair in OURS.pairs])
def test_glue_and_stages_have_together_what_the_network_has(pair: str):
    label = RESTORMER.label(RESTORMER.cheapest)
    one = Subject(pair, "derain", "network", label, 32)
    whole = subjects.made(one, "smoke", 0).module
    parts = [Subject(pair, "derain", "glue", "glue", 32)]
    parts += [Subject(pair, "derain", stage.name, "2", 32) for stage in RESTORMER.stages]
    total = sum(parameters(subjects.made(part, "smoke", 0).module) for part in parts)
    shape = subjects.shape_of(one, "smoke")
    assert total == parameters(whole) == parameters(build(RESTORMER.cheapest, shape))
    assert shape.norm == "with_bias"  # that of derain


def test_every_pair_but_the_control_is_measured_in_one_family():
    pairs = [pair for of in (OURS, OTHERS) for pair in of.pairs]
    timed = [pair for pair in PAIRS.values() if pair.name != CONTROL]
    assert pairs == sorted(timed, key=lambda pair: pair.expressive)
    assert (OURS.name, OTHERS.name) == ("restormer", "uformer")
    with pytest.raises(ValueError, match="pair is 'swin'; expected one of restormer-mambair"):
        family("swin")


def test_uformer_has_nine_stages_with_every_choice_and_five_levels():
    stages = subjects.groups(STAGES, OTHERS, 128, "denoise")
    names = [one.name for group in stages for one in group.subjects]
    assert len(names) == len(set(names)) == 9 + UFORMER.n_surrogates + 1
    blocks = subjects.groups(BLOCKS, OTHERS, 128, "denoise")
    assert [[one.architecture for one in group.subjects] for group in blocks] == [
        ["uformer", "mambair"]
    ] * 5
    first = subjects.made(blocks[4].subjects[0], "smoke", 0)
    # the bottleneck has 16 times the 8 channels of the stem, and a 16th of the side
    assert isinstance(first.module, LeWinBlock)
    assert (first.n_in, first.side) == (128, 8)


def test_uformer_s_networks_are_those_that_were_found_for_it():
    every = [
        Found("restormer-mambair", "derain", "T T 4 2 6 T T T"),
        Found("uformer-mambair", "denoise", "1 T T 4 2 T T T 1"),
    ]
    found = subjects.groups(NETWORKS, OTHERS, 128, "denoise", every)
    labels = [UFORMER.label(UFORMER.all_ssm), UFORMER.label(UFORMER.cheapest), "1 T T 4 2 T T T 1"]
    assert [g.subjects[1].architecture for g in found] == labels
    assert {g.subjects[0].architecture for g in found} == {"T T T T T T T T T"}


def test_of_large_images_only_the_networks_that_matter_most_are_timed():
    every = [
        Found("restormer-mambair", "derain", "T T 4 2 6 T T T"),
        Found("restormer-mambair", "denoise", "T T 4 2 6 T T 2"),
    ]
    found = subjects.groups(NETWORKS, OURS, 512, "denoise", every)
    shallow = RESTORMER.label(RESTORMER.cheapest)
    assert [(g.subjects[1].pair, g.subjects[1].architecture) for g in found] == [
        ("restormer-mambair", shallow),
        ("restormer-edge", shallow),
        ("restormer-mambair", "T T 4 2 6 T T 2"),
    ]


def test_the_teacher_has_nothing_beside_it():
    alone = subjects.network_group("restormer-edge", "denoise", TEACHER, 64)
    assert [one.pair for one in alone.subjects] == ["restormer-mambair"]


def test_networks_are_each_beside_the_teacher_of_their_own_task():
    every = [
        Found("restormer-mambair", "derain", "T T 4 2 6 T T T"),
        Found("restormer-edge", "denoise", "2 2 2 2 2 2 2 T"),
        Found("uformer-mambair", "denoise", "T T T T T T T T T"),
        Found("restormer-mambair", "deblur", TEACHER),  # which is the reference itself
    ]
    found = subjects.groups(NETWORKS, OURS, 64, "denoise", every)
    pairs = [(g.subjects[0].architecture, g.subjects[0].task, g.subjects[1].task) for g in found]
    assert set(pairs) == {(TEACHER, "denoise", "denoise"), (TEACHER, "derain", "derain")}
    hybrids = [
        Found(g.subjects[1].pair, g.subjects[1].task, g.subjects[1].architecture) for g in found
    ]
    assert len(hybrids) == 2 * 2 + 2
    assert Found("restormer-mambair", "derain", "T T 4 2 6 T T T") in hybrids
    assert Found("restormer-edge", "denoise", "2 2 2 2 2 2 2 T") in hybrids


def test_blocks_of_a_level_are_compared_with_restormers():
    found = subjects.groups(BLOCKS, OURS, 64, "denoise")
    assert [group.name for group in found] == ["level_1", "level_2", "level_3", "level_4"]
    for group in found:
        families = [one.architecture for one in group.subjects]
        assert families == ["restormer", "mambair", "edge"]
        assert {one.pair for one in group.subjects} <= PAIRS.keys()
