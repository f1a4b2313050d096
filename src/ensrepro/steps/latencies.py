"""The latency of every architecture of a pair, as the search minimizes it (section 4.5).

Every choice of every stage is timed alone on this machine, and a latency is the sum of its stages'
(`costs`); whole networks of a random sample say how far such sums are off. Weights are random, at
the paper's width: no result of a training enters. ENS-Bench holds the same of the pairs that it was
built for; this step is for those without.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensrepro import config, costs
from ensrepro.artifacts import Provenance
from ensrepro.costs import Cost, Setting
from ensrepro.models.hybrid import network_shape
from ensrepro.space import Architecture
from ensrepro.steps.context import Context, Progress

STEP = "latencies"
SEED = 0  # of the sample of whole networks that are timed beside the sums
N_NETWORKS, N_IN_SMOKE = 8, 2  # in the sample


@dataclass(frozen=True)
class LatencyResult:
    """Measured choices (`costs.Cost`) and whole networks, on one image of `side` pixels a side.

    A network has its number, `latency_ms` and the `sum_ms` of its parts; `load` is the machine's
    mean load average meanwhile, 1 on a quiet one.
    """

    side: int
    width: int
    conditions: dict[str, Any]
    load: float
    costs: list[dict[str, Any]]
    networks: list[dict[str, Any]]


@dataclass(frozen=True)
class Latencies:
    """The latency of every architecture in ms, (n_architectures,), and what it was made from."""

    result: LatencyResult
    every: NDArray[np.float64]

    @property
    def sum_error(self) -> float:
        """Median error of the sums, as a share of the whole networks' latencies."""
        shares = [row["sum_ms"] / row["latency_ms"] - 1 for row in self.result.networks]
        return float(np.median(np.abs(shares)))

    def of(self, ctx: Context, architecture: Architecture) -> float:
        """The latency of one architecture in ms."""
        return float(self.every[ctx.space.index(architecture)])


def setting(ctx: Context) -> Setting:
    """The paper's width on 256 pixels; a profile too small for tables takes what is quick."""
    if ctx.profile.table_of:
        return Setting(ctx.shape, ctx.pair.multiple, min_seconds=0.0)
    return Setting(network_shape(config.PROFILES["paper"], ctx.task, ctx.pair))


def sample_size(ctx: Context) -> int:
    """How many whole networks are timed."""
    return N_IN_SMOKE if ctx.profile.table_of else N_NETWORKS


def make(ctx: Context, progress: Progress | None) -> tuple[LatencyResult, Provenance]:
    """Time every choice and some whole networks; a killed call goes on where it was."""
    started, asked = time.perf_counter(), setting(ctx)
    measured = costs.measure(
        asked,
        ctx.space,
        n_networks=sample_size(ctx),
        seed=SEED,
        checkpoint=ctx.store.checkpoint(STEP).with_suffix(".json"),
        progress=progress,
    )
    sums = costs.column(measured.costs, "latency_ms", ctx.space)
    result = LatencyResult(
        side=asked.side,
        width=asked.shape.width,
        conditions=asdict(asked.conditions()),
        load=measured.load,
        costs=[asdict(cost) for cost in measured.costs],
        networks=[row | {"sum_ms": float(sums[row["number"]])} for row in measured.networks],
    )
    return result, ctx.provenance(SEED, started)


def get(ctx: Context, progress: Progress | None = None) -> Latencies:
    """The latencies of the pair: from their file, or measured now."""
    asked = setting(ctx)
    identity = {
        "profile": ctx.profile.name,
        "task": ctx.task.name,
        "pair": ctx.pair.name,
        "shape": asdict(asked.shape),
        "side": asked.side,
        "threads": asked.threads,
        "n_networks": sample_size(ctx),
        "seed": SEED,
    }
    result = ctx.result(STEP, LatencyResult, identity, lambda: make(ctx, progress))
    measured = [Cost(**row) for row in result.costs]
    return Latencies(result, costs.column(measured, "latency_ms", ctx.space))
