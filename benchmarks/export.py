"""Forms of the exported blocks in onnxruntime, in alternation: `python benchmarks/export.py`.

Three questions: what the rules' order of operations gains over PyTorch's, how long the chunks of
the selective scan should be, and what a MambaIR block costs beside a Restormer block. Times are
process CPU milliseconds on one thread, the least of alternating runs; compare within a table only.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Sequence
from functools import partial

import numpy as np
import onnxruntime
import torch
from torch import nn

from ensrepro.config import MambaIRShape
from ensrepro.export import layers, ssm
from ensrepro.export.graph import Graph, Rules
from ensrepro.export.network import INPUT, OUTPUT, RULES, model
from ensrepro.export.session import inference_session
from ensrepro.models.mambair import SS2D, VSSBlock
from ensrepro.models.restormer import GDFN, MDTA, BiasFreeNorm, RestormerBlock

Form = tuple[nn.Module, Rules]
SECONDS = 4.0  # for one table, at least
MINI, PAPER = MambaIRShape(1.0, 4, 16), MambaIRShape(1.5, 16)
LEVELS = ((48, 256, 1), (96, 128, 2), (192, 64, 4), (384, 32, 8))  # C, H = W, heads of 256 x 256
CHUNKS = (1, 4, 16, 64)


# ---------------------------------------------------------------- PyTorch's order of operations


def plain_norm(graph: Graph, module: BiasFreeNorm, x: str) -> str:
    """Means over an axis in the middle."""
    channels = graph.integers(1)
    centered = graph.add("Sub", x, graph.add("ReduceMean", x, channels))
    squares = graph.add("ReduceMean", graph.add("Mul", centered, centered), channels)
    std = graph.add("Sqrt", graph.add("Add", squares, graph.number(layers.EPS)))
    return graph.add("Mul", graph.add("Div", x, std), graph.weight(module.weight, "per_channel"))


def plain_mdta(graph: Graph, module: MDTA, x: str) -> str:
    """One convolution for all three, normalized queries and keys."""
    channels, heads = module.project_out.in_channels, module.heads
    qkv = graph.put(module.qkv_dwconv, graph.put(module.qkv, x))
    by_head, last = graph.integers(1, heads, channels // heads, -1), graph.integers(3)
    q, k, v = (graph.add("Reshape", t, by_head) for t in graph.split(qkv, [channels] * 3, 1))
    least = graph.number(layers.SMALLEST_NORM)
    q, k = (
        graph.add("Div", t, graph.add("Max", graph.add("ReduceL2", t, last), least)) for t in (q, k)
    )
    cosines = graph.add("MatMul", q, graph.add("Transpose", k, perm=(0, 1, 3, 2)))
    scores = graph.add("Mul", cosines, graph.weight(module.temperature))
    out = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), v)
    return graph.put(module.project_out, graph.add("Reshape", out, graph.add("Shape", x)))


def plain_gdfn(graph: Graph, module: GDFN, x: str) -> str:
    """One convolution for both, of as many channels as there are."""
    both = graph.put(module.dwconv, graph.put(module.project_in, x))
    gate, value = graph.split(both, [module.project_out.in_channels] * 2, 1)
    gated = graph.add("Mul", layers.gelu(graph, gate), value)
    return graph.put(module.project_out, gated)


PLAIN = RULES | {BiasFreeNorm: plain_norm, MDTA: plain_mdta, GDFN: plain_gdfn}


# ---------------------------------------------------------------- measuring


def alternate(
    forms: dict[str, Form], channels: int, side: int, threads: int = 1
) -> dict[str, float]:
    """Milliseconds of each form, on one thread those of the process.

    The outputs of forms of one module must agree.
    """
    clock = time.process_time if threads == 1 else time.perf_counter
    feed = {INPUT: torch.randn(1, channels, side, side).numpy()}
    runs, seen, least = {}, {}, {}
    for name, (module, rules) in forms.items():
        content = model(module, channels, channels, rules).SerializeToString()
        runs[name] = partial(inference_session(content, threads).run, [OUTPUT], feed)
        output = runs[name]()[0]
        np.testing.assert_allclose(output, seen.setdefault(id(module), output), atol=1e-3)
    start = time.perf_counter()
    while time.perf_counter() - start < SECONDS or len(least) < len(runs):
        for name, run in runs.items():
            before = clock()
            run()
            spent = 1e3 * (clock() - before)
            least[name] = min(spent, least.get(name, spent))
    return least


def report(title: str, forms: dict[str, Form], channels: int, side: int, threads: int = 1) -> None:
    """One table: milliseconds, and how many times as fast as the first."""
    print(f"\n{title}, {channels} channels, {side} x {side} pixels")
    printed(alternate(forms, channels, side, threads))


def printed(times: dict[str, float]) -> None:
    """The lines of a table."""
    first = next(iter(times.values()))
    for name, ms in times.items():
        print(f"  {name:<28}{ms:10.2f} ms {first / ms:8.2f}x")


def orders(levels: Sequence[tuple[int, int, int]]) -> None:
    """The Restormer block in PyTorch's order and in that of the rules."""
    for channels, side, heads in levels:
        for norm in ("with_bias", "bias_free"):
            block = RestormerBlock(channels, heads, norm).eval()
            forms = {"PyTorch's order": (block, PLAIN), "exported": (block, RULES)}
            report(f"Restormer block, {norm}", forms, channels, side)


def chunk_lengths(shape: MambaIRShape, widths: Sequence[tuple[int, int]]) -> None:
    """The MambaIR block with chunks of several lengths."""
    for channels, side in widths:
        block = VSSBlock(channels, shape).eval()
        values = block.self_attention.A_logs.numel()
        forms = {
            f"chunks of {n}": (block, RULES | {SS2D: partial(ssm.ss2d, n_steps=n)}) for n in CHUNKS
        }
        report(f"MambaIR block of {values} values a step", forms, channels, side)


def premise(levels: Sequence[tuple[int, int, int]]) -> None:
    """Is the state-space block the cheaper one?"""
    for channels, side, heads in levels:
        forms = {
            "Restormer": (RestormerBlock(channels, heads, "with_bias").eval(), RULES),
            "MambaIR": (VSSBlock(channels, PAPER).eval(), RULES),
        }
        report("blocks as exported", forms, channels, side)


def main() -> None:
    """All tables; --small stays under a minute."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="two levels instead of four")
    small = parser.parse_args().small
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(f"onnxruntime {onnxruntime.__version__}, {platform.machine()}, one thread")
    levels = LEVELS[1:3] if small else LEVELS
    orders(levels)
    chunk_lengths(MINI, [(8, 64), (64, 32)])
    chunk_lengths(PAPER, [(48, 64), (192, 32)])
    premise(levels)


if __name__ == "__main__":
    with torch.inference_mode():
        main()
