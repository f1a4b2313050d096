"""Optuna's samplers, with every choice that its defaults make worse here stated."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ensrepro.samplers.problem import Problem
from ensrepro.space import Architecture

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

POPULATION = 20  # Optuna's default of 50 leaves ten generations to 500 evaluations; 20 does better


def optuna_sampler(name: str, seed: int) -> BaseSampler:
    """One of nsga2, nsga3, motpe, gp."""
    from optuna import samplers

    match name:
        case "nsga2":
            return samplers.NSGAIISampler(population_size=POPULATION, seed=seed)
        case "nsga3":
            return samplers.NSGAIIISampler(population_size=POPULATION, seed=seed)
        case "motpe":
            return samplers.TPESampler(multivariate=True, constant_liar=True, seed=seed)
        case "gp":
            return samplers.GPSampler(deterministic_objective=True, seed=seed)
        case _:
            raise ValueError(f"sampler is {name!r}; expected one of nsga2, nsga3, motpe, gp")


@contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's line a trial and its notes that an interface is experimental."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


class Study:
    """An Optuna study in memory, one categorical parameter a stage.

    A candidate over the latency budget is told as infeasible: the sampler keeps away from there.
    """

    def __init__(self, name: str, problem: Problem) -> None:
        import optuna

        self._problem, self._space = problem, problem.space
        self._distributions = {
            stage.name: optuna.distributions.CategoricalDistribution(range(stage.n_choices))
            for stage in self._space.stages
        }
        directions = ["minimize"] * (1 + problem.known.shape[1])
        with quiet():
            sampler = optuna_sampler(name, problem.seed)
            self._study = optuna.create_study(directions=directions, sampler=sampler)
            for architecture in problem.architectures(problem.anchors):
                parameters = dict(zip(self._distributions, architecture, strict=True))
                self._study.enqueue_trial(parameters)
        self._open: list[optuna.Trial] = []

    def ask(self, n: int) -> list[Architecture]:
        with quiet():
            self._open = [self._study.ask(self._distributions) for _ in range(n)]
        return [self._architecture(trial.params) for trial in self._open]

    def tell(self, drops: NDArray[np.float64]) -> None:
        with quiet():
            for trial, drop in zip(self._open, drops, strict=True):
                number = self._space.index(self._architecture(trial.params))
                if not self._problem.allowed.all():
                    trial.set_constraint("budget", 0.0 if self._problem.allowed[number] else 1.0)
                if self._problem.max_drop_db is not None:
                    trial.set_constraint("drop", float(drop) - self._problem.max_drop_db)
                self._study.tell(trial, [float(drop), *map(float, self._problem.known[number])])

    def _architecture(self, parameters: dict[str, int]) -> Architecture:
        return self._space.check([parameters[name] for name in self._distributions])
