"""What every choice of every stage costs at full width: parameters, MACs, latency.

All three are sums over the stages plus what belongs to no stage (`GLUE`: stem, down, up, reduce,
output). For parameters and MACs that is arithmetic; for latency it is a claim, so whole networks
are timed too, for a random sample of architectures. Weights are random: latency hardly depends on
them. The process keeps the memory it frees, as inference runtimes do (`exhaustive.keep_memory`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ensrepro import artifacts, exhaustive, latency, timing
from ensrepro.models.counting import macs, parameters
from ensrepro.models.hybrid import Shape, UNet, build, surrogate_stage, teacher_stage
from ensrepro.space import TEACHER, Space, Stage, sampled
from ensrepro.terminal import Progress
from ensrepro.timing import Conditions, Timing

GLUE = "glue"
WARM_UP, MIN_RUNS, MIN_SECONDS = 1, 5, 1.0


@dataclass(frozen=True)
class Setting:
    """Networks of `shape` on one square image of `side` pixels, on `threads` threads.

    A choice is timed for `min_seconds` at least.
    """

    shape: Shape
    side: int = 256
    threads: int = 1
    min_seconds: float = MIN_SECONDS

    def conditions(self) -> Conditions:
        """Those that hold while these networks are timed."""
        found = latency.conditions(self.side, self.side)
        runtime = f"{found.runtime}, freed memory kept"
        return replace(found, threads=self.threads, runtime=runtime)


@dataclass(frozen=True)
class Cost:
    """One choice of one stage, or the glue (choice 0); latency is the median of `n` runs."""

    stage: str
    choice: int
    params: int
    macs: int
    latency_ms: float
    n: int
    drift: float


def glue(shape: Shape, space: Space) -> UNet:
    """A network whose stages do nothing."""
    return UNet(shape, [nn.Identity() for _ in space.stages], space)


def filling(stage: Stage, choice: int, shape: Shape) -> nn.Module:
    """What a choice puts into a stage, with random weights."""
    if choice == TEACHER:
        return teacher_stage(stage, shape)
    return surrogate_stage(stage, stage.depth(choice), shape)


def timed(module: nn.Module, x: torch.Tensor, runs: int, seconds: float, warm_up: int) -> Timing:
    """Time of the module on `x`, without gradients."""
    module.eval()
    with torch.inference_mode():
        return timing.measure(
            lambda: module(x), min_runs=runs, min_seconds=seconds, warm_up=warm_up
        )


def cost(setting: Setting, space: Space, stage: Stage | None, choice: int) -> Cost:
    """One row of the table; no stage: the glue."""
    if stage is None:
        module, on = glue(setting.shape, space), (1, setting.shape.in_channels)
        side = setting.side
    else:
        module, on = filling(stage, choice, setting.shape), (1, setting.shape.channels(stage))
        side = setting.side // 2**stage.level
    found = timed(module, torch.rand(*on, side, side), MIN_RUNS, setting.min_seconds, WARM_UP)
    return Cost(
        stage.name if stage else GLUE,
        choice,
        parameters(module),
        macs(module, (*on, side, side)).total,
        found.p50_ms,
        found.n,
        found.drift,
    )


def whole(setting: Setting, space: Space, number: int) -> float:
    """Latency of a whole network in ms: one run, after one that warms up."""
    network = build(space.architecture(number), setting.shape, space)
    image = torch.rand(1, setting.shape.in_channels, setting.side, setting.side)
    return timed(network, image, 1, 0.0, WARM_UP).p50_ms


def summed(value: Mapping[tuple[str, int], float], space: Space) -> NDArray[Any]:
    """The sum over glue and stages for every architecture, (n_architectures,).

    `value` is that of (stage, choice), of the glue (GLUE, 0).
    """
    total = np.array([value[GLUE, 0]])
    for stage in space.stages:
        own = np.array([value[stage.name, choice] for choice in range(stage.n_choices)])
        total = np.add.outer(total, own).ravel()
    return total


def column(costs: Sequence[Cost], name: str, space: Space) -> NDArray[Any]:
    """The sum of one kind of cost for every architecture, (n_architectures,)."""
    return summed({(cost.stage, cost.choice): getattr(cost, name) for cost in costs}, space)


@dataclass(frozen=True)
class Measurements:
    """Costs of all choices and the glue; whole networks: number and latency_ms.

    `load` is the machine's mean load average (runnable processes) meanwhile: 1 on a quiet one.
    """

    costs: list[Cost]
    networks: list[dict[str, Any]]
    load: float


def measure(
    setting: Setting,
    space: Space,
    *,
    n_networks: int,
    seed: int,
    checkpoint: Path,
    progress: Progress | None = None,
) -> Measurements:
    """Every choice, then `n_networks` whole networks; what `checkpoint` holds is not done again."""
    exhaustive.keep_memory()
    choices: list[tuple[Stage | None, int]] = [(None, 0)]
    choices += [(stage, choice) for stage in space.stages for choice in range(stage.n_choices)]
    under = {"conditions": asdict(setting.conditions()), "shape": asdict(setting.shape)}
    identity = artifacts.plain(under | {"seed": seed})
    done: dict[str, Any] = {"identity": identity, "costs": [], "networks": [], "load": []}
    if checkpoint.exists():
        found = json.loads(checkpoint.read_text("utf-8"))
        done = found if found["identity"] == identity else done
    threads = torch.get_num_threads()
    torch.set_num_threads(setting.threads)
    try:
        for stage, choice in choices[len(done["costs"]) :]:
            done["costs"].append(asdict(cost(setting, space, stage, choice)))
            done["load"].append(os.getloadavg()[0])
            artifacts.write_bytes(checkpoint, json.dumps(done).encode())
            if progress is not None:
                progress("latency of choices", len(done["costs"]), len(choices))
        for number in sampled(space, n_networks, seed)[len(done["networks"]) :]:
            row = {"number": number, "latency_ms": whole(setting, space, number)}
            done["networks"].append(row)
            done["load"].append(os.getloadavg()[0])
            artifacts.write_bytes(checkpoint, json.dumps(done).encode())
            if progress is not None:
                progress("latency of networks", len(done["networks"]), n_networks)
    finally:
        torch.set_num_threads(threads)
    rows = [Cost(**row) for row in done["costs"]]
    return Measurements(rows, done["networks"], float(np.mean(done["load"])))
