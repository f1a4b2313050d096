"""Devices on file: which are there, what is read of them, and which one is taken."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from device_records import MEASURED, network, put, shelf_store, stages, taking

from ensrepro import artifacts
from ensrepro.config import PAIRS
from ensrepro.devices import shelf

MAMBAIR, EDGE = PAIRS["restormer-mambair"], PAIRS["restormer-edge"]


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
    assert any(r.part == "bottleneck" for r in found.records)  # still there
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


def test_what_is_about_a_pair_is_its_family_s_and_its_noise(tmp_path: Path):
    store = shelf_store(tmp_path)
    for family, pair in (("restormer", MAMBAIR.name), ("uformer", "uformer-mambair")):
        name = f"stages-{family}-denoise-256-t1-onnxruntime-1.20.0"
        put(store, name, stages(pair=pair), is_quiet=False)
    found = shelf.take(store, "pixel-8")
    assert len(found.noisy) == 2
    kept = shelf.about(found, "uformer-mambair", "denoise")
    assert {r.pair for r in kept.records} == {"uformer-mambair"}
    assert {row["pair"] for row in kept.comparisons} == {"uformer-mambair"}
    assert kept.noisy == ["stages-uformer-denoise-256-t1-onnxruntime-1.20.0"]
    both = shelf.about(found, EDGE.name, "denoise")
    assert {r.pair for r in both.records} == {MAMBAIR.name, EDGE.name, "restormer-stateless"}


def test_a_device_without_anything_of_a_family_is_refused(tmp_path: Path):
    store = shelf_store(tmp_path)
    put(store, "stages", stages())
    with pytest.raises(ValueError, match="'pixel-8', of which nothing of uformer-mambair was meas"):
        shelf.taken(store, "pixel-8", "uformer-mambair", "denoise")


def test_a_device_with_stages_of_the_pair_goes_before_this_machine_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(artifacts, "cpu_model", lambda: "Zen 9")
    store = shelf_store(tmp_path)
    assert shelf.first(store, "uformer-mambair", ["stages"]) == ""
    put(store, "stages", stages(), device="zen-9")
    assert shelf.first(store, "uformer-mambair", ["stages"]) == ""
    put(store, "stages", stages(pair="uformer-mambair"), device="a-1")
    assert shelf.first(store, "uformer-mambair", ["stages"]) == "a-1"
    assert shelf.first(store, MAMBAIR.name, ["stages"]) == "zen-9"
    assert shelf.first(store, MAMBAIR.name, ["networks"]) == ""


def test_networks_of_several_tasks_stay_and_stages_of_one(tmp_path: Path):
    store = shelf_store(tmp_path)
    both = [taking(9.0, source=MEASURED), taking(8.0, source=MEASURED, task="derain")]
    put(store, "networks", both)
    put(store, "stages", [replace(r, task="derain") for r in stages()])
    kept = shelf.about(shelf.take(store, "pixel-8"), MAMBAIR.name, "denoise")
    assert {(r.part == "network", r.task) for r in kept.records} == {
        (True, "denoise"),
        (True, "derain"),
        (False, "derain"),
    }
