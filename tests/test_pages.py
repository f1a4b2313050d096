"""The manifests that notebooks leave: where they are, and whose they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ensrepro import cli, pages
from ensrepro.artifacts import Store

FILE = "06_finetune.manifest.json"


def told(path: Path, **parameters: Any) -> Path:
    """A notebook's manifest."""
    content = {"notebook": "06_finetune", "finished": "", "provenance": {}, "headline": {}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | {"parameters": parameters}))
    return path


def test_the_command_is_one_that_the_command_line_understands():
    for pair, asked in (("restormer-mambair", None), ("restormer-edge", "restormer-edge")):
        words = pages.command("06_finetune", "derain", "smoke", pair).split()
        assert words[:3] == ["python", "-m", "ensrepro"]
        found = cli.parser().parse_args(words[3:])
        assert (found.notebook, found.task, found.profile) == ("06_finetune", "derain", "smoke")
        assert found.pair == asked


def test_a_manifest_is_in_the_folder_of_its_pair(tmp_path: Path):
    for suffix in ("", "-edge"):
        expected = tmp_path / "results" / "mini" / f"derain{suffix}" / FILE
        assert pages.manifest(Store("mini", "derain", tmp_path, suffix=suffix), "06_finetune") == (
            expected
        )


def test_one_s_own_run_goes_before_the_committed_one_if_it_is_of_the_same(tmp_path: Path):
    out, repository = tmp_path / "out", tmp_path / "repository"
    store = Store("mini", "denoise", out, repository)
    committed = told(repository / "results" / "mini" / "denoise" / FILE)
    assert pages.manifest(store, "06_finetune") == committed
    for other in ({"task": "derain"}, {"profile": "smoke"}, {"pair": "restormer-edge"}):
        told(out / FILE, **({"task": "denoise", "profile": "mini"} | other))
        assert pages.manifest(store, "06_finetune") == committed
    own = told(out / FILE, task="denoise", profile="mini")  # of before notebooks told their pair
    assert pages.manifest(store, "06_finetune") == own
    edge = Store("mini", "denoise", out, repository, "-edge")
    assert not pages.manifest(edge, "06_finetune").exists()
    told(own, task="denoise", profile="mini", pair="restormer-edge")
    assert pages.manifest(edge, "06_finetune") == own


@pytest.mark.parametrize("text", ["[]", "{", '{"notebook": NaN}', "{}", '{"headline": {}}'])
def test_a_file_that_is_no_notebooks_manifest_is_named(tmp_path: Path, text: str):
    path = tmp_path / FILE
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"{FILE} is not a manifest"):
        pages.read(path)
