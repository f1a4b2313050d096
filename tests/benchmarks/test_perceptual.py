"""LPIPS: missing with a reason and a remedy, or there; never fetched unasked."""

from __future__ import annotations

import argparse
import re
import sys
import types
from pathlib import Path

import pytest
import torch
from benchmark_folders import build, folder
from packaging.requirements import Requirement
from torch import nn

from ensrepro.benchmarks import (
    catalog,
    checking,
    commands,
    evaluation,
    perceptual,
    reports,
    subjects,
)

pytestmark = pytest.mark.usefixtures("one_thread")
ROOT = Path(__file__).resolve().parents[2]
CPU_INDEX = "--index-url https://download.pytorch.org/whl/cpu"


def inspected(one, root: Path):
    return checking.inspect(build(one, root), root)


def test_lpips_is_missing_with_the_reason_when_its_package_is(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)  # importing it raises ImportError
    found = inspected(folder("dpdd"), tmp_path)
    absent = perceptual.alexnet()
    same = subjects.unchanged("defocus")
    result = evaluation.run(same, found, tmp_path / "out", perceptual=absent)
    assert [row["lpips"] for row in result.rows] == [None] * 3
    assert result.groups[0]["mae"] > 0
    table = reports.markdown([result])
    assert "| n/a |" in table
    assert "no lpips, lpips is not installed; try pip install torch==" in table


def test_a_torchvision_of_another_build_is_told_as_the_reason(tmp_path, monkeypatch):
    """PyPI's torchvision beside the CPU build of torch raises RuntimeError when imported."""
    (tmp_path / "lpips.py").write_text("")
    (tmp_path / "torchvision.py").write_text('raise RuntimeError("operator nms does not exist")')
    for name in ("lpips", "torchvision"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(torch, "__version__", "2.13.0+cpu")
    absent = perceptual.alexnet()
    assert absent.distance is None
    assert f"pip uninstall torchvision, then pip install torch==2.13.0 torchvision {CPU_INDEX}" in (
        absent.reason
    )
    assert f"torchvision does not fit torch {torch.__version__}: operator nms" in absent.reason
    monkeypatch.delitem(sys.modules, "lpips")


def fake_packages(monkeypatch, tmp_path, built: list[bool]) -> None:
    """Packages lpips and torchvision that only tell whether a network is built."""

    class Lpips(nn.Module):
        def __init__(self, net, verbose):
            super().__init__()
            built.append(net == "alex")

        def forward(self, x, y, normalize):
            assert normalize
            assert x.min() >= 0
            return (x - y).abs().mean() * 2

    url = types.SimpleNamespace(url="https://example.org/models/alexnet-0123.pth")
    weights = types.SimpleNamespace(IMAGENET1K_V1=url)
    models = types.SimpleNamespace(AlexNet_Weights=weights)
    vision = types.SimpleNamespace(models=models)
    monkeypatch.setitem(sys.modules, "lpips", types.SimpleNamespace(LPIPS=Lpips))
    monkeypatch.setitem(sys.modules, "torchvision", vision)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))


def test_lpips_fetches_nothing_unasked(tmp_path, monkeypatch):
    built: list[bool] = []
    fake_packages(monkeypatch, tmp_path, built)
    absent = perceptual.alexnet()
    assert absent.distance is None
    assert "alexnet-0123.pth is not in checkpoints; allow its download" in absent.reason
    assert built == []
    assert perceptual.alexnet(download=True).distance is not None
    assert built == [True]


def test_lpips_gets_clipped_floats_in_zero_to_one_once_its_weights_are_there(tmp_path, monkeypatch):
    built: list[bool] = []
    fake_packages(monkeypatch, tmp_path, built)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/alexnet-0123.pth").write_bytes(b"weights")
    found = inspected(folder("dpdd"), tmp_path / "data")
    same, there = subjects.unchanged("defocus"), perceptual.alexnet()
    result = evaluation.run(same, found, tmp_path / "out", perceptual=there)
    assert result.reasons.keys() == {"groups"}  # there are no label files here
    for row in result.rows:
        assert row["lpips"] == pytest.approx(2 * row["mae"], rel=1e-4)


# ---------------------------------------------------------------- with and without it


def test_lpips_may_be_added_later(tmp_path, monkeypatch):
    """The note below the table tells how; the same command must not be refused then."""
    found, out = inspected(folder("dpdd"), tmp_path / "data"), tmp_path / "out"
    same = subjects.unchanged("defocus")
    monkeypatch.setitem(sys.modules, "lpips", None)
    before = evaluation.run(same, found, out, perceptual=perceptual.alexnet())
    fake_packages(monkeypatch, tmp_path, [])
    there = perceptual.alexnet(download=True)
    after = evaluation.run(same, found, out, perceptual=there)
    assert after.groups[0]["lpips"] > 0
    assert before.groups[0]["lpips"] is None
    assert evaluation.run(same, found, out, perceptual=there) == after
    assert {path.name for path in out.iterdir()} == {
        *("dpdd.json", "dpdd.jsonl", "dpdd-lpips.json", "dpdd-lpips.jsonl")
    }


def test_nothing_is_fetched_for_a_set_that_is_not_complete(tmp_path, monkeypatch):
    built: list[bool] = []
    fake_packages(monkeypatch, tmp_path, built)
    one = folder("dpdd")
    monkeypatch.setattr(
        catalog, "BENCHMARKS", {**catalog.BENCHMARKS, "dpdd": build(one, tmp_path / "data")}
    )
    (tmp_path / "data" / one.images[0][1]).unlink()
    top = argparse.ArgumentParser()
    commands.add(top.add_subparsers(required=True))
    asked = ["evaluate", "dpdd", str(tmp_path / "data"), "--download", "--quiet"]
    parsed = top.parse_args([*asked, "--out", str(tmp_path / "out")])
    with pytest.raises(ValueError, match=r"dpdd in .* is not complete"):
        parsed.command(parsed)
    assert built == []


# ---------------------------------------------------------------- how to get it


def test_torchvision_comes_from_where_torch_came_from():
    """PyPI's does not fit another build, and a newer one would replace the torch that is there."""
    for version, index in {
        "2.13.0+cpu": f" {CPU_INDEX}",
        "2.13.0+cu130": f" {CPU_INDEX[:-3]}cu130",
        "2.13.0": "",
        "2.13.0a0+git9f3": "",  # built by hand: no index has it
    }.items():
        public = version.partition("+")[0]
        first, second = perceptual.install(version)
        assert first == f"pip install torch=={public} torchvision{index}"
        assert second == "pip install 'ensrepro[lpips]'"


def test_the_book_gives_the_commands_for_the_torch_that_is_pinned():
    lines = (ROOT / "requirements/library.txt").read_text("utf-8").splitlines()
    pins = [Requirement(line) for line in lines if re.match(r"torch\b", line)]
    (version,) = [specifier.version for specifier in pins[0].specifier]
    page = (ROOT / "book/real_benchmarks.md").read_text("utf-8").splitlines()
    first, second = perceptual.install(f"{version}+cpu")
    assert page.index(second) == page.index(first) + 1
