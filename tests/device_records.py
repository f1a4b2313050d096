"""Records of a made-up device, whose latencies follow a rule that tests can state."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ensrepro import artifacts
from ensrepro.artifacts import Store
from ensrepro.devices.measuring import FOLDER, STEP, DeviceResult
from ensrepro.devices.subjects import NETWORKS, STAGES, family, groups
from ensrepro.exchange import FORMAT
from ensrepro.records import Comparison, Record, checked

ROW = {
    "device": "Pixel 8",
    "cpu": "Tensor G3",
    "runtime": "onnxruntime",
    "version": "1.20.0",
    "threads": 1,
    "resolution": "256x256",
    "dtype": "float32",
    "pair": "restormer-mambair",
    "task": "denoise",
    "part": "network",
    "architecture": "T T T T T T T T",
    "width": 48,
    "weights": "random weights",
    "p50_ms": 100.0,
    "p90_ms": 110.0,
    "p99_ms": 120.0,
    "n": 20,
    "seconds": 2.1,
    "drift": 1.01,
    "load": 0.4,
    "peak_memory_mib": 512.0,
    "source": "imported",
    "created": "2026-11-22T12:00:00+00:00",
}
GLUE_MS, TEACHER_BLOCK_MS = 7.0, 10.0
BLOCK_MS = {  # of surrogates
    "restormer-mambair": 40.0,
    "restormer-edge": 4.0,
    "uformer-mambair": 5.0,
}
MEASURED = "measured here"


def row(**changed: Any) -> dict[str, Any]:
    """A record as it is read, with some of it changed."""
    return ROW | changed


def exchanged(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The content of an exchange file."""
    return {"schema": FORMAT, "records": list(rows), **more}


def taking(ms: float, **changed: Any) -> Record:
    """A record of 20 runs that all took `ms`."""
    times = {"p50_ms": ms, "p90_ms": ms, "p99_ms": ms, "seconds": 20 * ms / 1e3}
    return checked(row(**times, **changed), "row")


def stage_ms(pair: str, label: str, n_blocks: int) -> float:
    """Every block of a kind takes as long in every stage."""
    return n_blocks * TEACHER_BLOCK_MS if label == "T" else int(label) * BLOCK_MS[pair]


def stages(
    side: int = 256, threads: int = 1, pair: str = "restormer-mambair", **said: Any
) -> list[Record]:
    """All choices of all stages of a family, and the glue."""
    of, found = family(pair), []
    for group in groups(STAGES, of, side, "denoise"):
        for one in group.subjects:
            blocks = 0 if one.part == "glue" else of.space.stage(one.part).n_blocks
            ms = GLUE_MS if one.part == "glue" else stage_ms(one.pair, one.architecture, blocks)
            own = {"pair": one.pair, "part": one.part, "architecture": one.architecture}
            own |= {"resolution": f"{side}x{side}", "threads": threads, "source": MEASURED}
            found.append(taking(ms, **(own | said)))
    return found


def turns(rows: list[Record]) -> list[dict[str, Any]]:
    """Comparisons of stages with their teacher's, as if they had taken turns."""
    teachers = {r.part: r for r in rows if r.architecture == "T"}
    found = []
    for one in rows:
        reference = teachers.get(one.part)
        if reference is None or one.architecture == "T":
            continue
        ratio = one.p50_ms / reference.p50_ms
        compared = Comparison(
            side=one.side,
            threads=one.threads,
            pair=one.pair,
            task=one.task,
            part=one.part,
            architecture=one.architecture,
            reference="T",
            median=ratio,
            low=ratio,
            high=ratio,
            n=20,
            reference_ms=reference.p50_ms,
        )
        found.append(asdict(compared))
    return found


def network(pair: str, architecture: str, ms: float, reference_ms: float) -> dict[str, Any]:
    """A comparison of a whole network."""
    teacher, ratio = "T T T T T T T T", ms / reference_ms
    spread = ratio, 0.98 * ratio, 1.02 * ratio, 10
    own = Comparison(
        256, 1, pair, "denoise", "network", architecture, teacher, *spread, reference_ms
    )
    return asdict(own)


def put(
    store: Store,
    name: str,
    rows: list[Record],
    comparisons: list[dict[str, Any]] | None = None,
    device: str = "pixel-8",
    is_quiet: bool = True,
) -> Path:
    """A manifest of a device; without comparisons, stages took turns with their teacher's."""
    path = store.own(artifacts.RESULTS, f"{device}/{name}.json")
    made = artifacts.provenance(store.profile, FOLDER, 0, 1.0, 1)
    compared = turns(rows) if comparisons is None else comparisons
    result = DeviceResult([asdict(one) for one in rows], compared, 0.1, 1.0, is_quiet)
    artifacts.write_manifest(path, STEP, {"what": NETWORKS}, made, result)
    return path


def shelf_store(root: Path) -> Store:
    """A store with nothing else in it."""
    return Store("mini", FOLDER, root)
