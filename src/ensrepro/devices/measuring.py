"""Measuring groups of subjects in onnxruntime: in alternation, resumable, with its circumstances.

A result is a manifest below `results/PROFILE/devices/DEVICE/`. Its name tells kind, family of the
teacher, task, image side, threads and version of the runtime, and for whole networks which two: one
more network is one more file, and no other result depends on it. A group that was measured is noted
at once; a call that was killed goes on with the next one. How busy the machine was is measured too,
and said: ratios taken in alternation outlive a busy machine roughly, milliseconds do not.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ensrepro import artifacts, config, timing
from ensrepro.devices import memory, quietness, subjects
from ensrepro.devices.asking import Asked
from ensrepro.devices.subjects import Group, Subject
from ensrepro.export.network import INPUT, OUTPUT
from ensrepro.records import MEASURED, NETWORK, RANDOM, Comparison, Record
from ensrepro.runtime import inference_session, required
from ensrepro.timing import Conditions

STEP, FOLDER = "device", "devices"
RUNTIME = "onnxruntime"
REST = 0.05  # seconds before each run on several threads: onnxruntime's wait busily
FEWEST_FOR_P90, FEWEST_FOR_P99 = 10, 100  # runs: one of them takes longer than the percentile

Progress = Callable[[str, int, int], None]  # (what, done, of)


@dataclass(frozen=True)
class DeviceResult:
    """What one manifest holds: records, comparisons, and how quiet the machine was.

    `load_before` counts what else ran or waited for a core just before; `load` is the mean load
    average meanwhile. On a quiet machine the first is near 0 and the second near the number of
    threads; they are None where the system does not tell, and then so is `is_quiet`.
    """

    records: list[dict[str, Any]]
    comparisons: list[dict[str, Any]]
    load_before: float | None
    load: float | None
    is_quiet: bool | None


def slug(device: str) -> str:
    """The name of a device's folder; a ValueError if nothing of the name is left."""
    found = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    if not found:
        raise ValueError(f"device is {device!r}; expected a name with a letter or a digit")
    return found


def version() -> str:
    """Of the runtime that is installed."""
    return str(required(RUNTIME).__version__)


def stem(
    what: str,
    pair: str,
    task: str,
    side: int,
    threads: int | None,
    version: str,
    group: Group | None = None,
) -> str:
    """The name of a manifest without its ending: all that tells it from the device's others."""
    own = f"{what}-{subjects.family(pair).name}-{task}-{side}-t{threads}-{RUNTIME}-{version}"
    return f"{own}-{slug(group.name)}" if group else own


def manifest_name(asked: Asked) -> str:
    """Of a manifest, below the folder of all devices and without its ending."""
    own = asked.what, asked.pair, asked.task, asked.side, asked.threads
    return f"{slug(asked.device)}/{stem(*own, version(), asked.group)}"


def conditions(asked: Asked) -> Conditions:
    """What all timings of a manifest are taken under."""
    resolution = f"{asked.side}x{asked.side}"
    own = resolution, "float32", asked.threads, RUNTIME, version()
    return Conditions(*own, artifacts.cpu_model())


def record(asked: Asked, subject: Subject, took: timing.Timing, peak: float | None) -> Record:
    """The record of a timing that was taken here and now; no percentile that n runs do not show."""
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
        p90_ms=took.p90_ms if took.n >= FEWEST_FOR_P90 else None,
        p99_ms=took.p99_ms if took.n >= FEWEST_FOR_P99 else None,
        n=took.n,
        seconds=took.seconds,
        drift=took.drift,
        load=quietness.load_average(),
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
        side=asked.side,
        threads=asked.threads,
        pair=subject.pair,
        task=subject.task,
        part=subject.part,
        architecture=subject.architecture,
        reference=reference.architecture,
        median=spread.median,
        low=spread.low,
        high=spread.high,
        n=spread.n,
        reference_ms=raced.timing(reference.name).p50_ms,
    )


def measured(asked: Asked, group: Group) -> tuple[list[Record], list[Comparison]]:
    """A group's records and its comparisons."""
    runs, peaks = {}, {}
    for subject in group.subjects:
        part = subjects.made(subject, asked.width_of, seed=0)
        content, size = part.content(), (1, part.n_in, part.side, part.side)
        image = np.random.default_rng(0).random(size, dtype=np.float32)
        if subject.part == NETWORK:
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
    ]
    return records, [comparison(asked, raced, reference, subject) for subject in others]


def started(checkpoint: Path, identity: Any) -> dict[str, Any]:
    """What `checkpoint` has of this very measurement, and how busy the machine is now."""
    done: dict[str, Any] = {"identity": artifacts.plain(identity), "groups": {}, "before": []}
    if checkpoint.exists():
        found = json.loads(checkpoint.read_text("utf-8"))
        done = found if found["identity"] == done["identity"] else done
    return done | {"before": [*done["before"], quietness.others_running()]}


def compute(
    asked: Asked, checkpoint: Path, identity: Any, progress: Progress | None
) -> DeviceResult:
    """Measure every group that `checkpoint` does not have; each one goes there when it is done."""
    wanted, done = asked.groups, started(checkpoint, identity)
    for group in wanted:
        if group.name not in done["groups"]:
            records, comparisons = measured(asked, group)
            done["groups"][group.name] = {
                "records": [asdict(record) for record in records],
                "comparisons": [asdict(comparison) for comparison in comparisons],
            }
            artifacts.write_bytes(checkpoint, json.dumps(done).encode())
        if progress is not None:
            progress(f"latency of {manifest_name(asked)}", len(done["groups"]), len(wanted))
    rows = [row for group in done["groups"].values() for row in group["records"]]
    load, before = quietness.known_mean([row["load"] for row in rows]), done["before"]
    busiest = None if None in before else max(before)
    return DeviceResult(
        records=rows,
        comparisons=[row for group in done["groups"].values() for row in group["comparisons"]],
        load_before=busiest,
        load=load,
        is_quiet=quietness.quiet(busiest, load, asked.threads),
    )


def get(asked: Asked, progress: Progress | None = None) -> DeviceResult:
    """A manifest's result: from its file, or measured now."""
    config.named("task", asked.task, config.TASKS)
    if isinstance(asked.threads, bool) or not isinstance(asked.threads, int) or asked.threads < 1:
        raise ValueError(f"threads is {asked.threads!r}; expected an integer >= 1")
    store, name = asked.store, manifest_name(asked)
    identity = {
        "what": asked.what,
        "family": asked.family.name,
        "task": asked.task,
        "device": asked.device,
        "profile": store.profile,
        "effort": asdict(asked.effort),
        "groups": {group.name: [s.name for s in group.subjects] for group in asked.groups},
        **asdict(conditions(asked)),
    }

    def make() -> tuple[DeviceResult, artifacts.Provenance]:
        began = time.perf_counter()
        checkpoint = store.own(artifacts.CHECKPOINTS, f"{name}.json")
        made = compute(asked, checkpoint, identity, progress)
        seconds = time.perf_counter() - began
        own = artifacts.provenance(store.profile, FOLDER, 0, seconds, asked.threads)
        return made, own

    return artifacts.load_or_run(store.manifest(name), STEP, DeviceResult, identity, make)
