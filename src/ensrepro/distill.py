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
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ensrepro import artifacts, data
from ensrepro.config import Distillation, Phase, Schedule
from ensrepro.models.hybrid import Shape, UNet, surrogate_stage
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


class Weights(NamedTuple):
    """A trained surrogate as it travels between processes.

    Arrays, because a tensor would keep one file open each, and a pool has over 2000.
    """

    arrays: dict[str, np.ndarray]
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

    One pair of float32 files a stage, (n_patches, C, h, w). The file `complete`, written last, says
    what is cached: without it a killed run starts over instead of training on half a cache.
    """
    mark = folder / "complete"
    asked = f"{settings.n_patches} patches of {settings.patch} pixels, task {task}, seed {seed}\n"
    if mark.exists():
        found = mark.read_text()
        if found != asked:
            raise ValueError(
                f"{folder} caches {found.strip()}; expected {asked.strip()}; "
                "delete it to start anew"
            )
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
    artifacts.write_bytes(mark, asked.encode())


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


def untrained(stage: Stage, depth: int, shape: Shape, seed: int) -> nn.Sequential:
    """A surrogate with MambaIR's own random start; torch's global generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return surrogate_stage(stage, depth, shape)


def imitate(
    surrogate: nn.Sequential,
    features: StageIO,
    schedule: Schedule,
    *,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> History:
    """Train any stack of blocks on features, from a start that is the identity (assumption A20)."""
    for block in surrogate:
        block.zero_output()
    batch = partial(feature_batch, features, seed)
    return fit(surrogate, batch, schedule, seed=seed, checkpoint=checkpoint)


def distill(
    stage: Stage,
    depth: int,
    shape: Shape,
    features: StageIO,
    settings: Distillation,
    *,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> Distilled:
    """Train one surrogate of `depth` blocks on a stage's features."""
    if depth not in stage.depths:
        raise ValueError(f"{stage.name}: depth is {depth}; expected one of {stage.depths}")
    surrogate = untrained(stage, depth, shape, seed)
    schedule = schedule_of(stage, settings)
    history = imitate(surrogate, features, schedule, seed=seed, checkpoint=checkpoint)
    return Distilled((stage.name, depth), surrogate, history)


@torch.no_grad()
def fidelity(surrogate: nn.Module, features: StageIO) -> Fidelity:
    """The surrogate's feature error on a stage's features."""
    error = (surrogate(features.inputs) - features.outputs).square().sum()
    power = features.outputs.square().sum()
    change = (features.outputs - features.inputs).square().sum()
    return Fidelity((error / power).sqrt().item(), (1 - error / change).item())


def _worker(
    space: Space, shape: Shape, settings: Distillation, seed: int, folder: Path, key: Key
) -> Weights:
    """Distill one surrogate on one thread, so that the number of processes changes no weight."""
    threads, (name, depth) = torch.get_num_threads(), key
    torch.set_num_threads(1)
    try:
        done = distill(
            space.stage(name),
            depth,
            shape,
            cached_features(folder, name),
            settings,
            seed=seed,
            checkpoint=folder / f"surrogate-{name}-{depth}.pt",
        )
    finally:
        torch.set_num_threads(threads)
    arrays = {name: tensor.numpy() for name, tensor in done.module.state_dict().items()}
    return Weights(arrays, done.history)


def _unpacked(space: Space, shape: Shape, key: Key, trained: Weights) -> Distilled:
    module = surrogate_stage(space.stage(key[0]), key[1], shape)
    module.load_state_dict({name: torch.from_numpy(a) for name, a in trained.arrays.items()})
    return Distilled(key, module.eval(), trained.history)


def distill_many(
    keys: tuple[Key, ...],
    space: Space,
    shape: Shape,
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
    with ExitStack() as stack:
        run = map
        if processes > 1:
            executor = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
            stack.callback(executor.shutdown, cancel_futures=True)  # if the caller stops early
            run = executor.map
        for key, trained in zip(dearest_first, run(work, dearest_first), strict=True):
            yield _unpacked(space, shape, key, trained)
