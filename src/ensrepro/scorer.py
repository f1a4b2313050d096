"""PSNR and SSIM of many images against one target: what depends on the target is computed once.

Equal to `metrics.scores` up to rounding. Worth its lines where ten thousands of networks restore
the same crops: the SSIM windows of a crop are three products with small matrices.
H, W height and width; K channels, 3.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ensrepro import metrics
from ensrepro.ledger import Metrics


@lru_cache(maxsize=8)
def window_matrix(length: int) -> np.ndarray:
    """(length, length): the product with it is the gaussian window, replicating at the borders."""
    return gaussian_filter1d(
        np.eye(length), metrics.SIGMA, axis=0, mode="nearest", radius=metrics.RADIUS
    )


def local_means(x: np.ndarray) -> np.ndarray:
    """Windowed means along all three axes, (n, K, H, W) -> the same."""
    k, h, w = (window_matrix(length) for length in x.shape[1:])
    inside = h @ x @ w.T
    return np.tensordot(k, inside, axes=(1, 1)).swapaxes(0, 1)


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
            signal = metrics.signals(target, target, protocol).target.transpose(2, 0, 1)
            self._y = np.ascontiguousarray(signal, dtype=np.float64)
            self._my, self._myy = local_means(np.stack([self._y, self._y * self._y]))

    def __call__(self, restored: np.ndarray) -> Metrics:
        """PSNR (dB) and SSIM of an image (H, W, 3)."""
        if not self._is_fast:
            return Metrics(*metrics.scores(restored, self.target, self.protocol)[:2])
        signal = metrics.signals(restored, self.target, self.protocol).restored.transpose(2, 0, 1)
        x = np.ascontiguousarray(signal, dtype=np.float64)
        error = np.mean((x - self._y) ** 2)
        psnr = 10 * np.log10(self._peak**2 / error) if error else np.inf
        mx, mxx, mxy = local_means(np.stack([x, x * x, x * self._y]))
        c1, c2 = (metrics.K1 * self._peak) ** 2, (metrics.K2 * self._peak) ** 2
        vx, vy, vxy = mxx - mx * mx, self._myy - self._my * self._my, mxy - mx * self._my
        ssim = (2 * mx * self._my + c1) * (2 * vxy + c2)
        ssim /= (mx * mx + self._my * self._my + c1) * (vx + vy + c2)
        return Metrics(float(psnr), float(ssim.mean()))
