"""Cells of the paper's tables: what is recomputed, and what comes out otherwise."""

from __future__ import annotations

from math import prod
from typing import Any

from ledger_entries import by_id, pages

from ensrepro import paper
from ensrepro.claims import (
    Status,
    cells,
)
from ensrepro.space import RESTORMER


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
