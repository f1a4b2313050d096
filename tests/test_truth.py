"""A space of six architectures whose front, hypervolume and knee are worked out by hand."""

from __future__ import annotations

from math import hypot

import numpy as np
import pandas as pd
import pytest
import synthetic_bench

from ensrepro import pareto, search, truth
from ensrepro.ledger import Metrics
from ensrepro.space import RESTORMER, Space, Stage

TINY = Space("tiny", (Stage("a", 2, 1, 0, 1, (1,)), Stage("b", 4, 1, 0, 1, (2, 1))))
DROPS = (0.0, 1.0, 3.0, 1.0, 2.0, 4.0)
# "blocks": a is 2 or 0.4; b is 4, 0.8 or 0.4
PENALTIES = (6.0, 2.8, 2.4, 4.4, 1.2, 0.8)
# The front is 0, 1, 4, 5: 2 is dominated by 4, and 3 by 1. The anchors are (0, 0.8) and (4, 6), the
# reference (4.4, 6.52). Strips by drop: 1 * 0.52 + 1 * 3.72 + 2 * 5.32 + 0.4 * 5.72
VOLUME = 17.168


def table(drops=DROPS) -> pd.DataFrame:
    choices = np.array(list(TINY))
    metrics = {"psnr": 30.0 - np.array(drops), "ssim": 0.9}
    return pd.DataFrame({"a": choices[:, 0], "b": choices[:, 1], **metrics})


@pytest.fixture
def known() -> truth.Truth:
    return truth.read(table(), TINY)


def test_the_truth_of_a_small_space(known):
    assert known.points == pytest.approx(np.column_stack([DROPS, PENALTIES]))
    assert known.anchors == pareto.Anchors((0.0, 0.8), (4.0, 6.0))
    assert known.reference == pytest.approx((4.4, 6.52))
    assert known.front.tolist() == [0, 1, 4, 5]
    assert known.volume == pytest.approx(VOLUME)
    # sums of normalized objectives along the front: 1, 0.63, 0.58, 1; then by distance from 4
    assert known.candidates == (4, 1, 5, 0)


def test_metrics_are_looked_up_by_architecture(known):
    assert known.metrics([(1, 1), (0, 0)]) == [Metrics(28.0, 0.9), Metrics(30.0, 0.9)]


def test_a_run_is_scored_after_every_count(known):
    row = truth.score(known, [0, 5, 0, 1, 4], [1, 2, 4, 9])
    volumes = (0.52 * 4.4, 0.52 * 4 + 2.288, 0.52 + 3.72 * 3 + 2.288)
    assert row["ratios"] == pytest.approx([v / VOLUME for v in volumes], abs=1e-6)
    (last,) = row["milestones"]  # all of MILESTONES lie beyond the run
    assert (last["count"], last["n_different"]) == (5, 4)
    assert (last["ratio"], last["ratio_different"]) == (1.0, None)  # it never saw 5 different ones
    assert (last["recall"], last["knee_distance"]) == (1.0, 0.0)
    assert last["candidates"] == [4, 1, 5, 0]


def test_what_a_run_picks_is_compared_with_the_true_knee(known):
    found = truth.chosen(known, np.array([0, 5, 0, 1]))
    assert found["recall"] == 0.75  # 4 is missing
    assert found["knee"] == 1  # of 0, 1, 5 the smallest sum
    # from (1, 2.8) to (2, 1.2), by the anchors' ranges of 4 and 5.2
    assert found["knee_distance"] == pytest.approx(hypot(1 / 4, 1.6 / 5.2))
    assert found["candidates"] == [1, 0, 5]
    assert (found["on_front"], found["true_candidates"]) == (3, 3)


def test_a_dominated_pick_is_not_on_the_front(known):
    found = truth.chosen(known, np.array([0, 5, 3]))
    assert found["candidates"][0] == found["knee"] == 3  # 0.25 + 0.69, the ends have 1
    assert found["on_front"] == found["true_candidates"] == 2  # the two ends


def test_targets_count_proposals_and_different_architectures(known):
    row = truth.score(known, [0, 5, 0, 0, 4, 1], [])
    assert row["targets"] == [
        {"target": target, "proposals": 6, "different": 4} for target in truth.TARGETS
    ]
    never = truth.score(known, [0, 5, 2, 3], [])["targets"]
    assert [cell["proposals"] for cell in never] == [None, None, None]


def test_milestones_are_those_of_the_study_and_the_last_count(known, monkeypatch):
    monkeypatch.setattr(truth, "MILESTONES", (2, 4, 500))
    row = truth.score(known, [0, 5, 1, 1, 1], [])
    assert [m["count"] for m in row["milestones"]] == [2, 4, 5]
    assert [m["n_different"] for m in row["milestones"]] == [2, 3, 3]
    # the third different architecture came third: what 4 different ones give is not known
    assert row["milestones"][0]["ratio_different"] == row["milestones"][0]["ratio"]
    assert row["milestones"][1]["ratio_different"] is None


def test_an_architecture_stands_for_all_with_its_point():
    # "rank": a is 1 or 0, b is 2, 1 or 0; so 1 and 3 are both (1, 2), 2 and 4 both (2, 1)
    known = truth.read(table((0.0, 1.0, 2.0, 1.0, 2.0, 4.0)), TINY, "rank")
    assert known.front.tolist() == [0, 1, 2, 5]
    assert known.first.tolist() == [0, 1, 2, 1, 2, 5]
    row = truth.score(known, [0, 5, 3, 4], [])
    (last,) = row["milestones"]
    assert (last["ratio"], last["recall"], last["knee_distance"]) == (1.0, 1.0, 0.0)
    assert (last["on_front"], last["true_candidates"]) == (4, 4)


def test_runs_that_differ_have_different_digests(known):
    digests = {truth.score(known, order, [])["digest"] for order in ([0, 5, 1], [0, 5, 2])}
    assert len(digests) == 2
    assert truth.score(known, [0, 5, 1], [])["digest"] in digests


def test_a_search_of_everything_finds_the_truth_of_the_real_space():
    known = truth.read(synthetic_bench.table(1))
    row = truth.score(known, range(RESTORMER.n_architectures), [RESTORMER.n_architectures])
    assert row["ratios"] == [1.0]
    assert row["milestones"][-1]["recall"] == 1.0
    assert row["milestones"][-1]["candidates"] == list(known.candidates)


def test_the_hypervolume_is_that_of_the_search_itself(known):
    found = search.run(known.metrics, space=TINY, sampler="random", n_trials=5, seed=2)
    order = [TINY.index(a) for a in found.architectures]
    row = truth.score(known, order, range(1, 6))
    assert row["ratios"] == pytest.approx(found.hypervolume / VOLUME, abs=1e-6)


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (table().drop(columns="ssim"), "the table has no column 'ssim'; it has a, b, psnr"),
        (table().iloc[:5], "the table has 5 rows; expected 6"),
        (table((0, 1, np.nan, 1, 2, 4)), "psnr of row 2 is nan; expected a finite number"),
        (table().iloc[::-1], "row 0 is architecture .*; expected .*, sorted by number"),
    ],
)
def test_a_table_that_is_not_whole_is_refused(frame, sentence):
    with pytest.raises(ValueError, match=sentence):
        truth.read(frame, TINY)
