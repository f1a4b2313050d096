"""One U-Net loop over a table of stages: it builds any architecture (section 3.2).

The glue (stem, down, up, reduce, output) belongs to the teacher and is shared by every hybrid.
What leads into a stage follows from the levels of its neighbors: deeper means downsampling,
shallower means upsampling and concatenation with the encoder's output of that level.
B, C, H, W: batch, channels, height, width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ensrepro.config import MambaIRShape, Profile, Task
from ensrepro.models.mambair import VSSBlock
from ensrepro.models.restormer import RestormerBlock
from ensrepro.space import RESTORMER, TEACHER, Space, Stage

Surrogates = Mapping[tuple[str, int], nn.Module]  # (stage name, depth) -> stage

RELEASED_MAMBAIR = MambaIRShape(expand=1.5, d_state=16)  # assumption A6


@dataclass(frozen=True)
class NetworkShape:
    """Everything that fixes the parameters of a network, apart from its architecture.

    Six input channels are a dual-pixel pair: the stem's features are added before the output by a
    1x1 convolution, and there is no residual connection from the input image.
    """

    width: int = 48
    norm: str = "with_bias"
    in_channels: int = 3
    out_channels: int = 3
    mambair: MambaIRShape = RELEASED_MAMBAIR

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2:
            raise ValueError(f"width is {self.width}; expected an even number of channels")
        if self.in_channels not in (self.out_channels, 2 * self.out_channels):
            raise ValueError(
                f"in_channels is {self.in_channels}; expected {self.out_channels} or, for a "
                f"dual-pixel pair, {2 * self.out_channels}"
            )

    @property
    def is_dual_pixel(self) -> bool:
        return self.in_channels == 2 * self.out_channels

    def channels(self, stage: Stage) -> int:
        return self.width * stage.width_factor


def network_shape(profile: Profile, task: Task) -> NetworkShape:
    """The shape of every network of a profile and task."""
    return NetworkShape(
        width=profile.width,
        norm=task.norm,
        in_channels=task.in_channels,
        mambair=profile.mambair,
    )


def teacher_stage(stage: Stage, shape: NetworkShape) -> nn.Sequential:
    """The stage's Restormer blocks, (B, C, H, W) -> (B, C, H, W)."""
    channels = shape.channels(stage)
    blocks = (RestormerBlock(channels, stage.heads, shape.norm) for _ in range(stage.n_blocks))
    return nn.Sequential(*blocks)


def surrogate_stage(stage: Stage, depth: int, shape: NetworkShape) -> nn.Sequential:
    """`depth` MambaIR blocks, (B, C, H, W) -> (B, C, H, W)."""
    channels = shape.channels(stage)
    return nn.Sequential(*(VSSBlock(channels, shape.mambair) for _ in range(depth)))


def downsample(channels: int) -> nn.Sequential:
    """(B, C, H, W) -> (B, 2C, H/2, W/2)."""
    conv = nn.Conv2d(channels, channels // 2, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.PixelUnshuffle(2))


def upsample(channels: int) -> nn.Sequential:
    """(B, C, H, W) -> (B, C/2, 2H, 2W)."""
    conv = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.PixelShuffle(2))


class UNet(nn.Module):
    """The restoration network: glue plus one module a stage; (B, C_in, H, W) -> (B, C_out, H, W).

    H and W must be multiples of 8 (`evaluate.restore` pads and crops).
    """

    padding = "reflect"  # how an image of any size is made to fit, one of evaluate.PADDINGS

    def __init__(
        self, shape: NetworkShape, stages: Sequence[nn.Module], space: Space = RESTORMER
    ) -> None:
        super().__init__()
        self.shape, self.space = shape, space
        self.stem = nn.Conv2d(shape.in_channels, shape.width, 3, padding=1, bias=False)
        self.stages = nn.ModuleDict(
            {stage.name: module for stage, module in zip(space.stages, stages, strict=True)}
        )
        self.down, self.up, self.reduce = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        channels, level = shape.width, 0
        skips: list[int] = []  # skips[level]: position of the encoder stage of that level
        self.skip_of: dict[str, int] = {}
        for position, stage in enumerate(space.stages):
            if stage.level > level:
                self.down[stage.name] = downsample(channels)
            elif stage.level < level:
                self.up[stage.name] = upsample(channels)
                self.skip_of[stage.name] = skips[stage.level]
                joined = channels // 2 + shape.channels(space.stages[skips[stage.level]])
                if joined != shape.channels(stage):  # assumption A18: not at level 1
                    self.reduce[stage.name] = nn.Conv2d(
                        joined, shape.channels(stage), 1, bias=False
                    )
            if len(skips) == stage.level:
                skips.append(position)
            channels, level = shape.channels(stage), stage.level
        if shape.is_dual_pixel:
            self.skip_conv = nn.Conv2d(shape.width, channels, 1, bias=False)
        self.output = nn.Conv2d(channels, shape.out_channels, 3, padding=1, bias=False)

    @property
    def multiple(self) -> int:
        """Height and width of the input must be multiples of this."""
        return 2 ** max(stage.level for stage in self.space.stages)

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

    def forward(self, image: Tensor) -> Tensor:
        self.check(image)
        stem = self.stem(image)
        outputs: list[Tensor] = []
        for stage in self.space.stages:
            outputs.append(self.stages[stage.name](self.enter(stage, stem, outputs)))
        return self.leave(image, stem, outputs[-1])


def build(
    architecture: Sequence[int], shape: NetworkShape = NetworkShape(), space: Space = RESTORMER
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
