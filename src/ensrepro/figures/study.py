"""Figures of the comparison of samplers: convergence to the truth, what it takes, the knee found.

A ratio is a hypervolume over that of the true front; every mapping is by sampler, one value or one
trace a seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from ensrepro.figures import style

FLOOR = 1e-4  # a missing share below this is drawn here: a logarithmic axis has no zero
SPREAD = 0.26  # half the height over which the seeds of a row are spread
COUNT_LABEL = "proposals (count)"


def _traces(name: str, trace: ArrayLike, counts: Sequence[int]) -> NDArray[np.float64]:
    """(seeds, k) with k <= len(counts), finite; else ValueError."""
    values = np.atleast_2d(np.asarray(trace, dtype=np.float64))
    if values.ndim != 2 or not values.size > 0 or values.shape[1] > len(counts):
        raise ValueError(
            f"traces[{name!r}] has shape {values.shape}; expected (seeds, up to {len(counts)})"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"traces[{name!r}] holds NaN or infinity; expected finite ratios")
    return values


def _band(
    axes: Axes, counts: Sequence[int], values: NDArray[np.float64], mark: style.Mark, place: int
) -> None:
    """Median of (seeds, k) and the middle half of the seeds."""
    n = counts[: values.shape[1]]
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    axes.plot(
        n, middle, color=mark.color, ls=mark.dash or "-", label=mark.label,
        marker=mark.marker or "None", markevery=(place % 5 * 2, 10), ms=5,
    )  # fmt: skip
    axes.fill_between(n, low, high, color=mark.color, alpha=0.18, lw=0)


@style.look()
def convergence(
    traces: Mapping[str, ArrayLike], counts: Sequence[int], target: float = 0.99
) -> Figure:
    """Ratio over proposals, and below it what is missing to 1 on a logarithmic axis.

    `traces` are (seeds, k) after the first k of `counts`. Line: median; band: middle half of the
    seeds; dashed: the target.
    """
    style.nonempty("traces", traces)
    runs = {name: _traces(name, trace, counts) for name, trace in traces.items()}
    figure = style.canvas(8.4)
    top, bottom = figure.subplots(2, 1, sharex=True)
    for place, (name, values) in enumerate(runs.items()):
        mark = style.mark(name, place)
        _band(top, counts, values, mark, place)
        _band(bottom, counts, np.maximum(1 - values, FLOOR), mark, place)
    for axes, height in ((top, target), (bottom, 1 - target)):
        axes.axhline(
            height, color=style.BLACK, ls="--", lw=1.2, label=f"{100 * target:g}% of the truth"
        )
    top.set(xscale="log", ylabel="hypervolume / true front's")
    top.set_ylim(min(0.8, min(float(np.median(v[:, -1])) for v in runs.values()) - 0.05), 1.005)
    bottom.set(yscale="log", xlabel=COUNT_LABEL, ylabel="share missing (1 − ratio)")
    style.plain_log(bottom.xaxis)
    style.plain_log(bottom.yaxis)
    handles, names = top.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


def _heights(place: int, n: int) -> NDArray[np.float64]:
    """(n,) heights of a row's dots around its place."""
    return place + (np.linspace(-SPREAD, SPREAD, n) if n > 1 else np.zeros(1))


def _row_names(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [style.mark(name, k).label for k, name in enumerate(names)])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


@style.look()
def to_target(
    counts: Mapping[str, Sequence[int | None]], n_trials: Mapping[str, int], target: float = 0.99
) -> Figure:
    """A dot a seed: the proposals it took to the target; None stands hollow at the run's end.

    A bar marks the count by which half of the seeds were there; without one, fewer were.
    """
    style.nonempty("counts", counts)
    figure = style.canvas(1.6 + 0.55 * len(counts))
    axes = figure.add_subplot()
    for place, (name, values) in enumerate(counts.items()):
        style.nonempty(f"counts[{name!r}]", values)
        color = style.mark(name, place).color
        ends = np.sort([np.inf if value is None else value for value in values])
        there, heights = np.isfinite(ends), _heights(place, len(ends))
        axes.plot(ends[there], heights[there], "o", color=color, ms=5, alpha=0.8)
        left = np.full((~there).sum(), n_trials[name])
        axes.plot(left, heights[~there], ">", mec=color, mfc="none", ms=6)
        middle = ends[(len(ends) - 1) // 2]
        if np.isfinite(middle):
            axes.plot([middle] * 2, [place - 0.4, place + 0.4], color=style.BLACK, lw=2)
        if left.size:
            axes.annotate(
                f"{left.size} of {len(ends)} never", (n_trials[name], place), (8, 0),
                textcoords="offset points", va="center", fontsize=10,
            )  # fmt: skip
    _row_names(axes, list(counts))
    axes.set(xscale="log", xlabel=f"proposals to {100 * target:g}% of the true hypervolume (count)")
    style.plain_log(axes.xaxis)
    low, high = axes.get_xlim()
    if any(None in values for values in counts.values()):
        axes.set_xlim(low, high * (high / low) ** 0.35)  # room for what the hollow marks say
    return figure


@style.look()
def knee_distance(distances: Mapping[str, Sequence[float]]) -> Figure:
    """A dot a seed: how far the knee found is from the true one; a bar marks the median.

    The distance is taken where the teacher and the cheapest architecture are opposite corners of
    the unit square.
    """
    style.nonempty("distances", distances)
    figure = style.canvas(1.6 + 0.55 * len(distances))
    axes = figure.add_subplot()
    for place, (name, values) in enumerate(distances.items()):
        style.nonempty(f"distances[{name!r}]", values)
        ends = np.sort(np.asarray(values, dtype=np.float64))
        color = style.mark(name, place).color
        axes.plot(ends, _heights(place, len(ends)), "o", color=color, ms=5, alpha=0.8)
        axes.plot([np.median(ends)] * 2, [place - 0.4, place + 0.4], color=style.BLACK, lw=2)
    _row_names(axes, list(distances))
    axes.set_xlabel("distance from the true knee (normalized, no unit)")
    axes.set_xlim(left=-0.02 * max(axes.get_xlim()[1], 0.05))
    return figure
