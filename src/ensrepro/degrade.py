"""Physical degradations of clean photos; the physics happens in linear light.

Images are (H, W, 3) float32 in [0, 1], sRGB-encoded; so is what comes back, clipped and rounded to
8 bit as a camera would store it. Randomness comes from the generator that is passed in; `strength`,
a number from 0 (mild) to 1 (severe), is drawn from it too unless it is given.
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

# A sensor pixel sees one color; these are the channels of a block of 2x2 pixels (Bayer)
BAYER = np.array([[0, 1], [1, 2]])
# Bilinear interpolation from the pixels of one color to all others
FROM_QUARTER = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4
FROM_HALF = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32) / 4
INTERPOLATION = (FROM_QUARTER, FROM_HALF, FROM_QUARTER)  # red, green, blue


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


def color_filter(height: int, width: int, phase: tuple[int, int]) -> NDArray[np.intp]:
    """The channel that each sensor pixel sees, (H, W).

    `phase` is the pixel of the block that lies at the top left: its row and column, 0 or 1.
    """
    rows, columns = np.arange(height) + phase[0], np.arange(width) + phase[1]
    return BAYER[np.ix_(rows % 2, columns % 2)]


def demosaiced(raw: NDArray[np.float32], color: NDArray[np.intp]) -> Image:
    """(H, W) sensor values and their channels to (H, W, 3), by bilinear interpolation.

    Borders are mirrored. Noise that was independent from pixel to pixel is correlated afterwards.
    """
    planes = [
        convolve(np.where(color == channel, raw, 0), kernel, mode="mirror")
        for channel, kernel in enumerate(INTERPOLATION)
    ]
    return np.stack(planes, axis=-1).astype(np.float32)


@dataclass(frozen=True)
class SensorNoise:
    """Photon and read noise of a sensor: variance shot * x + read, in units of full scale squared.

    shot is 10 ** (low + strength * (high - low)); 1 / shot is the number of photons that fill a
    pixel. The read variance is `read_factor * shot ** 2`, as amplification acts on both. With a
    `mosaic` each pixel counts one color behind a Bayer filter; the other two are interpolated,
    which spreads the noise over its neighbors, as in Brooks et al. 2019. Assumption A15.
    """

    low: float
    high: float
    read_factor: float = 2.0
    mosaic: bool = True

    def counted(self, light: Image, shot: float, rng: Generator) -> Image:
        """What the sensor reads for the light that falls on it; any shape."""
        photons = shot * rng.poisson(light / shot)
        read = np.sqrt(self.read_factor) * shot * rng.standard_normal(light.shape, dtype=np.float32)
        return np.clip(photons + read, 0, 1).astype(np.float32)

    def __call__(self, image: Image, rng: Generator, strength: float | None = None) -> Image:
        """The photo as the sensor would have taken it, (H, W, 3)."""
        light = to_linear(image)
        drawn = rng.uniform() if strength is None else strength
        shot = 10 ** (self.low + drawn * (self.high - self.low))
        if not self.mosaic:
            return stored(to_srgb(self.counted(light, shot, rng)))
        phase = int(rng.integers(2)), int(rng.integers(2))
        color = color_filter(*light.shape[:2], phase)
        seen = np.take_along_axis(light, color[..., None], axis=2)[..., 0]
        return stored(to_srgb(demosaiced(self.counted(seen, shot, rng), color)))


DEGRADATIONS = {
    "denoise": SensorNoise(-1.3, -0.3),
    "white_noise": SensorNoise(-1.6, -0.6, mosaic=False),  # what a denoiser learns first
}
