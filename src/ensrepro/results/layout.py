"""Rows of a table in the paper's layout: a line a method, columns by dataset and metric.

A column of the paper is followed by what was measured on the same benchmark, and the difference,
where there is any. What changes at our scale is another table, which says beside each change what
the paper prints for its own networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ensrepro.claims.sources import cell, printed_cells, value
from ensrepro.results.places import COUNTERPARTS
from ensrepro.results.rows import Kind, Row
from ensrepro.results.scaled import ARMS
from ensrepro.tables import Column

RIGHT = ">"  # text moved to the right
DIGITS = {"PSNR": 2, "SSIM": 3, "MAE": 3, "LPIPS": 3, "Latency": 2}
HEADINGS = {"not stated": "test set not stated"}  # of datasets whose name says too little
REFERENCES = {5: ARMS["distilled"], 6: "Uformer"}  # of the other tables, their teacher
Line = dict[str, Any]
Grid = tuple[list[Line], list[Column]]

SCALE_COLUMNS = (
    Column("model", "network"),
    Column("stands_for", "stands for"),
    Column("task", "task"),
    Column("metric", "metric"),
    Column("against", "against"),
    Column("change", "change", RIGHT),
    Column("range", "range", RIGHT),
    Column("n", "n", RIGHT),
    Column("n_against", "n against", RIGHT),
    Column("paper", "published change of its counterpart"),
    Column("manifest", "from"),
    Column("commit", "commit"),
)


def number(quantity: float | None, metric: str, sign: str = "") -> str | None:
    """A number with the digits of its metric."""
    return None if quantity is None else f"{quantity:{sign}.{DIGITS[metric.split()[0]]}f}"


def columns_of(rows: Sequence[Row]) -> list[Column]:
    """The columns of a table in the order of its rows; measured ones where there is a value."""
    found = [Column("model", "method")]
    for dataset, metric in dict.fromkeys((row.benchmark, row.metric) for row in rows):
        own = [row for row in rows if (row.benchmark, row.metric) == (dataset, metric)]
        keys = ["published"]
        keys += ["measured"] if any(row.measured for row in own) else []
        keys += ["difference"] if any(row.difference is not None for row in own) else []
        for key in keys:
            title = metric if key == "published" else f"{metric}, {key}"
            group = HEADINGS.get(dataset, dataset)
            found.append(Column(f"{dataset}/{metric}/{key}", title, RIGHT, group))
    return found


def grid(rows: Sequence[Row]) -> Grid:
    """The lines and columns of a table from its rows, those at our scale left out."""
    kept = [row for row in rows if row.measured is None or row.measured.kind is not Kind.SCALE]
    columns = columns_of(kept)
    lines: dict[str, Line] = {}
    for row in kept:
        line = lines.setdefault(row.model, dict.fromkeys(c.key for c in columns))
        line["model"] = row.model
        values = {
            "published": row.printed.text or None if row.printed else None,
            "measured": number(row.measured.value if row.measured else None, row.metric),
            "difference": number(row.difference, row.metric, "+"),
        }
        for kind, text in values.items():
            key = f"{row.benchmark}/{row.metric}/{kind}"
            if key in line:
                line[key] = text
    return list(lines.values()), columns


def reference(row: Row) -> str:
    """The row of the paper that the counterpart of a network of ours is held against."""
    return REFERENCES.get(row.table) or COUNTERPARTS[row.task].teacher


def published_change(row: Row) -> str:
    """What the paper's own networks change, from its cells: one text for all its datasets."""
    parts = []
    for where in printed_cells():
        one = where.table == row.table and where.method in row.stands_for.split(", ")
        if not one or not where.metric.startswith(row.metric):
            continue
        base = where._replace(method=reference(row))
        if where == base or not cell(where) or not cell(base):
            continue
        ours, theirs = value(where), value(base)
        share = f"{ours / theirs:.2f}" if row.metric == "Latency" else f"{ours - theirs:+}"
        label = where.method if row.table == 6 else where.dataset
        parts.append(f"{label} {share}")
    return ", ".join(parts)


def scale_lines(rows: Sequence[Row]) -> list[Line]:
    """The rows at our scale, for SCALE_COLUMNS."""
    lines = []
    for row in rows:
        if row.measured is None or row.measured.kind is not Kind.SCALE:
            continue
        sign = "" if row.metric == "Latency" else "+"
        values = (row.measured.value, row.measured.low, row.measured.high)
        change, low, high = (number(value, row.metric, sign) for value in values)
        lines.append(
            {
                "model": row.model,
                "stands_for": row.stands_for or "–",
                "task": row.task,
                "metric": row.metric,
                "against": row.measured.against,
                "change": f"{change} {row.measured.unit}".strip(),
                "range": f"{low} to {high}" if row.measured.n > 1 else None,
                "n": str(row.measured.n),
                "n_against": str(row.measured.n_against),
                "paper": published_change(row) or None,
                "manifest": row.measured.source.manifest,
                "commit": row.measured.source.commit,
            }
        )
    return lines
