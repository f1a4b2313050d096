"""Fronts, hypervolume, knee and candidates, against closed forms and their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ensrepro import pareto
from ensrepro.pareto import Anchors

UNIT = Anchors((0.0, 0.0), (1.0, 1.0))
# Few distinct values, so that equal points and equal coordinates are common.
coarse_points = st.integers(2, 3).flatmap(
    lambda d: arrays(
        np.float64, st.tuples(st.integers(1, 24), st.just(d)), elements=st.integers(0, 6)
    )
)
planar_points = arrays(
    np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.floats(0, 2, width=32)
)


def dominates(p: np.ndarray, q: np.ndarray) -> bool:
    return bool((p <= q).all() and (p < q).any())


def front_by_definition(points: np.ndarray) -> set[int]:
    return {
        i
        for i, p in enumerate(points)
        if not any(dominates(q, p) for q in points)
        and not any((points[j] == p).all() for j in range(i))
    }


def staircase(n: int) -> np.ndarray:
    """Points (i, n - 1 - i), all of them on the front."""
    return np.array([(i, n - 1 - i) for i in range(n)], dtype=float)


@given(coarse_points)
def test_the_front_is_what_nothing_dominates(points):
    assert set(pareto.front(points).tolist()) == front_by_definition(points)


@given(coarse_points)
def test_a_front_runs_from_the_smallest_drop_to_the_largest(points):
    found = points[pareto.front(points)]
    assert [tuple(p) for p in found] == sorted(tuple(p) for p in found)


@given(coarse_points)
def test_a_front_is_its_own_front(points):
    found = points[pareto.front(points)]
    assert pareto.front(found).tolist() == list(range(len(found)))


def test_of_equal_points_the_first_is_kept():
    assert pareto.front([[1, 1], [0, 2], [0, 2], [1, 1]]).tolist() == [1, 0]


@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_hypervolume_of_a_staircase(n):
    # columns of heights 1, 2, ..., n below the reference (n, n): n (n + 1) / 2
    assert pareto.hypervolume(staircase(n), (n, n)) == pytest.approx(n * (n + 1) / 2)


def test_hypervolume_in_three_objectives():
    # two boxes 2x1x1 and 1x2x1 that share a unit cube: 2 + 2 - 1
    assert pareto.hypervolume([[0, 1, 1], [1, 0, 1]], (2, 2, 2)) == pytest.approx(3.0)


def test_points_outside_the_reference_add_nothing():
    assert pareto.hypervolume([[0, 3], [3, 0], [2, 0]], (2, 2)) == 0.0
    assert pareto.hypervolume([[0, 3], [1, 1]], (2, 2)) == pytest.approx(1.0)


@given(planar_points)
def test_a_dominated_point_does_not_change_the_hypervolume(points):
    worse = np.vstack([points, points[0] + 0.25])
    volume = pareto.hypervolume(points, (3, 3))
    assert pareto.hypervolume(worse, (3, 3)) == pytest.approx(volume)


@given(coarse_points)
def test_the_trace_is_the_hypervolume_of_each_prefix(points):
    reference = (5,) * points.shape[1]
    expected = [pareto.hypervolume(points[: i + 1], reference) for i in range(len(points))]
    trace = pareto.hypervolume_trace(points, reference)
    assert trace.tolist() == pytest.approx(expected)
    assert (np.diff(trace) >= 0).all()


def test_anchors_span_the_teacher_and_the_cheapest():
    anchors = Anchors.between(teacher=(0.0, 44.0), cheapest=(2.0, 6.4))
    assert anchors == Anchors((0.0, 6.4), (2.0, 44.0))
    assert pareto.normalize([[0.0, 44.0], [2.0, 6.4]], anchors).tolist() == [[0, 1], [1, 0]]


def test_a_cheapest_that_beats_the_teacher_takes_both_ideals():
    assert Anchors.between((0.0, 44.0), (-0.5, 6.4)) == Anchors((-0.5, 6.4), (0.0, 44.0))


def test_the_reference_lies_a_tenth_of_the_range_past_the_nadir():
    assert pareto.reference_point(Anchors((0.0, 10.0), (2.0, 40.0))) == pytest.approx((2.2, 43.0))


def test_the_chord_knee_is_the_corner():
    points = [[0.0, 1.0], [0.1, 0.3], [0.3, 0.2], [1.0, 0.0]]  # sums 1, 0.4, 0.5, 1
    assert pareto.knee(points, UNIT) == 1


def test_methods_differ_where_they_should():
    # sums 0.55, 0.60; norms 0.502, 0.424; maxima 0.5, 0.3
    points = [[0.05, 0.5], [0.3, 0.3], [0.0, 1.0], [1.0, 0.0]]
    found = {method: pareto.knee(points, UNIT, method) for method in pareto.KNEES}
    assert found == {"chord": 0, "l2": 1, "chebyshev": 1}


@given(planar_points)
def test_the_chord_knee_is_farthest_from_the_line_between_the_anchors(points):
    # signed distance of (z1, z2) to the line z1 + z2 = 1, by the textbook formula
    distance = (1 - points.sum(axis=1)) / np.sqrt(2)
    assert distance[pareto.knee(points, UNIT)] == pytest.approx(distance.max(), abs=1e-9)


def test_a_point_far_beyond_the_ideal_is_not_far_from_it():
    # (-0.8, 0.3) beats the ideal drop: 0.3 is what counts, not 0.85; (0.4, 0.2) has 0.45
    assert pareto.knee([[-0.8, 0.3], [0.4, 0.2], [1.0, 0.0]], UNIT, "l2") == 0


@given(planar_points, st.sampled_from(sorted(pareto.KNEES)))
def test_a_knee_is_on_the_front(points, method):
    assert pareto.knee(points, UNIT, method) in pareto.front(points)


@given(planar_points, st.floats(0.5, 4), st.floats(-3, 3))
def test_the_chord_knee_ignores_the_units(points, scale, shift):
    # powers of two keep the normalized values exact, so that no tie is broken by rounding
    scale = 2.0 ** round(np.log2(scale))
    shift = float(round(shift))
    points = np.round(points * 1024) / 1024
    moved = Anchors((shift, shift), (shift + scale, shift + scale))
    assert pareto.knee(points * scale + shift, moved) == pareto.knee(points, UNIT)


def test_a_tie_goes_to_the_lower_penalty():
    assert pareto.knee([[0.2, 0.4], [0.4, 0.2], [0.3, 0.3]], UNIT) == 1


def test_three_objectives_have_a_knee():
    box = Anchors((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert pareto.knee([[0, 1, 1], [0.2, 0.2, 0.2], [1, 0, 0.5]], box) == 1  # sums 2, 0.6, 1.5


def test_a_cap_moves_the_far_end_of_the_chord():
    points = [[0.0, 1.0], [0.1, 0.8], [0.2, 0.7], [0.5, 0.1], [1.0, 0.0]]
    assert pareto.knee(points, UNIT) == 3
    # capped at 0.2 the anchors are (0, 1) and (0.2, 0.7): z of point 1 is (0.5, 1/3), sum < 1
    assert pareto.knee(points, UNIT, max_drop_db=0.2) == 1
    assert pareto.knee(points, UNIT, max_drop_db=5.0) == 3


def test_a_cap_that_leaves_the_teacher_alone_gives_the_teacher():
    assert pareto.knee([[0.0, 1.0], [0.5, 0.1]], UNIT, max_drop_db=0.0) == 0


def test_nearest_candidates_are_the_knee_and_its_neighbors_in_the_plane():
    curve = [[x, (1 - x) ** 4] for x in np.linspace(0, 1, 11)]
    found = pareto.candidates(curve, UNIT)
    center = pareto.knee(curve, UNIT)
    distance = np.linalg.norm(np.array(curve) - curve[center], axis=1)
    assert found[0] == center
    assert set(found) == set(np.argsort(distance)[:5].tolist())


def test_dominated_points_are_no_nearest_candidates():
    points = [[0.0, 1.0], [0.2, 0.2], [0.21, 0.21], [1.0, 0.0]]
    assert set(pareto.candidates(points, UNIT)) == {0, 1, 3}  # fewer than five: the whole front


def test_rank_candidates_lie_on_both_sides():
    points = [[0.0, 1.0], [0.05, 0.9], [0.1, 0.3], [0.15, 0.29], [0.2, 0.28], [0.3, 0.27]]
    knee = pareto.knee(points, UNIT)
    assert knee == 2
    assert pareto.candidates(points, UNIT, "rank") == (2, 3, 1, 4, 0)


def test_rank_candidates_at_an_end_come_from_the_other_side():
    points = [[0.0, 0.1], [0.2, 0.09], [0.3, 0.08], [0.4, 0.07]]
    assert pareto.candidates(points, UNIT, "rank", n=3) == (0, 1, 2)


def test_diverse_candidates_differ_in_two_stages_and_stay_near_the_front():
    points = np.array([[0.2, 0.2], [0.21, 0.2], [0.22, 0.2], [0.3, 0.2], [0.0, 1.0], [1.0, 0.0]])
    choices = [(0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 1), (2, 2, 2), (3, 3, 3)]
    found = pareto.candidates(points, UNIT, "diverse", architectures=choices)
    # 1 differs from the knee in one stage only; 3 is 0.1 dB above the front
    assert found == (0, 2, 5, 4)


def test_diverse_candidates_respect_the_cap():
    points = np.array([[0.2, 0.2], [0.22, 0.2], [0.0, 1.0], [1.0, 0.0]])
    choices = [(0, 0), (1, 1), (2, 2), (3, 3)]
    found = pareto.candidates(points, UNIT, "diverse", max_drop_db=0.21, architectures=choices)
    assert set(found) == {0, 2}


@given(planar_points, st.integers(1, 6), st.sampled_from(["nearest", "rank"]))
def test_candidates_are_distinct_members_of_the_front_led_by_the_knee(points, n, method):
    found = pareto.candidates(points, UNIT, method, n=n)
    ends = pareto.front(points)
    assert found[0] == pareto.knee(points, UNIT)
    assert len(set(found)) == len(found) == min(n, len(ends))
    assert set(found) <= set(ends.tolist())


def test_the_sensitivity_table_flags_a_knee_that_moved():
    x = np.linspace(0, 1, 21)
    curve = np.column_stack([2 * x, (1 - x) ** 3])
    steep = np.column_stack([2 * x, (1 - x) ** 12])
    rows = pareto.knee_sensitivity({"blocks": curve, "other": steep}, teacher=0, cheapest=20)
    assert len(rows) == 2 * len(pareto.KNEES) * len(pareto.CAPS_DB)
    home = rows[0]
    assert (home.table, home.method, home.max_drop_db) == ("blocks", "chord", None)
    assert home.index == pareto.knee(curve, Anchors((0.0, 0.0), (2.0, 1.0)))
    assert home.shift == 0.0
    assert not home.disagrees
    assert all(row.psnr_drop <= row.max_drop_db for row in rows if row.max_drop_db is not None)
    z = curve / [2.0, 1.0]
    for row in rows:
        assert row.shift == pytest.approx(np.linalg.norm(z[row.index] - z[home.index]))
        assert row.disagrees == (row.shift > 0.15)
    assert any(row.disagrees for row in rows)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: pareto.front([]), "points is empty"),
        (lambda: pareto.front(np.empty((0, 2))), "points is empty"),
        (lambda: pareto.front([1.0, 2.0]), r"points has shape \(2,\); expected"),
        (lambda: pareto.front([[1.0], [2.0]]), r"points has shape \(2, 1\)"),
        (lambda: pareto.front([[0, 1], [np.nan, 1]]), r"point 1 is \[nan, 1.0\]"),
        (lambda: pareto.hypervolume([[0, np.inf]], (1, 1)), r"point 0 is \[0.0, inf\]"),
        (lambda: pareto.hypervolume([[0, 1]], (1, 1, 1)), "reference is .* expected 2"),
        (lambda: pareto.normalize([[0, 1, 2]], UNIT), "ideal is .* expected 3"),
        (lambda: pareto.knee([], UNIT), "points is empty"),
        (lambda: pareto.knee([[0, 1]], UNIT, "elbow"), "method is 'elbow'; expected one of chord"),
        (lambda: pareto.knee([[0, 1]], UNIT, max_drop_db=-1.0), "max_drop_db is -1.0; expected"),
        (lambda: pareto.knee([[0.4, 1]], UNIT, max_drop_db=0.2), "no point drops by less than 0.4"),
        (lambda: pareto.candidates([[0, 1]], UNIT, n=0), "n is 0; expected at least 1"),
        (lambda: pareto.candidates([[0, 1]], UNIT, "best"), "method is 'best'; expected one of"),
        (lambda: pareto.candidates([[0, 1]], UNIT, "diverse"), "architectures is None"),
        (
            lambda: Anchors.between((0, 5), (0, 1)),
            r"the anchors are \(0.0, 1.0\) and \(0.0, 5.0\); expected",
        ),
        (lambda: Anchors((0.0,), (1.0, 2.0)), r"the anchors are \(0.0,\) and \(1.0, 2.0\)"),
        (lambda: pareto.knee_sensitivity({}, 0, 1), "points is empty"),
        (
            lambda: pareto.knee_sensitivity({"a": [[0, 1]], "b": [[0, 1], [1, 0]]}, 0, 0),
            "expected the same rows",
        ),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
