"""Which hybrid is the chosen one: that which the pair's notebook tells, however others do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ensrepro import artifacts, pages
from ensrepro.steps import chosen, context, finetune
from ensrepro.steps.context import Context

FIRST, EDGE, UFORMER = "restormer-mambair", "restormer-edge", "uformer-mambair"


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository."""
    monkeypatch.setattr(artifacts, "repository", lambda: tmp_path)
    return tmp_path


def opened(pair: str) -> Context:
    return context.open_context("smoke", "denoise", pair=pair)


def tell(ctx: Context, notebook: str, label: object, **changed: Any) -> Path:
    """The manifest of a notebook that chose."""
    parameters = {"task": "denoise", "profile": "smoke", "pair": ctx.pair.name} | changed
    content = {"notebook": notebook, "parameters": parameters, "finished": "", "provenance": {}}
    path = ctx.store.own(artifacts.RESULTS, f"{notebook}.manifest.json")
    artifacts.write_bytes(path, json.dumps(content | {"headline": {"chosen": label}}).encode())
    return path


def tuned(ctx: Context, label: str, digest: str, after: float) -> None:
    """The manifest of a fine-tuned hybrid."""
    name = finetune.job_name(ctx, (ctx.space.labeled(label), 0))
    content = {"step": name, "identity": {}, "provenance": {}}
    content |= {"result": {"digest": digest, "after": after}}
    path = ctx.store.own(artifacts.RESULTS, f"{name}.json")
    artifacts.write_bytes(path, json.dumps(content).encode())


@pytest.mark.parametrize("pair", [FIRST, EDGE])
def test_a_better_hybrid_that_was_drawn_for_comparison_is_not_the_chosen_one(pair: str):
    ctx = opened(pair)
    tuned(ctx, "T T 2 2 2 T T T", "mine", after=30.0)
    tuned(ctx, "T T T T T 2 T T", "drawn", after=31.0)
    assert chosen.on_file(ctx) is None
    path = tell(ctx, "06_finetune", "T T 2 2 2 T T T")
    found = chosen.on_file(ctx)
    assert found == chosen.Chosen(ctx.space.labeled("T T 2 2 2 T T T"), "mine", path)
    assert found == chosen.required(ctx)


def test_each_pair_has_its_own_choice():
    for pair, label in ((FIRST, "T T 2 2 2 T T T"), (EDGE, "2 T T T T T T T")):
        tuned(opened(pair), label, pair, after=30.0)
        tell(opened(pair), "06_finetune", label)
    for pair in (FIRST, EDGE):
        assert chosen.required(opened(pair)).digest == pair


def test_of_a_uformer_the_notebook_that_sees_latencies_decides():
    ctx = opened(UFORMER)
    slow, fast = "T T 2 2 T T T T T", "1 T T T T T T T 1"
    for label in (slow, fast):
        tuned(ctx, label, label, after=30.0)
    tell(ctx, "06_finetune", slow)
    assert chosen.required(ctx).digest == slow
    tell(ctx, "10_uformer", fast)
    assert chosen.required(ctx).digest == fast


def test_a_choice_without_its_hybrid_is_none():
    ctx = opened(FIRST)
    tell(ctx, "06_finetune", "T T 2 2 2 T T T")
    assert chosen.on_file(ctx) is None


@pytest.mark.parametrize(
    ("pair", "notebook", "option"),
    [(FIRST, "06_finetune", ""), (EDGE, "14_edge", EDGE), (UFORMER, "10_uformer", UFORMER)],
)
def test_what_is_missing_is_told_with_what_makes_it(pair: str, notebook: str, option: str):
    with pytest.raises(artifacts.NotOnFileError) as caught:
        chosen.required(opened(pair))
    command = pages.command(notebook, "denoise", "smoke", pair)
    assert command.endswith(f"--pair {option}" if option else "smoke")
    assert str(caught.value) == (
        f"denoise has no chosen hybrid of {pair} in profile smoke; {command} chooses one, and "
        "trains what it needs"
    )


@pytest.mark.parametrize("changed", [{"task": "derain"}, {"pair": EDGE}, {"pair": "other"}])
def test_a_manifest_of_something_else_is_refused(changed: dict[str, str]):
    ctx = opened(FIRST)
    tell(ctx, "06_finetune", "T T 2 2 2 T T T", **changed)
    with pytest.raises(ValueError, match="is of another task, profile or pair; expected denoise"):
        chosen.on_file(ctx)


@pytest.mark.parametrize("label", ["T T", "T T 3 2 2 T T T", 5, None])
def test_a_manifest_that_names_no_architecture_is_refused(label: object):
    ctx = opened(FIRST)
    tell(ctx, "06_finetune", label)
    with pytest.raises(ValueError, match=r"06_finetune\.manifest\.json tells of no chosen arch"):
        chosen.on_file(ctx)
