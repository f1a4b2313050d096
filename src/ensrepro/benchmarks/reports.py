"""Tables of benchmark results; a partial set and a missing metric say so in the table itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ensrepro import tables
from ensrepro.benchmarks import evaluation
from ensrepro.benchmarks.catalog import BENCHMARKS, DERAINING
from ensrepro.benchmarks.evaluation import Result
from ensrepro.tables import Column

COLUMNS = (
    Column("benchmark", "benchmark"),
    Column("subject", "network"),
    Column("group", "images"),
    Column("count", "number"),
    Column("psnr", "PSNR (dB)", ".2f"),
    Column("ssim", "SSIM", ".3f"),
    Column("mae", "MAE", ".3f"),
    Column("lpips", "LPIPS", ".3f"),
)
SHORT = tuple(column for column in COLUMNS if column.key not in ("mae", "lpips"))


def count(result: Result, n_images: int) -> str:
    """How many images; a partial set says so."""
    if not result.is_partial:
        return str(n_images)
    return f"{n_images} (partial: {result.n_images} of {result.n_expected})"


def rows(results: Sequence[Result]) -> list[Mapping[str, Any]]:
    """A row for each group of each result, and the deraining average of who has all five."""
    found: list[Mapping[str, Any]] = []
    for result in results:
        for group in result.groups:
            values = {"mae": None, "lpips": None, **group}
            named = {"benchmark": result.title, "subject": result.subject}
            found.append(values | named | {"count": count(result, group["n_images"])})
    for subject in dict.fromkeys(result.subject for result in results):
        own = [result for result in results if result.subject == subject]
        if set(DERAINING) <= {result.benchmark for result in own}:
            mean = evaluation.average(own, DERAINING)
            what = "mean of 5 sets" + " (partial)" * mean["is_partial"]
            blank = {"mae": None, "lpips": None, "subject": subject, "group": "all"}
            found.append({**blank, **mean, "count": what})
    return found


def notes(results: Sequence[Result]) -> list[str]:
    """What a reader has to know beside the numbers."""
    lines = []
    for result in results:
        lines += [f"{result.title}: no {what}, {why}" for what, why in result.reasons.items()]
        if result.inference != str(BENCHMARKS[result.benchmark].inference):
            lines.append(f"{result.title}: run on {result.inference}, unlike the protocol")
        if result.is_partial:
            lines.append(
                f"{result.title}: PARTIAL, {result.n_images} of {result.n_expected} images; "
                "not comparable with published numbers"
            )
    return lines


def markdown(results: Sequence[Result]) -> str:
    """The table of some results, with its notes below."""
    wide = any("mae" in group for result in results for group in result.groups)
    table = tables.markdown(rows(results), COLUMNS if wide else SHORT)
    return "\n".join([table, *(["", *notes(results)] if notes(results) else [])])
