"""Tiles: they cover the image, their weights add up, and the blend needs one row of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensrepro import tiles


@given(st.integers(1, 3000), st.integers(65, 400))
def test_tiles_cover_a_line_and_overlap(length, side):
    first = tiles.starts(length, side)
    last = [start + side for start in first]
    assert first[0] == 0
    assert last[-1] >= length
    if length > side:
        assert last[-1] == length
        for end, start in zip(last[:-1], first[1:], strict=True):
            assert end - start >= tiles.OVERLAP
        assert sorted(set(first)) == first


@given(st.integers(66, 1500), st.integers(65, 400))
def test_blending_weights_are_positive_and_complementary_where_two_tiles_meet(length, side):
    first = tiles.starts(length, side)
    total, n = np.zeros(length), np.zeros(length, int)
    for start in first:
        size = min(side, length - start)
        fall = tiles.ramp(size, start == first[0], start == first[-1])
        assert (fall > 0).all()
        assert (fall <= 1).all()
        total[start : start + size] += fall
        n[start : start + size] += 1
    assert (total[n == 1] == 1).all()
    # the last tile is moved inward, so it may overlap more: there the sum is divided out
    regular = slice(0, first[-1] or length)
    np.testing.assert_allclose(total[regular], 1, atol=1e-6)


def test_the_side_of_a_tile_follows_from_the_memory():
    side = tiles.tile_side(48, 8, 2048)
    assert side % 8 == 0
    per_pixel = 4 * 48 * tiles.VALUES_PER_PIXEL
    assert side**2 * per_pixel <= 2048 * 2**20 < (side + 8) ** 2 * per_pixel
    assert tiles.tile_side(12, 8, 2048) == pytest.approx(2 * side, abs=16)


def test_too_little_memory_is_refused():
    with pytest.raises(ValueError, match="memory_mib is 1; expected more"):
        tiles.tile_side(48, 8, 1)


@pytest.mark.parametrize("side", [71, 64, 0, -8])
def test_a_tile_that_cannot_be_is_refused(side):
    with pytest.raises(ValueError, match=f"tile is {side} pixels; expected a multiple of 8, at le"):
        tiles.check_side(side, 8)
    assert tiles.check_side(72, 8) == 72
    assert tiles.check_side(128, 128) == 128


# 153 = 72 + 2 * 40 + 1: the last tile is moved inward onto all of the one before it but a pixel
@pytest.mark.parametrize("size", [(153, 153), (153, 50), (40, 153), (500, 100), (72, 72)])
def test_pieces_from_top_to_bottom_are_the_weighted_mean_of_all_tiles(size):
    """Every tile is another random image, so that a wrong place or weight shows."""
    (h, w), rng = size, np.random.default_rng(0)
    cut = tiles.cut(h, w, 72)
    made = {
        (top, left): rng.random((min(72, h), min(72, w), 2), dtype=np.float32)
        for top in cut.tops
        for left in cut.lefts
    }
    total, weight = np.zeros((h, w, 2)), np.zeros((h, w, 1))
    for (top, left), tile in made.items():
        fall = np.multiply.outer(
            tiles.ramp(len(tile), top == 0, top == cut.tops[-1]),
            tiles.ramp(tile.shape[1], left == 0, left == cut.lefts[-1]),
        )[..., None]
        total[top : top + 72, left : left + 72] += tile * fall
        weight[top : top + 72, left : left + 72] += fall
    pieces = list(tiles.blended(cut, lambda r, c: made[r.start, c.start], 2))
    np.testing.assert_allclose(np.concatenate(pieces), total / weight, rtol=0, atol=1e-6)
    assert len(pieces) == len(cut.tops)
    assert max(len(piece) for piece in pieces) <= 72
