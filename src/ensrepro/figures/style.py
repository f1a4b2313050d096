"""One look for every figure: type, colors, marks, captions, and how a figure gets onto a page.

A figure function takes data and returns a `matplotlib.figure.Figure`; it opens no window and keeps
no global state. `show` puts the figure into a notebook, so that it has its caption and its text
alternative wherever the notebook is read: Jupyter, GitHub, the book.

A *kind* is what a mark stands for. The same kind has the same color and marker in all figures, and
never a color alone. Colors are those of Okabe and Ito, which color-blind readers tell apart.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape
from io import BytesIO

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

WIDTH = 6.0  # inches; with 12 pt type this is still legible on a phone
PIXELS_PER_INCH = 96  # of a web page
DPI = 200  # of the saved bitmap: about two of its pixels per pixel of the page

# Caption and picture are one white sheet with dark ink, whatever the theme's colors are.
PAPER = "margin:0;padding:8px;background:white;text-align:center"
INK = "color:#333333;font-weight:400"

RC = {
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "figure.titlesize": 13,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "figure.facecolor": "white",  # a figure stays white on a dark page
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "ensrepro",  # equal figures become equal files
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "lines.linewidth": 2.0,
    "lines.markersize": 6.0,
    "image.interpolation": "nearest",
    "figure.constrained_layout.w_pad": 0.1,  # inches
    "figure.constrained_layout.h_pad": 0.1,
}

PLAIN = FuncFormatter(lambda value, _: f"{value:g}")  # 0.01 rather than a power of ten

BLACK, GRAY, PALE = "#000000", "#8C8C8C", "#C9C9C9"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"


@dataclass(frozen=True)
class Mark:
    """How one kind is drawn; marker and dash in matplotlib's notation."""

    color: str
    marker: str
    dash: str
    label: str


KINDS = {
    "teacher": Mark(BLUE, "o", "-", "teacher"),
    "restormer": Mark(BLUE, "o", "-", "Restormer"),
    "surrogate": Mark(VERMILLION, "s", "--", "surrogate"),
    "mambair": Mark(VERMILLION, "s", "--", "MambaIR"),
    "edge": Mark(GREEN, "D", "-.", "edge block"),
    "stateless": Mark(GRAY, "v", ":", "edge block, no state"),
    "vanilla": Mark(PURPLE, "^", "-.", "vanilla attention"),
    "longer": Mark(BLUE, "*", ":", "teacher, longer"),
    "hybrid": Mark(GREEN, "D", "-", "hybrid"),
    "all_ssm": Mark(VERMILLION, "s", "--", "all-SSM"),
    "untrained": Mark(GRAY, "v", ":", "untrained surrogate"),
    "distilled": Mark(VERMILLION, "s", "--", "distilled surrogate"),
    "finetuned": Mark(ORANGE, "P", "-.", "fine-tuned surrogate"),
    "degraded": Mark(GRAY, "x", ":", "degraded"),
    "nlm": Mark(ORANGE, "^", "-.", "non-local means"),
    "bm3d": Mark(SKY, "v", "--", "BM3D"),
    "clean": Mark(BLACK, "*", "-", "clean"),
    "evaluated": Mark(PALE, "o", "", "evaluated"),
    "found_front": Mark(GREEN, "D", "-", "front found"),
    "true_front": Mark(BLACK, "", "--", "true front"),
    "penalty_front": Mark(ORANGE, "o", "", "front by penalty"),
    "candidate": Mark(ORANGE, "o", "", "candidate"),
    "knee": Mark(VERMILLION, "*", "", "knee"),
    "exact-ehvi": Mark(GREEN, "D", "-", "exact EHVI"),
    "additive+exact-ehvi": Mark(GREEN, "P", "--", "exact EHVI after single swaps"),
    "additive": Mark(BLACK, "s", ":", "additive"),
    "paper-ehvi": Mark(VERMILLION, "v", "-.", "paper's EHVI"),
    "random": Mark(GRAY, "x", ":", "random"),
    "nsga2": Mark(ORANGE, "s", "--", "NSGA-II"),
    "nsga3": Mark(SKY, "D", "-.", "NSGA-III"),
    "motpe": Mark(PURPLE, "^", "--", "MOTPE"),
    "gp": Mark(BLUE, "o", "-", "GP"),
}
COLORS = {kind: mark.color for kind, mark in KINDS.items()}
MARKERS = {kind: mark.marker for kind, mark in KINDS.items()}

# For what is no kind, such as the second of five candidates; without the teacher's and surrogates'.
SERIES = tuple(
    Mark(color, marker, dash, "")
    for color, marker, dash in (
        (GREEN, "D", "-"),
        (ORANGE, "o", "--"),
        (PURPLE, "^", "-."),
        (SKY, "v", "-"),
        (BLACK, "s", ":"),
        (GRAY, "x", "--"),
    )
)

# Depth of a surrogate, in blocks: the deeper, the darker.
DEPTHS = {
    1: Mark("#F9DCC8", "^", "--", "1 block"),
    2: Mark("#F2B18A", "v", ":", "2 blocks"),
    4: Mark("#E8803A", "s", "--", "4 blocks"),
    6: Mark(VERMILLION, "D", "-.", "6 blocks"),
    8: Mark("#7A3600", "o", "-", "8 blocks"),
}


def mark(kind: str, position: int = 0) -> Mark:
    """The mark of a kind; what is no kind gets the series' mark of a position, and its own name."""
    if kind in KINDS:
        return KINDS[kind]
    series = SERIES[position % len(SERIES)]
    return Mark(series.color, series.marker, series.dash, kind)


def apply() -> None:
    """Make the look matplotlib's default, for plots that a reader draws by hand."""
    matplotlib.rcParams.update(RC)


def look() -> AbstractContextManager[None]:
    """The look for the duration of a `with` block; also a decorator of a figure function."""
    return matplotlib.rc_context(RC)


def canvas(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of this size in inches, which no window or global list knows of."""
    return Figure(figsize=(width, height), layout="constrained")


def key_below(figure: Figure, handles: Sequence[Line2D], columns: int = 2) -> None:
    """One legend for the whole figure, below it: it hides no data."""
    figure.legend(handles=list(handles), loc="outside lower center", ncols=columns)


def key_of(marks: Sequence[Mark], lines: bool) -> list[Line2D]:
    """Legend entries for marks, drawn as lines or as markers."""
    if lines:
        return [Line2D([], [], color=m.color, ls=m.dash, label=m.label) for m in marks]
    dot = {"ls": "", "mec": BLACK, "mew": 0.6}
    return [Line2D([], [], color=m.color, marker=m.marker, label=m.label, **dot) for m in marks]


def plain_log(axis: Axis) -> None:
    """Numbers such as 0.05 on a logarithmic axis, few enough for a small panel."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
    axis.set_major_formatter(PLAIN)
    axis.set_minor_formatter(NullFormatter())


def drop_axis(axes: Axes, values: Sequence[float], linear_below: float) -> None:
    """A y axis for drops in dB over several powers of ten, which may also be zero or negative."""
    axes.set_yscale("symlog", linthresh=linear_below)
    axes.yaxis.set_major_formatter(PLAIN)
    axes.axhline(0, color=BLACK, lw=0.8)
    low, high = min(0.0, *values), max(linear_below, *values)
    axes.set_ylim(1.8 * low, 1.8 * high)


def column(rows: Sequence[Mapping[str, object]], name: str) -> list[float]:
    """One numeric column of tidy rows; a ValueError says which row lacks it."""
    for i, row in enumerate(rows):
        if name not in row:
            raise ValueError(f"rows[{i}] has no {name!r}; it has {', '.join(map(repr, row))}")
    return [float(row[name]) for row in rows]  # type: ignore[arg-type]


def nonempty(name: str, values: Sequence[object] | Mapping[str, object]) -> None:
    """A ValueError if there is nothing to draw."""
    if len(values) == 0:
        raise ValueError(f"{name} is empty; expected at least one entry to draw")


def caption(profile: str, task: str, commit: str, text: str) -> str:
    """`text` with the run it comes from; `commit` as `artifacts.commit` names it."""
    return f"{text.rstrip()} (Measured: profile {profile}, task {task}, commit {commit}.)"


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; equal figures give equal bytes."""
    buffer = BytesIO()
    with look():
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def html(figure: Figure, alt: str, caption: str, name: str) -> str:
    """The figure as an HTML <figure>, which scales down to a phone and is legible in dark mode.

    The class `dark-light` tells the book's theme not to change the brightness of the picture.
    """
    for argument, text in (("alt", alt), ("caption", caption), ("name", name)):
        if not text.strip():
            raise ValueError(f"{argument} is empty; every figure says what it shows")
    width = round(figure.get_figwidth() * PIXELS_PER_INCH)
    data = b64encode(png(figure)).decode("ascii")
    return (
        f'<figure id="fig-{escape(name)}" style="{PAPER}">'
        f'<img class="dark-light" width="{width}" alt="{escape(alt)}" '
        'style="max-width:100%;height:auto;background:white" '
        f'src="data:image/png;base64,{data}">'
        f'<figcaption style="{INK}">{escape(caption)}</figcaption></figure>'
    )


def show(figure: Figure, alt: str, caption: str, name: str) -> None:
    """Display the figure in a notebook with its text alternative and its caption.

    `name` becomes the anchor `#fig-<name>`. The output is HTML, not an image with metadata: the
    book, Jupyter and GitHub all keep the alt text of the former, and the caption needs code to know
    the commit. A reader without HTML gets the alt text and the caption.
    """
    from IPython.display import display

    page = html(figure, alt, caption, name)
    display({"text/html": page, "text/plain": f"[{alt}] {caption}"}, raw=True)
