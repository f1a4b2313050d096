"""The rule for the edge block: everything after its convolution is the body of one ONNX `Scan`.

A turn of the loop takes one line, some tens of kilobytes that stay in a fast cache from the norm to
the residual connection; no value wider than C channels is ever written to memory. The `Scan` takes
lines of (1, H, W, C) along H or W, forward or backward. A block of both directions has another loop
before it, which writes the states of the second half of its channels. The convolution's residual
connection is part of its weights, which saves a pass over the map.
C channels, s of them a group, H x W image, P pixels of a line, D width of the recurrence, E = D or
half of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ensrepro.export.graph import Graph, Rules
from ensrepro.export.layers import CHANNELS_FIRST, CHANNELS_LAST, gelu
from ensrepro.models.edge import H_AXIS, W_AXIS, EdgeBlock


def regrouped(graph: Graph, x: str, n: int, channels: int) -> str:
    """Every n-th channel together, (1, C, H, W) -> the same; C / n instead of n puts them back."""
    order = np.arange(channels).reshape(-1, n).T.ravel()
    return graph.add("Gather", x, graph.constant(f"every_{n}_of_{channels}", order), axis=1)


def with_neighbors(graph: Graph, block: EdgeBlock, x: str) -> str:
    """x + `EdgeBlock.neighborhood` of it, (1, C, H, W) -> (1, C, H, W).

    The residual connection is a one in the middle of each channel's own kernel. It is added when
    the file is loaded, so that the weights stay those of float16.
    """
    (channels, size), n_groups = block.conv.weight.shape[:2], block.conv.groups
    own = np.tile(np.eye(size, dtype=np.float32), (n_groups, 1))[..., None, None]  # (C, s, 1, 1)
    middle = graph.constant(f"own_{channels}_{size}", own)
    ring = graph.integers(0, 0, 1, 1, 0, 0, 1, 1)  # around the last two axes
    kernel = graph.add("Add", graph.weight(block.conv.weight), graph.add("Pad", middle, ring))
    pads = [*block.conv.padding, *block.conv.padding]
    if not block.is_shuffled:
        return graph.add("Conv", x, kernel, pads=pads, group=n_groups)
    together = regrouped(graph, x, n_groups, channels)
    mixed = graph.add("Conv", together, kernel, pads=pads, group=n_groups)
    return regrouped(graph, mixed, size, channels)


def empty_state(graph: Graph, block: EdgeBlock, lines: str, width: int) -> str:
    """Zeros (1, P, E) for (1, H, W, C)."""
    across = H_AXIS + W_AXIS - block.turn.axis - 1  # the other axis, channels last
    n_pixels = graph.add("Shape", lines, start=across, end=across + 1)
    shape = [graph.integers(1), n_pixels, graph.integers(width)]
    return graph.add("ConstantOfShape", graph.add("Concat", *shape, axis=0))


def projected(body: Graph, block: EdgeBlock, line: str, parts: Sequence[slice]) -> list[str]:
    """Some of W_in's outputs, apart from each other: (1, P, C) -> (1, P, .) each."""
    weight = block.project_in.weight
    columns = np.concatenate([body.array(weight)[part] for part in parts]).T
    name = f"{body.names[id(weight)]}.T.{parts[0].start}"
    sizes = [part.stop - part.start for part in parts]
    normed = body.put(block.norm, line)
    return body.split(body.add("MatMul", normed, body.constant(name, columns)), sizes, axis=-1)


def next_state(body: Graph, block: EdgeBlock, part: slice, values: Sequence[str]) -> str:
    """v + a (state - v) of some of the D channels; the values are a before b, v and the state."""
    a, v, state = values
    if not block.has_state:
        return v
    name = f"{body.names[id(block.decay)]}.{part.start}"
    bias = body.constant(name, body.array(block.decay)[part])
    decay = body.add("Sigmoid", body.add("Add", a, bias))
    return body.add("Add", v, body.add("Mul", decay, body.add("Sub", state, v)))


def shifted(part: slice, by: int) -> slice:
    """The part so many entries later."""
    return slice(part.start + by, part.stop + by)


def states_against(graph: Graph, block: EdgeBlock, lines: str, part: slice) -> str:
    """States of the channels that run against the block's turn, (1, H, W, C) -> (1, H, W, E)."""
    body = Graph(graph.rules, graph.net, within=graph)
    state, line = body.fresh("state"), body.fresh("line")
    a, v = projected(body, block, line, [part, shifted(part, block.widths[0])])
    last = next_state(body, block, part, (a, v, state))
    first = empty_state(graph, block, lines, part.stop - part.start)
    way = block.turn.axis - 1, not block.turn.is_backward
    result = body.add("Identity", last)
    return graph.loop(body, [(state, first, last)], [(line, lines)], [result], *way)[0]


def edge_block(graph: Graph, block: EdgeBlock, x: str) -> str:
    """The edge block, (1, C, H, W) -> (1, C, H, W)."""
    lines = graph.add("Transpose", with_neighbors(graph, block, x), perm=CHANNELS_LAST)
    inner, hidden = block.widths[0], block.widths[-1]
    part = slice(0, inner // len(block.ways))
    body = Graph(graph.rules, graph.net, within=graph)
    state, line, other = (body.fresh(what) for what in ("state", "line", "other"))
    gates = slice(2 * inner, 3 * inner)
    halves = [slice(start, start + hidden) for start in (3 * inner, 3 * inner + hidden)]
    wanted = [part, shifted(part, inner), gates, *halves]
    a, v, g, p, q = projected(body, block, line, wanted)
    states = last = next_state(body, block, part, (a, v, state))
    sequences = [(line, lines)]
    if len(block.ways) > 1:
        sequences.append((other, states_against(graph, block, lines, shifted(part, part.stop))))
        states = body.add("Concat", last, other, axis=-1)
    kept = body.add("Mul", states, body.add("Sigmoid", g))
    mixed = body.add("Concat", kept, body.add("Mul", gelu(body, p), q), axis=-1)
    result = body.add("Add", line, body.put(block.project_out, mixed))
    first = empty_state(graph, block, lines, part.stop)
    way = block.turn.axis - 1, block.turn.is_backward
    restored = graph.loop(body, [(state, first, last)], sequences, [result], *way)[0]
    return graph.add("Transpose", restored, perm=CHANNELS_FIRST)


RULES: Rules = {EdgeBlock: edge_block}
