"""The selective scan as tensor operations: two levels, exact, any floating dtype, any device.

A recurrence of S = K x T steps is run on its K chunks at once: T vectorized steps from a zero
state, then K steps that carry the state from chunk to chunk, then the T steps again from the states
that enter the chunks. The decay of a chunk is a product, never a quotient or an exponential of
sums, so nothing overflows however large the steps are. Long sequences go segment by segment under a
memory bound; the backward pass recomputes a segment from its saved first state.

Letters: S steps of a segment, K chunks, T steps of a chunk, B batch, G groups, D channels, N state.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_SEGMENT_ELEMENTS = {"cpu": 2**18, "cuda": 2**26}  # cache decides on a CPU, launches on a GPU


def _pad_time(x: Tensor, n_steps: int) -> Tensor:
    """Zeros after the last step, (L, ...) -> (n_steps, ...)."""
    missing = n_steps - x.shape[0]
    return torch.cat([x, x.new_zeros(missing, *x.shape[1:])]) if missing else x.contiguous()


def _contract(rows: Tensor, h: Tensor) -> Tensor:
    """Sum over states, (S, B, G, N) and (S, B, G, N, D) -> (S, B, G, D)."""
    return (rows.unsqueeze(-2) @ h).squeeze(-2)


def _contract_channels(x: Tensor, h: Tensor) -> Tensor:
    """Sum over channels, (S, B, G, D) and (S, B, G, N, D) -> (S, B, G, N)."""
    return (h @ x.unsqueeze(-1)).squeeze(-1)


def _recurrence(decay: Tensor, push: Tensor, first: Tensor, n_chunks: int) -> Tensor:
    """h_t = decay_t h_(t-1) + push_t from h = first: (S, ...), (S, ...), (...) -> (S, ...)."""
    decay, push = (x.unflatten(0, (n_chunks, -1)) for x in (decay, push))  # (K, T, ...)
    factors, carry = decay.prod(1), torch.zeros_like(push[:, 0])  # (K, ...)
    # unbind, not slicing: one view a step, made once
    steps = list(zip(decay.unbind(1), push.unbind(1), strict=True))
    for decay_t, push_t in steps:
        torch.addcmul(push_t, decay_t, carry, out=carry)  # where a chunk ends if it starts at zero
    state = first
    for entry, factor in zip(carry, factors, strict=True):
        ending = torch.addcmul(entry, factor, state)
        entry.copy_(state)  # the state that enters the chunk
        state = ending
    h = torch.empty_like(push)
    for (decay_t, push_t), h_t in zip(steps, h.unbind(1), strict=True):
        carry = torch.addcmul(push_t, decay_t, carry, out=h_t)
    return h.flatten(0, 1)


class _Scan(torch.autograd.Function):
    """y_t = C_t h_t with h_t = exp(dt_t A) h_(t-1) + push_t B_t.

    dt, push (L, B, G, D); A (G, N, D); B, C (L, B, G, N); y (L, B, G, D). L is filled by
    n_segments equal segments of n_chunks equal chunks.
    """

    @staticmethod
    def forward(ctx, dt, push, A, B, C, n_segments, n_chunks):
        state = dt.new_zeros(*dt.shape[1:3], *A.shape[1:])  # (B, G, N, D)
        starts, outputs = [], []
        for dt_s, push_s, B_s, C_s in zip(
            *(x.chunk(n_segments) for x in (dt, push, B, C)), strict=True
        ):
            starts.append(state)
            h = _recurrence(*_decay_and_push(dt_s, push_s, A, B_s), state, n_chunks)
            outputs.append(_contract(C_s, h))
            state = h[-1].clone()  # a view would keep the whole segment
        ctx.save_for_backward(dt, push, A, B, C, torch.stack(starts))
        ctx.n_segments, ctx.n_chunks = n_segments, n_chunks
        return torch.cat(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        dt, push, A, B, C, starts = ctx.saved_tensors
        d_A, carry, pieces = torch.zeros_like(A), torch.zeros_like(starts[0]), []
        segments = zip(
            *(x.chunk(ctx.n_segments) for x in (dt, push, B, C, dy)), starts, strict=True
        )
        for dt_s, push_s, B_s, C_s, dy_s, start in reversed(list(segments)):
            decay, pushed = _decay_and_push(dt_s, push_s, A, B_s)
            h = _recurrence(decay, pushed, start, ctx.n_chunks)
            later = torch.cat([decay[1:], torch.ones_like(decay[:1])])
            shown = C_s.unsqueeze(-1) * dy_s.unsqueeze(-2)
            g = _recurrence(later.flip(0), shown.flip(0), carry, ctx.n_chunks).flip(0)
            d_exponent = g * decay
            carry = d_exponent[0].clone()
            d_exponent *= torch.cat([start.unsqueeze(0), h[:-1]])
            d_A += (d_exponent * dt_s.unsqueeze(-2)).sum((0, 1))
            d_dt = (d_exponent * A).sum(-2)
            pieces.append((d_dt, _contract(B_s, g), _contract_channels(push_s, g),
                           _contract_channels(dy_s, h)))  # fmt: skip
        d_dt, d_push, d_B, d_C = (torch.cat(piece[::-1]) for piece in zip(*pieces, strict=True))
        return d_dt, d_push, d_A, d_B, d_C, None, None


def _decay_and_push(dt: Tensor, push: Tensor, A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """exp(dt A) and push B of every state, each (S, B, G, N, D)."""
    return (dt.unsqueeze(-2) * A).exp_(), push.unsqueeze(-2) * B.unsqueeze(-1)


def scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """`selective_scan` of the module `scan`, whose shapes these are."""
    n_groups, n_steps = B.shape[1], B.shape[3]
    dt = F.softplus(delta + delta_bias[:, None])
    # Time first, channels last: (L, B, G, D) and (L, B, G, N).
    dt, push = (x.unflatten(1, (n_groups, -1)).permute(3, 0, 1, 2) for x in (dt, dt * u))
    B, C = (x.permute(3, 0, 1, 2) for x in (B, C))
    A = A.unflatten(0, (n_groups, -1)).mT.contiguous()  # (G, N, D)
    bound = _SEGMENT_ELEMENTS.get(u.device.type, 2**26)
    n_segments = math.ceil(n_steps / max(1, bound // max(1, u[..., 0].numel() * A.shape[1])))
    n_chunk = math.ceil(math.sqrt(math.ceil(n_steps / n_segments)))
    n_chunks = math.ceil(n_steps / (n_segments * n_chunk))
    padded = n_segments * n_chunks * n_chunk
    # A step of size zero with no push leaves the state as it is, so padding changes nothing.
    dt, push, B, C = (_pad_time(x, padded) for x in (dt, push, B, C))
    y = _Scan.apply(dt, push, A, B, C, n_segments, n_chunks)[:n_steps]  # (L, B, G, D)
    return y.permute(1, 2, 3, 0).flatten(1, 2) + D[:, None] * u
