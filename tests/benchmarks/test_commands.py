"""The commands `data` and `evaluate`: what they print, and when they fail."""

from __future__ import annotations

import argparse
import subprocess
import sys
import zipfile

import pytest
import torch
from benchmark_folders import build, folder

from ensrepro.benchmarks import catalog, commands, subjects

pytestmark = pytest.mark.usefixtures("one_thread")


def call(*arguments: object) -> None:
    top = argparse.ArgumentParser()
    commands.add(top.add_subparsers(required=True))
    parsed = top.parse_args([str(argument) for argument in arguments])
    parsed.command(parsed)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Test100 with two images, under its own name."""
    small = build(folder("test100"), tmp_path / "data")
    monkeypatch.setattr(catalog, "BENCHMARKS", {**catalog.BENCHMARKS, "test100": small})
    return tmp_path / "data"


def test_every_benchmark_is_listed(capsys):
    call("data", "list")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(catalog.BENCHMARKS)
    assert "98 images" in next(line for line in lines if line.startswith("test100"))


def test_a_check_fails_unless_the_set_is_complete(tiny, capsys):
    call("data", "check", "test100", tiny, "--decode")
    assert "\ncomplete\n" in capsys.readouterr().out
    (tiny / "Datasets/test/Test100/input/2.png").unlink()
    with pytest.raises(ValueError, match=r"test100 in .* is not complete"):
        call("data", "check", "test100", tiny)
    assert "extra: target/2.png has no input" in capsys.readouterr().out


def test_an_archive_is_unpacked(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("input/1.png", b"one")
    call("data", "unpack", tmp_path / "a.zip", tmp_path / "new")
    assert (tmp_path / "new/input/1.png").read_bytes() == b"one"
    assert capsys.readouterr().out.startswith("1 files in ")


def test_the_input_itself_is_evaluated_when_no_network_is_named(tiny, tmp_path, capsys):
    call("evaluate", "test100", tiny, "--out", tmp_path / "out", "--quiet")
    assert "| Test100 | input | all | 2 |" in capsys.readouterr().out
    assert (tmp_path / "out/input-none/test100.json").is_file()


def test_a_profile_of_another_task_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(ValueError, match="gopro is a benchmark of the task deblur"):
        call("evaluate", "gopro", tmp_path / "absent", "--profile", "mini", "--task", "denoise")


@pytest.mark.parametrize("device", ["cuda", "gpu"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_read(
    tmp_path, monkeypatch, device
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"device is '{device}'; .* expected cpu"):
        call("evaluate", "test100", tmp_path / "absent", "--device", device)


def test_a_uformer_is_evaluated_with_its_image_size(tiny, tmp_path, capsys, uformer_file):
    size = ("--image-size", "128")
    call("evaluate", "test100", tiny, "--weights", uformer_file, *size, "--out", tmp_path / "out")
    assert "| Test100 | uformer.pth | all | 2 |" in capsys.readouterr().out


def test_an_image_size_is_refused_where_no_uformer_is_asked_for(tiny, restormer_file):
    size = ("--image-size", "256")
    with pytest.raises(ValueError, match=r"image size is 256; .*deraining\.pth is no Uformer"):
        call("evaluate", "test100", tiny, "--weights", restormer_file, *size)
    for what in ([], ["--profile", "mini"]):
        with pytest.raises(ValueError, match="image size is 256; expected none without --weights"):
            call("evaluate", "test100", tiny, *what, *size)


def test_weights_and_a_profile_exclude_one_another(tmp_path, capsys):
    with pytest.raises(SystemExit):
        call("evaluate", "gopro", tmp_path, "--weights", "a.pth", "--profile", "mini")
    assert "not allowed with" in capsys.readouterr().err


def test_the_teacher_of_another_pair_is_evaluated_if_there_is_one(tmp_path):
    asked = ("evaluate", "test100", tmp_path, "--pair", "uformer-mambair")
    with pytest.raises(ValueError, match="pair is uformer-mambair; expected none without"):
        call(*asked)
    with pytest.raises(
        FileNotFoundError,
        match=r"derain-uformer.* expected a trained teacher of uformer-mambair for derain; in",
    ):
        call(*asked, "--profile", "smoke")


def test_pairs_that_share_a_teacher_are_one_subject():
    first = subjects.from_profile("denoise", "mini")
    edge = subjects.from_profile("denoise", "mini", pair="restormer-edge")
    assert (edge.name, edge.folder) == (first.name, first.folder)


def test_a_misspelt_benchmark_is_refused_before_a_network_library_is_loaded():
    code = (
        "import sys\nfrom ensrepro import cli\n"
        "print(cli.main(['evaluate', 'gopor', '.']), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1 False\n"
    assert "benchmark is 'gopor'; expected one of gopro" in done.stderr
