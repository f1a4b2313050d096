"""Released Uformers: the network inferred, the released output reproduced, every name checked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_weights import det, image

from ensrepro.models import official
from ensrepro.models.hybrid import build
from ensrepro.models.uformer import SPACES, UformerShape
from ensrepro.models.uformer_windows import relative_index
from ensrepro.space import uformer_space

GOLDEN = Path(__file__).parents[1] / "golden"
CASE = "uformer_t"
SHAPES = json.loads((GOLDEN / "shapes.json").read_text("utf-8"))[CASE]
INDEX = "encoderlayer_1.blocks.0.attn.relative_position_index"
TABLE = "conv.blocks.1.attn.relative_position_bias_table"

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def released() -> dict[str, torch.Tensor]:
    """Name-seeded weights of the released Uformer T, and the window indices beside them."""
    return {
        name: relative_index(8)
        if name.endswith(official.INDEX)
        else torch.from_numpy(det(name, tuple(shape)))
        for name, shape in SHAPES.items()
    }


def made_state(shape: UformerShape, n_blocks: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """What a release of such a network would hold."""
    torch.manual_seed(0)
    space = uformer_space(n_blocks)
    net = build(space.teacher, shape, space)
    state = {}
    for name, tensor in net.state_dict().items():
        name = official.released_name(name, official.UFORMER_PREFIXES)
        state[name] = tensor
        if name.endswith(official.BIAS_TABLE):
            state[name.replace(official.BIAS_TABLE, official.INDEX)] = relative_index(shape.window)
    return state


def error(state: dict[str, torch.Tensor], image_size: int) -> float:
    """Largest difference from the released output, as a share of the largest output."""
    expected = np.load(GOLDEN / "models.npz")[CASE]
    net = official.uformer(state, image_size)
    assert not net.training
    with torch.inference_mode():
        found = net(torch.from_numpy(image(CASE, expected.shape))).numpy()
    return float(np.abs(found - expected).max() / np.abs(expected).max())


# ---------------------------------------------------------------- the network


def test_the_released_uformer_is_reproduced_for_the_image_size_it_was_made_for(released):
    assert error(released, 128) < 1e-4
    assert error(released, 256) > 1e-3  # the bottleneck's windows are shifted then


def test_names_and_shapes_are_the_released_ones():
    with torch.device("meta"):
        found = {n: list(t.shape) for n, t in made_state(UformerShape(16), (2,) * 9).items()}
    assert found == SHAPES


@pytest.mark.parametrize(
    ("shape", "n_blocks"),
    [
        (UformerShape(4), (1, 2, 1, 1, 2, 1, 3, 1, 1)),
        (UformerShape(2, image_size=256, is_modulated=False), (1,) * 9),
        (UformerShape(2, window=4, image_size=64), (1,) * 9),
    ],
)
def test_everything_but_the_image_size_is_inferred(shape, n_blocks):
    state = made_state(shape, n_blocks)
    net = official.uformer(state, shape.image_size)
    assert net.shape == shape
    assert net.space == uformer_space(n_blocks)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, state[official.released_name(name, official.UFORMER_PREFIXES)])


def test_more_than_ten_blocks_are_counted():
    n_blocks = (1, 1, 11, 1, 1, 1, 1, 1, 1)
    assert official.uformer(made_state(UformerShape(1), n_blocks), 128).space == uformer_space(
        n_blocks
    )


def test_a_checkpoint_as_it_was_released_becomes_the_network(tmp_path, released):
    path = tmp_path / "model_best.pth"
    state = {f"module.{name}": tensor for name, tensor in released.items()}
    torch.save({"epoch": 250, "state_dict": state, "optimizer": {"state": {}}}, path)
    net = official.uformer(official.load(path), 128)
    assert net.space == SPACES["T"]
    assert torch.equal(net.output.weight, released["output_proj.proj.0.weight"])


# ---------------------------------------------------------------- a state that does not fit


def complaint(state: object, image_size: object = 128) -> str:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:  # one line
        official.uformer(state, image_size)
    return str(caught.value)


def test_missing_extra_and_misshapen_names_are_all_listed(released):
    state = dict(released)
    del state["conv.blocks.0.norm1.weight"], state[INDEX]
    state["conv.blocks.0.modulator.weight"] = torch.zeros(64, 256)
    state[TABLE] = torch.zeros(49, 16)
    state["upsample_3.deconv.0.weight"] = torch.zeros(16, 64, 2, 2)
    message = complaint(state)
    assert f"2 missing: conv.blocks.0.norm1.weight, {INDEX}" in message
    assert "1 extra: conv.blocks.0.modulator.weight" in message
    assert f"2 misshapen: {TABLE} (49, 16), expected (225, 16)" in message
    assert "upsample_3.deconv.0.weight (16, 64, 2, 2), expected (64, 16, 2, 2)" in message


def test_one_modulator_or_one_block_too_few_is_listed(released):
    name = "decoderlayer_2.blocks.1.modulator.weight"
    assert f"1 missing: {name}" in complaint({n: t for n, t in released.items() if n != name})
    gap = {n: t for n, t in released.items() if not n.startswith("encoderlayer_2.blocks.0.")}
    message = complaint(gap)
    assert "missing: encoderlayer_2.blocks.0." in message
    assert "extra: encoderlayer_2.blocks.1." in message


def test_a_stage_without_any_block_is_listed(released):
    message = complaint({n: t for n, t in released.items() if not n.startswith("conv.")})
    assert "missing: conv.blocks.0." in message


def test_windows_that_are_numbered_otherwise_are_refused_by_name(released):
    state = {**released, INDEX: relative_index(8).T.contiguous()}
    assert f"1 with other values than always: {INDEX}" in complaint(state)
    # a copy of the weights in another precision has the same numbers
    state = {**released, INDEX: relative_index(8).half()}
    assert official.uformer(state, 128).space == SPACES["T"]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused_by_name(released, bad):
    state = {**released, TABLE: torch.full((225, 16), bad)}
    assert f"1 without finite real numbers: {TABLE}" in complaint(state)


def test_a_convolutional_token_projection_is_refused(released):
    name = "encoderlayer_0.blocks.0.attn.qkv.to_q.depthwise.weight"
    message = complaint({**released, name: torch.zeros(16, 1, 3, 3)})
    assert f"{name} belongs to a convolutional token projection; expected the linear" in message


@pytest.mark.parametrize("n", [1, 6])
def test_images_of_other_than_three_channels_are_refused(released, n):
    state = {**released, "input_proj.proj.0.weight": torch.zeros(16, n, 3, 3)}
    assert f"takes {n} channels; expected 3" in complaint(state)


@pytest.mark.parametrize("size", [None, 0, 64, 130, 128.0, True])
def test_an_image_size_that_fixes_no_shift_is_refused(released, size):
    message = complaint(released, size)
    assert f"image_size is {size!r}; expected a multiple of 128" in message
    assert "weights do not tell it" in message


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "no input_proj.proj.0.weight"),
        (None, "found NoneType"),
        ({"patch_embed.proj.weight": torch.zeros(8, 3, 3, 3)}, "no input_proj.proj.0.weight"),
        ({"input_proj.proj.0.weight": torch.zeros(8, 3, 3, 3)}, "no attn.relative_position_bias"),
        ({"input_proj.proj.0.weight": torch.zeros(8)}, "has shape (8,); expected 4 dimensions"),
    ],
)
def test_what_is_no_released_state_gets_one_sentence(state, message):
    assert message in complaint(state)
