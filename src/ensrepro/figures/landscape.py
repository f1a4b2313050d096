"""Figures of the table of all architectures: front, sums, interactions, stages, proxies.

Where tens of thousands of architectures lie, gray says how many: the darker, the more. Arrays of
one value an architecture may have any shape; each choice of each stage has (n_choices,) per stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from ensrepro import landscape
from ensrepro.figures import style
from ensrepro.figures.search import DROP_LABEL, PENALTY_LABEL
from ensrepro.space import RESTORMER, TEACHER, Space

LATENCY_LABEL = "latency (ms)"
CELLS = 40  # hexagons across a panel
PALEST = 0.2  # count that would be white, so that a single architecture is not
KNEE_MARKERS = ("*", "P", "X")  # one a definition; the color says that it is a knee
OUTLINES = {landscape.NEIGHBORS: "-", landscape.SKIP: ":"}
DENSE, SPARSE = style.KINDS["true_front"], style.SERIES[2]


def _column(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """The values in a row, (n,) with n >= 1 and finite; else ValueError."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    if not flat.size or not np.isfinite(flat).all():
        raise ValueError(f"{name} is empty or holds NaN or infinity; expected finite values")
    return flat


def _density(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64]) -> PolyCollection:
    """Hexagons, as dark as points lie in them."""
    if x.shape != y.shape:
        raise ValueError(f"x has {x.size} values, y {y.size}; expected as many")
    return axes.hexbin(x, y, gridsize=CELLS, mincnt=1, cmap="Greys", linewidths=0.1)


def _count_scale(figure: Figure, cells: Sequence[PolyCollection], panels: Sequence[Axes]) -> None:
    """One logarithmic gray scale for the hexagons of all panels, drawn beside these panels."""
    norm = LogNorm(PALEST, max(10.0, *(float(c.get_array().max()) for c in cells)))
    for hexagons in cells:
        hexagons.set_norm(norm)
    scale = figure.colorbar(cells[0], ax=list(panels), aspect=30, pad=0.02)
    scale.set_label("architectures in a cell (count)")
    style.plain_log(scale.ax.yaxis)
    scale.ax.set_ylim(bottom=1)


def _stairs(axes: Axes, ends: NDArray[np.float64], mark: style.Mark, label: str) -> None:
    """The least drop at no higher a cost; `ends` (n, 2) are drop and cost."""
    ends = ends[np.lexsort((-ends[:, 0], ends[:, 1]))]
    axes.step(
        ends[:, 1], ends[:, 0], where="post", color=mark.color, ls=mark.dash, lw=1.5,
        marker=mark.marker or "None", ms=4, label=f"{label} ({len(ends)})",
    )  # fmt: skip


@style.look()
def front(
    drops: ArrayLike, penalties: ArrayLike, front: Sequence[int], knees: Mapping[str, int]
) -> Figure:
    """All architectures, the true front among them, and its knee by each definition.

    `front` and `knees` are numbers of architectures.
    """
    points = np.column_stack([_column("drops", drops), _column("penalties", penalties)])
    figure = style.canvas(4.9)
    axes = figure.add_subplot()
    hexagons = _density(axes, points[:, 1], points[:, 0])
    _stairs(axes, points[list(front)], DENSE, DENSE.label)
    for marker, number in zip(KNEE_MARKERS, dict.fromkeys(knees.values()), strict=False):
        drop, penalty = points[number]
        names = ", ".join(name for name, chosen in knees.items() if chosen == number)
        size = 17 if marker == "*" else 9
        axes.plot(
            penalty, drop, marker, color=style.COLORS["knee"], mec="white", mew=0.8, ms=size, ls="",
            zorder=5, label=f"knee: {names}",
        )  # fmt: skip
    axes.set(xlabel=PENALTY_LABEL, ylabel=DROP_LABEL)
    _count_scale(figure, [hexagons], [axes])
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@style.look()
def predictions(panels: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """Predicted against measured drop, a panel each: its title -> (prediction, truth), in dB."""
    style.nonempty("panels", panels)
    rows = -(-len(panels) // 2)
    figure = style.canvas(0.8 + 2.7 * rows)
    grid = figure.subplots(rows, min(len(panels), 2), squeeze=False)
    cells = []
    for axes, (title, (prediction, truth)) in zip(grid.flat, panels.items(), strict=False):
        guess, true = _column(title, prediction), _column(title, truth)
        cells.append(_density(axes, true, guess))
        ends = [min(true.min(), guess.min()), max(true.max(), guess.max())]
        axes.plot(ends, ends, color=DENSE.color, ls=DENSE.dash, lw=1.2)
        axes.set_title(title)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel("measured PSNR drop (dB); dashed: prediction = truth", fontsize=12)
    figure.supylabel("predicted PSNR drop (dB)", fontsize=12)
    _count_scale(figure, cells, grid.ravel())
    return figure


def _outlined(axes: Axes, i: int, j: int, dash: str) -> None:
    axes.add_patch(
        Rectangle((j - 0.45, i - 0.45), 0.9, 0.9, fill=False, ec=style.BLACK, lw=1.6, ls=dash)
    )


@style.look()
def interactions(matrix: ArrayLike, space: Space = RESTORMER) -> Figure:
    """Standard deviation (dB) of each pair of stages' interaction; each pair is shown once."""
    values = np.asarray(matrix, dtype=np.float64)
    n = len(space.stages)
    if values.shape != (n, n):
        raise ValueError(f"matrix has shape {values.shape}; expected {(n, n)}")
    below = np.tril(np.ones((n, n), dtype=bool), -1)
    shown = np.ma.masked_array(values, ~below)
    figure = style.canvas(6.0)
    axes = figure.add_subplot()
    top = max(float(shown.max()), 1e-9)
    axes.imshow(shown, cmap="Greys", vmin=0, vmax=top)
    for i, j in zip(*np.nonzero(below), strict=True):
        ink = "white" if values[i, j] > 0.55 * top else style.BLACK
        axes.text(j, i, f"{values[i, j]:.3f}", ha="center", va="center", color=ink, fontsize=10)
        met = landscape.relation(int(i), int(j), space)
        if met in OUTLINES:
            _outlined(axes, i, j, OUTLINES[met])
    names = [stage.name for stage in space.stages]
    axes.set_xticks(range(n - 1), names[:-1], rotation=40, ha="right")
    axes.set_yticks(range(1, n), names[1:])
    axes.set_xlim(-0.5, n - 1.5)
    axes.set_ylim(n - 0.5, 0.5)
    axes.set(xlabel="stage", ylabel="stage")
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    keys = [Line2D([], [], color=style.BLACK, ls=dash, label=met) for met, dash in OUTLINES.items()]
    axes.legend(
        handles=keys, loc="upper right", title="standard deviation of the\npair's interaction (dB)"
    )
    return figure


def _choice_mark(space: Space, stage: int, choice: int) -> style.Mark:
    if choice == TEACHER:
        return style.KINDS["teacher"]
    depth = space.stages[stage].depth(choice)
    return style.DEPTHS.get(depth) or style.mark(f"{depth} blocks", depth)


def _dot(axes: Axes, x: float, y: float, mark: style.Mark) -> None:
    axes.plot(x, y, mark.marker, color=mark.color, mec=style.BLACK, mew=0.6, ms=8)


def _choice_key(figure: Figure, space: Space, teacher: bool) -> None:
    depths = sorted({depth for _, depth in space.surrogates}, reverse=True)
    marks = [style.DEPTHS.get(d) or style.mark(f"{d} blocks", d) for d in depths]
    marks = [style.KINDS["teacher"], *marks] if teacher else marks
    style.key_below(figure, style.key_of(marks, lines=False), columns=3 if teacher else 4)


@style.look()
def stages(
    mean_drops: Sequence[ArrayLike], first: ArrayLike, total: ArrayLike, space: Space = RESTORMER
) -> Figure:
    """Per stage, the mean drop of all architectures with each choice, and its Sobol indices."""
    figure = style.canvas(6.6)
    above, below = figure.subplots(2, 1, sharex=True)
    for x, values in enumerate(mean_drops):
        offsets = 0.18 * (np.arange(len(values)) - (len(values) - 1) / 2)
        for choice, (offset, value) in enumerate(zip(offsets, values, strict=True)):
            _dot(above, x + offset, value, _choice_mark(space, x, choice))
    overall = float(np.mean(mean_drops[0]))  # every stage's choices have the same mean
    above.axhline(overall, color=style.BLACK, ls="--", lw=1.0)
    above.set_ylabel("mean PSNR drop (dB);\ndashed: all architectures")
    places = np.arange(len(mean_drops))
    for shift, name, shares, color in (
        (-0.2, "alone (first order)", first, style.BLACK),
        (0.2, "with all its interactions (total)", total, style.PALE),
    ):
        below.bar(
            places + shift, _column(name, shares), 0.4, color=color, ec=style.BLACK, lw=0.6,
            label=name,
        )  # fmt: skip
    below.set(ylabel="share of the\nvariance (no unit)", xlabel="stage", ylim=(0, None))
    below.legend(loc="best")
    below.set_xticks(places, [stage.name for stage in space.stages], rotation=40, ha="right")
    _choice_key(figure, space, teacher=True)
    return figure


@style.look()
def latency_front(
    drops: ArrayLike,
    penalties: ArrayLike,
    latencies: ArrayLike,
    by_penalty: Sequence[int],
    by_latency: Sequence[int],
) -> Figure:
    """Penalty against latency, and the drop against latency; both fronts' architectures in each."""
    drop, penalty = _column("drops", drops), _column("penalties", penalties)
    latency = _column("latencies", latencies)
    figure = style.canvas(8.0)
    panels = figure.subplots(2, 1)
    cheap, fast = list(by_penalty), list(by_latency)
    cells = [_density(panels[0], penalty, latency), _density(panels[1], latency, drop)]
    panels[0].plot(penalty[fast], latency[fast], SPARSE.marker, color=SPARSE.color, ms=6, ls="")
    panels[0].plot(penalty[cheap], latency[cheap], "s", color=style.BLACK, mec="white", ls="")
    panels[0].set(xlabel=PENALTY_LABEL, ylabel=LATENCY_LABEL)
    _stairs(panels[1], np.column_stack([drop, latency])[fast], SPARSE, "front by latency")
    panels[1].plot(
        latency[cheap], drop[cheap], "s", color=style.BLACK, mec="white", ls="",
        label=f"front by penalty ({len(cheap)})",
    )  # fmt: skip
    panels[1].set(xlabel=LATENCY_LABEL, ylabel=DROP_LABEL)
    _count_scale(figure, cells, panels)
    handles, names = panels[1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


@style.look()
def latency_sums(sample: ArrayLike) -> Figure:
    """Rows (number, sum of the stages' latencies, latency of the whole network), in ms."""
    rows = np.asarray(sample, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1:] != (3,) or not len(rows):
        raise ValueError(f"sample has shape {rows.shape}; expected (n >= 1, 3)")
    figure = style.canvas(4.4)
    axes = figure.add_subplot()
    mark = style.KINDS["hybrid"]
    axes.plot(
        rows[:, 2], rows[:, 1], mark.marker, color=mark.color, mec=style.BLACK, mew=0.5, ls=""
    )
    ends = [rows[:, 1:].min(), rows[:, 1:].max()]
    axes.plot(ends, ends, color=style.BLACK, ls="--", lw=1.2)
    axes.set_xlabel("latency of the whole network (ms); dashed: equal")
    axes.set_ylabel("sum of its stages' latencies (ms)")
    return figure


@style.look()
def features(
    errors: Sequence[ArrayLike],
    swaps: Sequence[ArrayLike],
    drops: ArrayLike,
    space: Space = RESTORMER,
) -> Figure:
    """Feature error against drop: single swaps, and summed squares over all architectures."""
    figure = style.canvas(8.2)
    above, below = figure.subplots(2, 1)
    for i, stage in enumerate(space.stages):
        x, y = np.asarray(errors[i])[1:], np.asarray(swaps[i])[1:]
        above.plot(x, y, color=style.GRAY, lw=1.0)
        for choice, spot in enumerate(zip(x, y, strict=True), 1):
            _dot(above, *spot, _choice_mark(space, i, choice))
        above.annotate(stage.short, (x[-1], y[-1]), (7, 4), textcoords="offset points")
    style.drop_axis(above, [*np.concatenate([np.ravel(s) for s in swaps])], linear_below=0.01)
    above.margins(x=0.1)
    above.set(
        xlabel="relative feature error (no unit)", ylabel="PSNR drop, one\nstage swapped (dB)"
    )
    squares = landscape.added([np.square(e) for e in errors])
    hexagons = _density(below, _column("errors", squares), _column("drops", drops))
    below.set(xlabel="sum of squared relative feature errors (no unit)", ylabel=DROP_LABEL)
    _count_scale(figure, [hexagons], [below])
    _choice_key(figure, space, teacher=False)
    return figure
