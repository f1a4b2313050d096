"""Images as arrays and as files: checked, read from PNG and JPEG, written as PNG.

Arrays are (H, W, C), uint8, uint16 or float in [0, 1]. A file is never written over.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from ensrepro import artifacts, png
from ensrepro.png import BROKEN, MAX_PIXELS, Values

FORMATS = ("PNG", "JPEG")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I", "I;16", "I;16B")  # in Pillow's words
SCALES = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}  # what 1 is, by type
PIECE = 2**20  # pixels that are taken out of Pillow at once

# EXIF orientation -> what turns the stored pixels upright (its tag 274)
TURNS: dict[int, Callable[[Values], Values]] = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}


class Picture(NamedTuple):
    """A decoded file: RGB values (H, W, 3) as stored, uint8 or uint16, alpha (H, W) unless opaque.

    `icc_profile` says what the values mean, if the file does.
    """

    values: Values
    alpha: Values | None = None
    icc_profile: bytes | None = None

    @property
    def pixels(self) -> NDArray[np.float32]:
        """The values in [0, 1]."""
        return scaled(self.values)

    @property
    def bits(self) -> int:
        """Bits a channel."""
        return 8 * self.values.dtype.itemsize


class UnsupportedError(ValueError):
    """An image of a kind that is not taken; the message goes on after the file's name."""


def scaled(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Any image as float32 in [0, 1]."""
    return values.astype(np.float32) / np.float32(SCALES.get(values.dtype, 1))


def rounded(pixels: NDArray[np.float32], kind: np.dtype) -> Values:
    """Pixels in [0, 1] as the nearest values of a file."""
    return np.rint(pixels * np.float32(SCALES[kind])).astype(kind)


def check_image(image: NDArray[np.generic], channels: int) -> None:
    """A ValueError or TypeError that says why `image` is no (H, W, channels) image in [0, 1]."""
    floats = np.float32, np.float64
    if not isinstance(image, np.ndarray) or image.dtype not in (*floats, *SCALES):
        kind = getattr(image, "dtype", type(image).__name__)
        raise TypeError(f"image is {kind}; expected a uint8, uint16 or float array")
    if image.ndim != 3 or image.shape[2] != channels or 0 in image.shape:
        raise ValueError(f"image has shape {image.shape}; expected (H, W, {channels})")
    if image.dtype in SCALES:
        return
    low, high = float(image.min()), float(image.max())  # NaN if any pixel is
    if not np.isfinite([low, high]).all():
        raise ValueError("image has NaN or infinite pixels; expected values in [0, 1]")
    if low < 0 or high > 1:
        raise ValueError(f"image has values in [{low:g}, {high:g}]; expected uint8 or [0, 1]")


def array(image: Pillow.Image) -> Values:
    """The pixels, (H, W, C); `numpy.asarray` would hold them three times on the way."""
    whole = np.empty((image.height, image.width, len(image.getbands())), np.uint8)
    n_rows = max(1, PIECE // image.width)
    for top in range(0, image.height, n_rows):
        bottom = min(top + n_rows, image.height)
        whole[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return whole


def decoded(file: Pillow.Image) -> Picture:
    """The pixels of an opened file, turned as its EXIF says; gray is repeated over the channels."""
    ImageOps.exif_transpose(file, in_place=True)
    if file.mode.startswith("I"):  # 16 bit of gray; Pillow itself rounds 16 bit of color down to 8
        gray = np.clip(np.asarray(file), 0, SCALES[np.dtype(np.uint16)]).astype(np.uint16)
        return Picture(np.repeat(gray[..., None], 3, axis=2))
    see_through = "A" in file.mode or "transparency" in file.info
    profile = file.info.get("icc_profile") if file.mode in ("RGB", "RGBA", "P") else None
    kind = "RGBA" if see_through else "RGB"
    values = array(file if file.mode == kind else file.convert(kind))
    return separated(values, profile)


def separated(values: Values, profile: bytes | None) -> Picture:
    """RGB or RGBA, (H, W, 3 or 4), as a picture; an alpha channel that is opaque is dropped."""
    opaque = SCALES[values.dtype]
    see_through = values.shape[2] == 4 and bool((values[..., 3] < opaque).any())
    return Picture(values[..., :3], values[..., 3] if see_through else None, profile)


def check_kind(file: Pillow.Image) -> None:
    """An UnsupportedError if the opened file is no still image of gray or color, or too large."""
    n_pixels = file.width * file.height
    if n_pixels > MAX_PIXELS:
        raise UnsupportedError(f"has too many pixels, {n_pixels}; expected at most {MAX_PIXELS}")
    if file.mode not in MODES:
        raise UnsupportedError(
            f"has channels of the kind {file.mode}, such as inks; expected gray, RGB or a palette"
        )
    # photos of phones often hold a second JPEG, smaller or of depths: the first is the photo
    if file.format == "PNG" and getattr(file, "is_animated", False):
        raise UnsupportedError("is animated; expected a still image")


@contextmanager
def opened(path: Path) -> Iterator[Pillow.Image]:
    """A PNG or JPEG whose header is read; a ValueError names a file that cannot be taken."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
            with Pillow.open(path, formats=FORMATS) as file:
                check_kind(file)
                yield file
    except UnsupportedError as error:
        raise ValueError(f"{path} {error}") from None
    except Pillow.DecompressionBombError:
        raise ValueError(f"{path} has too many pixels; expected at most {MAX_PIXELS}") from None
    except Pillow.UnidentifiedImageError:
        raise ValueError(f"{path} is no image of a known kind; expected PNG or JPEG") from None
    except BROKEN as error:
        raise ValueError(f"{path} is damaged or cut off: {error}") from None


def read(path: str | Path) -> Picture:
    """Read a PNG or JPEG, gray, palette, RGB or RGBA, of at most MAX_PIXELS.

    16 bits of gray are kept, of color they are cut down to 8. A ValueError names a file that is no
    such image, is damaged or cut, animated, or too large.
    """
    with opened(Path(path)) as file:
        return decoded(file)


def read_exactly(path: str | Path) -> Picture:
    """`read`, but 16 bits a channel are kept in color, too; that needs OpenCV."""
    path = Path(path)
    if not path.is_file() or not png.is_deep_color(path):
        return read(path)
    with opened(path) as file:
        profile = file.info.get("icc_profile") if file.mode in ("RGB", "RGBA") else None
    turn = TURNS.get(png.orientation(path))
    values = png.read_deep(path)
    return separated(values if turn is None else turn(values), profile)


def check_target(path: Path, suffix: str = ".png") -> None:
    """A ValueError, FileExistsError or FileNotFoundError if `path` is no place for a new file."""
    if path.suffix.lower() != suffix:
        raise ValueError(f"{path} does not end in {suffix}; only {suffix[1:].upper()} is written")
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists; choose another name or move it away")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is no folder; expected one to write {path.name} in")


@contextmanager
def writing(path: Path, like: Picture) -> Iterator[Callable[[Values], None]]:
    """A new PNG file that takes rows of RGB from top to bottom; it appears when it is whole.

    Size, depth, transparency and color profile are those of the picture `like`.
    """
    check_target(path)
    height, width, _ = like.values.shape
    channels, n_rows = 3 if like.alpha is None else 4, 0
    shape = png.Header(height, width, like.bits, channels)
    with (
        artifacts.replacing(path) as file,
        png.writing(file, shape, like.icc_profile) as add_rows,
    ):

        def add(rows: Values) -> None:
            nonlocal n_rows
            here = slice(n_rows, n_rows + len(rows))
            add_rows(rows if like.alpha is None else np.dstack([rows, like.alpha[here]]))
            n_rows += len(rows)

        yield add
        check_target(path)  # something may have come there meanwhile


def write(path: Path, picture: Picture) -> None:
    """Write a PNG, whole or not at all; an existing file is refused."""
    with writing(path, picture) as add:
        add(picture.values)
