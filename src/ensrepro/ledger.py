"""The ledger, an append-only file of evaluated architectures, and answers from it (section 3.4).

One JSON object a line. The first line is the header with the `Key`: whose weights were measured on
which images. Every other line is one `Evaluation`. The file is the truth about a search and its
cache: what is in it is never evaluated again, and it is only ever appended to.

Several processes may share a file. A line is written and fsynced under the file's lock, so lines
never mix and an architecture is recorded once: the first value stays. A process killed while it
writes leaves a torn last line, which is dropped with a warning in the log and cut off by the next
append.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from ensrepro.space import Architecture, Space

FORMAT = 1  # written into the header; raised when a line changes its meaning
HEADER_START = b'{"ledger": '  # every ledger begins with these bytes

log = logging.getLogger(__name__)


class Metrics(NamedTuple):
    """What the objective measures of one architecture on the validation set; PSNR in dB."""

    psnr: float
    ssim: float


Objective = Callable[[list[Architecture]], Sequence[Metrics]]


@dataclass(frozen=True)
class Key:
    """What an evaluation depends on besides the architecture.

    `validation` and `weights` are hashes: of the validation images, of the teacher and its pool.
    """

    validation: str
    weights: str
    task: str
    profile: str
    pair: str
    code_version: str


# Other code does not make a measurement wrong: it is recorded and logged, not refused.
IDENTITY = tuple(field.name for field in fields(Key) if field.name != "code_version")


@dataclass(frozen=True)
class Evaluation:
    """One measured architecture; PSNR and psnr_drop in dB, `seconds` of the measurement."""

    architecture: Architecture
    psnr: float
    ssim: float
    psnr_drop: float
    seconds: float

    def __post_init__(self) -> None:
        for name in ("psnr", "ssim", "psnr_drop", "seconds"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not isfinite(value):
                raise ValueError(
                    f"{name} of architecture {self.architecture} is {value!r}; "
                    "expected a finite number"
                )


def _header(key: Key) -> bytes:
    return json.dumps({"ledger": FORMAT, "key": asdict(key)}).encode() + b"\n"


def _line(evaluation: Evaluation, code_version: str) -> bytes:
    row = asdict(evaluation) | {"architecture": [int(choice) for choice in evaluation.architecture]}
    return json.dumps(row | {"code_version": code_version}).encode() + b"\n"


def _parse(path: Path, number: int, line: bytes) -> Evaluation:
    """One line of the file; a ValueError names the file and the line."""
    try:
        row = json.loads(line)
        architecture = tuple(int(choice) for choice in row["architecture"])
        values = {name: row[name] for name in ("psnr", "ssim", "psnr_drop", "seconds")}
        return Evaluation(architecture, **values)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path}, line {number} is {line[:60]!r}; expected an evaluation ({error})"
        ) from error


@contextmanager
def _locked(path: Path, flags: int, kind: int) -> Iterator[int]:
    """An open descriptor of `path` that holds the file's lock of this kind."""
    descriptor = os.open(path, flags, 0o644)
    try:
        fcntl.flock(descriptor, kind)
        yield descriptor
    finally:
        os.close(descriptor)  # closing releases the lock


def _read_from(descriptor: int, offset: int) -> bytes:
    """The bytes from `offset` to the end."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


class Ledger:
    """The evaluations in the file at `path`, which belongs to `key`.

    The file is made by the first append; opening one that belongs to another key raises ValueError.
    """

    def __init__(self, path: str | Path, key: Key) -> None:
        self.path = Path(path)
        self.key = key
        self._rows: dict[Architecture, Evaluation] = {}
        self._offset = 0  # end of the last whole line that was read
        self._n_lines = 0
        self.refresh()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, architecture: Architecture) -> bool:
        return tuple(architecture) in self._rows

    def __iter__(self) -> Iterator[Evaluation]:
        """The evaluations in the order in which they were recorded."""
        return iter(list(self._rows.values()))

    def get(self, architecture: Architecture) -> Evaluation | None:
        """The evaluation of an architecture, None if there is none yet."""
        return self._rows.get(tuple(architecture))

    def refresh(self) -> None:
        """Read what other processes have appended since the last look."""
        if not self.path.exists():
            if self._offset:
                raise ValueError(f"{self.path} is gone; expected the {len(self)} evaluations in it")
            return
        with _locked(self.path, os.O_RDONLY, fcntl.LOCK_SH) as descriptor:
            self._read_new(descriptor)

    def append(self, evaluation: Evaluation) -> Evaluation:
        """Record an evaluation and return the one on record: the first for its architecture."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        with _locked(self.path, flags, fcntl.LOCK_EX) as descriptor:
            if self._read_new(descriptor) > self._offset:
                os.ftruncate(descriptor, self._offset)  # cuts a torn line off, nothing else
            known = self.get(evaluation.architecture)
            if known is not None:
                return known
            start = b"" if self._offset else _header(self.key)
            _write_all(descriptor, start + _line(evaluation, self.key.code_version))
            self._read_new(descriptor)
        return self._rows[tuple(evaluation.architecture)]

    def _read_new(self, descriptor: int) -> int:
        """Take in the whole lines past the offset; return where the file ends."""
        size = os.fstat(descriptor).st_size
        if size < self._offset:
            raise ValueError(
                f"{self.path} has {size} bytes; expected at least the {self._offset} read before"
            )
        *lines, torn = _read_from(descriptor, self._offset).split(b"\n")
        for line in lines:
            if self._n_lines == 0:
                self._check_header(line)
            else:
                row = _parse(self.path, self._n_lines + 1, line)
                self._rows.setdefault(row.architecture, row)
            self._n_lines += 1
            self._offset += len(line) + 1
        if self._n_lines == 0 and not torn.startswith(HEADER_START[: len(torn)]):
            raise ValueError(f"{self.path} begins with {torn[:40]!r}; expected a ledger")
        if torn:
            log.warning("%s: the last line is torn (%d bytes); it is dropped", self.path, len(torn))
        return self._offset + len(torn)

    def _check_header(self, line: bytes) -> None:
        """Refuse a file that is no ledger, or one of another key."""
        try:
            header = json.loads(line)
            version, found = header["ledger"], Key(**header["key"])
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{self.path} begins with {line[:40]!r}; expected a ledger") from error
        if version != FORMAT:
            raise ValueError(f"{self.path} has ledger format {version}; expected {FORMAT}")
        for name in IDENTITY:
            theirs, ours = getattr(found, name), getattr(self.key, name)
            if theirs != ours:
                raise ValueError(f"{self.path} has {name} {theirs!r}; this run has {ours!r}")
        if found.code_version != self.key.code_version:
            versions = (found.code_version, self.key.code_version)
            log.warning("%s has code_version %r; this run has %r", self.path, *versions)


def _checked(
    space: Space, architectures: list[Architecture], values: Sequence[Metrics]
) -> dict[Architecture, Metrics]:
    """The objective's answer as plain floats; a ValueError names what is wrong with it."""
    if len(values) != len(architectures):
        raise ValueError(
            f"objective returned {len(values)} metrics for {len(architectures)} architectures"
        )
    measured = {}
    for architecture, metrics in zip(architectures, values, strict=True):
        measured[architecture] = Metrics(*(float(value) for value in metrics))
        for name, value in measured[architecture]._asdict().items():
            if not isfinite(value):
                raise ValueError(
                    f"{name} of architecture {space.label(architecture)} is {value}; "
                    "expected a finite number"
                )
    return measured


class Answers:
    """Metrics by architecture: remembered, found in the ledger, or else measured.

    The first batch must hold the teacher: the ledger records every psnr_drop against it.
    """

    def __init__(self, objective: Objective, space: Space, ledger: Ledger | None) -> None:
        self._objective = objective
        self._space = space
        self._ledger = ledger
        self._known: dict[Architecture, Metrics] = {}
        self.n_evaluated = 0

    def of(self, architectures: list[Architecture]) -> list[Metrics]:
        """Their metrics; what is unknown is measured in one call, sorted by architecture."""
        self._recall(architectures)
        missing = sorted(set(architectures) - set(self._known))
        if missing:
            self._measure(missing)
        return [self._known[architecture] for architecture in architectures]

    def _recall(self, architectures: list[Architecture]) -> None:
        if self._ledger is None:
            return
        self._ledger.refresh()
        for architecture in architectures:
            row = self._ledger.get(architecture)
            if row is not None:
                self._known[architecture] = Metrics(row.psnr, row.ssim)

    def _measure(self, missing: list[Architecture]) -> None:
        start = time.perf_counter()
        measured = _checked(self._space, missing, self._objective(list(missing)))
        seconds = (time.perf_counter() - start) / len(missing)
        self.n_evaluated += len(missing)
        self._known |= measured
        if self._ledger is None:
            return
        teacher = self._known[self._space.teacher].psnr
        for architecture, (psnr, ssim) in measured.items():
            row = self._ledger.append(Evaluation(architecture, psnr, ssim, teacher - psnr, seconds))
            self._known[architecture] = Metrics(row.psnr, row.ssim)
