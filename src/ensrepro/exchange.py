"""Files of latencies that are handed on: what a browser gives, and phones may.

A file is JSON,

    {"schema": "ensrepro-latency-1", "records": [{"device": ..., ...}, ...],
     "comparisons": [{"side": ..., ...}, ...]}

as `records` says; comparisons, of subjects that took turns, may be missing. Both sides of one are
a record of the file each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ensrepro import records
from ensrepro.records import Comparison, Record

FORMAT = "ensrepro-latency-1"
KEYS = ("schema", "records", "comparisons")


class Exchange(NamedTuple):
    """What a file holds."""

    records: list[Record]
    comparisons: list[Comparison]


def check_belong(path: Path, content: Exchange) -> None:
    """A ValueError if it is open which records a comparison is of, or they are not alike."""
    for i, one in enumerate(content.comparisons, 1):
        own = [record for record in content.records if one.is_of(record)]
        references = [record for record in content.records if one.refers_to(record)]
        alike = {(record.conditions, record.width) for record in own + references}
        if (len(own), len(references), len(alike)) != (1, 1, 1):
            raise ValueError(
                f"{path}, comparison {i}, is of {one.pair} {one.architecture!r} against "
                f"{one.reference!r}, of which there are {len(own)} and {len(references)} records; "
                "expected one of each, under the same conditions and of one width"
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
