"""Compiled CPU kernels of the selective scan: several reading orders at once, forward and backward.

Section 3.1 of the paper (the state-space block). One call scans a map along K reading orders and
sums the results, without ever storing the L x D x N states or a reordered copy of the map. Channels
are worked on in tiles of 16, the lanes of one vector; time is cut in chunks, and the backward pass
recomputes the states of a chunk from the state that the forward pass saved at its start.

Letters: B maps, L positions, D channels, N state size, R rank of the step projection, K reading
orders, P = K times the number of parameter groups, J = R + 2 N entries of a row, T steps of a
chunk. A row is what one position says to one order: [low-rank step, B_t, C_t].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ensrepro.models._lanes import (
    LOG2_E,
    empty_tiles,
    exp2,
    gather,
    load,
    pick,
    put,
    scatter_add,
    softplus,
    softplus_slope,
    splat,
    store,
    take,
    total,
)
from ensrepro.models._lanes import N_LANES as TILE

CHUNK = 64  # T: the work arrays of a chunk, about ten of T x TILE floats, stay in the first caches

# The start of the SHA-256 of _lanes.py. numba's cache on disk looks at this file only, so this
# file has to change whenever that one does; a test compares the two.
LANES_DIGEST = "05c2b020d48c6d38"

_function = njit(error_model="numpy", boundscheck=False)
_entry = njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)


class Inputs(NamedTuple):
    """What a scan reads; all float32 and C-contiguous but `order` (int64)."""

    x: np.ndarray  # (B, L, D)
    delta: np.ndarray  # (B, L, D) steps before bias and softplus, read when R = 0 (then K = 1)
    rows: np.ndarray  # (B, L, K, J)
    step_weight: np.ndarray  # (P, D, R)
    step_bias: np.ndarray  # (P, D, 1)
    A: np.ndarray  # (P, D, N)
    skip: np.ndarray  # (P, D, 1)
    order: np.ndarray  # (K, L) position read at each time


class Gradients(NamedTuple):
    """Where `backward` adds; zero on entry. Z is the number of tile groups of `Share`."""

    x: np.ndarray  # (B, L, D)
    delta: np.ndarray  # (B, L, D)
    rows: np.ndarray  # (Z, B, L, K, J)
    step_weight: np.ndarray  # (B, K, D, R)
    step_bias: np.ndarray  # (B, K, D, 1)
    A: np.ndarray  # (B, K, D, N)
    skip: np.ndarray  # (B, K, D, 1)


class Share(NamedTuple):
    """Which (map, tile group) units a call works on: worker, worker + n_workers, ..."""

    worker: int
    n_workers: int
    n_groups: int


class _Chunk(NamedTuple):
    """What the steps of one chunk read, gathered in time order."""

    x: np.ndarray  # (T, TILE)
    raw: np.ndarray  # (T, TILE) step before softplus
    dt: np.ndarray  # (T, TILE) step
    row: np.ndarray  # (T, J, up to whole vectors)


@_function
def _load_tiles(inputs, b, k, firsts):
    """The parameters of the tiles that start at the channels `firsts`."""
    n_orders = inputs.order.shape[0]
    p = b % (inputs.A.shape[0] // n_orders) * n_orders + k
    tiles = empty_tiles(inputs.A, inputs.step_weight, firsts.size)
    for i, first in enumerate(firsts):
        take(inputs.A, p, first, tiles.A[i])
        take(inputs.step_weight, p, first, tiles.step_weight[i])
        take(inputs.step_bias, p, first, tiles.step_bias[i])
        take(inputs.skip, p, first, tiles.skip[i])
    return tiles


@_function
def _empty_chunk(inputs):
    lanes = np.empty((3, CHUNK, TILE), np.float32)
    row = np.empty((CHUNK, -(-inputs.rows.shape[3] // TILE) * TILE), np.float32)
    return _Chunk(lanes[0], lanes[1], lanes[2], row)


@_function
def _load_rows(rows, b, k, positions, row):
    """row[t] = what positions[t] says to order k; beyond its J entries row holds anything."""
    _, length, n_orders, n_entries = rows.shape
    for t in range(positions.size):
        start = ((b * length + positions[t]) * n_orders + k) * n_entries
        if start + row.shape[1] <= rows.size:
            for j in range(0, row.shape[1], TILE):
                store(row, t * row.shape[1] + j, load(rows, start + j))
        else:
            for j in range(n_entries):
                row[t, j] = rows[b, positions[t], k, j]


@_function
def _load_chunk(inputs, tile, b, positions, first, chunk):
    """x and the steps of one tile; the rows are there already."""
    # Arrays are taken out of their tuples before a loop: inside, numba would count references.
    row, raw, dt, weight = chunk.row, chunk.raw, chunk.dt, tile.step_weight
    n_rank, bias = weight.shape[0], load(tile.step_bias, 0)
    gather(inputs.x, b, positions, first, chunk.x)
    if n_rank == 0:
        gather(inputs.delta, b, positions, first, raw)
        for t in range(positions.size):
            store(raw, t * TILE, load(raw, t * TILE) + bias)
    else:
        for t in range(positions.size):
            step = bias
            for r in range(n_rank):
                step = step + load(weight, r * TILE) * splat(row[t, r])
            store(raw, t * TILE, step)
    for t in range(positions.size):
        store(dt, t * TILE, softplus(load(raw, t * TILE)))


@_function
def _advance(n_steps, tile, chunk, h, y):
    """Run a chunk: h (N, TILE) moves to its end, y (T, TILE) is written."""
    x, step, row, A, skip = chunk.x, chunk.dt, chunk.row, tile.A, load(tile.skip, 0)
    n_rank, n_state = tile.step_weight.shape[0], h.shape[0]
    for t in range(n_steps):
        store(y, t * TILE, skip * load(x, t * TILE))
    for n in range(n_state):
        a = load(A, n * TILE) * splat(LOG2_E)
        state = load(h, n * TILE)
        for t in range(n_steps):
            dt = load(step, t * TILE)
            pushed = dt * load(x, t * TILE) * splat(row[t, n_rank + n])
            state = exp2(dt * a) * state + pushed
            shown = state * splat(row[t, n_rank + n_state + n])
            store(y, t * TILE, load(y, t * TILE) + shown)
        store(h, n * TILE, state)


@_function
def _forward_order(inputs, b, k, firsts, y, states):
    """Scan some tiles of one map along order k, adding to y; keeps the states of chunk starts."""
    tiles, chunk = _load_tiles(inputs, b, k, firsts), _empty_chunk(inputs)
    h, out, order = np.zeros_like(tiles.A), np.empty_like(chunk.x), inputs.order[k]
    for start in range(0, order.size, CHUNK):
        positions = order[start : start + CHUNK]
        _load_rows(inputs.rows, b, k, positions, chunk.row)
        for i, first in enumerate(firsts):
            if states.shape[0] > 0:
                states[b, first // TILE, k, start // CHUNK] = h[i]
            tile = pick(tiles, i)
            _load_chunk(inputs, tile, b, positions, first, chunk)
            _advance(positions.size, tile, chunk, h[i], out)
            scatter_add(out, b, positions, first, y)


@_entry
def forward(inputs, share, y, states):
    """Add the scan of `inputs` to y (B, L, D).

    `states` (B, tiles, K, chunks, N, TILE) receives the state at the start of each chunk, which
    `backward` needs; give it B = 0 to keep nothing.
    """
    for unit in range(share.worker, inputs.x.shape[0] * share.n_groups, share.n_workers):
        b, group = unit // share.n_groups, unit % share.n_groups
        firsts = np.arange(group * TILE, inputs.x.shape[2], share.n_groups * TILE)
        for k in range(inputs.order.shape[0]):
            _forward_order(inputs, b, k, firsts, y, states)


@_function
def _retrace(n, n_steps, tile, chunk, state, dy, decay, before, d_row):
    """Recompute state n of a chunk; keeps decays and earlier states, adds dC_t."""
    x, step, row = chunk.x, chunk.dt, chunk.row
    n_rank, n_state = tile.step_weight.shape[0], tile.A.shape[0]
    a = load(tile.A, n * TILE) * splat(LOG2_E)
    for t in range(n_steps):
        dt = load(step, t * TILE)
        factor = exp2(dt * a)
        store(decay, t * TILE, factor)
        store(before, t * TILE, state)
        pushed = dt * load(x, t * TILE) * splat(row[t, n_rank + n])
        state = factor * state + pushed
        d_row[t, n_rank + n_state + n] += total(load(dy, t * TILE) * state)


@_function
def _reverse(n, n_steps, tile, chunk, dy, decay, before, carry, d_A, d_push, d_dt, d_row):
    """Run the gradient of state n back through a chunk; adds dB_t and the rest."""
    x, step, row = chunk.x, chunk.dt, chunk.row
    n_rank, n_state = tile.step_weight.shape[0], tile.A.shape[0]
    a, d_a, g = load(tile.A, n * TILE), load(d_A, n * TILE), load(carry, n * TILE)
    for back in range(n_steps):
        t = n_steps - 1 - back
        i = t * TILE
        dt = load(step, i)
        g = g + load(dy, i) * splat(row[t, n_rank + n_state + n])
        d_row[t, n_rank + n] += total(g * (dt * load(x, i)))
        store(d_push, i, load(d_push, i) + g * splat(row[t, n_rank + n]))
        g = g * load(decay, i)
        d_exponent = g * load(before, i)
        store(d_dt, i, load(d_dt, i) + d_exponent * a)
        d_a = d_a + d_exponent * dt
    store(carry, n * TILE, g)
    store(d_A, n * TILE, d_a)


@_function
def _finish(n_steps, tile, chunk, dy, d_push, d_dt, d_tile, d_row):
    """From d(dt x) and ddt to the gradients of x (left in d_push) and of the raw step (d_dt)."""
    x, raw, step, row = chunk.x, chunk.raw, chunk.dt, chunk.row
    weight, d_weight, skip = tile.step_weight, d_tile.step_weight, load(tile.skip, 0)
    d_skip, d_bias = load(d_tile.skip, 0), load(d_tile.step_bias, 0)
    for t in range(n_steps):
        i = t * TILE
        x_t, push, out = load(x, i), load(d_push, i), load(dy, i)
        d_raw = (load(d_dt, i) + push * x_t) * softplus_slope(load(raw, i))
        store(d_dt, i, d_raw)
        store(d_push, i, push * load(step, i) + out * skip)
        d_skip, d_bias = d_skip + out * x_t, d_bias + d_raw
    store(d_tile.skip, 0, d_skip)
    store(d_tile.step_bias, 0, d_bias)
    for r in range(weight.shape[0]):
        w, d_w = load(weight, r * TILE), load(d_weight, r * TILE)
        for t in range(n_steps):
            d_raw = load(d_dt, t * TILE)
            d_row[t, r] += total(d_raw * w)
            d_w = d_w + d_raw * splat(row[t, r])
        store(d_weight, r * TILE, d_w)


@_function
def _backward_order(inputs, states, dy, b, k, firsts, d_rows, gradients):
    """The gradients that some tiles of one map and one order contribute; d_rows (L, K, J)."""
    tiles = _load_tiles(inputs, b, k, firsts)
    d_tiles = empty_tiles(inputs.A, inputs.step_weight, firsts.size)
    chunk, carry, order = _empty_chunk(inputs), np.zeros_like(tiles.A), inputs.order[k]
    d_row, lanes = np.empty_like(chunk.row), np.empty((5, CHUNK, TILE), np.float32)
    out, decay, before, d_push, d_dt = lanes[0], lanes[1], lanes[2], lanes[3], lanes[4]
    for c in range((order.size - 1) // CHUNK, -1, -1):
        positions = order[c * CHUNK : (c + 1) * CHUNK]
        n = positions.size
        _load_rows(inputs.rows, b, k, positions, chunk.row)
        d_row[:] = 0
        for i, first in enumerate(firsts):
            tile, d_tile, g = pick(tiles, i), pick(d_tiles, i), carry[i]
            starts, d_A = states[b, first // TILE, k, c], d_tile.A
            _load_chunk(inputs, tile, b, positions, first, chunk)
            gather(dy, b, positions, first, out)
            d_push[:], d_dt[:] = 0, 0
            for s in range(d_A.shape[0]):
                _retrace(s, n, tile, chunk, load(starts, s * TILE), out, decay, before, d_row)
                _reverse(s, n, tile, chunk, out, decay, before, g, d_A, d_push, d_dt, d_row)
            _finish(n, tile, chunk, out, d_push, d_dt, d_tile, d_row)
            scatter_add(d_push, b, positions, first, gradients.x)
            if tile.step_weight.shape[0] == 0:
                scatter_add(d_dt, b, positions, first, gradients.delta)
        for t in range(n):
            for j in range(d_rows.shape[2]):
                d_rows[positions[t], k, j] += d_row[t, j]
    for i, first in enumerate(firsts):
        put(d_tiles.A[i], b, k, first, gradients.A)
        put(d_tiles.step_weight[i], b, k, first, gradients.step_weight)
        put(d_tiles.step_bias[i], b, k, first, gradients.step_bias)
        put(d_tiles.skip[i], b, k, first, gradients.skip)


@_entry
def backward(inputs, share, states, dy, gradients):
    """Add to `gradients` what dy (B, L, D) sends back through the scan of `inputs`."""
    for unit in range(share.worker, inputs.x.shape[0] * share.n_groups, share.n_workers):
        b, group = unit // share.n_groups, unit % share.n_groups
        firsts = np.arange(group * TILE, inputs.x.shape[2], share.n_groups * TILE)
        for k in range(inputs.order.shape[0]):
            _backward_order(inputs, states, dy, b, k, firsts, gradients.rows[group, b], gradients)
