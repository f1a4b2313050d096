"""The ledger of claims: complete, held to what is uncertain, read from results that fit together.

Each check of numbers can say yes and no, those of uncertain values also that they do not tell. What
a person judged by reading comes out one way only, and is marked.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ledger_results import ANY, SEARCHED, ablated, finetuned, results, searched, uformer

import ensrepro
from ensrepro import artifacts, claims, paper
from ensrepro.claims import (
    Sources,
    Status,
    belonging,
    cells,
    counted,
    measured,
    oddities,
    printed,
    reading,
    records,
    scores,
    sources,
)
from ensrepro.claims.belonging import NotMeasuredError, job, numbered
from ensrepro.claims.doubt import Range, of_difference
from ensrepro.claims.records import Cells, Claim, Given, Line
from ensrepro.claims.sources import Cell
from ensrepro.config import TASKS, UFORMER_PAIR
from ensrepro.figures.distillation import ALIVE_DB
from ensrepro.space import RESTORMER, Space, penalty, sampled
from ensrepro.space import UFORMER as UFORMER_SPACE

ROOT = Path(__file__).resolve().parents[1]
PRINTED_CHECKS = printed.CHECKS | oddities.CHECKS
RESULT_CHECKS = measured.CHECKS | counted.CHECKS
QUOTED = Claim("looks-better", "figure 4", "It looks better.", "sentence", records.QUOTED_ONLY)


def listed(file: str) -> list[Claim]:
    return [claim for section in records.sections(file) for claim in section.claims]


def by_id() -> dict[str, claims.Verdict]:
    return {one.claim.id: one for one in claims.verdicts()}


# ---- every number is covered, once ------------------------------------------------------------


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


# ---- arithmetic, recomputed here from the cells -----------------------------------------------


def wide(number: int, metric: str) -> Any:
    table = paper.table(number)
    return table[table.metric == metric].pivot(index="method", columns="dataset", values="value")


def wrong_by_recomputation() -> set[tuple[int, str, str]]:
    """(table, method, metric) of means that are off by more than rounding explains."""
    wrong = set()
    for metric, digit in (("PSNR", 0.01), ("SSIM", 0.001), ("MAE", 0.001), ("LPIPS", 0.001)):
        if metric in ("PSNR", "SSIM"):
            table = wide(1, metric)
            off = (table.drop(columns="Average").mean(axis=1) - table.Average).abs()
            wrong |= {(1, method, metric) for method in off[off > digit + 1e-9].index}
        table = wide(3, metric)
        off = ((37 * table.Indoor + 39 * table.Outdoor) / 76 - table.Combined).abs()
        wrong |= {(3, method, metric) for method in off[off > digit + 1e-9].index}
    return wrong


def test_the_inconsistent_cells_are_those_that_the_cells_beside_them_contradict() -> None:
    found = {
        (one.cell.table, one.cell.method, one.cell.metric)
        for one in cells.verdicts()
        if one.status is Status.INCONSISTENT
    }
    assert found == wrong_by_recomputation()
    arithmetic = {(o.table, o.method) for o in paper.oddities() if o.kind == "arithmetic"}
    assert {(table, method) for table, method, _ in found} == arithmetic - {(0, "scalars")}


def test_means_that_miss_the_last_digit_are_told_apart_from_those_that_are_wrong() -> None:
    # by hand: the recomputed mean rounds to another last digit, but by no more than its cells may
    off = {
        *((1, "RESCAN", "SSIM"), (1, "PreNet", "PSNR"), (3, "KPACS", "SSIM")),
        *((3, "IFANS", "PSNR"), (3, "RestormerD", "PSNR"), (3, "RestormerD", "SSIM")),
    }
    every = cells.verdicts()
    found = {(o.cell.table, o.cell.method, o.cell.metric) for o in every if o.is_last_digit_off}
    assert found == off
    assert {o.status for o in every if o.is_last_digit_off} == {Status.CONSISTENT}
    assert "last digit off" in pages.LAST_DIGIT
    assert pages.cell_rows()[-1]["off"] == len(off)


def test_recomputed_cells_are_all_means_and_all_repetitions() -> None:
    decided = {one.cell for one in cells.verdicts() if one.status not in (None, Status.QUOTED)}
    for where in decided:
        own_row = where.table == 5 and where.method == "Proposed model with FwKD"
        assert where.dataset in ("Average", "Combined") or own_row
    average = wide(1, "PSNR").Average.notna().sum() + wide(1, "SSIM").Average.notna().sum()
    combined = sum(wide(3, m).Combined.notna().sum() for m in ("PSNR", "SSIM", "MAE", "LPIPS"))
    assert len(decided) == average + combined + 6  # three sets, two metrics


def test_speedups_space_and_surrogates_follow_from_the_numbers() -> None:
    made = by_id()
    for task in ("deblurring", "deraining", "denoising"):
        ratio = paper.scalar("latency_restormer") / paper.scalar(f"latency_ens_{task}")
        assert made[f"speedup-{task}"].status is Status.CONSISTENT
        assert made[f"speedup-{task}"].ours == f"{ratio:.3f}"
    surrogates = [paper.scalar(f"surrogates_{stage.name}") for stage in RESTORMER.stages]
    assert prod(1 + n for n in surrogates) == RESTORMER.n_architectures
    assert made["surrogates-add-up"].ours == str(RESTORMER.n_surrogates) == "22"


def test_a_number_that_is_not_printed_is_not_said_to_be_consistent() -> None:
    one = by_id()["size-of-the-space"]
    assert one.status is Status.QUOTED
    assert not one.is_pending


# ---- what is typed -------------------------------------------------------------------------


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


# ---- evidence ---------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("draws", "status"),
    [
        # 21.90 to 22.66 around 22.28, two standard errors are 0.10: the hybrid's 22.4 and 22.6 dB
        # are above that, though single draws are above the hybrid
        ([21.90 + 0.04 * k for k in range(20)], Status.REPRODUCED),
        ([22.05 + 0.04 * k for k in range(20)], Status.UNDECIDED),  # around 22.43
        ([22.40 + 0.04 * k for k in range(20)], Status.CONTRADICTED),  # around 22.78
        ([21.0] * 19, Status.UNDECIDED),  # one draw too few
    ],
)
def test_random_draws_are_beaten_in_the_mean_and_not_one_and_all(
    draws: list[float], status: Status, tmp_path: Path
) -> None:
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "search-beats-random")
    one = claims.verdict(claim, "4.5", results(tmp_path, ablated(random_hybrids=draws)))
    assert one.status is status, one.evidence
    beaten = sum(draw < 22.5 for draw in draws)
    assert f"It is above {beaten} of {len(draws)} draws." in one.evidence
    assert "seeds;" not in one.evidence


def test_a_verdict_on_random_draws_takes_as_many_as_the_notebook_draws() -> None:
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "search-beats-random")
    text = (ROOT / "notebooks" / "text" / "08_ablations.py").read_text("utf-8")
    (n_draws,) = re.findall(r"(?m)^n_draws = (\d+)", text)
    assert claim.given.criterion == int(n_draws) == 20  # table 5 has one


def test_two_networks_of_several_seeds_are_held_against_each_other_seed_by_seed(
    tmp_path: Path,
) -> None:
    # the committed denoising: seeds lie 0.23 dB apart, and the hybrid is ahead with each of them
    x, y = [22.50, 22.58, 22.73], [22.41, 22.47, 22.58]
    given = replace(TWO, criterion=0.0, beside="headline/t", unit="dB")
    finding = scores.above(given, results(tmp_path, told(x=x, y=y, t=[22.635])))
    assert finding.holds is True
    assert finding.ours == "+0.12 dB"  # (0.09 + 0.11 + 0.15) / 3
    assert "+0.12 dB, +0.09 to +0.15 seed by seed over 3 seeds; asked for more" in finding.because
    beside = "Against t 22.64, which decides nothing: -0.03 dB, -0.25 to +0.21 within the spread"
    assert beside in finding.because  # 22.5 - 22.635 - 0.115 and so on


def test_a_table_and_a_verdict_tell_one_and_the_same_change() -> None:
    told = json.loads((ROOT / "results/mini/denoise/06_finetune.manifest.json").read_text("utf-8"))
    changes = told["headline"]["change"]["teacher, longer"]
    span = f"{min(changes):+.2f} to {max(changes):+.2f} seed by seed over {len(changes)} seeds"
    assert span in by_id()["denoise-above-teacher"].evidence


def test_a_checkout_without_results_has_only_claims_that_wait(tmp_path: Path) -> None:
    made = claims.verdicts("mini", tmp_path)
    counts = claims.summary(made)
    assert counts[Status.REPRODUCED] == counts[Status.CONTRADICTED] == 0
    assert counts[Status.UNDECIDED] == counts[Status.COUNTED] == 0
    assert counts[Status.CONSISTENT] > 20
    assert {one.claim.check for one in made if one.is_pending} == set(RESULT_CHECKS)


# ---- only results that belong together are read ------------------------------------------------

LABEL, OTHER = "T T 4 2 6 T T T", "T T 2 2 2 T T T"


def test_results_that_belong_together_are_read(tmp_path: Path) -> None:
    where = results(tmp_path, finetuned(LABEL))
    assert where.read("denoise", belonging.FINE_TUNING, "headline/chosen").value == LABEL


def edited(name: str, field: str, value: Any) -> dict[str, dict[str, Any]]:
    """A fine-tuning in which one field of one file is another than the rest implies."""
    files = finetuned(LABEL)
    files[name] = files.get(name, {}) | {field: value}
    return files


FIRST = job(RESTORMER.index(numbered(LABEL)), 0)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        # the case that was seen: notebook 5 ran again, notebook 6 did not
        (
            finetuned(LABEL) | searched(RESTORMER.index(numbered(OTHER))),
            f"has chosen {LABEL}, which is not among the candidates of 05_knee.manifest.json",
        ),
        (
            edited(FIRST, "result/test", [{"psnr": 22.41}]),
            f"tells another PSNR of hybrid than {FIRST} holds",
        ),
        (edited("teacher.json", "result/test", [{"psnr": 23.0}]), "tells another PSNR of teacher"),
        (edited(FIRST, "identity/pool", "old"), f"{FIRST} was made with another pool than"),
        (edited(FIRST, "identity/teacher", "old"), "was made with another teacher than is beside"),
        (edited(FIRST, "identity/images", {"test": "old"}), "was made with another images than"),
        (edited(FIRST, "step", "hybrid-00007-s0"), f"{FIRST} is of the step 'hybrid-00007-s0'"),
        (edited("pool.json", "identity/teacher", "old"), "pool.json was made with another teacher"),
        (edited("teacher.json", "identity/task", "derain"), "made with another task than is"),
        (
            edited("pool.json", "provenance/created", "2026-01-03T00:00:00+00:00"),
            "is older than pool.json, which it rests on; run that notebook again",
        ),
        (edited(belonging.FINE_TUNING, "parameters/task", "derain"), "is of another task; run"),
        (edited(belonging.FINE_TUNING, "parameters/profile", "smoke"), "is of another profile"),
        (edited(belonging.FINE_TUNING, "parameters/pair", "restormer-edge"), "is of another pair"),
        (  # the teacher with the same extra steps has seeds as the hybrid has
            edited(belonging.FINE_TUNING, "headline/test/longer", [22.3, 22.2]),
            "hybrid-00000-s1.json is not there yet",
        ),
        (
            edited(belonging.KNEE, "headline/candidates", [7]),
            f"has the candidate 7, which is not on the front of {SEARCHED}",
        ),
        (edited(belonging.KNEE, "headline/psnr_drop", 0.5), "tells another drop than"),
    ],
)
def test_a_result_that_does_not_belong_is_not_measured_yet(
    files: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    where = results(tmp_path, files)
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "denoise-above-teacher")
    one = claims.verdict(claim, "4.4", where)
    assert one.status is Status.QUOTED
    assert one.is_pending
    assert reason in one.evidence


@pytest.mark.parametrize(
    ("file", "good", "bad", "reason"),
    [
        (
            "study.json",
            {"result/runs": []},
            {"identity/table": "old"},
            "study.json was made with another table than is beside it",
        ),
        (
            "ens-bench.json",
            {"result/n_rows": 1},
            {"identity/networks": "old-p"},
            "ens-bench.json was made with another networks than",
        ),
        (
            belonging.SEARCH,
            {"headline/hypervolume": {"exact-ehvi": 7.0}},
            {"headline/hypervolume": {"exact-ehvi": 6.0}},
            f"tells another hypervolume than {SEARCHED} holds",
        ),
        (
            belonging.FIELDS,
            {"headline/spread": {"hybrid": {"encoder_1": 0.9}}},
            {"headline/spread": {"hybrid": {"encoder_2": 0.9}}},
            "shows a hybrid other than the knee of 05_knee.manifest.json",
        ),
        (
            belonging.DISTILLATION,
            {"headline/swap_drops": {"encoder_1 4": 1.0}, "headline/identity_drops": {"e": 2.0}},
            {"headline/swap_drops": {"encoder_1 4": 1.1}},
            "tells other drops than pool.json and teacher.json hold",
        ),
        (
            belonging.LANDSCAPE,
            {"headline/latency_sum_error": 0.2},  # 8 ms where a network takes 10
            {"headline/latency_sum_error": 0.1},
            "tells another error of latencies than ens-bench.json holds",
        ),
    ],
)
def test_each_manifest_is_held_against_what_it_was_made_from(
    file: str, good: dict[str, Any], bad: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    beside = searched(RESTORMER.index(numbered("T 2 2 2 2 2 2 2")))
    beside["hybrid-15313-s0.json"] = {}
    beside["pool.json"] = {
        "result/rows": [{"stage": "encoder_1", "depth": 4, "psnr_drop": 1.0}],
    }
    beside["teacher.json"] = {"result/identity_drops": {"e": 2.0}}
    beside["ens-bench.json"] = {"result/networks": [{"sum_ms": 8.0, "latency_ms": 10.0}]}
    own = {**beside.get(file, {}), **good}
    assert results(tmp_path / "good", beside | {file: own}).content("denoise", file)
    where = results(tmp_path / "bad", beside | {file: own | bad})
    with pytest.raises(NotMeasuredError, match=re.escape(reason)):
        where.content("denoise", file)


DRAWN = job(sampled(RESTORMER, 1, 0)[0], 0)
EQUAL_1 = "ablation-equal-s1.json"


@pytest.mark.parametrize(
    ("name", "field", "value", "reason"),
    [
        (EQUAL_1, "result/test", [{"psnr": 99.0}], f"another PSNR of equal_blocks than {EQUAL_1}"),
        (DRAWN, "result/test", [{"psnr": 99.0}], f"another PSNR of random_hybrids than {DRAWN}"),
        (FIRST, "identity/pool", "old", f"{FIRST} was made with another pool than is beside it"),
        (
            belonging.ABLATIONS,
            "headline/ssim",
            {"reinitialized": [0.22, 0.23]},
            "tells another SSIM of reinitialized than ablation-fresh-",
        ),
        (
            belonging.ABLATIONS,
            "headline/penalty",
            {"chosen": 1.0, "random_hybrids": [1.0] * 20},
            "tells other penalties than its hybrids have",
        ),
        (
            belonging.ABLATIONS,
            "headline/ssim",
            {"reinitialized": [0.22]},
            "tells 1 values of reinitialized; expected 2",
        ),
        (belonging.ABLATIONS, "headline", {"chosen": LABEL}, "tells nothing of 'psnr'"),
        (  # the case that was seen: a notebook of another hybrid, whose arms tell 99 dB
            belonging.ABLATIONS,
            "headline/chosen",
            OTHER,
            f"is of the hybrid {OTHER}, but 06_finetune.manifest.json has chosen {LABEL}",
        ),
        (
            "pool.json",
            "provenance/created",
            "2026-01-03T00:00:00+00:00",
            "is older than pool.json, which it rests on",
        ),
    ],
)
def test_the_ablations_are_held_against_the_networks_of_every_arm(
    name: str, field: str, value: Any, reason: str, tmp_path: Path
) -> None:
    files = ablated()
    assert results(tmp_path / "good", files).content("denoise", belonging.ABLATIONS)
    files[name] = files.get(name, {}) | {field: value}
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "distillation-matters")
    one = claims.verdict(claim, "4.5", results(tmp_path / "bad", files))
    assert one.status is Status.QUOTED
    assert one.is_pending
    assert reason in one.evidence


U_HYBRID = job(UFORMER_SPACE.index(UFORMER_SPACE.labeled("T 2 6 T 2 T T 2 1")), 1)


@pytest.mark.parametrize(
    ("name", "field", "value", "reason"),
    [
        (U_HYBRID, "result/test", [{"psnr": 99.0}], f"another PSNR of hybrid than {U_HYBRID}"),
        (job(0, 1), "result/test", [{"psnr": 99.0}], "PSNR of longer than hybrid-00000-s1.json"),
        ("teacher.json", "result/test", [{"psnr": 99.0}], "another PSNR of teacher than teacher"),
        (
            "teacher.json",
            "result/test",
            [{"psnr": 21.0, "ssim": 0.9}],
            "another SSIM of teacher than teacher.json",
        ),
        ("pool.json", "identity/teacher", "old", "pool.json was made with another teacher than"),
        (
            "pool.json",
            "provenance/created",
            "2026-01-03T00:00:00+00:00",
            "is older than pool.json, which it rests on",
        ),
        (belonging.UFORMER, "headline/chosen", "T " * 8 + "T", "tells another PSNR of hybrid"),
    ],
)
def test_table_6_is_held_against_the_networks_of_its_own_pair(
    name: str, field: str, value: Any, reason: str, tmp_path: Path
) -> None:
    files = uformer()
    where = results(tmp_path / "good", files, UFORMER_PAIR)
    assert where.content("denoise", belonging.UFORMER)
    files[name] = files.get(name, {}) | {field: value}
    where = results(tmp_path / "bad", files, UFORMER_PAIR)
    with pytest.raises(NotMeasuredError, match=re.escape(reason)):
        where.content("denoise", belonging.UFORMER)


def test_table_6_without_its_networks_is_not_measured_yet(tmp_path: Path) -> None:
    where = results(tmp_path, {belonging.UFORMER: uformer()[belonging.UFORMER]}, UFORMER_PAIR)
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "uformer-pair-stays-close")
    one = claims.verdict(claim, "4.5", where)
    assert one.is_pending
    assert "denoise-uformer/hybrid-" in one.evidence


def test_a_notebook_without_a_rule_is_refused(tmp_path: Path) -> None:
    name = "99_new.manifest.json"
    with pytest.raises(ValueError, match=f"no rule says what {name} rests on; expected one of 01"):
        results(tmp_path, {name: {}}).read("denoise", name, "headline/x")


def test_the_committed_results_belong_together() -> None:
    of_notebooks = {
        claim.given.file or f"{claim.page}{belonging.NOTEBOOK}"
        for claim in listed(claims.CLAIMS)
        if claim.check in RESULT_CHECKS
    }
    where, folder = Sources("mini", ROOT), ROOT / "results" / "mini" / "denoise"
    checked = [file for file in belonging.RESTS_ON if (folder / file).exists()]
    assert {file for file in checked if file in of_notebooks} >= {
        belonging.DISTILLATION,
        belonging.FINE_TUNING,
    }
    for file in checked:
        assert where.content("denoise", file)


def test_the_committed_teacher_was_trained_on_the_images_of_this_code() -> None:
    # The ledger compares results with one another only: what the images are made from needs torch.
    from ensrepro.steps.context import open_context

    ctx = replace(open_context("mini", "denoise"), may_compute=False)
    found = Sources("mini", ROOT).content("denoise", belonging.TEACHER_FILE)["identity"]
    for key, value in artifacts.plain(ctx.identity()).items():
        assert found[key] == value, key


# ---- each check can say yes and no, and that it cannot tell ------------------------------------

PROFILING = belonging.PROFILING


def profile(*rows: tuple[str, int, float]) -> dict[str, Any]:
    """MACs and memory (block, side, cost), alike."""
    return {
        "headline/costs": [
            {"block": b, "resolution": s, "macs": c, "peak_memory_mib": c, "p50_ms": None}
            for b, s, c in rows
        ]
    }


def latencies(small: float, large: float, drift: float = 1.25) -> dict[str, Any]:
    """MambaIR's latency over Restormer's at 8 and 16 pixels; it always has twice the MACs."""
    rows = [("mambair", 8, small), ("restormer", 8, 1.0), ("mambair", 16, large)]
    rows.append(("restormer", 16, 1.0))
    macs = {"mambair": 2, "restormer": 1}
    costs = [
        {"block": b, "resolution": s, "macs": macs[b], "peak_memory_mib": None, "p50_ms": ms}
        for b, s, ms in rows
    ]
    return {PROFILING: {"headline/costs": costs, "headline/drift": [1 / drift, 1.0]}}


def runs(**ratios: list[float]) -> dict[str, Any]:
    """A study of runs with 50 proposals, by sampler and final share of the true hypervolume."""
    return {
        "result/runs": [
            {
                "sampler": name.replace("_", "-"),
                "milestones": [{"count": 9, "ratio": 1 - ratio}, {"count": 50, "ratio": ratio}],
            }
            for name, every in ratios.items()
            for ratio in every
        ]
    }


def front_found(*ratios: float, count: int = 500) -> dict[str, Any]:
    """A study of the paper's sampler alone, by share of the true hypervolume."""
    made = [
        {"sampler": "paper-ehvi", "milestones": [{"count": count, "ratio": ratio}]}
        for ratio in ratios
    ]
    return {"study.json": {"result/runs": made}}


def bench(teacher_ms: float, surrogate_ms: float) -> dict[str, Any]:
    rows = [{"stage": "glue", "choice": 0, "latency_ms": 0.0}]
    for stage in RESTORMER.stages:
        for choice in range(stage.n_choices):
            ms = surrogate_ms if choice else teacher_ms
            rows.append({"stage": stage.name, "choice": choice, "latency_ms": ms})
    return {"result/costs": rows}


def told(**values: Any) -> dict[str, Any]:
    """A notebook's manifest with these values: a_b is the field a/b."""
    return {ANY: {f"headline/{name.replace('_', '/')}": value for name, value in values.items()}}


ONE = Given(file=ANY, fields=("headline/x",), criterion=0.5)
TWO = Given(file=ANY, fields=("headline/x", "headline/y"), criterion=0.5)
THREE = Given(
    file=ANY, fields=("headline/x/w", "headline/y/w", "headline/z/w"), criterion=0.25, resolution=1
)
MACS = Given(fields=("mambair", "restormer"))
BLOCKS = Given(fields=("macs", "mambair", "restormer"))
CHOSEN, KEPT = finetuned("2 2 2 2 2 2 2 2"), finetuned("T T T T T T T T")


def timed(teacher_ms: float, surrogate_ms: float) -> dict[str, Any]:
    """A chosen hybrid of surrogates only; sums are wrong by a tenth."""
    return {**CHOSEN, **told(x=0.1), "ens-bench.json": bench(teacher_ms, surrogate_ms)}


TURNS = Given(
    file=ANY, fields=("headline/m", "headline/l", "headline/h", "headline/n"), criterion=10
)


def in_turns(low: float, high: float, rounds: int = 10) -> dict[str, Any]:
    """So many times as long as the reference."""
    return told(m=(low + high) / 2, l=low, h=high, n=rounds)


def tuned(*gains: float) -> dict[str, Any]:
    """Candidates with these gains; the first has a second seed, which gains 0.2 dB."""
    files: dict[str, Any] = searched(*range(1, 1 + len(gains)))
    named = {job(n, 0): gain for n, gain in enumerate(gains, 1)} | {job(1, 1): 0.2}
    for name, gain in named.items():
        files[name] = {"result/before": 20.0, "result/after": 20.0 + gain}
    return files


def knee(drop: float) -> dict[str, Any]:
    """Half way between the penalties of the cheapest (6.4 = 0.4 x 16) and the teacher (44)."""
    files = searched(7, psnr=22.0 - drop)
    files[belonging.KNEE]["headline/penalty"] = 25.2
    return {**files, **told(x=3.0)}


def pool(n_surrogates: int) -> dict[str, Any]:
    rows = [{}] * n_surrogates
    return {"pool.json": {"result/rows": rows}, "ens-bench.json": {"result/n_rows": 34560}}


Files = dict[str, Any]

# check -> what it is given; results with which it holds, does not, and cannot tell
THREE_WAYS: dict[str, tuple[Given, Files, Files, Files]] = {
    "above": (
        TWO,  # asked for more than 0.5
        told(x=[2.9, 3.1], y=[2.1, 2.0]),  # 0.8 and 1.1, seed by seed
        told(x=[2.1, 2.3], y=[2.1, 2.0]),  # 0.0 and 0.3
        told(x=[2.5, 2.7], y=[2.1, 2.0]),  # 0.4 and 0.7
    ),
    "above_draws": (  # asked for 4 draws; those have a mean of 2.0, give or take 0.115
        replace(TWO, criterion=4),  # two standard errors: 2 sqrt(0.04 / 3) / sqrt(4)
        told(x=[2.15, 2.12], y=[1.9, 2.1, 2.1, 1.9]),
        told(x=[1.85, 1.88], y=[1.9, 2.1, 2.1, 1.9]),
        told(x=[2.15, 2.1], y=[1.9, 2.1, 2.1, 1.9]),
    ),
    "several_times": (
        replace(TWO, criterion=2.0, resolution=1),
        told(x=24, y=3),  # at least 23 / 4
        told(x=3, y=3),  # at most 4 / 2
        told(x=6, y=3),  # 5 / 4 to 7 / 2
    ),
    "gap_closed": (
        THREE,  # a quarter of 20 is 5
        told(x_w=0, y_w=20, z_w=7),
        told(x_w=0, y_w=20, z_w=4),
        told(x_w=0, y_w=20, z_w=5),
    ),
    "overtakes": (MACS, latencies(2, 0.7), latencies(2, 1.3), latencies(2, 0.9)),
    "orders_otherwise": (BLOCKS, latencies(2, 0.7), latencies(2, 1.3), latencies(2, 0.9)),
    "higher_in_every_stage": (
        TWO,
        told(x={"s": 2, "t": 6}, y={"s": 1, "t": 5, "u": 5}),
        told(x={"s": 0, "t": 4}, y={"s": 1, "t": 5}),
        told(x={"s": 2, "t": 4}, y={"s": 1, "t": 5}),
    ),
    "candidates_gain": (
        Given(),
        tuned(0.3, 0.1),
        {name: fields for name, fields in tuned(-0.3, -0.1).items() if "-s1" not in name},
        tuned(0.3, -0.1),
    ),
    "chosen_is_faster": (ONE, timed(10.0, 9.0), timed(10.0, 12.0), timed(10.0, 9.5)),
    "takes_less_time": (TURNS, in_turns(0.5, 0.6), in_turns(1.9, 2.1), in_turns(0.9, 1.1)),
    "beats_random": (
        Given(fields=("paper-ehvi", "random")),
        {"study.json": runs(paper_ehvi=[0.9, 0.86], random=[0.8, 0.85])},
        {"study.json": runs(paper_ehvi=[0.7, 0.75], random=[0.8, 0.85])},
        {"study.json": runs(paper_ehvi=[0.9, 0.84], random=[0.8, 0.85])},  # medians: 87 and 82.5 %
    ),
    "finds_front": (
        Given(fields=("paper-ehvi",), scalars=("n_evaluations",), criterion=0.99),
        front_found(0.995, 1.0),
        front_found(0.98, 0.985),
        front_found(0.98, 1.0),
    ),
}
# check -> what it is given; results with which it holds and does not: nothing here is uncertain
BOTH_WAYS: dict[str, tuple[Given, Files, Files]] = {
    "at_least": (ONE, told(x=0.5), told(x=0.49)),
    "share_at_most": (ONE, told(x=17280), told(x=17281)),
    "growth": (
        Given(fields=("vanilla",), criterion=2.0),
        {PROFILING: profile(("vanilla", 8, 1), ("vanilla", 16, 16))},
        {PROFILING: profile(("vanilla", 8, 1), ("vanilla", 16, 4))},
    ),
    "fewer_macs": (
        MACS,
        {PROFILING: profile(("mambair", 8, 1), ("restormer", 8, 2))},
        {PROFILING: profile(("mambair", 8, 2), ("restormer", 8, 2))},
    ),
    "less_memory": (
        MACS,
        {PROFILING: profile(("mambair", 8, 1), ("restormer", 8, 2))},
        {PROFILING: profile(("mambair", 8, 2), ("restormer", 8, 2))},
    ),
    "better_than_nothing": (
        TWO,  # stages that cost under 0.5 dB do not count
        told(
            x={"encoder_1": 2, "bottleneck": 0.4},
            y={"encoder_1 4": 1, "encoder_1 2": 1.9, "bottleneck 2": 0.5},
        ),
        told(x={"encoder_1": 2}, y={"encoder_1 4": 1, "encoder_1 2": 2}),
    ),
    "fewer_transformers": (Given(), CHOSEN, KEPT),
    "alternatives_keep_more": (Given(scalars=("equal_blocks_share",)), CHOSEN, KEPT),
    "plateau": (ONE, knee(1.4), knee(1.6)),
    "one_pool": (Given(), pool(22), pool(21)),
}


def test_every_check_of_results_is_tried_both_ways_or_three() -> None:
    assert {*BOTH_WAYS, *THREE_WAYS} == set(RESULT_CHECKS)
    assert not set(THREE_WAYS) & set(counted.CHECKS)


@pytest.mark.parametrize("name", [*THREE_WAYS, *BOTH_WAYS])
def test_a_check_of_results_can_say_yes_and_no_and_that_it_cannot_tell(
    name: str, tmp_path: Path
) -> None:
    given, *ways = THREE_WAYS[name] if name in THREE_WAYS else BOTH_WAYS[name]
    for holds, files in zip((True, False, None), ways, strict=False):
        finding = RESULT_CHECKS[name](given, results(tmp_path / str(holds), files))
        assert finding.holds is holds, finding.because
        assert finding.because.endswith(".")
        assert finding.facts
        with pytest.raises(NotMeasuredError):
            RESULT_CHECKS[name](given, Sources("mini", tmp_path))


def test_a_few_rounds_in_turns_decide_nothing_however_clear(tmp_path: Path) -> None:
    finding = measured.takes_less_time(TURNS, results(tmp_path, in_turns(0.1, 0.2, rounds=9)))
    assert finding.holds is None
    assert "in 9 rounds, of which a verdict takes 10" in finding.because


def test_a_hybrid_chosen_as_faster_can_be_contradicted_by_its_own_timing(tmp_path: Path) -> None:
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "uformer-pair-is-faster")
    files = uformer(ratio=1.3, low=1.2, high=1.4, rounds=10, sum_ratio=0.9)
    one = claims.verdict(claim, "4.5", results(tmp_path, files, UFORMER_PAIR))
    assert one.status is Status.CONTRADICTED, one.evidence
    assert "both were then timed whole" in one.evidence


def test_a_range_tells_only_if_it_lies_on_one_side() -> None:
    assert Range(1, 2).above(0) is True
    assert Range(-2, 0).above(0) is False  # at most 0 is not above it
    assert Range(-1, 1).above(0) is None
    assert of_difference(Range(1, 2), Range(0, 5)) == (-4, 2)


def test_one_run_each_decides_nothing_unless_the_artifact_has_a_spread(tmp_path: Path) -> None:
    given = replace(TWO, criterion=None)
    files = told(x=2.3, y=2.0, s=[5.0, 5.4])
    where = results(tmp_path, files)
    alone = scores.above(given, where)
    assert alone.holds is None
    assert "one run each" in alone.because
    near = scores.above(replace(given, spread="headline/s"), where)
    assert near.holds is None  # 0.3 apart where seeds spread by 0.4
    files = told(x=2.5, y=2.0, s=[5.0, 5.4])
    far = scores.above(replace(given, spread="headline/s"), results(tmp_path / "far", files))
    assert far.holds is True


@pytest.mark.parametrize(("ratio", "holds"), [(0.74, None), (0.72, True), (1.37, None)])
def test_a_latency_within_the_drift_of_its_series_shows_nothing(
    ratio: float, holds: bool | None, tmp_path: Path
) -> None:
    # series of the committed profile drifted by 1.3706; a block was "faster" by 0.77
    files = latencies(1.6, ratio, drift=1.3706)
    finding = RESULT_CHECKS["overtakes"](MACS, results(tmp_path, files))
    assert finding.holds is holds
    assert "drifted by up to 1.37 times" in finding.because


def test_a_block_that_loses_ground_as_images_grow_does_not_overtake(tmp_path: Path) -> None:
    assert RESULT_CHECKS["overtakes"](MACS, results(tmp_path, latencies(0.2, 0.7))).holds is False


def test_every_claim_on_latency_reads_what_is_uncertain_about_it() -> None:
    by_check = {"overtakes": "headline/drift", "orders_otherwise": "headline/drift"}
    by_check["chosen_is_faster"] = "headline/latency_sum_error"
    seen = set()
    for one in claims.verdicts():
        if one.claim.check in by_check:
            assert by_check[one.claim.check] in {fact.field for fact in one.facts}, one.claim.id
            seen.add(one.claim.check)
    assert seen == set(by_check)


def test_the_paper_is_not_credited_with_the_front_of_another_sampler(tmp_path: Path) -> None:
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "search-finds-the-front")
    files = front_found(0.984, 0.986, count=100)
    files["study.json"]["result/runs"] += [
        {"sampler": "exact-ehvi", "milestones": [{"count": 500, "ratio": 1.0}]}
    ]
    files[belonging.SEARCH] = {"headline/share_of_true": 1.0}
    one = claims.verdict(claim, "3.5", results(tmp_path, files))
    assert one.is_pending
    assert "paper-ehvi made 100 proposals at most" in one.evidence
    assert "the paper 500; after 100 it has 98.5% of the true hypervolume" in one.evidence


def test_what_holds_by_count_or_definition_is_not_said_to_be_reproduced() -> None:
    made = by_id()
    for name in (
        *("attention-is-quadratic", "ssm-is-linear", "restormer-is-linear"),
        *("restormer-fewer-flops-than-attention", "restormer-fewer-flops-than-mamba"),
        *("no-training-in-the-search", "plateau-at-the-knee", "fewer-transformer-blocks"),
    ):
        assert made[name].status is Status.COUNTED, name


def test_what_random_architectures_keep_is_counted_over_all_of_them() -> None:
    every = counted.by_transformers()
    assert every == Counter(int(penalty(one, "transformers")) for one in RESTORMER)
    # a stage keeps its blocks in one of its choices: 4/3 + 6/4 + 6/4 + 8/5 + 6/4 + 6/4 + 4/3 + 4/3
    average = sum(blocks * n for blocks, n in every.items()) / every.total()
    assert average == pytest.approx(11.6)
    one = by_id()["alternatives-overuse-transformers"]
    assert "a random one keeps 11.6 on average" in one.evidence
    assert one.status in (Status.REPRODUCED, Status.CONTRADICTED)


def test_a_receptive_field_says_of_which_stage_it_is() -> None:
    stage = json.loads((ROOT / "results/mini/denoise/02_erf.manifest.json").read_text("utf-8"))
    made = [one for one in by_id().values() if one.claim.id.startswith("erf-")]
    assert len(made) == 3
    for one in made:
        assert one.evidence.startswith(f"In {stage['headline']['stage']} alone: ")
        assert "headline/stage" in {fact.field for fact in one.facts}
        assert "one seed" in one.evidence


def test_a_pair_of_blocks_is_counted_once() -> None:
    entries = listed(claims.CLAIMS)
    pairs = [frozenset(c.given.fields) for c in entries if c.check == "fewer_macs"]
    assert len(set(pairs)) == len(pairs) == 2
    assert not [c.id for c in entries if "headline/macs_ratio" in c.given.fields]


def test_hybrids_are_compared_alike_in_all_tasks_with_the_teacher_trained_as_long() -> None:
    entries = [c for c in listed(claims.CLAIMS) if c.given.file == belonging.FINE_TUNING]
    scored = [c for c in entries if c.check == "above"]
    assert all("headline/test/teacher" not in c.given.fields for c in scored)
    near = {c.given.task: c.given for c in scored if c.given.criterion is not None}
    (uformer,) = (c.given for c in listed(claims.CLAIMS) if c.id == "uformer-pair-stays-close")
    moved = {"file": uformer.file, "task": "denoise"}
    fields = ("headline/psnr/hybrid", "headline/psnr/longer")
    moved |= {"fields": fields, "spread": fields[0], "beside": "headline/psnr/teacher"}
    assert uformer == replace(near["denoise"], **moved)
    over = {c.given.task: c.given for c in scored if c.id.endswith("-above-surrogates")}
    for one in (near, over):
        assert set(one) == set(TASKS)
        assert len({replace(given, task="") for given in one.values()}) == 1
    assert near["derain"].fields == ("headline/test/hybrid", "headline/test/longer")
    assert {c.given.spread for c in scored} == {"headline/test/hybrid"}  # all seeds of the chosen


def test_a_stage_is_idle_for_the_ledger_where_it_is_for_the_notebooks() -> None:
    lines = [c.given.criterion for c in listed(claims.CLAIMS) if c.check == "better_than_nothing"]
    assert lines == [ALIVE_DB]


HYBRID, TEACHER_ROW = "Ours", "Restormer"
GOPRO = Cells(2, (HYBRID, TEACHER_ROW), ("GoPro",), ("PSNR",))  # 33.08 against 32.92
SENSE = Cells(4, (HYBRID, TEACHER_ROW), ("SenseNoise",), ("PSNR", "SSIM"))  # up, down
TIE = Cells(1, (HYBRID, TEACHER_ROW), ("Test100",), ("SSIM",))  # 0.923 both
LATENCIES = ("latency_restormer", "latency_ens_deblurring", "speedup_ens_deblurring")
SURROGATES = tuple(f"surrogates_{stage.name}" for stage in RESTORMER.stages)
AVERAGES = Cells(1, ("MambaIR", TEACHER_ROW), ("Average",), ("PSNR",))


def backwards(one: Cells) -> Cells:
    return replace(one, methods=one.methods[::-1])


def psnr(table: int, method: str, dataset: str) -> Cells:
    return Cells(table, (method,), (dataset,), ("PSNR",))


# check -> what it is given so that it holds, and so that it does not
PRINTED_BOTH_WAYS: dict[str, tuple[Given, Given]] = {
    "better": (Given(cells=(GOPRO,)), Given(cells=(TIE,))),
    "never_worse": (
        Given(cells=(backwards(GOPRO),), lines=(Line("PSNR", 0.16), Line("SSIM", 0.0))),
        Given(cells=(backwards(GOPRO),), lines=(Line("PSNR", 0.15), Line("SSIM", 0.16))),
    ),
    "most_on": tuple(
        Given(cells=(replace(GOPRO, datasets=()),), passages=(name,))
        for name in ("RealBlur-J", "HIDE")
    ),
    "quotient": (
        Given(scalars=LATENCIES),
        Given(scalars=("latency_ens_deblurring", "latency_ens_deraining", "speedup_ens_denoising")),
    ),
    "sums": (
        Given(scalars=("n_surrogates", *SURROGATES)),
        Given(scalars=("n_stages", *SURROGATES)),
    ),
    "outer_counts": (
        Given(scalars=("surrogates_refinement", "surrogates_bottleneck", *SURROGATES)),
        Given(scalars=("variants_per_stage_min", "variants_per_stage_max", *SURROGATES)),
    ),
    "one_for_each_stage": (
        Given(scalars=("n_stages", *SURROGATES), numbers=(4, 6, 6, 8, 6, 6, 4, 4)),
        Given(scalars=("n_stages", *SURROGATES), numbers=(4, 6, 6, 8, 6, 6, 4)),
    ),
    "rounds": tuple(
        Given(scalars=(name,), cells=(Cells(6, (method,), (), ("Latency (ms)",)),))
        for name, method in (("latency_uformer", "Uformer"), ("latency_uformer_hybrid_1", "Arch-1"))
    ),
    "tasks_of_tables": (
        Given(scalars=("n_tasks",)),  # own rows: tables 1, 2 and 4, two of table 3
        Given(scalars=("n_stages",)),
    ),
    "sets_of_table": (
        Given(numbers=(5,), cells=(Cells(1),)),  # six columns, one of them the average
        Given(numbers=(6,), cells=(Cells(1),)),
    ),
    "fewer_sets": (
        Given(cells=(AVERAGES,)),
        Given(cells=(replace(AVERAGES, methods=("MPRNET", TEACHER_ROW)),)),
    ),
    "equal_cells": tuple(
        Given(cells=(Cells(3, ("KBNetS", "RestormerS"), ("Indoor",), (metric,)),))
        for metric in ("SSIM", "LPIPS")
    ),
    "worse": (Given(cells=(backwards(GOPRO),)), Given(cells=(GOPRO,))),
    "differs_at_equal": tuple(
        Given(
            cells=(Cells(2, ("MambaIR(ours)", "SPAIR"), ("HIDE",), ("PSNR", "SSIM")),), criterion=c
        )
        for c in (0.022, 0.023)
    ),
    "opposed": (
        Given(cells=(SENSE,)),
        Given(cells=(replace(TIE, metrics=("PSNR", "SSIM")),)),  # 32.03 and 32.00, a tie
    ),
    "outlier": tuple(
        Given(cells=(Cells(4, ("MIRNet",), ("SenseNoise",), ("PSNR", "SSIM")),), criterion=c)
        for c in (3.43, 3.44)
    ),
    "larger_gain": tuple(
        Given(cells=(replace(GOPRO, datasets=("RealBlur-J", "GoPro")),), criterion=c)
        for c in (7.8, 7.9)  # 1.26 / 0.16 = 7.875
    ),
    "rounds_to_other": tuple(
        Given(cells=(psnr(4, "Uformer", "SIDD"), psnr(6, method, "not stated")))
        for method in ("Uformer", "Arch-1")
    ),
    "far_apart": tuple(
        Given(scalars=("latency_restormer", "latency_uformer"), criterion=c) for c in (15, 16)
    ),
    "below_parent": tuple(
        Given(
            passages=("MambaIR", "MambaIR(ours)"), cells=(Cells(5, (row,), ("GoPro",), ("PSNR",)),)
        )
        for row in ("Hybrid design with Equal blocks", "Randomly designed Hybrid network")
    ),
    "fewer_decimals": tuple(
        Given(cells=(Cells(4, (method,), ("SenseNoise",), ("PSNR",)),))
        for method in ("MIRNet", "Ours")  # 39.3 where the others have two decimals
    ),
    "left_empty": tuple(
        Given(cells=(Cells(3, ("KBNetS",), (name,)),)) for name in ("Combined", "Indoor")
    ),
    "repeats_tables": tuple(
        Given(cells=(Cells(5, (row,), (), ("PSNR",)),))
        for row in ("Proposed model with FwKD", "Proposed model without FwKD")
    ),
    "above_column": tuple(
        Given(numbers=(n,), cells=(Cells(4, (), ("SIDD",), ("PSNR",)),), passages=("a work",))
        for n in (40.05, 40.04)
    ),
}
OF_OUR_SPACE = {"fewer_blocks_than_twins", "halves_in_pool"}  # tried below with another space


def test_every_check_of_the_papers_numbers_is_tried_both_ways() -> None:
    assert set(PRINTED_BOTH_WAYS) | OF_OUR_SPACE == set(PRINTED_CHECKS)


@pytest.mark.parametrize("name", PRINTED_BOTH_WAYS)
def test_a_check_of_the_paper_can_say_yes_and_no(name: str) -> None:
    yes, no = PRINTED_BOTH_WAYS[name]
    check = PRINTED_CHECKS[name]
    assert check(yes).holds
    assert not check(no).holds


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


def with_depths(depths: tuple[int, ...]) -> Space:
    """The space with surrogates of these depths in each of its stages."""
    return replace(RESTORMER, stages=tuple(replace(s, depths=depths) for s in RESTORMER.stages))


def test_half_of_a_stage_of_six_is_no_surrogate_but_would_be_with_three_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = Given(scalars=("equal_blocks_share",))
    finding = printed.halves_in_pool(given)
    assert not finding.holds
    assert "encoder_2, encoder_3, decoder_3, decoder_2 would need 3" in finding.because
    monkeypatch.setattr(printed, "RESTORMER", with_depths((4, 3, 2)))  # halves of 8, 6 and 4
    assert printed.halves_in_pool(given).holds


def test_a_surrogate_with_fewer_blocks_than_its_stage_is_no_twin_of_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = Given(scalars=SURROGATES)
    assert not printed.fewer_blocks_than_twins(given).holds
    monkeypatch.setattr(printed, "RESTORMER", with_depths((8,)))  # as many as the largest stage
    assert printed.fewer_blocks_than_twins(given).holds


def test_a_metric_that_is_to_be_small_is_better_when_it_is_smaller() -> None:
    rectangle = Cells(3, ("OursS", "RestormerS"), ("Outdoor",), ("LPIPS",))  # 0.243, 0.209
    (one,) = printed.compared(rectangle)
    assert float(one.gain) == -0.034


# ---- errata -----------------------------------------------------------------------------------


def test_every_remark_holds() -> None:
    made = claims.errata()
    assert len(made) >= 12
    assert {one.status for one in made} == {Status.CONSISTENT}


# ---- what a person judged ----------------------------------------------------------------------


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


# ---- bad input --------------------------------------------------------------------------------


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


# ---- the pages --------------------------------------------------------------------------------


def load(name: str) -> ModuleType:
    """A module of book/_ext, which is no package."""
    path = ROOT / "book" / "_ext" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = load("claims_pages")


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
