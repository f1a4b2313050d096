"""Figures: what is drawn is the data, axes say their unit, edge cases do not fail, looks hold."""

from __future__ import annotations

import re
import struct

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from ensrepro.figures import distillation, receptive, restoration, search, style
from ensrepro.space import RESTORMER, UFORMER

POINTS = np.array([[0.0, 44.0], [0.5, 20.0], [0.7, 21.0], [2.0, 6.4], [0.4, 25.0]])
FRONT = [0, 4, 1, 3]  # by hand: only (0.7, 21) is dominated, by (0.5, 20)
FIELD = np.full((8, 8), 1 / 64)
PHOTO = np.linspace(0, 1, 12 * 16 * 3).reshape(12, 16, 3)
SURROGATES = [
    {"stage": stage, "depth": depth, "psnr_drop": 0.1 / depth, "relative_error": 1 / depth}
    for stage, depth in RESTORMER.surrogates
]
ATTENTION = receptive.Attention("teacher", np.full((2, 4, 4), 0.25), np.ones((6, 8)))

EXAMPLES = {
    "front": lambda: search.front(POINTS, FRONT, 1, [1, 4], ["a", "b"], POINTS[FRONT] - 0.01, 1.0),
    "convergence": lambda: search.convergence({"nsga2": [[1, 2, 3], [1, 3, 4]], "gp": [2, 3, 4]}),
    "architecture": lambda: search.architecture(
        [RESTORMER.teacher, RESTORMER.cheapest], ["teacher", "cheapest"], ["0 dB", "2 dB"]
    ),
    "maps": lambda: receptive.maps({"teacher": FIELD, "b": FIELD}, {"b": {0.5: 2.0, 0.9: 4.0}}),
    "growth": lambda: receptive.growth({"teacher": ([0, 1, 2], [0.2, 0.6, 1.0])}),
    "attention": lambda: receptive.attention([ATTENTION, ATTENTION]),
    "identity_drops": lambda: distillation.identity_drops({"encoder_1": 6.0, "bottleneck": -0.01}),
    "losses": lambda: distillation.losses({key: [1.0, 0.5, 0.2] for key in RESTORMER.surrogates}),
    "surrogates": lambda: distillation.surrogates(SURROGATES),
    "photos": lambda: restoration.photos(
        [[restoration.Crop("degraded", PHOTO, 14.2), restoration.Crop("clean", PHOTO)]]
    ),
    "bars": lambda: restoration.bars({"degraded": 14.0, "hybrid": [26.0, 27.0]}),
    "finetune_curves": lambda: restoration.finetune_curves({"hybrid": [(0, 25)]}, {"teacher": 26}),
}


def labels(figure: Figure) -> list[str]:
    """The axis labels of all visible panels, and of the whole figure."""
    found = [figure.get_supxlabel(), figure.get_supylabel()]
    for axes in figure.axes:
        found += [axes.get_xlabel(), axes.get_ylabel()]
    return [label for label in found if label]


def line(figure: Figure, label: str, panel: int = 0) -> tuple[list[float], list[float]]:
    """x and y of the line whose legend entry starts with this label."""
    (found,) = [ln for ln in figure.axes[panel].lines if str(ln.get_label()).startswith(label)]
    return list(found.get_xdata()), list(found.get_ydata())


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_figure_renders_whole_and_leaves_the_reader_s_settings_alone(name):
    before = dict(matplotlib.rcParams)
    figure = EXAMPLES[name]()
    data = style.png(figure)
    assert dict(matplotlib.rcParams) == before
    assert data.startswith(b"\x89PNG")
    width, height = figure.get_size_inches()
    size = struct.unpack(">II", data[16:24])  # the header's width and height
    assert size == (int(width * style.DPI), int(height * style.DPI))
    box = figure.get_tightbbox()  # inches, of everything that is drawn
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height


@pytest.mark.parametrize("name", set(EXAMPLES) - {"photos"})
def test_every_axis_label_has_a_unit_or_names_what_it_lists(name):
    listing = {"stage"}
    for label in labels(EXAMPLES[name]()):
        assert label in listing or re.search(r"\(.+\)|/", label), label
    assert labels(EXAMPLES[name]())


def test_the_front_shows_every_point_and_the_stairs_ascend_by_penalty():
    figure = EXAMPLES["front"]()
    for panel in (0, 1):
        assert line(figure, "evaluated (5)", panel) == (list(POINTS[:, 1]), list(POINTS[:, 0]))
        assert line(figure, "front found (4)", panel) == ([6.4, 20, 25, 44], [2.0, 0.5, 0.4, 0.0])
        assert line(figure, "knee", panel) == ([20.0], [0.5])
        assert line(figure, "candidate (2)", panel) == ([20.0, 25.0], [0.5, 0.4])
    assert figure.axes[0].get_title() == "1 of 5 lie beyond 1 dB"
    assert figure.axes[1].get_title(loc="left") == "1: a\n2: b"
    assert [text.get_text() for text in figure.axes[1].texts] == ["1", "2"]


def test_the_stairs_say_the_best_drop_at_any_penalty():
    (stairs,) = [
        ln for ln in EXAMPLES["front"]().axes[0].lines if str(ln.get_label()).startswith("front")
    ]
    assert stairs.get_drawstyle() == "steps-post"  # between 20 and 25 the drop stays 0.5


def test_a_search_of_one_point_is_drawn():
    figure = search.front([[0.0, 44.0]], [0], 0, [0])
    style.png(figure)
    assert line(figure, "front found (1)") == ([44.0], [0.0])


def test_the_true_front_s_hypervolume_is_a_line_across():
    figure = search.convergence({"random": [1, 2]}, reference=5)
    assert line(figure, "true front")[1] == [5, 5]


def test_convergence_shows_the_median_and_the_range_of_the_seeds():
    figure = EXAMPLES["convergence"]()
    assert line(figure, "NSGA-II, 2 seeds") == ([1, 2, 3], [1, 2.5, 3.5])
    assert line(figure, "GP") == ([1, 2, 3], [2, 3, 4])
    assert len(figure.axes[0].collections) == 1  # one band: only one sampler has several seeds


def test_an_architecture_is_eight_cells_with_depth_and_color():
    axes = EXAMPLES["architecture"]().axes[0]
    cells = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    texts = [text.get_text() for text in axes.texts]
    assert len(cells) == 16
    assert texts == ["T"] * 8 + ["0 dB"] + ["2"] * 8 + ["2 dB"]
    assert to_hex(cells[0].get_facecolor()).upper() == style.COLORS["teacher"]
    assert to_hex(cells[-1].get_facecolor()).upper() == style.DEPTHS[2].color


def test_a_stage_of_one_block_has_a_color_of_its_own():
    axes = search.architecture([UFORMER.all_ssm], ["all-SSM"], space=UFORMER).axes[0]
    assert [text.get_text() for text in axes.texts] == list("128828821")
    colors = [to_hex(patch.get_facecolor()).upper() for patch in axes.patches]
    assert colors[0] == style.DEPTHS[1].color
    assert len(set(colors)) == 3  # of 1, 2 and 8 blocks


def test_the_second_objective_of_a_front_may_be_a_latency():
    figure = search.front(POINTS, FRONT, price=search.LATENCY_LABEL)
    assert figure.axes[0].get_xlabel() == "latency, sum of stages (ms)"


def test_receptive_fields_share_a_scale_and_their_circles_have_the_radius():
    figure = EXAMPLES["maps"]()
    first, second = figure.axes[:2]
    assert first.images[0].norm is second.images[0].norm
    assert first.images[0].get_extent() == [-4.5, 3.5, 3.5, -4.5]  # pixel (4, 4) is at (0, 0)
    assert [c.radius for c in second.patches if isinstance(c, Circle)] == [2.5, 4.5]
    assert second.texts[0].get_text() == "50% in 2.0 px\n90% in 4.0 px"
    assert not [*first.patches, *first.texts]


def test_a_thin_far_field_is_above_the_floor_of_the_color_scale():
    field = np.full((128, 128), 0.3 / 128**2)  # 30 % spread evenly, 70 % in the center
    field[64, 64] += 0.7
    image = receptive.maps({"teacher": field}).axes[0].images[0]
    assert image.norm(field[0, 0]) > 0.2  # of the way from the darkest color to the brightest


def test_heads_lie_on_the_diagonal_and_norms_are_relative():
    weight, norm = (axes.images[0].get_array() for axes in EXAMPLES["attention"]().axes[:2])
    assert weight.shape == (8, 8)
    assert np.ma.filled(weight, np.nan)[:4, :4] == pytest.approx(np.full((4, 4), 0.25))
    assert np.isnan(np.ma.filled(weight, np.nan)[:4, 4:]).all()
    np.testing.assert_allclose(norm, 1)


def test_a_dead_stage_is_pale_and_every_drop_is_written():
    axes = EXAMPLES["identity_drops"]().axes[0]
    colors = [to_hex(bar.get_facecolor()).upper() for bar in axes.patches]
    assert colors == [style.COLORS["teacher"], style.PALE]
    assert [text.get_text() for text in axes.texts] == ["6.000", "-0.010"]


def test_every_surrogate_has_a_dot_in_both_panels_and_a_loss_curve():
    above, below = EXAMPLES["surrogates"]().axes
    assert len(below.lines) == RESTORMER.n_surrogates == 22
    assert len(above.lines) == 22 + 1  # and the line at zero
    assert sorted(float(ln.get_ydata()[0]) for ln in below.lines) == sorted(
        row["relative_error"] for row in SURROGATES
    )
    panels = EXAMPLES["losses"]().axes
    assert [axes.get_title() for axes in panels] == [stage.name for stage in RESTORMER.stages]
    assert [len(axes.lines) for axes in panels] == [2, 3, 3, 4, 3, 3, 2, 2]


def test_a_loss_curve_is_the_median_of_its_steps():
    (curve,) = distillation.losses({("bottleneck", 8): list(range(1, 101))}).axes[0].lines
    np.testing.assert_array_equal(curve.get_xdata(), np.arange(2, 101, 2))  # 50 groups of 2 steps
    np.testing.assert_array_equal(curve.get_ydata(), np.arange(1.5, 100, 2))


def test_bars_start_at_the_degraded_input_and_name_the_psnr():
    axes = EXAMPLES["bars"]().axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.0, 12.5]
    assert [text.get_text() for text in axes.texts] == ["14.00", "26.50 [26.00, 27.00]"]
    assert axes.get_xlim()[0] == 0


def test_photos_name_their_kind_and_psnr_and_pad_the_last_line():
    crops = [restoration.Crop("nlm", PHOTO, 22.123)] * 3 + [restoration.Crop("clean", PHOTO)]
    panels = restoration.photos([crops]).axes
    assert len(panels) == 6
    assert [axes.get_title() for axes in panels[:4]] == [
        *["non-local means\n22.12 dB"] * 3,
        "clean\nreference",
    ]
    assert not panels[5].images


def test_photos_take_bytes_and_clip_floats():
    byte = np.full((4, 4, 3), 200, np.uint8)
    beyond = np.full((4, 4, 3), 1.5)
    one, two = restoration.photos(
        [[restoration.Crop("degraded", byte), restoration.Crop("teacher", beyond)]]
    ).axes
    assert one.images[0].get_array().max() == 200
    assert two.images[0].get_array().max() == 1.0


def test_every_finetuned_hybrid_has_a_curve_and_every_reference_a_line():
    curves = {f"candidate {i}": [(0, 25.0), (100, 25.5 + i)] for i in range(5)}
    figure = restoration.finetune_curves(curves, {"teacher": 26.0})
    for i in range(5):
        assert line(figure, f"candidate {i}") == ([0, 100], [25.0, 25.5 + i])
    assert line(figure, "teacher")[1] == [26.0, 26.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: search.front(np.zeros((0, 2)), []), r"shape \(0, 2\); expected \(n >= 1, 2\)"),
        (lambda: search.front([[np.nan, 1]], [0]), "points holds NaN"),
        (lambda: search.front(POINTS, FRONT, 1, [1], []), "labels has 0 texts"),
        (lambda: search.convergence({}), "traces is empty"),
        (lambda: search.convergence({"gp": [1, np.inf]}), r"traces\['gp'\]"),
        (lambda: search.architecture([(9,) * 8], ["x"]), "encoder_1: choice 9 is not in 0..2"),
        (lambda: search.architecture([RESTORMER.teacher], []), "labels has 0 texts; expected 1"),
        (lambda: receptive.maps({}), "fields is empty"),
        (lambda: receptive.maps({"a": np.zeros((4, 4))}), r"fields\['a'\]"),
        (lambda: receptive.attention([]), "rows is empty"),
        (lambda: distillation.losses({("encoder_1", 4): []}), "expected at least one loss"),
        (lambda: distillation.identity_drops({}), "drops is empty"),
        (lambda: distillation.surrogates([{"stage": "encoder_1"}]), "rows.0. has no 'psnr_drop'"),
        (lambda: distillation.surrogates([{"depth": 2}]), "rows.0. has no 'stage'"),
        (lambda: restoration.Crop("degraded", np.zeros((4, 4))), r"expected \(H, W, 3\)"),
        (
            lambda: restoration.bars({"teacher": 26}),
            "baseline is 'degraded'; expected one of teacher",
        ),
        (lambda: restoration.finetune_curves({"hybrid": []}), "is empty"),
    ],
)
def test_bad_input_gets_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
