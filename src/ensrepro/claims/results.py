"""Fields of this repository's results, read only where the results belong together.

`Finding` is what a check makes of them, or of the paper's numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ensrepro import artifacts, pages
from ensrepro.artifacts import Store
from ensrepro.claims import belonging, notebooks
from ensrepro.claims.belonging import Content, NotMeasuredError
from ensrepro.claims.records import Given
from ensrepro.config import Pair
from ensrepro.pages import NOTEBOOK


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


@dataclass(frozen=True)
class Sources:
    """The results of one profile below `root`; each file is read and checked once.

    `root` is a checkout, or the folder of somebody's runs, which lack what is read from `fallback`.
    """

    profile: str
    root: Path
    fallback: Path | None = None
    _read: dict[tuple[str, str], Content] = field(default_factory=dict, compare=False, repr=False)

    def path(self, task: str, file: str, pair: Pair | None = None) -> Path:
        """Where a manifest is: in the task's folder of the pair that it is of, or of `pair`."""
        suffix = (pair or belonging.pair_of(file)).suffix
        store = Store(self.profile, task, self.root, self.fallback, suffix)
        if file.endswith(NOTEBOOK):
            return pages.manifest(store, file.removesuffix(NOTEBOOK))
        return store.found(artifacts.RESULTS, file)

    def name(self, task: str, file: str, pair: Pair | None = None) -> str:
        """The manifest's path below the folder that it is in, which tells nothing of a machine."""
        path = self.path(task, file, pair)
        roots = [root for root in (self.fallback, self.root) if root and path.is_relative_to(root)]
        return path.relative_to(roots[0]).as_posix()

    def content(self, task: str, file: str, pair: Pair | None = None) -> Content:
        """A manifest; a NotMeasuredError if it is not there or does not belong to the others.

        The others are those of its pair, which `pair` names where the file alone does not.
        """
        of = pair or belonging.pair_of(file)
        key = f"{task}{of.suffix}", file
        if key not in self._read:
            path = self.path(task, file, of)
            if not path.exists():
                raise NotMeasuredError(f"{self.name(task, file, of)} is not there yet")
            is_notebook = file.endswith(NOTEBOOK)
            content = pages.read(path) if is_notebook else artifacts.read_json(path)
            check = notebooks.check_notebook if is_notebook else belonging.check_step
            check((self.profile, task), file, content, lambda other: self.content(task, other, of))
            self._read[key] = content
        return self._read[key]

    def read(self, task: str, file: str, field: str) -> Fact:
        """A field of a manifest; a NotMeasuredError where either is not there."""
        value: Any = self.content(task, file)
        name = self.name(task, file)
        for key in field.split("/"):
            if not isinstance(value, Mapping) or key not in value:
                raise NotMeasuredError(f"{name} has no field {field}")
            value = value[key]
        if value is None:
            raise NotMeasuredError(f"{name} has nothing in {field}")
        return Fact(value, name, field)


def read_all(given: Given, sources: Sources) -> list[Fact]:
    """The fields of the claim's manifest, in its order."""
    return [sources.read(given.task, given.file, field) for field in given.fields]


def named(facts: list[Fact]) -> str:
    """The values, of several the mean and how far they spread, each after the key that differs."""
    keys = [fact.field.split("/") for fact in facts]
    which = -1 if len({key[-1] for key in keys}) == len(keys) else -2
    parts = []
    for key, fact in zip(keys, facts, strict=True):
        values = fact.numbers()
        spread = f" ({min(values):.4g} to {max(values):.4g}, n = {len(values)})"
        parts.append(f"{key[which]} {fact.number():.4g}{spread if len(values) > 1 else ''}")
    return ", ".join(parts)
