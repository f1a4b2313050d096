"""Does a difference show more than what is uncertain about it? One that does not decides nothing.

What is uncertain is read from the artifact that holds the values: the range over seeds, how far a
series of timings drifted, the stated error of a sum. A network with one seed is taken to have as
wide a range as the other, or as the field `spread` of the claim: two ranges that overlap are not
told apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ensrepro.claims.results import Fact


class Range(NamedTuple):
    """Between which values a number lies."""

    low: float
    high: float

    def above(self, line: float) -> bool | None:
        """Whether all of the range is above a line, or none of it; None if the line is inside."""
        if self.low > line:
            return True
        return False if self.high <= line else None


def widest(facts: Iterable[Fact]) -> float | None:
    """The largest range over seeds, None if nothing was repeated."""
    repeated = [fact.numbers() for fact in facts if len(fact.numbers()) > 1]
    return max((max(values) - min(values) for values in repeated), default=None)


def of_seeds(fact: Fact, width: float) -> Range:
    """The range of a value over its seeds; around one seed it is `width` wide."""
    values = fact.numbers()
    if len(values) > 1:
        return Range(min(values), max(values))
    return Range(values[0] - width / 2, values[0] + width / 2)


def of_difference(ours: Range, theirs: Range) -> Range:
    """The range of `ours - theirs`."""
    return Range(ours.low - theirs.high, ours.high - theirs.low)


def of_ratio(ratio: float, factor: float) -> Range:
    """The range of a ratio that may be off by a factor, either way."""
    return Range(ratio / factor, ratio * factor)
