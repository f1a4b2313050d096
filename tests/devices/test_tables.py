"""Rows, sentences and the trade-off, on made-up records whose numbers can be stated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from device_records import MEASURED, network, put, shelf_store, stages, taking

from ensrepro import landscape, paper, pareto
from ensrepro.config import PAIRS
from ensrepro.devices import shelf, stage_sums, tables
from ensrepro.devices.stage_sums import StageTable
from ensrepro.space import RESTORMER

MAMBAIR, EDGE = PAIRS["restormer-mambair"], PAIRS["restormer-edge"]
DEEP, SHALLOW = "4 6 6 8 6 6 4 4", "2 2 2 2 2 2 2 2"


@pytest.fixture
def found(tmp_path: Path) -> shelf.Shelf:
    store = shelf_store(tmp_path)
    put(store, "stages-256-t1", stages())
    compared = [
        network(MAMBAIR.name, DEEP, 900.0, 450.0),
        network(EDGE.name, SHALLOW, 90.0, 450.0),
        network(EDGE.name, DEEP, 900.0, 450.0),
    ]
    own = [taking(450.0), taking(90.0, pair=EDGE.name, architecture=SHALLOW, peak_memory_mib=64.0)]
    put(store, "networks-256-t1", own, compared)
    return shelf.take(store, "pixel-8")


def test_networks_have_their_ratio_and_both_memories(found):
    rows = tables.network_rows(found, 1)
    shallow = next(row for row in rows if row["architecture"] == SHALLOW)
    assert (shallow["family"], shallow["ratio"], shallow["reference_ms"]) == ("edge", 0.2, 450.0)
    assert (shallow["peak_mib"], shallow["reference_peak_mib"]) == (64.0, 512.0)
    assert tables.network_rows(found, 2) == []


def test_a_stage_has_a_cell_for_each_depth_of_each_family(found):
    rows = {row["stage"]: row for row in tables.stage_rows(found, 256, 1)}
    # made-up blocks: 10 ms of the teacher, 40 ms of MambaIR, 4 ms of edge
    assert rows["bottleneck"]["teacher"] == 80.0
    assert (rows["bottleneck"]["mambair_8"], rows["bottleneck"]["edge_8"]) == (320.0, 32.0)
    assert rows["encoder_1"]["mambair_8"] is None
    assert rows["encoder_1"]["edge_2"] == 8.0


def test_sums_and_whole_networks_are_each_held_against_a_teacher_of_their_own_kind(tmp_path):
    store = shelf_store(tmp_path)
    put(store, "stages", stages())
    teacher = taking(700.0, source=MEASURED)
    put(store, "networks", [teacher], [network(EDGE.name, SHALLOW, 75.0, 700.0)])
    found = shelf.take(store, "pixel-8")
    table = stage_sums.stage_table(found, EDGE)
    # 44 teacher's blocks of 10 ms, 16 edge blocks of 4 ms, glue of 7 ms; whole 75 of 700 ms
    [row] = tables.additivity(found, table, EDGE)
    assert (row["architecture"], row["sum"]) == (SHALLOW, pytest.approx(71 / 447))
    assert row["whole"] == pytest.approx(75 / 700)
    assert row["ratio"] == pytest.approx((71 / 447) / (75 / 700))
    assert tables.additivity(found, table, MAMBAIR) == []


def test_sentences_say_what_the_ratios_say(found):
    rows = tables.network_rows(found, 1)
    assert tables.finding(rows, "mambair", "network") == (
        "Every MambaIR network takes **longer** than Restormer's: 2.00 to 2.00 times as long."
    )
    mixed = tables.finding(rows, "edge", "network")
    assert "slower 1, faster 1, within the range of the measurement 0" in mixed
    fast = [row for row in rows if row["architecture"] == SHALLOW]
    assert "Every Edge network is **faster**" in tables.finding(fast, "edge", "network")
    with pytest.raises(ValueError, match="rows have no family 'mambair'"):
        tables.finding(fast, "mambair", "network")


def test_a_ratio_whose_range_includes_1_is_no_difference():
    row = {"family": "edge", "ratio": 1.02, "low": 0.97, "high": 1.05, "n": 10}
    assert tables.count([row], "edge") == tables.Count(1, 0, 0, 0, 1.02, 1.02)


def test_a_ratio_of_a_few_rounds_is_no_difference_however_large():
    rows = [{"family": "edge", "ratio": 9.0, "low": 8.9, "high": 9.1, "n": n} for n in (9, 10)]
    assert tables.count(rows, "edge") == tables.Count(2, 1, 0, 1, 9.0, 9.0)
    assert "faster 0, within the range of the measurement 0, timed in fewer than 10 rounds 1" in (
        tables.finding(rows, "edge", "block")
    )


def test_published_ratios_are_the_paper_s_speed_ups_upside_down():
    rows = {row["network"]: row for row in tables.published_rows()}
    assert rows["Restormer"]["ratio"] == 1.0
    for task in tables.PUBLISHED:
        printed = paper.scalar(f"speedup_ens_{task}")  # 3.4, 1.74, 1.17, as printed
        assert 1 / rows[f"hybrid for {task}"]["ratio"] == pytest.approx(printed, abs=0.006)


def quality(cost_db: float) -> np.ndarray:
    """PSNR that falls with every block that is not the teacher's, and a little with depth."""
    lost = [
        [0.0, *(cost_db * (1 + 0.1 * i) for i in range(len(stage.depths)))]
        for stage in RESTORMER.stages
    ]
    return 30.0 - landscape.added(lost).ravel()


def test_where_surrogates_are_slower_the_teacher_is_the_whole_front(found):
    table = stage_sums.stage_table(found, MAMBAIR)
    # 2 blocks of 40 ms take longer than 6 of 10 ms, but the bottleneck's 8 take as long: never less
    known = tables.tradeoff(quality(0.1), table, MAMBAIR)
    assert known.exact == [0]
    assert known.kept() is None
    assert "Nothing on the exact front is faster than the teacher" in tables.proxy_finding(known)
    assert tables.fastest_within(known, 1.0) == (0, True)
    assert "at most 1 dB before fine-tuning is `T T T T T T T T`" in tables.fastest_finding(
        known, 1.0, MAMBAIR
    )
    assert tables.share_finding(known).startswith("Of 34,560 architectures 0 are faster")


def test_where_every_surrogate_block_is_faster_the_cheapest_is_the_fast_end(found):
    table = stage_sums.stage_table(found, EDGE)
    known = tables.tradeoff(quality(0.1), table, EDGE)
    assert known.exact[0] == 0
    assert known.exact[-1] == RESTORMER.index(RESTORMER.cheapest) == 34_559
    assert set(known.exact) == set(np.asarray(known.exact)[pareto.front(known.points[known.exact])])
    assert known.rank > 0.9
    assert 0.9 < known.kept() <= 1
    # one swap costs 0.12 dB in a stage of three depths, 0.11 in one of two
    assert tables.fastest_within(known, 0.05) == (0, True)
    fastest = tables.fastest_within(known, 10.0)
    assert known.points[fastest.number, 1] == table.latency_ms.min()
    assert tables.n_faster(known) == 34_559  # all but the teacher
    rows = tables.front_rows(known, EDGE)
    assert (rows[0]["stages"], rows[0]["ratio"]) == ("T T T T T T T T", 1.0)


def test_a_budget_keeps_the_front_within_it(found):
    table = stage_sums.stage_table(found, EDGE)
    known = tables.tradeoff(quality(0.1), table, EDGE, budget_ms=200.0)
    assert known.points[known.exact, 1].max() <= 200.0
    with pytest.raises(ValueError, match="latency_budget_ms is 3; expected at least 71"):
        tables.tradeoff(quality(0.1), table, EDGE, budget_ms=3.0)


def test_where_a_budget_leaves_nothing_near_the_teacher_the_sentence_says_so(found):
    table = stage_sums.stage_table(found, EDGE)
    known = tables.tradeoff(quality(0.1), table, EDGE, budget_ms=200.0)
    # 447 ms less what is saved per stage: several swaps of at least 0.1 dB are needed for 200 ms
    best = tables.fastest_within(known, 0.1)
    assert not best.is_within
    assert known.points[best.number, 0] == min(known.points[n, 0] for n in known.exact) > 0.1
    told = tables.fastest_finding(known, 0.1, EDGE)
    assert told.startswith("Nothing within the latency budget loses at most 0.1 dB")
    assert RESTORMER.label(RESTORMER.architecture(best.number)) in told


def test_psnr_of_another_space_is_refused():
    table = StageTable("x", 8, 1, np.ones(34_560))
    with pytest.raises(ValueError, match=r"psnr has shape \(3,\); expected \(34560,\)"):
        tables.tradeoff(np.ones(3), table, MAMBAIR)


def test_a_pair_without_measured_parts_is_refused():
    with pytest.raises(ValueError, match="pair is 'uformer-mambair'; expected one of restormer-m"):
        tables.pair_of("uformer-mambair")
