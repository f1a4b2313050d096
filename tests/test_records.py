"""Records: what is refused, with file and field; and that the page says what the schema says."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from device_records import ROW, exchange, row

from ensrepro import records, tables

PAGE = Path(__file__).resolve().parents[1] / "book" / "on_a_phone.md"


def written(path: Path, content: object) -> Path:
    """JSON, in which Python writes NaN as NaN."""
    path.write_text(json.dumps(content))
    return path


def test_the_schema_and_the_record_have_the_same_fields():
    assert [field.name for field in fields(records.Record)] == list(records.SCHEMA) == list(ROW)


def test_what_is_written_is_read(tmp_path: Path):
    own = [records.checked(row(), "row"), records.checked(row(threads=2, drift=None), "row")]
    records.write(tmp_path / "a.json", own)
    assert records.read(tmp_path / "a.json") == own


@pytest.mark.parametrize("name", records.SCHEMA)
def test_a_record_that_lacks_a_field_is_refused_by_file_and_field(name: str, tmp_path: Path):
    lacking = {key: value for key, value in ROW.items() if key != name}
    path = written(tmp_path / "phone.json", exchange(row(), lacking))
    with pytest.raises(ValueError, match=rf"phone.json, record 2, has no '{name}'; expected"):
        records.read(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"p50_ms": 130.0}, "has p50_ms=130.0; expected at most p90_ms=110.0"),
        ({"p90_ms": 121.0}, "has p90_ms=121.0; expected at most p99_ms=120.0"),
        ({"p50_ms": -1.0}, "has p50_ms=-1.0; expected a number above 0"),
        ({"p99_ms": math.nan}, "has p99_ms=nan; expected a number above 0"),
        ({"p99_ms": math.inf}, "has p99_ms=inf; expected a number above 0"),
        ({"p50_ms": 0}, "has p50_ms=0; expected a number above 0"),
        ({"p50_ms": "100"}, "has p50_ms='100'; expected a number above 0"),
        ({"n": 0}, "has n=0; expected a whole number >= 1"),
        ({"n": 2.5}, "has n=2.5; expected a whole number >= 1"),
        ({"n": True}, "has n=True; expected a whole number >= 1"),
        ({"seconds": math.nan}, "has seconds=nan; expected a number above 0"),
        # 20 runs with a median of 100 ms take 1 s at the least
        ({"seconds": 0.9}, "has seconds=0.9; expected at least 0.99"),
        ({"drift": -1.0}, "has drift=-1.0; expected a number above 0"),
        ({"load": -0.1}, "has load=-0.1; expected a number >= 0"),
        ({"threads": 0}, "has threads=0; expected a whole number >= 1"),
        ({"width": None}, "has width=None; expected a whole number >= 1"),
        ({"device": " "}, "has device=' '; expected text"),
        ({"resolution": "256"}, "has resolution='256'; expected as 256x256"),
        ({"resolution": "0x8"}, "has resolution='0x8'; expected as 256x256"),
        ({"source": "hearsay"}, "has source='hearsay'; expected 'measured here' or 'imported'"),
        ({"watts": 3}, "has the unknown field 'watts'; expected device, cpu"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_impossible_value_is_refused_by_file_and_field(changed, message, tmp_path: Path):
    path = written(tmp_path / "phone.json", exchange(row(**changed)))
    with pytest.raises(ValueError, match=r"phone.json, record 1, " + message):
        records.read(path)


@pytest.mark.parametrize("name", [n for n, field in records.SCHEMA.items() if field.may_be_null])
def test_what_a_tool_does_not_tell_may_be_null(name: str):
    assert getattr(records.checked(row(**{name: None}), "row"), name) is None


def test_an_idle_machine_has_the_load_0():
    assert records.checked(row(load=0.0), "row").load == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "phone.json is no JSON"),
        ("[]", "phone.json has the schema None; expected 'ensrepro-latency-1'"),
        ('{"schema": "other", "records": []}', "phone.json has the schema 'other'"),
        ('{"schema": "ensrepro-latency-1", "records": []}', "phone.json has no records"),
        ('{"schema": "ensrepro-latency-1"}', "phone.json has no records"),
        ('{"schema": "ensrepro-latency-1", "records": [3]}', "record 1, is 3; expected an object"),
        ("[" * 10_000, "phone.json is no JSON"),
    ],
    ids=["broken", "a list", "other schema", "empty", "none", "a number", "deep"],
)
def test_a_file_of_something_else_is_refused(content: str, message: str, tmp_path: Path):
    (tmp_path / "phone.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        records.read(tmp_path / "phone.json")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        records.read(tmp_path / "phone.json")


def test_a_record_that_would_be_refused_is_not_written(tmp_path: Path):
    bad = records.Record(**row(n=0))
    with pytest.raises(ValueError, match="n=0"):
        records.write(tmp_path / "a.json", [bad])
    assert list(tmp_path.iterdir()) == []


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


def test_a_record_survives_as_plain_values():
    assert asdict(records.checked(row(), "row")) == ROW


def test_the_page_has_the_table_of_the_schema():
    columns = [tables.Column(key, key) for key in ("name", "type", "unit", "meaning")]
    assert tables.markdown(records.schema(), columns) in PAGE.read_text("utf-8")
