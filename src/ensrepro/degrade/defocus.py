"""Defocus of a wide aperture, as one image or as the two views of a dual-pixel sensor.

A point at the wrong distance is spread over a disk, the circle of confusion. A dual-pixel sensor
sees through the left and through the right half of the lens: each view has about half of the disk,
mirrored, and the halves change sides in front of the plane in focus (Abuolaim et al. 2021; their
ramp, without their ripple). The scene is a tilted plane, so the radius changes linearly over the
image and may pass through focus. Assumption A32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ensrepro.degrade.light import Image, blurred, photographed, to_linear


@lru_cache(maxsize=64)
def disk(radius: float, side: int) -> NDArray[np.float32]:
    """(side, side) kernel of sum 1; the edge is smoothed over one pixel."""
    y, x = np.mgrid[:side, :side] - side // 2
    kernel = np.clip(radius + 0.5 - np.hypot(y, x), 0, 1)
    return (kernel / kernel.sum()).astype(np.float32)


@lru_cache(maxsize=64)
def left_half(radius: float, side: int) -> NDArray[np.float32]:
    """What the left view sees of the disk: a ramp from left to right; mirrored if radius < 0.

    The mean of it and of its mirror image is the disk.
    """
    ramp = np.clip((np.arange(side) - side // 2) / (2 * abs(radius) + 1) + 0.5, 0, 1)
    kernel = disk(abs(radius), side) * 2 * ramp
    return (kernel if radius >= 0 else kernel[:, ::-1]).astype(np.float32)


def tilted_plane(height: int, width: int, rng: Generator) -> NDArray[np.float32]:
    """Signed values in [-1, 1] that change linearly over the image, (H, W); one corner has 1 or -1.

    The other end lies anywhere between, so about half of the planes pass through 0.
    """
    angle, other_end = rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1)
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    slope = np.sin(angle) * y + np.cos(angle) * x
    rise = (slope - slope.min()) / max(slope.max() - slope.min(), 1e-9)  # (H, W) in [0, 1]
    side = rng.choice([-1, 1])
    return (side * (other_end + (1 - other_end) * rise)).astype(np.float32)


@dataclass(frozen=True)
class Defocus:
    """Circles of confusion whose largest radius is `smallest` to `largest` pixels, by strength.

    One image of 8 bit; with `dual_pixel` the left and the right view, 16 bit, (H, W, 6).
    """

    smallest: float
    largest: float
    dual_pixel: bool = False
    read_noise: float = 0.0025

    @property
    def side(self) -> int:
        """Of the kernels in pixels, odd."""
        return 2 * int(np.ceil(self.largest)) + 3

    @property
    def margin(self) -> int:
        """Pixels of the scene around a crop that shape what is seen in it."""
        return self.side // 2

    def views(self, radius: float) -> list[NDArray[np.float32]]:
        """The kernel of each view of a point with this signed radius."""
        if not self.dual_pixel:
            return [disk(abs(radius), self.side)]
        left = left_half(radius, self.side)
        return [left, left[:, ::-1]]

    def __call__(self, image: Image, rng: Generator, strength: float | None = None) -> Image:
        """The photo as the wide aperture would have taken it, (H, W, 3) or (H, W, 6).

        Images blurred with radii of whole pixels are mixed, each pixel from the two next to it.
        """
        light = to_linear(image)
        drawn = rng.uniform() if strength is None else strength
        largest = self.smallest + drawn * (self.largest - self.smallest)
        radius = largest * tilted_plane(*light.shape[:2], rng)
        whole = range(int(np.floor(radius.min())), int(np.ceil(radius.max())) + 1)
        kernels = [kernel for r in whole for kernel in self.views(float(r))]
        layers = blurred(light, kernels, self.side)
        n_views = len(kernels) // len(whole)
        seen = np.zeros((*light.shape[:2], 3 * n_views), np.float32)
        for r in whole:
            share = np.clip(1 - abs(radius - r), 0, 1)[..., None]
            seen += share * np.concatenate([next(layers) for _ in range(n_views)], axis=2)
        return photographed(seen, self.read_noise, rng, 16 if self.dual_pixel else 8)
