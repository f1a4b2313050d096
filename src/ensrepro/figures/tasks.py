"""Figures that compare tasks: one value for each pair of rows and columns, as a colored table.

Negative values and zero are white: what costs nothing is no matter of degree.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ensrepro.figures import style

DARK = 0.6  # of the scale, above which the numbers are white


@style.look()
def heat(
    values: ArrayLike, rows: Sequence[str], columns: Sequence[str], unit: str, across: str = ""
) -> Figure:
    """(n_rows, n_columns) values with their names, each number in its cell; `unit` for the scale.

    The scale is stretched at its lower end (a square root), so that small values differ.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.shape != (len(rows), len(columns)) or not table.size:
        raise ValueError(f"values has shape {table.shape}; expected ({len(rows)}, {len(columns)})")
    figure = style.canvas(1.6 + 0.42 * len(rows))
    axes = figure.add_subplot()
    norm = PowerNorm(0.5, 0, max(float(np.nanmax(table)), 1e-9), clip=True)
    image = axes.imshow(table, cmap="Blues", norm=norm, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(across)
    axes.tick_params(length=0)
    size = 11 if len(columns) <= 10 else 8
    for (i, j), value in np.ndenumerate(table):
        color = "white" if norm(value) > DARK else style.BLACK
        text = "n/a" if np.isnan(value) else f"{value:.2f}"
        axes.text(j, i, text, ha="center", va="center", color=color, fontsize=size)
    figure.colorbar(image, ax=axes, label=unit, pad=0.02)
    return figure
