"""The pages that show the ledger: every section, nothing typed, links that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ledger_entries import ROOT, pages

from ensrepro import claims, paper
from ensrepro.claims import (
    records,
)


@pytest.mark.parametrize(
    ("page", "directive", "file"),
    [("verdict", "claims-verdicts", claims.CLAIMS), ("errata", "claims-errata", claims.ERRATA)],
)
def test_a_page_shows_every_section_of_the_ledger_under_its_title(
    page: str, directive: str, file: str
) -> None:
    text = (ROOT / "book" / f"{page}.md").read_text("utf-8")
    shown = re.findall(rf"(?m)^```\{{{directive}\}} (.+)$", text)
    assert shown == [section.title for section in records.sections(file)]
    for title in shown:
        assert f"## {title}\n" in text


def test_no_number_of_a_page_is_typed() -> None:
    for page in pages.PAGES:
        text = (ROOT / "book" / f"{page}.md").read_text("utf-8")
        assert not re.findall(r"\d+\.\d\d", text)


def test_what_was_measured_in_another_task_links_that_tasks_page(tmp_path: Path) -> None:
    (one,) = (v for v in claims.verdicts() if v.claim.id == "derain-near-teacher")
    for folder, name in (("notebooks", "06_finetune"), ("tasks", "derain_06_finetune")):
        assert "ipynb" not in pages.linked(one, tmp_path)
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.ipynb").touch()
    assert "[derain_06_finetune](tasks/derain_06_finetune.ipynb)" in pages.linked(one, tmp_path)


def test_a_row_links_a_notebook_only_where_the_book_has_it(tmp_path: Path) -> None:
    (one,) = (v for v in claims.verdicts() if v.claim.id == "penalty-is-a-proxy")
    (bare,) = pages.verdict_rows([one], tmp_path)
    assert "ipynb" not in bare["evidence"]
    assert "`11_landscape.manifest.json`: `headline/tau/blocks`" in bare["evidence"]
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "11_landscape.ipynb").touch()
    (full,) = pages.verdict_rows([one], tmp_path)
    assert "[11_landscape](notebooks/11_landscape.ipynb)" in full["evidence"]
    assert full["evidence"].startswith(f"[{one.status}]")


def test_prose_is_shown_as_it_stands() -> None:
    assert pages.literal("a * b_c [x] 1~2") == "a \\* b\\_c \\[x\\] 1\\~2"


def test_the_counts_of_cells_add_up() -> None:
    *tables, total = pages.cell_rows()
    assert [row["printed"] for row in tables] == [
        row["consistent"] + row["inconsistent"] + row["quoted"] for row in tables
    ]
    assert total["printed"] == sum(int(paper.table(n).value.notna().sum()) for n in paper.TABLES)
