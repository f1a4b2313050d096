"""The front door: what `make` offers, refuses and passes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from test_notebooks import NOTEBOOKS

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def call(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository, not as a part of the make that may have called pytest."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        command, cwd=ROOT, env=inherited | environment, capture_output=True, text=True, check=False
    )


def test_make_alone_lists_every_target():
    done = call("make")
    assert done.returncode == 0
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = makefile.split(".PHONY:")[1].splitlines()[0].split()
    assert listed == set(phony)
    assert {"setup", "book", "site", "test", "run", "reproduce", "bench", "lint"} <= listed


@pytest.mark.parametrize("assignment", ["TSAK=denoise", "PROFLE=smoke", "task=denoise"])
def test_a_misspelt_variable_is_refused(assignment: str):
    done = call("make", "help", "NB=04_search", assignment)
    assert done.returncode == 2
    assert f"unknown variable {assignment.split('=')[0]}: expected PYTHON" in done.stderr


@pytest.mark.parametrize("target", ["book", "site"])
@pytest.mark.parametrize("asked", ["PROFILE=smoke", "TASK=derain"])
def test_a_site_of_other_results_is_refused_before_anything_is_done(
    target: str, asked: str, tmp_path: Path
):
    done = call("make", target, f"VENV={tmp_path / 'venv'}", asked)
    assert done.returncode == 2
    assert asked in done.stderr
    assert "the site shows TASK=denoise PROFILE=mini only" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "venv").exists()


def test_the_results_that_a_site_is_refused_for_are_not_those_it_shows():
    sphinx = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["sphinx"]["config"]
    lines = (ROOT / "Makefile").read_text("utf-8").splitlines()
    assert f"SHOWN := {sphinx['ensrepro_task']} {sphinx['ensrepro_profile']}" in lines
    for target in ("book", "site"):
        done = call("make", "--dry-run", target, "PROFILE=mini", "TASK=denoise")
        assert done.returncode == 0, done.stderr
        assert "jupyter-book" in done.stdout


def test_variables_of_the_environment_are_no_mistake():
    assert call("make", "help", TSAK="denoise").returncode == 0


def test_run_passes_on_what_was_asked(tmp_path: Path):
    # A set-up that is already there and only says how it was called.
    program = tmp_path / "bin" / "python"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    program.chmod(0o755)
    (tmp_path / ".ready").touch()
    asked = ["NB=04_search", "TASK=denoise", "PROFILE=smoke", "ARGS=-p seed 3"]
    done = call("make", "--silent", "run", f"VENV={tmp_path}", *asked)
    assert done.returncode == 0, done.stderr
    expected = "-m|ensrepro|run|04_search|--task|denoise|--profile|smoke|-p|seed|3|"
    assert done.stdout == expected
    refused = call("make", "--silent", "run", f"VENV={tmp_path}")
    assert refused.returncode == 2
    assert "make run needs NB=name" in refused.stderr


def test_book_runs_exactly_the_notebooks_that_are_its_chapters():
    chapters = (ROOT / "_toc.yml").read_text("utf-8").split()
    lines = (ROOT / "Makefile").read_text("utf-8").splitlines()
    listed = next(line for line in lines if line.startswith("NOTEBOOKS :="))
    assert listed.split()[2:] == [name for name in NOTEBOOKS if f"notebooks/{name}" in chapters]


def setup(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    usual = {
        "PYTHON": "",
        "VENV": str(tmp_path / "venv"),
        "TORCH": "cpu",
        "TORCH_INDEX_URL": "http://localhost:9/",
    }
    return call("sh", "requirements/setup.sh", **(usual | settings))


def test_setup_refuses_an_older_python(tmp_path: Path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\ncase "$2" in *sys.exit*) exit 1 ;; *) echo 3.9.6 ;; esac\n')
    old.chmod(0o755)
    done = setup(tmp_path, PYTHON=str(old))
    assert done.returncode == 1
    assert done.stderr.strip() == f"ensrepro needs Python 3.11 or newer; PYTHON={old} is 3.9.6"
    assert not (tmp_path / "venv").exists()


def test_setup_refuses_a_python_that_is_not_there(tmp_path: Path):
    done = setup(tmp_path, PYTHON="python2.99")
    assert done.returncode == 1
    assert "PYTHON=python2.99 is not there" in done.stderr


def test_setup_refuses_an_unknown_kind_of_torch(tmp_path: Path):
    done = setup(tmp_path, TORCH="gpu")
    assert done.returncode == 2
    assert "TORCH is 'gpu'; expected cpu" in done.stderr


def test_continuous_integration_calls_make_test_and_nothing_else():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = [line for line in script.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert lines == ["set -eu", 'cd "$(dirname "$0")/.."', "exec make test"]
