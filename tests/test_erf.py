"""Receptive fields and attention maps. Expected values are closed forms, given beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from ensrepro import erf
from ensrepro.config import MambaIRShape
from ensrepro.models.hybrid import NetworkShape, build, surrogate_stage, teacher_stage
from ensrepro.models.restormer import attention_map
from ensrepro.space import RESTORMER

SHAPE = NetworkShape(
    width=8, norm="bias_free", mambair=MambaIRShape(expand=1.0, d_state=2, inner_multiple=8)
)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def box(size: int, channels: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(channels, channels, size, padding=size // 2, bias=False)
    nn.init.constant_(conv.weight, -1 / size**2)  # negative: only the absolute value counts
    return conv


class Dead(nn.Module):
    """A stage whose output does not depend on its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0 * x


def point(h: int, w: int, y: int, x: int) -> np.ndarray:
    field = np.zeros((h, w))
    field[y, x] = 1
    return field


def test_the_identity_sees_one_pixel():
    field = erf.receptive_field(nn.Identity(), noise(2, 3, 9, 12))
    np.testing.assert_array_equal(field, point(9, 12, 4, 6))  # center is (H // 2, W // 2)
    assert erf.width(field) == (0.0, 0.0, 1 / 108, 1.0)  # 1 of 9 x 12 pixels


def test_a_one_tap_convolution_has_radius_zero():
    field = erf.receptive_field(nn.Conv2d(3, 5, 1), noise(2, 3, 8, 8))
    assert erf.radius(field, 1.0) == 0


def test_a_box_of_nine_pixels_has_its_closed_form():
    field = erf.receptive_field(box(3, 2), noise(1, 2, 8, 8))
    assert field[3:6, 3:6] == pytest.approx(np.full((3, 3), 1 / 9))
    assert field.sum() == pytest.approx(1)
    assert erf.radius(field, 1 / 9) == 0
    assert erf.radius(field, 0.5) == 1  # center and its four neighbors hold 5/9
    assert erf.radius(field, 0.9) == pytest.approx(np.sqrt(2))  # only the corners complete it
    assert erf.radius(field, 1.0) == pytest.approx(np.sqrt(2))
    assert erf.area_above(field) == pytest.approx(9 / 64)
    assert erf.effective_pixels(field) == pytest.approx(9)


def test_two_boxes_in_a_row_see_their_convolution():
    field = erf.receptive_field(nn.Sequential(box(3), box(3)), noise(1, 1, 11, 11))
    triangle = np.array([1, 2, 3, 2, 1]) / 9  # (1, 1, 1) * (1, 1, 1) / 9
    np.testing.assert_allclose(field[3:8, 3:8], np.outer(triangle, triangle), rtol=1e-5)


def test_a_shift_is_seen_where_it_comes_from():
    class Shift(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.roll(x, (2, -3), dims=(2, 3))

    field = erf.receptive_field(Shift(), noise(1, 1, 16, 16))
    np.testing.assert_array_equal(field, point(16, 16, 6, 11))  # 8 - 2, 8 + 3
    assert erf.radius(field) == pytest.approx(np.sqrt(13))


def test_a_global_mean_sees_everything_alike():
    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean(dim=(2, 3), keepdim=True).expand_as(x)

    field = erf.receptive_field(Mean(), noise(1, 1, 6, 10))
    np.testing.assert_allclose(field, 1 / 60)
    assert erf.area_above(field, 1.0) == 1
    assert erf.effective_pixels(field) == pytest.approx(60)


def test_the_growth_ends_at_the_farthest_pixel_with_everything():
    radii, shares = erf.growth(np.full((4, 4), 1 / 16))
    # squared distances to pixel (2, 2): 1 of 0, 4 of 1, 4 of 2, 2 of 4, 4 of 5, 1 of 8
    np.testing.assert_allclose(radii**2, [0, 1, 2, 4, 5, 8])
    np.testing.assert_allclose(shares, np.cumsum([1, 4, 4, 2, 4, 1]) / 16)


def test_images_are_averaged_before_the_normalization():
    class Squared(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x**2 + box(3)(x)  # the weight of the center pixel depends on the image

    images = torch.stack([torch.full((1, 5, 5), 1.0), torch.full((1, 5, 5), 3.0)])
    maps = erf.gradient_maps(Squared(), images)
    assert maps[:, 2, 2] == pytest.approx([2 - 1 / 9, 6 - 1 / 9])  # |2 x - 1/9|
    field = erf.receptive_field(Squared(), images)
    assert field[2, 2] == pytest.approx((4 - 1 / 9) / (4 - 1 / 9 + 8 / 9))


@given(arrays(float, (5, 7), elements=st.floats(0, 1)), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_larger_share_never_has_a_smaller_radius(values, one, other):
    field = erf.normalized([values + 1e-6])
    low, high = sorted((one, other))
    assert 0 <= erf.radius(field, low) <= erf.radius(field, high) <= np.sqrt(2**2 + 3**2)
    assert 1 <= erf.effective_pixels(field) <= 35 + 1e-9


def test_attention_across_channels_reaches_every_pixel_and_a_convolution_does_not():
    stage = teacher_stage(RESTORMER.stages[0], SHAPE)
    field = erf.receptive_field(stage, noise(1, 8, 32, 32))
    assert field.min() > 0  # the attention map is a sum over all pixels
    assert erf.receptive_field(box(3, 8), noise(1, 8, 32, 32)).min() == 0


def test_a_surrogate_has_a_receptive_field_and_gathers_no_parameter_gradients():
    stage = surrogate_stage(RESTORMER.stages[0], 2, SHAPE)
    field = erf.receptive_field(stage, noise(2, 8, 16, 16))
    assert field.sum() == pytest.approx(1)
    assert erf.radius(field, 1.0) > 2
    assert all(p.grad is None for p in stage.parameters())


def test_the_field_of_a_frozen_stage_under_no_grad_is_the_same():
    stage = teacher_stage(RESTORMER.stages[0], SHAPE)
    x = noise(1, 8, 8, 8)
    field = erf.receptive_field(stage, x)
    stage.requires_grad_(False)
    with torch.no_grad():
        np.testing.assert_array_equal(erf.receptive_field(stage, x), field)


def test_a_network_has_the_field_of_its_restored_center_pixel():
    net = build(RESTORMER.teacher, SHAPE).eval()
    image = noise(1, 3, 16, 24)
    field = erf.receptive_field(net, image)
    x = image.clone().requires_grad_()
    net(x)[0, :, 8, 12].sum().backward()  # the definition, by hand
    expected = x.grad.abs().mean(dim=(0, 1))
    np.testing.assert_allclose(field, expected / expected.sum(), rtol=1e-4)


def test_the_bootstrap_interval_of_equal_images_is_a_point():
    maps = erf.gradient_maps(box(3), noise(1, 1, 9, 9)).repeat(3, axis=0)
    assert erf.radius_interval(maps, n_resamples=20) == (1.0, 1.0, 1.0)


def test_the_bootstrap_interval_holds_the_value_and_depends_on_the_images():
    maps = np.stack([point(9, 9, 4, 4 + i) + 1e-3 for i in range(5)])
    interval = erf.radius_interval(maps, n_resamples=200, seed=3)
    assert interval == erf.radius_interval(maps, n_resamples=200, seed=3)
    assert interval.low < interval.value < interval.high


def test_attention_maps_come_from_every_teacher_block_and_no_surrogate():
    # encoder_2 (6 blocks, 2 heads, 16 channels) and refinement keep the teacher
    net = build((2, 0, 3, 4, 3, 3, 2, 0), SHAPE).eval()
    maps = erf.channel_attention_maps(net, noise(2, 3, 16, 24))
    assert list(maps) == ["encoder_2", "refinement"]
    assert maps["encoder_2"].channels.shape == (6, 2, 2, 8, 8)
    assert maps["encoder_2"].spatial.shape == (6, 2, 8, 12)  # half the resolution
    assert maps["refinement"].channels.shape == (4, 2, 1, 16, 16)
    for stage in maps.values():
        np.testing.assert_allclose(stage.channels.sum(axis=-1), 1, rtol=1e-5)


def test_the_maps_are_those_of_the_block_and_its_hooks_are_gone():
    net = build(RESTORMER.teacher, SHAPE).eval()
    image = noise(1, 3, 16, 16)
    maps = erf.channel_attention_maps(net, image)["encoder_1"]
    block = net.stages["encoder_1"][0]
    with torch.no_grad():
        x = block.norm1(net.stem(image))
        q, k, _ = block.attn.queries_keys_values(x)
        expected = attention_map(q, k, block.attn.temperature)
        norm = block.attn(x).square().sum(dim=1).sqrt()
    np.testing.assert_allclose(maps.channels[0], expected, rtol=1e-5)
    np.testing.assert_allclose(maps.spatial[0], norm, rtol=1e-4)
    assert not any(m._forward_hooks for m in net.modules())


def test_hooks_are_removed_when_the_image_does_not_fit():
    net = build(RESTORMER.teacher, SHAPE).eval()
    with pytest.raises(ValueError, match="expected multiples of 8"):
        erf.channel_attention_maps(net, noise(1, 3, 12, 12))
    assert not any(m._forward_hooks for m in net.modules())


def test_the_spread_of_attention_is_zero_for_one_key_and_one_for_all():
    assert erf.attention_spread(np.eye(8)) == pytest.approx(0)
    assert erf.attention_spread(np.full((2, 3, 8, 8), 1 / 8)) == pytest.approx(1)
    halves = np.kron(np.eye(2), np.full((2, 2), 0.5))  # each query takes 2 of 4 keys
    assert erf.attention_spread(halves) == pytest.approx(0.5)  # log 2 / log 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: erf.receptive_field(nn.Identity(), noise(3, 8, 8)), r"\(3, 8, 8\); expected \(B"),
        (lambda: erf.receptive_field(nn.Identity(), noise(0, 3, 8, 8)), "expected \\(B >= 1"),
        (lambda: erf.receptive_field(nn.Identity(), noise(1, 1, 4, 4) / 0), "holds NaN or inf"),
        (lambda: erf.receptive_field(nn.AvgPool2d(2), noise(1, 1, 4, 4)), "expected the same size"),
        (lambda: erf.receptive_field(Dead(), noise(1, 1, 4, 4)), "sum to 0.0"),
        (lambda: erf.normalized(np.zeros((2, 4, 4))), "sum to 0.0; expected a finite sum above 0"),
        (lambda: erf.radius(np.full((2, 2), 1.0)), "sum 4; expected"),
        (lambda: erf.radius(np.array([[1.5, -0.5]])), "minimum -0.5"),
        (lambda: erf.radius(np.ones(4) / 4), r"shape \(4,\); expected \(H, W\)"),
        (lambda: erf.radius(np.eye(1), 0), "share is 0; expected"),
        (lambda: erf.area_above(np.eye(1), 2), "threshold is 2; expected"),
        (lambda: erf.attention_spread(np.ones((3, 1, 1))), r"shape \(3, 1, 1\); expected"),
    ],
)
def test_bad_input_gets_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
