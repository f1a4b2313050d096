"""Fields of this repository's results, read only where the results belong together.

`Finding` is what a check makes of them, or of the paper's numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ensrepro import artifacts
from ensrepro.claims import belonging
from ensrepro.claims.belonging import Content, NotMeasuredError

NOTEBOOK_KEYS = {"notebook", "parameters", "finished", "provenance", "headline"}


@dataclass(frozen=True)
class Fact:
    """A value of a manifest and where it stands."""

    value: Any
    file: str
    field: str

    def numbers(self) -> list[float]:
        """The value, of a list each of its elements."""
        values = self.value if isinstance(self.value, list) else [self.value]
        numeric = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if not values or len(numeric) != len(values):
            raise ValueError(f"{self.file}: {self.field} is {self.value!r}; expected numbers")
        return numeric

    def number(self) -> float:
        """The value, of a list the mean."""
        return sum(self.numbers()) / len(self.numbers())


@dataclass(frozen=True)
class Finding:
    """What a check found: whether the claim holds, our value, and the comparison in a sentence.

    `holds` is None where what is uncertain about a measurement is larger than what it shows.
    """

    holds: bool | None
    ours: str
    because: str
    facts: tuple[Fact, ...] = ()


def notebook_content(path: Path) -> dict[str, Any]:
    """The manifest of a notebook; a ValueError names a file that is none."""
    try:
        content = json.loads(path.read_text("utf-8"), parse_constant=artifacts.refused)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a manifest: {error}") from None
    if not isinstance(content, dict) or set(content) != NOTEBOOK_KEYS:
        raise ValueError(f"{path} is not a manifest: expected the keys {sorted(NOTEBOOK_KEYS)}")
    return content


@dataclass(frozen=True)
class Sources:
    """The results of one profile below `root`, a checkout; each file is read and checked once."""

    profile: str
    root: Path
    _read: dict[tuple[str, str], Content] = field(default_factory=dict, compare=False, repr=False)

    def path(self, task: str, file: str) -> Path:
        """Where a manifest is: in the task's folder of the pair that it is of."""
        suffix = belonging.pair_of(file).suffix
        store = artifacts.Store(self.profile, task, self.root, suffix=suffix)
        return store.own(artifacts.RESULTS, file)

    def content(self, task: str, file: str) -> Content:
        """A manifest; a NotMeasuredError if it is not there or does not belong to the others."""
        if (task, file) not in self._read:
            path = self.path(task, file)
            if not path.exists():
                raise NotMeasuredError(f"{path.relative_to(self.root).as_posix()} is not there yet")
            is_notebook = file.endswith(belonging.NOTEBOOK)
            content = notebook_content(path) if is_notebook else artifacts.read_json(path)
            check = belonging.check_notebook if is_notebook else belonging.check_step
            check((self.profile, task), file, content, lambda other: self.content(task, other))
            self._read[task, file] = content
        return self._read[task, file]

    def read(self, task: str, file: str, field: str) -> Fact:
        """A field of a manifest; a NotMeasuredError where either is not there."""
        value: Any = self.content(task, file)
        name = self.path(task, file).relative_to(self.root).as_posix()
        for key in field.split("/"):
            if not isinstance(value, Mapping) or key not in value:
                raise NotMeasuredError(f"{name} has no field {field}")
            value = value[key]
        if value is None:
            raise NotMeasuredError(f"{name} has nothing in {field}")
        return Fact(value, name, field)
