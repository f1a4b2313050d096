"""Image files as they are: their headers, and PNG of 16 bits a channel, exactly.

Pillow, and with it scikit-image, imageio and matplotlib, cuts 16-bit color down to 8 bit without a
word, so dual-pixel data is read by OpenCV, and its depth is taken from the file's header. Source of
the format: the PNG specification (ISO/IEC 15948). H, W: height and width.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from ensrepro import images

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type
RGB = 2
MAX_PIXELS = int(Pillow.MAX_IMAGE_PIXELS or 0)
JPEG_END = b"\xff\xd9"
JPEG_TAIL = 4096  # some cameras write past the end


class Header(NamedTuple):
    """Size in pixels, bits a channel and channels (1 for a palette)."""

    height: int
    width: int
    bits: int
    channels: int


class Chunk(NamedTuple):
    """One piece of a PNG file; `start` is where its content begins."""

    kind: bytes
    start: int
    length: int


def chunks(file: IO[bytes], path: Path) -> Iterator[Chunk]:
    """The pieces of a PNG file up to its end; a ValueError if the file ends before."""
    size = path.stat().st_size
    position, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            raise ValueError(f"{path} is cut off after {size} bytes")
        length, kind = struct.unpack(">I4s", head)
        if position + 12 + length > size:
            raise ValueError(f"{path} is cut off after {size} bytes")
        yield Chunk(kind, position + 8, length)
        position += 12 + length


def content(file: IO[bytes], chunk: Chunk, path: Path) -> bytes:
    """A piece's bytes; a ValueError if they are not those that were written."""
    file.seek(chunk.start)
    data = file.read(chunk.length)
    (expected,) = struct.unpack(">I", file.read(4))
    if zlib.crc32(chunk.kind + data) != expected:
        name = chunk.kind.decode("latin-1")
        raise ValueError(f"{path} is damaged: the checksum of its part {name} is wrong")
    return data


def png_header(file: IO[bytes], path: Path) -> tuple[Header, int, int]:
    """The header, the color type and the kind of interlacing, after a walk over the whole file."""
    first, *_ = chunks(file, path)
    data = content(file, first, path)
    if first.kind != b"IHDR" or len(data) != 13:
        raise ValueError(f"{path} is damaged: it begins with the part {first.kind!r}")
    width, height, bits, color, _, _, interlaced = struct.unpack(">IIBBBBB", data)
    if color not in CHANNELS or width == 0 or height == 0:
        raise ValueError(f"{path} is damaged: color type {color}, {width}x{height} pixels")
    return Header(height, width, max(bits, 8), CHANNELS[color]), color, interlaced


def jpeg_header(path: Path) -> Header:
    """Size and channels of a JPEG file that has an end."""
    try:
        with Pillow.open(path, formats=("JPEG",)) as image:
            width, height = image.size
            n_channels = len(image.getbands())
    except images.BROKEN as error:  # Pillow's own errors are OSErrors too
        raise ValueError(f"{path} is no image of a known kind: {error}") from None
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - JPEG_TAIL, 0))
        if JPEG_END not in file.read():
            raise ValueError(f"{path} is cut off after {path.stat().st_size} bytes")
    return Header(height, width, 8, n_channels)


def header(path: Path) -> Header:
    """Size and depth of a PNG or JPEG file without decoding it; a ValueError if it is cut off."""
    with path.open("rb") as file:
        start = file.read(len(SIGNATURE))
        if not start:
            raise ValueError(f"{path} is empty")
        if start == SIGNATURE:
            return png_header(file, path)[0]
    return jpeg_header(path)


def opencv() -> Any:
    """OpenCV, an optional package; an ImportError says how to get it."""
    try:
        import cv2
    except ImportError as error:
        hint = "pip install 'opencv-python-headless<5'"
        raise ImportError(f"PNG of 16 bits a channel needs OpenCV: {hint}") from error
    return cv2


def check_pixels(file: IO[bytes], found: Header, path: Path) -> None:
    """A ValueError unless the compressed pixels are those written, and as many as the image has.

    OpenCV returns a picture for some damaged files.
    """
    parts = [chunk for chunk in chunks(file, path) if chunk.kind == b"IDAT"]
    packed = b"".join(content(file, part, path) for part in parts)
    expected = found.height * (1 + found.width * found.channels * found.bits // 8)
    try:  # never more than one byte too many, whatever the file says
        n_bytes = len(zlib.decompressobj().decompress(packed, expected + 1))
    except zlib.error as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    if n_bytes != expected:
        raise ValueError(f"{path} is damaged: {n_bytes} bytes of pixels, expected {expected}")


def read_wide(path: Path) -> NDArray[np.uint16]:
    """A PNG of 16-bit RGB, (H, W, 3) uint16, exactly; a ValueError names any other file."""
    with path.open("rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            raise ValueError(f"{path} is no PNG file; expected 16 bits a channel")
        found, color, interlaced = png_header(file, path)
        if found.bits != 16 or color != RGB:
            kind = f"{found.channels} channels of {found.bits} bits"
            raise ValueError(f"{path} has {kind}; expected 3 channels of 16 bits")
        if interlaced or found.height * found.width > MAX_PIXELS:
            shape = f"{found.height}x{found.width} pixels" + ", interlaced" * bool(interlaced)
            raise ValueError(f"{path} has {shape}; expected at most {MAX_PIXELS}, not interlaced")
        check_pixels(file, found, path)
    cv2 = opencv()
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)  # (H, W, 3), BGR
    if values is None or values.dtype != np.uint16:
        raise ValueError(f"{path} is damaged: OpenCV does not read it as 16 bits a channel")
    return np.ascontiguousarray(values[..., ::-1])
