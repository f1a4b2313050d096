"""Tiny benchmarks on the disk, in exactly the layouts of the released scripts and the originals.

Paths are written out here, not made from the patterns under test. Every target is its own random
image and every input that image with noise, so that a wrong pair shows in the numbers.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from scipy.io import savemat

from ensrepro.benchmarks.catalog import benchmark
from ensrepro.benchmarks.layouts import Benchmark, Inference

H, W = 16, 24
NOISY, CLEAN = "ValidationNoisyBlocksSrgb", "ValidationGtBlocksSrgb"
BLOCKS = (2, 3, 16, 16, 3)


@dataclass(frozen=True)
class Folder:
    """Files of one layout: for every image its input files, then its target; and other files."""

    benchmark: str
    layout: str
    images: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    others: tuple[str, ...] = ()  # images that belong to no test set
    texts: tuple[tuple[str, str], ...] = ()
    arrays: tuple[tuple[str, tuple[str, ...]], ...] = ()


def released(name: str, place: str, stems: Sequence[str], suffix: str = ".png") -> Folder:
    """Folders input and target with equal names."""
    pairs = [tuple(f"{place}/{side}/{s}{suffix}" for side in ("input", "target")) for s in stems]
    return Folder(name, "released", tuple(pairs), tuple(stems))


REALBLUR = "RealBlur-J_ECC_IMCORR_centroid_itensity_ref"
REALBLUR_LIST = (
    f"{REALBLUR}/scene050/gt/gt_10.png {REALBLUR}/scene050/blur/blur_10.png\n"
    f"{REALBLUR}/scene050/gt/gt_2.png {REALBLUR}/scene050/blur/blur_2.png\n"
    f"{REALBLUR}/scene244_reflect/gt/gt_1.png {REALBLUR}/scene244_reflect/blur/blur_1.png\n"
)
SENSE = "sensenoise/final_datasetv4_png"
SOURCES, SHOTS = ("1P0A0917", "1P0A0984", "1P0A1002"), ("1P0A0918", "1P0A0983", "1P0A1003")

FOLDERS = (
    released("gopro", "Datasets/test/GoPro", ["GOPR0384_11_00-000001", "GOPR0384_11_00-000002"]),
    Folder(
        "gopro",
        "original-blur",
        tuple(
            (f"GOPRO_Large/test/{s}/blur/{n}.png", f"GOPRO_Large/test/{s}/sharp/{n}.png")
            for s, n in (("GOPR0384_11_00", "000001"), ("GOPR0396_11_00", "000001"))
        ),
        ("GOPR0384_11_00-000001", "GOPR0396_11_00-000001"),
        others=(
            "GOPRO_Large/test/GOPR0384_11_00/blur_gamma/000001.png",
            "GOPRO_Large/test/GOPR0396_11_00/blur_gamma/000001.png",
            "GOPRO_Large/train/GOPR0372_07_00/blur/000047.png",
            "GOPRO_Large/train/GOPR0372_07_00/sharp/000047.png",
        ),
    ),
    released("hide", "test/HIDE", ["1fromGOPR0950", "10fromGOPR0950"]),
    Folder(
        "hide",
        "original",
        (
            (
                "HIDE_dataset/test/test-close-ups/1fromGOPR0950.png",
                "HIDE_dataset/GT/1fromGOPR0950.png",
            ),
            (
                "HIDE_dataset/test/test-long-shot/2fromGOPR0951.png",
                "HIDE_dataset/GT/2fromGOPR0951.png",
            ),
        ),
        ("test-close-ups-1fromGOPR0950", "test-long-shot-2fromGOPR0951"),
        others=("HIDE_dataset/train/3fromGOPR0952.png", "HIDE_dataset/GT/3fromGOPR0952.png"),
    ),
    released("realblur-j", "test/RealBlur_J", ["scene050-2", "scene050-10"]),
    released("realblur-r", "RealBlur_R", ["scene050-2", "scene050-10"]),
    Folder(
        "realblur-j",
        "original",
        tuple(
            (f"{REALBLUR}/{s}/blur/blur_{n}.png", f"{REALBLUR}/{s}/gt/gt_{n}.png")
            for s, n in (("scene050", 2), ("scene050", 10), ("scene244_reflect", 1))
        ),
        ("scene050-2", "scene050-10", "scene244_reflect-1"),
        others=(f"{REALBLUR}/scene001/blur/blur_1.png", f"{REALBLUR}/scene001/gt/gt_1.png"),
        texts=(("RealBlur_J_test_list.txt", REALBLUR_LIST),),
    ),
    Folder(
        "dpdd",
        "released",
        tuple((f"test/DPDD/inputC/{s}.png", f"test/DPDD/target/{s}.png") for s in SOURCES),
        SOURCES,
        others=tuple(f"test/DPDD/inputL/{s}_L.png" for s in SOURCES),
    ),
    Folder(
        "dpdd",
        "original",
        tuple(
            (f"dd_dp_dataset_png/test_c/source/{s}.png", f"dd_dp_dataset_png/test_c/target/{t}.png")
            for s, t in zip(SOURCES, SHOTS, strict=True)
        ),
        SOURCES,
        arrays=(
            ("dd_dp_dataset_png/file_names/test_src.npy", SOURCES),
            ("dd_dp_dataset_png/file_names/test_trg.npy", SHOTS),
        ),
    ),
    Folder(
        "dpdd-dual",
        "released",
        tuple((f"inputL/{s}_L.png", f"inputR/{s}_R.png", f"target/{s}.png") for s in SOURCES),
        SOURCES,
        others=tuple(f"inputC/{s}.png" for s in SOURCES),
    ),
    Folder(
        "dpdd-dual",
        "released-camera",
        tuple(
            (f"inputL/{s}.png", f"inputR/{s}.png", f"target/{t}.png")
            for s, t in zip(SOURCES, SHOTS, strict=True)
        ),
        SOURCES,
        arrays=(("test_src.npy", SOURCES), ("test_trg.npy", SHOTS)),
    ),
    Folder(
        "sensenoise",
        "original",
        tuple((f"{SENSE}/noisy/{n}_noisy.png", f"{SENSE}/gt/{n}_gt.png") for n in ("0002", "0010")),
        ("0002_", "0010_"),
        others=(f"{SENSE}/noisy/0001_noisy.png", f"{SENSE}/gt/0001_gt.png"),
        texts=((f"{SENSE}/test.txt", "0010_gt.png\n0002_gt.png\n"),),
    ),
    Folder(
        "sensenoise",
        "original-equal",
        tuple((f"{SENSE}/noisy/{n}.png", f"{SENSE}/gt/{n}.png") for n in ("0002", "0010")),
        ("0002", "0010"),
        others=(f"{SENSE}/noisy/0001.png", f"{SENSE}/gt/0001.png"),
        texts=((f"{SENSE}/test.txt", "0010.png\n0002.png\n"),),
    ),
    released("rain13k", "Datasets/train/Rain13K", ["2", "10"], ".jpg"),
    released("test100", "Datasets/test/Test100", ["2", "10"]),
    released("rain100h", "Datasets/test/Rain100H", ["2", "10"]),
    Folder(
        "rain100h",
        "original",
        tuple(
            (f"rain_heavy_test/rain/norain-{n}.png", f"rain_heavy_test/norain/norain-{n}.png")
            for n in (2, 10)
        ),
        ("norain-2", "norain-10"),
    ),
    released("rain100l", "Datasets/test/Rain100L", ["2", "10"]),
    Folder(
        "rain100l",
        "original",
        tuple(
            (f"rain_light_test/rain/norain-{n}.png", f"rain_light_test/norain/norain-{n}.png")
            for n in (2, 10)
        ),
        ("norain-2", "norain-10"),
    ),
    Folder(
        "rain100l",
        "original-flat",
        tuple((f"Rain100L/rain-{n}.png", f"Rain100L/norain-{n}.png") for n in ("002", "010")),
        ("002", "010"),
    ),
    released("test2800", "Datasets/test/Test2800", ["926_2", "926_10"], ".jpg"),
    Folder(
        "test2800",
        "original",
        tuple(
            (f"testing/rainy_image/{s}_{n}.jpg", f"testing/ground_truth/{s}.jpg")
            for s, n in ((901, 1), (901, 14), (902, 1))
        ),
        ("901-1", "901-14", "902-1"),
    ),
    released("test1200", "Datasets/test/Test1200", ["2", "10"]),
)


def folder(name: str, layout: str = "released") -> Folder:
    return next(f for f in FOLDERS if (f.benchmark, f.layout) == (name, layout))


def chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def wide_png(values: np.ndarray, filters: Sequence[int] = (0,)) -> bytes:
    """A PNG of 16-bit RGB, by the definition of its filters: a loop over bytes; row y has filter
    y mod the number of filters."""
    h, w, _ = values.shape
    plain = np.frombuffer(values.astype(">u2").tobytes(), np.uint8).reshape(h, 6 * w).astype(int)
    rows = b""
    for y in range(h):
        kind, row = filters[y % len(filters)], []
        for x in range(6 * w):
            a = plain[y, x - 6] if x >= 6 else 0
            b = plain[y - 1, x] if y else 0
            c = plain[y - 1, x - 6] if x >= 6 and y else 0
            nearest = min((a, b, c), key=lambda v: abs(a + b - c - v))  # the first of equals
            row.append((plain[y, x] - (0, a, b, (a + b) // 2, nearest)[kind]) % 256)
        rows += bytes([kind, *row])
    head = struct.pack(">IIBBBBB", w, h, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def write_image(path: Path, values: np.ndarray) -> None:
    """uint8 by Pillow; uint16 as a 16-bit PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if values.dtype == np.uint16:
        path.write_bytes(wide_png(values))
    else:
        Pillow.fromarray(values).save(path, quality=95)


def random_image(seed: int, peak: int, size: tuple[int, int] = (H, W)) -> np.ndarray:
    """Smooth enough for a JPEG, different for every seed; int64 in 0..peak."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((size[0] // 8 + 1, size[1] // 8 + 1, 3))
    fine = np.kron(coarse, np.ones((8, 8, 1)))[: size[0], : size[1]]
    return np.rint((0.2 + 0.6 * fine) * peak).astype(np.int64)


def build(
    folder: Folder, root: Path, *, bits: int = 8, size: tuple[int, int] = (H, W)
) -> Benchmark:
    """Write the files below `root`; returns the benchmark with their number, size and tiles."""
    peak, kind = (255, np.uint8) if bits == 8 else (65535, np.uint16)
    rng = np.random.default_rng(0)
    for seed, (*inputs, target) in enumerate(folder.images):
        clean = random_image(sum(target.encode()), peak, size)
        write_image(root / target, clean.astype(kind))
        for path in inputs:
            noise = rng.normal(0, 0.02 * (seed + 1) * peak, clean.shape)
            write_image(root / path, np.clip(clean + noise, 0, peak).astype(kind))
    for seed, path in enumerate(folder.others):
        write_image(root / path, random_image(1000 + seed, peak, size).astype(kind))
    for path, text in folder.texts:
        (root / path).write_text(text)
    for path, names in folder.arrays:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        np.save(root / path, np.array(names))
    whole = benchmark(folder.benchmark)
    n_images = None if whole.n_images is None else len(folder.images)
    small = Inference(tile=64, margin=16) if whole.inference.tile else whole.inference
    return replace(whole, n_images=n_images, size=size if whole.size else None, inference=small)


def write_blocks(
    root: Path, change: Callable[[dict[str, np.ndarray]], None] = lambda _: None
) -> Benchmark:
    """SIDD's two files with BLOCKS blocks; `change` may spoil the variables of the noisy one."""
    rng = np.random.default_rng(0)
    clean = np.stack([random_image(i, 255, (16, 16)) for i in range(6)]).reshape(BLOCKS)
    noisy = np.clip(clean + rng.normal(0, 9, BLOCKS), 0, 255)
    variables = {NOISY: noisy.astype(np.uint8)}
    change(variables)
    root.mkdir(parents=True, exist_ok=True)
    savemat(root / f"{NOISY}.mat", variables, do_compression=True)
    savemat(root / f"{CLEAN}.mat", {CLEAN: clean.astype(np.uint8)}, do_compression=True)
    return replace(benchmark("sidd"), block_shape=BLOCKS, n_images=6, size=(16, 16))
