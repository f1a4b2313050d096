"""A task redone from nothing: the same numbers, and nothing written into the repository."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ensrepro import artifacts, reproduce
from ensrepro.config import PROFILES, Distillation, Phase, Schedule
from ensrepro.reproduce import SAMPLERS
from ensrepro.steps import pool, teacher

SHORT = Schedule((Phase(1, 1, 16),), lr=1e-3)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository, and a profile `smoke` that is smaller still: trainings of one step."""
    monkeypatch.setattr(artifacts, "repository", lambda: tmp_path)
    smallest = replace(
        PROFILES["smoke"],
        pretraining=SHORT,
        teacher=SHORT,
        distillation=Distillation(2, 16, SHORT, SHORT),
        finetune=SHORT,
        n_trials=3,
        n_candidates=1,
    )
    monkeypatch.setitem(PROFILES, "smoke", smallest)
    return tmp_path


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_task_redone_from_nothing_gives_the_committed_numbers(checkout, tmp_path_factory):
    root = tmp_path_factory.mktemp("again")
    first = reproduce.reproduce("denoise", "smoke", root)
    names = [row["quantity"] for row in first.rows]
    # nothing is committed: nothing to compare with, and nothing written into the repository
    assert all(row["committed"] is None and row["difference"] is None for row in first.rows)
    assert first.n_found == 0
    assert files(checkout) == {}
    for end, n in (("swap drop dB", 22), ("relative error", 22), ("hypervolume", len(SAMPLERS))):
        assert sum(name.endswith(end) for name in names) == n
    assert sum(name.startswith("identity at") for name in names) == 8
    assert {
        *("teacher, test dB", "nlm, test dB", "all-SSM, test dB"),
        "teacher with the same extra steps, test dB",
    } < set(names)
    ends = {"knee": "drop dB", "candidate": "dB after", "chosen": "seed 0, test dB"}
    for start, end in ends.items():  # between them stands the architecture
        assert sum(name.startswith(start) and name.endswith(end) for name in names) == 1

    for name in ("results", "weights"):  # commit what was made, then redo it elsewhere
        (root / name).rename(checkout / name)
    before, third = files(checkout), tmp_path_factory.mktemp("third")
    again = reproduce.reproduce("denoise", "smoke", third)
    assert [row["quantity"] for row in again.rows] == names
    assert [row["committed"] for row in again.rows] == [row["reproduced"] for row in first.rows]
    # BM3D's own threads change its last digits; everything else is the same bit for bit
    differing = [row["quantity"] for row in again.rows if row["difference"] != 0]
    assert set(differing) <= {"bm3d, test dB"}
    assert max(abs(row["difference"]) for row in again.rows) < 1e-6
    assert files(checkout) == before

    taken = reproduce.reproduce("denoise", "smoke", third)
    assert taken.n_found == len(list(third.rglob("results/**/*.json"))) > 0
    assert taken.rows == again.rows


def test_a_lost_weights_file_is_named_before_anything_is_trained(checkout, tmp_path, monkeypatch):
    reproduce.reproduce("denoise", "smoke", checkout)
    lost = checkout / "weights" / "smoke" / "denoise" / "pool.safetensors"
    lost.unlink()
    monkeypatch.setattr(teacher, "make", None)
    with pytest.raises(FileNotFoundError, match=r"pool\.safetensors"):
        reproduce.reproduce("denoise", "smoke", tmp_path / "again")


def test_a_quantity_of_one_side_only_keeps_its_row():
    rows = reproduce.compared({"a": 1.0, "bm3d": 2.0}, {"a": 1.5, "b": 3.0})
    assert [tuple(row.values()) for row in rows] == [
        ("a", 1.0, 1.5, 0.5), ("b", None, 3.0, None), ("bm3d", 2.0, None, None),
    ]  # fmt: skip


def test_a_profile_without_its_images_is_refused(checkout):
    with pytest.raises(
        ValueError, match=r"profile is 'paper', .*data sets.*; expected one of smoke"
    ):
        reproduce.reproduce("denoise", "paper")
    assert files(checkout) == {}


def test_committed_results_that_do_not_fit_are_refused_before_anything_is_trained(
    checkout, tmp_path, monkeypatch
):
    empty = b'{"step": "teacher", "identity": {}, "provenance": {}, "result": {}}'
    for step in (teacher.STEP, pool.STEP, "search-nsga2-3-blocks-s0"):
        path = checkout / "results" / "smoke" / "denoise" / f"{step}.json"
        artifacts.write_bytes(path, empty)
    monkeypatch.setattr(teacher, "make", None)
    with pytest.raises(ValueError, match=r"teacher\.json was made with"):
        reproduce.reproduce("denoise", "smoke", tmp_path / "again")
    assert not (tmp_path / "again").exists()
