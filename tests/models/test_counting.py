"""Counts of parameters and multiply-accumulates, against published and independent ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ensrepro.config import MambaIRShape
from ensrepro.models.counting import Macs, macs, parameters
from ensrepro.models.edge import EdgeBlock
from ensrepro.models.hybrid import NetworkShape, UNet, build
from ensrepro.models.mambair import SS2D, VSSBlock
from ensrepro.models.restormer import RestormerBlock
from ensrepro.models.uformer import SPACES, WIDTHS, LeWinBlock, UformerShape
from ensrepro.models.vanilla import PixelAttention, VanillaAttentionBlock
from ensrepro.space import RESTORMER

SIDE = 256
GIGA = 1e9
# (channels, heads, side) of the stages for an image of 256 x 256 pixels
LEVELS = [(48, 1, 256), (96, 2, 128), (192, 4, 64), (384, 8, 32), (96, 1, 256)]
HALF_DIGIT = 0.0006  # the expected values below are rounded to 0.001 G


def on_meta(architecture: tuple[int, ...], shape: NetworkShape) -> UNet:
    with torch.device("meta"):
        return build(architecture, shape)


@pytest.mark.parametrize(
    ("level", "expected"), [*zip(LEVELS, [2.339, 2.076, 1.942, 1.876, 8.908], strict=True)]
)
def test_a_restormer_block_has_the_macs_measured_on_the_released_code(level, expected):
    # Measured with the released implementation at 256 x 256, attention included.
    channels, heads, side = level
    block = RestormerBlock(channels, heads, "with_bias")
    found = macs(block, (1, channels, side, side))
    assert found.total / GIGA == pytest.approx(expected, abs=HALF_DIGIT)
    assert found.scan == found.linear == 0


@pytest.mark.parametrize(
    ("level", "without", "scan", "total"),
    [
        (LEVELS[0], 2.345, 2.737, 5.082),
        (LEVELS[1], 2.022, 1.368, 3.390),
        (LEVELS[2], 1.860, 0.684, 2.545),
        (LEVELS[3], 1.780, 0.342, 2.122),
        (LEVELS[4], 8.088, 5.474, 13.561),
    ],
)
def test_a_mambair_block_has_the_macs_measured_on_the_released_code(level, without, scan, total):
    # Measured with the released implementation, expand 1.5, scan counted by the same convention.
    channels, _, side = level
    found = macs(VSSBlock(channels, MambaIRShape(1.5, 16)), (1, channels, side, side))
    assert found.scan / GIGA == pytest.approx(scan, abs=HALF_DIGIT)
    assert (found.total - found.scan) / GIGA == pytest.approx(without, abs=HALF_DIGIT)
    assert found.total / GIGA == pytest.approx(total, abs=HALF_DIGIT)


@pytest.mark.parametrize(
    ("level", "expected"), [*zip(LEVELS, [6.474, 4.218, 3.091, 2.527, 16.874], strict=True)]
)
def test_a_wider_mambair_block_has_the_macs_measured_on_the_released_code(level, expected):
    channels, _, side = level  # expand 2.0
    found = macs(VSSBlock(channels, MambaIRShape(2.0, 16)), (1, channels, side, side))
    assert found.total / GIGA == pytest.approx(expected, abs=HALF_DIGIT)


def test_restormer_has_its_published_macs_and_parameters():
    # 140.99 G is the published figure, of convolutions alone; 154.88 G has attention as well.
    net = on_meta(RESTORMER.teacher, NetworkShape())
    found = macs(net, (1, 3, SIDE, SIDE))
    assert found.convolution / GIGA == pytest.approx(140.99, abs=0.005)
    assert found.total / GIGA == pytest.approx(154.88, abs=0.005)
    assert parameters(net) == 26_126_644


def test_the_dual_pixel_restormer_has_its_macs_and_parameters():
    net = on_meta(RESTORMER.teacher, NetworkShape(in_channels=6))
    assert macs(net, (1, 6, SIDE, SIDE)).total / GIGA == pytest.approx(155.27, abs=0.005)
    assert parameters(net) == 26_132_548


@pytest.mark.parametrize(
    ("expand", "without", "total", "n_parameters"),
    [(1.5, 145.9, 228, 26_779_480), (2.0, 170, 280, 30_750_424)],
)
def test_the_mambair_unet_has_the_macs_of_the_released_one(expand, without, total, n_parameters):
    # Measured with the released MambaIR U-Net; its totals are rounded to 0.1 and 1 G.
    net = on_meta(RESTORMER.all_ssm, NetworkShape(mambair=MambaIRShape(expand, 16)))
    found = macs(net, (1, 3, SIDE, SIDE))
    assert (found.total - found.scan) / GIGA == pytest.approx(without, abs=0.5)
    assert found.total / GIGA == pytest.approx(total, abs=0.5)
    assert parameters(net) == n_parameters


@pytest.mark.parametrize(("variant", "expected"), [("T", 12.0), ("S", 43.9), ("B", 89.5)])
def test_the_uformers_have_the_macs_of_the_released_ones(variant, expected):
    # The released code's own count, rounded to 0.1 G. The two agree if a transposed convolution is
    # counted as 2 x 2 products for each output value, which is four times what is done; what is
    # left, 0.03 to 0.1 G, is what norms would add.
    shape, space = UformerShape(WIDTHS[variant]), SPACES[variant]
    with torch.device("meta"):
        net = build(space.teacher, shape, space)
    found = macs(net, (1, 3, SIDE, SIDE))
    up = sum(
        4 * up.in_channels * up.out_channels * (SIDE // 2 ** (space.stage(name).level + 1)) ** 2
        for name, up in net.up.items()
    )
    assert found.scan == 0
    assert (found.total + 3 * up) / GIGA == pytest.approx(expected, abs=0.12)


def test_pixel_attention_is_quadratic_in_the_pixels():
    attention = PixelAttention(8)
    small, large = (macs(attention, (1, 8, side, side)) for side in (6, 12))
    assert small.attention == 2 * 36 * 36 * 8
    assert large.attention == 16 * small.attention
    assert large.convolution == 4 * small.convolution == 4 * 36 * 4 * 8 * 8


def test_hand_counted_layers():
    layers = nn.Sequential(
        nn.Conv2d(4, 6, 3, padding=1, groups=2),  # 9 * 2 for each of 6 * 5 * 7 values
        nn.Conv2d(6, 2, 1, stride=2),  # 6 for each of 2 * 3 * 4
    )
    found = macs(layers, (3, 4, 5, 7))
    assert found == Macs(convolution=3 * (9 * 2 * 6 * 5 * 7 + 6 * 2 * 3 * 4))
    assert macs(nn.Linear(5, 3), (2, 7, 5)) == Macs(linear=2 * 7 * 15)
    assert parameters(layers) == 6 * 2 * 9 + 6 + 6 * 2 + 2


@pytest.mark.parametrize(
    "block",
    [
        RestormerBlock(12, 2, "bias_free"),
        VanillaAttentionBlock(12),
        LeWinBlock(12, 2, 2, shift=1, is_modulated=True),
        nn.ConvTranspose2d(12, 6, 2, stride=2),
    ],
    ids=["restormer", "vanilla", "uformer", "transposed convolution"],
)
def test_counts_equal_those_of_torch_where_it_can_count(block):
    # torch counts two operations for a MAC, from the operators that really ran
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        block(torch.rand(2, 12, 8, 10))
    assert 2 * macs(block, (2, 12, 8, 10)).total == counter.get_total_flops()


def test_counts_of_a_state_space_block_equal_those_of_torch_but_for_scan_and_steps():
    block = VSSBlock(16, MambaIRShape(1.5, 4))  # D = 24, R = 1
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        block(torch.rand(1, 16, 8, 8))
    found = macs(block, (1, 16, 8, 8))
    inside = found.scan + 64 * 4 * 24 * 1  # the step projection is part of the compiled scan
    assert 2 * (found.total - inside) == counter.get_total_flops()
    assert found.scan == 64 * (9 * 4 * 24 * 4 + 4 * 24)


def test_an_edge_block_has_the_macs_of_its_docstring_and_those_of_torch():
    block, pixels = EdgeBlock(16, 8), 2 * 12 * 10  # D = 4, h = 8, groups of 8
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        block(torch.rand(2, 16, 12, 10))
    found = macs(block, (2, 16, 12, 10))
    assert found.convolution == pixels * 9 * 16 * 8
    assert found.linear == pixels * (16 * (3 * 4 + 2 * 8) + 16 * (4 + 8))
    assert found.scan == pixels * 4
    assert 2 * (found.total - found.scan) == counter.get_total_flops()


def test_counting_leaves_the_network_as_it_was():
    block = VSSBlock(16)
    before = {name: tensor.clone() for name, tensor in block.state_dict().items()}
    x = torch.rand(1, 16, 4, 4)
    expected = block(x)
    macs(block, (1, 16, 8, 8))
    assert torch.equal(block(x), expected)
    assert all(torch.equal(before[name], tensor) for name, tensor in block.state_dict().items())
    assert not any(part._forward_hooks for part in block.modules())
    assert not any("scan" in vars(part) for part in block.modules() if isinstance(part, SS2D))


def test_counting_cleans_up_after_a_shape_that_does_not_fit():
    block = RestormerBlock(16, 1, "with_bias")
    with pytest.raises(RuntimeError):
        macs(block, (1, 8, 4, 4))
    assert not any(part._forward_hooks for part in block.modules())


def test_a_module_that_runs_twice_counts_twice_but_has_its_parameters_once():
    layer = nn.Linear(4, 4, bias=False)
    twice = nn.Sequential(layer, layer)
    assert macs(twice, (1, 4)).linear == 2 * macs(layer, (1, 4)).linear
    assert parameters(twice) == parameters(layer) == 16
