"""How fast a hybrid is at a small loss, task by task, and whether that is what was aimed at.

The aims are ours: the paper has none for a computer's CPU. A task reaches one with at least SEEDS
seeds of a network that was timed whole, in alternation with its teacher.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ensrepro import costs
from ensrepro.curves import LOSS_DB, Curve, change, tested
from ensrepro.devices.stage_sums import StageTable
from ensrepro.pipeline import Run
from ensrepro.space import TEACHER, Architecture, Space

SEEDS = 3  # of the network and of the teacher that it is held against
BLOCK_TIMES = 2.0  # how many times as fast as Restormer's a block is to be
KEYS = (  # of a row beside `task`; None where there is no such network
    *("stages", "change", "least", "most", "as_it_was", "n", "n_longer"),
    *("times", "low", "high", "times_2", "most_times", "raced", "why"),
)

Row = dict[str, Any]


def kept(architecture: Architecture, space: Space, table: StageTable) -> float:
    """Share of the teacher's latency that stays: its stages that were not swapped, and the glue."""
    left = sum(
        table.parts[stage.name, TEACHER]
        for stage, choice in zip(space.stages, architecture, strict=True)
        if choice == TEACHER
    )
    return float((left + table.parts[costs.GLUE, 0]) / table.latency_ms[0])


def row(run: Run, made: Curve | None, table: StageTable) -> Row:
    """The fast hybrid of a task: stages, change in PSNR on the test photos, and how fast it is.

    `times` is how many times as fast as its teacher on one thread, whole, by rounds in alternation;
    `low` and `high` enclose eight rounds of ten; `times_2` is that on two threads. `most_times` is
    how fast it would be if its surrogates took no time (`kept`). Changes are against the teacher
    trained as long, `as_it_was` against that without extra steps, dB. `why` says what is missing.
    """
    found: Row = {"task": run.ctx.task.name} | dict.fromkeys(KEYS)
    if made is None:
        return found | {"why": "not all of its networks are on file"}
    if not made.fast:
        n = len(made.tuned)
        return found | {"why": f"none of its {n} fine-tuned networks loses at most {LOSS_DB:g} dB"}
    space = run.ctx.space
    architecture = space.architecture(made.fast[0].result.architecture)
    raced, two = (run.raced(table, architecture, threads) for threads in (1, 2))
    ratio, gained = raced.ratio, change(made.fast, made.longer)
    mean = float(np.mean([tested(one) for one in made.fast]))
    quality = {"change": gained.mean, "least": gained.low, "most": gained.high}
    quality |= {"n": gained.n, "n_longer": gained.n_longer, "as_it_was": mean - made.base}
    speed = {"times": 1 / ratio.median, "low": 1 / ratio.high, "high": 1 / ratio.low}
    speed |= {"times_2": 1 / two.ratio.median, "most_times": 1 / kept(architecture, space, table)}
    return found | quality | speed | {"stages": space.label(architecture), "raced": raced.row()}


def reached(rows: Sequence[Mapping[str, Any]], times: float) -> list[str]:
    """The tasks whose hybrid is so fast on one thread and, over its seeds, loses little enough."""
    return [
        one["task"]
        for one in rows
        if one["times"] is not None
        and one["times"] >= times
        and one["change"] >= -LOSS_DB
        and min(one["n"], one["n_longer"]) >= SEEDS
    ]


def aim(rows: Sequence[Mapping[str, Any]], times: float, what: str) -> str:
    """One sentence: on which tasks an aim is reached."""
    met = reached(rows, times)
    return (
        f"{times:.1f} times as fast at no more than {LOSS_DB:g} dB, {what}: reached on {len(met)} "
        f"of {len(rows)} tasks ({', '.join(met) or 'none'})."
    )


def shortfalls(rows: Sequence[Mapping[str, Any]], times: float) -> list[str]:
    """A sentence for each task that does not reach an aim: by how much, and what bounds it."""
    met, said = reached(rows, times), []
    for one in (row for row in rows if row["task"] not in met):
        if one["times"] is None:
            said.append(f"{one['task']}: {one['why']}.")
        elif one["times"] < times:
            said.append(
                f"{one['task']} falls short of {times:.1f} by a factor of "
                f"{times / one['times']:.1f}. What it keeps of its teacher would allow "
                f"{one['most_times']:.1f} times, with surrogates that took no time at all. Every "
                f"faster network that was fine-tuned loses more than {LOSS_DB:g} dB on the "
                "validation crops."
            )
        else:
            seeds = min(one["n"], one["n_longer"])
            said.append(
                f"{one['task']} is fast enough, but changes by {one['change']:+.2f} dB on the test "
                f"photos, with {seeds} seeds."
            )
    return said


def blocks(rows: Sequence[Mapping[str, Any]], family: str, side: int, threads: int) -> str:
    """One sentence: how many times as fast as Restormer's the blocks of a family are, by level."""
    own = [row for row in rows if (row["family"], row["side"]) == (family, side)]
    if not own:
        return f"No single blocks were timed on {threads} threads at {side} pixels."
    times = {row["level"]: 1 / row["ratio"] for row in own}
    met = sum(value >= BLOCK_TIMES for value in times.values())
    told = ", ".join(f"{value:.2f} at level {level}" for level, value in sorted(times.items()))
    return (
        f"On {threads} thread{'s' * (threads > 1)} an edge block is {told} times as fast as "
        f"Restormer's; {BLOCK_TIMES:g} times, our aim, is reached at {met} of {len(times)} levels."
    )
