"""What is measured on a device: single blocks, every choice of every stage, whole networks.

Pairs that share a teacher are a *family* and are compared in one table. Subjects that are compared
form a *group*, timed in alternation; its first one is the *reference*: the teacher's block, the
teacher's stage, the teacher. An image has `side` x `side` pixels, and a part sees it at the
resolution of its own level.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from ensrepro import config, costs
from ensrepro.config import PAIRS, TASKS, Pair
from ensrepro.devices.found import Found
from ensrepro.export import network
from ensrepro.models.hybrid import Shape, build, network_shape
from ensrepro.records import GLUE, NETWORK
from ensrepro.space import TEACHER, Space, Stage

BLOCKS, STAGES, NETWORKS = "blocks", "stages", "networks"
KINDS = (BLOCKS, STAGES, NETWORKS)
LEVEL = "level_"  # begins the part of a single block; the image itself is level 1
LARGE = 512  # pixels a side from which on only the networks are timed that matter most


@dataclass(frozen=True)
class Subject:
    """One thing to time; part and architecture as in a record."""

    pair: str
    task: str
    part: str
    architecture: str
    side: int

    @property
    def name(self) -> str:
        """Unique within a group."""
        return f"{self.pair} {self.task} {self.part} {self.architecture}"


@dataclass(frozen=True)
class Group:
    """Subjects timed in alternation, the reference first."""

    name: str
    subjects: tuple[Subject, ...]


@dataclass(frozen=True)
class Family:
    """The pairs that share a teacher; `home` is the one that the teacher belongs to."""

    home: Pair

    @property
    def name(self) -> str:
        """That of the teacher's blocks."""
        return self.home.expressive

    @property
    def space(self) -> Space:
        return self.home.space

    @property
    def teacher(self) -> str:
        """The teacher's label."""
        return self.space.label(self.space.teacher)

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        own = (p for p in PAIRS.values() if config.teacher_pair(p) == self.home)
        return tuple(pair for pair in own if pair.name != config.CONTROL)

    def has(self, pair: str) -> bool:
        """Whether a pair of this name is one of them."""
        return any(own.name == pair for own in self.pairs)

    @cached_property
    def levels(self) -> dict[str, Stage]:
        """The part that stands for a single block of a level -> the first stage of that level."""
        first: dict[str, Stage] = {}
        for stage in self.space.stages:
            first.setdefault(f"{LEVEL}{stage.level + 1}", stage)
        return first

    def check(self, side: int) -> None:
        """A ValueError if images of this side are none that its networks take."""
        multiple = self.home.multiple
        if isinstance(side, bool) or not isinstance(side, int) or side < 1 or side % multiple:
            raise ValueError(f"side is {side!r}; expected a multiple of {multiple} pixels")


def family(pair: str) -> Family:
    """The family of a pair; a ValueError lists the pairs."""
    return Family(config.teacher_pair(config.named("pair", pair, PAIRS)))


@dataclass(frozen=True)
class Part:
    """What a subject is made of: a module, its channels in and out, the side of its own input."""

    module: nn.Module
    n_in: int
    n_out: int
    side: int

    def content(self) -> bytes:
        """The ONNX file."""
        made: bytes = network.model(self.module.eval(), self.n_in, self.n_out).SerializeToString()
        return made


def choice_of(stage: Stage, label: str) -> int:
    """The choice of a label, `T` or a depth."""
    return TEACHER if label == "T" else 1 + stage.depths.index(int(label))


def label_of(stage: Stage, choice: int) -> str:
    """`T` for the teacher, else the depth."""
    return "T" if choice == TEACHER else str(stage.depth(choice))


def shape_of(subject: Subject, profile: str) -> Shape:
    """What the networks of its pair and task are made of, at the width of a profile."""
    return network_shape(config.PROFILES[profile], TASKS[subject.task], PAIRS[subject.pair])


def stage_part(subject: Subject, stage: Stage, choice: int, profile: str) -> Part:
    """All blocks that a choice puts into a stage."""
    shape = shape_of(subject, profile)
    channels = shape.channels(stage)
    module = costs.filling(stage, choice, shape)
    return Part(module, channels, channels, subject.side // 2**stage.level)


def block_part(subject: Subject, profile: str) -> Part:
    """The first block of a kind at a level."""
    of = family(subject.pair)
    choice = TEACHER if subject.architecture == of.name else 1
    part = stage_part(subject, of.levels[subject.part], choice, profile)
    return Part(part.module[0], part.n_in, part.n_out, part.side)  # type: ignore[index]


def made(subject: Subject, profile: str, seed: int) -> Part:
    """The subject with random weights, at the width of a profile."""
    space = PAIRS[subject.pair].space
    shape = shape_of(subject, profile)
    ends = shape.in_channels, shape.out_channels, subject.side
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if subject.part == NETWORK:
            return Part(build(space.labeled(subject.architecture), shape, space), *ends)
        if subject.part == GLUE:
            return Part(costs.glue(shape, space), *ends)
        if subject.part.startswith(LEVEL):
            return block_part(subject, profile)
        stage = space.stage(subject.part)
        return stage_part(subject, stage, choice_of(stage, subject.architecture), profile)


def block_groups(of: Family, side: int, task: str) -> Iterator[Group]:
    """A group a level: the teacher's block and one of each efficient kind."""
    for part in of.levels:
        kinds = [(of.home.name, of.name), *((pair.name, pair.efficient) for pair in of.pairs)]
        yield Group(part, tuple(Subject(pair, task, part, kind, side) for pair, kind in kinds))


def stage_groups(of: Family, side: int, task: str) -> Iterator[Group]:
    """The glue, then a group a stage: the teacher's blocks and every surrogate of every pair."""
    home = of.home.name
    yield Group(GLUE, (Subject(home, task, GLUE, GLUE, side),))
    for stage in of.space.stages:
        depths = [(pair.name, str(depth)) for pair in of.pairs for depth in stage.depths]
        choices = [(home, label_of(stage, TEACHER)), *depths]
        yield Group(stage.name, tuple(Subject(p, task, stage.name, c, side) for p, c in choices))


def wanted(of: Family, side: int, task: str, found: Iterable[Found]) -> list[Found]:
    """Networks to set beside the teacher: all surrogates, most and fewest blocks; and the found.

    Of large images those with fewest blocks, and what was found for the task.
    """
    space, is_large = of.space, side >= LARGE
    ends = [space.cheapest] if is_large else [space.all_ssm, space.cheapest]
    whole = [Found(pair.name, task, space.label(end)) for pair in of.pairs for end in ends]
    own = [one for one in found if of.has(one.pair) and (one.task == task or not is_large)]
    return [one for one in dict.fromkeys([*whole, *own]) if one.architecture != of.teacher]


def network_group(pair: str, task: str, label: str, side: int) -> Group:
    """A hybrid beside the teacher of its task; the teacher has nothing beside it."""
    of = family(pair)
    of.space.labeled(label)  # refused if it is no architecture
    reference = Subject(of.home.name, task, NETWORK, of.teacher, side)
    own = of.home.name if label == of.teacher else pair
    both = reference, Subject(own, task, NETWORK, label, side)
    return Group(f"{own} {label}", tuple(dict.fromkeys(both)))


def network_groups(of: Family, side: int, task: str, found: Iterable[Found]) -> Iterator[Group]:
    """A group a hybrid, beside the teacher of its own task: two networks fit into any memory."""
    for one in wanted(of, side, task, found):
        yield network_group(one.pair, one.task, one.architecture, side)


def groups(kind: str, of: Family, side: int, task: str, found: Iterable[Found] = ()) -> list[Group]:
    """All groups of a kind; of `found` architectures, those that are the family's are networks."""
    of.check(side)
    if kind == BLOCKS:
        return list(block_groups(of, side, task))
    if kind == STAGES:
        return list(stage_groups(of, side, task))
    if kind == NETWORKS:
        return list(network_groups(of, side, task, found))
    raise ValueError(f"what is {kind!r}; expected one of {', '.join(KINDS)}")
