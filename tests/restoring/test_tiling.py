"""What is measured of tiles, on networks whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from test_evaluate import tiny_net
from torch import nn

from ensrepro import artifacts
from ensrepro.data import Pair
from ensrepro.restoring import tiling

pytestmark = pytest.mark.usefixtures("one_thread")


class Brightness(nn.Module):
    """Adds the mean of what it sees: a stage that looks at all pixels, in the simplest way."""

    def forward(self, x):
        return x + x.mean((2, 3), keepdim=True)


def pair(h: int, w: int) -> Pair:
    half = np.concatenate([np.full((h // 2, w, 3), 0.2), np.full((h - h // 2, w, 3), 0.4)])
    return Pair("halves", half.astype(np.float32), np.full((h, w, 3), 0.3, np.float32))


def test_a_local_network_differs_only_in_the_outermost_pixels_of_tiles():
    net = tiny_net()
    net.stages["only"] = nn.Identity()
    (row,) = tiling.rows("teacher", net, [pair(160, 72)], "sidd", (96,))
    assert (row["n_tiles"], row["side"], row["image"]) == (2, 96, "halves")
    assert row["largest"] < 0.05
    assert row["between"] > 40


def test_a_network_that_sees_all_differs_by_what_tiles_do_not_see():
    """The output convolution copies the three channels, so each tile is lifted by its own mean."""
    net = tiny_net()
    net.stem, net.stages["only"], net.output = nn.Identity(), Brightness(), nn.Identity()
    (row,) = tiling.rows("teacher", net, [pair(160, 72)], "sidd", (96,))
    # image x -> 2 x + mean(x): whole 0.2 -> 0.7, 0.4 -> 1.1, clipped to 1. The first tile has rows
    # 0..95, 80 dark and 16 bright, mean 0.2333; the second 64..159, 16 and 80, mean 0.3667
    assert row["largest"] == pytest.approx(0.3 - (80 * 0.2 + 16 * 0.4) / 96, abs=1e-5)


def test_sides_that_a_photo_fits_into_are_left_out():
    assert tiling.rows("teacher", tiny_net(), [pair(80, 72)], "sidd", (96, 128)) == []


def test_nothing_is_measured_unasked(checkout):
    before = sorted(checkout.rglob("*"))
    with pytest.raises(FileNotFoundError, match="no chosen hybrid"):
        tiling.get("denoise", "smoke")
    assert sorted(checkout.rglob("*")) == before


def test_the_committed_differences_are_of_the_committed_networks(monkeypatch):
    monkeypatch.setattr(tiling, "make", None)
    root = artifacts.checkout()
    monkeypatch.setattr(artifacts, "repository", lambda: root)
    found = tiling.get("denoise", "mini")
    assert {row["network"] for row in found.rows} == {"teacher", "knee"}
    assert all(0 < row["largest"] <= 1 and row["between"] > 20 for row in found.rows)
    assert all(row["gain"] > 0 for row in found.rows)  # as the page about restoring says
    means = [
        np.mean([row["gain"] for row in found.rows if row["side"] == side]) for side in (96, 128)
    ]
    assert means[0] > means[1]
