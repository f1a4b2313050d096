"""A space of 45 architectures and landscapes whose true front is known, for tests of searches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ensrepro import landscape
from ensrepro.ledger import Metrics
from ensrepro.samplers.problem import Problem, Proposer
from ensrepro.space import Space, Stage, penalty

SMALL = Space(
    "small",
    (
        Stage("encoder_1", 4, 1, 0, 1, (4, 2)),
        Stage("bottleneck", 8, 8, 1, 2, (8, 6, 4, 2)),
        Stage("refinement", 4, 1, 0, 2, (4, 2)),
    ),
)
TEACHER_PSNR = 32.0


class Additive:
    """Each stage costs its own part of the PSNR; counts what it is asked for."""

    def __init__(self, space: Space, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.space = space
        # smaller surrogates cost more; a lognormal sensitivity a stage
        self.costs = [
            rng.lognormal(-2, 1) * np.concatenate([[0.0], np.sort(rng.random(n - 1)) + 0.2])
            for n in space.n_choices
        ]
        self.calls: list[list[tuple[int, ...]]] = []

    def drop(self, architecture: tuple[int, ...]) -> float:
        return float(sum(cost[c] for cost, c in zip(self.costs, architecture, strict=True)))

    def __call__(self, architectures: list[tuple[int, ...]]) -> list[Metrics]:
        self.calls.append(list(architectures))
        return [Metrics(TEACHER_PSNR - self.drop(a), 0.9) for a in architectures]

    @property
    def asked(self) -> list[tuple[int, ...]]:
        return [a for call in self.calls for a in call]

    @property
    def drops(self) -> NDArray[np.float64]:
        """Of every architecture, by its number."""
        return np.array([self.drop(a) for a in self.space])

    def true_front(self) -> list[tuple[float, float]]:
        """By a sweep over rising penalties, independent of `pareto`: (psnr_drop, penalty)."""
        rows = sorted((round(penalty(a, space=self.space), 9), self.drop(a)) for a in self.space)
        found, best = [], np.inf
        for price, drop in rows:
            if drop < best - 1e-9:
                found, best = [*found, (drop, price)], drop
        return found[::-1]


def latencies(space: Space = SMALL, seed: int = 9) -> NDArray[np.float64]:
    """A made-up latency (ms) for every architecture; that of the cheapest of SMALL is long."""
    rng = np.random.default_rng(seed)
    return landscape.added([rng.uniform(5, 50, n) for n in space.n_choices]).ravel()


def within(budget: float) -> set[int]:
    """Numbers of the architectures of SMALL whose latency is within the budget (ms)."""
    return set(np.flatnonzero(latencies() <= budget).tolist())


def problem(
    space: Space = SMALL,
    seed: int = 0,
    latency: NDArray[np.float64] | None = None,
    budget: float = np.inf,
) -> Problem:
    """What a sampler is told; a latency is a third objective, a finite budget bounds it."""
    known = [landscape.penalties("blocks", space).ravel()]
    allowed = latencies(space) <= budget
    return Problem(
        space, np.column_stack(known if latency is None else [*known, latency]), allowed, seed
    )


def proposals(
    proposer: Proposer, drops: NDArray[np.float64], n: int, batch: int, space: Space = SMALL
) -> list[int]:
    """The numbers of the first `n` architectures that it proposes where `drops` is the truth."""
    found: list[int] = []
    while len(found) < n:
        numbers = [space.index(a) for a in proposer.ask(min(batch, n - len(found)))]
        if not numbers:
            break
        proposer.tell(drops[numbers])
        found += numbers
    return found
