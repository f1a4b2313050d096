"""Is a benchmark on this disk whole? Counts, pairs, sizes, bit depths, files cut off.

`check` looks at names and headers and takes seconds; `decode` reads every pixel as well. An
evaluation takes the images of an `Inventory`, and refuses one that is not complete unless asked.
"""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ensrepro import png
from ensrepro.benchmarks import blocks, pairing, readers
from ensrepro.benchmarks.layouts import Benchmark, Layout
from ensrepro.benchmarks.pairing import Match, Problem
from ensrepro.benchmarks.readers import Sample

LISTED = 10  # problems named in a message; the total is always given


def content_hash(path: Path) -> str:
    """Hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def together(digests: Mapping[str, str]) -> str:
    """One hash for the images with these, 16 hex digits."""
    return hashlib.sha256(repr(list(digests.items())).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Inventory:
    """What lies below `root` of a benchmark: the usable images and everything that is wrong.

    `n_expected` is the benchmark's number, or that of the authors' list.
    """

    benchmark: Benchmark
    root: Path
    layout: Layout
    base: Path
    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...]
    n_expected: int

    @property
    def n_images(self) -> int:
        return len(self.samples)

    @property
    def is_complete(self) -> bool:
        return not self.problems and self.n_images == self.n_expected > 0

    def digests(self) -> dict[str, str]:
        """By image a hash of its name and of what its files contain, 16 hex digits.

        Every file is read once, which takes seconds a gigabyte.
        """
        paths = {path for sample in self.samples for path in sample.files.values()}
        contents = {path: content_hash(path) for path in paths}
        found = {}
        for sample in self.samples:
            files = sorted((role, contents[path]) for role, path in sample.files.items())
            text = repr((sample.name, sample.block, files))
            found[sample.name] = hashlib.sha256(text.encode()).hexdigest()[:16]
        return found

    def digest(self) -> str:
        """Hash of all images' names and contents: another set of files has another one."""
        return together(self.digests())


def check_folder(root: Path) -> None:
    """A sentence unless `root` is a folder."""
    if not root.exists():
        raise FileNotFoundError(f"{root} does not exist; expected the folder of a benchmark")
    if root.is_dir():
        return
    if zipfile.is_zipfile(root) or tarfile.is_tarfile(root):
        raise ValueError(f"{root} is an archive; expected a folder: unpack it first (data unpack)")
    raise NotADirectoryError(f"{root} is a file; expected the folder of a benchmark")


def wrong_size(benchmark: Benchmark, sizes: Mapping[str, tuple[int, int]]) -> str:
    """What is wrong with the sizes (H, W) of an image's files; empty if nothing is."""
    text = " and ".join(f"{role} {w}x{h}" for role, (h, w) in sizes.items())
    if len(set(sizes.values())) > 1:
        return f"{text}; expected one size"
    if benchmark.size is not None and sorted(benchmark.size) != sorted(next(iter(sizes.values()))):
        h, w = benchmark.size
        return f"{text}; expected {w}x{h}"
    return ""


def image_problems(benchmark: Benchmark, match: Match) -> Iterator[Problem]:
    """What the headers of an image's files tell."""
    headers: dict[str, png.Header] = {}
    for role, path in match.files.items():
        try:
            headers[role] = png.header(path)
        except (ValueError, OSError) as error:
            yield Problem("damaged", str(error))
            continue
        if headers[role].bits not in benchmark.file_bits:
            expected = " or ".join(map(str, benchmark.file_bits))
            found = f"{path} has {headers[role].bits} bits a channel"
            yield Problem("wrong depth", f"{found}; expected {expected}")
    if len(headers) == len(match.files):
        sizes = {role: (one.height, one.width) for role, one in headers.items()}
        wrong = wrong_size(benchmark, sizes)
        if wrong:
            yield Problem("wrong size", f"{match.name}: {wrong}")


def block_problems(shape: tuple[int, ...], match: Match) -> Iterator[Problem]:
    """What is wrong with files of blocks."""
    for path in match.files.values():
        try:
            blocks.check_variable(path, shape)
        except ValueError as error:
            yield Problem("damaged", str(error))


def samples_of(benchmark: Benchmark, match: Match) -> Iterator[Sample]:
    """The images of a match: one, or every block of its files."""
    if benchmark.block_shape is None:
        yield Sample(match.name, match.files)
        return
    for scene, block in np.ndindex(*benchmark.block_shape[:2]):
        yield Sample(f"{scene + 1:02d}-{block + 1:02d}", match.files, (scene, block))


def decodable(
    benchmark: Benchmark, samples: Sequence[Sample]
) -> tuple[list[Sample], list[Problem]]:
    """The images that can be decoded, and the files of the others."""
    reader, whole = readers.Reader(benchmark), []
    problems: dict[Problem, None] = {}  # ordered; a file of blocks is named once
    for sample in samples:
        try:
            reader.pair(sample)
            whole.append(sample)
        except (ValueError, OSError) as error:
            problems[Problem("damaged", str(error))] = None
    return whole, list(problems)


def inspect(
    benchmark: Benchmark, root: str | Path, *, layout: str | None = None, decode: bool = False
) -> Inventory:
    """What lies below `root`; the layout that fits best is taken unless one is named."""
    root = Path(root)
    check_folder(root)
    found = pairing.best(benchmark, root, layout)
    problems, samples = list(found.problems), []
    for match in found.matches:
        shape = benchmark.block_shape
        wrong = [*(block_problems(shape, match) if shape else image_problems(benchmark, match))]
        problems += wrong
        samples += [] if wrong else samples_of(benchmark, match)
    if decode:
        samples, damaged = decodable(benchmark, samples)
        problems += damaged
    n_expected = benchmark.n_images if benchmark.n_images is not None else found.n_listed or 0
    return Inventory(
        benchmark=benchmark,
        root=root,
        layout=found.layout,
        base=found.base,
        samples=tuple(samples),
        problems=tuple(problems),
        n_expected=n_expected,
    )


def listed(problems: tuple[Problem, ...]) -> list[str]:
    """One line for each of the first problems, and how many there are of each kind."""
    counts = Counter(problem.kind for problem in problems)
    total = ", ".join(f"{n} {kind}" for kind, n in counts.items())
    more = len(problems) - LISTED
    lines = [f"  {problem.kind}: {problem.what}" for problem in problems[:LISTED]]
    return [f"problems: {len(problems)} ({total})", *lines, *([f"  and {more} more"] * (more > 0))]


def describe(found: Inventory) -> str:
    """The report of `data check`: what is there and what is not."""
    benchmark = found.benchmark
    lines = [
        f"{benchmark.title}: task {benchmark.task}, protocol {benchmark.protocol}",
        f"layout: {found.layout.name}, below {found.base}",
        f"images: {found.n_images} usable, {found.n_expected or 'an unknown number'} expected",
    ]
    if benchmark.note:
        lines.append(f"note: {benchmark.note}")
    if found.problems:
        lines += listed(found.problems)
    if not found.is_complete and found.layout.hint:
        lines.append(f"hint: {found.layout.hint}")
    if not found.n_images:
        patterns = "; ".join(
            ", ".join(view.pattern for view in layout.views) for layout in benchmark.layouts
        )
        lines.append(f"expected files like {patterns}")
    return "\n".join([*lines, "complete" if found.is_complete else "not complete"])


def require(found: Inventory, *, partial: bool = False) -> None:
    """A ValueError unless the benchmark is complete, or `partial` and it has images at all."""
    if found.is_complete or (partial and found.n_images):
        return
    count = f"{found.n_images} usable images, {found.n_expected or 'its list of images'} expected"
    first = "; ".join(f"{problem.kind}: {problem.what}" for problem in found.problems[:LISTED])
    more = len(found.problems) - LISTED
    rest = f"; {len(found.problems)} problems: {first}" if found.problems else ""
    rest += f"; and {more} more" if more > 0 else ""
    raise ValueError(f"{found.benchmark.name} in {found.root} is not complete: {count}{rest}")
