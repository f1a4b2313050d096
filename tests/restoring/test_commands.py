"""`restore` and `export` on the command line: one file or one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from ensrepro import cli, evaluate, images
from ensrepro.export import read_metadata
from ensrepro.restoring import networks
from ensrepro.steps import context

pytestmark = pytest.mark.usefixtures("one_thread")

VALUES = np.random.default_rng(0).integers(0, 256, (11, 13, 3), np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Pillow.fromarray(VALUES).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def run(*words: object) -> int:
    return cli.main([*map(str, words), "--profile", "smoke"])


@pytest.mark.parametrize("place", [["-o"], ["--output"], []])
def test_a_photo_is_restored_and_the_plan_told_on_standard_error(place, checkout, photo, capsys):
    target = photo.with_name("out.png")
    assert run("restore", photo, *place, target) == 0
    net = networks.get(task="denoise", profile="smoke").net
    expected = np.rint(evaluate.restore(net, VALUES) * 255).astype(np.uint8)
    np.testing.assert_array_equal(images.read(target).values, expected)
    told = capsys.readouterr()
    assert told.out == f"{target}\n"
    assert told.err.startswith(
        "11 x 13 pixels, 1 tile, teacher of denoise (smoke), torch, 1 thread,"
    )


def test_quiet_says_only_where_the_result_is(checkout, photo, capsys):
    target = photo.with_name("out.png")
    assert run("restore", photo, target, "--quiet", "--arch", 2844, "--tile", 72) == 0
    assert capsys.readouterr() == (f"{target}\n", "")


def test_what_export_writes_says_what_was_asked_for_and_restores(checkout, photo, tmp_path, capsys):
    target = tmp_path / "net.onnx"
    assert run("export", target, "--arch", "T T 2 2 2 T T T") == 0
    net = networks.get("2844", task="denoise", profile="smoke").net
    said = read_metadata(target)
    assert (said.task, said.profile, said.architecture) == ("denoise", "smoke", "T T 2 2 2 T T T")
    assert said.digest == context.digest(net)
    assert run("restore", photo, "-o", tmp_path / "a.png", "--arch", target) == 0
    assert (
        run("restore", photo, "-o", tmp_path / "b.png", "--arch", "2844", "--runtime", "onnx") == 0
    )
    a, b = (images.read(tmp_path / name).values for name in ("a.png", "b.png"))
    np.testing.assert_array_equal(a, b)
    capsys.readouterr()
    assert run("export", target) == 1
    assert "net.onnx exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["more.png", "-o", "out.png"], "2 files to write are given; expected one, by -o FILE.png"),
        ([], "0 files to write are given"),
        (["-o", "out.jpg"], "out.jpg does not end in .png; only PNG is written"),
        (["-o", "photo.png"], "photo.png exists"),
        (["-o", "new/out.png"], "new is no folder"),
        (["-o", "out.png", "--tile", "100"], "tile is 100 pixels; expected a multiple of 8, at l"),
        (["-o", "out.png", "--threads", "0"], "threads is 0; expected at least 1"),
        (["-o", "out.png", "--arch", "77"], "arch is '77'; expected what denoise has on file"),
        (
            ["-o", "out.png", "--task", "derain"],
            "expected a trained teacher of restormer-mambair for derain",
        ),
        (["-o", "out.png", "--task", "defocus_dual"], "give the right one with --right"),
        (["-o", "out.png", "--right", "photo.png"], "right is photo.png; expected none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_told_in_one_sentence(
    words, told, checkout, photo, monkeypatch, capsys
):
    monkeypatch.chdir(photo.parent)
    assert run("restore", "photo.png", *words, "--quiet") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ensrepro: {told}") or told in line
    assert [path.name for path in photo.parent.iterdir()] == ["photo.png"]


def test_the_target_is_looked_at_before_a_network_is_loaded(photo, monkeypatch, capsys):
    monkeypatch.setattr(networks, "get", None)
    assert run("restore", photo, "-o", photo) == 1
    assert "photo.png exists" in capsys.readouterr().err
