"""Sphinx extension: what an edge block costs and sees, counted on the blocks themselves.

The directive `edge-costs` tabulates multiply-adds per pixel at the levels of the paper's networks,
`edge-fields` how much of a map moves one pixel of a stack's output.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from ensrepro.tables import Column, markdown

WIDTH = 48  # of the paper's networks
LEVELS = ((48, 1), (96, 2), (192, 4), (384, 8))  # channels, heads
SIDE = 128  # large enough for what is counted once an image to vanish
FIELD = 33  # side of the map whose center is looked at
DEPTHS = (1, 2, 3, 4)


@lru_cache(maxsize=1)
def cost_rows() -> list[dict[str, Any]]:
    """Multiply-adds per pixel: parts of an edge block, then whole blocks, by number of channels."""
    from ensrepro.models.counting import macs
    from ensrepro.models.edge import EdgeBlock
    from ensrepro.models.mambair import VSSBlock
    from ensrepro.models.restormer import RestormerBlock

    rows: dict[str, dict[str, Any]] = {}

    def put(what: str, channels: int, value: float, form: str = ",d") -> None:
        rows.setdefault(what, {"what": what})[str(channels)] = format(value, form)

    for channels, heads in LEVELS:
        blocks = EdgeBlock(channels, WIDTH), RestormerBlock(channels, heads, "with_bias")
        found = [macs(b, (1, channels, SIDE, SIDE)) for b in (*blocks, VSSBlock(channels))]
        edge, restormer, mambair = (one.total // SIDE**2 for one in found)
        put("edge block: convolution", channels, found[0].convolution // SIDE**2)
        put("edge block: $W_{in}$ and $W_{out}$", channels, found[0].linear // SIDE**2)
        put("edge block: recurrence", channels, found[0].scan // SIDE**2)
        put("edge block", channels, edge)
        put("Restormer block", channels, restormer)
        put("MambaIR block", channels, mambair)
        put("Restormer / edge", channels, restormer / edge, ".2f")
        put("MambaIR / edge", channels, mambair / edge, ".2f")
    return list(rows.values())


@lru_cache(maxsize=1)
def field_rows() -> list[dict[str, Any]]:
    """The pixels of a map that move the center of a stack's output: how many, and the share."""
    import torch

    from ensrepro.erf import gradient_maps
    from ensrepro.models.edge import EdgeShape
    from ensrepro.space import RESTORMER

    shape, rows = EdgeShape(width=8), []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inputs = torch.randn(1, 8, FIELD, FIELD)
        for depth in DEPTHS:
            stage = shape.surrogate_stage(RESTORMER.stage("encoder_1"), depth)
            seen = gradient_maps(stage, inputs)[0] > 0
            rows.append({"depth": depth, "pixels": int(seen.sum()), "share": float(seen.mean())})
    return rows


class Table(SphinxDirective):
    """A table that is computed when the page is read."""

    def table(self) -> str:
        """The table as Markdown."""
        raise TypeError("a table says what it is")

    def run(self) -> list[nodes.Node]:
        container = nodes.container(classes=[self.name])
        lines = StringList(self.table().splitlines(), source=self.name)
        self.state.nested_parse(lines, 0, container)
        return [container]


class Costs(Table):
    """Multiply-adds per pixel."""

    def table(self) -> str:
        columns = [Column(str(c), f"$C$ = {c}" if c == WIDTH else str(c), "s") for c, _ in LEVELS]
        return markdown(cost_rows(), [Column("what", "multiply-adds per pixel"), *columns])


class Fields(Table):
    """The receptive field of stacks."""

    def table(self) -> str:
        columns = [
            Column("depth", "edge blocks", "d"),
            Column("pixels", f"pixels seen of {FIELD} × {FIELD}", ",d"),
            Column("share", "share of the map", ".0%"),
        ]
        return markdown(field_rows(), columns)


def setup(app: Sphinx) -> dict[str, Any]:
    """Entry point of Sphinx."""
    app.add_directive("edge-costs", Costs)
    app.add_directive("edge-fields", Fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
