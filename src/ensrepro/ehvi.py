"""Expected hypervolume improvement where every objective but the first is a known table.

All objectives are minimized. The first, the PSNR drop, is predicted by a Gaussian (mean, std); the
others (penalty, latency) are known for every candidate. A candidate with known values p improves
the dominated hypervolume by

    EHVI = integral over q from p to the reference of EI(best(q)) dq,
    EI(t) = (t - mean) Phi(u) + std phi(u),  u = (t - mean) / std,

best(q): the least drop that was seen at no more than q, at most the reference's. `best` is constant
on boxes, so the integral is a sum of boxes' volumes times EI: exact, without sampling. It is a
special case of Emmerich, Deutz and Klinkenberg 2011; Olofsson et al. 2019 mix known and modeled
objectives in the same way.
N candidates; k known objectives, 1 or 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

MIN_STD = 1e-12  # below it a prediction is a fact; avoids 0 / 0
DIGITS = 10  # in which two expected improvements differ, if they differ
CHUNK = 64  # candidates whose exact value is computed together
ROOT_TAU = float(np.sqrt(2 * np.pi))


def significant(values: Array) -> Array:
    """Rounded to DIGITS significant digits."""
    exponent = np.floor(np.log10(np.maximum(np.abs(values), 1e-300)))
    scale = 10.0 ** (DIGITS - 1 - np.clip(exponent, -200, 200))
    return np.round(values * scale) / scale


def expected_improvement(target: Array, mean: Array, std: Array) -> Array:
    """How far a Gaussian lies below `target`, in expectation; broadcasts."""
    std = np.maximum(std, MIN_STD)
    u = (target - mean) / std
    return np.maximum((target - mean) * ndtr(u) + std * np.exp(-0.5 * u * u) / ROOT_TAU, 0.0)


class Improvement:
    """The points seen so far, and what each candidate would add to them in expectation.

    `known` (N, k) holds the known objectives of all candidates, `reference` (1 + k,) the reference
    point with the drop first.
    """

    def __init__(self, known: Array, reference: Array) -> None:
        if known.ndim != 2 or known.shape[1] not in (1, 2):
            raise ValueError(f"known has shape {known.shape}; expected (candidates, 1 or 2)")
        if len(reference) != 1 + known.shape[1]:
            raise ValueError(
                f"reference has {len(reference)} values; expected {1 + known.shape[1]}"
            )
        self.known, self.reference = known, np.asarray(reference, dtype=np.float64)
        self.room = np.prod(np.maximum(self.reference[1:] - known, 0.0), axis=1)  # (N,)
        self.best = np.full(len(known), self.reference[0])  # best(q) at each candidate's own q
        self.points = np.empty((0, 1 + known.shape[1]))

    def add(self, drop: float, known: Array) -> None:
        """Take in a point that was seen, or is believed."""
        self.points = np.vstack([self.points, [drop, *known]])
        beyond = (self.known >= known).all(axis=1)
        self.best[beyond] = np.minimum(self.best[beyond], drop)

    def bound(self, mean: Array, std: Array) -> Array:
        """No candidate's EHVI is higher: `best` falls with q, so EI is largest at its own; (N,)."""
        return expected_improvement(self.best, mean, std) * self.room

    def boxes(self) -> tuple[list[Array], Array]:
        """The grid on which `best` is constant: edges of each known axis, and heights of cells.

        Cell i of an axis runs from its edge i to its edge i + 1; the first edge is -infinity, the
        last one the reference.
        """
        inside = self.points[(self.points < self.reference).all(axis=1)]
        edges = [
            np.concatenate([[-np.inf], np.unique(inside[:, a]), [self.reference[a]]])
            for a in range(1, self.points.shape[1])
        ]
        heights = np.full([len(e) - 1 for e in edges], self.reference[0])
        cells = [np.searchsorted(e, inside[:, a]) for a, e in enumerate(edges, 1)]
        np.minimum.at(heights, tuple(cells), inside[:, 0])
        for axis in range(heights.ndim):
            heights = np.minimum.accumulate(heights, axis=axis)
        return edges, heights

    def exact(self, mean: Array, std: Array, chosen: NDArray[np.intp]) -> Array:
        """EHVI of some candidates; `mean` and `std` (N,) are those of all -> (len(chosen),)."""
        edges, heights = self.boxes()
        levels, cell_level = np.unique(heights, return_inverse=True)
        at_level = np.zeros((heights.size, len(levels)))
        at_level[np.arange(heights.size), cell_level.ravel()] = 1.0
        widths = [
            np.maximum(e[None, 1:] - np.maximum(self.known[chosen, a, None], e[None, :-1]), 0.0)
            for a, e in enumerate(edges)
        ]  # of each (len(chosen), cells of the axis)
        volumes = widths[0]
        if len(widths) == 2:
            volumes = (widths[0][:, :, None] * widths[1][:, None, :]).reshape(len(chosen), -1)
        gain = expected_improvement(levels, mean[chosen, None], std[chosen, None])
        return np.einsum("ij,ij->i", volumes @ at_level, gain)

    def argmax(self, mean: Array, std: Array, allowed: NDArray[np.bool_]) -> int:
        """The allowed candidate of the highest EHVI; of equal ones the first.

        Exact values are computed in the order of the bound, until no bound is higher than the best.
        They are compared to DIGITS digits: the last ones depend on the threads of a library.
        """
        bound = np.where(allowed, self.bound(mean, std), -1.0)
        order = np.argsort(-bound, kind="stable")
        order = order[: np.count_nonzero(allowed)]
        if not len(order):
            raise ValueError("no candidate is left; expected at least one that is allowed")
        best_value, best = -1.0, -1
        for start in range(0, len(order), CHUNK):
            chosen = order[start : start + CHUNK]
            if bound[chosen[0]] < best_value:
                break
            values = significant(self.exact(mean, std, chosen))
            top = values.max()
            first = int(chosen[values == top].min())
            if top > best_value or (top == best_value and first < best):
                best_value, best = float(top), first
        return best
