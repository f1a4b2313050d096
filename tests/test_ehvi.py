"""Expected hypervolume improvement against BoTorch's, against quadrature and by hand."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from ensrepro import ehvi, pareto
from ensrepro.ehvi import Improvement
from ensrepro.space import RESTORMER, penalty


class Scene(NamedTuple):
    """Candidates: known (N, k), mean and std (N,) of the drop; points that were seen (n, 1 + k)."""

    known: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    points: np.ndarray
    reference: np.ndarray

    @property
    def improvement(self) -> Improvement:
        found = Improvement(self.known, self.reference)
        for drop, *known in self.points:
            found.add(drop, np.array(known))
        return found


def scene(n_known: int, seed: int, n: int = 40, n_points: int = 12) -> Scene:
    """Known values in (0, 1) that are all different, 1 / (n + n_points) apart or more.

    BoTorch knows no known objectives: one with a tiny variance is one only where no edge is near.
    """
    rng = np.random.default_rng(seed)
    total = n + n_points
    ranks = rng.permuted(np.tile(np.arange(total), (n_known, 1)), axis=1).T
    values = (ranks + 0.5) / total
    points = np.column_stack([2 * rng.random(n_points), values[n:]])
    reference = np.array([1.5, *[0.9] * n_known])  # so some points lie beyond it
    return Scene(values[:n], 2 * rng.random(n), 10 ** rng.uniform(-3, 0, n), points, reference)


def discrete_scene(seed: int, n: int = 300) -> Scene:
    """Candidates that share penalties and points that lie on them, as in a search."""
    rng = np.random.default_rng(seed)
    numbers = rng.choice(RESTORMER.n_architectures, n + 12, replace=False)
    price = np.array([[penalty(RESTORMER.architecture(int(i)))] for i in numbers])
    points = np.column_stack([rng.uniform(0, 3, 12), price[n:]])
    return Scene(
        price[:n], rng.uniform(0, 3, n), rng.uniform(0.01, 0.5, n), points, np.array([3.0, 40.0])
    )


def by_botorch(at: Scene) -> np.ndarray:
    """BoTorch's analytic value of every candidate; the known objectives have a variance of 1e-10.

    It maximizes, so everything is negated.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what BoTorch imports
        from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
        from botorch.utils.multi_objective.box_decompositions import NondominatedPartitioning
        from botorch.utils.testing import MockModel, MockPosterior

    mean = -torch.from_numpy(np.column_stack([at.mean, at.known]))[:, None]  # (N, 1, 1 + k)
    variance = torch.full_like(mean, 1e-10)
    variance[..., 0] = torch.from_numpy(at.std**2)[:, None]
    worst = -torch.from_numpy(at.reference)
    partitioning = NondominatedPartitioning(worst, Y=-torch.from_numpy(at.points))
    model = MockModel(MockPosterior(mean=mean, variance=variance))
    acquisition = ExpectedHypervolumeImprovement(model, worst.tolist(), partitioning)
    return acquisition(torch.zeros(len(mean), 1, 1, dtype=torch.float64)).numpy()


def by_quadrature(at: Scene, candidate: int, nodes: int = 1500) -> float:
    """The mean of the hypervolume that the candidate adds, by the midpoint rule over its drop."""
    edges = np.linspace(-7, 7, nodes + 1)
    middle, weight = (edges[1:] + edges[:-1]) / 2, np.diff(stats.norm.cdf(edges))
    before = pareto.hypervolume(at.points, at.reference)
    added = [
        pareto.hypervolume(np.vstack([at.points, [drop, *at.known[candidate]]]), at.reference)
        - before
        for drop in at.mean[candidate] + at.std[candidate] * middle
    ]
    return float(weight @ added)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_known", [1, 2])
def test_it_is_botorchs_with_a_known_objective_of_almost_no_variance(n_known, seed):
    at = scene(n_known, seed)
    found = at.improvement.exact(at.mean, at.std, np.arange(len(at.known)))
    assert found == pytest.approx(by_botorch(at), abs=1e-6)
    assert found.max() > 0.01  # it is not a comparison of zeros


@pytest.mark.parametrize("n_known", [1, 2])
def test_it_is_the_mean_of_the_hypervolume_that_is_added(n_known):
    at = scene(n_known, seed=9)
    best = np.argsort(-at.improvement.exact(at.mean, at.std, np.arange(len(at.known))))[:4]
    found = at.improvement.exact(at.mean, at.std, best)
    assert found == pytest.approx([by_quadrature(at, i) for i in best], rel=1e-4)


def test_it_is_that_mean_where_candidates_and_points_share_a_penalty():
    at = discrete_scene(seed=3)
    chosen = np.flatnonzero(np.isin(at.known[:, 0], at.points[:, 1]))[:4]
    assert len(chosen) == 4
    found = at.improvement.exact(at.mean, at.std, chosen)
    assert found == pytest.approx([by_quadrature(at, i) for i in chosen], rel=1e-4, abs=1e-5)


def test_a_certain_candidate_alone_adds_its_box():
    one = Improvement(np.array([[2.0, 3.0]]), np.array([1.0, 4.0, 10.0]))
    found = one.exact(np.array([0.25]), np.array([0.0]), np.array([0]))
    assert found == pytest.approx([(1 - 0.25) * (4 - 2) * (10 - 3)])


def test_expected_improvement_at_the_target_is_the_deviation_over_root_two_pi():
    # u = 0: phi(0) = 1 / sqrt(2 pi), Phi's term vanishes
    found = ehvi.expected_improvement(np.array([1.0]), np.array([1.0]), np.array([0.3]))
    assert found == pytest.approx([0.3 / np.sqrt(2 * np.pi)])


def test_a_certain_prediction_improves_by_its_distance_or_not_at_all():
    target, mean = np.array([1.0, 1.0]), np.array([0.4, 1.7])
    assert ehvi.expected_improvement(target, mean, np.zeros(2)) == pytest.approx([0.6, 0.0])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_known", [1, 2])
def test_no_candidate_is_worth_more_than_its_bound(n_known, seed):
    at = scene(n_known, seed)
    exact = at.improvement.exact(at.mean, at.std, np.arange(len(at.known)))
    assert (exact <= at.improvement.bound(at.mean, at.std) + 1e-12).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_pick_is_the_best_of_all_candidates(seed):
    for at in (scene(1, seed, n=300), scene(2, seed, n=300), discrete_scene(seed)):
        improvement, every = at.improvement, np.arange(len(at.known))
        exact = improvement.exact(at.mean, at.std, every)
        free = np.ones(len(every), dtype=bool)
        assert improvement.argmax(at.mean, at.std, free) == exact.argmax()
        free[np.random.default_rng(seed).random(len(every)) < 0.5] = False
        assert improvement.argmax(at.mean, at.std, free) == np.where(free, exact, -1).argmax()


def test_of_equal_candidates_the_first_that_is_allowed_is_picked():
    n = 3 * ehvi.CHUNK
    at = scene(1, seed=0, n=1)
    same = Scene(np.tile(at.known, (n, 1)), np.full(n, 0.2), np.full(n, 0.1), *at[3:])
    free = np.ones(n, dtype=bool)
    assert same.improvement.argmax(same.mean, same.std, free) == 0
    free[:100] = False
    assert same.improvement.argmax(same.mean, same.std, free) == 100


def test_what_is_masked_is_never_picked():
    at, free = scene(1, seed=2), np.ones(40, dtype=bool)
    picked = []
    for _ in range(40):
        picked.append(at.improvement.argmax(at.mean, at.std, free))
        free[picked[-1]] = False
    assert sorted(picked) == list(range(40))
    with pytest.raises(ValueError, match="no candidate is left; expected at least one"):
        at.improvement.argmax(at.mean, at.std, free)


@pytest.mark.parametrize("beyond", [[1.6, 0.1], [0.1, 0.95], [1.5, 0.1], [0.1, 0.9]])
def test_a_point_at_or_beyond_the_reference_changes_nothing(beyond):
    at, every = scene(1, seed=1), np.arange(40)
    before = at.improvement
    after = at._replace(points=np.vstack([at.points, beyond])).improvement
    assert after.exact(at.mean, at.std, every) == pytest.approx(
        before.exact(at.mean, at.std, every), abs=1e-15
    )
    assert after.bound(at.mean, at.std).tolist() == before.bound(at.mean, at.std).tolist()


def test_a_candidate_beyond_the_reference_is_worth_nothing():
    at = scene(1, seed=1)
    beyond = at.known[:, 0] >= at.reference[1]
    exact = at.improvement.exact(at.mean, at.std, np.arange(40))
    assert beyond.any()
    assert (exact[beyond] == 0).all()


def test_a_dominated_point_changes_nothing():
    at = scene(2, seed=1)
    worse = at.points[at.points[:, 0].argmin()] + 0.01
    more = at._replace(points=np.vstack([at.points, worse]))
    every = np.arange(40)
    assert more.improvement.exact(at.mean, at.std, every) == pytest.approx(
        at.improvement.exact(at.mean, at.std, every), abs=1e-14
    )


def test_before_anything_is_seen_the_whole_box_can_be_won():
    at = scene(2, seed=4)._replace(points=np.empty((0, 3)))
    exact = at.improvement.exact(at.mean, at.std, np.arange(40))
    room = np.prod(np.maximum(0.9 - at.known, 0), axis=1)
    expected = room * ehvi.expected_improvement(np.full(40, 1.5), at.mean, at.std)
    assert exact == pytest.approx(expected)


@pytest.mark.parametrize(
    ("shape", "length", "sentence"),
    [
        ((5,), 2, r"known has shape \(5,\); expected \(candidates, 1 or 2\)"),
        ((5, 3), 4, r"known has shape \(5, 3\)"),
        ((5, 2), 2, "reference has 2 values; expected 3"),
    ],
)
def test_objectives_of_another_number_are_refused(shape, length, sentence):
    with pytest.raises(ValueError, match=sentence):
        Improvement(np.zeros(shape), np.ones(length))
