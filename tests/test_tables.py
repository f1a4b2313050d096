"""Tables: rows in, Markdown out; missing is never zero."""

from __future__ import annotations

import math

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
