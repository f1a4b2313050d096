"""Measuring at the scale of smoke: what is recorded, resuming, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ensrepro import artifacts, records
from ensrepro.artifacts import Store
from ensrepro.devices import asking, commands, measuring, quietness, subjects
from ensrepro.devices.asking import Asked
from ensrepro.devices.measuring import FOLDER
from ensrepro.devices.subjects import BLOCKS, NETWORKS, STAGES, Group
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

    def noted(own: Asked, group: Group):
        seen.append(group.name)
        return measured(own, group)

    monkeypatch.setattr(subjects, "groups", fewer)
    monkeypatch.setattr(measuring, "measured", noted)
    return seen


def test_a_group_is_recorded_with_its_conditions_and_compared_with_its_reference(
    tmp_path: Path, two_levels: list[str]
):
    result = measuring.get(asked(tmp_path))
    own = records.all_checked(result.records, tmp_path)
    assert two_levels == ["level_3", "level_4"]
    kinds = ["restormer", "mambair", "edge"]
    assert [(r.part, r.architecture) for r in own[:3]] == [("level_3", kind) for kind in kinds]
    one = own[0]
    assert (one.device, one.cpu, one.runtime) == (DEVICE, artifacts.cpu_model(), "onnxruntime")
    assert (one.resolution, one.threads, one.dtype, one.width) == ("16x16", 1, "float32", 8)
    assert (one.source, one.weights) == ("measured here", "random weights")
    assert one.n == asking.SMOKE_EFFORT.rounds == 2
    assert (one.p90_ms, one.p99_ms) == (None, None)  # two runs have no tenth
    assert records.ratio(own[1], own[0]) > 0  # all under the same conditions
    compared = [(c["architecture"], c["reference"], c["n"]) for c in result.comparisons]
    assert compared == [(kind, "restormer", 2) for kind in kinds[1:]] * 2
    name = f"blocks-restormer-denoise-16-t1-onnxruntime-{measuring.version()}.json"
    assert (tmp_path / "results" / "smoke" / "devices" / "the-abacus-2" / name).exists()


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
    assert len(result.records) == 2 * 3
    measuring.get(asked(tmp_path))  # from the manifest
    assert len(two_levels) == 2


def test_an_effort_that_changed_starts_anew(
    tmp_path: Path, two_levels: list[str], monkeypatch: pytest.MonkeyPatch
):
    def killed(what: str, done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measuring.get(asked(tmp_path), killed)
    monkeypatch.setattr(asking, "SMOKE_EFFORT", asking.Effort(3, 0.0, warm_up=1))
    result = measuring.get(asked(tmp_path))
    assert two_levels == ["level_3", "level_3", "level_4"]
    assert {row["n"] for row in result.records} == {3}


def test_tasks_versions_and_families_have_files_of_their_own(
    tmp_path: Path, two_levels: list[str], monkeypatch: pytest.MonkeyPatch
):
    measuring.get(asked(tmp_path))
    measuring.get(asked(tmp_path, task="derain"))
    measuring.get(asked(tmp_path, pair="uformer-mambair", side=128))
    monkeypatch.setattr(measuring, "version", lambda: "99.0")
    measuring.get(asked(tmp_path))
    found = {path.name for path in tmp_path.glob("results/**/*.json")}
    assert len(found) == 4
    assert "blocks-restormer-denoise-16-t1-onnxruntime-99.0.json" in found


def networks(*labels: str, task: str = "denoise") -> list[Group]:
    return [subjects.network_group("restormer-edge", task, label, 16) for label in labels]


def test_a_network_more_is_a_file_more_and_nothing_is_measured_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[str] = []

    def stated(own: Asked, group: Group):
        seen.append(group.name)
        return [], []

    monkeypatch.setattr(measuring, "measured", stated)
    shallow, deep = RESTORMER.label(RESTORMER.cheapest), RESTORMER.label(RESTORMER.all_ssm)
    for found in ([shallow], [shallow, deep]):
        groups = networks(*found)
        monkeypatch.setattr(subjects, "groups", lambda *given, groups=groups: groups)
        for one in asking.every(NETWORKS, asked(tmp_path)):
            measuring.get(one)
    assert seen == [f"restormer-edge {shallow}", f"restormer-edge {deep}"]
    assert len(list(tmp_path.glob("results/**/networks-restormer-denoise-16-t1-*.json"))) == 2


def test_a_found_network_has_the_name_of_its_own_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    group = networks("T T 4 2 6 T T T", task="derain")
    monkeypatch.setattr(subjects, "groups", lambda *given: group)
    (one,) = asking.every(NETWORKS, asked(tmp_path))
    name = measuring.manifest_name(one)
    assert name.startswith("the-abacus-2/networks-restormer-derain-16-t1-onnxruntime-")
    assert name.endswith("-restormer-edge-t-t-4-2-6-t-t-t")


def test_a_network_and_its_teacher_have_their_memory_measured(tmp_path: Path):
    cheapest = RESTORMER.label(RESTORMER.cheapest)
    (group,) = networks(cheapest)
    result = measuring.get(asked(tmp_path, what=NETWORKS, group=group))
    own = records.all_checked(result.records, tmp_path)
    assert [(r.pair, r.architecture) for r in own] == [
        ("restormer-mambair", "T T T T T T T T"),
        ("restormer-edge", cheapest),
    ]
    # float32 weights of the teacher of width 8: more than 3 MB have to be somewhere
    assert own[0].peak_memory_mib > 3
    assert [c["pair"] for c in result.comparisons] == ["restormer-edge"]


@pytest.mark.parametrize(
    ("before", "load", "quiet"),
    [
        (0.0, 0.75, True),
        (0.5, 1.5, True),
        (0.0, 1.75, False),
        (1.0, 1.2, False),  # a competitor, and a measurement too short for the load to rise
        (None, 1.0, None),
        (0.0, None, None),
    ],
)
def test_a_machine_is_quiet_if_little_else_runs_before_and_meanwhile(
    before, load, quiet, tmp_path, monkeypatch
):
    monkeypatch.setattr(quietness, "others_running", lambda: before)
    monkeypatch.setattr(quietness, "load_average", lambda: load)
    groups = list(subjects.block_groups(subjects.family("restormer-edge"), 8, "denoise"))[-1:]
    monkeypatch.setattr(subjects, "groups", lambda *given: groups)
    result = measuring.get(asked(tmp_path, side=8))
    assert (result.load_before, result.load, result.is_quiet) == (before, load, quiet)


def test_a_busy_start_is_remembered_by_the_call_that_goes_on(
    tmp_path: Path, two_levels: list[str], monkeypatch: pytest.MonkeyPatch
):
    def killed(what: str, done: int, of: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(quietness, "load_average", lambda: 1.0)
    monkeypatch.setattr(quietness, "others_running", lambda: 2.0)
    with pytest.raises(KeyboardInterrupt):
        measuring.get(asked(tmp_path), killed)
    monkeypatch.setattr(quietness, "others_running", lambda: 0.0)
    result = measuring.get(asked(tmp_path))
    assert (result.load_before, result.is_quiet) == (2.0, False)


def test_every_kind_is_timed_in_ten_rounds_but_networks_on_large_images():
    large = asked(Path(), what=NETWORKS, side=512)
    asks = [replace(large, store=Store("mini", FOLDER, Path()), what=w) for w in (BLOCKS, STAGES)]
    asks.append(replace(asks[0], what=NETWORKS, side=256))
    assert [one.effort.rounds for one in asks] == [10, 10, 10]
    assert replace(large, store=asks[0].store).effort.rounds == 3


@pytest.mark.parametrize(
    ("pair", "expected"),
    [("restormer-edge", (64, 128, 256, 512)), ("uformer-mambair", (128, 256, 512))],
)
def test_sides_are_those_that_the_networks_take(pair, expected):
    assert asking.sides(BLOCKS, "mini", pair) == expected
    assert asking.sides(BLOCKS, "smoke", pair) == ({"uformer-mambair": 128}.get(pair, 32),)


def test_the_command_measures_a_family_network_by_network_and_tells_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(quietness, "others_running", lambda: 1.0)
    monkeypatch.setattr(quietness, "load_average", lambda: 1.25)
    monkeypatch.setattr(measuring, "measured", lambda own, group: ([], []))
    store = Store("smoke", FOLDER, tmp_path)
    done = commands.measure(store, what=NETWORKS, pair="uformer-mambair", device=DEVICE)
    start = f"networks-uformer-denoise-128-t1-onnxruntime-{measuring.version()}-uformer-mambair"
    assert [one.path.stem for one in done] == [
        f"{start}-1-2-8-8-2-8-8-2-1",
        f"{start}-1-2-2-2-2-2-2-2-1",
    ]
    assert all(one.path.exists() for one in done)
    assert commands.quietness(1.0, 1.25, False) == (
        "the machine was NOT quiet: 1.0 other processes running before, load average 1.25 "
        "meanwhile; ratios hold roughly, milliseconds do not"
    )
    assert commands.quietness(None, 1.25, None).startswith("the system does not tell its load")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"threads": 0}, "threads is 0; expected an integer >= 1"),
        ({"side": 20}, "side is 20; expected a multiple of 8 pixels"),
        ({"side": 0}, "side is 0; expected a multiple of 8"),
        ({"what": "layers"}, "what is 'layers'; expected one of blocks, stages, networks"),
        ({"pair": "uformer-mambair", "side": 64}, "side is 64; expected a multiple of 128 pixels"),
        ({"pair": "uformer-mambair", "task": "defocus_dual", "side": 128}, "Uformer takes 3"),
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
