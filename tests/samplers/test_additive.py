"""additive: dynamic programming against brute force, and what is proposed in which order."""

from __future__ import annotations

import numpy as np
import pytest
import small_space
from small_space import SMALL, problem, proposals

from ensrepro import pareto
from ensrepro.samplers import additive
from ensrepro.samplers.additive import Additive, additive_front, scores_of, single_swaps, sums
from ensrepro.samplers.exact import ExactEhvi
from ensrepro.space import RESTORMER, penalty

LATENCY = small_space.latencies()


def random_scores(n_objectives: int, seed: int, space=RESTORMER) -> list[np.ndarray]:
    """The teacher's choice scores 0; drops rise, costs fall, with exceptions."""
    rng = np.random.default_rng(seed)
    signs = np.array([1.0, -1.0, -1.0][:n_objectives])
    scores = [signs * rng.normal(1, 0.7, (n, n_objectives)) for n in space.n_choices]
    for own in scores:
        own[0] = 0
    return scores


def test_a_single_swap_replaces_one_stage_of_the_teacher():
    swaps = single_swaps(RESTORMER)
    assert len(swaps) == RESTORMER.n_surrogates == 22
    assert all(sum(c != 0 for c in RESTORMER.architecture(i)) == 1 for i in swaps)
    assert RESTORMER.architecture(swaps[0]) == RESTORMER.swapped("encoder_1", 1)
    assert RESTORMER.architecture(swaps[-1]) == RESTORMER.swapped("refinement", 2)


def test_scores_are_the_swaps_by_stage_with_the_teacher_at_zero():
    values = np.arange(16.0).reshape(8, 2)  # 2 + 4 + 2 surrogates
    found = scores_of(SMALL, values)
    assert [own.tolist() for own in found] == [
        [[0, 0], [0, 1], [2, 3]],
        [[0, 0], [4, 5], [6, 7], [8, 9], [10, 11]],
        [[0, 0], [12, 13], [14, 15]],
    ]


def test_sums_are_those_of_every_architecture_by_its_number():
    scores = random_scores(2, seed=0, space=SMALL)
    expected = [sum(own[c] for own, c in zip(scores, a, strict=True)) for a in SMALL]
    assert sums(SMALL, scores) == pytest.approx(np.array(expected))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_objectives", [2, 3])
def test_the_front_of_the_sums_is_the_one_of_brute_force(n_objectives, seed):
    scores = random_scores(n_objectives, seed)
    every = sums(RESTORMER, scores)
    found = every[additive_front(RESTORMER, scores)]
    expected = every[pareto.front(every)]
    assert len(expected) > 20
    assert found == pytest.approx(expected, abs=1e-9)


def test_of_architectures_with_equal_sums_one_is_on_the_front():
    nothing = [np.zeros((n, 2)) for n in SMALL.n_choices]
    assert additive_front(SMALL, nothing) == [0]


@pytest.mark.parametrize("seed", range(3))
def test_on_an_additive_landscape_the_true_front_follows_the_swaps_by_rising_drop(seed):
    landscape = small_space.Additive(RESTORMER, seed)
    drops = np.array([landscape.drop(a) for a in RESTORMER])
    truth = landscape.true_front()
    n = 24 + len(truth)
    found = proposals(Additive(problem(RESTORMER)), drops, n, 20, RESTORMER)
    assert found[:2] == [0, RESTORMER.n_architectures - 1]
    assert found[2:24] == single_swaps(RESTORMER)
    points = [(drops[i], penalty(RESTORMER.architecture(i))) for i in found]
    measured = {(round(a, 9), round(b, 9)) for a, b in points}
    assert {(round(a, 9), round(b, 9)) for a, b in truth} <= measured
    ends = {round(drop, 9) for drop, _ in truth}
    after = [point for point in points[24:] if round(point[0], 9) in ends]
    assert after == sorted(after)
    assert len(after) >= len(truth) - 24  # what the swaps had is not asked for again


def test_after_the_front_come_layers_of_predicted_dominance_and_nothing_twice():
    drops = small_space.Additive(SMALL).drops
    found = proposals(Additive(problem()), drops, 60, 20)
    assert sorted(found) == list(range(SMALL.n_architectures))
    points = np.column_stack([drops, problem().known]).round(9)
    rest = found[10:]  # after the anchors and 8 swaps
    for place, number in enumerate(rest):
        later = points[rest[place + 1 :]]
        dominates = (later <= points[number]).all(axis=1) & (later < points[number]).any(axis=1)
        assert not dominates.any()


def test_only_swaps_may_be_over_the_budget():
    budget = float(np.quantile(LATENCY, 0.5))
    found = proposals(Additive(problem(budget=budget)), small_space.Additive(SMALL).drops, 60, 20)
    assert len(found) == len(set(found))
    measured_anyway = {0, 44, *single_swaps(SMALL)}
    assert set(found) == measured_anyway | small_space.within(budget)


def test_latency_may_be_a_third_objective():
    drops = small_space.Additive(SMALL).drops
    stated = problem(latency=LATENCY)
    found = proposals(Additive(stated), drops, 60, 20)
    assert sorted(found) == list(range(SMALL.n_architectures))
    points = np.column_stack([drops, stated.known])
    ends = pareto.front(points.round(9))
    due = [i for i in ends if i not in found[:10]]
    assert set(found[10 : 10 + len(due)]) == set(due)  # both are sums, so the prediction is exact


@pytest.mark.usefixtures("one_thread")
def test_the_warm_start_measures_the_swaps_and_their_front_and_goes_on_by_model():
    budget = float(np.quantile(LATENCY, 0.6))
    stated, drops = problem(budget=budget), small_space.Additive(SMALL).drops
    sampler = additive.WarmExactEhvi(stated)
    assert isinstance(sampler, ExactEhvi)
    found = proposals(sampler, drops, 60, 8)
    first = [0, 44, *single_swaps(SMALL)]
    assert found[: len(first)] == first
    # the landscape is additive: the predicted front is the true one
    values = {i: drops[i] for i in first}
    front = additive.predicted_front(stated, additive.swap_scores(stated, values))
    allowed = np.flatnonzero(stated.allowed)
    points = np.column_stack([drops, stated.known])[allowed].round(9)
    assert front == [int(allowed[i]) for i in pareto.front(points)]
    # eight of its points, evenly by rank, less those that are known
    ranks = [round(k * (len(front) - 1) / 7) for k in range(8)]
    spread = [front[rank] for rank in ranks if front[rank] not in first]
    assert found[len(first) : len(first) + len(spread)] == spread
    assert set(found) == set(first) | small_space.within(budget)
    assert len(found) == len(set(found))
