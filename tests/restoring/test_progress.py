"""What is said while a photo is restored."""

from __future__ import annotations

from io import StringIO

import pytest
from test_evaluate import tiny_net

from ensrepro import tiles
from ensrepro.restoring import progress
from ensrepro.restoring.runtimes import Ready

READY = Ready(tiny_net(), "teacher of denoise (mini)", "torch", 2)
PLAN = tiles.cut(100, 200, 72)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_says_before_what_will_be_done():
    said = progress.announcement(PLAN, READY)
    # tops 0, 28; lefts 0, 40, 80, 120, 128; 4 * 112 * 2 bytes a pixel of 72 x 72
    assert said == (
        "100 x 200 pixels, 10 tiles of 72 pixels, overlap 32, teacher of denoise (mini), torch, "
        "2 threads, working memory about 4 MiB"
    )
    assert "100 x 200 pixels, 1 tile, teacher" in progress.announcement(
        tiles.whole(100, 200), READY
    )


def test_a_terminal_sees_rows_of_tiles_and_the_time_left():
    stream, times = Terminal(), iter([0.0, 3.0, 50.0, 500.0])
    with progress.shown(PLAN, READY, stream, lambda: next(times)) as report:
        report(1, 10)
        report(5, 10)
        report(9, 10)
    _, *drawn = stream.getvalue().split("\r")
    assert [bar.strip() for bar in drawn] == [
        "[##----------------------] row 0/2, 27 s left",  # 3 s for one of ten
        "[############------------] row 1/2, 50 s left",
        "[#####################---] row 1/2, 56 s left",
    ]
    assert stream.getvalue().endswith("\n")


def test_long_waits_are_told_in_minutes():
    assert progress.bar(PLAN, 5, 89.0).endswith(", 89 s left")
    assert progress.bar(PLAN, 5, 3900.0).endswith(", 1 h 5 min left")


def test_the_bar_is_ended_when_something_fails():
    stream = Terminal()

    def fail() -> None:
        with progress.shown(PLAN, READY, stream) as report:
            report(1, 10)
            raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        fail()
    assert stream.getvalue().endswith("\n")


def test_a_file_gets_the_line_only():
    stream = StringIO()
    with progress.shown(PLAN, READY, stream) as report:
        assert report is None
    assert stream.getvalue() == progress.announcement(PLAN, READY) + "\n"
