"""Streaks and the veil."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ensrepro.degrade import DEGRADATIONS, Rain, to_linear
from ensrepro.degrade.rain import smooth_field, streak

RAIN = DEGRADATIONS["derain"]
DRY = replace(RAIN, opacity=(0.0, 0.0), veil=0.0)
BLACK = np.zeros((128, 128, 3), np.float32)


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_without_streaks_and_veil_only_the_camera_s_noise_is_left():
    seen = DRY(np.full((64, 64, 3), 0.5, np.float32), seeded(0), 1.0)
    assert abs(seen - 0.5).max() < 4 / 255


@pytest.mark.parametrize(("length", "width"), [(8.0, 0.5), (28.0, 0.9)])
def test_a_streak_has_its_length_and_width(length, width):
    kernel = streak(length, width, 0.0).astype(np.float64)
    middle = kernel.shape[0] // 2
    assert kernel.max() == kernel[middle, middle] == 1
    assert (kernel[:, middle] > 1e-6).sum() == pytest.approx(length, abs=2)
    across = np.arange(kernel.shape[1]) - middle
    spread = (kernel[middle] * across**2).sum() / kernel[middle].sum()
    assert np.sqrt(spread) == pytest.approx(width, rel=0.1)  # narrow ones are sampled coarsely


def test_a_streak_leans_by_its_tilt():
    kernel = streak(28.0, 0.9, np.deg2rad(30)).astype(np.float64)
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[1]] - kernel.shape[0] // 2
    moments = [(kernel * a * b).sum() for a, b in ((x, x), (x, y), (y, y))]
    angle = (
        np.arctan2(2 * moments[1], moments[2] - moments[0]) / 2
    )  # of the main axis to the y axis
    assert np.rad2deg(angle) == pytest.approx(30, abs=1)


def test_streaks_show_the_sky_where_the_scene_is_darker():
    rain = replace(RAIN, veil=0.0, sky=(0.6, 0.6), opacity=(1.0, 1.0), read_noise=0.0)
    photo = seeded(1).uniform(size=(96, 96, 3)).astype(np.float32)
    seen, dry = to_linear(rain(photo, seeded(2), 1.0)), to_linear(photo)
    darker = dry < 0.59
    assert (seen - dry).min() >= -0.01  # 8 bit
    assert seen[darker].max() < 0.61
    assert (seen - dry)[darker].max() > 0.4
    assert abs(seen - dry)[dry > 0.61].max() < 0.01


def test_the_number_of_drops_is_that_of_the_density():
    # the expected sum of a layer before clipping: drops a pixel, mean opacity, sum of the kernel
    rain = Rain((-3.0, -3.0), (0.2, 0.4), 0.0, lengths=(10.0, 10.0), widths=(0.6, 0.6))
    layers = [rain.layer(256, 256, 1e-3, seeded(k)).mean() for k in range(40)]
    area = streak(10.0, 0.6, 0.0).sum()  # the same for every tilt, to a percent
    assert np.mean(layers) == pytest.approx(1e-3 * 0.3 * area, rel=0.06)


def test_the_veil_mixes_in_the_light_of_the_sky():
    fog = replace(RAIN, opacity=(0.0, 0.0), veil=1.0)
    seen = to_linear(np.stack([fog(BLACK, seeded(k), 1.0) for k in range(40)]))
    assert seen.max() < RAIN.sky[1] + 0.02
    # a share of mean 1/2 of a sky of mean 0.7
    assert seen.mean() == pytest.approx(0.5 * np.mean(RAIN.sky), rel=0.1)
    assert to_linear(fog(BLACK, seeded(0), 0.0)).max() < 0.02


def test_the_veil_changes_slowly():
    field = smooth_field(200, 300, 64, seeded(0))
    assert field.shape == (200, 300)
    assert field.min() >= 0
    assert field.max() <= 1
    assert abs(np.diff(field, axis=0)).max() <= 1 / 64 + 1e-6
    assert abs(np.diff(field, axis=1)).max() <= 1 / 64 + 1e-6
    assert field.std() > 0.1
