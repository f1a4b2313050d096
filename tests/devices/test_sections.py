"""What notebook 9 says of a device that lacks something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from device_records import network, put, shelf_store, stages, taking

from ensrepro import artifacts
from ensrepro.config import PAIRS
from ensrepro.devices import sections, shelf

MAMBAIR, EDGE = PAIRS["restormer-mambair"], PAIRS["restormer-edge"]
DEEP = "4 6 6 8 6 6 4 4"


def of(store_at: Path, **manifests: tuple) -> shelf.Shelf:
    store = shelf_store(store_at)
    for name, content in manifests.items():
        put(store, name, *content)
    return shelf.take(store, "pixel-8")


def test_a_phone_with_whole_networks_lacks_all_else(tmp_path: Path):
    found = of(tmp_path, networks=([taking(9.0, threads=None), taking(8.0, threads=None)],))
    told = sections.missing(found, MAMBAIR, 1)
    assert told == {
        "blocks": "pixel-8 has no single blocks on 1 threads; `python -m ensrepro measure "
        "--threads 1 --what blocks`, run on it, measures them.",
        "stages": "pixel-8 has no stages on 1 threads; `python -m ensrepro measure "
        "--threads 1 --what stages`, run on it, measures them.",
        "networks": "pixel-8 has no networks on 1 threads that took turns with their teacher; "
        "`python -m ensrepro measure --threads 1 --what networks`, run on it, measures them.",
    }
    assert sections.described(found, 1) == (
        "It has nothing on 1 threads; threads on file: unknown."
    )
    assert sections.circumstances(found, 1) == {
        "device": "Pixel 8", "runtime": "unknown", "threads": 1, "noisy": []
    }  # fmt: skip


def test_what_is_there_is_not_missing(tmp_path: Path):
    compared = [network(MAMBAIR.name, DEEP, 900.0, 450.0)]
    found = of(tmp_path, stages=(stages(),), networks=([taking(450.0)], compared))
    told = sections.missing(found, MAMBAIR, 1)
    assert (told["stages"], told["networks"]) == ("", "")
    assert told["blocks"].startswith("pixel-8 has no single blocks")
    assert "onnxruntime 1.20.0, float32, threads 1" in sections.described(found, 1)
    assert sections.circumstances(found, 1)["runtime"] == "onnxruntime 1.20.0"


def test_stages_of_which_one_is_missing_are_no_table(tmp_path: Path):
    lacking = [r for r in stages() if (r.pair, r.part) != (EDGE.name, "bottleneck")]
    found = of(tmp_path, stages=(lacking,))
    assert sections.missing(found, MAMBAIR, 1)["stages"] == ""
    told = sections.missing(found, EDGE, 1)["stages"]
    assert "has no latency of bottleneck 8 of restormer-edge; `python -m ensrepro measure" in told
    assert "measure --threads 1 --pair restormer-edge --what stages`" in told


@pytest.mark.parametrize(("cpu", "is_own"), [("Pixel 8", True), ("Xeon", False)])
def test_it_says_whether_the_device_is_this_machine(cpu, is_own, tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "cpu_model", lambda: cpu)
    told = sections.origin(of(tmp_path, networks=([taking(9.0)],)))
    assert told.startswith("Device: `pixel-8`")
    assert ("**not** the machine that this notebook ran on, `xeon`" in told) is not is_own


def test_a_busy_machine_is_told_where_it_concerns_the_threads(tmp_path: Path):
    store = shelf_store(tmp_path)
    name = "stages-restormer-denoise-256-t1-onnxruntime-1.20.0"
    put(store, name, stages(), is_quiet=False)
    put(store, name.replace("t1", "t2"), [replace(one, threads=2) for one in stages()])
    found = shelf.take(store, "pixel-8")
    assert f"**The machine was not quiet** for {name}" in sections.described(found, 1)
    assert "No series is marked as taken on a busy machine" in sections.described(found, 2)
    assert sections.circumstances(found, 1)["noisy"] == [name]
    assert sections.circumstances(found, 2)["noisy"] == []
