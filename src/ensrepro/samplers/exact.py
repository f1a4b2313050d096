"""exact-ehvi: a Gaussian process on the drop alone, EHVI over every candidate (our default).

What is known is not modeled: penalty and latency enter as the tables they are, so the acquisition
has a closed form (`ehvi`) and its arg-max over all unseen candidates is exact. A batch is picked
one by one as a *kriging believer*: after each pick its mean is taken for its value. No candidate is
ever proposed twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ensrepro.ehvi import Improvement
from ensrepro.samplers.problem import Problem, shuffled
from ensrepro.samplers.surface import Surface
from ensrepro.space import Architecture

N_INITIAL = 16  # proposals before the first model: the anchors, then random ones
REFIT_AT = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384)  # observations; far apart as they add up


class ExactEhvi:
    """Proposals by exact EHVI after `initial` candidates, the anchors first."""

    def __init__(self, problem: Problem, initial: list[int] | None = None) -> None:
        self._problem = problem
        # the start of random search with this seed, so that nobody is luckier
        self._initial = list(shuffled(problem)[:N_INITIAL] if initial is None else initial)
        self._surface = Surface(problem.space)
        self._observed: list[int] = []
        self._drops = np.empty(0)
        self._open: list[int] = []
        self._fitted_at = 0

    def ask(self, n: int) -> list[Architecture]:
        start = len(self._observed)
        if start < len(self._initial):
            self._open = self._initial[start : start + n]
        else:
            self._open = self._picked(n)
        return self._problem.architectures(self._open)

    def tell(self, drops: NDArray[np.float64]) -> None:
        known = self._fitted_at > 0
        if known:
            self._surface.fill_in(drops)
        self._observed += self._open
        self._drops = np.concatenate([self._drops, drops])

    def _picked(self, n: int) -> list[int]:
        """The next batch, in the order of the picks."""
        seen = len(self._observed)
        due = sum(at <= seen for at in REFIT_AT) if self._fitted_at else 1
        if not self._fitted_at or due > sum(at <= self._fitted_at for at in REFIT_AT):
            self._surface.fit(self._observed, self._drops)
            self._fitted_at = seen
        improvement = Improvement(self._problem.known, self._reference())
        for number, drop in zip(self._observed, self._drops, strict=True):
            if self._problem.allowed[number]:  # an anchor over the budget is won by nobody
                improvement.add(drop, self._problem.known[number])
        free = self._problem.allowed.copy()
        free[self._observed] = False
        picks: list[int] = []
        for _ in range(min(n, np.count_nonzero(free))):
            mean = self._surface.mean
            pick = improvement.argmax(mean, self._surface.std, free)
            free[pick] = False
            self._surface.believe(pick)
            improvement.add(mean[pick], self._problem.known[pick])
            picks.append(pick)
        return picks

    def _reference(self) -> NDArray[np.float64]:
        """The hypervolume's reference point, from the two anchors (assumption A13)."""
        known = self._problem.known[list(self._problem.anchors)]
        return np.array(self._problem.reference(np.column_stack([self._drops[:2], known])))
