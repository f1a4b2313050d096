"""The Restormer block against slow, independent computations in float64."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from ensrepro.models.restormer import (
    GDFN,
    MDTA,
    BiasFreeNorm,
    RestormerBlock,
    WithBiasNorm,
    attention_map,
    transposed_attention,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seeded(module, *, seed=0):
    """All parameters random, so that none can be left out unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(noise / p[0].numel() ** 0.5 if p.ndim > 1 else 1 + 0.3 * noise)
    return module


def weights(module) -> dict[str, np.ndarray]:
    return {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}


def close(found, expected, scale=1e-6):
    np.testing.assert_allclose(found, expected, rtol=0, atol=scale * np.abs(expected).max())


# ---------------------------------------------------------------- a second derivation, in loops


def normalized(x, weight, bias):
    """One (C, H, W) image; without bias the mean is kept, but not in the variance."""
    y = np.empty_like(x)
    for i, j in np.ndindex(x.shape[1:]):
        values = x[:, i, j].tolist()
        mean = sum(values) / len(values)
        std = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values) + 1e-5)
        for c, v in enumerate(values):
            y[c, i, j] = (v if bias is None else v - mean) / std * weight[c]
            y[c, i, j] += 0 if bias is None else bias[c]
    return y


def pointwise(x, weight):
    """1x1 convolution of (C, H, W) by (out, C, 1, 1)."""
    y = np.zeros((weight.shape[0], *x.shape[1:]))
    for out, inside in np.ndindex(weight.shape[:2]):
        y[out] += weight[out, inside, 0, 0] * x[inside]
    return y


def depthwise(x, weight):
    """3x3 convolution of every channel by its own kernel, zero outside the image."""
    channels, height, width = x.shape
    y = np.zeros_like(x)
    for c, i, j, di, dj in itertools.product(
        range(channels), range(height), range(width), (-1, 0, 1), (-1, 0, 1)
    ):
        if 0 <= i + di < height and 0 <= j + dj < width:
            y[c, i, j] += weight[c, 0, di + 1, dj + 1] * x[c, i + di, j + dj]
    return y


def attended(x, p, heads):
    """Multi-Dconv head transposed attention of one (C, H, W) image."""
    channels = len(x)
    qkv = depthwise(pointwise(x, p["qkv.weight"]), p["qkv_dwconv.weight"])
    q, k, v = (part.reshape(channels, -1) for part in np.split(qkv, 3))
    y, size = np.zeros_like(q), channels // heads
    for head in range(heads):
        own = range(head * size, (head + 1) * size)
        for a in own:
            cosines = [q[a] @ k[b] / np.linalg.norm(q[a]) / np.linalg.norm(k[b]) for b in own]
            powers = [math.exp(p["temperature"][head, 0, 0] * cosine) for cosine in cosines]
            for b, power in zip(own, powers, strict=True):
                y[a] += power / sum(powers) * v[b]
    return pointwise(y.reshape(x.shape), p["project_out.weight"])


def gated(x, p):
    """The gated feed-forward of one (C, H, W) image, with the exact GELU."""
    hidden = depthwise(pointwise(x, p["project_in.weight"]), p["dwconv.weight"])
    gate, value = np.split(hidden, 2)
    gelu = gate * 0.5 * (1 + np.vectorize(math.erf)(gate / math.sqrt(2)))
    return pointwise(gelu * value, p["project_out.weight"])


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("channels", [2, 8, 29])
def test_both_norms_equal_their_formula_in_float64(channels):
    x = 3 + 2 * random(2, channels, 3, 4)
    for norm in (seeded(BiasFreeNorm(channels)), seeded(WithBiasNorm(channels), seed=1)):
        p = weights(norm)
        with torch.no_grad():
            found = norm(x).numpy()
        for one, y in zip(x.double().numpy(), found, strict=True):
            close(y, normalized(one, p["weight"], p.get("bias")))


def test_the_bias_free_norm_keeps_the_mean_and_ignores_it_in_the_variance():
    x = random(1, 8, 2, 2)
    y, moved = (BiasFreeNorm(8)(t).detach() for t in (x, x + 10))
    std = (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(moved - y, (10 / std).expand_as(y), rtol=1e-4, atol=1e-4)
    z, same = (WithBiasNorm(8)(t).detach() for t in (x, x + 10))
    torch.testing.assert_close(z, same, rtol=0, atol=1e-4)


def test_norms_of_a_constant_pixel_are_finite():
    x = torch.ones(1, 4, 1, 1)
    assert torch.equal(WithBiasNorm(4)(x), torch.zeros(1, 4, 1, 1))
    torch.testing.assert_close(BiasFreeNorm(4)(x), x / 1e-5**0.5)


@pytest.mark.parametrize(("channels", "heads"), [(4, 1), (8, 2), (6, 3), (8, 8)])
def test_transposed_attention_equals_slow_loops(channels, heads):
    layer, x = seeded(MDTA(channels, heads)), random(2, channels, 4, 5)
    with torch.no_grad():
        found = layer(x).numpy()
    for one, y in zip(x.double().numpy(), found, strict=True):
        close(y, attended(one, weights(layer), heads))


@pytest.mark.parametrize(("channels", "hidden"), [(2, 5), (8, 21), (48, 127), (96, 255)])
def test_the_feed_forward_has_the_published_hidden_width(channels, hidden):
    """int(2.66 * channels), rounded down."""
    layer = GDFN(channels)
    assert layer.project_in.weight.shape == (2 * hidden, channels, 1, 1)
    assert layer.dwconv.weight.shape == (2 * hidden, 1, 3, 3)
    assert layer.project_out.weight.shape == (channels, hidden, 1, 1)


@pytest.mark.parametrize("channels", [3, 8])
def test_the_feed_forward_equals_slow_loops(channels):
    layer, x = seeded(GDFN(channels)), random(2, channels, 4, 3)
    with torch.no_grad():
        found = layer(x).numpy()
    for one, y in zip(x.double().numpy(), found, strict=True):
        close(y, gated(one, weights(layer)))


@pytest.mark.parametrize("norm", ["with_bias", "bias_free"])
def test_a_block_is_attention_and_feed_forward_each_with_norm_and_residual(norm):
    block, x = seeded(RestormerBlock(8, 2, norm)), random(1, 8, 4, 5)
    p = weights(block)
    one = x[0].double().numpy()
    parts = {
        prefix: {n.removeprefix(prefix): w for n, w in p.items() if n.startswith(prefix)}
        for prefix in ("attn.", "ffn.")
    }
    normal = [normalized, p["norm1.body.weight"], p.get("norm1.body.bias")]
    one = one + attended(normal[0](one, *normal[1:]), parts["attn."], 2)
    after = normalized(one, p["norm2.body.weight"], p.get("norm2.body.bias"))
    one = one + gated(after, parts["ffn."])
    with torch.no_grad():
        close(block(x)[0].numpy(), one)


# Measured on the released blocks, LayerNorm with bias.
@pytest.mark.parametrize(
    ("channels", "heads", "expected"),
    [(48, 1, 31_279), (96, 2, 117_872), (96, 1, 117_871), (192, 4, 456_352), (384, 8, 1_796_306)],
)
def test_a_block_has_the_released_number_of_parameters(channels, heads, expected):
    with torch.device("meta"):
        block = RestormerBlock(channels, heads, "with_bias")
    assert sum(p.numel() for p in block.parameters()) == expected


# ---------------------------------------------------------------- behavior


def test_an_attention_map_is_a_distribution_that_ignores_the_length_of_its_vectors():
    q, k = random(2, 3, 4, 10), random(2, 3, 4, 10, seed=1)
    temperature = torch.tensor([0.5, 1.0, 7.0]).view(3, 1, 1)
    found = attention_map(q, k, temperature)
    assert found.shape == (2, 3, 4, 4)
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 3, 4))
    torch.testing.assert_close(found, attention_map(100 * q, 0.01 * k, temperature))
    assert (found.amax(-1)[:, 2] > found.amax(-1)[:, 0]).float().mean() > 0.9  # sharper


def test_equal_keys_average_the_values():
    v = random(1, 1, 4, 6)
    ones = torch.ones(1, 1, 4, 6)
    found = transposed_attention(random(1, 1, 4, 6, seed=1), ones, v, torch.ones(1, 1, 1))
    torch.testing.assert_close(found, v.mean(2, keepdim=True).expand_as(v))


def test_attention_sees_the_whole_image_and_heads_are_apart():
    layer = seeded(MDTA(4, 2))
    x = random(1, 4, 6, 6).requires_grad_()
    q, k, v = layer.queries_keys_values(x)
    out = transposed_attention(q, k, v, layer.temperature)  # (1, 2, 2, 36)
    out[0, 0, 0, 0].backward(retain_graph=True)
    assert (x.grad.abs().sum(1) > 0).all()
    changed = transposed_attention(q, k, v * torch.tensor([1.0, 0.0]).view(1, 2, 1, 1),
                                   layer.temperature)  # fmt: skip
    assert torch.equal(changed[:, 0], out[:, 0])
    assert torch.equal(changed[:, 1], torch.zeros_like(out[:, 1]))


@pytest.mark.parametrize("channels", [1, 2, 3, 8, 29])
@pytest.mark.parametrize("norm", ["with_bias", "bias_free"])
def test_narrow_blocks_and_odd_images_work(channels, norm):
    block = RestormerBlock(channels, 1, norm)
    for size in ((1, 1), (3, 5), (8, 8)):
        x = random(1, channels, *size)
        y = block(x)
        assert y.shape == x.shape
        assert y.isfinite().all()


def test_channels_that_the_heads_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="channels is 10; expected a multiple of heads, 4"):
        MDTA(10, 4)


def test_an_unknown_norm_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="norm is 'batch'; expected one of with_bias, bias_free"):
        RestormerBlock(8, 1, "batch")


def test_one_step_of_training_lowers_the_loss_and_every_parameter_takes_part():
    torch.manual_seed(0)
    block = RestormerBlock(8, 2, "with_bias")
    x, target = random(2, 8, 8, 8), random(2, 8, 8, 8, seed=1)
    before = (block(x) - target).abs().mean()
    before.backward()
    for name, p in block.named_parameters():
        assert p.grad.isfinite().all(), name
        assert p.grad.abs().max() > 0, name
    torch.optim.SGD(block.parameters(), 0.01).step()
    assert (block(x) - target).abs().mean() < before


def test_gradients_are_those_of_finite_differences():
    block = seeded(RestormerBlock(2, 1, "bias_free")).double()
    x = random(1, 2, 3, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(block, (x,))
