"""Checks of the paper's own numbers can say yes and no."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ledger_entries import GOPRO, HYBRID, PRINTED_CHECKS, SENSE, TEACHER_ROW, backwards

from ensrepro.claims import (
    printed,
)
from ensrepro.claims.records import Cells, Given, Line
from ensrepro.space import RESTORMER, Space

TIE = Cells(1, (HYBRID, TEACHER_ROW), ("Test100",), ("SSIM",))  # 0.923 both
LATENCIES = ("latency_restormer", "latency_ens_deblurring", "speedup_ens_deblurring")
SURROGATES = tuple(f"surrogates_{stage.name}" for stage in RESTORMER.stages)
AVERAGES = Cells(1, ("MambaIR", TEACHER_ROW), ("Average",), ("PSNR",))


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
