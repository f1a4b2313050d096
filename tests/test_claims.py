"""The ledger of claims: complete, never typed, and each check can say yes and no."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ensrepro
from ensrepro import artifacts, claims, paper
from ensrepro.claims import Status, cells, measured, oddities, printed, records, sources
from ensrepro.claims.records import Cells, Claim, Given
from ensrepro.claims.sources import Cell, NotMeasuredError, Sources
from ensrepro.space import RESTORMER

ROOT = Path(__file__).resolve().parents[1]
PRINTED_CHECKS = printed.CHECKS | oddities.CHECKS
QUOTED = Claim("looks-better", "figure 4", "It looks better.", "sentence", records.QUOTED_ONLY)


def listed(file: str) -> list[Claim]:
    return [claim for section in records.sections(file) for claim in section.claims]


def nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """{"a/b": 1} as {"a": {"b": 1}}."""
    content: dict[str, Any] = {}
    for field, value in fields.items():
        *path, last = field.split("/")
        here = content
        for key in path:
            here = here.setdefault(key, {})
        here[last] = value
    return content


def results(root: Path, files: Mapping[str, Mapping[str, Any]]) -> Sources:
    """Manifests of task `denoise` below `root` with the given fields and nothing else."""
    folder = root / artifacts.RESULTS / "mini" / "denoise"
    folder.mkdir(parents=True)
    for name, fields in files.items():
        (folder / name).write_text(json.dumps(nested(fields)))
    return Sources("mini", root)


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


def test_recomputed_cells_are_all_means_and_all_repetitions() -> None:
    decided = {one.cell for one in cells.verdicts() if one.status not in (None, Status.QUOTED)}
    for where in decided:
        own_row = where.table == 5 and where.method == "Proposed model with FwKD"
        assert where.dataset in ("Average", "Combined") or own_row
    average = wide(1, "PSNR").Average.notna().sum() + wide(1, "SSIM").Average.notna().sum()
    combined = sum(wide(3, m).Combined.notna().sum() for m in ("PSNR", "SSIM", "MAE", "LPIPS"))
    assert len(decided) == average + combined + 6  # three sets, two metrics


def test_speedups_space_and_surrogates_follow_from_the_numbers() -> None:
    by_id = {one.claim.id: one for one in claims.verdicts()}
    for task in ("deblurring", "deraining", "denoising"):
        ratio = paper.scalar("latency_restormer") / paper.scalar(f"latency_ens_{task}")
        assert by_id[f"speedup-{task}"].status is Status.CONSISTENT
        assert by_id[f"speedup-{task}"].ours == f"{ratio:.3f}"
    assert by_id["size-of-the-space"].ours == f"{RESTORMER.n_architectures:,}" == "34,560"
    assert by_id["surrogates-add-up"].ours == str(RESTORMER.n_surrogates) == "22"


# ---- nothing is typed -------------------------------------------------------------------------


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


def test_every_check_is_named_by_a_claim_and_every_claim_names_one() -> None:
    named = {claim.check for file in (claims.CLAIMS, claims.ERRATA) for claim in listed(file)}
    assert named == {records.QUOTED_ONLY, *PRINTED_CHECKS, *measured.CHECKS}
    assert not set(PRINTED_CHECKS) & set(measured.CHECKS)


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
    made = [one for one in claims.verdicts() if one.claim.check in measured.CHECKS]
    decided = [one for one in made if not one.is_pending]
    assert len(decided) >= 20  # the committed results of denoising
    for one in decided:
        assert one.status in (Status.REPRODUCED, Status.CONTRADICTED)
        assert one.facts, one.claim.id
        assert one.page, one.claim.id
        for fact in one.facts:
            content = json.loads((ROOT / fact.file).read_text("utf-8"))
            for key in fact.field.split("/"):
                content = content[key]
            assert content == fact.value


def test_a_status_waits_for_its_result_and_follows_it(tmp_path: Path) -> None:
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "search-beats-random")
    fields = claim.given.fields
    waiting = claims.verdict(claim, "4.5", Sources("mini", tmp_path))
    assert waiting.status is Status.QUOTED
    assert waiting.is_pending
    assert "results/mini/denoise/08_ablations.manifest.json is not there yet" in waiting.evidence
    seen = {}
    for name, values in {"up": ([22.4, 22.6], [22.0, 22.2]), "down": ([22.0], [22.3])}.items():
        files = {claim.given.file: dict(zip(fields, values, strict=True))}
        seen[name] = claims.verdict(claim, "4.5", results(tmp_path / name, files))
    assert seen["up"].status is Status.REPRODUCED
    assert seen["up"].ours == "+0.40 dB"  # 22.5 - 22.1
    assert seen["down"].status is Status.CONTRADICTED
    assert not seen["up"].is_pending
    assert [fact.field for fact in seen["up"].facts] == list(fields)


def test_a_checkout_without_results_has_only_claims_that_wait(tmp_path: Path) -> None:
    made = claims.verdicts("mini", tmp_path)
    counts = claims.summary(made)
    assert counts[Status.REPRODUCED] == counts[Status.CONTRADICTED] == 0
    assert counts[Status.CONSISTENT] > 20
    assert {one.claim.check for one in made if one.is_pending} == set(measured.CHECKS)


# ---- each check can say yes and no ------------------------------------------------------------

PROFILING = "01_profiling.manifest.json"


def profile(*rows: tuple[str, int, float]) -> dict[str, Any]:
    """Costs (block, side, cost), all quantities alike but for latency: 1 ms a block."""
    return {
        "headline/costs": [
            {"block": b, "resolution": s, "macs": c, "peak_memory_mib": c, "p50_ms": 1.0 + c / 1e3}
            for b, s, c in rows
        ]
    }


def latencies(*rows: tuple[str, int, float]) -> dict[str, Any]:
    """Latencies (block, side, ms); MambaIR always has twice Restormer's operations."""
    macs = {"mambair": 2, "restormer": 1}
    return {
        "headline/costs": [
            {"block": b, "resolution": s, "macs": macs[b], "peak_memory_mib": None, "p50_ms": ms}
            for b, s, ms in rows
        ]
    }


def runs(**ratios: list[float]) -> dict[str, Any]:
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


def bench(teacher_ms: float, surrogate_ms: float) -> dict[str, Any]:
    rows = [{"stage": "glue", "choice": 0, "latency_ms": 0.0}]
    for stage in RESTORMER.stages:
        for choice in range(stage.n_choices):
            ms = surrogate_ms if choice else teacher_ms
            rows.append({"stage": stage.name, "choice": choice, "latency_ms": ms})
    return {"result/costs": rows}


ONE = Given(file="a.json", fields=("x",), criterion=0.5)
TWO = Given(file="a.json", fields=("x", "y"), criterion=0.5)
THREE = Given(file="a.json", fields=("x/w", "y/w", "z/w"), criterion=0.25)
BLOCKS = Given(fields=("macs", "mambair", "restormer"))
CHOSEN = {"06_finetune.manifest.json": {"headline/chosen": "2 2 2 2 2 2 2 2"}}
KEPT = {"06_finetune.manifest.json": {"headline/chosen": "T T T T T T T T"}}
SUM_ERROR = {"a.json": {"x": 0.1}}


def tuned(*gains: float) -> dict[str, Any]:
    files: dict[str, Any] = {"05_knee.manifest.json": {"headline/candidates": [*range(len(gains))]}}
    for number, gain in enumerate(gains):
        fields = {"result/before": 20.0, "result/after": 20.0 + gain}
        files[f"hybrid-{number:05d}-s0.json"] = fields
    return files


def knee(drop: float) -> dict[str, Any]:
    """Half way between the penalties of the cheapest (6.4 = 0.4 x 16) and the teacher (44)."""
    at = {"headline/psnr_drop": drop, "headline/penalty": 25.2}
    return {"05_knee.manifest.json": at, "a.json": {"x": 3.0}}


def pool(networks: str) -> dict[str, Any]:
    return {
        "pool.json": {"result/rows": [{}] * 22, "result/digest": "ab"},
        "ens-bench.json": {"identity/networks": networks, "result/n_rows": 34560},
    }


# check -> what it is given, results with which it holds, results with which it does not
BOTH_WAYS: dict[str, tuple[Given, dict[str, Any], dict[str, Any]]] = {
    "at_least": (ONE, {"a.json": {"x": 0.5}}, {"a.json": {"x": 0.49}}),
    "above": (TWO, {"a.json": {"x": [2, 4], "y": 2}}, {"a.json": {"x": 2.5, "y": 2}}),
    "within": (TWO, {"a.json": {"x": 1.5, "y": 2}}, {"a.json": {"x": 1.4, "y": 2}}),
    "several_times": (TWO, {"a.json": {"x": 1, "y": 2}}, {"a.json": {"x": 0.9, "y": 2}}),
    "share_at_most": (ONE, {"a.json": {"x": 17280}}, {"a.json": {"x": 17281}}),
    "gap_closed": (
        THREE,
        {"a.json": {"x/w": 1, "y/w": 9, "z/w": 4}},
        {"a.json": {"x/w": 1, "y/w": 9, "z/w": 3}},
    ),
    "growth": (
        Given(fields=("vanilla",), criterion=2.0),
        {PROFILING: profile(("vanilla", 8, 1), ("vanilla", 16, 16))},
        {PROFILING: profile(("vanilla", 8, 1), ("vanilla", 16, 4))},
    ),
    "cheaper": (
        BLOCKS,
        {PROFILING: profile(("mambair", 8, 1), ("restormer", 8, 2))},
        {PROFILING: profile(("mambair", 8, 2), ("restormer", 8, 2))},
    ),
    "overtakes": (
        Given(fields=("mambair", "restormer")),
        {
            PROFILING: latencies(
                ("mambair", 8, 2), ("restormer", 8, 1), ("mambair", 16, 3), ("restormer", 16, 4)
            )
        },
        {
            PROFILING: latencies(
                ("mambair", 8, 1), ("restormer", 8, 4), ("mambair", 16, 3), ("restormer", 16, 4)
            )
        },
    ),
    "orders_otherwise": (
        BLOCKS,
        {PROFILING: latencies(("mambair", 8, 1), ("restormer", 8, 2))},
        {PROFILING: latencies(("mambair", 8, 2), ("restormer", 8, 1))},
    ),
    "higher_in_every_stage": (
        TWO,
        {"a.json": {"x": {"s": 2}, "y": {"s": 1, "t": 5}}},
        {"a.json": {"x": {"s": 2, "t": 5}, "y": {"s": 1, "t": 5}}},
    ),
    "better_than_nothing": (
        TWO,
        {"a.json": {"x": {"encoder_1": 2}, "y": {"encoder_1 4": 1, "encoder_1 2": 1.9}}},
        {"a.json": {"x": {"encoder_1": 2}, "y": {"encoder_1 4": 1, "encoder_1 2": 2}}},
    ),
    "candidates_gain": (Given(), tuned(0.3, -0.1), tuned(0.1, -0.3)),
    "chosen_is_faster": (
        ONE,
        {**CHOSEN, **SUM_ERROR, "ens-bench.json": bench(10.0, 9.0)},
        {**CHOSEN, **SUM_ERROR, "ens-bench.json": bench(10.0, 9.5)},  # 5 % where 10 % are uncertain
    ),
    "fewer_transformers": (Given(), CHOSEN, KEPT),
    "beats_random": (
        Given(fields=("paper-ehvi", "random")),
        {"study.json": runs(paper_ehvi=[0.9, 0.8, 0.9], random=[0.8, 0.85])},
        {"study.json": runs(paper_ehvi=[0.9, 0.8, 0.8], random=[0.8, 0.85])},
    ),
    "plateau": (ONE, knee(1.4), knee(1.6)),
    "one_pool": (Given(), pool("teacher-ab"), pool("teacher-cd")),
}


def test_every_check_of_a_measurement_is_tried_both_ways() -> None:
    assert set(BOTH_WAYS) == set(measured.CHECKS)


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_a_check_of_a_measurement_can_say_yes_and_no(name: str, tmp_path: Path) -> None:
    given, yes, no = BOTH_WAYS[name]
    check = measured.CHECKS[name]
    for holds, files in ((True, yes), (False, no)):
        finding = check(given, results(tmp_path / str(holds), files))
        assert finding.holds is holds, finding.because
        assert finding.because.endswith(".")
        assert finding.facts
        with pytest.raises(NotMeasuredError):
            check(given, Sources("mini", tmp_path))


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
        Given(cells=(backwards(GOPRO),), criterion=0.16),
        Given(cells=(backwards(GOPRO),), criterion=0.15),
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
    "size_of_space": (
        Given(scalars=SURROGATES),
        Given(scalars=SURROGATES[:-1]),
    ),
    "outer_counts": (
        Given(scalars=("surrogates_refinement", "surrogates_bottleneck", *SURROGATES)),
        Given(scalars=("variants_per_stage_min", "variants_per_stage_max", *SURROGATES)),
    ),
    "blocks_of_stages": (
        Given(scalars=("n_stages",), numbers=(4, 6, 6, 8, 6, 6, 4, 4)),
        Given(scalars=("n_stages",), numbers=(4, 6, 6, 8, 4, 6, 6, 4)),
    ),
    "rounds": tuple(
        Given(scalars=(name,), cells=(Cells(6, (method,), (), ("Latency (ms)",)),))
        for name, method in (("latency_uformer", "Uformer"), ("latency_uformer_hybrid_1", "Arch-1"))
    ),
    "tasks_of_tables": (
        Given(scalars=("n_tasks",), cells=(GOPRO,) * 5),
        Given(scalars=("n_tasks",), cells=(GOPRO,) * 4),
    ),
    "sets_of_table": (
        Given(numbers=(4,), cells=(Cells(2),)),
        Given(numbers=(5,), cells=(Cells(2),)),
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
    "above_column": tuple(
        Given(numbers=(n,), cells=(Cells(4, (), ("SIDD",), ("PSNR",)),), passages=("a work",))
        for n in (40.05, 40.04)
    ),
    "sources_named": (Given(passages=("a work",)), Given()),
}
ONE_WAY = {"fewer_blocks_than_twins", "halves_in_pool", "two_passages"}  # these find a fault


def test_every_check_of_the_paper_is_tried_both_ways_but_for_those_of_a_fault() -> None:
    assert set(PRINTED_BOTH_WAYS) | ONE_WAY == set(PRINTED_CHECKS)


@pytest.mark.parametrize("name", PRINTED_BOTH_WAYS)
def test_a_check_of_the_paper_can_say_yes_and_no(name: str) -> None:
    yes, no = PRINTED_BOTH_WAYS[name]
    check = PRINTED_CHECKS[name]
    assert check(yes).holds
    assert not check(no).holds


def test_half_of_a_stage_of_six_is_no_surrogate_but_all_of_it_is() -> None:
    finding = printed.halves_in_pool(Given(scalars=("equal_blocks_share",)))
    assert not finding.holds
    assert "encoder_2, encoder_3, decoder_3, decoder_2 would need 3" in finding.because
    assert not printed.fewer_blocks_than_twins(Given(scalars=SURROGATES)).holds


def test_a_metric_that_is_to_be_small_is_better_when_it_is_smaller() -> None:
    rectangle = Cells(3, ("OursS", "RestormerS"), ("Outdoor",), ("LPIPS",))  # 0.243, 0.209
    (one,) = printed.compared(rectangle)
    assert float(one.gain) == -0.034


# ---- errata -----------------------------------------------------------------------------------


def test_every_remark_holds() -> None:
    made = claims.errata()
    assert len(made) >= 12
    assert {one.status for one in made} == {Status.CONSISTENT}


def test_a_remark_that_does_not_hold_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    (section, *_) = records.sections(claims.ERRATA)
    bad = replace(section.claims[0], given=Given(cells=(backwards(SENSE),)))
    monkeypatch.setattr(claims, "sections", lambda file: (replace(section, claims=(bad,)),))
    with pytest.raises(
        ValueError, match=r"^erratum random-hybrid-psnr is not what the numbers say"
    ):
        claims.errata()


def subjects() -> set[tuple[int, str, str]]:
    """(table, method, dataset) that the errata page speaks of."""
    made = [one for one in claims.verdicts() if one.status is Status.INCONSISTENT]
    rectangles = [c for one in [*made, *claims.errata()] for c in one.claim.given.cells]
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
    where = results(tmp_path, {"a.json": {}})
    (tmp_path / "results/mini/denoise/a.json").write_text(text)
    kind = NotMeasuredError if text == "[1]" else ValueError
    with pytest.raises(
        kind, match=r"results/mini/denoise/a\.json (is not a manifest|has no field)"
    ):
        where.read("denoise", "a.json", "x")


def test_a_field_that_holds_no_numbers_is_named_with_the_claim(tmp_path: Path) -> None:
    where = results(tmp_path, {"a.json": {"x": "fast"}})
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
