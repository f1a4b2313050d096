"""What a benchmark is and how its files lie on a disk: frozen values, no code that knows a name.

A view is one kind of file: input, left, right, target. Its pattern tells where the files are and
which words of their paths are *fields*: `{scene}/blur/blur_{n}` has the fields scene and n; what
stands in brackets may be absent. Files with equal fields belong together, so a pair never depends
on the order of a directory. Where the authors publish a list of images, it says what makes a pair.
H, W: height and width in pixels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
TARGET = "target"
FIELD = re.compile(r"\{(\w+)\}")
OPTIONAL = re.compile(r"\\\[(\w+)\\\]")  # in escaped text


@lru_cache(maxsize=256)
def expression(pattern: str) -> re.Pattern[str]:
    """The pattern as an expression; a field is any text without a slash."""
    parts = FIELD.split(pattern)
    literals = [OPTIONAL.sub(r"(?:\1)?", re.escape(part)) for part in parts[::2]]
    fields = [f"(?P<{name}>[^/]*?)" for name in parts[1::2]]
    return re.compile("".join(chain(*zip(literals, [*fields, ""], strict=True))))


@dataclass(frozen=True)
class View:
    """One kind of file: its role and where it lies below a layout's base, without the suffix.

    A folder with `spare` files holds those of other splits too.
    """

    role: str
    pattern: str
    suffixes: tuple[str, ...] = IMAGE_SUFFIXES
    spare: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(FIELD.findall(self.pattern))

    @property
    def glob(self) -> str:
        """What finds the folders' files, those with names that do not fit among them."""
        folder, slash, _ = self.pattern.rpartition("/")
        return FIELD.sub("*", folder) + slash + "*"

    def values(self, stem: str) -> tuple[str, ...] | None:
        """The fields of a path without its suffix; None if it does not fit."""
        found = expression(self.pattern).fullmatch(stem)
        return None if found is None else tuple(found[field] for field in self.fields)


@dataclass(frozen=True)
class Listing:
    """The authors' list of an image set: which fields make a pair.

    Either one text file with a column for each pattern, or an array of names (.npy) for each; they
    lie in one of `folders` below the base. A pattern is compared with the end of a listed path.
    """

    files: tuple[str, ...]
    columns: tuple[str, ...]
    folders: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Layout:
    """One way in which a benchmark lies on a disk.

    `bases` are the folders below ROOT that are tried. The first view names the images. `hint` is
    what to do when the files are there but cannot be paired. A layout `on_request` is taken only
    if it is named.
    """

    name: str
    bases: tuple[str, ...]
    views: tuple[View, ...]
    listing: Listing | None = None
    hint: str = ""
    on_request: bool = False


@dataclass(frozen=True)
class Inference:
    """How a network is run: on the whole image, or on square tiles of which a margin is dropped."""

    tile: int | None = None
    margin: int = 0

    def __post_init__(self) -> None:
        if self.tile is not None and self.tile <= 2 * self.margin:
            least = 2 * self.margin + 1
            raise ValueError(f"tile is {self.tile}; expected at least {least} pixels")

    def __str__(self) -> str:
        if self.tile is None:
            return "whole images"
        return f"tiles of {self.tile} pixels, {self.margin} of each side dropped"


@dataclass(frozen=True)
class Benchmark:
    """A named image set with its task, protocol and layouts.

    `n_images` None: the authors' list says how many. `size` is (H, W), either way up; None: any.
    Files have one of `file_bits` a channel and are read as `read_bits`. With a `block_shape` the
    images are the blocks of an array of that shape in each file. `groups` pairs a group's name with
    the file that lists its images by their number, from 1, in natural order.
    """

    name: str
    title: str
    task: str
    protocol: str
    layouts: tuple[Layout, ...]
    n_images: int | None
    size: tuple[int, int] | None = None
    file_bits: tuple[int, ...] = (8,)
    read_bits: int = 8
    block_shape: tuple[int, ...] | None = None
    groups: tuple[tuple[str, str], ...] = ()
    also: tuple[str, ...] = ()  # metrics beside PSNR and SSIM
    inference: Inference = Inference()
    is_training: bool = False
    note: str = ""

    @property
    def n_inputs(self) -> int:
        """Images that a network gets at once: 2 for a dual-pixel pair."""
        return sum(view.role != TARGET for view in self.layouts[0].views)

    @property
    def in_channels(self) -> int:
        return 3 * self.n_inputs
