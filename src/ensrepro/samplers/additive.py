"""additive: the exact front of a model in which stages do not interact.

The drop of an architecture is predicted as the sum of the drops of its single swaps, one
measurement for each surrogate. LANA (Molchanov et al. 2021) and Puzzle (Bercovich et al. 2024) give
such scores to an integer program; with sums for all objectives the whole front comes from dynamic
programming over the stages: of two beginnings, one dominated by the other stays dominated whatever
follows. Its points are then measured, the least predicted drop first, and after them the rest of
the space, layer of predicted dominance by layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import moocore
import numpy as np
from numpy.typing import NDArray

from ensrepro import pareto
from ensrepro.samplers.exact import ExactEhvi
from ensrepro.samplers.problem import Problem
from ensrepro.space import Architecture, Space

Array = NDArray[np.float64]

DECIMALS = 9  # of a sum of scores; the last bits depend on the order of adding
N_SPREAD = 8  # points of the predicted front that exact-ehvi starts from


def single_swaps(space: Space) -> list[int]:
    """Numbers of the architectures that replace one stage of the teacher, stage by stage."""
    return [
        space.index(space.swapped(stage.name, choice))
        for stage in space.stages
        for choice in range(1, stage.n_choices)
    ]


def scores_of(space: Space, values: Array) -> list[Array]:
    """Per stage what each choice adds, (choices, objectives), from `values` of the single swaps.

    The teacher's own choice adds nothing; `values`, (n_surrogates, objectives), are differences
    from the teacher.
    """
    ends = np.cumsum([stage.n_choices - 1 for stage in space.stages])[:-1]
    return [np.vstack([np.zeros(values.shape[1]), part]) for part in np.split(values, ends)]


def sums(space: Space, scores: Sequence[Array]) -> Array:
    """The additive model of every architecture, (n_architectures, objectives)."""
    total = np.zeros((1, scores[0].shape[1]))
    for _, own in zip(space.stages, scores, strict=True):
        total = (total[:, None] + own[None]).reshape(-1, own.shape[1])
    return total


def additive_front(space: Space, scores: Sequence[Array]) -> list[int]:
    """Numbers of the architectures on the front of the sums, by the first objective.

    Dynamic programming: after each stage only the beginnings that none other dominates are kept,
    of equal ones the first.
    """
    numbers, values = np.zeros(1, dtype=np.intp), np.zeros((1, scores[0].shape[1]))
    for stage, own in zip(space.stages, scores, strict=True):
        values = (values[:, None] + own[None]).reshape(-1, own.shape[1])
        numbers = (numbers[:, None] * stage.n_choices + np.arange(stage.n_choices)).ravel()
        kept = moocore.is_nondominated(np.round(values, DECIMALS), keep_weakly=False)
        values, numbers = values[kept], numbers[kept]
    return [int(numbers[i]) for i in pareto.front(values)]


def swap_scores(problem: Problem, drops: Mapping[int, float]) -> list[Array]:
    """The scores of all choices from the measured drops (dB) of teacher and single swaps."""
    space, known = problem.space, problem.known
    teacher, swaps = space.index(space.teacher), single_swaps(space)
    own = np.array([drops[number] - drops[teacher] for number in swaps])
    return scores_of(space, np.column_stack([own, known[swaps] - known[teacher]]))


def predicted_front(problem: Problem, scores: Sequence[Array]) -> list[int]:
    """Numbers of the allowed architectures on the front of the sums, by drop.

    A budget couples the stages, which dynamic programming over sums of objectives does not see:
    with one the front is that of all allowed sums, enumerated.
    """
    if problem.allowed.all():
        return additive_front(problem.space, scores)
    within = np.flatnonzero(problem.allowed)
    values = np.round(sums(problem.space, scores)[within], DECIMALS)
    return [int(within[i]) for i in pareto.front(values)]


def by_layers(problem: Problem, scores: Sequence[Array]) -> list[int]:
    """All allowed architectures: the front of the sums, then the front of the rest, and so on."""
    within = np.flatnonzero(problem.allowed)
    values = np.round(sums(problem.space, scores)[within], DECIMALS)
    order = np.lexsort((within, values[:, 0], moocore.pareto_rank(values)))
    return [int(number) for number in within[order]]


class Additive:
    """Proposals: the anchors, the single swaps, then the front that they predict.

    A latency budget bounds the front; the swaps are measured whatever they take, since the sums
    need them all.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._first = list(dict.fromkeys([*problem.anchors, *single_swaps(problem.space)]))
        self._drops: list[float] = []
        self._rest: Iterator[int] | None = None
        self._n_asked = 0

    def ask(self, n: int) -> list[Architecture]:
        chosen = self._first[self._n_asked : self._n_asked + n]
        if not chosen:  # a batch never mixes the two parts: the second one needs the first's values
            if self._rest is None:
                self._rest = iter(self._ranked())
            chosen = [number for _, number in zip(range(n), self._rest, strict=False)]
        self._n_asked += len(chosen)
        return self._problem.architectures(chosen)

    def tell(self, drops: NDArray[np.float64]) -> None:
        if len(self._drops) < len(self._first):
            self._drops += drops.tolist()

    def _ranked(self) -> list[int]:
        """Everything that was not asked for yet, best prediction first."""
        drops = dict(zip(self._first, self._drops, strict=True))
        scores = swap_scores(self._problem, drops)
        front, layers = predicted_front(self._problem, scores), by_layers(self._problem, scores)
        return [number for number in dict.fromkeys([*front, *layers]) if number not in drops]


class WarmExactEhvi(ExactEhvi):
    """exact-ehvi that starts from the single swaps and from points spread along their front.

    Like `Additive` it measures the swaps whatever they take.
    """

    def __init__(self, problem: Problem) -> None:
        first = list(dict.fromkeys([*problem.anchors, *single_swaps(problem.space)]))
        super().__init__(problem, first)
        self._n_swaps = len(first)

    def ask(self, n: int) -> list[Architecture]:
        if len(self._observed) == len(self._initial) == self._n_swaps:
            drops = dict(zip(self._observed, self._drops.tolist(), strict=True))
            front = predicted_front(self._problem, swap_scores(self._problem, drops))
            at = np.linspace(0, len(front) - 1, min(N_SPREAD, len(front))).round().astype(int)
            self._initial += [front[i] for i in dict.fromkeys(at.tolist()) if front[i] not in drops]
        return super().ask(n)
