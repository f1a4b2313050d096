"""PSNR and SSIM of many images against one target: what depends on the target is computed once.

PSNR is that of `metrics.scores` up to rounding, SSIM to 1e-6: its windows run in float32. Worth its
lines where ten thousands of networks restore the same crops: the SSIM windows of a crop are three
products with small matrices. H, W height and width; K channels, 3.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ensrepro import metrics
from ensrepro.ledger import Metrics

MIDDLE = 0.5  # of the range of values: what is subtracted before they are squared in float32


@lru_cache(maxsize=8)
def window_matrix(length: int) -> np.ndarray:
    """(length, length): the product with it is the gaussian window, replicating at the borders."""
    return gaussian_filter1d(
        np.eye(length), metrics.SIGMA, axis=0, mode="nearest", radius=metrics.RADIUS
    ).astype(np.float32)


def local_means(x: np.ndarray) -> np.ndarray:
    """Windowed means along all three axes, (n, K, H, W) float32 -> the same."""
    k, h, w = (window_matrix(length) for length in x.shape[1:])
    inside = h @ (x.reshape(-1, x.shape[3]) @ w.T).reshape(x.shape)
    return (k @ inside.reshape(*x.shape[:2], -1)).reshape(x.shape)


class Scorer:
    """Scores images of one target (H, W, 3) by a named protocol."""

    def __init__(self, target: np.ndarray, protocol: str) -> None:
        self.target, self.protocol = target, protocol
        row = metrics.protocol_named(protocol)
        variant = metrics.SSIM_VARIANTS[row.ssim]
        self._peak = row.peak
        # the volume window of MATLAB's ssim, without alignment: sidd and matlab_rgb
        self._is_fast = variant.borders == "replicate" and row.alignment == "none"
        if self._is_fast:
            self._signal = metrics.signals(target, target, protocol).target
            self._y = self._centered(self._signal)
            self._my, squares = local_means(np.stack([self._y, self._y * self._y]))
            self._vy = squares - self._my * self._my

    def _centered(self, signal: np.ndarray) -> np.ndarray:
        """(H, W, K) values up to the peak -> (K, H, W) float32 from -0.5 to 0.5."""
        scaled = signal.transpose(2, 0, 1) / self._peak - MIDDLE
        return np.ascontiguousarray(scaled, dtype=np.float32)

    def _ssim(self, x: np.ndarray) -> float:
        """SSIM of centered values (K, H, W); variances do not notice what was subtracted."""
        y, my = self._y, self._my
        mx, mxx, mxy = local_means(np.stack([x, x * x, x * y]))
        variances = (mxx - mx * mx) + self._vy
        covariance = mxy - mx * my
        mx, my = mx + MIDDLE, my + MIDDLE
        c1, c2 = metrics.K1**2, metrics.K2**2
        ssim = (2 * mx * my + c1) * (2 * covariance + c2)
        ssim /= (mx * mx + my * my + c1) * (variances + c2)
        return float(ssim.mean(dtype=np.float64))

    def __call__(self, restored: np.ndarray) -> Metrics:
        """PSNR (dB) and SSIM of an image (H, W, 3)."""
        if not self._is_fast:
            return Metrics(*metrics.scores(restored, self.target, self.protocol)[:2])
        signal = metrics.signals(restored, self.target, self.protocol).restored
        error = np.mean((signal.astype(np.float64) - self._signal) ** 2)
        psnr = 10 * np.log10(self._peak**2 / error) if error else np.inf
        return Metrics(float(psnr), self._ssim(self._centered(signal)))
