"""What a notebook's parameters may be, told without loading a network's library.

The runner asks here before a kernel starts, and `pipeline.start` in the kernel, so that a value
that cannot be is refused in a second.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from ensrepro import pareto, search
from ensrepro.samplers import SAMPLERS
from ensrepro.space import PENALTY_TABLES, Space

Parameter = str | int | float | bool

# `stage` is one more; all others are integers >= 0.
CHOICES: dict[str, Collection[str]] = {
    "sampler": SAMPLERS,
    "penalty_table": PENALTY_TABLES,
    "method": pareto.KNEES,
    "rule": pareto.CANDIDATE_RULES,
}
NAMES = ("device",)  # of what is on file, looked up when it is needed
REALS = ("latency_budget_ms",)  # numbers >= 0 that need not be whole
COUNTS = ("depth", "n_trials", "n_draws", "max_resolution", "seed", "threads")  # integers >= 0
LEAST = {"n_draws": 1}  # where it is more than 0
BOUNDS = {"max_resolution": (16, 512)}  # pixels a side, those of `latency.sides`
FEWEST_TRIALS = 2  # 0 stands for the profile's number


def checked(space: Space, name: str, value: Parameter) -> Parameter:
    """A notebook's own parameter; a ValueError or TypeError says what is allowed."""
    choices = {**CHOICES, "stage": [stage.name for stage in space.stages]}
    if name in choices:
        if not isinstance(value, str) or value not in choices[name]:
            raise ValueError(f"{name} is {value!r}; expected one of {', '.join(choices[name])}")
        return value
    if name in NAMES:
        if not isinstance(value, str):
            raise TypeError(f"{name} is {value!r}; expected a name")
        return value
    kind, what = ((int, float), "a number") if name in REALS else (int, "an integer")
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{name} is {value!r}; expected {what}")
    fewest = LEAST.get(name, 0)
    if not fewest <= value < math.inf:
        raise ValueError(f"{name} is {value}; expected {what} >= {fewest}")
    least, most = BOUNDS.get(name, (0, math.inf))
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}; expected {least} to {most}")
    return value


def check_depth(space: Space, stage: Parameter, depth: Parameter) -> None:
    """A ValueError unless the stage has a surrogate of that many blocks."""
    depths = space.stage(str(stage)).depths
    if depth not in depths:
        allowed = ", ".join(map(str, depths))
        raise ValueError(f"depth is {depth}; {stage} has surrogates of {allowed} blocks")


def check_search(space: Space, values: Mapping[str, Parameter]) -> None:
    """A ValueError unless sampler, number of proposals and budget go together."""
    search.settings(
        space,
        values["sampler"],
        values.get("n_trials") or FEWEST_TRIALS,
        values.get("seed", 0),
        values.get("penalty_table", next(iter(PENALTY_TABLES))),
        latency_budget_ms=values.get("latency_budget_ms") or None,
    )


def check_values(space: Space, values: Mapping[str, Parameter]) -> None:
    """A ValueError or TypeError unless the known ones of these are right, alone and together.

    Names that are not known here are passed over: the notebook checks them itself.
    """
    for name in values:
        if name in {*CHOICES, *NAMES, *REALS, *COUNTS, "stage"}:
            checked(space, name, values[name])
    if {"stage", "depth"} <= values.keys():
        check_depth(space, values["stage"], values["depth"])
    if "sampler" in values:
        check_search(space, values)
