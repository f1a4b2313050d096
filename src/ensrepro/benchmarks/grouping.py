"""Groups of a benchmark's images, such as DPDD's indoor and outdoor scenes.

The authors number the images from 1 in natural order of their names, so groups are known only for a
complete set: where one image is missing, every number after it means another image.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ensrepro.benchmarks.checking import Inventory


def numbers(path: Path) -> list[int]:
    """The image numbers in a file (.npy); a ValueError names a file that holds no such numbers."""
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} is no array of image numbers: {error}") from None
    if values.dtype.kind not in "iuf" or (values != np.rint(values)).any():
        raise ValueError(f"{path} holds {values.dtype}; expected the numbers of images")
    return [int(value) for value in values.ravel()]


class Grouping(NamedTuple):
    """The group of every image by its name, or none of them and the reason."""

    labels: dict[str, str]
    reason: str


def labels(found: Inventory) -> Grouping:
    """The groups as the authors' files give them.

    A ValueError if the groups do not divide the images: one twice, one in none, or a wrong number.
    """
    groups = found.benchmark.groups
    paths = {group: found.base / name for group, name in groups}
    absent = [path.name for path in paths.values() if not path.is_file()]
    if not groups:
        return Grouping({}, "")
    if absent:
        return Grouping({}, f"{' and '.join(absent)} not in the folder")
    if not found.is_complete:
        return Grouping({}, "the set is not complete, and its groups are given by number")
    of_group = {group: numbers(path) for group, path in paths.items()}
    every = sorted(number for some in of_group.values() for number in some)
    if every != list(range(1, found.n_images + 1)):
        names = " and ".join(path.name for path in paths.values())
        raise ValueError(
            f"{names} hold {len(every)} numbers; expected 1 to {found.n_images}, each once"
        )
    names = [sample.name for sample in found.samples]
    return Grouping({names[n - 1]: group for group, some in of_group.items() for n in some}, "")
