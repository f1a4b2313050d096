"""One search by two command lines: the coordinator finds what it would find alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ensrepro import cli, pipeline, sharing

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_shared_search_is_the_one_that_a_single_process_makes(tmp_path: Path, capsys):
    """Asked again it is read from file; a worker that misspells its name is told this one."""
    out, storage = str(tmp_path / "out"), f"sqlite:///{tmp_path}/queue.db"
    asked = {"task": "denoise", "profile": "smoke", "out": out}
    shared = sharing.coordinate(storage, **asked, sampler="random", n_trials=4, seed=1)
    name = "search-random-4-blocks-s1"
    assert f"{name} may be joined" in capsys.readouterr().out
    alone = pipeline.start("test", task="denoise", profile="smoke", seed=1, out=out)
    assert alone.search("random", 4) == shared

    common = ["--task", "denoise", "--profile", "smoke", "--storage", storage, "--out", out]
    again = ["search", *common, "--sampler", "random", "--n-trials", "4", "--seed", "1"]
    assert cli.main(again) == cli.DONE
    assert "is on file; there is nothing to share" in capsys.readouterr().out
    assert cli.main(["work", "serach", *common]) == cli.FAILED
    assert f"'{name}'" in capsys.readouterr().err
