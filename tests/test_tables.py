"""Tables: rows in, Markdown out; missing is never zero."""

from __future__ import annotations

import csv
import io
import math
import re

import IPython.display
import numpy as np
import pytest

from ensrepro import tables
from ensrepro.tables import Column, markdown

COLUMNS = (Column("name", "Method"), Column("psnr", "PSNR (dB), measured", ".2f"))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_table_has_a_title_line_a_rule_and_a_line_a_row():
    rows = [{"name": "teacher", "psnr": 24.2149}, {"name": "input", "psnr": 13.2}]
    assert markdown(rows, COLUMNS).splitlines() == [
        "| Method | PSNR (dB), measured |",
        "| --- | ---: |",  # numbers to the right
        "| teacher | 24.21 |",
        "| input | 13.20 |",
    ]


def test_columns_stand_in_the_order_asked_and_other_keys_are_left_out():
    row = {"psnr": 1.0, "ssim": 0.5, "name": "a"}
    lines = markdown([row], COLUMNS[::-1]).splitlines()
    assert cells(lines[0]) == ["PSNR (dB), measured", "Method"]
    assert cells(lines[2]) == ["1.00", "a"]


@pytest.mark.parametrize("value", [None, math.nan, np.float32("nan")])
def test_missing_is_missing_and_never_zero(value):
    line = markdown([{"name": "a", "psnr": value}], COLUMNS).splitlines()[2]
    assert cells(line) == ["a", "n/a"]


@pytest.mark.parametrize(("value", "text"), [(0.0, "0.00"), (math.inf, "inf"), (-1.005, "-1.00")])
def test_numbers_that_are_not_missing_are_shown(value, text):
    assert cells(markdown([{"name": "a", "psnr": value}], COLUMNS).splitlines()[2])[1] == text


@pytest.mark.parametrize("text", ["a|b", "a\nb", "a\r\nb"])
def test_no_text_breaks_the_table(text):
    table = markdown([{"name": text, "psnr": 1.0}], (Column("name", text), COLUMNS[1]))
    assert len(table.splitlines()) == 3
    for line in table.splitlines():
        assert line.replace("\\|", "").count("|") == 3


def test_a_row_without_a_columns_key_is_named():
    rows = [{"name": "a", "psnr": 1.0}, {"name": "b"}]
    with pytest.raises(ValueError, match=r"rows\[1\] has no 'psnr'; it has 'name'"):
        markdown(rows, COLUMNS)


def test_no_rows_make_an_empty_table():
    assert len(markdown([], COLUMNS).splitlines()) == 2


@pytest.fixture
def displayed(monkeypatch):
    shown = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    return shown


def test_a_shown_table_has_its_caption_above_it(displayed):
    rows = [{"name": "a", "psnr": 1.0}]
    tables.show(rows, COLUMNS, "Measured on the test photos.")
    (shown,) = displayed
    assert shown.data == f"*Measured on the test photos.*\n\n{markdown(rows, COLUMNS)}"


def test_a_said_sentence_is_prose(displayed):
    tables.say("The knee keeps **3** teacher stages.")
    assert displayed[0].data == "The knee keeps **3** teacher stages."


# ---- text, CSV and LaTeX ------------------------------------------------------------------------

GROUPED = (
    Column("name", "Method"),
    Column("g", "PSNR", ".2f", "GoPro"),
    Column("gs", "SSIM", ".3f", "GoPro"),
    Column("h", "PSNR", ".2f", "HIDE"),
)
ROW = {"name": "50% & _more_", "g": 33.0, "gs": None, "h": math.nan}


def test_neighbors_of_a_group_have_one_heading():
    assert tables.spans(GROUPED) == [("", 1, 1), ("GoPro", 2, 3), ("HIDE", 4, 4)]
    assert "GoPro SSIM" in markdown([ROW], GROUPED)  # Markdown has one line of titles


def test_text_is_aligned_below_its_headings():
    assert tables.text([ROW, ROW | {"g": 4.5, "gs": 0.5, "h": 1.0}], GROUPED).splitlines() == [
        "              GoPro         HIDE",
        "Method         PSNR   SSIM  PSNR",
        "50% & _more_  33.00    n/a   n/a",
        "50% & _more_   4.50  0.500  1.00",
    ]


def test_a_long_heading_moves_what_is_right_of_it():
    columns = (Column("a", "x", ".0f", "a long heading"), Column("b", "y", ".0f", "b"))
    above, titles, line = tables.text([{"a": 1.0, "b": 2.0}], columns).splitlines()
    assert len(titles) == len(line) == above.index("b") + 1


def test_csv_has_every_digit_and_reads_back():
    rows = [{"name": 'a, "b"\nc', "g": 0.1 + 0.2, "gs": None, "h": math.nan}]
    found = list(csv.DictReader(io.StringIO(tables.csv_text(rows, GROUPED))))
    assert found == [{"name": 'a, "b"\nc', "g": "0.30000000000000004", "gs": "", "h": ""}]


EVERY_SPECIAL = r"\ & % $ # _ { } ~ ^"


def unescaped(words: str) -> str:
    """What LaTeX prints, by the commands' definitions."""
    names = {"textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^"}
    command = re.compile(r"\\(?:(text\w+)\{\}|([&%$#_{}]))")
    assert not re.search(r"[\\&%$#_{}~^]", command.sub("", words)), "a character is left bare"
    return command.sub(lambda found: names[found[1]] if found[1] else found[2], words)


def test_latex_prints_what_it_was_given():
    assert unescaped(tables.escaped(EVERY_SPECIAL)) == EVERY_SPECIAL


def test_latex_has_as_many_cells_in_every_line_as_columns():
    made = tables.latex([ROW, ROW], GROUPED, "100% of_it")
    assert made == tables.latex([ROW, ROW], GROUPED, "100% of_it")
    assert r"\caption{100\% of\_it}" in made
    assert r"\begin{tabular}{lrrr}" in made
    assert r"\multicolumn{1}{c}{} & \multicolumn{2}{c}{GoPro} & \multicolumn{1}{c}{HIDE} \\" in made
    assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-4}" in made
    inner = made.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert len(inner) == 2
    for line in inner:
        assert line.endswith(r" \\")
        assert len(re.findall(r"(?<!\\)&", line)) == len(GROUPED) - 1
    ends = [made.index(rf"\{end}") for end in ("toprule", "midrule", "bottomrule", "end{tabular}")]
    assert ends == sorted(ends)
    assert made.count(r"\begin{") == made.count(r"\end{") == 2


def test_latex_without_groups_has_no_heading_line():
    made = tables.latex([], COLUMNS, "nothing")
    assert "multicolumn" not in made
    assert "cmidrule" not in made


@pytest.mark.parametrize("render", [tables.text, tables.csv_text])
def test_each_form_names_a_row_without_a_columns_key(render):
    with pytest.raises(ValueError, match=r"rows\[0\] has no 'psnr'; it has 'name'"):
        render([{"name": "a"}], COLUMNS)
