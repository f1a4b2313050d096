"""Weights on disk: rounded once, known by a digest, refused when damaged or of another network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ensrepro import artifacts, weights

METADATA = {"profile": "mini", "task": "denoise", "step": "teacher"}


def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "stem.weight": rng.normal(size=(4, 3)).astype(np.float32),
        "norm.weight": np.ones(5, np.float32),
    }


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "weights" / "teacher.safetensors"
    weights.save_weights(path, tensors(), METADATA)
    return path


def test_weights_come_back_as_the_nearest_float16(saved):
    loaded = weights.load_weights(saved, METADATA)
    assert loaded.keys() == tensors().keys()
    for name, array in tensors().items():
        assert loaded[name].dtype == np.float16
        assert np.array_equal(loaded[name], array.astype(np.float16))


def test_the_digest_is_of_names_types_shapes_and_values():
    base = tensors()
    same = dict(reversed(base.items()))
    changed = base["stem.weight"].copy()
    changed[0, 0] = np.nextafter(changed[0, 0], np.float32(9))
    others = [
        base | {"stem.weight": changed},
        base | {"stem.weight": base["stem.weight"].reshape(3, 4)},
        base | {"stem.weight": base["stem.weight"].astype(np.float64)},
        {"stem.bias": base["stem.weight"], "norm.weight": base["norm.weight"]},
        {"norm.weight": base["norm.weight"]},
    ]
    assert weights.digest(same) == weights.digest(base)
    digests = {weights.digest(other) for other in [base, *others]}
    assert len(digests) == 1 + len(others)
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in digests)


def test_the_digest_does_not_depend_on_the_layout_in_memory():
    array = np.arange(12.0).reshape(3, 4)
    assert weights.digest({"a": np.asfortranarray(array)}) == weights.digest({"a": array})


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"task": "derain"}, r"has task='denoise', expected 'derain'"),
        ({"profile": "paper"}, r"has profile='mini', expected 'paper'"),
        ({"width": "8"}, r"has width=None, expected '8'"),
    ],
)
def test_weights_of_something_else_are_refused(saved, asked, sentence):
    with pytest.raises(ValueError, match=rf"teacher\.safetensors {sentence}"):
        weights.load_weights(saved, METADATA | asked)


def test_weights_with_one_wrong_bit_anywhere_are_refused(saved):
    content = saved.read_bytes()
    for place in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        saved.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"teacher\.safetensors (is damaged|has \w+=)"):
            weights.load_weights(saved, METADATA)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_truncated_weights_are_refused(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"teacher\.safetensors is damaged or no safetensors"):
        weights.load_weights(saved, METADATA)
    saved.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match=r"teacher\.safetensors is damaged"):
        weights.load_weights(saved, METADATA)


@pytest.mark.parametrize("digest", [{"digest": "0" * 16}, {}])
def test_a_wrong_or_missing_digest_is_refused(tmp_path, digest):
    from safetensors.numpy import save

    path = tmp_path / "a.safetensors"
    path.write_bytes(save({"w": np.ones(3, np.float16)}, metadata=METADATA | digest))
    with pytest.raises(ValueError, match=r"a\.safetensors is damaged: .* digest"):
        weights.load_weights(path, METADATA)


def test_weights_that_are_not_there_are_missed_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.safetensors does not exist"):
        weights.load_weights(tmp_path / "a.safetensors", {})


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e5])
def test_weights_that_float16_cannot_hold_are_not_written(saved, value):
    content = saved.read_bytes()
    with pytest.raises(ValueError, match=r"teacher\.safetensors: b does not fit float16"):
        weights.save_weights(saved, {"b": np.array([1.0, value], np.float32)}, METADATA)
    assert saved.read_bytes() == content


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with teachers of two tasks of the first pair, and one of another."""
    monkeypatch.setattr(artifacts, "repository", lambda: tmp_path)
    for folder in ("denoise", "derain", "denoise-uformer"):
        path = tmp_path / "weights" / "mini" / folder / "teacher.safetensors"
        path.parent.mkdir(parents=True)
        path.touch()


def test_a_pair_without_a_teacher_is_told_with_those_that_have_one(checkout):
    path = Path("teacher.safetensors")
    on_file = (
        "in profile mini are trained: restormer-mambair, restormer-edge, restormer-stateless "
        "(denoise, derain), uformer-mambair (denoise)"
    )
    assert str(weights.no_teacher(path, "derain", "mini", "uformer-mambair")) == (
        "teacher.safetensors does not exist; expected a trained teacher of uformer-mambair for "
        f"derain; {on_file}; python -m ensrepro run 03_distillation --task derain --profile mini "
        "--pair uformer-mambair trains this one, which may take hours"
    )
    first = str(weights.no_teacher(path, "deblur", "mini", "restormer-mambair"))
    assert first.endswith(
        f"{on_file}; python -m ensrepro run 03_distillation --task deblur --profile mini trains "
        "this one, which may take hours"
    )


@pytest.mark.parametrize("profile", ["small", "paper"])
def test_a_profile_without_any_teacher_says_so_and_how_to_train_one_if_that_can_be(
    checkout, profile
):
    path = Path("teacher.safetensors")
    message = str(weights.no_teacher(path, "denoise", profile, "restormer-mambair"))
    assert f"in profile {profile} are trained: none" in message
    assert message.endswith("trains this one, which may take hours") == (profile == "small")
