"""paper-ehvi: the cube and its thresholds, seeds, repeats."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import small_space
from small_space import SMALL, problem, proposals

from ensrepro import search
from ensrepro.samplers.paper import N_INITIAL, PaperEhvi
from ensrepro.space import RESTORMER

pytestmark = pytest.mark.usefixtures("one_thread")

DROPS = small_space.Additive(SMALL).drops


def chosen(z, space=SMALL) -> tuple[int, ...]:
    return PaperEhvi(problem(space))._architecture(np.array(z, dtype=float))


def test_the_center_of_a_cell_means_its_architecture():
    numbers = np.random.default_rng(0).choice(RESTORMER.n_architectures, 50, replace=False)
    for architecture in (RESTORMER.architecture(int(i)) for i in numbers):
        z = (np.array(architecture) + 0.5) / RESTORMER.n_choices
        assert chosen(z, RESTORMER) == architecture


def test_thresholds_cut_the_interval_into_equal_parts():
    for stage, n in enumerate(SMALL.n_choices):
        for place in range(1, n):
            for side, expected in ((-1e-9, place - 1), (1e-9, place)):
                z = [0.5, 0.5, 0.5]
                z[stage] = place / n + side
                assert chosen(z)[stage] == expected


def test_the_corners_of_the_cube_are_the_first_and_the_last_choices():
    last = SMALL.cheapest
    for z in product((0.0, 1.0), repeat=3):
        assert chosen(z) == tuple(c if bit else 0 for c, bit in zip(last, z, strict=True))


def test_it_starts_with_the_anchors_and_a_sobol_sequence_of_the_seed():
    first = proposals(PaperEhvi(problem()), DROPS, N_INITIAL, 4)
    assert first[:2] == [0, 44]
    assert first != proposals(PaperEhvi(problem(seed=1)), DROPS, N_INITIAL, 4)
    assert first == proposals(PaperEhvi(problem()), DROPS, N_INITIAL, 1)


def test_the_same_seed_gives_the_same_proposals_whatever_torchs_own_seed_is():
    import torch

    torch.manual_seed(1)
    one = proposals(PaperEhvi(problem()), DROPS, 18, 1)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert proposals(PaperEhvi(problem()), DROPS, 18, 1) == one
    assert torch.equal(torch.get_rng_state(), state)  # nor is it drawn from


def test_repeats_occur_and_count_as_proposals():
    landscape = small_space.Additive(SMALL)
    found = search.run(landscape, space=SMALL, sampler="paper-ehvi", n_trials=N_INITIAL)
    assert len(found.architectures) == N_INITIAL
    assert found.n_unique == len(landscape.asked) < N_INITIAL


def test_after_the_sobol_points_one_is_proposed_at_a_time():
    sampler = PaperEhvi(problem())
    proposals(sampler, DROPS, N_INITIAL, 8)
    assert len(sampler.ask(8)) == 1


def test_all_objectives_are_modeled_so_a_third_one_may_be_there():
    found = proposals(PaperEhvi(problem(latency=small_space.latencies())), DROPS, 17, 8)
    assert len(found) == 17
