"""Physical degradations of clean photos; the physics happens in linear light.

Images are (H, W, 3) float32 in [0, 1], sRGB-encoded; so is what comes back, clipped and rounded to
8 bit as a camera would store it. Randomness comes from the generator that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

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


def stored(image: Image) -> Image:
    """Clipped to [0, 1] and rounded to the 256 levels of an 8-bit file."""
    return (np.round(np.clip(image, 0, 1) * 255) / 255).astype(np.float32)


@dataclass(frozen=True)
class SensorNoise:
    """Photon and read noise of a sensor: variance shot * x + read, in units of full scale squared.

    shot is drawn as 10 ** U(low, high); 1 / shot is the number of photons that fill a pixel. The
    read variance is `read_factor * shot ** 2`, as amplification acts on both. Assumption A15.
    """

    low: float = -1.6
    high: float = -0.6
    read_factor: float = 2.0

    def __call__(self, image: Image, rng: Generator) -> Image:
        shot = 10 ** rng.uniform(self.low, self.high)
        light = to_linear(image)
        counted = shot * rng.poisson(light / shot)
        read = np.sqrt(self.read_factor) * shot * rng.standard_normal(light.shape, dtype=np.float32)
        return stored(to_srgb(np.clip(counted + read, 0, 1).astype(np.float32)))


DEGRADATIONS = {"denoise": SensorNoise()}
