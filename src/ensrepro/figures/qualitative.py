"""Figure 4: the same place of a photo, degraded, restored by each network, and clean.

The place follows a rule that knows no network and no degradation: where the clean photo has most
detail. (Where the input differs most from it would be the dark, for noise: nothing to be seen.)
H, W: height and width in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ensrepro.figures import style
from ensrepro.figures.restoration import Crop, pixels

COLUMNS = 3
BOX = style.YELLOW  # around the place in the whole photo, on a dark line


@dataclass(frozen=True)
class Box:
    """A square of `side` pixels whose upper left corner is at row `top`, column `left`."""

    top: int
    left: int
    side: int

    def cut(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        """(H, W, 3) -> (side, side, 3)."""
        return image[self.top : self.top + self.side, self.left : self.left + self.side]


@dataclass(frozen=True)
class Scene:
    """A photo: the whole input, the box in it, and whole images of what is shown in the box.

    The crops' scores are those of the whole photo.
    """

    title: str
    image: NDArray[np.generic]
    box: Box
    crops: Sequence[Crop]


def detail(image: NDArray[np.generic]) -> NDArray[np.float64]:
    """(H, W, 3) -> (H, W): how much a pixel differs from those below and to the right."""
    light = image.astype(np.float64).mean(axis=2)
    down, right = (np.abs(np.diff(light, axis=axis)) for axis in (0, 1))
    return np.pad(down, ((0, 1), (0, 0))) + np.pad(right, ((0, 0), (0, 1)))


def most_detailed(image: NDArray[np.generic], side: int) -> Box:
    """The square of `side` pixels with most detail of an image, (H, W, 3).

    Of equal ones the first by row and column.
    """
    h, w = image.shape[:2]
    if not 1 <= side <= min(h, w):
        raise ValueError(f"side is {side}; expected 1 to {min(h, w)}, the smaller of the sides")
    sums = np.pad(detail(image).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    rounded = np.round(inside, 6)  # equal squares differ in the last bits of their sums
    top, left = np.unravel_index(int(rounded.argmax()), rounded.shape)
    return Box(int(top), int(left), side)


def caption_of(crop: Crop) -> str:
    """Kind and scores, in two lines."""
    label = style.mark(crop.kind).label
    if crop.psnr is None:
        return f"{label}\nreference"
    ssim = "" if crop.ssim is None else f" / {crop.ssim:.3f}"
    return f"{label}\n{crop.psnr:.2f} dB{ssim}"


def draw_whole(axes: Axes, scene: Scene) -> None:
    """The input and the box in it."""
    box = scene.box
    axes.imshow(pixels(scene.image))
    for color, width in ((style.BLACK, 3.5), (BOX, 1.8)):
        corner = (box.left - 0.5, box.top - 0.5)
        axes.add_patch(Rectangle(corner, box.side, box.side, fill=False, ec=color, lw=width))
    axes.set_title(f"{scene.title}\nwhole input", fontsize=11)


@style.look()
def comparison(scenes: Sequence[Scene]) -> Figure:
    """For each scene the whole input with its box, then the box of every crop, three to a line."""
    style.nonempty("scenes", scenes)
    for i, scene in enumerate(scenes):
        style.nonempty(f"scenes[{i}].crops", scene.crops)
        for crop in scene.crops:
            if crop.image.shape != scene.image.shape:
                raise ValueError(
                    f"scenes[{i}]: {crop.kind} has shape {crop.image.shape}; expected that of the "
                    f"input, {scene.image.shape}"
                )
    n_lines = [-(-(1 + len(scene.crops)) // COLUMNS) for scene in scenes]
    figure = style.canvas(sum(n_lines) * (style.WIDTH / COLUMNS + 0.55))
    grid = figure.subplots(sum(n_lines), COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    line = 0
    for scene, n in zip(scenes, n_lines, strict=True):
        whole, *others = grid[line : line + n].flat
        draw_whole(whole, scene)
        for axes, crop in zip(others, scene.crops, strict=False):
            axes.imshow(pixels(scene.box.cut(crop.image)))
            axes.set_title(caption_of(crop), fontsize=11)
        line += n
    return figure
