"""Ratios of the scan's backends, all measured in this one run: `make bench`.

Times are process CPU milliseconds, the smallest of a few repeats, on the stated number of threads;
other work on the machine still inflates them, so compare within one table only. The reference is
the plain loop on steps that were taken apart once (`unbind`), not the quadratic one on slices.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable

import torch
from torch import Tensor

from ensrepro.config import MambaIRShape
from ensrepro.models import scan
from ensrepro.models.mambair import VSSBlock
from ensrepro.models.restormer import RestormerBlock

SEQUENCE = {"length": 16384, "channels": 96, "states": 16}  # one group
TARGETS = {"numba": (15, 20), "torch": (4, 4)}  # times the reference: forward, with backward
REPEATS = {"reference": 2, "torch": 3, "numba": 7}
IMAGES = ((4, 64, 16, 4, 1), (4, 64, 32, 4, 2), (1, 128, 96, 16, 3))  # B, H = W, D, N, R
STAGES = ((8, 64, 1), (16, 64, 1), (16, 32, 2), (32, 16, 4), (64, 8, 8))  # C, H = W, heads
MINI = MambaIRShape(expand=1.0, d_state=4, inner_multiple=16)
BATCH = 4


def cpu_ms(call: Callable[[], object], repeats: int) -> float:
    """The least process CPU time of a call in milliseconds, after one that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def both_ways(call: Callable[[], Tensor], repeats: int) -> tuple[float, float]:
    """Milliseconds of a call without gradients, and of one with its backward pass."""

    def forward() -> None:
        with torch.no_grad():
            call()

    return cpu_ms(forward, repeats), cpu_ms(lambda: call().sum().backward(), repeats)


def leaves(*tensors: Tensor) -> list[Tensor]:
    """The tensors, from now on with gradients."""
    return [t.requires_grad_() for t in tensors]


def random_sequence(length: int, channels: int, states: int) -> list[Tensor]:
    """Arguments of selective_scan with one group."""
    decays = -torch.arange(1.0, states + 1).repeat(channels, 1)
    u, delta = torch.randn(2, 1, channels, length)
    B, C = torch.randn(2, 1, 1, states, length)
    return leaves(u, delta - 3, decays, B, C, torch.ones(channels), torch.zeros(channels))


def random_image(batch: int, side: int, channels: int, states: int, rank: int) -> list[Tensor]:
    """Arguments of scan_2d."""
    x = torch.randn(batch, side, side, channels)
    rows = torch.randn(batch, side, side, 4, rank + 2 * states)
    weight, bias = torch.randn(4, channels, rank), torch.full((4, channels), -3.0)
    decays = -torch.arange(1.0, states + 1).repeat(4, channels, 1)
    return leaves(x, rows, weight, bias, decays, torch.ones(4, channels))


def line(name: str, ms: tuple[float, float], base: tuple[float, float], note: str = "") -> None:
    """One row of a table."""
    ratios = f"{base[0] / ms[0]:6.1f}x {base[1] / ms[1]:6.1f}x"
    print(f"  {name:<28}{ms[0]:10.2f} {ms[1]:10.2f}   {ratios}   {note}".rstrip())


def header(what: str) -> None:
    """The head of a table."""
    print(f"\n{what}\n  {'':<28}{'forward':>10} {'+ backward':>10}   {'':>4}faster than the first")


def compare_backends() -> None:
    """Every backend against the reference loop."""
    header("One sequence, L = 16384, D = 96, N = 16, one group (CPU ms)")
    given, base = random_sequence(**SEQUENCE), None
    for backend, repeats in REPEATS.items():
        ms = both_ways(lambda b=backend: scan.selective_scan(*given, backend=b), repeats)
        base = base or ms
        target = TARGETS.get(backend)
        line(backend, ms, base, f"wanted: {target[0]}x, {target[1]}x" if target else "")


def compare_fusion() -> None:
    """The kernel that reads the image in four orders against four sequences made from it."""
    for batch, side, channels, states, rank in IMAGES:
        header(
            f"Four directions, B = {batch}, {side}x{side}, D = {channels}, N = {states} (CPU ms)"
        )
        given = random_image(batch, side, channels, states, rank)
        order = scan.reading_orders(side, side)
        flat = [t.flatten(1, 2) for t in given[:2]]

        def apart(order: Tensor = order, flat: list = flat, given: list = given) -> Tensor:
            return scan._scan_sequences("numba", order, *flat, *given[2:])

        base = both_ways(apart, 5)
        line("numba, four sequences", base, base)
        line("numba, fused", both_ways(lambda g=given: scan.scan_2d(*g, backend="numba"), 5), base)


def compare_blocks() -> None:
    """A MambaIR block against the Restormer block of the same stage."""
    for channels, side, heads in STAGES:
        header(f"One block, B = {BATCH}, C = {channels}, {side}x{side} (CPU ms)")
        x = torch.randn(BATCH, channels, side, side, requires_grad=True)
        blocks = {
            "Restormer": RestormerBlock(channels, heads, "bias_free"),
            "MambaIR, expand 1, N = 4": VSSBlock(channels, MINI),
            "MambaIR, expand 1.5, N = 16": VSSBlock(channels),
        }
        base = None
        for name, block in blocks.items():
            ms = both_ways(lambda b=block, x=x: b(x), 7)
            base = base or ms
            line(name, ms, base)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="of torch and of the kernels")
    torch.set_num_threads(parser.parse_args().threads)
    torch.manual_seed(0)
    machine = f"{platform.machine()}, {platform.system()}, torch {torch.__version__}"
    print(f"{machine}; {torch.get_num_threads()} thread(s); process CPU time, least of repeats")
    print(f"Kernels compiled, or loaded from numba's cache on disk, in {scan.warm_up():.1f} s")
    compare_backends()
    compare_fusion()
    compare_blocks()


if __name__ == "__main__":
    main()
