"""Fine-tuned hybrids of pairs that share a teacher, in one plane: latency and PSNR.

A latency is a share of the teacher's, by the sums of stages on a device. A *change* in PSNR is on
the test photos and against the teacher with the same extra steps, the fair reference: every hybrid
was trained longer than the teacher that it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ensrepro import config
from ensrepro.artifacts import NotOnFileError
from ensrepro.config import PAIRS
from ensrepro.devices.stage_sums import StageTable
from ensrepro.pipeline import Run, jobs_of, seeds_of
from ensrepro.seeds import against
from ensrepro.space import Architecture
from ensrepro.steps import curve, finetune, knee
from ensrepro.steps.finetune import Finetuned

LOSS_DB = 0.1  # what a fast hybrid may lose on the validation crops


@dataclass(frozen=True)
class Curve:
    """The fine-tuned networks of a pair; `longer` is the teacher with the same extra steps.

    `tuned` has the candidates, the all-SSM network and those along the fronts, seed 0 of each;
    `chosen` every seed of the best candidate, `fast` every seed of the network that takes least
    time of those that lose at most LOSS_DB, which is none where none does. `base` is the mean test
    PSNR of the teacher as it was, dB.
    """

    tuned: Mapping[Architecture, Finetuned]
    chosen: Sequence[Finetuned]
    fast: Sequence[Finetuned]
    longer: Sequence[Finetuned]
    base: float


def of_pair(run: Run, pair: str) -> Run:
    """The same notebook on another pair of the same teacher."""
    other = PAIRS[pair]
    if config.teacher_pair(other) != config.teacher_pair(run.ctx.pair):
        raise ValueError(f"pair is {pair!r}; expected one with the teacher of {run.ctx.pair.name}")
    store = replace(run.ctx.store, suffix=other.suffix)
    return replace(run, ctx=replace(run.ctx, pair=other, store=store))


def every_seed(run: Run, first: Finetuned) -> list[Finetuned]:
    """A network with all seeds of the profile."""
    return run.finetuned(seeds_of(run.ctx, first))


def fast_of(
    run: Run, tuned: Sequence[Finetuned], table: StageTable, longer: Sequence[Finetuned]
) -> list[Finetuned]:
    """Every seed of the network of least latency whose mean loss is at most LOSS_DB.

    The loss is on the validation crops, against the teacher trained as long. A network that seed 0
    lets pass is fine-tuned with the other seeds before it counts. None may pass.
    """
    costs = [table.share(one.result.architecture) for one in tuned]
    for first in curve.near(tuned, costs, longer[0], LOSS_DB):
        seeds = every_seed(run, first)
        if change(seeds, longer, validated).mean >= -LOSS_DB:
            return seeds
    return []


def curve_of(run: Run, table: StageTable | None = None) -> Curve:
    """The networks of a run, fine-tuned: those of notebook 06; with a table a whole curve.

    It has networks along two fronts, by penalty and by the latency of the table, and a fast one.
    """
    ctx, found = run.ctx, run.search()
    choice = knee.choose(ctx, found)
    jobs = dict.fromkeys(jobs_of(ctx, choice))
    if table is not None:
        aware = run.search(penalty_table="latency", device=table)
        spread = [*curve.along(ctx, found), *curve.along(ctx, aware)]
        jobs |= dict.fromkeys((architecture, 0) for architecture in spread)
    made = dict(zip((job[0] for job in jobs), run.finetuned(list(jobs)), strict=True))
    best = finetune.best([made[one] for one in choice.candidates])
    longer = every_seed(run, made[ctx.space.teacher])
    tuned = {one: network for one, network in made.items() if one != ctx.space.teacher}
    fast = fast_of(run, list(tuned.values()), table, longer) if table is not None else ()
    base = float(np.mean([row["psnr"] for row in run.teacher.result.test]))
    return Curve(tuned, every_seed(run, best), fast, longer, base)


def on_file(run: Run, table: StageTable) -> Curve | None:
    """The networks of a run, nothing computed; None where some are missing."""
    reading = replace(run, ctx=replace(run.ctx, may_compute=False))
    with suppress(NotOnFileError):
        return curve_of(reading, table)
    return None


def same(run: Run, architecture: Architecture) -> list[Finetuned]:
    """An architecture from the surrogates of this run, fine-tuned with every seed."""
    return run.finetuned([(architecture, seed) for seed in range(run.ctx.profile.n_seeds)])


def tested(tuned: Finetuned) -> float:
    """Mean PSNR over the test photos, dB."""
    return float(np.mean([row["psnr"] for row in tuned.result.test]))


def validated(tuned: Finetuned) -> float:
    """PSNR on the validation crops, dB."""
    return tuned.result.after


class Change(NamedTuple):
    """PSNR of `n` seeds against `n_longer` seeds of the teacher trained as long, dB.

    Seed by seed where both have several, else against the mean of the latter (`seeds.against`).
    """

    mean: float
    low: float
    high: float
    n: int
    n_longer: int


def change(
    seeds: Sequence[Finetuned],
    longer: Sequence[Finetuned],
    psnr: Callable[[Finetuned], float] = tested,
) -> Change:
    """What networks of several seeds change, on the test photos unless `psnr` says otherwise."""
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
    is on the test photos, and so is `as_it_was` against the teacher without extra steps, all in dB;
    `n` counts the seeds that the last two are means of.
    """
    ctx, reference = run.ctx, made.longer[0].result.after
    seeds = {one[0].result.architecture: one for one in (made.chosen, made.fast) if one}
    rows = []
    for architecture, tuned in made.tuned.items():
        number = ctx.space.index(architecture)
        own = seeds.get(number, [tuned])
        found = change(own, made.longer)
        rows.append(
            {
                "pair": ctx.pair.name,
                "stages": ctx.space.label(architecture),
                "share": table.share(number),
                "before": tuned.result.before - reference,
                "after": tuned.result.after - reference,
                "change": found.mean,
                "as_it_was": float(np.mean([tested(one) for one in own])) - made.base,
                "n": found.n,
            }
        )
    return sorted(rows, key=lambda row: row["share"])


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
