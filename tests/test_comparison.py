"""Statistics over seeds, against closed forms; rows are made by hand as `study` makes them."""

from __future__ import annotations

import numpy as np
import pytest

from ensrepro import comparison


def run(sampler, seed, ratio, *, count=50, to=None, digest=None, ratios=(), cpu=1.0):
    """A run with one milestone and one target."""
    milestone = {
        "count": count, "ratio": ratio, "ratio_different": None, "n_different": 40, "recall": 0.5,
        "knee_distance": 0.1, "knee_distance_l2": 0.1, "knee_distance_chebyshev": 0.1,
        "candidates": [3, 4], "on_front": seed % 2, "true_candidates": 1,
    }  # fmt: skip
    return {
        "sampler": sampler, "seed": seed, "n_trials": count, "cpu_seconds": cpu,
        "ratios": list(ratios) or [ratio], "milestones": [milestone],
        "targets": [{"target": 0.99, "proposals": to, "different": to}],
        "digest": digest or f"{sampler}-{seed}",
    }  # fmt: skip


def sampler(name, values, **arguments):
    return [run(name, seed, value, **arguments) for seed, value in enumerate(values)]


def test_an_interval_is_two_order_statistics():
    # P(B <= 5) = 0.021 and P(B <= 6) = 0.058 for 20 draws of one half; 5 of 32 for all of 5 below
    assert [comparison.rank_below(n) for n in (5, 6, 10, 20)] == [0, 1, 2, 6]
    assert comparison.enclosed(range(1, 21)) == (10.5, 6.0, 15.0)
    assert comparison.enclosed([3, 1, 2]) == (2.0, None, None)


def test_an_interval_encloses_the_median_as_often_as_it_says():
    rng = np.random.default_rng(0)
    found = [comparison.enclosed(rng.exponential(size=10)) for _ in range(2000)]
    share = np.mean([low <= np.log(2) <= high for _, low, high in found])
    assert share == pytest.approx(0.9785, abs=0.01)  # 1 - 2 * 11 / 1024: P(B <= 1), 10 draws


def test_a_count_that_was_never_reached_lies_above_all():
    assert comparison.enclosed_counts([30, 10, None, 20]) == (20, None, None)  # 2 of 4 were there
    assert comparison.enclosed_counts([10, None, None]) == (None, None, None)
    assert comparison.enclosed_counts([*range(10, 18), None, None]) == (14, 11, None)


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ((None, None, None), "more than 500"),
        ((None, 90.0, None), "more than 500"),
        ((63.0, 58.0, 71.0), "63 (58 to 71)"),
        ((63.0, 58.0, None), "63 (58 to more than 500)"),
        ((63.0, None, None), "63"),
    ],
)
def test_a_censored_count_in_words(interval, words):
    assert comparison.spoken(comparison.Interval(*interval), 500) == words


def test_superiority_counts_pairs_and_half_the_ties():
    assert comparison.superiority([3, 4], [1, 2]) == 1.0
    assert comparison.superiority([1, 2], [1, 2]) == 0.5
    assert comparison.superiority([1, 3], [2, 3]) == 0.375  # of 4 pairs: 1 ahead, 1 tie


def test_the_rank_test_is_exact_without_ties_and_blind_to_equal_values():
    # all of 3 above all of 3: one order of 20, and its mirror image
    assert comparison.rank_test([4, 5, 6], [1, 2, 3]) == pytest.approx(2 / 20)
    assert comparison.rank_test([1, 1], [1, 1]) == 1.0
    assert comparison.rank_test([1] * 10, [0] * 9 + [1]) < 0.001


def test_the_sign_test_is_a_coin_s():
    assert comparison.sign_test(1.0, [0.1] * 5) == pytest.approx(2 / 32)
    assert comparison.sign_test(1.0, [1.0, 1.0]) == 1.0
    assert comparison.sign_test(1.0, [0.1, 1.0, 2.0]) == 1.0


def test_holm_multiplies_the_smallest_by_all_and_never_reorders():
    assert comparison.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert comparison.holm([0.9, 0.8]) == [1.0, 1.0]
    assert comparison.holm([]) == []


def test_milestones_have_a_row_a_sampler_and_count():
    rows = comparison.milestones(sampler("random", np.arange(10) / 10))
    assert len(rows) == 1
    row = rows[0]
    assert (row["sampler"], row["count"], row["seeds"], row["n_chosen"]) == ("random", 50, 10, 2)
    assert (row["ratio"], row["ratio_low"], row["ratio_high"]) == pytest.approx((0.45, 0.1, 0.8))
    assert row["ratio_different"] is None
    assert row["on_front"] == 0.5  # the odd ones of ten seeds


def test_a_target_row_says_how_many_seeds_reached_it():
    runs = [run("gp", seed, 0.9, to=to) for seed, to in enumerate([40, None, 30])]
    (row,) = comparison.to_target(runs)
    assert (row["seeds"], row["reached"], row["median"], row["text"]) == (3, 2, 40, "40")


def test_thinking_is_the_median_of_the_runs():
    runs = [run("gp", seed, 0.9, cpu=cpu) for seed, cpu in enumerate([1.0, 2.0, 9.0])]
    (row,) = comparison.thinking(runs)
    assert row["cpu_seconds"] == 2.0
    assert row["ms_a_proposal"] == 40.0  # 2 s for 50 proposals
    assert (row["seeds"], row["different"]) == (3, 3)


def test_a_pair_is_compared_once_and_all_p_values_are_one_family():
    runs = [
        *sampler("random", [0.1, 0.2, 0.3]),
        *sampler("exact-ehvi", [0.7, 0.8, 0.9]),
        *sampler("gp", [0.4, 0.5, 0.6]),
    ]
    rows = comparison.comparisons(runs)
    pairs = [(row["sampler"], row["against"]) for row in rows]
    assert pairs == [("exact-ehvi", "random"), ("gp", "random"), ("gp", "exact-ehvi")]
    assert [row["superiority"] for row in rows] == [1.0, 1.0, 0.0]
    assert [row["gain"] for row in rows] == pytest.approx([0.6, 0.3, -0.3])
    assert [row["p"] for row in rows] == pytest.approx([0.1] * 3)  # 2 / 20
    assert [row["p_holm"] for row in rows] == pytest.approx([0.3] * 3)


def test_only_equal_budgets_are_compared():
    runs = [*sampler("random", [0.1, 0.2]), *sampler("gp", [0.3, 0.4], count=20)]
    assert comparison.comparisons(runs) == []


def test_the_common_count_is_what_all_samplers_reached():
    assert comparison.common_count([run("random", 0, 0.1), run("gp", 0, 0.3)]) == 50
    with pytest.raises(ValueError, match="no milestone in common"):
        comparison.common_count([run("random", 0, 0.1), run("gp", 0, 0.3, count=20)])


def test_runs_that_are_all_the_same_are_one_observation():
    fixed = sampler("additive", [0.9] * 20, digest="same")
    blind = sampler("random", np.linspace(0.1, 0.2, 5))
    (row,) = comparison.comparisons([*blind, *fixed])
    assert (row["test"], row["superiority"]) == ("sign", 1.0)
    assert row["p"] == pytest.approx(2 / 32)  # 5 coins, not a rank among 25
    (single,) = comparison.comparisons([*blind, *fixed[:1]])
    assert single["test"] == "Mann-Whitney"  # of one run nobody knows whether it heeds its seed


def test_below_random_is_counted_where_and_by_how_much():
    counts = [1, 2, 50]
    blind = sampler("random", np.linspace(0.5, 0.6, 11), ratios=(0.1, 0.3, 0.55))
    worse = sampler("gp", np.linspace(0.1, 0.2, 11), ratios=(0.1, 0.2, 0.15))
    short = sampler("motpe", [0.9] * 3, count=2, ratios=(0.1, 0.3))
    gp, motpe = comparison.below([*blind, *worse, *short], counts)
    assert (gp["sampler"], gp["never"], gp["n_counts"], gp["n_below"]) == ("gp", False, 3, 2)
    assert (gp["worst"], gp["worst_at"]) == (pytest.approx(0.4), 50)
    assert gp["significant"] == [50]
    assert (motpe["never"], motpe["n_counts"], motpe["worst_at"]) == (True, 2, None)


def test_a_sampler_that_is_not_in_the_study_is_named():
    with pytest.raises(ValueError, match="sampler is 'cma'; the study has random, gp"):
        comparison.of([*sampler("random", [1]), *sampler("gp", [1])], "cma")
    with pytest.raises(ValueError, match="sampler is 'random'; the study has gp"):
        comparison.below(sampler("gp", [0.5]), [50])
