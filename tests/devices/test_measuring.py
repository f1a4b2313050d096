"""Measuring at the scale of smoke: what is recorded, resuming, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ensrepro import artifacts, records
from ensrepro.artifacts import Store
from ensrepro.devices import measuring, subjects
from ensrepro.devices.measuring import FOLDER, Asked
from ensrepro.devices.subjects import BLOCKS, NETWORKS, Group
from ensrepro.space import RESTORMER

DEVICE = "The Abacus (2)"


def asked(root: Path, **changed) -> Asked:
    given = {"what": BLOCKS, "side": 16, "threads": 1, "task": "denoise", "device": DEVICE}
    return Asked(**(given | changed), store=Store("smoke", FOLDER, root))


@pytest.fixture
def two_levels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Only the deepest two levels are measured; the names of groups as they are."""
    seen: list[str] = []
    every, measured = subjects.groups, measuring.measured

    def fewer(*given) -> list[Group]:
        return every(*given)[-2:]

    def noted(own: Asked, group: Group, known: set[str]):
        seen.append(group.name)
        return measured(own, group, known)

    monkeypatch.setattr(subjects, "groups", fewer)
    monkeypatch.setattr(measuring, "measured", noted)
    return seen


def test_a_group_is_recorded_with_its_conditions_and_compared_with_its_reference(
    tmp_path: Path, two_levels: list[str]
):
    result = measuring.get(asked(tmp_path))
    own = records.all_checked(result.records, tmp_path)
    assert two_levels == ["level_3", "level_4"]
    assert [(r.part, r.architecture) for r in own[:3]] == [
        ("level_3", "restormer"),
        ("level_3", "mambair"),
        ("level_3", "edge"),
    ]
    one = own[0]
    assert (one.device, one.cpu, one.runtime) == (DEVICE, artifacts.cpu_model(), "onnxruntime")
    assert (one.resolution, one.threads, one.dtype, one.width) == ("16x16", 1, "float32", 8)
    assert (one.source, one.weights) == ("measured here", "random weights")
    assert one.n == measuring.SMOKE_EFFORT.rounds
    assert records.ratio(own[1], own[0]) > 0  # all under the same conditions
    compared = [(c["architecture"], c["reference"], c["n"]) for c in result.comparisons]
    assert compared == [("mambair", "restormer", 2), ("edge", "restormer", 2)] * 2
    path = tmp_path / "results" / "smoke" / "devices" / "the-abacus-2" / "blocks-16-t1.json"
    assert path.exists()


def test_what_was_measured_before_a_call_was_killed_is_not_measured_again(
    tmp_path: Path, two_levels: list[str], monkeypatch: pytest.MonkeyPatch
):
    def killed(what: str, done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measuring.get(asked(tmp_path), killed)
    assert two_levels == ["level_3"]
    assert not list(tmp_path.glob("results/**/*.json"))
    result = measuring.get(asked(tmp_path))
    assert two_levels == ["level_3", "level_4"]
    assert len(result.records) == 6
    measuring.get(asked(tmp_path))  # from the manifest
    assert len(two_levels) == 2


def test_other_conditions_start_anew(tmp_path: Path, two_levels: list[str]):
    def killed(what: str, done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measuring.get(asked(tmp_path), killed)
    measuring.get(replace(asked(tmp_path), task="derain"))
    assert two_levels == ["level_3", "level_3", "level_4"]


def test_a_manifest_of_another_task_is_refused(tmp_path: Path, two_levels: list[str]):
    measuring.get(asked(tmp_path))
    with pytest.raises(ValueError, match="task='denoise', expected 'derain'"):
        measuring.get(asked(tmp_path, task="derain"))


def test_a_network_has_its_memory_measured_and_the_teacher_is_recorded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    teacher = subjects.Subject("restormer-mambair", "denoise", "network", "T T T T T T T T", 16)
    cheapest = RESTORMER.label(RESTORMER.cheapest)
    hybrids = [replace(teacher, architecture=cheapest)]
    hybrids.append(replace(hybrids[0], pair="restormer-edge"))
    both = [Group(one.pair, (teacher, one)) for one in hybrids]
    monkeypatch.setattr(subjects, "groups", lambda *given: both)
    result = measuring.get(asked(tmp_path, what=NETWORKS))
    own = records.all_checked(result.records, tmp_path)
    assert [(r.pair, r.architecture) for r in own] == [
        ("restormer-mambair", "T T T T T T T T"),
        ("restormer-mambair", cheapest),
        ("restormer-edge", cheapest),
    ]
    # float32 weights of the teacher of width 8: more than 3 MB have to be somewhere
    assert own[0].peak_memory_mib > 3
    assert [c["pair"] for c in result.comparisons] == ["restormer-mambair", "restormer-edge"]


@pytest.mark.parametrize(
    ("load", "quiet"), [(0.75, True), (1.5, True), (1.75, False), (None, None)]
)
def test_a_machine_is_quiet_if_little_else_runs_on_it(load, quiet, tmp_path, monkeypatch):
    monkeypatch.setattr(measuring, "load_average", lambda: load)
    monkeypatch.setattr(
        subjects, "groups", lambda *g: list(subjects.block_groups(8, "denoise"))[-1:]
    )
    result = measuring.get(asked(tmp_path, side=8))
    assert (result.load, result.is_quiet) == (load, quiet)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"threads": 0}, "threads is 0; expected an integer >= 1"),
        ({"side": 20}, "side is 20; expected a multiple of 8 pixels"),
        ({"side": 0}, "side is 0; expected a multiple of 8"),
        ({"what": "layers"}, "what is 'layers'; expected one of blocks, stages, networks"),
        ({"task": "sing"}, "task is 'sing'; expected one of denoise"),
        ({"device": "???"}, r"device is '\?\?\?'; expected a name with a letter"),
    ],
)
def test_what_cannot_be_measured_is_refused_and_nothing_written(changed, message, tmp_path: Path):
    with pytest.raises(ValueError, match=message):
        measuring.get(asked(tmp_path, **changed))
    assert list(tmp_path.iterdir()) == []


def test_the_checkpoint_says_what_it_was_measured_under(tmp_path: Path, two_levels: list[str]):
    measuring.get(asked(tmp_path))
    path = next(tmp_path.glob("checkpoints/**/*.json"))
    assert json.loads(path.read_text())["identity"]["threads"] == 1
