"""A vanilla transformer block: every pixel attends to every other (the reference of figure 1).

It exists to be measured: only what is attended to differs from a Restormer block, which attends
across channels. Its cost is quadratic in the number of pixels, and so is its memory.
B, C, H, W: batch, channels, height, width; L = H * W.
"""

from __future__ import annotations

from torch import Tensor, nn

from ensrepro.models.restormer import GDFN, Norm

FLOAT_BYTES = 4
ATTENTION_MATRICES = 2  # scores and their softmax are alive at the same time


def attention_bytes(side: int) -> int:
    """Bytes of the L x L attention matrices of one square image of `side` pixels a side."""
    return ATTENTION_MATRICES * FLOAT_BYTES * side**4


def pixel_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention across pixels, (B, L, C) -> the same, through an L x L matrix."""
    scores = (q * q.shape[-1] ** -0.5) @ k.mT  # (B, L, L)
    return scores.softmax(dim=-1) @ v


class PixelAttention(nn.Module):
    """Single-head self-attention over the pixels, (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).flatten(2).mT.chunk(3, dim=2)  # (B, L, C) each
        return self.project_out(pixel_attention(q, k, v).mT.unflatten(2, x.shape[2:]))


class VanillaAttentionBlock(nn.Module):
    """Attention over the pixels, then Restormer's feed-forward; (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, norm: str = "with_bias") -> None:
        super().__init__()
        self.norm1 = Norm(channels, norm)
        self.attn = PixelAttention(channels)
        self.norm2 = Norm(channels, norm)
        self.ffn = GDFN(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))
