"""A network against its teacher: read where a device has it, else timed here; and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from device_records import MEASURED, network, put, shelf_store, taking

from ensrepro import artifacts
from ensrepro.artifacts import Store
from ensrepro.config import PAIRS
from ensrepro.devices import asking, measuring, whole
from ensrepro.devices.measuring import FOLDER
from ensrepro.devices.whole import Raced
from ensrepro.timing import Conditions, Spread

EDGE = PAIRS["restormer-edge"]
SHALLOW, TEACHER = "2 2 2 2 2 2 2 2", "T T T T T T T T"
NAME = "networks-restormer-denoise-256-t1-onnxruntime-1.20.0-restormer-edge-2-2-2-2-2-2-2-2"


@pytest.mark.parametrize("is_quiet", [True, False])
def test_what_a_device_has_on_file_is_read(is_quiet, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(measuring, "get", None)  # nothing is timed
    store = shelf_store(tmp_path)
    compared = [network(EDGE.name, SHALLOW, 90.0, 450.0)]
    put(store, NAME, [taking(450.0, source=MEASURED)], compared, is_quiet=is_quiet)
    put(store, "networks-other", [taking(300.0, source=MEASURED)], [])
    found = whole.get(store, "pixel-8", EDGE, "denoise", SHALLOW, 256)
    assert (found.device, found.teacher_ms, found.is_noisy) == ("pixel-8", 450.0, not is_quiet)
    assert found.ratio == Spread(0.2, *(pytest.approx(end) for end in (0.196, 0.204)), 10)
    assert found.conditions.version == "1.20.0"
    row = found.row()
    assert (row["ratio"], row["rounds"], row["runtime"]) == (0.2, 10, "onnxruntime")


def test_the_teacher_takes_its_own_time(tmp_path: Path):
    store = shelf_store(tmp_path)
    put(store, "networks", [taking(450.0, source=MEASURED)], [])
    found = whole.get(store, "pixel-8", EDGE, "denoise", TEACHER, 256)
    assert found.ratio == Spread(1.0, 1.0, 1.0, 20)


def test_what_it_lacks_is_timed_on_this_machine_and_the_result_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(artifacts, "cpu_model", lambda: "The Abacus")
    store = Store("smoke", FOLDER, tmp_path)
    put(store, "networks", [taking(450.0, source=MEASURED, task="derain")], [])
    found = whole.get(store, "pixel-8", EDGE, "denoise", SHALLOW, 16)
    assert (found.device, found.conditions.cpu) == ("the-abacus", "The Abacus")
    assert found.ratio.n == asking.SMOKE_EFFORT.rounds
    assert found.ratio.low <= found.ratio.median <= found.ratio.high
    again = whole.get(store, "the-abacus", EDGE, "denoise", SHALLOW, 16)
    assert again == found  # and not timed twice


def test_an_architecture_that_is_none_is_refused_before_anything_is_timed(tmp_path: Path):
    store = shelf_store(tmp_path)
    put(store, "networks", [taking(450.0, source=MEASURED)], [])
    with pytest.raises(ValueError, match="label is 'T T'; expected 8 words"):
        whole.get(store, "pixel-8", EDGE, "denoise", "T T", 256)


@pytest.mark.parametrize(
    ("spread", "ends"),
    [
        (
            Spread(0.5, 0.4, 0.6, 10),
            "(0.40 to 0.60, 10 rounds in alternation), which is **faster**",
        ),
        (Spread(2.0, 1.9, 2.1, 10), "which is **slower**"),
        (Spread(0.98, 0.9, 1.1, 10), "neither faster nor slower beyond that range"),
        (Spread(0.5, 0.4, 0.6, 9), "9 rounds in alternation), too few rounds for a verdict"),
    ],
)
def test_the_finding_says_what_the_range_says(spread: Spread, ends: str):
    under = Conditions("256x256", "float32", 1, "onnxruntime", "1.20.0", "Zen")
    assert Raced("zen", under, spread, 100.0, False).finding().endswith(ends)
