"""Figures of the search: front and knee, convergence, architectures as strips (section 3.4).

A point is (psnr_drop in dB, penalty); both are minimized.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from ensrepro.figures import style
from ensrepro.space import RESTORMER, TEACHER, Space

DROP_LABEL = "PSNR drop from the teacher (dB)"
PENALTY_LABEL = "penalty (no unit)"
LATENCY_LABEL = "latency, sum of stages (ms)"


def _points(name: str, points: ArrayLike) -> NDArray[np.float64]:
    """(n, 2) finite float64 with n >= 1; else ValueError."""
    values = np.asarray(points, dtype=np.float64)
    if values.ndim != 2 or values.shape[1:] != (2,) or not len(values):
        raise ValueError(f"{name} has shape {values.shape}; expected (n >= 1, 2)")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or infinity; expected finite values")
    return values


def _stairs(axes: Axes, ends: NDArray[np.float64], kind: str) -> None:
    """The edge of what a front (n, 2) dominates: the best drop at any penalty up to x."""
    ends = ends[np.lexsort((-ends[:, 0], ends[:, 1]))]
    mark = style.KINDS[kind]
    axes.step(
        ends[:, 1], ends[:, 0], where="post", color=mark.color, ls=mark.dash,
        marker=mark.marker or "None", ms=4, lw=1.5, label=f"{mark.label} ({len(ends)})",
    )  # fmt: skip


def _cloud(
    axes: Axes, points: NDArray[np.float64], front: Sequence[int], true_front: ArrayLike | None
) -> None:
    """All points and the stair lines."""
    mark = style.KINDS["evaluated"]
    axes.plot(
        points[:, 1], points[:, 0], mark.marker, color=mark.color, mec=style.GRAY, mew=0.4, ms=4,
        label=f"{mark.label} ({len(points)})",
    )  # fmt: skip
    if true_front is not None:
        _stairs(axes, _points("true_front", true_front), "true_front")
    _stairs(axes, points[list(front)], "found_front")


def _chosen(
    axes: Axes, points: NDArray[np.float64], knee: int | None, rings: Sequence[int]
) -> None:
    """The knee's star and a ring around each candidate."""
    if knee is not None:
        mark = style.KINDS["knee"]
        axes.plot(
            points[knee, 1], points[knee, 0], mark.marker, color=mark.color, mec="white", ms=15,
            ls="", zorder=5, label=mark.label,
        )  # fmt: skip
    if len(rings):
        mark = style.KINDS["candidate"]
        axes.plot(
            points[list(rings), 1], points[list(rings), 0], mark.marker, ms=11, mfc="none", ls="",
            mec=mark.color, mew=2, label=f"{mark.label} ({len(rings)})",
        )  # fmt: skip


def _zoom(
    axes: Axes, points: NDArray[np.float64], rings: Sequence[int], labels: Sequence[str]
) -> None:
    """The neighborhood of the candidates, numbered; the numbers' texts stand beside it."""
    near = points[list(rings)]
    low, high = near.min(axis=0), near.max(axis=0)
    margin = np.maximum(0.35 * (high - low), (0.01, 0.5))
    axes.set_ylim(low[0] - margin[0], high[0] + margin[0])
    axes.set_xlim(low[1] - margin[1], high[1] + margin[1])
    for number, (drop, penalty) in enumerate(near, 1):
        away = (11, 11) if number % 2 else (-11, -11)  # neighbors on a front are close together
        axes.annotate(
            str(number), (penalty, drop), away, textcoords="offset points",
            ha="center", va="center", fontweight="bold",
        )  # fmt: skip
    text = "\n".join(f"{number}: {label}" for number, label in enumerate(labels, 1))
    axes.set_title(text, loc="left", fontsize=11, linespacing=1.4)


@style.look()
def front(
    points: ArrayLike,
    front: Sequence[int],
    knee: int | None = None,
    candidates: Sequence[int] = (),
    labels: Sequence[str] | None = None,
    true_front: ArrayLike | None = None,
    max_drop_db: float | None = None,
    price: str = PENALTY_LABEL,
) -> Figure:
    """Every evaluated point (n, 2), the front among them as a stair line, knee and candidates.

    `front`, `knee` and `candidates` are indices into the points, `labels` one text a candidate; a
    second panel shows the candidates' neighborhood. `max_drop_db` cuts the first panel's axis off;
    its title then says how many points lie beyond. `price` says what the second objective is.
    """
    values = _points("points", points)
    texts = labels if labels is not None else [f"candidate {k + 1}" for k in range(len(candidates))]
    if len(texts) != len(candidates):
        raise ValueError(f"labels has {len(texts)} texts; expected {len(candidates)}")
    n_panels = 2 if len(candidates) else 1
    figure = style.canvas(4.6 if n_panels == 1 else 8.2 + 0.2 * len(candidates))
    panels = figure.subplots(n_panels, 1, squeeze=False)[:, 0]
    for axes in panels:
        _cloud(axes, values, front, true_front)
        _chosen(axes, values, knee, candidates)
        axes.set(xlabel=price, ylabel=DROP_LABEL)
    if max_drop_db is not None:
        n_beyond = int((values[:, 0] > max_drop_db).sum())
        panels[0].set_ylim(min(0.0, values[:, 0].min()) - 0.05 * max_drop_db, max_drop_db)
        panels[0].set_title(f"{n_beyond} of {len(values)} lie beyond {max_drop_db:g} dB")
    if n_panels == 2:
        _zoom(panels[1], values, candidates, texts)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


@style.look()
def convergence(
    traces: Mapping[str, ArrayLike],
    reference: float | None = None,
    ylabel: str = "dominated hypervolume (dB)",
) -> Figure:
    """Hypervolume over evaluations: per sampler (n,) or (seeds, n); median and range of the seeds.

    `reference` is the hypervolume of the true front, where it is known. The penalty has no unit, so
    the product with a drop is in dB.
    """
    style.nonempty("traces", traces)
    figure = style.canvas(4.2)
    axes = figure.add_subplot()
    for position, (name, trace) in enumerate(traces.items()):
        runs = np.atleast_2d(np.asarray(trace, dtype=np.float64))  # (seeds, n)
        if not runs.size or not np.isfinite(runs).all():
            raise ValueError(f"traces[{name!r}] has shape {runs.shape}; expected finite (seeds, n)")
        mark = style.mark(name, position)
        n = np.arange(1, runs.shape[1] + 1)
        label = mark.label + (f", {len(runs)} seeds" if len(runs) > 1 else "")
        markers = (
            position % 5 * len(n) // 50,
            max(len(n) // 8, 1),
        )  # first one, then every so many
        axes.plot(
            n, np.median(runs, axis=0), color=mark.color, ls=mark.dash or "-", label=label,
            marker=mark.marker or "None", markevery=markers,
        )  # fmt: skip
        if len(runs) > 1:
            low, high = runs.min(axis=0), runs.max(axis=0)
            axes.fill_between(n, low, high, color=mark.color, alpha=0.18, lw=0)
    if reference is not None:
        true = style.KINDS["true_front"]
        axes.axhline(reference, color=true.color, ls=true.dash, lw=1.2, label=true.label)
    axes.set(xlabel="evaluated architectures (count)", ylabel=ylabel)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@style.look()
def architecture(
    architectures: Sequence[Sequence[int]],
    labels: Sequence[str],
    notes: Sequence[str] | None = None,
    space: Space = RESTORMER,
) -> Figure:
    """One strip of cells a row: which stages keep the teacher (T), which have a surrogate (depth).

    `notes` are short texts at the right end of the rows.
    """
    style.nonempty("architectures", architectures)
    for name, texts in (("labels", labels), ("notes", notes)):
        if texts is not None and len(texts) != len(architectures):
            raise ValueError(f"{name} has {len(texts)} texts; expected {len(architectures)}")
    figure = style.canvas(1.5 + 0.42 * len(architectures))
    axes = figure.add_subplot()
    for y, choices in enumerate(architectures):
        for x, (stage, choice) in enumerate(zip(space.stages, space.check(choices), strict=True)):
            depth = stage.depth(choice)
            teacher = choice == TEACHER
            color = style.COLORS["teacher"] if teacher else style.DEPTHS[depth].color
            axes.add_patch(Rectangle((x - 0.5, y - 0.45), 1, 0.9, fc=color, ec="white", lw=1.5))
            ink = "white" if teacher or depth >= 6 else "black"
            text = "T" if teacher else str(depth)
            axes.text(x, y, text, ha="center", va="center", color=ink, fontweight="bold")
        if notes is not None:
            axes.text(len(space.stages) - 0.4, y, notes[y], va="center", fontsize=11)
    axes.set_xlim(-0.5, len(space.stages) - 0.5)
    axes.set_ylim(len(architectures) - 0.5, -0.5)
    names = [stage.name for stage in space.stages]
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("stage (T: teacher; number: blocks of the surrogate)")
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure
