"""Uformer against slow, independent computations in float64, and against the released counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ensrepro.models.counting import parameters
from ensrepro.models.hybrid import UNet, build, surrogate_stage
from ensrepro.models.mambair import VSSBlock
from ensrepro.models.uformer import SPACES, WIDTHS, LeWinBlock, UformerShape
from ensrepro.models.uformer_windows import joined, partition, relative_index, shift_mask
from ensrepro.space import Space, uformer_space

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = UformerShape(width=2, window=2, image_size=64)  # images are multiples of 32
SHALLOW = uformer_space((2,) * 9)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seeded(module: nn.Module) -> nn.Module:
    """All parameters random, so that none can be left out unnoticed."""
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.copy_(random(*p.shape, seed=i) / (p[0].numel() ** 0.5 if p.ndim > 1 else 1))
    return module


def teacher(shape: UformerShape, space: Space) -> UNet:
    return build(space.teacher, shape, space)


def on_meta(variant: str, *, is_modulated: bool = True) -> UNet:
    with torch.device("meta"):
        return teacher(UformerShape(WIDTHS[variant], is_modulated=is_modulated), SPACES[variant])


@pytest.fixture(scope="module")
def net() -> UNet:
    return seeded(teacher(TINY, SHALLOW)).eval()


# ---------------------------------------------------------------- windows


def test_windows_are_the_squares_of_an_image_row_by_row():
    x = random(2, 6, 9, 4)
    windows = partition(x, 3)
    assert windows.shape == (2, 6, 9, 4)
    for i in range(6):
        top, left = 3 * (i // 3), 3 * (i % 3)
        square = x[:, top : top + 3, left : left + 3]
        assert torch.equal(windows[:, i], square.reshape(2, 9, 4))
    assert torch.equal(joined(windows, 6, 9, 3), x)


def test_the_bias_of_two_pixels_depends_on_their_distance_alone():
    # (2w - 1)^2 = 9 distances in windows of 2 x 2 pixels, written down by hand
    assert relative_index(2).tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]


def test_only_windows_that_reach_over_the_edge_are_masked():
    mask = shift_mask(6, 9, 3, 1, torch.device("cpu"))
    assert mask.shape == (6, 9, 9)
    assert [bool(m.any()) for m in mask] == [False, False, True, True, True, True]
    assert set(mask.unique().tolist()) == {0.0, -100.0}
    # the corner holds pieces of all four corners: 2 x 2, 2 x 1, 1 x 2 and 1 x 1 pixels
    assert int((mask[-1] == 0).sum()) == 4**2 + 2**2 + 2**2 + 1


def reference(block: LeWinBlock, x: torch.Tensor, shift: int, modulated: bool) -> torch.Tensor:
    """The block without windows: all pixels at once, those of one cell of a shifted grid attend.

    x is (C, H, W). Nothing is rolled: the grid's lines are at shift, shift + w, ... and the first
    and last cells are cut off by the image.
    """
    w, heads, p = block.side, block.attn.heads, dict(block.named_parameters())
    channels, height, width = x.shape
    y0, x0 = (
        t.flatten()
        for t in torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    )
    cell = torch.stack(
        [(y0 - shift).div(w, rounding_mode="floor"), (x0 - shift).div(w, rounding_mode="floor")]
    )
    together = (cell[:, :, None] == cell[:, None]).all(0)  # (L, L)
    tokens = x.flatten(1).T  # (L, C)
    normed = F.layer_norm(tokens, (channels,), p["norm1.weight"], p["norm1.bias"])
    if modulated:
        place = (y0 - shift) % w * w + (x0 - shift) % w
        normed = normed + p["modulator.weight"][place]
    q = normed @ p["attn.qkv.to_q.weight"].T + p["attn.qkv.to_q.bias"]
    kv = normed @ p["attn.qkv.to_kv.weight"].T + p["attn.qkv.to_kv.bias"]
    row = (y0[:, None] - y0 + w - 1) * (2 * w - 1) + x0[:, None] - x0 + w - 1
    row = row.where(together, 0)
    out, c = [], channels // heads
    for head in range(heads):
        own = slice(head * c, (head + 1) * c)
        keys, values = kv[:, :channels][:, own], kv[:, channels:][:, own]
        scores = q[:, own] @ keys.T / c**0.5
        scores = scores + p["attn.relative_position_bias_table"][row, head]
        out.append(scores.masked_fill(~together, -torch.inf).softmax(-1) @ values)
    tokens = tokens + torch.cat(out, 1) @ p["attn.proj.weight"].T + p["attn.proj.bias"]
    normed = F.layer_norm(tokens, (channels,), p["norm2.weight"], p["norm2.bias"])
    image = normed.T.reshape(1, channels, height, width)
    for name, kernel, is_last in (
        ("linear1", 1, False),
        ("dwconv", 3, False),
        ("linear2", 1, True),
    ):
        weight, bias = p[f"mlp.{name}.0.weight"], p[f"mlp.{name}.0.bias"]
        weight = weight.reshape(*weight.shape[:2], kernel, kernel)
        groups = image.shape[1] // weight.shape[1]
        image = F.conv2d(image, weight, bias, padding=kernel // 2, groups=groups)
        image = image if is_last else image * (1 + torch.erf(image / 2**0.5)) / 2
    return tokens.T.reshape(x.shape) + image[0]


@pytest.mark.parametrize("shift", [0, 1, 2])
@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("size", [(8, 12), (4, 4)], ids=["six windows", "one window"])
def test_a_block_is_attention_within_the_cells_of_a_grid(shift, modulated, size):
    block = seeded(LeWinBlock(6, 2, 4, shift=shift, is_modulated=modulated)).double()
    x = random(2, 6, *size).double()
    with torch.no_grad():
        found = block(x)
        for image, expected in zip(x, found, strict=True):
            assert (reference(block, image, shift, modulated) - expected).abs().max() < 1e-12


# ---------------------------------------------------------------- the released networks


# Counted on the released implementations.
@pytest.mark.parametrize(
    ("variant", "expected", "without_modulators"),
    [
        ("T", 5_291_853, 5_230_413),
        ("S", 20_751_197, 20_628_317),
        ("B", 50_880_946, 50_467_250),
    ],
)
def test_uformers_have_the_released_number_of_parameters(variant, expected, without_modulators):
    assert parameters(on_meta(variant)) == expected
    assert parameters(on_meta(variant, is_modulated=False)) == without_modulators


def test_the_released_b_has_759_tensors_of_which_each_block_has_an_index():
    n_blocks = sum(stage.n_blocks for stage in SPACES["B"].stages)
    assert len(on_meta("B").state_dict()) == 759 - n_blocks


def shifts(image_size: int) -> dict[str, list[int]]:
    shape = replace(UformerShape(), image_size=image_size)
    with torch.device("meta"):
        return {
            stage.name: [block.shift for block in shape.teacher_stage(stage)]
            for stage in SPACES["T"].stages
        }


def test_every_other_block_is_shifted_but_where_the_map_is_one_window():
    # made for 128 pixels, the bottleneck's map has 8 x 8 = one window; for 256, it has four
    assert shifts(256) == {stage.name: [0, 4] for stage in SPACES["T"].stages}
    assert shifts(128) == {**shifts(256), "bottleneck": [0, 0]}
    assert shifts(384) == shifts(256)


def test_what_a_network_was_made_for_decides_what_it_makes_of_any_image(net):
    other = teacher(replace(TINY, image_size=32), SHALLOW).eval()
    other.load_state_dict(net.state_dict())  # the weights do not tell the two apart
    image = random(1, 3, 64, 64)
    with torch.inference_mode():
        assert not torch.allclose(net(image), other(image), atol=1e-3)


# ---------------------------------------------------------------- the network


def test_stages_work_at_their_level_and_width(net):
    image = random(2, 3, 64, 64)
    outputs, seen = [], {}
    with torch.inference_mode():
        stem = net.stem(image)
        for stage in SHALLOW.stages:
            x = net.enter(stage, stem, outputs)
            outputs.append(net.stages[stage.name](x))
            assert outputs[-1].shape == x.shape
            seen[stage.name] = tuple(x.shape)
        assert torch.equal(net.leave(image, stem, outputs[-1]), net(image))
    # decoders run at the width of what is joined, which nothing reduces
    assert seen == {
        "encoder_1": (2, 2, 64, 64),
        "encoder_2": (2, 4, 32, 32),
        "encoder_3": (2, 8, 16, 16),
        "encoder_4": (2, 16, 8, 8),
        "bottleneck": (2, 32, 4, 4),
        "decoder_4": (2, 32, 8, 8),
        "decoder_3": (2, 16, 16, 16),
        "decoder_2": (2, 8, 32, 32),
        "decoder_1": (2, 4, 64, 64),
    }
    assert {name: SHALLOW.stages[i].name for name, i in net.skip_of.items()} == {
        f"decoder_{level}": f"encoder_{level}" for level in (4, 3, 2, 1)
    }


def test_without_its_output_convolution_a_network_returns_its_input():
    net = seeded(teacher(TINY, SHALLOW))
    for parameter in net.output.parameters():
        nn.init.zeros_(parameter)
    image = random(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(net(image), image)


def test_any_stage_can_be_a_stack_of_state_space_blocks(net):
    image = random(1, 3, 32, 32)
    for stage in SHALLOW.stages:
        modules = [net.stages[other.name] for other in SHALLOW.stages]
        surrogate = surrogate_stage(stage, 2, TINY).eval()
        modules[SHALLOW.stages.index(stage)] = surrogate
        assert {type(block) for block in surrogate} == {VSSBlock}
        with torch.inference_mode():
            assert UNet(TINY, modules, SHALLOW)(image).isfinite().all()


def test_one_step_of_training_reaches_every_parameter_and_lowers_the_loss():
    torch.manual_seed(0)
    net = teacher(TINY, SHALLOW)
    x = random(1, 3, 64, 64)
    before = (net(x) - x.flip(-1)).square().mean()
    before.backward()
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name
    torch.optim.SGD(net.parameters(), 1e-2).step()
    assert (net(x) - x.flip(-1)).square().mean() < before


def test_the_same_weights_work_in_training_as_in_evaluation(net):
    image = random(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(net.train()(image), net.eval()(image))


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 48, 48), "image is 48x48 pixels; expected multiples of 32"),
        ((1, 3, 32, 64), "image is 32x64 pixels; expected a square whose side is a multiple of 32"),
        ((1, 6, 32, 32), "image has shape (1, 6, 32, 32); expected (B, 3, H, W)"),
        ((3, 32, 32), "image has shape (3, 32, 32); expected (B, 3, H, W)"),
    ],
)
def test_an_image_that_does_not_fit_is_refused(net, shape, message):
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:
        net(torch.zeros(shape))
    assert message in str(caught.value)


@pytest.mark.parametrize("size", [0, -128, 64, 200, 128.0, True, None, "128"])
def test_an_image_size_that_is_no_multiple_of_128_is_refused(size):
    with pytest.raises(
        ValueError, match=r"image_size is .+; expected a multiple of 128, .+shifted"
    ):
        UformerShape(image_size=size)


@pytest.mark.parametrize(("name", "value"), [("width", 0), ("width", 2.0), ("window", 1)])
def test_widths_and_windows_are_whole_numbers(name, value):
    with pytest.raises(ValueError, match=rf"{name} is {value}; expected an integer >="):
        UformerShape(**{name: value})
