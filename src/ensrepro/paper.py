"""The numbers that the paper prints, as tidy tables (tables 1 to 6 and the figures in its text).

They are data, in `paper_data/`; no published number stands in code. Values are kept as printed,
also where they cannot be right: `oddities()` lists what does not add up. NA is missing (NaN),
never 0.
"""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "paper_data"
TABLES = (1, 2, 3, 4, 5, 6)
IN_TEXT = 0  # the "table" of an oddity that is about a number in the running text


@dataclass(frozen=True)
class Oddity:
    """A printed value that does not follow from those beside it, or that the text contradicts.

    `kind` is arithmetic, typo, claim or protocol; `table` is IN_TEXT for a number of `scalars()`.
    """

    table: int
    method: str
    dataset: str
    kind: str
    finding: str


def read_text(name: str) -> str:
    """A file of `paper_data/`."""
    return files("ensrepro").joinpath(FOLDER, name).read_text(encoding="utf-8")


def read_rows(name: str) -> list[dict[str, Any]]:
    """Rows of a CSV file; `value` is a float, NaN where the cell is empty."""
    rows: list[dict[str, Any]] = list(csv.DictReader(read_text(name).splitlines()))
    for row in rows:
        row["value"] = float(row["value"] or "nan")
    return rows


@lru_cache(maxsize=1)
def provenance() -> dict[str, Any]:
    """Title, arXiv number, license and, for each table, its file, section and title."""
    return tomllib.loads(read_text("provenance.toml"))


def describe(number: int) -> dict[str, Any]:
    """What provenance.toml says of one table: number, file, section, title."""
    # True == 1, but a truth value is no table number
    if isinstance(number, bool) or number not in TABLES:
        raise ValueError(f"table is {number!r}; the paper has tables {TABLES[0]} to {TABLES[-1]}")
    return next(entry for entry in provenance()["table"] if entry["number"] == number)


def oddities(table: int | None = None) -> tuple[Oddity, ...]:
    """Known oddities, of all tables or of one (IN_TEXT for the numbers in the text)."""
    if table is not None and table != IN_TEXT:
        describe(table)
    every = (Oddity(**entry) for entry in provenance()["oddity"])
    return tuple(oddity for oddity in every if table in (None, oddity.table))


def scalars() -> pd.DataFrame:
    """Numbers in the running text: columns name, value, unit, what, where."""
    import pandas as pd

    return pd.DataFrame(read_rows("scalars.csv"))


def scalar(name: str) -> float:
    """One number of `scalars()` by its name."""
    values = {row["name"]: row["value"] for row in read_rows("scalars.csv")}
    if name not in values:
        raise ValueError(f"scalar is {name!r}; expected one of {', '.join(values)}")
    return values[name]


def table(number: int) -> pd.DataFrame:
    """One table of the paper, 1 to 6, row by row as printed: method, dataset, metric, value."""
    import pandas as pd

    return pd.DataFrame(read_rows(describe(number)["file"]))
