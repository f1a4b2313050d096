"""The search space: its size, its numbering, its words, and what an architecture costs."""

from __future__ import annotations

import pickle
from itertools import pairwise, product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensrepro.space import (
    PENALTY_TABLES,
    RESTORMER,
    TEACHER,
    UFORMER,
    Space,
    Stage,
    choice_penalty,
    penalty,
    penalty_saved,
    uformer_space,
)

# Section 3.4 of the paper: the depths that are distilled, stage by stage (22 surrogates in all).
DEPTHS = {
    "encoder_1": (4, 2),
    "encoder_2": (6, 4, 2),
    "encoder_3": (6, 4, 2),
    "bottleneck": (8, 6, 4, 2),
    "decoder_3": (6, 4, 2),
    "decoder_2": (6, 4, 2),
    "decoder_1": (4, 2),
    "refinement": (4, 2),
}
BLOCKS = (4, 6, 6, 8, 6, 6, 4, 4)  # Restormer: [4, 6, 6, 8], mirrored, and 4 of refinement

architectures = st.tuples(*(st.integers(0, n - 1) for n in RESTORMER.n_choices))


def test_the_stages_are_the_papers():
    assert {stage.name: stage.depths for stage in RESTORMER.stages} == DEPTHS
    assert list(DEPTHS) == [stage.name for stage in RESTORMER.stages]
    assert tuple(stage.n_blocks for stage in RESTORMER.stages) == BLOCKS
    assert tuple(stage.heads for stage in RESTORMER.stages) == (1, 2, 4, 8, 4, 2, 1, 1)
    assert tuple(stage.level for stage in RESTORMER.stages) == (0, 1, 2, 3, 2, 1, 0, 0)
    assert tuple(stage.width_factor for stage in RESTORMER.stages) == (1, 2, 4, 8, 4, 2, 2, 2)


def test_there_are_34560_architectures_and_22_surrogates():
    assert RESTORMER.n_choices == (3, 4, 4, 5, 4, 4, 3, 3)
    assert RESTORMER.n_architectures == prod(RESTORMER.n_choices) == 34560
    assert RESTORMER.n_surrogates == len(set(RESTORMER.surrogates)) == 22
    assert RESTORMER.surrogates == tuple((n, d) for n, depths in DEPTHS.items() for d in depths)


def test_depths_start_with_the_teachers_and_fall():
    for stage in RESTORMER.stages:
        assert stage.depths[0] == stage.n_blocks
        assert list(stage.depths) == sorted(set(stage.depths), reverse=True)


def test_numbers_and_architectures_are_inverse_for_all():
    everything = list(RESTORMER)
    # itertools.product counts in the same order: the last stage varies fastest
    assert everything == list(product(*(range(n) for n in RESTORMER.n_choices)))
    assert [RESTORMER.index(architecture) for architecture in everything] == list(range(34560))


def test_named_architectures_have_the_numbers_of_their_place():
    assert RESTORMER.index(RESTORMER.teacher) == 0
    assert RESTORMER.index(RESTORMER.cheapest) == 34559
    assert RESTORMER.all_ssm == (1,) * 8
    # weights of the digits: products of the number of choices of the stages behind
    assert RESTORMER.index(RESTORMER.all_ssm) == 11520 + 2880 + 720 + 144 + 36 + 9 + 3 + 1


def test_labels_say_what_fills_a_stage():
    assert RESTORMER.label(RESTORMER.teacher) == "T T T T T T T T"
    assert RESTORMER.label(RESTORMER.all_ssm) == "4 6 6 8 6 6 4 4"
    assert RESTORMER.label(RESTORMER.cheapest) == "2 2 2 2 2 2 2 2"
    assert RESTORMER.label((0, 2, 3, 1, 0, 0, 1, 2)) == "T 4 2 8 T T 4 2"


def test_no_two_architectures_share_a_label():
    assert len({RESTORMER.label(a) for a in RESTORMER}) == 34560


def test_a_label_is_read_as_the_architecture_that_it_labels():
    for number in range(0, 34560, 1001):
        architecture = RESTORMER.architecture(number)
        assert RESTORMER.labeled(RESTORMER.label(architecture)) == architecture


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("", "label is ''; expected 8 words, one a stage"),
        ("T T T T T T T", "label is 'T T T T T T T'; expected 8 words"),
        ("T T T T T T T 6", "refinement: '6' is not one of T, 4, 2"),
        ("t T T T T T T T", "encoder_1: 't' is not one of T, 4, 2"),
    ],
)
def test_what_is_no_label_is_refused_in_a_sentence(label, sentence):
    with pytest.raises(ValueError, match=sentence):
        RESTORMER.labeled(label)


@pytest.mark.parametrize(
    "choices", [[0] * 8, np.zeros(8, int), np.zeros(8, np.uint8), (np.int16(0),) * 8]
)
def test_any_sequence_of_integers_is_an_architecture(choices):
    checked = RESTORMER.check(choices)
    assert checked == RESTORMER.teacher
    assert {type(choice) for choice in checked} == {int}


@pytest.mark.parametrize(
    ("architecture", "sentence"),
    [
        ((), r"architecture has 0 choices; restormer has 8 stages"),
        ((0,) * 7, r"architecture has 7 choices; restormer has 8 stages"),
        ((0,) * 9, r"architecture has 9 choices; restormer has 8 stages"),
        ((3, *[0] * 7), r"encoder_1: choice 3 is not in 0\.\.2"),
        ((0, 0, 0, 5, 0, 0, 0, 0), r"bottleneck: choice 5 is not in 0\.\.4"),
        ((*[0] * 7, -1), r"refinement: choice -1 is not in 0\.\.2"),
        ((0, True, *[0] * 6), r"encoder_2: choice True is not an integer"),
        ((0, np.True_, *[0] * 6), r"encoder_2: choice .*True.* is not an integer"),
        ((0, 1.0, *[0] * 6), r"encoder_2: choice 1\.0 is not an integer"),
        (np.ones(8), r"encoder_1: choice .*1\.0.* is not an integer"),
        (np.ones((8, 2), int), r"encoder_1: choice array\(\[1, 1\]\) is not an integer"),
        ((0, "1", *[0] * 6), r"encoder_2: choice '1' is not an integer"),
        ((0, None, *[0] * 6), r"encoder_2: choice None is not an integer"),
        ("00000000", r"encoder_1: choice '0' is not an integer"),
        (5, r"architecture is 5; expected 8 choices"),
        (None, r"architecture is None; expected 8 choices"),
    ],
)
def test_what_is_no_architecture_is_refused_in_a_sentence(architecture, sentence):
    for use in (RESTORMER.check, RESTORMER.index, RESTORMER.label, penalty):
        with pytest.raises(ValueError, match=sentence):
            use(architecture)


@pytest.mark.parametrize("index", [-1, 34560, 2.0, True, "0", None, np.float64(3)])
def test_what_is_no_number_of_an_architecture_is_refused(index):
    with pytest.raises(ValueError, match=r"^index "):
        RESTORMER.architecture(index)


def test_a_numpy_number_gives_plain_choices():
    assert RESTORMER.architecture(np.int64(34559)) == RESTORMER.cheapest
    assert {type(c) for c in RESTORMER.architecture(np.int64(34559))} == {int}


@pytest.mark.parametrize("stage", RESTORMER.stages, ids=lambda stage: stage.name)
def test_a_swap_replaces_one_stage_of_the_teacher(stage: Stage):
    place = RESTORMER.stages.index(stage)
    for choice in range(stage.n_choices):
        swapped = RESTORMER.swapped(stage.name, choice)
        assert swapped[place] == choice
        assert sum(c != TEACHER for c in swapped) == (choice != TEACHER)


def test_a_stage_that_does_not_exist_is_refused_by_name():
    with pytest.raises(ValueError, match=r"stage is 'latent'; expected one of encoder_1, .*ment"):
        RESTORMER.stage("latent")
    with pytest.raises(ValueError, match="stage is 'latent'"):
        RESTORMER.swapped("latent", 0)
    with pytest.raises(ValueError, match=r"decoder_1: choice 3 is not in 0\.\.2"):
        RESTORMER.swapped("decoder_1", 3)


def test_depth_counts_the_blocks_of_a_choice():
    bottleneck = RESTORMER.stage("bottleneck")
    assert [bottleneck.depth(choice) for choice in range(5)] == [8, 8, 6, 4, 2]
    for choice in (-1, 5):
        with pytest.raises(ValueError, match=rf"bottleneck: choice {choice} is not in 0\.\.4"):
            bottleneck.depth(choice)


def test_a_space_is_a_value():
    assert pickle.loads(pickle.dumps(RESTORMER)) == RESTORMER
    assert len({RESTORMER, Space("restormer", RESTORMER.stages)}) == 1


def test_the_names_of_the_penalty_tables():
    assert list(PENALTY_TABLES) == ["blocks", "rank", "transformers"]  # assumption A4


@pytest.mark.parametrize(
    ("table", "teacher", "all_ssm", "cheapest"),
    [
        # 44 teacher blocks at 1.0; 44 and 16 surrogate blocks at 0.4
        ("blocks", 44.0, 17.6, 6.4),
        # ranks: 2+3+3+4+3+3+2+2 for the teacher, one less a stage for the deepest surrogate
        ("rank", 22.0, 14.0, 0.0),
        ("transformers", 44.0, 0.0, 0.0),
    ],
)
def test_penalties_of_the_named_architectures(table, teacher, all_ssm, cheapest):
    # exactly equal: sums are rounded, so that equal penalties compare equal
    assert penalty(RESTORMER.teacher, table) == teacher
    assert penalty(RESTORMER.all_ssm, table) == all_ssm
    assert penalty(RESTORMER.cheapest, table) == cheapest


def test_the_default_table_is_blocks():
    architecture = (0, 2, 3, 1, 0, 0, 1, 2)
    # blocks: 4 + 0.4 * (4 + 2 + 8) + 6 + 6 + 0.4 * (4 + 2)
    assert penalty(architecture) == penalty(architecture, "blocks") == 24.0


@pytest.mark.parametrize("table", PENALTY_TABLES)
@given(architecture=architectures, place=st.integers(0, 7))
def test_a_smaller_choice_never_costs_more(table, architecture, place):
    stage = RESTORMER.stages[place]
    penalties = [
        penalty((*architecture[:place], choice, *architecture[place + 1 :]), table)
        for choice in range(stage.n_choices)
    ]
    if table == "transformers":  # surrogates tie
        assert penalties[0] > penalties[1]
        assert len(set(penalties[1:])) == 1
    else:
        assert all(a > b for a, b in pairwise(penalties))


@given(architecture=architectures)
def test_a_penalty_is_the_sum_of_its_stages(architecture):
    for table in PENALTY_TABLES:
        parts = [
            choice_penalty(stage, choice, table)
            for stage, choice in zip(RESTORMER.stages, architecture, strict=True)
        ]
        assert penalty(architecture, table) == pytest.approx(sum(parts), abs=1e-9)


def test_equal_sums_are_equal_numbers():
    penalties = np.array([penalty(architecture) for architecture in RESTORMER])
    distinct = np.unique(penalties)
    # in tenths a teacher's stage costs 40, 60 or 80 and a surrogate 8, 16, 24 or 32: steps of 4
    assert np.diff(distinct).min() == pytest.approx(0.4)
    assert penalties.argmin() == 34559
    assert penalties.argmax() == 0


def test_what_is_no_penalty_table_is_refused():
    sentence = "penalty table is 'latency'; expected one of blocks, rank, transformers"
    with pytest.raises(ValueError, match=sentence):
        penalty(RESTORMER.teacher, "latency")
    with pytest.raises(ValueError, match=sentence):
        choice_penalty(RESTORMER.stages[0], 0, "latency")
    for table in PENALTY_TABLES:
        with pytest.raises(ValueError, match=r"encoder_1: choice 3 is not in 0\.\.2"):
            choice_penalty(RESTORMER.stages[0], 3, table)


def test_the_saved_share_of_the_penalty_adds_up_over_stages():
    names = [stage.name for stage in RESTORMER.stages]
    architecture = (0, 2, 0, 4, 1, 0, 2, 1)
    for table in PENALTY_TABLES:
        whole = penalty(RESTORMER.teacher, table)
        expected = 1 - penalty(architecture, table) / whole
        assert penalty_saved(architecture, names, table) == pytest.approx(expected)
        parts = [penalty_saved(architecture, [name], table) for name in names]
        assert sum(parts) == pytest.approx(expected)
    # table blocks: 8 teacher blocks become 2 surrogate blocks of 0.4, out of 44
    assert penalty_saved(architecture, ["bottleneck"]) == pytest.approx((8 - 0.8) / 44)
    assert penalty_saved(RESTORMER.teacher, names) == 0.0


# ---------------------------------------------------------------- Uformer


def test_a_stage_may_become_as_many_blocks_or_two_four_six_fewer():
    space = UFORMER
    assert [stage.name for stage in space.stages] == [
        *("encoder_1", "encoder_2", "encoder_3", "encoder_4", "bottleneck"),
        *("decoder_4", "decoder_3", "decoder_2", "decoder_1"),
    ]
    depths = [stage.depths for stage in space.stages]
    assert depths[:5] == [(1,), (2,), (8, 6, 4, 2), (8, 6, 4, 2), (2,)]
    assert depths[5:] == depths[:4][::-1]
    assert space.n_surrogates == 5 * 1 + 4 * 4 == 21
    assert space.n_architectures == 2**5 * 5**4 == 20_000
    assert uformer_space((2,) * 9).n_architectures == 2**9


@pytest.mark.parametrize("n_blocks", [(2,) * 8, (2, 2, 2, 0, 2, 2, 2, 2, 2)])
def test_a_space_needs_blocks_for_nine_stages(n_blocks):
    with pytest.raises(ValueError, match="expected 9 numbers, each at least 1"):
        uformer_space(n_blocks)
