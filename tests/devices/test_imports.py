"""Rows of what was imported: which networks have a ratio, and why the others have none."""

from __future__ import annotations

from pathlib import Path

import pytest
from device_records import network, put, shelf_store, taking

from ensrepro.config import PAIRS
from ensrepro.devices import imports, shelf
from ensrepro.exchange import Exchange
from ensrepro.records import Comparison, Record
from ensrepro.space import RESTORMER

DEEP, SHALLOW = "4 6 6 8 6 6 4 4", "2 2 2 2 2 2 2 2"
EDGE = "restormer-edge"
UFORMER = PAIRS["uformer-mambair"]


def standings(*own: Record, compared: tuple[Comparison, ...] = ()) -> dict[str, imports.Standing]:
    """By architecture, of one file."""
    names = imports.Standing._fields
    return {
        row["architecture"]: imports.Standing(*(row[name] for name in names))
        for row in imports.rows([Exchange(list(own), list(compared))])
    }


def test_a_ratio_is_of_medians_where_all_conditions_are_known_to_be_equal():
    found = standings(taking(400.0), taking(100.0, architecture=DEEP))
    assert found["T T T T T T T T"] == (1.0, None, None, imports.REFERENCE)
    assert found[DEEP] == (0.25, None, None, imports.OF_MEDIANS)


@pytest.mark.parametrize(
    ("changed", "basis"),
    [
        ({"threads": None}, "unknown threads"),
        ({"threads": None, "version": "unknown"}, "unknown version, threads"),
        ({"cpu": "unknown", "dtype": "unknown"}, "unknown dtype, cpu"),
    ],
    ids=str,
)
def test_two_networks_with_the_same_unknowns_have_no_ratio(changed, basis):
    found = standings(taking(400.0, **changed), taking(100.0, architecture=DEEP, **changed))
    ratio, low, high, told = found[DEEP]
    assert (ratio, low, high) == (None, None, None)
    assert set(told.replace(",", "").split()) == set(basis.replace(",", "").split())


@pytest.mark.parametrize(
    "changed",
    [{"threads": 4}, {"width": 8}, {"task": "derain"}, {"device": "Pixel 9"}],
    ids=str,
)
def test_a_teacher_of_something_else_is_none(changed):
    found = standings(taking(400.0), taking(100.0, architecture=DEEP, **changed))
    assert found[DEEP] == (None, None, None, imports.NO_TEACHER)


def test_a_pair_has_its_own_teacher():
    # edge hybrids stand beside the first pair's teacher; a Uformer hybrid does not
    other = UFORMER.space.label(UFORMER.space.cheapest)
    found = standings(
        taking(400.0),
        taking(40.0, pair=EDGE, architecture=SHALLOW),
        taking(50.0, pair=UFORMER.name, architecture=other),
    )
    assert found[SHALLOW].ratio == 0.1
    assert found[other].basis == imports.NO_TEACHER


def test_a_ratio_that_was_taken_round_by_round_is_kept():
    one = Comparison(**network(EDGE, SHALLOW, 90.0, 450.0))  # 0.2, from 0.196 to 0.204
    own = taking(450.0), taking(99.0, pair=EDGE, architecture=SHALLOW)  # medians: 0.22
    found = standings(*own, compared=(one,))
    assert found[SHALLOW] == (0.2, pytest.approx(0.196), pytest.approx(0.204), imports.BY_ROUND)


def test_rounds_of_one_network_in_several_files_are_one_row():
    files = [
        Exchange([taking(ms, architecture=label, created=f"2026-11-22T12:0{i}:00+00:00")], [])
        for i in range(3)
        for label, ms in ((RESTORMER.label(RESTORMER.teacher), 400.0), (DEEP, 100.0 + 20 * i))
    ]
    teacher, deep = sorted(imports.rows(files), key=lambda row: -row["ms"])
    assert (teacher["n_files"], deep["n_files"]) == (3, 3)
    assert (deep["ms"], deep["ratio"]) == (120.0, 0.3)


def test_imported_files_of_all_devices_are_found_and_measured_ones_are_not(tmp_path: Path):
    store = shelf_store(tmp_path)
    put(store, "imported-1", [taking(400.0)])
    put(store, "imported-2", [taking(300.0, device="Pixel 9")], device="pixel-9")
    put(store, "networks-256-t1", [taking(5.0, source="measured here")])
    rows = imports.rows(shelf.imported(store))
    assert [(row["device"], row["ms"]) for row in rows] == [("Pixel 8", 400.0), ("Pixel 9", 300.0)]


def test_a_row_names_the_family_of_the_surrogates():
    own = [taking(9.0), taking(8.0, pair=EDGE, architecture=SHALLOW), taking(7.0, pair="a-b")]
    families = {row["ms"]: row["family"] for row in imports.rows([Exchange(own, [])])}
    assert families == {9.0: "teacher", 8.0: "edge", 7.0: "a-b"}


def test_nothing_imported_is_no_row():
    assert imports.rows([]) == []
