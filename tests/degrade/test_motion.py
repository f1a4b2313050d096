"""Paths of a shaking camera and their kernels."""

from __future__ import annotations

import numpy as np
import pytest

from ensrepro.degrade import CameraShake
from ensrepro.degrade.motion import kernel_of, path

SHAKE = CameraShake(8, 36)


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_path_has_length_one():
    for seed in range(5):
        assert abs(np.diff(path(seeded(seed)))).sum() == pytest.approx(1)


def test_every_kernel_keeps_the_light_and_its_place():
    for seed in range(50):
        kernel = kernel_of(36 * path(seeded(seed)), SHAKE.side).astype(np.float64)
        assert kernel.min() >= 0
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
        center = [(kernel * axis).sum() for axis in np.mgrid[: SHAKE.side, : SHAKE.side]]
        assert center == pytest.approx([SHAKE.side // 2] * 2, abs=1e-3)


def test_a_straight_path_is_a_line_and_fits():
    positions = np.linspace(0, 36, 256) + 0j  # the longest that there is
    kernel = kernel_of(positions, SHAKE.side)
    row = kernel[SHAKE.side // 2]
    assert row.sum() == pytest.approx(1, abs=1e-5)
    assert (row > 1e-4).sum() == pytest.approx(37, abs=1)


def test_a_still_camera_gives_the_photo_back():
    kernel = kernel_of(np.zeros(256, complex), 5)
    assert kernel[2, 2] == 1


def test_paths_differ_in_direction_and_bend():
    ends = np.array([(p := path(seeded(k)))[-1] - p[0] for k in range(60)])
    assert abs(np.mean(ends / abs(ends))) < 0.35  # of 60 random directions: 0.35 is 2.7 sd
    assert abs(ends).min() < 0.5
    assert abs(ends).max() > 0.9
