"""The edge block beside Restormer's and MambaIR's: `python benchmarks/edge.py`.

Blocks and whole networks as exported, in onnxruntime on one and on two threads, and the training of
blocks in PyTorch; all in alternation, so that ratios hold even where milliseconds do not. Weights
are random: latency hardly depends on them. On one thread times are of the process, else of the
clock on the wall, so other work on the machine shows in them.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Sequence

import onnxruntime
import torch
from export import LEVELS, MINI, PAPER, Form, printed, report
from torch import nn

from ensrepro.export.network import RULES
from ensrepro.models.edge import EdgeBlock, EdgeBlockShape, EdgeShape
from ensrepro.models.hybrid import NetworkShape, UNet, build
from ensrepro.models.mambair import VSSBlock
from ensrepro.models.restormer import RestormerBlock
from ensrepro.space import RESTORMER

WIDTH = 48  # channels of the stem: the paper's
JOINED = (96, 256, 1)  # C, H = W, heads of decoder_1 and refinement
NARROW = 8  # of the profiles that are trained here
# C, H = W, channels of the stem, MambaIR's shape, images
TRAINED = (
    (8, 64, NARROW, MINI, 4),
    (16, 64, NARROW, MINI, 4),
    (64, 8, NARROW, MINI, 4),
    (48, 64, WIDTH, PAPER, 1),
    (192, 16, WIDTH, PAPER, 1),
)
ROUNDS = 5


def blocks(levels: Sequence[tuple[int, int, int]], threads: int) -> None:
    """Each level's Restormer block and edge blocks along both axes."""
    both = EdgeBlockShape(is_bidirectional=True)
    for channels, side, heads in levels:
        forms: dict[str, Form] = {
            name: (block.eval(), RULES)
            for name, block in {
                "Restormer": RestormerBlock(channels, heads, "with_bias"),
                "edge, down": EdgeBlock(channels, WIDTH, 0),
                "edge, right": EdgeBlock(channels, WIDTH, 1),
                "edge, down and up": EdgeBlock(channels, WIDTH, 0, both),
                "edge, twice the states": EdgeBlock(channels, WIDTH, 0, EdgeBlockShape(0.5)),
                "edge, no state": EdgeBlock(channels, WIDTH, 0, EdgeBlockShape(has_state=False)),
            }.items()
        }
        report(f"blocks as exported, threads: {threads}", forms, channels, side, threads)


def fewest_blocks(shape: NetworkShape) -> UNet:
    """The hybrid with the shallowest surrogate everywhere."""
    return build(RESTORMER.cheapest, shape, RESTORMER).eval()


def networks(side: int, threads: int) -> None:
    """Restormer and the hybrids of two surrogate blocks a stage, at the paper's width."""
    forms: dict[str, Form] = {
        name: (net, RULES)
        for name, net in {
            "Restormer": build(RESTORMER.teacher, NetworkShape(WIDTH)).eval(),
            "edge, fewest blocks": fewest_blocks(EdgeShape(WIDTH)),
            "MambaIR, fewest blocks": fewest_blocks(NetworkShape(WIDTH, mambair=PAPER)),
        }.items()
    }
    report(f"networks of width {WIDTH}, threads: {threads}", forms, 3, side, threads)


def trained(block: nn.Module, x: torch.Tensor) -> float:
    """Milliseconds of the process for one forward and one backward pass."""
    before = time.process_time()
    block(x).square().mean().backward()
    return 1e3 * (time.process_time() - before)


def training() -> None:
    """Forward and backward of one block in PyTorch, on one thread."""
    for channels, side, width, shape, n_images in TRAINED:
        print(f"\ntraining, {channels} channels, {side} x {side} pixels, images: {n_images}")
        x = torch.randn(n_images, channels, side, side, requires_grad=True)
        pair = {
            "MambaIR": VSSBlock(channels, shape),
            "edge, down": EdgeBlock(channels, width, 0),
            "edge, right": EdgeBlock(channels, width, 1),
        }
        runs = [{name: trained(block, x) for name, block in pair.items()} for _ in range(ROUNDS)]
        printed({name: min(run[name] for run in runs) for name in pair})


def main() -> None:
    """All tables; --small stays under a minute."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="two levels, small networks")
    small = parser.parse_args().small
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(f"onnxruntime {onnxruntime.__version__}, {platform.machine()}")
    levels = LEVELS[1:3] if small else (*LEVELS, JOINED)
    with torch.inference_mode():
        for threads in (1, 2):
            blocks(levels, threads)
            networks(64 if small else 256, threads)
    training()


if __name__ == "__main__":
    main()
