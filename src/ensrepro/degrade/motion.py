"""Motion blur of a shaking camera: its path during the exposure, drawn as a blur kernel.

A random walk with inertia, after Boracchi and Foi 2012: the hand trembles, is pulled back to where
it began, and now and then jerks. Only the shape of the path matters; its length in pixels is set
afterwards. The blur is the same all over the image. Assumption A31.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ensrepro.degrade.light import Image, blurred, photographed, to_linear

N_STEPS = 256  # of the path
TREMOR, PULL, JERK = 0.06, 0.01, 0.005  # a step: std of the change, fraction back, chance of a jerk
JERK_FACTOR = 2.0  # of the speed, in a new direction


def path(rng: Generator) -> NDArray[np.complex128]:
    """Positions of the camera, (N_STEPS,), x + iy; of length 1."""
    position, velocity = 0j, np.exp(2j * np.pi * rng.uniform())
    pull, jerk = PULL * rng.uniform(), JERK * rng.uniform()
    positions = np.empty(N_STEPS, complex)
    for step in range(N_STEPS):
        tremor = complex(*rng.standard_normal(2)) * TREMOR
        if rng.uniform() < jerk:
            tremor += JERK_FACTOR * velocity * np.exp(1j * (np.pi + rng.uniform(-0.5, 0.5)))
        velocity += tremor - pull * position
        velocity /= max(abs(velocity), 1e-9)  # the hand is never still
        position += velocity
        positions[step] = position
    return positions / np.abs(np.diff(positions)).sum()


def kernel_of(positions: NDArray[np.complex128], side: int) -> NDArray[np.float32]:
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
    """Blur along paths of `shortest` to `longest` pixels, at strengths 0 and 1; daylight noise."""

    shortest: float
    longest: float

    @property
    def side(self) -> int:
        """Of the kernel in pixels, odd. No point of a path is farther than half its length from
        the mean of the path, so none leaves the kernel."""
        return 2 * int(np.ceil(self.longest / 2)) + 3

    @property
    def margin(self) -> int:
        """Pixels of the scene around a crop that shape what is seen in it."""
        return self.side // 2

    def __call__(self, image: Image, rng: Generator, strength: float | None = None) -> Image:
        """The photo as the shaking camera would have taken it, (H, W, 3)."""
        drawn = rng.uniform() if strength is None else strength
        length = self.shortest + drawn * (self.longest - self.shortest)
        kernel = kernel_of(length * path(rng), self.side)
        return photographed(blurred(to_linear(image), kernel), rng)
