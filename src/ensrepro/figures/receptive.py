"""Figures of receptive fields and attention maps (the paper's Figure 2).

H, W: height and width of a map; the center pixel is (H // 2, W // 2). C: channels of a stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import ArrayLike, NDArray

from ensrepro.figures import style

# Lower end of the color scale, as a part of the share of each pixel of an even field: teachers
# spread a third of the gradient so thinly that a scale of four decades shows nothing of it.
FLOOR = 0.01
DASHES = ("-", "--", ":")  # of the circles, for the shares in ascending order
COLUMNS = 2


def _field(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """(H, W), not negative, with something positive in it; else ValueError."""
    field = np.asarray(values, dtype=np.float64)
    if field.ndim != 2 or not np.isfinite(field).all() or field.min() < 0 or field.max() <= 0:
        raise ValueError(
            f"fields[{name!r}] has shape {field.shape}; expected a finite (H, W) map, not all zero"
        )
    return field


def _circles(axes: Axes, radii: Mapping[float, float]) -> None:
    """A circle a share, and what it means as text."""
    for share, dash in zip(sorted(radii), DASHES, strict=False):
        # Half a pixel more: the circle goes around the pixels, not through their centers.
        axes.add_patch(Circle((0, 0), radii[share] + 0.5, fill=False, ec="white", ls=dash, lw=1.6))
    text = "\n".join(f"{share:.0%} in {radius:.1f} px" for share, radius in sorted(radii.items()))
    axes.text(
        0.03, 0.03, text, transform=axes.transAxes, color="white", fontsize=10, va="bottom",
        bbox={"facecolor": "black", "alpha": 0.65, "edgecolor": "none", "pad": 2.5},
    )  # fmt: skip


@style.look()
def maps(
    fields: Mapping[str, ArrayLike], radii: Mapping[str, Mapping[float, float]] | None = None
) -> Figure:
    """Receptive fields (H, W) that each sum to 1, on one logarithmic scale of color.

    `radii` holds per title {share: radius in pixels}, as of `erf.radius`: the circles.
    """
    style.nonempty("fields", fields)
    checked = {name: _field(name, values) for name, values in fields.items()}
    top = max(field.max() for field in checked.values())
    even = 1 / max(field.size for field in checked.values())
    scale = LogNorm(min(FLOOR * even, top / 10), top)
    n_columns = min(COLUMNS, len(checked))
    n_rows = ceil(len(checked) / n_columns)
    figure = style.canvas(1.0 + 3.0 * n_rows)
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes, (name, field) in zip(grid.flat, checked.items(), strict=False):
        h, w = field.shape
        box = (-(w // 2) - 0.5, w - w // 2 - 0.5, h - h // 2 - 0.5, -(h // 2) - 0.5)
        shown = np.maximum(field, scale.vmin)
        image = axes.imshow(shown, norm=scale, cmap="magma", extent=box)
        if radii is not None and name in radii:
            _circles(axes, radii[name])
        axes.set(title=style.mark(name).label, xlabel="x − center (px)", ylabel="y − center (px)")
        axes.grid(False)
        axes.set_xlim(box[:2])  # a circle larger than the map is cut off, it does not shrink it
        axes.set_ylim(box[2:])
    for axes in grid.flat[len(checked) :]:
        axes.set_visible(False)
    bar = figure.colorbar(image, ax=grid, location="bottom", aspect=40, extend="min")
    bar.set_label("share of the gradient per pixel (log scale)")
    return figure


@style.look()
def growth(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]], shares: Sequence[float] = (0.5, 0.9)
) -> Figure:
    """Share of the gradient within a radius: per title (radii in pixels, shares), `erf.growth`."""
    style.nonempty("curves", curves)
    figure = style.canvas(4.4)
    axes = figure.add_subplot()
    for position, (name, (radii, within)) in enumerate(curves.items()):
        mark = style.mark(name, position)
        r, p = np.asarray(radii, dtype=np.float64), np.asarray(within, dtype=np.float64)
        every = (0.02 * position, 0.12)  # markers at equal distances on the page, not in the data
        axes.plot(
            r, 100 * p, color=mark.color, ls=mark.dash, label=mark.label, drawstyle="steps-post",
            marker=mark.marker, markevery=every if len(r) > 1 else None,
        )  # fmt: skip
    for share in shares:
        axes.axhline(100 * share, color=style.BLACK, lw=0.8, ls=":")
    axes.set_ylim(0, 102)
    axes.set(xlabel="radius around the center (pixels)", ylabel="gradient within the radius (%)")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@dataclass(frozen=True)
class Attention:
    """One row of `attention`: a map across channels (heads, c, c) and a map over pixels (H, W)."""

    title: str
    channels: NDArray[np.floating]
    spatial: NDArray[np.floating]


def _block_diagonal(channels: NDArray[np.floating]) -> NDArray[np.float64]:
    """(heads, c, c) -> (heads * c, heads * c); NaN where channels of two heads never meet."""
    heads, c = channels.shape[:2]
    whole = np.full((heads * c, heads * c), np.nan)
    for h in range(heads):
        whole[h * c : (h + 1) * c, h * c : (h + 1) * c] = channels[h]
    return whole


@style.look()
def attention(rows: Sequence[Attention]) -> Figure:
    """Left: the weights between channels, head by head. Right: where the attention's output is big.

    The attention is across channels, so the right map is no attention map: it is the L2 norm over
    the channels of the attention's output, divided by its mean over the pixels.
    """
    style.nonempty("rows", rows)
    figure = style.canvas(0.9 + 2.5 * len(rows))
    grid = figure.subplots(len(rows), 2, squeeze=False)
    weights = [_block_diagonal(np.asarray(row.channels)) for row in rows]
    norms = [np.asarray(row.spatial) / max(float(np.mean(row.spatial)), 1e-12) for row in rows]
    weight_top = max(float(np.nanmax(w)) for w in weights)
    norm_top = max(float(np.percentile(n, 99.5)) for n in norms)
    for (left, right), row, weight, norm in zip(grid, rows, weights, norms, strict=True):
        left.set_facecolor(style.PALE)
        a = left.imshow(weight, vmin=0, vmax=weight_top, cmap="viridis")
        b = right.imshow(norm, vmin=0, vmax=norm_top, cmap="magma")
        left.set(title=row.title, ylabel="query channel (index)")
        right.set(title="output norm", ylabel="y (pixels)")
        left.grid(False)
        right.grid(False)
    grid[-1, 0].set_xlabel("key channel (index)")
    grid[-1, 1].set_xlabel("x (pixels)")
    below = {"location": "bottom", "aspect": 20}
    figure.colorbar(a, ax=grid[:, 0], label="attention weight (no unit)", **below)
    figure.colorbar(b, ax=grid[:, 1], label="norm / mean norm (no unit)", **below)
    return figure
