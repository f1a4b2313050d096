"""The ledger of claims as a whole: complete, nothing in it typed, evidence for every entry."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from ledger_entries import QUOTED, RESULT_CHECKS, ROOT, listed
from ledger_results import ablated, results

import ensrepro
from ensrepro import claims, paper
from ensrepro.claims import (
    Sources,
    Status,
    cells,
    counted,
    measured,
    oddities,
    printed,
    reading,
    records,
    sources,
)
from ensrepro.claims.records import Line


def test_every_printed_number_has_something_that_decides_it() -> None:
    covered = claims.coverage()
    assert [one.what for one in covered if not one.by] == []
    n_cells = sum(int(paper.table(number).value.notna().sum()) for number in paper.TABLES)
    assert len(covered) == n_cells + len(paper.scalars())
    assert all(one.printed for one in covered)


def test_every_cell_is_in_one_group_and_empty_ones_have_no_status() -> None:
    every = cells.verdicts()
    assert len({one.cell for one in every}) == len(every)
    assert len(every) == sum(len(paper.table(number)) for number in paper.TABLES)
    empty = sum(int(paper.table(number).value.isna().sum()) for number in paper.TABLES)
    assert sum(one.status is None for one in every) == empty


def test_a_cell_in_two_groups_or_in_none_is_named() -> None:
    groups = records.groups()
    first = "table 1: DerainNet | Test100 | PSNR"
    with pytest.raises(ValueError, match=re.escape(f"{first} is in no group")):
        cells.verdicts(groups[1:])
    twice = replace(groups[0], id="again")
    with pytest.raises(ValueError, match=re.escape(f"{first} is in derain-sets and again")):
        cells.verdicts([*groups, twice])


def test_the_ledger_has_the_numbers_and_the_sentences_of_the_paper() -> None:
    kinds = Counter(claim.kind for claim in listed(claims.CLAIMS))
    assert set(kinds) == {"number", "sentence"}
    assert kinds["sentence"] >= 40
    assert {claim.kind for claim in listed(claims.ERRATA)} == {"remark"}


def typed_values(text: str) -> set[str]:
    """Numbers of the paper in a text; those under four characters may be there by chance."""
    printed = {*sources.printed_cells().values(), *sources.printed_scalars().values()}
    found = re.findall(r"(?<![\w.:|-])\d+(?:\.\d+)?(?![\w|-]|\.\d)", text)
    return {number for number in found if len(number) > 3} & printed


def test_no_status_and_no_value_of_the_paper_stands_in_the_ledger() -> None:
    folder = Path(ensrepro.__file__).with_name(records.FOLDER)
    for path in sorted(folder.glob("*.toml")):
        text = path.read_text("utf-8")
        assert not [status for status in Status if f'"{status}"' in text]
        assert not typed_values(text), path.name
    assert len(list(folder.glob("*.toml"))) == 3


def test_the_check_for_typed_values_sees_one() -> None:
    assert typed_values("It has 40.04 dB in 10119.52 ms.") == {"40.04", "10119.52"}
    assert not typed_values("arXiv:2605.02794 {4|Ours|SIDD|PSNR}")


def test_the_few_numbers_that_are_typed_are_in_no_file_of_the_papers_numbers() -> None:
    entries = [*listed(claims.CLAIMS), *listed(claims.ERRATA)]
    typed = {claim.id: claim.given.numbers for claim in entries if claim.given.numbers}
    # blocks of the stages, a count that the text spells out, and a value of another work
    of_others = {"stronger-baseline", "stronger-baseline-deblurring"}
    assert set(typed) == {"eight-stages", "five-derain-sets"} | of_others
    assert {group.id for group in records.groups() if group.numbers} == {"defocus-combined"}


def test_every_check_is_named_by_a_claim_and_every_claim_names_one() -> None:
    entries = [claim for file in (claims.CLAIMS, claims.ERRATA) for claim in listed(file)]
    named = {check for claim in entries for check, _ in claim.checks}
    tables = [*map(set, (printed.CHECKS, oddities.CHECKS, reading.CHECKS))]
    tables += [*map(set, (measured.CHECKS, counted.CHECKS))]
    assert named == {records.QUOTED_ONLY}.union(*tables)
    assert sum(map(len, tables)) == len(set.union(*tables))


def test_a_check_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="claim looks-better has the check 'guess', which there"):
        claims.verdict(replace(QUOTED, check="guess"), "", Sources("mini", ROOT))


def test_placeholders_take_the_printed_digits() -> None:
    text = sources.filled(
        "{latency_restormer} ms, {1|DerainNet|Average|SSIM}, {4|MaIR|SenseNoise|SSIM}"
    )
    assert text == "10119.52 ms, 0.796, NA"
    with pytest.raises(ValueError, match="text has no number 'latency'"):
        sources.filled("{latency}")
    with pytest.raises(ValueError, match=re.escape("table 2 has no cell Ours | SIDD | PSNR")):
        sources.filled("{2|Ours|SIDD|PSNR}")


def test_a_claim_without_evidence_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match=r"^claim looks-better has no evidence; expected"):
        claims.verdict(QUOTED, "4.2", Sources("mini", ROOT))
    groups = records.groups()
    bare = [replace(groups[0], needs=" "), *groups[1:]]
    with pytest.raises(ValueError, match=r"^group derain-sets has no evidence; expected"):
        cells.verdicts(bare)


def test_every_verdict_on_a_measurement_names_fields_that_hold_what_it_says() -> None:
    made = [one for one in claims.verdicts() if one.claim.check in RESULT_CHECKS]
    decided = [one for one in made if not one.is_pending]
    assert len(decided) >= 20  # the committed results of denoising
    for one in decided:
        counts = one.claim.check in counted.CHECKS
        wanted = {Status.COUNTED} if counts else {Status.REPRODUCED, Status.UNDECIDED}
        assert one.status in wanted | {Status.CONTRADICTED}
        assert one.facts, one.claim.id
        assert one.page, one.claim.id
        for fact in one.facts:
            content = json.loads((ROOT / fact.file).read_text("utf-8"))
            for key in fact.field.split("/"):
                content = content[key]
            assert content == fact.value


def test_a_status_waits_for_its_result_and_follows_it(tmp_path: Path) -> None:
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "search-beats-equal-blocks")
    fields = claim.given.fields
    waiting = claims.verdict(claim, "4.5", Sources("mini", tmp_path))
    assert waiting.status is Status.QUOTED
    assert waiting.is_pending
    assert "results/mini/denoise/08_ablations.manifest.json is not there yet" in waiting.evidence
    seen = {}
    for name, values in {
        "up": [22.0, 22.2],
        "near": [22.3, 22.7],
        "down": [22.5, 22.7],
    }.items():  # the hybrid has 22.4 and 22.6 dB
        files = ablated(equal_blocks=values)
        seen[name] = claims.verdict(claim, "4.5", results(tmp_path / name, files))
    assert seen["up"].status is Status.REPRODUCED
    assert seen["up"].ours == "+0.40 dB"  # 22.5 - 22.1
    assert seen["near"].status is Status.UNDECIDED  # one seed above it, one below
    assert seen["down"].status is Status.CONTRADICTED
    assert not seen["up"].is_pending
    assert [fact.field for fact in seen["up"].facts] == list(fields)


def test_a_checkout_without_results_has_only_claims_that_wait(tmp_path: Path) -> None:
    made = claims.verdicts("mini", tmp_path)
    counts = claims.summary(made)
    assert counts[Status.REPRODUCED] == counts[Status.CONTRADICTED] == 0
    assert counts[Status.UNDECIDED] == counts[Status.COUNTED] == 0
    assert counts[Status.CONSISTENT] > 20
    assert {one.claim.check for one in made if one.is_pending} == set(RESULT_CHECKS)


def as_told(value: float) -> tuple[str, ...]:
    """How a sentence may write a line."""
    return f"{value:g}", f"{value:.0%}", f"{value:.2f}"


def test_every_line_that_we_draw_stands_in_the_evidence() -> None:
    seen = 0
    for one in [*claims.verdicts(), *claims.errata()]:
        every = [given for _, given in one.claim.checks]
        drawn = [given.criterion for given in every if given.criterion is not None]
        drawn += [line.worse for given in every for line in given.lines]
        if one.is_pending:
            continue
        said = re.findall(
            r"(?:[Aa]sked for|costs under|verdict takes)(.*?)(?:;|\.\s|\.$|$)", one.evidence
        )
        words = re.findall(r"-?\d+(?:\.\d+)?%?", " ".join(said))
        for value in drawn:
            assert {*as_told(value)} & {*words}, (one.claim.id, value, one.evidence)
            seen += 1
    assert seen >= 25


def test_one_word_has_one_line_printed_or_measured() -> None:
    every = listed(claims.CLAIMS)
    printed_lines = {line for claim in every for line in claim.given.lines}
    assert printed_lines == {Line("PSNR", 0.2), Line("SSIM", 0.01)}
    measured_lines = {c.given.criterion for c in every if c.check == "above"} - {None}
    assert measured_lines == {-0.2}
    loose = {claim.check for claim in every if claim.given.lines}
    assert loose == {"never_worse"}


def test_the_report_counts_and_lists_every_claim() -> None:
    lines = claims.report().splitlines()
    assert len(lines) == len(Status) + 1 + len(listed(claims.CLAIMS))
    assert sum(int(line.split()[0]) for line in lines[: len(Status)]) == len(listed(claims.CLAIMS))


def test_the_ledger_is_read_without_torch() -> None:
    code = (
        "import sys, ensrepro.claims as c; c.report(); print({'torch', 'numba'} & set(sys.modules))"
    )
    environment = {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
