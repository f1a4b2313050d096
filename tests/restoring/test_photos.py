"""From file to file: depth, orientation, transparency, profile; nothing is left by a failure."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from test_evaluate import tiny_net

from ensrepro import evaluate, images
from ensrepro.images import Picture
from ensrepro.restoring import networks, photos

pytestmark = pytest.mark.usefixtures("one_thread")

RANDOM = np.random.default_rng(0)
DUAL = tiny_net(6)


@pytest.fixture(scope="module")
def net(checkout):
    return networks.get(task="denoise", profile="smoke").net


def random_values(h: int, w: int, kind: type = np.uint8, channels: int = 3) -> np.ndarray:
    return RANDOM.integers(0, np.iinfo(kind).max, (h, w, channels), kind)


def expected(net, values: np.ndarray, tile: int | None = None) -> np.ndarray:
    top = np.iinfo(values.dtype).max
    return np.rint(evaluate.restore(net, values, tile=tile) * top).astype(values.dtype)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("tile", [None, 72])
def test_a_file_is_restored_as_its_array_would_be_at_its_own_depth(net, tmp_path, kind, tile):
    if kind == np.uint16:
        pytest.importorskip("cv2", reason="PNG of 16 bits a channel needs opencv-python-headless")
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    values = random_values(79, 85, kind, 4)
    images.write(source, Picture(values[..., :3], values[..., 3], b"profile"))
    photos.restore(net, str(source), str(target), tile=tile)
    found = images.read_exactly(target)
    np.testing.assert_array_equal(found.values, expected(net, values[..., :3], tile))
    np.testing.assert_array_equal(found.alpha, values[..., 3])
    assert found.icc_profile == b"profile"
    assert not np.array_equal(found.values, values[..., :3])


def test_sixteen_bits_of_gray_come_back_as_sixteen_bits_of_rgb(net, tmp_path):
    pytest.importorskip("cv2", reason="PNG of 16 bits a channel needs opencv-python-headless")
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    gray = random_values(9, 11, np.uint16, 1)[..., 0]
    Pillow.fromarray(gray).save(source)
    photos.restore(net, source, target)
    rgb = np.repeat(gray[..., None], 3, axis=2)
    np.testing.assert_array_equal(images.read_exactly(target).values, expected(net, rgb))


def test_a_photo_that_lies_on_its_side_is_turned_first(net, tmp_path):
    source, target, exif = tmp_path / "in.jpg", tmp_path / "out.png", Pillow.Exif()
    exif[274] = 6
    Pillow.fromarray(random_values(16, 40)).save(source, exif=exif)
    photos.restore(net, source, target)
    upright = images.read(source).values
    assert upright.shape == (40, 16, 3)
    np.testing.assert_array_equal(images.read(target).values, expected(net, upright))
    assert Pillow.open(target).getexif().get(274, 1) == 1  # and is not turned again


def saved(folder: Path, name: str, values: np.ndarray) -> Path:
    images.write(folder / name, Picture(values))
    return folder / name


def test_two_views_are_the_six_channels_left_first(tmp_path):
    left, right = random_values(9, 11), random_values(9, 11)
    files = [saved(tmp_path, name, v) for name, v in (("l.png", left), ("r.png", right))]
    photos.restore(DUAL, files[0], tmp_path / "out.png", right=files[1])
    both = np.concatenate([left, right], axis=2)
    np.testing.assert_array_equal(images.read(tmp_path / "out.png").values, expected(DUAL, both))


def test_of_two_views_nothing_is_kept_twice(tmp_path):
    """6 bytes a pixel: what is kept beside the six channels is a part of them."""
    values = random_values(9, 11, channels=4)
    images.write(tmp_path / "l.png", Picture(values[..., :3], values[..., 3], b"profile"))
    right = saved(tmp_path, "r.png", random_values(9, 11))
    seen = photos.read(tmp_path / "l.png", right, photos.DUAL)
    assert np.shares_memory(seen.like.values, seen.values)
    np.testing.assert_array_equal(seen.like.values, values[..., :3])
    np.testing.assert_array_equal(seen.like.alpha, values[..., 3])
    assert seen.like.icc_profile == b"profile"


def test_views_that_do_not_belong_together_are_refused(net, tmp_path):
    left = saved(tmp_path, "l.png", random_values(9, 11))
    small = saved(tmp_path, "s.png", random_values(9, 10))
    target = tmp_path / "out.png"
    with pytest.raises(ValueError, match=r"s\.png is 9x10 of 8 bit; expected the same"):
        photos.restore(DUAL, left, target, right=small)
    with pytest.raises(ValueError, match=r"two views .* and .*l\.png is one; .* with --right"):
        photos.restore(DUAL, left, target)
    with pytest.raises(ValueError, match=r"right is .*s\.png; expected none"):
        photos.restore(net, left, target, right=small)
    assert not target.exists()


def test_a_damaged_photo_or_network_leaves_no_file(tmp_path):
    source, target = saved(tmp_path, "in.png", random_values(64, 64)), tmp_path / "out.png"
    broken = tiny_net()
    broken.output.weight.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="NaN or infinite"):
        photos.restore(broken, source, target)
    source.write_bytes(source.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"in\.png is damaged"):
        photos.restore(tiny_net(), source, target)
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


def test_an_existing_target_is_refused_before_the_photo_is_read(tmp_path):
    source = saved(tmp_path, "in.png", random_values(9, 11))
    before = source.read_bytes()
    with pytest.raises(FileExistsError, match=r"in\.png exists"):
        photos.restore(tiny_net(), source, source)
    assert source.read_bytes() == before


def test_the_rows_of_a_tall_photo_cost_no_memory_but_their_own_pixels(tmp_path, monkeypatch):
    """Python's own allocations, to which numpy's belong: torch's and Pillow's are not among them.

    3 bytes a pixel are the photo; float32 arrays of the whole would be 24 more.
    """
    peaks = []
    monkeypatch.setattr(evaluate, "run_whole", lambda _net, image: image)
    monkeypatch.setattr(images, "PIECE", 2**12)
    for n_rows in (1000, 9000):
        source, target = (tmp_path / f"{name}{n_rows}.png" for name in ("in", "out"))
        images.write(source, Picture(np.zeros((n_rows, 400, 3), np.uint8)))
        tracemalloc.start()
        photos.restore(tiny_net(), source, target, tile=128)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert 0 < peaks[1] - peaks[0] < 3.2 * (9000 - 1000) * 400
