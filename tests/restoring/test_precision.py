"""What is measured of fewer bits: float32 is its own reference, other forms are held against it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ensrepro import artifacts
from ensrepro.models.hybrid import build
from ensrepro.restoring import precision
from ensrepro.restoring.networks import Trained
from ensrepro.steps import context

pytestmark = pytest.mark.usefixtures("one_thread")
TWO = {form: precision.FORMS[form] for form in ("float32", "float16")}


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    """A network of surrogates with random weights, in place of a trained one."""
    ctx = context.open_context("smoke", "denoise", tmp_path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build(ctx.space.cheapest, ctx.shape, ctx.space).eval()
    context.round_to_half(net)
    return Trained(ctx, ctx.space.cheapest, net, "random")


def test_a_row_tells_what_a_form_costs_and_saves(trained, monkeypatch):
    monkeypatch.setattr(precision, "FORMS", TWO)
    monkeypatch.setattr(precision, "SIDE", 32)
    monkeypatch.setattr(precision, "ROUNDS", 2)
    result, _ = precision.make(trained.ctx, {"a name": trained}, width_of="smoke")
    whole, half = result.rows
    assert (whole["form"], whole["change"], whole["lowest"], whole["ratio"]) == ("float32", 0, 0, 1)
    assert (half["network"], half["form"]) == ("a name", "float16")
    assert half["architecture"] == "2 2 2 2 2 2 2 2"
    assert half["lowest"] <= half["change"]
    assert 0 < abs(half["change"]) < 0.01  # float16 moves a value in [0, 1] by some 0.001
    assert (result.rounds, result.conditions["resolution"]) == (2, "32x32")


def test_nothing_is_measured_unasked(checkout):
    before = sorted(checkout.rglob("*"))
    with pytest.raises(FileNotFoundError):
        precision.get("denoise", "smoke")
    assert sorted(checkout.rglob("*")) == before


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match="task is 'deblue'; expected one of denoise"):
        precision.get("deblue")


def test_the_committed_rows_are_of_the_committed_networks(monkeypatch):
    monkeypatch.setattr(precision, "make", None)
    root = artifacts.checkout()
    monkeypatch.setattr(artifacts, "repository", lambda: root)
    rows = precision.get("denoise", "mini").rows
    assert {row["network"] for row in rows} == set(precision.NETWORKS)
    assert {row["form"] for row in rows} == set(precision.FORMS)
