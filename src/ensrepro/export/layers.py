"""Rules for PyTorch's own layers and for the Restormer block: (1, C, H, W) -> (1, C, H, W).

The block's rules compute what the module computes in an order that onnxruntime executes 1.1 to 1.6
times as fast (benchmarks/export.py): parts of a convolution that are used apart are
convolutions apart; hidden channels are filled up with zeros; cosines are divided after the product
of queries and keys; the last projection is multiplied into the attention map; means over channels
are 1x1 convolutions.
C, H, W: channels, height, width; L = H * W; c: channels of a head.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ensrepro.export.graph import Graph, Rules
from ensrepro.models.restormer import (
    EPS,
    GDFN,
    MDTA,
    BiasFreeNorm,
    Norm,
    RestormerBlock,
    WithBiasNorm,
)

CHANNELS_LAST, CHANNELS_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
SMALLEST_NORM = 1e-12  # of a query or key, as in torch.nn.functional.normalize
LANES = 16  # float32 numbers in the longest vectors of a CPU; kernels take channels by so many


# ---------------------------------------------------------------- PyTorch's layers


def sequential(graph: Graph, parts: nn.Sequential, x: str) -> str:
    """One after the other."""
    for part in parts:
        x = graph.put(part, x)
    return x


def identity(_graph: Graph, _module: nn.Identity, x: str) -> str:
    """No node at all."""
    return x


def convolution(graph: Graph, conv: nn.Conv2d, x: str) -> str:
    """Zero padding, any stride and groups."""
    inputs = [x, graph.weight(conv.weight)]
    if conv.bias is not None:
        inputs.append(graph.weight(conv.bias))
    return graph.add(
        "Conv", *inputs, pads=[*conv.padding, *conv.padding], strides=conv.stride, group=conv.groups
    )


def linear(graph: Graph, module: nn.Linear, x: str) -> str:
    """On the last axis, whatever stands before it."""
    y = graph.add("MatMul", x, graph.weight(module.weight, "T"))
    return y if module.bias is None else graph.add("Add", y, graph.weight(module.bias))


def layer_norm(graph: Graph, module: nn.LayerNorm, x: str) -> str:
    """Over the last axis."""
    affine = graph.weight(module.weight), graph.weight(module.bias)
    return graph.add("LayerNormalization", x, *affine, axis=-1, epsilon=module.eps)


def gelu(graph: Graph, x: str) -> str:
    """x Phi(x) through the error function, in the pattern that runtimes put into one kernel."""
    scaled = graph.add("Div", x, graph.number(math.sqrt(2)))
    risen = graph.add("Add", graph.add("Erf", scaled), graph.number(1.0))
    return graph.add("Mul", graph.add("Mul", x, risen), graph.number(0.5))


def silu(graph: Graph, x: str) -> str:
    """x sigmoid(x)."""
    return graph.add("Mul", x, graph.add("Sigmoid", x))


def global_pool(graph: Graph, _module: nn.AdaptiveAvgPool2d, x: str) -> str:
    """The mean of every channel; the only size that is used is one pixel."""
    return graph.add("GlobalAveragePool", x)


def shuffle(graph: Graph, module: nn.PixelShuffle, x: str) -> str:
    """(1, C r r, H, W) -> (1, C, r H, r W)."""
    return graph.add("DepthToSpace", x, blocksize=module.upscale_factor, mode="CRD")


def unshuffle(graph: Graph, module: nn.PixelUnshuffle, x: str) -> str:
    """(1, C, r H, r W) -> (1, C r r, H, W); ONNX puts the pixel's place before C, PyTorch after."""
    r = module.downscale_factor
    moved = graph.add("SpaceToDepth", x, blocksize=r)  # (1, r r C, H, W)
    size = graph.add("Shape", moved, start=2)
    apart = graph.add("Concat", graph.integers(1, r * r, -1), size, axis=0)
    moved = graph.add("Transpose", graph.add("Reshape", moved, apart), perm=(0, 2, 1, 3, 4))
    together = graph.add("Concat", graph.integers(1, -1), size, axis=0)
    return graph.add("Reshape", moved, together)


# ---------------------------------------------------------------- the Restormer block


def norm(graph: Graph, module: Norm, x: str) -> str:
    """The norm that it holds."""
    return graph.put(module.body, x)


def with_bias_norm(graph: Graph, module: WithBiasNorm, x: str) -> str:
    """LayerNorm over the channels of each pixel."""
    x = graph.add("Transpose", x, perm=CHANNELS_LAST)
    affine = graph.weight(module.weight), graph.weight(module.bias)
    x = graph.add("LayerNormalization", x, *affine, axis=-1, epsilon=EPS)
    return graph.add("Transpose", x, perm=CHANNELS_FIRST)


def bias_free_norm(graph: Graph, module: BiasFreeNorm, x: str) -> str:
    """x / std * weight, over the channels of each pixel."""
    channels = len(module.weight)
    mean_of = graph.constant(f"mean_of_{channels}", np.full((1, channels, 1, 1), 1 / channels, "f"))
    centered = graph.add("Sub", x, graph.add("Conv", x, mean_of))
    variance = graph.add("Conv", graph.add("Mul", centered, centered), mean_of)  # (1, 1, H, W)
    std = graph.add("Sqrt", graph.add("Add", variance, graph.number(EPS)))
    scaled = graph.add("Mul", x, graph.add("Reciprocal", std))
    return graph.add("Mul", scaled, graph.weight(module.weight, "per_channel"))


def filled(array: NDArray[Any], axis: int, multiple: int) -> NDArray[Any]:
    """Zeros behind the entries of an axis, up to a multiple."""
    padding = [(0, 0)] * array.ndim
    padding[axis] = (0, -array.shape[axis] % multiple)
    return np.pad(array, padding)


def branches(
    graph: Graph, pair: tuple[nn.Conv2d, nn.Conv2d], n: int, x: str, multiple: int = 1
) -> list[str]:
    """The n equal parts of a 1x1 and a depthwise convolution, each filled up to a multiple."""
    pads = (*pair[1].padding, *pair[1].padding)
    names = [graph.names[id(conv.weight)] for conv in pair]
    weights = [np.split(graph.array(conv.weight), n) for conv in pair]
    parts = []
    for i, arrays in enumerate(zip(*weights, strict=True)):
        mixed, spread = (
            graph.constant(f"{name}.{i}", filled(array, 0, multiple))
            for name, array in zip(names, arrays, strict=True)
        )
        group = len(graph.weights[spread])
        parts.append(graph.add("Conv", graph.add("Conv", x, mixed), spread, pads=pads, group=group))
    return parts


def attention_map(graph: Graph, module: MDTA, q: str, k: str) -> str:
    """Softmax of the cosines between channels; two of (1, heads, c, L) -> (1, heads, c, c)."""
    swapped, last, least = (0, 1, 3, 2), graph.integers(3), graph.number(SMALLEST_NORM)
    lengths = [graph.add("Max", graph.add("ReduceL2", t, last), least) for t in (q, k)]
    products = graph.add("MatMul", q, graph.add("Transpose", k, perm=swapped))
    norms = graph.add("Mul", lengths[0], graph.add("Transpose", lengths[1], perm=swapped))
    cosines = graph.add("Div", products, norms)
    scores = graph.add("Mul", cosines, graph.weight(module.temperature))
    return graph.add("Softmax", scores, axis=-1)


def mdta(graph: Graph, module: MDTA, x: str) -> str:
    """Attention across channels; W_out (map v) is computed as (W_out map) v."""
    channels, heads = module.project_out.in_channels, module.heads
    q, k, v = branches(graph, (module.qkv, module.qkv_dwconv), 3, x)
    by_head = graph.integers(1, heads, channels // heads, -1)
    q, k = (graph.add("Reshape", t, by_head) for t in (q, k))
    weight = graph.array(module.project_out.weight).reshape(channels, heads, -1).swapaxes(0, 1)
    name = f"{graph.names[id(module.project_out.weight)]}.by_head"  # (heads, C, c)
    mixing = graph.add("MatMul", graph.constant(name, weight), attention_map(graph, module, q, k))
    mixing = graph.add("Transpose", mixing, perm=(0, 2, 1, 3))  # (1, C, heads, c)
    mixing = graph.add("Reshape", mixing, graph.integers(1, channels, channels))
    out = graph.add("MatMul", mixing, graph.add("Reshape", v, graph.integers(1, channels, -1)))
    return graph.add("Reshape", out, graph.add("Shape", x))


def gdfn(graph: Graph, module: GDFN, x: str) -> str:
    """Gated feed-forward."""
    gate, value = branches(graph, (module.project_in, module.dwconv), 2, x, LANES)
    gated = graph.add("Mul", gelu(graph, gate), value)
    weight = module.project_out.weight
    last = graph.constant(
        f"{graph.names[id(weight)]}.filled", filled(graph.array(weight), 1, LANES)
    )
    return graph.add("Conv", gated, last)


def restormer_block(graph: Graph, block: RestormerBlock, x: str) -> str:
    """Both halves with their residual connections."""
    x = graph.add("Add", x, graph.put(block.attn, graph.put(block.norm1, x)))
    return graph.add("Add", x, graph.put(block.ffn, graph.put(block.norm2, x)))


RULES: Rules = {
    nn.Sequential: sequential,
    nn.Identity: identity,
    nn.Conv2d: convolution,
    nn.Linear: linear,
    nn.LayerNorm: layer_norm,
    nn.GELU: lambda graph, _, x: gelu(graph, x),
    nn.ReLU: lambda graph, _, x: graph.add("Relu", x),
    nn.Sigmoid: lambda graph, _, x: graph.add("Sigmoid", x),
    nn.AdaptiveAvgPool2d: global_pool,
    nn.PixelShuffle: shuffle,
    nn.PixelUnshuffle: unshuffle,
    Norm: norm,
    WithBiasNorm: with_bias_norm,
    BiasFreeNorm: bias_free_norm,
    MDTA: mdta,
    GDFN: gdfn,
    RestormerBlock: restormer_block,
}
