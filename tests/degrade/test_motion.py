"""Paths of a shaking camera and their kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ensrepro.degrade import CameraShake
from ensrepro.degrade.motion import extent, kernel_of

SHAKE = CameraShake(4, 12)


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_path_has_extent_one():
    for seed in range(5):
        path = SHAKE.path(seeded(seed))
        assert len(path) == SHAKE.n_steps
        # brute force over all pairs of positions
        assert max(abs(a - b) for a in path for b in path) == pytest.approx(1)


def test_every_kernel_keeps_the_light_and_its_place_and_is_as_wide_as_its_path():
    for seed in range(50):
        kernel = kernel_of(20 * SHAKE.path(seeded(seed)), SHAKE.side).astype(np.float64)
        assert kernel.min() >= 0
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
        center = [(kernel * axis).sum() for axis in np.mgrid[: SHAKE.side, : SHAKE.side]]
        assert center == pytest.approx([SHAKE.side // 2] * 2, abs=1e-3)
        y, x = np.nonzero(kernel)
        assert extent(x + 1j * y) == pytest.approx(20, abs=2 * 2**0.5)  # shared by four pixels


def test_a_straight_path_is_a_line_and_fits():
    positions = np.linspace(0, 20, 256) + 0j
    kernel = kernel_of(positions, SHAKE.side)
    row = kernel[SHAKE.side // 2]
    assert row.sum() == pytest.approx(1, abs=1e-5)
    assert (row > 1e-4).sum() == pytest.approx(21, abs=1)


def test_a_still_camera_gives_the_photo_back():
    kernel = kernel_of(np.zeros(256, complex), 5)
    assert kernel[2, 2] == 1


def test_without_tremor_pull_and_jerk_the_camera_moves_straight():
    path = replace(SHAKE, tremor=0.0, pull=0.0, jerk=0.0).path(seeded(3))
    assert np.allclose(np.diff(path), np.diff(path)[0])
    assert abs(path[-1] - path[0]) == pytest.approx(1)


def test_paths_go_in_all_directions_and_most_of_them_bend():
    paths = [SHAKE.path(seeded(k)) for k in range(60)]
    starts = np.array([path[1] - path[0] for path in paths])
    assert abs(np.mean(starts / abs(starts))) < 0.35  # of 60 random directions: 2.7 sd
    lengths = np.array([abs(np.diff(path)).sum() for path in paths])  # in units of the extent
    assert np.median(lengths) > 1.2
