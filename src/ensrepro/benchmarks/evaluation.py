"""Evaluating a network on a benchmark by its own protocol (section 4, tables 1 to 4).

One image at a time is read, restored, clipped and scored, and its row is on the disk before the
next begins, so a run that is interrupted goes on where it was. `metrics` rounds to 8 bit where a
protocol saves its images. Means run over images; the average of the five deraining sets is the
plain mean of their means. Nothing of the method's search may import this package.
H, W: height and width in pixels.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ensrepro import artifacts, evaluate, metrics
from ensrepro.benchmarks import checking, grouping, progress
from ensrepro.benchmarks.checking import Inventory
from ensrepro.benchmarks.grouping import Grouping
from ensrepro.benchmarks.layouts import Benchmark, Inference
from ensrepro.benchmarks.perceptual import Perceptual
from ensrepro.benchmarks.progress import Row
from ensrepro.benchmarks.readers import Image, Reader, Sample
from ensrepro.benchmarks.subjects import Subject, check_fits
from ensrepro.terminal import Progress

NOT_ASKED = Perceptual(None, "not asked for")
PACKAGES = ("opencv-python-headless", "lpips", "torchvision", "pillow")  # their versions matter


@dataclass(frozen=True)
class Result:
    """A subject on a benchmark: means of every group of images, and the row of each image.

    A metric that is missing is None; `reasons` says why, by metric.
    """

    benchmark: str
    title: str
    subject: str
    task: str
    protocol: str
    layout: str
    inference: str
    n_images: int
    n_expected: int
    is_partial: bool
    groups: list[dict[str, Any]]
    reasons: dict[str, str]
    packages: dict[str, str]
    rows: list[dict[str, Any]]


def corners(length: int, side: int) -> list[int]:
    """First pixels of squares that cover 0 .. length - 1, the last one flush with the end."""
    return [*range(0, length - side, side), max(length - side, 0)]


def restored_whole(subject: Subject, image: Image) -> Image:
    """One forward pass, (H, W, C) -> (H, W, 3); a ValueError if the network gives anything else."""
    restored, expected = evaluate.run_whole(subject, image), (*image.shape[:2], 3)
    if restored.shape != expected:
        raise ValueError(f"{subject.name} returned shape {restored.shape}; expected {expected}")
    return restored


def tiled(subject: Subject, image: Image, side: int, margin: int) -> Image:
    """Restore squares of `side` pixels and keep what is farther than `margin` from their edges."""
    h, w = image.shape[:2]
    inner = side - 2 * margin
    around = (margin, margin)
    padded = np.pad(image, (around, around, (0, 0)), mode="reflect")
    result = np.zeros((h, w, 3), np.float32)
    for top in corners(h, inner):
        for left in corners(w, inner):
            tile = restored_whole(subject, padded[top : top + side, left : left + side])
            kept = tile[margin : tile.shape[0] - margin, margin : tile.shape[1] - margin]
            result[top : top + inner, left : left + inner] = kept
    return result


def restore(subject: Subject, image: Image, inference: Inference) -> Image:
    """(H, W, C) in [0, 1] -> (H, W, 3) in [0, 1], whole or in tiles as `inference` says."""
    if inference.tile is not None:
        return tiled(subject, image, inference.tile, inference.margin)
    return restored_whole(subject, image)


def scored(benchmark: Benchmark, name: str, restored: Image, target: Image) -> Row:
    """The row of one image; a ValueError names an image that has no value."""
    try:
        psnr, ssim, mae = metrics.scores(restored, target, benchmark.protocol)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not math.isfinite(psnr):
        raise ValueError(f"{name}: restored and target are the same; expected two images")
    row = {"image": name, "psnr": psnr, "ssim": ssim}
    return row | {"mae": mae} if "mae" in benchmark.also else row


def evaluated(
    subject: Subject, reader: Reader, sample: Sample, inference: Inference, perceptual: Perceptual
) -> Row:
    """Read, restore and score one image."""
    degraded, target = reader.pair(sample)
    restored = restore(subject, degraded, inference)
    row = scored(reader.benchmark, sample.name, restored, target)
    if "lpips" in reader.benchmark.also:
        distance = perceptual.distance
        row["lpips"] = None if distance is None else distance(restored, target)
    return row


def metrics_of(benchmark: Benchmark) -> list[str]:
    """The columns of a benchmark's rows, beside the image's name."""
    return ["psnr", "ssim", *benchmark.also]


def mean(rows: Sequence[Row], metric: str) -> float | None:
    """The plain mean; None if any image has no value."""
    values = [row.get(metric) for row in rows]
    return None if not values or None in values else float(np.mean(values))


def summary(
    subject: Subject,
    found: Inventory,
    inference: Inference,
    rows: Sequence[Row],
    lpips_reason: str,
    grouped: Grouping,
) -> Result:
    """All means, by group, from the rows of all images."""
    benchmark, (labels, reason) = found.benchmark, grouped
    groups = []
    for group in ("all", *dict.fromkeys(labels.values())):
        own = [row for row in rows if group in ("all", labels.get(row["image"]))]
        values = {name: mean(own, name) for name in metrics_of(benchmark)}
        groups.append({"group": group, "n_images": len(own), **values})
    reasons = {"groups": reason} if reason else {}
    if "lpips" in benchmark.also and lpips_reason:
        reasons["lpips"] = lpips_reason
    return Result(
        benchmark=benchmark.name,
        title=benchmark.title,
        subject=subject.name,
        task=subject.task,
        protocol=benchmark.protocol,
        layout=found.layout.name,
        inference=str(inference),
        n_images=len(rows),
        n_expected=found.n_expected,
        is_partial=not found.is_complete,
        groups=groups,
        reasons=reasons,
        packages={name: artifacts.installed(name) for name in PACKAGES},
        rows=list(rows),
    )


def has_lpips(found: Inventory, perceptual: Perceptual) -> bool:
    """Is LPIPS asked for, and can it be computed?"""
    return "lpips" in found.benchmark.also and perceptual.distance is not None


def rows_name(found: Inventory, perceptual: Perceptual) -> str:
    """The file of rows, which a part and the whole set share; LPIPS may be added later."""
    return found.benchmark.name + ("-lpips" if has_lpips(found, perceptual) else "")


def result_name(found: Inventory, perceptual: Perceptual, files: str) -> str:
    """The file of a result, without a suffix; every part of a set has one of its own."""
    name = rows_name(found, perceptual)
    if found.is_complete:
        return name
    return f"{name}-partial-{found.n_images}-of-{found.n_expected}-{files[:8]}"


def identity_of_rows(
    subject: Subject, found: Inventory, inference: Inference, perceptual: Perceptual
) -> dict[str, Any]:
    """What fixes a row, beside its image: network, protocol and how the network is run."""
    return {
        "benchmark": found.benchmark.name,
        "subject": subject.name,
        "weights": subject.digest,
        "protocol": found.benchmark.protocol,
        "layout": found.layout.name,
        "inference": str(inference),
        "has_lpips": has_lpips(found, perceptual),
    }


def run(
    subject: Subject,
    found: Inventory,
    out: str | Path,
    *,
    partial: bool = False,
    inference: Inference | None = None,
    perceptual: Perceptual = NOT_ASKED,
    report: Progress | None = None,
) -> Result:
    """Evaluate a subject on the images of an inventory; rows and result are files in `out`.

    An incomplete set is refused unless `partial`. Its result has a file of its own, and so has
    LPIPS; rows are taken up by the next evaluation, of more images or of all. `inference` None is
    the benchmark's own. A finished evaluation is read from its file; where that is of other image
    files, a ValueError says to move it away.
    """
    benchmark = found.benchmark
    check_fits(benchmark, subject)
    checking.require(found, partial=partial)
    chosen = inference or benchmark.inference
    grouped = grouping.labels(found)  # wrong labels are found before the images are run
    of_rows, digests = identity_of_rows(subject, found, chosen, perceptual), found.digests()
    files = checking.together(digests)
    identity = of_rows | {"files": files, "n_expected": found.n_expected}
    started = time.perf_counter()

    def compute() -> tuple[Result, artifacts.Provenance]:
        reader = Reader(benchmark)
        path = Path(out) / f"{rows_name(found, perceptual)}.jsonl"
        with progress.opened(path, of_rows, metrics_of(benchmark)) as rows:
            for done, sample in enumerate(found.samples):
                if report is not None:
                    report(f"{benchmark.title}: {sample.name}", done, found.n_images)
                if not rows.has(sample.name, digests[sample.name]):
                    row = evaluated(subject, reader, sample, chosen, perceptual)
                    rows.add(row | {"files": digests[sample.name]})
            ordered = [progress.without_files(rows.by_image[s.name]) for s in found.samples]
        result = summary(subject, found, chosen, ordered, perceptual.reason, grouped)
        seconds, threads = time.perf_counter() - started, torch.get_num_threads()
        made = artifacts.provenance(subject.profile, subject.task, 0, seconds, threads)
        return result, made

    path = Path(out) / f"{result_name(found, perceptual, files)}.json"
    return artifacts.load_or_run(path, f"benchmark-{benchmark.name}", Result, identity, compute)


def average(results: Sequence[Result], names: Sequence[str]) -> Mapping[str, Any]:
    """The plain mean of the means of the benchmarks `names`, of one subject.

    A ValueError names what is missing, mixed or there twice; `is_partial` if any of them is.
    """
    chosen = [result for result in results if result.benchmark in names]
    subjects = sorted({result.subject for result in chosen})
    if len(subjects) > 1:
        raise ValueError(f"results are of {' and '.join(subjects)}; expected one subject")
    counts = Counter(result.benchmark for result in chosen)
    absent = [name for name in names if not counts[name]]
    twice = [name for name in names if counts[name] > 1]
    if absent or twice:
        found = f"lack {', '.join(absent)}" if absent else f"have {', '.join(twice)} twice"
        raise ValueError(f"results {found}; expected one of each to average")
    whole = [result.groups[0] for result in chosen]
    return {
        "benchmark": "average",
        "psnr": mean(whole, "psnr"),
        "ssim": mean(whole, "ssim"),
        "is_partial": any(result.is_partial for result in chosen),
    }
