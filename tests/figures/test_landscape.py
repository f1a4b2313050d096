"""Figures of the landscape: what is drawn is the data, and the same gray means the same count."""

from __future__ import annotations

import re

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex

from ensrepro import landscape as numbers
from ensrepro.figures import landscape, style
from ensrepro.space import RESTORMER

RNG = np.random.default_rng(0)
PARTS = [RNG.uniform(0.01, 1, n) * (np.arange(n) > 0) for n in RESTORMER.n_choices]
DROPS = numbers.added(PARTS)
PENALTIES = numbers.penalties()
LATENCIES = 100 - PENALTIES
FRONT = numbers.true_front(DROPS, PENALTIES).numbers
ANOVA = numbers.anova(DROPS**2)

EXAMPLES = {
    "front": lambda: landscape.front(DROPS, PENALTIES, FRONT, {"chord": 5, "l2": 5, "rank": 9}),
    "predictions": lambda: landscape.predictions(
        {"a": (DROPS + 1, DROPS), "b": ([1.0, 2.0], [1.0, 3.0]), "c": ([0.0], [0.0])}
    ),
    "interactions": lambda: landscape.interactions(ANOVA.interactions),
    "stages": lambda: landscape.stages(numbers.mean_drops(DROPS), ANOVA.first, ANOVA.total),
    "latency_front": lambda: landscape.latency_front(DROPS, PENALTIES, LATENCIES, FRONT, [0, 7]),
    "latency_sums": lambda: landscape.latency_sums([(0, 11.0, 10.0), (5, 21.0, 20.0)]),
    "features": lambda: landscape.features(PARTS, PARTS, DROPS),
}


@pytest.fixture(scope="module")
def figures():
    return {name: make() for name, make in EXAMPLES.items()}


def line(axes, label):
    """x and y of the line whose legend entry starts with this label."""
    (found,) = [ln for ln in axes.lines if str(ln.get_label()).startswith(label)]
    return list(found.get_xdata()), list(found.get_ydata())


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_figure_renders_whole_and_leaves_the_reader_s_settings_alone(name, figures):
    before = dict(matplotlib.rcParams)
    figure = figures[name]
    assert style.png(figure).startswith(b"\x89PNG")
    assert dict(matplotlib.rcParams) == before
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()  # inches, of everything that is drawn
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_axis_label_has_a_unit_or_names_what_it_lists(name, figures):
    figure = figures[name]
    labels = [figure.get_supxlabel(), figure.get_supylabel()]
    labels += [text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())]
    labels = [label for label in labels if label]
    assert labels
    for label in labels:
        assert label == "stage" or re.search(r"\(.+\)", label), label


def test_every_architecture_is_in_a_cell(figures):
    (hexagons,) = figures["front"].axes[0].collections
    assert hexagons.get_array().sum() == RESTORMER.n_architectures


@pytest.mark.parametrize(("name", "n_panels"), [("predictions", 3), ("latency_front", 2)])
def test_the_same_gray_is_the_same_count_in_all_panels(name, n_panels, figures):
    norms = {axes.collections[0].norm for axes in figures[name].axes[:n_panels]}
    assert len(norms) == 1


def test_a_single_architecture_is_not_white(figures):
    (hexagons,) = figures["predictions"].axes[2].collections
    assert hexagons.get_array().tolist() == [1]
    assert hexagons.norm(1) > 0.15  # of the way from white to black


def test_the_front_has_its_stairs_and_each_knee_one_mark(figures):
    axes = figures["front"].axes[0]
    x, y = line(axes, f"true front ({len(FRONT)})")
    assert sorted(x) == sorted(PENALTIES.ravel()[FRONT])
    assert sorted(y) == sorted(DROPS.ravel()[FRONT])
    assert line(axes, "knee: chord, l2") == ([PENALTIES.flat[5]], [DROPS.flat[5]])
    assert line(axes, "knee: rank") == ([PENALTIES.flat[9]], [DROPS.flat[9]])


def test_a_prediction_is_drawn_against_the_truth_with_the_identity(figures):
    axes = figures["predictions"].axes[1]
    assert axes.get_title() == "b"
    (identity,) = axes.lines
    assert list(identity.get_xdata()) == list(identity.get_ydata()) == [1.0, 3.0]
    assert not figures["predictions"].axes[3].get_visible()


def test_each_pair_has_its_number_and_its_outline(figures):
    axes = figures["interactions"].axes[0]
    texts = [text.get_text() for text in axes.texts]
    rows, columns = np.nonzero(np.tril(np.ones((8, 8)), -1))
    values = ANOVA.interactions[rows, columns]
    assert texts == [f"{value:.3f}" for value in values]
    assert len(axes.patches) == 7 + 3  # neighbors and skip partners
    assert [patch.get_linestyle() for patch in axes.patches].count(":") == 3


def test_each_choice_has_a_dot_in_its_color_and_each_stage_two_bars(figures):
    above, below = figures["stages"].axes
    dots = [ln for ln in above.lines if ln.get_marker() not in {"None", ""}]
    assert len(dots) == sum(RESTORMER.n_choices)
    assert to_hex(dots[0].get_color()).upper() == style.COLORS["teacher"]
    assert [bar.get_height() for bar in below.patches] == pytest.approx(
        [*ANOVA.first, *ANOVA.total]
    )
    (mean,) = [ln for ln in above.lines if ln.get_linestyle() == "--"]
    assert mean.get_ydata()[0] == pytest.approx(DROPS.mean())


def test_both_fronts_are_in_both_panels(figures):
    above, below = figures["latency_front"].axes[:2]
    by_latency, by_penalty = above.lines
    assert list(by_latency.get_xdata()) == [PENALTIES.flat[0], PENALTIES.flat[7]]
    assert list(by_penalty.get_ydata()) == LATENCIES.ravel()[FRONT].tolist()
    assert line(below, f"front by penalty ({len(FRONT)})")[0] == LATENCIES.ravel()[FRONT].tolist()
    assert sorted(line(below, "front by latency (2)")[0]) == sorted(LATENCIES.ravel()[[0, 7]])


def test_latencies_stand_over_the_whole_network_s(figures):
    dots, identity = figures["latency_sums"].axes[0].lines
    assert list(dots.get_xdata()) == [10.0, 20.0]
    assert list(dots.get_ydata()) == [11.0, 21.0]
    assert list(identity.get_xdata()) == list(identity.get_ydata()) == [10.0, 21.0]


def test_each_surrogate_has_a_dot_and_each_stage_its_short_name(figures):
    above = figures["features"].axes[0]
    dots = [ln for ln in above.lines if ln.get_marker() not in {"None", ""}]
    assert len(dots) == RESTORMER.n_surrogates
    assert [text.get_text() for text in above.texts] == RESTORMER.heading.split()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: landscape.front([np.nan], [1], [0], {}), "drops is empty or holds NaN"),
        (lambda: landscape.predictions({}), "panels is empty"),
        (lambda: landscape.predictions({"a": ([1], [1, 2])}), "x has 2 values, y 1"),
        (lambda: landscape.predictions({"below 1 dB": ([], [])}), "below 1 dB is empty"),
        (lambda: landscape.interactions(np.zeros((2, 2))), r"\(2, 2\); expected \(8, 8\)"),
        (lambda: landscape.latency_sums([]), r"shape \(0,\); expected \(n >= 1, 3\)"),
    ],
)
def test_bad_input_gets_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
