"""The measurements of all devices on file, and the stage table that a search optimizes.

A device's folder holds the manifests of `measuring` and of `commands.bring_in`; all their records
are checked when they are read. The latency of an architecture is the sum of what its stages and
the glue take: a claim, which whole networks beside it test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ensrepro import artifacts, config, costs, records
from ensrepro.artifacts import RESULTS, Store
from ensrepro.config import DEFAULT_PAIR, Pair
from ensrepro.devices import measuring
from ensrepro.devices.asking import Asked, every, sides
from ensrepro.devices.measuring import FOLDER, STEP, DeviceResult, Progress, slug
from ensrepro.devices.subjects import BLOCKS, KINDS, LEVEL, NETWORKS, STAGES, choice_of, family
from ensrepro.records import GLUE, MEASURED, NETWORK, Record
from ensrepro.space import TEACHER
from ensrepro.timing import Conditions

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
    """Latency of every architecture of a pair on a device, (n_architectures,), in ms.

    `parts` are its terms by (stage, choice): the median of the teacher's stage times how many times
    as long the choice took in alternation with it. They are of networks for `task`; `is_noisy` says
    that the machine was not quiet, so that these are no milliseconds to quote.
    """

    name: str
    side: int
    threads: int
    latency_ms: NDArray[np.float64]
    task: str = ""
    conditions: Conditions | None = None
    is_noisy: bool = False
    parts: Mapping[tuple[str, int], float] = field(default_factory=dict)

    def remark(self, task: str) -> str:
        """What a reader has to know who wants the networks for `task`; empty if it is nothing."""
        of = (
            f" The stages are those of networks for {self.task}: norms and input channels of "
            f"{task} may differ."
        )
        noise = " **The machine was not quiet**: do not quote milliseconds."
        return (of if self.task != task else "") + (noise if self.is_noisy else "")


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


def read(path: Path) -> tuple[DeviceResult, list[Record]]:
    """A manifest's result and its records, checked."""
    identity = artifacts.read_json(path)["identity"]  # a device is what it is: nothing is asked
    result = artifacts.read_manifest(path, STEP, DeviceResult, identity)
    return result, records.all_checked(result.records, path)


def take(store: Store, device: str) -> Shelf:
    """Everything on file of a device, named as `devices_on_file` does."""
    folder = next((path for path in folders(store) if path.name == device), None)
    if folder is None:
        known = ", ".join(devices_on_file(store)) or "none has been measured"
        raise ValueError(f"device is {device!r}; expected one on file: {known}")
    found: list[Record] = []
    comparisons: Comparisons = []
    noisy = []
    for path in sorted(folder.glob("*.json")):
        result, own = read(path)
        found += own
        comparisons += result.comparisons
        noisy += [path.stem] if result.is_quiet is False else []
    return Shelf(device, found, comparisons, noisy)


def this_machine(
    store: Store,
    task: str,
    progress: Progress | None = None,
    pair: str = DEFAULT_PAIR,
    kinds: Sequence[str] = KINDS,
) -> str:
    """Measure these kinds of a pair's family on this machine and one thread; its folder's name."""
    device = artifacts.cpu_model()
    for what in kinds:
        for side in sides(what, store.profile, pair):
            for asked in every(what, Asked(what, side, 1, task, device, store, pair)):
                measuring.get(asked, progress)
    return slug(device)


def kind_of(part: str) -> str:
    """The kind that a record's part is measured with."""
    if part == NETWORK:
        return NETWORKS
    return BLOCKS if part.startswith(LEVEL) else STAGES


def of_series(comparisons: Comparisons, references: Sequence[Record]) -> Comparisons:
    """The comparisons that were taken in alternation with one of the records.

    A comparison tells the median of its reference, which is that of the record to the last digit.
    """
    known = {(r.side, r.threads, r.task, r.part, r.architecture, r.p50_ms) for r in references}
    names = ("side", "threads", "task", "part", "reference", "reference_ms")
    return [row for row in comparisons if tuple(row[name] for name in names) in known]


def about(found: Shelf, pair: Pair, task: str = "") -> Shelf:
    """What was measured of a pair's family, each kind by the version of the runtime used last.

    Blocks and stages are those of one task: of `task` if it was measured, else of the task that was
    measured last. Imported records stay as they are.
    """
    of = family(pair.name)
    kept = [r for r in found.records if r.source != MEASURED]
    comparisons: Comparisons = []
    for kind in KINDS:
        own = [r for r in found.records if r.source == MEASURED and kind_of(r.part) == kind]
        own = [r for r in own if of.has(r.pair)]
        if kind != NETWORKS:
            last = max(own, key=lambda r: r.created).task if own else ""
            chosen = task if any(r.task == task for r in own) else last
            own = [r for r in own if r.task == chosen]
        version = max(own, key=lambda r: r.created).version if own else ""
        own = [r for r in own if r.version == version]
        kept += own
        comparisons += of_series(found.comparisons, [r for r in own if r.pair == of.home.name])
    return replace(found, records=kept, comparisons=comparisons)


def stage_parts(found: Shelf, pair: Pair, side: int, threads: int) -> dict[tuple[str, int], float]:
    """Ms of (stage, choice) and of (glue, 0) of what `about` keeps.

    A ValueError names one that is missing.
    """
    teachers = family(pair.name).home.name

    def absent(part: str, label: str, owner: str) -> ValueError:
        return ValueError(f"{found.device} has no latency of {part} {label} of {owner}")

    def reference(part: str, label: str) -> Record:
        own = [r for r in found.of(part, side, threads) if r.source == MEASURED]
        own = [r for r in own if (r.pair, r.architecture) == (teachers, label)]
        if not own:
            raise absent(part, label, teachers)
        return own[-1]

    values = {(costs.GLUE, 0): reference(GLUE, GLUE).p50_ms}
    for stage in pair.space.stages:
        teacher = reference(stage.name, "T")
        values[stage.name, TEACHER] = teacher.p50_ms
        rows = [row for row in of_series(found.comparisons, [teacher]) if row["pair"] == pair.name]
        ratios = {row["architecture"]: row["median"] for row in rows}
        for label in map(str, stage.depths):
            if label not in ratios:
                raise absent(stage.name, label, pair.name)
            values[stage.name, choice_of(stage, label)] = teacher.p50_ms * ratios[label]
    return values


def stage_records(found: Shelf, pair: Pair) -> list[Record]:
    """The measured stages of a pair's family, and its glue."""
    of = family(pair.name)
    measured = [r for r in found.records if r.source == MEASURED and of.has(r.pair)]
    return [r for r in measured if kind_of(r.part) == STAGES]


def stage_table(
    found: Shelf, pair: Pair, threads: int = 1, side: int = 0, task: str = ""
) -> StageTable:
    """The latency column of a pair for a search; side 0 takes the largest that was measured.

    The stages are those that `about` finds for the task.
    """
    kept = about(found, pair, task)
    own = [r for r in stage_records(kept, pair) if r.threads == threads]
    measured = sorted({record.side for record in own})
    if not measured or (side and side not in measured):
        at = f" at {side} pixels" if side else ""
        raise ValueError(
            f"{found.device} has no stages on {threads} threads{at}; python -m ensrepro measure "
            f"--what stages --pair {pair.name} measures them"
        )
    chosen = side or measured[-1]
    one = next(r for r in own if r.side == chosen)
    parts = stage_parts(kept, pair, chosen, threads)
    file = measuring.stem(STAGES, family(pair.name), one.task, chosen, threads, one.version)
    return StageTable(
        name=f"{found.device}-{one.task}-{chosen}-t{threads}-{one.version}",
        side=chosen,
        threads=threads,
        latency_ms=costs.summed(parts, pair.space),
        task=one.task,
        conditions=one.conditions,
        is_noisy=file in found.noisy,
        parts=parts,
    )


class Whole(NamedTuple):
    """A network that was timed whole, in ms, beside the sum of its parts.

    A hybrid's is the teacher's median times how many times as long it took in alternation.
    """

    label: str
    sum_ms: float
    whole_ms: float


def sums(found: Shelf, table: StageTable, pair: Pair) -> list[Whole]:
    """The networks of the pair that were timed whole as the table's stages were, teacher first."""
    of, space = family(pair.name), pair.space
    kept = about(found, pair, table.task)
    networks = [r for r in kept.of(NETWORK, table.side, table.threads) if r.source == MEASURED]
    teachers = [r for r in networks if (r.task, r.architecture) == (table.task, of.teacher)]
    if not teachers:
        return []
    teacher_ms = median(r.p50_ms for r in teachers)
    rows = [row for row in of_series(kept.comparisons, teachers) if row["pair"] == pair.name]
    ratios = {of.teacher: 1.0} | {row["architecture"]: row["median"] for row in rows}

    def added(label: str) -> float:
        return float(table.latency_ms[space.index(space.labeled(label))])

    return [Whole(label, added(label), ratio * teacher_ms) for label, ratio in ratios.items()]
