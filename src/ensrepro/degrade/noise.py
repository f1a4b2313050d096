"""Noise of a sensor: photons that are counted, and the electronics that read them (Poisson, Gauss).

With a color filter in front of it, whose missing colors are interpolated afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import convolve

from ensrepro.degrade.light import Image, stored, to_linear, to_srgb

# A sensor pixel sees one color; these are the channels of a block of 2x2 pixels (Bayer)
BAYER = np.array([[0, 1], [1, 2]])
# Bilinear interpolation from the pixels of one color to all others
FROM_QUARTER = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4
FROM_HALF = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32) / 4
INTERPOLATION = (FROM_QUARTER, FROM_HALF, FROM_QUARTER)  # red, green, blue


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

    margin: ClassVar[int] = 0  # of the scene around a crop that shapes what is seen in it

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
