"""16-bit PNG exactly, headers without decoding, and files that are cut or damaged."""

from __future__ import annotations

import zlib
from io import BytesIO

import numpy as np
import pytest
from benchmark_folders import chunk, wide_png
from PIL import Image as Pillow

from ensrepro import png
from ensrepro.benchmarks import readers

pytest.importorskip("cv2", reason="PNG of 16 bits a channel needs opencv-python-headless")

RNG = np.random.default_rng(0)
EVERY = np.arange(65536, dtype=np.uint16)
ALL_VALUES = np.stack([EVERY, EVERY[::-1], np.roll(EVERY, 777)], axis=-1).reshape(256, 256, 3)
SMALL = RNG.integers(0, 65536, (10, 7, 3), dtype=np.uint16)
PHOTO = RNG.integers(0, 256, (40, 48, 3), dtype=np.uint8)


def encoded(values: np.ndarray, kind: str) -> bytes:
    content = BytesIO()
    Pillow.fromarray(values).save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize("filters", [(0,), (1,), (2,), (3,), (4,), (4, 3, 2, 1, 0)])
def test_every_filter_of_png_is_undone(tmp_path, filters):
    path = tmp_path / "wide.png"
    path.write_bytes(wide_png(SMALL, filters))
    found = png.read_wide(path)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, SMALL)


def test_all_65536_values_of_another_encoder_are_read_exactly(tmp_path):
    import cv2

    path = tmp_path / "wide.png"
    assert cv2.imwrite(str(path), ALL_VALUES[..., ::-1])
    np.testing.assert_array_equal(png.read_wide(path), ALL_VALUES)
    np.testing.assert_allclose(readers.read_image(path, 16) * 65535, ALL_VALUES, rtol=1e-6)


def test_the_reduction_to_8_bits_cuts_the_lower_byte_as_opencv_does(tmp_path):
    import cv2

    path = tmp_path / "wide.png"
    assert cv2.imwrite(str(path), ALL_VALUES[..., ::-1])
    found = np.rint(readers.read_image(path, 8) * 255).astype(np.uint8)
    np.testing.assert_array_equal(found, ALL_VALUES >> 8)
    np.testing.assert_array_equal(found, cv2.imread(str(path))[..., ::-1])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "16 bit"])
def test_a_header_tells_size_and_depth_without_decoding(tmp_path, kind):
    path = tmp_path / "a.png"
    path.write_bytes(wide_png(SMALL) if kind == "16 bit" else encoded(PHOTO, kind))
    expected = (10, 7, 16, 3) if kind == "16 bit" else (40, 48, 8, 3)
    assert png.header(path) == expected


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "16 bit"])
@pytest.mark.parametrize("share", [0, 0.02, 0.3, 0.7, 0.999])
def test_a_file_that_is_cut_off_is_refused_by_name(tmp_path, kind, share):
    path = tmp_path / "a.png"
    content = wide_png(SMALL) if kind == "16 bit" else encoded(PHOTO, kind)
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"a\.png is (empty|cut off|no image|damaged)"):
        png.header(path)


def test_a_16_bit_file_with_a_changed_byte_is_refused_by_name(tmp_path):
    path = tmp_path / "wide.png"
    content = bytearray(wide_png(SMALL))
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"wide\.png is damaged: the checksum of its part IDAT"):
        png.read_wide(path)


def test_an_8_bit_file_is_not_taken_for_16_bits(tmp_path):
    path = tmp_path / "narrow.png"
    path.write_bytes(encoded(PHOTO, "PNG"))
    with pytest.raises(ValueError, match=r"3 channels of 8 bits; expected 3 channels of 16 bits"):
        readers.read_image(path, 16)
    path.write_bytes(encoded(PHOTO, "JPEG"))
    with pytest.raises(ValueError, match=r"narrow\.png is no PNG file"):
        readers.read_image(path, 16)


@pytest.mark.parametrize("n_bytes", [0, 100, 10_000_000])
def test_pixels_that_do_not_fill_the_image_are_refused_and_never_unpacked_beyond_it(
    tmp_path, n_bytes
):
    path = tmp_path / "a.png"
    whole = wide_png(SMALL)
    start = whole.index(b"IDAT") - 4
    end = whole.index(b"IEND") - 4
    path.write_bytes(whole[:start] + chunk(b"IDAT", zlib.compress(bytes(n_bytes))) + whole[end:])
    kept = min(n_bytes, 10 * (1 + 6 * 7) + 1)
    with pytest.raises(ValueError, match=f"damaged: {kept} bytes of pixels, expected 430"):
        png.read_wide(path)
