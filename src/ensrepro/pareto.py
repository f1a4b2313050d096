"""Fronts, hypervolume, knee and candidates of minimized objectives (sections 3.4 and 3.5).

A *point* is one row of objectives: psnr_drop in dB first, penalty second, a third (latency) where
there is one. Everything is minimized. n points in d objectives are an array (n, d).

Conventions, kept by every function:

* Of equal points the one with the lowest index is on the front, the others are not.
* A front runs from the smallest psnr_drop to the largest.
* Distances are taken between normalized points: z = 0 is the ideal anchor, z = 1 the nadir.
* A tie (to 12 decimals) goes to the lower penalty, then to the lower index (of sorted rows: to the
  lexicographically first architecture).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

DROP, PENALTY = 0, 1  # columns of a point

KNEES = {
    "chord": "farthest from the line between the anchors, on the ideal's side: max (1 - sum z)",
    "l2": "nearest to the ideal by Euclidean distance: min ||max(z, 0)||",
    "chebyshev": "nearest to the ideal by its worst objective: min max z",
}
CANDIDATE_RULES = {
    "nearest": "the points of the front nearest to the knee",
    "rank": "neighbors of the knee along the front, from both sides",
    "diverse": "near the front and the knee, each pair differing in at least two stages",
}
REFERENCE_MARGIN = 0.1  # assumption A13
FRONT_SLACK_DB = 0.03  # how far from the front a diverse candidate may lie
MIN_HAMMING = 2  # stages in which two diverse candidates differ at least
DISAGREEMENT = 0.15  # normalized distance between two knees that deserves a flag
CAPS_DB = (None, 1.0, 0.5)


@dataclass(frozen=True)
class Anchors:
    """Normalization fixed by two architectures that are always evaluated (assumption A10)."""

    ideal: tuple[float, ...]
    nadir: tuple[float, ...]

    def __post_init__(self) -> None:
        pairs = zip(self.ideal, self.nadir, strict=False)
        in_order = all(isfinite(low) and isfinite(high) and low < high for low, high in pairs)
        if len(self.ideal) != len(self.nadir) or not in_order:
            raise ValueError(
                f"the anchors are {self.ideal} and {self.nadir}; "
                "expected finite values, the ideal below the nadir in every objective"
            )

    @classmethod
    def between(cls, teacher: Sequence[float], cheapest: Sequence[float]) -> Anchors:
        """The box spanned by the teacher's point and the cheapest architecture's."""
        ends = _points([teacher, cheapest])
        return cls(tuple(map(float, ends.min(axis=0))), tuple(map(float, ends.max(axis=0))))


def _points(points: ArrayLike) -> NDArray[np.float64]:
    """The points as (n, d) float64 with n >= 1, d >= 2 and finite values; else ValueError."""
    values = np.asarray(points, dtype=np.float64)
    if values.size == 0:
        raise ValueError(f"points is empty (shape {values.shape}); expected at least one point")
    if values.ndim != 2 or values.shape[1] < 2:
        raise ValueError(f"points has shape {values.shape}; expected (n, objectives >= 2)")
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        raise ValueError(f"point {bad[0]} is {values[bad[0]].tolist()}; expected finite values")
    return values


def _vector(name: str, values: ArrayLike, n_objectives: int) -> NDArray[np.float64]:
    """`values` as (n_objectives,) finite float64; else ValueError."""
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (n_objectives,) or not np.isfinite(vector).all():
        raise ValueError(f"{name} is {vector.tolist()}; expected {n_objectives} finite values")
    return vector


def _choose(name: str, value: str, table: Mapping[str, str]) -> str:
    if value not in table:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(table)}")
    return value


def front(points: ArrayLike) -> NDArray[np.intp]:
    """Indices of the non-dominated points, by psnr_drop ascending; one of equal points is kept."""
    values = _points(points)
    kept = np.flatnonzero(moocore.is_nondominated(values, keep_weakly=False))
    return kept[np.lexsort(values[kept].T[::-1])]


def reference_point(anchors: Anchors) -> tuple[float, ...]:
    """The hypervolume's reference: the nadir plus a tenth of the anchors' range (A13)."""
    return tuple(
        high + REFERENCE_MARGIN * (high - low)
        for low, high in zip(anchors.ideal, anchors.nadir, strict=True)
    )


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """Volume dominated by the points below the reference; points outside add nothing."""
    values = _points(points)
    return float(moocore.hypervolume(values, _vector("reference", reference, values.shape[1])))


def hypervolume_trace(points: ArrayLike, reference: ArrayLike) -> NDArray[np.float64]:
    """Hypervolume of the first 1, 2, ..., n points, (n,); never decreases."""
    values = _points(points)
    bound = _vector("reference", reference, values.shape[1])
    trace, kept, volume = np.zeros(len(values)), values[:0], 0.0
    for i, point in enumerate(values):
        if not (kept <= point).all(axis=1).any():
            kept = np.vstack([kept[~(point <= kept).all(axis=1)], point])
            # The volume of a larger set can come out smaller by a rounding error.
            volume = max(volume, float(moocore.hypervolume(kept, bound)))
        trace[i] = volume
    return trace


def normalize(points: ArrayLike, anchors: Anchors) -> NDArray[np.float64]:
    """(n, d) -> (n, d): 0 at the ideal, 1 at the nadir; a point may lie outside [0, 1]."""
    values = _points(points)
    ideal = _vector("the anchors' ideal", anchors.ideal, values.shape[1])
    return (values - ideal) / (np.asarray(anchors.nadir) - ideal)


def _within(
    values: NDArray[np.float64], anchors: Anchors, max_drop_db: float | None
) -> tuple[NDArray[np.intp], Anchors]:
    """The front under the cap; the cheapest point left takes over from an anchor beyond the cap."""
    ends = front(values)
    if max_drop_db is None:
        return ends, anchors
    if not (isfinite(max_drop_db) and max_drop_db >= 0):
        raise ValueError(f"max_drop_db is {max_drop_db}; expected a finite number of dB >= 0")
    left = ends[values[ends, DROP] <= max_drop_db]
    if left.size == 0:
        least = values[ends[0], DROP]
        raise ValueError(f"max_drop_db is {max_drop_db}; no point drops by less than {least:g} dB")
    drop, price = map(float, values[left[np.argmin(values[left, PENALTY])], [DROP, PENALTY]])
    one_end = drop <= anchors.ideal[DROP] or price >= anchors.nadir[PENALTY]
    if one_end or max_drop_db >= anchors.nadir[DROP]:
        return left, anchors
    ideal = (anchors.ideal[DROP], price, *anchors.ideal[2:])
    return left, Anchors(ideal, (drop, *anchors.nadir[1:]))


def _loss(z: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    """What the knee minimizes, (n, d) -> (n,), rounded so that ties are ties."""
    match method:
        case "chord":
            loss = z.sum(axis=1)
        case "l2":  # a point beyond the ideal is not farther from it for that
            loss = np.linalg.norm(np.maximum(z, 0), axis=1)
        case _:
            loss = z.max(axis=1)
    return np.round(loss, 12)


def knee(
    points: ArrayLike, anchors: Anchors, method: str = "chord", max_drop_db: float | None = None
) -> int:
    """Index of the knee of the points' front, which the paper does not define (assumption A10).

    `max_drop_db` discards what loses more than that, before the normalization; methods: `KNEES`.
    """
    _choose("method", method, KNEES)
    values = _points(points)
    kept, scale = _within(values, anchors, max_drop_db)
    loss = _loss(normalize(values[kept], scale), method)
    return int(kept[np.lexsort((kept, values[kept, PENALTY], loss))[0]])


def _by_distance(
    values: NDArray[np.float64], pool: NDArray[np.intp], center: int, anchors: Anchors
) -> list[int]:
    """The pool, nearest to the center first; ties by lower penalty, then lower index."""
    z = normalize(values, anchors)
    distance = np.round(np.linalg.norm(z[pool] - z[center], axis=1), 12)
    order = np.lexsort((pool, values[pool, PENALTY], distance))
    return [int(i) for i in pool[order]]


def _by_rank(ends: NDArray[np.intp], center: int, n: int) -> list[int]:
    """The knee, then its neighbors along the front, alternating sides (cheaper side first)."""
    at = int(np.flatnonzero(ends == center)[0])
    steps = [s for k in range(1, len(ends)) for s in (at + k, at - k) if 0 <= s < len(ends)]
    return [center, *(int(ends[s]) for s in steps[: n - 1])]


def _diverse(
    ranked: list[int], center: int, n: int, architectures: Sequence[Sequence[int]]
) -> list[int]:
    """The knee, then greedily the nearest ones that differ from all chosen in enough stages."""
    stages, chosen = np.asarray(architectures), [center]
    for i in ranked:
        if (stages[i] != stages[chosen]).sum(axis=1).min() >= MIN_HAMMING:
            chosen.append(i)
    return chosen[:n]


def _near_front(values: NDArray[np.float64], max_drop_db: float | None) -> NDArray[np.intp]:
    """Indices of the points at most FRONT_SLACK_DB worse than the front at no higher a penalty."""
    ends = values[front(values)]
    best = [ends[(ends[:, 1:] <= row).all(axis=1), DROP].min() for row in values[:, 1:]]
    near = values[:, DROP] <= np.asarray(best) + FRONT_SLACK_DB
    if max_drop_db is not None:
        near &= values[:, DROP] <= max_drop_db
    return np.flatnonzero(near)


def candidates(
    points: ArrayLike,
    anchors: Anchors,
    method: str = "nearest",
    *,
    n: int = 5,
    knee_method: str = "chord",
    max_drop_db: float | None = None,
    architectures: Sequence[Sequence[int]] | None = None,
) -> tuple[int, ...]:
    """Indices of the knee and its n - 1 companions, fewer if there are fewer (assumption A11).

    Methods: `CANDIDATE_RULES`; `diverse` also needs the architecture of every point.
    """
    _choose("method", method, CANDIDATE_RULES)
    if n < 1:
        raise ValueError(f"n is {n}; expected at least 1 candidate")
    values = _points(points)
    center = knee(values, anchors, knee_method, max_drop_db)
    kept, plane = _within(values, anchors, max_drop_db)
    match method:
        case "nearest":  # the knee itself comes first: no other point is at distance 0
            return tuple(_by_distance(values, kept, center, plane)[:n])
        case "rank":
            return tuple(_by_rank(kept, center, n))
        case _:
            if architectures is None or len(architectures) != len(values):
                found = "None" if architectures is None else f"{len(architectures)} long"
                raise ValueError(f"architectures is {found}; expected one for {len(values)} points")
            near = _by_distance(values, _near_front(values, max_drop_db), center, plane)
            return tuple(_diverse(near, center, n, architectures))


@dataclass(frozen=True)
class KneeRow:
    """One line of the sensitivity table; `shift` is how far its knee is from the default one."""

    table: str
    method: str
    max_drop_db: float | None
    index: int
    psnr_drop: float
    penalty: float
    shift: float

    @property
    def disagrees(self) -> bool:
        return self.shift > DISAGREEMENT


def knee_sensitivity(
    points: Mapping[str, ArrayLike],
    teacher: int,
    cheapest: int,
    eligible: Sequence[int] | None = None,
) -> list[KneeRow]:
    """The knee of the `eligible` rows (None: of all) under every penalty table, method and cap.

    `points` holds the same architectures in the same rows for each table; `teacher` and `cheapest`
    are two. Shifts start at the first table's chord knee without a cap. An empty cap has no row.
    """
    if not points:
        raise ValueError("points is empty; expected at least one penalty table")
    tables = {name: _points(values) for name, values in points.items()}
    shapes = {name: values.shape for name, values in tables.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"the tables have shapes {shapes}; expected the same rows in each")
    base = next(iter(tables.values()))
    kept = np.arange(len(base)) if eligible is None else np.asarray(eligible)
    plane = Anchors.between(base[teacher], base[cheapest])
    rows, z, home = [], normalize(base, plane), kept[knee(base[kept], plane)]
    for name, values in tables.items():
        anchors = Anchors.between(values[teacher], values[cheapest])
        for method in KNEES:
            for cap in (cap for cap in CAPS_DB if cap is None or (values[kept, DROP] <= cap).any()):
                i = int(kept[knee(values[kept], anchors, method, cap)])
                shift = float(np.linalg.norm(z[i] - z[home]))
                drop, price = map(float, values[i, [DROP, PENALTY]])
                rows.append(KneeRow(name, method, cap, i, drop, price, shift))
    return rows
