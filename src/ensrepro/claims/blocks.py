"""Checks of claims about single blocks: what they cost and how that grows with the image.

They read the costs that the profiling notebook measured, one row a block and a resolution: the
side of a square input in pixels.
"""

from __future__ import annotations

from math import log

from ensrepro.claims.records import Given
from ensrepro.claims.sources import Fact, Finding, Sources

PROFILING = "01_profiling.manifest.json"
EXPONENT_TOLERANCE = 0.1

Costs = dict[str, dict[int, float]]  # block -> resolution -> cost


def block_costs(sources: Sources, task: str, quantity: str) -> tuple[Costs, Fact]:
    """A cost of each kind of block by resolution, where it was measured, and where it stands."""
    fact = sources.read(task, PROFILING, "headline/costs")
    found: Costs = {}
    for row in fact.value:
        if row[quantity] is not None:
            found.setdefault(row["block"], {})[row["resolution"]] = row[quantity]
    return found, fact


def growth(given: Given, sources: Sources) -> Finding:
    """MACs of the block in `fields` grow with the power `criterion` of the number of pixels.

    The exponent is that of the last doubling of the side, at which the largest term shows most.
    """
    costs, fact = block_costs(sources, given.task, "macs")
    of_block = costs[given.fields[0]]
    *_, smaller, larger = sorted(of_block)
    exponent = log(of_block[larger] / of_block[smaller]) / (2 * log(larger / smaller))
    sentence = (
        f"From {smaller} to {larger} pixels a side, MACs grow with the power {exponent:.3f} of "
        "the number of pixels."
    )
    near = abs(exponent - given.criterion) <= EXPONENT_TOLERANCE
    return Finding(near, f"{exponent:.2f}", sentence, (fact,))


def cheaper(given: Given, sources: Sources) -> Finding:
    """By cost `fields[0]`, block `fields[1]` is cheaper than `fields[2]` on the largest image."""
    quantity, ours, theirs = given.fields
    costs, fact = block_costs(sources, given.task, quantity)
    sizes = sorted(costs[ours].keys() & costs[theirs].keys())
    ratios = [costs[ours][size] / costs[theirs][size] for size in sizes]
    path = ", ".join(f"{ratio:.2f} at {size}" for ratio, size in zip(ratios, sizes, strict=True))
    sentence = f"Cost of {ours} over {theirs}, by pixels a side: {path}."
    return Finding(ratios[-1] < 1, f"{ratios[-1]:.2f} times", sentence, (fact,))


def overtakes(given: Given, sources: Sources) -> Finding:
    """Block `fields[0]` gains on `fields[1]` with the size and is faster at the largest."""
    ours, theirs = given.fields
    costs, fact = block_costs(sources, given.task, "p50_ms")
    sizes = sorted(costs[ours].keys() & costs[theirs].keys())
    ratios = [costs[ours][size] / costs[theirs][size] for size in sizes]
    path = ", ".join(f"{ratio:.2f} at {size}" for ratio, size in zip(ratios, sizes, strict=True))
    sentence = f"Latency of {ours} over {theirs}, by pixels a side: {path}."
    return Finding(ratios[-1] < min(1, ratios[0]), f"{ratios[-1]:.2f} times", sentence, (fact,))


def orders_otherwise(given: Given, sources: Sources) -> Finding:
    """At some size, cost `fields[0]` ranks blocks `fields[1]` and `fields[2]` unlike latency."""
    quantity, ours, theirs = given.fields
    costs, fact = block_costs(sources, given.task, quantity)
    latencies, _ = block_costs(sources, given.task, "p50_ms")
    sizes = sorted(costs[ours].keys() & costs[theirs].keys() & latencies[theirs].keys())
    ratios = [
        tuple(of[ours][size] / of[theirs][size] for of in (costs, latencies)) for size in sizes
    ]
    n = sum((cost > 1) != (latency > 1) for cost, latency in ratios)
    path = ", ".join(
        f"{cost:.2f} and {latency:.2f} at {size}"
        for (cost, latency), size in zip(ratios, sizes, strict=True)
    )
    sentence = f"Cost and latency of {ours} over {theirs}, by pixels a side: {path}."
    return Finding(n > 0, f"{n} of {len(sizes)} sizes", sentence, (fact,))
