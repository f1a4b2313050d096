"""A pair taken through every step at the smallest scale, in a repository of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from ensrepro import artifacts, pipeline
from ensrepro.steps import knee


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@contextmanager
def repository(folder: Path) -> Iterator[Path]:
    """An empty folder in place of the repository."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifacts, "repository", lambda: folder)
        yield folder


def started(pair: str) -> pipeline.Run:
    return pipeline.start("test", task="denoise", profile="smoke", pair=pair)


def all_steps(pair: str) -> SimpleNamespace:
    """Teacher, pool, search, knee and one fine-tuned candidate of profile `smoke`."""
    run = started(pair)
    found = run.search("exact-ehvi")
    choice = knee.choose(run.ctx, found)
    (tuned,) = run.finetuned([(choice.knee, 0)])
    return SimpleNamespace(run=run, search=found, choice=choice, tuned=tuned)
