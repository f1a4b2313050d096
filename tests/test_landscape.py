"""The landscape's numbers, against closed forms on spaces small enough to work out by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import synthetic_bench
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ensrepro import landscape, pareto
from ensrepro.space import PENALTY_TABLES, RESTORMER, Space, Stage, penalty

# Two choices, then three; the penalties by "blocks" are 4, 0.8 and 4, 1.6, 0.8.
TINY = Space(
    "tiny", (Stage("encoder_1", 4, 1, 0, 1, (2,)), Stage("bottleneck", 4, 1, 0, 1, (4, 2)))
)
ADDITIVE = np.array([[0.0, 1.0, 3.0], [0.5, 1.5, 3.5]])  # 0.5 for the first stage; 1, 3 the second
PRODUCT = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 2.0]])  # (0, 1) times (0, 1, 2)
cubes = arrays(np.float64, (2, 3, 2), elements=st.integers(-8, 8))
coarse_points = arrays(
    np.float64, st.tuples(st.integers(1, 24), st.just(2)), elements=st.integers(0, 6)
)


def table(psnr: np.ndarray, space: Space = TINY) -> pd.DataFrame:
    """A table with the architectures in order of their numbers."""
    names = [stage.name for stage in space.stages]
    return pd.DataFrame(list(space), columns=names).assign(psnr=psnr.ravel())


@pytest.fixture(scope="module")
def drops() -> np.ndarray:
    """A made-up landscape of the real shape."""
    return landscape.psnr_drops(synthetic_bench.table(0))


# ---- the table ----------------------------------------------------------------------------------


def test_a_grid_is_indexed_by_the_architecture():
    frame = synthetic_bench.table(0)
    psnr = landscape.grid(frame, "psnr")
    for number in (0, 1, 12345, RESTORMER.n_architectures - 1):
        assert psnr[RESTORMER.architecture(number)] == frame["psnr"][number]
    assert psnr.shape == RESTORMER.n_choices


def test_a_drop_is_counted_from_the_teacher():
    assert landscape.psnr_drops(table(30 - ADDITIVE), TINY) == pytest.approx(ADDITIVE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="psnr"), "no column 'psnr'; it has encoder_1, bottleneck"),
        (lambda f: f.drop(columns="bottleneck"), "no column 'bottleneck'"),
        (lambda f: f[:5], "5 rows; expected 6"),
        (lambda f: f[::-1], r"row 0 is architecture \(1, 2\); expected \(0, 0\), sorted by number"),
        (lambda f: f.replace({"psnr": {27.0: np.nan}}), "psnr of row 2 is nan; expected a finite"),
        (lambda f: f.replace({"psnr": {27.0: np.inf}}), "psnr of row 2 is inf; expected a finite"),
    ],
)
def test_a_table_that_is_not_whole_gets_one_sentence(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        landscape.grid(change(table(30 - ADDITIVE)), "psnr", TINY)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", PENALTY_TABLES)
def test_penalties_are_those_of_the_space(name):
    # equal to the last bit: fronts and ties depend on it
    all_at_once = landscape.penalties(name).ravel()
    for number in range(0, RESTORMER.n_architectures, 97):
        assert all_at_once[number] == penalty(RESTORMER.architecture(number), name)


# ---- the front ----------------------------------------------------------------------------------


@given(coarse_points)
def test_a_gap_is_the_distance_to_the_best_at_no_higher_a_cost(points):
    expected = [drop - min(d for d, c in points if c <= cost) for drop, cost in points]
    assert landscape.gaps(points).tolist() == expected


def test_the_true_front_by_hand():
    # (drop, penalty) in order: (0, 8) (1, 5.6) (3, 4.8) | (0.5, 4.8) (1.5, 2.4) (3.5, 1.6);
    # (1, 5.6) and (3, 4.8) lose to (0.5, 4.8)
    found = landscape.true_front(ADDITIVE, landscape.penalties("blocks", TINY), TINY)
    assert found.numbers.tolist() == [0, 3, 4, 5]
    assert found.points == pytest.approx(np.array([[0, 8], [0.5, 4.8], [1.5, 2.4], [3.5, 1.6]]))
    assert found.gaps == pytest.approx([0, 0.5, 2.5, 0, 0, 0])
    # a tenth beyond the box from (0, 1.6) to (3.5, 8)
    assert found.reference == pytest.approx((3.85, 8.64))
    # strips in drop, each as high as from the best penalty so far up to the reference
    strips = 0.5 * (8.64 - 8) + 1.0 * (8.64 - 4.8) + 2.0 * (8.64 - 2.4) + 0.35 * (8.64 - 1.6)
    assert found.hypervolume == pytest.approx(strips)


def test_the_front_of_the_whole_table_is_where_the_gap_is_zero_and_none_is_cheaper(drops):
    cost = landscape.penalties()
    found = landscape.true_front(drops, cost)
    assert (found.gaps >= 0).all()
    assert (found.gaps[found.numbers] == 0).all()
    assert found.points[0, pareto.DROP] == drops.min()


def test_the_knee_is_asked_under_every_table_definition_and_cap():
    rows = landscape.knees(ADDITIVE, TINY)
    asked = {(row.table, row.method, row.max_drop_db) for row in rows}
    assert len(asked) == len(rows) == len(PENALTY_TABLES) * len(pareto.KNEES) * len(pareto.CAPS_DB)
    # normalized sums of the front above: 1, 1/7 + 0.5, 3/7 + 1/8, 1, so number 4 is nearest
    assert next(row.index for row in rows if row.max_drop_db is None) == 4


# ---- predictions --------------------------------------------------------------------------------


def test_a_constant_offset_is_bias_and_nothing_else():
    found = landscape.fit(PRODUCT + 0.1, PRODUCT)
    assert (found.rmse, found.median_error, found.bias) == pytest.approx((0.1, 0.1, 0.1))
    assert found.spearman == pytest.approx(1)
    assert found.n == 6
    # mean 1/2 and mean square 5/6: variance 7/12
    assert found.r2 == pytest.approx(1 - 0.01 / (7 / 12))


def test_the_mean_explains_nothing_and_ranks_nothing():
    found = landscape.fit(np.full_like(PRODUCT, 0.5), PRODUCT)
    assert found.r2 == pytest.approx(0)
    assert np.isnan(found.spearman)


def test_of_a_constant_nothing_can_be_explained():
    assert np.isnan(landscape.fit([1.0, 1.0], [2.0, 2.0]).r2)


def test_predictions_and_truth_are_equally_many():
    with pytest.raises(ValueError, match="2 predictions of 3 values"):
        landscape.fit([1, 2], [1, 2, 3])


def test_correlations_by_hand():
    # pairs of (1, 2, 3, 4) and (1, 2, 4, 3): five agree, one does not
    assert landscape.correlation([1, 2, 3, 4], [1, 2, 4, 3], kendall=True) == pytest.approx(4 / 6)
    # 1 - 6 * (sum of squared rank differences) / (n (n^2 - 1))
    assert landscape.correlation([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx(1 - 12 / 60)
    # tau-b with one tie among three pairs of x: 2 / sqrt(2 * 3)
    assert landscape.correlation([1, 1, 2], [1, 2, 3], kendall=True) == pytest.approx(2 / 6**0.5)


# ---- sums and interactions ----------------------------------------------------------------------


def test_an_additive_landscape_is_the_sum_of_its_single_swaps():
    swaps = landscape.single_swaps(ADDITIVE)
    assert [part.tolist() for part in swaps] == [[0.0, 0.5], [0.0, 1.0, 3.0]]
    found = landscape.fit(landscape.added(swaps), ADDITIVE)
    assert (found.rmse, found.r2, found.spearman) == pytest.approx((0, 1, 1))


def test_independent_errors_add_as_squares():
    # one swap doubles the squared error, the other triples it: together 1 + 1 + 2 = 4 times
    drop = 10 * np.log10([[1.0, 3.0], [2.0, 4.0]])
    assert landscape.squared_error_sum(drop) == pytest.approx(drop)
    # in dB they would make 3.01 + 4.77, a factor of 6 rather than 4
    assert landscape.added(landscape.single_swaps(drop))[1, 1] == pytest.approx(10 * np.log10(6))


def test_single_swaps_are_the_architectures_that_the_space_calls_so(drops):
    swaps = landscape.single_swaps(drops)
    for i, stage in enumerate(RESTORMER.stages):
        for choice in range(stage.n_choices):
            assert swaps[i][choice] == drops[RESTORMER.swapped(stage.name, choice)]


def test_an_additive_landscape_has_no_interaction():
    found = landscape.anova(ADDITIVE)
    assert found.r2 == pytest.approx([1, 1])
    assert found.interactions[0, 1] == pytest.approx(0)
    assert found.total == pytest.approx(found.first)
    # variances 1/16 and 14/9
    assert found.first == pytest.approx(np.array([1 / 16, 14 / 9]) / (1 / 16 + 14 / 9))


def test_a_product_has_the_interaction_of_its_factors():
    # u v = mean u mean v + mean v (u - mean u) + mean u (v - mean v) + (u - mean u) (v - mean v)
    # with mean u = 1/2, var u = 1/4, mean v = 1, var v = 2/3
    found = landscape.anova(PRODUCT)
    main_u, main_v, both = 1 / 4, 1 / 4 * 2 / 3, 1 / 4 * 2 / 3
    assert found.variance == pytest.approx(main_u + main_v + both)
    assert found.interactions[0, 1] == found.interactions[1, 0] == pytest.approx(both**0.5)
    assert np.isnan(np.diag(found.interactions)).all()
    assert found.first * found.variance == pytest.approx([main_u, main_v])
    assert found.total * found.variance == pytest.approx([main_u + both, main_v + both])


def test_the_mean_drop_of_a_choice_is_over_all_that_have_it():
    found = landscape.mean_drops(PRODUCT)
    assert found[0] == pytest.approx([0, 1])
    assert found[1] == pytest.approx([0, 0.5, 1])


@given(cubes.filter(lambda cube: cube.var() > 0))
def test_the_shares_of_all_orders_sum_to_one(cube):
    found = landscape.anova(cube)
    assert len(found.shares) == 7  # nonempty sets of three stages
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.r2[-1] == pytest.approx(1)
    # the total index by its own definition: what remains once all other choices are known
    expected = [cube.var(axis=i).mean() / cube.var() for i in range(3)]
    assert found.total == pytest.approx(expected)


@given(cubes)
def test_terms_average_to_zero_over_each_choice_and_are_orthogonal(cube):
    terms = {s: landscape.effect(cube, s) for s in landscape.sets(3, 3)}
    for stages, term in terms.items():
        for i in stages:
            assert term.mean(axis=i) == pytest.approx(0, abs=1e-9)
    for one, other in combinations(terms.values(), 2):
        assert (one * other).mean() == pytest.approx(0, abs=1e-9)
    assert landscape.model(cube, 3) == pytest.approx(cube)


@given(cubes)
def test_a_model_is_the_least_squares_fit_of_its_order(cube):
    columns = np.indices(cube.shape).reshape(3, -1)
    one_hot = [columns[i] == choice for i in range(3) for choice in range(cube.shape[i])]
    pairs = [a & b for a, b in combinations(one_hot, 2)]
    for order, design in ((1, one_hot), (2, one_hot + pairs)):
        matrix = np.column_stack(design).astype(float)
        expected = matrix @ np.linalg.lstsq(matrix, cube.ravel(), rcond=None)[0]
        assert landscape.model(cube, order).ravel() == pytest.approx(expected, abs=1e-9)


def test_the_r2_of_the_indices_is_that_of_the_models(drops):
    found = landscape.anova(drops)
    assert len(found.shares) == 2**8 - 1
    for order in (1, 2):
        assert found.r2[order - 1] == pytest.approx(
            landscape.fit(landscape.model(drops, order), drops).r2
        )


def test_a_flat_landscape_has_nothing_to_divide():
    with pytest.raises(ValueError, match=r"variance 0.0; expected some that differ"):
        landscape.anova(np.zeros((2, 3)))


def test_stages_meet_as_neighbors_or_over_a_skip():
    met = {pair: landscape.relation(*pair) for pair in combinations(range(8), 2)}
    assert [p for p, how in met.items() if how == landscape.SKIP] == [(0, 6), (1, 5), (2, 4)]
    neighbors = [p for p, how in met.items() if how == landscape.NEIGHBORS]
    assert neighbors == [(i, i + 1) for i in range(7)]
    assert landscape.relation(6, 0) == landscape.SKIP


# ---- proxies ------------------------------------------------------------------------------------


def test_a_latency_that_is_the_penalty_agrees_with_it(drops):
    cost = landscape.penalties()
    found = landscape.agreement(drops, 10 * cost, cost)
    assert (found.tau, found.tau_front, found.hypervolume) == pytest.approx((1, 1, 1))
    assert found.n_both == found.n_front


def test_where_the_cheapest_is_slowest_the_penalty_s_front_is_useless(drops):
    cost = landscape.penalties()
    found = landscape.agreement(drops, 100 - cost, cost)
    assert found.tau == found.tau_front == pytest.approx(-1)
    assert found.n_both < found.n_front


def test_the_penalty_s_front_is_judged_by_what_it_reaches_in_latency():
    # By penalties 8, 5.6, 4.8 | 4.8, 2.4, 1.6 the front is 0, 3, 4, 5; by latency number 1 is on it
    # too, because it is far faster than number 3.
    drop = np.array([[0.0, 0.6, 3.0], [0.5, 1.5, 3.5]])
    latency = np.array([[10.0, 5.0, 9.0], [8.0, 4.0, 2.0]])
    found = landscape.agreement(drop, latency, landscape.penalties("blocks", TINY), TINY)
    assert (found.n_front, found.n_both) == (4, 4)
    # strips in drop below the reference (3.85, 10.8), the box from (0, 2) to (3.5, 10) and a tenth;
    # without number 1, latency 5 is not reached between the drops 0.6 and 1.5, only 8
    whole = 0.5 * 0.8 + 0.1 * 2.8 + 0.9 * 5.8 + 2.0 * 6.8 + 0.35 * 8.8
    assert found.hypervolume == pytest.approx(1 - 0.9 * 3.0 / whole)
    # Kendall's tau of the front, penalties 8, 4.8, 2.4, 1.6 against latencies 10, 8, 4, 2
    assert found.tau_front == pytest.approx(1)


def test_a_sum_that_is_a_tenth_too_slow_has_that_bias():
    sample = [(0, 11, 10), (7, 22, 20), (9, 33, 30)]
    found = landscape.latency_fit(sample)
    assert (found.median_error, found.p90_error, found.bias) == pytest.approx((0.1, 0.1, 0.1))
    assert (found.n, found.spearman) == (3, pytest.approx(1))


def test_errors_of_both_signs_cancel_in_the_bias_only():
    found = landscape.latency_fit([(0, 8, 10), (1, 10, 10), (2, 12, 10)])
    assert (found.median_error, found.bias) == pytest.approx((0.2, 0.0))
    assert np.isnan(found.spearman)  # all networks take as long


@pytest.mark.parametrize("sample", [[], [(1, 2)], [(0, 0, 10)], [(0, 10, np.nan)]])
def test_a_sample_without_latencies_is_refused(sample):
    with pytest.raises(ValueError, match=r"expected \(n >= 1, 3\), latencies above 0"):
        landscape.latency_fit(sample)


def test_feature_errors_are_laid_out_by_choice():
    rows = [
        {"stage": "bottleneck", "depth": 2, "relative_error": 0.5},
        {"stage": "encoder_1", "depth": 2, "relative_error": 0.1},
        {"stage": "bottleneck", "depth": 4, "relative_error": 0.3},
    ]
    errors = landscape.feature_errors(rows, TINY)
    assert [part.tolist() for part in errors] == [[0.0, 0.1], [0.0, 0.3, 0.5]]
    with pytest.raises(ValueError, match=r"no surrogate \('bottleneck', 4\); expected all 3"):
        landscape.feature_errors(rows[:2], TINY)
