"""LPIPS, the learned distance of table 3 (Zhang et al. 2018): AlexNet, on RGB in [0, 1].

The paper does not name its network (assumption A42). This one needs the package lpips and
torchvision's AlexNet weights, some 240 MB. Neither is fetched unasked: without them the value is
missing, with the reason.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ensrepro.data import to_tensor

Image = NDArray[np.float32]
EXTRA = "pip install 'ensrepro[lpips]'"
BUILD = re.compile(r"(.+)\+(cpu|cu\d+|rocm[\d.]+|xpu)")  # of torch, from an index of its own


class Perceptual(NamedTuple):
    """The distance of two images (H, W, 3) in [0, 1], or None and why there is none."""

    distance: Callable[[Image, Image], float] | None
    reason: str


def install(torch_version: str) -> tuple[str, str]:
    """Two commands that add LPIPS to this torch: torchvision comes from where torch came from.

    PyPI's fits only PyPI's torch. With torch's version the first command leaves torch as it is.
    """
    found = BUILD.fullmatch(torch_version)
    public = torch_version.partition("+")[0]
    index = f" --index-url https://download.pytorch.org/whl/{found[2]}" if found else ""
    return f"pip install torch=={public} torchvision{index}", EXTRA


def weights_file(torchvision: Any) -> Path:
    """Where torchvision looks for AlexNet's weights."""
    url = torchvision.models.AlexNet_Weights.IMAGENET1K_V1.url
    return Path(torch.hub.get_dir()) / "checkpoints" / os.path.basename(url)


def alexnet(*, download: bool = False) -> Perceptual:
    """LPIPS if package and weights are there; `download` lets torchvision fetch the weights."""
    try:
        import lpips
        import torchvision
    except ImportError as error:
        commands = " and then ".join(install(torch.__version__))
        return Perceptual(None, f"{error.name} is not installed; try {commands}")
    except RuntimeError as error:  # a build of torchvision that is not torch's
        remedy = f"pip uninstall torchvision, then {install(torch.__version__)[0]}"
        what = f"torchvision does not fit torch {torch.__version__}: {error}"
        return Perceptual(None, f"{what}; try {remedy}")
    path = weights_file(torchvision)
    if not download and not path.is_file():
        return Perceptual(None, f"{path.name} is not in {path.parent.name}; allow its download")
    with warnings.catch_warnings(action="ignore"):  # lpips calls torchvision in its old manner
        net = lpips.LPIPS(net="alex", verbose=False).eval()

    def distance(restored: Image, target: Image) -> float:
        with torch.inference_mode():
            x, y = (to_tensor([image.astype(np.float32)]) for image in (restored, target))
            return float(net(x, y, normalize=True))

    return Perceptual(distance, "")
