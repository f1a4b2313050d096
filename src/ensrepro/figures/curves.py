"""Figures of fine-tuned hybrids of several pairs: speed against PSNR, and their surrogates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ensrepro.figures import style

Row = Mapping[str, Any]

TIMES_LABEL = "times as fast as the teacher, by sums of stages (right is better)"
CHANGE_LABEL = "PSNR against the teacher, trained as long (dB)"


@style.look()
def speed(rows: Sequence[Row], kinds: Mapping[str, str], loss_db: float) -> Figure:
    """Each fine-tuned network by its speed and what it changes on the test photos.

    Rows have the keys pair, share (of the teacher's latency), change (dB) and n (seeds); `kinds`
    are the marks of the pairs. Large marks are means over several seeds, small ones a single run.
    """
    style.nonempty("rows", rows)
    figure = style.canvas(4.6)
    axes = figure.subplots()
    axes.set_xscale("log")
    teacher = style.mark("longer")
    axes.axhline(0, color=teacher.color, lw=1.0, ls=teacher.dash)
    axes.axhline(-loss_db, color=style.GRAY, lw=0.8, ls=":")
    axes.plot(
        1, 0, teacher.marker, color=teacher.color, ms=12, mec=style.BLACK, label=teacher.label
    )
    for pair, kind in kinds.items():
        mark = style.mark(kind)
        own = [row for row in rows if row["pair"] == pair]
        for size, several in ((5, False), (9, True)):
            some = [row for row in own if (row["n"] > 1) == several]
            axes.plot(
                [1 / row["share"] for row in some], [row["change"] for row in some], mark.marker,
                color=mark.color, ms=size, ls="", mec=style.BLACK, mew=0.5,
                label=f"_{mark.label}" if several else f"{mark.label} ({len(own)})",
            )  # fmt: skip
    axes.set_xlabel(TIMES_LABEL)
    axes.set_ylabel(CHANGE_LABEL)
    style.plain_log(axes.xaxis)
    axes.xaxis.set_minor_formatter(NullFormatter())
    handles, _ = axes.get_legend_handles_labels()
    style.key_below(figure, handles, columns=3)
    return figure


@style.look()
def pools(rows: Sequence[Row], pair: str, others: Mapping[str, str]) -> Figure:
    """What each surrogate of `pair` costs alone in the teacher, against its counterparts.

    Rows have a key with the PSNR drop (dB) for each pair; `others` gives the marks by pair. Below
    the line the surrogate of `pair` costs less.
    """
    style.nonempty("rows", rows)
    figure = style.canvas(4.8)
    axes = figure.subplots()
    for other, kind in others.items():
        mark = style.mark(kind)
        axes.plot(
            style.column(rows, other), style.column(rows, pair), mark.marker, color=mark.color,
            ms=6, ls="", mec=style.BLACK, mew=0.5, label=f"against {mark.label}",
        )  # fmt: skip
    values = [float(row[name]) for row in rows for name in (pair, *others)]
    ends = [min(*values, 0.0), max(values)]
    axes.plot(ends, ends, color=style.GRAY, lw=0.8, ls="-")
    axes.set_xlabel("PSNR drop of the other surrogate (dB)")
    axes.set_ylabel("PSNR drop of the edge surrogate (dB)")
    handles, _ = axes.get_legend_handles_labels()
    style.key_below(figure, handles, columns=2)
    return figure
