"""Figure 4: the place is where the photo has most detail, and every picture has its own scores."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from ensrepro.figures import qualitative, style
from ensrepro.figures.qualitative import Box, Scene, most_detailed
from ensrepro.figures.restoration import Crop

CLEAN = np.full((40, 60, 3), 0.5, np.float32)


def marked(top: int, left: int, side: int = 8, by: float = 0.2) -> np.ndarray:
    """The clean image, other in one square."""
    image = CLEAN.copy()
    image[top : top + side, left : left + side] += by
    return image


@pytest.mark.parametrize(("top", "left"), [(0, 0), (5, 17), (32, 52)])
def test_the_box_is_where_the_image_has_texture(top: int, left: int):
    image = CLEAN.copy()
    image[top : top + 8 : 2, left : left + 8 : 2] += 0.2
    found = most_detailed(image, 8)
    assert abs(found.top - top) <= 1  # a pixel differs from its neighbors outside, too
    assert abs(found.left - left) <= 1


def test_the_box_is_that_of_all_squares_tried_one_by_one():
    image = np.random.default_rng(0).random((12, 15, 3))
    gray = image.mean(axis=2)
    here = np.zeros((12, 15))
    for i, j in np.ndindex(12, 15):
        here[i, j] += abs(gray[i + 1, j] - gray[i, j]) if i < 11 else 0
        here[i, j] += abs(gray[i, j + 1] - gray[i, j]) if j < 14 else 0
    sums = {(i, j): here[i : i + 5, j : j + 5].sum() for i in range(8) for j in range(11)}
    found = most_detailed(image, 5)
    assert (found.top, found.left) == max(sums, key=sums.get)


def test_a_flat_image_has_the_box_in_the_first_corner():
    assert most_detailed(CLEAN, 10) == Box(0, 0, 10)


@pytest.mark.parametrize("side", [0, 41])
def test_a_box_that_does_not_fit_is_refused(side: int):
    with pytest.raises(ValueError, match=f"side is {side}; expected 1 to 40"):
        most_detailed(CLEAN, side)


def scene(title: str) -> Scene:
    kinds = ("degraded", "teacher", "all_ssm", "hybrid")
    crops = [
        Crop(kind, marked(4, 6, by=0.1 * k), 20.0 + k, 0.5 + k / 10) for k, kind in enumerate(kinds)
    ]
    return Scene(title, marked(4, 6), Box(4, 6, 8), [*crops, Crop("clean", CLEAN)])


def test_every_picture_is_the_box_with_the_scores_of_its_own():
    figure = qualitative.comparison([scene("rain"), scene("noise")])
    assert len(figure.axes) == 2 * 6
    whole, *crops = figure.axes[6:]
    assert whole.get_title() == "noise\nwhole input"
    assert whole.images[0].get_array().shape == (40, 60, 3)
    frames = [patch for patch in whole.patches if isinstance(patch, Rectangle)]
    assert {(f.get_x(), f.get_y(), f.get_width()) for f in frames} == {(5.5, 3.5, 8)}
    assert [axes.get_title() for axes in crops] == [
        "degraded\n20.00 dB / 0.500",
        "teacher\n21.00 dB / 0.600",
        "all-SSM\n22.00 dB / 0.700",
        "hybrid\n23.00 dB / 0.800",
        "clean\nreference",
    ]
    for k, axes in enumerate(crops[:-1]):
        shown = np.asarray(axes.images[0].get_array())
        assert shown.shape == (8, 8, 3)
        assert shown == pytest.approx(np.full((8, 8, 3), 0.5 + 0.1 * k), abs=1e-6)


def test_equal_figures_are_equal_files():
    first, second = (style.png(qualitative.comparison([scene("rain")])) for _ in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")


def test_an_image_of_another_size_is_named():
    wrong = Scene("rain", CLEAN, Box(0, 0, 8), [Crop("teacher", CLEAN[:20], 20.0)])
    with pytest.raises(ValueError, match=r"scenes\[0\]: teacher has shape \(20, 60, 3\)"):
        qualitative.comparison([wrong])


@pytest.mark.parametrize("scenes", [[], [Scene("rain", CLEAN, Box(0, 0, 8), [])]])
def test_nothing_to_draw_is_refused(scenes):
    with pytest.raises(ValueError, match="is empty; expected at least one"):
        qualitative.comparison(scenes)
