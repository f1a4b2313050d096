"""Checks of claims about what networks score: seeds of one network against those of another.

A seed gives two networks the same patches in the same order, so where both have several they are
held against each other seed by seed, as everywhere in this project (`ensrepro.seeds`). Hybrids
that were drawn at random are no seeds of one network: it is their mean that a network has to beat,
and that is known no better than its standard error.
"""

from __future__ import annotations

from math import sqrt
from statistics import mean, stdev
from typing import NamedTuple

from ensrepro.claims.doubt import Range, of_difference, of_seeds, widest
from ensrepro.claims.records import Given
from ensrepro.claims.results import Fact, Finding, Sources, named, read_all
from ensrepro.seeds import against

ERRORS = 2  # standard errors of a mean that it may be off by


class Margin(NamedTuple):
    """How far one network is above another: the mean, between which values, and by which rule."""

    value: float
    span: Range
    rule: str

    def told(self, unit: str) -> str:
        """Both in words."""
        found = f"{self.value:+.2f} {unit}".strip()
        return f"{found}, {self.span.low:+.2f} to {self.span.high:+.2f} {self.rule}"


def margin_of(ours: Fact, theirs: Fact, width: float) -> Margin:
    """Seed by seed where both have several; else one run is taken to spread as wide as `width`."""
    if min(len(ours.numbers()), len(theirs.numbers())) > 1:
        paired = (dict(enumerate(fact.numbers())) for fact in (ours, theirs))
        changes = against(theirs.field, *paired).changes
        span = Range(min(changes), max(changes))
        return Margin(mean(changes), span, f"seed by seed over {len(changes)} seeds")
    span = of_difference(of_seeds(ours, width), of_seeds(theirs, width))
    return Margin(ours.number() - theirs.number(), span, "within the spread over seeds")


def above(given: Given, sources: Sources) -> Finding:
    """The first field is above the second by more than `criterion` (0).

    `spread` is a field whose range over seeds stands for those that have one seed; `beside` another
    reference, against which the first is told too, and which decides nothing.
    """
    ours, theirs = facts = read_all(given, sources)
    spread, beside = (
        [sources.read(given.task, given.file, field)] if field else []
        for field in (given.spread, given.beside)
    )
    used = tuple({fact.field: fact for fact in (*facts, *spread, *beside)}.values())
    width, line = widest([*facts, *spread]), given.criterion or 0
    if width is None:
        found = f"{ours.number() - theirs.number():+.2f} {given.unit}".strip()
        sentence = f"{named(facts)}: {found}; one run each, so nothing tells how far runs spread."
        return Finding(None, found, sentence, used)
    margin = margin_of(ours, theirs, width)
    sentence = f"{named(facts)}: {margin.told(given.unit)}; asked for more than {line:g}."
    for fact in beside:
        told = margin_of(ours, fact, width).told(given.unit)
        sentence += f" Against {named([fact])}, which decides nothing: {told}."
    return Finding(
        margin.span.above(line), f"{margin.value:+.2f} {given.unit}".strip(), sentence, used
    )


def above_draws(given: Given, sources: Sources) -> Finding:
    """Every seed of the first field is above the mean of the second, which are random draws.

    The mean may be off by two standard errors; a verdict takes `criterion` draws and two seeds.
    """
    ours, drawn = facts = read_all(given, sources)
    seeds, draws = ours.numbers(), drawn.numbers()
    error = ERRORS * stdev(draws) / sqrt(len(draws)) if len(draws) > 1 else 0.0
    center, enough = mean(draws), len(draws) >= given.criterion and len(seeds) > 1
    span = of_difference(Range(min(seeds), max(seeds)), Range(center - error, center + error))
    margin = Margin(mean(seeds) - center, span, "with both")
    beaten = sum(mean(seeds) > draw for draw in draws)
    sentence = (
        f"{named([ours])}; {len(draws)} random draws have {center:.4g} on average, give or take "
        f"{error:.2g} ({ERRORS} standard errors), single ones {min(draws):.4g} to "
        f"{max(draws):.4g}: {margin.told(given.unit)}. It is above {beaten} of {len(draws)} draws. "
        f"Asked for more than their mean, of at least {given.criterion:g} draws."
    )
    found = f"{margin.value:+.2f} {given.unit}".strip()
    return Finding(span.above(0) if enough else None, found, sentence, tuple(facts))
