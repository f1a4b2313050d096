"""PNG files as they are: headers without decoding, 16 bits a channel exactly, and row by row.

Pillow, and with it scikit-image, imageio and matplotlib, cuts 16-bit color down to 8 bit without a
word, and cannot write it. So such files are read by OpenCV, their depth is taken from the header,
and what is written here is written by the specification (ISO/IEC 15948), rows as they come.
H, W: height and width; C: channels.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type
RGB, RGBA = 2, 6
COLOR_TYPES = {3: RGB, 4: RGBA}  # that are written, by number of channels
AVERAGE = 3  # the filter that is written: a byte less the mean of those left of it and above it
MAX_PIXELS = 178_956_970  # of an image that is read; where Pillow itself refuses, about 179 million
PIECE = 2**20  # bytes that are unpacked at once
ORIENTATION = 274  # the tag of EXIF
JPEG_END = b"\xff\xd9"
JPEG_TAIL = 4096  # some cameras write past the end
# what Pillow raises for damaged files; its own errors are OSErrors too
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)

Values = NDArray[np.uint8] | NDArray[np.uint16]


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
    except BROKEN as error:
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


def is_deep_color(path: Path) -> bool:
    """Whether a file begins like a PNG of 16 bits a channel that Pillow would cut down to 8."""
    with path.open("rb") as file:
        start = file.read(26)  # the signature, length and name of IHDR, the first 10 bytes of it
    if len(start) < 26 or not start.startswith(SIGNATURE) or start[12:16] != b"IHDR":
        return False
    bits, color = start[24:26]
    return bits == 16 and CHANNELS.get(color, 1) > 1


def opencv() -> Any:
    """OpenCV, an optional package; an ImportError says how to get it."""
    try:
        import cv2
    except ImportError as error:
        hint = "pip install 'opencv-python-headless<5'"
        raise ImportError(f"PNG of 16 bits a channel needs OpenCV: {hint}") from error
    return cv2


def unpacked_bytes(parts: Iterator[bytes], enough: int) -> int:
    """How many bytes the compressed pixels are, or `enough` if they are more: a bomb never is."""
    stream, n_bytes = zlib.decompressobj(), 0
    for part in parts:
        rest = part
        while rest and n_bytes < enough:
            n_bytes += len(stream.decompress(rest, min(PIECE, enough - n_bytes)))
            rest = stream.unconsumed_tail
    return n_bytes


def check_pixels(file: IO[bytes], found: Header, path: Path) -> None:
    """A ValueError unless the compressed pixels are those written, and as many as the image has.

    OpenCV returns a picture for some damaged files.
    """
    parts = (content(file, c, path) for c in list(chunks(file, path)) if c.kind == b"IDAT")
    expected = found.height * (1 + found.width * found.channels * found.bits // 8)
    try:  # never more than one byte too many, whatever the file says
        n_bytes = unpacked_bytes(parts, expected + 1)
    except zlib.error as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    if n_bytes != expected:
        raise ValueError(f"{path} is damaged: {n_bytes} bytes of pixels, expected {expected}")


def deep_header(path: Path) -> tuple[Header, int]:
    """Header and color type of a whole PNG of 16 bits a channel; a ValueError names any other."""
    with path.open("rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            raise ValueError(f"{path} is no PNG file; expected 16 bits a channel")
        found, color, interlaced = png_header(file, path)
        if found.bits != 16:
            kind = f"{found.channels} channels of {found.bits} bits"
            raise ValueError(f"{path} has {kind}; expected {found.channels} channels of 16 bits")
        if interlaced or found.height * found.width > MAX_PIXELS:
            shape = f"{found.height}x{found.width} pixels" + ", interlaced" * bool(interlaced)
            raise ValueError(f"{path} has {shape}; expected at most {MAX_PIXELS}, not interlaced")
        check_pixels(file, found, path)
    return found, color


def read_deep(path: Path) -> NDArray[np.uint16]:
    """A PNG of 16 bits a channel exactly: RGB (H, W, 3), with transparency RGBA (H, W, 4)."""
    deep_header(path)
    cv2 = opencv()
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)  # BGR or BGRA
    if values is None or values.dtype != np.uint16:
        raise ValueError(f"{path} is damaged: OpenCV does not read it as 16 bits a channel")
    if values.ndim == 2:
        return np.repeat(values[..., None], 3, axis=2)
    for row in values:  # in place: a large image is held once
        row[:, :3] = row[:, 2::-1].copy()
    return values


def read_wide(path: Path) -> NDArray[np.uint16]:
    """A PNG of 16-bit RGB, (H, W, 3) uint16, exactly; a ValueError names any other file."""
    found, color = deep_header(path)
    if color != RGB:
        kind = f"{found.channels} channels of 16 bits"
        raise ValueError(f"{path} has {kind}; expected 3 channels of 16 bits")
    return read_deep(path)[..., :3]


def orientation(path: Path) -> object:
    """The orientation that the EXIF part of a PNG tells; 1 without one, 1 to 8 if it is sound."""
    with path.open("rb") as file:
        for chunk in list(chunks(file, path)):
            if chunk.kind != b"eXIf":
                continue
            exif = Pillow.Exif()
            try:
                exif.load(content(file, chunk, path))
                return exif.get(ORIENTATION, 1)
            except BROKEN as error:
                raise ValueError(f"{path} is damaged: its EXIF data: {error}") from None
    return 1


def filtered(rows: NDArray[np.uint8], above: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Bytes of pixels (n, B) below the row `above` (B,) as PNG packs them, (n, 1 + B).

    A pixel has `step` bytes.
    """
    left, up = np.zeros_like(rows), np.vstack([above, rows[:-1]])
    left[:, step:] = rows[:, :-step]
    packed = np.empty((rows.shape[0], 1 + rows.shape[1]), np.uint8)
    packed[:, 0] = AVERAGE
    packed[:, 1:] = rows - ((left.astype(np.uint16) + up) // 2).astype(np.uint8)
    return packed


def put(file: IO[bytes], kind: bytes, data: bytes) -> None:
    """Write one piece of a PNG file."""
    checked = kind + data
    file.write(struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked)))


@contextmanager
def writing(
    file: IO[bytes], shape: Header, icc_profile: bytes | None = None
) -> Iterator[Callable[[Values], None]]:
    """A new PNG; what is yielded takes its rows, (n, W, C) at a time, from top to bottom.

    3 or 4 channels of 8 or 16 bits. A ValueError at the end if there were not as many rows as said.
    """
    color, kind = COLOR_TYPES[shape.channels], np.dtype({8: np.uint8, 16: np.uint16}[shape.bits])
    step = shape.channels * kind.itemsize
    packer, above, n_rows = zlib.compressobj(), np.zeros(shape.width * step, np.uint8), 0
    file.write(SIGNATURE)
    size = struct.pack(">IIBBBBB", shape.width, shape.height, shape.bits, color, 0, 0, 0)
    put(file, b"IHDR", size)
    if icc_profile:
        put(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile))

    def add(values: Values) -> None:
        nonlocal above, n_rows
        if values.dtype != kind or values.shape[1:] != (shape.width, shape.channels):
            expected = f"(n, {shape.width}, {shape.channels}) of {kind}"
            raise ValueError(f"rows are {values.shape} of {values.dtype}; expected {expected}")
        if not len(values):
            return
        big_endian = np.ascontiguousarray(values, kind.newbyteorder(">"))
        rows = big_endian.view(np.uint8).reshape(len(values), -1)
        put(file, b"IDAT", packer.compress(filtered(rows, above, step)))
        above, n_rows = rows[-1].copy(), n_rows + len(rows)

    yield add
    if n_rows != shape.height:
        raise ValueError(f"{n_rows} rows were written; expected {shape.height}")
    put(file, b"IDAT", packer.flush())
    put(file, b"IEND", b"")
