"""Figures of restored photos and of fine-tuning (section 3.5 and the paper's tables).

H, W: height and width of a photo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from ensrepro.figures import style

COLUMNS = 3


@dataclass(frozen=True)
class Crop:
    """A picture with its kind, its PSNR in dB and its SSIM; None for the clean picture itself."""

    kind: str
    image: NDArray[np.generic]  # (H, W, 3), uint8 or float in [0, 1]
    psnr: float | None = None
    ssim: float | None = None

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(
                f"image of {self.kind} has shape {self.image.shape}; expected (H, W, 3)"
            )


def pixels(image: NDArray[np.generic]) -> NDArray[np.generic]:
    """The image as matplotlib shows it: uint8, or float in [0, 1]."""
    return image if image.dtype == np.uint8 else np.clip(image.astype(np.float64), 0, 1)


@style.look()
def photos(rows: Sequence[Sequence[Crop]], columns: int = COLUMNS) -> Figure:
    """A block of crops per photo, `columns` side by side, each with what made it and its PSNR."""
    style.nonempty("rows", rows)
    for i, row in enumerate(rows):
        style.nonempty(f"rows[{i}]", row)
    lines = [row[k : k + columns] for row in rows for k in range(0, len(row), columns)]
    n_columns = max(map(len, lines))
    h, w = rows[0][0].image.shape[:2]
    side = style.WIDTH / n_columns
    figure = style.canvas(len(lines) * (side * h / w + 0.5))
    grid = figure.subplots(len(lines), n_columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes_row, line in zip(grid, lines, strict=True):
        for axes, crop in zip(axes_row, line, strict=False):
            axes.imshow(pixels(crop.image))
            text = "reference" if crop.psnr is None else f"{crop.psnr:.2f} dB"
            axes.set_title(f"{style.mark(crop.kind).label}\n{text}", fontsize=11)
    return figure


@style.look()
def bars(scores: Mapping[str, ArrayLike], baseline: str = "degraded") -> Figure:
    """PSNR gained over the baseline: per kind one value in dB or one a seed; bars show the mean.

    The numbers beside the bars are PSNR, with the range over the seeds where there are several.
    """
    if baseline not in scores:
        raise ValueError(f"baseline is {baseline!r}; expected one of {', '.join(scores)}")
    values = {kind: np.atleast_1d(np.asarray(v, dtype=np.float64)) for kind, v in scores.items()}
    zero = float(values[baseline].mean())
    figure = style.canvas(1.3 + 0.42 * len(values))
    axes = figure.add_subplot()
    for y, (kind, psnr) in enumerate(values.items()):
        mark = style.mark(kind, y)
        gain = psnr - zero
        axes.barh(y, gain.mean(), color=mark.color, edgecolor=style.BLACK, linewidth=0.6)
        if len(gain) > 1:
            axes.plot(gain, np.full(len(gain), y), "|", color=style.BLACK, ms=14)
        spread = f" [{psnr.min():.2f}, {psnr.max():.2f}]" if len(gain) > 1 else ""
        axes.annotate(
            f"{psnr.mean():.2f}{spread}", (max(gain.max(), 0), y), (6, 0),
            textcoords="offset points", va="center", fontsize=11,
        )  # fmt: skip
    axes.set_yticks(range(len(values)), [style.mark(k, i).label for i, k in enumerate(values)])
    axes.invert_yaxis()
    gains = [float(v - zero) for psnr in values.values() for v in psnr]
    room = 1.6 if len(gains) > len(values) else 1.2  # for the numbers
    axes.set_xlim(1.1 * min(0.0, *gains, 0.0), room * max(*gains, 0.1))
    axes.axvline(0, color=style.BLACK, lw=0.8)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"PSNR gained over {style.mark(baseline).label} (dB); numbers: PSNR (dB)")
    return figure


@style.look()
def finetune_curves(
    curves: Mapping[str, Sequence[tuple[int, float]]], references: Mapping[str, float] | None = None
) -> Figure:
    """Validation PSNR over the steps of fine-tuning: per hybrid (step, dB) pairs, step 0 included.

    `references` are horizontal lines, such as the teacher's PSNR.
    """
    style.nonempty("curves", curves)
    figure = style.canvas(4.3)
    axes = figure.add_subplot()
    for position, (name, pairs) in enumerate(curves.items()):
        style.nonempty(f"curves[{name!r}]", pairs)
        mark = style.mark(name, position)
        steps, psnr = zip(*pairs, strict=True)
        axes.plot(
            steps, psnr, color=mark.color, ls=mark.dash or "-", marker=mark.marker or "None",
            ms=5, label=mark.label,
        )  # fmt: skip
    for kind, value in (references or {}).items():
        mark = style.mark(kind)
        axes.axhline(value, color=mark.color, ls=mark.dash or "-", lw=1.2, label=mark.label)
    axes.set(xlabel="fine-tuning step (count)", ylabel="validation PSNR (dB)")
    figure.legend(loc="outside lower center", ncols=2)
    return figure
