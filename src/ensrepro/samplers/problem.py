"""What a sampler is told, and what it must answer.

The candidates of a space are its architectures in the order of their numbers; every objective but
the PSNR drop is known for all of them before anything is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ensrepro import pareto
from ensrepro.space import Architecture, Space


@dataclass(frozen=True)
class Problem:
    """A search to be done.

    `known` is (n_architectures, 1 or 2): penalty and, if it is an objective, latency in ms. A
    candidate that is not `allowed`, (n_architectures,), is over the latency budget; what drops by
    more than `max_drop_db` counts for nothing. The first proposals are the `anchors`: the teacher
    and the cheapest (assumption A9).
    """

    space: Space
    known: NDArray[np.float64]
    allowed: NDArray[np.bool_]
    seed: int
    max_drop_db: float | None = None

    @property
    def anchors(self) -> tuple[int, int]:
        return self.space.index(self.space.teacher), self.space.index(self.space.cheapest)

    def box(self, points: NDArray[np.float64]) -> pareto.Anchors:
        """Ideal and nadir from the points of the two anchors, the first rows of `points`.

        Latency, where it is an objective, takes its range over all allowed candidates: the anchors
        need not be its extremes.
        """
        ends = points[:2].copy()
        if self.known.shape[1] > 1:
            latency = self.known[self.allowed, 1]
            ends[:, 2] = latency.min(), latency.max()
        return pareto.Anchors.between(ends[0], ends[1])

    def reference(self, points: NDArray[np.float64]) -> tuple[float, ...]:
        """The hypervolume's reference point (assumption A13), its drop at most `max_drop_db`."""
        drop, *known = pareto.reference_point(self.box(points))
        return (drop if self.max_drop_db is None else min(drop, self.max_drop_db), *known)

    def architectures(self, numbers: Sequence[int]) -> list[Architecture]:
        return [self.space.architecture(number) for number in numbers]


class Proposer(Protocol):
    """A sampler at work. `ask` and `tell` alternate, with the same architectures.

    `tell` takes their psnr_drop in dB, (n,), in the order in which they were asked.
    """

    def ask(self, n: int) -> list[Architecture]: ...

    def tell(self, drops: NDArray[np.float64]) -> None: ...


def shuffled(problem: Problem) -> list[int]:
    """The two anchors, then every allowed candidate in a random order."""
    order = np.random.default_rng(problem.seed).permutation(problem.space.n_architectures)
    first = problem.anchors
    return [*first, *(int(i) for i in order if i not in first and problem.allowed[i])]


class Shuffled:
    """Every allowed architecture once, in a random order that starts with the two anchors."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._rest = iter(shuffled(problem))

    def ask(self, n: int) -> list[Architecture]:
        return self._problem.architectures([next(self._rest) for _ in range(n)])

    def tell(self, drops: NDArray[np.float64]) -> None:
        """Nothing to learn."""
