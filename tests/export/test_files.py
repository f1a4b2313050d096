"""ONNX files: small, whole, the same every time, and refused with one sentence when foreign."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path

import onnx
import pytest
import torch
from onnx_networks import TINY, metadata, network

from ensrepro import cli
from ensrepro.export import Session, describe, files, read_metadata, to_onnx
from ensrepro.export.network import model
from ensrepro.space import RESTORMER
from ensrepro.steps import context

MIB = 2**20
MIXED = (0, 1, 0, 1, 0, 1, 0, 1)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def net():
    return network(MIXED)


@pytest.fixture(scope="module")
def file(net, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    return to_onnx(net, path, metadata(net))


def weight_bytes(net) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in net.state_dict().values())


def stored_bytes(made: onnx.ModelProto) -> int:
    return sum(tensor.ByteSize() for tensor in made.graph.initializer)


def changed(file: Path, target: Path, **props: str | None) -> Path:
    """A copy with some metadata changed, or left out where the value is None."""
    model = onnx.load(file)
    said = {prop.key: prop.value for prop in model.metadata_props} | props
    del model.metadata_props[:]
    kept = {key: value for key, value in said.items() if value is not None}
    onnx.helper.set_model_props(model, kept)
    onnx.save(model, target)
    return target


# ---------------------------------------------------------------- what is written


def test_what_a_file_says_is_read_as_it_was_written(net, file):
    assert read_metadata(file) == metadata(net)
    assert read_metadata(file, task="denoise") == metadata(net)


def test_the_graph_adds_less_than_five_mebibytes_to_the_weights(net, file):
    """The bound of the issue at any width: nodes are as many in wide networks as in narrow ones.

    These have 0.28 MiB. What weights are needed in another order beside their own adds a tenth.
    """
    of_weights = stored_bytes(onnx.load(file))
    assert file.stat().st_size - of_weights <= MIB / 2
    assert weight_bytes(net) <= of_weights <= 1.2 * weight_bytes(net)


def test_weights_that_float16_holds_are_stored_so_and_nothing_is_lost(net, tmp_path):
    half = network(MIXED)
    context.round_to_half(half)
    path = to_onnx(half, tmp_path / "half.onnx", metadata(half))
    # all but a few derived ones, such as A = -exp(log A), which float16 does not hold
    assert stored_bytes(model(half, 3, 3)) < 0.6 * stored_bytes(model(net, 3, 3))
    image = torch.rand(1, 3, 16, 24)
    with torch.inference_mode():
        torch.testing.assert_close(Session(path)(image), half(image), atol=1e-4, rtol=0)


def test_weights_too_large_for_float16_stay_as_they_are(tmp_path):
    net = network(MIXED)
    torch.nn.init.constant_(net.stem.weight, 1e5)  # float16 ends at 65504
    names = {tensor.name: tensor.data_type for tensor in model(net, 3, 3).graph.initializer}
    assert names["stem.weight"] == onnx.TensorProto.FLOAT


def test_the_same_network_gives_the_same_bytes(net, file, tmp_path):
    again = to_onnx(network(MIXED), tmp_path / "again.onnx", metadata(net))
    assert again.read_bytes() == file.read_bytes()
    assert to_onnx(net, again, metadata(net)) == again  # and may be written again


def test_another_file_is_not_written_over(net, tmp_path):
    path = to_onnx(net, tmp_path / "net.onnx", metadata(net))
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="exists and holds something else"):
        to_onnx(net, path, metadata(net, task="derain"))
    assert path.read_bytes() == before


def test_describe_takes_everything_from_the_context_and_the_network():
    ctx = context.open_context("mini", "denoise")
    net = network(MIXED, replace(TINY, width=8))
    said = describe(ctx, MIXED, net)
    assert said == metadata(
        net, architecture=RESTORMER.label(MIXED), digest=context.digest(net), width=8
    )
    assert len(said.digest) == 16


# ---------------------------------------------------------------- what is refused


def test_a_file_of_another_task_is_refused(file):
    with pytest.raises(ValueError, match=r"is for the task 'denoise', expected 'derain'$"):
        Session(file, task="derain")


@pytest.mark.parametrize("key", [key for key in asdict(metadata(network(MIXED))) if key != "form"])
def test_a_file_that_does_not_say_what_it_is_is_refused(key: str, file, tmp_path):
    path = changed(file, tmp_path / "net.onnx", **{key: None})
    with pytest.raises(ValueError, match=f"net.onnx does not say its {key}; expected an ONNX file"):
        Session(path)


OLD: dict[str, str | None] = {files.FORM: None, files.GRAPH: None}
EXPORTS = "which python -m ensrepro export NEW.onnx --arch"


@pytest.mark.parametrize(
    ("said", "command"),
    [
        (
            {},
            f"{EXPORTS} 'T 4 2 8 T T 4 2' --task denoise --pair restormer-mambair --profile mini ",
        ),
        ({"architecture": "T T T"}, f"{EXPORTS} teacher --task denoise --pair restormer-mambair "),
        (
            {"digest": "random weights", "pair": "uformer-mambair"},
            "which python -m ensrepro measure --write-networks FOLDER --task denoise --pair uf",
        ),
    ],
    ids=["hybrid", "teacher", "random"],
)
def test_a_file_of_an_older_version_is_told_what_writes_it_anew(said, command, file, tmp_path):
    path = changed(file, tmp_path / "old.onnx", **OLD, **said)
    with pytest.raises(
        ValueError, match="does not say its form; expected a file of this"
    ) as caught:
        Session(path)
    assert command in str(caught.value)
    if "--arch" in command:  # and it is understood
        words = shlex.split(str(caught.value).partition("which ")[2].removesuffix(" writes"))
        assert cli.parser().parse_args(words[3:]).task == "denoise"


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_file_with_inverted_bytes_is_refused(share: float, file, tmp_path):
    content = bytearray(file.read_bytes())
    at = int(share * len(content))  # among the weights, which are most of a file
    content[at : at + 2] = bytes(255 - byte for byte in content[at : at + 2])
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.onnx is damaged"):
        Session(tmp_path / "bad.onnx")


def test_another_weight_is_told_by_the_digest_of_the_graph(file, tmp_path):
    model = onnx.load(file)
    tensor = next(t for t in model.graph.initializer if t.name == "stem.weight")
    tensor.raw_data = bytes(len(tensor.raw_data))
    onnx.save(model, tmp_path / "bad.onnx")
    with pytest.raises(
        ValueError, match=r"damaged or was changed: its graph has the digest \w{16}"
    ):
        read_metadata(tmp_path / "bad.onnx")


def test_the_name_of_a_file_does_not_say_how_it_is_read(file, tmp_path):
    """ONNX's own tool would take the first for text."""
    path = tmp_path / "net.pbtxt"
    path.write_bytes(file.read_bytes())
    assert read_metadata(path) == read_metadata(file)
    path.write_text("ir_version: 8")
    with pytest.raises(ValueError, match=r"net\.pbtxt is damaged or no ONNX file$"):
        read_metadata(path)


@pytest.mark.parametrize("value", ["0", "-8", "8.0", "eight", "", "9" * 20])
def test_a_multiple_that_is_no_positive_integer_is_refused(value: str, file, tmp_path):
    path = changed(file, tmp_path / "net.onnx", multiple=value)
    with pytest.raises(ValueError, match=f"has multiple={value!r}, expected an integer"):
        read_metadata(path)


def test_a_padding_that_does_not_exist_is_refused(file, tmp_path):
    path = changed(file, tmp_path / "net.onnx", padding="mirror")
    with pytest.raises(ValueError, match="has padding='mirror', expected one of reflect"):
        read_metadata(path)


def test_a_file_that_is_no_onnx_or_cut_off_is_refused(file, tmp_path):
    whole = file.read_bytes()
    for content in (b"\x89PNG\r\n\x1a\n" + bytes(99), whole[: len(whole) // 2], whole[:-1]):
        path = tmp_path / "bad.onnx"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"bad.onnx is damaged or no ONNX file$"):
            Session(path)


def test_a_file_whose_graph_is_broken_is_refused(file, tmp_path):
    model = onnx.load(file)
    del model.graph.node[100]
    files.seal(model, files.said_by(model))
    onnx.save(model, tmp_path / "bad.onnx")
    with pytest.raises(ValueError, match=r"bad.onnx is damaged, onnxruntime refuses it: .+"):
        Session(tmp_path / "bad.onnx")


def test_without_onnx_the_remedy_is_told(net, file, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (lambda: read_metadata(file), lambda: model(net, 3, 3)):
        with pytest.raises(ImportError, match=r"^onnx is not installed; try pip install"):
            call()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.onnx does not exist"):
        Session(tmp_path / "none.onnx")
