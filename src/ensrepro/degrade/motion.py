"""Motion blur of a shaking camera: its path during the exposure, drawn as a blur kernel.

A random walk with inertia, after Boracchi and Foi 2012: the hand trembles, is pulled back to where
it began, and now and then jerks. Only the shape of the path matters; its extent in pixels is set
afterwards. The blur is the same all over the image. Assumption A31.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ensrepro.degrade.light import Image, blurred, photographed, to_linear

Path = NDArray[np.complex128]


def extent(positions: Path) -> float:
    """The largest distance between two positions."""
    return float(abs(positions[:, None] - positions).max())


def kernel_of(positions: Path, side: int) -> NDArray[np.float32]:
    """The path (pixels) as a blur kernel (side, side) of sum 1, its mean in the middle.

    Each position is shared by the four pixels around it.
    """
    centered = positions - positions.mean() + (side // 2) * (1 + 1j)
    kernel = np.zeros((side, side))
    x, y = np.floor(centered.real).astype(int), np.floor(centered.imag).astype(int)
    fx, fy = centered.real - x, centered.imag - y
    corners = (
        (0, 0, (1 - fy) * (1 - fx)),
        (0, 1, (1 - fy) * fx),
        (1, 0, fy * (1 - fx)),
        (1, 1, fy * fx),
    )
    for down, right, share in corners:
        np.add.at(kernel, (y + down, x + right), share)
    return (kernel / kernel.sum()).astype(np.float32)


@dataclass(frozen=True)
class CameraShake:
    """Blur along paths whose extent is `smallest` to `largest` pixels, at strengths 0 and 1.

    A path has `n_steps`. In each, a unit velocity changes by a `tremor` (standard deviation), by up
    to `pull` of the way back, and with a chance of up to `jerk` it turns around.
    """

    smallest: float
    largest: float
    n_steps: int = 256
    tremor: float = 0.06
    pull: float = 0.01
    jerk: float = 0.005
    read_noise: float = 0.0025

    @property
    def side(self) -> int:
        """Of the kernel in pixels, odd: no position is farther from the mean than the extent."""
        return 2 * int(np.ceil(self.largest)) + 3

    @property
    def margin(self) -> int:
        """Pixels of the scene around a crop that shape what is seen in it."""
        return self.side // 2

    def path(self, rng: Generator) -> Path:
        """Positions of the camera, (n_steps,), x + iy; of extent 1."""
        position, velocity = 0j, np.exp(2j * np.pi * rng.uniform())
        pull, jerk = self.pull * rng.uniform(), self.jerk * rng.uniform()
        positions = np.empty(self.n_steps, complex)
        for step in range(self.n_steps):
            change = complex(*rng.standard_normal(2)) * self.tremor - pull * position
            if rng.uniform() < jerk:
                change -= 2 * velocity * np.exp(1j * rng.uniform(-0.5, 0.5))
            velocity += change
            velocity /= max(abs(velocity), 1e-9)  # the hand is never still
            position += velocity
            positions[step] = position
        return positions / extent(positions)

    def __call__(self, image: Image, rng: Generator, strength: float | None = None) -> Image:
        """The photo as the shaking camera would have taken it, (H, W, 3)."""
        drawn = rng.uniform() if strength is None else strength
        length = self.smallest + drawn * (self.largest - self.smallest)
        kernel = kernel_of(length * self.path(rng), self.side)
        (light,) = blurred(to_linear(image), [kernel], self.side)
        return photographed(light, self.read_noise, rng)
