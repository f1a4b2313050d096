"""Which files belong together: by the fields of their paths or by the authors' list.

The order of a directory decides nothing; natural order (2 before 10) is for presentation, and for
groups that the authors give as numbers.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import numpy as np

from ensrepro.benchmarks.layouts import Benchmark, Layout, Listing, View, expression

Fields = Mapping[str, str]
# What a browser calls a file that is fetched a second time.
COPY = re.compile(r"(?P<stem>.+?) ?\(\d+\)")
DIGITS = re.compile(r"(\d+)")
Kind = Literal["missing", "extra", "duplicate", "damaged", "wrong size", "wrong depth", "list"]


class Problem(NamedTuple):
    """A file that is not as it should be: what is wrong, and which."""

    kind: Kind
    what: str


@dataclass(frozen=True)
class Match:
    """The files of one image, by role."""

    name: str
    files: Mapping[str, Path]


@dataclass(frozen=True)
class Matching:
    """A layout tried below one base: what matches and what does not."""

    layout: Layout
    base: Path
    matches: tuple[Match, ...]
    problems: tuple[Problem, ...]
    n_files: int
    n_listed: int | None  # images in the authors' list


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers by their value: 2 before 10."""
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in DIGITS.split(text) if p]


def stem(path: Path, base: Path) -> str:
    """A path below the base without its suffix, with slashes."""
    return path.relative_to(base).with_suffix("").as_posix()


def files_of(view: View, base: Path) -> Iterator[Path]:
    """The files in the view's folders that have its suffixes; hidden ones are none."""
    for path in base.glob(view.glob):
        if not path.name.startswith(".") and path.suffix.lower() in view.suffixes:
            yield path


def is_copy(path: Path) -> bool:
    """Was this file fetched twice: `a(1).jpg` beside `a.jpg`?"""
    found = COPY.fullmatch(path.stem)
    return found is not None and path.with_stem(found["stem"]).exists()


Index = dict[tuple[str, ...], list[Path]]


def index(view: View, base: Path) -> tuple[Index, list[Path], list[Path]]:
    """The view's files by their fields, those fetched twice, and those that do not fit."""
    found: Index = defaultdict(list)
    copies, strays = [], []
    for path in files_of(view, base):
        values = view.values(stem(path, base))
        if is_copy(path):
            copies.append(path)
        elif values is None:
            strays.append(path)
        else:
            found[values].append(path)
    return found, copies, strays


def listed_columns(listing: Listing, base: Path) -> list[list[str]]:
    """The lines of the authors' list, one text for each column; a ValueError names a bad file."""
    folder = next((f for f in listing.folders if (base / f / listing.files[0]).is_file()), None)
    if folder is None:
        where = " or ".join(str(base / f / listing.files[0]) for f in listing.folders)
        raise FileNotFoundError(f"{where} does not exist; expected the authors' list of images")
    paths = [base / folder / name for name in listing.files]
    try:
        if paths[0].suffix == ".npy":
            columns = [np.load(path, allow_pickle=False).astype(str).tolist() for path in paths]
            return [list(line) for line in zip(*columns, strict=True)]
        lines = paths[0].read_text("utf-8").splitlines()
        return [line.split() for line in lines if line.strip()]
    except (ValueError, EOFError, OSError, TypeError) as error:
        raise ValueError(f"{paths[0]} is no list of images: {error}") from None


def listed(listing: Listing, base: Path) -> list[Fields]:
    """The fields of each listed image; a ValueError names a line that does not fit."""
    rows: list[Fields] = []
    for line in listed_columns(listing, base):
        fields: dict[str, str] = {}
        for text, pattern in zip(line, listing.columns, strict=False):
            n_parts = pattern.count("/") + 1
            tail = "/".join(PurePosixPath(os.fspath(text)).parts[-n_parts:])
            path = PurePosixPath(tail)
            bare = path.with_suffix("").as_posix() if path.suffix else tail
            found = expression(pattern).fullmatch(bare)
            given = found.groupdict() if found else {}
            if not given or any(fields.get(key, value) != value for key, value in given.items()):
                raise ValueError(f"{base / listing.files[0]} lists {text!r}; expected {pattern}")
            fields |= given
        if len(line) < len(listing.columns):
            expected = " ".join(listing.columns)
            raise ValueError(f"{base / listing.files[0]} has {line!r}; expected {expected}")
        if fields in rows:
            raise ValueError(f"{base / listing.files[0]} lists {line} twice; expected it once")
        rows.append(fields)
    return rows


def wanted(layout: Layout, base: Path, names: Index) -> list[Fields]:
    """The fields of every image: those of the list, or else those of the first view's files."""
    if layout.listing is not None:
        return listed(layout.listing, base)
    ordered = sorted(names, key=lambda values: natural("-".join(values)))
    return [dict(zip(layout.views[0].fields, values, strict=True)) for values in ordered]


def shown(paths: Iterable[Path], base: Path) -> list[str]:
    """Paths below the base, in natural order."""
    return sorted((path.relative_to(base).as_posix() for path in paths), key=natural)


def leftovers(
    layout: Layout, base: Path, indexes: Sequence[Index], used: set[Path]
) -> Iterator[Problem]:
    """Files of folders without spare ones that belong to no image."""
    first, *others = layout.views
    for view, found in zip(others, indexes[1:], strict=True):
        if not view.spare and layout.listing is None:
            unused = [path for paths in found.values() for path in paths if path not in used]
            for name in shown(unused, base):
                yield Problem("extra", f"{name} has no {first.role}")


def assembled(
    layout: Layout, base: Path, indexes: Sequence[Index], rows: Sequence[Fields]
) -> tuple[list[Match], list[Problem], set[Path]]:
    """The files of every image, what is missing or there twice, and the files that were asked."""
    matches: list[Match] = []
    problems: list[Problem] = []
    used: set[Path] = set()
    for row in rows:
        keys = [tuple(row.get(field, "") for field in view.fields) for view in layout.views]
        found = [table.get(key, []) for table, key in zip(indexes, keys, strict=True)]
        used |= {path for paths in found for path in paths}
        name = "-".join(value for value in keys[0] if value) or layout.name
        absent = [v.role for v, paths in zip(layout.views, found, strict=True) if not paths]
        twice = [path for paths in found if len(paths) > 1 for path in paths]
        if absent:
            problems.append(Problem("missing", f"{' and '.join(absent)} of {name}"))
        elif twice:
            problems.append(Problem("duplicate", " and ".join(shown(twice, base))))
        else:
            files = {v.role: paths[0] for v, paths in zip(layout.views, found, strict=True)}
            matches.append(Match(name, files))
    return matches, problems, used


def matched(layout: Layout, base: Path) -> Matching:
    """Try one layout below one base."""
    tables = [index(view, base) for view in layout.views]
    indexes = [found for found, _, _ in tables]
    fitting = {path for found in indexes for paths in found.values() for path in paths}
    own = [one for view, one in zip(layout.views, tables, strict=True) if not view.spare]
    copies = {path for _, twice, _ in own for path in twice}
    strays = {path for _, _, others in own for path in others} - fitting
    problems = [Problem("duplicate", name) for name in shown(copies, base)]
    problems += [Problem("extra", f"{name} fits no pattern") for name in shown(strays, base)]
    try:
        rows = wanted(layout, base, indexes[0])
    except (ValueError, FileNotFoundError) as error:
        rows, problems = [], [Problem("list", str(error))]
    matches, others, used = assembled(layout, base, indexes, rows)
    problems += [*others, *leftovers(layout, base, indexes, used)]
    return Matching(
        layout,
        base,
        tuple(sorted(matches, key=lambda match: natural(match.name))),
        tuple(problems),
        n_files=len(fitting) + len(copies),
        n_listed=len(rows) if layout.listing is not None else None,
    )


def best(benchmark: Benchmark, root: Path, layout: str | None = None) -> Matching:
    """The layout and base with the most whole images, else with the most files; first ones win."""
    candidates = [
        one
        for one in benchmark.layouts
        if one.name == layout or (layout is None and not one.on_request)
    ]
    if not candidates:
        names = ", ".join(one.name for one in benchmark.layouts)
        raise ValueError(f"layout is {layout!r}; {benchmark.name} has {names}")
    tried = [
        matched(one, root / base)
        for one in candidates
        for base in one.bases
        if (root / base).is_dir()
    ]
    return max(tried, key=lambda one: (len(one.matches), one.n_files))
