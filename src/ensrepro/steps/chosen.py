"""Which hybrid of a task and pair is the chosen one: that which its notebook tells (section 3.5).

Hybrids are fine-tuned for many reasons: as candidates, to be compared with, drawn at random. Which
of them the method ends with is told by the notebook that carried it through, so whoever restores,
exports, shows or measures *the* hybrid asks here. Nothing is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ensrepro import artifacts, pages
from ensrepro.artifacts import NotOnFileError
from ensrepro.config import EDGE_PAIR, UFORMER_PAIR
from ensrepro.models.hybrid import UNet
from ensrepro.space import Architecture
from ensrepro.steps import finetune
from ensrepro.steps.context import Context
from ensrepro.steps.finetune import Job

# The notebooks that choose. The first that is on file decides: it sees latencies, or more networks.
CHOOSING: Mapping[str, tuple[str, ...]] = {
    UFORMER_PAIR: ("10_uformer", "06_finetune"),
    EDGE_PAIR: ("14_edge", "06_finetune"),
}
OF_OTHERS = ("06_finetune",)
SEED = 0  # candidates are compared with it


@dataclass(frozen=True)
class Chosen:
    """The chosen architecture, the digest of its fine-tuned weights, and where that is told."""

    architecture: Architecture
    digest: str
    told_by: Path

    @property
    def job(self) -> Job:
        return self.architecture, SEED


def notebooks(ctx: Context) -> tuple[str, ...]:
    """The notebooks that choose a hybrid of this pair, the one that decides first."""
    return CHOOSING.get(ctx.pair.name, OF_OTHERS)


def told(ctx: Context) -> Path | None:
    """The manifest of the notebook that chose."""
    paths = (pages.manifest(ctx.store, notebook) for notebook in notebooks(ctx))
    return next((path for path in paths if path.exists()), None)


def on_file(ctx: Context) -> Chosen | None:
    """The chosen hybrid, if a notebook tells of one and the hybrid's own manifest is there.

    A ValueError names a manifest that tells of another task or pair, or of no architecture.
    """
    path = told(ctx)
    if path is None:
        return None
    content = pages.read(path)
    if not pages.is_of(content["parameters"], ctx.store):
        raise ValueError(
            f"{path} is of another task, profile or pair; expected {ctx.task.name}, "
            f"{ctx.profile.name} and {ctx.pair.name}"
        )
    try:
        architecture = ctx.space.labeled(content["headline"]["chosen"])
    except (KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} tells of no chosen architecture: {error}") from None
    job = architecture, SEED
    if not finetune.is_on_file(ctx, job):
        return None
    manifest = finetune.owner(ctx, job).store.manifest(finetune.job_name(ctx, job))
    return Chosen(architecture, artifacts.read_json(manifest)["result"]["digest"], path)


def required(ctx: Context) -> Chosen:
    """The chosen hybrid; a NotOnFileError says what chooses one."""
    found = on_file(ctx)
    if found is not None:
        return found
    names = ctx.task.name, ctx.profile.name, ctx.pair.name
    raise NotOnFileError(
        f"{names[0]} has no chosen hybrid of {names[2]} in profile {names[1]}; "
        f"{pages.command(notebooks(ctx)[0], *names)} chooses one, and trains what it needs"
    )


def network(ctx: Context, chosen: Chosen) -> UNet:
    """The chosen hybrid with its weights; a ValueError if they are of another digest."""
    return finetune.load(ctx, chosen.job, chosen.digest)
