"""Figure 4: the place is where the input differs most, and every picture has its own scores."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from ensrepro.figures import qualitative, style
from ensrepro.figures.qualitative import Box, Scene, largest_difference
from ensrepro.figures.restoration import Crop

CLEAN = np.full((40, 60, 3), 0.5, np.float32)


def marked(top: int, left: int, side: int = 8, by: float = 0.2) -> np.ndarray:
    """The clean image, other in one square."""
    image = CLEAN.copy()
    image[top : top + side, left : left + side] += by
    return image


@pytest.mark.parametrize(("top", "left"), [(0, 0), (5, 17), (32, 52)])
@pytest.mark.parametrize("by", [0.2, -0.2])
def test_the_box_is_where_the_images_differ_most(top: int, left: int, by: float):
    assert largest_difference(marked(top, left, by=by), CLEAN, 8) == Box(top, left, 8)


def test_the_box_is_that_of_all_squares_tried_one_by_one():
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 12, 15, 3)).astype(np.float32)
    sums = {
        (top, left): np.abs(one - other)[top : top + 5, left : left + 5].sum()
        for top in range(8)
        for left in range(11)
    }
    found = largest_difference(one, other, 5)
    assert (found.top, found.left) == max(sums, key=sums.get)


def test_equal_images_have_the_box_in_the_first_corner():
    assert largest_difference(CLEAN, CLEAN, 10) == Box(0, 0, 10)


@pytest.mark.parametrize(
    ("other", "side", "expected"),
    [
        (CLEAN[1:], 8, "the images have shapes (40, 60, 3) and (39, 60, 3); expected equal"),
        (CLEAN, 41, "side is 41; expected 1 to 40"),
        (CLEAN, 0, "side is 0; expected 1 to 40"),
    ],
)
def test_images_or_sides_that_do_not_fit_are_refused(other, side: int, expected: str):
    with pytest.raises(ValueError, match=re.escape(expected)):
        largest_difference(CLEAN, other, side)


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
