"""Checks of remarks on the paper's numbers: values out of line, values that are not comparable.

A remark is true or it is not printed: each check says whether the numbers bear it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from ensrepro.claims.cells import OWN
from ensrepro.claims.printed import AVERAGE, Check, all_compared, compared, listed
from ensrepro.claims.records import Cells, Given
from ensrepro.claims.results import Finding
from ensrepro.claims.sources import (
    Cell,
    cell,
    half_digit,
    printed_cells,
    scalar,
    selected,
    value,
)


def mean(cells: list[Cell]) -> Decimal:
    """The mean of cells that have a value."""
    return sum(map(value, cells), Decimal(0)) / len(cells)


def fewer_sets(given: Given) -> Finding:
    """The average of the first method is over fewer sets than those of the others; `cells`.

    The averages of all are given over the sets that the first method has.
    """
    (one,) = given.cells
    (metric,) = one.metrics
    every = list(selected(Cells(one.table, one.methods, (), one.metrics)))
    sets = [w.dataset for w in every if w.method == one.methods[0] and cell(w)]
    sets.remove(AVERAGE)
    every_set = {w.dataset for w in every} - {AVERAGE}
    means = {
        method: mean([Cell(one.table, method, name, metric) for name in sets])
        for method in one.methods
    }
    parts = [
        f"{m} {means[m]:.3f} (printed {cell(Cell(one.table, m, AVERAGE, metric))})" for m in means
    ]
    sentence = f"Over {', '.join(sets)}: {', '.join(parts)}."
    holds = len(sets) < len(every_set)
    return Finding(holds, f"{len(sets)} of {len(every_set)} sets", sentence)


def equal_cells(given: Given) -> Finding:
    """The two methods of the rectangle have the same values; `cells`."""
    (one,) = given.cells
    found = compared(one)
    same = [c for c in found if c.gain == 0]
    parts = [f"{c.ours.metric} {cell(c.ours)}" for c in same]
    sentence = f"{one.methods[0]} and {one.methods[1]} both have {', '.join(parts)}."
    return Finding(len(same) == len(found), f"{len(same)} of {len(found)}", sentence)


def worse(given: Given) -> Finding:
    """The first method is worse than the second in every cell; `cells`."""
    every = all_compared(given)
    losses = [one for one in every if one.gain < 0]
    sentence = f"{len(losses)} of {len(every)}: {listed(losses)}."
    return Finding(len(losses) == len(every), f"{len(losses)} of {len(every)}", sentence)


def differs_at_equal(given: Given) -> Finding:
    """The first method equals the second in one metric and is `criterion` worse in the other."""
    (one,) = given.cells
    first, second = one.metrics
    by_metric = {c.ours.metric: c for c in compared(one)}
    holds = by_metric[first].gain == 0 and -by_metric[second].gain >= Decimal(str(given.criterion))
    sentence = (
        f"{by_metric[first]}; {by_metric[second]}. Asked for at least {given.criterion:g} apart."
    )
    return Finding(holds, f"{by_metric[second].gain:+}", sentence)


def opposed(given: Given) -> Finding:
    """Of two metrics, the first method is better in the first and worse in the second; `cells`."""
    (one,) = given.cells
    first, second = one.metrics
    by_metric = {c.ours.metric: c for c in compared(one)}
    holds = by_metric[first].gain > 0 > by_metric[second].gain
    return Finding(holds, "opposed", f"{by_metric[first]}; {by_metric[second]}.")


def outlier(given: Given) -> Finding:
    """The first method is above all in the first metric by `criterion`, and last in the second."""
    (one,) = given.cells
    first, second = (
        compared(Cells(one.table, one.methods, one.datasets, (m,))) for m in one.metrics
    )
    holds = first[0].gain >= Decimal(str(given.criterion)) and second[-1].gain < 0
    sentence = (
        f"{first[0]}, the next highest; {second[-1]}, the next lowest. Asked for at least "
        f"{given.criterion:g} above it."
    )
    return Finding(holds, f"{first[0].gain:+}", sentence)


def larger_gain(given: Given) -> Finding:
    """The gain on the first dataset is over `criterion` times that on the second; `cells`."""
    (one,) = given.cells
    by_set = {c.ours.dataset: c for c in compared(one)}
    far, near = (by_set[name] for name in one.datasets)
    holds = far.gain > Decimal(str(given.criterion)) * near.gain
    gains = f"{far.gain:+} on {far.ours.dataset}, {near.gain:+} on {near.ours.dataset}"
    sentence = f"Over {one.methods[1]}: {gains}; asked for {given.criterion:g} times as much."
    return Finding(holds, f"{far.gain:+}", sentence)


def rounds_to_other(given: Given) -> Finding:
    """The first cell rounds to the second, in the digits of the second; `cells`, one cell each."""
    exact, rough = (next(selected(one)) for one in given.cells)
    holds = abs(value(exact) - value(rough)) <= half_digit(cell(rough))
    sentence = f"{cell(exact)} in table {exact.table}, {cell(rough)} in table {rough.table}."
    return Finding(holds, cell(rough), sentence)


def far_apart(given: Given) -> Finding:
    """The first of two `scalars` is over `criterion` times the second."""
    large, small = (scalar(name) for name in given.scalars)
    ratio = Decimal(large) / Decimal(small)
    sentence = f"{large} / {small} = {ratio:.1f}; asked for {given.criterion:g}."
    return Finding(ratio > Decimal(str(given.criterion)), f"{ratio:.1f}", sentence)


def below_parent(given: Given) -> Finding:
    """A row of the ablation is below pure MambaIR in PSNR, each by more than `criterion` (0).

    `cells` select the row; `passages` are the names of MambaIR in the tables.
    """
    wheres = [where for cells in given.cells for where in selected(cells)]
    parts, holds, line = [], True, Decimal(str(given.criterion or 0))
    for where in wheres:
        (parent,) = (
            one
            for one in printed_cells()
            if one.method in given.passages and one[2:] == where[2:] and one.table != where.table
        )
        holds &= value(parent) - value(where) > line
        parts.append(f"{where.dataset} {cell(where)} against {cell(parent)} (table {parent.table})")
    asked = f"; asked for more than {line} below" if line else ""
    return Finding(holds, f"{len(parts)} sets", f"{'; '.join(parts)} dB{asked}.")


def decimals(where: Cell) -> int:
    """Digits after the point of a printed value."""
    return -int(value(where).as_tuple().exponent)


def fewer_decimals(given: Given) -> Finding:
    """The one method has fewer decimals than every other one of its column; `cells`."""
    (one,) = given.cells
    every = [w for w in selected(Cells(one.table, (), one.datasets, one.metrics)) if cell(w)]
    own = [where for where in every if where.method in one.methods]
    fewest = min(decimals(where) for where in every if where not in own)
    holds = all(decimals(where) < fewest for where in own)
    sentence = f"{', '.join(map(cell, own))} is printed where the others have {fewest} decimals."
    return Finding(holds, ", ".join(map(cell, own)), sentence)


def left_empty(given: Given) -> Finding:
    """Nothing is printed in `cells`."""
    wheres = [where for cells in given.cells for where in selected(cells)]
    n = sum(not cell(where) for where in wheres)
    sets = ", ".join(dict.fromkeys(where.dataset for where in wheres))
    sentence = f"{sets}: {n} of {len(wheres)} cells are empty."
    return Finding(n == len(wheres), f"{n} of {len(wheres)}", sentence)


def repeats_tables(given: Given) -> Finding:
    """Every cell of `cells` is that of the paper's hybrid in the table of its own dataset."""
    wheres = [where for cells in given.cells for where in selected(cells)]
    parts, holds = [], True
    for where in wheres:
        (main,) = (
            one
            for one in printed_cells()
            if one[1:] == (OWN, where.dataset, where.metric) and one.table != where.table
        )
        holds &= value(main) == value(where)
        parts.append(f"{where.dataset} {cell(where)}, {cell(main)} in table {main.table}")
    return Finding(holds, f"{len(parts)} cells", f"{'; '.join(parts)}.")


def above_column(given: Given) -> Finding:
    """A value of another work, `numbers`, is above all in `cells`; `passages` name its source."""
    (one,) = given.cells
    (number,) = given.numbers
    best = max((where for where in selected(one) if cell(where)), key=value)
    sentence = (
        f"{number:.2f} ({', '.join(given.passages)}); the highest here is {cell(best)} "
        f"({best.method})."
    )
    return Finding(Decimal(str(number)) > value(best), f"{number:.2f}", sentence)


CHECKS: Mapping[str, Check] = {
    "fewer_sets": fewer_sets,
    "equal_cells": equal_cells,
    "worse": worse,
    "differs_at_equal": differs_at_equal,
    "opposed": opposed,
    "outlier": outlier,
    "larger_gain": larger_gain,
    "rounds_to_other": rounds_to_other,
    "far_apart": far_apart,
    "below_parent": below_parent,
    "fewer_decimals": fewer_decimals,
    "left_empty": left_empty,
    "repeats_tables": repeats_tables,
    "above_column": above_column,
}
