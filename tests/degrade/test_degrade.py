"""What holds for every degradation."""

from __future__ import annotations

import inspect
from dataclasses import fields, replace

import numpy as np
import pytest

from ensrepro.config import TASKS
from ensrepro.degrade import DEGRADATIONS, stored


def image(value: float, side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), value, np.float32)


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_every_task_has_its_degradation_and_its_channels():
    for task in TASKS.values():
        seen = DEGRADATIONS[task.name](image(0.5, 16), seeded(0))
        assert seen.shape == (16, 16, task.in_channels)
        assert not task.first_learns or task.first_learns in DEGRADATIONS
        assert not task.starts_from or task.starts_from in TASKS


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_a_degradation_returns_an_image_as_a_camera_stores_it(name):
    clean = seeded(3).uniform(size=(40, 56, 3)).astype(np.float32)
    before = clean.copy()
    seen = DEGRADATIONS[name](clean, seeded(0))
    assert seen.shape == (40, 56, 6 if name == "defocus_dual" else 3)
    assert seen.dtype == np.float32
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert np.array_equal(stored(seen, 16 if name == "defocus_dual" else 8), seen)
    assert np.array_equal(clean, before)
    assert not np.array_equal(seen[..., :3], clean)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_randomness_comes_from_the_generator_alone(name):
    clean, degrade = image(0.5), DEGRADATIONS[name]
    first = degrade(clean, seeded(7))
    np.random.seed(123)  # noqa: NPY002 (the point: global state has no say)
    assert np.array_equal(degrade(clean, seeded(7)), first)
    assert not np.array_equal(degrade(clean, seeded(8)), first)
    rng = seeded(7)
    assert np.array_equal(degrade(clean, rng), first)
    assert not np.array_equal(degrade(clean, rng), first)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_every_number_of_the_physics_is_part_of_the_recipe(name):
    """Otherwise results made with other numbers would be taken for current ones."""
    degrade = DEGRADATIONS[name]
    seen = repr(degrade)
    for field in fields(degrade):
        value = getattr(degrade, field.name)
        changed = tuple(2 * v for v in value) if isinstance(value, tuple) else not value
        assert repr(replace(degrade, **{field.name: changed})) != seen
    module = inspect.getmodule(type(degrade))
    constants = {k for k, v in vars(module).items() if k.isupper() and not callable(v)}
    # the transfer curve and the color filter are given by standards
    assert constants <= {"BAYER", "FROM_QUARTER", "FROM_HALF", "INTERPOLATION"}


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((a.astype(np.float64) - b) ** 2)))


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_more_strength_degrades_more(name):
    clean = np.kron(seeded(5).uniform(size=(16, 16, 3)), np.ones((8, 8, 1))).astype(np.float32)
    degrade, inner = DEGRADATIONS[name], slice(20, -20)

    def quality(strength: float, seeds: range) -> float:
        """Over scenes of their own, so that strength has to outweigh the luck of the draw."""
        seen = [degrade(clean, seeded(k), strength)[inner, inner, :3] for k in seeds]
        return float(np.mean([psnr(s, clean[inner, inner]) for s in seen]))

    mild, middle, severe = (
        quality(s, range(12 * i, 12 * i + 12)) for i, s in enumerate((0, 0.5, 1))
    )
    assert mild > middle > severe


@pytest.mark.parametrize("name", [n for n, d in DEGRADATIONS.items() if d.margin])
def test_only_the_margin_depends_on_what_lies_beyond_the_border(name):
    """With one generator state two scenes that agree inside differ in the margin alone."""
    degrade, reach = DEGRADATIONS[name], DEGRADATIONS[name].margin + 1
    clean = seeded(2).uniform(size=(96, 96, 3)).astype(np.float32)
    other = clean.copy()
    other[0] = 1 - other[0]  # the outermost row: it and its mirror image reach `margin` inward
    a, b = (degrade(scene, seeded(1), 1.0) for scene in (clean, other))
    level = 1 / (65535 if degrade is DEGRADATIONS["defocus_dual"] else 255)
    assert abs(a[reach:] - b[reach:]).max() <= 1.5 * level  # rounding
    assert abs(a[:reach] - b[:reach]).max() > 8 / 255
