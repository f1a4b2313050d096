"""The page about photos of one's own: its commands are understood, its code runs."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from onnx_networks import metadata, network
from PIL import Image as Pillow

from ensrepro import cli, evaluate, images, png, tiles
from ensrepro.export import to_onnx
from ensrepro.restoring import runtimes
from ensrepro.space import RESTORMER

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "book" / "restoring.md").read_text("utf-8")


def code(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def extension() -> ModuleType:
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        import restoring_tables
    finally:
        sys.path.pop(0)
    return restoring_tables


def test_every_command_of_the_page_and_the_readme_is_understood():
    pages = [
        *code("bash"),
        *re.findall(r"`(python -m ensrepro (?:restore|export)[^`]*)`", readme()),
    ]
    lines = [line for page in pages for line in page.splitlines() if " -m ensrepro " in line]
    assert len(lines) >= 7
    for line in lines:
        words = shlex.split(line, comments=True)[3:]
        asked = cli.parser().parse_args(words)
        assert asked.command.__name__ in ("restore_command", "export_command")


def readme() -> str:
    return (ROOT / "README.md").read_text("utf-8")


def test_the_numbers_of_the_page_are_those_of_the_code():
    assert f"{png.MAX_PIXELS:,}" in " ".join(PAGE.split())
    assert f"overlap by {tiles.OVERLAP} pixels" in PAGE
    assert "agree to 0.0001" in PAGE  # the tolerance of tests/restoring/test_runtimes.py
    number, label = re.search(r"number \(`(\d+)`\) or its label \(`\"([T\d ]+)\"`\)", PAGE).groups()
    assert RESTORMER.index(RESTORMER.labeled(label)) == int(number)
    assert runtimes.RUNTIMES == ("torch", "onnx")


@pytest.mark.parametrize("block", code("python"), ids=["onnxruntime alone", "with the library"])
def test_the_code_of_the_page_restores_as_the_library_does(block, tmp_path, monkeypatch):
    net = network((0, 1, 0, 1, 0, 1, 0, 1))
    to_onnx(net, tmp_path / "knee.onnx", metadata(net))
    values = np.random.default_rng(0).integers(0, 256, (24, 16, 3), np.uint8)
    Pillow.fromarray(values).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(block, "restoring.md", "exec"), names)
    expected = evaluate.restore(net, values)
    if "pixels" in names and "result" not in names:
        np.testing.assert_allclose(names["pixels"], expected, rtol=0, atol=1e-4)
    else:
        found = images.read(tmp_path / "restored.png").pixels
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 + 0.5 / 255)


def test_the_table_tells_the_worst_photo_and_the_mean_gain(extension):
    row = {"network": "knee", "side": 96, "n_tiles": 4}
    rows = [
        row | {"image": "a", "largest": 0.1, "between": 40.0, "gain": -0.2},
        row | {"image": "b", "largest": 0.2, "between": 50.0, "gain": 0.1},
        row | {"image": "b", "side": 128, "largest": 0.0, "between": 60.0, "gain": 0.0},
    ]
    first, second = extension.summary(rows)
    assert first == {
        "network": "knee",
        "side": 96,
        "n": 2,
        "largest": pytest.approx(51),  # 255 * 0.2
        "between": 40.0,
        "gain": pytest.approx(-0.05),
    }
    assert (second["side"], second["n"]) == (128, 1)


FORM = {"network": "teacher", "form": "int8", "mib": 2.0, "change": -0.1, "lowest": -0.2}
FORM |= {"ratio": 1.2, "low": 1.1, "high": 1.3}


def test_forms_are_named_with_what_they_cost_and_save(extension):
    under = {"resolution": "256x256", "threads": 1, "runtime": "r", "version": "1", "cpu": "c"}
    result = {"conditions": under, "is_quiet": True, "rounds": 10, "rows": [FORM]}
    told = extension.precision_text(result)
    assert "| teacher | int8 | 2.0 | -0.10 | -0.20 | 1.20 | 1.10 | 1.30 |" in told
    assert "256x256 pixels, threads 1, r 1, c" in told
    assert "not quiet" not in told
    assert "not quiet" in extension.precision_text(result | {"is_quiet": False})


def test_a_form_is_worth_while_if_it_is_faster_and_loses_next_to_nothing(extension):
    fast = FORM | {"low": 0.7, "high": 0.9}
    for row in (FORM, fast, FORM | {"lowest": -0.05}):
        assert "`export` writes none of them" in extension.verdict([row])
    assert extension.verdict([FORM, fast | {"lowest": -0.05}]).endswith("photo: teacher in int8.")
