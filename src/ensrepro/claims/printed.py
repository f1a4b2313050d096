"""Checks of claims that the paper's own numbers decide: arithmetic and comparisons of cells.

Each takes what the claim gives and says whether the claim holds, with the arithmetic spelled out.
A *gain* is how much better the first method of a rectangle is than another: above 0 is better,
whether the metric is to be large (PSNR, SSIM) or small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from ensrepro.claims.cells import OWN
from ensrepro.claims.records import Cells, Given
from ensrepro.claims.results import Finding
from ensrepro.claims.sources import (
    Cell,
    cell,
    gain,
    half_digit,
    printed_cells,
    scalar,
    selected,
    value,
)
from ensrepro.space import RESTORMER

AVERAGE = "Average"  # a column that is no test set
SHOWN = 4  # comparisons that a sentence spells out

Check = Callable[[Given], Finding]


class Comparison(NamedTuple):
    """One cell of the first method against the same of another."""

    ours: Cell
    theirs: Cell
    gain: Decimal

    def __str__(self) -> str:
        a, b = cell(self.ours), cell(self.theirs)
        where = f"{self.ours.dataset} {self.ours.metric}"
        return f"{where} {a} for {self.ours.method}, {b} for {self.theirs.method}"


def compared(cells: Cells) -> list[Comparison]:
    """The first method of a rectangle against each other one, where both have a value.

    A rectangle of one method is compared with all others of its table.
    """
    first, *others = cells.methods
    wanted = Cells(cells.table, (), cells.datasets, cells.metrics)
    inside = [where for where in selected(wanted) if cell(where)]
    found = []
    for theirs in inside:
        ours = theirs._replace(method=first)
        if theirs.method != first and (not others or theirs.method in others) and cell(ours):
            better = gain(theirs.metric, value(ours), value(theirs))
            found.append(Comparison(ours, theirs, better))
    if not found:
        raise ValueError(f"table {cells.table} has nothing to compare {first} with")
    return sorted(found, key=lambda one: one.gain)


def all_compared(given: Given) -> list[Comparison]:
    """The comparisons of all rectangles, the worst first."""
    found = [one for cells in given.cells for one in compared(cells)]
    return sorted(found, key=lambda one: one.gain)


def listed(parts: Sequence[object]) -> str:
    """The first few of them, separated by semicolons, and how many more there are."""
    more = len(parts) - SHOWN
    return "; ".join(map(str, parts[:SHOWN])) + (f"; and {more} more" if more > 0 else "")


def closest(every: Sequence[Comparison]) -> list[Comparison]:
    """The comparison with the smallest gain, of each metric."""
    first: dict[str, Comparison] = {}
    for one in sorted(every, key=lambda one: one.gain):
        first.setdefault(one.ours.metric, one)
    return list(first.values())


def judged(every: list[Comparison], wrong: list[Comparison], asked: str = "") -> Finding:
    """Whether nothing goes the wrong way, or what does; `asked` says what was let pass."""
    n = len(every)
    ours = f"{n - len(wrong)} of {n}"
    if not wrong:
        near = "; ".join(map(str, closest(every)))
        return Finding(True, ours, f"So in {ours} comparisons{asked}; the closest: {near}.")
    return Finding(
        False, ours, f"Not so in {len(wrong)} of {n} comparisons{asked}: {listed(wrong)}."
    )


def better(given: Given) -> Finding:
    """The first method is better than each other one; `cells`."""
    every = all_compared(given)
    return judged(every, [one for one in every if one.gain <= 0])


def never_worse(given: Given) -> Finding:
    """The first method is in no metric worse than each other one by more than `lines` say (0)."""
    slack = {line.metric: Decimal(str(line.worse)) for line in given.lines}
    every = all_compared(given)
    wrong = [one for one in every if one.gain < -slack.get(one.ours.metric, Decimal(0))]
    let = " and ".join(f"{most} worse in {metric}" for metric, most in slack.items())
    return judged(every, wrong, f", asked for at most {let}" if let else "")


def most_on(given: Given) -> Finding:
    """The gain over the second method is largest on the dataset of `passages`; `cells`."""
    every = all_compared(given)
    best = every[-1]
    gains = ", ".join(f"{one.ours.dataset} {one.gain:+}" for one in reversed(every))
    return Finding(best.ours.dataset in given.passages, best.ours.dataset, f"Gains: {gains}.")


def quotient(given: Given) -> Finding:
    """The first of three `scalars` over the second is the third, to its last digit."""
    dividend, divisor, result = (scalar(name) for name in given.scalars)
    ratio = Decimal(dividend) / Decimal(divisor)
    holds = abs(ratio - Decimal(result)) <= half_digit(result)
    sentence = f"{dividend} / {divisor} = {ratio:.3f}; printed is {result}."
    return Finding(holds, f"{ratio:.3f}", sentence)


def sums(given: Given) -> Finding:
    """The first of the `scalars` is the sum of the others."""
    total, *parts = (scalar(name) for name in given.scalars)
    found = sum(map(Decimal, parts))
    return Finding(found == Decimal(total), str(found), f"{' + '.join(parts)} = {found}.")


def counted_by_stage(names: Sequence[str]) -> dict[str, int]:
    """The numbers `surrogates_<stage>` of the text, by stage."""
    return {name.removeprefix("surrogates_"): int(scalar(name)) for name in names}


def outer_counts(given: Given) -> Finding:
    """The first two `scalars` are the smallest and the largest of the others."""
    low, high, *parts = (int(scalar(name)) for name in given.scalars)
    found = (min(parts), max(parts))
    ours = f"{found[0]} to {found[1]}"
    sentence = f"The list has {', '.join(map(str, parts))}: {ours}, not {low} to {high}."
    return Finding(found == (low, high), ours, sentence)


def one_for_each_stage(given: Given) -> Finding:
    """There are as many `numbers`, blocks of a stage, as the first scalar says, and other scalars.

    The others are the surrogates of a stage.
    """
    total, *parts = given.scalars
    counts = len(given.numbers), len(parts)
    blocks = ", ".join(f"{number:g}" for number in given.numbers)
    sentence = (
        f"Blocks are listed for {counts[0]} stages ({blocks}), surrogates for {counts[1]}; "
        f"stated are {scalar(total)}."
    )
    holds = set(counts) == {int(scalar(total))}
    return Finding(holds, str(counts[0]), sentence)


def fewer_blocks_than_twins(given: Given) -> Finding:
    """Every surrogate has a block for each of the teacher's; `scalars` are the list."""
    counts = counted_by_stage(given.scalars)
    shorter = [(s, d) for s in RESTORMER.stages for d in s.depths if d < s.n_blocks]
    total = sum(counts.values())
    sentence = f"{len(shorter)} of the {total} surrogates have fewer blocks than their stage"
    if shorter:
        stage, depth = min(shorter, key=lambda pair: pair[1] / pair[0].n_blocks)
        sentence += f", the shortest {depth} for {stage.n_blocks}"
    return Finding(not shorter, f"{total - len(shorter)} of {total}", f"{sentence}.")


def halves_in_pool(given: Given) -> Finding:
    """Half of each stage's blocks is the depth of a surrogate; `scalars` has the share in %."""
    share = Decimal(scalar(given.scalars[0])) / 100
    lacking = [s for s in RESTORMER.stages if s.n_blocks * share not in s.depths]
    n = len(RESTORMER.stages)
    sentence = f"The pool has such a surrogate for {n - len(lacking)} of {n} stages."
    if lacking:
        names, (first, *_) = ", ".join(s.name for s in lacking), lacking
        sentence = (
            f"{names} would need {first.n_blocks * share:.0f} surrogate blocks; the pool has "
            f"{', '.join(map(str, first.depths))}."
        )
    return Finding(not lacking, f"{n - len(lacking)} of {n} stages", sentence)


def rounds(given: Given) -> Finding:
    """Each of the `scalars` is the cell beside it, rounded to its digits; `cells` in that order."""
    wheres = [where for cells in given.cells for where in selected(cells)]
    parts, holds = [], True
    for name, where in zip(given.scalars, wheres, strict=True):
        text, exact = scalar(name), value(where)
        rounded = exact.quantize(Decimal(text))
        holds &= rounded == Decimal(text)
        parts.append(f"{exact} rounds to {rounded}, the text has {text}")
    return Finding(holds, ", ".join(cell(w) for w in wheres), f"{'; '.join(parts)}.")


def tasks_of_tables(given: Given) -> Finding:
    """The paper's own rows of all tables are of as many tasks as the first scalar says.

    A table is of one task, but for rows of a single image and of dual pixels.
    """
    stated = int(scalar(given.scalars[0]))
    own = [where for where in printed_cells() if where.method.startswith(OWN)]
    rows = dict.fromkeys((where.table, where.method) for where in own)
    listing = ", ".join(f"table {table} ({method})" for table, method in rows)
    return Finding(len(rows) == stated, str(len(rows)), f"{listing}: {len(rows)}.")


def sets_of_table(given: Given) -> Finding:
    """The table has as many test sets as `numbers` says, its average not counted; `cells`."""
    sets = dict.fromkeys(where.dataset for where in selected(given.cells[0]))
    sets.pop(AVERAGE, None)
    return Finding(len(sets) == given.numbers[0], str(len(sets)), f"{', '.join(sets)}.")


CHECKS: Mapping[str, Check] = {
    "better": better,
    "never_worse": never_worse,
    "most_on": most_on,
    "quotient": quotient,
    "sums": sums,
    "outer_counts": outer_counts,
    "one_for_each_stage": one_for_each_stage,
    "fewer_blocks_than_twins": fewer_blocks_than_twins,
    "halves_in_pool": halves_in_pool,
    "rounds": rounds,
    "tasks_of_tables": tasks_of_tables,
    "sets_of_table": sets_of_table,
}
