"""Figures of latency on a device: ratios over resolution, whole networks, the trade-off.

A ratio is how many times as long something takes as its Restormer counterpart; below 1 it is
faster. A bar around it encloses eight rounds of ten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, NullLocator
from numpy.typing import NDArray

from ensrepro.figures import style

Row = Mapping[str, Any]

RATIO_LABEL = "times Restormer's latency"
PUBLISHED = "published, on a phone"
MARGIN = 1.4  # of the image sides, to the left and to the right


def _even(axes: Axes) -> None:
    """The line on which nothing is gained or lost."""
    axes.axhline(1, color=style.mark("restormer").color, lw=1.2)


def _ranges(axes: Axes, rows: Sequence[Row], mark: style.Mark) -> None:
    """One family's ratios over image side with their ranges."""
    sides = [row["side"] for row in rows]
    middle, low, high = (style.column(rows, name) for name in ("ratio", "low", "high"))
    around = np.abs(np.array([low, high]) - np.array(middle))
    axes.errorbar(
        sides, middle, yerr=around, color=mark.color, marker=mark.marker, ls=mark.dash, capsize=3
    )


@style.look()
def blocks(rows: Sequence[Row]) -> Figure:
    """Ratio of each family's block to Restormer's over image side, a panel a level.

    Rows have the keys family, level (1: full resolution), side (pixels), ratio, low, high.
    """
    style.nonempty("rows", rows)
    levels = sorted({row["level"] for row in rows})
    families = list(dict.fromkeys(row["family"] for row in rows))
    sides = sorted({row["side"] for row in rows})
    figure = style.canvas(2.2 * len(levels) + 0.8)
    grid = figure.subplots(len(levels), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, level in zip(grid, levels, strict=True):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        _even(axes)
        for position, family in enumerate(families):
            own = [row for row in rows if (row["family"], row["level"]) == (family, level)]
            _ranges(axes, sorted(own, key=lambda r: r["side"]), style.mark(family, position))
        style.plain_log(axes.yaxis)
        axes.set_title(f"level {level}: image / {2 ** (level - 1)}", loc="left")
    figure.supylabel(RATIO_LABEL)
    grid[-1].set_xlabel("image side (pixels)")
    grid[-1].set_xlim(sides[0] / MARGIN, sides[-1] * MARGIN)
    grid[-1].set_xticks(sides, [str(side) for side in sides])
    grid[-1].xaxis.set_minor_locator(NullLocator())
    marks = [style.mark(family, position) for position, family in enumerate(families)]
    line = Line2D([], [], color=style.mark("restormer").color, lw=1.2, label="Restormer")
    key = [Line2D([], [], color=m.color, marker=m.marker, ls=m.dash, label=m.label) for m in marks]
    style.key_below(figure, [line, *key], columns=3)
    return figure


@style.look()
def networks(rows: Sequence[Row], published: Sequence[Row]) -> Figure:
    """Ratio of whole hybrids to their teacher; below a line, apart, those that the paper prints.

    Rows have the keys family, task, architecture, side (pixels), ratio, low, high; published ones
    network, ratio. A teacher is that of the row's own task.
    """
    style.nonempty("rows", rows)
    names = [f"{row['task']}, {row['architecture']}  ({row['side']} px)" for row in rows]
    names += [str(row["network"]) for row in published]
    figure = style.canvas(0.32 * len(names) + 1.6)
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.axvline(1, color=style.mark("restormer").color, lw=1.2)
    families = list(dict.fromkeys(row["family"] for row in rows))
    for at, row in enumerate(rows):
        mark = style.mark(row["family"], families.index(row["family"]))
        axes.plot([row["low"], row["high"]], [at, at], color=mark.color)
        axes.plot(row["ratio"], at, mark.marker, color=mark.color, mec=style.BLACK, mew=0.6)
    for at, row in enumerate(published, len(rows)):
        axes.plot(row["ratio"], at, "*", color=style.BLACK, ms=10)
    if published:
        axes.axhline(len(rows) - 0.5, color=style.GRAY, lw=0.8)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel(f"{RATIO_LABEL} (left is faster)")
    style.plain_log(axes.xaxis)
    axes.xaxis.set_minor_formatter(NullFormatter())
    key = style.key_of([style.mark(f, i) for i, f in enumerate(families)], lines=False)
    star = Line2D([], [], color=style.BLACK, marker="*", ls="", ms=10, label=PUBLISHED)
    style.key_below(figure, [*key, star] if published else key, columns=3)
    return figure


def _front(axes: Axes, points: NDArray[np.float64], numbers: Sequence[int], kind: str) -> None:
    """The points of a front; of the front by penalty they are in no order here, and not joined."""
    mark = style.mark(kind)
    own = points[list(numbers)]
    own = own[np.argsort(own[:, 1])]
    axes.plot(
        own[:, 1], own[:, 0], color=mark.color, marker=mark.marker or "o", ls=mark.dash, ms=5,
        lw=1.5, label=f"{mark.label} ({len(own)})",
    )  # fmt: skip


@style.look()
def tradeoff(
    points: NDArray[np.float64],
    exact: Sequence[int],
    by_penalty: Sequence[int],
    found: Sequence[int] = (),
) -> Figure:
    """PSNR drop against latency of all architectures, and three fronts as numbers of rows.

    `points` is (n, 2): drop in dB, latency in ms. `exact` is the front of these two, `by_penalty`
    that of drop and penalty, `found` what a search for this device found.
    """
    style.nonempty("points", points)
    figure = style.canvas(5.6)
    axes = figure.subplots()
    mark = style.mark("evaluated")
    axes.plot(
        points[:, 1], points[:, 0], mark.marker, color=mark.color, ms=1.5, mew=0, ls="", zorder=0,
        rasterized=True, label="_all architectures",
    )  # fmt: skip
    _front(axes, points, by_penalty, "penalty_front")
    _front(axes, points, exact, "true_front")
    if len(found):
        _front(axes, points, found, "found_front")
    teacher = style.mark("teacher")
    axes.plot(
        points[0, 1], points[0, 0], teacher.marker, color=teacher.color, ms=10, mec=style.BLACK,
        ls="", zorder=6, label=teacher.label,
    )  # fmt: skip
    axes.set_xlabel("latency on this device, sum of stages (ms)")
    axes.set_ylabel("PSNR drop from the teacher (dB)")
    axes.legend(loc="best")
    return figure
