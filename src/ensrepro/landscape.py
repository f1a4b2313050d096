"""What the table of all architectures says: its front, its sums, its interactions, its proxies.

A *grid* holds one value an architecture in an array with one axis a stage: `grid[architecture]` is
its value, and `grid.ravel()` runs by the architectures' numbers. A *drop* is the teacher's PSNR
minus the architecture's, in dB. With all architectures equally likely, the functional ANOVA

    drop(c) = mean + sum_i f_i(c_i) + sum_{i<j} f_ij(c_i, c_j) + ... + f_1...n(c)

of a grid is exact: a term averages to 0 over each of its own choices, terms are orthogonal, and
their variances add up to that of the drop. Nothing is sampled or fitted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ensrepro import pareto
from ensrepro.space import PENALTY_DECIMALS, PENALTY_TABLES, RESTORMER, Space, choice_penalty

Grid = NDArray[np.float64]
Parts = list[NDArray[np.float64]]  # one value a choice: (n_choices,) per stage

NEIGHBORS, SKIP, APART = "neighbors", "skip partners", "apart"  # how two stages meet


def grid(frame: pd.DataFrame, column: str, space: Space = RESTORMER) -> Grid:
    """A column of the table; a ValueError names the first row out of place or not finite."""
    names = [stage.name for stage in space.stages]
    missing = [name for name in (*names, column) if name not in frame.columns]
    if missing:
        found = ", ".join(map(str, frame.columns))
        raise ValueError(f"the table has no column {missing[0]!r}; it has {found}")
    if len(frame) != space.n_architectures:
        raise ValueError(f"the table has {len(frame)} rows; expected {space.n_architectures}")
    choices = frame[names].to_numpy()
    expected = np.indices(space.n_choices).reshape(len(names), -1).T
    misplaced = np.flatnonzero((choices != expected).any(axis=1))
    if misplaced.size:
        row = int(misplaced[0])
        found, due = tuple(choices[row].tolist()), space.architecture(row)
        raise ValueError(f"row {row} is architecture {found}; expected {due}, sorted by number")
    values = frame[column].to_numpy(np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ValueError(f"{column} of row {bad[0]} is {values[bad[0]]}; expected a finite number")
    return values.reshape(space.n_choices)


def psnr_drops(frame: pd.DataFrame, space: Space = RESTORMER) -> Grid:
    """The drop of every architecture (dB)."""
    psnr = grid(frame, "psnr", space)
    return psnr.flat[0] - psnr


def added(parts: Sequence[ArrayLike]) -> Grid:
    """The sum over stages of one value a choice."""
    return sum(np.ix_(*parts))  # ix_ lays each part along its own axis


def penalties(table: str = "blocks", space: Space = RESTORMER) -> Grid:
    """`space.penalty` of every architecture."""
    stages = [[choice_penalty(s, c, table) for c in range(s.n_choices)] for s in space.stages]
    return np.round(added(stages), PENALTY_DECIMALS)


def feature_errors(rows: Sequence[Mapping[str, Any]], space: Space = RESTORMER) -> Parts:
    """The relative feature error of every choice, from the rows of the pool; 0 for the teacher."""
    errors = {(row["stage"], row["depth"]): row["relative_error"] for row in rows}
    missing = [key for key in space.surrogates if key not in errors]
    if missing:
        raise ValueError(f"rows has no surrogate {missing[0]}; expected all {space.n_surrogates}")
    return [np.array([0.0, *(errors[s.name, d] for d in s.depths)]) for s in space.stages]


def points(drops: Grid, cost: Grid) -> NDArray[np.float64]:
    """(n_architectures, 2) as `pareto` takes them: drop (dB) and cost, by number."""
    return np.column_stack([drops.ravel(), cost.ravel()])


@dataclass(frozen=True)
class TrueFront:
    """The front of all architectures: their numbers (n,) and points (n, 2), by drop ascending.

    `gaps` (n_architectures,): what each drops more than the best at no higher a cost (dB).
    """

    numbers: NDArray[np.intp]
    points: NDArray[np.float64]
    reference: tuple[float, ...]
    hypervolume: float
    gaps: NDArray[np.float64]


def gaps(every: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each point's drop minus the least drop at no higher a cost, (n, 2) -> (n,); at least 0."""
    drop, cost = every.T
    costs, place = np.unique(cost, return_inverse=True)
    least = np.full(len(costs), np.inf)
    np.minimum.at(least, place, drop)
    return drop - np.minimum.accumulate(least)[place]


def true_front(drops: Grid, cost: Grid, space: Space = RESTORMER) -> TrueFront:
    """The front of all architectures by drop and cost, be that a penalty or a latency."""
    every = points(drops, cost)
    ends = pareto.front(every)
    worst = every[space.index(space.cheapest), 0]  # a latency need not be largest there (A13)
    anchors = pareto.Anchors.between((every[0, 0], cost.min()), (worst, cost.max()))
    reference = pareto.reference_point(anchors)
    volume = pareto.hypervolume(every[ends], reference)
    return TrueFront(ends, every[ends], reference, volume, gaps(every))


def knees(drops: Grid, space: Space = RESTORMER) -> list[pareto.KneeRow]:
    """The knee of the true front under every penalty table, definition and cap."""
    tables = {table: points(drops, penalties(table, space)) for table in PENALTY_TABLES}
    return pareto.knee_sensitivity(tables, 0, space.index(space.cheapest))


def correlation(x: ArrayLike, y: ArrayLike, *, kendall: bool = False) -> float:
    """Spearman's rank correlation, or Kendall's tau-b; NaN where one of the two is constant."""
    a, b = np.ravel(x), np.ravel(y)
    if min(len(np.unique(a)), len(np.unique(b))) < 2:
        return float("nan")
    return float((stats.kendalltau if kendall else stats.spearmanr)(a, b).statistic)


@dataclass(frozen=True)
class Fit:
    """A prediction against n true values, errors in their unit; `bias` is the mean signed error."""

    n: int
    rmse: float
    median_error: float
    bias: float
    r2: float
    spearman: float


def fit(prediction: ArrayLike, truth: ArrayLike) -> Fit:
    """Errors and rank correlation of two arrays of one shape."""
    guess, true = np.ravel(prediction), np.ravel(truth)
    if guess.shape != true.shape or not guess.size:
        raise ValueError(f"{guess.size} predictions of {true.size} values; expected as many, >= 1")
    error, spread = guess - true, float(true.var())
    square, middle = float(np.mean(error**2)), float(np.median(np.abs(error)))
    r2 = 1 - square / spread if spread > 0 else float("nan")
    return Fit(len(true), square**0.5, middle, float(error.mean()), r2, correlation(guess, true))


def single_swaps(drops: Grid) -> Parts:
    """The drop of each choice with the teacher in all other stages."""
    # choice 0 of all other stages is column 0 of the rest
    return [np.moveaxis(drops, i, 0).reshape(n, -1)[:, 0] for i, n in enumerate(drops.shape)]


def squared_error_sum(drops: Grid) -> Grid:
    """The drops (dB) if single swaps added their squared errors, which grow by 10^(drop / 10)."""
    return 10 * np.log10(1 + added([10 ** (part / 10) - 1 for part in single_swaps(drops)]))


def effect(values: Grid, stages: tuple[int, ...]) -> Grid:
    """The ANOVA term of a set of stages; the axes of the other stages have length 1."""
    others = tuple(i for i in range(values.ndim) if i not in stages)
    term = values.mean(axis=others, keepdims=True)
    for i in stages:
        term = term - term.mean(axis=i, keepdims=True)
    return term


def sets(n_stages: int, order: int) -> Iterator[tuple[int, ...]]:
    """All sets of at most `order` stages, the empty one first."""
    for size in range(order + 1):
        yield from combinations(range(n_stages), size)


def model(values: Grid, order: int) -> Grid:
    """The sum of all terms of at most `order` stages: the least-squares fit of that order."""
    terms = (effect(values, stages) for stages in sets(values.ndim, order))
    return sum(terms, np.zeros_like(values))


def mean_drops(drops: Grid) -> Parts:
    """The mean drop of all architectures that have the choice."""
    return [drops.mean() + effect(drops, (i,)).ravel() for i in range(drops.ndim)]


@dataclass(frozen=True)
class Anova:
    """The variance of a grid, and the share of it that each set of stages has; they sum to 1."""

    variance: float
    shares: Mapping[tuple[int, ...], float]

    @property
    def n_stages(self) -> int:
        return max(map(len, self.shares))

    @property
    def first(self) -> NDArray[np.float64]:
        """First-order Sobol indices, (n_stages,): the share of each stage's own term."""
        return np.array([self.shares[i,] for i in range(self.n_stages)])

    @property
    def total(self) -> NDArray[np.float64]:
        """Total Sobol indices, (n_stages,): the share of all terms that the stage is part of."""
        shares, n = self.shares.items(), self.n_stages
        return np.array([sum(v for stages, v in shares if i in stages) for i in range(n)])

    @property
    def r2(self) -> NDArray[np.float64]:
        """R2 of the best model of order 1, 2, ..., n_stages."""
        orders = np.array([len(stages) for stages in self.shares])
        return np.cumsum(np.bincount(orders, list(self.shares.values()))[1:])

    @property
    def interactions(self) -> NDArray[np.float64]:
        """Standard deviation of each pair's term, symmetric (n_stages, n_stages); NaN if i = j."""
        matrix = np.full((self.n_stages, self.n_stages), np.nan)
        for i, j in combinations(range(self.n_stages), 2):
            matrix[i, j] = matrix[j, i] = (self.variance * self.shares[i, j]) ** 0.5
        return matrix


def anova(values: Grid) -> Anova:
    """The variance of a grid, divided among all sets of stages."""
    variance = float(values.var())
    if not variance > 0:
        raise ValueError(f"the values have variance {variance}; expected some that differ")
    _, *every = sets(values.ndim, values.ndim)
    return Anova(variance, {s: float((effect(values, s) ** 2).mean()) / variance for s in every})


def relation(i: int, j: int, space: Space = RESTORMER) -> str:
    """How two stages meet: one feeds the other, a skip connection joins them, or neither."""
    (side, _, level), (other, _, same) = (space.stages[k].name.partition("_") for k in (i, j))
    if {side, other} == {"encoder", "decoder"} and level == same:
        return SKIP
    return NEIGHBORS if abs(i - j) == 1 else APART


@dataclass(frozen=True)
class Agreement:
    """How well a penalty stands for latency, by Kendall's tau-b and by the penalty's front.

    Of its `n_front` architectures `n_both` are also on the front of drop and latency; the area they
    dominate there is the share `hypervolume` of the possible.
    """

    tau: float
    tau_front: float
    n_front: int
    n_both: int
    hypervolume: float


def agreement(drops: Grid, latency: Grid, cost: Grid, space: Space = RESTORMER) -> Agreement:
    """A penalty compared with latency, over all architectures and over the penalty's front."""
    cheap, fast = true_front(drops, cost, space), true_front(drops, latency, space)
    chosen = points(drops, latency)[cheap.numbers]
    return Agreement(
        tau=correlation(cost, latency, kendall=True),
        tau_front=correlation(cheap.points[:, 1], chosen[:, 1], kendall=True),
        n_front=len(cheap.numbers),
        n_both=len(np.intersect1d(cheap.numbers, fast.numbers)),
        hypervolume=pareto.hypervolume(chosen, fast.reference) / fast.hypervolume,
    )


@dataclass(frozen=True)
class LatencyFit:
    """Sums of stage latencies, errors relative to whole networks; `bias` is the median signed."""

    n: int
    median_error: float
    p90_error: float
    bias: float
    spearman: float


def latency_fit(sample: ArrayLike) -> LatencyFit:
    """From rows (architecture number, sum of stages in ms, whole network in ms)."""
    rows = np.asarray(sample, dtype=np.float64)
    if rows.shape[1:] != (3,) or not len(rows) or not (rows[:, 1:] > 0).all():
        raise ValueError(f"sample has shape {rows.shape}; expected (n >= 1, 3), latencies above 0")
    error = rows[:, 1] / rows[:, 2] - 1
    median, p90, bias = *np.percentile(np.abs(error), [50, 90]), np.median(error)
    rank = correlation(rows[:, 1], rows[:, 2])
    return LatencyFit(len(rows), float(median), float(p90), float(bias), rank)
