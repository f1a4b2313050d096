"""The scorer of one target against the metrics it stands in for."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from ensrepro import metrics
from ensrepro.scorer import Scorer, local_means, window_matrix

FAST = ("sidd", "matlab_rgb")
SLOW = [
    name
    for name in metrics.PROTOCOLS
    if name not in FAST and (name != "realblur" or find_spec("cv2"))
]


def smooth_image(height: int, width: int, seed: int) -> np.ndarray:
    """Waves: what alignment can hold on to."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(y / rng.uniform(3, 9) + x / rng.uniform(3, 9) + rng.random()) for _ in "rgb"]
    return (0.5 + 0.4 * np.stack(waves, axis=-1)).astype(np.float32)


def pair(height: int = 40, width: int = 56, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A restored image and its target, float32 in [0, 1]."""
    target = smooth_image(height, width, seed)
    noise = np.random.default_rng(seed + 1).normal(0, 0.05, target.shape).astype(np.float32)
    return np.clip(target + noise, 0, 1), target


def to_bytes(image: np.ndarray) -> np.ndarray:
    return np.rint(image * 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(40, 56), (17, 12), (96, 96), (1, 3)])
@pytest.mark.parametrize("protocol", FAST)
def test_scores_are_those_of_the_metrics(protocol, size):
    for seed in range(3):
        restored, target = pair(*size, seed)
        for x, y in ((restored, target), (to_bytes(restored), to_bytes(target))):
            psnr, ssim, _ = metrics.scores(x, y, protocol)
            found = Scorer(y, protocol)(x)
            assert found.psnr == pytest.approx(psnr, abs=1e-9)
            assert found.ssim == pytest.approx(ssim, abs=1e-6)  # float32 windows


@pytest.mark.parametrize("protocol", SLOW)
def test_other_protocols_are_left_to_the_metrics(protocol):
    restored, target = pair()
    assert Scorer(target, protocol)(restored) == metrics.scores(restored, target, protocol)[:2]


@pytest.mark.parametrize("protocol", [*FAST, *SLOW])
def test_identical_images_score_infinity_and_one(protocol):
    _, target = pair()
    psnr, ssim = Scorer(target, protocol)(target)
    assert psnr == np.inf
    assert ssim == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("protocol", FAST)
def test_one_scorer_serves_many_images(protocol):
    _, target = pair()
    scorer = Scorer(target, protocol)
    images = [pair(seed=seed)[0] for seed in range(3)]
    first = [scorer(image) for image in images]
    assert [scorer(image) for image in images] == first
    assert len(set(first)) == 3
    assert first == [pytest.approx(metrics.scores(i, target, protocol)[:2]) for i in images]


def test_a_uniform_offset_has_the_psnr_of_its_square():
    target = np.full((16, 16, 3), 0.5)
    # 10 log10(1 / 0.1**2) = 20 dB
    assert Scorer(target, "sidd")(target + 0.1).psnr == pytest.approx(20)


@pytest.mark.parametrize("length", [1, 3, 11, 40])
def test_a_row_of_the_window_sums_to_one(length):
    assert window_matrix(length).sum(axis=1) == pytest.approx(np.ones(length), abs=1e-6)


def test_the_mean_of_a_constant_is_the_constant():
    values = np.full((2, 3, 9, 7), 0.3, np.float32)
    assert local_means(values) == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize("protocol", FAST)
def test_images_that_the_metrics_refuse_are_refused(protocol):
    restored, target = pair()
    for bad in (restored[:-1], restored + 2, np.full_like(restored, np.nan)):
        with pytest.raises(ValueError, match="restored"):
            Scorer(target, protocol)(bad)
    with pytest.raises(ValueError, match="protocol: 'psnr' is not one of"):
        Scorer(target, "psnr")
