"""Running an exported network: a callable that `evaluate.restore` takes in place of a `UNet`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensrepro import evaluate
from ensrepro.export.files import read_metadata
from ensrepro.export.network import INPUT, OUTPUT
from ensrepro.runtime import inference_session, required

REFUSALS = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented")


class Ends(NamedTuple):
    """What `evaluate.restore` asks of a network's shape."""

    in_channels: int
    out_channels: int
    width: int


def refusals() -> tuple[type[Exception], ...]:
    """What onnxruntime raises for a file that it cannot load."""
    errors = required("onnxruntime.capi.onnxruntime_pybind11_state")
    return tuple(getattr(errors, name) for name in REFUSALS)


class Session:
    """A network in onnxruntime, (1, C_in, H, W) -> (1, C_out, H, W); `metadata` says which.

    A ValueError refuses a file that is damaged, foreign, or not for `task` (empty: any task).
    """

    def __init__(self, path: str | Path, task: str = "", threads: int = 1) -> None:
        self.metadata = read_metadata(path, task)
        try:
            self.runtime = inference_session(str(path), threads)
        except refusals() as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"{path} is damaged, onnxruntime refuses it: {reason}") from None
        channels = [
            end.shape[1] for end in (*self.runtime.get_inputs(), *self.runtime.get_outputs())
        ]
        self.multiple, self.padding = self.metadata.multiple, self.metadata.padding
        self.shape = Ends(*channels, width=self.metadata.width)

    def __call__(self, image: Tensor) -> Tensor:
        """The network's output for one image."""
        channels = self.shape.in_channels
        fits = image.ndim == 4 and image.shape[:2] == (1, channels)
        if not fits or any(side % self.multiple for side in image.shape[2:]):
            raise ValueError(
                f"image has shape {tuple(image.shape)}; expected (1, {channels}, H, W), "
                f"H and W multiples of {self.multiple}"
            )
        return torch.from_numpy(self.runtime.run([OUTPUT], {INPUT: image.numpy()})[0])

    def restore(self, image: NDArray[np.generic], *, memory_mib: float = 2048) -> evaluate.Image:
        """(H, W, C_in) uint8 or float in [0, 1] -> (H, W, C_out) float32 in [0, 1], any size."""
        return evaluate.restore(self, image, memory_mib=memory_mib)
