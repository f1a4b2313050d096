"""Checks of claims that hold by a count or a definition: no measurement could have shown otherwise.

MACs are formulas of `models.counting`, and a knee is the point that lies farthest from a chord.
Such a claim can turn out false, if a formula or our construction says so, but not by chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from math import log

from ensrepro.claims.belonging import BENCH, FINE_TUNING, KNEE, POOL, numbered
from ensrepro.claims.blocks import block_costs, ratios_by_side, spelled
from ensrepro.claims.records import Given
from ensrepro.claims.results import Finding, Sources
from ensrepro.space import RESTORMER, penalty

EXPONENT_TOLERANCE = 0.1

Check = Callable[[Given, Sources], Finding]


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
        f"the number of pixels; asked for {given.criterion:g}, give or take {EXPONENT_TOLERANCE:g}."
    )
    near = abs(exponent - given.criterion) <= EXPONENT_TOLERANCE
    return Finding(near, f"{exponent:.2f}", sentence, (fact,))


def fewer_macs(given: Given, sources: Sources) -> Finding:
    """Block `fields[0]` has fewer MACs than `fields[1]` on the largest image."""
    ours, theirs = given.fields
    ratios, fact = ratios_by_side(sources, given.task, "macs", ours, theirs)
    *_, last = ratios.values()
    sentence = f"MACs of {ours} over {theirs}, by pixels a side: {spelled(ratios)}."
    return Finding(last < 1, f"{last:.2f} times", sentence, (fact,))


def fewer_transformers(given: Given, sources: Sources) -> Finding:
    """The chosen hybrid keeps fewer transformer blocks than the teacher, as all others do."""
    label = sources.read(given.task, FINE_TUNING, "headline/chosen")
    kept, every = (
        penalty(one, "transformers") for one in (numbered(label.value), RESTORMER.teacher)
    )
    sentence = f"{label.value} keeps {kept:.0f} of {every:.0f} transformer blocks."
    return Finding(kept < every, f"{kept:.0f} of {every:.0f}", sentence, (label,))


def by_transformers() -> Counter[int]:
    """How many architectures keep how many transformer blocks."""
    found = Counter({0: 1})
    for stage in RESTORMER.stages:
        longer: Counter[int] = Counter()
        for blocks, n in found.items():
            longer[blocks + stage.n_blocks] += n
            longer[blocks] += n * len(stage.depths)
        found = longer
    return found


def plateau(given: Given, sources: Sources) -> Finding:
    """A unit of penalty buys less PSNR beyond the knee than before it.

    The one field, of the search's manifest, is the drop of the cheapest architecture.
    """
    drop, cost = (sources.read(given.task, KNEE, f"headline/{n}") for n in ("psnr_drop", "penalty"))
    largest = sources.read(given.task, given.file, given.fields[0])
    low, high = penalty(RESTORMER.cheapest), penalty(RESTORMER.teacher)
    before = (largest.number() - drop.number()) / (cost.number() - low)
    beyond = drop.number() / (high - cost.number())
    sentence = (
        f"Up to the knee {before:.3f} dB for a unit of penalty, beyond it {beyond:.4f} dB; "
        f"{drop.number():.2f} of {largest.number():.2f} dB are left at the knee."
    )
    facts = (drop, cost, largest)
    return Finding(beyond < before, f"{before / beyond:.0f} times less", sentence, facts)


def one_pool(given: Given, sources: Sources) -> Finding:
    """Every architecture was scored with the surrogates of one pool."""
    rows = sources.read(given.task, POOL, "result/rows")
    networks = sources.read(given.task, BENCH, "identity/networks")
    n = sources.read(given.task, BENCH, "result/n_rows")
    sentence = (
        f"{n.value:,} architectures were scored with {len(rows.value)} surrogates, none of them "
        "trained for it."
    )
    holds = len(rows.value) == RESTORMER.n_surrogates and n.value == RESTORMER.n_architectures
    return Finding(holds, f"{n.value:,} from {len(rows.value)}", sentence, (n, networks, rows))


CHECKS: Mapping[str, Check] = {
    "growth": growth,
    "fewer_macs": fewer_macs,
    "fewer_transformers": fewer_transformers,
    "plateau": plateau,
    "one_pool": one_pool,
}
