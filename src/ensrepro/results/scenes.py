"""The scenes of figure 4: a test photo of each task, as its networks restore it.

The photo is the smallest, of equal ones the first; the box is where it has most detail. Neither
depends on what a network does. Scores are those that the networks' manifests hold, of the whole
photo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ensrepro import evaluate
from ensrepro.across import Outcome
from ensrepro.data import Pair
from ensrepro.figures.qualitative import Box, Scene, most_detailed
from ensrepro.figures.restoration import Crop
from ensrepro.pipeline import Run

SIDE = 72  # of the box, in pixels; half of a smaller photo

NAMES = {"teacher": "the teacher", "all_ssm": "the all-SSM network", "hybrid": "the hybrid"}


def photo_of(run: Run) -> Pair:
    """The smallest test photo: whole images are restored, and that takes its time."""
    return min(run.ctx.test, key=lambda pair: pair.clean[..., 0].size)


def box_of(pair: Pair) -> Box:
    """Where the clean photo has most detail."""
    side = min(SIDE, *(length // 2 for length in pair.clean.shape[:2]))
    return most_detailed(pair.clean, side)


def on_photo(rows: Sequence[Mapping[str, Any]], photo: str, kind: str) -> Mapping[str, Any]:
    """The scores of one photo; a ValueError where a manifest has none."""
    for row in rows:
        if row["image"] == photo:
            return row
    raise ValueError(f"{NAMES[kind]} has no scores of the photo {photo!r}; expected one row of it")


def scene(run: Run, made: Outcome) -> Scene:
    """A test photo of a task, restored whole by teacher, all-SSM network and hybrid."""
    pair, task = photo_of(run), run.ctx.task
    seen = evaluate.degraded(pair.degraded)
    (given,) = run.ctx.score(evaluate.degraded, [pair])
    crops = [Crop("degraded", seen, given.psnr, given.ssim)]
    networks = {"teacher": run.teacher, "all_ssm": made.all_ssm, "hybrid": made.chosen[0]}
    for kind, network in networks.items():
        scores = on_photo(network.result.test, pair.name, kind)
        image = evaluate.restore(network.net, pair.degraded)
        crops.append(Crop(kind, image, scores["psnr"], scores["ssim"]))
    return Scene(task.name, seen, box_of(pair), [*crops, Crop("clean", pair.clean)])


def scenes(runs: Mapping[str, Run], outcomes: Mapping[str, Outcome]) -> list[Scene]:
    """A scene for each task whose networks are on file."""
    return [scene(runs[task], made) for task, made in outcomes.items()]
