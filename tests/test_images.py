"""Image files: what is read, turned and refused; what is written, and never written over."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from ensrepro import images
from ensrepro.images import Picture

RANDOM = np.random.default_rng(0)
RGB = RANDOM.integers(0, 256, (5, 7, 3), np.uint8)
GRAY = RGB[..., 0]
WIDE = RANDOM.integers(0, 65536, (5, 7), np.uint16)
ALPHA = RANDOM.integers(0, 255, (5, 7), np.uint8)


def random_picture(kind: type, alpha: bool) -> Picture:
    values = RANDOM.integers(0, np.iinfo(kind).max, (5, 7, 4), kind)
    return Picture(values[..., :3], values[..., 3] if alpha else None)


def exactly(path: Path) -> Picture:
    if png_bits(path) == 16:
        pytest.importorskip("cv2", reason="PNG of 16 bits a channel needs opencv-python-headless")
    return images.read_exactly(path)


def png_bits(path: Path) -> int:
    return path.read_bytes()[24]  # after the signature, IHDR's length and name, width and height


def assert_same(found: Picture, expected: Picture) -> None:
    assert found.values.dtype == expected.values.dtype
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.alpha, expected.alpha)


def refusal(path: Path) -> str:
    with pytest.raises(ValueError, match=r"\.(png|jpg)") as caught:
        images.read(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def png(width: int, height: int, bits: int, color: int, rows: bytes) -> bytes:
    """A PNG by its specification: signature, IHDR, IDAT, IEND."""
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "RGBA", "LA", "RGB with one color cut out"])
def test_every_kind_of_png_is_read_as_rgb(tmp_path, mode):
    path = tmp_path / "a.png"
    expected = RGB if mode.startswith(("RGB", "P")) else np.repeat(GRAY[..., None], 3, axis=2)
    if mode == "P":
        Pillow.fromarray(np.arange(35, dtype=np.uint8).reshape(5, 7), "L").save(path)
        indexed = Pillow.open(path)
        indexed.load()
        indexed.putpalette(RGB.tobytes())
        assert indexed.mode == "P"
        indexed.save(path)
    elif mode == "1":
        Pillow.fromarray(GRAY > 127).save(path)
        expected = np.where(expected > 127, 255, 0)
    elif mode == "RGB with one color cut out":
        Pillow.fromarray(RGB).save(path, transparency=tuple(RGB[0, 0].tolist()))
    elif mode in ("RGBA", "LA"):
        Pillow.fromarray(np.dstack([RGB if mode == "RGBA" else GRAY, ALPHA])).save(path)
    else:
        Pillow.fromarray(RGB if mode == "RGB" else GRAY).save(path)
    found = images.read(path)
    assert found.pixels.dtype == np.float32
    np.testing.assert_array_equal(found.pixels, (expected / np.float32(255)).astype(np.float32))
    if mode in ("RGBA", "LA"):
        np.testing.assert_array_equal(found.alpha, ALPHA)
    elif mode == "RGB with one color cut out":
        np.testing.assert_array_equal(found.alpha == 0, np.all(RGB[0, 0] == RGB, axis=-1))
    else:
        assert found.alpha is None


def test_sixteen_bits_of_gray_keep_their_precision(tmp_path):
    path = tmp_path / "wide.png"
    path.write_bytes(png(7, 5, 16, 0, b"".join(b"\0" + r.astype(">u2").tobytes() for r in WIDE)))
    found = images.read(path).pixels
    np.testing.assert_allclose(found[..., 1], WIDE / 65535, rtol=0, atol=1e-7)
    assert found.shape == (5, 7, 3)


def test_sixteen_bits_of_color_are_read_to_eight(tmp_path):
    path, wide = tmp_path / "wide.png", RGB.astype(">u2") * 257
    path.write_bytes(png(7, 5, 16, 2, b"".join(b"\0" + row.tobytes() for row in wide)))
    np.testing.assert_allclose(images.read(path).pixels, RGB / 255, rtol=0, atol=1e-7)


# color type of the PNG specification: 2 RGB, 4 gray with alpha, 6 RGB with alpha
@pytest.mark.parametrize(("color", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_of_color_are_kept_where_they_are_asked_for(tmp_path, color, channels):
    pytest.importorskip("cv2", reason="PNG of 16 bits a channel needs opencv-python-headless")
    path, stored = tmp_path / "wide.png", RANDOM.integers(0, 65535, (5, 7, channels), np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in stored)
    path.write_bytes(png(7, 5, 16, color, rows))
    found = images.read_exactly(path)
    expected = np.repeat(stored[..., :1], 3, axis=2) if color == 4 else stored[..., :3]
    assert found.bits == 16
    np.testing.assert_array_equal(found.values, expected)
    if color == 2:
        assert found.alpha is None
    else:
        np.testing.assert_array_equal(found.alpha, stored[..., -1])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bits_of_color_are_turned_as_eight_are(tmp_path, orientation):
    """Pillow's own turning of the same file at 8 bit is the reference."""
    pytest.importorskip("cv2", reason="PNG of 16 bits a channel needs opencv-python-headless")
    exif = Pillow.Exif()
    exif[274] = orientation
    narrow, wide = tmp_path / "narrow.png", tmp_path / "wide.png"
    Pillow.fromarray(RGB).save(narrow, exif=exif)
    whole = png(7, 5, 16, 2, b"".join(b"\0" + r.astype(">u2").tobytes() for r in RGB))
    mark = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    wide.write_bytes(whole[:-12] + mark + whole[-12:])  # before IEND
    found = images.read_exactly(wide)
    assert found.bits == 16
    np.testing.assert_array_equal(found.values, images.read(narrow).values)


def wide_rgb(values: np.ndarray, more: bytes) -> bytes:
    """A PNG of 16-bit RGB with one more part before the pixels."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    whole = png(7, 5, 16, 2, rows)
    start = whole.index(b"IDAT") - 4
    return whole[:start] + more + whole[start:]


def test_a_color_that_is_cut_out_at_sixteen_bits_is_transparent(tmp_path):
    pytest.importorskip("cv2", reason="PNG of 16 bits a channel needs opencv-python-headless")
    path, values = tmp_path / "a.png", RANDOM.integers(0, 65536, (5, 7, 3), np.uint16)
    path.write_bytes(wide_rgb(values, chunk(b"tRNS", values[2, 3].astype(">u2").tobytes())))
    found = images.read_exactly(path)
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_array_equal(np.argwhere(found.alpha == 0), [[2, 3]])


def test_damaged_exif_data_at_sixteen_bits_are_told(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(wide_rgb(np.zeros((5, 7, 3), np.uint16), chunk(b"eXIf", b"hello")))
    with pytest.raises(ValueError, match=r"a\.png is damaged: its EXIF data: not a TIFF file"):
        images.read_exactly(path)


def test_a_color_profile_is_kept_at_sixteen_bits(tmp_path):
    pytest.importorskip("cv2", reason="PNG of 16 bits a channel needs opencv-python-headless")
    path = tmp_path / "a.png"
    images.write(path, random_picture(np.uint16, True)._replace(icc_profile=b"profile"))
    assert exactly(path).icc_profile == b"profile"


def test_without_opencv_sixteen_bits_of_color_name_the_remedy(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    images.write(path, random_picture(np.uint16, False))
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"needs OpenCV: pip install 'opencv-python-headless<5'"):
        images.read_exactly(path)


def test_an_animated_png_is_refused(tmp_path):
    path, frames = tmp_path / "a.png", [Pillow.fromarray(x) for x in (RGB, RGB[::-1])]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert "is animated; expected a still image" in refusal(path)


def test_of_two_jpegs_in_one_file_the_first_is_the_photo(tmp_path):
    path, stored = tmp_path / "a.jpg", np.kron(RGB, np.ones((16, 16, 1), np.uint8))
    first, second = Pillow.fromarray(stored), Pillow.fromarray(stored[::-1, ::-1])
    first.save(path, "MPO", save_all=True, append_images=[second], quality=100, subsampling=0)
    np.testing.assert_allclose(images.read(path).pixels, stored / 255, atol=0.03)


def test_inks_are_refused(tmp_path):
    path = tmp_path / "a.jpg"
    Pillow.fromarray(np.dstack([RGB, GRAY]), "CMYK").save(path)
    assert "of the kind CMYK, such as inks; expected gray, RGB" in refusal(path)


def test_a_large_image_is_taken_out_of_pillow_piece_by_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "PIECE", 14)  # two rows of seven pixels
    path = tmp_path / "a.png"
    Pillow.fromarray(np.dstack([RGB, ALPHA])).save(path)
    assert_same(images.read(path), Picture(RGB, ALPHA))


def test_an_opaque_alpha_channel_is_dropped(tmp_path):
    path = tmp_path / "a.png"
    Pillow.fromarray(np.dstack([RGB, np.full((5, 7), 255, np.uint8)])).save(path)
    assert images.read(path).alpha is None


# Orientation of the EXIF standard, tag 274: what turns the stored pixels upright.
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda x: x),
        (2, lambda x: x[:, ::-1]),
        (3, lambda x: x[::-1, ::-1]),
        (4, lambda x: x[::-1]),
        (5, lambda x: x.transpose(1, 0, 2)),
        (6, lambda x: np.rot90(x, -1)),
        (7, lambda x: np.rot90(x, 2).transpose(1, 0, 2)),
        (8, lambda x: np.rot90(x)),
    ],
)
def test_a_photo_is_turned_as_its_exif_says(tmp_path, orientation, upright):
    path, exif = tmp_path / "a.jpg", Pillow.Exif()
    exif[274] = orientation
    stored = np.kron(RGB, np.ones((16, 16, 1), np.uint8))
    Pillow.fromarray(stored).save(path, quality=100, subsampling=0, exif=exif)
    np.testing.assert_allclose(images.read(path).pixels, upright(stored) / 255, atol=0.03)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9])
def test_a_cut_file_is_refused_by_name(tmp_path, name, share):
    path = tmp_path / name
    Pillow.fromarray(RANDOM.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    message = refusal(path)
    assert "no image" in message or "damaged" in message


def test_a_damaged_chunk_is_refused_by_name(tmp_path):
    path = tmp_path / "a.png"
    Pillow.fromarray(RANDOM.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    assert "damaged" in refusal(path)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(20_000, 20_000, 8, 2, b""))
    assert "too many pixels" in refusal(path)
    path.write_bytes(png(13_378, 13_378, 8, 2, b""))  # 178,970,884: the first square too large
    assert "too many pixels" in refusal(path)
    path.write_bytes(png(13_377, 13_377, 8, 2, b""))
    assert "damaged or cut off" in refusal(path)  # it has no rows, but would be taken


def test_what_is_no_png_or_jpeg_is_refused(tmp_path):
    path = tmp_path / "a.png"
    Pillow.fromarray(RGB).save(path, "GIF")
    assert "expected PNG or JPEG" in refusal(path)
    path.write_bytes(b"hello")
    assert "expected PNG or JPEG" in refusal(path)
    for missing in (tmp_path / "b.png", tmp_path):
        with pytest.raises(FileNotFoundError, match="is no file"):
            images.read(missing)


@pytest.mark.parametrize("alpha", [None, ALPHA])
def test_what_is_written_is_read_back(tmp_path, alpha):
    path = tmp_path / "a.png"
    images.write(path, Picture(RGB, alpha, b"profile"))
    found = images.read(path)
    np.testing.assert_array_equal(found.values, RGB)
    np.testing.assert_array_equal(found.alpha, alpha)
    assert found.icc_profile == b"profile"
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("alpha", [False, True])
def test_rows_go_to_the_file_as_they_come(tmp_path, kind, alpha):
    path, picture = tmp_path / "a.png", random_picture(kind, alpha)
    with images.writing(path, picture) as add:
        for rows in np.split(picture.values, [1, 1, 4]):
            add(rows)
        assert not path.exists()  # it appears when it is whole
    assert_same(exactly(path), picture)
    if kind == np.uint8:  # and a reader by others agrees
        stored = picture.values if not alpha else np.dstack([picture.values, picture.alpha])
        np.testing.assert_array_equal(np.asarray(Pillow.open(path)), stored)


def test_a_file_that_ends_early_or_is_given_other_rows_is_not_written(tmp_path):
    path, picture = tmp_path / "a.png", random_picture(np.uint16, False)
    with (
        pytest.raises(ValueError, match="3 rows were written; expected 5"),
        images.writing(path, picture) as add,
    ):
        add(picture.values[:3])
    with (
        pytest.raises(ValueError, match=r"uint8; expected \(n, 7, 3\) of uint16"),
        images.writing(path, picture) as add,
    ):
        add(RGB)
    assert not list(tmp_path.iterdir())


def test_a_file_that_came_there_meanwhile_is_not_written_over(tmp_path):
    path = tmp_path / "a.png"

    def overtaken() -> None:
        with images.writing(path, Picture(RGB)) as add:
            add(RGB)
            path.write_bytes(b"mine")

    with pytest.raises(FileExistsError, match="exists"):
        overtaken()
    assert path.read_bytes() == b"mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_existing_file_or_link_is_never_written_over(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"mine")
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "nowhere.png")
    for target in (path, link):
        with pytest.raises(FileExistsError, match="exists"):
            images.write(target, Picture(RGB))
    assert path.read_bytes() == b"mine"
    assert not (tmp_path / "nowhere.png").exists()


def test_a_folder_that_does_not_exist_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"new is no folder; expected one to write a\.png"):
        images.write(tmp_path / "new" / "a.png", Picture(RGB))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.jpg", "a", "png"])
def test_only_png_is_written(tmp_path, name):
    with pytest.raises(ValueError, match=r"expected|only PNG"):
        images.write(tmp_path / name, Picture(RGB))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.full((4, 4, 3), 200.0), ValueError, "image has values in [200, 200]; expected uint8"),
        (np.full((4, 4, 3), -0.01), ValueError, "image has values in [-0.01, -0.01]"),
        (np.full((4, 4, 3), np.nan), ValueError, "NaN or infinite"),
        (np.full((4, 4, 3), np.inf), ValueError, "NaN or infinite"),
        (np.full((4, 4, 3), -np.inf), ValueError, "NaN or infinite"),
        (np.zeros((4, 4)), ValueError, "image has shape (4, 4); expected (H, W, 3)"),
        (np.zeros((4, 4, 4)), ValueError, "image has shape (4, 4, 4); expected (H, W, 3)"),
        (np.zeros((1, 4, 4, 3)), ValueError, "image has shape (1, 4, 4, 3)"),
        (np.zeros((0, 4, 3)), ValueError, "image has shape (0, 4, 3)"),
        (np.zeros((4, 4, 3), np.int64), TypeError, "image is int64"),
        (np.zeros((4, 4, 3), np.int16), TypeError, "image is int16"),
        (np.zeros((4, 4, 3), bool), TypeError, "image is bool"),
        ([[[0.0, 0.0, 0.0]]], TypeError, "image is list"),
        (None, TypeError, "image is NoneType"),
    ],
)
def test_an_array_that_is_no_image_is_refused(image, error, message):
    with pytest.raises(error) as caught:
        images.check_image(image, 3)
    assert message in str(caught.value)


def test_a_single_bad_pixel_is_found():
    image = np.zeros((40, 30, 3), np.float32)
    image[39, 29, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        images.check_image(image, 3)
