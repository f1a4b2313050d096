"""Data of the architecture explorer (`book/explorer.md`), as a script that sets one global.

A page that is opened from a file may load scripts but no other data, so the table of all
architectures travels as one: `window.ensreproExplorer = {...};`.
  * PSNR drop and SSIM, which have to be measured for each architecture, are columns of 16-bit
    integers in base64, by number of the architecture; step and lowest value are stated beside them.
  * A cost is a sum over the stages, so the teacher's cost and the difference that each choice makes
    are enough. Writing the data checks that this gives back every row of the table.
`python book/_ext/explorer_data.py TABLE OUT` writes the data of a Parquet file of `ensrepro.bench`.
"""

from __future__ import annotations

import argparse
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ensrepro import landscape, pareto
from ensrepro.figures import style
from ensrepro.space import PENALTY_DECIMALS, PENALTY_TABLES, RESTORMER, TEACHER, Space, Stage

GLOBAL = "ensreproExplorer"
LEVELS = 2**16 - 1  # steps that 16 bits can count
DECIMAL_STEPS = tuple(m * 10.0**e for e in (-5, -4, -3) for m in (1, 2, 5))
DROP_STEP_DB, SSIM_STEP = 0.001, 0.0001  # rounding to this is wrong by half of it at most
ADDITIVE_TOLERANCE = 1e-5  # of the teacher's cost; the page shows four digits
CAPTION = (
    "Every point is one architecture; the true front joins those for which no other one is at "
    "least as good in both PSNR drop and the cost across and better in one of them."
)
MARKS = ("teacher", "knee", "hybrid")


@dataclass(frozen=True)
class Source:
    """The run that a table comes from; `costs` says in a sentence what the costs were taken on."""

    profile: str
    task: str
    commit: str
    costs: str = ""


@dataclass(frozen=True)
class Cost:
    """A cost of the page: column of the table or penalty table, and how a value is printed.

    A printed value is the column divided by `per`, followed by `unit`. Values that agree in all
    `decimals` are equal: sums of the same numbers in another order differ in their last bits.
    """

    key: str
    name: str
    unit: str = ""
    per: float = 1
    decimals: int = PENALTY_DECIMALS


COSTS = (
    Cost("penalty", "penalty"),
    Cost("latency_ms", "latency", "ms"),
    Cost("params", "parameters", "M", 1e6),
    Cost("macs", "MACs", "G", 1e9),
    Cost("rank", "penalty of table rank"),
    Cost("transformers", "penalty of table transformers"),
)


def check(frame: pd.DataFrame, space: Space) -> NDArray[np.intp]:
    """The choices of all rows, (n_architectures, stages); a ValueError if they are not in order."""
    names = [stage.name for stage in space.stages]
    measured = ["psnr", "ssim", *(c.key for c in COSTS if c.key not in PENALTY_TABLES)]
    if missing := [name for name in (*names, *measured) if name not in frame]:
        raise ValueError(f"the table has no column {', '.join(missing)}")
    if len(frame) != space.n_architectures:
        raise ValueError(f"the table has {len(frame)} rows; expected {space.n_architectures}")
    choices = frame[names].to_numpy(dtype=np.intp)
    expected = np.stack(np.unravel_index(np.arange(len(frame)), space.n_choices), axis=1)
    if (wrong := np.flatnonzero((choices != expected).any(axis=1))).size:
        row = wrong[0]
        found, right = (list(map(int, c[row])) for c in (choices, expected))
        raise ValueError(f"row {row} of the table is architecture {found}; expected {right}")
    for name in measured:
        if not np.isfinite(frame[name].to_numpy(dtype=np.float64)).all():
            raise ValueError(f"column {name} holds NaN or infinity; expected finite values")
    return choices


def quantize(name: str, values: NDArray[np.float64], coarsest: float) -> dict[str, Any]:
    """Values (n,) as little-endian 16-bit counts of a decimal step above the lowest value.

    Decimal, so that a zero stays a zero; ValueError if the step would be larger than `coarsest`.
    """
    span = float(values.max() - values.min())
    steps = [s for s in DECIMAL_STEPS if s <= coarsest * (1 + 1e-9) and span / s < LEVELS - 1]
    if not steps:
        raise ValueError(
            f"column {name} spans {span:g}; expected at most {LEVELS} steps of {coarsest:g}"
        )
    counts = np.round(values / steps[0]).astype(np.int64)
    packed = (counts - counts.min()).astype("<u2")
    return {
        "step": steps[0],
        "low": int(counts.min()),  # in steps
        "base64": b64encode(packed.tobytes()).decode("ascii"),
    }


def additive(
    name: str, values: NDArray[np.float64], choices: NDArray[np.intp], space: Space
) -> list[list[float]]:
    """What each choice of each stage adds to the teacher's value, from the single swaps.

    `values` (n,) of all architectures, `choices` (n, stages). A ValueError says where it fails.
    """
    teacher = values[space.index(space.teacher)]
    swaps = [
        [float(values[space.index(space.swapped(s.name, c))] - teacher) for c in range(s.n_choices)]
        for s in space.stages
    ]
    total = teacher + sum(np.asarray(added)[choices[:, i]] for i, added in enumerate(swaps))  # (n,)
    error = np.abs(total - values)
    worst = int(error.argmax())
    if error[worst] > ADDITIVE_TOLERANCE * abs(teacher):
        raise ValueError(
            f"column {name} is not additive: {space.label(choices[worst])} has {values[worst]:g}, "
            f"its stages sum to {total[worst]:g}"
        )
    return swaps


def column(cost: Cost, frame: pd.DataFrame, space: Space) -> NDArray[np.float64]:
    """The cost of all architectures, (n,): a column, or the sum over another penalty table."""
    if cost.key in PENALTY_TABLES:
        return landscape.penalties(cost.key, space).ravel()
    return np.round(frame[cost.key].to_numpy(dtype=np.float64), cost.decimals)


def luminance(color: str) -> float:
    """Relative luminance of `#rrggbb`, 0 to 1, as WCAG 2 defines it."""
    parts = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ink_on(color: str) -> str:
    """Black or white, whichever has the higher contrast on a color."""
    light = luminance(color) + 0.05
    return "#000000" if light / 0.05 > 1.05 / light else "#ffffff"


def stage_data(stage: Stage) -> dict[str, Any]:
    """A stage with its choices: label, number of blocks and colors."""
    choices = []
    for choice in range(stage.n_choices):
        blocks = stage.depth(choice)
        teacher = choice == TEACHER
        color = style.COLORS["teacher"] if teacher else style.DEPTHS[blocks].color
        label = "T" if teacher else str(blocks)
        choices.append({"label": label, "blocks": blocks, "color": color, "ink": ink_on(color)})
    return {"name": stage.name, "choices": choices}


def data(frame: pd.DataFrame, space: Space, source: Source) -> dict[str, Any]:
    """All that the page needs; `explorer.js` describes the shapes."""
    choices = check(frame, space)
    psnr = frame["psnr"].to_numpy(dtype=np.float64)
    drop = psnr[space.index(space.teacher)] - psnr
    costs = []
    for cost in COSTS:
        values = column(cost, frame, space)
        swaps = additive(cost.key, values, choices, space)
        front = pareto.front(np.column_stack([drop, values]))
        start = float(values[space.index(space.teacher)])
        costs.append({**asdict(cost), "teacher": start, "swaps": swaps, "front": front.tolist()})
    named = {"teacher": space.teacher, "all-SSM": space.all_ssm, "cheapest": space.cheapest}
    numbers = {name: space.index(architecture) for name, architecture in named.items()}
    points = np.column_stack([drop, frame["penalty"]])
    anchors = pareto.Anchors.between(points[numbers["teacher"]], points[numbers["cheapest"]])
    caption = style.caption(source.profile, source.task, source.commit, CAPTION)
    return {
        "stages": [stage_data(stage) for stage in space.stages],
        "drop": quantize("psnr", drop, DROP_STEP_DB),
        "ssim": quantize("ssim", frame["ssim"].to_numpy(dtype=np.float64), SSIM_STEP),
        "costs": costs,
        "named": {"knee": pareto.knee(points, anchors), **numbers},
        "colors": {kind: style.COLORS[kind] for kind in MARKS},
        "caption": f"{caption} {source.costs}".strip(),
    }


def write_script(path: Path, value: dict[str, Any]) -> None:
    """A script that sets the global; equal data make equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    path.write_text(f"window.{GLOBAL} = {text};\n", encoding="utf-8")


def write(path: Path, frame: pd.DataFrame, space: Space, source: Source) -> None:
    """The data of a table with one row for each architecture, in order of their numbers."""
    write_script(path, data(frame, space, source))


def write_missing(path: Path, profile: str, task: str) -> None:
    """What the page gets where there is no table: a sentence that says so."""
    sentence = f"There is no table of all architectures for profile {profile} and task {task}."
    write_script(path, {"missing": sentence})


def write_shown(app: Any) -> None:
    """The data of the profile and task that the book shows, into the site that is being built."""
    from ensrepro import artifacts, bench

    profile, task = app.config.ensrepro_profile, app.config.ensrepro_task
    path = Path(app.outdir) / "_static" / "explorer-data.js"
    store = bench.store_of(task, profile, "restormer-mambair", Path(app.srcdir).parent)
    found = bench.on_file(store)
    if found is None:
        write_missing(path, profile, task)
        return
    on = found.result.conditions
    costs = (
        f"Costs: width 48, {on['resolution']} pixels, {on['threads']} thread, {on['runtime']}, "
        f"{on['cpu']}."
    )
    commit = artifacts.read_json(store.manifest(bench.STEP))["provenance"]["commit"]
    write(path, found.frame, RESTORMER, Source(profile, task, commit, costs))


def setup(app: Any) -> dict[str, Any]:
    """Entry point of Sphinx: the data are written when a build begins."""
    app.connect("builder-inited", write_shown)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the data of a table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("table", type=Path, help="Parquet file of bench.build")
    parser.add_argument("out", type=Path, help="the script to write")
    for name in ("profile", "task", "commit"):
        parser.add_argument(f"--{name}", default="unknown", help="for the caption")
    given = parser.parse_args(arguments)
    source = Source(given.profile, given.task, given.commit)
    write(given.out, pd.read_parquet(given.table), RESTORMER, source)


if __name__ == "__main__":
    main()
