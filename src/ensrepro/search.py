"""The search over architectures: samplers, evaluation through a ledger, `run` (section 3.4).

Two objectives are minimized: psnr_drop (PSNR of the teacher minus PSNR of the hybrid, dB) and the
penalty, which is a known table (assumptions A4, A7). A run makes `n_trials` *proposals*, the first
two of which are the teacher and the cheapest architecture (assumption A9).

* A repeated proposal is answered from memory or the ledger. It counts as one of the paper's 500
  (assumption A22); `n_unique` says how many differ, `n_evaluated` how many were measured now.
* Proposals follow from (sampler, seed, batch) and the measured values alone. The ledger never
  steers them: a run that was killed asks again in the same order, gets its own answers back, and
  continues as if nothing had happened.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ensrepro import pareto
from ensrepro.ledger import Answers, Ledger, Metrics, Objective
from ensrepro.space import PENALTY_TABLES, RESTORMER, Architecture, Space, penalty

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

SAMPLERS = {  # assumption A21: the paper's own is a Gaussian process with EHVI
    "random": "uniform, without replacement",
    "nsga2": "NSGA-II (Optuna), categorical, population 20",
    "nsga3": "NSGA-III (Optuna), categorical, population 20",
    "motpe": "multi-objective tree-structured Parzen estimator (Optuna), multivariate",
    "gp": "Gaussian processes with expected hypervolume improvement (Optuna); slow past 100",
}
POPULATION = 20  # Optuna's default of 50 leaves ten generations to 500 evaluations; 20 does better
BATCHES = {"random": POPULATION, "nsga2": POPULATION, "nsga3": POPULATION, "motpe": 8, "gp": 1}

Progress = Callable[[int, int], None]  # (proposals answered, n_trials)


@dataclass(frozen=True)
class Settings:
    """What was asked of a run."""

    sampler: str
    n_trials: int
    seed: int
    penalty_table: str
    batch: int


@dataclass(frozen=True)
class SearchResult:
    """A finished run: n proposals in order, the teacher first, the cheapest second.

    The arrays have shape (n,); `hypervolume[i]` is that of the first i + 1 proposals. `seconds` is
    the time the run took; `n_evaluated` counts what was measured in it, not found in the ledger.
    """

    settings: Settings
    architectures: tuple[Architecture, ...]
    psnr: NDArray[np.float64]
    ssim: NDArray[np.float64]
    penalty: NDArray[np.float64]
    hypervolume: NDArray[np.float64]
    n_evaluated: int
    seconds: float

    @property
    def drop(self) -> NDArray[np.float64]:
        """PSNR below the teacher in dB, (n,)."""
        return self.psnr[0] - self.psnr

    @property
    def points(self) -> NDArray[np.float64]:
        """(n, 2): psnr_drop and penalty, as `pareto` takes them."""
        return np.column_stack([self.drop, self.penalty])

    @property
    def anchors(self) -> pareto.Anchors:
        """The box between the teacher and the cheapest architecture."""
        return pareto.Anchors.between(self.points[0], self.points[1])

    @cached_property
    def unique(self) -> tuple[int, ...]:
        """The first proposal of every architecture, sorted by architecture."""
        first: dict[Architecture, int] = {}
        for i, architecture in enumerate(self.architectures):
            first.setdefault(architecture, i)
        return tuple(first[architecture] for architecture in sorted(first))

    @property
    def n_unique(self) -> int:
        return len(self.unique)

    @cached_property
    def front(self) -> tuple[int, ...]:
        """Proposals on the front, by psnr_drop; of equal points the first by architecture."""
        unique = np.array(self.unique)
        return tuple(int(i) for i in unique[pareto.front(self.points[unique])])


class Proposer(Protocol):
    """A sampler at work. `ask` and `tell` alternate, with the same architectures."""

    def ask(self, n: int) -> list[Architecture]: ...

    def tell(self, points: NDArray[np.float64]) -> None: ...


class _Shuffled:
    """Every architecture once, in a random order that starts with the two anchors."""

    def __init__(self, space: Space, seed: int) -> None:
        order = np.random.default_rng(seed).permutation(space.n_architectures)
        ends = [space.index(space.teacher), space.index(space.cheapest)]
        self._space = space
        self._rest = iter([*ends, *(int(i) for i in order if i not in ends)])

    def ask(self, n: int) -> list[Architecture]:
        return [self._space.architecture(next(self._rest)) for _ in range(n)]

    def tell(self, points: NDArray[np.float64]) -> None:
        """Nothing to learn."""


class _Study:
    """An Optuna study in memory, one categorical parameter a stage."""

    def __init__(self, space: Space, sampler: BaseSampler) -> None:
        import optuna

        self._space = space
        self._distributions = {
            stage.name: optuna.distributions.CategoricalDistribution(range(stage.n_choices))
            for stage in space.stages
        }
        self._study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
        self._open: list[optuna.Trial] = []
        for architecture in (space.teacher, space.cheapest):
            self._study.enqueue_trial(dict(zip(self._distributions, architecture, strict=True)))

    def ask(self, n: int) -> list[Architecture]:
        self._open = [self._study.ask(self._distributions) for _ in range(n)]
        return [
            self._space.check([trial.params[name] for name in self._distributions])
            for trial in self._open
        ]

    def tell(self, points: NDArray[np.float64]) -> None:
        for trial, point in zip(self._open, points, strict=True):
            self._study.tell(trial, [float(value) for value in point])


def _optuna_sampler(name: str, seed: int) -> BaseSampler:
    """Optuna's sampler, with every choice that its defaults make worse here stated."""
    from optuna import samplers

    match name:
        case "nsga2":
            return samplers.NSGAIISampler(population_size=POPULATION, seed=seed)
        case "nsga3":
            return samplers.NSGAIIISampler(population_size=POPULATION, seed=seed)
        case "motpe":
            return samplers.TPESampler(multivariate=True, constant_liar=True, seed=seed)
        case _:
            return samplers.GPSampler(deterministic_objective=True, seed=seed)


def _proposer(name: str, space: Space, seed: int) -> Proposer:
    if name == "random":
        return _Shuffled(space, seed)
    return _Study(space, _optuna_sampler(name, seed))


@contextmanager
def _quiet_optuna(name: str) -> Iterator[None]:
    """Without Optuna's line a trial and its notes that an interface is experimental."""
    if name == "random":
        yield
        return
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _count(name: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is {value!r}; expected an integer >= {least}")
    return value


def settings(
    space: Space,
    sampler: str,
    n_trials: int,
    seed: int,
    penalty_table: str,
    batch: int | None = None,
) -> Settings:
    """These arguments of `run`, checked; the sampler's own batch where none is given."""
    for name, value, table in (
        ("sampler", sampler, SAMPLERS),
        ("penalty_table", penalty_table, PENALTY_TABLES),
    ):
        if value not in table:
            raise ValueError(f"{name} is {value!r}; expected one of {', '.join(table)}")
    _count("n_trials", n_trials, 2)  # the teacher and the cheapest
    if sampler == "random" and n_trials > space.n_architectures:
        raise ValueError(
            f"n_trials is {n_trials}; random draws without replacement "
            f"from {space.n_architectures} architectures"
        )
    batch = BATCHES[sampler] if batch is None else _count("batch", batch, 1)
    return Settings(sampler, n_trials, _count("seed", seed, 0), penalty_table, batch)


def run(
    objective: Objective,
    *,
    space: Space = RESTORMER,
    sampler: str = "nsga2",
    n_trials: int = 500,
    seed: int = 0,
    penalty_table: str = "blocks",
    ledger: Ledger | None = None,
    progress: Progress | None = None,
    batch: int | None = None,
) -> SearchResult:
    """Propose `n_trials` architectures and measure the ones that are new.

    The objective gets a batch of new architectures in sorted order, so that neighbors share their
    first stages, and returns their metrics in that order. The same arguments and the same measured
    values give the same proposals; `batch` is one of these arguments.
    """
    asked = settings(space, sampler, n_trials, seed, penalty_table, batch)
    start = time.perf_counter()
    answers = Answers(objective, space, ledger)
    proposals: list[Architecture] = []
    metrics: list[Metrics] = []
    costs: list[float] = []
    with _quiet_optuna(sampler):
        proposer = _proposer(sampler, space, seed)
        while len(proposals) < n_trials:
            new = proposer.ask(min(asked.batch, n_trials - len(proposals)))
            proposals += new
            metrics += answers.of(new)
            costs += [penalty(a, penalty_table, space) for a in new]
            drops = [metrics[0].psnr - m.psnr for m in metrics[-len(new) :]]
            proposer.tell(np.column_stack([drops, costs[-len(new) :]]))
            if progress is not None:
                progress(len(proposals), n_trials)
    psnr, ssim = (np.array(column) for column in zip(*metrics, strict=True))
    points = np.column_stack([psnr[0] - psnr, costs])
    reference = pareto.reference_point(pareto.Anchors.between(points[0], points[1]))
    return SearchResult(
        asked,
        tuple(proposals),
        psnr,
        ssim,
        np.array(costs),
        pareto.hypervolume_trace(points, reference),
        answers.n_evaluated,
        time.perf_counter() - start,
    )
