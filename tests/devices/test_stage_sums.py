"""The stage table: sums over made-up stages that can be stated, and whole networks beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from device_records import (
    BLOCK_MS,
    GLUE_MS,
    MEASURED,
    TEACHER_BLOCK_MS,
    network,
    put,
    shelf_store,
    stages,
    taking,
    turns,
)

from ensrepro.config import PAIRS
from ensrepro.devices import shelf, stage_sums
from ensrepro.space import TEACHER

MAMBAIR, EDGE, UFORMER = (
    PAIRS[name] for name in ("restormer-mambair", "restormer-edge", "uformer-mambair")
)
SHALLOW = "2 2 2 2 2 2 2 2"
STAGES_256 = "stages-restormer-denoise-256-t1-onnxruntime-1.20.0"  # as `measuring` names it


def by_hand(architecture: tuple[int, ...], pair) -> float:
    """Glue plus blocks times what a block takes."""
    total = GLUE_MS
    for stage, choice in zip(pair.space.stages, architecture, strict=True):
        each = TEACHER_BLOCK_MS if choice == TEACHER else BLOCK_MS[pair.name]
        total += stage.depth(choice) * each
    return total


@pytest.mark.parametrize("pair", [MAMBAIR, EDGE, UFORMER], ids=lambda pair: pair.name)
def test_the_latency_of_an_architecture_is_the_sum_of_its_parts(pair, tmp_path: Path):
    store = shelf_store(tmp_path)
    put(store, "stages-restormer", stages())
    put(store, "stages-uformer", stages(pair=UFORMER.name))
    table = stage_sums.stage_table(shelf.take(store, "pixel-8"), pair)
    n = pair.space.n_architectures
    assert table.latency_ms.shape == (n,)
    for number in (0, 1, 17, n // 2, n - 1):
        expected = by_hand(pair.space.architecture(number), pair)
        assert table.latency_ms[number] == pytest.approx(expected)
        assert table.share(number) == pytest.approx(expected / by_hand(pair.space.teacher, pair))
    assert table.name == "pixel-8-denoise-256-t1-1.20.0"


def test_a_surrogate_takes_the_ratio_it_had_in_turns_not_its_own_median(tmp_path: Path):
    rows = stages()
    compared = turns(rows)
    slowed = [  # the machine was busy while this one's turn came, and its median tells
        replace(r, p50_ms=9 * r.p50_ms, p90_ms=None, p99_ms=None, seconds=99.0)
        if (r.part, r.architecture, r.pair) == ("bottleneck", "6", MAMBAIR.name)
        else r
        for r in rows
    ]
    store = shelf_store(tmp_path)
    put(store, "stages", slowed, compared)
    table = stage_sums.stage_table(shelf.take(store, "pixel-8"), MAMBAIR)
    assert table.parts["bottleneck", 2] == pytest.approx(6 * BLOCK_MS[MAMBAIR.name])


@pytest.mark.parametrize("is_quiet", [True, False])
def test_a_table_of_a_busy_machine_is_marked(is_quiet: bool, tmp_path: Path):
    store = shelf_store(tmp_path)
    put(store, STAGES_256, stages(), is_quiet=is_quiet)
    put(store, STAGES_256.replace("256", "64"), stages(side=64), is_quiet=not is_quiet)
    table = stage_sums.stage_table(shelf.take(store, "pixel-8"), MAMBAIR)
    assert table.is_noisy is not is_quiet
    assert ("do not quote milliseconds" in table.remark("denoise")) is not is_quiet


def test_the_task_s_own_stages_are_taken_else_the_table_says_whose_they_are(tmp_path: Path):
    store = shelf_store(tmp_path)
    slower = [replace(r, task="derain", p50_ms=r.p50_ms / 2) for r in stages()]
    put(store, "stages-denoise", stages())
    put(store, "stages-derain", slower)
    found = shelf.take(store, "pixel-8")
    own = {task: stage_sums.stage_table(found, EDGE, task=task) for task in ("denoise", "derain")}
    assert own["denoise"].latency_ms[0] == 2 * own["derain"].latency_ms[0]
    assert [table.task for table in own.values()] == ["denoise", "derain"]
    assert own["derain"].remark("derain") == ""
    other = stage_sums.stage_table(found, EDGE, task="deblur")
    assert f"The stages are those of networks for {other.task}" in other.remark("deblur")


def test_of_two_versions_of_the_runtime_the_last_one_is_taken_alone(tmp_path: Path):
    store = shelf_store(tmp_path)
    put(store, "stages-old", stages(version="1.19.0", created="2026-01-01T00:00:00+00:00"))
    newer = [replace(r, p50_ms=r.p50_ms / 4) for r in stages(version="1.21.0")]
    put(store, "stages-new", newer)
    table = stage_sums.stage_table(shelf.take(store, "pixel-8"), EDGE)
    assert table.latency_ms[0] == pytest.approx(by_hand(EDGE.space.teacher, EDGE) / 4)
    assert table.name.endswith("-1.21.0")
    assert table.conditions.version == "1.21.0"


def test_imported_stages_are_no_table(tmp_path: Path):
    store = shelf_store(tmp_path)
    put(store, "imported-1", stages(source="imported"))
    with pytest.raises(ValueError, match="pixel-8 has no stages on 1 threads"):
        stage_sums.stage_table(shelf.take(store, "pixel-8"), MAMBAIR)


def test_threads_and_sides_are_kept_apart(tmp_path: Path):
    store = shelf_store(tmp_path)
    put(store, "stages-64", stages(side=64))
    put(store, "stages-256", stages())
    found = shelf.take(store, "pixel-8")
    assert stage_sums.stage_table(found, MAMBAIR).side == 256  # the largest
    small = stage_sums.stage_table(found, MAMBAIR, side=64)
    assert small.name == "pixel-8-denoise-64-t1-1.20.0"
    with pytest.raises(ValueError, match=r"pixel-8 has no stages on 2 threads; python -m ensrepro"):
        stage_sums.stage_table(found, MAMBAIR, threads=2)
    with pytest.raises(ValueError, match="no stages on 1 threads at 128 pixels"):
        stage_sums.stage_table(found, MAMBAIR, side=128)


def test_a_table_that_lacks_a_choice_is_refused_by_its_name(tmp_path: Path):
    store = shelf_store(tmp_path)
    lacking = [
        r for r in stages() if (r.part, r.architecture, r.pair) != ("bottleneck", "6", EDGE.name)
    ]
    put(store, "stages", lacking)
    found = shelf.take(store, "pixel-8")
    stage_sums.stage_table(found, MAMBAIR)
    with pytest.raises(ValueError, match="has no latency of bottleneck 6 of restormer-edge"):
        stage_sums.stage_table(found, EDGE)


def test_networks_that_were_timed_whole_stand_beside_their_sums(tmp_path: Path):
    store = shelf_store(tmp_path)
    put(store, "stages", stages())
    teacher = taking(700.0, source=MEASURED)
    hybrids = [network(EDGE.name, SHALLOW, 75.0, 700.0), network(MAMBAIR.name, SHALLOW, 2e3, 700.0)]
    put(store, "networks-1", [teacher], hybrids[:1])
    put(store, "networks-2", [teacher], hybrids[1:])
    other = replace(teacher, task="derain", p50_ms=900.0, p90_ms=None, p99_ms=None)
    put(store, "networks-3", [other])  # another network than the stages are of
    found = shelf.take(store, "pixel-8")
    table = stage_sums.stage_table(found, EDGE)
    of = stage_sums.sums(found, table, EDGE)
    # 44 teacher's blocks of 10 ms; 16 edge blocks of 4 ms; glue of 7 ms
    assert of == [("T T T T T T T T", 447.0, 700.0), (SHALLOW, 71.0, pytest.approx(75.0))]
    off = stage_sums.sum_error(found, table, EDGE)
    assert off == (1, *2 * [pytest.approx((71 / 447) / (75 / 700) - 1)])
    assert off.largest == pytest.approx(0.4825, abs=1e-4)  # 0.15884 / 0.10714 - 1


def test_without_a_whole_network_nothing_is_known_of_the_sums(tmp_path: Path):
    store = shelf_store(tmp_path)
    put(store, "stages", stages())
    found = shelf.take(store, "pixel-8")
    assert stage_sums.sum_error(found, stage_sums.stage_table(found, EDGE), EDGE) is None
