"""What fewer bits cost and save: PSNR of the trained networks, latency at the paper's width.

Latency is that of the same architecture with random weights, in alternation with float32. PSNR is
on the test photos, by the task's protocol.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ensrepro import artifacts, config, timing
from ensrepro.artifacts import NotOnFileError, Provenance
from ensrepro.config import DEFAULT_PAIR, EDGE_PAIR
from ensrepro.devices import measuring, quietness, subjects
from ensrepro.devices.subjects import Subject
from ensrepro.export import Session, describe, to_onnx
from ensrepro.export.network import INPUT, OUTPUT
from ensrepro.export.precision import FLOAT32, FORMS, Images, converted
from ensrepro.records import NETWORK
from ensrepro.restoring import networks
from ensrepro.restoring.networks import KNEE, TEACHER, Trained
from ensrepro.runtime import inference_session, required
from ensrepro.steps import context
from ensrepro.steps.context import Context
from ensrepro.timing import Conditions

STEP = "precision"
SIDE, WIDTH_OF = 128, "paper"  # of the image that is timed, pixels; whose width it has
N_CALIBRATION = 8  # validation crops whose activations set the ranges of 8-bit integers
ROUNDS, WARM_UP = 10, 3
# Name of a network in the table -> how `networks.get` finds it.
NETWORKS = {
    "teacher": (TEACHER, DEFAULT_PAIR),
    "MambaIR hybrid": (KNEE, DEFAULT_PAIR),
    "edge hybrid": (KNEE, EDGE_PAIR),
}


@dataclass(frozen=True)
class PrecisionResult:
    """A row a network and form: network, architecture, form, mib, change, lowest, ratio, low, high.

    `mib` of the file; `change` mean and `lowest` PSNR of a photo against float32, dB; `ratio` of
    the latencies to float32's, whose `low` and `high` enclose eight rounds of `rounds` of ten. The
    machine was quiet or not, or does not tell (`devices.quietness`).
    """

    conditions: dict[str, Any]
    is_quiet: bool | None
    rounds: int
    rows: list[dict[str, Any]]


def images(ctx: Context, n: int) -> Images:
    """The first validation crops, (1, C_in, H, W) each."""
    shown = (pair.degraded.astype(np.float32) for pair in ctx.validation[:n])
    return [np.ascontiguousarray(image.transpose(2, 0, 1)[None]) for image in shown]


def scored(trained: Trained, calibration: Images) -> Iterator[dict[str, Any]]:
    """Of each form: its file's MiB, and by how much PSNR changes on the test photos, dB."""
    ctx, onnx = trained.ctx, required("onnx")
    before: dict[str, float] = {}
    with TemporaryDirectory() as folder:
        whole = Path(folder) / "float32.onnx"
        to_onnx(trained.net, whole, describe(ctx, trained.architecture, trained.net))
        for form in FORMS:
            path = Path(folder) / "form.onnx"
            onnx.save(converted(onnx.load(whole), form, calibration), path)
            found = {one.name: one.psnr for one in ctx.score(Session(path).restore, ctx.test)}
            before = before or found
            changes = [found[name] - psnr for name, psnr in before.items()]
            mib = path.stat().st_size / 2**20
            yield {"form": form, "mib": mib, "change": mean(changes), "lowest": min(changes)}


def timed(trained: Trained, under: Conditions, width_of: str) -> timing.Alternation:
    """Every form of the architecture in alternation, on one thread, with random weights."""
    onnx, ctx = required("onnx"), trained.ctx
    label = ctx.space.label(trained.architecture)
    one = Subject(ctx.pair.name, ctx.task.name, NETWORK, label, SIDE)
    part = subjects.made(one, width_of, seed=0)
    model, rng = onnx.load_from_string(part.content()), np.random.default_rng(0)
    shown = [rng.random((1, part.n_in, 64, 64), dtype=np.float32)]
    image = rng.random((1, part.n_in, SIDE, SIDE), dtype=np.float32)
    runs = {}
    for form in FORMS:
        session = inference_session(converted(model, form, shown).SerializeToString(), 1)
        runs[form] = partial(session.run, [OUTPUT], {INPUT: image})
    return timing.alternate(runs, min_rounds=ROUNDS, min_seconds=0.0, warm_up=WARM_UP, under=under)


def make(
    ctx: Context, found: Mapping[str, Trained], width_of: str = WIDTH_OF
) -> tuple[PrecisionResult, Provenance]:
    """Convert, score and time every network."""
    started = time.perf_counter()
    resolution, cpu = f"{SIDE}x{SIDE}", artifacts.cpu_model()
    under = Conditions(resolution, FLOAT32, 1, measuring.RUNTIME, measuring.version(), cpu)
    before, loads = quietness.others_running(), []
    rows, calibration = [], images(ctx, N_CALIBRATION)
    for name, trained in found.items():
        raced = timed(trained, under, width_of)
        loads.append(quietness.load_average())
        own = {"network": name, "architecture": trained.ctx.space.label(trained.architecture)}
        for row in scored(trained, calibration):
            spread = raced.ratio(row["form"], FLOAT32)
            told = {"ratio": spread.median, "low": spread.low, "high": spread.high}
            rows.append({**own, **row, **told})
    told = {name: value for name, value in asdict(under).items() if name != "dtype"}
    is_quiet = quietness.quiet(before, quietness.known_mean(loads), threads=1)
    return PrecisionResult(told, is_quiet, ROUNDS, rows), ctx.provenance(0, started)


def on_file(task: str, profile: str) -> dict[str, Trained]:
    """The networks of the task that are trained, by their names in the table."""
    found = {}
    for name, (arch, pair) in NETWORKS.items():
        try:
            found[name] = networks.get(arch, task=task, profile=profile, pair=pair)
        except (FileNotFoundError, NotOnFileError):
            if name == TEACHER:
                raise
    return found


def get(
    task: str = "denoise", profile: str = "mini", *, may_compute: bool = False
) -> PrecisionResult:
    """The task's networks: from the manifest, or measured now if that may be.

    An artifacts.NotOnFileError if neither is so.
    """
    config.named("task", task, config.TASKS)
    found = on_file(task, profile)
    ctx = replace(found[TEACHER].ctx, may_compute=may_compute)
    identity = ctx.identity(
        networks={name: context.digest(trained.net) for name, trained in found.items()},
        forms=list(FORMS),
        side=SIDE,
        width=config.PROFILES[WIDTH_OF].width,
        rounds=ROUNDS,
        warm_up=WARM_UP,
        n_calibration=N_CALIBRATION,
    )
    return ctx.result(STEP, PrecisionResult, identity, lambda: make(ctx, found))
