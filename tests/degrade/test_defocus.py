"""Circles of confusion, whole and as seen by the two halves of a lens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ensrepro.degrade import Defocus, to_linear, to_srgb
from ensrepro.degrade.defocus import disk, left_half, tilted_plane

SINGLE, DUAL = Defocus(2, 9), Defocus(2, 9, dual_pixel=True)


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("radius", [0.0, 0.4, 2.0, 5.5, 9.0])
def test_a_disk_keeps_the_light_and_has_its_radius(radius):
    kernel = disk(radius, 21).astype(np.float64)
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    y, x = np.mgrid[:21, :21] - 10
    spread = (kernel * (x**2 + y**2)).sum()  # of a disk r^2 / 2, and something for its soft edge
    assert radius**2 / 2 - 0.1 <= spread <= radius**2 / 2 + 0.5
    assert kernel[np.hypot(y, x) > radius + 0.5].sum() == 0


@pytest.mark.parametrize("radius", [0.0, 2.0, 9.0])
def test_both_halves_of_the_lens_together_are_the_lens(radius):
    left = left_half(radius, 21)
    assert np.allclose((left + left[:, ::-1]) / 2, disk(radius, 21), atol=1e-7)
    assert left.sum() == pytest.approx(1, abs=1e-5)


def test_the_halves_change_sides_in_front_of_the_plane_in_focus():
    x = np.arange(21) - 10
    behind, before = (float((left_half(r, 21) * x).sum()) for r in (6.0, -6.0))
    assert behind == pytest.approx(-before, abs=1e-6)
    assert behind > 1  # of a ramp over a disk the mean is r / 4 = 1.5, less for the soft edge


def test_a_plane_reaches_the_largest_radius_and_often_passes_through_focus():
    planes = [tilted_plane(40, 60, seeded(seed)) for seed in range(200)]
    for plane in planes:
        assert plane.shape == (40, 60)
        assert abs(plane).max() == pytest.approx(1, abs=1e-5)
        for axis in (0, 1):
            assert abs(np.diff(plane, 2, axis=axis)).max() < 1e-5  # a plane
    crossing = np.mean([plane.min() < 0 < plane.max() for plane in planes])
    assert crossing == pytest.approx(0.5, abs=0.12)  # 3.4 sd of 200 draws
    assert np.mean([plane.max() == abs(plane).max() for plane in planes]) == pytest.approx(
        0.5, abs=0.12
    )


def test_a_point_is_spread_over_a_disk_of_its_own_radius():
    """Also between the whole radii that images are blurred with."""
    size = 41
    for radius in (1.5, 3.3, 6.5):
        flat = replace(Defocus(radius, radius), read_noise=0.0)
        point = np.zeros((size, size, 3), np.float32)
        point[size // 2, size // 2] = 1.0

        class Everywhere(np.random.Generator):
            """Draws a plane of one radius: the other end is the same."""

            def uniform(self, low=0.0, high=1.0, size=None):
                return high if low == -1 else super().uniform(low, high, size)

        seen = flat(to_srgb(point), Everywhere(np.random.PCG64(0)), 1.0)
        spread = to_linear(seen).astype(np.float64)[..., 0]
        expected = np.zeros((size, size))
        middle = size // 2
        kernel = disk(radius, flat.side)
        half = flat.side // 2
        expected[middle - half : middle + half + 1, middle - half : middle + half + 1] = kernel
        # a mixture of two disks: a little sharper in the middle, a little wider at the edge
        assert spread[middle, middle] == pytest.approx(kernel[half, half], rel=0.45)
        assert abs(spread - expected).sum() < 0.45
        assert spread.sum() == pytest.approx(1, abs=0.03)


def test_the_single_image_is_the_mean_of_both_views():
    photo = seeded(3).uniform(0.2, 0.8, size=(64, 64, 3)).astype(np.float32)
    single, dual = (d(photo, seeded(4), 0.7) for d in (SINGLE, DUAL))
    views = (to_linear(dual[..., :3]) + to_linear(dual[..., 3:])) / 2
    assert abs(views - to_linear(single)).max() < 0.03  # read noise and 8 bit
    assert abs(views - to_linear(single)).mean() < 0.005


def test_an_even_wall_stays_even():
    wall = np.full((64, 64, 3), 0.5, np.float32)
    seen = to_linear(DUAL(wall, seeded(0), 1.0))
    assert seen.mean() == pytest.approx(float(to_linear(wall).mean()), abs=1e-3)
    assert seen.std() < 0.004  # read noise: 0.0025


def test_the_views_are_shifted_against_each_other_where_defocused():
    light = np.zeros((65, 65, 3), np.float32)
    light[:, 32] = 1.0  # a bright line
    shifts = []
    for seed in range(10):
        dual = to_linear(DUAL(to_srgb(light), seeded(seed), 1.0)).astype(np.float64)
        rows = [dual[..., views].mean(axis=(0, 2)) for views in (slice(3), slice(3, 6))]
        places = [(row * np.arange(65)).sum() / row.sum() for row in rows]
        shifts.append(places[0] - places[1])
    # radii are up to 9, and each view's mean lies a quarter of the radius off the middle
    assert max(shifts) > 1
    assert min(shifts) < -1
    assert max(map(abs, shifts)) < 9 / 2
