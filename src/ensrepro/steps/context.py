"""What all steps of one profile, task and pair share: names checked, images, files, weights."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from ensrepro import artifacts, config, data, evaluate, training, weights
from ensrepro.artifacts import Provenance, Store
from ensrepro.config import DEFAULT_PAIR, PAIRS, PROFILES, TASKS, Pair, Profile, Schedule, Task
from ensrepro.models.hybrid import Shape, UNet, network_shape, set_weights
from ensrepro.space import Space
from ensrepro.terminal import Progress, repeating
from ensrepro.training import History

Result = TypeVar("Result")
Job = TypeVar("Job")
LOSS_WINDOW = 50  # steps averaged into one entry of a saved loss curve


@dataclass(frozen=True)
class Context:
    """One profile, task and pair, and where their files are.

    Without `may_compute` a result that is not on file is a NotOnFileError.
    """

    profile: Profile
    task: Task
    pair: Pair
    store: Store
    may_compute: bool = True

    @property
    def space(self) -> Space:
        return self.pair.space

    @property
    def shape(self) -> Shape:
        return network_shape(self.profile, self.task, self.pair)

    @cached_property
    def validation(self) -> list[data.Pair]:
        """The fixed crops that search and selection see."""
        images = self.profile.evaluation
        return data.validation_pairs(self.task.name, images.n_validation, images.validation_size)

    @cached_property
    def test(self) -> list[data.Pair]:
        """The photos that only judge."""
        images = self.profile.evaluation
        return data.test_pairs(self.task.name, images.n_test, images.test_size)

    @cached_property
    def recipes(self) -> dict[str, str]:
        """Hashes of what the images are made from, by split."""
        images = self.profile.evaluation
        sizes = {
            data.TRAIN: (None, None),
            data.VALIDATION: (images.n_validation, images.validation_size),
            data.TEST: (images.n_test, images.test_size),
        }
        return {split: data.recipe(split, self.task.name, *size) for split, size in sizes.items()}

    @property
    def n_processes(self) -> int:
        """Processes for independent trainings: one a core, within the profile's bound."""
        return min(os.cpu_count() or 1, self.profile.max_processes)

    def identity(self, **made_from: Any) -> dict[str, Any]:
        """What fixes a result: the names, the network's shape and what the step adds."""
        return {
            "profile": self.profile.name,
            "task": self.task.name,
            "pair": self.pair.name,
            "shape": asdict(self.shape),
            "protocol": self.task.protocol,
            "images": self.recipes,
            **made_from,
        }

    def result(
        self,
        step: str,
        kind: type[Result],
        identity: Mapping[str, Any],
        make: Callable[[], tuple[Result, Provenance]],
    ) -> Result:
        """A step's result: from its manifest, or made now and saved. Never written over."""
        path = self.store.manifest(step)
        if not self.may_compute and not path.exists():
            raise artifacts.NotOnFileError(f"{path} does not exist, and nothing may be computed")
        return artifacts.load_or_run(path, step, kind, identity, make)

    def provenance(self, seed: int, started: float) -> Provenance:
        """`started` is a time.perf_counter() reading."""
        seconds = time.perf_counter() - started
        threads = torch.get_num_threads()
        return artifacts.provenance(self.profile.name, self.task.name, seed, seconds, threads)

    def score(
        self, restorer: Callable[..., Any], pairs: Sequence[data.Pair]
    ) -> list[evaluate.Restoration]:
        return evaluate.score(restorer, pairs, self.task.protocol)

    def psnr(self, net: UNet) -> float:
        """Mean PSNR on the validation crops, dB."""
        return evaluate.mean(self.score(partial(evaluate.restore, net), self.validation)).psnr

    def rows(self, method: str, restorer: Callable[..., Any]) -> list[dict[str, Any]]:
        """Scores on the test photos: method, image, psnr, ssim."""
        return [
            {"method": method, "image": r.name, "psnr": r.psnr, "ssim": r.ssim}
            for r in self.score(restorer, self.test)
        ]


def checked_seed(seed: object) -> int:
    """The seed if it is an integer >= 0, else a ValueError."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed is {seed!r}; expected an integer >= 0")
    return seed


def open_context(
    profile: str = "mini",
    task: str = "denoise",
    out: str | Path = "",
    pair: str = DEFAULT_PAIR,
) -> Context:
    """The context of a profile, task and pair, by name; the profile is fitted to the pair.

    New files go below `out`, or into the repository if it is empty; committed results are read
    from the repository wherever `out` has none.
    """
    profile_value = config.named("profile", profile, PROFILES)
    task_value = config.named("task", task, TASKS)
    pair_value = config.named("pair", pair, PAIRS)
    if not isinstance(out, (str, Path)):
        raise TypeError(f"out is {out!r}; expected the path of a folder, or an empty string")
    repository = artifacts.repository()
    root, fallback = (Path(out).absolute(), repository) if str(out) else (repository, None)
    store = Store(profile, task, root, fallback, pair_value.suffix)
    network_shape(profile_value, task_value, pair_value)  # refuses a task that the pair cannot have
    return Context(profile_value.fitted(pair_value.multiple), task_value, pair_value, store)


def numpy_state(module: nn.Module) -> dict[str, np.ndarray]:
    """The module's weights by name."""
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def round_to_half(module: nn.Module) -> None:
    """Round every parameter to float16 and back: what is measured is what is saved."""
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.copy_(tensor.half())


def digest(module: nn.Module) -> str:
    """Hash of a module's weights as they are saved."""
    return weights.digest(
        {name: array.astype(np.float16) for name, array in numpy_state(module).items()}
    )


def save(module: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Weights as float16; see `round_to_half`."""
    weights.save_weights(path, numpy_state(module), metadata)


def load(module: nn.Module, path: Path, metadata: Mapping[str, str], expected: str) -> None:
    """Read weights of the digest `expected`; a ValueError names the file and what does not fit."""
    set_weights(module, weights.load_weights(path, metadata), path)
    if digest(module) != expected:
        raise ValueError(f"{path} has the digest {digest(module)}, expected {expected}")


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Torch on n threads, and as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread() -> AbstractContextManager[None]:
    """Torch on one thread: sums, and so trained weights, depend on the number of threads."""
    return threads(1)


def side_by_side(
    ctx: Context,
    work: Callable[[Job], None],
    jobs: Sequence[Job],
    what: str,
    progress: Progress | None,
) -> None:
    """Do jobs that leave their results on file, in processes; a failure cancels what waits."""
    with ExitStack() as stack:
        run: Callable[..., Iterable[None]] = map
        if ctx.n_processes > 1 and len(jobs) > 1:
            executor = ProcessPoolExecutor(ctx.n_processes, mp_context=get_context("spawn"))
            stack.callback(executor.shutdown, cancel_futures=True)
            run = executor.map
        report = stack.enter_context(repeating(progress, what, len(jobs)))
        for done, _ in enumerate(run(work, jobs), 1):
            report(done)


def train(
    ctx: Context,
    net: UNet,
    schedule: Schedule,
    *,
    seed: int,
    name: str,
    start: str = "",
    degradation: str = "",
    progress: Progress | None = None,
) -> History:
    """Train a whole network on the training patches, on one thread.

    `start` is a digest of the weights that it starts from, if any. With a `degradation` that is not
    the task's own there is no validation. The network ends rounded to float16.
    """
    seen = degradation or ctx.task.name
    made_from = {"images": data.recipe(data.TRAIN, seen)} | ({"start": start} if start else {})

    def report(done: int, history: History) -> None:
        if progress is not None:
            progress(f"train {name}", done, schedule.n_steps)

    with one_thread():
        history = training.fit(
            net,
            partial(data.training_batch, seen, seed),
            schedule,
            seed=seed,
            checkpoint=ctx.store.checkpoint(name),
            made_from=made_from,
            validate=ctx.psnr if seen == ctx.task.name else None,
            progress=report,
        )
    round_to_half(net)
    return history


def loss_curve(losses: Sequence[float]) -> list[float]:
    """Means over LOSS_WINDOW steps."""
    windows = range(0, len(losses), LOSS_WINDOW)
    return [float(np.mean(losses[start : start + LOSS_WINDOW])) for start in windows]
