"""What blocks and networks cost: MACs, parameters, peak memory and latency (figure 1, section 4.1).

MACs and parameters are exact counts (`models.counting`). Latencies hold for the machine and the
settings they were taken with (assumption A23); the harness that takes them is `timing`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from ensrepro.artifacts import cpu_model
from ensrepro.config import MambaIRShape, named
from ensrepro.models.counting import Macs, macs, parameters
from ensrepro.models.hybrid import Shape, surrogate_stage, teacher_stage
from ensrepro.models.mambair import VSSBlock
from ensrepro.models.restormer import RestormerBlock
from ensrepro.models.vanilla import VanillaAttentionBlock, attention_bytes
from ensrepro.space import RESTORMER, Space
from ensrepro.tiles import MIB
from ensrepro.timing import Conditions, Timing, measure

GIB = 2**30
MEASURED = "measured"
MIN_SECONDS = 0.2  # that a block is timed for, at least
SIDES = (16, 32, 64, 128, 256, 512)  # of the images that blocks are measured on
SMOKE_SIDE = 32  # the largest of them in profile `smoke`


def conditions(height: int, width: int, dtype: torch.dtype = torch.float32) -> Conditions:
    """The conditions of a run in torch on this machine, with the current number of threads."""
    return Conditions(
        resolution=f"{height}x{width}",
        dtype=str(dtype).removeprefix("torch."),
        threads=torch.get_num_threads(),
        runtime="torch",
        version=torch.__version__,
        cpu=cpu_model(),
    )


def peak_memory_mib(run: Callable[[], object]) -> float:
    """Largest sum of memory that torch's CPU allocator holds for one `run()`, in MiB.

    It is replayed from the allocations and releases that torch's profiler records: exact and
    repeatable, unlike the process size. What lives before the call (parameters, input) is not
    counted, nor is scratch memory that a library takes past torch's allocator, such as the tens of
    KiB a thread for the chunk of a scan that is in work.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # else the profiler announces itself
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profiler:
        run()
    with TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    steps = sorted((e["ts"], e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]")
    held = np.cumsum([0] + [step for _, step in steps])
    return float(held.max()) / MIB


BLOCKS: dict[str, Callable[[int], nn.Module]] = {
    "vanilla": VanillaAttentionBlock,
    "restormer": lambda width: RestormerBlock(width, heads=1, norm="with_bias"),
    "mambair": lambda width: VSSBlock(width, MambaIRShape()),  # assumption A6
}


@dataclass(frozen=True)
class BlockCost:
    """Cost of one block on one square image; `status` says why memory and timing may be missing."""

    block: str
    resolution: int
    macs: int
    params: int
    peak_memory_mib: float | None
    timing: Timing | None
    status: str

    def row(self) -> dict[str, Any]:
        """One line of a tidy table, with the median latency p50_ms."""
        columns = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "timing"}
        return columns | {"p50_ms": self.timing.p50_ms if self.timing else None}


def sides(largest: int, profile: str = "") -> tuple[int, ...]:
    """SIDES up to `largest`; in profile `smoke` no more than two of them, whatever is asked for."""
    if isinstance(largest, bool) or not isinstance(largest, int):
        raise TypeError(f"max_resolution is {largest!r}; expected an integer")
    if not SIDES[0] <= largest <= SIDES[-1]:
        raise ValueError(f"max_resolution is {largest}; expected {SIDES[0]} to {SIDES[-1]}")
    bound = min(largest, SMOKE_SIDE) if profile == "smoke" else largest
    return tuple(side for side in SIDES if side <= bound)


def profile_block(
    block: str, width: int, side: int, *, memory_bound_gib: float, min_runs: int
) -> BlockCost:
    """Cost of one of BLOCKS at `side` x `side` pixels, with random weights."""
    module = named("block", block, BLOCKS)(width).eval()
    counts = macs(module, (1, width, side, side)).total, parameters(module)
    needed = attention_bytes(side) / GIB if block == "vanilla" else 0.0
    if needed > memory_bound_gib:
        why = f"not run: attention takes {needed:.3g} GiB, the bound is {memory_bound_gib:g} GiB"
        return BlockCost(block, side, *counts, None, None, why)
    x, under = torch.rand(1, width, side, side), conditions(side, side)
    with torch.inference_mode():
        peak = peak_memory_mib(lambda: module(x))  # also the warm-up: kernels are compiled here
        timing = measure(
            lambda: module(x), min_runs=min_runs, min_seconds=MIN_SECONDS, warm_up=0, under=under
        )
    return BlockCost(block, side, *counts, peak, timing, MEASURED)


def profile_blocks(
    width: int = 48,
    resolutions: Sequence[int] = SIDES[:-1],
    *,
    blocks: Sequence[str] = tuple(BLOCKS),
    memory_bound_gib: float = 2.0,
    min_runs: int = 3,
    threads: int = 1,
    seed: int = 0,
) -> list[BlockCost]:
    """Cost of each block at each resolution (figure 1); vanilla attention stops at the bound."""
    limits = {"memory_bound_gib": memory_bound_gib, "min_runs": min_runs}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return [profile_block(b, width, s, **limits) for b in blocks for s in resolutions]
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class StageCost:
    """MACs of everything that may fill a stage, at the stage's own resolution `side`."""

    stage: str
    channels: int
    side: int
    teacher: Macs
    surrogates: dict[int, Macs]  # by depth, deepest first


def stage_costs(shape: Shape, side: int, space: Space = RESTORMER) -> list[StageCost]:
    """MACs of every choice of every stage, for a square image of `side` pixels a side."""
    costs = []
    with torch.device("meta"):
        for stage in space.stages:
            channels, own_side = shape.channels(stage), side // 2**stage.level
            on = (1, channels, own_side, own_side)
            surrogates = {d: macs(surrogate_stage(stage, d, shape), on) for d in stage.depths}
            teacher = macs(teacher_stage(stage, shape), on)
            costs.append(StageCost(stage.name, channels, own_side, teacher, surrogates))
    return costs
