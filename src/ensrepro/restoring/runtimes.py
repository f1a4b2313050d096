"""A trained network in torch or in onnxruntime, ready for `evaluate.restored_rows`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch

from ensrepro import export
from ensrepro.config import DEFAULT_PAIR
from ensrepro.export import Session
from ensrepro.models.hybrid import UNet
from ensrepro.restoring import networks
from ensrepro.restoring.networks import TEACHER, Trained
from ensrepro.steps import context

TORCH, ONNX = "torch", "onnx"
RUNTIMES = (TORCH, ONNX)
ONNX_FILE = ".onnx"


class Asked(NamedTuple):
    """Which network of which task; `arch` is a name, a number, a label, or an ONNX file."""

    arch: str = TEACHER
    task: str = "denoise"
    profile: str = "mini"
    pair: str = DEFAULT_PAIR


class Ready(NamedTuple):
    """A network that can be run, and its name."""

    net: UNet | Session
    name: str
    runtime: str
    threads: int


def exported(trained: Trained, threads: int) -> Session:
    """The network in onnxruntime, which keeps no file of it."""
    said = export.describe(trained.ctx, trained.architecture, trained.net)
    with TemporaryDirectory() as folder:
        path = export.to_onnx(trained.net, Path(folder) / f"net{ONNX_FILE}", said)
        return Session(path, said.task, threads)


def from_file(asked: Asked, threads: int) -> Ready:
    """An ONNX file; a ValueError if it is of another task, or of another profile or pair.

    Those two need not be given; that one was given as it is by default cannot be seen.
    """
    session = Session(Path(asked.arch), asked.task, threads)
    said = session.metadata
    for name in ("profile", "pair"):
        own, given = getattr(said, name), getattr(asked, name)
        if given not in (own, Asked._field_defaults[name]):
            raise ValueError(f"{asked.arch} is of the {name} {own!r}, expected {given!r}")
    return Ready(session, f"{said.architecture} of {said.task} ({asked.arch})", ONNX, threads)


@contextmanager
def opened(asked: Asked, runtime: str | None = None, threads: int | None = None) -> Iterator[Ready]:
    """The network that is asked for, in torch unless it is an ONNX file.

    `threads` None takes as many as torch does.
    """
    n_threads = torch.get_num_threads() if threads is None else threads
    if n_threads < 1:
        raise ValueError(f"threads is {n_threads}; expected at least 1")
    if asked.arch.endswith(ONNX_FILE):
        if runtime == TORCH:
            raise ValueError(f"runtime is {TORCH!r}; expected {ONNX!r}, since arch is an ONNX file")
        yield from_file(asked, n_threads)
        return
    trained = networks.get(asked.arch, task=asked.task, profile=asked.profile, pair=asked.pair)
    if runtime == ONNX:
        yield Ready(exported(trained, n_threads), trained.name, ONNX, n_threads)
        return
    with context.threads(n_threads):
        yield Ready(trained.net, trained.name, TORCH, n_threads)
