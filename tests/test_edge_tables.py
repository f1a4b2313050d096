"""The tables on the edge block's page, against counts by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.usefixtures("one_thread")

SOURCE = Path(__file__).resolve().parents[1] / "book" / "_ext" / "edge_tables.py"
WIDTHS = (48, 96, 192, 384)


@pytest.fixture(scope="module")
def extension() -> ModuleType:
    spec = importlib.util.spec_from_file_location("edge_tables", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_costs_are_those_of_the_formula_on_the_page(extension: ModuleType):
    rows = {row["what"]: row for row in extension.cost_rows()}
    for c in WIDTHS:
        d, h, s = c // 4, c // 2, 48
        products = c * (3 * d + 2 * h) + c * (d + h)
        assert rows["edge block: convolution"][str(c)] == f"{9 * c * s:,}"
        assert rows["edge block: $W_{in}$ and $W_{out}$"][str(c)] == f"{products:,}"
        assert rows["edge block: recurrence"][str(c)] == f"{d:,}"
        assert rows["edge block"][str(c)] == f"{9 * c * s + products + d:,}"


def test_the_other_blocks_cost_what_the_page_of_the_two_blocks_says(extension: ModuleType):
    rows = {row["what"]: row for row in extension.cost_rows()}
    # sec-cost-per-pixel: 35,694; and 35,784 without the scan, which takes 41,760
    assert rows["Restormer block"]["48"] == "35,694"
    assert rows["MambaIR block"]["48"] == f"{35_784 + 41_760:,}"


def test_the_fields_grow_from_a_half_line_to_the_whole_map(extension: ModuleType):
    seen = {row["depth"]: row["pixels"] for row in extension.field_rows()}
    side, half = 33, 17  # the center is the 17th line
    assert seen[1] == 3 * (half + 1)  # a column of three with one more line, by the neighborhood
    assert seen[2] == (half + 2) ** 2  # two convolutions reach two pixels beyond the quadrant
    assert seen[3] == side * (half + 3)  # up from everywhere in it: all lines
    assert seen[4] == side**2
