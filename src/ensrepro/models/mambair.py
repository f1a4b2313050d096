"""The MambaIR block (section 3.1 of the paper): a vision state-space block with channel attention.

    a = skip_scale  * x + SS2D(LayerNorm(x))
    y = skip_scale2 * a + CAB(LayerNorm(a))

Parameter names below a block are those of the released MambaIR U-Net, so its weights load as they
are. Blocks take and give (B, C, H, W); inside SS2D channels come last.
Letters: B batch, C channels, H x W image, D inner width, N state size, R rank of the step.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ensrepro.config import MambaIRShape
from ensrepro.models import scan
from ensrepro.models.scan import N_DIRECTIONS

RELEASED = MambaIRShape()  # expand 1.5, 16 states: the released U-Net (assumption A6)
COMPRESSION, SQUEEZE = 3, 30  # of the channels, in the two parts of the channel-attention block
STEP_RANGE = (1e-3, 1e-1)  # first steps dt are log-uniform in it
STEP_FLOOR = 1e-4
STEP_CHANNELS = 16  # channels of the block for each rank of the step projection


class ChannelGate(nn.Module):
    """Weights every channel by a sigmoid of all channel means, (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(1, channels // SQUEEZE)  # narrow networks keep one channel
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)


class ChannelAttention(nn.Module):
    """CAB: two 3x3 convolutions through a third of the channels, then the channel gate."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        compressed = max(1, channels // COMPRESSION)
        self.cab = nn.Sequential(
            nn.Conv2d(channels, compressed, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(compressed, channels, 3, padding=1),
            ChannelGate(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.cab(x)


class SS2D(nn.Module):
    """The gated four-direction scan, (B, H, W, C) -> (B, H, W, C)."""

    def __init__(self, channels: int, shape: MambaIRShape) -> None:
        super().__init__()
        inner, n_state = shape.inner_width(channels), shape.d_state  # D, N
        n_rank = math.ceil(channels / STEP_CHANNELS)  # R
        rows = nn.Linear(inner, n_rank + 2 * n_state, bias=False)
        per_direction = [rows.weight.detach().clone()]
        for _ in range(N_DIRECTIONS - 1):
            rows.reset_parameters()
            per_direction.append(rows.weight.detach().clone())
        self.x_proj_weight = nn.Parameter(torch.stack(per_direction))  # (4, R + 2N, D)
        bound = n_rank**-0.5
        uniform = torch.rand(N_DIRECTIONS, inner, n_rank)
        self.dt_projs_weight = nn.Parameter(bound * (2 * uniform - 1))  # (4, D, R)
        self.dt_projs_bias = nn.Parameter(initial_step_bias(N_DIRECTIONS, inner))  # (4, D)
        states = torch.arange(1, n_state + 1, dtype=torch.float32).log()
        self.A_logs = nn.Parameter(states.repeat(N_DIRECTIONS * inner, 1))  # (4D, N)
        self.Ds = nn.Parameter(torch.ones(N_DIRECTIONS * inner))  # (4D,)
        self.in_proj = nn.Linear(channels, 2 * inner, bias=False)
        self.conv2d = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.out_norm = nn.LayerNorm(inner)
        self.out_proj = nn.Linear(inner, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x, gate = self.in_proj(x).chunk(2, dim=-1)  # (B, H, W, D) each
        x = F.silu(self.conv2d(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        y = self.scan(x.contiguous())
        # the copy pays: elementwise functions crawl over short strided rows
        return self.out_proj(self.out_norm(y) * F.silu(gate.contiguous()))

    def scan(self, x: Tensor) -> Tensor:
        """The sum of the four scans, (B, H, W, D) -> (B, H, W, D), in float32 or wider."""
        dtype = torch.promote_types(x.dtype, torch.float32)
        n_directions, n_entries, inner = self.x_proj_weight.shape
        rows = F.linear(x, self.x_proj_weight.flatten(0, 1).to(x.dtype))
        y = scan.scan_2d(
            x.to(dtype),
            rows.unflatten(-1, (n_directions, n_entries)).to(dtype),  # (B, H, W, 4, R + 2N)
            self.dt_projs_weight.to(dtype),
            self.dt_projs_bias.to(dtype),
            -self.A_logs.to(dtype).exp().unflatten(0, (n_directions, inner)),  # (4, D, N)
            self.Ds.to(dtype).view(n_directions, inner),
        )
        return y.to(x.dtype)


def initial_step_bias(*shape: int) -> Tensor:
    """The inverse softplus of steps that are log-uniform in STEP_RANGE."""
    low, high = (math.log(step) for step in STEP_RANGE)
    steps = torch.exp(low + (high - low) * torch.rand(shape)).clamp_min(STEP_FLOOR)
    return steps + torch.log(-torch.expm1(-steps))


class VSSBlock(nn.Module):
    """One MambaIR block, (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, shape: MambaIRShape = RELEASED) -> None:
        super().__init__()
        self.skip_scale = nn.Parameter(torch.ones(channels))
        self.skip_scale2 = nn.Parameter(torch.ones(channels))
        self.ln_1 = nn.LayerNorm(channels)
        self.self_attention = SS2D(channels, shape)
        self.conv_blk = ChannelAttention(channels)
        self.ln_2 = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)  # (B, H, W, C)
        x = x * self.skip_scale + self.self_attention(self.ln_1(x))
        enhanced = self.conv_blk(self.ln_2(x).permute(0, 3, 1, 2))  # (B, C, H, W)
        return (x * self.skip_scale2).permute(0, 3, 1, 2) + enhanced

    def zero_output(self) -> None:
        """Silence both branches, so that the block starts as the identity.

        Distillation starts there: an untrained surrogate passes the teacher's features unchanged.
        """
        last = self.conv_blk.cab[2]
        with torch.no_grad():
            for parameter in (self.self_attention.out_proj.weight, last.weight, last.bias):
                parameter.zero_()


def state_space_stage(channels: int, depth: int, shape: MambaIRShape) -> nn.Sequential:
    """`depth` MambaIR blocks, (B, C, H, W) -> (B, C, H, W)."""
    return nn.Sequential(*(VSSBlock(channels, shape) for _ in range(depth)))
