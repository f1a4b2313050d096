"""Restoring images of any size, scoring networks, and measuring many hybrids at once.

`restore` pads as the network asks and crops back; large images are tiled under a memory bound.
`measure` walks architectures in sorted order with a stack of stage outputs, so that a
common prefix is computed once. B, C, H, W: batch, channels, height, width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ensrepro import artifacts, config, metrics, tiles, weights
from ensrepro.artifacts import Store
from ensrepro.data import Pair, to_tensor
from ensrepro.degrade import Image, to_linear, to_srgb
from ensrepro.images import check_image, scaled
from ensrepro.ledger import Metrics
from ensrepro.models.hybrid import (
    Surrogates,
    UNet,
    build,
    network_shape,
    set_weights,
    stage_module,
)
from ensrepro.space import Architecture
from ensrepro.tiles import Plan, Report

MICRO_BATCH = 4  # validation images evaluated together


class Margins(NamedTuple):
    """Rows above and below an image, columns left and right of it."""

    rows: tuple[int, int]
    columns: tuple[int, int]


def to_multiples(height: int, width: int, multiple: int) -> Margins:
    """Below and to the right, up to the next multiples: what Restormer's test code adds."""
    return Margins((0, -height % multiple), (0, -width % multiple))


def to_square(height: int, width: int, multiple: int) -> Margins:
    """All around, up to a square whose side is a multiple: what Uformer's test code adds."""
    side = max(height, width)
    side += -side % multiple
    top, left = (side - height) // 2, (side - width) // 2
    return Margins((top, side - height - top), (left, side - width - left))


# name of a padding -> how much it adds, and the mode of numpy.pad
PADDINGS = {"reflect": (to_multiples, "reflect"), "square": (to_square, "constant")}


class Restoration(NamedTuple):
    """A restored test image, (H, W, 3), and its scores."""

    name: str
    image: Image
    psnr: float
    ssim: float


class Network(Protocol):
    """What `run_whole` calls, (B, C, H, W) -> (B, 3, H, W), and how images are made to fit it."""

    @property
    def multiple(self) -> int: ...
    @property
    def padding(self) -> str: ...
    def __call__(self, image: Tensor) -> Tensor: ...


@torch.inference_mode()
def run_whole(net: Network, image: Image) -> Image:
    """One forward pass: pad as the network asks, crop back, clip to [0, 1]."""
    h, w = image.shape[:2]
    margins, mode = PADDINGS[net.padding]
    (top, bottom), (left, right) = margins(h, w, net.multiple)
    padded = np.pad(image, ((top, bottom), (left, right), (0, 0)), mode=mode)
    restored = net(to_tensor([padded]))[0, :, top : top + h, left : left + w].clamp(0, 1)
    if not restored.isfinite().all():
        raise ValueError("the network's output has NaN or infinite pixels; its weights are damaged")
    return restored.numpy().transpose(1, 2, 0)


def plan(
    net: UNet, height: int, width: int, memory_mib: float = 2048, tile: int | None = None
) -> Plan:
    """How an image is restored: whole if it fits, else in the largest tiles of `memory_mib`.

    With `tile` in tiles of so many pixels, whatever memory they need.
    """
    if tile is not None:
        return tiles.cut(height, width, tiles.check_side(tile, net.multiple))
    side = tiles.tile_side(net.shape.width, net.multiple, memory_mib)
    rows, columns = PADDINGS[net.padding][0](height, width, net.multiple)
    if (height + sum(rows)) * (width + sum(columns)) <= side * side:
        return tiles.whole(height, width)
    return tiles.cut(height, width, side)


def restored_rows(
    net: UNet, image: NDArray[np.generic], cut: Plan, report: Report | None = None
) -> Iterator[Image]:
    """A checked image restored as planned, from top to bottom in pieces, (n, W, C_out) each.

    What is in memory besides the image itself is one row of tiles.
    """

    def restored(rows: slice, columns: slice) -> Image:
        return run_whole(net, scaled(image[rows, columns]))

    if cut.n_tiles > 1:
        yield from tiles.blended(cut, restored, net.shape.out_channels, report)
        return
    yield restored(slice(None), slice(None))
    if report is not None:
        report(1, 1)


def restore(
    net: UNet, image: NDArray[np.generic], *, memory_mib: float = 2048, tile: int | None = None
) -> Image:
    """(H, W, C_in) uint8, uint16 or float in [0, 1] -> (H, W, C_out) float32 in [0, 1].

    Images too large for `memory_mib` of working memory (arrays for the result come on top) are cut
    into overlapping tiles, and all with `tile` into tiles of so many pixels a side. Channel
    attention and pooling are global, so a tiled result differs slightly from a whole one.
    """
    check_image(image, net.shape.in_channels)
    pieces = restored_rows(net, image, plan(net, *image.shape[:2], memory_mib, tile))
    return np.concatenate(list(pieces))


def trained_teacher(task: str, profile: str, pair: str = config.DEFAULT_PAIR) -> UNet:
    """The teacher whose weights lie in the repository; nothing is trained."""
    task_value = config.named("task", task, config.TASKS)
    profile_value = config.named("profile", profile, config.PROFILES)
    chosen = config.teacher_pair(config.named("pair", pair, config.PAIRS))
    store = Store(profile, task, artifacts.repository(), suffix=chosen.suffix)
    path = store.weights("teacher")
    if not path.exists():
        raise weights.no_teacher(path, task, profile, pair)
    shape = network_shape(profile_value, task_value, chosen)
    net = build(chosen.space.teacher, shape, chosen.space)
    asked = {"step": "teacher", "profile": profile, "task": task}
    set_weights(net, weights.load_weights(path, asked), path)
    return net.eval()


def score(
    restorer: Callable[[Image], Image], pairs: Sequence[Pair], protocol: str
) -> list[Restoration]:
    """Every pair restored and scored."""
    results = []
    for pair in pairs:
        image = restorer(pair.degraded)
        psnr, ssim, _ = metrics.scores(image, pair.clean, protocol)
        results.append(Restoration(pair.name, image, psnr, ssim))
    return results


def mean(results: Sequence[Restoration]) -> Metrics:
    """Mean PSNR and SSIM over images."""
    psnr, ssim = (float(np.mean([r[i] for r in results])) for i in (2, 3))
    return Metrics(psnr, ssim)


def degraded(image: Image) -> Image:
    """The restorer that does nothing, (H, W, 3): the row `input` of every table.

    Of a dual-pixel pair, (H, W, 6), it is the mean of both views in linear light: what an ordinary
    sensor sees.
    """
    if image.shape[2] == 3:
        return image
    light = to_linear(image)
    return to_srgb((light[..., :3] + light[..., 3:]) / 2)


class Suffix(NamedTuple):
    """An architecture and how many of its first stages are those of the one before it."""

    architecture: Architecture
    shared: int


def prefix_order(architectures: Sequence[Architecture]) -> list[Suffix]:
    """Distinct architectures sorted, each with the length of the prefix it shares."""
    ordered = sorted(set(architectures))
    shared = [0][: len(ordered)]
    for before, after in pairwise(ordered):
        shared.append(next(i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b))
    return [Suffix(*item) for item in zip(ordered, shared, strict=True)]


@torch.inference_mode()
def restored_batches(
    teacher: UNet, surrogates: Surrogates, order: Sequence[Suffix], images: Tensor
) -> Iterator[Tensor]:
    """For each architecture in `order` the restored batch (B, C_out, H, W), clipped to [0, 1]."""
    stages = teacher.space.stages
    stem = teacher.stem(images)
    inputs: list[Tensor] = []  # of a stage: the same for all of its choices
    outputs: list[Tensor] = []
    for architecture, shared in order:
        del outputs[shared:], inputs[shared + 1 :]
        for position in range(shared, len(stages)):
            stage = stages[position]
            if position == len(inputs):
                inputs.append(teacher.enter(stage, stem, outputs))
            module = stage_module(teacher, surrogates, stage, architecture[position])
            outputs.append(module(inputs[position]))
        yield teacher.leave(images, stem, outputs[-1]).clamp(0, 1)


def measure(
    teacher: UNet,
    surrogates: Surrogates,
    architectures: Sequence[Architecture],
    pairs: Sequence[Pair],
    protocol: str,
) -> list[Metrics]:
    """Mean PSNR and SSIM over `pairs` of each architecture, as if it were run on its own.

    The pairs must have one size. Micro-batches are the outer loop, so the stack stays small.
    """
    if not pairs:
        raise ValueError("pairs is empty; expected at least one pair of images")
    order = prefix_order([teacher.space.check(a) for a in architectures])
    sums = {item.architecture: np.zeros(2) for item in order}
    for start in range(0, len(pairs), MICRO_BATCH):
        batch = pairs[start : start + MICRO_BATCH]
        images = to_tensor([pair.degraded for pair in batch])
        for item, restored in zip(
            order, restored_batches(teacher, surrogates, order, images), strict=True
        ):
            for image, pair in zip(restored.numpy().transpose(0, 2, 3, 1), batch, strict=True):
                sums[item.architecture] += metrics.scores(image, pair.clean, protocol)[:2]
    return [Metrics(*(sums[tuple(a)] / len(pairs)).tolist()) for a in architectures]


def identity_drops(
    teacher: UNet, pairs: Sequence[Pair], protocol: str, stages: Sequence[str] = ()
) -> dict[str, float]:
    """PSNR (dB) lost when a stage of the teacher becomes the identity: is the stage alive?

    `stages` are the ones that are asked about, all if none is named.
    """
    space = teacher.space
    asked = stages or [stage.name for stage in space.stages]
    nothing = {key: nn.Identity() for key in space.surrogates}
    single = [space.swapped(name, 1) for name in asked]
    base, *rest = measure(teacher, nothing, [space.teacher, *single], pairs, protocol)
    return {name: base.psnr - value.psnr for name, value in zip(asked, rest, strict=True)}
