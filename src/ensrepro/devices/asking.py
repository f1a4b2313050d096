"""What a measurement is of: the kind and its groups, the image, the threads; how long it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ensrepro.artifacts import Store
from ensrepro.config import DEFAULT_PAIR
from ensrepro.devices import found, subjects
from ensrepro.devices.subjects import BLOCKS, LARGE, NETWORKS, STAGES, Family, Group

SIDES = {BLOCKS: (64, 128, 256, 512), STAGES: (256,), NETWORKS: (128, 256, 512)}
SMOKE, SMOKE_SIDE = "smoke", 32


@dataclass(frozen=True)
class Effort:
    """How long a group is timed: at least so many rounds, and seconds of all subjects together.

    The first runs of a session make its memory grow, and took up to 4 times as long as later ones;
    after two or three none did. So many are not counted.
    """

    rounds: int
    seconds: float
    warm_up: int


EFFORT, SMOKE_EFFORT = Effort(10, 3.0, warm_up=3), Effort(2, 0.0, warm_up=1)
LARGE_EFFORT = Effort(3, 0.0, warm_up=2)  # of networks on large images, whose runs take minutes


@dataclass(frozen=True)
class Asked:
    """One manifest to be: what is measured, of which image, on how many threads, where it goes.

    Any pair of a family stands for it. Whole networks come as a `group` of two.
    """

    what: str
    side: int
    threads: int
    task: str
    device: str
    store: Store
    pair: str = DEFAULT_PAIR
    group: Group | None = None

    @property
    def family(self) -> Family:
        return subjects.family(self.pair)

    @property
    def groups(self) -> list[Group]:
        """What is timed; networks are told, as they depend on what was found."""
        if self.group is not None:
            return [self.group]
        return subjects.groups(self.what, self.family, self.side, self.task)

    @property
    def width_of(self) -> str:
        """The profile whose width the networks have: the paper's, but for the smallest scale."""
        return SMOKE if self.store.profile == SMOKE else "paper"

    @property
    def effort(self) -> Effort:
        if self.store.profile == SMOKE:
            return SMOKE_EFFORT
        return LARGE_EFFORT if self.what == NETWORKS and self.side >= LARGE else EFFORT


def sides(what: str, profile: str, pair: str = DEFAULT_PAIR) -> tuple[int, ...]:
    """The image sides that a kind is measured at in a profile: those that the networks take."""
    multiple = subjects.family(pair).home.multiple
    if profile == SMOKE:
        return (max(SMOKE_SIDE, multiple),)
    return tuple(side for side in SIDES[what] if side % multiple == 0)


def every(what: str, own: Asked) -> list[Asked]:
    """What is to be measured of a kind, at the side that `own` asks for."""
    if what != NETWORKS:
        return [replace(own, what=what)]
    of = own.family
    wanted = subjects.groups(what, of, own.side, own.task, found.on_file(own.store, of.pairs))
    return [replace(own, what=what, group=group, task=group.subjects[0].task) for group in wanted]
