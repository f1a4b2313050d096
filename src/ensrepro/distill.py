"""Feature-wise distillation: surrogates that imitate one stage of the teacher each (section 3.3).

    loss = mean |S(x) - T(x)|

x the teacher's own input of the stage, T the stage's teacher blocks, S the surrogate. A whole stage
is imitated, not a block (assumption A2), in L1 (A3), from clean teacher features (A5). Surrogates
are independent of one another, so any number of processes can share the work.
B, C, h, w: batch, channels, height and width at the stage's level; n: number of cached patches.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ensrepro import data
from ensrepro.config import Distillation, Phase, Schedule
from ensrepro.models.hybrid import NetworkShape, UNet, surrogate_stage
from ensrepro.models.mambair import zero_output
from ensrepro.space import Space, Stage
from ensrepro.training import History, fit

Key = tuple[str, int]  # (stage name, depth)
CACHE_BATCH = 8  # patches run through the teacher at once
FEATURE_SEED = 1000  # offset that keeps cached patches apart from the teacher's training batches


class StageIO(NamedTuple):
    """A stage's inputs and outputs in the teacher, (n, C, h, w) each."""

    inputs: Tensor
    outputs: Tensor


class Fidelity(NamedTuple):
    """How well a surrogate imitates: |T - S| / |T| and 1 - |T - S|^2 / |T - x|^2, L2 norms."""

    relative_error: float
    explained: float


@dataclass(frozen=True)
class Distilled:
    """A trained surrogate and its training."""

    key: Key
    module: nn.Sequential
    history: History


@torch.no_grad()
def stage_io(teacher: UNet, images: Tensor) -> dict[str, StageIO]:
    """Inputs and outputs of every stage for images (n, C_in, H, W)."""
    stem = teacher.stem(images)
    outputs: list[Tensor] = []
    pairs = {}
    for stage in teacher.space.stages:
        x = teacher.enter(stage, stem, outputs)
        outputs.append(teacher.stages[stage.name](x))
        pairs[stage.name] = StageIO(x, outputs[-1])
    return pairs


def feature_files(folder: Path, stage: str) -> tuple[Path, Path]:
    """The files of a stage's cached inputs and outputs."""
    return folder / f"{stage}.inputs.npy", folder / f"{stage}.outputs.npy"


def cache_features(
    teacher: UNet, task: str, settings: Distillation, seed: int, folder: Path
) -> None:
    """Run the teacher once over the training patches and keep every stage's inputs and outputs.

    One pair of float32 files a stage, (n_patches, C, h, w). A `complete` mark makes a killed run
    start over instead of training on half a cache.
    """
    mark = folder / "complete"
    if mark.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[Path, np.ndarray] = {}
    for start in range(0, settings.n_patches, CACHE_BATCH):
        size = min(CACHE_BATCH, settings.n_patches - start)
        phase = Phase(1, size, settings.patch)
        degraded, _ = data.training_batch(task, FEATURE_SEED + seed, start, phase)
        for stage, pair in stage_io(teacher, degraded).items():
            for path, features in zip(feature_files(folder, stage), pair, strict=True):
                if path not in arrays:
                    shape = (settings.n_patches, *features.shape[1:])
                    arrays[path] = np.lib.format.open_memmap(path, "w+", np.float32, shape)
                arrays[path][start : start + size] = features.numpy()
    for array in arrays.values():
        array.flush()
    mark.touch()


def cached_features(folder: Path, stage: str) -> StageIO:
    """A stage's cached features, mapped from disk."""
    inputs, outputs = (
        torch.from_numpy(np.load(path, mmap_mode="c")) for path in feature_files(folder, stage)
    )
    return StageIO(inputs, outputs)


def feature_batch(features: StageIO, seed: int, step: int, phase: Phase) -> tuple[Tensor, Tensor]:
    """`phase.batch` cached pairs, a pure function of (seed, step)."""
    rng = np.random.default_rng([seed, step])
    chosen = torch.from_numpy(rng.choice(len(features.inputs), phase.batch, replace=False))
    return features.inputs[chosen], features.outputs[chosen]


def schedule_of(stage: Stage, settings: Distillation) -> Schedule:
    """The longer schedule at full resolution, else the other."""
    return settings.full_resolution if stage.level == 0 else settings.schedule


def distill(
    stage: Stage,
    depth: int,
    shape: NetworkShape,
    features: StageIO,
    settings: Distillation,
    *,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> Distilled:
    """Train one surrogate of `depth` blocks on a stage's features."""
    if depth not in stage.depths:
        raise ValueError(f"{stage.name}: depth is {depth}; expected one of {stage.depths}")
    torch.manual_seed(seed)
    surrogate = surrogate_stage(stage, depth, shape)
    for block in surrogate:
        zero_output(block)  # assumption A20: an untrained surrogate is nearly the identity
    history = fit(
        surrogate,
        partial(feature_batch, features, seed),
        schedule_of(stage, settings),
        seed=seed,
        checkpoint=checkpoint,
    )
    return Distilled((stage.name, depth), surrogate, history)


@torch.no_grad()
def fidelity(surrogate: nn.Module, features: StageIO) -> Fidelity:
    """The surrogate's feature error on a stage's features."""
    error = (surrogate(features.inputs) - features.outputs).square().sum()
    power = features.outputs.square().sum()
    change = (features.outputs - features.inputs).square().sum()
    return Fidelity((error / power).sqrt().item(), (1 - error / change).item())


def _worker(
    space: Space, shape: NetworkShape, settings: Distillation, seed: int, folder: Path, key: Key
) -> Distilled:
    """Distill one surrogate in a process of its own, on one thread."""
    torch.set_num_threads(1)
    name, depth = key
    return distill(
        space.stage(name),
        depth,
        shape,
        cached_features(folder, name),
        settings,
        seed=seed,
        checkpoint=folder / f"surrogate-{name}-{depth}.pt",
    )


def distill_many(
    keys: tuple[Key, ...],
    space: Space,
    shape: NetworkShape,
    settings: Distillation,
    *,
    folder: Path,
    seed: int = 0,
    processes: int = 1,
) -> Iterator[Distilled]:
    """Train surrogates from the features cached in `folder`, dearest first, as they get ready.

    Checkpoints stay in `folder`, so a killed run goes on where each surrogate was.
    """
    dearest_first = sorted(keys, key=lambda key: (space.stage(key[0]).level, -key[1]))
    work = partial(_worker, space, shape, settings, seed, folder)
    if processes == 1:
        done: Iterator[Distilled] = map(work, dearest_first)
    else:
        executor = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
        done = executor.map(work, dearest_first)
    yield from done
