"""What a run is going to train: which steps, how long they take, and when nothing is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ensrepro import artifacts, outlook
from ensrepro.outlook import Announcer
from ensrepro.space import RESTORMER
from ensrepro.steps import context

MANIFEST = {"step": "x", "identity": {}, "result": {}}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with timed results of one task: a minute, two minutes, four of two networks."""
    monkeypatch.setattr(artifacts, "repository", lambda: tmp_path)
    folder = tmp_path / "results" / "mini" / "denoise"
    folder.mkdir(parents=True)
    times = {"teacher": 60, "pool": 120, "hybrid-00000-s0": 200, "hybrid-00001-s0": 280}
    for step, seconds in times.items():
        made = {"provenance": {"seconds": seconds, "machine": "a laptop"}}
        (folder / f"{step}.json").write_text(json.dumps(MANIFEST | made))
    return tmp_path


class Listener:
    """A terminal that only remembers what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def named(missing: list[outlook.Missing]) -> dict[str, float | None]:
    return {one.name: one.timed and one.timed.seconds for one in missing}


def test_a_task_that_starts_from_another_needs_only_its_own_teacher_if_that_is_there(checkout):
    ctx = context.open_context("mini", "derain")
    assert named(outlook.of_teacher(ctx)) == {"teacher of derain": 60}
    assert list(named(outlook.of_pool(ctx)).items()) == [
        ("teacher of derain", 60),
        ("pool of 22 surrogates", 120),
    ]


def test_the_teachers_that_a_teacher_starts_from_come_before_it(checkout):
    missing = outlook.of_teacher(context.open_context("mini", "defocus"))
    assert list(named(missing)) == ["teacher of deblur", "teacher of defocus"]
    (checkout / "results" / "mini" / "denoise" / "teacher.json").unlink()
    missing = outlook.of_teacher(context.open_context("mini", "derain"))
    assert named(missing) == {
        "pretraining of the teacher of denoise": None,
        "teacher of denoise": None,
        "teacher of derain": None,
    }


def test_what_is_on_file_is_not_trained(checkout):
    ctx = context.open_context("mini", "denoise")
    assert outlook.of_pool(ctx) == []
    space = RESTORMER
    jobs = [(space.teacher, 0), (space.architecture(1), 0)]
    assert outlook.of_jobs(ctx, jobs) == []


def test_networks_are_fine_tuned_as_many_at_a_time_as_there_are_cores(checkout, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    ctx = context.open_context("mini", "derain")
    jobs = [(RESTORMER.architecture(n), 0) for n in range(5)]
    assert named(outlook.of_jobs(ctx, jobs)) == {"fine-tuning of 5 networks": 3 * 240}


def test_a_table_is_measured_by_as_many_processes_as_there_are_cores(checkout, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    made = {"provenance": {"seconds": 7, "machine": "a laptop"}, "result": {"seconds": 8000.0}}
    path = checkout / "results" / "mini" / "denoise" / "ens-bench.json"
    path.write_text(json.dumps(MANIFEST | made))
    missing = outlook.of_table(context.open_context("mini", "derain"))
    assert named(missing[-1:]) == {"table of 34,560 architectures": 2000}
    assert outlook.of_table(context.open_context("mini", "denoise")) == []


def test_times_of_another_family_or_profile_are_no_measure(checkout):
    for profile, pair in (("mini", "uformer-mambair"), ("smoke", "restormer-mambair")):
        missing = outlook.of_pool(context.open_context(profile, "denoise", pair=pair))
        assert len(missing) == 3
        assert not any(one.timed for one in missing)
    edge = outlook.of_pool(context.open_context("mini", "derain", pair="restormer-edge"))
    assert named(edge) == {"teacher of derain": 60, "pool of 22 surrogates": None}


def test_a_resumed_training_took_as_long_as_all_of_it(checkout):
    path = checkout / "results" / "mini" / "denoise" / "teacher.json"
    content = json.loads(path.read_text()) | {"result": {"seconds": 2400.0}}
    path.write_text(json.dumps(content))
    assert named(outlook.of_teacher(context.open_context("mini", "derain"))) == {
        "teacher of derain": 2400
    }


@pytest.mark.parametrize("text", ["", "[1]", '{"provenance": {}}'])
def test_a_damaged_result_of_another_task_stops_no_run(checkout, text):
    (checkout / "results" / "mini" / "denoise" / "pool.json").write_text(text)
    missing = outlook.of_pool(context.open_context("mini", "derain"))
    assert named(missing)["pool of 22 surrogates"] is None


def test_one_line_says_what_how_long_and_that_it_can_be_interrupted(checkout):
    ctx, listener = context.open_context("mini", "derain"), Listener()
    announcer = Announcer(ctx, listener)
    announcer.announce(outlook.of_pool(ctx))
    announcer.announce(outlook.of_teacher(ctx))  # said already
    (line,) = listener.said
    assert line == (
        "Not on file, so made now for derain in profile mini: teacher of derain (60 s), "
        "pool of 22 surrogates (2 min). Times are those of denoise on a laptop. "
        "If interrupted, the same call goes on where it was. Progress is shown on the terminal."
    )


def test_without_a_time_on_file_the_profile_says_what_it_costs(checkout):
    ctx, listener = context.open_context("small", "denoise", pair="uformer-mambair"), Listener()
    Announcer(ctx, listener).announce(outlook.of_teacher(ctx))
    (line,) = listener.said
    assert "denoise in profile small, pair uformer-mambair: pretraining of" in line
    assert f"No time is on file for these (small: {ctx.profile.price})." in line
    assert "\n" not in line


def test_nothing_is_said_where_nothing_is_trained(checkout):
    listener = Listener()
    done = context.open_context("mini", "denoise")
    Announcer(done, listener).announce(outlook.of_pool(done))
    reading = replace(context.open_context("mini", "derain"), may_compute=False)
    Announcer(reading, listener).announce(outlook.of_pool(reading))
    assert listener.said == []
