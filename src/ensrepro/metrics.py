"""PSNR, SSIM and MAE by named protocol (section 4: tables 1 to 6 of the paper).

Each benchmark is scored by its own convention: what is rounded to 8 bit, luma or RGB, which SSIM
window, which borders. One image pair has an SSIM of 0.81 by one and 0.91 by another, so every
function here asks for the protocol's name (assumption A24: the paper names none).

    PSNR = 10 log10(peak^2 / mean of (x - y)^2)
    SSIM = mean of (2 mx my + C1)(2 vxy + C2) / ((mx^2 + my^2 + C1)(vx + vy + C2))
    MAE  = mean of |x - y| / peak

x restored image, y target; mx, my, vx, vy, vxy local means, variances and covariance under a
window; C1 = (0.01 peak)^2, C2 = (0.03 peak)^2. H, W height and width; K compared channels, 3 for
RGB and 1 for Y. Means run over all pixels and channels of one image; only windows crop borders.

Sources: Wang et al. 2004 (SSIM); ITU-R BT.601 (Y); Evangelidis and Psarakis 2008 (ECC alignment);
the tables below name the origin of each protocol.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

SIGMA = 1.5  # pixels, of every gaussian SSIM window here
RADIUS = 5  # where that gaussian ends: 11 taps
K1, K2 = 0.01, 0.03
ECC_ITERATIONS = 100  # of the alignment before RealBlur is scored, assumption A43
ECC_BLUR = 5  # side of the gaussian that smooths both images before ECC
IMAGE_DTYPES = (np.dtype(np.uint8), np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True)
class SsimVariant:
    """One way to window, border and average SSIM; a row of `SSIM_VARIANTS`."""

    letter: str
    window: Literal["gaussian", "uniform"]
    side: int  # of the window, pixels
    axes: Literal[2, 3]  # 3: the color axis is filtered like the two of space
    borders: Literal["valid", "replicate", "masked valid"]
    covariance: Literal["population", "sample"]  # divided by N or by N - 1
    source: str


@dataclass(frozen=True)
class Protocol:
    """One benchmark's convention; a row of `PROTOCOLS`, all fields text or numbers."""

    name: str
    what: str  # the benchmarks scored so
    peak: float
    quantization: Literal["8-bit", "none"]  # of float input, before anything else
    color: Literal["Y", "RGB"]
    alignment: Literal["none", "ECC homography"]
    ssim: str  # letter in SSIM_VARIANTS
    source: str


class Scores(NamedTuple):
    """The three metrics of one pair: psnr in dB, ssim in [-1, 1], mae in [0, 1]."""

    psnr: float
    ssim: float
    mae: float


class Signals(NamedTuple):
    """What a protocol compares: restored and target (H, W, K), 0 where the mask (H, W) is 0."""

    restored: np.ndarray
    target: np.ndarray
    mask: np.ndarray


_VARIANTS = (
    SsimVariant("A", "gaussian", 11, 2, "valid", "population", "Wang 2003, SSIM_index 1.0"),
    SsimVariant("B", "gaussian", 11, 3, "replicate", "population",
                "MATLAB ssim of an HxWx3 array, defaults: a volume of 3 slices"),
    SsimVariant("C", "uniform", 7, 2, "valid", "sample",
                "scikit-image structural_similarity, defaults, per channel"),
    SsimVariant("D", "gaussian", 11, 2, "masked valid", "population",
                "RealBlur's evaluation: scikit-image map averaged where the mask is 1"),
    SsimVariant("E", "gaussian", 11, 2, "valid", "population",
                "SenseNoise evaluation of KBNet (BasicSR's SSIM), per channel"),
)  # fmt: skip
SSIM_VARIANTS = MappingProxyType({variant.letter: variant for variant in _VARIANTS})

_PROTOCOLS = (
    Protocol("derain_y", "Test100, Rain100H, Rain100L, Test2800, Test1200", 255.0, "8-bit", "Y",
             "none", "A", "MATLAB: rgb2ycbcr of uint8, rounded; peak 255 although Y is 16..235"),
    Protocol("matlab_rgb", "GoPro, HIDE, synthetic gaussian noise", 255.0, "8-bit", "RGB",
             "none", "B", "MATLAB: psnr and ssim of uint8 RGB"),
    Protocol("sidd", "SIDD validation blocks", 1.0, "none", "RGB",
             "none", "B", "MATLAB: psnr and ssim of single RGB in [0, 1]"),
    Protocol("dpdd", "DPDD, single and dual pixel", 1.0, "none", "RGB",
             "none", "C", "Python: scikit-image on float RGB; the paper's MAE is this one"),
    Protocol("realblur", "RealBlur-J, RealBlur-R", 1.0, "8-bit", "RGB",
             "ECC homography", "D", "Python: RealBlur's evaluation, OpenCV and scikit-image"),
    Protocol("sensenoise", "SenseNoise-500", 255.0, "8-bit", "RGB",
             "none", "E", "Python: KBNet's evaluation of uint8 RGB"),
)  # fmt: skip
PROTOCOLS = MappingProxyType({protocol.name: protocol for protocol in _PROTOCOLS})


def protocol_named(name: str) -> Protocol:
    """The row of `PROTOCOLS`, or a sentence with the allowed names."""
    if not isinstance(name, str) or name not in PROTOCOLS:
        raise ValueError(f"protocol: {name!r} is not one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def _check_image(image: np.ndarray, name: str) -> None:
    """One sentence unless the image is HxWx3, uint8 or float in [0, 1]."""
    if not isinstance(image, np.ndarray) or image.dtype not in IMAGE_DTYPES:
        found = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise TypeError(f"{name}: expected a uint8, float32 or float64 array, found {found}")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"{name}: expected an image of shape (H, W, 3), found {image.shape}")
    if image.dtype == np.uint8:
        return
    low, high = image.min(), image.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name}: expected finite values, found NaN or infinity")
    if low < 0 or high > 1:
        found = f"{low:.9g} to {high:.9g}; clip first, or pass 0..255 as uint8"
        raise ValueError(f"{name}: expected float values in [0, 1], found {found}")


def _check_pair(restored: np.ndarray, target: np.ndarray) -> None:
    """One sentence unless both are images of one shape and both uint8 or both float."""
    _check_image(restored, "restored")
    _check_image(target, "target")
    if restored.shape != target.shape:
        found = f"{restored.shape} and {target.shape}"
        raise ValueError(f"restored and target: expected one shape, found {found}")
    if (restored.dtype == np.uint8) != (target.dtype == np.uint8):
        found = f"{restored.dtype} and {target.dtype}"
        raise TypeError(f"restored and target: expected both uint8 or both float, found {found}")


def _quantize(image: np.ndarray) -> np.ndarray:
    """uint8 as an image file would hold it: nearest code, ties to even; uint8 stays as it is."""
    return image if image.dtype == np.uint8 else np.rint(image * 255).astype(np.uint8)


def _luma(image: np.ndarray) -> np.ndarray:
    """BT.601 Y of uint8 RGB in 16..235, nearest code, ties up; (H, W, 3) -> (H, W, 1) uint8."""
    thousandths = image.astype(np.int64) @ np.array([65481, 128553, 24966])  # of 255 (Y - 16)
    # in integers, so that no tie is left to floating-point noise
    return (16 + (2 * thousandths + 255_000) // 510_000).astype(np.uint8)[..., None]


def _signal(image: np.ndarray, protocol: Protocol) -> np.ndarray:
    """The float64 array (H, W, K) in 0..peak that the protocol compares, before alignment."""
    if protocol.quantization == "8-bit":
        image = _quantize(image)
    if protocol.color == "Y":
        image = _luma(image)
    full_scale = 255 if image.dtype == np.uint8 else 1
    return image.astype(np.float64) * protocol.peak / full_scale


def _homography(restored: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The ECC homography, target pixel -> restored pixel, (3, 3); float32 images (H, W, 3)."""
    import cv2

    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, ECC_ITERATIONS, 0.0)  # never early
    template, moving = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (target, restored))
    start, motion = np.eye(3, dtype=np.float32), cv2.MOTION_HOMOGRAPHY
    try:
        _, matrix = cv2.findTransformECC(template, moving, start, motion, stop, None, ECC_BLUR)
    except cv2.error as error:
        raise ValueError(
            "restored and target: expected two views of one scene, found a pair that ECC cannot"
            " align; protocol realblur has no value for it"
        ) from error
    return matrix


def _align(restored: np.ndarray, target: np.ndarray) -> Signals:
    """Match intensity and position as RealBlur's evaluation does; (H, W, 3) RGB in [0, 1].

    1. Scale restored by sum(x y) / sum(x x), one number for the image.
    2. ECC on the gray images: identity start, homography, 100 iterations, 5x5 smoothing.
    3. Warp restored, cubic, reflecting at the border; warp an all-ones mask, nearest, 0 outside.
    4. Multiply both images by the mask.
    OpenCV 4.5 to 4.14 agree to 0.0001 dB; 5.0 differs by up to 0.02 dB (measured on two pairs).
    A pair that cannot be aligned is a ValueError, never left out.
    """
    if np.array_equal(restored, target):  # ECC would return the identity only up to rounding
        return Signals(restored, target, np.ones(target.shape[:2]))
    try:
        import cv2
    except ImportError as error:
        hint = "pip install 'opencv-python-headless<5'"
        raise ImportError(f"protocol realblur needs OpenCV: {hint}") from error
    energy = np.sum(restored * restored)
    if energy == 0:
        raise ValueError("restored: all pixels are 0, expected an image that realblur can scale")
    x = np.ascontiguousarray(restored * (np.sum(restored * target) / energy), dtype=np.float32)
    y = np.ascontiguousarray(target, dtype=np.float32)
    matrix, size = _homography(x, y), (y.shape[1], y.shape[0])
    cubic, nearest = (how | cv2.WARP_INVERSE_MAP for how in (cv2.INTER_CUBIC, cv2.INTER_NEAREST))
    x = cv2.warpPerspective(x, matrix, size, flags=cubic, borderMode=cv2.BORDER_REFLECT)
    ones = np.ones(y.shape[:2], np.float32)
    mask = cv2.warpPerspective(ones, matrix, size, flags=nearest).astype(np.float64)
    return Signals(x * mask[..., None], y * mask[..., None], mask)


def signals(restored: np.ndarray, target: np.ndarray, protocol: str) -> Signals:
    """Check the pair, then round, convert and align it: what the protocol's formulas see."""
    row = protocol_named(protocol)
    _check_pair(restored, target)
    x, y = _signal(restored, row), _signal(target, row)
    if row.alignment == "none":
        return Signals(x, y, np.ones(y.shape[:2]))
    return _align(x, y)


def _volume_map(x: np.ndarray, y: np.ndarray, peak: float) -> np.ndarray:
    """SSIM of variant B at every pixel, (H, W, K): the gaussian runs along all three axes."""
    local_mean = partial(gaussian_filter, sigma=SIGMA, mode="nearest", radius=RADIUS)
    mx, my = local_mean(x), local_mean(y)
    vx, vy = local_mean(x * x) - mx * mx, local_mean(y * y) - my * my
    vxy = local_mean(x * y) - mx * my
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    return (2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))


def _channel_map(x: np.ndarray, y: np.ndarray, peak: float, variant: SsimVariant) -> np.ndarray:
    """SSIM of variants A, C, D, E at every pixel, (H, W, K): each channel on its own."""
    gaussian, sample = variant.window == "gaussian", variant.covariance == "sample"
    _, at_pixels = structural_similarity(
        x, y, win_size=variant.side, data_range=peak, channel_axis=2, full=True, K1=K1, K2=K2,
        gaussian_weights=gaussian, sigma=SIGMA, use_sample_covariance=sample,
    )  # fmt: skip
    return at_pixels


def _mean(values: np.ndarray, mask: np.ndarray) -> float:
    """Mean over channels and the pixels that count; values (H, W, K), mask (H, W)."""
    n_pixels = mask.sum()
    if n_pixels == 0:
        raise ValueError("restored: no pixel is left to compare after alignment, expected some")
    return float((values * mask[..., None]).sum() / (n_pixels * values.shape[2]))


def _psnr(pair: Signals, peak: float) -> float:
    mean_squared_error = _mean((pair.restored - pair.target) ** 2, pair.mask)
    return 10 * math.log10(peak**2 / mean_squared_error) if mean_squared_error else math.inf


def _ssim(pair: Signals, peak: float, variant: SsimVariant) -> float:
    x, y, mask = pair
    if variant.borders == "replicate":
        return _mean(_volume_map(x, y, peak), mask)
    inside = slice(variant.side // 2, -(variant.side // 2))
    return _mean(_channel_map(x, y, peak, variant)[inside, inside], mask[inside, inside])


def _mae(pair: Signals, peak: float) -> float:
    return _mean(np.abs(pair.restored - pair.target), pair.mask) / peak


def psnr(restored: np.ndarray, target: np.ndarray, protocol: str) -> float:
    """PSNR in dB of two HxWx3 images, both uint8 or both float in [0, 1]; inf when identical."""
    return _psnr(signals(restored, target, protocol), protocol_named(protocol).peak)


def ssim(restored: np.ndarray, target: np.ndarray, protocol: str) -> float:
    """SSIM of two HxWx3 images, both uint8 or both float in [0, 1]; 1 when identical."""
    return scores(restored, target, protocol).ssim


def mae(restored: np.ndarray, target: np.ndarray, protocol: str = "dpdd") -> float:
    """Mean absolute error, in [0, 1]; published for dpdd only, in the protocol's colors."""
    return _mae(signals(restored, target, protocol), protocol_named(protocol).peak)


def scores(restored: np.ndarray, target: np.ndarray, protocol: str) -> Scores:
    """All three metrics of a pair with one alignment; psnr in dB is inf when identical."""
    row = protocol_named(protocol)
    variant = SSIM_VARIANTS[row.ssim]
    _check_pair(restored, target)
    height, width = target.shape[:2]
    if variant.borders != "replicate" and min(height, width) < variant.side:
        need = f"expected at least {variant.side}x{variant.side} pixels for SSIM of {protocol}"
        raise ValueError(f"restored and target: {need}, found {height}x{width}")
    pair = signals(restored, target, protocol)
    return Scores(_psnr(pair, row.peak), _ssim(pair, row.peak, variant), _mae(pair, row.peak))
