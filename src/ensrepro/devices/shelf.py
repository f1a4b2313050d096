"""The measurements of all devices on file, and the stage table that a search optimizes.

A device's folder holds the manifests of `measuring` and of `commands.bring_in`; all their records
are checked when they are read. The latency of an architecture is the sum of what its stages and
the glue take: a claim, which whole networks beside it test.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensrepro import artifacts, config, costs, records
from ensrepro.artifacts import RESULTS, Store
from ensrepro.config import Pair
from ensrepro.devices import measuring
from ensrepro.devices.measuring import FOLDER, STEP, Asked, DeviceResult, Progress, slug
from ensrepro.devices.subjects import KINDS, STAGES, choice_of
from ensrepro.exchange import Exchange
from ensrepro.records import GLUE, IMPORTED, NETWORK, Record
from ensrepro.space import Space

IMPORTS = "imported-"  # what the name of a manifest of what was imported begins with
HERE = "here"  # in place of a device's name: this machine, measured if it is not on file

Comparisons = list[dict[str, Any]]


@dataclass(frozen=True)
class Shelf:
    """What is on file of one device: its records, comparisons, and manifests that were noisy."""

    device: str
    records: list[Record]
    comparisons: Comparisons
    noisy: list[str]

    def of(self, part: str, side: int, threads: int | None) -> list[Record]:
        """Records of a part at one image side."""
        found = [r for r in self.records if (r.part, r.side, r.threads) == (part, side, threads)]
        return found


@dataclass(frozen=True)
class StageTable:
    """Latency of every architecture of a pair on a device, (n_architectures,), in ms."""

    name: str
    side: int
    threads: int
    latency_ms: NDArray[np.float64]


def store_of(profile: str, out: str | Path = "") -> Store:
    """Where the devices of a profile are: new files below `out`, committed ones as they are."""
    config.named("profile", profile, config.PROFILES)
    repository = artifacts.repository()
    root, fallback = (Path(out).absolute(), repository) if str(out) else (repository, None)
    return Store(profile, FOLDER, root, fallback)


def folders(store: Store) -> Iterator[Path]:
    """The folders of devices, the store's own ones first."""
    for root in filter(None, (store.root, store.fallback)):
        home = root / RESULTS / store.profile / FOLDER
        yield from sorted(path for path in home.glob("*") if any(path.glob("*.json")))


def devices_on_file(store: Store) -> list[str]:
    """Names of the folders of all devices."""
    return list(dict.fromkeys(path.name for path in folders(store)))


def manifests(store: Store, device: str) -> list[Path]:
    """The files of a device in the order of their names; the store's own hide committed ones."""
    found: dict[str, Path] = {}
    for folder in folders(store):
        for path in folder.glob("*.json") if folder.name == device else ():
            found.setdefault(path.name, path)
    return [found[name] for name in sorted(found)]


def default(store: Store) -> str:
    """The device to take if none is named; a FileNotFoundError if there is none.

    It is this machine if that is on file, else the first one that was not imported, else the first.
    """
    known = devices_on_file(store)
    if not known:
        raise FileNotFoundError(
            "no device has been measured; expected one: python -m ensrepro measure takes about an "
            "hour"
        )
    own = slug(artifacts.cpu_model())
    measured = [
        device
        for device in known
        if not all(path.stem.startswith(IMPORTS) for path in manifests(store, device))
    ]
    return own if own in known else [*measured, *known][0]


def stages_here(store: Store, task: str, threads: int, progress: Progress | None = None) -> str:
    """Measure the stages of this machine, which is all that a search needs; its folder's name."""
    device = artifacts.cpu_model()
    for side in measuring.sides(STAGES, store.profile):
        measuring.get(Asked(STAGES, side, threads, task, device, store), progress)
    return slug(device)


def read(path: Path) -> tuple[DeviceResult, list[Record]]:
    """A manifest's result and its records, checked."""
    identity = artifacts.read_json(path)["identity"]  # a device is what it is: nothing is asked
    result = artifacts.read_manifest(path, STEP, DeviceResult, identity)
    return result, records.all_checked(result.records, path)


def take(store: Store, device: str) -> Shelf:
    """Everything on file of a device, named as `devices_on_file` does."""
    paths = manifests(store, device)
    if not paths:
        known = ", ".join(devices_on_file(store)) or "none has been measured"
        raise ValueError(f"device is {device!r}; expected one on file: {known}")
    found: list[Record] = []
    comparisons: Comparisons = []
    noisy = []
    for path in paths:
        result, own = read(path)
        found += own
        comparisons += map(asdict, records.all_compared(result.comparisons, path))
        noisy += [path.stem] if result.is_quiet is False else []
    return Shelf(device, found, comparisons, noisy)


def imported(store: Store) -> list[Exchange]:
    """What was imported, of all devices, a file at a time."""
    found = []
    for path in (path for device in devices_on_file(store) for path in manifests(store, device)):
        result, own = read(path)
        if all(record.source == IMPORTED for record in own):
            found.append(Exchange(own, records.all_compared(result.comparisons, path)))
    return found


def this_machine(store: Store, task: str, progress: Progress | None = None) -> str:
    """Measure all kinds on this machine and one thread; the name of its folder."""
    device = artifacts.cpu_model()
    for what in KINDS:
        for side in measuring.sides(what, store.profile):
            measuring.get(Asked(what, side, 1, task, device, store), progress)
    return slug(device)


def stage_values(
    own: Sequence[Record], pair: Pair, space: Space, of: str
) -> dict[tuple[str, int], float]:
    """Median ms of (stage, choice) and of (glue, 0); a ValueError names one that is missing."""
    teachers = config.teacher_pair(pair).name
    medians = {(r.pair, r.part, r.architecture): r.p50_ms for r in own}
    values = {}
    for stage in space.stages:
        labels = {"T": teachers} | {str(depth): pair.name for depth in stage.depths}
        for label, owner in labels.items():
            if (owner, stage.name, label) not in medians:
                raise ValueError(f"{of} has no latency of {stage.name} {label} of {owner}")
            values[stage.name, choice_of(stage, label)] = medians[owner, stage.name, label]
    if (teachers, GLUE, GLUE) not in medians:
        raise ValueError(f"{of} has no latency of the glue of {teachers}")
    return values | {(costs.GLUE, 0): medians[teachers, GLUE, GLUE]}


def stage_table(found: Shelf, pair: Pair, threads: int = 1, side: int = 0) -> StageTable:
    """The latency column of a pair for a search; side 0 takes the largest that was measured."""
    parts = {GLUE, *(stage.name for stage in pair.space.stages)}
    own = [r for r in found.records if r.part in parts and r.threads == threads]
    measured = sorted({record.side for record in own})
    if not measured or (side and side not in measured):
        at = f" at {side} pixels" if side else ""
        raise ValueError(
            f"{found.device} has no stages on {threads} threads{at}; python -m ensrepro measure "
            "--what stages measures them"
        )
    chosen = side or measured[-1]
    name = f"{found.device}-{chosen}-t{threads}"
    values = stage_values([r for r in own if r.side == chosen], pair, pair.space, name)
    return StageTable(name, chosen, threads, costs.summed(values, pair.space))


def sums(found: Shelf, table: StageTable, pair: Pair) -> list[tuple[str, float, float]]:
    """Label, sum of the parts, and whole latency in ms of the pair's networks that were timed."""
    space = pair.space
    column = dict(zip(map(space.label, space), table.latency_ms, strict=True))
    owners = (pair.name, config.teacher_pair(pair).name)
    whole = [r for r in found.of(NETWORK, table.side, table.threads) if r.pair in owners]
    glue_task = {r.task for r in found.of(GLUE, table.side, table.threads)}
    teacher = space.label(space.teacher)
    return [
        (r.architecture, float(column[r.architecture]), r.p50_ms)
        for r in whole
        if r.task in glue_task and (r.pair == pair.name or r.architecture == teacher)
    ]
