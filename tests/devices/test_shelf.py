"""Devices on file, and the stage table: sums over made-up stages that can be stated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from device_records import (
    BLOCK_MS,
    GLUE_MS,
    TEACHER_BLOCK_MS,
    network,
    put,
    shelf_store,
    stages,
    taking,
)

from ensrepro import artifacts
from ensrepro.config import PAIRS
from ensrepro.devices import shelf
from ensrepro.space import RESTORMER, TEACHER

MAMBAIR, EDGE = PAIRS["restormer-mambair"], PAIRS["restormer-edge"]


def by_hand(architecture: tuple[int, ...], pair: str) -> float:
    """Glue plus blocks times what a block takes."""
    total = GLUE_MS
    for stage, choice in zip(RESTORMER.stages, architecture, strict=True):
        each = TEACHER_BLOCK_MS if choice == TEACHER else BLOCK_MS[pair]
        total += stage.depth(choice) * each
    return total


@pytest.mark.parametrize("pair", [MAMBAIR, EDGE], ids=lambda pair: pair.name)
def test_the_latency_of_an_architecture_is_the_sum_of_its_parts(pair, tmp_path: Path):
    store = shelf_store(tmp_path)
    put(store, "stages-256-t1", stages())
    table = shelf.stage_table(shelf.take(store, "pixel-8"), pair)
    assert table.latency_ms.shape == (34_560,)
    for number in (0, 1, 17, 15_313, 34_559):
        expected = by_hand(RESTORMER.architecture(number), pair.name)
        assert table.latency_ms[number] == pytest.approx(expected)
    assert table.name == "pixel-8-256-t1"


def test_threads_and_sides_are_kept_apart(tmp_path: Path):
    store = shelf_store(tmp_path)
    put(store, "stages-64-t1", stages(side=64))
    put(store, "stages-256-t1", stages())
    found = shelf.take(store, "pixel-8")
    assert shelf.stage_table(found, MAMBAIR).side == 256  # the largest
    assert shelf.stage_table(found, MAMBAIR, side=64).name == "pixel-8-64-t1"
    with pytest.raises(ValueError, match=r"pixel-8 has no stages on 2 threads; python -m ensrepro"):
        shelf.stage_table(found, MAMBAIR, threads=2)
    with pytest.raises(ValueError, match="no stages on 1 threads at 128 pixels"):
        shelf.stage_table(found, MAMBAIR, side=128)


def test_a_table_that_lacks_a_choice_is_refused_by_its_name(tmp_path: Path):
    store = shelf_store(tmp_path)
    lacking = [
        r for r in stages() if (r.part, r.architecture, r.pair) != ("bottleneck", "6", EDGE.name)
    ]
    put(store, "stages-256-t1", lacking)
    found = shelf.take(store, "pixel-8")
    shelf.stage_table(found, MAMBAIR)
    with pytest.raises(ValueError, match="has no latency of bottleneck 6 of restormer-edge"):
        shelf.stage_table(found, EDGE)


def test_networks_that_were_timed_whole_stand_beside_their_sums(tmp_path: Path):
    store = shelf_store(tmp_path)
    put(store, "stages-256-t1", stages())
    networks = [
        taking(700.0),
        taking(2000.0, architecture="2 2 2 2 2 2 2 2"),
        taking(75.0, architecture="2 2 2 2 2 2 2 2", pair=EDGE.name),
        taking(900.0, task="derain"),  # another network than the stages are of
    ]
    put(store, "networks-256-t1", networks)
    found = shelf.take(store, "pixel-8")
    of = shelf.sums(found, shelf.stage_table(found, EDGE), EDGE)
    # 44 teacher's blocks of 10 ms; 16 edge blocks of 4 ms; glue of 7 ms
    assert of == [("T T T T T T T T", 447.0, 700.0), ("2 2 2 2 2 2 2 2", 71.0, 75.0)]


def test_a_device_that_is_not_on_file_is_refused_with_those_that_are(tmp_path: Path):
    store = shelf_store(tmp_path)
    with pytest.raises(ValueError, match="expected one on file: none has been measured"):
        shelf.take(store, "pixel-9")
    put(store, "stages-256-t1", stages())
    with pytest.raises(ValueError, match="device is 'pixel-9'; expected one on file: pixel-8"):
        shelf.take(store, "pixel-9")


def test_own_and_committed_files_of_a_device_are_read_together_and_own_ones_hide(tmp_path: Path):
    committed = shelf_store(tmp_path / "repository")
    put(committed, "stages-256-t1", stages())
    put(committed, "imported-1", [taking(700.0)])
    store = replace(shelf_store(tmp_path / "own"), fallback=tmp_path / "repository")
    put(store, "imported-1", [taking(800.0)])
    assert shelf.devices_on_file(store) == ["pixel-8"]
    found = shelf.take(store, "pixel-8")
    assert shelf.stage_table(found, MAMBAIR).side == 256  # still there
    assert [r.p50_ms for r in found.records if r.part == "network"] == [800.0]


@pytest.mark.parametrize(("cpu", "expected"), [("Zen 9", "zen-9"), ("Xeon", "m9"), ("A 1", "a-1")])
def test_without_a_name_it_is_this_machine_else_one_that_was_measured(
    cpu, expected, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(artifacts, "cpu_model", lambda: cpu)
    store = shelf_store(tmp_path)
    with pytest.raises(FileNotFoundError, match="no device has been measured; expected one: pyth"):
        shelf.default(store)
    put(store, "imported-1", [taking(9.0)], device="a-1")
    assert shelf.default(store) == "a-1"  # there is nothing else
    for device in ("m9", "zen-9"):
        put(store, "stages-256-t1", stages(), device=device)
    assert shelf.default(store) == expected


def test_a_manifest_with_an_impossible_comparison_is_refused(tmp_path: Path):
    store = shelf_store(tmp_path)
    bad = network(EDGE.name, "2 2 2 2 2 2 2 2", 9.0, 10.0) | {"high": 0.1}
    put(store, "networks-256-t1", [taking(10.0)], [bad])
    with pytest.raises(ValueError, match=r"t1.json, comparison 1, has median=0.9; expected at mo"):
        shelf.take(store, "pixel-8")


def test_a_manifest_with_an_impossible_record_is_refused_by_file_and_field(tmp_path: Path):
    store = shelf_store(tmp_path)
    path = put(store, "stages-256-t1", stages())
    content = json.loads(path.read_text())
    content["result"]["records"][4]["p50_ms"] = -3
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"stages-256-t1.json, record 5, has p50_ms=-3; expected"):
        shelf.take(store, "pixel-8")
