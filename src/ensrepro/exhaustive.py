"""Every architecture of a space measured on a set of images, exactly and in bearable time.

The space is a tree: stage by stage, each choice a branch. Walking it depth first with a stack of
stage outputs takes one run of a stage for each node (51,183 for Restormer's space) where as many
separate networks take one for each stage of each leaf (276,480). A *piece* of the work is a
micro-batch of images and a subtree, the architectures that share their first `PREFIX` choices. Its
scores are a file as soon as they exist, so a killed build goes on where it was, and processes share
the work by taking different pieces.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from math import prod
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from ensrepro import artifacts
from ensrepro.data import Pair, to_tensor
from ensrepro.evaluate import prefix_order, restored_batches
from ensrepro.models.hybrid import Surrogates, UNet
from ensrepro.scorer import Scorer
from ensrepro.space import Architecture, Space
from ensrepro.terminal import Progress
from ensrepro.tiles import MIB

PREFIX = 3  # stages that name a subtree: 48 of them, each some seconds of work
BATCH_PIXELS = 96 * 96  # of a micro-batch: what a core's second cache holds between two stages
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


@dataclass(frozen=True)
class Measured:
    """What pieces are computed from: the networks, the images and the protocol."""

    teacher: UNet
    surrogates: Surrogates
    pairs: Sequence[Pair]
    protocol: str

    @property
    def space(self) -> Space:
        return self.teacher.space


@dataclass(frozen=True)
class Scores:
    """PSNR (dB) and SSIM of every architecture on every image, (n_architectures, n_images, 2).

    `seconds` of work went into them, summed over processes and earlier calls.
    """

    scores: np.ndarray
    seconds: float


@dataclass(frozen=True)
class Piece:
    """The images `first` to `last` - 1 through all architectures that begin with `prefix`."""

    first: int
    last: int
    prefix: Architecture

    @property
    def name(self) -> str:
        return f"{self.first:03d}-{self.last:03d}-{''.join(map(str, self.prefix))}.npz"


def keep_memory() -> None:
    """Let this process keep the memory it frees, where glibc is the allocator.

    Otherwise each large activation is a new mapping whose pages the kernel clears one by one, which
    takes longer than the arithmetic of narrow networks (two to three times longer on two machines).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 * MIB)  # the largest that glibc takes
        mallopt(M_TRIM_THRESHOLD, 512 * MIB)


def pieces(space: Space, pairs: Sequence[Pair]) -> list[Piece]:
    """All pieces, image by image."""
    height, width = pairs[0].degraded.shape[:2]
    batch = max(1, BATCH_PIXELS // (height * width))
    prefixes = list(product(*(range(n) for n in space.n_choices[:PREFIX])))
    return [
        Piece(first, min(first + batch, len(pairs)), prefix)
        for first in range(0, len(pairs), batch)
        for prefix in prefixes
    ]


def suffixes(space: Space, prefix: Architecture) -> list[Architecture]:
    """The architectures of a subtree, sorted."""
    rest = product(*(range(n) for n in space.n_choices[len(prefix) :]))
    return [prefix + suffix for suffix in rest]


def stage_runs(space: Space) -> tuple[int, int]:
    """Runs of a stage that the whole space takes: depth first, and each network on its own."""
    depth_first = sum(prod(space.n_choices[: k + 1]) for k in range(len(space.stages)))
    return depth_first, space.n_architectures * len(space.stages)


def run_piece(work: Measured, piece: Piece) -> np.ndarray:
    """PSNR (dB) and SSIM of a piece: (architectures of the subtree, images, 2) float64."""
    pairs = work.pairs[piece.first : piece.last]
    scorers = [Scorer(pair.clean, work.protocol) for pair in pairs]
    order = prefix_order(suffixes(work.space, piece.prefix))
    images = to_tensor([pair.degraded for pair in pairs])
    scores = np.empty((len(order), len(pairs), 2))
    restored = restored_batches(work.teacher, work.surrogates, order, images)
    for row, batch in zip(scores, restored, strict=True):
        for i, image in enumerate(batch.numpy().transpose(0, 2, 3, 1)):
            row[i] = scorers[i](image)
    return scores


_work: Measured | None = None  # a worker process has one job for its whole life


def end_with_parent() -> None:
    """Let this process end when the one that started it does, even if that one is killed."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _start_worker(make: Callable[[], Measured]) -> None:
    global _work
    end_with_parent()
    keep_memory()
    torch.set_num_threads(1)
    _work = make()


def _run_in_worker(folder: Path, piece: Piece) -> None:
    assert _work is not None
    path, started = folder / piece.name, time.perf_counter()
    if not path.exists():
        scores = run_piece(_work, piece)
        with artifacts.replacing(path) as file:
            np.savez(file, scores=scores, seconds=time.perf_counter() - started)


def run_pieces(
    make: Callable[[], Measured],
    missing: Sequence[Piece],
    folder: Path,
    processes: int,
) -> Iterator[Piece]:
    """Compute pieces in processes of one thread each and yield them as their files exist."""
    with ExitStack() as stack:
        executor = ProcessPoolExecutor(
            processes, get_context("spawn"), initializer=_start_worker, initargs=(make,)
        )
        stack.callback(executor.shutdown, cancel_futures=True)  # if the caller stops early
        work = [executor.submit(_run_in_worker, folder, piece) for piece in missing]
        for piece, done in zip(missing, work, strict=True):
            try:
                done.result()
            except BrokenProcessPool:
                raise ChildProcessError(
                    f"a process that measured {piece.name} was killed, for its memory perhaps; "
                    "start again to go on, with fewer processes if it happens again"
                ) from None
            yield piece


def collect(space: Space, folder: Path, every: Sequence[Piece], n_images: int) -> Scores:
    """The scores of all pieces by number of the architecture; a ValueError names a damaged file."""
    scores, seconds = np.full((space.n_architectures, n_images, 2), np.nan), 0.0
    for piece in every:
        subtree, path = suffixes(space, piece.prefix), folder / piece.name
        try:
            with path.open("rb") as opened, np.load(opened) as file:
                found, spent = file["scores"], float(file["seconds"])
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
            raise ValueError(f"{path} is damaged ({error}); delete it and start again") from None
        expected = len(subtree), piece.last - piece.first, 2
        if found.shape != expected or not np.isfinite(found).all():
            raise ValueError(
                f"{path} holds scores of shape {found.shape}; expected finite ones, {expected}; "
                "delete it and start again"
            )
        first = space.index(subtree[0])
        scores[first : first + len(subtree), piece.first : piece.last] = found
        seconds += spent
    return Scores(scores, seconds)


def measure_all(
    make: Callable[[], Measured],
    space: Space,
    pairs: Sequence[Pair],
    folder: Path,
    *,
    processes: int,
    progress: Progress | None = None,
) -> Scores:
    """Every architecture on every pair, by several processes of one thread each.

    `make` is called in each process and gives it the networks. `folder` holds what is done; it must
    belong to these networks and images. A killed call loses the pieces that were in work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    every = pieces(space, pairs)
    missing = [piece for piece in every if not (folder / piece.name).exists()]
    n_found = len(every) - len(missing)
    for done, _ in enumerate(run_pieces(make, missing, folder, processes), 1):
        if progress is not None:
            progress("measure", n_found + done, len(every))
    return collect(space, folder, every, len(pairs))
