"""A latency with everything it depends on: the record of a device measurement, and its schema.

All that measures writes the same record, whatever the device: `python -m ensrepro measure` here,
the importers of what phones print, the page that measures in a browser. `SCHEMA` is the one place
that says what a record holds, and `COMPARED` what a comparison does, a ratio of two subjects that
took turns. What is read is checked: a field that is missing or unknown, and a time that cannot be,
are refused with the file and the field. Manifests hold lists of both; `exchange` reads and writes
files of them.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from ensrepro import timing
from ensrepro.config import TASKS
from ensrepro.timing import UNKNOWN, Conditions, Timing

MEASURED, IMPORTED = "measured here", "imported"
RANDOM = "random weights"  # what `weights` says of them
NETWORK, GLUE = "network", "glue"
ROUNDING = 0.99  # seconds may be this much below what the percentiles add up to
SHORTEST, LONGEST = 1e-9, 1e9  # seconds that runs can take: a nanosecond, thirty years
RESOLUTION = re.compile(r"[1-9][0-9]*x[1-9][0-9]*")
LARGEST = sys.float_info.max  # JSON has whole numbers beyond it, with which nothing can be computed

TEXT, COUNT, NUMBER = "text", "count", "number"


class Field(NamedTuple):
    """One field of a record: its kind, its unit, what it means, and whether it may be null."""

    kind: str
    unit: str
    meaning: str
    may_be_null: bool = False


SCHEMA = {
    "device": Field(TEXT, "", "the device, in words"),
    "cpu": Field(TEXT, "", "its processor, as the system names it; `unknown` where it does not"),
    "runtime": Field(TEXT, "", "what ran the network; `unknown` where nobody told"),
    "version": Field(TEXT, "", "of the runtime; `unknown` where the tool does not tell"),
    "threads": Field(COUNT, "", "of the runtime; null where the tool does not tell", True),
    "resolution": Field(TEXT, "pixels", "height x width of the whole image, as `256x256`"),
    "dtype": Field(TEXT, "", "of the arithmetic, as `float32`; `unknown` where nobody knows"),
    "pair": Field(TEXT, "", "the pair of families, as `restormer-mambair`"),
    "task": Field(TEXT, "", "which fixes norms and input channels"),
    "part": Field(TEXT, "", "`network`, a stage, `glue`, or `level_1` ... of a single block"),
    "architecture": Field(TEXT, "", "label of the network; choice of the stage; family of a block"),
    "width": Field(COUNT, "", "channels of the network's stem"),
    "weights": Field(TEXT, "", "their digest, or `random weights`: latency hardly depends on them"),
    "p50_ms": Field(NUMBER, "ms", "median over the runs"),
    "p90_ms": Field(NUMBER, "ms", "the same for nine runs of ten; null of too few runs", True),
    "p99_ms": Field(NUMBER, "ms", "the same for 99 runs of 100; null of too few runs", True),
    "n": Field(COUNT, "", "runs that were timed"),
    "seconds": Field(NUMBER, "s", "all of them together"),
    "drift": Field(NUMBER, "", "median of the last tenth of the runs over the first's", True),
    "load": Field(NUMBER, "", "load average of the machine meanwhile", True),
    "peak_memory_mib": Field(NUMBER, "MiB", "most memory the network added to its process", True),
    "source": Field(TEXT, "", f"`{MEASURED}` or `{IMPORTED}`"),
    "created": Field(TEXT, "", "when, ISO 8601"),
}
COMPARED = {
    "side": Field(COUNT, "pixels", "height of the image"),
    "threads": SCHEMA["threads"],
    "pair": SCHEMA["pair"],
    "task": SCHEMA["task"],
    "part": SCHEMA["part"],
    "architecture": SCHEMA["architecture"],
    "reference": Field(TEXT, "", "architecture of what it took turns with, of the same part"),
    "median": Field(NUMBER, "", "times as long as the reference, round by round: the median"),
    "low": Field(NUMBER, "", "the same for one round of ten"),
    "high": Field(NUMBER, "", "the same for nine rounds of ten"),
    "n": Field(COUNT, "", "rounds"),
    "reference_ms": Field(NUMBER, "ms", "median over the reference's runs"),
}


@dataclass(frozen=True)
class Record:
    """One latency; `SCHEMA` says what the fields mean."""

    device: str
    cpu: str
    runtime: str
    version: str
    threads: int | None
    resolution: str
    dtype: str
    pair: str
    task: str
    part: str
    architecture: str
    width: int
    weights: str
    p50_ms: float
    p90_ms: float | None
    p99_ms: float | None
    n: int
    seconds: float
    drift: float | None
    load: float | None
    peak_memory_mib: float | None
    source: str
    created: str

    @property
    def side(self) -> int:
        """Height of the image in pixels."""
        return int(self.resolution.partition("x")[0])

    @property
    def conditions(self) -> Conditions:
        """What must be equal for two records to be compared."""
        cpu = self.cpu if self.device == self.cpu else f"{self.cpu} of {self.device}"
        if not timing.is_known(self.cpu):
            cpu = UNKNOWN
        own = self.resolution, self.dtype, self.threads, self.runtime, self.version
        return Conditions(*own, cpu)

    @property
    def timing(self) -> Timing:
        """The percentiles, under these conditions."""
        drift = math.nan if self.drift is None else self.drift
        p90_ms, p99_ms = (math.nan if ms is None else ms for ms in (self.p90_ms, self.p99_ms))
        percentiles = self.p50_ms, p90_ms, p99_ms
        return Timing(*percentiles, self.n, self.seconds, drift, self.conditions)


@dataclass(frozen=True)
class Comparison:
    """How many times as long a subject takes as the reference of its group, round by round.

    `low` and `high` enclose eight rounds of ten; `reference_ms` is the reference's median there.
    """

    side: int
    threads: int | None
    pair: str
    task: str
    part: str
    architecture: str
    reference: str
    median: float
    low: float
    high: float
    n: int
    reference_ms: float

    def is_of(self, record: Record) -> bool:
        """Whether this is the subject of a record."""
        names = ("side", "threads", "pair", "task", "part", "architecture")
        return all(getattr(self, name) == getattr(record, name) for name in names)

    def refers_to(self, record: Record) -> bool:
        """Whether the reference is that of a record, whose pair may be another."""
        same = all(getattr(self, k) == getattr(record, k) for k in ("side", "threads", "task"))
        return same and (self.part, self.reference) == (record.part, record.architecture)


def ratio(slow: Record, fast: Record) -> float:
    """How many times longer the median run of `slow` takes.

    A ValueError if conditions differ or are unknown, or if it is another part, task or width.
    """
    for name in ("part", "task", "width"):
        ours, theirs = getattr(slow, name), getattr(fast, name)
        if ours != theirs:
            raise ValueError(f"records are of {name} {ours} and {theirs}; expected the same")
    return timing.ratio(slow.timing, fast.timing)


def schema(of: Mapping[str, Field] = SCHEMA) -> list[dict[str, str]]:
    """A row a field: name, type, unit, meaning."""
    return [
        {
            "name": name,
            "type": f"{field.kind} or null" if field.may_be_null else field.kind,
            "unit": field.unit,
            "meaning": field.meaning,
        }
        for name, field in of.items()
    ]


def check_value(where: str, name: str, value: object, field: Field) -> None:
    """A ValueError if a field cannot have this value."""
    if value is None and field.may_be_null:
        return
    if field.kind == TEXT:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{where} has {name}={value!r}; expected text")
        return
    kinds = int if field.kind == COUNT else (int, float)
    what = "a whole number >= 1" if field.kind == COUNT else "a number above 0"
    positive = isinstance(value, kinds) and not isinstance(value, bool) and 0 < value <= LARGEST
    if name == "load":  # an idle machine has 0
        what, positive = "a number >= 0", positive or value == 0
    if not positive:
        raise ValueError(f"{where} has {name}={value!r}; expected {what}")


def check_fields(where: str, row: object, schema: Mapping[str, Field]) -> Mapping[str, Any]:
    """What was read, if it is an object with these fields and values that they can have."""
    names = ", ".join(schema)
    if not isinstance(row, Mapping):
        raise ValueError(f"{where} is {row!r}; expected an object with {names}")
    for name in schema:
        if name not in row:
            raise ValueError(f"{where} has no {name!r}; expected {names}")
    for name in row:
        if name not in schema:
            raise ValueError(f"{where} has the unknown field {name!r}; expected {names}")
    for name, field in schema.items():
        check_value(where, name, row[name], field)
    return row


def check_rising(where: str, row: Mapping[str, Any], *names: str) -> None:
    """A ValueError if the values of these fields fall; those that are null are left out."""
    known = [(name, row[name]) for name in names if row[name] is not None]
    for (lower, low), (upper, high) in pairwise(known):
        if low > high:
            raise ValueError(f"{where} has {lower}={low!r}; expected at most {upper}={high!r}")


def check_seconds(where: str, row: Mapping[str, Any]) -> None:
    """A ValueError if all runs together take less than their percentiles say, or one run more."""
    seconds, n, only = row["seconds"], row["n"], row["p50_ms"] / 1e3
    for name, runs in (("p50_ms", max(1, n / 2)), ("p90_ms", 1), ("p99_ms", 1)):
        least = ROUNDING * runs * (row[name] or 0.0) / 1e3
        if seconds < least:
            raise ValueError(
                f"{where} has seconds={seconds!r}; expected at least {least:.4g}, by {name}="
                f"{row[name]!r} and n={n}"
            )
    if n == 1 and ROUNDING * seconds > only:
        raise ValueError(f"{where} has seconds={seconds!r}; expected {only:.4g} of a single run")


def check_times(where: str, row: Mapping[str, Any]) -> None:
    """A ValueError if the times of a record are no times of runs, or contradict each other."""
    for name, unit in (("p50_ms", 1e-3), ("seconds", 1.0)):
        low, high = SHORTEST / unit, LONGEST / unit
        if not low <= row[name] <= high:
            raise ValueError(f"{where} has {name}={row[name]!r}; expected {low:g} to {high:g}")
    check_rising(where, row, "p50_ms", "p90_ms", "p99_ms")
    check_seconds(where, row)


def check_created(where: str, created: str) -> None:
    """A ValueError if this is no moment."""
    try:
        datetime.fromisoformat(created)
    except ValueError:
        raise ValueError(
            f"{where} has created={created!r}; expected ISO 8601, as 2026-11-22T12:00:00+00:00"
        ) from None


def checked(row: object, where: str) -> Record:
    """A record of what was read; `where` begins the sentence that refuses it."""
    own = check_fields(where, row, SCHEMA)
    if not RESOLUTION.fullmatch(own["resolution"]):
        raise ValueError(f"{where} has resolution={own['resolution']!r}; expected as 256x256")
    if own["source"] not in (MEASURED, IMPORTED):
        raise ValueError(
            f"{where} has source={own['source']!r}; expected {MEASURED!r} or {IMPORTED!r}"
        )
    if own["task"] not in TASKS:
        raise ValueError(f"{where} has task={own['task']!r}; expected one of {', '.join(TASKS)}")
    check_created(where, own["created"])
    check_times(where, own)
    return Record(**own)


def all_checked(rows: object, path: Path) -> list[Record]:
    """The records of a list that was read from `path`."""
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path} has no records; expected a list of at least one")
    return [checked(row, f"{path}, record {i},") for i, row in enumerate(rows, 1)]


def all_compared(rows: object, path: Path) -> list[Comparison]:
    """The comparisons of a list that was read from `path`."""
    if not isinstance(rows, list):
        raise ValueError(f"{path} has comparisons={rows!r}; expected a list")
    for i, row in enumerate(rows, 1):
        where = f"{path}, comparison {i},"
        check_rising(where, check_fields(where, row, COMPARED), "low", "median", "high")
    return [Comparison(**row) for row in rows]
