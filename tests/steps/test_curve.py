"""Architectures along a front: evenly spread, the cheapest first, and the cheapest good one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ensrepro.space import RESTORMER
from ensrepro.steps import curve


def tuned(after: float) -> SimpleNamespace:
    return SimpleNamespace(result=SimpleNamespace(after=after))


def test_positions_are_spread_from_the_cheapest_towards_the_teacher():
    penalties = [12.0, 10.0, 9.0, 5.5, 5.4, 1.0, 0.0]  # aims for 4 below 12: 0, 3, 6, 9
    assert curve.spread(penalties, 12.0, 4) == [6, 5, 3, 2]


def test_a_short_front_is_taken_whole_and_without_the_teacher():
    assert curve.spread([8.0, 3.0, 1.0], 8.0, 5) == [2, 1]
    assert curve.spread([8.0], 8.0, 5) == []


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=20),
    st.integers(1, 8),
)
def test_no_position_is_taken_twice_and_none_is_as_dear_as_the_teacher(penalties, n):
    highest = max(penalties)
    taken = curve.spread(penalties, highest, n)
    assert len(set(taken)) == len(taken) == min(n, sum(value < highest for value in penalties))
    assert all(penalties[i] < highest for i in taken)


def test_architectures_lie_on_the_front_of_the_search():
    space = RESTORMER
    numbers = [0, space.n_architectures - 1, 17, 4000, 9000]
    points = [(0.0, 20.0), (2.0, 1.0), (0.1, 15.0), (0.4, 8.0), (3.0, 9.0)]
    run = SimpleNamespace(
        architectures=numbers,
        front=[0, 2, 3, 1],
        points=np.array(points),
    )
    found = curve.along(SimpleNamespace(space=space), run, 2)  # aims: 1 and 10.5
    assert [space.index(one) for one in found] == [space.n_architectures - 1, 4000]


def test_networks_that_lose_little_come_cheapest_first():
    networks = [tuned(30.0), tuned(29.95), tuned(29.2), tuned(29.97)]
    costs = [9.0, 4.0, 1.0, 4.0]
    reference = tuned(30.02)
    order = [networks[i] for i in (3, 1, 0)]  # of the two that cost 4 the better one first
    assert curve.near(networks, costs, reference, 0.1) == order
    assert curve.near(networks, costs, reference, 1.0) == [networks[2], *order]
    assert curve.near(networks, costs, tuned(31.0), 0.1) == []
