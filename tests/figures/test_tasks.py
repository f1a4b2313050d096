"""The colored table: every value is in it, and readable."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from ensrepro.degrade import to_linear
from ensrepro.figures import style, tasks

VALUES = np.array([[0.0, 0.5, 4.0], [-0.2, 1.0, np.nan]])


def test_every_value_stands_in_its_cell():
    figure = tasks.heat(VALUES, ["a", "b"], ["x", "y", "z"], "PSNR drop (dB)", "stage")
    (axes,) = figure.axes
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts == {
        (0, 0): "0.00", (1, 0): "0.50", (2, 0): "4.00",
        (0, 1): "-0.20", (1, 1): "1.00", (2, 1): "n/a",
    }  # fmt: skip
    assert axes.get_title() == "PSNR drop (dB)"
    assert axes.get_xlabel() == "stage"
    assert style.png(figure).startswith(b"\x89PNG")


def test_numbers_contrast_with_their_cells():
    figure = tasks.heat(np.linspace(0, 4, 12).reshape(2, 6), ["a", "b"], list("uvwxyz"), "dB")
    axes = figure.axes[0]
    image = axes.images[0]
    for text in axes.texts:
        x, y = text.get_position()
        cell = image.cmap(image.norm(image.get_array()[y, x]))[:3]
        luminance = [
            np.dot(to_linear(np.array(rgb)), (0.2126, 0.7152, 0.0722))
            for rgb in (cell, to_rgb(text.get_color()))
        ]
        assert (max(luminance) + 0.05) / (min(luminance) + 0.05) > 3  # WCAG, large text


def test_a_table_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"values has shape \(2, 3\); expected \(1, 3\)"):
        tasks.heat(VALUES, ["a"], ["x", "y", "z"], "dB")
