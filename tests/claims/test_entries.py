"""A wrong entry, file, field or cell is refused in a sentence that names it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ledger_entries import ONE, QUOTED
from ledger_results import ANY, results

from ensrepro import claims
from ensrepro.claims import (
    printed,
    records,
    sources,
)
from ensrepro.claims.belonging import NotMeasuredError
from ensrepro.claims.records import Cells
from ensrepro.claims.sources import Cell


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"chek": "better"}, "claims.toml: claim x has the key 'chek'; expected one of id, place"),
        ({"kind": "rumor"}, "claim x has the kind 'rumor'; expected one of number, sentence"),
        ({"cells": [{"methods": ["Ours"]}]}, "claims.toml: claim x has no key 'table'"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(entry: dict[str, Any], message: str) -> None:
    whole = {"id": "x", "place": "p", "text": "t", "kind": "sentence", "check": "better"}
    with pytest.raises(ValueError, match=message):
        records.claim_of(whole | entry, "claims.toml")
    assert records.claim_of(whole, "claims.toml").id == "x"


def test_two_claims_of_one_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"id": "x", "place": "p", "text": "t", "kind": "sentence", "check": "better"}
    content = {"section": [{"title": "one", "claim": [entry, entry]}]}
    monkeypatch.setattr(records, "load", lambda file: content)
    with pytest.raises(ValueError, match="two claims have the id 'x'"):
        records.sections("claims.toml")


@pytest.mark.parametrize("text", ["{", "[1]", '{"x": NaN}'])
def test_a_file_that_is_no_manifest_is_named(text: str, tmp_path: Path) -> None:
    for file in ("study.json", ANY):
        where = results(tmp_path / file, {file: {}})
        (where.root / "results/mini/denoise" / file).write_text(text)
        with pytest.raises(ValueError, match=rf"results/mini/denoise/{file} is not a manifest"):
            where.read("denoise", file, "x")


def test_a_field_that_is_not_there_is_named(tmp_path: Path) -> None:
    where = results(tmp_path, {ANY: {"headline/x": None}})
    for field, what in (("headline/y", "has no field"), ("headline/x", "has nothing in")):
        with pytest.raises(NotMeasuredError, match=f"{ANY} {what} {field}"):
            where.read("denoise", ANY, field)


def test_a_field_that_holds_no_numbers_is_named_with_the_claim(tmp_path: Path) -> None:
    where = results(tmp_path, {ANY: {"headline/x": "fast"}})
    claim = replace(QUOTED, check="at_least", given=ONE)
    with pytest.raises(
        ValueError, match=r"claim looks-better cannot be checked: .*x is 'fast'; exp"
    ):
        claims.verdict(claim, "", where)


def test_a_method_that_is_not_in_the_table_is_named() -> None:
    with pytest.raises(ValueError, match="table 2 has no method 'Restromer'"):
        list(sources.selected(Cells(2, ("Restromer",))))
    with pytest.raises(ValueError, match="table 1 has nothing to compare Fourmer with"):
        printed.compared(Cells(1, ("Fourmer", "MambaIR"), ("Test100",)))


def test_an_empty_cell_has_no_value() -> None:
    with pytest.raises(ValueError, match="table 4 prints no value for MaIR"):
        sources.value(Cell(4, "MaIR", "SenseNoise", "PSNR"))
