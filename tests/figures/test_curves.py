"""Figures of several pairs: each network at its speed, each surrogate at its counterparts' cost."""

from __future__ import annotations

import pytest

from ensrepro.figures import curves, style

ROWS = [
    {"pair": "a", "share": 0.25, "change": -0.05, "n": 3},
    {"pair": "a", "share": 0.5, "change": 0.02, "n": 1},
    {"pair": "b", "share": 2.0, "change": 0.1, "n": 1},
]
KINDS = {"a": "edge", "b": "mambair"}


def test_a_network_stands_at_its_speed_and_large_where_it_is_a_mean_of_seeds():
    figure = curves.speed(ROWS, KINDS, 0.1)
    (axes,) = figure.axes
    drawn = {
        (x, y): own.get_markersize()
        for own in axes.lines
        for x, y in zip(own.get_xdata(), own.get_ydata(), strict=True)
        if own.get_marker() not in {"None", ""}
    }
    assert set(drawn) == {(1.0, 0.0), (4.0, -0.05), (2.0, 0.02), (0.5, 0.1)}
    assert drawn[4.0, -0.05] > drawn[2.0, 0.02]
    assert axes.get_xscale() == "log"
    told = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    labels = [style.mark("longer").label, "edge block (2)", "MambaIR (1)"]
    assert told == labels


def test_surrogates_stand_by_their_drops_around_the_diagonal():
    rows = [{"a": 0.1, "b": 0.2, "c": 0.3}, {"a": 0.4, "b": 0.1, "c": 0.4}]
    figure = curves.pools(rows, "a", {"b": "mambair", "c": "stateless"})
    first, second, diagonal = figure.axes[0].lines
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([0.2, 0.1], [0.1, 0.4])
    assert list(second.get_xdata()) == [0.3, 0.4]
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0.0, 0.4]


@pytest.mark.parametrize(
    "draw", [lambda: curves.speed([], KINDS, 0.1), lambda: curves.pools([], "a", {})]
)
def test_nothing_to_draw_is_refused(draw):
    with pytest.raises(ValueError, match="rows is empty"):
        draw()
