"""The paper's numbers as the ledger takes them: cells of its tables, numbers of its text.

A cell is kept as printed, as text: its digits say how far it may be off.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from ensrepro import paper
from ensrepro.claims.records import Cells

HIGHER_IS_BETTER = ("PSNR", "SSIM")
PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


class Cell(NamedTuple):
    """Which cell of which table."""

    table: int
    method: str
    dataset: str
    metric: str


@lru_cache(maxsize=1)
def printed_cells() -> Mapping[Cell, str]:
    """Every cell of every table as printed, the empty ones included."""
    found = {}
    for number in paper.TABLES:
        text = paper.read_text(paper.describe(number)["file"])
        for row in csv.DictReader(text.splitlines()):
            found[Cell(number, row["method"], row["dataset"], row["metric"])] = row["value"]
    return MappingProxyType(found)


@lru_cache(maxsize=1)
def printed_scalars() -> Mapping[str, str]:
    """Every number of the running text as printed, by name."""
    rows = csv.DictReader(paper.read_text("scalars.csv").splitlines())
    return MappingProxyType({row["name"]: row["value"] for row in rows})


def scalar(name: str) -> str:
    """One number of the running text as printed."""
    if name not in printed_scalars():
        raise ValueError(f"the paper's text has no number {name!r}; see paper.scalars()")
    return printed_scalars()[name]


def cell(where: Cell) -> str:
    """One cell as printed, empty if it is NA; a ValueError if there is no such cell."""
    if where not in printed_cells():
        raise ValueError(f"table {where.table} has no cell {' | '.join(where[1:])}")
    return printed_cells()[where]


def value(where: Cell) -> Decimal:
    """One cell as the exact decimal that is printed; a ValueError if it is empty."""
    text = cell(where)
    if not text:
        raise ValueError(f"table {where.table} prints no value for {' | '.join(where[1:])}")
    return Decimal(text)


def selected(cells: Cells) -> Iterator[Cell]:
    """The cells of a rectangle, in the order of the table; a ValueError names one not there."""
    of_table = [where for where in printed_cells() if where.table == cells.table]
    for kind, wanted in (
        ("method", cells.methods),
        ("dataset", cells.datasets),
        ("metric", cells.metrics),
    ):
        known = {getattr(where, kind) for where in of_table}
        if lacking := [name for name in wanted if name not in known]:
            raise ValueError(f"table {cells.table} has no {kind} {lacking[0]!r}")
    for where in of_table:
        inside = (
            (not cells.methods or where.method in cells.methods)
            and (not cells.datasets or where.dataset in cells.datasets)
            and (not cells.metrics or where.metric in cells.metrics)
        )
        if inside:
            yield where


def half_digit(text: str) -> Decimal:
    """Half of the last digit of a printed number: how far it may be from what was rounded."""
    return Decimal(5).scaleb(int(Decimal(text).as_tuple().exponent) - 1)


def gain(metric: str, ours: Decimal, theirs: Decimal) -> Decimal:
    """How much better `ours` is; below 0 if it is worse."""
    return ours - theirs if metric in HIGHER_IS_BETTER else theirs - ours


def looked_up(match: re.Match[str]) -> str:
    """What a placeholder stands for."""
    parts = match[1].split("|")
    if len(parts) == 1:
        return scalar(parts[0])
    return cell(Cell(int(parts[0]), *parts[1:])) or "NA"


def filled(text: str) -> str:
    """Prose with its placeholders replaced by what the paper prints."""
    return PLACEHOLDER.sub(looked_up, text)
