"""Checks of claims that the results of this repository decide; they read manifests, nothing else.

Each takes what the claim gives and where results are, and raises NotMeasuredError where one is
missing. `criterion` is the line between yes and no: the paper rarely draws one, so the ledger does.
Where the artifact records how uncertain a value is, the answer is None as long as the line lies
within that (`doubt`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import mean, median

from ensrepro.claims import blocks, scores
from ensrepro.claims.belonging import BENCH, FINE_TUNING, KNEE, STUDY, job, numbered
from ensrepro.claims.counted import by_transformers
from ensrepro.claims.doubt import Range, of_difference, of_ratio
from ensrepro.claims.records import Given
from ensrepro.claims.results import (
    Fact,
    Finding,
    NotMeasuredError,
    Sources,
    named,
    read_all,
)
from ensrepro.claims.sources import scalar
from ensrepro.space import RESTORMER, penalty

GLUE = "glue"

Check = Callable[[Given, Sources], Finding]


def part_of(given: Given, sources: Sources) -> tuple[str, list[Fact]]:
    """Of which part the fields were measured, as a sentence begins, and where that stands."""
    if not given.at:
        return "", []
    fact = sources.read(given.task, given.file, given.at)
    return f"In {fact.value} alone: ", [fact]


def at_least(given: Given, sources: Sources) -> Finding:
    """The one field is at least `criterion`."""
    (fact,) = read_all(given, sources)
    value = fact.number()
    sentence = f"Measured {value:.3g}, asked for at least {given.criterion:g}."
    return Finding(value >= given.criterion, f"{value:.3g} {given.unit}".strip(), sentence, (fact,))


def several_times(given: Given, sources: Sources) -> Finding:
    """The first field is at least `criterion` times the second; each may be off by `resolution`."""
    ours, theirs = facts = read_all(given, sources)
    a, b, step = ours.number(), theirs.number(), given.resolution
    span = Range((a - step) / (b + step), (a + step) / max(b - step, 1e-9))
    part, where = part_of(given, sources)
    sentence = f"{part}{named(facts)}: {a / b:.3g} times, asked for {given.criterion:g}."
    used = (*facts, *where)
    return Finding(span.above(given.criterion), f"{a / b:.3g} times", sentence, used)


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
    """From the first field to the second, the third has come more than `criterion` of the way.

    Each may be off by `resolution`.
    """
    start, goal, reached = facts = read_all(given, sources)
    gap = goal.number() - start.number()
    share, step = (reached.number() - start.number()) / gap, given.resolution / abs(gap)
    found = f"{share:.1%} of the gap"
    part, where = part_of(given, sources)
    sentence = (
        f"{part}{named(facts)}: {found}, {share - step:.1%} to {share + step:.1%} within the "
        f"resolution; asked for more than {given.criterion:.0%}."
    )
    holds = Range(share - step, share + step).above(given.criterion)
    return Finding(holds, found, sentence, (*facts, *where))


def higher_in_every_stage(given: Given, sources: Sources) -> Finding:
    """The first field is above the second in the stages that both have; open where they differ."""
    ours, theirs = facts = read_all(given, sources)
    both = [name for name in ours.value if name in theirs.value]
    changes = [ours.value[name] - theirs.value[name] for name in both]
    n = sum(change > 0 for change in changes)
    sentence = (
        f"It rises in {n} of {len(both)} stages, by {mean(changes):+.4f} on average, from "
        f"{min(changes):+.4f} to {max(changes):+.4f}."
    )
    holds = Range(min(changes), max(changes)).above(0)
    return Finding(holds, f"{n} of {len(both)}", sentence, tuple(facts))


def better_than_nothing(given: Given, sources: Sources) -> Finding:
    """Each surrogate in place costs less PSNR than leaving its stage out.

    Stages that cost less than `criterion` (dB) when they are left out say nothing and do not count.
    """
    removed, swapped = facts = read_all(given, sources)
    idle = [name for name, drop in removed.value.items() if drop < given.criterion]
    counted = {k: drop for k, drop in swapped.value.items() if k.split()[0] not in idle}
    if not counted:
        raise ValueError(f"all stages cost under {given.criterion:g} dB; expected one that counts")
    wins = [drop < removed.value[name.split()[0]] for name, drop in counted.items()]
    worst = max(counted, key=counted.get)
    sentence = (
        f"{sum(wins)} of {len(wins)} surrogates; the dearest, {worst}, costs "
        f"{counted[worst]:.2f} dB where leaving the stage out costs "
        f"{removed.value[worst.split()[0]]:.2f} dB. Not counted, since leaving it out costs under "
        f"{given.criterion:g} dB: {', '.join(idle) or 'none'}."
    )
    return Finding(all(wins), f"{sum(wins)} of {len(wins)}", sentence, tuple(facts))


def runs_of(number: int, given: Given, sources: Sources) -> list[tuple[Fact, Fact]]:
    """Validation PSNR after and before fine-tuning of an architecture, for each seed on file."""
    found: list[tuple[Fact, Fact]] = []
    while True:
        file = job(number, len(found))
        try:
            found.append(
                (
                    sources.read(given.task, file, "result/after"),
                    sources.read(given.task, file, "result/before"),
                )
            )
        except NotMeasuredError:
            if not found:  # the first seed has to be there
                raise
            return found


def candidates_gain(given: Given, sources: Sources) -> Finding:
    """Fine-tuning lifts the candidates' validation PSNR, in every run."""
    chosen = sources.read(given.task, KNEE, "headline/candidates")
    runs = [run for number in chosen.value for run in runs_of(number, given, sources)]
    gains = [after.number() - before.number() for after, before in runs]
    n = sum(gain > 0 for gain in gains)
    sentence = (
        f"{n} of {len(gains)} runs of {len(chosen.value)} candidates gain; from {min(gains):+.3f} "
        f"to {max(gains):+.3f} dB, {mean(gains):+.3f} dB on average."
    )
    facts = (chosen, *(fact for run in runs for fact in run))
    holds = Range(min(gains), max(gains)).above(0)
    return Finding(holds, f"{mean(gains):+.3f} dB", sentence, facts)


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
        f"wrong by {error.number():.1%}, which a difference has to exceed."
    )
    facts = (label, costs, error)
    gain = teacher / hybrid
    holds = of_ratio(gain, 1 + error.number()).above(1)
    return Finding(holds, f"{gain:.2f} times", sentence, facts)


def alternatives_keep_more(given: Given, sources: Sources) -> Finding:
    """Most architectures and one of equal blocks keep more transformer blocks than the chosen one.

    Equal blocks keep a share of every stage, in %; `scalars` name it.
    """
    label = sources.read(given.task, FINE_TUNING, "headline/chosen")
    kept, every = penalty(numbered(label.value), "transformers"), by_transformers()
    share = float(scalar(given.scalars[0])) / 100
    equal = sum(stage.n_blocks * share for stage in RESTORMER.stages)
    more = sum(n for blocks, n in every.items() if blocks > kept)
    average = sum(blocks * n for blocks, n in every.items()) / every.total()
    sentence = (
        f"{label.value} keeps {kept:.0f} of {max(every)} transformer blocks, equal blocks keep "
        f"{equal:.0f}; of all architectures {more / every.total():.0%} keep more than it, and a "
        f"random one keeps {average:.1f} on average."
    )
    holds = more > every.total() / 2 and equal > kept
    return Finding(holds, f"{kept:.0f}; {average:.1f} and {equal:.0f}", sentence, (label,))


def takes_less_time(given: Given, sources: Sources) -> Finding:
    """Timed in turns with its reference, something takes less time.

    The fields are times as long, the range of that, and the rounds, of which it takes `criterion`.
    """
    ratio, low, high, rounds = facts = read_all(given, sources)
    gain, span = 1 / ratio.number(), Range(1 / high.number(), 1 / low.number())
    sentence = (
        f"It takes {ratio.number():.3g} times as long, {low.number():.3g} to {high.number():.3g} "
        f"in {rounds.number():.0f} rounds, of which a verdict takes {given.criterion:.0f}."
    )
    holds = span.above(1) if rounds.number() >= given.criterion else None
    return Finding(holds, f"{gain:.2f} times", sentence, tuple(facts))


def ratios_of(runs: Fact, sampler: str) -> dict[int, list[float]]:
    """Share of the true hypervolume by the number of proposals, each run of a sampler."""
    found: dict[int, list[float]] = {}
    for run in runs.value:
        for at in run["milestones"] if run["sampler"] == sampler else []:
            found.setdefault(at["count"], []).append(at["ratio"])
    if not found:
        raise NotMeasuredError(f"{runs.file} has no runs of {sampler}")
    return found


def beats_random(given: Given, sources: Sources) -> Finding:
    """After equally many proposals, sampler `fields[0]` has more hypervolume than `fields[1]`.

    At the largest number of proposals that both made; ranges over runs that overlap decide nothing.
    """
    runs = sources.read(given.task, STUDY, "result/runs")
    both = [ratios_of(runs, name) for name in given.fields]
    at = max(set.intersection(*(set(of) for of in both)))
    spans = [Range(min(of[at]), max(of[at])) for of in both]
    ours, theirs = (median(of[at]) for of in both)
    words = [
        f"{name} has {median(of[at]):.1%} ({span.low:.1%} to {span.high:.1%}, {len(of[at])} runs)"
        for name, of, span in zip(given.fields, both, spans, strict=True)
    ]
    sentence = f"After {at} proposals, of the true hypervolume {', '.join(words)}."
    holds = of_difference(*spans).above(0)
    return Finding(holds, f"{ours:.1%}; {theirs:.1%}", sentence, (runs,))


def finds_front(given: Given, sources: Sources) -> Finding:
    """Sampler `fields[0]` has `criterion` of the true hypervolume after the paper's proposals.

    Their number is the first scalar. A run that made fewer has not been measured.
    """
    runs = sources.read(given.task, STUDY, "result/runs")
    (sampler,), asked = given.fields, int(scalar(given.scalars[0]))
    ratios = ratios_of(runs, sampler)
    most = max(ratios)
    if asked not in ratios:
        raise NotMeasuredError(
            f"{sampler} made {most} proposals at most in {runs.file}, the paper {asked}; after "
            f"{most} it has {median(ratios[most]):.1%} of the true hypervolume"
        )
    found = ratios[asked]
    sentence = (
        f"After {asked} proposals {sampler} has {median(found):.1%} of the true hypervolume "
        f"({min(found):.1%} to {max(found):.1%}, {len(found)} runs); asked for more than "
        f"{given.criterion:.0%}."
    )
    holds = Range(min(found), max(found)).above(given.criterion)
    return Finding(holds, f"{median(found):.1%}", sentence, (runs,))


CHECKS: Mapping[str, Check] = {
    "at_least": at_least,
    "above": scores.above,
    "above_draws": scores.above_draws,
    "several_times": several_times,
    "share_at_most": share_at_most,
    "gap_closed": gap_closed,
    "less_memory": blocks.less_memory,
    "overtakes": blocks.overtakes,
    "orders_otherwise": blocks.orders_otherwise,
    "higher_in_every_stage": higher_in_every_stage,
    "better_than_nothing": better_than_nothing,
    "candidates_gain": candidates_gain,
    "chosen_is_faster": chosen_is_faster,
    "alternatives_keep_more": alternatives_keep_more,
    "takes_less_time": takes_less_time,
    "beats_random": beats_random,
    "finds_front": finds_front,
}
