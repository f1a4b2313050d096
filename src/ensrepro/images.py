"""Images as arrays and as files: checked, read from PNG and JPEG, written as PNG.

Arrays are (H, W, C), uint8 or float in [0, 1]. A file is never written over.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from ensrepro import artifacts

FORMATS = ("PNG", "JPEG")
SIXTEEN_BIT = 65535
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
BOMB = (Pillow.DecompressionBombWarning, Pillow.DecompressionBombError)


class Picture(NamedTuple):
    """A decoded file: pixels (H, W, 3) float32 in [0, 1], alpha (H, W) uint8 unless opaque.

    `icc_profile` says what the RGB values mean, if the file does.
    """

    pixels: NDArray[np.float32]
    alpha: NDArray[np.uint8] | None = None
    icc_profile: bytes | None = None


def check_image(image: NDArray[np.generic], channels: int) -> None:
    """A ValueError or TypeError that says why `image` is no (H, W, channels) image in [0, 1]."""
    if not isinstance(image, np.ndarray) or image.dtype not in (np.float32, np.float64, np.uint8):
        kind = getattr(image, "dtype", type(image).__name__)
        raise TypeError(f"image is {kind}; expected a uint8 or float array")
    if image.ndim != 3 or image.shape[2] != channels or 0 in image.shape:
        raise ValueError(f"image has shape {image.shape}; expected (H, W, {channels})")
    if image.dtype == np.uint8:
        return
    low, high = float(image.min()), float(image.max())  # NaN if any pixel is
    if not np.isfinite([low, high]).all():
        raise ValueError("image has NaN or infinite pixels; expected values in [0, 1]")
    if low < 0 or high > 1:
        raise ValueError(f"image has values in [{low:g}, {high:g}]; expected uint8 or [0, 1]")


def decoded(file: Pillow.Image) -> Picture:
    """The pixels of an opened file, turned as its EXIF says; gray is repeated over the channels."""
    image = ImageOps.exif_transpose(file)
    if image.mode.startswith("I"):  # 16 bit of gray; Pillow itself rounds 16 bit of color down to 8
        gray = np.asarray(image, np.float32) / SIXTEEN_BIT
        return Picture(np.repeat(np.clip(gray, 0, 1)[..., None], 3, axis=2))
    see_through = "A" in image.mode or "transparency" in image.info
    profile = image.info.get("icc_profile") if image.mode in ("RGB", "RGBA", "P") else None
    values = np.asarray(image.convert("RGBA" if see_through else "RGB"))
    alpha = values[..., 3] if see_through and (values[..., 3] < 255).any() else None
    return Picture(values[..., :3].astype(np.float32) / 255, alpha, profile)


def read(path: Path) -> Picture:
    """Read a PNG or JPEG of 8 or 16 bit, gray, palette, RGB or RGBA, of less than 89 megapixels.

    A ValueError names a file that is no such image, is damaged or cut, or is too large.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Pillow.DecompressionBombWarning)
            with Pillow.open(path, formats=FORMATS) as file:
                return decoded(file)
    except BOMB:
        limit = int(Pillow.MAX_IMAGE_PIXELS or 0)
        raise ValueError(f"{path} has too many pixels; expected at most {limit}") from None
    except Pillow.UnidentifiedImageError:
        raise ValueError(f"{path} is no image of a known kind; expected PNG or JPEG") from None
    except BROKEN as error:
        raise ValueError(f"{path} is damaged or cut off: {error}") from None


def check_target(path: Path) -> None:
    """A ValueError or FileExistsError if `path` is no place for a new PNG file."""
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path} does not end in .png; only PNG files are written")
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists; choose another name or move it away")


def write(path: Path, picture: Picture) -> None:
    """Write a PNG of 8 bit, whole or not at all; an existing file is refused."""
    check_target(path)
    values = np.rint(picture.pixels * 255).astype(np.uint8)
    if picture.alpha is not None:
        values = np.dstack([values, picture.alpha])
    content = BytesIO()
    Pillow.fromarray(values).save(content, "PNG", icc_profile=picture.icc_profile)
    artifacts.write_bytes(path, content.getvalue())
