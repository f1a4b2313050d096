"""Files of latencies that are handed on: what a browser gives, and phones may.

A file is JSON,

    {"schema": "ensrepro-latency-1", "records": [{"device": ..., ...}, ...],
     "comparisons": [{"side": ..., ...}, ...]}

as `records` says; comparisons, of subjects among these records that took turns, may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from ensrepro import artifacts, records
from ensrepro.records import Comparison, Record

FORMAT = "ensrepro-latency-1"
KEYS = ("schema", "records", "comparisons")


class Exchange(NamedTuple):
    """What a file holds."""

    records: list[Record]
    comparisons: list[Comparison]


def check_belong(path: Path, content: Exchange) -> None:
    """A ValueError if a file compares what it has no records of."""
    for i, one in enumerate(content.comparisons, 1):
        own = [record for record in content.records if one.is_of(record)]
        references = [record for record in content.records if one.refers_to(record)]
        conditions = {(record.conditions, record.width) for record in own}
        if not any((other.conditions, other.width) in conditions for other in references):
            raise ValueError(
                f"{path}, comparison {i}, is of {one.pair} {one.architecture!r} against "
                f"{one.reference!r}; expected records of both under the same conditions"
            )


def exchanged(content: Mapping[str, Any], path: Path) -> Exchange:
    """What a file of the format holds, checked."""
    for name in content:
        if name not in KEYS:
            raise ValueError(f"{path} has the unknown key {name!r}; expected {', '.join(KEYS)}")
    found = Exchange(
        records.all_checked(content.get("records"), path),
        records.all_compared(content.get("comparisons", []), path),
    )
    check_belong(path, found)
    return found


def read(path: Path) -> Exchange:
    """An exchange file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file; expected one of records")
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    found = content.get("schema") if isinstance(content, dict) else None
    if found != FORMAT:
        raise ValueError(f"{path} has the schema {found!r}; expected {FORMAT!r}")
    return exchanged(content, path)


def write(path: Path, content: Exchange) -> None:
    """An exchange file; a ValueError, and nothing written, if it would be refused."""
    own = {
        "schema": FORMAT,
        "records": [asdict(one) for one in content.records],
        "comparisons": [asdict(one) for one in content.comparisons],
    }
    exchanged(own, path)
    artifacts.write_bytes(path, json.dumps(own, indent=1).encode() + b"\n")
