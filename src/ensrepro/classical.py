"""Denoisers that learn nothing: the bar that a trained network has to clear.

Images are (H, W, 3) float32 in [0, 1]. The noise level is estimated from the image itself.
"""

from __future__ import annotations

import numpy as np

from ensrepro.degrade import Image

RECIPE = 1  # raised when a denoiser or its settings change: results on file are then refused

# A camera interpolates two of three colors, so neighbors share their noise. The estimate reads the
# finest wavelet scale, where shared noise hides; pixels this far apart share none.
APART = 3


def noise_level(image: Image) -> float:
    """Standard deviation of the noise, averaged over the channels.

    The median estimate of Donoho and Johnstone (1994), on every third pixel of every third row.
    """
    from skimage.restoration import estimate_sigma

    return float(np.mean(estimate_sigma(image[::APART, ::APART], channel_axis=-1)))


def non_local_means(image: Image) -> Image:
    """Non-local means (Buades, Coll and Morel 2005), patches of 5 pixels a side."""
    from skimage.restoration import denoise_nl_means

    sigma = noise_level(image)
    restored = denoise_nl_means(
        image,
        patch_size=5,
        patch_distance=6,
        h=0.8 * sigma,
        sigma=sigma,
        fast_mode=True,
        channel_axis=-1,
    )
    return np.clip(restored, 0, 1).astype(np.float32)


def bm3d(image: Image) -> Image:
    """BM3D (Dabov et al. 2007) for white noise of that level, which a camera's is not.

    An ImportError says which package it needs.
    """
    try:
        from bm3d import bm3d_rgb
    except ImportError:
        raise ImportError("BM3D needs an optional package: pip install bm3d") from None
    return np.clip(bm3d_rgb(image, noise_level(image)), 0, 1).astype(np.float32)
