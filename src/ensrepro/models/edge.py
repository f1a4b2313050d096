"""The edge block: a state-space block for CPUs, our own; no part of the paper.

    y = x + conv3x3(x)                     in groups of channels
    n = LayerNorm(y)
    a, v, g, p, q = W_in n                 a, v, g: D channels each; p, q: h each
    a = sigmoid(a + b)                     how much is kept; it depends on the input
    state = v + a (previous state - v)     along one axis, from line to line
    y + W_out [state sigmoid(g), gelu(p) q]

The recurrence is a diagonal state-space model with one state a channel whose step depends on the
input, as in S6: h_t = a_t h_(t-1) + (1 - a_t) v_t is the zero-order hold of h' = (v - h) / tau over
a step of -tau log(a_t). It runs along one axis, and a whole line of the other axis is one step: H
or W steps, where a scan of pixels has H W. Blocks of a stage go down, right, up, left in turn. A
pixel sees the half of its own column or row that lies behind it, each pixel there with its 3x3
neighborhood; after four blocks it sees the whole image, after two a quadrant, and stages of odd
levels begin with the other two directions. What follows the convolution takes one line at a time,
so that a runtime can keep it in the cache from the norm to the residual connection.

Per pixel a block takes 9 C s multiply-accumulates in the convolution, C (3 D + 2 h) and C (D + h)
in W_in and W_out, and D in the recurrence. `EdgeBlockShape` says what D, h and s are.

Groups have as many channels as the stem of the network, whatever its width: a narrow network and a
wide one are the same network then. In every other block channels far apart form a group.
B, C, H, W: batch, channels, height, width; S: lines along the recurrence; P: pixels of a line;
D: width of the recurrence; h: hidden width of the feed-forward; s: channels of a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ensrepro.models.restormer import NetworkShape
from ensrepro.space import Stage

DECAY_BIAS = (-1.0, 4.0)  # the first b are spread over it: states last 0.8 to 55 lines


class Turn(NamedTuple):
    """A direction: the axis of (B, C, H, W) that the recurrence runs along, and which way."""

    axis: int
    is_backward: bool


H_AXIS, W_AXIS = 2, 3
DOWN, RIGHT, UP, LEFT = (Turn(axis, way) for way in (False, True) for axis in (H_AXIS, W_AXIS))
TURNS = (DOWN, RIGHT, UP, LEFT)
TO_LINES = {H_AXIS: (2, 0, 3, 1), W_AXIS: (3, 0, 2, 1)}  # (B, C, H, W) -> (S, B, P, C)
FROM_LINES = {H_AXIS: (1, 3, 0, 2), W_AXIS: (1, 3, 2, 0)}


@dataclass(frozen=True)
class EdgeBlockShape:
    """Widths of an edge block.

    D is `recurrence` C, rounded up to an even number, h is `expansion` C rounded down, and groups
    of the convolution have the network's width / `group_parts` channels. With `is_bidirectional`
    the second half of the D channels runs against the first. Without `has_state` the state is v:
    a control that has the same parameters and sees 3x3 neighborhoods only.
    """

    recurrence: float = 0.25  # assumption A39, and so are those below
    expansion: float = 0.5
    group_parts: int = 1
    is_bidirectional: bool = False
    has_state: bool = True

    def __post_init__(self) -> None:
        for name in ("recurrence", "expansion"):
            value = getattr(self, name)
            if not 0 < value <= 4:
                raise ValueError(f"{name} is {value!r}; expected a part of the channels in (0, 4]")
        parts = self.group_parts
        if isinstance(parts, bool) or not isinstance(parts, int) or parts < 1:
            raise ValueError(f"group_parts is {parts!r}; expected an integer >= 1")

    @property
    def n_ways(self) -> int:
        """Directions of a block."""
        return 2 if self.is_bidirectional else 1

    def inner_width(self, channels: int) -> int:
        """D."""
        return 2 * max(1, -int(-self.recurrence * channels // 2))

    def hidden_width(self, channels: int) -> int:
        """h."""
        return max(1, int(self.expansion * channels))

    def group_size(self, width: int) -> int:
        """s, in a network whose stem has `width` channels."""
        if width % self.group_parts:
            raise ValueError(
                f"width is {width}; expected a multiple of group_parts, {self.group_parts}"
            )
        return width // self.group_parts


class Recurrence(torch.autograd.Function):
    """state_t = v_t + a_t (state_(t-1) - v_t) from zero; two of (S, B, P, D) -> (S, B, P, D)."""

    @staticmethod
    def forward(ctx: Any, decay: Tensor, value: Tensor, is_backward: bool) -> Tensor:
        states = torch.empty_like(value)
        lines = list(zip(decay, value, states, strict=True))
        before = torch.zeros_like(value[0])
        for a, v, state in reversed(lines) if is_backward else lines:
            before = torch.lerp(v, before, a, out=state)
        ctx.save_for_backward(decay, value, states)
        ctx.is_backward = is_backward
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        """The gradient of a state is its own and, decayed, that of the state after it."""
        decay, value, states = ctx.saved_tensors
        total = torch.empty_like(value)
        lines = list(zip(decay, grad, total, strict=True))
        after, kept = torch.zeros_like(value[0]), torch.zeros_like(value[0])
        for a, g, t in lines if ctx.is_backward else reversed(lines):
            after, kept = torch.addcmul(g, after, kept, out=t), a
        start = torch.zeros_like(states[:1])
        before = [states[1:], start] if ctx.is_backward else [start, states[:-1]]
        to_decay = torch.cat(before).sub_(value).mul_(total)
        return to_decay, torch.addcmul(total, total, decay, value=-1), None


class EdgeBlock(nn.Module):
    """One edge block, (B, C, H, W) -> (B, C, H, W).

    `position` counts the blocks of a stage: it decides on the direction, and on which channels form
    a group of `group_size`.
    """

    def __init__(
        self,
        channels: int,
        group_size: int,
        position: int = 0,
        shape: EdgeBlockShape = EdgeBlockShape(),
    ) -> None:
        super().__init__()
        if channels % group_size:
            raise ValueError(
                f"channels is {channels}; expected a multiple of group_size, {group_size}"
            )
        inner, hidden = shape.inner_width(channels), shape.hidden_width(channels)
        self.turn, self.has_state = TURNS[position % len(TURNS)], shape.has_state
        self.ways = (self.turn.is_backward, not self.turn.is_backward)[: shape.n_ways]
        self.is_shuffled = position % 2 == 1 and channels > group_size
        self.widths = (inner, inner, inner, hidden, hidden)  # of a, v, g, p, q
        n_groups = channels // group_size
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=n_groups, bias=False)
        self.norm = nn.LayerNorm(channels)
        self.project_in = nn.Linear(channels, sum(self.widths), bias=False)
        each = torch.linspace(*DECAY_BIAS, inner // shape.n_ways)
        self.decay = nn.Parameter(each.repeat(shape.n_ways))
        self.project_out = nn.Linear(inner + hidden, channels, bias=False)

    def neighborhood(self, x: Tensor) -> Tensor:
        """The convolution in groups of channels, (B, C, H, W) -> (B, C, H, W).

        Groups of a shuffled block are C/s apart.
        """
        if not self.is_shuffled:
            return self.conv(x)
        n_groups = self.conv.groups
        return F.channel_shuffle(self.conv(F.channel_shuffle(x, x.shape[1] // n_groups)), n_groups)

    def states(self, decay: Tensor, value: Tensor) -> Tensor:
        """The recurrence, two of (S, B, P, D) -> (S, B, P, D)."""
        if not self.has_state:
            return value
        n = len(self.ways)
        parts = zip(decay.chunk(n, -1), value.chunk(n, -1), self.ways, strict=True)
        return torch.cat([Recurrence.apply(*part) for part in parts], dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.neighborhood(x)
        lines = x.permute(TO_LINES[self.turn.axis]).contiguous()  # (S, B, P, C)
        a, v, g, p, q = self.project_in(self.norm(lines)).split(self.widths, dim=-1)
        kept = self.states(torch.sigmoid(a + self.decay), v) * torch.sigmoid(g)
        # the copy pays: elementwise functions crawl over short strided rows
        mixed = self.project_out(torch.cat([kept, F.gelu(p.contiguous()) * q], dim=-1))
        return (lines + mixed).permute(FROM_LINES[self.turn.axis])

    def zero_output(self) -> None:
        """Silence the convolution and the output, so that the block starts as the identity."""
        with torch.no_grad():
            self.conv.weight.zero_()
            self.project_out.weight.zero_()


@dataclass(frozen=True)
class EdgeShape(NetworkShape):
    """Restormer whose surrogates are edge blocks."""

    edge: EdgeBlockShape = EdgeBlockShape()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.edge.group_size(self.width)

    def surrogate_stage(self, stage: Stage, depth: int) -> nn.Sequential:
        """`depth` edge blocks, (B, C, H, W) -> (B, C, H, W)."""
        channels, group_size = self.channels(stage), self.edge.group_size(self.width)
        first = 2 * (stage.level % 2)  # the turn
        return nn.Sequential(
            *(
                EdgeBlock(channels, group_size, position, self.edge)
                for position in range(first, first + depth)
            )
        )


@dataclass(frozen=True)
class StatelessShape(EdgeShape):
    """The control: the same blocks with the same parameters, whose state is what came in last."""

    edge: EdgeBlockShape = EdgeBlockShape(has_state=False)
