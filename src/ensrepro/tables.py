"""Tables for notebooks, the book and files: rows in; Markdown, plain text, CSV or LaTeX out.

Published and measured numbers never share a column: a column's title says which it is. Equal rows
become equal texts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

MISSING = "n/a"
GAP = 2  # spaces between columns of plain text
# What LaTeX would take for a command; backslashes, too.
LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


@dataclass(frozen=True)
class Column:
    """A column: the rows' key, the title (with its unit), and how a value is formatted.

    Neighbors of one `group` have it as a common heading; a `form` moves the column to the right.
    """

    key: str
    title: str
    form: str = ""
    group: str = ""

    @property
    def full_title(self) -> str:
        return f"{self.group} {self.title}".strip()


class Span(NamedTuple):
    """Neighboring columns under one heading, which may be empty; counted from 1."""

    heading: str
    first: int
    last: int


def one_line(text: str) -> str:
    """Text without line breaks."""
    return " ".join(text.splitlines())


def plain(text: str) -> str:
    """Text that stays within its cell."""
    return one_line(text).replace("|", "\\|")


def written(value: Any, form: str) -> str:
    """A value in one line; None and NaN are missing, never 0."""
    if value is None or value != value:
        return MISSING
    return one_line(format(value, form))


def cell(value: Any, form: str) -> str:
    """A value as a cell of Markdown."""
    return plain(written(value, form))


def check(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    """A ValueError names a row that lacks a column's key."""
    for i, row in enumerate(rows):
        lacking = [column.key for column in columns if column.key not in row]
        if lacking:
            raise ValueError(f"rows[{i}] has no {lacking[0]!r}; it has {', '.join(map(repr, row))}")


def spans(columns: Sequence[Column]) -> list[Span]:
    """The headings above the columns, from left to right."""
    found, first = [], 1
    for heading, together in groupby(columns, key=lambda column: column.group):
        last = first + len(list(together)) - 1
        found.append(Span(heading, first, last))
        first = last + 1
    return found


def markdown(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    """A Markdown table; a ValueError names a row that lacks a column's key."""
    check(rows, columns)
    lines = [
        [plain(column.full_title) for column in columns],
        ["---:" if column.form else "---" for column in columns],
        *([cell(row[column.key], column.form) for column in columns] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def text(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    """A table for a terminal; headings of groups stand above the titles."""
    check(rows, columns)
    body = [[written(row[column.key], column.form) for column in columns] for row in rows]
    lines = [[column.title for column in columns], *body]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    heading = ""
    for span in spans(columns):
        own = slice(span.first - 1, span.last)
        room = sum(widths[own]) + GAP * (span.last - span.first)
        widths[span.last - 1] += max(0, len(span.heading) - room)
        heading += span.heading.ljust(max(room, len(span.heading)) + GAP)
    sides = [str.rjust if column.form else str.ljust for column in columns]
    shown = [
        (" " * GAP).join(side(word, n) for side, word, n in zip(sides, line, widths, strict=True))
        for line in lines
    ]
    above = [heading] if heading.strip() else []
    return "\n".join(line.rstrip() for line in (*above, *shown))


def csv_text(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    """A CSV file with the keys as its first line; what is missing is an empty field."""
    check(rows, columns)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([column.key for column in columns])
    for row in rows:
        values = [row[column.key] for column in columns]
        writer.writerow(["" if value is None or value != value else value for value in values])
    return file.getvalue()


def escaped(words: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(LATEX.get(character, character) for character in one_line(words))


def latex_line(words: Sequence[str]) -> str:
    """One line of a tabular, of words that are LaTeX already."""
    return f"{' & '.join(words)} \\\\"


def latex_headings(columns: Sequence[Column]) -> list[str]:
    """The line of headings above neighboring columns and the rules below them, if there are any."""
    if not any(column.group for column in columns):
        return []
    words, rules = [], []
    for span in spans(columns):
        n = span.last - span.first + 1
        words.append(f"\\multicolumn{{{n}}}{{c}}{{{escaped(span.heading)}}}")
        if span.heading:
            rules.append(f"\\cmidrule(lr){{{span.first}-{span.last}}}")
    return [latex_line(words), " ".join(rules)]


def latex(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], caption: str) -> str:
    """A floating table of the package booktabs, in UTF-8."""
    check(rows, columns)
    body = [
        latex_line([escaped(written(row[column.key], column.form)) for column in columns])
        for row in rows
    ]
    lines = [
        r"\begin{table}",
        r"\centering",
        f"\\caption{{{escaped(caption)}}}",
        f"\\begin{{tabular}}{{{''.join('r' if column.form else 'l' for column in columns)}}}",
        r"\toprule",
        *latex_headings(columns),
        latex_line([escaped(column.title) for column in columns]),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], caption: str) -> None:
    """Display a table in a notebook, its caption above it."""
    from IPython.display import Markdown, display

    display(Markdown(f"*{caption}*\n\n{markdown(rows, columns)}"))


def say(sentence: str) -> None:
    """Display a sentence whose numbers were computed, as prose."""
    from IPython.display import Markdown, display

    display(Markdown(sentence))
