"""Figures that compare tasks: one value for each pair of rows and columns, as a colored table.

The color is clipped at 0: what costs nothing and what gains are both white.
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
    """(n_rows, n_columns) values with their names, each number in its cell; `unit` says what of.

    The colors follow the square root, so that small values differ; the largest is the darkest.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.shape != (len(rows), len(columns)) or not table.size:
        raise ValueError(f"values has shape {table.shape}; expected ({len(rows)}, {len(columns)})")
    figure = style.canvas(2.0 + 0.36 * len(rows))
    axes = figure.add_subplot()
    norm = PowerNorm(0.5, 0, max(float(np.nanmax(table)), 1e-9), clip=True)
    axes.imshow(table, cmap="Blues", norm=norm, aspect="auto")
    axes.grid(visible=False)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(across)
    axes.set_title(unit)
    axes.tick_params(length=0)
    for (i, j), value in np.ndenumerate(table):
        color = "white" if norm(value) > DARK else style.BLACK
        text = "n/a" if np.isnan(value) else f"{round(value, 2) + 0.0:.2f}"  # no -0.00
        axes.text(j, i, text, ha="center", va="center", color=color, fontsize=11)
    return figure
