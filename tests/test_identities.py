"""The committed manifests are those that this code asks for: no name, shape or setting has moved.

A result is found again by its identity. One that changes by accident, with a new field of a shape
for instance, would make hours of committed work unreadable, so every manifest is asked for here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ensrepro import artifacts, pipeline
from ensrepro.restoring import precision, tiling
from ensrepro.steps import baselines, finetune, search

FOLDER = artifacts.repository() / artifacts.RESULTS / "mini" / "denoise"
SETTINGS = (
    *("sampler", "n_trials", "seed", "penalty_table"),
    *("latency_budget_ms", "minimizes_latency"),
)


@pytest.fixture
def run() -> pipeline.Run:
    """Profile mini, where making anything is an error."""
    started = pipeline.start("test", task="denoise", profile="mini")
    return replace(started, ctx=replace(started.ctx, may_compute=False))


def committed(pattern: str) -> dict[str, Mapping[str, Any]]:
    """The identities on file, by name of the manifest."""
    paths = [path for path in FOLDER.glob(pattern) if not path.name.endswith(".manifest.json")]
    return {path.stem: json.loads(path.read_text("utf-8"))["identity"] for path in paths}


def ask_for_everything(run: pipeline.Run) -> None:
    """Each result as a step asks for it; what was made from other values is a ValueError."""
    assert run.truth is not None
    assert run.study.runs
    for method in baselines.METHODS:
        baselines.get(run.ctx, method)
    known = search.Known(run.truth.quality, run.truth.latency_ms, run.truth.result.sha256[:16])
    for identity in committed("search-*.json").values():
        asked = {name: identity[name] for name in SETTINGS}
        is_read = identity["answers"] != "measured"
        reading = known if is_read else search.Known(latency_ms=run.truth.latency_ms)
        search.get(run.ctx, run.teacher, run.pool, known=reading, **asked)
    for identity in committed("hybrid-*.json").values():
        job = tuple(identity["architecture"]), identity["seed"]
        finetune.get(run.ctx, run.teacher, run.pool, job)
    tiling.get(run.ctx.task.name)
    precision.get(run.ctx.task.name)


def test_every_committed_manifest_has_the_identity_that_is_asked_for(
    run: pipeline.Run, monkeypatch: pytest.MonkeyPatch
):
    asked: dict[str, Mapping[str, Any]] = {}
    read_manifest = artifacts.read_manifest

    def recorded(path: Path, step: str, kind: type, identity: Mapping[str, Any]) -> Any:
        asked[path.stem] = artifacts.plain(dict(identity))
        return read_manifest(path, step, kind, identity)

    monkeypatch.setattr(artifacts, "read_manifest", recorded)
    ask_for_everything(run)
    assert len(asked) > 20
    assert asked == committed("*.json")
