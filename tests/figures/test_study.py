"""Figures of the comparison: what is drawn is the data, and what never happened is said."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from ensrepro.figures import study, style

COUNTS = [1, 10, 100]
TRACES = {
    "random": [[0.2, 0.5, 0.9], [0.2, 0.6, 0.8], [0.2, 0.7, 0.7]],
    "gp": [[0.3, 1.0]],  # stopped after 10
}
EXAMPLES = {
    "convergence": lambda: study.convergence(TRACES, COUNTS),
    "to_target": lambda: study.to_target(
        {"random": [None, None, 90], "gp": [12, 30, 20]}, {"random": 100, "gp": 50}
    ),
    "knee_distance": lambda: study.knee_distance({"random": [0.3, 0.1, 0.2], "gp": [0.0]}),
}


def line(figure: Figure, label: str, panel: int) -> tuple[list[float], list[float]]:
    (found,) = [ln for ln in figure.axes[panel].lines if ln.get_label() == label]
    return list(found.get_xdata()), list(found.get_ydata())


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_figure_renders_within_its_page(name):
    figure = EXAMPLES[name]()
    assert style.png(figure).startswith(b"\x89PNG")
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()  # inches, of everything that is drawn
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height


@pytest.mark.parametrize("name", EXAMPLES)
def test_axes_have_units(name):
    labels = [a.get_xlabel() for a in EXAMPLES[name]().axes if a.get_xlabel()]
    assert labels
    assert all("(" in label for label in labels)


def test_convergence_shows_the_median_and_what_is_missing_to_the_truth():
    figure = EXAMPLES["convergence"]()
    assert line(figure, "random", 0) == (COUNTS, [0.2, 0.6, 0.8])
    assert line(figure, "random", 1)[1] == pytest.approx([0.8, 0.4, 0.2])
    assert line(figure, "GP", 0) == ([1, 10], [0.3, 1.0])
    # nothing is missing: drawn at the floor, as a logarithmic axis has no zero
    assert line(figure, "GP", 1)[1] == pytest.approx([0.7, study.FLOOR])
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "log"]


def test_the_target_is_a_dashed_line_in_both_panels():
    figure = EXAMPLES["convergence"]()
    assert line(figure, "99% of the truth", 0)[1] == [0.99, 0.99]
    assert line(figure, "99% of the truth", 1)[1] == pytest.approx([0.01, 0.01])


def test_the_band_is_the_middle_half_of_the_seeds():
    band = EXAMPLES["convergence"]().axes[0].collections[0]
    heights = band.get_paths()[0].vertices[:, 1]
    # of 0.7, 0.8, 0.9 the quartiles are halfway to the middle
    assert {0.75, 0.85} <= set(np.round(heights, 6))


def test_a_seed_that_never_got_there_stands_hollow_at_its_end():
    axes = EXAMPLES["to_target"]().axes[0]
    reached, never, *_ = axes.lines
    assert (list(reached.get_xdata()), list(never.get_xdata())) == ([90], [100, 100])
    assert never.get_markerfacecolor() == "none"
    assert [text.get_text() for text in axes.texts] == ["2 of 3 never"]
    bars = [ln for ln in axes.lines if ln.get_color() == style.BLACK]
    assert [list(bar.get_xdata()) for bar in bars] == [[20, 20]]  # half of random never got there
    assert axes.get_xlabel().startswith("proposals to 99%")


def test_the_rows_are_the_samplers_from_the_top():
    for name in ("to_target", "knee_distance"):
        axes = EXAMPLES[name]().axes[0]
        assert [tick.get_text() for tick in axes.get_yticklabels()] == ["random", "GP"]
        low, high = axes.get_ylim()
        assert low > high


def test_every_seed_s_knee_is_drawn_with_the_median():
    dots, bar, *_ = EXAMPLES["knee_distance"]().axes[0].lines
    assert list(dots.get_xdata()) == [0.1, 0.2, 0.3]
    assert list(bar.get_xdata()) == [0.2, 0.2]


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda: study.convergence({}, COUNTS), "traces is empty"),
        (lambda: study.convergence({"gp": [[]]}, COUNTS), r"traces\['gp'\] has shape"),
        (lambda: study.convergence({"gp": [0.1] * 4}, COUNTS), r"expected \(seeds, up to 3\)"),
        (lambda: study.convergence({"gp": [np.nan]}, COUNTS), "holds NaN or infinity"),
        (lambda: study.to_target({}, {}), "counts is empty"),
        (lambda: study.to_target({"gp": []}, {"gp": 5}), r"counts\['gp'\] is empty"),
        (lambda: study.knee_distance({}), "distances is empty"),
        (lambda: study.knee_distance({"gp": []}), r"distances\['gp'\] is empty"),
    ],
)
def test_what_cannot_be_drawn_gets_one_sentence(draw, sentence):
    with pytest.raises(ValueError, match=sentence):
        draw()
