"""Checks of claims that the results of this repository decide; they read manifests, nothing else.

Each takes what the claim gives and where results are, and raises NotMeasuredError where one is
missing. `criterion` is the line between yes and no: the paper rarely draws one, so the ledger does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import mean, median

from ensrepro.claims import blocks
from ensrepro.claims.records import Given
from ensrepro.claims.sources import Fact, Finding, NotMeasuredError, Sources
from ensrepro.space import RESTORMER, TEACHER, penalty

FINE_TUNING, KNEE = "06_finetune.manifest.json", "05_knee.manifest.json"
BENCH, POOL = "ens-bench.json", "pool.json"
GLUE = "glue"

Check = Callable[[Given, Sources], Finding]


def read_all(given: Given, sources: Sources) -> list[Fact]:
    """The fields of the claim's manifest, in its order."""
    return [sources.read(given.task, given.file, field) for field in given.fields]


def named(facts: list[Fact]) -> str:
    """The values, of several the mean and how far they spread, each after the key that differs."""
    keys = [fact.field.split("/") for fact in facts]
    which = -1 if len({key[-1] for key in keys}) == len(keys) else -2
    parts = []
    for key, fact in zip(keys, facts, strict=True):
        values = fact.value if isinstance(fact.value, list) else [fact.value]
        spread = f" ({min(values):.4g} to {max(values):.4g}, n = {len(values)})"
        parts.append(f"{key[which]} {fact.number():.4g}{spread if len(values) > 1 else ''}")
    return ", ".join(parts)


def at_least(given: Given, sources: Sources) -> Finding:
    """The one field is at least `criterion`."""
    (fact,) = read_all(given, sources)
    value = fact.number()
    sentence = f"Measured {value:.3g}, asked for at least {given.criterion:g}."
    return Finding(value >= given.criterion, f"{value:.3g} {given.unit}".strip(), sentence, (fact,))


def above(given: Given, sources: Sources) -> Finding:
    """The first field is above the second by more than `criterion` (0)."""
    ours, theirs = facts = read_all(given, sources)
    margin = ours.number() - theirs.number()
    found = f"{margin:+.2f} {given.unit}".strip()
    sentence = f"{named(facts)}: {found}."
    return Finding(margin > (given.criterion or 0), found, sentence, tuple(facts))


def within(given: Given, sources: Sources) -> Finding:
    """The first field is at most `criterion` below the second."""
    ours, theirs = facts = read_all(given, sources)
    margin = ours.number() - theirs.number()
    found = f"{margin:+.2f} {given.unit}".strip()
    sentence = f"{named(facts)}: {found}, asked for at least {-given.criterion:g}."
    return Finding(margin >= -given.criterion, found, sentence, tuple(facts))


def several_times(given: Given, sources: Sources) -> Finding:
    """The first field is at least `criterion` times the second."""
    ours, theirs = facts = read_all(given, sources)
    ratio = ours.number() / theirs.number()
    sentence = f"{named(facts)}: {ratio:.3g} times, asked for {given.criterion:g}."
    return Finding(ratio >= given.criterion, f"{ratio:.3g} times", sentence, tuple(facts))


def share_at_most(given: Given, sources: Sources) -> Finding:
    """The one field, a number of architectures, is at most `criterion` of all."""
    (fact,) = read_all(given, sources)
    share = fact.number() / RESTORMER.n_architectures
    sentence = (
        f"{fact.number():,.0f} of {RESTORMER.n_architectures:,} architectures, "
        f"asked for at most {given.criterion:.0%}."
    )
    return Finding(share <= given.criterion, f"{share:.2%}", sentence, (fact,))


def gap_closed(given: Given, sources: Sources) -> Finding:
    """From the first field to the second, the third has come more than `criterion` of the way."""
    start, goal, reached = facts = read_all(given, sources)
    share = (reached.number() - start.number()) / (goal.number() - start.number())
    found = f"{share:.1%} of the gap"
    sentence = f"{named(facts)}: {found}, asked for more than {given.criterion:.0%}."
    return Finding(share > given.criterion, found, sentence, tuple(facts))


def higher_in_every_stage(given: Given, sources: Sources) -> Finding:
    """The first field is above the second in every stage that both have."""
    ours, theirs = facts = read_all(given, sources)
    both = [name for name in ours.value if name in theirs.value]
    changes = [ours.value[name] - theirs.value[name] for name in both]
    n = sum(change > 0 for change in changes)
    sentence = f"It rises in {n} of {len(both)} stages, by {mean(changes):+.4f} on average."
    return Finding(n == len(both), f"{n} of {len(both)}", sentence, tuple(facts))


def better_than_nothing(given: Given, sources: Sources) -> Finding:
    """Each surrogate in place costs less PSNR than leaving its stage out."""
    removed, swapped = facts = read_all(given, sources)
    wins = [drop < removed.value[name.split()[0]] for name, drop in swapped.value.items()]
    worst = max(swapped.value, key=swapped.value.get)
    sentence = (
        f"{sum(wins)} of {len(wins)} surrogates; the dearest, {worst}, costs "
        f"{swapped.value[worst]:.2f} dB where leaving the stage out costs "
        f"{removed.value[worst.split()[0]]:.2f} dB."
    )
    return Finding(all(wins), f"{sum(wins)} of {len(wins)}", sentence, tuple(facts))


def candidates_gain(given: Given, sources: Sources) -> Finding:
    """Fine-tuning lifts the candidates' validation PSNR on average."""
    chosen = sources.read(given.task, KNEE, "headline/candidates")
    gains, facts = [], [chosen]
    for number in chosen.value:
        file = f"hybrid-{number:05d}-s0.json"
        after, before = (sources.read(given.task, file, f"result/{n}") for n in ("after", "before"))
        gains.append(after.number() - before.number())
        facts += [after, before]
    n = sum(gain > 0 for gain in gains)
    sentence = (
        f"{n} of {len(gains)} candidates gain; from {min(gains):+.3f} to {max(gains):+.3f} dB, "
        f"{mean(gains):+.3f} dB on average."
    )
    return Finding(mean(gains) > 0, f"{mean(gains):+.3f} dB", sentence, tuple(facts))


def numbered(label: str) -> tuple[int, ...]:
    """The architecture of a label such as `T T 4 4 2 T T T`."""
    words = zip(RESTORMER.stages, label.split(), strict=True)
    return tuple(
        TEACHER if word == "T" else 1 + stage.depths.index(int(word)) for stage, word in words
    )


def chosen_is_faster(given: Given, sources: Sources) -> Finding:
    """The chosen hybrid is faster than the teacher by more than latencies are uncertain.

    Both are sums of measured stages; the first field is the median error of such sums.
    """
    label = sources.read(given.task, FINE_TUNING, "headline/chosen")
    costs = sources.read(given.task, BENCH, "result/costs")
    (error,) = read_all(given, sources)
    by_choice = {(row["stage"], row["choice"]): row["latency_ms"] for row in costs.value}
    hybrid, teacher = (
        by_choice[GLUE, 0]
        + sum(by_choice[s.name, choice] for s, choice in zip(RESTORMER.stages, one, strict=True))
        for one in (numbered(label.value), RESTORMER.teacher)
    )
    sentence = (
        f"{label.value} takes {hybrid:.0f} ms, the teacher {teacher:.0f} ms; sums of stages are "
        f"wrong by {error.number():.1%}, which a gain has to exceed."
    )
    facts = (label, costs, error)
    gain = teacher / hybrid
    return Finding(gain > 1 + error.number(), f"{gain:.2f} times", sentence, facts)


def fewer_transformers(given: Given, sources: Sources) -> Finding:
    """The chosen hybrid keeps fewer transformer blocks than the teacher has."""
    label = sources.read(given.task, FINE_TUNING, "headline/chosen")
    kept, every = (
        penalty(one, "transformers") for one in (numbered(label.value), RESTORMER.teacher)
    )
    sentence = f"{label.value} keeps {kept:.0f} of {every:.0f} transformer blocks."
    return Finding(kept < every, f"{kept:.0f} of {every:.0f}", sentence, (label,))


def beats_random(given: Given, sources: Sources) -> Finding:
    """After equally many proposals, sampler `fields[0]` has more hypervolume than `fields[1]`.

    Medians over the runs of the study, at the largest number of proposals that both made.
    """
    runs = sources.read(given.task, "study.json", "result/runs")
    ratios: dict[str, dict[int, list[float]]] = {name: {} for name in given.fields}
    for run in runs.value:
        for at in run["milestones"] if run["sampler"] in ratios else []:
            ratios[run["sampler"]].setdefault(at["count"], []).append(at["ratio"])
    common = set.intersection(*(set(of) for of in ratios.values()))
    if not common:
        raise NotMeasuredError(f"{runs.file} has no runs of {' and '.join(given.fields)}")
    at = max(common)
    ours, theirs = (median(ratios[name][at]) for name in given.fields)
    sentence = (
        f"After {at} proposals {given.fields[0]} has {ours:.1%} of the true hypervolume, "
        f"{given.fields[1]} {theirs:.1%} (medians of {len(ratios[given.fields[0]][at])} and "
        f"{len(ratios[given.fields[1]][at])} runs)."
    )
    return Finding(ours > theirs, f"{ours:.1%}; {theirs:.1%}", sentence, (runs,))


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
    digest = sources.read(given.task, POOL, "result/digest")
    networks = sources.read(given.task, BENCH, "identity/networks")
    n = sources.read(given.task, BENCH, "result/n_rows")
    sentence = (
        f"{n.value:,} architectures were scored with {len(rows.value)} surrogates, none of them "
        "trained for it."
    )
    holds = (
        networks.value.endswith(digest.value)
        and len(rows.value) == RESTORMER.n_surrogates
        and n.value == RESTORMER.n_architectures
    )
    return Finding(holds, f"{n.value:,} from {len(rows.value)}", sentence, (n, networks, rows))


CHECKS: Mapping[str, Check] = {
    "at_least": at_least,
    "above": above,
    "within": within,
    "several_times": several_times,
    "share_at_most": share_at_most,
    "gap_closed": gap_closed,
    "growth": blocks.growth,
    "cheaper": blocks.cheaper,
    "overtakes": blocks.overtakes,
    "orders_otherwise": blocks.orders_otherwise,
    "higher_in_every_stage": higher_in_every_stage,
    "better_than_nothing": better_than_nothing,
    "candidates_gain": candidates_gain,
    "chosen_is_faster": chosen_is_faster,
    "fewer_transformers": fewer_transformers,
    "beats_random": beats_random,
    "plateau": plateau,
    "one_pool": one_pool,
}
