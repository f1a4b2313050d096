"""Records: their ratios, what may be null, and that the page says what the schema says."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from device_records import ROW, row

from ensrepro import records, tables

PAGE = Path(__file__).resolve().parents[1] / "book" / "on_a_phone.md"


def test_the_schema_and_the_record_have_the_same_fields():
    assert [field.name for field in fields(records.Record)] == list(records.SCHEMA) == list(ROW)


@pytest.mark.parametrize("name", [n for n, field in records.SCHEMA.items() if field.may_be_null])
def test_what_a_tool_does_not_tell_may_be_null(name: str):
    assert getattr(records.checked(row(**{name: None}), "row"), name) is None


def test_an_idle_machine_has_the_load_0():
    assert records.checked(row(load=0.0), "row").load == 0


def test_a_single_run_is_all_its_percentiles_and_all_its_seconds():
    times = {"p50_ms": 10.0, "p90_ms": None, "p99_ms": None, "n": 1}
    assert records.checked(row(**times, seconds=0.01), "row").n == 1


@pytest.mark.parametrize("created", ["2026-11-22T12:00:00.123Z", "2026-11-22T13:00:00+01:00"])
def test_moments_are_written_as_python_and_browsers_do(created: str):
    assert records.checked(row(created=created), "row").created == created


def test_a_ratio_of_two_records_is_that_of_their_medians():
    slow, fast = records.checked(row(), "row"), records.checked(row(p50_ms=50.0), "row")
    assert records.ratio(slow, fast) == 2.0


@pytest.mark.parametrize(
    "changed",
    [{"device": "Pixel 9"}, {"cpu": "G4"}, {"resolution": "128x128"}, {"threads": 2},
     {"threads": None}, {"runtime": "ExecuTorch"}, {"version": "1.21.0"}, {"dtype": "float16"}],
    ids=str,
)  # fmt: skip
def test_records_under_different_conditions_have_no_ratio(changed):
    slow, fast = records.checked(row(), "row"), records.checked(row(**changed), "row")
    with pytest.raises(ValueError, match="different conditions"):
        records.ratio(slow, fast)


@pytest.mark.parametrize(
    ("name", "value"),
    [("threads", None), ("cpu", "unknown"), ("runtime", "unknown"), ("version", "Unknown "),
     ("dtype", "unknown")],
)  # fmt: skip
def test_what_nobody_knows_of_two_records_is_not_the_same(name, value):
    own = records.checked(row(**{name: value}), "row")
    with pytest.raises(ValueError, match=f"cannot be compared: unknown {name}; expected"):
        records.ratio(own, own)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"width": 8}, "records are of width 48 and 8; expected the same"),
        ({"task": "derain"}, "records are of task denoise and derain; expected the same"),
        ({"part": "glue"}, "records are of part network and glue; expected the same"),
    ],
    ids=str,
)
def test_records_of_other_things_have_no_ratio(changed, message):
    slow, fast = records.checked(row(), "row"), records.checked(row(**changed), "row")
    with pytest.raises(ValueError, match=message):
        records.ratio(slow, fast)


def test_a_comparison_knows_its_records():
    teacher = records.checked(row(), "row")
    hybrid = records.checked(row(pair="restormer-edge", architecture="2 T T T T T T T"), "row")
    one = records.Comparison(
        *(256, 1, "restormer-edge", "denoise", "network", hybrid.architecture),
        *(teacher.architecture, 0.5, 0.4, 0.6, 9, 100.0),
    )
    assert (one.is_of(hybrid), one.is_of(teacher)) == (True, False)
    assert (one.refers_to(hybrid), one.refers_to(teacher)) == (False, True)


def test_a_record_survives_as_plain_values():
    assert asdict(records.checked(row(), "row")) == ROW


def test_a_comparison_has_the_fields_of_its_schema():
    assert [field.name for field in fields(records.Comparison)] == list(records.COMPARED)


@pytest.mark.parametrize("schema", [records.SCHEMA, records.COMPARED], ids=["SCHEMA", "COMPARED"])
def test_the_page_has_the_table_of_the_schema(schema):
    columns = [tables.Column(key, key) for key in ("name", "type", "unit", "meaning")]
    assert tables.markdown(records.schema(schema), columns) in PAGE.read_text("utf-8")


def test_percentiles_that_the_runs_do_not_show_are_null():
    one = records.checked(row(p90_ms=None, p99_ms=None), "row")
    assert (one.p90_ms, one.timing.p50_ms) == (None, 100.0)
    assert math.isnan(one.timing.p99_ms)
    with pytest.raises(ValueError, match="has p50_ms=None; expected a number above 0"):
        records.checked(row(p50_ms=None), "row")
