"""Found architectures are those that the pair's notebook tells, and whose hybrid is on file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ensrepro import artifacts
from ensrepro.artifacts import Store
from ensrepro.config import PAIRS, PROFILES, TASKS
from ensrepro.devices import found
from ensrepro.devices.found import Found
from ensrepro.devices.subjects import family
from ensrepro.steps import finetune
from ensrepro.steps.context import Context

FIRST, EDGE, UFORMER = "restormer-mambair", "restormer-edge", "uformer-mambair"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Of devices, in an empty repository."""
    return Store("smoke", "device", tmp_path)


def choose(store: Store, notebook: str, task: str, pair: str, label: str) -> None:
    """The manifests of a notebook that chose, and of the hybrid that it chose."""
    own = replace(store, task=task, suffix=PAIRS[pair].suffix)
    parameters = {"task": task, "profile": "smoke", "pair": pair}
    content = {"notebook": notebook, "parameters": parameters, "finished": "", "provenance": {}}
    content |= {"headline": {"chosen": label}}
    page = own.own(artifacts.RESULTS, f"{notebook}.manifest.json")
    artifacts.write_bytes(page, json.dumps(content).encode())
    ctx = Context(PROFILES["smoke"], TASKS[task], PAIRS[pair], own)
    name = finetune.job_name(ctx, (ctx.space.labeled(label), 0))
    made = {"step": name, "identity": {}, "provenance": {}, "result": {"digest": "0", "after": 1}}
    artifacts.write_bytes(own.own(artifacts.RESULTS, f"{name}.json"), json.dumps(made).encode())


def test_nothing_is_found_where_nothing_was_chosen(store: Store):
    assert found.on_file(store) == []


def test_each_pair_s_own_notebook_tells(store: Store):
    choose(store, "06_finetune", "derain", FIRST, "T T 4 2 6 T T T")
    choose(store, "06_finetune", "denoise", EDGE, "T T 4 2 6 T T 2")
    choose(store, "14_edge", "denoise", EDGE, "T T 6 2 2 T 4 T")  # which knows of the cheap end
    choose(store, "10_uformer", "denoise", UFORMER, "1 T T 4 2 T T T 1")
    restormers = [
        Found(FIRST, "derain", "T T 4 2 6 T T T"),
        Found(EDGE, "denoise", "T T 6 2 2 T 4 T"),
    ]
    uformers = [Found(UFORMER, "denoise", "1 T T 4 2 T T T 1")]
    assert sorted(found.on_file(store), key=str) == sorted([*restormers, *uformers], key=str)
    assert found.on_file(store, family(EDGE).pairs) == restormers


def test_a_committed_choice_is_found_from_a_folder_of_one_s_own(store: Store, tmp_path: Path):
    choose(store, "06_finetune", "denoise", FIRST, "T T 4 2 6 T T T")
    own = replace(store, root=tmp_path / "own", fallback=tmp_path)
    assert found.on_file(own) == [Found(FIRST, "denoise", "T T 4 2 6 T T T")]


def test_uformer_takes_no_two_views():
    dual = TASKS["defocus_dual"]
    assert found.takes(PROFILES["smoke"], dual, PAIRS[FIRST])
    assert not found.takes(PROFILES["smoke"], dual, PAIRS[UFORMER])
