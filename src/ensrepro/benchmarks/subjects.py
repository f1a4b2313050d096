"""What is evaluated: a released checkpoint, a teacher of a profile, or nothing at all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ensrepro import config, evaluate
from ensrepro.benchmarks.layouts import Benchmark
from ensrepro.data import to_tensor
from ensrepro.models import official
from ensrepro.models.hybrid import UNet
from ensrepro.steps.context import digest

# File names of Restormer's release. A file does not say itself what it was trained for.
RELEASED = {
    "motion_deblurring": "deblur",
    "single_image_defocus_deblurring": "defocus",
    "dual_pixel_defocus_deblurring": "defocus_dual",
    "deraining": "derain",
    "real_denoising": "denoise",
}
MAMBAIR_MARK = "latent.0.self_attention.in_proj.weight"  # in the released MambaIR U-Nets only
UFORMER_MARK = "input_proj.proj.0.weight"  # in the released Uformers only


@dataclass(frozen=True)
class Subject:
    """A network to evaluate: `run` maps (B, in_channels, H, W) to (B, 3, H, W), both on the CPU.

    `digest` tells it from networks of other weights; `profile` is "released" for a released
    checkpoint. An image is padded to `multiple`s as `padding` says, one of `evaluate.PADDINGS`.
    """

    name: str
    task: str
    in_channels: int
    digest: str
    run: Callable[[Tensor], Tensor]
    profile: str = "released"
    multiple: int = 8
    padding: str = "reflect"

    def __call__(self, image: Tensor) -> Tensor:
        return self.run(image)

    @property
    def folder(self) -> str:
        """A name for the folder of its results."""
        return re.sub(r"[^\w.]+", "-", f"{self.name.removesuffix('.pth')}-{self.digest}")


def devices() -> list[str]:
    """What this PyTorch can run a network on."""
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = ["cuda", *(f"cuda:{i}" for i in range(n_gpus))] if n_gpus else []
    return ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]


def check_device(device: str) -> None:
    """A ValueError unless a network can run there."""
    if device not in devices():
        raise ValueError(
            f"device is {device!r}; this PyTorch, {torch.__version__}, has no such device here; "
            f"expected {', '.join(devices())}"
        )


def on_device(net: nn.Module, device: str) -> Callable[[Tensor], Tensor]:
    """The network run on a device, with tensors of the CPU in and out."""
    net = net.to(device).eval()

    def run(image: Tensor) -> Tensor:
        return net(image.to(device)).cpu()

    return run


def network(path: Path, image_size: int | None) -> UNet:
    """The network of a released checkpoint: Restormer, the MambaIR U-Net or Uformer.

    A Uformer needs the `image_size` in pixels that it was trained on; the others have none.
    """
    state = official.load(path)
    if UFORMER_MARK in state:
        if image_size is None:
            raise ValueError(
                f"{path} is a Uformer, whose weights do not tell the size of the images that it "
                "was trained on; expected an image size, 128 for the released denoiser, 256 for "
                "the deblurrer"
            )
        return official.uformer(state, image_size)
    if image_size is not None:
        raise ValueError(f"image size is {image_size}; expected none, since {path} is no Uformer")
    build = official.mambair_unet if MAMBAIR_MARK in state else official.restormer
    return build(state)


def of_network(net: UNet, name: str, task: str, key: str, profile: str, device: str) -> Subject:
    """A network of ours as a subject."""
    run, channels = on_device(net, device), net.shape.in_channels
    return Subject(name, task, channels, key, run, profile, net.multiple, net.padding)


def from_file(
    path: str | Path, task: str, *, device: str = "cpu", image_size: int | None = None
) -> Subject:
    """A released checkpoint (.pth); `task` holds unless the file's released name says another.

    `image_size` is for a Uformer, and only for it: with another one the file is another network.
    """
    check_device(device)
    path = Path(path)
    net = network(path, image_size)
    sha = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    key = sha if image_size is None else f"{sha}-{image_size}"
    return of_network(net, path.name, RELEASED.get(path.stem, task), key, "released", device)


def from_profile(
    task: str, profile: str, *, device: str = "cpu", pair: str = config.DEFAULT_PAIR
) -> Subject:
    """The teacher of a profile and pair, whose weights lie in the repository."""
    check_device(device)
    net = evaluate.trained_teacher(task, profile, pair)
    name = f"teacher of {profile}, {task}"
    family = config.teacher_pair(config.PAIRS[pair]).name  # two pairs may share one teacher
    name += "" if family == config.DEFAULT_PAIR else f", {family}"
    return of_network(net, name, task, digest(net), profile, device)


def center(image: Tensor) -> Tensor:
    """The input itself, or the mean light of a dual-pixel pair: (B, 3 or 6, H, W) -> (B, 3, H, W).

    It is that of the row `input` in the library's other tables.
    """
    return to_tensor([evaluate.degraded(one) for one in image.permute(0, 2, 3, 1).numpy()])


def unchanged(task: str) -> Subject:
    """The row `input`: nothing is restored."""
    n_channels = config.named("task", task, config.TASKS).in_channels
    return Subject("input", task, n_channels, "none", center, "none")


def check_fits(benchmark: Benchmark, subject: Subject) -> None:
    """A ValueError if the benchmark is for training, of another task or of other channels."""
    if benchmark.is_training:
        raise ValueError(f"{benchmark.name} is a training set; expected a benchmark to evaluate on")
    if subject.task != benchmark.task:
        raise ValueError(
            f"{benchmark.name} is a benchmark of the task {benchmark.task}; "
            f"{subject.name} was trained for {subject.task}"
        )
    if subject.in_channels != benchmark.in_channels:
        what = "a dual-pixel pair" if benchmark.n_inputs == 2 else "one image"
        raise ValueError(
            f"{subject.name} takes {subject.in_channels} channels; {benchmark.name} is {what}, "
            f"{benchmark.in_channels} channels"
        )
