"""Checks of claims about single blocks: what they cost and how that changes with the image.

They read the costs that the profiling notebook measured, one row a block and a resolution: the
side of a square input in pixels. Latencies are held to the drift that it records: how many times
longer the last runs of a series took than its first. A ratio of latencies closer to 1 than that
shows nothing.
"""

from __future__ import annotations

from ensrepro.claims.belonging import PROFILING
from ensrepro.claims.doubt import of_ratio
from ensrepro.claims.records import Given
from ensrepro.claims.results import Fact, Finding, Sources

LATENCY, MEMORY = "p50_ms", "peak_memory_mib"

Costs = dict[str, dict[int, float]]  # block -> resolution -> cost


def block_costs(sources: Sources, task: str, quantity: str) -> tuple[Costs, Fact]:
    """A cost of each kind of block by resolution, where it was measured, and where it stands."""
    fact = sources.read(task, PROFILING, "headline/costs")
    found: Costs = {}
    for row in fact.value:
        if row[quantity] is not None:
            found.setdefault(row["block"], {})[row["resolution"]] = row[quantity]
    return found, fact


def ratios_by_side(
    sources: Sources, task: str, quantity: str, ours: str, theirs: str
) -> tuple[dict[int, float], Fact]:
    """The cost of one block over that of another by resolution, rising, where both have it."""
    costs, fact = block_costs(sources, task, quantity)
    sides = sorted(costs[ours].keys() & costs[theirs].keys())
    return {side: costs[ours][side] / costs[theirs][side] for side in sides}, fact


def spelled(ratios: dict[int, float]) -> str:
    """Ratios by resolution in words."""
    return ", ".join(f"{ratio:.2f} at {side}" for side, ratio in ratios.items())


def drift_of(sources: Sources, task: str) -> tuple[float, Fact]:
    """The factor by which a latency may be off, at least 1: the worst drift, either way."""
    fact = sources.read(task, PROFILING, "headline/drift")
    return max(max(drift, 1 / drift) for drift in fact.numbers()), fact


def less_memory(given: Given, sources: Sources) -> Finding:
    """Block `fields[0]` needs less memory than `fields[1]` on the largest image."""
    ours, theirs = given.fields
    ratios, fact = ratios_by_side(sources, given.task, MEMORY, ours, theirs)
    *_, last = ratios.values()
    sentence = f"Peak memory of {ours} over {theirs}, by pixels a side: {spelled(ratios)}."
    return Finding(last < 1, f"{last:.2f} times", sentence, (fact,))


def overtakes(given: Given, sources: Sources) -> Finding:
    """Block `fields[0]` gains on `fields[1]` with the size and is faster at the largest."""
    ours, theirs = given.fields
    ratios, fact = ratios_by_side(sources, given.task, LATENCY, ours, theirs)
    drift, measured = drift_of(sources, given.task)
    first, *_, last = ratios.values()
    at_last, on_the_way = of_ratio(last, drift).above(1), of_ratio(last / first, drift).above(1)
    sentence = (
        f"Latency of {ours} over {theirs}, by pixels a side: {spelled(ratios)}. Series drifted by "
        f"up to {drift:.2f} times, which a ratio has to exceed."
    )
    is_open = at_last is None or on_the_way is None
    holds = False if at_last or on_the_way else (None if is_open else True)
    return Finding(holds, f"{last:.2f} times", sentence, (fact, measured))


def orders_otherwise(given: Given, sources: Sources) -> Finding:
    """At some size, cost `fields[0]` ranks blocks `fields[1]` and `fields[2]` unlike latency."""
    quantity, ours, theirs = given.fields
    costs, fact = ratios_by_side(sources, given.task, quantity, ours, theirs)
    latencies, _ = ratios_by_side(sources, given.task, LATENCY, ours, theirs)
    drift, measured = drift_of(sources, given.task)
    sides = [side for side in costs if side in latencies]
    slower = {side: of_ratio(latencies[side], drift).above(1) for side in sides}
    otherwise = [side for side in sides if slower[side] is (costs[side] <= 1)]
    is_open = any(answer is None for answer in slower.values())
    path = ", ".join(f"{costs[s]:.2f} and {latencies[s]:.2f} at {s}" for s in sides)
    sentence = (
        f"Cost and latency of {ours} over {theirs}, by pixels a side: {path}. Series drifted by "
        f"up to {drift:.2f} times, which a ratio of latencies has to exceed."
    )
    holds = True if otherwise else (None if is_open else False)
    return Finding(holds, f"{len(otherwise)} of {len(sides)} sizes", sentence, (fact, measured))
