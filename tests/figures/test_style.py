"""The look of figures, and how they get onto a page with their caption and their alt text."""

from __future__ import annotations

import base64
from html.parser import HTMLParser

import matplotlib
import pytest
from matplotlib.figure import Figure

from ensrepro.figures import style


def draw() -> Figure:
    drawn = style.canvas(1.0)
    drawn.add_subplot().plot([1, 2, 3])
    return drawn


@pytest.fixture
def figure() -> Figure:
    return draw()


def test_equal_figures_are_equal_files():
    assert style.png(draw()) == style.png(draw())


def test_apply_makes_the_look_the_default():
    with matplotlib.rc_context():
        style.apply()
        assert matplotlib.rcParams["axes.spines.top"] is False


def test_type_is_readable_on_a_phone():
    # 390 px wide with 16 px margins on both sides, against the figure's own width
    scale = (390 - 32) / (style.WIDTH * style.PIXELS_PER_INCH)
    sizes = [style.RC[key] for key in style.RC if key.endswith("size") and "marker" not in key]
    pixels_per_point = style.PIXELS_PER_INCH / 72
    assert min(sizes) * pixels_per_point * scale >= 9


def test_no_kind_is_told_by_color_alone():
    for group in (
        ("teacher", "distilled", "untrained", "finetuned"),
        ("random", "nsga2", "nsga3", "motpe", "gp"),
        ("degraded", "nlm", "bm3d", "all_ssm", "hybrid", "teacher"),
        ("restormer", "mambair", "vanilla"),
    ):
        assert len({style.MARKERS[kind] for kind in group}) == len(group)
        assert len({style.COLORS[kind] for kind in group}) == len(group)
    for marks in (style.SERIES, tuple(style.DEPTHS.values())):
        assert len({m.marker for m in marks}) == len({m.color for m in marks}) == len(marks)


def test_what_is_no_kind_gets_its_own_name_and_a_mark_by_position():
    one, two = style.mark("candidate 1", 0), style.mark("candidate 2", 1)
    assert (one.label, two.label) == ("candidate 1", "candidate 2")
    assert (one.color, one.marker) != (two.color, two.marker)


def test_the_caption_names_profile_task_and_commit():
    # the plus sign of a changed tree is part of the name, however long git makes the hash
    for commit in ("1a2b3c4", "1a2b3c4+", "1a2b3c4d5e6f+", "unknown"):
        text = style.caption("mini", "denoise", commit, "What is shown.\n")
        expected = f"What is shown. (Measured: profile mini, task denoise, commit {commit}.)"
        assert text == expected


class Page(HTMLParser):
    """Collects the attributes of every tag, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: dict[str, dict[str, str | None]] = {}
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = dict(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_shown_figure_has_its_alt_text_its_caption_and_fits_a_phone(figure):
    page = Page(style.html(figure, 'A "curve" & <more>', "Caption <1>.", "growth"))
    image = page.tags["img"]
    assert image["alt"] == 'A "curve" & <more>'
    assert {"max-width:100%", "background:white"} <= set(image["style"].split(";"))
    data = image["src"].removeprefix("data:image/png;base64,")
    assert base64.b64decode(data) == style.png(draw())
    assert page.tags["figure"]["id"] == "fig-growth"
    assert page.text == "Caption <1>."


def test_show_displays_html_with_a_plain_text_for_readers_without_it(figure, monkeypatch):
    from IPython import display

    shown = []
    monkeypatch.setattr(display, "display", lambda bundle, raw: shown.append((bundle, raw)))
    style.show(figure, "alt", "caption", "growth")
    ((bundle, raw),) = shown
    assert raw
    assert set(bundle) == {"text/html", "text/plain"}
    assert bundle["text/plain"] == "[alt] caption"


@pytest.mark.parametrize("missing", ["alt", "caption", "name"])
def test_a_figure_without_words_is_refused(figure, missing):
    words = {"alt": "alt", "caption": "caption", "name": "name"} | {missing: " "}
    with pytest.raises(ValueError, match=f"{missing} is empty"):
        style.html(figure, **words)
