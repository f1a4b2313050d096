"""What a sampler is told, and the one that learns nothing."""

from __future__ import annotations

import numpy as np
import pytest
import small_space
from small_space import SMALL, problem, proposals

from ensrepro.samplers import BATCHES, SAMPLERS, WITHOUT_REPEATS, proposer
from ensrepro.samplers.problem import Shuffled
from ensrepro.space import RESTORMER

DROPS = np.zeros(SMALL.n_architectures)


def test_the_anchors_are_the_teacher_and_the_cheapest():
    assert problem().anchors == (0, 44)
    assert problem(RESTORMER).anchors == (0, 34559)


def test_every_sampler_has_a_batch_and_can_be_made():
    assert BATCHES.keys() == SAMPLERS.keys() >= set(WITHOUT_REPEATS)
    for name in SAMPLERS:
        assert proposer(name, problem()).ask(2) == [SMALL.teacher, SMALL.cheapest]


def test_random_draws_everything_once_after_the_anchors():
    found = proposals(Shuffled(problem()), DROPS, 45, 10)
    assert found[:2] == [0, 44]
    assert sorted(found) == list(range(45))
    assert found != proposals(Shuffled(problem(seed=1)), DROPS, 45, 10)


def test_random_draws_what_is_within_the_budget():
    budget = float(np.quantile(small_space.latencies(), 0.5))
    within = small_space.within(budget) | {0, 44}
    found = proposals(Shuffled(problem(budget=budget)), DROPS, len(within), 10)
    assert set(found) == within


@pytest.mark.parametrize("name", ["random", "exact-ehvi", "additive", "additive+exact-ehvi"])
@pytest.mark.usefixtures("one_thread")
def test_a_sampler_without_repeats_ends_when_everything_was_proposed(name):
    drops = small_space.Additive(SMALL).drops
    sampler = proposer(name, problem())
    assert sorted(proposals(sampler, drops, 45, 8)) == list(range(45))
