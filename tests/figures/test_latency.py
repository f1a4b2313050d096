"""Figures of latency: the line at 1, one mark a row, published values apart."""

from __future__ import annotations

import numpy as np
import pytest

from ensrepro.figures import latency

BLOCKS = [
    {"family": family, "level": level, "side": side, "ratio": 2.0, "low": 1.9, "high": 2.2}
    for family in ("mambair", "edge")
    for level in (1, 2)
    for side in (64, 128)
]
NETWORKS = [
    {"task": task, "family": family, "architecture": "2 2", "side": 256}
    | {"ratio": 2.0, "low": 1.9, "high": 2.1}
    for task, family in (("denoise", "edge"), ("derain", "edge"), ("denoise", "mambair"))
]
PUBLISHED = [{"network": "Restormer", "ratio": 1.0}, {"network": "hybrid", "ratio": 0.29}]


def test_blocks_have_a_panel_a_level_each_with_the_line_at_1():
    figure = latency.blocks(BLOCKS)
    assert len(figure.axes) == 2
    for axes in figure.axes:
        assert any(set(line.get_ydata()) == {1} for line in axes.lines)
        assert len(axes.containers) == 2  # a line with bars for each family


def test_networks_and_published_values_have_a_line_between_them():
    (axes,) = latency.networks(NETWORKS, PUBLISHED).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    denoise, derain = ("denoise, 2 2  (256 px)", "derain, 2 2  (256 px)")
    assert names == [denoise, derain, denoise, "Restormer", "hybrid"]
    assert any(set(line.get_ydata()) == {2.5} for line in axes.lines)
    stars = [line for line in axes.lines if line.get_marker() == "*"]
    assert [line.get_xdata()[0] for line in stars] == [1.0, 0.29]


def test_a_trade_off_shows_all_architectures_and_every_front_with_its_size():
    points = np.array([[0.0, 10.0], [0.5, 5.0], [1.0, 6.0]])
    figure = latency.tradeoff(points, exact=[0, 1], by_penalty=[0, 2], found=[0])
    (axes,) = figure.axes
    assert len(axes.lines[0].get_xdata()) == 3
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["front by penalty (2)", "true front (2)", "front found (1)", "teacher"]


@pytest.mark.parametrize("draw", [lambda: latency.blocks([]), lambda: latency.networks([], [])])
def test_nothing_to_draw_is_refused(draw):
    with pytest.raises(ValueError, match="rows is empty"):
        draw()
