"""The edge block against a reference that visits one pixel at a time, and what it sees."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_networks import scattered
from torch import nn

from ensrepro.erf import gradient_maps
from ensrepro.models import edge
from ensrepro.models.edge import EdgeBlock, EdgeBlockShape, EdgeShape, Recurrence, StatelessShape
from ensrepro.models.hybrid import build
from ensrepro.space import RESTORMER

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS = {"down": (1, 0), "right": (0, 1), "up": (-1, 0), "left": (0, -1)}  # in the order of TURNS
ONE_WAY, BOTH = EdgeBlockShape(), EdgeBlockShape(0.5, 1.0, is_bidirectional=True)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def gelu(x: np.ndarray) -> np.ndarray:
    return x * np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x])


def convolved(weight: np.ndarray, x: np.ndarray, is_shuffled: bool) -> np.ndarray:
    """The convolution in groups, channel by channel; those of a shuffled block are strided."""
    n, size = len(x), weight.shape[1]
    members = np.arange(n).reshape(-1, size)
    if is_shuffled:
        members = np.arange(n).reshape(size, -1).T
    around, out = np.pad(x, ((0, 0), (1, 1), (1, 1))), np.zeros_like(x)
    for kernel, to in zip(weight, members.ravel(), strict=True):
        (group,) = (group for group in members if to in group)
        for taps, c in zip(kernel, group, strict=True):
            for i, j in np.ndindex(3, 3):
                out[to] += taps[i, j] * around[c, i : i + x.shape[1], j : j + x.shape[2]]
    return out


def reference(block: EdgeBlock, x: np.ndarray, position: int, is_shuffled: bool) -> np.ndarray:
    """The module's docstring, pixel by pixel: (C, H, W) -> (C, H, W)."""
    w = {name: tensor.detach().numpy() for name, tensor in block.named_parameters()}
    (_, h, width), inner = x.shape, len(w["decay"])
    x = x + convolved(w["conv.weight"], x, is_shuffled)
    steps = [list(STEPS.values())[position % 4]]
    if len(block.ways) == 2:
        steps.append((-steps[0][0], -steps[0][1]))
    n_each = inner // len(steps)

    def parts(i: int, j: int) -> list[np.ndarray]:
        pixel = x[:, i, j]
        normed = (pixel - pixel.mean()) / np.sqrt(pixel.var() + 1e-5)
        rows = w["project_in.weight"] @ (normed * w["norm.weight"] + w["norm.bias"])
        hidden = (len(rows) - 3 * inner) // 2
        return np.split(rows, np.cumsum([inner, inner, inner, hidden]))

    def state(i: int, j: int, step: tuple[int, int], own: slice) -> np.ndarray:
        if not (0 <= i < h and 0 <= j < width):
            return np.zeros(n_each)
        a, v = (part[own] for part in parts(i, j)[:2])
        before = state(i - step[0], j - step[1], step, own)
        return v + sigmoid(a + w["decay"][own]) * (before - v)

    out = x.copy()
    for i, j in np.ndindex(h, width):
        _, _, g, p, q = parts(i, j)
        states = [
            state(i, j, step, slice(k * n_each, (k + 1) * n_each)) for k, step in enumerate(steps)
        ]
        read = np.concatenate([np.concatenate(states) * sigmoid(g), gelu(p) * q])
        out[:, i, j] += w["project_out.weight"] @ read
    return out


@pytest.mark.parametrize("shape", [ONE_WAY, BOTH], ids=["one way", "both"])
@pytest.mark.parametrize("position", range(5))
def test_a_block_is_its_formula_pixel_by_pixel(position: int, shape: EdgeBlockShape):
    block = scattered(EdgeBlock(8, 4, position, shape), position).double()
    x = torch.randn(2, 8, 4, 5, dtype=torch.float64)
    with torch.inference_mode():
        found = block(x)
    for image, output in zip(x.numpy(), found.numpy(), strict=True):
        expected = reference(block, image, position, is_shuffled=position % 2 == 1)
        np.testing.assert_allclose(output, expected, rtol=0, atol=1e-12)


def looped(decay: torch.Tensor, value: torch.Tensor, is_backward: bool) -> torch.Tensor:
    """The recurrence in plain operations, whose gradient is PyTorch's own."""
    order = range(len(value))[::-1] if is_backward else range(len(value))
    states, state = {}, torch.zeros_like(value[0])
    for t in order:
        states[t] = state = decay[t] * state + (1 - decay[t]) * value[t]
    return torch.stack([states[t] for t in range(len(value))])


@settings(max_examples=25)
@given(st.tuples(*(st.integers(1, n) for n in (9, 2, 4, 3))), st.booleans(), st.integers(0, 2**31))
def test_states_and_gradients_are_those_of_the_plain_loop(size, is_backward, seed):
    random = torch.Generator().manual_seed(seed)
    decay, value, weight = (
        torch.randn(size, generator=random, dtype=torch.float64) for _ in range(3)
    )
    decay = decay.sigmoid()
    found, expected = [], []
    for run, results in ((Recurrence.apply, found), (looped, expected)):
        inputs = [t.clone().requires_grad_() for t in (decay, value)]
        states = run(*inputs, is_backward)
        results += [states.detach(), *torch.autograd.grad((states * weight).sum(), inputs)]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-13)


@pytest.mark.parametrize("is_backward", [False, True])
def test_the_recurrence_has_the_gradient_of_its_differences(is_backward: bool):
    random = torch.Generator().manual_seed(3)
    decay, value = (
        torch.rand((5, 2, 3, 2), generator=random, dtype=torch.float64, requires_grad=True)
        for _ in range(2)
    )
    assert torch.autograd.gradcheck(
        lambda a, v: Recurrence.apply(a, v, is_backward), (decay, value)
    )


def test_a_block_has_the_gradient_of_its_differences():
    block = scattered(EdgeBlock(4, 2, 1), 0).double()
    x = torch.randn(1, 4, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (x,))


def test_a_state_keeps_its_value_at_a_decay_of_one_and_takes_the_new_one_at_zero():
    value = torch.tensor([3.0, 5.0, 7.0]).view(3, 1, 1, 1)
    for decay, expected in ((0.0, [3.0, 5.0, 7.0]), (1.0, [0.0, 0.0, 0.0])):
        states = Recurrence.apply(torch.full_like(value, decay), value, False)
        assert states.flatten().tolist() == expected


def seen(stage: nn.Module, channels: int, side: int) -> np.ndarray:
    """Where the input moves the center pixel of the output, (side, side)."""
    inputs = torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(1))
    return gradient_maps(stage, inputs).sum(0) > 0


@pytest.mark.parametrize(("position", "step"), [*enumerate(STEPS.values())], ids=STEPS)
def test_a_block_sees_half_its_line_and_the_neighborhoods_of_that(position: int, step):
    side, center = 9, 4
    expected = np.zeros((side, side), bool)
    for n in range(center + 1):
        i, j = center - n * step[0], center - n * step[1]
        expected[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2] = True
    block = scattered(EdgeBlock(8, 8, position), position)
    np.testing.assert_array_equal(seen(block, 8, side), expected)


def test_a_block_without_a_state_is_one_that_keeps_nothing_and_sees_no_farther_than_3x3():
    control = scattered(EdgeBlock(8, 8, 0, EdgeBlockShape(has_state=False)), 0)
    block = EdgeBlock(8, 8, 0)
    block.load_state_dict(control.state_dict())
    nn.init.constant_(block.decay, -1e4)  # a is 0
    x = torch.randn(1, 8, 5, 6)
    with torch.inference_mode():
        torch.testing.assert_close(control(x), block(x), rtol=0, atol=0)
    expected = np.zeros((9, 9), bool)
    expected[3:6, 3:6] = True
    np.testing.assert_array_equal(seen(control, 8, 9), expected)


def test_both_directions_begin_with_the_same_decays():
    first, second = EdgeBlock(16, 16, 0, BOTH).decay.chunk(2)
    assert torch.equal(first, second)
    assert (first[0], first[-1]) == edge.DECAY_BIAS


def test_four_blocks_see_the_whole_image_and_two_a_quadrant():
    shape, stage = EdgeShape(width=8), RESTORMER.stage("encoder_1")
    four, two = (scattered(shape.surrogate_stage(stage, depth), 0) for depth in (4, 2))
    assert seen(four, 8, 11).all()
    corner = seen(two, 8, 11)  # center 5; two convolutions reach 2 pixels beyond it
    assert corner[:8, :8].all()
    assert corner.sum() == 64


def test_stages_of_odd_levels_begin_the_other_way():
    shape = EdgeShape(width=8)
    for name, first in (("encoder_1", edge.DOWN), ("decoder_2", edge.UP), ("bottleneck", edge.UP)):
        assert shape.surrogate_stage(RESTORMER.stage(name), 2)[0].turn == first


@pytest.mark.parametrize("width", [8, 16, 48])
def test_networks_of_any_width_have_the_same_groups(width: int):
    net = build(RESTORMER.all_ssm, EdgeShape(width=width))
    groups = {name: stage[0].conv.groups for name, stage in net.stages.items()}
    # C / width: the factors of section 3.2, 1, 2, 4, 8, and 2 where features are joined
    assert list(groups.values()) == [1, 2, 4, 8, 4, 2, 2, 2]


def test_a_silenced_block_is_the_identity_and_can_learn():
    block = EdgeBlock(8, 4, 1)
    block.zero_output()
    x = torch.randn(1, 8, 6, 5)
    torch.testing.assert_close(block(x), x, rtol=0, atol=0)
    block(x).square().sum().backward()
    assert block.conv.weight.grad.abs().max() > 0
    assert block.project_out.weight.grad.abs().max() > 0


def test_a_batch_is_its_images():
    block = scattered(EdgeBlock(8, 4, 2), 0)
    x = torch.randn(3, 8, 7, 4)
    with torch.inference_mode():
        torch.testing.assert_close(block(x), torch.cat([block(one) for one in x.split(1)]))


def test_bad_shapes_are_refused():
    with pytest.raises(ValueError, match=r"^recurrence is 0; expected a part of the channels"):
        EdgeBlockShape(recurrence=0)
    with pytest.raises(ValueError, match=r"^expansion is 5; expected a part of the channels"):
        EdgeBlockShape(expansion=5)
    with pytest.raises(ValueError, match=r"^group_parts is 0; expected an integer >= 1"):
        EdgeBlockShape(group_parts=0)
    with pytest.raises(ValueError, match=r"^width is 8; expected a multiple of group_parts, 3"):
        EdgeShape(width=8, edge=EdgeBlockShape(group_parts=3))
    with pytest.raises(ValueError, match=r"^channels is 12; expected a multiple of group_size, 8"):
        EdgeBlock(12, 8)


def test_the_control_has_the_parameters_of_the_edge_hybrid_and_no_state():
    shape, control = EdgeShape(width=8), StatelessShape(width=8)
    assert control.edge == replace(shape.edge, has_state=False)
    stage = RESTORMER.stage("encoder_1")
    own, other = shape.surrogate_stage(stage, 2), control.surrogate_stage(stage, 2)
    assert [p.shape for p in own.parameters()] == [p.shape for p in other.parameters()]
    assert {block.has_state for block in other} == {False}
