"""Evaluations on real benchmarks that `python -m ensrepro evaluate` left on this disk.

A file of a released Restormer goes into the row of that network; what is of any other network gets
a row of its own. So does what is not by the protocol or not of all images. Which network a file is
of its name alone says, since no checksum of the released files is known: the row tells so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ensrepro import artifacts
from ensrepro.benchmarks import evaluation
from ensrepro.benchmarks.catalog import BENCHMARKS, DERAINING
from ensrepro.benchmarks.evaluation import Result
from ensrepro.benchmarks.subjects import RELEASED
from ensrepro.results.places import AVERAGE, COUNTERPARTS, METRICS, Place, place
from ensrepro.results.rows import Kind, Measured, Row, Source

FOLDER = "results/mine/benchmarks"  # where `evaluate` writes unless it is told otherwise
PREFIX = "benchmark-"
UNKNOWN = "no released Restormer by its name, so no row of the paper is known to be this network's"
EVALUATED = "evaluated on the benchmark"  # in the place of the ledger's word on a cell


@dataclass(frozen=True)
class Record:
    """An evaluation on file: its result, where it is, and what its manifest tells of it."""

    result: Result
    source: Source
    subject: str  # the folder, which names the weights
    has_lpips: bool

    @property
    def caveat(self) -> str:
        """Why it cannot stand beside a published number; empty if it can."""
        result, benchmark = self.result, BENCHMARKS[self.result.benchmark]
        if result.is_partial:
            return f"partial: {result.n_images} of {result.n_expected} images"
        if result.inference != str(benchmark.inference):
            return f"run on {result.inference}, unlike the protocol"
        asked = [layout.name for layout in benchmark.layouts if layout.on_request]
        return f"layout {result.layout}" if result.layout in asked else ""

    @property
    def method(self) -> str:
        """The paper's row that the network is; empty if it is none that can be told."""
        task = RELEASED.get(self.result.subject.removesuffix(".pth"))
        is_released = self.source.profile == "released" and task == self.result.task
        return COUNTERPARTS[task].teacher if task and is_released else ""

    @property
    def taken_for(self) -> str:
        """What a row of the paper rests on: the file, and that its name alone tells the network."""
        digest = self.subject.removeprefix(f"{self.result.subject.removesuffix('.pth')}-")
        return f"{self.result.subject}, SHA-256 {digest}..., taken for the released one by its name"


def relative(path: Path, root: Path) -> str:
    """A path below `root` without it; of others the last three parts, which tell no machine."""
    inside = path.relative_to(root).parts if path.is_relative_to(root) else path.parts[-3:]
    return "/".join(inside)


def record(path: Path, root: Path) -> Record:
    """The evaluation in a file; a ValueError names a file that is none."""
    content = artifacts.read_json(path)
    step, identity = content["step"], content["identity"]
    name = str(step).removeprefix(PREFIX)
    if name == step or name not in BENCHMARKS:
        raise ValueError(f"{path} is of the step {step!r}; expected an evaluation on a benchmark")
    result = artifacts.read_manifest(path, step, Result, identity)
    told: dict[str, Any] = content["provenance"]
    source = Source(relative(path, root), str(told.get("commit")), str(told.get("profile")))
    return Record(result, source, path.parent.name, bool(identity.get("has_lpips")))


def records(folder: Path, root: Path) -> list[Record]:
    """One evaluation of each network on each benchmark, in the order of the files.

    The whole set rather than a part, and with LPIPS rather than without.
    """
    best: dict[tuple[str, str], Record] = {}
    for path in sorted(folder.glob("*/*.json")):
        found = record(path, root)
        key = found.subject, found.result.benchmark
        if key not in best or rank(found) > rank(best[key]):
            best[key] = found
    return list(best.values())


def rank(found: Record) -> tuple[bool, int, bool]:
    """Higher for the evaluation to take of several of one network on one benchmark."""
    return not found.result.is_partial, found.result.n_images, found.has_lpips


def measured(found: Record, value: float) -> Measured:
    """A mean of an evaluation, with what is to be said of it."""
    if found.caveat or not found.method:
        note = found.caveat or UNKNOWN
        return Measured(Kind.APART, value, value, value, 1, found.source, note=note)
    return Measured(Kind.BENCHMARK, value, value, value, 1, found.source, note=found.taken_for)


def cells(found: Sequence[Record]) -> Iterator[tuple[Record, Place, dict[str, float | None]]]:
    """Every mean of the records: of each group of images, and of the five deraining sets."""
    for one in found:
        for group in one.result.groups:
            yield one, Place(one.result.task, one.result.benchmark, group["group"]), group
    for subject in dict.fromkeys(one.subject for one in found):
        own = [one for one in found if one.subject == subject]
        if set(DERAINING) <= {one.result.benchmark for one in own}:
            mean = evaluation.average([one.result for one in own], DERAINING)
            caveats = [one for one in own if one.result.benchmark in DERAINING and one.caveat]
            first = next(one for one in own if one.result.benchmark == DERAINING[0])
            yield (caveats or [first])[0], Place(first.result.task, AVERAGE), dict(mean)


def datasets(rows: Iterable[Row]) -> dict[tuple[int, Place], str]:
    """The paper's name of what is measured in a place, by table."""
    return {(row.table, place(row.table, row.model, row.benchmark)): row.benchmark for row in rows}


def own_rows(number: int, rows: Sequence[Row], found: Sequence[Record]) -> list[Row]:
    """Rows of a table for evaluations that no row of the paper can hold."""
    titles, made = datasets(rows), []
    for one, where, means in cells(found):
        if (number, where) not in titles or not (one.caveat or not one.method):
            continue
        for metric, name in METRICS.items():
            if means.get(name) is not None:
                title, value = titles[number, where], measured(one, float(means[name]))
                made.append(Row(number, where.task, title, one.subject, metric, measured=value))
    return made


def compared(row: Row, found: Measured | None) -> Row:
    """A row of the paper with what was measured in its place, which is then the word on the cell."""
    whole = replace(row, measured=found)
    if whole.difference is None or not row.printed:
        return whole
    because = f"Measured {found.value:.4g}, printed {row.printed.text}: {whole.difference:+.2g}."
    return replace(whole, printed=replace(row.printed, status=EVALUATED, because=because))


def filled(rows: Sequence[Row], found: Sequence[Record]) -> list[Row]:
    """The paper's rows with what was measured in their place on the real benchmark.

    A ValueError if two networks claim one row.
    """
    values: dict[tuple[str, Place, str], Measured] = {}
    for one, where, means in cells(found):
        if one.caveat or not one.method:
            continue
        for metric, name in METRICS.items():
            key = one.method, where, metric
            if means.get(name) is None:
                continue
            if key in values:
                both = f"{values[key].source.manifest} and {one.source.manifest}"
                raise ValueError(f"{both} are both of {one.method}; expected one of them")
            values[key] = measured(one, float(means[name]))
    return [
        compared(row, values.get((row.model, where, row.metric)))
        for row in rows
        for where in (place(row.table, row.model, row.benchmark),)
    ]
