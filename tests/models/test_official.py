"""Released checkpoints: read safely, the network inferred, every name and shape checked."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_weights import det, image

from ensrepro.config import MambaIRShape
from ensrepro.models import official
from ensrepro.models.hybrid import NetworkShape, build
from ensrepro.space import RESTORMER

GOLDEN = Path(__file__).parents[1] / "golden"
SHAPES = json.loads((GOLDEN / "shapes.json").read_text("utf-8"))


def seeded(case: str) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(det(name, tuple(s))) for name, s in SHAPES[case].items()}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def small() -> dict[str, torch.Tensor]:
    """Name-seeded weights of the released Restormer at width 8, BiasFree."""
    return seeded("restormer_small")


def released_state(shape: NetworkShape, architecture=RESTORMER.teacher) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    own = build(architecture, shape).state_dict()
    return {official.released_name(name): tensor for name, tensor in own.items()}


# ---------------------------------------------------------------- the network


def test_the_released_restormer_is_reproduced(small):
    expected = np.load(GOLDEN / "models.npz")["restormer_small"]
    net = official.restormer(small)
    assert not net.training
    assert net.shape == NetworkShape(8, "bias_free")
    with torch.no_grad():
        found = net(torch.from_numpy(image("restormer_small", expected.shape))).numpy()
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("case", ["restormer_small", "mambairunet_e15"])
def test_names_and_shapes_are_the_released_ones(case):
    """The released names, of both networks, in tests/golden/shapes.json."""
    with torch.device("meta"):
        net = (
            build(RESTORMER.teacher, NetworkShape(8, "bias_free"))
            if case == "restormer_small"
            else build(RESTORMER.all_ssm, NetworkShape(48))
        )
    found = {official.released_name(n): list(t.shape) for n, t in net.state_dict().items()}
    assert found == SHAPES[case]


@pytest.mark.parametrize("width", [2, 12])
@pytest.mark.parametrize("norm", ["with_bias", "bias_free"])
@pytest.mark.parametrize(("in_channels", "out_channels"), [(3, 3), (6, 3), (1, 1)])
def test_everything_about_a_restormer_is_inferred(width, norm, in_channels, out_channels):
    shape = NetworkShape(width, norm, in_channels, out_channels)
    state = released_state(shape)
    net = official.restormer(state)
    assert net.shape == shape
    assert ("skip_conv.weight" in state) == (in_channels == 6)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, state[official.released_name(name)]), name


@pytest.mark.parametrize(("expand", "d_state"), [(1.5, 16), (2.0, 16), (1.0, 4)])
def test_everything_about_a_mambair_unet_is_inferred(expand, d_state):
    shape = NetworkShape(8, mambair=MambaIRShape(expand, d_state))
    state = released_state(shape, RESTORMER.all_ssm)
    net = official.mambair_unet(state)
    assert net.shape == shape
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, state[official.released_name(name)]), name


def test_the_network_owns_its_weights(small):
    net = official.restormer(small)
    before = small["output.weight"].clone()
    with torch.no_grad():
        net.output.weight.zero_()
    assert torch.equal(small["output.weight"], before)


def test_every_parameter_of_every_network_has_a_released_name():
    with pytest.raises(ValueError, match=r"extra\.weight has no released name"):
        official.released_name("extra.weight")


# ---------------------------------------------------------------- a state that does not fit


def complaint(state) -> str:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:  # one line
        official.restormer(state)
    return str(caught.value)


def test_missing_extra_and_misshapen_names_are_all_listed(small):
    state = dict(small)
    del state["latent.3.attn.temperature"]
    state["latent.3.attn.scale"] = torch.ones(1)
    state["reduce_chan_level3.weight"] = torch.zeros(32, 64)
    message = complaint(state)
    assert "1 missing: latent.3.attn.temperature" in message
    assert "1 extra: latent.3.attn.scale" in message
    assert "1 misshapen: reduce_chan_level3.weight (32, 64), expected (32, 64, 1, 1)" in message


def test_a_long_list_is_cut(small):
    state = {n: t for n, t in small.items() if not n.startswith("latent.")}
    n_missing = len(small) - len(state)
    message = complaint(state)
    assert f"{n_missing} missing: latent.0." in message
    assert f"and {n_missing - official.LISTED} more" in message


def test_weights_of_the_other_network_are_refused(small):
    assert "missing" in complaint(seeded("mambairunet_e15"))
    with pytest.raises(ValueError, match=r"no latent\.0\.self_attention\.in_proj\.weight"):
        official.mambair_unet(small)


def test_one_tensor_of_another_width_is_listed(small):
    state = {**small, "output.weight": torch.zeros(3, 32, 3, 3)}
    assert "output.weight (3, 32, 3, 3), expected (3, 16, 3, 3)" in complaint(state)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused_by_name(small, bad):
    state = dict(small)
    state["latent.0.ffn.project_in.weight"] = torch.full_like(
        state["latent.0.ffn.project_in.weight"], bad
    )
    assert "without finite real numbers: latent.0.ffn.project_in.weight" in complaint(state)


def test_integers_are_no_weights(small):
    state = {**small, "output.weight": torch.zeros(3, 16, 3, 3, dtype=torch.int64)}
    assert "without finite real numbers: output.weight" in complaint(state)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "no patch_embed.proj.weight"),
        ([], "state is no state dict: expected tensors by name, found list"),
        (None, "found NoneType"),
        ({"patch_embed.proj.weight": 3}, "'patch_embed.proj.weight' is int, expected a tensor"),
        ({4: torch.zeros(1)}, "4 is Tensor"),
        ({"patch_embed.proj.weight": torch.zeros(3)}, "has shape (3,); expected 4 dimensions"),
        (
            {
                "patch_embed.proj.weight": torch.zeros(8, 4, 3, 3),
                "output.weight": torch.zeros(3, 16, 3, 3),
            },
            "in_channels is 4; expected 3 or, for a dual-pixel pair, 6",
        ),
        (
            {
                "patch_embed.proj.weight": torch.zeros(7, 3, 3, 3),
                "output.weight": torch.zeros(3, 14, 3, 3),
            },
            "width is 7; expected an even number",
        ),
    ],
)
def test_what_is_no_released_state_gets_one_sentence(state, message):
    assert message in complaint(state)


# ---------------------------------------------------------------- the file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "real_denoising.pth"
    torch.save({"params": {"a": torch.arange(3.0), "b.c": torch.ones(2, 2)}}, path)
    return path


def assert_read(found) -> None:
    assert sorted(found) == ["a", "b.c"]
    assert torch.equal(found["a"], torch.arange(3.0))
    assert torch.equal(found["b.c"], torch.ones(2, 2))


@pytest.mark.parametrize("wrapped", ["plain", "params", "state_dict", "both"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("legacy", [False, True])
def test_wrappers_and_prefixes_are_taken_off(tmp_path, wrapped, prefix, legacy):
    state = {f"{prefix}a": torch.arange(3.0), f"{prefix}b.c": torch.ones(2, 2)}
    content = {
        "plain": state,
        "params": {"params": state},
        "state_dict": {"state_dict": state, "epoch": 3},
        "both": {"params": {"state_dict": state}},
    }[wrapped]
    path = tmp_path / "a.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    assert_read(official.load(path))
    assert_read(official.load(str(path)))


def test_a_prefix_is_taken_off_once_and_only_in_front(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"module.module.a": torch.ones(1), "b.module.c": torch.ones(1)}, path)
    assert sorted(official.load(path)) == ["b.module.c", "module.a"]


def test_names_that_would_fall_together_are_refused(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"module.a": torch.ones(1), "a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="both with and without the prefix"):
        official.load(path)


def test_a_checksum_is_compared_if_given(file):
    right = hashlib.sha256(file.read_bytes()).hexdigest()
    assert_read(official.load(file, right))
    assert_read(official.load(file, right.upper()))
    with pytest.raises(ValueError, match=rf"has SHA-256 {right}, expected {'0' * 64}"):
        official.load(file, "0" * 64)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pth does not exist"):
        official.load(tmp_path / "none.pth")
    with pytest.raises(FileNotFoundError):
        official.load(tmp_path)


class Canary:
    """A pickle that runs a command when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_a_pickle_with_code_is_refused_and_not_executed(tmp_path, legacy, nested):
    mark, path = tmp_path / "mark", tmp_path / "a.pth"
    canary = Canary(mark)
    content = {"params": {"a": torch.ones(2), "b": canary}} if nested else canary
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ValueError, match=r"a\.pth is damaged or holds more than tensors"):
        official.load(path)
    assert not mark.exists()
    pickle.loads(pickle.dumps(canary))  # the canary does sing where pickles are executed
    assert mark.exists()


def test_a_bare_pickle_is_not_executed_either(tmp_path):
    mark, path = tmp_path / "mark", tmp_path / "a.pth"
    path.write_bytes(pickle.dumps({"params": Canary(mark)}))
    with pytest.raises(ValueError, match=r"a\.pth"):
        official.load(path)
    assert not mark.exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_cut_anywhere_is_refused_by_name(tmp_path, legacy):
    path = tmp_path / "a.pth"
    state = {f"{i}.weight": torch.randn(16, 16) for i in range(4)}
    torch.save({"params": state}, path, _use_new_zipfile_serialization=not legacy)
    content = path.read_bytes()
    for size in (0, 1, 2, 10, 100, *range(200, len(content) - 1, len(content) // 23)):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"a\.pth") as caught:
            official.load(path)
        assert "\n" not in str(caught.value), size


@contextmanager
def suppress_if_named(path: Path):
    """Let a ValueError pass that names the file; any other error is a failure."""
    try:
        yield
    except ValueError as error:
        if str(path) not in str(error):
            raise


@pytest.mark.parametrize("legacy", [False, True])
def test_a_damaged_file_is_refused_by_name_or_still_holds_tensors(tmp_path, legacy):
    path = tmp_path / "a.pth"
    torch.save({"params": {"a": torch.randn(8)}}, path, _use_new_zipfile_serialization=not legacy)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.choice(len(content), 150):
        changed = bytearray(content)
        changed[position] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        with suppress_if_named(path):
            found = official.load(path)
            assert all(isinstance(value, torch.Tensor) for value in found.values())


@pytest.mark.parametrize("content", [b"", b"hello world", b"<!DOCTYPE html><html>", b"PK\x03\x04"])
def test_what_is_no_checkpoint_is_refused_by_name(tmp_path, content):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.pth"):
        official.load(path)


@pytest.mark.parametrize("content", [torch.ones(3), [torch.ones(3)], {"params": 4}, {1: 2}, 5])
def test_a_file_without_a_state_dict_is_refused_by_name(tmp_path, content):
    path = tmp_path / "a.pth"
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"a\.pth is no state dict"):
        official.load(path)


def test_a_checkpoint_on_disk_becomes_the_network_that_wrote_it(tmp_path, small):
    path = tmp_path / "a.pth"
    torch.save({"params": {f"module.{name}": tensor for name, tensor in small.items()}}, path)
    net = official.restormer(official.load(path))
    assert torch.equal(net.output.weight, small["output.weight"])
