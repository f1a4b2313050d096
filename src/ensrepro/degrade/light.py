"""Between what a file stores and linear light, where the physics of every degradation happens.

Images are (H, W, C) float32 in [0, 1], sRGB-encoded. C is 3, or 6 for the two views of a dual-pixel
sensor, left before right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft

Image = NDArray[np.float32]

# IEC 61966-2-1, the sRGB transfer curve
SRGB_KNEE, SRGB_SLOPE, SRGB_OFFSET, SRGB_GAMMA = 0.0031308, 12.92, 0.055, 2.4


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


def photographed(light: Image, read_noise: float, rng: Generator, bits: int = 8) -> Image:
    """A daylight photo: noise of this standard deviation in linear light, then the file."""
    noise = read_noise * rng.standard_normal(light.shape, dtype=np.float32)
    return stored(to_srgb(np.clip(light + noise, 0, 1)), bits)


def blurred(light: Image, kernels: Iterable[NDArray[np.float32]], side: int) -> Iterator[Image]:
    """(H, W, C) convolved with each kernel (side, side), side odd; borders are mirrored."""
    (h, w, _), around = light.shape, (side // 2, side // 2)
    padded = np.pad(light, (around, around, (0, 0)), mode="symmetric")
    size = [fft.next_fast_len(length, real=True) for length in padded.shape[:2]]
    spectrum = fft.rfft2(padded, size, axes=(0, 1))
    inner = slice(side - 1, side - 1 + h), slice(side - 1, side - 1 + w)  # where nothing wraps
    for kernel in kernels:
        product = spectrum * fft.rfft2(kernel, size)[..., None]
        yield fft.irfft2(product, size, axes=(0, 1))[inner]
