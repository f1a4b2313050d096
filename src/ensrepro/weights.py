"""Weights on disk: float16 safetensors that carry a digest of their contents."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensrepro import artifacts, config, pages
from ensrepro.artifacts import Store, write_bytes

Tensors = Mapping[str, NDArray[Any]]


def digest(tensors: Tensors) -> str:
    """SHA-256 of names, types, shapes and values, in order of the names; 16 hex digits."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        sha.update(f"{name} {array.dtype} {array.shape};".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()[:16]


def load_weights(path: Path, metadata: Mapping[str, str]) -> dict[str, NDArray[np.float16]]:
    """The tensors; a ValueError names a damaged file or one with other metadata than asked."""
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        with safe_open(path, framework="numpy") as file:
            found = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from None
    for key, expected in metadata.items():
        if found.get(key) != expected:
            raise ValueError(f"{path} has {key}={found.get(key)!r}, expected {expected!r}")
    if found.get("digest") != digest(tensors):
        raise ValueError(f"{path} is damaged: its contents do not have the digest in its header")
    return tensors


def save_weights(path: Path, tensors: Tensors, metadata: Mapping[str, str]) -> None:
    """Float16 safetensors with their digest; round the network too, so that results match.

    A ValueError if the file exists and holds other weights: nothing is written over.
    """
    from safetensors.numpy import save

    with np.errstate(over="ignore"):  # an overflow is told below, with the tensor's name
        halves = {name: np.asarray(array, np.float16) for name, array in tensors.items()}
    for name, array in halves.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{path}: {name} does not fit float16")
    mark = digest(halves)
    if path.exists() and digest(load_weights(path, {})) != mark:
        raise ValueError(f"{path} holds other weights, expected the digest {mark}; move it away")
    write_bytes(path, save(halves, metadata={**metadata, "digest": mark}))


def trained(profile: str) -> list[str]:
    """The pairs whose teachers lie in the repository, and the tasks of each teacher in brackets."""
    sharing: dict[str, list[str]] = {}  # suffix of a teacher's folders -> its pairs
    for name, pair in config.PAIRS.items():
        sharing.setdefault(config.teacher_pair(pair).suffix, []).append(name)
    found = []
    for suffix, pairs in sharing.items():
        stores = [Store(profile, t, artifacts.repository(), suffix=suffix) for t in config.TASKS]
        tasks = [store.task for store in stores if store.weights("teacher").exists()]
        found += [f"{', '.join(pairs)} ({', '.join(tasks)})"] if tasks else []
    return found


def no_teacher(path: Path, task: str, profile: str, pair: str) -> FileNotFoundError:
    """The error of a teacher that is not trained; it says which are, and how to train one."""
    known = ", ".join(trained(profile)) or "none"
    how = ""
    if config.PROFILES[profile].has_data:
        call = pages.command("03_distillation", task, profile, pair)
        how = f"; {call} trains this one, which may take hours"
    return FileNotFoundError(
        f"{path} does not exist; expected a trained teacher of {pair} for {task}; in profile "
        f"{profile} are trained: {known}{how}"
    )
