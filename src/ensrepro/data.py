"""Photos that come with scikit-image, scikit-learn and matplotlib: splits, crops and batches.

A photo belongs to one split only. JPEG files are used at half size, which averages their 8x8 block
artifacts away (area downsampling in linear light). Dead-leaves images (Lee, Mumford and Huang 2001)
extend training, never validation or test (assumption A25). Nothing is downloaded.
Images are (H, W, C) float32 in [0, 1], batches (B, C, H, W) tensors; C is 3, or 6 for the two views
of a dual-pixel sensor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from skimage.io import imread
from torch import Tensor

from ensrepro.config import Phase, named
from ensrepro.degrade import DEGRADATIONS, Degradation, Image, to_linear, to_srgb

TRAIN, VALIDATION, TEST = "train", "validation", "test"

RECIPE = 2  # raised when crops, augmentation or seeding change in a way that no name here tells
LEAVES_SHARE = 0.25  # of the training patches
N_LEAVES, LEAVES_SIZE, LEAVES_PER_IMAGE = 16, 256, 1500
GAINS = (0.5, 1.2)  # exposure, in linear light

# Seeds of training have two words, those of evaluation three: they never draw the same numbers.
VALIDATION_WORD, TEST_WORD = 1, 2


@dataclass(frozen=True)
class Photo:
    """A file inside an installed package; `halve` for JPEG sources."""

    name: str
    package: str
    path: str
    split: str
    halve: bool = False


SKIMAGE, SKLEARN, MATPLOTLIB = "skimage", "sklearn", "matplotlib"

PHOTOS = (
    Photo("astronaut", SKIMAGE, "data/astronaut.png", TRAIN),
    Photo("motorcycle_left", SKIMAGE, "data/motorcycle_left.png", TRAIN),
    Photo("motorcycle_right", SKIMAGE, "data/motorcycle_right.png", TRAIN),
    Photo("grace_hopper", MATPLOTLIB, "mpl-data/sample_data/grace_hopper.jpg", TRAIN, True),
    Photo("hubble", SKIMAGE, "data/hubble_deep_field.jpg", TRAIN, True),
    Photo("retina", SKIMAGE, "data/retina.jpg", TRAIN, True),
    Photo("ihc", SKIMAGE, "data/ihc.png", TRAIN),
    Photo("brick", SKIMAGE, "data/brick.png", TRAIN),
    Photo("grass", SKIMAGE, "data/grass.png", TRAIN),
    Photo("gravel", SKIMAGE, "data/gravel.png", TRAIN),
    Photo("moon", SKIMAGE, "data/moon.png", TRAIN),
    Photo("coins", SKIMAGE, "data/coins.png", TRAIN),
    Photo("cell", SKIMAGE, "data/cell.png", TRAIN),
    Photo("chelsea", SKIMAGE, "data/chelsea.png", VALIDATION),
    Photo("flower", SKLEARN, "datasets/images/flower.jpg", VALIDATION, True),
    Photo("coffee", SKIMAGE, "data/coffee.png", TEST),
    Photo("camera", SKIMAGE, "data/camera.png", TEST),
    Photo("china", SKLEARN, "datasets/images/china.jpg", TEST, True),
    Photo("rocket", SKIMAGE, "data/rocket.jpg", TEST, True),
)


class Pair(NamedTuple):
    """A degraded image, (H, W, C), and the clean one it was made from, (H, W, 3)."""

    name: str
    degraded: Image
    clean: Image


def recipe(split: str, degradation: str, n: int | None = None, size: int | None = None) -> str:
    """Hash of what a split's images are made from: files, crops, degradation; 16 hex digits.

    It is the same on every machine, which pixels are not: their last bits follow the processor.
    """
    leaves = LEAVES_SHARE, N_LEAVES, LEAVES_SIZE, LEAVES_PER_IMAGE
    settings = (RECIPE, split, DEGRADATIONS[degradation], n, size, leaves, GAINS)
    sha = hashlib.sha256(repr(settings).encode())
    for photo in photos(split):
        sha.update(repr(photo).encode())
        sha.update((resources.files(photo.package) / photo.path).read_bytes())
    return sha.hexdigest()[:16]


def halved(image: Image) -> Image:
    """Half the size by averaging 2x2 pixels in linear light; an odd last row or column is cut."""
    h, w = image.shape[0] // 2, image.shape[1] // 2
    light = to_linear(image[: 2 * h, : 2 * w])
    return to_srgb(light.reshape(h, 2, w, 2, 3).mean(axis=(1, 3), dtype=np.float32))


@cache
def load(photo: Photo) -> Image:
    """The photo, (H, W, 3); gray ones are repeated over the channels. Do not write into it."""
    with resources.as_file(resources.files(photo.package) / photo.path) as path:
        pixels = imread(path)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    image = pixels[..., :3].astype(np.float32) / 255
    return halved(image) if photo.halve else image


def photos(split: str) -> list[Photo]:
    """The photos of one split."""
    named("split", split, {TRAIN: 0, VALIDATION: 0, TEST: 0})
    return [photo for photo in PHOTOS if photo.split == split]


def dead_leaves(rng: Generator, size: int = LEAVES_SIZE, n: int = LEAVES_PER_IMAGE) -> Image:
    """Random disks that hide one another, radii with density ~ r ** -3; (size, size, 3).

    Drawn front to back: a pixel keeps the first disk that covers it.
    """
    r_min, r_max = 2.0, size / 4
    u = rng.uniform(size=n)
    radii = (r_min**-2 + u * (r_max**-2 - r_min**-2)) ** -0.5
    centers = rng.uniform(0, size, (n, 2))
    colors = rng.uniform(size=(n, 3)).astype(np.float32)
    image = np.full((size, size, 3), 0.5, np.float32)
    free = np.ones((size, size), bool)
    for radius, (cy, cx), color in zip(radii, centers, colors, strict=True):
        y0, y1 = max(int(cy - radius), 0), min(int(cy + radius) + 2, size)
        x0, x1 = max(int(cx - radius), 0), min(int(cx + radius) + 2, size)
        y, x = np.ogrid[y0:y1, x0:x1]
        disk = ((y - cy) ** 2 + (x - cx) ** 2 <= radius**2) & free[y0:y1, x0:x1]
        image[y0:y1, x0:x1][disk] = color
        free[y0:y1, x0:x1][disk] = False
    return image


@lru_cache(maxsize=4)
def training_images(seed: int) -> tuple[tuple[Image, ...], tuple[Image, ...]]:
    """(photos and their halves, dead-leaves images) that training crops are taken from."""
    full = [load(photo) for photo in photos(TRAIN)]
    halves = [halved(image) for image in full if min(image.shape[:2]) >= 400]
    leaves = [dead_leaves(np.random.default_rng([seed, i])) for i in range(N_LEAVES)]
    return tuple(full + halves), tuple(leaves)


def check_size(size: int, images: Sequence[Image]) -> None:
    """A ValueError if some image is too small for a square of `size` pixels a side."""
    smallest = min(min(image.shape[:2]) for image in images)
    if not 0 < size <= smallest:
        raise ValueError(f"size of a crop is {size}; expected 1..{smallest}, the smallest side")


def crop(image: Image, top: int, left: int, size: int) -> Image:
    """A square of `size` pixels a side."""
    return image[top : top + size, left : left + size]


def random_crop(images: Sequence[Image], size: int, rng: Generator) -> Image:
    """A square crop; an image is drawn with probability proportional to its area."""
    check_size(size, images)
    areas = np.array([image.shape[0] * image.shape[1] for image in images], float)
    image = images[rng.choice(len(images), p=areas / areas.sum())]
    top = rng.integers(image.shape[0] - size + 1)
    left = rng.integers(image.shape[1] - size + 1)
    return crop(image, int(top), int(left), size)


def augmented(patch: Image, rng: Generator) -> Image:
    """One of the 8 symmetries of the square, channels permuted, exposure changed."""
    patch = np.rot90(patch, rng.integers(4))
    if rng.integers(2):
        patch = patch[:, ::-1]
    light = to_linear(patch[..., rng.permutation(3)]) * rng.uniform(*GAINS)
    return to_srgb(np.clip(light, 0, 1).astype(np.float32))


def to_tensor(images: Sequence[Image]) -> Tensor:
    """(H, W, C) images of one size to a batch (B, C, H, W)."""
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy())


def degraded_pair(
    degrade: Degradation, clean: Image, rng: Generator, strength: float | None = None
) -> tuple[Image, Image]:
    """(degraded, clean) without the margin, whose surroundings are not known."""
    inner = slice(degrade.margin, -degrade.margin or None)
    return degrade(clean, rng, strength)[inner, inner], clean[inner, inner]


def training_batch(degradation: str, seed: int, step: int, phase: Phase) -> tuple[Tensor, Tensor]:
    """Degraded patches (B, C, patch, patch) and clean ones, a pure function of (seed, step).

    So a resumed training sees the very batches that an uninterrupted one sees.
    """
    degrade = named("degradation", degradation, DEGRADATIONS)
    rng = np.random.default_rng([seed, step])
    natural, leaves = training_images(seed)
    side = phase.patch + 2 * degrade.margin
    patches = [
        augmented(random_crop(leaves if rng.uniform() < LEAVES_SHARE else natural, side, rng), rng)
        for _ in range(phase.batch)
    ]
    degraded, clean = zip(*(degraded_pair(degrade, p, rng) for p in patches), strict=True)
    return to_tensor(degraded), to_tensor(clean)


def validation_pairs(degradation: str, n: int, size: int) -> list[Pair]:
    """`n` fixed crops of `size` pixels a side, in turn from each validation photo.

    The same for every seed of a training: crops and noise depend on (n, size) alone, and the
    strengths of the degradation are spread evenly. Assumption A8.
    """
    degrade = named("degradation", degradation, DEGRADATIONS)
    if n < 1:
        raise ValueError(f"n is {n}; expected at least 1 validation crop")
    sources = photos(VALIDATION)
    pairs = []
    for i in range(n):
        rng = np.random.default_rng([VALIDATION_WORD, i, size])
        photo = sources[i % len(sources)]
        clean = random_crop([load(photo)], size + 2 * degrade.margin, rng)
        pair = degraded_pair(degrade, clean, rng, (i + 0.5) / n)
        pairs.append(Pair(f"{photo.name}-{i}", *pair))
    return pairs


def test_pairs(degradation: str, n: int | None = None, size: int | None = None) -> list[Pair]:
    """The first `n` test photos (all if None), whole or a centered square of `size` pixels.

    A whole photo loses the degradation's margin at each side. The strengths of the degradation are
    spread evenly over all test photos, in their order.
    """
    degrade = named("degradation", degradation, DEGRADATIONS)
    sources = photos(TEST)
    if n is not None and not 0 < n <= len(sources):
        raise ValueError(f"n is {n}; expected 1..{len(sources)}, the number of test photos")
    pairs = []
    for i, photo in enumerate(sources[:n]):
        clean = load(photo)
        if size is not None:
            side = size + 2 * degrade.margin
            check_size(side, [clean])
            clean = crop(clean, (clean.shape[0] - side) // 2, (clean.shape[1] - side) // 2, side)
        rng = np.random.default_rng([TEST_WORD, i, len(sources)])
        pair = degraded_pair(degrade, clean, rng, (i + 0.5) / len(sources))
        pairs.append(Pair(photo.name, *pair))
    return pairs
