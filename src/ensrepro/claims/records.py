"""What the ledger holds: claims of the paper and the names of what decides them, read from TOML.

The files of `claims_data/` hold words, names of checks, and the lines that we draw. What the paper
prints in a table, or in its text if `paper_data/scalars.csv` lists it, comes from `paper_data/` by
a placeholder: `{latency_restormer}`, or `{2|Ours|GoPro|PSNR}` for a cell. Typed, because no file
there has them, are the `numbers` of a few entries and what words such as "five sets" say.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from importlib.resources import files
from typing import Any, TypeVar

Record = TypeVar("Record")

FOLDER = "claims_data"


class Status(StrEnum):
    """What is known of a claim: what its check comes to."""

    REPRODUCED = "reproduced at our scale"
    CONTRADICTED = "contradicted at our scale"
    UNDECIDED = "not decided at our scale"
    COUNTED = "true by count or definition"
    CONSISTENT = "consistent arithmetic"
    INCONSISTENT = "inconsistent in the paper"
    QUOTED = "quoted only"


@dataclass(frozen=True)
class Cells:
    """A rectangle of cells of a table of the paper; an empty tuple stands for all of a kind."""

    table: int
    methods: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """How much worse a method may be in a metric and still be called comparable."""

    metric: str
    worse: float


@dataclass(frozen=True)
class Given:
    """What a check works on; each check says which of these it takes."""

    scalars: tuple[str, ...] = ()  # names of numbers in the running text
    numbers: tuple[float, ...] = ()  # that no file of the paper's numbers has
    cells: tuple[Cells, ...] = ()
    task: str = "denoise"  # whose results are read
    file: str = ""  # a manifest of that task
    fields: tuple[str, ...] = ()  # of the manifest, `/` between keys
    criterion: float | None = None  # where the line between yes and no is drawn
    lines: tuple[Line, ...] = ()  # the same by metric, where cells of several are compared
    spread: str = ""  # a field of the manifest with values over seeds
    at: str = ""  # a field that says of which part the fields were measured
    beside: str = ""  # a field that is shown beside them and decides nothing
    resolution: float = 0.0  # how finely the fields are measured, in their unit
    unit: str = ""  # of what is measured
    passages: tuple[str, ...] = ()  # places in the text, or works outside it


@dataclass(frozen=True)
class Also:
    """Another check that a claim has to pass, and what that one works on."""

    check: str
    given: Given


@dataclass(frozen=True)
class Claim:
    """One number or sentence of the paper, in our words.

    `check` is a name in CHECKS of `measured`, `counted`, `printed`, `oddities` or `reading`, or
    QUOTED_ONLY; `needs` says what would decide a claim that cannot be decided, or qualifies one
    that is; `page` is the notebook to read if the manifest's name does not tell. A claim of several
    parts has a check for each, the further ones in `also`.
    """

    id: str
    place: str
    text: str
    kind: str
    check: str
    published: str = ""
    needs: str = ""
    page: str = ""
    given: Given = field(default_factory=Given)
    also: tuple[Also, ...] = ()

    @property
    def checks(self) -> tuple[tuple[str, Given], ...]:
        """All checks with what they work on."""
        return (self.check, self.given), *((one.check, one.given) for one in self.also)


@dataclass(frozen=True)
class Group:
    """Cells of one table that are decided alike, by a check of `cells.CHECKS`."""

    id: str
    check: str
    cells: Cells
    needs: str = ""
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    claims: tuple[Claim, ...]


KINDS = ("number", "sentence", "remark")
QUOTED_ONLY = "quoted"


def built(kind: type[Record], entry: Mapping[str, Any], where: str) -> Record:
    """A record of an entry's keys; a ValueError names the entry and the key that is wrong."""
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for key in entry:
        if key not in known:
            raise ValueError(f"{where} has the key {key!r}; expected one of {', '.join(known)}")
    for name, one in known.items():
        if name not in entry and one.default is MISSING and one.default_factory is MISSING:
            raise ValueError(f"{where} has no key {name!r}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    return kind(**values)


def parted(entry: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A TOML table with what its check works on as a `Given` of its own."""
    inputs = {f.name for f in fields(Given)}
    given = {key: value for key, value in entry.items() if key in inputs}
    for key, kind in (("cells", Cells), ("lines", Line)):
        if key in given:
            given[key] = [built(kind, one, where) for one in given[key]]
    rest = {key: value for key, value in entry.items() if key not in inputs}
    return rest | {"given": built(Given, given, where)}


def claim_of(entry: Mapping[str, Any], file: str) -> Claim:
    """A claim of a TOML table; a ValueError names the claim and what is wrong with it."""
    where = f"{file}: claim {entry.get('id', '?')}"
    also = [built(Also, parted(one, where), where) for one in entry.get("also", ())]
    claim = built(Claim, parted(entry, where) | {"also": also}, where)
    if claim.kind not in KINDS:
        raise ValueError(f"{where} has the kind {claim.kind!r}; expected one of {', '.join(KINDS)}")
    return claim


def load(file: str) -> dict[str, Any]:
    """The content of a file of `claims_data/`."""
    text = files("ensrepro").joinpath(FOLDER, file).read_text(encoding="utf-8")
    return tomllib.loads(text)


def sections(file: str) -> tuple[Section, ...]:
    """The claims of a file, by section; a ValueError names an id that two claims have."""
    found = tuple(
        Section(entry["title"], tuple(claim_of(claim, file) for claim in entry["claim"]))
        for entry in load(file)["section"]
    )
    ids = [claim.id for section in found for claim in section.claims]
    for name in ids:
        if ids.count(name) > 1:
            raise ValueError(f"{file}: two claims have the id {name!r}")
    return found


def groups() -> tuple[Group, ...]:
    """The groups of cells, in the order of the tables."""
    found = []
    for entry in load("cells.toml")["group"]:
        where = f"cells.toml: group {entry.get('id', '?')}"
        cells = built(Cells, entry.get("cells", {}), where)
        found.append(built(Group, entry | {"cells": cells}, where))
    return tuple(found)
