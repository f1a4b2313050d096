"""A latency with everything it depends on: the record of a device measurement, and its schema.

All that measures writes the same record, whatever the device: `python -m ensrepro measure` here,
the importers of what phones print, the page that measures in a browser. `SCHEMA` is the one place
that says what a record holds. An exchange file is JSON,

    {"schema": "ensrepro-latency-1", "records": [{"device": ..., ...}, ...]}

and a manifest of ours has the same list as its result's `records`. What is read is checked: a field
that is missing or unknown, and a time that cannot be, are refused with the file and the field.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ensrepro import artifacts, timing
from ensrepro.timing import Conditions, Timing

FORMAT = "ensrepro-latency-1"
MEASURED, IMPORTED = "measured here", "imported"
RANDOM = "random weights"  # what `weights` says of them
NETWORK, GLUE = "network", "glue"
ROUNDING = 0.99  # seconds may be this much below what the percentiles add up to
RESOLUTION = re.compile(r"[1-9]\d*x[1-9]\d*")

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
    "runtime": Field(TEXT, "", "what ran the network"),
    "version": Field(TEXT, "", "of the runtime; `unknown` where the tool does not tell"),
    "threads": Field(COUNT, "", "of the runtime; null where the tool does not tell", True),
    "resolution": Field(TEXT, "pixels", "height x width of the whole image, as `256x256`"),
    "dtype": Field(TEXT, "", "of the arithmetic, as `float32`"),
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
        own = self.resolution, self.dtype, self.threads, self.runtime, self.version
        return Conditions(*own, cpu)

    @property
    def timing(self) -> Timing:
        """The percentiles, under these conditions."""
        drift = math.nan if self.drift is None else self.drift
        p90_ms, p99_ms = (math.nan if ms is None else ms for ms in (self.p90_ms, self.p99_ms))
        percentiles = self.p50_ms, p90_ms, p99_ms
        return Timing(*percentiles, self.n, self.seconds, drift, self.conditions)


def ratio(slow: Record, fast: Record) -> float:
    """How many times longer the median run of `slow` takes; ValueError if conditions differ."""
    return timing.ratio(slow.timing, fast.timing)


def schema() -> list[dict[str, str]]:
    """A row a field: name, type, unit, meaning."""
    return [
        {
            "name": name,
            "type": f"{field.kind} or null" if field.may_be_null else field.kind,
            "unit": field.unit,
            "meaning": field.meaning,
        }
        for name, field in SCHEMA.items()
    ]


def check_value(where: str, name: str, value: object) -> None:
    """A ValueError if a field cannot have this value."""
    field = SCHEMA[name]
    if value is None and field.may_be_null:
        return
    if field.kind == TEXT:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{where} has {name}={value!r}; expected text")
        return
    kinds = int if field.kind == COUNT else (int, float)
    what = "a whole number >= 1" if field.kind == COUNT else "a number above 0"
    positive = isinstance(value, kinds) and not isinstance(value, bool) and 0 < value < math.inf
    if name == "load":  # an idle machine has 0
        what, positive = "a number >= 0", positive or value == 0
    if not positive:
        raise ValueError(f"{where} has {name}={value!r}; expected {what}")


def check_times(where: str, row: Mapping[str, Any]) -> None:
    """A ValueError if the times of a record contradict each other."""
    for lower, upper in (("p50_ms", "p90_ms"), ("p90_ms", "p99_ms")):
        if None not in (row[lower], row[upper]) and row[lower] > row[upper]:
            raise ValueError(
                f"{where} has {lower}={row[lower]!r}; expected at most {upper}={row[upper]!r}"
            )
    least = ROUNDING * row["p50_ms"] / 1e3 * row["n"] / 2
    if row["seconds"] < least:
        raise ValueError(
            f"{where} has seconds={row['seconds']!r}; expected at least {least:.4g}, which half of "
            f"n={row['n']} runs take that are no faster than p50_ms={row['p50_ms']!r}"
        )


def checked(row: object, where: str) -> Record:
    """A record of what was read; `where` begins the sentence that refuses it."""
    if not isinstance(row, Mapping):
        raise ValueError(f"{where} is {row!r}; expected an object with the fields of a record")
    for name in SCHEMA:
        if name not in row:
            raise ValueError(f"{where} has no {name!r}; expected {', '.join(SCHEMA)}")
    for name in row:
        if name not in SCHEMA:
            raise ValueError(
                f"{where} has the unknown field {name!r}; expected {', '.join(SCHEMA)}"
            )
    for name in SCHEMA:
        check_value(where, name, row[name])
    if not RESOLUTION.fullmatch(row["resolution"]):
        raise ValueError(f"{where} has resolution={row['resolution']!r}; expected as 256x256")
    if row["source"] not in (MEASURED, IMPORTED):
        raise ValueError(
            f"{where} has source={row['source']!r}; expected {MEASURED!r} or {IMPORTED!r}"
        )
    check_times(where, row)
    return Record(**row)


def all_checked(rows: object, path: Path) -> list[Record]:
    """The records of a list that was read from `path`."""
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path} has no records; expected a list of at least one")
    return [checked(row, f"{path}, record {i},") for i, row in enumerate(rows, 1)]


def read(path: Path) -> list[Record]:
    """The records of an exchange file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file; expected one of records")
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    found = content.get("schema") if isinstance(content, dict) else None
    if found != FORMAT:
        raise ValueError(f"{path} has the schema {found!r}; expected {FORMAT!r}")
    return all_checked(content.get("records"), path)


def write(path: Path, records: Sequence[Record]) -> None:
    """An exchange file; a ValueError, and nothing written, if a record would be refused."""
    rows = [asdict(record) for record in records]
    all_checked(rows, path)
    content = {"schema": FORMAT, "records": rows}
    artifacts.write_bytes(path, json.dumps(content, indent=1).encode() + b"\n")
