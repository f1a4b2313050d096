"""The Uformer block in onnxruntime: windows, shifted or not, and whole networks, as in PyTorch."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx_networks import computed, metadata, network, scattered
from torch import nn

from ensrepro.config import MambaIRShape
from ensrepro.export import Session, to_onnx
from ensrepro.export.network import model
from ensrepro.models.uformer import LeWinBlock, UformerShape
from ensrepro.space import UFORMER

TOLERANCE = 1e-4
HYBRIDS = np.random.default_rng(0).choice(UFORMER.n_architectures, 20, replace=False)
SHAPE = UformerShape(width=2, window=2, image_size=64, mambair=MambaIRShape(1.0, 2, 4))

pytestmark = pytest.mark.usefixtures("one_thread")


def block(shift: int, *, is_modulated: bool = False) -> nn.Module:
    made = LeWinBlock(8, 2, 4, shift=shift, is_modulated=is_modulated)
    return scattered(made, seed=3)


@pytest.mark.parametrize("shift", [0, 1, 2])
@pytest.mark.parametrize("size", [(12, 20), (4, 8), (4, 4)])  # also one window down, and only one
def test_windows_are_the_same_wherever_the_image_ends(shift: int, size: tuple[int, int]):
    made, x = block(shift), torch.rand((1, 8, *size), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = made(x)
    assert (computed(made, x) - expected).abs().max() <= TOLERANCE


def test_the_mask_is_seen_in_a_shifted_block():
    x = torch.rand((1, 8, 12, 20), generator=torch.Generator().manual_seed(1))
    shifted, plain = block(2), block(0)  # of the same weights
    assert (computed(shifted, x) - computed(plain, x)).abs().max() > 100 * TOLERANCE


def test_a_modulator_is_added_to_the_windows():
    made, x = block(2, is_modulated=True), torch.rand(1, 8, 8, 8)
    with torch.inference_mode():
        expected = made(x)
    assert (computed(made, x) - expected).abs().max() <= TOLERANCE


def assert_parity(net, path, sides: tuple[int, ...]):
    """One session for all sizes; the network must also do something to be compared."""
    session = Session(to_onnx(net, path, metadata(net, padding="square")))
    for side in sides:
        image = torch.rand((1, 3, side, side), generator=torch.Generator().manual_seed(side))
        with torch.inference_mode():
            expected = net(image)
        assert (expected - image).abs().max() > 0.05
        assert (session(image) - expected).abs().max() <= TOLERANCE


# every stage is the teacher's in one of the last two, and a surrogate in the other
@pytest.mark.parametrize(
    "architecture",
    [UFORMER.teacher, UFORMER.cheapest, (1, 0, 1, 0, 1, 0, 1, 0, 1), (0, 1, 0, 3, 0, 4, 0, 1, 0)],
    ids=UFORMER.label,
)
def test_a_hybrid_is_the_same_at_two_sizes(architecture: tuple[int, ...], tmp_path):
    net = network(architecture, SHAPE, space=UFORMER)
    assert_parity(net, tmp_path / "net.onnx", sides=(32, 96))


@pytest.mark.parametrize("index", HYBRIDS.tolist())
def test_so_is_a_random_hybrid(index: int, tmp_path):
    net = network(UFORMER.architecture(index), SHAPE, seed=index, space=UFORMER)
    assert_parity(net, tmp_path / "net.onnx", sides=(32, 64))


def test_checker_and_strict_shape_inference_pass():
    made = model(network((0, 1, 0, 1, 0, 1, 0, 1, 0), SHAPE, space=UFORMER), 3, 3)
    onnx.checker.check_model(made, full_check=True)
    onnx.shape_inference.infer_shapes(made, check_type=True, strict_mode=True)
    assert {node.domain for node in made.graph.node} == {""}
