"""One U-Net loop over a table of stages: it builds any architecture of any pair (section 3.2).

What a pair's networks are made of is the answer of its shape (`Shape`). The glue (stem, down, up,
reduce, output) belongs to the teacher and is shared by every hybrid. What leads into a stage
follows from the levels of its neighbors: deeper means downsampling, shallower means upsampling and
concatenation with the encoder's output of that level.
B, C, H, W: batch, channels, height, width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ensrepro.config import DEFAULT_PAIR, PAIRS, Pair, Profile, Task
from ensrepro.models.edge import EdgeShape, StatelessShape
from ensrepro.models.restormer import NetworkShape
from ensrepro.models.uformer import UformerShape
from ensrepro.space import RESTORMER, TEACHER, Space, Stage

Surrogates = Mapping[tuple[str, int], nn.Module]  # (stage name, depth) -> stage


class Shape(Protocol):
    """What the networks of one pair are made of: a frozen dataclass.

    Its fields fix every parameter apart from the architecture, and are part of every identity.
    The sides of the deepest map are multiples of `window` pixels; `padding`, one of
    evaluate.PADDINGS, makes any image fit. Blocks of a surrogate have a method `zero_output` that
    makes them the identity.
    """

    @classmethod
    def of(cls, profile: Profile, task: Task, width: int) -> Shape: ...
    @property
    def window(self) -> int: ...
    @property
    def padding(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def in_channels(self) -> int: ...
    @property
    def out_channels(self) -> int: ...
    @property
    def is_dual_pixel(self) -> bool: ...
    def channels(self, stage: Stage) -> int: ...
    def stem(self) -> nn.Module: ...
    def downsample(self, n_in: int, n_out: int) -> nn.Module: ...
    def upsample(self, n_in: int, n_out: int) -> nn.Module: ...
    def output(self, channels: int) -> nn.Module: ...
    def teacher_stage(self, stage: Stage) -> nn.Sequential: ...
    def surrogate_stage(self, stage: Stage, depth: int) -> nn.Sequential: ...


RELEASED_RESTORMER = NetworkShape()

# (expressive family, efficient family) -> shape
SHAPES: dict[tuple[str, str], type[Shape]] = {
    ("restormer", "mambair"): NetworkShape,
    ("uformer", "mambair"): UformerShape,
    ("restormer", "edge"): EdgeShape,
    ("restormer", "stateless"): StatelessShape,
}


def network_shape(profile: Profile, task: Task, pair: Pair = PAIRS[DEFAULT_PAIR]) -> Shape:
    """The shape of every network of a profile, task and pair."""
    shape = SHAPES[pair.expressive, pair.efficient]
    return shape.of(profile, task, min(profile.width, pair.widest))


def teacher_stage(stage: Stage, shape: Shape) -> nn.Sequential:
    """The stage's blocks in the teacher, (B, C, H, W) -> (B, C, H, W)."""
    return shape.teacher_stage(stage)


def surrogate_stage(stage: Stage, depth: int, shape: Shape) -> nn.Sequential:
    """`depth` blocks of the efficient family, (B, C, H, W) -> (B, C, H, W)."""
    return shape.surrogate_stage(stage, depth)


class UNet(nn.Module):
    """The restoration network: glue plus one module a stage; (B, C_in, H, W) -> (B, C_out, H, W).

    H and W are multiples of `multiple`, for Uformer also equal (`evaluate.restore` pads and crops).
    """

    def __init__(self, shape: Shape, stages: Sequence[nn.Module], space: Space = RESTORMER) -> None:
        super().__init__()
        self.shape, self.space = shape, space
        self.stem = shape.stem()
        self.stages = nn.ModuleDict(
            {stage.name: module for stage, module in zip(space.stages, stages, strict=True)}
        )
        self.down, self.up, self.reduce = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        channels, level = shape.width, 0
        skips: list[int] = []  # skips[level]: position of the encoder stage of that level
        self.skip_of: dict[str, int] = {}
        for position, stage in enumerate(space.stages):
            own = shape.channels(stage)
            if stage.level > level:
                self.down[stage.name] = shape.downsample(channels, own)
            elif stage.level < level:
                self.skip_of[stage.name] = skips[stage.level]
                n_skip = shape.channels(space.stages[skips[stage.level]])
                self.up[stage.name] = shape.upsample(channels, n_skip)
                if 2 * n_skip != own:  # assumption A18: levels 3 and 2 of Restormer
                    self.reduce[stage.name] = nn.Conv2d(2 * n_skip, own, 1, bias=False)
            if len(skips) == stage.level:
                skips.append(position)
            channels, level = own, stage.level
        if shape.is_dual_pixel:
            self.skip_conv = nn.Conv2d(shape.width, channels, 1, bias=False)
        self.output = shape.output(channels)

    @property
    def padding(self) -> str:
        """How an image of any size is made to fit, one of evaluate.PADDINGS."""
        return self.shape.padding

    @property
    def multiple(self) -> int:
        """Height and width of the input must be multiples of this."""
        return 2 ** max(stage.level for stage in self.space.stages) * self.shape.window

    def enter(self, stage: Stage, stem: Tensor, outputs: Sequence[Tensor]) -> Tensor:
        """Input of a stage from the outputs of all stages before it."""
        x = outputs[-1] if outputs else stem
        if stage.name in self.down:
            x = self.down[stage.name](x)
        elif stage.name in self.up:
            x = torch.cat([self.up[stage.name](x), outputs[self.skip_of[stage.name]]], dim=1)
            if stage.name in self.reduce:
                x = self.reduce[stage.name](x)
        return x

    def leave(self, image: Tensor, stem: Tensor, refined: Tensor) -> Tensor:
        """The restored image (B, C_out, H, W) from the last stage's output."""
        if self.shape.is_dual_pixel:
            return self.output(refined + self.skip_conv(stem))
        return self.output(refined) + image

    def check(self, image: Tensor) -> None:
        """A ValueError if the network cannot take this image."""
        if image.ndim != 4 or image.shape[1] != self.shape.in_channels:
            expected = f"(B, {self.shape.in_channels}, H, W)"
            raise ValueError(f"image has shape {tuple(image.shape)}; expected {expected}")
        h, w = image.shape[2:]
        if h % self.multiple or w % self.multiple:
            raise ValueError(f"image is {h}x{w} pixels; expected multiples of {self.multiple}")
        if self.padding == "square" and h != w:
            raise ValueError(
                f"image is {h}x{w} pixels; expected a square whose side is a multiple of "
                f"{self.multiple}, as `evaluate.restore` makes of any image"
            )

    def forward(self, image: Tensor) -> Tensor:
        self.check(image)
        stem = self.stem(image)
        outputs: list[Tensor] = []
        for stage in self.space.stages:
            outputs.append(self.stages[stage.name](self.enter(stage, stem, outputs)))
        return self.leave(image, stem, outputs[-1])


def build(
    architecture: Sequence[int], shape: Shape = RELEASED_RESTORMER, space: Space = RESTORMER
) -> UNet:
    """A freshly initialized network of any architecture (random weights: torch's global seed)."""
    stages = [
        teacher_stage(stage, shape)
        if choice == TEACHER
        else surrogate_stage(stage, stage.depth(choice), shape)
        for stage, choice in zip(space.stages, space.check(architecture), strict=True)
    ]
    return UNet(shape, stages, space)


def set_weights(module: nn.Module, arrays: Mapping[str, np.ndarray], origin: Path) -> None:
    """Copy arrays into `module`; a ValueError names the file `origin` and what does not fit."""
    own = module.state_dict()
    wrong = sorted(own.keys() ^ arrays.keys())
    if wrong:
        raise ValueError(
            f"{origin} does not fit: {len(wrong)} names differ, the first is {wrong[0]}"
        )
    for name, tensor in own.items():
        if tuple(tensor.shape) != arrays[name].shape:
            raise ValueError(
                f"{origin}: {name} has shape {arrays[name].shape}, expected {tuple(tensor.shape)}"
            )
        tensor.copy_(torch.from_numpy(arrays[name].astype(np.float32)))


def stage_module(teacher: UNet, surrogates: Surrogates, stage: Stage, choice: int) -> nn.Module:
    """What a choice puts into a stage: the teacher's blocks or a surrogate of the pool."""
    if choice == TEACHER:
        return teacher.stages[stage.name]
    key = stage.name, stage.depth(choice)
    if key not in surrogates:
        raise ValueError(f"surrogates has none for {key[0]} of {key[1]} blocks")
    return surrogates[key]


def assemble(teacher: UNet, surrogates: Surrogates, architecture: Sequence[int]) -> UNet:
    """The hybrid of trained parts: it *shares* the teacher's and the surrogates' modules."""
    space = teacher.space
    stages = [
        stage_module(teacher, surrogates, stage, choice)
        for stage, choice in zip(space.stages, space.check(architecture), strict=True)
    ]
    hybrid = UNet(teacher.shape, stages, space)
    for name, module in teacher.named_children():
        if name != "stages":
            setattr(hybrid, name, module)
    return hybrid.train(teacher.training)
