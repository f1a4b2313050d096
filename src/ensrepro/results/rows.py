"""A tidy row: one cell of a table of the paper, what was measured in its place, and from where.

A published value and one measured at our scale are of different kinds: other networks, images and
sizes. They never share a row. An evaluation on the real benchmark by its own protocol is of the
published kind, and only there is a difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ensrepro.tables import Column


class Kind(StrEnum):
    """What a measured value is of."""

    BENCHMARK = "measured on the benchmark"
    APART = "measured on the benchmark, not comparable"
    SCALE = "change at our scale"


@dataclass(frozen=True)
class Source:
    """The file of a measured value, below the repository, and the circumstances it tells."""

    manifest: str
    commit: str
    profile: str
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Printed:
    """A value as the paper prints it, empty for NA; `status` and `because` are the ledger's."""

    text: str
    place: str
    status: str = ""
    because: str = ""

    @property
    def value(self) -> float | None:
        return float(self.text) if self.text else None


@dataclass(frozen=True)
class Measured:
    """A measured value, its range over `n` runs, and where it comes from.

    `unit` tells what a change is in, `note` what is to be known of the value; a change is held
    against the network `against`, of which there were `n_against` runs.
    """

    kind: Kind
    value: float
    low: float
    high: float
    n: int
    source: Source
    unit: str = ""
    note: str = ""
    against: str = ""
    n_against: int = 0

    def __post_init__(self) -> None:
        if not self.source.manifest.strip():
            raise ValueError(
                f"the measured value {self.value:g} has no evidence; expected the file it is from"
            )


@dataclass(frozen=True)
class Row:
    """One cell; `model` is the paper's name in a row with a published value, else ours.

    `stands_for` is the paper's row that a network of ours is the counterpart of; `command` what
    measures the cell on real data, or a change at our scale.
    """

    table: int
    task: str
    benchmark: str
    model: str
    metric: str
    printed: Printed | None = None
    measured: Measured | None = None
    command: str = ""
    stands_for: str = ""

    def __post_init__(self) -> None:
        if self.printed and self.measured and self.measured.kind is not Kind.BENCHMARK:
            raise ValueError(
                f"table {self.table}, {self.model}, {self.benchmark}: a value that was "
                f"{self.measured.kind} stands beside a published one; expected a row of its own"
            )

    @property
    def difference(self) -> float | None:
        """Measured minus published, where both are of one kind and there."""
        if self.printed is None or self.measured is None or self.printed.value is None:
            return None
        return self.measured.value - self.printed.value


FIELDS = tuple(
    Column(name, name)
    for name in (
        *("table", "task", "benchmark", "model", "stands_for", "metric"),
        *("published", "published_in", "status", "because"),
        *("measured", "kind", "unit", "low", "high", "n", "against", "n_against"),
        *("difference", "note"),
        *("manifest", "commit", "profile", "seeds", "command"),
    )
)


def flat(row: Row) -> Mapping[str, Any]:
    """The row as plain values under the keys of FIELDS; what is missing is None."""
    printed, measured = row.printed, row.measured
    source = measured.source if measured else None
    values: dict[str, Any] = dict.fromkeys(field.key for field in FIELDS)
    names = ("table", "task", "benchmark", "model", "stands_for", "metric", "command")
    values |= {name: getattr(row, name) or None for name in names}
    if printed:
        values |= {"published": printed.text or None, "published_in": printed.place}
        values |= {"status": printed.status or None, "because": printed.because or None}
    if measured and source:
        values |= {name: getattr(measured, name) for name in ("kind", "low", "high", "n")}
        values |= {"measured": measured.value, "difference": row.difference}
        names = ("unit", "note", "against", "n_against")
        values |= {name: getattr(measured, name) or None for name in names}
        values |= {name: getattr(source, name) for name in ("manifest", "commit", "profile")}
        values |= {"seeds": " ".join(map(str, source.seeds)) or None}
    return values
