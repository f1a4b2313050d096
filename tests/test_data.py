"""Data: photos split by photo, batches that depend on (seed, step) alone, nothing downloaded."""

from __future__ import annotations

import random
import socket
from importlib import resources
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ensrepro import data
from ensrepro.config import Phase
from ensrepro.degrade import DEGRADATIONS, stored, to_linear, to_srgb

PHASE = Phase(steps=1, batch=3, patch=32)
# of the batch that the committed `mini` teacher saw first; if they change, its training cannot be
# repeated any more
CLEAN_MEAN, DEGRADED_MEAN = 0.3438972, 0.3482999
SPLITS = (data.TRAIN, data.VALIDATION, data.TEST)


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def disturb_global_randomness() -> None:
    random.seed(99)
    np.random.seed(99)  # noqa: NPY002 (the point: global state has no say)
    torch.manual_seed(99)


def psnr(pair: data.Pair) -> float:
    error = np.mean((pair.degraded.astype(np.float64) - pair.clean) ** 2)
    return float(-10 * np.log10(error))


def place_of(window: np.ndarray, image: np.ndarray) -> list[tuple[int, int]]:
    """All (top, left) where the image holds exactly this window."""
    h, w = window.shape[:2]
    starts = image[: image.shape[0] - h + 1, : image.shape[1] - w + 1]
    same = np.argwhere((starts == window[0, 0]).all(axis=-1))
    return [(y, x) for y, x in same if np.array_equal(image[y : y + h, x : x + w], window)]


# photos


def test_the_splits_have_13_2_and_4_photos():
    assert [len(data.photos(split)) for split in SPLITS] == [13, 2, 4]
    assert sum(len(data.photos(split)) for split in SPLITS) == len(data.PHOTOS)


def test_no_photo_is_in_two_splits_nor_twice_in_one():
    assert len({photo.name for photo in data.PHOTOS}) == len(data.PHOTOS)
    assert len({(photo.package, photo.path) for photo in data.PHOTOS}) == len(data.PHOTOS)
    thumbnails = {
        photo.name: np.array(
            Image.fromarray((data.load(photo) * 255).astype(np.uint8))
            .convert("L")
            .resize((16, 16)),
            float,
        ).ravel()
        for photo in data.PHOTOS
    }
    split = {photo.name: photo.split for photo in data.PHOTOS}
    for a, b in combinations(thumbnails, 2):
        if split[a] != split[b]:  # a copy, or another crop of one photo, correlates with it
            assert np.corrcoef(thumbnails[a], thumbnails[b])[0, 1] < 0.9, (a, b)


def test_two_views_of_one_scene_are_in_the_same_split():
    split = {photo.name: photo.split for photo in data.PHOTOS}
    assert split["motorcycle_left"] == split["motorcycle_right"] == data.TRAIN


@pytest.mark.parametrize("photo", data.PHOTOS, ids=lambda photo: photo.name)
def test_a_photo_is_rgb_in_range_and_halved_if_it_is_a_jpeg(photo):
    with (
        resources.as_file(resources.files(photo.package) / photo.path) as path,
        Image.open(path) as file,
    ):
        width, height, kind, n_bands = *file.size, file.format, len(file.getbands())
    assert photo.halve == (kind == "JPEG")
    image = data.load(photo)
    shrink = 2 if photo.halve else 1
    assert image.shape == (height // shrink, width // shrink, 3)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    assert image.std() > 0.02
    if n_bands == 1:
        assert (image == image[..., :1]).all()


def test_halving_averages_linear_light():
    # half black, half white pixels emit half the light: 1.055 * 0.5 ** (1 / 2.4) - 0.055 in sRGB
    checkered = np.indices((4, 6)).sum(0) % 2 * np.ones((3, 1, 1))
    halved = data.halved(checkered.transpose(1, 2, 0).astype(np.float32))
    assert halved.shape == (2, 3, 3)
    assert np.allclose(halved, 0.7353570, atol=1e-6)


def test_halving_keeps_a_flat_image_and_cuts_an_odd_row_and_column():
    image = np.full((5, 7, 3), 0.25, np.float32)
    image[4], image[:, 6] = 1, 1
    assert data.halved(image).shape == (2, 3, 3)
    assert np.allclose(data.halved(image), 0.25, atol=1e-6)


def test_a_split_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="split is 'val'; expected one of train, validation, test"):
        data.photos("val")


def test_nothing_is_fetched_from_a_network(monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("a connection was opened")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    data.load.cache_clear()
    assert len([data.load(photo) for photo in data.PHOTOS]) == 19
    assert len(data.validation_pairs("denoise", 2, 32)) == 2
    assert len(data.test_pairs("denoise", 1, 32)) == 1


# dead leaves


def test_dead_leaves_are_disks_that_hide_one_another():
    # the painter's way: everything drawn over all before, in the opposite order
    size, n = 48, 60
    rng = seeded(5)
    u = rng.uniform(size=n)
    centers, colors = rng.uniform(0, size, (n, 2)), rng.uniform(size=(n, 3)).astype(np.float32)
    # radii whose density ~ r ** -3 on (2, size / 4): the distribution function, integrated
    grid = np.linspace(2, size / 4, 200_001)
    mass = np.concatenate([[0], np.cumsum((grid[1:] + grid[:-1]) ** -3.0)])
    radii = np.interp(u, mass / mass[-1], grid)
    painted = np.full((size, size, 3), 0.5, np.float32)
    y, x = np.mgrid[:size, :size]
    for radius, (cy, cx), color in reversed(list(zip(radii, centers, colors, strict=True))):
        painted[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = color
    image = data.dead_leaves(seeded(5), size, n)
    assert (image != painted).any(axis=-1).mean() < 0.001  # a pixel at the very edge of a disk


def test_dead_leaves_cover_the_image_and_depend_on_the_generator_alone():
    image = data.dead_leaves(seeded(1), 128, 1500)
    disturb_global_randomness()
    assert np.array_equal(data.dead_leaves(seeded(1), 128, 1500), image)
    assert not np.array_equal(data.dead_leaves(seeded(2), 128, 1500), image)
    assert image.shape == (128, 128, 3)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    assert (image == 0.5).all(axis=-1).mean() < 0.02
    # flat leaves with sharp edges: most neighbors are equal
    assert (np.diff(image, axis=1) == 0).all(axis=-1).mean() > 0.5


def test_training_images_are_training_photos_and_dead_leaves_only(monkeypatch):
    loaded = []
    real = data.load
    monkeypatch.setattr(data, "load", lambda photo: loaded.append(photo) or real(photo))
    monkeypatch.setattr(data, "N_LEAVES", 1)
    natural, leaves = data.training_images.__wrapped__(0)
    assert loaded == data.photos(data.TRAIN)
    assert len(leaves) == 1
    assert len(natural) > len(loaded)  # halves too
    for image, photo in zip(natural, loaded, strict=False):
        assert image is real(photo)


# crops


@given(h=st.integers(1, 12), w=st.integers(1, 12), data_=st.data())
def test_a_random_crop_is_a_window_of_the_image(h, w, data_):
    size = data_.draw(st.integers(1, min(h, w)))
    image = np.arange(h * w * 3, dtype=np.float32).reshape(h, w, 3)
    window = data.random_crop([image], size, seeded(data_.draw(st.integers(0, 99))))
    assert window.shape == (size, size, 3)
    assert len(place_of(window, image)) == 1


def test_every_place_is_drawn_the_borders_too():
    image, rng = np.arange(60, dtype=np.float32).reshape(4, 5, 3), seeded(0)
    places = [place_of(data.random_crop([image], 3, rng), image)[0] for _ in range(200)]
    assert set(places) == {(top, left) for top in range(2) for left in range(3)}


def test_images_are_drawn_in_proportion_to_their_area():
    small, large = np.zeros((10, 10, 3), np.float32), np.ones((10, 30, 3), np.float32)
    rng = seeded(0)
    drawn = [data.random_crop([small, large], 4, rng)[0, 0, 0] for _ in range(2000)]
    assert np.mean(drawn) == pytest.approx(0.75, abs=6 * np.sqrt(0.75 * 0.25 / 2000))


@pytest.mark.parametrize("size", [0, -8, 11])
def test_a_crop_that_does_not_fit_every_image_is_refused(size):
    images = [np.zeros((64, 64, 3), np.float32), np.zeros((10, 30, 3), np.float32)]
    with pytest.raises(ValueError, match=rf"size of a crop is {size}; expected 1\.\.10"):
        data.random_crop(images, size, seeded(0))


def test_augmentation_is_a_symmetry_a_permutation_of_channels_and_an_exposure():
    # dark enough that no exposure clips; every value distinct
    patch = np.random.default_rng(0).permutation(48).reshape(4, 4, 3).astype(np.float32) / 96 + 0.1
    views = [np.rot90(flipped, k) for flipped in (patch, patch[:, ::-1]) for k in range(4)]
    seen, rng = set(), seeded(0)
    for _ in range(600):
        got = to_linear(data.augmented(patch, rng))
        for i, view in enumerate(views):
            for channels in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
                gains = got / to_linear(view[..., channels])
                if np.ptp(gains) < 1e-3:
                    assert 0.5 - 1e-3 < gains.mean() < 1.2 + 1e-3
                    seen.add((i, channels))
    assert len(seen) == 8 * 6


def test_augmentation_stays_in_range():
    white = np.ones((8, 8, 3), np.float32)
    brightest = max(data.augmented(white, seeded(i)).max() for i in range(50))
    assert brightest == pytest.approx(1.0, abs=1e-6)
    assert brightest <= 1


def test_a_tensor_has_its_own_memory_and_the_channels_first():
    images = [np.random.default_rng(i).uniform(size=(4, 6, 3)).astype(np.float32) for i in (0, 1)]
    tensor = data.to_tensor(images)
    assert tensor.shape == (2, 3, 4, 6)
    assert tensor.is_contiguous()
    assert tensor[1, 2, 3, 4] == images[1][3, 4, 2]
    before = images[0].copy()
    tensor.zero_()
    assert np.array_equal(images[0], before)


# batches


@pytest.fixture(scope="module")
def batch():
    return data.training_batch("denoise", 0, 5, PHASE)


def test_a_batch_has_the_phases_shape_and_an_images_range(batch):
    for tensor in batch:
        assert tensor.shape == (3, 3, 32, 32)
        assert tensor.dtype == torch.float32
        assert tensor.min() >= 0
        assert tensor.max() <= 1
    degraded = batch[0].numpy()
    assert np.array_equal(stored(degraded), degraded)


def test_a_batch_is_a_pure_function_of_seed_and_step(batch):
    other_step = data.training_batch("denoise", 0, 6, PHASE)
    disturb_global_randomness()
    again = data.training_batch("denoise", 0, 5, PHASE)
    assert all(torch.equal(a, b) for a, b in zip(batch, again, strict=True))
    assert not torch.equal(batch[1], other_step[1])


def test_another_seed_gives_another_batch(batch, monkeypatch):
    photos = data.training_images(0)
    monkeypatch.setattr(data, "training_images", lambda seed: photos)  # new leaves would differ too
    same = data.training_batch("denoise", 0, 5, PHASE)
    other = data.training_batch("denoise", 1, 5, PHASE)
    assert torch.equal(same[1], batch[1])
    assert not torch.equal(other[1], batch[1])
    assert not torch.equal(other[0], batch[0])


def test_the_batch_of_the_committed_teachers_first_step():
    degraded, clean = data.training_batch("white_noise", 0, 0, Phase(3200, 4, 64))
    assert clean.mean().item() == pytest.approx(CLEAN_MEAN, abs=2e-5)
    assert degraded.mean().item() == pytest.approx(DEGRADED_MEAN, abs=2e-4)


def test_a_quarter_of_the_patches_is_dead_leaves(monkeypatch):
    photos, leaves = np.zeros((40, 40, 3), np.float32), np.ones((40, 40, 3), np.float32)
    monkeypatch.setattr(data, "training_images", lambda seed: ((photos,), (leaves,)))
    _, clean = data.training_batch("denoise", 0, 0, Phase(1, 2000, 1))
    share = (clean > 0).float().mean().item()
    assert share == pytest.approx(data.LEAVES_SHARE, abs=6 * np.sqrt(0.25 * 0.75 / 2000))


@pytest.mark.parametrize(
    "use",
    [
        lambda name: data.training_batch(name, 0, 0, PHASE),
        lambda name: data.validation_pairs(name, 1, 32),
        lambda name: data.test_pairs(name, 1, 32),
    ],
)
def test_an_unknown_degradation_is_refused(use):
    with pytest.raises(ValueError, match="degradation is 'denoize'; expected one of denoise"):
        use("denoize")


def test_a_patch_larger_than_the_training_images_is_refused():
    with pytest.raises(ValueError, match=r"size of a crop is 1024; expected 1\.\.2"):
        data.training_batch("denoise", 0, 0, Phase(1, 1, 1024))


# validation and test


def assert_same(first: list[data.Pair], second: list[data.Pair]) -> None:
    assert [pair.name for pair in first] == [pair.name for pair in second]
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.clean, b.clean)
        assert np.array_equal(a.degraded, b.degraded)


def test_validation_crops_are_the_same_at_every_call():
    first = data.validation_pairs("denoise", 8, 96)
    disturb_global_randomness()
    data.training_batch("denoise", 3, 1, PHASE)
    assert_same(first, data.validation_pairs("denoise", 8, 96))
    fewer = data.validation_pairs("denoise", 3, 96)  # the same crops, other strengths
    assert all(np.array_equal(a.clean, b.clean) for a, b in zip(first, fewer, strict=False))


def test_validation_crops_are_windows_of_validation_photos_in_turn():
    pairs = data.validation_pairs("denoise", 8, 96)
    photos = data.photos(data.VALIDATION)
    names = [f"{photos[i % len(photos)].name}-{i}" for i in range(8)]
    assert [pair.name for pair in pairs] == names
    places = set()
    for i, pair in enumerate(pairs):
        photo = photos[i % len(photos)]
        (place,) = place_of(pair.clean, data.load(photo))
        places.add((photo.name, *place))
        assert pair.degraded.shape == pair.clean.shape == (96, 96, 3)
    assert len(places) == 8


def test_test_images_are_the_test_photos_whole_or_their_centers():
    photos = data.photos(data.TEST)
    for pair, photo in zip(data.test_pairs("denoise"), photos, strict=True):
        assert pair.name == photo.name
        assert np.array_equal(pair.clean, data.load(photo))
        assert pair.degraded.shape == pair.clean.shape
    (pair,) = data.test_pairs("denoise", 1, 33)
    h, w = data.load(photos[0]).shape[:2]
    top, left = (h - 33) // 2, (w - 33) // 2
    assert np.array_equal(pair.clean, data.load(photos[0])[top : top + 33, left : left + 33])


def test_test_images_are_the_same_at_every_call():
    first = data.test_pairs("denoise", 2, 64)
    disturb_global_randomness()
    assert_same(first, data.test_pairs("denoise", 2, 64))


def test_inputs_are_as_noisy_as_a_night_shot():
    # a full scale of 2 to 20 photons: inputs of some 13 dB, from 7 to 18 (assumption A15)
    for pairs in (data.validation_pairs("denoise", 8, 96), data.test_pairs("denoise")):
        levels = [psnr(pair) for pair in pairs]
        assert min(levels) > 7
        assert max(levels) < 18
        assert 12 < np.mean(levels) < 14


def test_the_strengths_of_evaluation_images_are_spread_evenly():
    """Noisier from crop to crop: nothing is left to the luck of a draw."""
    levels = [psnr(pair) for pair in data.validation_pairs("denoise", 8, 96)]
    for start in (0, 1):  # the crops alternate between two photos
        assert sorted(levels[start::2], reverse=True) == levels[start::2]
    assert psnr(data.test_pairs("denoise", 1)[0]) == max(map(psnr, data.test_pairs("denoise")))


@pytest.mark.parametrize("n", [0, -1, 5, 1280])
def test_a_number_of_test_photos_that_there_is_not_is_refused(n):
    with pytest.raises(ValueError, match=rf"n is {n}; expected 1\.\.4, the number of test photos"):
        data.test_pairs("denoise", n)


@pytest.mark.parametrize("n", [0, -1])
def test_a_validation_set_without_crops_is_refused(n):
    with pytest.raises(ValueError, match=rf"n is {n}; expected at least 1 validation crop"):
        data.validation_pairs("denoise", n, 32)


def test_a_crop_larger_than_a_photo_is_refused():
    with pytest.raises(ValueError, match=r"size of a crop is 512; expected 1\.\.400"):
        data.test_pairs("denoise", 4, 512)
    with pytest.raises(ValueError, match=r"size of a crop is 301; expected 1\.\.300"):
        data.validation_pairs("denoise", 1, 301)


def test_exposure_is_a_factor_of_light():
    gray = np.full((4, 4, 3), 0.5, np.float32)
    gains = [to_linear(data.augmented(gray, seeded(i))).mean() / 0.2140411 for i in range(300)]
    assert min(gains) == pytest.approx(0.5, abs=0.02)
    assert max(gains) == pytest.approx(1.2, abs=0.02)
    assert np.allclose(to_srgb(to_linear(gray)), gray, atol=1e-6)


@pytest.mark.parametrize("task", ["derain", "deblur", "defocus", "defocus_dual"])
def test_images_of_every_task_have_their_size_without_the_margin(task):
    degrade = DEGRADATIONS[task]
    channels = 6 if task == "defocus_dual" else 3
    degraded, clean = data.training_batch(task, 0, 0, Phase(1, 2, 32))
    assert degraded.shape == (2, channels, 32, 32)
    assert clean.shape == (2, 3, 32, 32)
    (crop,) = data.validation_pairs(task, 1, 48)
    assert crop.degraded.shape == (48, 48, channels)
    (whole,) = data.test_pairs(task, 1)
    photo = data.load(data.photos(data.TEST)[0])
    m = degrade.margin
    assert np.array_equal(whole.clean, photo[m : len(photo) - m, m : photo.shape[1] - m])
    assert whole.degraded.shape == (*whole.clean.shape[:2], channels)


def test_a_crop_is_blurred_as_the_whole_photo_would_be():
    """What lies beyond the crop reaches into it, mirrored borders do not."""
    degrade, m = DEGRADATIONS["deblur"], DEGRADATIONS["deblur"].margin
    photo = data.load(data.photos(data.TEST)[0])
    scene = photo[: 2 * m + 40, : 2 * m + 40]
    seen, clean = data.degraded_pair(degrade, scene, seeded(0), 1.0)
    whole = degrade(photo[: 4 * m + 40, : 4 * m + 40], seeded(0), 1.0)[m : m + 40, m : m + 40]
    assert np.array_equal(clean, scene[m : m + 40, m : m + 40])
    noise = to_linear(seen) - to_linear(whole)  # each has its own, of 0.0025
    assert abs(noise).max() < 0.02
    assert noise.std() < 1.3 * degrade.read_noise * 2**0.5
