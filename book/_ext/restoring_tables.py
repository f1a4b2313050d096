"""Sphinx extension: what tiles and fewer bits cost, from manifests of the task that the book shows.

The directive `tile-differences` tabulates `results/<profile>/<task>/tiling.json`, `precisions` the
`precision.json` beside it; each says so where there is none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edge_tables import Table
from sphinx.application import Sphinx

from ensrepro.tables import Column, markdown

COLUMNS = (
    Column("network", "network"),
    Column("side", "tiles of (pixels)", "d"),
    Column("n", "photos", "d"),
    Column("largest", "largest difference (of 255)", ".1f"),
    Column("between", "lowest PSNR of tiled and whole (dB)", ".1f"),
    Column("gain", "mean PSNR gained by tiles (dB)", "+.2f"),
)

MOST_DB = 0.1  # that a photo may lose for a form to be worth while
FORMS = (
    Column("network", "network"),
    Column("form", "arithmetic"),
    Column("mib", "file (MiB)", ".1f"),
    Column("change", "PSNR, mean (dB)", "+.2f"),
    Column("lowest", "PSNR, worst photo (dB)", "+.2f"),
    Column("ratio", "latency", ".2f"),
    Column("low", "from", ".2f"),
    Column("high", "to", ".2f"),
)


def summary(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a network and side: the worst of its photos, and the mean gain."""
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["network"], row["side"]), []).append(row)
    return [
        {
            "network": network,
            "side": side,
            "n": len(group),
            "largest": 255 * max(row["largest"] for row in group),
            "between": min(row["between"] for row in group),
            "gain": sum(row["gain"] for row in group) / len(group),
        }
        for (network, side), group in groups.items()
    ]


def verdict(rows: Iterable[Mapping[str, Any]]) -> str:
    """One sentence: which forms save time and cost next to nothing."""
    kept = [
        f"{row['network']} in {row['form']}"
        for row in rows
        if row["high"] < 1 and row["lowest"] >= -MOST_DB
    ]
    if kept:
        names = ", ".join(kept)
        return f"Faster beyond that range, and within {MOST_DB:g} dB on every photo: {names}."
    return (
        f"None is faster than float32 beyond that range and within {MOST_DB:g} dB on every photo, "
        "so `export` writes none of them."
    )


def precision_text(result: Mapping[str, Any]) -> str:
    """A row a network and form, under which conditions the ratios were taken, and what follows."""
    under = result["conditions"]
    where = (
        f"{under['resolution']} pixels, threads {under['threads']}, {under['runtime']} "
        f"{under['version']}, {under['cpu']}"
    )
    noise = "" if result["is_quiet"] is not False else " **The machine was not quiet.**"
    return (
        f"{markdown(result['rows'], FORMS)}\n\nLatency in multiples of that of float32, in "
        f"alternation, {result['rounds']} rounds; the range encloses eight of ten: {where}.{noise} "
        f"{verdict(result['rows'])}"
    )


class Measured(Table):
    """What a manifest of the shown task says; `step` is its name."""

    step = ""

    def told(self, result: Mapping[str, Any]) -> str:
        """A result in words."""
        raise TypeError("a table of a manifest says what it shows of it")

    def table(self) -> str:
        shown = self.config.ensrepro_profile, self.config.ensrepro_task
        path = Path(self.env.srcdir).parent.joinpath("results", *shown, f"{self.step}.json")
        if not path.exists():
            return "*Not measured yet for this task and profile.*"
        self.env.note_dependency(str(path))
        return self.told(json.loads(path.read_text("utf-8"))["result"])


class TileDifferences(Measured):
    """Photos restored in tiles beside the same photos restored whole."""

    step = "tiling"

    def told(self, result: Mapping[str, Any]) -> str:
        return markdown(summary(result["rows"]), COLUMNS)


class Precisions(Measured):
    """Networks in fewer bits beside the same in float32."""

    step = "precision"

    def told(self, result: Mapping[str, Any]) -> str:
        return precision_text(result)


def setup(app: Sphinx) -> dict[str, Any]:
    """Entry point of Sphinx."""
    app.add_directive("tile-differences", TileDifferences)
    app.add_directive("precisions", Precisions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
