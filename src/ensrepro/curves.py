"""Fine-tuned hybrids of pairs that share a teacher, in one plane: latency and PSNR.

A latency is a share of the teacher's, by the sums of stages on a device. A *change* in PSNR is on
the test photos and against the teacher with the same extra steps, the fair reference: every hybrid
was trained longer than the teacher that it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ensrepro import config, costs
from ensrepro.across import with_seeds
from ensrepro.artifacts import NotOnFileError
from ensrepro.config import PAIRS
from ensrepro.devices.stage_sums import StageTable
from ensrepro.pipeline import Run, jobs_of
from ensrepro.seeds import against
from ensrepro.space import TEACHER, Architecture, Space, penalty
from ensrepro.steps import curve, finetune, knee
from ensrepro.steps.finetune import Finetuned

LOSS_DB = 0.1  # what a fast hybrid may lose on the validation crops
FAST = (  # what a row says of one
    *("stages", "change", "least", "most", "n", "n_longer"),
    *("times", "low", "high", "most_times", "raced"),
)


@dataclass(frozen=True)
class Curve:
    """The fine-tuned networks of a pair; `longer` is the teacher with the same extra steps.

    `tuned` has the candidates, the networks along the front and the all-SSM one, seed 0 of each;
    `chosen` every seed of the best candidate, `fast` every seed of the cheapest network that loses
    at most LOSS_DB on the validation crops, which is none where none does.
    """

    tuned: Mapping[Architecture, Finetuned]
    chosen: Sequence[Finetuned]
    fast: Sequence[Finetuned]
    longer: Sequence[Finetuned]


def of_pair(run: Run, pair: str) -> Run:
    """The same notebook on another pair of the same teacher."""
    other = PAIRS[pair]
    if config.teacher_pair(other) != config.teacher_pair(run.ctx.pair):
        raise ValueError(f"pair is {pair!r}; expected one with the teacher of {run.ctx.pair.name}")
    store = replace(run.ctx.store, suffix=other.suffix)
    return replace(run, ctx=replace(run.ctx, pair=other, store=store))


def curve_of(run: Run, is_whole: bool = True) -> Curve:
    """The networks of a run's search, fine-tuned; without `is_whole` only those of notebook 06."""
    ctx, found = run.ctx, run.search()
    choice = knee.choose(ctx, found)
    jobs = dict.fromkeys(jobs_of(ctx, choice))
    if is_whole:
        jobs |= dict.fromkeys((architecture, 0) for architecture in curve.along(ctx, found))
    made = dict(zip((job[0] for job in jobs), run.finetuned(list(jobs)), strict=True))
    best, longer = finetune.best([made[one] for one in choice.candidates]), made[ctx.space.teacher]
    tuned = {one: network for one, network in made.items() if one != ctx.space.teacher}
    prices = [penalty(one, "blocks", ctx.space) for one in tuned]
    fast = curve.cheapest_within(list(tuned.values()), prices, longer, LOSS_DB)
    seeds = with_seeds(run, fast) if fast and is_whole else ()
    return Curve(tuned, with_seeds(run, best), seeds, with_seeds(run, longer))


def on_file(run: Run) -> Curve | None:
    """The networks of a run, nothing computed; None where some of seed 0 is missing."""
    reading = replace(run, ctx=replace(run.ctx, may_compute=False))
    with suppress(NotOnFileError):
        return curve_of(reading)
    return None


def same(run: Run, architecture: Architecture) -> list[Finetuned]:
    """An architecture from the surrogates of this run, fine-tuned with every seed."""
    return run.finetuned([(architecture, seed) for seed in range(run.ctx.profile.n_seeds)])


def psnr(tuned: Finetuned) -> float:
    """Mean over the test photos, dB."""
    return float(np.mean([row["psnr"] for row in tuned.result.test]))


class Change(NamedTuple):
    """PSNR of `n` seeds against `n_longer` seeds of the teacher trained as long, dB.

    Seed by seed where both have several, else against the mean of the latter (`seeds.against`).
    """

    mean: float
    low: float
    high: float
    n: int
    n_longer: int


def change(seeds: Sequence[Finetuned], longer: Sequence[Finetuned]) -> Change:
    """What networks of several seeds change on the test photos."""
    ours, theirs = ({one.result.seed: psnr(one) for one in own} for own in (seeds, longer))
    found = against("teacher, longer", ours, theirs)
    values = found.changes
    mean = float(np.mean(values))
    return Change(mean, float(min(values)), float(max(values)), len(values), found.n_reference)


def verdict(ours: Change, theirs: Change) -> str:
    """Whether the seeds of two networks tell them apart."""
    if min(ours.n, theirs.n) < 2:
        return "One seed each tells nothing of the difference."
    if ours.low > theirs.high:
        return "Every seed of the first is above every seed of the second."
    if theirs.low > ours.high:
        return "Every seed of the first is **below** every seed of the second."
    return "The seeds of the two overlap: no difference that these runs could show."


def points(run: Run, made: Curve, table: StageTable) -> list[dict[str, Any]]:
    """A row a network: pair, stages, share (of the teacher's latency), before, after, change.

    `before` and `after` are against the teacher trained as long, on the validation crops, `change`
    is on the test photos, all in dB; `n` counts the seeds that `change` is a mean of.
    """
    ctx, reference = run.ctx, made.longer[0].result.after
    seeds = {one[0].result.architecture: one for one in (made.chosen, made.fast) if one}
    rows = []
    for architecture, tuned in made.tuned.items():
        number = ctx.space.index(architecture)
        found = change(seeds.get(number, [tuned]), made.longer)
        rows.append(
            {
                "pair": ctx.pair.name,
                "stages": ctx.space.label(architecture),
                "share": table.share(number),
                "before": tuned.result.before - reference,
                "after": tuned.result.after - reference,
                "change": found.mean,
                "n": found.n,
            }
        )
    return sorted(rows, key=lambda row: row["share"])


def kept(architecture: Architecture, space: Space, table: StageTable) -> float:
    """Share of the teacher's latency that stays: its stages that were not swapped, and the glue."""
    left = sum(
        table.parts[stage.name, TEACHER]
        for stage, choice in zip(space.stages, architecture, strict=True)
        if choice == TEACHER
    )
    return float((left + table.parts[costs.GLUE, 0]) / table.latency_ms[0])


def fast_row(run: Run, made: Curve, table: StageTable) -> dict[str, Any]:
    """The fast hybrid of a task: stages, change on the test photos, and how fast it is whole.

    `times` is how many times as fast as its teacher, by rounds in alternation; `low` and `high`
    enclose eight rounds of ten. `most_times` is how fast it would be if its surrogates took no
    time (`kept`). Where no network loses little enough, all is None but the task.
    """
    row: dict[str, Any] = dict.fromkeys(("stages", "change", "least", "most", "times", "low"))
    row |= dict.fromkeys(("high", "n", "n_longer", "raced", "most_times")) | {
        "task": run.ctx.task.name
    }
    if not made.fast:
        return row
    architecture = run.ctx.space.architecture(made.fast[0].result.architecture)
    raced, found = run.raced(table, architecture), change(made.fast, made.longer)
    ratio = raced.ratio
    row |= {"stages": run.ctx.space.label(architecture), "raced": raced.row()}
    row |= {"change": found.mean, "least": found.low, "most": found.high}
    row |= {"n": found.n, "n_longer": found.n_longer}
    row |= {"most_times": 1 / kept(architecture, run.ctx.space, table)}
    return row | {"times": 1 / ratio.median, "low": 1 / ratio.high, "high": 1 / ratio.low}


def dominated(rows: Sequence[Mapping[str, Any]], pair: str, other: str) -> int:
    """How many networks of `pair` some network of `other` beats in latency at no less PSNR."""
    theirs = [row for row in rows if row["pair"] == other]
    return sum(
        any(one["share"] < row["share"] and one["change"] >= row["change"] for one in theirs)
        for row in rows
        if row["pair"] == pair
    )


def pool_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """A row a surrogate: stage, depth, and of each pair the PSNR drop (dB) and `PAIR seconds`.

    The drop is what the surrogate costs alone in the teacher, the seconds its own training took.
    """
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for run in runs:
        name = run.ctx.pair.name
        for row in run.pool.result.rows:
            key = row["stage"], row["depth"]
            rows.setdefault(key, {"stage": row["stage"], "depth": row["depth"]})
            rows[key] |= {name: row["psnr_drop"], f"{name} seconds": row["seconds"]}
    return list(rows.values())
