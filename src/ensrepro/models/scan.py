"""The selective scan, the recurrence at the heart of a MambaIR block (section 3.1 of the paper).

    h_t = exp(dt_t A) h_(t-1) + dt_t B_t u_t        y_t = C_t h_t + D u_t
    dt_t = softplus(delta_t + delta_bias)

`selective_scan` runs it along a sequence, `scan_2d` over an image in four reading orders. Backends:

    reference   a plain loop in any dtype: the one to read, and what the others are tested against
    torch       the same numbers by chunks, any dtype and device
    numba       compiled for the CPU, float32, forward and backward
    mamba_ssm   the released CUDA kernel, float32, where that package can be imported

Letters: B batch (and, as the scan's input, the weights B_t of dt u), C read-out weights C_t,
G groups of channels that share B_t and C_t, D channels of a group (and the skip weight),
N state size, L steps, H x W image, R rank of the step projection.
"""

from __future__ import annotations

import functools
import importlib
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from ensrepro.models import _scan_torch

if TYPE_CHECKING:  # numba is imported by the functions that need it
    from ensrepro.models._scan_numba import Inputs

BACKENDS = ("reference", "torch", "numba", "mamba_ssm")
RUNS_ON = {"numba": "cpu", "mamba_ssm": "cuda"}  # float32 only; the others take any tensor
N_DIRECTIONS = 4  # of `scan_2d`: rows, columns, and both reversed


# ---------------------------------------------------------------- what may be asked for


@functools.cache
def _imports_mamba_ssm() -> bool:
    """Whether the released kernel is there; an installed one may be built for another torch."""
    try:
        importlib.import_module("mamba_ssm.ops.selective_scan_interface")
        return True
    except Exception:  # what a build that does not fit raises is not always an ImportError
        return False


def _resolve(backend: str, like: Tensor) -> str:
    """The backend that runs, for tensors such as `like`."""
    device, is_single = like.device.type, like.dtype == torch.float32
    if backend == "auto":
        if is_single and device == "cuda" and _imports_mamba_ssm():
            return "mamba_ssm"
        return "numba" if is_single and device == "cpu" else "torch"
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}; expected 'auto' or one of {', '.join(BACKENDS)}")
    if backend in RUNS_ON and not (is_single and device == RUNS_ON[backend]):
        found, needed = f"{like.dtype} on {like.device}", f"torch.float32 on {RUNS_ON[backend]}"
        raise ValueError(f"backend {backend!r} got {found}; it needs {needed}")
    return backend


def _check(expected: dict[str, tuple[Tensor, tuple[int, ...]]]) -> None:
    """Every tensor has its shape, and all share the dtype and device of the first."""
    name0, (first, _) = next(iter(expected.items()))
    if not first.is_floating_point():
        raise TypeError(f"{name0} is {first.dtype}; expected a floating dtype")
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}; expected {shape}")
        if tensor.dtype != first.dtype:
            raise TypeError(f"{name} is {tensor.dtype}; expected {first.dtype} as {name0}")
        if tensor.device != first.device:
            raise ValueError(f"{name} is on {tensor.device}; expected {first.device} as {name0}")


# ---------------------------------------------------------------- the compiled kernels


def _work(kernel: Callable, inputs: Inputs, n_groups: int, *buffers: object) -> None:
    """Run a kernel on torch's number of threads, one share of the maps and channel tiles each.

    Python threads, because the kernels release the interpreter's lock: no thread pool of numba's
    outlives a call, so a process may fork afterwards, and the result is the same on every run.
    """
    from ensrepro.models._scan_numba import Share

    n_workers = min(torch.get_num_threads(), len(inputs.x) * n_groups)
    shares = [Share(worker, n_workers, n_groups) for worker in range(n_workers)]
    if n_workers == 1:
        kernel(inputs, shares[0], *buffers)
    else:
        with ThreadPoolExecutor(n_workers) as pool:
            list(pool.map(lambda share: kernel(inputs, share, *buffers), shares))


def _tile_groups(n_maps: int, n_tiles: int) -> int:
    """Groups of channel tiles that are worked on apart, when there are fewer maps than threads."""
    return min(n_tiles, math.ceil(torch.get_num_threads() / max(1, n_maps)))


def _arrays(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    return [t.detach().contiguous().numpy() for t in tensors]


class _NumbaScan(torch.autograd.Function):
    """x, delta (B, L, D); rows (B, L, K, J); parameters (P, D, .) -> y (B, L, D)."""

    @staticmethod
    def forward(ctx: FunctionCtx, order: Tensor, is_training: bool, *tensors: Tensor) -> Tensor:
        from ensrepro.models import _scan_numba as kernels

        inputs = kernels.Inputs(*_arrays(tensors), order.numpy())
        n_maps, length, channels = inputs.x.shape
        n_tiles, n_chunks = -(-channels // kernels.TILE), -(-length // kernels.CHUNK)
        per_map = (n_tiles, len(order), n_chunks, inputs.A.shape[2], kernels.TILE)
        states = tensors[0].new_empty((n_maps if is_training else 0, *per_map))
        y = tensors[0].new_zeros(inputs.x.shape)  # torch's memory: its profiler counts it
        _work(kernels.forward, inputs, _tile_groups(n_maps, n_tiles), *_arrays([y, states]))
        ctx.save_for_backward(order, *tensors, states)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, dy: Tensor) -> tuple[Tensor | None, ...]:
        from ensrepro.models import _scan_numba as kernels

        order, *tensors, states = ctx.saved_tensors
        inputs = kernels.Inputs(*_arrays(tensors), order.numpy())
        n_maps, n_tiles, n_orders = states.shape[:3]
        n_groups = _tile_groups(n_maps, n_tiles)
        shapes = [inputs.x.shape, inputs.delta.shape, (n_groups, *inputs.rows.shape)]
        shapes += [(n_maps, n_orders, *p.shape[1:]) for p in inputs[3:-1]]
        slopes = [dy.new_zeros(shape) for shape in shapes]
        buffers = *_arrays([states, dy]), kernels.Gradients(*_arrays(slopes))
        _work(kernels.backward, inputs, n_groups, *buffers)
        x, delta, rows, *parameters = slopes
        repeats = n_maps * n_orders // len(inputs.A)  # maps that share one set of parameters
        parameters = [g.view(repeats, len(inputs.A), *g.shape[2:]).sum(0) for g in parameters]
        return None, None, x, delta, rows.sum(0), *parameters


def _numba_scan(order: Tensor, *tensors: Tensor) -> Tensor:
    is_training = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    return _NumbaScan.apply(order, is_training, *tensors)


# ---------------------------------------------------------------- along a sequence


def _reference(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """The recurrence as it is written, one step after the other."""
    n_groups = B.shape[1]
    delta = F.softplus(delta + delta_bias[:, None])
    u, delta = (x.unflatten(1, (n_groups, -1)) for x in (u, delta))  # (B, G, D, L)
    A, D = A.unflatten(0, (n_groups, -1)), D.unflatten(0, (n_groups, -1))
    h = u.new_zeros(*u.shape[:3], A.shape[-1])  # (B, G, D, N)
    outputs = []
    # unbind first: the gradient of x[..., t] inside the loop would fill a whole x at each step
    for u_t, dt, B_t, C_t in zip(*(x.unbind(-1) for x in (u, delta, B, C)), strict=True):
        h = torch.exp(dt[..., None] * A) * h + (dt * u_t)[..., None] * B_t[:, :, None]
        outputs.append((h * C_t[:, :, None]).sum(-1) + D * u_t)
    return torch.stack(outputs, dim=-1).flatten(1, 2)


def _compiled(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """The kernel wants channels last; each group becomes a map with parameters of its own."""
    n_groups, length = B.shape[1], B.shape[3]
    x, steps = (t.unflatten(1, (n_groups, -1)).flatten(0, 1).mT for t in (u, delta))  # (B G, L, D)
    rows = torch.cat([B, C], dim=2).flatten(0, 1).mT.unsqueeze(2)  # (B G, L, 1, 2 N)
    A, D, bias = (p.reshape(n_groups, -1, p[0].numel()) for p in (A, D, delta_bias))  # (G, D, .)
    order = torch.arange(length).unsqueeze(0)
    return _numba_scan(order, x, steps, rows, A[..., :0], bias, A, D).mT.reshape(u.shape)


def _released(*given: Tensor) -> Tensor:
    """The kernel of the package mamba-ssm."""
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    except ImportError as error:
        raise ImportError(
            "backend 'mamba_ssm' needs mamba-ssm: install the extra 'gpu' or use backend 'torch'"
        ) from error
    u, delta, A, B, C, D, delta_bias = (x.contiguous() for x in given)
    return selective_scan_fn(u, delta, A, B, C, D, None, delta_bias, True)


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    *,
    backend: str = "auto",
) -> Tensor:
    """Scan sequences of G * D channels in G groups, each with its own B_t and C_t.

    u, delta (B, G*D, L); A (G*D, N); B, C (B, G, N, L); D, delta_bias (G*D,) -> y (B, G*D, L).
    All share one floating dtype and device; `delta` is the step before bias and softplus.
    """
    if u.ndim != 3 or B.ndim != 4 or A.ndim != 2:
        found = f"u {tuple(u.shape)}, A {tuple(A.shape)}, B {tuple(B.shape)}"
        raise ValueError(f"{found}: expected (B, G*D, L), (G*D, N) and (B, G, N, L)")
    (batch, channels, length), n_state, n_groups = u.shape, A.shape[1], B.shape[1]
    if n_groups == 0 or channels % n_groups or length == 0:
        raise ValueError(f"u {tuple(u.shape)} cannot be cut into {n_groups} groups of channels")
    weights = (batch, n_groups, n_state, length)
    _check(
        {"u": (u, u.shape), "delta": (delta, u.shape), "A": (A, (channels, n_state))}
        | {"B": (B, weights), "C": (C, weights)}
        | {"D": (D, (channels,)), "delta_bias": (delta_bias, (channels,))}
    )
    runs = {"reference": _reference, "torch": _scan_torch.scan}
    runs |= {"numba": _compiled, "mamba_ssm": _released}
    return runs[_resolve(backend, u)](u, delta, A, B, C, D, delta_bias)


# ---------------------------------------------------------------- over an image


def reading_orders(height: int, width: int) -> Tensor:
    """The position h * W + w read at each time by rows, columns, and both reversed: (4, L)."""
    rows = torch.arange(height * width)
    columns = rows.view(height, width).T.reshape(-1)
    return torch.stack([rows, columns, rows.flip(0), columns.flip(0)])


def _scan_sequences(backend: str, order: Tensor, x: Tensor, *given: Tensor) -> Tensor:
    """Make four sequences, scan them as groups, put them back and sum: (B, L, D) -> (B, L, D)."""
    rows, step_weight, step_bias, A, D = given
    n_rank, n_state = step_weight.shape[2], A.shape[2]
    taken = torch.stack([rows[:, o, k] for k, o in enumerate(order)], dim=1)  # (B, 4, L, R + 2 N)
    low, B, C = taken.split([n_rank, n_state, n_state], dim=-1)
    u = torch.stack([x[:, o] for o in order], dim=1).mT.flatten(1, 2)  # (B, 4 D, L)
    delta = (low @ step_weight.mT).mT.flatten(1, 2)
    A, D, bias = (p.flatten(0, 1) for p in (A, D, step_bias))
    y = selective_scan(u, delta, A, B.mT, C.mT, D, bias, backend=backend)
    y = y.unflatten(1, (N_DIRECTIONS, -1)).mT  # (B, 4, L, D) in reading order
    return sum(y[:, k, o.argsort()] for k, o in enumerate(order))


def scan_2d(
    x: Tensor,
    rows: Tensor,
    step_weight: Tensor,
    step_bias: Tensor,
    A: Tensor,
    D: Tensor,
    *,
    backend: str = "auto",
) -> Tensor:
    """Scan an image along rows, columns and both reversed, and sum the four results.

    x (B, H, W, D); rows (B, H, W, 4, R + 2 N), for each position and direction the low-rank step,
    B_t and C_t; step_weight (4, D, R), step_bias (4, D): delta = step_weight @ low-rank step;
    A (4, D, N); D (4, D) -> y (B, H, W, D). Nothing is flipped: all stay at their position.
    """
    if x.ndim != 4 or step_weight.ndim != 3 or A.ndim != 3 or x.numel() == 0:
        found = f"x {tuple(x.shape)}, step_weight {tuple(step_weight.shape)}, A {tuple(A.shape)}"
        raise ValueError(f"{found}: expected (B, H, W, D), (4, D, R) and (4, D, N), none empty")
    (batch, height, width, channels), n_rank, n_state = x.shape, step_weight.shape[2], A.shape[2]
    _check(
        {"x": (x, x.shape), "rows": (rows, (batch, height, width, 4, n_rank + 2 * n_state))}
        | {"step_weight": (step_weight, (4, channels, n_rank)), "A": (A, (4, channels, n_state))}
        | {"step_bias": (step_bias, (4, channels)), "D": (D, (4, channels))}
    )
    order = reading_orders(height, width).to(x.device)
    pixels, rows = x.flatten(1, 2), rows.flatten(1, 2)
    chosen = _resolve(backend, x)
    if chosen == "numba" and n_rank > 0:
        bias, skip = step_bias.unsqueeze(-1), D.unsqueeze(-1)
        y = _numba_scan(order, pixels, pixels[:0], rows, step_weight, bias, A, skip)
    else:
        y = _scan_sequences(chosen, order, pixels, rows, step_weight, step_bias, A, D)
    return y.reshape(x.shape)


def warm_up() -> float:
    """Seconds to compile the kernels, or to load them from numba's cache on disk."""
    start = time.perf_counter()
    x, A = torch.zeros(1, 1, 1, 1), torch.zeros(4, 1, 1)
    rows, weight = torch.zeros(1, 1, 1, 4, 3), torch.zeros(4, 1, 1, requires_grad=True)
    scan_2d(x, rows, weight, A[..., 0], A, A[..., 0], backend="numba").sum().backward()
    return time.perf_counter() - start
