"""Running an exported network: a callable that `evaluate.restore` takes in place of a `UNet`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensrepro import evaluate
from ensrepro.export.files import read_metadata
from ensrepro.export.network import INPUT, OUTPUT
from ensrepro.runtime import inference_session, required

REFUSALS = (
    *("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented"),
    "RuntimeException",  # such as one for memory that the system does not give
)
FLOATS = "tensor(float)"


class Ends(NamedTuple):
    """What `evaluate.restore` asks of a network's shape."""

    in_channels: int
    out_channels: int
    width: int


def refusals() -> tuple[type[Exception], ...]:
    """What onnxruntime raises for a file that it cannot load or run."""
    errors = required("onnxruntime.capi.onnxruntime_pybind11_state")
    return tuple(getattr(errors, name) for name in REFUSALS)


def first_line(error: Exception) -> str:
    """What an error says, without where in the runtime it came from."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def channels(path: str | Path, ends: Sequence[Any], name: str) -> int:
    """Of the only input or output; a ValueError unless it is float32, (1, C, height, width)."""
    found = [(end.name, end.type, list(end.shape)) for end in ends]
    match found:
        case [(own, kind, [1, int(n), str(), str()])] if (own, kind) == (name, FLOATS):
            return n
    told = "; ".join(f"{own!r} {kind} {shape}" for own, kind, shape in found)
    raise ValueError(
        f"{path} takes or gives {told}; expected only {name!r} {FLOATS} [1, C, 'height', 'width'], "
        "whose height and width are free"
    )


class Session:
    """A network in onnxruntime, (1, C_in, H, W) -> (1, C_out, H, W); `metadata` says which.

    A ValueError refuses a file that is damaged, foreign, or not for `task` (empty: any task).
    """

    def __init__(self, path: str | Path, task: str = "", threads: int = 1) -> None:
        self.path, self.metadata = path, read_metadata(path, task)
        try:
            self.runtime = inference_session(str(path), threads)
        except refusals() as error:
            told = first_line(error)
            raise ValueError(f"{path} is damaged, onnxruntime refuses it: {told}") from None
        runtime = self.runtime
        n_in = channels(path, runtime.get_inputs(), INPUT)
        n_out = channels(path, runtime.get_outputs(), OUTPUT)
        self.multiple, self.padding = self.metadata.multiple, self.metadata.padding
        self.shape = Ends(n_in, n_out, self.metadata.width)

    def __call__(self, image: Tensor) -> Tensor:
        """The network's output for one image."""
        n_in = self.shape.in_channels
        fits = image.ndim == 4 and image.shape[:2] == (1, n_in)
        if not fits or any(side % self.multiple for side in image.shape[2:]):
            raise ValueError(
                f"image has shape {tuple(image.shape)}; expected (1, {n_in}, H, W), "
                f"H and W multiples of {self.multiple}"
            )
        try:
            return torch.from_numpy(self.runtime.run([OUTPUT], {INPUT: image.numpy()})[0])
        except refusals() as error:
            raise ValueError(
                f"{self.path} cannot be run on an image of shape {tuple(image.shape)}, onnxruntime "
                f"refuses: {first_line(error)}"
            ) from None

    def restore(self, image: NDArray[np.generic], *, memory_mib: float = 2048) -> evaluate.Image:
        """(H, W, C_in) uint8 or float in [0, 1] -> (H, W, C_out) float32 in [0, 1], any size."""
        return evaluate.restore(self, image, memory_mib=memory_mib)
