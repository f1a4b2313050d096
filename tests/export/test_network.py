"""Whole networks: what onnxruntime computes is what PyTorch computes, with stock operators only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx_networks import TINY, metadata, network
from torch import nn

from ensrepro.export import OPSET, Session, ssm, to_onnx
from ensrepro.export.network import model
from ensrepro.models.edge import EdgeBlockShape, EdgeShape
from ensrepro.models.hybrid import NetworkShape
from ensrepro.models.mambair import SS2D
from ensrepro.space import RESTORMER, Space, Stage

HYBRIDS = np.random.default_rng(0).choice(RESTORMER.n_architectures, 20, replace=False)
SIZES = ((16, 40), (24, 8))  # the second's bottleneck is 3 x 1 pixels
TOLERANCE = 1e-4
BIAS_FREE = replace(TINY, norm="bias_free")
DUAL_PIXEL = replace(TINY, in_channels=6)
EDGE = EdgeShape(width=4)
BOTH_WAYS = EdgeShape(width=4, edge=EdgeBlockShape(group_parts=2, is_bidirectional=True))

pytestmark = pytest.mark.usefixtures("one_thread")


def images(channels: int) -> Iterator[torch.Tensor]:
    """One random image of each size."""
    random = torch.Generator().manual_seed(7)
    for size in SIZES:
        yield torch.rand((1, channels, *size), generator=random)


def assert_parity(net, path):
    """One session for all sizes; the network must also do something to be compared."""
    session = Session(to_onnx(net, path, metadata(net)))
    for image in images(net.shape.in_channels):
        with torch.inference_mode():
            expected = net(image)
        assert (expected - image[:, : net.shape.out_channels]).abs().max() > 0.05
        assert (session(image) - expected).abs().max() <= TOLERANCE


@pytest.mark.parametrize("index", HYBRIDS.tolist())
def test_a_random_hybrid_is_the_same_in_onnxruntime_at_two_sizes(index: int, tmp_path):
    shape = BIAS_FREE if index % 2 else TINY
    assert_parity(network(RESTORMER.architecture(index), shape, seed=index), tmp_path / "net.onnx")


@pytest.mark.parametrize("index", HYBRIDS.tolist())
def test_so_is_a_random_hybrid_with_edge_blocks(index: int, tmp_path):
    shape = BOTH_WAYS if index % 3 == 0 else EDGE
    assert_parity(network(RESTORMER.architecture(index), shape, seed=index), tmp_path / "net.onnx")


@pytest.mark.parametrize("architecture", [RESTORMER.teacher, RESTORMER.all_ssm])
def test_so_are_the_teacher_and_the_network_without_attention(architecture, tmp_path):
    assert_parity(network(architecture), tmp_path / "net.onnx")


@pytest.mark.parametrize("architecture", [RESTORMER.all_ssm, RESTORMER.architecture(HYBRIDS[0])])
def test_so_are_hybrids_in_the_form_of_wide_networks(architecture, tmp_path, monkeypatch):
    """Single steps in place of chunks, as at the paper's width."""
    monkeypatch.setattr(ssm, "CACHED", 0)
    net = network(architecture)
    lengths = {ssm.steps_of_a_chunk(part) for part in net.modules() if isinstance(part, SS2D)}
    assert lengths == {1}
    assert_parity(net, tmp_path / "net.onnx")


def test_a_dual_pixel_network_takes_six_channels(tmp_path):
    assert_parity(network((0, 1, 0, 1, 0, 1, 0, 1), DUAL_PIXEL), tmp_path / "net.onnx")


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes of a graph and of the loops in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from all_nodes(attribute.g)


@pytest.mark.parametrize("shape", [TINY, EDGE], ids=["mambair", "edge"])
def test_operators_are_those_of_onnx_itself_and_the_opset_is_stated(shape: NetworkShape):
    made = model(network((0, 1, 0, 1, 0, 1, 0, 1), shape), 3, 3)
    assert [(entry.domain, entry.version) for entry in made.opset_import] == [("", OPSET)]
    nodes = list(all_nodes(made.graph))
    assert {node.domain for node in nodes} == {""}
    assert {"Scan", "Conv", "LayerNormalization"} <= {node.op_type for node in nodes}
    assert not made.functions


@pytest.mark.parametrize("shape", [TINY, EDGE, BOTH_WAYS], ids=["mambair", "edge", "both ways"])
def test_the_checker_and_strict_shape_inference_pass(shape: NetworkShape):
    made = model(network((0, 1, 0, 1, 0, 1, 0, 1), shape), 3, 3)
    onnx.checker.check_model(made, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(made, check_type=True, strict_mode=True)
    assert len(inferred.graph.value_info) > len(made.graph.value_info)


def test_height_and_width_are_free_and_the_batch_is_one():
    made = model(network(RESTORMER.cheapest), 3, 3)
    for end in (*made.graph.input, *made.graph.output):
        batch, channels, height, width = end.type.tensor_type.shape.dim
        assert (batch.dim_value, channels.dim_value) == (1, 3)
        assert (height.dim_param, width.dim_param) == ("height", "width")


def test_any_space_of_stages_is_written(tmp_path):
    stages = (
        Stage("in", 1, 1, 0, 1, (1,)),
        Stage("deep", 1, 2, 1, 2, (1,)),
        Stage("out", 1, 1, 0, 2, (1,)),
    )
    assert_parity(network((1, 0, 1), space=Space("three", stages)), tmp_path / "net.onnx")


def test_a_module_without_a_rule_is_named():
    net = network(RESTORMER.cheapest)
    net.stages["bottleneck"] = nn.Sequential(nn.Softsign())
    with pytest.raises(TypeError, match=r"^net has a Softsign, which has no ONNX form; expected"):
        model(net, 3, 3)
