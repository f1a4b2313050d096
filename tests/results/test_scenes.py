"""The scenes of figure 4: pictures and scores are of the same networks, photo and place."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ensrepro import evaluate, metrics
from ensrepro.data import Pair
from ensrepro.results import paper_tables, scenes

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_scores_on_file_are_those_of_the_pictures():
    found = paper_tables.of_profile("mini")
    run = found.runs["denoise"]
    scene = scenes.scene(run, found.outcomes["denoise"])
    *shown, clean = scene.crops
    assert [crop.kind for crop in scene.crops] == [
        *("degraded", "teacher", "all_ssm", "hybrid", "clean")
    ]
    for crop in shown:
        psnr, ssim, _ = metrics.scores(crop.image, clean.image, run.ctx.task.protocol)
        assert (crop.psnr, crop.ssim) == pytest.approx((psnr, ssim), abs=1e-3)
    assert len({crop.psnr for crop in shown}) == 4
    assert (clean.psnr, clean.ssim) == (None, None)
    assert np.array_equal(scene.image, evaluate.degraded(scenes.photo_of(run).degraded))


def test_the_photo_is_the_smallest_and_the_box_fits_into_it():
    def pair(name: str, h: int, w: int) -> Pair:
        return Pair(name, np.zeros((h, w, 3)), np.zeros((h, w, 3)))

    photos = [pair("large", 300, 400), pair("small", 100, 90), pair("as small", 90, 100)]
    run = SimpleNamespace(ctx=SimpleNamespace(test=photos))
    assert scenes.photo_of(run).name == "small"
    assert scenes.box_of(photos[0]).side == scenes.SIDE
    assert scenes.box_of(photos[1]).side == 45


def test_a_photo_without_scores_is_named():
    with pytest.raises(ValueError, match="the hybrid has no scores of the photo 'china'"):
        scenes.on_photo([{"image": "coffee", "psnr": 1.0, "ssim": 0.5}], "china", "hybrid")
