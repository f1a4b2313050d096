"""Physical degradations of clean photos; the physics happens in linear light.

Images are (H, W, 3) float32 in [0, 1], sRGB-encoded; so is what comes back, clipped and rounded to
8 bit as a camera would store it. Randomness comes from the generator that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import convolve

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


# A sensor pixel sees one color; red, green, green, blue in each block of 2x2 pixels
BAYER = np.array([[0, 1], [1, 2]])
# Bilinear interpolation from the pixels of a color to all others
FROM_QUARTER = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4
FROM_HALF = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32) / 4
INTERPOLATION = (FROM_QUARTER, FROM_HALF, FROM_QUARTER)  # red, green, blue


def color_of_pixel(height: int, width: int) -> NDArray[np.intp]:
    """Which channel each sensor pixel sees, (H, W)."""
    return np.tile(BAYER, (height // 2 + 1, width // 2 + 1))[:height, :width]


def demosaiced(raw: NDArray[np.float32]) -> Image:
    """(H, W) sensor values to (H, W, 3) by bilinear interpolation, mirrored at the borders.

    Noise that was independent from pixel to pixel is correlated with its neighbors afterwards.
    """
    color = color_of_pixel(*raw.shape)
    planes = [
        convolve(np.where(color == channel, raw, 0), kernel, mode="mirror")
        for channel, kernel in enumerate(INTERPOLATION)
    ]
    return np.stack(planes, axis=-1).astype(np.float32)


@dataclass(frozen=True)
class SensorNoise:
    """Photon and read noise of a sensor behind a Bayer filter: variance shot * x + read.

    Units are full scale. shot is drawn as 10 ** U(low, high); 1 / shot is the number of photons
    that fill a pixel. The read variance is `read_factor * shot ** 2`, as amplification acts on
    both. The noise is made on the mosaic and then interpolated with it, so it is correlated
    (Brooks et al. 2019). White balance and color matrix are left out. Assumption A15.
    """

    low: float = -1.45
    high: float = -0.45
    read_factor: float = 2.0

    def __call__(self, image: Image, rng: Generator) -> Image:
        shot = 10 ** rng.uniform(self.low, self.high)
        color = color_of_pixel(*image.shape[:2])
        light = np.take_along_axis(to_linear(image), color[..., None], axis=2)[..., 0]
        counted = shot * rng.poisson(light / shot)
        read = np.sqrt(self.read_factor) * shot * rng.standard_normal(light.shape)
        raw = np.clip(counted + read, 0, 1).astype(np.float32)
        return stored(to_srgb(demosaiced(raw)))


DEGRADATIONS = {"denoise": SensorNoise()}
