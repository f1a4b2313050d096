"""The measurements of all devices on file.

A device's folder holds the manifests of `measuring` and of `commands.bring_in`; all their records
are checked when they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ensrepro import artifacts, config, records
from ensrepro.artifacts import RESULTS, Store
from ensrepro.config import DEFAULT_PAIR
from ensrepro.devices import measuring
from ensrepro.devices.asking import Asked, every, sides
from ensrepro.devices.measuring import FOLDER, STEP, DeviceResult, Progress, slug
from ensrepro.devices.subjects import BLOCKS, KINDS, LEVEL, NETWORKS, STAGES, family
from ensrepro.exchange import Exchange
from ensrepro.records import IMPORTED, MEASURED, NETWORK, Record

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


def about(found: Shelf, pair: str, task: str = "") -> Shelf:
    """What was measured of a pair's family, each kind with the runtime's version that was last.

    Blocks and stages are those of one task: of `task` if it was measured, else of the task that was
    measured last. Imported records stay as they are.
    """
    of = family(pair)
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
    own_files = tuple(f"{kind}-{of.name}-" for kind in KINDS)
    noisy = [name for name in found.noisy if name.startswith(own_files)]
    return replace(found, records=kept, comparisons=comparisons, noisy=noisy)


def taken(store: Store, device: str, pair: str, task: str) -> Shelf:
    """What `about` keeps of a device; a ValueError if that is nothing."""
    found = about(take(store, device), pair, task)
    if not found.records:
        raise ValueError(
            f"device is {device!r}, of which nothing of {pair} was measured; python -m ensrepro "
            f"measure --pair {pair} does it there"
        )
    return found


def has(found: Shelf, pair: str, kind: str) -> bool:
    """Whether something of a kind was measured of a pair's family."""
    of = family(pair)
    return any(
        r.source == MEASURED and of.has(r.pair) and kind_of(r.part) == kind for r in found.records
    )


def first(store: Store, pair: str, kinds: Sequence[str] = KINDS) -> str:
    """The device to take if none is named: one with measurements of a pair's family, of any kind.

    This machine before others; empty if there is none.
    """
    known = devices_on_file(store)
    own = slug(artifacts.cpu_model())
    for device in sorted(known, key=lambda name: name != own):
        found = take(store, device)
        if any(has(found, pair, kind) for kind in kinds):
            return device
    return ""


def default(store: Store, pair: str = DEFAULT_PAIR) -> str:
    """The device to take if none is named; a FileNotFoundError if there is none.

    It is this machine if that is on file, else the first one that was measured, else the first.
    """
    known = devices_on_file(store)
    if not known:
        raise FileNotFoundError(
            "no device has been measured; expected one: python -m ensrepro measure takes about an "
            "hour"
        )
    own = slug(artifacts.cpu_model())
    if own in known and about(take(store, own), pair).records:
        return own
    return first(store, pair) or known[0]


def this_machine(
    store: Store,
    task: str,
    progress: Progress | None = None,
    pair: str = DEFAULT_PAIR,
    kinds: Sequence[str] = KINDS,
    threads: int = 1,
) -> str:
    """Measure these kinds of a pair's family on this machine; the name of its folder."""
    device = artifacts.cpu_model()
    for what in kinds:
        for side in sides(what, store.profile, pair):
            for asked in every(what, Asked(what, side, threads, task, device, store, pair)):
                measuring.get(asked, progress)
    return slug(device)
