"""The vanilla attention block that the profiling compares with."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ensrepro.models.vanilla import VanillaAttentionBlock, attention_bytes, pixel_attention


def test_pixel_attention_is_scaled_dot_product_attention():
    q, k, v = torch.randn(3, 2, 20, 6, generator=torch.Generator().manual_seed(0))
    expected = F.scaled_dot_product_attention(q, k, v)  # torch's own
    torch.testing.assert_close(pixel_attention(q, k, v), expected)


def test_every_output_pixel_depends_on_every_input_pixel():
    block = VanillaAttentionBlock(8)
    x = torch.rand(1, 8, 6, 10, requires_grad=True)
    y = block(x)
    assert y.shape == x.shape
    y[0, :, 0, 0].sum().backward()
    assert (x.grad.abs().sum((0, 1)) > 0).all()


def test_attention_ignores_where_a_pixel_is():
    block = VanillaAttentionBlock(8).attn
    x = torch.rand(1, 8, 4, 5)
    torch.testing.assert_close(block(x.flip(2, 3)).flip(2, 3), block(x))


def test_the_matrices_of_a_256_pixel_image_take_32_gib():
    # 65,536 x 65,536 float32, twice: scores and softmax
    assert attention_bytes(256) == 32 * 2**30
