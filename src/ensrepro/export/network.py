"""The whole network as one ONNX graph: the U-Net's glue, and the rules of everything in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from ensrepro.export import edge, layers, ssm, uformer
from ensrepro.export.graph import IR_VERSION, OPSET, Graph, Rules
from ensrepro.models.hybrid import UNet
from ensrepro.runtime import required
from ensrepro.space import Stage

if TYPE_CHECKING:
    import onnx

INPUT, OUTPUT = "image", "restored"


def enter(graph: Graph, net: UNet, stage: Stage, stem: str, outputs: Sequence[str]) -> str:
    """`UNet.enter`: input of a stage from the outputs of all stages before it."""
    x = outputs[-1] if outputs else stem
    if stage.name in net.down:
        x = graph.put(net.down[stage.name], x)
    elif stage.name in net.up:
        x = graph.put(net.up[stage.name], x)
        x = graph.add("Concat", x, outputs[net.skip_of[stage.name]], axis=1)
        if stage.name in net.reduce:
            x = graph.put(net.reduce[stage.name], x)
    return x


def leave(graph: Graph, net: UNet, image: str, stem: str, refined: str) -> str:
    """`UNet.leave`: the restored image from the last stage's output."""
    if net.shape.is_dual_pixel:
        refined = graph.add("Add", refined, graph.put(net.skip_conv, stem))
        return graph.put(net.output, refined)
    return graph.add("Add", graph.put(net.output, refined), image)


def unet(graph: Graph, net: UNet, image: str) -> str:
    """(1, C_in, H, W) -> (1, C_out, H, W)."""
    stem = graph.put(net.stem, image)
    outputs: list[str] = []
    for stage in net.space.stages:
        x = enter(graph, net, stage, stem, outputs)
        outputs.append(graph.put(net.stages[stage.name], x))
    return leave(graph, net, image, stem, outputs[-1])


RULES: Rules = layers.RULES | ssm.RULES | edge.RULES | uformer.RULES | {UNet: unet}


def stored(graph: Graph) -> list[onnx.TensorProto]:
    """The weights as the file has them: in float16 where that loses nothing, then cast at loading.

    The casts stand before all nodes; runtimes fold them.
    """
    from onnx import TensorProto, helper, numpy_helper

    tensors, casts = [], []
    for name, array in graph.weights.items():
        with np.errstate(over="ignore"):  # what overflows is not equal below
            half = array.astype(np.float16) if array.dtype == np.float32 else array
        if half.dtype == np.float16 and array.size > 1 and np.array_equal(half, array):
            tensors.append(numpy_helper.from_array(half, f"{name}.half"))
            casts.append(
                helper.make_node("Cast", [f"{name}.half"], [name], name=name, to=TensorProto.FLOAT)
            )
        else:
            tensors.append(numpy_helper.from_array(array, name))
    graph.nodes[:0] = casts
    return tensors


def model(
    module: nn.Module, in_channels: int, out_channels: int, rules: Rules = RULES
) -> onnx.ModelProto:
    """A network or a part of it, (1, C_in, height, width) -> (1, C_out, height, width)."""
    required("onnx")
    from onnx import TensorProto, helper

    graph = Graph(rules, module)
    last = graph.put(module, INPUT)
    graph.nodes.append(helper.make_node("Identity", [last], [OUTPUT], name=OUTPUT))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, "height", "width"])
        for name, channels in ((INPUT, in_channels), (OUTPUT, out_channels))
    ]
    weights = stored(graph)
    whole = helper.make_graph(graph.nodes, "ensrepro", ends[:1], ends[1:], weights)
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(whole, opset_imports=[opset], ir_version=IR_VERSION)
