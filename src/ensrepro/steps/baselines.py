"""What the teacher is compared with: the degraded photos and, for noise, classical denoisers.

Each method is a result of its own, because BM3D needs an optional package.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ensrepro import artifacts, classical, evaluate
from ensrepro.artifacts import Provenance
from ensrepro.degrade import Image
from ensrepro.steps import teacher
from ensrepro.steps.context import Context

METHODS: dict[str, Callable[[Image], Image]] = {
    "input": evaluate.degraded,
    "nlm": classical.non_local_means,
    "bm3d": classical.bm3d,
}
ANY_TASK = ("input",)
OF_TASK = {"denoise": ("input", "nlm", "bm3d")}  # of the others, only those of ANY_TASK
PACKAGES = {"bm3d": "bm3d"}  # what a method needs beyond the library's own dependencies


@dataclass(frozen=True)
class BaselineResult:
    """Test rows of one method: method, image, psnr (dB), ssim."""

    rows: list[dict[str, Any]]


def step_name(method: str) -> str:
    """Name of the method's manifest."""
    return f"baseline-{method}"


def make(ctx: Context, method: str) -> tuple[BaselineResult, Provenance]:
    """Run one method over the test photos."""
    started = time.perf_counter()
    return BaselineResult(ctx.rows(method, METHODS[method])), ctx.provenance(0, started)


def get(ctx: Context, method: str) -> BaselineResult:
    """One method's rows: from its file, or computed now."""
    identity = ctx.identity(method=method, recipe=classical.RECIPE)
    return ctx.result(step_name(method), BaselineResult, identity, lambda: make(ctx, method))


def available(ctx: Context, method: str) -> bool:
    """Whether the method's rows are on file or can be computed here."""
    package = PACKAGES.get(method)
    can_run = package is None or artifacts.installed(package) != "absent"
    return ctx.store.manifest(step_name(method)).exists() or (ctx.may_compute and can_run)


def rows(ctx: Context) -> list[dict[str, Any]]:
    """The test rows of every method that suits the task and is available.

    They are on file with the teacher, which all pairs that share it are compared with.
    """
    ctx = teacher.of_teacher(ctx)
    methods = OF_TASK.get(ctx.task.name, ANY_TASK)
    return [row for m in methods if available(ctx, m) for row in get(ctx, m).rows]
