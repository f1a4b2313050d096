"""Rules for layers and the Restormer block, where a whole network would hide a difference."""

from __future__ import annotations

import pytest
import torch
from onnx_networks import computed, scattered
from torch import nn

from ensrepro.export.layers import LANES
from ensrepro.export.network import model
from ensrepro.models.restormer import RestormerBlock

pytestmark = pytest.mark.usefixtures("one_thread")


def image(channels: int, height: int = 6, width: int = 10) -> torch.Tensor:
    return torch.randn((1, channels, height, width), generator=torch.Generator().manual_seed(3))


def assert_same(module: nn.Module, x: torch.Tensor, atol: float = 1e-5):
    with torch.inference_mode():
        torch.testing.assert_close(computed(module, x), module(x), atol=atol, rtol=0)


@pytest.mark.parametrize("norm", ["with_bias", "bias_free"])
@pytest.mark.parametrize(("channels", "heads"), [(4, 1), (8, 2), (48, 4)])
def test_a_restormer_block(channels: int, heads: int, norm: str):
    assert_same(scattered(RestormerBlock(channels, heads, norm), 0), image(channels))


@pytest.mark.parametrize("norm", ["with_bias", "bias_free"])
def test_a_bright_flat_image_keeps_its_precision(norm: str):
    # the variance is some 1e-8 of the squared mean: it must be taken of centered values
    assert_same(scattered(RestormerBlock(8, 1, norm), 0), 1000 + 0.1 * image(8), atol=2e-2)


def test_dead_queries_and_keys_do_not_divide_by_zero():
    block = scattered(RestormerBlock(8, 2, "with_bias"), 0)
    nn.init.zeros_(block.attn.qkv.weight)
    assert_same(block, image(8))


def test_hidden_channels_are_filled_up_to_whole_vectors():
    # int(2.66 * 8) = 21 hidden channels
    made = model(RestormerBlock(8, 1, "with_bias"), 8, 8)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in made.graph.initializer}
    assert shapes["ffn.project_in.weight.1"] == (2 * LANES, 8, 1, 1)
    assert shapes["ffn.project_out.weight.filled"] == (8, 2 * LANES, 1, 1)
    assert shapes["attn.qkv.weight.2"] == (8, 8, 1, 1)


@pytest.mark.parametrize("factor", [2, 3])
def test_pixels_go_to_channels_and_back_in_the_order_of_pytorch(factor: int):
    apart = nn.Sequential(nn.PixelUnshuffle(factor), nn.PixelShuffle(factor))
    assert_same(apart, image(5, 6, 12), atol=0)
    mixed = nn.Conv2d(4 * factor**2, 4 * factor**2, 1)  # tells the channels apart
    net = nn.Sequential(nn.PixelUnshuffle(factor), mixed, nn.PixelShuffle(factor))
    assert_same(net, image(4, 6, 12))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
        nn.Linear(10, 10),
        nn.Linear(10, 10, bias=False),
        nn.LayerNorm(10),
        nn.GELU(),
        nn.ReLU(),
        nn.Identity(),
    ],
    ids=repr,
)
def test_a_layer(layer: nn.Module):
    assert_same(scattered(layer, 0), image(4))
