from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_weights import det, image

from ensrepro.config import MambaIRShape
from ensrepro.models import official
from ensrepro.models.mambair import SS2D, ChannelAttention, VSSBlock, initial_step_bias

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = MambaIRShape(expand=1.0, d_state=4, inner_multiple=16)


@pytest.fixture(scope="module")
def released() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the released U-Net with expand 1.5."""
    shapes = json.loads((GOLDEN / "shapes.json").read_text("utf-8"))
    return {name: tuple(shape) for name, shape in shapes["mambairunet_e15"].items()}


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def seeded(channels, shape, *, seed=0):
    """A block all of whose parameters are random, so that none can be left out unnoticed."""
    block = VSSBlock(channels, shape)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in block.named_parameters():
            noise = torch.randn(p.shape, generator=random)
            if "A_logs" in name:
                p.add_(0.1 * noise)
            else:
                p.copy_(noise / p[0].numel() ** 0.5 if p.ndim > 1 else 0.3 * noise + 0.2)
    return block


# ---------------------------------------------------------------- a second derivation, in float64


def normalized(x, weight, bias):
    """LayerNorm over the last axis, eps 1e-5."""
    centered = x - x.mean(-1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-5) * weight + bias


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def convolved(x, weight, bias):
    """3x3 convolution of one (H, W, C) image, zero outside; weight (out, in or 1, 3, 3)."""
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = np.zeros((height, width, weight.shape[0])) + bias
    for i in range(3):
        for j in range(3):
            tap, part = weight[:, :, i, j], padded[i : i + height, j : j + width]
            y += part * tap[:, 0] if tap.shape[1] == 1 < x.shape[2] else part @ tap.T
    return y


def four_scans(x, p):
    """The selective scan of one (H, W, D) image along its four paths, summed."""
    height, width, inner = x.shape
    n_rank, n_state = p["dt_projs_weight"].shape[2], p["A_logs"].shape[1]
    A = -np.exp(p["A_logs"]).reshape(4, inner, n_state)
    skip, y = p["Ds"].reshape(4, inner), np.zeros_like(x)
    by_rows = [(i, j) for i in range(height) for j in range(width)]
    by_columns = [(i, j) for j in range(width) for i in range(height)]
    for k, path in enumerate((by_rows, by_columns, by_rows[::-1], by_columns[::-1])):
        h = np.zeros((inner, n_state))
        for i, j in path:
            row = p["x_proj_weight"][k] @ x[i, j]
            low, B, C = row[:n_rank], row[n_rank : n_rank + n_state], row[n_rank + n_state :]
            dt = np.logaddexp(0, p["dt_projs_weight"][k] @ low + p["dt_projs_bias"][k])[:, None]
            h = np.exp(dt * A[k]) * h + dt * B * x[i, j, :, None]
            y[i, j] += h @ C + skip[k] * x[i, j]
    return y


def derived(x, block):
    """One MambaIR block on one (H, W, C) image in float64, from its published description."""
    p = {name: value.double().numpy() for name, value in block.state_dict().items()}
    s = {name.removeprefix("self_attention."): value for name, value in p.items()}
    xz = normalized(x, p["ln_1.weight"], p["ln_1.bias"]) @ s["in_proj.weight"].T
    inside, gate = np.split(xz, 2, axis=-1)
    inside = convolved(inside, s["conv2d.weight"], s["conv2d.bias"])
    y = four_scans(inside * sigmoid(inside), s)
    y = normalized(y, s["out_norm.weight"], s["out_norm.bias"]) * gate * sigmoid(gate)
    a = x * p["skip_scale"] + y @ s["out_proj.weight"].T

    c = {name.removeprefix("conv_blk.cab."): value for name, value in p.items()}
    b = convolved(normalized(a, p["ln_2.weight"], p["ln_2.bias"]), c["0.weight"], c["0.bias"])
    b = b * 0.5 * (1 + np.vectorize(math.erf)(b / math.sqrt(2)))  # exact GELU
    b = convolved(b, c["2.weight"], c["2.bias"])
    mean = c["3.attention.1.weight"][:, :, 0, 0] @ b.mean((0, 1)) + c["3.attention.1.bias"]
    mean = c["3.attention.3.weight"][:, :, 0, 0] @ np.maximum(mean, 0) + c["3.attention.3.bias"]
    return a * p["skip_scale2"] + b * sigmoid(mean)


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("channels", "shape"),
    [(8, TINY), (36, MambaIRShape(1.5, 3)), (64, MambaIRShape(2.0, 5, 1))],
)
def test_a_block_equals_its_description_computed_in_float64(channels, shape):
    block = seeded(channels, shape)
    x = torch.randn(2, channels, 5, 7, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = block(x)
    for one, y in zip(x.double().permute(0, 2, 3, 1).numpy(), found, strict=True):
        expected = torch.from_numpy(derived(one, block)).permute(2, 0, 1)
        torch.testing.assert_close(y.double(), expected, rtol=0, atol=2e-6 * expected.abs().max())


def test_the_released_unet_is_reproduced(released):
    state = {name: torch.from_numpy(det(name, shape)) for name, shape in released.items()}
    net = official.mambair_unet(state)
    assert parameters(net) == 26_779_480  # measured on the released U-Net, expand 1.5
    expected = np.load(GOLDEN / "models.npz")["mambairunet_e15"]
    with torch.no_grad():
        found = net(torch.from_numpy(image("mambairunet_e15", expected.shape))).numpy()
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


# Measured on the released blocks.
@pytest.mark.parametrize(
    ("expand", "channels", "expected"),
    [
        *((1.5, 48, 41_681), (1.5, 96, 135_587), (1.5, 192, 479_686), (1.5, 384, 1_793_420)),
        *((2.0, 48, 50_801), (2.0, 96, 161_891), (2.0, 192, 564_550), (2.0, 384, 2_092_172)),
    ],
)
def test_a_block_has_the_released_number_of_parameters(expand, channels, expected):
    assert parameters(VSSBlock(channels, MambaIRShape(expand))) == expected


def test_a_block_has_the_released_names_shapes_and_their_order(released):
    prefix = "encoder_level1.0."
    expected = {
        name.removeprefix(prefix): shape
        for name, shape in released.items()
        if name.startswith(prefix)
    }
    found = {name: tuple(p.shape) for name, p in VSSBlock(48).state_dict().items()}
    assert len(found) == 25
    assert list(found.items()) == list(expected.items())


@pytest.mark.parametrize("channels", [1, 2, 8, 29, 30])
def test_narrow_blocks_work(channels):
    block = VSSBlock(channels, TINY)
    x = torch.rand(1, channels, 8, 8)
    assert block(x).shape == x.shape


@pytest.mark.parametrize(("channels", "expected"), [(8, 16), (16, 16), (24, 32), (64, 64)])
def test_the_inner_width_is_rounded_up_to_the_multiple(channels, expected):
    inside = SS2D(channels, TINY)
    assert inside.out_proj.weight.shape == (channels, expected)
    assert inside.A_logs.shape == (4 * expected, 4)


# ---------------------------------------------------------------- initial values


def test_the_state_space_starts_as_published():
    torch.manual_seed(0)
    inside = SS2D(48, MambaIRShape(1.5, 16))
    expected = torch.arange(1, 17.0).log().expand(288, 16)  # A = -1, -2, ..., -16
    assert torch.equal(inside.A_logs, expected)
    assert torch.equal(inside.Ds, torch.ones(288))
    bound = 3**-0.5  # R = 3
    assert inside.dt_projs_weight.abs().max() <= bound
    assert inside.dt_projs_weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
    bound = 72**-0.5  # a linear layer from D = 72
    assert 0.9 * bound < inside.x_proj_weight.abs().max() <= bound
    assert inside.x_proj_weight.unique().numel() > 0.99 * inside.x_proj_weight.numel()


def test_first_steps_are_log_uniform_between_a_thousandth_and_a_tenth():
    torch.manual_seed(0)
    steps = torch.nn.functional.softplus(initial_step_bias(4, 5000).double())
    assert steps.min() >= 0.999e-3
    assert steps.max() <= 1.001e-1
    logs = (steps.log() - math.log(1e-3)) / math.log(100)  # uniform on [0, 1]
    assert logs.mean().item() == pytest.approx(0.5, abs=0.01)
    assert logs.std().item() == pytest.approx(12**-0.5, abs=0.01)


def test_a_silenced_block_is_the_identity_and_still_learns():
    torch.manual_seed(0)
    block = VSSBlock(16, TINY)
    block.zero_output()
    x = torch.randn(1, 16, 8, 8)
    torch.testing.assert_close(block(x), x, rtol=0, atol=0)
    block(x).square().sum().backward()
    assert block.self_attention.out_proj.weight.grad.abs().max() > 0
    assert block.conv_blk.cab[2].weight.grad.abs().max() > 0


# ---------------------------------------------------------------- behavior


def test_one_step_of_training_lowers_the_loss():
    torch.manual_seed(0)
    block, target = VSSBlock(8, TINY), torch.randn(2, 8, 12, 12)
    x = torch.randn(2, 8, 12, 12)
    optimizer = torch.optim.Adam(block.parameters(), 1e-3)
    before = (block(x) - target).abs().mean()
    before.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in block.parameters())
    optimizer.step()
    with torch.no_grad():
        assert (block(x) - target).abs().mean() < before


def test_gradients_through_the_kernel_are_those_of_float64():
    block = seeded(12, MambaIRShape(1.5, 3))
    wide = VSSBlock(12, MambaIRShape(1.5, 3)).double()
    wide.load_state_dict(block.state_dict())
    x = torch.randn(2, 12, 9, 6)
    block(x).square().mean().backward()
    wide(x.double()).square().mean().backward()
    for (name, p), q in zip(block.named_parameters(), wide.parameters(), strict=True):
        scale = q.grad.abs().max()
        assert (p.grad - q.grad).abs().max() <= 1e-4 * scale, name


def test_the_scan_stays_in_float32_under_autocast():
    block, x = seeded(16, TINY), torch.randn(1, 16, 8, 8)
    with torch.no_grad():
        expected = block(x)
        with torch.autocast("cpu", torch.bfloat16):
            found = block(x)
    assert found.isfinite().all()
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


def test_every_pixel_reaches_every_other_one():
    torch.manual_seed(0)
    block = VSSBlock(8, TINY)
    x = torch.randn(1, 8, 10, 10, requires_grad=True)
    block(x)[0, :, 4, 5].sum().backward()
    assert (x.grad.abs().sum(1) > 0).all()


def test_a_transposed_image_is_not_the_same_to_a_block_but_memory_format_is():
    block, x = seeded(8, TINY), torch.randn(1, 8, 6, 6)
    with torch.no_grad():
        y = block(x)
        assert torch.allclose(block(x.contiguous(memory_format=torch.channels_last)), y, atol=1e-6)
        assert not torch.allclose(block(x.mT).mT, y, atol=1e-3)


def test_the_channel_gate_stays_between_nothing_and_everything():
    gate = ChannelAttention(12).cab[3]
    x = torch.rand(2, 12, 4, 4)
    ratio = gate(x) / x
    assert ((ratio > 0) & (ratio < 1)).all()
    assert torch.allclose(ratio, ratio[..., :1, :1])  # one weight a channel
