"""Metrics against golden values of the released scripts, window loops and closed forms."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from skimage import color, data, util

from ensrepro import metrics

Array = np.ndarray
GOLDEN = json.loads((Path(__file__).parent / "golden" / "metrics.json").read_text())
UNALIGNED = [row.name for row in metrics.PROTOCOLS.values() if row.alignment == "none"]
TAPS = np.exp(-(np.arange(-5.0, 6.0) ** 2) / (2 * 1.5**2))
TAPS /= TAPS.sum()


@pytest.fixture(scope="module")
def golden_pair() -> tuple[Array, Array]:
    """(restored, target), built as the golden file says."""
    target = data.chelsea()[:200, :300]
    noise = np.random.default_rng(3).normal(0, 12, target.shape)
    return np.clip(np.round(target + noise), 0, 255).astype(np.uint8), target


@pytest.fixture(scope="module")
def small_pair(golden_pair: tuple[Array, Array]) -> tuple[Array, Array]:
    """A 17x22 corner of the pair, small enough for loops over windows."""
    return golden_pair[0][90:107, 130:152], golden_pair[1][90:107, 130:152]


@pytest.fixture(scope="module")
def shifted_pair() -> tuple[Array, Array]:
    """restored[i, j] shows what target[i + 3, j - 2] shows."""
    pytest.importorskip("cv2", reason="protocol realblur needs opencv-python-headless")
    photo = data.astronaut()
    return photo[103:343, 98:338], photo[100:340, 100:340]


def window_ssim(x: Array, y: Array, weights: Array, peak: float, unbiased: float = 1.0) -> float:
    """The SSIM formula on one window, any number of axes; weights sum to 1."""
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    var_x = unbiased * (weights * (x - mean_x) ** 2).sum()
    var_y = unbiased * (weights * (y - mean_y) ** 2).sum()
    covariance = unbiased * (weights * (x - mean_x) * (y - mean_y)).sum()
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return likeness / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))


def loop_ssim(x: Array, y: Array, weights: Array, peak: float, unbiased: float = 1.0) -> Array:
    """SSIM at every center whose window lies in the image, (H, W, 3) -> (H-n+1, W-n+1, 3)."""
    n = len(weights)
    at_centers = np.empty((x.shape[0] - n + 1, x.shape[1] - n + 1, x.shape[2]))
    for i, j, k in np.ndindex(at_centers.shape):
        window = np.s_[i : i + n, j : j + n, k]
        at_centers[i, j, k] = window_ssim(x[window], y[window], weights, peak, unbiased)
    return at_centers


def volume_ssim(x: Array, y: Array, peak: float) -> float:
    """Variant B by its definition: an 11x11x11 window at every voxel, edges replicated."""
    weights = np.einsum("i,j,k->ijk", TAPS, TAPS, TAPS)
    reach = np.arange(-5, 6)
    values = []
    for center in np.ndindex(x.shape):
        places = [np.clip(c + reach, 0, n - 1) for c, n in zip(center, x.shape, strict=True)]
        window = np.ix_(*places)
        values.append(window_ssim(x[window], y[window], weights, peak))
    return float(np.mean(values))


def test_derain_y_equals_the_official_deraining_script(golden_pair):
    golden = GOLDEN["derain"]  # MATLAB script run under GNU Octave, eight digits
    assert metrics.psnr(*golden_pair, "derain_y") == pytest.approx(golden["psnr"], abs=1e-7)
    assert metrics.ssim(*golden_pair, "derain_y") == pytest.approx(golden["ssim"], abs=1e-7)


def test_matlab_rgb_equals_the_official_twin_of_matlab_ssim(golden_pair):
    golden = GOLDEN["matlab_rgb"]  # a float32 program: in float64 its formula gives 0.91445295
    assert metrics.psnr(*golden_pair, "matlab_rgb") == pytest.approx(golden["psnr"], abs=1e-7)
    assert metrics.ssim(*golden_pair, "matlab_rgb") == pytest.approx(golden["ssim"], abs=1e-5)


def test_realblur_stays_what_it_was_under_older_opencv(golden_pair, shifted_pair):
    # this code under OpenCV 4.5.5 and 4.12; 4.14 is within 2e-5 dB, 5.0 within 0.016 dB
    expected = [(26.62373351, 0.65687337), (35.39452422, 0.99917933)]
    tolerance = 1e-4 if int(importlib.import_module("cv2").__version__[0]) < 5 else 0.02
    for (restored, target), (psnr, ssim) in zip((golden_pair, shifted_pair), expected, strict=True):
        scores = metrics.scores(restored, target, "realblur")
        assert scores[:2] == pytest.approx((psnr, ssim), abs=tolerance)


def test_derain_y_compares_the_rounded_luma_of_bt_601(golden_pair):
    black_and_white = np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 255, np.uint8)
    compared = metrics.signals(*black_and_white, "derain_y")
    assert [set(image.flat) for image in compared[:2]] == [{16}, {235}]  # BT.601's ends
    luma = metrics.signals(*golden_pair, "derain_y").target
    unrounded = color.rgb2ycbcr(golden_pair[1])[..., :1]  # scikit-image
    assert (luma == np.round(luma)).all()
    assert np.abs(luma - unrounded).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("protocol", UNALIGNED)
def test_psnr_and_mae_of_a_uniform_offset(protocol):
    dark, light = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 51, np.uint8)
    # RGB: 51 / 255. Y: 16 and 16 + 219 * 51 / 255 = 59.8, rounded to 60; the peak is 255
    expected = 44 / 255 if protocol == "derain_y" else 51 / 255
    assert metrics.mae(light, dark, protocol) == pytest.approx(expected, abs=1e-12)
    for x, y in ((light, dark), (light / 255, dark / 255)):
        assert metrics.psnr(x, y, protocol) == pytest.approx(-20 * np.log10(expected), abs=1e-12)


@pytest.mark.parametrize("protocol", UNALIGNED)
def test_ssim_of_two_flat_images_is_its_luminance_term(protocol):
    row = metrics.PROTOCOLS[protocol]
    x, y = (np.full((16, 16, 3), code, np.uint8) for code in (60, 180))
    a, b = (60, 180) if row.color == "RGB" else (68, 171)  # 16 + 219 code / 255, rounded
    a, b, c1 = a / 255, b / 255, 0.01**2  # the ratio does not depend on the peak
    expected = (2 * a * b + c1) / (a * a + b * b + c1)  # the variances are 0
    assert metrics.ssim(x, y, protocol) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("protocol", ["derain_y", "sensenoise"])
def test_gaussian_ssim_equals_a_loop_over_windows(small_pair, protocol):
    x, y, _ = metrics.signals(*small_pair, protocol)
    expected = loop_ssim(x, y, np.outer(TAPS, TAPS), 255).mean()
    assert metrics.ssim(*small_pair, protocol) == pytest.approx(expected, abs=1e-10)


def test_dpdd_ssim_equals_a_loop_over_uniform_windows_with_sample_covariance(small_pair):
    x, y = (image / 255 for image in small_pair)
    expected = loop_ssim(x, y, np.full((7, 7), 1 / 49), 1, unbiased=49 / 48).mean()
    for pair in ((x, y), small_pair):
        assert metrics.ssim(*pair, "dpdd") == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("protocol", "peak"), [("matlab_rgb", 255), ("sidd", 1)])
def test_volume_ssim_equals_a_loop_over_voxels(small_pair, protocol, peak):
    x, y = (image[:9, :8] * (peak / 255) for image in small_pair)  # smaller than the window
    expected = volume_ssim(x, y, peak)
    assert metrics.ssim(*(image[:9, :8] for image in small_pair), protocol) == pytest.approx(
        expected, abs=1e-10
    )


@pytest.mark.parametrize("protocol", ["derain_y", "matlab_rgb", "sensenoise"])
def test_float_input_of_an_8_bit_protocol_is_rounded_like_a_saved_image(protocol):
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 32, 32, 3), dtype=np.float32)
    saved = [util.img_as_ubyte(image) for image in (x, y)]  # scikit-image, as the scripts save
    assert metrics.scores(x, y, protocol) == metrics.scores(*saved, protocol)
    ties = np.array([0.5, 1.5, 2.5, 254.5]).reshape(2, 2, 1).repeat(3, axis=2) / 255
    codes = metrics.signals(ties, ties, "matlab_rgb").restored[..., 0]
    assert codes.ravel().tolist() == [0, 2, 2, 254]  # half to even


@pytest.mark.parametrize("protocol", ["sidd", "dpdd"])
def test_float_protocols_see_errors_below_half_a_code(protocol):
    target = np.full((16, 16, 3), 0.5)
    # 10 log10(1 / 0.001^2); rounded to 8 bit the pair would be identical
    assert metrics.psnr(target + 0.001, target, protocol) == pytest.approx(60, abs=1e-6)


@pytest.mark.parametrize("protocol", metrics.PROTOCOLS)
@pytest.mark.parametrize("kind", ["uint8", "float32", "black"])
def test_identical_images_have_infinite_psnr_and_ssim_one(golden_pair, protocol, kind):
    photo = golden_pair[1][:40, :40]
    image = {"uint8": photo, "float32": (photo / 255).astype("float32"), "black": photo * 0}[kind]
    assert metrics.psnr(image, image.copy(), protocol) == np.inf
    assert metrics.ssim(image, image.copy(), protocol) == pytest.approx(1, abs=1e-12)
    assert metrics.mae(image, image.copy(), protocol) == 0


@pytest.mark.parametrize("protocol", UNALIGNED)
def test_scores_are_the_three_metrics_and_do_not_depend_on_the_order(golden_pair, protocol):
    scores = metrics.scores(*golden_pair, protocol)
    alone = [metric(*golden_pair, protocol) for metric in (metrics.psnr, metrics.ssim, metrics.mae)]
    assert alone == list(scores)
    assert metrics.scores(*golden_pair[::-1], protocol) == pytest.approx(scores, abs=1e-12)


def test_mae_is_the_mean_over_channels_of_the_mean_absolute_difference(small_pair):
    x, y = (image / 255 for image in small_pair)
    expected = np.mean([np.abs(x[..., k] - y[..., k]).mean() for k in range(3)])
    assert metrics.mae(x, y) == pytest.approx(expected, abs=1e-12)


def test_realblur_recovers_a_known_shift(shifted_pair):
    pair = metrics.signals(*shifted_pair, "realblur")
    expected_mask = np.ones((240, 240))
    expected_mask[:3], expected_mask[:, -2:] = 0, 0  # what the other view does not show
    np.testing.assert_array_equal(pair.mask, expected_mask)
    restored, target = (image / 255 for image in shifted_pair)
    scale = np.sum(restored * target) / np.sum(restored * restored)
    overlap = pair.target[8:-8, 8:-8]  # away from the border, where the warp sees only content
    assert np.abs(pair.restored[8:-8, 8:-8] - scale * overlap).mean() < 2e-3  # half a code
    # both views equal but for the scale, which is found before the shift: only it is left
    error = np.mean(((scale - 1) * target[3:, :-2]) ** 2)
    assert metrics.psnr(*shifted_pair, "realblur") == pytest.approx(-10 * np.log10(error), abs=0.3)
    assert metrics.psnr(*shifted_pair, "matlab_rgb") < 20


def test_realblur_forgives_a_global_change_of_intensity(shifted_pair):
    target = shifted_pair[1] / 255
    assert metrics.psnr(0.5 * target, target, "sidd") < 15
    assert metrics.psnr(0.5 * target, target, "realblur") > 45  # what rounding at half range costs


def test_realblur_scores_count_only_pixels_under_the_mask(shifted_pair):
    restored, target = (image[60:120, 40:100] for image in shifted_pair)
    x, y, mask = metrics.signals(restored, target, "realblur")
    inside = mask == 1
    assert 0 < (~inside).sum() < 600
    assert not np.stack([x, y])[:, ~inside].any()
    error = np.mean((x[inside] - y[inside]) ** 2)
    scores = metrics.scores(restored, target, "realblur")
    assert scores.psnr == pytest.approx(-10 * np.log10(error), abs=1e-9)
    assert scores.mae == pytest.approx(np.abs(x[inside] - y[inside]).mean(), abs=1e-12)
    expected = loop_ssim(x, y, np.outer(TAPS, TAPS), 1)[inside[5:-5, 5:-5]].mean()
    assert scores.ssim == pytest.approx(expected, abs=1e-9)


def test_realblur_refuses_what_it_cannot_align(shifted_pair):
    target = shifted_pair[1]
    with pytest.raises(ValueError, match="ECC cannot align; protocol realblur has no value"):
        metrics.psnr(255 - target, target, "realblur")
    with pytest.raises(ValueError, match="restored: all pixels are 0"):
        metrics.psnr(target * 0, target, "realblur")


def test_realblur_without_opencv_says_what_to_install(golden_pair, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match="pip install 'opencv-python-headless<5'"):
        metrics.psnr(*golden_pair, "realblur")


GOOD = np.full((16, 16, 3), 0.5)
NOT_A_NUMBER, INFINITE = GOOD.copy(), GOOD.copy()
NOT_A_NUMBER[3, 4, 1], INFINITE[3, 4, 1] = np.nan, np.inf


@pytest.mark.parametrize(
    ("restored", "error", "sentence"),
    [
        (GOOD[:15], ValueError, r"one shape, found \(15, 16, 3\) and \(16, 16, 3\)"),
        (GOOD[..., 0], ValueError, r"restored: .* \(H, W, 3\), found \(16, 16\)"),
        (np.moveaxis(GOOD, 2, 0), ValueError, r"restored: .* found \(3, 16, 16\)"),
        (GOOD[..., :1], ValueError, r"restored: .* found \(16, 16, 1\)"),
        (GOOD[:0], ValueError, r"restored: .* found \(0, 16, 3\)"),
        (GOOD.astype(np.float16), TypeError, "restored: .* found float16"),
        (GOOD.astype(np.uint16), TypeError, "restored: .* found uint16"),
        (GOOD.tolist(), TypeError, "restored: .* found list"),
        (GOOD.astype(np.uint8), TypeError, "both uint8 or both float, found uint8 and float64"),
        (NOT_A_NUMBER, ValueError, "restored: expected finite values, found NaN or infinity"),
        (INFINITE, ValueError, "restored: expected finite values, found NaN or infinity"),
        (GOOD * 510, ValueError, r"restored: .* \[0, 1\], found 255 to 255; .* 0..255 as uint8"),
        (GOOD - 0.6, ValueError, r"restored: .* \[0, 1\], found -0.1 to -0.1"),
    ],
)
@pytest.mark.parametrize("metric", [metrics.psnr, metrics.ssim, metrics.mae])
@pytest.mark.parametrize("protocol", ["derain_y", "sidd", "realblur"])
def test_a_bad_image_is_refused_with_one_sentence(metric, protocol, restored, error, sentence):
    with pytest.raises(error, match=sentence):
        metric(restored, GOOD, protocol)
    with pytest.raises(error):  # the target is held to the same
        metric(GOOD, restored, protocol)


@pytest.mark.parametrize(
    ("protocol", "side"), [("derain_y", 11), ("dpdd", 7), ("realblur", 11), ("sensenoise", 11)]
)
def test_ssim_refuses_an_image_smaller_than_its_window(protocol, side):
    x, y = np.random.default_rng(1).random((2, side, side, 3))
    with pytest.raises(ValueError, match=f"{side}x{side} pixels .* found {side - 1}x{side}"):
        metrics.ssim(x[1:], y[1:], protocol)
    if protocol in UNALIGNED:
        assert -1 <= metrics.ssim(x, y, protocol) < 1
        assert np.isfinite(metrics.psnr(x[1:], y[1:], protocol))  # psnr has no window


@pytest.mark.parametrize("name", ["rgb", "", None, ["sidd"]])
def test_an_unknown_protocol_is_refused_with_the_allowed_names(name):
    allowed = "derain_y, matlab_rgb, sidd, dpdd, realblur, sensenoise"
    with pytest.raises(ValueError, match=f"protocol: .* is not one of {allowed}"):
        metrics.scores(GOOD, GOOD, name)


def test_the_tables_render_as_text_and_numbers():
    for row in (*metrics.PROTOCOLS.values(), *metrics.SSIM_VARIANTS.values()):
        assert all(isinstance(value, str | int | float) and value for value in asdict(row).values())
    assert [row.ssim for row in metrics.PROTOCOLS.values()] == list("ABBCDE")
    with pytest.raises(TypeError):
        metrics.PROTOCOLS["mine"] = metrics.PROTOCOLS["sidd"]
