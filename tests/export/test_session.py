"""onnxruntime in the place of the network: any size, tiles, and clear refusals."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from onnx_networks import TINY, metadata, network

from ensrepro import evaluate, tiles, weights
from ensrepro.export import Session, describe, to_onnx
from ensrepro.models.hybrid import build, set_weights
from ensrepro.steps import context, finetune

pytestmark = pytest.mark.usefixtures("one_thread")

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def net():
    return network((2, 1, 0, 1, 2, 0, 1, 2))


@pytest.fixture(scope="module")
def session(net, tmp_path_factory):
    return Session(to_onnx(net, tmp_path_factory.mktemp("onnx") / "net.onnx", metadata(net)))


def photo(h: int, w: int) -> np.ndarray:
    return np.random.default_rng(0).random((h, w, 3), dtype=np.float32)


@pytest.mark.parametrize("size", [(1, 1), (9, 16), (33, 23)])
def test_any_size_is_padded_and_cropped_as_in_pytorch(net, session, size):
    restored = session.restore(photo(*size))
    assert restored.shape == (*size, 3)
    np.testing.assert_allclose(restored, evaluate.restore(net, photo(*size)), atol=TOLERANCE)


def test_tiles_are_those_of_pytorch(net, session):
    # the bound holds tiles of 72 pixels a side: 112 values a pixel and channel, 4 bytes each
    bound = 112 * 4 * TINY.width * 72**2 / 2**20
    image = photo(80, 72)
    assert tiles.tile_side(TINY.width, 8, bound) == 72
    restored = session.restore(image, memory_mib=bound)
    np.testing.assert_allclose(
        restored, evaluate.restore(net, image, memory_mib=bound), atol=TOLERANCE
    )


def test_a_trained_hybrid_restores_as_in_pytorch(tmp_path):
    ctx = context.open_context("mini", "denoise")
    path = min(ctx.store.own("weights", "").glob("hybrid-*-s0.safetensors"))
    architecture = ctx.space.architecture(int(path.stem.split("-")[1]))
    net = build(architecture, ctx.shape, ctx.space)
    set_weights(net, weights.load_weights(path, finetune.metadata(ctx, (architecture, 0))), path)
    runtime = Session(to_onnx(net, tmp_path / "net.onnx", describe(ctx, architecture, net)))
    noisy = ctx.validation[0].degraded
    restored = evaluate.restore(net, noisy)
    assert np.abs(restored - noisy).mean() > 0.01  # it does denoise
    np.testing.assert_allclose(runtime.restore(noisy), restored, atol=TOLERANCE)


@pytest.mark.parametrize("shape", [(1, 3, 12, 16), (2, 3, 16, 16), (1, 6, 16, 16), (3, 16, 16)])
def test_an_input_that_the_network_cannot_take_is_refused(session, shape):
    with pytest.raises(ValueError, match=r"expected \(1, 3, H, W\), H and W multiples of 8"):
        session(torch.zeros(shape))


def test_without_onnxruntime_the_remedy_is_told(net, tmp_path, monkeypatch):
    path = to_onnx(net, tmp_path / "net.onnx", metadata(net))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        ImportError, match=r"^onnxruntime is not installed; try pip install 'ensrepro\[onnx\]'$"
    ):
        Session(path)
