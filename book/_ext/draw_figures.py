"""Draws the diagrams of the prose pages as SVG, from the search space itself.

Run `python book/_ext/draw_figures.py` after a change of `ensrepro.space`; a test compares the files
in `book/images/` with what this script writes. Each drawing has its own light background, so that
it reads the same on a light and on a dark page.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ensrepro.space import RESTORMER, Stage

IMAGES = Path(__file__).resolve().parents[1] / "images"

PAPER, LINE, INK, MUTED = "#fbfaf7", "#dcd7cc", "#22303c", "#5b6770"
TEACHER_COLOR, SURROGATE_COLOR = "#b0452c", "#1f7480"
STEM_WIDTH = 48  # channels of the stem in the paper's profile
BOX_WIDTH, BOX_HEIGHT = 220, 94
CHIP_WIDTH, CHIP_HEIGHT, CHIP_STEP = 36, 26, 41

# upper left corner of each stage's box
PLACES = {
    "encoder_1": (30, 96),
    "encoder_2": (76, 226),
    "encoder_3": (122, 356),
    "bottleneck": (290, 486),
    "decoder_3": (458, 356),
    "decoder_2": (504, 226),
    "decoder_1": (550, 96),
    "refinement": (810, 96),
}
SIDES = {0: "full size", 1: "1/2 size", 2: "1/4 size", 3: "1/8 size"}
EXAMPLE = (0, 2, 3, 1, 0, 0, 2, 1)


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    """A line of text with its baseline at (x, y)."""
    css = f' class="{style}"' if style else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{css}>{words}</text>'


def arrow(*points: tuple[float, float], dashed: bool = False) -> str:
    """A line through the points with a tip at its end."""
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    dash = ' stroke-dasharray="5 5"' if dashed else ""
    return f'<polyline points="{path}" class="arrow"{dash} marker-end="url(#tip)"/>'


def chip(x: float, y: float, label: str, width: float = CHIP_WIDTH) -> str:
    """One choice: T in the teacher's color, a depth in the surrogates'."""
    color = TEACHER_COLOR if label == "T" else SURROGATE_COLOR
    place = f'x="{x:g}" y="{y:g}" width="{width}" height="{CHIP_HEIGHT}"'
    return f'<rect {place} rx="6" fill="{color}"/>' + text(
        x + width / 2, y + 18, label, "chip", "middle"
    )


def chips(stage: Stage, x: float, y: float) -> str:
    """The choices of a stage, the teacher first."""
    labels = ["T", *map(str, stage.depths)]
    return "\n".join(chip(x + i * CHIP_STEP, y, label) for i, label in enumerate(labels))


def stage_box(stage: Stage) -> str:
    """The box of a stage: its name, its size, its choices."""
    x, y = PLACES[stage.name]
    facts = f"{stage.n_blocks} blocks, {STEM_WIDTH * stage.width_factor} ch., {SIDES[stage.level]}"
    return "\n".join(
        [
            f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" '
            'rx="10" class="box"/>',
            text(x + 12, y + 24, stage.name, "name"),
            text(x + 12, y + 43, facts, "small"),
            chips(stage, x + 10, y + 56),
        ]
    )


def center(name: str) -> float:
    """Horizontal center of a stage's box."""
    return PLACES[name][0] + BOX_WIDTH / 2


def top(name: str) -> float:
    """Upper edge of a stage's box."""
    return PLACES[name][1]


def bottom(name: str) -> float:
    """Lower edge of a stage's box."""
    return PLACES[name][1] + BOX_HEIGHT


def side(name: str) -> float:
    """Height at which horizontal arrows meet a stage's box."""
    return PLACES[name][1] + BOX_HEIGHT / 2


def flow() -> list[str]:
    """Arrows of the network: down, up, skips, and the image added to the output."""
    right = {name: x + BOX_WIDTH for name, (x, _) in PLACES.items()}
    parts = [arrow((center("encoder_1"), 62), (center("encoder_1"), top("encoder_1")))]
    for upper, lower in (("encoder_1", "encoder_2"), ("encoder_2", "encoder_3")):
        x = center(lower) - 20
        parts.append(arrow((x, bottom(upper)), (x, top(lower))))
    for lower, upper in (("decoder_3", "decoder_2"), ("decoder_2", "decoder_1")):
        x = center(lower) + 20
        parts.append(arrow((x, top(lower)), (x, bottom(upper))))
    x, y = center("encoder_3") - 20, side("bottleneck")
    parts.append(arrow((x, bottom("encoder_3")), (x, y), (PLACES["bottleneck"][0], y)))
    x = center("decoder_3") + 20
    parts.append(arrow((right["bottleneck"], y), (x, y), (x, bottom("decoder_3"))))
    for level in (1, 2, 3):
        a, b = f"encoder_{level}", f"decoder_{level}"
        parts.append(arrow((right[a], side(a)), (PLACES[b][0], side(b)), dashed=True))
        parts.append(text((right[a] + PLACES[b][0]) / 2, side(a) - 9, "skip", "small", "middle"))
    y = side("refinement")
    parts.append(arrow((right["decoder_1"], y), (PLACES["refinement"][0], y)))
    parts.append(arrow((center("refinement"), top("refinement")), (center("refinement"), 62)))
    parts.append(text(center("encoder_1"), 50, "degraded image", "name", "middle"))
    parts.append(text(center("refinement"), 50, "restored image", "name", "middle"))
    left, far = center("encoder_1") + 72, center("refinement") - 72
    parts.append(arrow((left, 45), (far, 45), dashed=True))
    parts.append(text((left + far) / 2, 37, "the image is added to the output", "small", "middle"))
    return parts


def legend(x: float, y: float) -> list[str]:
    """What the choices mean, how many there are, and one architecture as an example."""
    product = " × ".join(map(str, RESTORMER.n_choices))
    labels = RESTORMER.label(EXAMPLE).split()
    example = [chip(x + 33 * i, y + 194, label, width=29) for i, label in enumerate(labels)]
    return [
        chip(x, y, "T"),
        text(x + 48, y + 18, "keep the teacher's blocks"),
        chip(x, y + 38, "2"),
        text(x + 48, y + 56, "a surrogate: that many"),
        text(x + 48, y + 75, "state-space blocks"),
        text(x, y + 114, f"{RESTORMER.n_surrogates} surrogates in the pool", "name"),
        text(x, y + 134, product, "small"),
        text(x, y + 154, f"= {RESTORMER.n_architectures:,} architectures", "name"),
        text(x, y + 183, "One of them, stage by stage:", "small"),
        *example,
    ]


def document(width: int, height: int, title: str, description: str, parts: list[str]) -> str:
    """A complete SVG file around its parts."""
    style = (
        "text{font:15px system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;"
        f"fill:{INK}}}"
        f".name{{font-weight:600}}.small{{font-size:13.5px;fill:{MUTED}}}"
        ".chip{font-weight:600;fill:#fff}"
        f".box{{fill:#fff;stroke:{LINE};stroke-width:1.5}}"
        f".arrow{{fill:none;stroke:{MUTED};stroke-width:1.6}}"
    )
    tip = (
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0 8 4 0 8z" fill="{MUTED}"/></marker>'
    )
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-labelledby="t d">',
        f'<title id="t">{title}</title>',
        f'<desc id="d">{description}</desc>',
        f"<defs>{tip}<style>{style}</style></defs>",
        f'<rect width="{width}" height="{height}" rx="14" fill="{PAPER}"/>',
    ]
    return "\n".join([*head, *parts, "</svg>", ""])


def unet() -> str:
    """The U-Net, its eight stages and the choices of each."""
    return document(
        1060,
        610,
        "The U-Net, its eight stages and their choices",
        "Three encoder stages lead down to a bottleneck, three decoder stages lead up, a "
        "refinement stage follows; each keeps the teacher or takes one of two to four surrogates.",
        [*flow(), *(stage_box(stage) for stage in RESTORMER.stages), *legend(772, 236)],
    )


class Scan(NamedTuple):
    """One direction: its caption, and whether it runs along columns and backwards."""

    caption: str
    by_column: bool
    backwards: bool


SCANS = (
    Scan("rows", False, False),
    Scan("columns", True, False),
    Scan("rows, backwards", False, True),
    Scan("columns, backwards", True, True),
)
SIDE, CELL = 4, 34


def scan_panel(scan: Scan, left: float, upper: float) -> str:
    """A map of 4 x 4 pixels, numbered in the order in which the scan meets them."""
    parts = [text(left + SIDE * CELL / 2, upper - 14, scan.caption, "name", "middle")]
    for row in range(SIDE):
        for column in range(SIDE):
            step = column * SIDE + row if scan.by_column else row * SIDE + column
            step = SIDE * SIDE - 1 - step if scan.backwards else step
            x, y = left + column * CELL, upper + row * CELL
            opacity = 0.08 + 0.6 * step / (SIDE * SIDE - 1)
            parts.append(
                f'<rect x="{x:g}" y="{y:g}" width="{CELL}" height="{CELL}" stroke="#fff" '
                f'fill="{SURROGATE_COLOR}" fill-opacity="{opacity:.2f}"/>'
            )
            parts.append(text(x + CELL / 2, y + 22, str(step + 1), "", "middle"))
    return "\n".join(parts)


def scans() -> str:
    """The four orders in which the pixels of a map become a sequence."""
    return document(
        760,
        216,
        "Four ways to read an image as a sequence",
        "A four by four map read along rows, along columns, and both backwards; "
        "each pixel carries the step at which the scan meets it.",
        [scan_panel(scan, 42 + 181 * i, 52) for i, scan in enumerate(SCANS)],
    )


def mark(size: int) -> str:
    """The sign of the book: a U of eight stages, some the teacher's, some surrogates."""
    cells = [(0, 0), (0, 1), (0, 2), (1, 3), (2, 2), (2, 1), (2, 0), (3, 0)]
    colors = [TEACHER_COLOR if choice == 0 else SURROGATE_COLOR for choice in EXAMPLE]
    squares = "".join(
        f'<rect x="{4 + 15 * column}" y="{3 + 15 * row}" '
        f'width="12" height="12" rx="3" fill="{color}"/>'
        for (column, row), color in zip(cells, colors, strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" '
        f'width="{size}" height="{size}" role="img"><title>ensrepro</title>{squares}</svg>\n'
    )


DRAWINGS = {
    "unet.svg": unet,
    "scans.svg": scans,
    "logo.svg": lambda: mark(128),
    "favicon.svg": lambda: mark(32),
}


def main() -> None:
    """Writes every drawing."""
    for name, draw in DRAWINGS.items():
        (IMAGES / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
