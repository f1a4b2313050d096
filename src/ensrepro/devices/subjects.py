"""What is measured on a device: single blocks, every choice of every stage, whole networks.

Subjects that are compared form a *group*, timed in alternation; its first one is the *reference*:
the Restormer block, the teacher's stage, the teacher. An image has `side` x `side` pixels, and a
part sees it at the resolution of its own level.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ensrepro import config, costs
from ensrepro.claims.belonging import numbered
from ensrepro.config import DEFAULT_PAIR, PAIRS, TASKS
from ensrepro.export import network
from ensrepro.models.hybrid import Shape, build, network_shape
from ensrepro.records import GLUE, NETWORK
from ensrepro.space import RESTORMER, TEACHER, Space, Stage

BLOCKS, STAGES, NETWORKS = "blocks", "stages", "networks"
KINDS = (BLOCKS, STAGES, NETWORKS)
EDGE_PAIR = "restormer-edge"
MEASURED_PAIRS = (DEFAULT_PAIR, EDGE_PAIR)  # one teacher, one space: comparable in one table
DOWNWARD = ("encoder_1", "encoder_2", "encoder_3", "bottleneck")
LEVELS = {RESTORMER.stage(name).level: RESTORMER.stage(name) for name in DOWNWARD}
FAMILIES = (  # family, pair, whether it is the teacher's
    ("restormer", DEFAULT_PAIR, True),
    ("mambair", DEFAULT_PAIR, False),
    ("edge", EDGE_PAIR, False),
)
MULTIPLE = 8  # of the side of an image, at the least


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
    """The first block of a family at a level."""
    stage = LEVELS[int(subject.part.removeprefix("level_")) - 1]
    is_teacher = next(mine for name, _, mine in FAMILIES if name == subject.architecture)
    part = stage_part(subject, stage, TEACHER if is_teacher else 1, profile)
    return Part(part.module[0], part.n_in, part.n_out, part.side)  # type: ignore[index]


def made(subject: Subject, profile: str, seed: int) -> Part:
    """The subject with random weights, at the width of a profile."""
    space = PAIRS[subject.pair].space
    shape = shape_of(subject, profile)
    ends = shape.in_channels, shape.out_channels, subject.side
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if subject.part == NETWORK:
            return Part(build(numbered(subject.architecture), shape, space), *ends)
        if subject.part == GLUE:
            return Part(costs.glue(shape, space), *ends)
        if subject.part.startswith("level_"):
            return block_part(subject, profile)
        stage = space.stage(subject.part)
        return stage_part(subject, stage, choice_of(stage, subject.architecture), profile)


def block_groups(side: int, task: str) -> Iterator[Group]:
    """A group a level, with one block of each family."""
    for level in LEVELS:
        part = f"level_{level + 1}"
        blocks = [Subject(pair, task, part, family, side) for family, pair, _ in FAMILIES]
        yield Group(part, tuple(blocks))


def stage_groups(side: int, task: str) -> Iterator[Group]:
    """The glue, then a group a stage: the teacher's blocks and every surrogate of both pairs."""
    yield Group(GLUE, (Subject(DEFAULT_PAIR, task, GLUE, GLUE, side),))
    for stage in RESTORMER.stages:
        depths = [(pair, str(depth)) for pair in MEASURED_PAIRS for depth in stage.depths]
        choices = [(DEFAULT_PAIR, label_of(stage, TEACHER)), *depths]
        of = [Subject(pair, task, stage.name, label, side) for pair, label in choices]
        yield Group(stage.name, tuple(of))


@dataclass(frozen=True)
class Found:
    """An architecture that a search found and fine-tuning chose."""

    pair: str
    task: str
    architecture: str


def found_on_file(folder: Path) -> list[Found]:
    """What notebook 06 chose for each task and pair, from the results of a profile."""
    found = []
    for path in sorted(folder.glob("*/06_finetune.manifest.json")):
        content: Mapping[str, Mapping[str, str]] = json.loads(path.read_text("utf-8"))
        asked = content["parameters"]
        pair = asked.get("pair", DEFAULT_PAIR)
        if pair in MEASURED_PAIRS:
            found.append(Found(pair, asked["task"], content["headline"]["chosen"]))
    return found


def wanted(task: str, found: Iterable[Found]) -> list[Found]:
    """Networks to set beside the teacher: all surrogates, most and fewest blocks; and the found."""
    space: Space = RESTORMER
    whole = [
        Found(pair, task, space.label(architecture))
        for pair in MEASURED_PAIRS
        for architecture in (space.all_ssm, space.cheapest)
    ]
    return list(dict.fromkeys([*whole, *found]))


def network_groups(side: int, task: str, found: Iterable[Found]) -> Iterator[Group]:
    """A group a hybrid, beside the teacher of its own task: two networks fit into any memory."""
    teacher = RESTORMER.label(RESTORMER.teacher)
    for one in wanted(task, found):
        reference = Subject(DEFAULT_PAIR, one.task, NETWORK, teacher, side)
        hybrid = Subject(one.pair, one.task, NETWORK, one.architecture, side)
        if one.architecture != teacher:
            yield Group(f"{one.pair} {one.task} {one.architecture}", (reference, hybrid))


def groups(kind: str, side: int, task: str, folder: Path) -> list[Group]:
    """All groups of a kind; found architectures are looked up in `folder`, a profile's results."""
    if isinstance(side, bool) or not isinstance(side, int) or side < MULTIPLE or side % MULTIPLE:
        raise ValueError(f"side is {side!r}; expected a multiple of {MULTIPLE} pixels")
    if kind == BLOCKS:
        return list(block_groups(side, task))
    if kind == STAGES:
        return list(stage_groups(side, task))
    if kind == NETWORKS:
        return list(network_groups(side, task, found_on_file(folder)))
    raise ValueError(f"what is {kind!r}; expected one of {', '.join(KINDS)}")
