"""Hybrids of two pairs in one plane: against the teacher trained as long, on the same device."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ensrepro import curves, pipeline
from ensrepro.config import CONTROL, DEFAULT_PAIR, EDGE_PAIR, UFORMER_PAIR
from ensrepro.curves import Change, Curve
from ensrepro.space import RESTORMER
from ensrepro.timing import Conditions, Spread

FAST, DEAR = RESTORMER.cheapest, RESTORMER.all_ssm


def tuned(architecture, seed=0, after=30.0, test=(29.0, 31.0), before=28.0) -> SimpleNamespace:
    number, rows = RESTORMER.index(architecture), [{"psnr": value} for value in test]
    return SimpleNamespace(
        result=SimpleNamespace(
            architecture=number, seed=seed, after=after, before=before, test=rows
        )
    )


@pytest.fixture
def made() -> Curve:
    fast = [
        tuned(FAST, seed, 29.95, test) for seed, test in enumerate([(29.0, 31.0), (29.4, 31.4)])
    ]
    dear = tuned(DEAR, 0, 30.1, (30.0, 31.0))
    longer = [
        tuned(RESTORMER.teacher, s, 30.0, (30.0, value)) for s, value in enumerate([30.0, 31.0])
    ]
    return Curve({FAST: fast[0], DEAR: dear}, [dear], fast, longer)


@pytest.fixture
def table() -> SimpleNamespace:
    shares = {RESTORMER.index(FAST): 0.2, RESTORMER.index(DEAR): 0.5}
    parts = {(stage.name, 0): 10.0 for stage in RESTORMER.stages} | {("glue", 0): 20.0}
    return SimpleNamespace(share=shares.__getitem__, parts=parts, latency_ms=[100.0])


@pytest.fixture
def run() -> SimpleNamespace:
    under = Conditions("256x256", "float32", 1, "onnxruntime", "1", "a processor")
    row = {"is_noisy": False, "cpu": under.cpu}
    raced = SimpleNamespace(ratio=Spread(0.25, 0.2, 0.4, 10), row=lambda: row)
    ctx = SimpleNamespace(
        space=RESTORMER,
        pair=SimpleNamespace(name=EDGE_PAIR),
        task=SimpleNamespace(name="derain"),
    )
    return SimpleNamespace(ctx=ctx, raced=lambda _table, _architecture: raced)


def test_networks_are_held_against_the_teacher_trained_as_long_and_ordered_by_speed(
    made, table, run
):
    rows = curves.points(run, made, table)
    assert [row["share"] for row in rows] == [0.2, 0.5]
    fast, dear = rows
    # on the test photos the teacher has 30 and 30.5 dB, this one 30 and 30.4
    assert (fast["change"], fast["n"]) == (pytest.approx(-0.05), 2)
    assert (dear["change"], dear["n"]) == (pytest.approx(0.25), 1)
    assert (fast["before"], fast["after"]) == (pytest.approx(-2.0), pytest.approx(-0.05))


def test_a_fast_hybrid_is_as_many_times_as_fast_as_its_rounds_say(made, table, run):
    row = curves.fast_row(run, made, table)
    assert (row["times"], row["low"], row["high"]) == (4.0, 2.5, 5.0)
    assert row["stages"] == "2 2 2 2 2 2 2 2"
    assert row["most_times"] == 5.0  # of 100 ms the 20 of the glue are left
    # seed by seed: 30.0 beside 30.0, and 30.4 beside 30.5
    assert (row["least"], row["most"]) == (pytest.approx(-0.1), pytest.approx(0.0))
    assert (row["n"], row["n_longer"]) == (2, 2)


def test_what_is_kept_of_the_teacher_bounds_the_speed(table):
    half = RESTORMER.labeled("T T T T 2 2 2 2")
    assert curves.kept(half, RESTORMER, table) == pytest.approx(0.6)  # 4 x 10 ms, 20 of the glue
    assert curves.kept(RESTORMER.teacher, RESTORMER, table) == pytest.approx(1.0)


def test_a_task_without_a_fast_hybrid_has_a_row_that_says_so(made, table, run):
    row = curves.fast_row(run, Curve(made.tuned, made.chosen, [], made.longer), table)
    assert row["task"] == "derain"
    assert {value for name, value in row.items() if name != "task"} == {None}


def test_a_network_is_dominated_by_a_faster_one_that_is_no_worse():
    theirs = [
        {"pair": "b", "share": 0.5, "change": 0.0},
        {"pair": "b", "share": 0.1, "change": 0.2},
    ]
    ours = [{"pair": "a", "share": 0.4, "change": 0.0}, {"pair": "a", "share": 0.6, "change": 1.0}]
    assert curves.dominated([*ours, *theirs], "b", "a") == 1
    assert curves.dominated(theirs, "b", "a") == 0


def test_seeds_that_overlap_show_no_difference():
    low, high = Change(0.0, -0.1, 0.1, 3, 3), Change(0.5, 0.4, 0.6, 3, 3)
    assert curves.verdict(high, low).startswith("Every seed of the first is above")
    assert "**below**" in curves.verdict(low, high)
    assert "overlap" in curves.verdict(low, Change(0.1, 0.1, 0.2, 3, 3))
    assert "One seed" in curves.verdict(low, Change(0.5, 0.5, 0.5, 1, 3))


def test_pairs_of_one_teacher_keep_everything_but_their_folder():
    asked = pipeline.start("test", task="derain", profile="mini", pair=EDGE_PAIR)
    for pair, folder in ((DEFAULT_PAIR, "derain"), (CONTROL, "derain-stateless")):
        other = curves.of_pair(asked, pair)
        assert other.ctx.pair.name == pair
        assert other.ctx.store.manifest("pool").parent.name == folder
        assert other.ctx.task == asked.ctx.task
    with pytest.raises(ValueError, match=r"uformer-mambair.*with the teacher of restormer-edge"):
        curves.of_pair(asked, UFORMER_PAIR)


def test_without_a_pool_there_is_no_curve():
    asked = pipeline.start("test", task="defocus_dual", profile="mini", pair=CONTROL)
    assert curves.on_file(asked) is None
