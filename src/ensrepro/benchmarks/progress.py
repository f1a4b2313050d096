"""The rows of an evaluation on their way: one JSON object a line, kept when the run is interrupted.

The first line says what was evaluated and how; a file of something else is refused by name. A row
holds the hash of its image's files: those of the same image are taken up, whatever else is in the
set, and a changed image has a new one, of which the last counts. A line that a crash cut off is
dropped, any other damaged one is refused by its number.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ensrepro import artifacts

Row = dict[str, Any]


def check_identity(path: Path, line: bytes, identity: Mapping[str, Any]) -> None:
    """A ValueError that names the first difference from what is evaluated now."""
    try:
        found = dict(json.loads(line)["identity"])
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{path} begins with {line[:40]!r}; expected an evaluation") from None
    for key, expected in artifacts.plain(dict(identity)).items():
        if found.get(key) != expected:
            raise ValueError(
                f"{path} was made with {key}={found.get(key)!r}, now it is {expected!r}; "
                "move it away to begin anew"
            )


def row_of(line: bytes, metrics: Sequence[str]) -> Row | None:
    """The row in a line: an image, the hash of its files and all metrics; None for other lines.

    A metric is a number or None.
    """
    try:
        row = json.loads(line)
        values = [row[name] for name in metrics]
        is_row = isinstance(row["image"], str) and isinstance(row["files"], str)
        return row if is_row and all(v is None or math.isfinite(v) for v in values) else None
    except (ValueError, TypeError, KeyError):
        return None


def without_files(row: Row) -> Row:
    """The row as a result shows it."""
    return {name: value for name, value in row.items() if name != "files"}


class Rows:
    """The rows on file by image; `add` makes a row safe before it returns."""

    def __init__(
        self, path: Path, file: IO[bytes], identity: Mapping[str, Any], metrics: Sequence[str]
    ) -> None:
        self._file = file
        file.seek(0)
        *lines, torn = file.read().split(b"\n")
        if lines:
            check_identity(path, lines[0], identity)
        file.seek(-len(torn), os.SEEK_END)
        file.truncate()
        if not lines:
            self._write({"identity": dict(identity)})
        self.by_image: dict[str, Row] = {}
        for n, line in enumerate(lines[1:], 2):
            row = row_of(line, metrics)
            if row is None:
                raise ValueError(
                    f"{path}, line {n}: {line[:40]!r}; expected the row of an image; "
                    "delete the line to evaluate that image again"
                )
            self.by_image[row["image"]] = row

    def _write(self, content: Row) -> None:
        line = json.dumps(content, allow_nan=False, default=artifacts.scalar)
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def has(self, image: str, files: str) -> bool:
        """Is there a row of this image, with files of this hash?"""
        return image in self.by_image and self.by_image[image]["files"] == files

    def add(self, row: Row) -> None:
        self._write(row)
        self.by_image[row["image"]] = row


@contextmanager
def opened(path: Path, identity: Mapping[str, Any], metrics: Sequence[str]) -> Iterator[Rows]:
    """The rows of a file, which only one process may add to; each has all `metrics`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{path} is being written by another process") from None
        yield Rows(path, file, identity, metrics)
