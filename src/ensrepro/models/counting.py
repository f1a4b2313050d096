"""Parameters and multiply-accumulates (MACs) of a network, counted layer by layer (section 4.1).

A MAC is one multiplication with its addition; norms, activations and softmax are not counted.
Per image, a convolution takes k * k * C_in / groups MACs for each output value, a linear layer
C_in; a transposed convolution k * k * C_out for each input value; attention across channels takes
2 * L * C * C / heads, attention across pixels 2 * L * L * C, within windows of w * w pixels
2 * L * w * w * C; the scan of an SS2D 9 * L * 4D * N + 4D * L, the convention of the state-space
literature; the recurrence of an edge block L * D.
B, C, H, W: batch, channels, height, width; L = H * W; D, N: inner width, state of an SS2D; D: width
of the recurrence of an edge block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial

import torch
from torch import Tensor, nn

from ensrepro.models.edge import EdgeBlock
from ensrepro.models.mambair import SS2D
from ensrepro.models.restormer import MDTA
from ensrepro.models.uformer_windows import WindowAttention
from ensrepro.models.vanilla import PixelAttention

SCAN_OPERATIONS = 9  # MACs for one entry of the state in one step, by convention

Inputs = tuple[Tensor, ...]  # of a module's call


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one forward pass, by the kind of operation."""

    convolution: int = 0
    linear: int = 0
    attention: int = 0
    scan: int = 0

    @property
    def total(self) -> int:
        return self.convolution + self.linear + self.attention + self.scan

    def __add__(self, other: Macs) -> Macs:
        return Macs(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def parameters(module: nn.Module) -> int:
    """Number of parameters; one that is used twice counts once."""
    return sum(parameter.numel() for parameter in module.parameters())


def scan_macs(module: SS2D, x: Inputs, _y: Tensor) -> Macs:
    """The scan and what is projected for it; the other projections are modules of their own."""
    positions = x[0].numel() // module.in_proj.in_features  # B * L
    rows = module.x_proj_weight.numel() + module.dt_projs_weight.numel()
    channels, states = module.A_logs.shape  # (4D, N)
    scan = SCAN_OPERATIONS * channels * states + channels
    return Macs(linear=positions * rows, scan=positions * scan)


# (module, its inputs, its output) -> MACs, as the docstring of this file has them
RULES: tuple[tuple[type[nn.Module], Callable[..., Macs]], ...] = (
    (nn.Conv2d, lambda conv, _, y: Macs(convolution=y.numel() * conv.weight[0].numel())),
    (nn.ConvTranspose2d, lambda up, x, _: Macs(convolution=x[0].numel() * up.weight[0].numel())),
    (nn.Linear, lambda linear, _, y: Macs(linear=y.numel() * linear.in_features)),
    (MDTA, lambda mdta, x, _: Macs(attention=2 * x[0].numel() * x[0].shape[1] // mdta.heads)),
    (PixelAttention, lambda _, x, y: Macs(attention=2 * x[0].numel() * y.shape[2:].numel())),
    # windows are (B, n, N, C)
    (WindowAttention, lambda _, x, y: Macs(attention=2 * x[0].numel() * x[0].shape[2])),
    (SS2D, scan_macs),
    (EdgeBlock, lambda block, _, y: Macs(scan=y[:, 0].numel() * block.decay.numel())),
)


@contextmanager
def counted(module: nn.Module, counts: list[Macs]) -> Iterator[None]:
    """Within `with`, every part adds its MACs to `counts`, and scans do nothing but keep shape."""
    handles = []
    for part in module.modules():
        for kind, rule in RULES:
            if isinstance(part, kind):
                hook = partial(lambda rule, *call: counts.append(rule(*call)), rule)
                handles.append(part.register_forward_hook(hook))
    scans = [part for part in module.modules() if isinstance(part, SS2D)]
    for part in scans:
        part.scan = lambda x: x  # (B, H, W, D); there is no kernel for tensors without values
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for part in scans:
            del part.scan


def macs(module: nn.Module, input_shape: Sequence[int]) -> Macs:
    """Exact counts for one input of this shape (B, C, H, W), from shapes alone."""
    counts: list[Macs] = []
    state = {
        name: tensor.to("meta")
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
    }
    with torch.no_grad(), counted(module, counts):
        torch.func.functional_call(module, state, torch.empty(*input_shape, device="meta"))
    return sum(counts, Macs())
