"""Seeds are held against each other where both sides have several."""

from __future__ import annotations

from ensrepro import seeds


def test_a_single_reference_serves_every_seed():
    found = seeds.against("teacher", {0: 30.0, 1: 31.0, 2: 32.0}, {0: 30.5})
    assert found == ("teacher", [-0.5, 0.5, 1.5], 1)


def test_seeds_that_both_have_are_paired():
    theirs = {0: 30.5, 2: 31.0, 3: 10.0}
    found = seeds.against("teacher, longer", {0: 30.0, 1: 31.0, 2: 32.0}, theirs)
    assert found == ("teacher, longer", [-0.5, 1.0], 2)


def test_one_network_is_held_against_the_mean_of_the_reference():
    found = seeds.against("teacher, longer", {0: 30.0}, {0: 30.0, 1: 31.0, 2: 32.0})
    assert found == ("teacher, longer", [-1.0], 3)
