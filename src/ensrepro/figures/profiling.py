"""Figure of the profiling: MACs, peak memory, latency of single blocks by resolution (figure 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, NullLocator

from ensrepro.figures import style

Row = Mapping[str, Any]

NEEDED = ("block", "resolution", "macs", "peak_memory_mib", "p50_ms", "status")

EDGE = 0.93  # height of the cross that stands for a missing value, as a fraction of the panel
HEADROOM = 12  # a panel with missing values reaches this much higher, so that nothing is covered
NOT_RUN = "not run"


@dataclass(frozen=True)
class Panel:
    """One quantity over resolution: the column, what one unit on the axis is of it, the label."""

    column: str
    unit: float
    label: str


PANELS = (
    Panel("macs", 1e9, "MACs (billions)"),
    Panel("peak_memory_mib", 1.0, "peak memory (MiB)"),
    Panel("p50_ms", 1.0, "latency, median (ms)"),
)


def _check(rows: Sequence[Row]) -> None:
    style.nonempty("rows", rows)
    for i, row in enumerate(rows):
        missing = [name for name in NEEDED if name not in row]
        if missing:
            raise ValueError(f"rows[{i}] has no {missing[0]!r}; it has {', '.join(map(repr, row))}")


def _line(axes: Axes, panel: Panel, rows: Sequence[Row], mark: style.Mark) -> None:
    """One block's curve; where it stops, a cross and the reason."""
    known = [row for row in rows if row[panel.column] is not None]
    sides = [row["resolution"] for row in known]
    values = [row[panel.column] / panel.unit for row in known]
    axes.plot(sides, values, color=mark.color, marker=mark.marker, ls=mark.dash)
    stopped = [row for row in rows if row[panel.column] is None]
    if not stopped:
        return
    first = min(stopped, key=lambda row: row["resolution"])
    # a cross at the upper edge, whatever the scale: it is no value
    edge = axes.get_xaxis_transform()  # x in pixels, y as a fraction of the panel
    axes.plot(
        [first["resolution"]],
        [EDGE],
        transform=edge,
        color=mark.color,
        marker="x",
        ms=10,
        mew=2.5,
        ls="",
    )
    reason = first["status"] if panel.column == "peak_memory_mib" else NOT_RUN
    axes.annotate(
        reason.replace(", the", ",\nthe"),
        (first["resolution"], EDGE),
        xycoords=edge,
        xytext=(-12, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=10,
    )


@style.look()
def costs(rows: Sequence[Row]) -> Figure:
    """MACs, peak memory and latency against resolution, one line a block, all axes logarithmic.

    Rows have the keys block, resolution (pixels a side), macs, peak_memory_mib, p50_ms, status;
    None stands for what was not measured, and `status` says why.
    """
    _check(rows)
    blocks = list(dict.fromkeys(row["block"] for row in rows))
    sides = sorted({row["resolution"] for row in rows})
    figure = style.canvas(8.4)
    grid = figure.subplots(len(PANELS), 1, sharex=True)
    for axes, panel in zip(grid, PANELS, strict=True):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
        for position, block in enumerate(blocks):
            own = sorted(
                (row for row in rows if row["block"] == block), key=lambda row: row["resolution"]
            )
            _line(axes, panel, own, style.mark(block, position))
        axes.set_ylabel(panel.label)
        axes.margins(x=0.06, y=0.1)
        if any(row[panel.column] is None for row in rows):
            axes.set_ylim(top=axes.get_ylim()[1] * HEADROOM)
    grid[-1].set_xlabel("image side (pixels)")
    grid[-1].set_xticks(sides, [str(side) for side in sides])
    grid[-1].xaxis.set_minor_locator(NullLocator())
    marks = [style.mark(block, position) for position, block in enumerate(blocks)]
    key = [Line2D([], [], color=m.color, marker=m.marker, ls=m.dash, label=m.label) for m in marks]
    style.key_below(figure, key, columns=3)
    return figure
