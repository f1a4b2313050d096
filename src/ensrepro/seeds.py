"""Networks of several seeds, held against a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import NamedTuple


class Against(NamedTuple):
    """What a network changes against a reference, by seed or draw, and how many the latter has."""

    reference: str
    changes: Sequence[float]
    n_reference: int


def against(reference: str, ours: Mapping[int, float], theirs: Mapping[int, float]) -> Against:
    """Values by seed, held against each other: seed by seed if several seeds are of both.

    Else each of ours against the mean of theirs.
    """
    both = [seed for seed in ours if seed in theirs]
    if len(both) > 1:
        return Against(reference, [ours[seed] - theirs[seed] for seed in both], len(both))
    base = mean(theirs.values())
    return Against(reference, [value - base for value in ours.values()], len(theirs))
