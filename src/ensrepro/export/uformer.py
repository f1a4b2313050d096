"""Rules for the Uformer block: attention within windows, and the feed-forward behind it.

The image's size stays open: how many windows there are follows from the input, and so does which of
them a shift has wrapped around the image's end. Pixels of such a window that are no neighbors are
masked by rows and by columns, so a pair that is apart in both is masked twice: the softmax makes 0
of either.

H, W: height, width; C channels; w: side of a window; N = w * w: its pixels; h, v: windows down and
across; c: channels of a head.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ensrepro.export.graph import Graph, Rules
from ensrepro.export.layers import CHANNELS_FIRST, CHANNELS_LAST
from ensrepro.models.uformer import LeFF, LeWinBlock
from ensrepro.models.uformer_windows import MASKED, WindowAttention

LAST = 2**63 - 1  # where a slice ends that takes all the rest
ROWS, COLUMNS = 1, 2  # axes of (1, H, W, C)
SWAPPED = (0, 2, 1, 3, 4)  # (h, w, v, w, C) <-> (h, v, w, w, C)
BY_HEAD, BY_HEAD_T = (0, 1, 3, 2, 4), (0, 1, 3, 4, 2)  # of (h, v, N, heads, c)


def leaky_relu(graph: Graph, module: nn.LeakyReLU, x: str) -> str:
    """x, times the slope where it is below zero."""
    return graph.add("LeakyRelu", x, alpha=module.negative_slope)


def transposed_convolution(graph: Graph, conv: nn.ConvTranspose2d, x: str) -> str:
    """Upsampling, (1, C, H, W) -> (1, C', 2H, 2W)."""
    inputs = [x, graph.weight(conv.weight)]
    if conv.bias is not None:
        inputs.append(graph.weight(conv.bias))
    return graph.add("ConvTranspose", *inputs, strides=conv.stride)


def rolled(graph: Graph, x: str, by: int) -> str:
    """The first `by` rows and columns behind the others; below 0 the last ones before them."""
    start, at, end = (graph.integers(place) for place in (0, by, LAST))
    for axis in (ROWS, COLUMNS):
        on = graph.integers(axis)
        first = graph.add("Slice", x, start, at, on)
        x = graph.add("Concat", graph.add("Slice", x, at, end, on), first, axis=axis)
    return x


def apart(side: int, shift: int) -> dict[int, NDArray[np.float32]]:
    """By axis, (N, N): the mask of a window that the image's end runs through."""
    is_wrapped = np.arange(side) >= side - shift
    pixels = {ROWS: is_wrapped.repeat(side), COLUMNS: np.tile(is_wrapped, side)}
    return {axis: np.float32(MASKED) * (own[:, None] != own) for axis, own in pixels.items()}


def masked(graph: Graph, scores: str, side: int, shift: int) -> str:
    """(h, v, heads, N, N) with the masks added in the last row and the last column of windows."""
    n_pixels = side * side
    for axis, mask in apart(side, shift).items():
        name = f"apart_{side}_{shift}_{axis}"
        last = graph.constant(name, mask.reshape(1, 1, 1, n_pixels, n_pixels))
        count = graph.add("Shape", scores, start=axis - 1, end=axis)
        others = graph.add("Sub", count, graph.integers(1))
        ends = graph.integers(*[0] * (10 - axis))  # the other entries of what Pad is told
        pads = [others, ends] if axis == ROWS else [graph.integers(0), others, ends]
        every = graph.add("Pad", last, graph.add("Concat", *pads, axis=0))
        scores = graph.add("Add", scores, every)
    return scores


def window_attention(graph: Graph, module: WindowAttention, x: str, side: int, shift: int) -> str:
    """`WindowAttention` of windows that were shifted, (h, v, N, C) -> (h, v, N, C)."""
    n_pixels, heads, channels = side * side, module.heads, module.proj.in_features
    keys, values = graph.split(graph.put(module.qkv.to_kv, x), (channels, channels), axis=-1)
    by_head = graph.integers(0, 0, n_pixels, heads, channels // heads)
    q, k, v = (
        graph.add("Transpose", graph.add("Reshape", t, by_head), perm=perm)
        for t, perm in (
            (graph.put(module.qkv.to_q, x), BY_HEAD),
            (keys, BY_HEAD_T),
            (values, BY_HEAD),
        )
    )
    q = graph.add("Mul", q, graph.number((channels // heads) ** -0.5))
    index = graph.constant(f"pixels_{side}", module.index.numpy())
    table = graph.weight(module.relative_position_bias_table)
    bias = graph.add("Transpose", graph.add("Gather", table, index), perm=(2, 0, 1))
    scores = graph.add("Add", graph.add("MatMul", q, k), bias)
    if shift:
        scores = masked(graph, scores, side, shift)
    out = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), v)  # (h, v, heads, N, c)
    out = graph.add("Transpose", out, perm=BY_HEAD)
    together = graph.integers(0, 0, n_pixels, channels)
    return graph.put(module.proj, graph.add("Reshape", out, together))


def attended(graph: Graph, block: LeWinBlock, x: str) -> str:
    """`LeWinBlock.attended`: (1, H, W, C) -> (1, H, W, C)."""
    side, shift, channels = block.side, block.shift, block.attn.proj.in_features
    moved = rolled(graph, x, shift) if shift else x
    width = graph.add("Shape", moved, start=COLUMNS, end=COLUMNS + 1)
    own = graph.integers(side)
    size = [graph.integers(-1), own, graph.add("Div", width, own), own, graph.integers(channels)]
    cut = graph.add("Reshape", moved, graph.add("Concat", *size, axis=0))  # (h, w, v, w, C)
    windows = graph.add("Transpose", cut, perm=SWAPPED)
    windows = graph.add("Reshape", windows, graph.integers(0, 0, side * side, channels))
    if block.modulator is not None:
        windows = graph.add("Add", windows, graph.weight(block.modulator.weight))
    y = window_attention(graph, block.attn, windows, side, shift)
    y = graph.add("Reshape", y, graph.integers(0, 0, side, side, channels))
    y = graph.add("Transpose", y, perm=SWAPPED)
    y = graph.add("Reshape", y, graph.add("Shape", x))
    return rolled(graph, y, -shift) if shift else y


def leff(graph: Graph, module: LeFF, x: str) -> str:
    """The feed-forward, (1, H, W, C) -> (1, H, W, C)."""
    x = graph.add("Transpose", graph.put(module.linear1, x), perm=CHANNELS_FIRST)
    x = graph.add("Transpose", graph.put(module.dwconv, x), perm=CHANNELS_LAST)
    return graph.put(module.linear2, x)


def lewin_block(graph: Graph, block: LeWinBlock, x: str) -> str:
    """Both halves with their residual connections, (1, C, H, W) -> (1, C, H, W)."""
    x = graph.add("Transpose", x, perm=CHANNELS_LAST)
    x = graph.add("Add", x, attended(graph, block, graph.put(block.norm1, x)))
    x = graph.add("Add", x, graph.put(block.mlp, graph.put(block.norm2, x)))
    return graph.add("Transpose", x, perm=CHANNELS_FIRST)


RULES: Rules = {
    nn.LeakyReLU: leaky_relu,
    nn.ConvTranspose2d: transposed_convolution,
    LeFF: leff,
    LeWinBlock: lewin_block,
}
