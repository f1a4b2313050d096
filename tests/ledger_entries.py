"""Entries and checks of the ledger, and made-up ones, as its tests share them."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from ledger_results import ANY

from ensrepro import claims
from ensrepro.claims import (
    counted,
    measured,
    oddities,
    printed,
    records,
)
from ensrepro.claims.records import Cells, Claim, Given

ROOT = Path(__file__).resolve().parents[1]
PRINTED_CHECKS = printed.CHECKS | oddities.CHECKS
RESULT_CHECKS = measured.CHECKS | counted.CHECKS
QUOTED = Claim("looks-better", "figure 4", "It looks better.", "sentence", records.QUOTED_ONLY)


def listed(file: str) -> list[Claim]:
    return [claim for section in records.sections(file) for claim in section.claims]


def by_id() -> dict[str, claims.Verdict]:
    return {one.claim.id: one for one in claims.verdicts()}


def told(**values: Any) -> dict[str, Any]:
    """A notebook's manifest with these values: a_b is the field a/b."""
    return {ANY: {f"headline/{name.replace('_', '/')}": value for name, value in values.items()}}


ONE = Given(file=ANY, fields=("headline/x",), criterion=0.5)
TWO = Given(file=ANY, fields=("headline/x", "headline/y"), criterion=0.5)
Files = dict[str, Any]
HYBRID, TEACHER_ROW = "Ours", "Restormer"
GOPRO = Cells(2, (HYBRID, TEACHER_ROW), ("GoPro",), ("PSNR",))  # 33.08 against 32.92
SENSE = Cells(4, (HYBRID, TEACHER_ROW), ("SenseNoise",), ("PSNR", "SSIM"))  # up, down


def backwards(one: Cells) -> Cells:
    return replace(one, methods=one.methods[::-1])


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
