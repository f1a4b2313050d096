"""SIDD's validation blocks: arrays of images in MATLAB files, one named variable in each.

A file holds (scenes, blocks, H, W, 3) uint8 under its own name. Nothing but arrays is read.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError

# What reading a damaged or foreign file has been seen to raise; 7.3 files are HDF5.
BROKEN = (
    *(MatReadError, NotImplementedError, ValueError, TypeError, KeyError, IndexError),
    *(OSError, EOFError, OverflowError, MemoryError, zlib.error, struct.error),
)


def check_variable(path: Path, shape: tuple[int, ...]) -> None:
    """A ValueError unless the file holds its variable, uint8 of this shape; pixels are not read."""
    try:
        variables = {name: (found, kind) for name, found, kind in whosmat(path)}
    except BROKEN as error:
        raise ValueError(f"{path} is no MATLAB file that can be read: {error}") from None
    if path.stem not in variables:
        names = ", ".join(variables) or "none"
        raise ValueError(f"{path} holds the variables {names}; expected {path.stem}")
    found, kind = variables[path.stem]
    if tuple(found) != shape or kind != "uint8":
        what = f"{kind} of shape {tuple(found)}"
        raise ValueError(f"{path}: {path.stem} is {what}; expected uint8 of shape {shape}")


def read(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The blocks, (scenes, blocks, H, W, 3); a ValueError names a file without them."""
    check_variable(path, shape)
    try:
        return loadmat(path, variable_names=[path.stem])[path.stem]
    except BROKEN as error:
        raise ValueError(f"{path} is damaged or cut off: {error}") from None
