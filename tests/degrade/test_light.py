"""Light and files: the transfer curve of IEC 61966-2-1, rounding, and blur."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import convolve
from skimage.color import rgb2xyz

from ensrepro.degrade import stored, to_linear, to_srgb
from ensrepro.degrade.light import blurred, photographed

LEVELS = np.arange(256, dtype=np.float32) / 255


def image(value: float, side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), value, np.float32)


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


def test_sixteen_bits_have_256_times_256_levels():
    values = np.array([0.0, 1 / 65535, 0.4 / 65535, 0.5, 1.0], np.float32)
    expected = np.array([0, 1, 0, 32768, 65535]) / 65535  # 32767.5 rounds to even
    assert np.allclose(stored(values, 16), expected, atol=1e-7)


def test_a_daylight_photo_has_the_read_noise_that_is_asked_for():
    light = np.full((512, 512, 3), 0.2, np.float32)
    seen = to_linear(photographed(light, 0.003, np.random.default_rng(0), 16)).astype(np.float64)
    assert seen.mean() == pytest.approx(0.2, abs=1e-4)
    assert seen.std() == pytest.approx(0.003, rel=0.01)


@pytest.mark.parametrize("size", [(20, 24), (4, 6)])  # the kernel is larger than the second
def test_blur_is_a_convolution_with_mirrored_borders(size):
    rng = np.random.default_rng(1)
    light = rng.uniform(size=(*size, 3)).astype(np.float32)
    kernels = rng.uniform(size=(2, 7, 7)).astype(np.float32)
    for kernel, found in zip(kernels, blurred(light, kernels, 7), strict=True):
        expected = convolve(light.astype(np.float64), kernel[..., None], mode="reflect")
        assert found.dtype == np.float32
        assert np.allclose(found, expected, rtol=1e-5)
