"""A repository with untrained networks of profile smoke in the place of trained ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ensrepro import artifacts, weights
from ensrepro.config import PROFILES, TASKS
from ensrepro.models.hybrid import build, network_shape
from ensrepro.space import RESTORMER

HYBRID = 2844  # T T 2 2 2 T T T


def save(folder: Path, task: str, name: str, architecture: tuple[int, ...], seed: int) -> None:
    """Random weights, as a step leaves them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build(architecture, network_shape(PROFILES["smoke"], TASKS[task]))
    arrays = {key: tensor.numpy() for key, tensor in net.state_dict().items()}
    said = {"step": "teacher", "profile": "smoke", "task": task}
    if name != "teacher":
        said |= {"step": "finetune", "architecture": RESTORMER.label(architecture)}
    path = folder / "weights" / "smoke" / task / f"{name}.safetensors"
    weights.save_weights(path, arrays, said)
    digest = weights.digest({key: array.astype(np.float16) for key, array in arrays.items()})
    manifest = {"step": name, "identity": {}, "provenance": {}, "result": {"digest": digest}}
    target = folder / "results" / "smoke" / task / f"{name}.json"
    if name != "teacher":  # whose manifest nobody here reads
        artifacts.write_bytes(target, json.dumps(manifest).encode())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two teachers, and one hybrid of denoise with two seeds."""
    folder = tmp_path_factory.mktemp("checkout")
    save(folder, "denoise", "teacher", RESTORMER.teacher, seed=0)
    save(folder, "defocus_dual", "teacher", RESTORMER.teacher, seed=1)
    for seed in (2, 1):
        name = f"hybrid-{HYBRID:05d}-s{seed}"
        save(folder, "denoise", name, RESTORMER.architecture(HYBRID), seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifacts, "repository", lambda: folder)
        yield folder
