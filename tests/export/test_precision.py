"""Networks in fewer bits: they run, differ as much as the bits explain, and say what they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx_networks import TINY, metadata, network

from ensrepro.export import Session, precision, read_metadata, to_onnx
from ensrepro.models.edge import EdgeShape
from ensrepro.space import Space, Stage

pytestmark = pytest.mark.usefixtures("one_thread")

STAGES = (
    Stage("in", 1, 1, 0, 1, (1,)),
    Stage("deep", 1, 2, 1, 2, (1,)),
    Stage("out", 1, 1, 0, 2, (1,)),
)
# Mean difference of values in [0, 1] that the network moves by 0.2 and more: float16 keeps 11 bits,
# 8 bit of a range of some units is a step of about 0.01 at each of a few convolutions.
MEAN = {"float32": 0.0, "float16": 0.002, "int8, convolutions": 0.03, "int8, all products": 0.03}


@pytest.fixture(params=[TINY, EdgeShape(width=4)], ids=["mambair", "edge"])
def exported(request, tmp_path):
    """A network of a teacher's stage between two surrogates, as its file."""
    net = network((1, 0, 1), request.param, seed=1, space=Space("three", STAGES))
    return to_onnx(net, tmp_path / "net.onnx", metadata(net))


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((1, 3, 32, 32), dtype=np.float32)


@pytest.mark.parametrize("form", precision.FORMS)
def test_a_form_is_the_same_network_in_fewer_bits(form: str, exported, tmp_path):
    made = precision.converted(onnx.load(exported), form, [image(1), image(2)])
    path = tmp_path / "form.onnx"
    onnx.save(made, path)
    assert read_metadata(path) == replace(read_metadata(exported), form=form)
    shown = torch.from_numpy(image(3))
    whole = Session(exported)(shown)
    assert (whole - shown).abs().mean() > 0.2
    off = (Session(path)(shown) - whole).abs().mean()
    assert off <= MEAN[form]
    if form != precision.FLOAT32:
        assert off > 0  # the arithmetic is another


def test_only_what_was_asked_for_is_in_8_bit(exported):
    whole = onnx.load(exported)
    kinds = {}
    for form in precision.FORMS:
        nodes = precision.converted(whole, form, [image(1)]).graph.node
        made = {output: node.op_type for node in nodes for output in node.output}
        kinds[form] = {
            node.op_type
            for node in nodes
            if any(made.get(name) == "DequantizeLinear" for name in node.input)
        }
    assert not kinds["float32"] | kinds["float16"]
    assert "Conv" in kinds["int8, convolutions"]
    assert "MatMul" not in kinds["int8, convolutions"]
    assert {"Conv", "MatMul"} <= kinds["int8, all products"]


def test_what_is_in_fewer_bits_is_not_converted_again(exported):
    half = precision.converted(onnx.load(exported), "float16", [image(1)])
    with pytest.raises(ValueError, match="model has the form 'float16' already; expected float32"):
        precision.converted(half, "int8, convolutions", [image(1)])


def test_an_unknown_form_and_no_image_are_refused(exported):
    whole = onnx.load(exported)
    with pytest.raises(ValueError, match="form is 'int4'; expected one of float32, float16, int8"):
        precision.converted(whole, "int4", [image(1)])
    with pytest.raises(ValueError, match="images is empty; expected at least one"):
        precision.converted(whole, "float16", [])
