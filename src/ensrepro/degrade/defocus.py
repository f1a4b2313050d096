"""Defocus of a wide aperture, as one image or as the two views of a dual-pixel sensor.

A point at the wrong distance is spread over a disk, the circle of confusion. A dual-pixel sensor
sees through the left and through the right half of the lens: each view has about half of the disk,
mirrored, and the halves change sides in front of the plane in focus (Abuolaim et al. 2021; their
ramp, without their ripple). The scene is a tilted plane, so the radius changes linearly over the
image and may pass through focus. Assumption A32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ensrepro.degrade.light import Image, blurred, photographed, to_linear

N_LAYERS = 7  # radii a scene is blurred with; between them the results are mixed
TILT = (0.3, 2.0)  # change of the radius from edge to edge, in units of the largest radius


def disk(radius: float, side: int) -> NDArray[np.float32]:
    """(side, side) kernel of sum 1; the edge is smoothed over one pixel."""
    y, x = np.mgrid[:side, :side] - side // 2
    kernel = np.clip(radius + 0.5 - np.hypot(y, x), 0, 1)
    return (kernel / kernel.sum()).astype(np.float32)


def left_half(radius: float, side: int) -> NDArray[np.float32]:
    """What the left view sees of the disk: a ramp from left to right; mirrored if radius < 0.

    The mean of it and of its mirror image is the disk.
    """
    ramp = np.clip((np.arange(side) - side // 2) / (2 * abs(radius) + 1) + 0.5, 0, 1)
    kernel = disk(abs(radius), side) * 2 * ramp
    return (kernel if radius >= 0 else kernel[:, ::-1]).astype(np.float32)


def tilted_plane(height: int, width: int, largest: float, rng: Generator) -> NDArray[np.float32]:
    """Signed radius of each pixel, (H, W), at most `largest` either way."""
    angle, tilt = rng.uniform(0, 2 * np.pi), rng.uniform(*TILT)
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    slope = (np.sin(angle) * y + np.cos(angle) * x) / (abs(np.sin(angle)) + abs(np.cos(angle)))
    offset = rng.uniform(-1, 1) * (1 - tilt / 2)
    return (largest * (offset + slope * tilt / 2)).astype(np.float32)


@dataclass(frozen=True)
class Defocus:
    """Circles of confusion of up to `smallest` to `largest` pixels in radius, at strengths 0 and 1.

    One image of 8 bit; with `dual_pixel` the left and the right view, 16 bit, (H, W, 6). Daylight
    noise.
    """

    smallest: float
    largest: float
    dual_pixel: bool = False

    @property
    def side(self) -> int:
        """Of the kernels in pixels, odd."""
        return 2 * int(np.ceil(self.largest)) + 3

    @property
    def margin(self) -> int:
        """Pixels of the scene around a crop that shape what is seen in it."""
        return self.side // 2

    def views(self, radius: float) -> list[NDArray[np.float32]]:
        """The kernel of each view."""
        if not self.dual_pixel:
            return [disk(abs(radius), self.side)]
        left = left_half(radius, self.side)
        return [left, left[:, ::-1]]

    def __call__(self, image: Image, rng: Generator, strength: float | None = None) -> Image:
        """The photo as the wide aperture would have taken it, (H, W, 3) or (H, W, 6)."""
        light = to_linear(image)
        drawn = rng.uniform() if strength is None else strength
        largest = self.smallest + drawn * (self.largest - self.smallest)
        radius = tilted_plane(*light.shape[:2], largest, rng)
        layers = np.linspace(radius.min(), radius.max(), N_LAYERS)
        step = max(layers[1] - layers[0], 1e-6)
        seen = np.zeros((*light.shape[:2], 6 if self.dual_pixel else 3), np.float32)
        for layer in layers:
            share = np.clip(1 - abs(radius - layer) / step, 0, 1)[..., None]
            each = [blurred(light, kernel) for kernel in self.views(float(layer))]
            seen += share * np.concatenate(each, axis=2)
        return photographed(seen, rng, 16 if self.dual_pixel else 8)
