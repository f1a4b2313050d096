"""Where the columns and rows of the paper's tables are measured: tasks, benchmarks, networks.

What the paper calls `Ours` is called hybrid here; its own weights are not published.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from ensrepro.benchmarks.catalog import BENCHMARKS, DERAINING
from ensrepro.benchmarks.subjects import RELEASED

AVERAGE = "average"  # of the five deraining sets: no benchmark of its own
DEFOCUS_TABLE = 3
DUAL = (
    "D"  # the end of a method's name in the defocus table, else S; see paper_data/provenance.toml
)
METRICS = MappingProxyType({"PSNR": "psnr", "SSIM": "ssim", "MAE": "mae", "LPIPS": "lpips"})


class Place(NamedTuple):
    """The task of a column, and benchmark and group of images of `python -m ensrepro evaluate`."""

    task: str
    benchmark: str = ""
    group: str = "all"


def defocus(benchmark: str) -> dict[str, Place]:
    """The columns of the defocus table for one or two views."""
    task = BENCHMARKS[benchmark].task
    groups = {"Outdoor": "outdoor", "Indoor": "indoor", "Combined": "all"}
    return {title: Place(task, benchmark, group) for title, group in groups.items()}


SINGLE_VIEW, TWO_VIEWS = defocus("dpdd"), defocus("dpdd-dual")
PLACES: Mapping[str, Place] = {
    **{b.title: Place(b.task, b.name) for b in BENCHMARKS.values() if not b.is_training},
    "Average": Place(BENCHMARKS[DERAINING[0]].task, AVERAGE),
    "not stated": Place("denoise"),
}


def place(table: int, method: str, dataset: str) -> Place:
    """Where a cell of the paper is measured; a ValueError for a column that is not known."""
    known = PLACES
    if table == DEFOCUS_TABLE:
        known = TWO_VIEWS if method.removesuffix("(ours)").endswith(DUAL) else SINGLE_VIEW
    if dataset not in known:
        raise ValueError(f"table {table} has no dataset {dataset!r}; expected {', '.join(known)}")
    return known[dataset]


class Counterpart(NamedTuple):
    """A task's table, the row of its teacher, and the rows that networks of ours stand for."""

    table: int
    teacher: str
    stands_for: Mapping[str, str]


LONGER, HYBRID, ALL_SSM = "teacher, longer", "hybrid", "all-SSM"
COUNTERPARTS: Mapping[str, Counterpart] = {
    "derain": Counterpart(1, "Restormer", {HYBRID: "Ours"}),
    "deblur": Counterpart(2, "Restormer", {HYBRID: "Ours", ALL_SSM: "MambaIR(ours)"}),
    "defocus": Counterpart(3, "RestormerS", {HYBRID: "OursS", ALL_SSM: "MambaIRS(ours)"}),
    "defocus_dual": Counterpart(3, "RestormerD", {HYBRID: "OursD", ALL_SSM: "MambaIRD(ours)"}),
    "denoise": Counterpart(4, "Restormer", {HYBRID: "Ours"}),
}

# Networks of other works whose released checkpoints `evaluate` reads; Restormer's names are known.
CHECKPOINTS: Mapping[tuple[int, str], str] = {
    **{
        (one.table, one.teacher): next(f"{name}.pth" for name, of in RELEASED.items() if of == task)
        for task, one in COUNTERPARTS.items()
    },
    (4, "MambaIR"): "CHECKPOINT.pth",
    (4, "Uformer"): "CHECKPOINT.pth --image-size 128",
}


def is_told_by_name(table: int, method: str) -> bool:
    """Whether an evaluation fills the row of a method: its file's name says which network it is."""
    return CHECKPOINTS.get((table, method), "").removesuffix(".pth") in RELEASED


def command(table: int, method: str, where: Place) -> str:
    """What measures a cell on real data; empty where no weights are to be had."""
    weights = CHECKPOINTS.get((table, method))
    if weights is None or not where.benchmark:
        return ""
    names = DERAINING if where.benchmark == AVERAGE else (where.benchmark,)
    return "; ".join(
        f"python -m ensrepro evaluate {name} ROOT --weights {weights}" for name in names
    )
