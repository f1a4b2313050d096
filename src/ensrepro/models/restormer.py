"""Restormer: attention across channels and a gated feed-forward (sections 3.1 and 3.2).

Every block maps (B, C, H, W) -> (B, C, H, W). Parameter names are those of the released weights.
`NetworkShape` says what its networks and their hybrids are made of; no convolution has a bias.
B, C, H, W: batch, channels, height, width; L = H * W; h: hidden width of the feed-forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ensrepro.config import MambaIRShape, Profile, Task, named
from ensrepro.models.mambair import RELEASED, state_space_stage
from ensrepro.space import Stage

EXPANSION = 2.66  # hidden width of the feed-forward, as a multiple of C
EPS = 1e-5


class BiasFreeNorm(nn.Module):
    """x / std over the channels; the mean is *not* subtracted, but the variance is centered."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        centered = x - x.mean(1, keepdim=True)
        std = (centered.square().mean(1, keepdim=True) + EPS).sqrt()
        return x / std * self.weight[:, None, None]


class WithBiasNorm(nn.Module):
    """LayerNorm over the channels of each pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        centered = x - x.mean(1, keepdim=True)
        std = (centered.square().mean(1, keepdim=True) + EPS).sqrt()
        return centered / std * self.weight[:, None, None] + self.bias[:, None, None]


NORMS = {"with_bias": WithBiasNorm, "bias_free": BiasFreeNorm}


class Norm(nn.Module):
    """Holds one of NORMS under the released name `body`."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.body = named("norm", norm, NORMS)(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def transposed_attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    """Attention across channels, (B, heads, C/heads, L) -> the same; the cost is linear in L."""
    return attention_map(q, k, temperature) @ v


def attention_map(q: Tensor, k: Tensor, temperature: Tensor) -> Tensor:
    """Softmax of the cosines between channels; two of (B, heads, c, L) -> (B, heads, c, c)."""
    q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    return (q @ k.mT * temperature).softmax(dim=-1)


class MDTA(nn.Module):
    """Multi-Dconv head transposed attention."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"channels is {channels}; expected a multiple of heads, {heads}")
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.qkv_dwconv = nn.Conv2d(
            3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False
        )
        self.project_out = nn.Conv2d(channels, channels, 1, bias=False)

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, C, H, W) -> three of (B, heads, C/heads, L), channels grouped head by head."""
        qkv = self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1)
        q, k, v = (t.flatten(2).unflatten(1, (self.heads, -1)) for t in qkv)
        return q, k, v

    def forward(self, x: Tensor) -> Tensor:
        out = transposed_attention(*self.queries_keys_values(x), self.temperature)
        return self.project_out(out.flatten(1, 2).unflatten(2, x.shape[2:]))


class GDFN(nn.Module):
    """Gated-Dconv feed-forward: one half of the hidden channels gates the other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = int(channels * EXPANSION)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)  # (B, h, H, W) each
        return self.project_out(F.gelu(gate) * value)


class RestormerBlock(nn.Module):
    """Normalized attention, then normalized feed-forward, each with a residual connection."""

    def __init__(self, channels: int, heads: int, norm: str) -> None:
        super().__init__()
        self.norm1 = Norm(channels, norm)
        self.attn = MDTA(channels, heads)
        self.norm2 = Norm(channels, norm)
        self.ffn = GDFN(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


@dataclass(frozen=True)
class NetworkShape:
    """Everything that fixes the parameters of a network, apart from its architecture.

    Six input channels are a dual-pixel pair: the stem's features are added before the output by a
    1x1 convolution, and there is no residual connection from the input image.
    """

    width: int = 48
    norm: str = "with_bias"
    in_channels: int = 3
    out_channels: int = 3
    mambair: MambaIRShape = RELEASED  # assumption A6

    window: ClassVar[int] = 1
    padding: ClassVar[str] = "reflect"

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2:
            raise ValueError(f"width is {self.width}; expected an even number of channels")
        if self.in_channels not in (self.out_channels, 2 * self.out_channels):
            raise ValueError(
                f"in_channels is {self.in_channels}; expected {self.out_channels} or, for a "
                f"dual-pixel pair, {2 * self.out_channels}"
            )

    @classmethod
    def of(cls, profile: Profile, task: Task, width: int) -> NetworkShape:
        """The shape of every network of a profile and task."""
        return cls(width, task.norm, task.in_channels, mambair=profile.mambair)

    @property
    def is_dual_pixel(self) -> bool:
        return self.in_channels == 2 * self.out_channels

    def channels(self, stage: Stage) -> int:
        return self.width * stage.width_factor

    def stem(self) -> nn.Conv2d:
        """(B, C_in, H, W) -> (B, C, H, W)."""
        return nn.Conv2d(self.in_channels, self.width, 3, padding=1, bias=False)

    def downsample(self, n_in: int, n_out: int) -> nn.Sequential:
        """(B, n_in, H, W) -> (B, n_out, H/2, W/2)."""
        conv = nn.Conv2d(n_in, n_out // 4, 3, padding=1, bias=False)
        return nn.Sequential(conv, nn.PixelUnshuffle(2))

    def upsample(self, n_in: int, n_out: int) -> nn.Sequential:
        """(B, n_in, H, W) -> (B, n_out, 2H, 2W)."""
        conv = nn.Conv2d(n_in, 4 * n_out, 3, padding=1, bias=False)
        return nn.Sequential(conv, nn.PixelShuffle(2))

    def output(self, channels: int) -> nn.Conv2d:
        """(B, C, H, W) -> (B, C_out, H, W)."""
        return nn.Conv2d(channels, self.out_channels, 3, padding=1, bias=False)

    def teacher_stage(self, stage: Stage) -> nn.Sequential:
        """The stage's Restormer blocks, (B, C, H, W) -> (B, C, H, W)."""
        blocks = (
            RestormerBlock(self.channels(stage), stage.heads, self.norm)
            for _ in range(stage.n_blocks)
        )
        return nn.Sequential(*blocks)

    def surrogate_stage(self, stage: Stage, depth: int) -> nn.Sequential:
        """`depth` MambaIR blocks, (B, C, H, W) -> (B, C, H, W)."""
        return state_space_stage(self.channels(stage), depth, self.mambair)
