"""Files of records: what is refused, with file and field; and comparisons that travel along."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from device_records import ROW, exchanged, network, row

from ensrepro import exchange, records
from ensrepro.exchange import Exchange

HYBRID = "2 2 2 2 2 2 2 2"


def written(path: Path, content: object) -> Path:
    """JSON, in which Python writes NaN as NaN."""
    path.write_text(json.dumps(content))
    return path


def test_a_file_holds_records_and_comparisons(tmp_path: Path):
    hybrid = row(pair="restormer-edge", architecture=HYBRID, drift=None)
    one = network("restormer-edge", HYBRID, 9.0, 8.0)
    path = written(tmp_path / "a.json", exchanged(row(), hybrid, comparisons=[one]))
    own = [records.checked(row(), "row"), records.checked(hybrid, "row")]
    assert exchange.read(path) == Exchange(own, [records.Comparison(**one)])


@pytest.mark.parametrize("name", records.SCHEMA)
def test_a_record_that_lacks_a_field_is_refused_by_file_and_field(name: str, tmp_path: Path):
    lacking = {key: value for key, value in ROW.items() if key != name}
    path = written(tmp_path / "phone.json", exchanged(row(), lacking))
    with pytest.raises(ValueError, match=rf"phone.json, record 2, has no '{name}'; expected"):
        exchange.read(path)


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
        # whole numbers that no float can hold, with which every later division would fail
        ({"n": 10**400}, "has n=1000"),
        ({"p99_ms": 10**400}, "has p99_ms=1000"),
        ({"n": 2.5}, "has n=2.5; expected a whole number >= 1"),
        ({"n": True}, "has n=True; expected a whole number >= 1"),
        ({"seconds": math.nan}, "has seconds=nan; expected a number above 0"),
        # 20 runs with a median of 100 ms take 1 s at the least
        ({"seconds": 0.9}, "has seconds=0.9; expected at least 0.99"),
        # the slower runs take their time too
        (
            {"seconds": 0.1, "p50_ms": 9.0, "p90_ms": 110.0, "p99_ms": 120.0},
            "has seconds=0.1; expected at least 0.1089, by p90_ms=110.0",
        ),
        ({"seconds": 2.1, "p99_ms": 1e300}, "has seconds=2.1; expected at least 9.9e.296, by p99"),
        (
            {"n": 3, "seconds": 0.5, "p90_ms": None, "p99_ms": 1000.0},
            "has seconds=0.5; expected at ",
        ),
        # one run is all of them
        ({"n": 1, "seconds": 1e6}, "has seconds=1000000.0; expected 0.1 of a single run"),
        ({"p90_ms": None, "p50_ms": 130.0}, "has p50_ms=130.0; expected at most p99_ms=120.0"),
        ({"n": 10**30, "seconds": 1e30}, "has seconds=1e.30; expected 1e-09 to 1e.09"),
        ({"p50_ms": 1e-9}, "has p50_ms=1e-09; expected 1e-06 to 1e.12"),
        ({"created": "yesterday, perhaps"}, "has created='yesterday, perhaps'; expected ISO 8601"),
        ({"task": "dehaze"}, "has task='dehaze'; expected one of denoise, "),
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
    path = written(tmp_path / "phone.json", exchanged(row(**changed)))
    with pytest.raises(ValueError, match=r"phone.json, record 1, " + message):
        exchange.read(path)


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
        exchange.read(tmp_path / "phone.json")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        exchange.read(tmp_path / "phone.json")


def compared(**changed: object) -> dict[str, object]:
    """A comparison of a hybrid with the network of `ROW`."""
    return network("restormer-edge", HYBRID, 50.0, 100.0) | changed


def test_comparisons_may_be_missing(tmp_path: Path):
    path = written(tmp_path / "page.json", exchanged(row()))
    assert exchange.read(path).comparisons == []


@pytest.mark.parametrize(
    ("comparisons", "message"),
    [
        ({}, "page.json has comparisons={}; expected a list"),
        ([3], "page.json, comparison 1, is 3; expected an object with side, threads"),
        ([{"side": 256}], "page.json, comparison 1, has no 'threads'; expected side"),
        ([compared(watts=3)], "comparison 1, has the unknown field 'watts'; expected side"),
        ([compared(n=0)], "comparison 1, has n=0; expected a whole number >= 1"),
        ([compared(low=0.6)], "comparison 1, has low=0.6; expected at most median=0.5"),
        ([compared(high=math.nan)], "comparison 1, has high=nan; expected a number above 0"),
        ([compared(), compared(side=64)], "comparison 2, is of restormer-edge '2 2 2 2 2 2 2 2'"),
        ([compared(reference="2 T T T T T T T")], "there are 1 and 0 records; expected one of eac"),
        ([compared(threads=2)], "there are 0 and 0 records; expected one of each"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_impossible_comparison_is_refused_by_file_and_field(comparisons, message, tmp_path):
    both = row(), row(pair="restormer-edge", architecture=HYBRID)
    path = written(tmp_path / "page.json", exchanged(*both, comparisons=comparisons))
    with pytest.raises(ValueError, match=message):
        exchange.read(path)


@pytest.mark.parametrize("changed", [{"width": 8}, {"version": "1.21.0"}], ids=str)
def test_a_comparison_across_conditions_or_widths_is_refused(changed, tmp_path: Path):
    hybrid = row(pair="restormer-edge", architecture=HYBRID) | changed
    path = written(tmp_path / "page.json", exchanged(row(), hybrid, comparisons=[compared()]))
    with pytest.raises(ValueError, match="1 and 1 records; expected one of each, under the same"):
        exchange.read(path)


@pytest.mark.parametrize(
    "changed",
    [{"width": 8}, {"version": "1.21.0"}, {"dtype": "float16"}, {"resolution": "256x128"}, {}],
    ids=str,
)
def test_a_comparison_that_may_be_of_two_records_is_refused(changed, tmp_path: Path):
    hybrid = row(pair="restormer-edge", architecture=HYBRID)
    content = exchanged(row(), hybrid, hybrid | changed, comparisons=[compared()])
    path = written(tmp_path / "page.json", content)
    with pytest.raises(
        ValueError, match="of which there are 2 and 1 records; expected one of each"
    ):
        exchange.read(path)
    content = exchanged(row(), row(**changed), hybrid, comparisons=[compared()])
    with pytest.raises(
        ValueError, match="of which there are 1 and 2 records; expected one of each"
    ):
        exchange.read(written(path, content))


def test_a_key_that_nobody_reads_is_refused(tmp_path: Path):
    path = written(tmp_path / "page.json", exchanged(row(), times_as_fast=[1]))
    with pytest.raises(ValueError, match="has the unknown key 'times_as_fast'; expected schema, r"):
        exchange.read(path)
