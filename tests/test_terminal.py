"""Progress as a person sees it: on a terminal, in a file, and while nothing seems to happen."""

from __future__ import annotations

import io
import sys
import threading
from itertools import pairwise

import pytest

from ensrepro import terminal
from ensrepro.terminal import Terminal


class Stream(io.StringIO):
    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def shown(monkeypatch, of: int, *, is_terminal: bool, seconds: float) -> str:
    """What is written of a step of `of` parts that take so long each."""
    stream, clock = Stream(is_terminal), Clock()
    monkeypatch.setattr(sys, "__stderr__", stream)
    show = Terminal(clock)
    for done in range(of + 1):
        show("train", done, of)
        clock.now += seconds
    return stream.getvalue()


def test_progress_is_one_line_on_a_terminal(monkeypatch):
    lines = "".join(f"\rtrain: {n}/3\x1b[K" for n in range(4)) + "\n"
    assert shown(monkeypatch, 3, is_terminal=True, seconds=1) == lines


def test_progress_in_a_file_is_a_line_a_minute_whatever_a_step_takes(monkeypatch):
    text = shown(monkeypatch, 4000, is_terminal=False, seconds=1)
    lines = text.splitlines()
    assert lines[0] == "train: 0/4000"
    assert lines[-1] == "train: 4000/4000, 1 h 7 min"
    counts = [int(line.split("/")[0].removeprefix("train: ")) for line in lines]
    gaps = [after - before for before, after in pairwise(counts)]
    assert max(gaps) <= 60  # one part a second
    assert len(lines) <= 4000 / 40
    assert lines[counts.index(2025)] == "train: 2025/4000, 34 min, 33 min to go"


def test_a_step_of_seconds_is_two_lines_in_a_file(monkeypatch):
    text = shown(monkeypatch, 500, is_terminal=False, seconds=0.001)
    assert text == "train: 0/500\ntrain: 500/500\n"


def test_the_time_to_go_counts_from_where_a_training_was_taken_up(monkeypatch):
    stream, clock = Stream(False), Clock()
    monkeypatch.setattr(sys, "__stderr__", stream)
    show = Terminal(clock)
    show("train", 1000, 2000)
    clock.now += 600  # for a quarter of the whole: half of what was left
    show("train", 1500, 2000)
    assert stream.getvalue().splitlines()[1] == "train: 1500/2000, 10 min, 10 min to go"


def test_progress_needs_no_terminal_at_all(monkeypatch, capfd):
    monkeypatch.setattr(sys, "__stderr__", None)
    Terminal()("train", 1, 1)
    assert capfd.readouterr() == ("", "")


def test_a_sentence_is_said_on_the_terminal_and_in_the_notebook_once_each(monkeypatch):
    outside, inside = Stream(False), Stream(False)
    monkeypatch.setattr(sys, "__stderr__", outside)
    monkeypatch.setattr(sys, "stderr", inside)
    Terminal().say("It takes an hour.")
    monkeypatch.setattr(sys, "stderr", outside)
    Terminal().say("Two.")
    assert outside.getvalue() == "It takes an hour.\nTwo.\n"
    assert inside.getvalue() == "It takes an hour.\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (89, "89 s"), (100, "2 min"), (3569, "59 min"), (3590, "1 h 0 min")],
)
def test_a_duration_is_told_as_a_person_would(seconds, text):
    assert terminal.duration(seconds) == text


def is_repeating() -> bool:
    return any(thread.name.endswith("(repeat)") for thread in threading.enumerate())


def test_a_silent_step_is_reported_again_until_it_ends(monkeypatch):
    monkeypatch.setattr(terminal, "REPEAT_SECONDS", 0.001)
    seen, again = [], threading.Event()

    def progress(*report: object) -> None:
        seen.append(report)
        if seen.count(("distill", 1, 2)) >= 3:
            again.set()

    with terminal.repeating(progress, "distill", 2) as report:
        report(1)
        assert again.wait(60)
        report(2)
    assert seen[0] == ("distill", 0, 2)
    assert seen.count(("distill", 2, 2)) == 1
    assert not is_repeating()


def test_nothing_is_reported_to_nobody():
    with terminal.repeating(None, "distill", 2) as report:
        report(1)
        assert not is_repeating()


def test_the_reports_end_with_a_step_that_fails():
    with pytest.raises(KeyboardInterrupt), terminal.repeating(lambda *_: None, "distill", 2):
        raise KeyboardInterrupt
    assert not is_repeating()
