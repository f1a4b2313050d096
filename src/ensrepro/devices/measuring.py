"""Measuring groups of subjects in onnxruntime: in alternation, resumable, with its circumstances.

A result is a manifest below `results/PROFILE/devices/DEVICE/`, one for each kind, image side and
number of threads. A group that was measured is noted at once; a call that was killed goes on with
the next one. How busy the machine was is measured too, and said: ratios taken in alternation
outlive a busy machine roughly, milliseconds do not.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from ensrepro import artifacts, config, timing
from ensrepro.artifacts import RESULTS, Store
from ensrepro.devices import memory, subjects
from ensrepro.devices.subjects import BLOCKS, NETWORKS, STAGES, Group, Subject
from ensrepro.export.network import INPUT, OUTPUT
from ensrepro.records import MEASURED, NETWORK, RANDOM, Comparison, Record
from ensrepro.runtime import inference_session, required
from ensrepro.timing import Conditions

STEP, FOLDER = "device", "devices"
RUNTIME = "onnxruntime"
SPARE = 0.5  # load beyond its own threads with which a machine still counts as quiet
REST = 0.05  # seconds before each run on several threads: onnxruntime's wait busily
SIDES = {BLOCKS: (64, 128, 256, 512), STAGES: (256,), NETWORKS: (128, 256, 512)}
SMOKE, SMOKE_SIDE = "smoke", 32
LOAD = "load average"

Progress = Callable[[str, int, int], None]  # (what, done, of)


@dataclass(frozen=True)
class Effort:
    """How long a group is timed: at least so many rounds, and seconds of all subjects together."""

    rounds: int
    seconds: float
    warm_up: int = 1


EFFORTS = {BLOCKS: Effort(10, 3.0), STAGES: Effort(7, 3.0), NETWORKS: Effort(5, 3.0)}
SMOKE_EFFORT = Effort(2, 0.0)


@dataclass(frozen=True)
class DeviceResult:
    """What one manifest holds: records, comparisons, and how quiet the machine was.

    `load_before` and `load` are load averages, None where the system has none; on a quiet machine
    the first is near 0 and the second near the number of threads. `is_quiet` None: not known.
    """

    records: list[dict[str, Any]]
    comparisons: list[dict[str, Any]]
    load_before: float | None
    load: float | None
    is_quiet: bool | None


@dataclass(frozen=True)
class Asked:
    """One manifest to be: what is measured, of which image, on how many threads, where it goes."""

    what: str
    side: int
    threads: int
    task: str
    device: str
    store: Store

    @property
    def width_of(self) -> str:
        """The profile whose width the networks have: the paper's, but for the smallest scale."""
        return SMOKE if self.store.profile == SMOKE else "paper"

    @property
    def effort(self) -> Effort:
        return SMOKE_EFFORT if self.store.profile == SMOKE else EFFORTS[self.what]

    @property
    def name(self) -> str:
        return manifest_name(self.device, self.what, self.side, self.threads)


def slug(device: str) -> str:
    """The name of a device's folder; a ValueError if nothing of the name is left."""
    found = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    if not found:
        raise ValueError(f"device is {device!r}; expected a name with a letter or a digit")
    return found


def manifest_name(device: str, what: str, side: int, threads: int) -> str:
    """Of a manifest, below the folder of all devices and without its ending."""
    return f"{slug(device)}/{what}-{side}-t{threads}"


def sides(what: str, profile: str) -> tuple[int, ...]:
    """The image sides that a kind is measured at in a profile."""
    return (SMOKE_SIDE,) if profile == SMOKE else SIDES[what]


def load_average() -> float | None:
    """Runnable processes, a mean over the last minute; None where the system does not tell."""
    with suppress(OSError, AttributeError):
        return os.getloadavg()[0]
    return None


def known_mean(values: list[float | None]) -> float | None:
    """The mean of what is known."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def conditions(asked: Asked) -> Conditions:
    """What all timings of a manifest are taken under."""
    version = str(required(RUNTIME).__version__)
    resolution = f"{asked.side}x{asked.side}"
    own = resolution, "float32", asked.threads, RUNTIME, version
    return Conditions(*own, artifacts.cpu_model())


def record(asked: Asked, subject: Subject, took: timing.Timing, peak: float | None) -> Record:
    """The record of a timing that was taken here and now."""
    under = took.conditions or conditions(asked)
    return Record(
        device=asked.device,
        cpu=under.cpu,
        runtime=under.runtime,
        version=under.version,
        threads=under.threads,
        resolution=under.resolution,
        dtype=under.dtype,
        pair=subject.pair,
        task=subject.task,
        part=subject.part,
        architecture=subject.architecture,
        width=subjects.shape_of(subject, asked.width_of).width,
        weights=RANDOM,
        p50_ms=took.p50_ms,
        p90_ms=took.p90_ms,
        p99_ms=took.p99_ms,
        n=took.n,
        seconds=took.seconds,
        drift=took.drift,
        load=load_average(),
        peak_memory_mib=peak,
        source=MEASURED,
        created=artifacts.now(),
    )


def comparison(
    asked: Asked, raced: timing.Alternation, reference: Subject, subject: Subject
) -> Comparison:
    """The subject against the reference of its group."""
    spread = raced.ratio(subject.name, reference.name)
    return Comparison(
        *(asked.side, asked.threads),
        *(subject.pair, subject.task, subject.part, subject.architecture, reference.architecture),
        *(spread.median, spread.low, spread.high, spread.n),
        raced.timing(reference.name).p50_ms,
    )


def measured(asked: Asked, group: Group, known: set[str]) -> tuple[list[Record], list[Comparison]]:
    """A group's records, without those of subjects that are `known`, and its comparisons."""
    runs, peaks = {}, {}
    for subject in group.subjects:
        part = subjects.made(subject, asked.width_of, seed=0)
        content, size = part.content(), (1, part.n_in, part.side, part.side)
        image = np.random.default_rng(0).random(size, dtype=np.float32)
        if subject.part == NETWORK and subject.name not in known:
            peaks[subject.name] = memory.peak_mib(content, part.n_in, part.side, asked.threads)
        session = inference_session(content, asked.threads)
        runs[subject.name] = partial(session.run, [OUTPUT], {INPUT: image})
    effort = asked.effort
    raced = timing.alternate(
        runs,
        min_rounds=effort.rounds,
        min_seconds=effort.seconds,
        warm_up=effort.warm_up,
        rest=REST if asked.threads > 1 else 0.0,
        under=conditions(asked),
    )
    reference, *others = group.subjects
    records = [
        record(asked, subject, raced.timing(subject.name), peaks.get(subject.name))
        for subject in group.subjects
        if subject.name not in known
    ]
    return records, [comparison(asked, raced, reference, subject) for subject in others]


def compute(
    asked: Asked, wanted: list[Group], checkpoint: Path, identity: Any, progress: Progress | None
) -> DeviceResult:
    """Measure every group that `checkpoint` does not have; each one goes there when it is done."""
    new = {"identity": artifacts.plain(identity), "groups": {}, "load_before": load_average()}
    done: dict[str, Any] = new
    if checkpoint.exists():
        found = json.loads(checkpoint.read_text("utf-8"))
        done = found if found["identity"] == new["identity"] else new
    known: set[str] = set()
    for group in wanted:
        if group.name not in done["groups"]:
            records, comparisons = measured(asked, group, known)
            done["groups"][group.name] = {
                "records": [asdict(record) for record in records],
                "comparisons": [asdict(comparison) for comparison in comparisons],
            }
            artifacts.write_bytes(checkpoint, json.dumps(done).encode())
        known |= {subject.name for subject in group.subjects}
        if progress is not None:
            progress(f"latency of {asked.name}", len(done["groups"]), len(wanted))
    rows = [row for group in done["groups"].values() for row in group["records"]]
    load = known_mean([row["load"] for row in rows])
    return DeviceResult(
        records=rows,
        comparisons=[row for group in done["groups"].values() for row in group["comparisons"]],
        load_before=done["load_before"],
        load=load,
        is_quiet=None if load is None else load <= asked.threads + SPARE,
    )


def get(asked: Asked, progress: Progress | None = None) -> DeviceResult:
    """A manifest's result: from its file, or measured now."""
    config.named("task", asked.task, config.TASKS)
    if isinstance(asked.threads, bool) or not isinstance(asked.threads, int) or asked.threads < 1:
        raise ValueError(f"threads is {asked.threads!r}; expected an integer >= 1")
    store = asked.store
    results = (store.fallback or store.root) / RESULTS / store.profile
    wanted = subjects.groups(asked.what, asked.side, asked.task, results)
    identity = {
        "what": asked.what,
        "task": asked.task,
        "device": asked.device,
        "profile": store.profile,
        "effort": asdict(asked.effort),
        "groups": {group.name: [s.name for s in group.subjects] for group in wanted},
        **asdict(conditions(asked)),
    }

    def make() -> tuple[DeviceResult, artifacts.Provenance]:
        started = time.perf_counter()
        checkpoint = store.checkpoint(asked.name).with_suffix(".json")
        made = compute(asked, wanted, checkpoint, identity, progress)
        seconds = time.perf_counter() - started
        own = artifacts.provenance(store.profile, FOLDER, 0, seconds, asked.threads)
        return made, own

    return artifacts.load_or_run(store.manifest(asked.name), STEP, DeviceResult, identity, make)
