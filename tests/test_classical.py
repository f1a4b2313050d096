"""Classical denoisers: the noise level that they estimate, and that they remove noise."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from ensrepro import artifacts, classical, metrics
from ensrepro.degrade import SensorNoise
from ensrepro.degrade.noise import color_filter, demosaiced


def ramp(side: int = 64) -> np.ndarray:
    gray = np.repeat(np.linspace(0.2, 0.8, side, dtype=np.float32)[:, None], side, axis=1)
    return np.repeat(gray[..., None], 3, axis=2)


def noisy(clean: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return np.clip(clean + noise, 0, 1).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.02, 0.05, 0.1])
def test_independent_noise_is_estimated(sigma):
    degraded = noisy(np.full((300, 300, 3), 0.5, np.float32), sigma)
    # 30,000 values after decimation, a quarter of them in the finest band: 1 % is 2 sd of a median
    assert classical.noise_level(degraded) == pytest.approx(sigma, rel=0.03)


def test_noise_that_interpolation_has_spread_is_estimated_too():
    raw = np.random.default_rng(1).normal(0.5, 0.05, (300, 300)).astype(np.float32)
    degraded = demosaiced(raw, color_filter(300, 300, (0, 1)))
    # a flat picture: all that varies is noise
    assert classical.noise_level(degraded) == pytest.approx(float(degraded.std()), rel=0.1)


def test_non_local_means_removes_most_of_the_noise_of_a_smooth_image():
    clean = ramp()
    degraded = noisy(clean, 0.1)
    restored = classical.non_local_means(degraded)
    assert restored.dtype == np.float32
    gain = metrics.psnr(restored, clean, "sidd") - metrics.psnr(degraded, clean, "sidd")
    assert gain > 6


def test_non_local_means_removes_a_cameras_noise_as_well():
    clean = ramp(128)
    degraded = SensorNoise(-1.5, -1.5)(clean, np.random.default_rng(2))
    restored = classical.non_local_means(degraded)
    gain = metrics.psnr(restored, clean, "sidd") - metrics.psnr(degraded, clean, "sidd")
    assert gain > 3


def test_bm3d_runs_or_says_what_to_install(monkeypatch):
    clean = ramp()
    degraded = noisy(clean, 0.1)
    if artifacts.installed("bm3d") != "absent":
        restored = classical.bm3d(degraded)
        gain = metrics.psnr(restored, clean, "sidd") - metrics.psnr(degraded, clean, "sidd")
        assert gain > 6
    monkeypatch.setitem(sys.modules, "bm3d", None)
    with pytest.raises(ImportError, match="pip install bm3d"):
        classical.bm3d(degraded)
