"""Fast hybrids: rows whose numbers can be stated, and aims that are reached, missed, undecided."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ensrepro import fast
from ensrepro.curves import Curve
from ensrepro.space import RESTORMER
from ensrepro.timing import Spread

CHEAPEST = RESTORMER.cheapest


def tuned(architecture, seed: int, test: float) -> SimpleNamespace:
    number = RESTORMER.index(architecture)
    own = SimpleNamespace(architecture=number, seed=seed, test=[{"psnr": test}])
    return SimpleNamespace(result=own)


@pytest.fixture
def made() -> Curve:
    own = [tuned(CHEAPEST, 0, 30.0), tuned(CHEAPEST, 1, 30.2)]
    longer = [tuned(RESTORMER.teacher, 0, 30.0), tuned(RESTORMER.teacher, 1, 30.5)]
    return Curve({CHEAPEST: own[0]}, own[:1], own, longer, base=30.3)


@pytest.fixture
def table() -> SimpleNamespace:
    parts = {(stage.name, 0): 10.0 for stage in RESTORMER.stages} | {("glue", 0): 20.0}
    return SimpleNamespace(parts=parts, latency_ms=[100.0])


@pytest.fixture
def run() -> SimpleNamespace:
    ratios = {1: Spread(0.25, 0.2, 0.4, 10), 2: Spread(0.5, 0.4, 0.6, 10)}

    def raced(_table, architecture, threads):
        assert architecture == CHEAPEST
        return SimpleNamespace(ratio=ratios[threads], row=lambda: {"threads": threads})

    task = SimpleNamespace(name="derain")
    return SimpleNamespace(ctx=SimpleNamespace(space=RESTORMER, task=task), raced=raced)


def test_a_fast_hybrid_is_as_many_times_as_fast_as_its_rounds_say(made, table, run):
    row = fast.row(run, made, table)
    assert (row["times"], row["low"], row["high"], row["times_2"]) == (4.0, 2.5, 5.0, 2.0)
    assert (row["stages"], row["raced"]) == ("2 2 2 2 2 2 2 2", {"threads": 1})
    assert row["most_times"] == 5.0  # of 100 ms the 20 of the glue are left
    # seed by seed: 30.0 beside 30.0, and 30.2 beside 30.5; their mean 30.1 beside 30.3
    values = [row[key] for key in ("change", "least", "most", "as_it_was")]
    assert values == [pytest.approx(value) for value in (-0.15, -0.3, 0.0, -0.2)]
    assert (row["n"], row["n_longer"], row["why"]) == (2, 2, None)
    assert row.keys() == {"task", *fast.KEYS}


def test_what_is_kept_of_the_teacher_bounds_the_speed(table):
    half = RESTORMER.labeled("T T T T 2 2 2 2")
    assert fast.kept(half, RESTORMER, table) == pytest.approx(0.6)  # 4 x 10 ms, 20 of the glue
    assert fast.kept(RESTORMER.teacher, RESTORMER, table) == pytest.approx(1.0)


def test_a_task_without_a_fast_hybrid_has_a_row_that_says_why(made, table, run):
    none = fast.row(run, Curve(made.tuned, made.chosen, [], made.longer, made.base), table)
    assert none["why"] == "none of its 1 fine-tuned networks loses at most 0.1 dB"
    absent = fast.row(run, None, table)
    assert absent["why"] == "not all of its networks are on file"
    for row in (none, absent):
        assert {value for key, value in row.items() if key not in ("task", "why")} == {None}


def told(task: str, times: float, change: float, n: int = 3) -> dict:
    return {
        "task": task,
        "times": times,
        "change": change,
        "n": n,
        "n_longer": 3,
        "most_times": 2.0,
    }


ROWS = [
    told("denoise", 6.0, -0.05),
    told("derain", 1.5, 0.0),
    told("deblur", 6.0, -0.3),
    told("defocus", 6.0, 0.0, n=1),
    {"task": "defocus_dual", "times": None, "why": "not all of its networks are on file"},
]


def test_an_aim_asks_for_speed_and_quality_of_several_seeds():
    assert fast.reached(ROWS, 5.0) == ["denoise"]
    assert fast.aim(ROWS, 5.0, "our aim") == (
        "5.0 times as fast at no more than 0.1 dB, our aim: reached on 1 of 5 tasks (denoise)."
    )
    assert fast.aim(ROWS, 7.0, "our aim").endswith("reached on 0 of 5 tasks (none).")


def test_each_task_that_falls_short_has_its_reason():
    derain, deblur, defocus, dual = fast.shortfalls(ROWS, 3.0)
    assert "derain falls short of 3.0 by a factor of 2.0" in derain
    assert "would allow 2.0 times" in derain
    assert deblur.startswith("deblur is fast enough, but changes by -0.30 dB")
    assert defocus.endswith("with 1 seeds.")
    assert dual == "defocus_dual: not all of its networks are on file."


def test_blocks_are_told_level_by_level():
    rows = [
        {"family": "edge", "side": 256, "level": level, "ratio": ratio}
        for level, ratio in ((2, 0.4), (1, 0.625))
    ]
    assert fast.blocks(rows, "edge", 256, 1) == (
        "On 1 thread an edge block is 1.60 at level 1, 2.50 at level 2 times as fast as "
        "Restormer's; 2 times, our aim, is reached at 1 of 2 levels."
    )
    assert fast.blocks(rows, "edge", 64, 2).startswith("No single blocks were timed on 2 threads")
