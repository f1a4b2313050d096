"""Samplers: each proposes architectures and learns from what they turned out to be worth.

All answer the same two calls (`problem.Proposer`) and see the same problem; none knows of ledgers,
files or other runs.
"""

from __future__ import annotations

from collections.abc import Callable

from ensrepro.samplers.additive import Additive, WarmExactEhvi
from ensrepro.samplers.exact import ExactEhvi
from ensrepro.samplers.library import POPULATION, Study
from ensrepro.samplers.paper import PaperEhvi
from ensrepro.samplers.problem import Problem, Proposer, Shuffled

DEFAULT = "exact-ehvi"

SAMPLERS = {  # assumption A21: the paper's own is a Gaussian process with EHVI
    "exact-ehvi": "Gaussian process on the drop, known penalty, EHVI over all candidates",
    "additive+exact-ehvi": "exact-ehvi that starts from the single swaps and their front",
    "additive": "front of the sums of single-swap drops, by dynamic programming",
    "paper-ehvi": "the paper's: Gaussian processes on both objectives, EHVI over a cut cube; slow",
    "random": "uniform, without replacement",
    "nsga2": "NSGA-II (Optuna), categorical, population 20",
    "nsga3": "NSGA-III (Optuna), categorical, population 20",
    "motpe": "multi-objective tree-structured Parzen estimator (Optuna), multivariate",
    "gp": "Gaussian processes with expected hypervolume improvement (Optuna); slow past 100",
}
BATCHES = {  # proposals between two looks at the results
    "exact-ehvi": 8,
    "additive+exact-ehvi": 8,
    "additive": POPULATION,
    "paper-ehvi": 1,
    "random": POPULATION,
    "nsga2": POPULATION,
    "nsga3": POPULATION,
    "motpe": 8,
    "gp": 1,
}
WITHOUT_BUDGETS = ("paper-ehvi",)  # the paper has none
WITHOUT_REPEATS = ("exact-ehvi", "additive+exact-ehvi", "additive", "random")

_OURS: dict[str, Callable[[Problem], Proposer]] = {
    "exact-ehvi": ExactEhvi,
    "additive+exact-ehvi": WarmExactEhvi,
    "additive": Additive,
    "paper-ehvi": PaperEhvi,
    "random": Shuffled,
}


def proposer(name: str, problem: Problem) -> Proposer:
    """The sampler of this name at its start."""
    return _OURS[name](problem) if name in _OURS else Study(name, problem)
