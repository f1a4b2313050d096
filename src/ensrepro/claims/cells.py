"""What is known of each cell of the paper's tables, by groups of cells that are decided alike.

A cell that follows from other cells is recomputed; the others are results on real data or numbers
of other works, and only quoted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from ensrepro import paper
from ensrepro.claims.records import QUOTED_ONLY, Cells, Group, Status, groups
from ensrepro.claims.sources import (
    Cell,
    cell,
    half_digit,
    printed_cells,
    selected,
    value,
)

OWN = "Ours"  # the paper's name of its hybrids
WITHIN = ", within the rounding of the cells"  # what is said of a mean whose last digit is off


@dataclass(frozen=True)
class CellVerdict:
    """A cell, the group that decides it, and what it found; no status where nothing is printed."""

    cell: Cell
    group: str
    status: Status | None
    because: str

    @property
    def is_last_digit_off(self) -> bool:
        """Whether the cell is right only because those that it follows from are rounded too."""
        return WITHIN in self.because


def near(expected: Decimal, where: Cell) -> bool:
    """Whether a recomputed value is the printed one, given that all of them were rounded."""
    return abs(expected - value(where)) <= 2 * half_digit(cell(where))


def beside(expected: Decimal, where: Cell) -> str:
    """What is printed, and whether a recomputed value comes out to its last digit."""
    is_off = abs(expected - value(where)) > half_digit(cell(where))
    return f"printed is {cell(where)}{WITHIN if is_off and near(expected, where) else ''}."


def mean_of_sets(where: Cell, group: Group) -> tuple[bool, str]:
    """An average over the test sets that have a value."""
    sets = [
        one
        for one in selected(Cells(where.table, (where.method,), (), (where.metric,)))
        if one.dataset != where.dataset and cell(one)
    ]
    mean = sum(map(value, sets), Decimal(0)) / len(sets)
    sentence = f"({' + '.join(map(cell, sets))}) / {len(sets)} = {mean:.4f}"
    return near(mean, where), f"{sentence}; {beside(mean, where)}"


def weighted_scenes(where: Cell, group: Group) -> tuple[bool, str]:
    """Indoor and outdoor means weighted by their scenes, `numbers` of the group in that order."""
    indoor, outdoor = (where._replace(dataset=name) for name in ("Indoor", "Outdoor"))
    n, m = (Decimal(str(number)) for number in group.numbers)
    mean = (n * value(indoor) + m * value(outdoor)) / (n + m)
    sentence = f"({n} x {cell(indoor)} + {m} x {cell(outdoor)}) / {n + m} = {mean:.4f}"
    return near(mean, where), f"{sentence}; {beside(mean, where)}"


def repeats(where: Cell, group: Group) -> tuple[bool, str]:
    """The value of the paper's hybrid in the table that the same dataset has of its own."""
    same = [
        one
        for one in printed_cells()
        if one[1:] == (OWN, where.dataset, where.metric) and one.table != where.table
    ]
    sentence = f"Table {same[0].table} has {cell(same[0])}, table {where.table} {cell(where)}."
    return value(same[0]) == value(where), sentence


CHECKS: Mapping[str, Callable[[Cell, Group], tuple[bool, str]]] = {
    "mean_of_sets": mean_of_sets,
    "weighted_scenes": weighted_scenes,
    "repeats": repeats,
}


def verdict(where: Cell, group: Group) -> CellVerdict:
    """What one group says of one of its cells."""
    if not cell(where):
        return CellVerdict(where, group.id, None, "Nothing is printed.")
    if group.check == QUOTED_ONLY:
        return CellVerdict(where, group.id, Status.QUOTED, group.needs)
    holds, because = CHECKS[group.check](where, group)
    status = Status.CONSISTENT if holds else Status.INCONSISTENT
    return CellVerdict(where, group.id, status, because)


def verdicts(chosen: Iterable[Group] | None = None) -> tuple[CellVerdict, ...]:
    """Every cell of the six tables, in their order.

    A ValueError names a group without evidence, and a cell that no group or more than one decides.
    """
    found: dict[Cell, CellVerdict] = {}
    for group in groups() if chosen is None else chosen:
        if group.check not in (QUOTED_ONLY, *CHECKS):
            known = ", ".join((QUOTED_ONLY, *CHECKS))
            raise ValueError(f"group {group.id} has the check {group.check!r}; expected {known}")
        if group.check == QUOTED_ONLY and not group.needs.strip():
            raise ValueError(f"group {group.id} has no evidence; expected what would decide it")
        for where in selected(group.cells):
            if where in found:
                both = f"{found[where].group} and {group.id}"
                raise ValueError(f"table {where.table}: {' | '.join(where[1:])} is in {both}")
            found[where] = verdict(where, group)
    for where in printed_cells():
        if where not in found:
            raise ValueError(f"table {where.table}: {' | '.join(where[1:])} is in no group")
    return tuple(found[where] for where in printed_cells())


def of_table(number: int, every: Iterable[CellVerdict]) -> tuple[CellVerdict, ...]:
    """The cells of one table."""
    paper.describe(number)  # refuses what is no table
    return tuple(one for one in every if one.cell.table == number)
