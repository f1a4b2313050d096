"""Figures of the distillation: live stages, losses, and what each surrogate costs (section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ensrepro.figures import style

ALIVE_DB = 0.05  # a stage that costs less when replaced by the identity counts as dead
COLUMNS = 2
SMOOTHING = 50  # a curve is drawn as about this many medians of neighboring steps


@style.look()
def identity_drops(drops: Mapping[str, float], alive_db: float = ALIVE_DB) -> Figure:
    """PSNR lost when one stage is replaced by the identity, per stage; the scale is symlog."""
    style.nonempty("drops", drops)
    values = list(drops.values())
    figure = style.canvas(1.4 + 0.36 * len(drops))
    axes = figure.add_subplot()
    mark = style.KINDS["teacher"]
    colors = [mark.color if v >= alive_db else style.PALE for v in values]
    axes.barh(list(drops), values, color=colors, edgecolor=style.BLACK, linewidth=0.6)
    for y, v in enumerate(values):  # to the right even of a negative bar, where there is room
        axes.annotate(f"{v:.3f}", (max(v, 0.0), y), (5, 0), textcoords="offset points", va="center")
    axes.axvline(alive_db, color=style.BLACK, ls="--", lw=1.2)
    axes.set_xscale("symlog", linthresh=alive_db / 3)
    low, high = min(0.0, *values), max(alive_db, *values)
    axes.set_xlim(2 * low, 6 * high)  # room for the numbers
    axes.xaxis.set_major_formatter(style.PLAIN)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set(xlabel=f"PSNR lost without the stage (dB); dashed: {alive_db:g} dB", ylabel="stage")
    return figure


def _mark(depth: int) -> style.Mark:
    return style.DEPTHS.get(depth) or style.mark(f"{depth} blocks", depth)


def _depth_key(figure: Figure, depths: set[int], lines: bool) -> None:
    marks = [_mark(depth) for depth in sorted(depths, reverse=True)]
    style.key_below(figure, style.key_of(marks, lines), columns=min(len(marks), 4))


def _medians(losses: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """(step, median loss) of consecutive groups of steps."""
    values = np.asarray(losses, dtype=np.float64)
    groups = np.array_split(values, min(SMOOTHING, len(values)))
    ends = np.cumsum([len(group) for group in groups])
    return ends, np.array([np.median(group) for group in groups])


@style.look()
def losses(curves: Mapping[tuple[str, int], Sequence[float]]) -> Figure:
    """Distillation loss over steps, a panel a stage and a line a depth; keys are (stage, depth)."""
    style.nonempty("curves", curves)
    for key, values in curves.items():
        if not len(values):
            raise ValueError(f"curves[{key!r}] is empty; expected at least one loss")
    stages = list(dict.fromkeys(stage for stage, _ in curves))
    n_columns = min(COLUMNS, len(stages))
    n_rows = -(-len(stages) // n_columns)
    figure = style.canvas(1.1 + 1.75 * n_rows)
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharex=False)
    for axes, stage in zip(grid.flat, stages, strict=False):
        for depth in sorted({d for s, d in curves if s == stage}, reverse=True):
            mark = _mark(depth)
            steps, medians = _medians(curves[stage, depth])
            marker = mark.marker if len(steps) == 1 else "None"
            axes.plot(steps, medians, color=mark.color, ls=mark.dash, marker=marker, lw=2.4)
        axes.set_yscale("log")
        style.plain_log(axes.yaxis)
        axes.set_title(stage)
        axes.margins(x=0.02)
    for axes in grid.flat[len(stages) :]:
        axes.set_visible(False)
    figure.supylabel("L1 loss between features (no unit)", fontsize=12)
    for axes in grid.flat[max(len(stages) - n_columns, 0) : len(stages)]:
        axes.set_xlabel("step (count)")
    _depth_key(figure, {depth for _, depth in curves}, lines=True)
    return figure


def _dots(axes: Axes, rows: Sequence[Mapping[str, object]], name: str) -> None:
    """One dot a row: x is the stage; within it, from deep to shallow, colored by depth."""
    values = style.column(rows, name)
    depths = [int(depth) for depth in style.column(rows, "depth")]
    names = [str(row["stage"]) for row in rows]
    stages = list(dict.fromkeys(names))
    for x, stage in enumerate(stages):
        here = sorted((i for i, n in enumerate(names) if n == stage), key=lambda i: -depths[i])
        for rank, i in enumerate(here):
            mark = _mark(depths[i])
            shifted = x + 0.2 * (rank - (len(here) - 1) / 2)
            axes.plot(
                shifted, values[i], mark.marker, color=mark.color, mec=style.BLACK, mew=0.6, ms=8
            )
    axes.set_xlim(-0.6, len(stages) - 0.4)
    axes.set_xticks(range(len(stages)), stages, rotation=40, ha="right")


@style.look()
def surrogates(rows: Sequence[Mapping[str, object]]) -> Figure:
    """Per surrogate: PSNR drop with this one stage swapped, and its relative feature error.

    A row has `stage`, `depth`, `psnr_drop` (dB) and `relative_error` (1 = the features' own size).
    """
    style.nonempty("rows", rows)
    for i, row in enumerate(rows):
        if "stage" not in row:
            raise ValueError(f"rows[{i}] has no 'stage'; it has {', '.join(map(repr, row))}")
    figure = style.canvas(6.6)
    above, below = figure.subplots(2, 1, sharex=True)
    _dots(above, rows, "psnr_drop")
    style.drop_axis(above, style.column(rows, "psnr_drop"), linear_below=0.01)
    above.set_ylabel("PSNR drop, one\nstage swapped (dB)")
    _dots(below, rows, "relative_error")
    below.set_ylim(bottom=0)
    below.set(ylabel="relative feature\nerror (no unit)", xlabel="stage")
    _depth_key(figure, {int(d) for d in style.column(rows, "depth")}, lines=False)
    return figure
