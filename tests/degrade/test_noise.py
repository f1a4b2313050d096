"""Statistics of sensor noise, and the interpolation of a color filter."""

from __future__ import annotations

import numpy as np
import pytest

from ensrepro.degrade import DEGRADATIONS, SensorNoise, to_linear, to_srgb
from ensrepro.degrade.noise import color_filter, demosaiced

NIGHT = DEGRADATIONS["denoise"]


def image(value: float, side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), value, np.float32)


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


# ---------------------------------------------------------------- color filter


def mosaic(image: np.ndarray, color: np.ndarray) -> np.ndarray:
    return np.take_along_axis(image, color[..., None], axis=2)[..., 0]


@pytest.mark.parametrize("phase", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_block_has_two_green_pixels_on_its_diagonal(phase):
    color = color_filter(6, 8, phase)
    assert color.shape == (6, 8)
    assert np.bincount(color.ravel()).tolist() == [12, 24, 12]
    assert color[0, 0] == [[0, 1], [1, 2]][phase[0]][phase[1]]  # red top left, blue bottom right
    assert np.array_equal(color[2:, 2:], color[:-2, :-2])
    green = color == 1
    assert not (green[1:] & green[:-1]).any()
    assert not (green[:, 1:] & green[:, :-1]).any()


@pytest.mark.parametrize("phase", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_interpolation_keeps_what_was_counted_and_linear_ramps(phase):
    y, x = np.mgrid[:12, :10].astype(np.float32)
    clean = np.stack([0.1 + 0.03 * y, 0.2 + 0.02 * x, 0.9 - 0.01 * x - 0.04 * y], axis=-1)
    color = color_filter(12, 10, phase)
    image = demosaiced(mosaic(clean, color), color)
    assert image.dtype == np.float32
    assert np.allclose(mosaic(image, color), mosaic(clean, color), atol=1e-6)
    assert np.allclose(image[1:-1, 1:-1], clean[1:-1, 1:-1], atol=1e-6)  # bilinear: exact


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3)])
def test_the_smallest_images_are_interpolated_too(size):
    seen = NIGHT(np.full((*size, 3), 0.5, np.float32), seeded(0))
    assert seen.shape == (*size, 3)
    assert np.isfinite(seen).all()


# ---------------------------------------------------------------- noise


def counted(noise, encoded, rng, monkeypatch, strength=None) -> np.ndarray:
    """Linear values of the sensor's pixels, before interpolation."""
    kept = []

    def keep(raw, color):
        kept.append(raw.copy())
        return demosaiced(raw, color)

    monkeypatch.setattr("ensrepro.degrade.noise.demosaiced", keep)
    noise(encoded, rng, strength)
    return kept[0].astype(np.float64)


def test_the_tasks_noise_is_a_night_shots():
    # assumption A15: shot 10 ** U(-1.3, -0.3), read variance 2 shot ** 2
    assert DEGRADATIONS["denoise"] == SensorNoise(-1.3, -0.3, 2.0, mosaic=True)


@pytest.mark.parametrize(
    ("shot", "read_factor", "light"),
    # little noise, so that clipping does not count; shot x prevails, then read, both, shot x alone
    [(1e-3, 2.0, 0.4), (1e-3, 900.0, 0.3), (2e-3, 100.0, 0.5), (1e-3, 0.0, 0.6)],
)
def test_mean_and_variance_are_those_of_the_model(shot, read_factor, light, monkeypatch):
    noise = SensorNoise(np.log10(shot), np.log10(shot), read_factor)
    encoded = image(float(to_srgb(image(light))[0, 0, 0]), 512)
    raw = counted(noise, encoded, seeded(0), monkeypatch)
    variance = shot * light + read_factor * shot**2
    assert raw.mean() == pytest.approx(light, abs=6 * np.sqrt(variance / raw.size) + 1e-6)
    assert raw.var() == pytest.approx(variance, rel=0.02)  # 6 sd of the estimate: 0.017


def test_photons_are_counted_not_just_noisy(monkeypatch):
    # third central moment of shot * Poisson(x / shot) is shot ** 2 * x; read noise has none
    shot, light = 0.01, 0.4
    encoded = image(float(to_srgb(image(light))[0, 0, 0]), 512)
    raw = counted(SensorNoise(-2, -2, 0.0), encoded, seeded(0), monkeypatch)
    centered = raw - raw.mean()
    skewness = (centered**3).mean() / (centered**2).mean() ** 1.5
    expected = shot**2 * light / (shot * light) ** 1.5  # = 0.158; 6 sd of the estimate: 0.029
    assert skewness == pytest.approx(expected, abs=0.03)


def test_noise_is_independent_from_pixel_to_pixel_of_the_sensor(monkeypatch):
    raw = counted(SensorNoise(-3, -3), image(0.6, 256), seeded(0), monkeypatch)
    residual = raw - raw.mean()
    for axis in (0, 1):
        correlation = (residual * np.roll(residual, 1, axis)).mean() / residual.var()
        assert abs(correlation) < 6 / np.sqrt(residual.size)


def test_without_a_mosaic_noise_is_independent_from_channel_to_channel_too():
    seen = SensorNoise(-3, -3, mosaic=False)(image(0.6, 256), seeded(0)).astype(np.float64)
    residual = seen - seen.mean()
    for axis in (0, 1, 2):
        correlation = (residual * np.roll(residual, 1, axis)).mean() / residual.var()
        assert abs(correlation) < 6 / np.sqrt(residual.size)


def test_interpolation_shares_noise_between_neighbors():
    # Red is known at every other pixel of every other row. Between two known pixels lies their
    # mean, so in units of one pixel's variance the four kinds of pixels have 1, 1/2, 1/2, 1/4
    # (mean 9/16), and a pixel shares 1/2, 1/4, ... with the next one on its row (mean 3/8).
    seen = to_linear(SensorNoise(-3, -3)(image(0.6, 512), seeded(0))).astype(np.float64)
    red = seen[..., 0] - seen[..., 0].mean()
    correlation = (red * np.roll(red, 1, axis=1)).mean() / red.var()
    assert correlation == pytest.approx((3 / 8) / (9 / 16), abs=0.02)


@pytest.mark.parametrize(("strength", "shot"), [(0.0, 1e-3), (0.5, 10**-2.5), (1.0, 1e-2)])
def test_a_given_strength_takes_its_place_in_the_range(strength, shot, monkeypatch):
    noise, light = SensorNoise(-3, -2), 0.4
    encoded = image(float(to_srgb(image(light))[0, 0, 0]), 256)
    raw = counted(noise, encoded, seeded(1), monkeypatch, strength)
    assert raw.var() == pytest.approx(shot * light + 2 * shot**2, rel=0.04)


def test_the_strength_is_drawn_evenly_from_its_range(monkeypatch):
    noise, light = SensorNoise(-3.2, -2.2), 0.4
    encoded, rng = image(float(to_srgb(image(light))[0, 0, 0]), 48), seeded(1)
    variances = np.array([counted(noise, encoded, rng, monkeypatch).var() for _ in range(300)])
    # variance = shot x + 2 shot ** 2, solved for shot
    shots = np.log10((np.sqrt(light**2 + 8 * variances) - light) / 4)
    assert shots.min() > -3.25
    assert shots.max() < -2.15
    assert shots.mean() == pytest.approx(-2.7, abs=6 * np.sqrt(1 / 12 / 300))
    assert shots.std() == pytest.approx(np.sqrt(1 / 12), rel=0.15)


def test_black_and_white_survive_in_range():
    for value in (0.0, 1.0):
        seen = NIGHT(image(value), seeded(0))
        assert np.isfinite(seen).all()
        assert abs(seen.mean() - value) < 0.5
