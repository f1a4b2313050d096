"""ENS-Bench: a table with every architecture of a task, measured (`SCHEMA` says what a row holds).

The quality columns are those of the task's small trained networks; the cost columns those of the
same architecture at the paper's width, where latency matters. `load` reads a committed table, and
refuses one that is not whole; `build` makes one. It is what samplers are judged by.
"""

from __future__ import annotations

import hashlib
import io
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ensrepro import artifacts, config, landscape, pareto
from ensrepro.artifacts import Store
from ensrepro.space import RESTORMER, Space
from ensrepro.terminal import Progress

if TYPE_CHECKING:
    from ensrepro.steps.context import Context

STEP = "ens-bench"
FORMAT = 1  # raised when a column changes its meaning
PENALTY = "blocks"  # the penalty table of the column
N_NETWORKS, SEED = 100, 0  # random ones timed whole, to test that latency is additive

# Column -> type, unit, meaning; a column for each stage stands before them.
SCHEMA = {
    "psnr": ("float64", "dB", "mean over the validation crops, small trained network"),
    "ssim": ("float64", "1", "mean over the validation crops, small trained network"),
    "penalty": ("float64", "1", f"sum over stages, penalty table `{PENALTY}`"),
    "params": ("int64", "count", "parameters at the paper's width"),
    "macs": ("int64", "count", "multiply-accumulates at the paper's width, one image"),
    "latency_ms": ("float64", "ms", "sum of measured stage latencies at the paper's width"),
}


@dataclass(frozen=True)
class BenchResult:
    """What the manifest says of a table.

    `schema` has a row a column: name, type, unit, meaning. `costs` are the measured choices (see
    `costs.Cost`), `networks` whole networks with their `latency_ms` and the `sum_ms` of the parts,
    both under `conditions` with the machine's mean `load`. `seconds` is the work of measuring all
    architectures, summed over `processes` that ran at the same time.
    """

    file: str
    sha256: str
    format: int
    n_rows: int
    schema: list[dict[str, str]]
    n_images: int
    side: int
    protocol: str
    conditions: dict[str, Any]
    load: float
    costs: list[dict[str, Any]]
    networks: list[dict[str, Any]]
    seconds: float
    processes: int


@dataclass(frozen=True)
class Bench:
    """A table, (n_architectures) rows in the order of their numbers, and its manifest."""

    frame: pd.DataFrame
    result: BenchResult
    space: Space = RESTORMER

    @property
    def quality(self) -> np.ndarray:
        """PSNR (dB) and SSIM of every architecture, (n_architectures, 2)."""
        return self.frame[["psnr", "ssim"]].to_numpy()

    @property
    def latency_ms(self) -> np.ndarray:
        """Latency of every architecture, (n_architectures,)."""
        return self.frame["latency_ms"].to_numpy()

    @property
    def sample(self) -> list[tuple[int, float, float]]:
        """Networks timed whole: number, sum of the parts' latencies in ms, whole latency in ms."""
        return [(row["number"], row["sum_ms"], row["latency_ms"]) for row in self.result.networks]

    def front(self, penalty_table: str = PENALTY, latency_budget_ms: float = 0.0) -> np.ndarray:
        """The true front, (n, 2): psnr_drop (dB) and penalty, within a budget that is not 0."""
        drop = self.quality[0, 0] - self.quality[:, 0]
        points = landscape.points(drop, landscape.penalties(penalty_table, self.space))
        within = points[self.latency_ms <= (latency_budget_ms or np.inf)]
        return within[pareto.front(within)]


def schema(space: Space = RESTORMER) -> list[dict[str, str]]:
    """Name, type, unit and meaning of every column."""
    stages = {s.name: ("uint8", "1", "choice; 0 keeps the teacher's blocks") for s in space.stages}
    return [
        {"name": name, "type": kind, "unit": unit, "meaning": meaning}
        for name, (kind, unit, meaning) in {**stages, **SCHEMA}.items()
    ]


def table(
    scores: np.ndarray, params: np.ndarray, macs: np.ndarray, latency: np.ndarray, space: Space
) -> pd.DataFrame:
    """The table from scores (n_architectures, images, 2) and the cost of every architecture."""
    psnr, ssim = scores.mean(axis=1).T
    columns = dict(zip((s.name for s in space.stages), np.array(list(space)).T, strict=True))
    columns |= {"psnr": psnr, "ssim": ssim, "penalty": landscape.penalties(PENALTY, space).ravel()}
    columns |= {"params": params, "macs": macs, "latency_ms": latency}
    return pd.DataFrame(columns).astype({row["name"]: row["type"] for row in schema(space)})


def to_parquet(frame: pd.DataFrame) -> bytes:
    """The table as a Parquet file."""
    return frame.to_parquet(None, engine="pyarrow", compression="zstd", index=False)


def read(path: Path, result: BenchResult, space: Space = RESTORMER) -> pd.DataFrame:
    """The table in `path`; a ValueError names a file that is damaged, short or of another form."""
    if result.format != FORMAT:
        raise ValueError(f"{path} has format {result.format}; expected {FORMAT}")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; expected the table of its manifest")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != result.sha256:
        raise ValueError(
            f"{path} is damaged or not the one of its manifest: {len(content)} bytes with sha256 "
            f"{found[:12]}..., expected {result.sha256[:12]}..."
        )
    frame = pd.read_parquet(io.BytesIO(content), engine="pyarrow")
    names = [row["name"] for row in schema(space)]
    if list(frame.columns) != names:
        raise ValueError(f"{path} has the columns {list(frame.columns)}; expected {names}")
    if len(frame) != space.n_architectures:
        raise ValueError(f"{path} has {len(frame)} rows; expected {space.n_architectures}")
    return frame


def store_of(task: str, profile: str, pair: str, root: Path | None = None) -> Store:
    """Where the table of this name is, below `root` or committed; ValueError for other names."""
    config.named("task", task, config.TASKS)
    config.named("profile", profile, config.PROFILES)
    suffix = config.named("pair", pair, config.PAIRS).suffix
    return Store(profile, task, root or artifacts.repository(), suffix=suffix)


def on_file(store: Store, space: Space = RESTORMER) -> Bench | None:
    """The table of a store, checked; None if there is none."""
    path = store.manifest(STEP)
    if not path.exists():
        return None
    identity = artifacts.read_json(path)["identity"]  # whatever it is: `get` compares it
    result = artifacts.read_manifest(path, STEP, BenchResult, identity)
    return Bench(read(path.with_name(result.file), result, space), result, space)


def load(task: str, pair: str = config.DEFAULT_PAIR, profile: str = "mini") -> pd.DataFrame:
    """The committed table: a row for each architecture, row i that of `space.architecture(i)`.

    Columns: a choice for each stage, 0 for the teacher's blocks, then those of `SCHEMA`.
    """
    found = on_file(store := store_of(task, profile, pair), config.PAIRS[pair].space)
    if found is None:
        raise FileNotFoundError(
            f"{store.manifest(STEP)} does not exist; expected a built table (python -m ensrepro "
            f"bench --task {task} --profile {profile} --pair {pair} makes it)"
        )
    return found.frame


def _measured(profile: str, task: str, pair: str, out: str) -> Any:
    """The trained parts of a task, in whichever process asks."""
    from ensrepro import exhaustive
    from ensrepro.steps import context, pool, teacher

    ctx = context.open_context(profile, task, out, pair)
    trained = teacher.get(ctx)
    parts = pool.get(ctx, trained).surrogates
    return exhaustive.Measured(trained.net, parts, ctx.validation, ctx.task.protocol)


def pieces_folder(ctx: Context, digests: str) -> Path:
    """Where scores wait to be a table; other networks, images or another protocol have others."""
    made_from = f"{digests} {ctx.recipes} {ctx.task.protocol} {FORMAT}".encode()
    name = f"bench-{hashlib.sha256(made_from).hexdigest()[:16]}"
    return ctx.store.checkpoint(name).with_suffix("")


def _make(
    ctx: Context, digests: str, processes: int, n_networks: int, progress: Progress | None
) -> tuple[BenchResult, artifacts.Provenance]:
    """Measure everything, write the Parquet file, give its manifest."""
    from ensrepro import costs, exhaustive
    from ensrepro.models.hybrid import network_shape

    started = time.perf_counter()
    scores = exhaustive.measure_all(
        partial(_measured, ctx.profile.name, ctx.task.name, ctx.pair.name, str(ctx.store.root)),
        ctx.space,
        ctx.validation,
        pieces_folder(ctx, digests),
        processes=processes,
        progress=progress,
    )
    setting = costs.Setting(network_shape(config.PROFILES["paper"], ctx.task, ctx.pair))
    measured = costs.measure(
        setting,
        ctx.space,
        n_networks=n_networks,
        seed=SEED,
        checkpoint=ctx.store.checkpoint("bench-costs").with_suffix(".json"),
        progress=progress,
    )
    params, macs, latency = (
        costs.column(measured.costs, name, ctx.space) for name in ("params", "macs", "latency_ms")
    )
    content = to_parquet(table(scores.scores, params, macs, latency, ctx.space))
    path = ctx.store.own(artifacts.RESULTS, f"{STEP}.parquet")
    artifacts.write_bytes(path, content)
    result = BenchResult(
        file=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        format=FORMAT,
        n_rows=ctx.space.n_architectures,
        schema=schema(ctx.space),
        n_images=len(ctx.validation),
        side=len(ctx.validation[0].degraded),
        protocol=ctx.task.protocol,
        conditions=asdict(setting.conditions()),
        load=measured.load,
        costs=[asdict(cost) for cost in measured.costs],
        networks=[row | {"sum_ms": float(latency[row["number"]])} for row in measured.networks],
        seconds=scores.seconds,
        processes=processes,
    )
    return result, ctx.provenance(SEED, started)


def get(
    ctx: Context,
    *,
    processes: int = 1,
    n_networks: int = N_NETWORKS,
    progress: Progress | None = None,
) -> Bench:
    """The task's table: from its files, or measured now."""
    from ensrepro.steps import pool, teacher

    trained = teacher.get(ctx, progress)
    digests = f"{trained.result.digest}-{pool.get(ctx, trained, progress).result.digest}"
    identity = ctx.identity(networks=digests, format=FORMAT)
    result = ctx.result(
        STEP, BenchResult, identity, lambda: _make(ctx, digests, processes, n_networks, progress)
    )
    path = ctx.store.manifest(STEP).with_name(result.file)
    return Bench(read(path, result, ctx.space), result, ctx.space)


def find(ctx: Context) -> Bench | None:
    """The table of this teacher and pool if it is on file; nothing is measured."""
    with suppress(artifacts.NotOnFileError):
        return get(replace(ctx, may_compute=False))
    return None


def build(
    task: str,
    profile: str = "mini",
    *,
    pair: str = config.DEFAULT_PAIR,
    out: str = "",
    processes: int | None = None,
    progress: Progress | None = None,
) -> Bench:
    """Measure every architecture of a task; what is on file is not measured again.

    Files go below `out`, or into the repository. It takes `processes` of one thread each (None: one
    a core) and goes on where a killed call was.
    """
    from ensrepro.steps import context

    ctx = context.open_context(profile, task, out, pair)
    config.check_data(ctx.profile)
    n = ctx.n_processes if processes is None else processes
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"processes is {n!r}; expected an integer >= 1")
    return get(ctx, processes=n, progress=progress)
