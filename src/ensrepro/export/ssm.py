"""Rules for state-space blocks: the selective scan as an ONNX `Scan`, and the MambaIR block.

The four reading orders run as one batch. What does not depend on the state is computed for all
positions at once, before the `Scan`; a turn of it takes a chunk of T steps. Narrow networks gain
from long chunks, because a turn's own cost outweighs theirs; wide ones from single steps, whose
state and decays stay in the fastest cache. What is appended to fill the last chunk is read after
every position, and changes none of them.

Letters: C channels, H x W image, L = H W, D inner width, N state size, R rank of the step,
T steps of a chunk, K = L / T chunks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ensrepro.export.graph import Graph, Rules
from ensrepro.export.layers import CHANNELS_FIRST, CHANNELS_LAST, silu
from ensrepro.models.mambair import SS2D, ChannelAttention, ChannelGate, VSSBlock
from ensrepro.models.scan import N_DIRECTIONS

CHUNK = 16  # steps, where a step has at most CACHED values, else 1 (benchmarks/export.py)
CACHED = 4096
LARGEST_EXPONENT = 80.0  # exp of it still fits float32; from there on softplus(x) = x
FARTHEST = -(2**63)  # where a slice that runs backwards ends: before the first entry
COLUMNS = (0, 3, 2, 1)  # (1, D, H, W) -> (1, W, H, D)


def softplus(graph: Graph, x: str) -> str:
    """log(1 + e^x), exact to 1e-7; ONNX's own operator is slower in runtimes."""
    power = graph.add("Exp", graph.add("Min", x, graph.number(LARGEST_EXPONENT)))
    return graph.add("Max", x, graph.add("Log", graph.add("Add", power, graph.number(1.0))))


def reverse(graph: Graph, x: str, axis: int) -> str:
    """The entries of an axis, last first."""
    bounds = graph.integers(-1), graph.integers(FARTHEST)
    return graph.add("Slice", x, *bounds, graph.integers(axis), graph.integers(-1))


def four_orders(graph: Graph, rows: str, columns: str, inner: int) -> str:
    """(1, H, W, D) and (1, W, H, D) -> (4, L, D), each line in the order it is read."""
    flat = graph.integers(1, -1, inner)
    two = graph.add("Concat", *(graph.add("Reshape", t, flat) for t in (rows, columns)), axis=0)
    return graph.add("Concat", two, reverse(graph, two, 1), axis=0)


def back_in_place(graph: Graph, y: str, rows: str, columns: str) -> str:
    """The inverse of `four_orders`, summed: (4, L, D) -> (1, H, W, D)."""
    forward, backward = graph.split(y, (2, 2), axis=0)
    both = graph.add("Add", forward, reverse(graph, backward, 1))
    by_rows, by_columns = (
        graph.add("Reshape", part, graph.add("Shape", like))
        for part, like in zip(graph.split(both, (1, 1), axis=0), (rows, columns), strict=True)
    )
    return graph.add("Add", by_rows, graph.add("Transpose", by_columns, perm=(0, 2, 1, 3)))


def whole_chunks(graph: Graph, sequences: str, length: str, n_steps: int) -> str:
    """(4, L, D) -> (4, K T, D), zeros at the end."""
    missing = graph.add("Mod", graph.add("Neg", length), graph.integers(n_steps))
    pads = graph.add("Concat", graph.integers(0, 0, 0, 0), missing, graph.integers(0), axis=0)
    return graph.add("Pad", sequences, pads)


def chunks(graph: Graph, x: str, shape: Sequence[int]) -> str:
    """(4, L, .) -> (K, T, 4, *shape): `Scan` takes its first axis apart."""
    time_first = graph.add("Transpose", x, perm=(1, 0, 2))
    return graph.add("Reshape", time_first, graph.integers(-1, *shape))


def recurrence(graph: Graph, decay: str, push: str, state: str, n_steps: int) -> tuple[str, str]:
    """h_t = decay_t h_(t-1) + push_t: (T, ...), (T, ...), (1, ...) -> (T, ...) and its last."""
    steps = [graph.split(x, [1] * n_steps, axis=0) if n_steps > 1 else [x] for x in (decay, push)]
    states = []
    for decay_t, push_t in zip(*steps, strict=True):
        state = graph.add("Add", graph.add("Mul", decay_t, state), push_t)
        states.append(state)
    return graph.add("Concat", *states, axis=0) if n_steps > 1 else state, state


def scan(graph: Graph, module: SS2D, inputs: Sequence[str], n_steps: int) -> str:
    """The recurrence and what is read from it, (K, T, 4, 1, D).

    The inputs are dt and dt x, (K, T, 4, 1, D) each, B (K, T, 4, N, 1) and C (K, T, 4, 1, N).
    """
    n_state = module.A_logs.shape[1]
    A = -np.exp(graph.array(module.A_logs)).reshape(N_DIRECTIONS, -1, n_state).swapaxes(1, 2)
    zeros = np.zeros((1, *A.shape), np.float32)
    body = Graph(graph.rules, graph.net, within=graph)
    state, dt, push, B, C = (body.fresh(what) for what in ("state", "dt", "push", "B", "C"))
    exponent = body.add("Mul", dt, body.constant(f"{graph.names[id(module.A_logs)]}.decay", A))
    decay = body.add("Exp", exponent)
    states, last = recurrence(body, decay, body.add("Mul", push, B), state, n_steps)
    y = body.add("MatMul", C, states)
    first = graph.constant("_".join(["zeros", *map(str, zeros.shape)]), zeros)
    sequences = list(zip((dt, push, B, C), inputs, strict=True))
    return graph.loop(body, [(state, first, last)], sequences, [y])[0]


def scan_inputs(graph: Graph, module: SS2D, x: str, n_steps: int) -> list[str]:
    """(4, K T, D) -> the inputs of `scan`."""
    n_state, inner = module.A_logs.shape[1], module.in_proj.out_features // 2
    n_rank = module.dt_projs_weight.shape[2]
    rows = graph.add("MatMul", x, graph.weight(module.x_proj_weight, "T"))
    low, B, C = graph.split(rows, (n_rank, n_state, n_state), axis=2)
    delta = graph.add("MatMul", low, graph.weight(module.dt_projs_weight, "T"))
    dt = softplus(graph, graph.add("Add", delta, graph.weight(module.dt_projs_bias, "per_row")))
    shapes = (1, inner), (1, inner), (n_state, 1), (1, n_state)
    return [
        chunks(graph, value, (n_steps, N_DIRECTIONS, *shape))
        for value, shape in zip((dt, graph.add("Mul", dt, x), B, C), shapes, strict=True)
    ]


def four_scans(graph: Graph, module: SS2D, x: str, n_steps: int) -> str:
    """`SS2D.scan`: the sum of the four scans, (1, D, H, W) -> (1, H, W, D)."""
    inner = module.in_proj.out_features // 2
    rows, columns = (graph.add("Transpose", x, perm=p) for p in (CHANNELS_LAST, COLUMNS))
    orders = four_orders(graph, rows, columns, inner)
    length = graph.add("Shape", orders, start=1, end=2)
    orders = whole_chunks(graph, orders, length, n_steps)
    y = scan(graph, module, scan_inputs(graph, module, orders, n_steps), n_steps)
    y = graph.add("Reshape", y, graph.integers(-1, N_DIRECTIONS, inner))
    y = graph.add("Transpose", y, perm=(1, 0, 2))  # (4, K T, D)
    y = graph.add("Slice", y, graph.integers(0), length, graph.integers(1))
    y = back_in_place(graph, y, rows, columns)
    skip = graph.array(module.Ds).reshape(N_DIRECTIONS, inner).sum(0)
    skip = graph.constant(f"{graph.names[id(module.Ds)]}.sum", skip)
    return graph.add("Add", y, graph.add("Mul", rows, skip))


def ss2d(graph: Graph, module: SS2D, x: str, n_steps: int) -> str:
    """The gated four-direction scan in chunks of n_steps, (1, H, W, C) -> (1, H, W, C)."""
    weight = module.in_proj.weight
    parts = np.split(graph.array(weight).T, 2, axis=1)
    names = (f"{graph.names[id(weight)]}.T.{i}" for i in range(2))
    x, gate = (
        graph.add("MatMul", x, graph.constant(*item)) for item in zip(names, parts, strict=True)
    )
    x = graph.put(module.conv2d, graph.add("Transpose", x, perm=CHANNELS_FIRST))
    y = graph.put(module.out_norm, four_scans(graph, module, silu(graph, x), n_steps))
    return graph.put(module.out_proj, graph.add("Mul", y, silu(graph, gate)))


def steps_of_a_chunk(module: SS2D) -> int:
    """T for a block of this width."""
    return CHUNK if module.A_logs.numel() <= CACHED else 1


def vss_block(graph: Graph, block: VSSBlock, x: str) -> str:
    """The MambaIR block, (1, C, H, W) -> (1, C, H, W)."""
    x = graph.add("Transpose", x, perm=CHANNELS_LAST)
    scanned = graph.put(block.self_attention, graph.put(block.ln_1, x))
    x = graph.add("Add", graph.add("Mul", x, graph.weight(block.skip_scale)), scanned)
    normed = graph.add("Transpose", graph.put(block.ln_2, x), perm=CHANNELS_FIRST)
    enhanced = graph.put(block.conv_blk, normed)
    kept = graph.add("Mul", x, graph.weight(block.skip_scale2))
    return graph.add("Add", graph.add("Transpose", kept, perm=CHANNELS_FIRST), enhanced)


RULES: Rules = {
    SS2D: lambda graph, module, x: ss2d(graph, module, x, steps_of_a_chunk(module)),
    ChannelGate: lambda graph, gate, x: graph.add("Mul", x, graph.put(gate.attention, x)),
    ChannelAttention: lambda graph, module, x: graph.put(module.cab, x),
    VSSBlock: vss_block,
}
