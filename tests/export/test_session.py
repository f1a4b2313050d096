"""onnxruntime in the place of the network: any size, tiles, and clear refusals."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import pytest
import torch
from onnx_networks import TINY, metadata, network

from ensrepro import evaluate, tiles, weights
from ensrepro.export import Session, describe, files, to_onnx
from ensrepro.models.hybrid import build, set_weights
from ensrepro.steps import context, finetune

pytestmark = pytest.mark.usefixtures("one_thread")

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def net():
    return network((2, 1, 0, 1, 2, 0, 1, 2))


@pytest.fixture(scope="module")
def file(net, tmp_path_factory):
    return to_onnx(net, tmp_path_factory.mktemp("onnx") / "net.onnx", metadata(net))


@pytest.fixture(scope="module")
def session(file):
    return Session(file)


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


def fix(model: onnx.ModelProto) -> None:
    """64 x 64 pixels and no others."""
    for size in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        size.dim_value = 64


def forget(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.ClearField("shape")


def rename(model: onnx.ModelProto) -> None:
    model.graph.node[-1].output[0] = model.graph.output[0].name = "pixels"


def batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (fix, r"takes or gives 'image' tensor\(float\) \[1, 3, 64, 64\]; expected only 'image'"),
        (forget, r"takes or gives 'image' tensor\(float\) \[\]; expected only 'image'"),
        (rename, r"takes or gives 'pixels' .*; expected only 'restored' tensor\(float\) \[1, C"),
        (batch, r"takes or gives 'image' tensor\(float\) \['batch', 3, .*; expected only 'image'"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_file_whose_input_or_output_is_another_is_refused(change, told, file, tmp_path):
    """Though it says that it is ours, and its digest is right."""
    model = onnx.load(file)
    change(model)
    files.seal(model, files.said_by(model))
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ValueError, match=rf"other\.onnx {told}"):
        Session(tmp_path / "other.onnx")


def test_what_onnxruntime_cannot_run_is_told_with_file_and_shape(net, tmp_path):
    """A multiple that is not the network's."""
    session = Session(to_onnx(net, tmp_path / "net.onnx", metadata(net, multiple=7)))
    told = r"net\.onnx cannot be run on an image of shape \(1, 3, 21, 21\), onnxruntime refuses: .+"
    with pytest.raises(ValueError, match=told):
        session(torch.zeros(1, 3, 21, 21))


def test_without_onnxruntime_the_remedy_is_told(net, tmp_path, monkeypatch):
    path = to_onnx(net, tmp_path / "net.onnx", metadata(net))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        ImportError, match=r"^onnxruntime is not installed; try pip install 'ensrepro\[onnx\]'$"
    ):
        Session(path)
