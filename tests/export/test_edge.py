"""The rule for the edge block: all turns, one line or one pixel, one or both directions."""

from __future__ import annotations

import pytest
import torch
from onnx_networks import computed, scattered

from ensrepro.export.network import model
from ensrepro.models.edge import TURNS, EdgeBlock, EdgeBlockShape

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = ((5, 7), (9, 2), (1, 3), (1, 1))
BOTH = EdgeBlockShape(0.5, 1.0, is_bidirectional=True)
SHAPES = {"one way": EdgeBlockShape(), "both": BOTH, "control": EdgeBlockShape(has_state=False)}


@pytest.mark.parametrize("shape", [*SHAPES.values()], ids=SHAPES)
@pytest.mark.parametrize("position", range(len(TURNS)))
def test_an_edge_block(position: int, shape: EdgeBlockShape):
    torch.manual_seed(position)
    block = scattered(EdgeBlock(12, 4, position, shape), position)
    random = torch.Generator().manual_seed(4)
    for size in SIZES:
        x = torch.randn((1, 12, *size), generator=random)
        with torch.inference_mode():
            expected = block(x)
        assert (expected - x).abs().max() > 0.01  # it does something, even with one pixel
        torch.testing.assert_close(computed(block, x), expected, atol=5e-6, rtol=0)


@pytest.mark.parametrize(("shape", "n_loops"), [(EdgeBlockShape(), 1), (BOTH, 2)])
def test_everything_after_the_convolution_is_one_loop_a_direction(shape, n_loops: int):
    made = model(EdgeBlock(8, 8, 0, shape).eval(), 8, 8)
    kinds = [node.op_type for node in made.graph.node]
    assert kinds.count("Scan") == n_loops
    assert not {"MatMul", "Sigmoid", "Erf", "LayerNormalization", "Split"} & set(kinds)
