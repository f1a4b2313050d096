"""How many evaluations a search needs: samplers compared on the table of a space (section 3.5).

With every architecture in a table the true front is known, and a run of a sampler costs no
measuring. Every run of the study, a sampler with a seed, is scored by `truth`; `comparison` says
what holds over the seeds. Runs are independent: processes of one thread share them, and each is a
file as soon as it is done, so a killed study goes on where it was.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ensrepro import artifacts, search, truth
from ensrepro.exhaustive import end_with_parent
from ensrepro.ledger import Metrics
from ensrepro.space import RESTORMER, Architecture, Space
from ensrepro.truth import MILESTONES, Row, Truth

if TYPE_CHECKING:
    from pandas import DataFrame


class Budget(NamedTuple):
    """How often a sampler runs (seeds 0, 1, ...), and how many proposals a run makes."""

    n_seeds: int
    n_trials: int


Plan = Mapping[str, Budget]  # by sampler
Progress = Callable[[int, int], None]  # (runs done, of)

CHEAP, DEAR, SLOW = Budget(20, 500), Budget(10, 500), Budget(10, 100)
PLAN: Plan = {
    **dict.fromkeys(("random", "nsga2", "nsga3", "motpe", "additive"), CHEAP),
    **dict.fromkeys(("exact-ehvi", "additive+exact-ehvi"), DEAR),
    **dict.fromkeys(("gp", "paper-ehvi"), SLOW),  # every further proposal costs more than the last
}
SHORT: Plan = dict.fromkeys(("random", "nsga2", "exact-ehvi"), Budget(2, 24))  # to try the code
N_TRACE = 60  # counts of a trace, evenly spaced on a logarithmic axis
WARM_UP = 12  # proposals that a process makes untimed: they import what the sampler needs
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def trace_counts(plan: Plan) -> list[int]:
    """Counts at which ratios are kept, the milestones and all budgets among them."""
    budgets = {budget.n_trials for budget in plan.values()}
    spaced = np.geomspace(1, max(budgets), N_TRACE).round().astype(int).tolist()
    within = [count for count in MILESTONES if count <= max(budgets)]
    return sorted({*spaced, *within, *budgets})


class _Lookup:
    """The objective; keeps the CPU time spent in it, which is not the sampler's."""

    def __init__(self, known: Truth) -> None:
        self._known = known
        self.seconds = 0.0

    def __call__(self, architectures: list[Architecture]) -> list[Metrics]:
        start = time.process_time()
        metrics = self._known.metrics(architectures)
        self.seconds += time.process_time() - start
        return metrics


@dataclass(frozen=True)
class Proposed:
    """What a run leaves on file: its proposals in order, and the CPU seconds it thought."""

    proposals: list[int]
    cpu_seconds: float


def propose(known: Truth, asked: search.Settings) -> Proposed:
    """One run of a sampler on the table."""
    lookup = _Lookup(known)
    start = time.process_time()
    found = search.carry_out(lookup, asked, space=known.space)
    seconds = time.process_time() - start - lookup.seconds
    return Proposed([known.space.index(a) for a in found.architectures], round(seconds, 4))


@dataclass(frozen=True)
class StudyResult:
    """All runs, as plain values; architectures are numbers in the space.

    `counts` are those of the runs' `ratios`; a run of fewer proposals has fewer. A run has the keys
    of `search.Settings`, cpu_seconds, and those of `truth.score`.
    """

    penalty_table: str
    table: str
    reference: list[float]
    hypervolume: float
    front: list[int]
    candidates: list[int]
    counts: list[int]
    runs: list[Row]


def run_path(folder: Path, asked: search.Settings) -> Path:
    """The file of a run."""
    return folder / f"{asked.sampler}-{asked.n_trials}-s{asked.seed}.json"


def identity(known: Truth, asked: search.Settings) -> Row:
    """What fixes a run."""
    return {**asdict(asked), "table": known.digest}


def write_run(path: Path, fixed: Row, done: Proposed) -> None:
    """A run's file, whole or not at all."""
    content = {"identity": fixed, "run": asdict(done)}
    artifacts.write_bytes(path, json.dumps(content, allow_nan=False).encode() + b"\n")


def read_run(path: Path, expected: Row) -> Proposed:
    """A finished run; a ValueError if it is not this one."""
    try:
        content = json.loads(path.read_text("utf-8"))
        found, done = dict(content["identity"]), Proposed(**content["run"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is no run of a study: {error!r}; delete it and go on") from None
    for key, value in expected.items():
        if found.get(key) != value:
            raise ValueError(
                f"{path} was made with {key}={found.get(key)!r}, expected {value!r}; "
                "move it away to have it made anew"
            )
    return done


_known: Truth | None = None  # a worker process has one table for its whole life


def _start_worker(known: Truth) -> None:
    global _known
    end_with_parent()
    _known = known


@cache
def _warm_up(sampler: str, penalty_table: str) -> None:
    assert _known is not None
    n_trials = min(WARM_UP, _known.space.n_architectures)
    propose(_known, search.settings(_known.space, sampler, n_trials, 0, penalty_table))


def _run_in_worker(folder: Path, asked: search.Settings) -> None:
    assert _known is not None
    _warm_up(asked.sampler, asked.penalty_table)
    done = propose(_known, asked)
    write_run(run_path(folder, asked), identity(_known, asked), done)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started meanwhile have one thread: libraries read it when they are loaded."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def planned(known: Truth, plan: Plan) -> list[search.Settings]:
    """All runs, seed by seed: a study that was stopped has as many of each sampler."""
    if not plan:
        raise ValueError("the plan is empty; expected at least one sampler")
    runs = []
    for sampler, (n_seeds, n_trials) in plan.items():
        if n_seeds < 1:
            raise ValueError(f"{sampler} has {n_seeds} seeds; expected at least 1")
        for seed in range(n_seeds):
            arguments = (sampler, n_trials, seed, known.penalty_table)
            runs.append(search.settings(known.space, *arguments))
    return sorted(runs, key=lambda asked: asked.seed)


def run_missing(
    known: Truth, every: Sequence[search.Settings], folder: Path, processes: int
) -> Iterator[int]:
    """Make the runs that have no file, and yield how many have one, each time there is one more."""
    missing = [asked for asked in every if not run_path(folder, asked).exists()]
    if not missing:
        return
    with ExitStack() as stack:
        stack.enter_context(_one_thread_each())
        executor = ProcessPoolExecutor(
            processes, get_context("spawn"), initializer=_start_worker, initargs=(known,)
        )
        stack.callback(executor.shutdown, cancel_futures=True)  # if the caller stops early
        work = [executor.submit(_run_in_worker, folder, asked) for asked in missing]
        for n_on_file, done in enumerate(as_completed(work), 1 + len(every) - len(missing)):
            done.result()
            yield n_on_file


def scored(known: Truth, asked: search.Settings, done: Proposed, counts: Sequence[int]) -> Row:
    """A run as plain values: settings, cpu_seconds (of all proposals) and `truth.score`."""
    row = truth.score(known, done.proposals, counts)
    return {**asdict(asked), "cpu_seconds": done.cpu_seconds, **row}


def run(
    frame: DataFrame,
    folder: Path,
    *,
    plan: Plan = PLAN,
    space: Space = RESTORMER,
    penalty_table: str = "blocks",
    processes: int = 1,
    progress: Progress | None = None,
) -> StudyResult:
    """The plan's runs on the table of `bench.load`; `folder` holds those that are done."""
    known = truth.read(frame, space, penalty_table)
    every, counts = planned(known, plan), trace_counts(plan)
    for n_on_file in run_missing(known, every, folder, processes):
        if progress is not None:
            progress(n_on_file, len(every))
    runs = [
        scored(known, asked, read_run(run_path(folder, asked), identity(known, asked)), counts)
        for asked in every
    ]
    return StudyResult(
        penalty_table=penalty_table,
        table=known.digest,
        reference=list(known.reference),
        hypervolume=known.volume,
        front=known.front.tolist(),
        candidates=list(known.candidates),
        counts=counts,
        runs=sorted(runs, key=lambda row: list(plan).index(row["sampler"])),
    )
