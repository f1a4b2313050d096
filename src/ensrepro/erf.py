"""How far a stage sees: effective receptive fields and attention maps (the paper's Figure 2).

    R(y, x) = mean over images and channels of |d sum_c out(c, center) / d in(c', y, x)|,

divided by its sum, so that R says which share of the center's gradient comes from which pixel
(assumption A14). The center is the pixel (H // 2, W // 2). A residual connection leads straight
from the center to the center: it is part of R, as it is part of the stage.

Restormer's attention is across channels: its map has no pixels in it. For a map over pixels,
`StageAttention.spatial` is the size of what the attention adds, which is not an attention weight.

B, C, H, W: batch, channels, height, width; L = H * W; heads: attention heads; c = C / heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from ensrepro.models.hybrid import UNet
from ensrepro.models.restormer import MDTA, attention_map

Field = NDArray[np.float64]  # (H, W), not negative, sums to 1

AREA_THRESHOLD = 0.01  # of the largest value: pixels above it count as seen
SLACK = 1e-9  # sums of shares reach 1 up to rounding
CONFIDENCE = 0.95


def _center_gradient(module: nn.Module, image: Tensor) -> Tensor:
    """|gradient| of the output's center with respect to one input (1, C, H, W), as (H, W)."""
    x = image.detach().clone().requires_grad_()
    with torch.enable_grad():
        out = module(x)
        if out.shape[2:] != x.shape[2:]:
            raise ValueError(
                f"the output has {tuple(out.shape[2:])} pixels and the input "
                f"{tuple(x.shape[2:])}; expected the same size"
            )
        center = out[..., out.shape[2] // 2, out.shape[3] // 2].sum()
        (gradient,) = torch.autograd.grad(center, x)
    return gradient.abs().mean(dim=(0, 1))


def gradient_maps(module: nn.Module, inputs: Tensor) -> NDArray[np.float64]:
    """One map per image, (B, C, H, W) -> (B, H, W), in the gradient's own scale.

    One image at a time: the memory is that of a single training step on one image.
    """
    if inputs.ndim != 4 or not len(inputs):
        raise ValueError(f"inputs has shape {tuple(inputs.shape)}; expected (B >= 1, C, H, W)")
    if not torch.isfinite(inputs).all():
        raise ValueError("inputs holds NaN or infinity; expected finite values")
    maps = [_center_gradient(module, image[None]).double().cpu() for image in inputs]
    return torch.stack(maps).numpy()


def normalized(gradients: ArrayLike) -> Field:
    """The receptive field of gradient maps (B, H, W): their mean over B, divided by its sum."""
    mean = np.asarray(gradients, dtype=np.float64).mean(axis=0)
    total = mean.sum()
    if not (np.isfinite(total) and total > 0):
        raise ValueError(f"the gradients sum to {total}; expected a finite sum above 0")
    return mean / total


def receptive_field(stage: nn.Module, inputs: Tensor) -> Field:
    """Receptive field (H, W) of a stage on its inputs (B, C, H, W); sums to 1 (assumption A14)."""
    return normalized(gradient_maps(stage, inputs))


def _field(field: ArrayLike) -> Field:
    """The map (H, W) with sum 1; else ValueError."""
    values = np.asarray(field, dtype=np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"field has shape {values.shape}; expected (H, W)")
    if not np.isfinite(values).all() or values.min() < 0 or abs(values.sum() - 1) > 1e-6:
        raise ValueError(
            f"field has minimum {values.min():g} and sum {values.sum():g}; "
            "expected no negative value and a sum of 1"
        )
    return values


class Growth(NamedTuple):
    """Share of the gradient within a radius in pixels; both (n,), the radii strictly ascending."""

    radii: NDArray[np.float64]
    shares: NDArray[np.float64]


def growth(field: ArrayLike) -> Growth:
    """How the share grows with a disk around the center; its radii are all distances of pixels."""
    values = _field(field)
    h, w = values.shape
    y, x = np.ogrid[:h, :w]
    # Squared distances are whole numbers, so that equal ones are equal.
    squared = (y - h // 2) ** 2 + (x - w // 2) ** 2
    distances, ring = np.unique(squared, return_inverse=True)
    mass = np.bincount(ring.ravel(), weights=values.ravel())
    return Growth(np.sqrt(distances), np.minimum(np.cumsum(mass), 1.0))


def radius(field: ArrayLike, share: float = 0.5) -> float:
    """Smallest r in pixels such that the pixels at a distance <= r hold `share` of the gradient."""
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}; expected a number above 0 and at most 1")
    radii, shares = growth(field)
    return float(radii[np.searchsorted(shares, share - SLACK)])


def area_above(field: ArrayLike, threshold: float = AREA_THRESHOLD) -> float:
    """Fraction of the pixels whose value is at least `threshold` times the largest value."""
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}; expected a number above 0 and at most 1")
    values = _field(field)
    return float((values >= threshold * values.max()).mean())


def effective_pixels(field: ArrayLike) -> float:
    """exp(entropy), 1 to H * W: how many pixels of equal share have it; ignores where they are."""
    values = _field(field)
    p = values[values > 0]
    return float(np.exp(-(p * np.log(p)).sum()))


class Width(NamedTuple):
    """The width of a receptive field in numbers; see the functions of these names."""

    radius_50: float
    radius_90: float
    area: float
    effective_pixels: float


def width(field: ArrayLike) -> Width:
    """All measures of width of a receptive field (H, W)."""
    return Width(radius(field), radius(field, 0.9), area_above(field), effective_pixels(field))


class Interval(NamedTuple):
    """A value with the bounds of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def radius_interval(
    gradients: ArrayLike, share: float = 0.5, n_resamples: int = 1000, seed: int = 0
) -> Interval:
    """The radius of gradient maps (B, H, W), and how far it depends on which images were taken."""
    maps = np.asarray(gradients, dtype=np.float64)
    value = radius(normalized(maps), share)
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(maps), size=(n_resamples, len(maps)))
    resampled = [radius(normalized(maps[pick]), share) for pick in picks]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail], method="nearest")
    return Interval(value, float(low), float(high))


@dataclass(frozen=True)
class StageAttention:
    """What the attention of a stage's n blocks does.

    channels (n, B, heads, c, c): weight of each key channel (last) for each query channel.
    spatial (n, B, H, W): L2 norm over the channels of what the attention adds at each pixel.
    """

    stage: str
    channels: NDArray[np.float32]
    spatial: NDArray[np.float32]


class _Record:
    """A forward hook that keeps the attention map and the output's norm of every call."""

    def __init__(self) -> None:
        self.channels: list[Tensor] = []
        self.spatial: list[Tensor] = []

    def __call__(self, module: MDTA, inputs: tuple[Tensor], output: Tensor) -> None:
        q, k, _ = module.queries_keys_values(inputs[0])
        self.channels.append(attention_map(q, k, module.temperature).cpu())
        self.spatial.append(output.norm(dim=1).cpu())


@torch.no_grad()
def channel_attention_maps(network: UNet, image: Tensor) -> dict[str, StageAttention]:
    """Attention across channels, for images (B, C_in, H, W), of every stage that has any.

    Those are Restormer's: surrogates and the stages of Uformer have no entry.
    """
    records: dict[str, _Record] = {}
    hooks = []
    for name, stage in network.stages.items():
        attentions = [m for m in stage.modules() if isinstance(m, MDTA)]
        if attentions:
            records[name] = _Record()
            hooks += [m.register_forward_hook(records[name]) for m in attentions]
    try:
        network(image)
    finally:
        for hook in hooks:
            hook.remove()
    return {
        name: StageAttention(
            name, torch.stack(record.channels).numpy(), torch.stack(record.spatial).numpy()
        )
        for name, record in records.items()
    }


def attention_spread(channels: ArrayLike) -> float:
    """Mean entropy of the rows (..., c, c) over log c: 0 each query takes one key, 1 all alike."""
    weights = np.asarray(channels, dtype=np.float64)
    if weights.ndim < 2 or weights.shape[-1] < 2:
        raise ValueError(f"channels has shape {weights.shape}; expected (..., c, c) with c >= 2")
    entropy = -(weights * np.log(np.maximum(weights, 1e-30))).sum(axis=-1)
    return float(entropy.mean() / np.log(weights.shape[-1]))
