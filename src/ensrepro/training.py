"""One training loop for teachers, surrogates and hybrids: AdamW, L1, progressive patches, resume.

The data of a step is a pure function of the step, the learning rate too; so a run killed at any
moment and started again ends, on a CPU with the same number of threads, with the same weights bit
for bit. At most `schedule.checkpoint_every` steps are lost.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from ensrepro.config import Phase, Schedule

Batch = Callable[[int, Phase], tuple[Tensor, Tensor]]  # (step, phase) -> (inputs, targets)
BETAS = (0.9, 0.999)


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
    partial = path.with_suffix(".partial")
    with open(partial, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        os.replace(path, path.with_suffix(".previous"))
    os.replace(partial, path)


def load_checkpoint(path: Path) -> dict[str, object] | None:
    """The newest checkpoint that reads, or None; never executes a pickle."""
    for candidate in (path, path.with_suffix(".previous")):
        try:
            return torch.load(candidate, weights_only=True)
        except FileNotFoundError:
            continue
        except (RuntimeError, EOFError, ValueError, OSError) as error:
            print(f"{candidate} does not read ({error}); trying the checkpoint before it")
    return None


def resume(
    path: Path | None, identity: dict[str, object], model: nn.Module, optimizer: Optimizer
) -> tuple[int, History]:
    """(first step to do, history so far); a ValueError if the checkpoint is of another training."""
    state = load_checkpoint(path) if path is not None else None
    if state is None:
        return 0, History()
    for name, value in identity.items():
        if state["identity"].get(name) != value:
            raise ValueError(
                f"{path} belongs to another training: its {name} is "
                f"{state['identity'].get(name)!r}, expected {value!r}; delete it to start anew"
            )
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

    A loss that is not finite raises DivergedError and leaves the weights alone.
    """
    inputs, targets = batch
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad(set_to_none=True)
    loss = F.l1_loss(model(inputs), targets)
    if not torch.isfinite(loss):
        raise DivergedError(f"the loss is {loss.item()} at a learning rate of {lr:g}; lower it")
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item()


def fit(
    model: nn.Module,
    batch: Batch,
    schedule: Schedule,
    *,
    seed: int,
    checkpoint: Path | None = None,
    validate: Callable[[nn.Module], float] | None = None,
    validate_every: int = 250,
    progress: Callable[[int, History], None] | None = None,
) -> History:
    """Train `model` in place and return its history.

    `batch(step, phase)` must be a pure function. With `checkpoint`, training goes on where a killed
    run left it; a finished run is not repeated. A loss that is not finite raises DivergedError.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=schedule.lr, betas=BETAS, weight_decay=schedule.weight_decay
    )
    identity = {"schedule": repr(schedule), "seed": seed}
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
