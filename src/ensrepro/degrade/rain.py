"""Rain: bright streaks, and a veil of the drops that are too far away to be told apart.

A falling drop shows the sky during the exposure, so a streak adds light where the scene is darker
than the sky (Garg and Nayar 2007). Far drops act like thin fog: they cover the scene with the light
of the sky (Li et al. 2019). Assumption A30.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.signal import oaconvolve

from ensrepro.degrade.light import Image, photographed, to_linear


def streak(length: float, width: float, tilt: float) -> NDArray[np.float32]:
    """One streak, peak 1, on a square of odd side.

    `length` in pixels from end to end with tapered ends, `width` the standard deviation across it
    in pixels, `tilt` in radians from the vertical.
    """
    half = int(np.ceil(length / 2 + 3 * width))
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    along = y * np.cos(tilt) + x * np.sin(tilt)
    across = x * np.cos(tilt) - y * np.sin(tilt)
    taper = np.cos(np.clip(along / length, -0.5, 0.5) * np.pi)
    return (taper * np.exp(-((across / width) ** 2) / 2)).astype(np.float32)


def smooth_field(height: int, width: int, step: int, rng: Generator) -> NDArray[np.float32]:
    """(H, W) values in [0, 1]: bilinear between random ones, `step` pixels apart."""
    ends = (height - 1) / step, (width - 1) / step
    nodes = rng.uniform(size=(int(ends[0]) + 2, int(ends[1]) + 2))
    y, x = np.linspace(0, ends[0], height), np.linspace(0, ends[1], width)
    positions = np.meshgrid(y, x, indexing="ij")
    return map_coordinates(nodes, positions, order=1).astype(np.float32)


@dataclass(frozen=True)
class Rain:
    """Up to `n_layers` layers of streaks, each of one length, width and tilt, behind a veil.

    `density` is log10 of the streaks a pixel and layer, at strengths 0 and 1; `opacity` how much of
    the way to the sky a streak goes at its brightest, in linear light; `veil` the largest share of
    the scene's light that the veil replaces at strength 1, and `veil_step` the pixels over which it
    changes; `sky` the range of the sky's light. Lengths and widths in pixels.
    """

    density: tuple[float, float]
    opacity: tuple[float, float]
    veil: float
    n_layers: int = 3
    lengths: tuple[float, float] = (8.0, 28.0)
    widths: tuple[float, float] = (0.45, 0.9)
    tilt_degrees: float = 15.0  # standard deviation
    veil_step: int = 64
    sky: tuple[float, float] = (0.5, 0.9)
    read_noise: float = 0.0025

    margin: ClassVar[int] = 0  # of the scene around a crop that shapes what is seen in it

    def layer(self, height: int, width: int, density: float, rng: Generator) -> Image:
        """Opacity of one layer of streaks, (H, W) in [0, 1]."""
        tilt = np.deg2rad(self.tilt_degrees) * rng.standard_normal()
        kernel = streak(rng.uniform(*self.lengths), rng.uniform(*self.widths), tilt)
        around = kernel.shape[0] - 1  # streaks that begin outside reach into the image
        size = height + around, width + around
        drops = (rng.uniform(size=size) < density) * rng.uniform(*self.opacity, size=size)
        return np.clip(oaconvolve(drops, kernel, mode="valid"), 0, 1).astype(np.float32)

    def __call__(self, image: Image, rng: Generator, strength: float | None = None) -> Image:
        """The photo as it would have been in the rain, (H, W, 3)."""
        light = to_linear(image)
        drawn = rng.uniform() if strength is None else strength
        low, high = self.density
        density = 10 ** (low + drawn * (high - low))
        size, sky = light.shape[:2], rng.uniform(*self.sky)
        veil = self.veil * drawn * smooth_field(*size, self.veil_step, rng)[..., None]
        light = light * (1 - veil) + sky * veil
        for _ in range(int(rng.integers(1, self.n_layers + 1))):
            light += np.maximum(sky - light, 0) * self.layer(*size, density, rng)[..., None]
        return photographed(light.astype(np.float32), self.read_noise, rng)
