"""Between what a file stores and linear light, where the physics of every degradation happens.

Images are (H, W, C) float32 in [0, 1], sRGB-encoded. C is 3, or 6 for the two views of a dual-pixel
sensor, left before right.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import oaconvolve

Image = NDArray[np.float32]

# IEC 61966-2-1, the sRGB transfer curve
SRGB_KNEE, SRGB_SLOPE, SRGB_OFFSET, SRGB_GAMMA = 0.0031308, 12.92, 0.055, 2.4

READ_NOISE = 0.0025  # standard deviation in linear light of a photo taken in daylight


def to_linear(image: Image) -> Image:
    """sRGB-encoded values to linear light."""
    curved = ((image + SRGB_OFFSET) / (1 + SRGB_OFFSET)) ** SRGB_GAMMA
    return np.where(image <= SRGB_KNEE * SRGB_SLOPE, image / SRGB_SLOPE, curved).astype(np.float32)


def to_srgb(light: Image) -> Image:
    """Linear light to sRGB-encoded values."""
    curved = (1 + SRGB_OFFSET) * np.maximum(light, SRGB_KNEE) ** (1 / SRGB_GAMMA) - SRGB_OFFSET
    return np.where(light <= SRGB_KNEE, light * SRGB_SLOPE, curved).astype(np.float32)


def stored(image: Image, bits: int = 8) -> Image:
    """Clipped to [0, 1] and rounded to the levels of a file with `bits` a channel."""
    top = 2**bits - 1
    return (np.round(np.clip(image, 0, 1) * top) / top).astype(np.float32)


def photographed(light: Image, rng: Generator, bits: int = 8) -> Image:
    """A daylight photo of this light: read noise, then the file."""
    noise = READ_NOISE * rng.standard_normal(light.shape, dtype=np.float32)
    return stored(to_srgb(np.clip(light + noise, 0, 1)), bits)


def blurred(light: Image, kernel: NDArray[np.float32]) -> Image:
    """(H, W, C) convolved with a kernel of odd sides, (k, l); borders are mirrored."""
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = np.pad(light, ((top, top), (left, left), (0, 0)), mode="symmetric")
    return oaconvolve(padded, kernel[..., None], mode="valid", axes=(0, 1)).astype(np.float32)
