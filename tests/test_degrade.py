"""Degradations: the transfer curve of IEC 61966-2-1, and the statistics of sensor noise."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2xyz

from ensrepro.degrade import DEGRADATIONS, SensorNoise, stored, to_linear, to_srgb

LEVELS = np.arange(256, dtype=np.float32) / 255


def image(value: float, side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), value, np.float32)


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("encoded", "light"),
    [
        (0.0, 0.0),
        (1.0, 1.0),
        # IEC 61966-2-1: V / 12.92 up to 0.04045, else ((V + 0.055) / 1.055) ** 2.4
        (0.02, 0.02 / 12.92),
        (0.04045, 0.04045 / 12.92),
        (0.5, 0.2140411),
        (0.7353570, 0.5),
        (128 / 255, 0.2158605),
    ],
)
def test_known_values_of_the_transfer_curve(encoded, light):
    assert to_linear(image(encoded))[0, 0, 0] == pytest.approx(light, abs=1e-6)
    assert to_srgb(image(light))[0, 0, 0] == pytest.approx(encoded, abs=1e-6)


def test_linear_light_is_what_scikit_image_computes():
    # luminance of a gray is its linear light times the sum of the Y row, 1 for every library
    luminance = rgb2xyz(np.repeat(LEVELS[:, None, None], 3, axis=2))[..., 1]
    white = luminance[-1]
    assert np.allclose(to_linear(LEVELS)[:, None] * white, luminance, atol=1e-6)


def test_encoding_undoes_decoding():
    fine = np.linspace(0, 1, 100_001, dtype=np.float32)
    assert np.allclose(to_srgb(to_linear(fine)), fine, atol=1e-6)
    assert np.allclose(to_linear(to_srgb(fine)), fine, atol=1e-6)
    assert np.array_equal(stored(to_srgb(to_linear(LEVELS))), LEVELS)


def test_the_curves_rise_without_a_step():
    fine = np.linspace(0, 1, 100_001, dtype=np.float32)
    for curve, steepest in ((to_linear(fine), 2.4 / 1.055), (to_srgb(fine), 12.92)):
        steps = np.diff(curve.astype(np.float64))
        assert steps.min() >= 0
        assert steps.max() < steepest * 1e-5 * 1.1 + 1e-7  # rounding, and the curve's tiny kink


def test_what_is_stored_has_256_levels_and_no_more():
    values = np.array([-0.5, -0.0, 0.4 / 255, 0.6 / 255, 0.5, 254.6 / 255, 1.0, 7.0], np.float32)
    expected = np.array([0, 0, 0, 1, 128, 255, 255, 255]) / 255  # 127.5 rounds to even
    assert np.allclose(stored(values), expected, atol=1e-7)
    assert stored(values).dtype == np.float32
    assert np.array_equal(stored(LEVELS), LEVELS)


def test_the_tasks_noise_is_a_night_shots():
    # assumption A15: shot 10 ** U(-1.6, -0.6), read variance 2 shot ** 2
    noise = DEGRADATIONS["denoise"]
    assert noise == SensorNoise()
    assert (noise.low, noise.high, noise.read_factor) == (-1.6, -0.6, 2.0)


@pytest.mark.parametrize(
    ("shot", "read_factor", "light"),
    # little noise, so that clipping does not count; shot x prevails, then read, both, shot x alone
    [(1e-3, 2.0, 0.4), (1e-3, 900.0, 0.3), (2e-3, 100.0, 0.5), (1e-3, 0.0, 0.6)],
)
def test_mean_and_variance_are_those_of_the_model(shot, read_factor, light):
    noise = SensorNoise(np.log10(shot), np.log10(shot), read_factor)
    seen = to_linear(noise(image(float(to_srgb(image(light))[0, 0, 0]), 512), seeded(0)))
    variance = shot * light + read_factor * shot**2
    # 8 bit: a level is 1 / 255 wide in sRGB, times the slope of the curve in linear light
    slope = 2.4 * light ** (1.4 / 2.4) / 1.055
    rounding = (slope / 255) ** 2 / 12
    n = seen.size
    assert seen.mean() == pytest.approx(light, abs=6 * np.sqrt(variance / n) + 1e-4)
    assert seen.var() == pytest.approx(variance + rounding, rel=0.02)  # 6 sd of the estimate: 0.01


def test_photons_are_counted_not_just_noisy():
    # third central moment of shot * Poisson(x / shot) is shot ** 2 * x; read noise has none
    shot, light = 0.01, 0.4
    noise = SensorNoise(-2, -2, 0.0)
    seen = to_linear(noise(image(float(to_srgb(image(light))[0, 0, 0]), 512), seeded(0)))
    centered = seen.astype(np.float64) - seen.mean(dtype=np.float64)
    skewness = (centered**3).mean() / (centered**2).mean() ** 1.5
    expected = shot**2 * light / (shot * light) ** 1.5  # = 0.158; 6 sd of the estimate: 0.017
    assert skewness == pytest.approx(expected, abs=0.03)


def test_noise_is_independent_from_pixel_to_pixel_and_channel_to_channel():
    noise = SensorNoise(-3, -3)
    seen = noise(image(0.6, 256), seeded(0)).astype(np.float64)
    residual = seen - seen.mean()
    for other in (
        np.roll(residual, 1, axis=0),
        np.roll(residual, 1, axis=1),
        np.roll(residual, 1, axis=2),
    ):
        correlation = (residual * other).mean() / residual.var()
        assert abs(correlation) < 6 / np.sqrt(residual.size)


def test_the_strength_is_drawn_log_uniformly_from_its_range():
    noise, light = SensorNoise(-3.2, -2.2), 0.4
    encoded, rng = image(float(to_srgb(image(light))[0, 0, 0]), 48), seeded(1)
    variances = np.array([to_linear(noise(encoded, rng)).var() for _ in range(300)])
    # variance = shot x + 2 shot ** 2, solved for shot
    shots = np.log10((np.sqrt(light**2 + 8 * variances) - light) / 4)
    assert shots.min() > -3.25
    assert shots.max() < -2.15
    assert shots.mean() == pytest.approx(-2.7, abs=6 * np.sqrt(1 / 12 / 300))
    assert shots.std() == pytest.approx(np.sqrt(1 / 12), rel=0.15)


@pytest.mark.parametrize("task", DEGRADATIONS)
def test_a_degradation_returns_an_image_as_a_camera_stores_it(task):
    clean = seeded(3).uniform(size=(40, 56, 3)).astype(np.float32)
    before = clean.copy()
    seen = DEGRADATIONS[task](clean, seeded(0))
    assert seen.shape == clean.shape
    assert seen.dtype == np.float32
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert np.array_equal(stored(seen), seen)
    assert np.array_equal(clean, before)
    assert not np.array_equal(seen, clean)


@pytest.mark.parametrize("task", DEGRADATIONS)
def test_randomness_comes_from_the_generator_alone(task):
    clean, degrade = image(0.5), DEGRADATIONS[task]
    first = degrade(clean, seeded(7))
    np.random.seed(123)  # noqa: NPY002 (the point: global state has no say)
    assert np.array_equal(degrade(clean, seeded(7)), first)
    assert not np.array_equal(degrade(clean, seeded(8)), first)
    rng = seeded(7)
    assert np.array_equal(degrade(clean, rng), first)
    assert not np.array_equal(degrade(clean, rng), first)


def test_black_and_white_survive_in_range():
    for value in (0.0, 1.0):
        seen = SensorNoise()(image(value), seeded(0))
        assert np.isfinite(seen).all()
        assert abs(seen.mean() - value) < 0.5
