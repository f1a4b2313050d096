"""Hybrids of two pairs in one plane: against the teacher trained as long, on the same device."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ensrepro import curves, pipeline
from ensrepro.config import CONTROL, DEFAULT_PAIR, EDGE_PAIR, UFORMER_PAIR
from ensrepro.curves import Change, Curve
from ensrepro.space import RESTORMER

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
    return Curve({FAST: fast[0], DEAR: dear}, [dear], fast, longer, base=30.3)


@pytest.fixture
def table() -> SimpleNamespace:
    shares = {RESTORMER.index(FAST): 0.2, RESTORMER.index(DEAR): 0.5}
    return SimpleNamespace(share=shares.__getitem__)


@pytest.fixture
def run() -> SimpleNamespace:
    ctx = SimpleNamespace(
        space=RESTORMER,
        pair=SimpleNamespace(name=EDGE_PAIR),
        task=SimpleNamespace(name="derain"),
    )
    return SimpleNamespace(ctx=ctx)


def test_networks_are_held_against_the_teacher_trained_as_long_and_ordered_by_speed(
    made, table, run
):
    rows = curves.points(run, made, table)
    assert [row["share"] for row in rows] == [0.2, 0.5]
    fast, dear = rows
    # on the test photos the teacher has 30 and 30.5 dB, this one 30 and 30.4
    assert (fast["change"], fast["n"]) == (pytest.approx(-0.05), 2)
    assert (dear["change"], dear["n"]) == (pytest.approx(0.25), 1)
    # against 30.3 dB of the teacher as it was: 30.0 and 30.4 in the mean, and 30.5
    assert fast["as_it_was"] == pytest.approx(-0.1)
    assert dear["as_it_was"] == pytest.approx(0.2)
    assert (fast["before"], fast["after"]) == (pytest.approx(-2.0), pytest.approx(-0.05))


def test_a_network_that_seed_0_lets_pass_has_to_lose_little_with_every_seed(table, monkeypatch):
    longer = [tuned(RESTORMER.teacher, seed, 30.0) for seed in (0, 1)]
    after = {FAST: (29.95, 29.7), DEAR: (29.93, 29.92)}  # means -0.175 and -0.075 dB
    seeds = {
        one: [tuned(one, s, value) for s, value in enumerate(own)] for one, own in after.items()
    }
    monkeypatch.setattr(
        curves, "every_seed", lambda _, one: seeds[RESTORMER.architecture(one.result.architecture)]
    )
    first = [own[0] for own in seeds.values()]
    assert curves.fast_of(None, first, table, longer) is seeds[DEAR]
    assert curves.fast_of(None, first[:1], table, longer) == []


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
    assert curves.on_file(asked, SimpleNamespace()) is None
