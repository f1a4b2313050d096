"""Which device a notebook is about: the one that it names, else one on file, else this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ensrepro.artifacts import Store
from ensrepro.config import Pair
from ensrepro.devices import shelf, whole
from ensrepro.devices.measuring import Progress
from ensrepro.devices.shelf import Shelf
from ensrepro.devices.stage_sums import StageTable
from ensrepro.devices.subjects import KINDS, STAGES
from ensrepro.devices.whole import Raced


@dataclass(frozen=True)
class Choice:
    """What a notebook says: the device it names, if any, and whose networks it wants there.

    `shelf.HERE` for a name measures this machine now. A notebook of the smallest profile is about
    this machine unless it says something else.
    """

    store: Store
    name: str
    threads: int
    task: str
    pair: Pair
    is_smallest: bool
    progress: Progress | None = None

    def here(self, kinds: Sequence[str]) -> str:
        """This machine, measured."""
        own = self.task, self.progress, self.pair.name
        return shelf.this_machine(self.store, *own, kinds, self.threads)

    def named(self, kinds: Sequence[str]) -> str:
        """The device that is named, or this machine if that is wanted; empty if neither."""
        if self.name == shelf.HERE:
            return self.here([STAGES])
        return self.here(kinds) if self.is_smallest and not self.name else self.name

    def taken(self, device: str) -> Shelf:
        return shelf.taken(self.store, device, self.pair.name, self.task)

    def any(self) -> Shelf:
        """Without a name it is this machine or another one on file (`shelf.default`)."""
        return self.taken(self.named(KINDS) or shelf.default(self.store, self.pair.name))

    def staged(self) -> Shelf:
        """One with stages of the pair; this machine, measured now, where there is none."""
        name = self.named([STAGES]) or shelf.first(self.store, self.pair.name, [STAGES])
        return self.taken(name or self.here([STAGES]))

    def raced(self, device: str, table: StageTable, label: str, threads: int = 1) -> Raced:
        """A network timed whole, beside its teacher, on an image as that of the stages."""
        own = self.pair, self.task, label, table.side, threads
        return whole.get(self.store, device, *own, self.progress)
