"""The true front of a space whose every architecture was measured, and runs against it (3.5).

* A *count* is of proposals: a repeated one counts (assumption A22). What a run has after as many
  *different* architectures is kept beside it.
* A *ratio* is a hypervolume over that of the true front. The reference point follows from the
  teacher and the cheapest architecture of the table (A13): one for all runs.
* Ties: an architecture stands for all that have its drop and penalty, the first of them by number.
  Recall and the candidates found ask for the point, not for the architecture.
* A target never reached is None.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ensrepro import landscape, pareto
from ensrepro.ledger import Metrics
from ensrepro.space import RESTORMER, Architecture, Space

if TYPE_CHECKING:
    from pandas import DataFrame

Row = dict[str, Any]

MILESTONES = (50, 100, 200, 500)  # counts at which runs are compared; 500 is the paper's
TARGETS = (0.95, 0.99, 0.999)  # ratios
N_CANDIDATES = 5  # of the paper's section 4
DECIMALS = 6  # of the ratios that are kept


@dataclass(frozen=True)
class Truth:
    """Every architecture's metrics by its number: psnr (dB), ssim and penalty are (n,) float64."""

    space: Space
    penalty_table: str
    psnr: NDArray[np.float64]
    ssim: NDArray[np.float64]
    penalty: NDArray[np.float64]

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """(n, 2): psnr_drop and penalty."""
        return landscape.points(self.psnr[0] - self.psnr, self.penalty)

    @cached_property
    def anchors(self) -> pareto.Anchors:
        return pareto.Anchors.between(self.points[0], self.points[-1])  # teacher, cheapest

    @cached_property
    def ends(self) -> landscape.TrueFront:
        return landscape.true_front(*self.points.T, self.space)

    @property
    def front(self) -> NDArray[np.intp]:
        return self.ends.numbers

    @property
    def reference(self) -> tuple[float, ...]:
        return self.ends.reference

    @property
    def volume(self) -> float:
        """Hypervolume of the true front, in dB: the penalty has no unit."""
        return self.ends.hypervolume

    @cached_property
    def candidates(self) -> tuple[int, ...]:
        """The true knee and its companions."""
        return pareto.candidates(self.points, self.anchors, n=N_CANDIDATES)

    @cached_property
    def knees(self) -> dict[str, int]:
        """The true knee by each definition of `pareto.KNEES`."""
        return {method: pareto.knee(self.points, self.anchors, method) for method in pareto.KNEES}

    @cached_property
    def first(self) -> NDArray[np.intp]:
        """(n,): of the architectures with the same point, the first."""
        _, first, same = np.unique(self.points, axis=0, return_index=True, return_inverse=True)
        return first[same.ravel()]

    @cached_property
    def digest(self) -> str:
        """Hash of the values."""
        values = np.stack([self.psnr, self.ssim, self.penalty])
        return hashlib.sha256(values.tobytes()).hexdigest()[:16]

    def metrics(self, architectures: Sequence[Architecture]) -> list[Metrics]:
        """What an objective measures, looked up."""
        rows = [self.space.index(a) for a in architectures]
        return [Metrics(self.psnr[i], self.ssim[i]) for i in rows]


def read(frame: DataFrame, space: Space = RESTORMER, penalty_table: str = "blocks") -> Truth:
    """The table of `bench.load`; a ValueError says what it lacks."""
    psnr, ssim = (landscape.grid(frame, name, space).ravel() for name in ("psnr", "ssim"))
    penalty = landscape.penalties(penalty_table, space).ravel()
    return Truth(space, penalty_table, psnr, ssim, penalty)


def chosen(known: Truth, proposals: NDArray[np.intp]) -> Row:
    """What a search would pick after these proposals (n,), and how far that is from the truth.

    Keys: recall of the true front, knee and candidates (architectures' numbers), knee_distance in
    the normalized plane, knee_distance_METHOD by the other definitions of `pareto.KNEES`, and of
    the candidates how many are on_front and among the true_candidates.
    """
    seen = np.unique(proposals)  # by architecture: so are the ties of `pareto`
    points = known.points[seen]
    picks = known.first[seen[list(pareto.candidates(points, known.anchors, n=N_CANDIDATES))]]
    distances = {}
    for method, true in known.knees.items():
        own = int(seen[pareto.knee(points, known.anchors, method)])
        ends = pareto.normalize(known.points[[own, true]], known.anchors)
        distances[f"knee_distance_{method}"] = float(np.linalg.norm(ends[0] - ends[1]))
    return {
        "recall": float(np.isin(known.front, known.first[seen]).mean()),
        "knee": int(picks[0]),
        "knee_distance": distances.pop("knee_distance_chord"),
        **distances,
        "candidates": picks.tolist(),
        "on_front": int(np.isin(picks, known.front).sum()),
        "true_candidates": int(np.isin(picks, known.candidates).sum()),
    }


def score(known: Truth, proposals: Sequence[int], counts: Sequence[int]) -> Row:
    """A run's proposals (architectures' numbers) against the truth, as plain values.

    `ratios` after `counts`; `milestones` a row for each count of MILESTONES and the last;
    `targets` a row for each of TARGETS, with the proposals and the different architectures it took.
    """
    order = np.asarray(proposals)
    # A larger sum of rounded areas can come out above the exact one.
    ratio = np.minimum(
        pareto.hypervolume_trace(known.points[order], known.reference) / known.volume, 1
    )
    new = np.sort(np.unique(order, return_index=True)[1])  # positions of first proposals
    n_different = np.searchsorted(new, np.arange(len(order)), side="right")  # (n,)
    milestones = [
        {
            "count": count,
            "ratio": round(float(ratio[count - 1]), DECIMALS),
            "ratio_different": (
                round(float(ratio[new[count - 1]]), DECIMALS) if count <= len(new) else None
            ),
            "n_different": int(n_different[count - 1]),
            **chosen(known, order[:count]),
        }
        for count in sorted({*(m for m in MILESTONES if m < len(order)), len(order)})
    ]
    hits = [(target, np.flatnonzero(ratio >= target)) for target in TARGETS]
    targets = [
        {
            "target": target,
            "proposals": int(hit[0]) + 1 if hit.size else None,
            "different": int(n_different[hit[0]]) if hit.size else None,
        }
        for target, hit in hits
    ]
    return {
        "ratios": [round(float(ratio[c - 1]), DECIMALS) for c in counts if c <= len(order)],
        "milestones": milestones,
        "targets": targets,
        "digest": hashlib.sha256(order.astype(np.int64).tobytes()).hexdigest()[:16],
    }
