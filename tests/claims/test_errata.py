"""Remarks hold or are not printed; what a person judged by reading is marked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ledger_entries import GOPRO, ROOT, SENSE, backwards, pages

from ensrepro import claims, paper
from ensrepro.claims import (
    Sources,
    Status,
    cells,
    reading,
    records,
    sources,
)
from ensrepro.claims.records import Given


def test_every_remark_holds() -> None:
    made = claims.errata()
    assert len(made) >= 12
    assert {one.status for one in made} == {Status.CONSISTENT}


def test_a_judgment_by_reading_comes_out_one_way_and_has_to_name_what_was_read() -> None:
    assert reading.two_passages(Given(passages=("it is so", "it is not"))).holds is False
    assert reading.sources_named(Given(passages=("a work",))).holds is True
    with pytest.raises(ValueError, match="expected two that exclude each other"):
        reading.two_passages(Given(passages=("it is so",)))
    with pytest.raises(ValueError, match="passages are empty; expected the works"):
        reading.sources_named(Given())


def test_what_was_judged_by_reading_is_marked_on_the_pages_and_in_the_report(
    tmp_path: Path,
) -> None:
    made = claims.verdicts()
    read = [one for one in made if one.is_read]
    assert {one.claim.id for one in read} == {"gated-attention", "hardware-aware"}
    rows = pages.verdict_rows(made, tmp_path)
    assert [claims.BY_READING in row["evidence"] for row in rows] == [o.is_read for o in made]
    remarks = claims.errata()
    marked = [claims.BY_READING in pages.finding_row(one)["finding"] for one in remarks]
    assert marked == [one.claim.check == "sources_named" for one in remarks]
    assert sum(marked) == 3
    (row,) = (r for r in pages.summary_rows(made) if "status-inconsistent" in r["status"])
    assert f"2 of them {claims.BY_READING}" in row["meaning"]
    assert claims.report().count(claims.BY_READING) == len(read)


def test_the_pages_say_that_a_person_chose_the_checks() -> None:
    for page in pages.PAGES:
        text = " ".join((ROOT / "book" / f"{page}.md").read_text("utf-8").split())
        assert f"*{claims.BY_READING}*" in text
        assert "Nobody wrote a status down" not in text
        assert "Each line was checked" not in text


def test_a_remark_that_does_not_hold_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    (section, *_) = records.sections(claims.ERRATA)
    bad = replace(section.claims[0], given=Given(cells=(backwards(SENSE),)))
    monkeypatch.setattr(claims, "sections", lambda file: (replace(section, claims=(bad,)),))
    with pytest.raises(
        ValueError, match=r"^erratum random-hybrid-psnr is not what the numbers say"
    ):
        claims.errata()


def test_every_part_of_a_remark_has_to_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [(section, c) for section in records.sections(claims.ERRATA) for c in section.claims]
    both = [(section, claim) for section, claim in every if claim.also]
    assert {claim.id for _, claim in both} >= {
        *("mirnet-sensenoise", "kbnet-repeats-restormer", "defocus-perceptual"),
        *("without-distillation-below-mambair", "derain-gain-in-three-sets"),
    }
    section, claim = both[0]
    made = claims.verdict(claim, section.title, Sources("mini", ROOT))
    whole = [finding.because for finding in claims.findings(claim, Sources("mini", ROOT))]
    assert len(whole) == 2
    assert made.evidence == " ".join(whole)
    wrong = replace(claim.also[0], given=Given(cells=(replace(GOPRO, datasets=("HIDE",)),)))
    bad = replace(section, claims=(replace(claim, also=(replace(wrong, check="worse"),)),))
    monkeypatch.setattr(claims, "sections", lambda file: (bad,))
    with pytest.raises(ValueError, match=f"^erratum {claim.id} is not what the numbers say"):
        claims.errata()


def subjects() -> set[tuple[int, str, str]]:
    """(table, method, dataset) that the errata page speaks of."""
    made = [one for one in claims.verdicts() if one.status is Status.INCONSISTENT]
    every = [given for one in [*made, *claims.errata()] for _, given in one.claim.checks]
    rectangles = [cells for given in every for cells in given.cells]
    found = {(w.table, w.method, w.dataset) for c in rectangles for w in sources.selected(c)}
    wrong = [one.cell for one in cells.verdicts() if one.status is Status.INCONSISTENT]
    return found | {(w.table, w.method, w.dataset) for w in wrong}


def test_every_known_oddity_is_on_the_errata_page() -> None:
    spoken_of = subjects()
    for oddity in paper.oddities():
        if oddity.table != paper.IN_TEXT:
            assert (oddity.table, oddity.method, oddity.dataset) in spoken_of, oddity.finding
    ids = {one.claim.id for one in claims.verdicts() if one.status is Status.INCONSISTENT}
    assert {"variants-per-stage", "uformer-hybrid-latencies-in-text"} <= ids  # those in the text
