"""An ONNX graph under construction: nodes, weights, and the rules that write modules into it.

Why graphs are written node by node and not traced from `forward`: a trace of the selective scan is
either a loop in PyTorch or a call of the compiled kernel, and a trace keeps PyTorch's order of
operations, which is not the fastest in runtimes (benchmarks/export.py). A rule a module is short,
takes milliseconds where a trace takes half a minute a block, and has PyTorch as its test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

if TYPE_CHECKING:
    import onnx

OPSET = 18  # a later one would only shut out older runtimes: all that is used is in it
IR_VERSION = 8  # of the file format; goes with the opset

# what a weight may be needed as
CHANGES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "": lambda array: array,
    "T": lambda array: array.swapaxes(-1, -2),
    "per_channel": lambda array: array[:, None, None],  # for (1, C, H, W)
    "per_row": lambda array: array[:, None],  # (4, D) for (4, L, D)
}

Attributes = Mapping[str, Any]
Rule = Callable[["Graph", Any, str], str]  # (graph, module, name of its input) -> of its output
Rules = dict[type[nn.Module], Rule]


class Graph:
    """Values are known by name; `add` gives back the name of what a node computes.

    A graph `within` another is a loop's body: it sees the values of the outer one and keeps its
    weights there.
    """

    def __init__(self, rules: Rules, net: nn.Module, within: Graph | None = None) -> None:
        self.rules, self.net = rules, net
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, NDArray[Any]] = within.weights if within else {}
        self.counter: list[int] = within.counter if within else [0]
        names = {id(tensor): name for name, tensor in net.named_parameters()}
        self.names = within.names if within else names

    def fresh(self, kind: str) -> str:
        """A name that no other value has."""
        self.counter[0] += 1
        return f"{kind}_{self.counter[0]}"

    def outputs(
        self, kind: str, inputs: Sequence[str], n_outputs: int, attributes: Attributes
    ) -> list[str]:
        """A node with several outputs."""
        from onnx import helper

        names = [self.fresh(kind) for _ in range(n_outputs)]
        node = helper.make_node(kind, list(inputs), names, name=names[0])
        node.attribute.extend(helper.make_attribute(*item) for item in attributes.items())
        self.nodes.append(node)
        return names

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output; ONNX's own names of operators and attributes."""
        return self.outputs(kind, inputs, 1, attributes)[0]

    def loop(
        self,
        body: Graph,
        states: Sequence[tuple[str, str, str]],
        sequences: Sequence[tuple[str, str]],
        outputs: Sequence[str],
        axis: int = 0,
        is_backward: bool = False,
    ) -> list[str]:
        """A `Scan` along an axis of every sequence; gives the stacked outputs, in the same order.

        States are (name in the body, first value, next value in the body), sequences (name in the
        body, the whole).
        """
        from onnx import TensorProto, helper

        inputs = [name for name, _, _ in states] + [name for name, _ in sequences]
        results = [last for _, _, last in states] + list(outputs)
        ends = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
            for names in (inputs, results)
        ]
        step = helper.make_graph(body.nodes, body.fresh("body"), *ends)
        given = [first for _, first, _ in states] + [whole for _, whole in sequences]
        attributes = {"body": step, "num_scan_inputs": len(sequences)}
        for end, n in (("input", len(sequences)), ("output", len(outputs))):
            attributes |= {f"scan_{end}_axes": [axis] * n}
            attributes |= {f"scan_{end}_directions": [int(is_backward)] * n}
        return self.outputs("Scan", given, len(results), attributes)[len(states) :]

    def split(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        """Consecutive parts of a value along an axis."""
        return self.outputs("Split", [x, self.integers(*sizes)], len(sizes), {"axis": axis})

    def integers(self, *values: int) -> str:
        """A constant vector, such as a shape or axes."""
        return self.constant("_".join(["ints", *map(str, values)]), np.asarray(values, np.int64))

    def number(self, value: float) -> str:
        """A constant scalar."""
        return self.constant(f"number_{value!r}", np.asarray(value, np.float32))

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """An array under a name that stands for this very array."""
        self.weights.setdefault(name, np.asarray(array, order="C"))
        return name

    def array(self, parameter: Tensor) -> NDArray[Any]:
        """The values of a parameter."""
        return parameter.detach().cpu().numpy()

    def weight(self, parameter: Tensor, change: str = "") -> str:
        """A parameter under its own name, or one of CHANGES of it under a derived name."""
        name = f"{self.names[id(parameter)]}{change and '.'}{change}"
        return self.constant(name, CHANGES[change](self.array(parameter)))

    def put(self, module: nn.Module, x: str) -> str:
        """What `module` makes of a value, by the rule of its type."""
        if type(module) not in self.rules:
            known = ", ".join(kind.__name__ for kind in self.rules)
            raise TypeError(
                f"net has a {type(module).__name__}, which has no ONNX form; expected: {known}"
            )
        return self.rules[type(module)](self, module, x)
