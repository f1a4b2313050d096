"""Tables for notebooks and the book: rows of plain values in, Markdown out.

Published and measured numbers never share a column: a column's title says which it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MISSING = "n/a"


@dataclass(frozen=True)
class Column:
    """A column: the rows' key, the title (with its unit), and how a value is formatted."""

    key: str
    title: str
    form: str = ""


def plain(text: str) -> str:
    """Text that stays within its cell."""
    return " ".join(text.splitlines()).replace("|", "\\|")


def cell(value: Any, form: str) -> str:
    """A value as text; None and NaN are missing, never 0."""
    if value is None or value != value:
        return MISSING
    return plain(format(value, form))


def markdown(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    """A Markdown table; a ValueError names a row that lacks a column's key."""
    for i, row in enumerate(rows):
        lacking = [column.key for column in columns if column.key not in row]
        if lacking:
            raise ValueError(f"rows[{i}] has no {lacking[0]!r}; it has {', '.join(map(repr, row))}")
    lines = [
        [plain(column.title) for column in columns],
        ["---:" if column.form else "---" for column in columns],
        *([cell(row[column.key], column.form) for column in columns] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], caption: str) -> None:
    """Display a table in a notebook, its caption above it."""
    from IPython.display import Markdown, display

    display(Markdown(f"*{caption}*\n\n{markdown(rows, columns)}"))


def say(sentence: str) -> None:
    """Display a sentence whose numbers were computed, as prose."""
    from IPython.display import Markdown, display

    display(Markdown(sentence))
