"""One training loop for teachers, surrogates and hybrids: AdamW, L1, progressive patches, resume.

The data of a step is a pure function of the step, the learning rate too; so a run killed at any
moment and started again ends, on a CPU with the same number of threads, with the same weights bit
for bit. At most `schedule.checkpoint_every` steps are lost.
"""

from __future__ import annotations

import logging
import math
import os
import pickle
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from ensrepro.config import Phase, Schedule

Batch = Callable[[int, Phase], tuple[Tensor, Tensor]]  # (step, phase) -> (inputs, targets)
BETAS = (0.9, 0.999)
ZIP_FOLDER = 0x10  # attribute of an entry; torch.load does not read the contents of a folder
CHECKPOINT_KEYS = {"identity", "step", "model", "optimizer", "history"}
UNREADABLE = (  # what the readers of zip files and of tensors raise on damaged or foreign files
    *(zipfile.BadZipFile, zlib.error, struct.error, pickle.UnpicklingError),
    *(RuntimeError, EOFError, ValueError, OSError),
)

logger = logging.getLogger(__name__)


@dataclass
class History:
    """What a training leaves beside its weights. `validation` holds (step, value) pairs."""

    losses: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0


class DivergedError(RuntimeError):
    """The loss is not finite."""


def learning_rate(schedule: Schedule, step: int) -> float:
    """Linear warm-up, constant, then one cosine; `step` counts from 0."""
    held = schedule.hold * schedule.n_steps
    if step < schedule.warmup:
        return schedule.lr * (step + 1) / schedule.warmup
    if step < held:
        return schedule.lr
    progress = (step - held) / max(schedule.n_steps - held, 1)
    fall = (1 + math.cos(math.pi * progress)) / 2
    return schedule.lr_min + (schedule.lr - schedule.lr_min) * fall


def save_checkpoint(path: Path, state: dict[str, object]) -> None:
    """Write `state` so that a crash at any moment leaves this one or the one before it whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".partial-{os.getpid()}")  # two processes never share one
    try:
        with open(partial, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if path.exists():
        os.replace(path, path.with_suffix(".previous"))
    os.replace(partial, path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content, never executed; a ValueError names a file that is damaged or none."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load itself ignores the checksums
            folders = any(entry.external_attr & ZIP_FOLDER for entry in archive.infolist())
        if damaged is not None or folders:
            raise ValueError(f"the checksum of {damaged or 'its table of contents'} is wrong")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} is no whole checkpoint: {reason}") from None
    if not isinstance(state, dict) or set(state) != CHECKPOINT_KEYS:
        raise ValueError(f"{path} is no checkpoint: expected the keys {sorted(CHECKPOINT_KEYS)}")
    return state


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The newest checkpoint that reads, or None if there is none.

    A ValueError if there is one and none reads: a training is not silently done over.
    """
    failures = []
    for candidate in (path, path.with_suffix(".previous")):
        if candidate.exists():
            try:
                return read_checkpoint(candidate)
            except ValueError as error:
                failures.append(str(error))
                logger.warning("%s; trying the checkpoint before it", error)
    if failures:
        raise ValueError(f"{'; '.join(failures)}; delete what is there to start the training anew")
    return None


def check_fit(path: Path, saved: Mapping[str, Tensor], model: nn.Module) -> None:
    """A ValueError if a checkpoint's weights are not those of a network like `model`."""
    own = model.state_dict()
    for name in sorted(own.keys() | saved.keys()):
        found, expected = (
            tuple(state[name].shape) if name in state else "absent" for state in (saved, own)
        )
        if found != expected:
            raise ValueError(f"{path} fits another network: {name} is {found}, expected {expected}")


def resume(
    path: Path | None, identity: dict[str, object], model: nn.Module, optimizer: Optimizer
) -> tuple[int, History]:
    """(first step to do, history so far); a ValueError if the checkpoint is of another training."""
    state = load_checkpoint(path) if path is not None else None
    if path is None or state is None:
        return 0, History()
    for name in sorted(identity.keys() | state["identity"].keys()):
        found, expected = state["identity"].get(name), identity.get(name)
        if found != expected:
            raise ValueError(
                f"{path} belongs to another training: its {name} is {found!r}, "
                f"expected {expected!r}; delete it to start anew"
            )
    check_fit(path, state["model"], model)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], History(**state["history"])


def snapshot(
    identity: dict[str, object], step: int, model: nn.Module, optimizer: Optimizer, history: History
) -> dict[str, object]:
    """Everything a training needs to go on after `step` steps."""
    return {
        "identity": identity,
        "step": step,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": asdict(history),
    }


def update(
    model: nn.Module, optimizer: Optimizer, batch: tuple[Tensor, Tensor], lr: float, clip: float
) -> float:
    """One step at the learning rate `lr`; returns the L1 loss before it.

    A loss or a gradient that is not finite raises DivergedError and leaves the weights alone.
    """
    inputs, targets = batch
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad(set_to_none=True)
    loss = F.l1_loss(model(inputs), targets)
    if not torch.isfinite(loss):
        raise DivergedError(f"the loss is {loss.item()} at a learning rate of {lr:g}; lower it")
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
    if not torch.isfinite(norm):
        raise DivergedError(f"the gradient is {norm.item()} at a learning rate of {lr:g}; lower it")
    optimizer.step()
    return loss.item()


def fit(
    model: nn.Module,
    batch: Batch,
    schedule: Schedule,
    *,
    seed: int,
    checkpoint: Path | None = None,
    made_from: Mapping[str, str] | None = None,
    validate: Callable[[nn.Module], float] | None = None,
    validate_every: int = 250,
    progress: Callable[[int, History], None] | None = None,
) -> History:
    """Train `model` in place and return its history.

    `batch(step, phase)` must be a pure function. With `checkpoint`, training goes on where a killed
    run left it, and a finished run is not repeated; one with another schedule, seed or `made_from`
    (digests of what the training starts from) is refused. A diverging loss raises DivergedError.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=schedule.lr, betas=BETAS, weight_decay=schedule.weight_decay
    )
    identity = {"schedule": repr(schedule), "seed": seed, **(made_from or {})}
    first, history = resume(checkpoint, identity, model, optimizer)
    model.train()
    started = time.perf_counter() - history.seconds
    for step in range(first, schedule.n_steps):
        data = batch(step, schedule.phase_at(step))
        loss = update(model, optimizer, data, learning_rate(schedule, step), schedule.clip)
        history.losses.append(loss)
        done, is_last = step + 1, step + 1 == schedule.n_steps
        if validate is not None and (done % validate_every == 0 or is_last):
            history.validation.append((done, validate(model.eval())))
            model.train()
        history.seconds = time.perf_counter() - started
        if checkpoint is not None and (done % schedule.checkpoint_every == 0 or is_last):
            save_checkpoint(checkpoint, snapshot(identity, done, model, optimizer, history))
        if progress is not None:
            progress(done, history)
    model.eval()
    return history
