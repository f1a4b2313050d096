"""What is evaluated: which network a file holds, where it runs, and what the input itself is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benchmark_folders import build, folder

from ensrepro import evaluate
from ensrepro.benchmarks import checking, evaluation, subjects
from ensrepro.models import official

pytestmark = pytest.mark.usefixtures("one_thread")


# ---------------------------------------------------------------- Uformer


@pytest.mark.parametrize("image_size", [128, 256])
def test_a_released_uformer_is_evaluated_in_zero_filled_squares(tmp_path, uformer_file, image_size):
    """By the definition: the image in the middle of a square of 128, run, cut out, clipped."""
    tiny = build(folder("test100"), tmp_path / "data")
    found = checking.inspect(tiny, tmp_path / "data")
    subject = subjects.from_file(uformer_file, "derain", image_size=image_size)
    result = evaluation.run(subject, found, tmp_path / "out")
    assert (result.subject, result.n_images) == ("uformer.pth", 2)
    image = np.random.default_rng(0).random((16, 24, 3), dtype=np.float32)
    square = np.zeros((128, 128, 3), np.float32)
    square[56:72, 52:76] = image
    net = official.uformer(official.load(uformer_file), image_size)
    with torch.inference_mode():
        expected = net(torch.from_numpy(square).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    restored = evaluation.restored_whole(subject, image)
    np.testing.assert_allclose(restored, expected.numpy()[56:72, 52:76].clip(0, 1), atol=1e-6)


def test_one_uformer_file_is_two_networks(uformer_file):
    """The image size changes what is computed, and the weights do not tell it."""
    digests = {
        subjects.from_file(uformer_file, "derain", image_size=size).digest for size in (128, 256)
    }
    assert len(digests) == 2


def test_a_uformer_without_its_image_size_is_refused(uformer_file):
    with pytest.raises(
        ValueError,
        match=r"uformer\.pth is a Uformer, whose weights do not tell .*; expected an image size",
    ):
        subjects.from_file(uformer_file, "denoise")


def test_an_image_size_is_of_no_use_to_another_network(restormer_file):
    with pytest.raises(
        ValueError, match=r"image size is 128; expected none, since .*deraining\.pth is no Uformer"
    ):
        subjects.from_file(restormer_file, "derain", image_size=128)
    assert subjects.from_file(restormer_file, "derain").padding == "reflect"


# ---------------------------------------------------------------- devices


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "gpu", "meta", ""])
def test_a_device_that_is_not_there_is_refused(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"device is '{device}'; .*; expected cpu$"):
        subjects.check_device(device)
    subjects.check_device("cpu")


def test_a_gpu_that_is_there_may_be_asked_for_by_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for device in ("cpu", "cuda", "cuda:0", "cuda:1"):
        subjects.check_device(device)
    with pytest.raises(ValueError, match=r"expected cpu, cuda, cuda:0, cuda:1"):
        subjects.check_device("cuda:2")


@pytest.mark.parametrize("make", [subjects.from_file, subjects.from_profile])
def test_every_network_is_refused_a_device_that_is_not_there(tmp_path, make):
    with pytest.raises(ValueError, match="device is 'gpu'"):
        make(tmp_path / "absent.pth", "mini", device="gpu")


# ---------------------------------------------------------------- the input


def test_the_input_of_a_dual_pixel_pair_is_the_mean_of_its_light():
    """Half of full light is 1.055 * 0.5**(1 / 2.4) - 0.055 = 0.7354 in sRGB (IEC 61966-2-1)."""
    black, white = torch.zeros(1, 3, 2, 4), torch.ones(1, 3, 2, 4)
    found = subjects.unchanged("defocus_dual").run(torch.cat([black, white], dim=1))
    torch.testing.assert_close(found, torch.full((1, 3, 2, 4), 0.735357), atol=1e-5, rtol=0)


def test_the_input_is_that_of_the_librarys_other_tables():
    views = torch.rand(2, 6, 4, 5, generator=torch.Generator().manual_seed(0))
    found = subjects.unchanged("defocus_dual").run(views)
    for one, pair in zip(found, views, strict=True):
        expected = evaluate.degraded(pair.permute(1, 2, 0).numpy())
        np.testing.assert_array_equal(one.permute(1, 2, 0).numpy(), expected)
    assert torch.equal(subjects.unchanged("derain").run(views[:, :3]), views[:, :3])
