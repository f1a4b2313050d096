"""Uformer: attention within windows, a locally enhanced feed-forward (section 4.5, table 6).

Blocks map (B, C, H, W) -> (B, C, H, W); inside them channels come last. Parameter names below a
block are those of the released weights. Uformer T, S and B differ in width and in blocks a stage;
here as there, encoders feed decoders of twice their width, so nothing is reduced after joining.

Every other block shifts its windows by half a window, unless the whole map is one window at the
size that the network is made for: `image_size` decides that, and weights do not carry it. The
released training also skips blocks at random; that is left out, since a training here must be a
pure function of its seed and step (assumption A35).

Images are squares whose side is a multiple of 16 windows, or 128 pixels. The released test code
puts any other image into the middle of the smallest such square, filled with zeros, and cuts the
result out of it (`evaluate.restore` does).
B, C, H, W: batch, channels, height, width; N: pixels of a window; n: windows of an image;
h: hidden width of the feed-forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ensrepro.config import MambaIRShape, Profile, Task
from ensrepro.models.mambair import RELEASED, state_space_stage
from ensrepro.models.uformer_windows import (
    WindowAttention,
    joined,
    linear,
    partition,
    shift_mask,
)
from ensrepro.space import UFORMER, Stage, uformer_space

EXPANSION = 4  # hidden width of the feed-forward, as a multiple of C
DOWN_KERNEL, DOWN_PADDING, STRIDE = 4, 1, 2
DEEPEST = max(stage.level for stage in UFORMER.stages)
MODULATED = ("decoder_4", "decoder_3", "decoder_2", "decoder_1")  # stages that have modulators

WIDTHS = {"T": 16, "S": 32, "B": 32}
SPACES = {
    "T": uformer_space((2,) * 9),
    "S": uformer_space((2,) * 9),
    "B": UFORMER,
}


class LeFF(nn.Module):
    """Locally enhanced feed-forward: a depthwise convolution between two linear layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = EXPANSION * channels
        self.linear1 = nn.Sequential(linear(channels, hidden), nn.GELU())
        self.dwconv = nn.Sequential(
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden), nn.GELU()
        )
        self.linear2 = nn.Sequential(linear(hidden, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        x = self.linear1(x).permute(0, 3, 1, 2)  # (B, h, H, W)
        return self.linear2(self.dwconv(x).permute(0, 2, 3, 1))


class LeWinBlock(nn.Module):
    """Normalized window attention, then normalized feed-forward, each with a residual connection.

    A modulator is one more row of features for each pixel of a window, the same for all windows.
    """

    def __init__(
        self, channels: int, heads: int, side: int, *, shift: int = 0, is_modulated: bool = False
    ) -> None:
        super().__init__()
        self.side, self.shift = side, shift
        self.modulator = nn.Embedding(side * side, channels) if is_modulated else None
        if self.modulator is not None:
            nn.init.zeros_(self.modulator.weight)  # assumption A35
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, side)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = LeFF(channels)

    def attended(self, x: Tensor) -> Tensor:
        """What the attention adds, (B, H, W, C) -> (B, H, W, C)."""
        (_, h, w, _), mask, shift = x.shape, None, self.shift
        if shift:
            x, mask = x.roll((-shift, -shift), (1, 2)), shift_mask(h, w, self.side, shift, x.device)
        windows = partition(x, self.side)
        if self.modulator is not None:
            windows = windows + self.modulator.weight
        x = joined(self.attn(windows, mask), h, w, self.side)
        return x.roll((shift, shift), (1, 2)) if shift else x

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)  # (B, H, W, C)
        x = x + self.attended(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class UformerShape:
    """Everything that fixes a Uformer, apart from its architecture.

    `window` is the side of a window in pixels. `image_size`, in pixels, is the side of the images
    that it is made for, 128 for the released denoiser and 256 for the deblurrer: it decides which
    windows are shifted, and other sizes keep that.
    """

    width: int = 32
    window: int = 8
    image_size: int = 128
    is_modulated: bool = True
    mambair: MambaIRShape = RELEASED  # assumption A6

    in_channels: ClassVar[int] = 3
    out_channels: ClassVar[int] = 3
    is_dual_pixel: ClassVar[bool] = False
    padding: ClassVar[str] = "square"

    def __post_init__(self) -> None:
        for name, least in (("width", 1), ("window", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}; expected an integer >= {least}")
        size, multiple = self.image_size, self.window * STRIDE**DEEPEST
        is_integer = isinstance(size, int) and not isinstance(size, bool)
        if not is_integer or size < 1 or size % multiple:
            raise ValueError(
                f"image_size is {size!r}; expected a multiple of {multiple}, the side in pixels of "
                "the images that the network was trained on: it decides which windows are shifted, "
                "and weights do not tell it"
            )

    @classmethod
    def of(cls, profile: Profile, task: Task, width: int) -> UformerShape:
        """The shape of every network of a profile and task."""
        if task.in_channels != cls.in_channels:
            raise ValueError(
                f"task {task.name} has {task.in_channels} input channels; Uformer takes "
                f"{cls.in_channels}"
            )
        return cls(width, mambair=profile.mambair)

    def channels(self, stage: Stage) -> int:
        return self.width * stage.width_factor

    def shift(self, stage: Stage) -> int:
        """By how many pixels every other block of a stage shifts its windows."""
        side = self.image_size // STRIDE**stage.level
        return self.window // 2 if side > self.window else 0

    def stem(self) -> nn.Sequential:
        """(B, C_in, H, W) -> (B, C, H, W)."""
        conv = nn.Conv2d(self.in_channels, self.width, 3, padding=1)
        return nn.Sequential(conv, nn.LeakyReLU())

    def downsample(self, n_in: int, n_out: int) -> nn.Conv2d:
        """(B, n_in, H, W) -> (B, n_out, H/2, W/2)."""
        return nn.Conv2d(n_in, n_out, DOWN_KERNEL, stride=STRIDE, padding=DOWN_PADDING)

    def upsample(self, n_in: int, n_out: int) -> nn.ConvTranspose2d:
        """(B, n_in, H, W) -> (B, n_out, 2H, 2W)."""
        return nn.ConvTranspose2d(n_in, n_out, STRIDE, stride=STRIDE)

    def output(self, channels: int) -> nn.Conv2d:
        """(B, C, H, W) -> (B, C_out, H, W)."""
        return nn.Conv2d(channels, self.out_channels, 3, padding=1)

    def teacher_stage(self, stage: Stage) -> nn.Sequential:
        """The stage's LeWin blocks, (B, C, H, W) -> (B, C, H, W)."""
        channels, is_modulated = self.channels(stage), self.is_modulated and stage.name in MODULATED
        shifts = [self.shift(stage) if i % 2 else 0 for i in range(stage.n_blocks)]
        return nn.Sequential(
            *(
                LeWinBlock(channels, stage.heads, self.window, shift=s, is_modulated=is_modulated)
                for s in shifts
            )
        )

    def surrogate_stage(self, stage: Stage, depth: int) -> nn.Sequential:
        """`depth` MambaIR blocks of the stage's width, (B, C, H, W) -> (B, C, H, W)."""
        return state_space_stage(self.channels(stage), depth, self.mambair)  # assumption A36
