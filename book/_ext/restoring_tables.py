"""Sphinx extension: what tiles cost, from the manifest of the task that the book shows.

The directive `tile-differences` tabulates `results/<profile>/<task>/tiling.json`; it says so where
there is none.
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


class TileDifferences(Table):
    """Photos restored in tiles beside the same photos restored whole."""

    def table(self) -> str:
        shown = self.config.ensrepro_profile, self.config.ensrepro_task
        path = Path(self.env.srcdir).parent.joinpath("results", *shown, "tiling.json")
        if not path.exists():
            return "*Not measured yet for this task and profile.*"
        self.env.note_dependency(str(path))
        return markdown(summary(json.loads(path.read_text("utf-8"))["result"]["rows"]), COLUMNS)


def setup(app: Sphinx) -> dict[str, Any]:
    """Entry point of Sphinx."""
    app.add_directive("tile-differences", TileDifferences)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
