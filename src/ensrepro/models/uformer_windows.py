"""Attention within the windows of an image, shifted or not: what a Uformer block is built from.

Parameter names are those of the released weights; channels come last.
B, C, H, W: batch, channels, height, width; w: side of a window; N = w * w: its pixels;
n: windows of an image; c: channels of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WEIGHT_STD = 0.02  # of the truncated normals that linear layers and bias tables start from
MASKED = -100.0  # added to the scores of pixels that are no neighbors; 0 to those that are


def partition(x: Tensor, side: int) -> Tensor:
    """An image's windows, row by row: (B, H, W, C) -> (B, n, N, C)."""
    x = x.unflatten(2, (-1, side)).unflatten(1, (-1, side))  # (B, H/w, w, W/w, w, C)
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def joined(windows: Tensor, height: int, width: int, side: int) -> Tensor:
    """The image of its windows, the inverse of `partition`: (B, n, N, C) -> (B, H, W, C)."""
    grid = windows.unflatten(1, (height // side, width // side)).unflatten(3, (side, side))
    return grid.transpose(2, 3).flatten(3, 4).flatten(1, 2)  # from (B, H/w, W/w, w, w, C)


def relative_index(side: int) -> Tensor:
    """(N, N): where the bias of two pixels of a window stands in the table of (2w - 1)^2 rows."""
    pixels = torch.arange(side * side, device="cpu")  # whatever the default device is
    rows, columns = pixels // side, pixels % side
    down = rows[:, None] - rows + side - 1
    right = columns[:, None] - columns + side - 1
    return down * (2 * side - 1) + right


def apart(n: int, is_wrapped: Tensor) -> Tensor:
    """(n, N, N) along one axis: pixels of the last window lie at opposite ends of the image."""
    is_apart = torch.zeros(n, *(2 * is_wrapped.shape), dtype=torch.bool, device=is_wrapped.device)
    is_apart[-1] = is_wrapped[:, None] != is_wrapped
    return is_apart


def shift_mask(height: int, width: int, side: int, shift: int, device: torch.device) -> Tensor:
    """(n, N, N) for an image rolled by `shift` pixels up and left: 0, or MASKED where not adjacent.

    Rolling brings the first rows and columns behind the last ones, into the same windows.
    """
    is_wrapped = torch.arange(side, device=device) >= side - shift
    down = apart(height // side, is_wrapped.repeat_interleave(side))
    right = apart(width // side, is_wrapped.repeat(side))
    return MASKED * (down[:, None] | right).flatten(0, 1)


def linear(n_in: int, n_out: int) -> nn.Linear:
    """A linear layer with the start of the released training."""
    layer = nn.Linear(n_in, n_out)
    nn.init.trunc_normal_(layer.weight, std=WEIGHT_STD)
    nn.init.zeros_(layer.bias)
    return layer


class Projection(nn.Module):
    """Queries from one linear layer, keys and values from another."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_q = linear(channels, channels)
        self.to_kv = linear(channels, 2 * channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        keys, values = self.to_kv(x).chunk(2, dim=-1)
        return self.to_q(x), keys, values


class WindowAttention(nn.Module):
    """Attention among the pixels of each window, (B, n, N, C) -> (B, n, N, C)."""

    def __init__(self, channels: int, heads: int, side: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"channels is {channels}; expected a multiple of heads, {heads}")
        self.heads = heads
        self.index = relative_index(side)
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * side - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=WEIGHT_STD)
        self.qkv = Projection(channels)
        self.proj = linear(channels, channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask`, (n, N, N), is added to the scores of every head."""
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(2, 3) for t in self.qkv(x))
        bias = self.relative_position_bias_table[self.index].permute(2, 0, 1)  # (heads, N, N)
        scores = q * q.shape[-1] ** -0.5 @ k.mT + bias  # (B, n, heads, N, N)
        if mask is not None:
            scores = scores + mask[:, None]
        out = scores.softmax(dim=-1) @ v  # (B, n, heads, N, c)
        return self.proj(out.transpose(2, 3).flatten(3))
