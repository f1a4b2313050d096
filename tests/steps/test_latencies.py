"""Latencies of a pair: measured once, summed by stage; and the knee that they choose."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ensrepro import artifacts, costs
from ensrepro.artifacts import Store
from ensrepro.config import PAIRS, PROFILES, TASKS
from ensrepro.costs import GLUE
from ensrepro.space import RESTORMER, penalty
from ensrepro.steps import knee, latencies
from ensrepro.steps.context import Context
from ensrepro.steps.search import SearchSummary

pytestmark = pytest.mark.usefixtures("one_thread")


def context_in(root: Path, profile: str = "smoke", pair: str = "restormer-mambair") -> Context:
    chosen = PAIRS[pair]
    store = Store(profile, "denoise", root, suffix=chosen.suffix)
    fitted = PROFILES[profile].fitted(chosen.multiple)
    return Context(fitted, TASKS["denoise"], chosen, store)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    ctx = context_in(tmp_path_factory.mktemp("latencies"))
    return SimpleNamespace(ctx=ctx, timed=latencies.get(ctx))


def test_a_latency_is_the_sum_of_its_stages_and_what_is_between_them(made):
    rows = {(row["stage"], row["choice"]): row["latency_ms"] for row in made.timed.result.costs}
    assert len(rows) == 1 + sum(RESTORMER.n_choices)
    assert made.timed.every.shape == (RESTORMER.n_architectures,)
    for architecture in (RESTORMER.teacher, RESTORMER.cheapest, (1, 0, 2, 3, 0, 1, 2, 0)):
        stages = zip(RESTORMER.stages, architecture, strict=True)
        expected = rows[GLUE, 0] + sum(rows[stage.name, choice] for stage, choice in stages)
        assert made.timed.of(made.ctx, architecture) == pytest.approx(expected)


def test_whole_networks_tell_how_far_the_sums_are_off(made):
    networks = made.timed.result.networks
    assert len(networks) == latencies.N_IN_SMOKE
    for row in networks:
        assert row["sum_ms"] == made.timed.every[row["number"]]
    shares = sorted(abs(row["sum_ms"] - row["latency_ms"]) / row["latency_ms"] for row in networks)
    assert made.timed.sum_error == pytest.approx(np.median(shares))


def test_nothing_is_measured_twice(made, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(costs, "measure", None)
    again = latencies.get(made.ctx)
    assert again.result == made.timed.result
    assert np.array_equal(again.every, made.timed.every)


def test_latencies_of_another_setting_are_refused(made, tmp_path: Path):
    ctx = context_in(tmp_path)
    content = artifacts.read_json(made.ctx.store.manifest("latencies"))
    content["identity"]["side"] = 512
    artifacts.write_bytes(ctx.store.manifest("latencies"), json.dumps(content).encode())
    with pytest.raises(ValueError, match=r"latencies\.json was made with side=512, expected 8"):
        latencies.get(ctx)


@pytest.mark.parametrize("pair", ["restormer-mambair", "uformer-mambair"])
def test_networks_are_timed_at_the_papers_width_but_in_smoke(tmp_path: Path, pair: str):
    large = latencies.setting(context_in(tmp_path, "mini", pair))
    assert large.shape.width == min(PROFILES["paper"].width, PAIRS[pair].widest)
    assert large.shape.mambair == PROFILES["paper"].mambair
    small = latencies.setting(context_in(tmp_path, "smoke", pair))
    assert (small.shape.width, small.side) == (8, PAIRS[pair].multiple)
    assert (large.side, large.threads) == (256, 1)


# ---- the knee that latency chooses --------------------------------------------------------------

# (architecture, drop in dB, latency in ms); the teacher first, the cheapest second
POINTS = (
    (RESTORMER.teacher, 0.0, 100.0),
    (RESTORMER.cheapest, 2.0, 60.0),
    ((1, 0, 0, 0, 0, 0, 0, 0), 0.1, 120.0),  # slower than the teacher
    ((0, 3, 0, 0, 0, 0, 0, 0), 0.2, 70.0),  # the knee of drop and latency
    ((0, 0, 3, 0, 0, 0, 0, 0), 0.1, 95.0),
    ((0, 0, 0, 4, 0, 0, 0, 0), 0.9, 90.0),  # dominated by the knee
)


def searched(points: tuple = POINTS, **changed: object) -> SearchSummary:
    n = len(points)
    values = {
        "sampler": "exact-ehvi",
        "n_trials": n,
        "seed": 0,
        "penalty_table": "blocks",
        "architectures": [RESTORMER.index(architecture) for architecture, _, _ in points],
        "psnr": [30.0 - drop for _, drop, _ in points],
        "ssim": [0.9] * n,
        "penalty": [penalty(architecture) for architecture, _, _ in points],
        "latency_ms": [latency for _, _, latency in points],
        "latency_budget_ms": None,
        "allowed": [True] * n,
        "hypervolume": [0.0] * n,
        "front": list(range(n)),
        "n_unique": n,
    }
    return SearchSummary(**(values | changed))


def asked(tmp_path: Path, n: int = 5) -> Context:
    ctx = context_in(tmp_path)
    return replace(ctx, profile=replace(ctx.profile, n_candidates=n))


def test_the_knee_is_faster_than_the_teacher_and_what_is_dominated_is_no_candidate(tmp_path: Path):
    choice = knee.choose_fast(asked(tmp_path), searched())
    # z between (0, 100) and (2, 60): 0.1 + 0.25, 0.05 + 0.875, 1 + 0 for rows 3, 4 and 1
    assert choice.rows[0] == 3
    assert set(choice.rows) == {1, 3, 4}
    assert choice.knee == (0, 3, 0, 0, 0, 0, 0, 0)
    assert choice.sensitivity == []


def test_what_is_not_allowed_is_not_chosen(tmp_path: Path):
    allowed = [row != 3 for row in range(len(POINTS))]
    choice = knee.choose_fast(asked(tmp_path, 1), searched(allowed=allowed))
    assert choice.rows == (4,)  # z sums: 0.925; 1.0 of the cheapest, 1.2 of row 5


def test_where_nothing_is_faster_the_papers_choice_is_taken(tmp_path: Path):
    slow = tuple((a, drop, 100.0 + 10 * k) for k, (a, drop, _) in enumerate(POINTS))
    ctx, run = asked(tmp_path), searched(slow)
    assert knee.choose_fast(ctx, run) == knee.choose(ctx, run)


def test_a_search_without_latencies_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="the search by exact-ehvi has no latencies"):
        knee.choose_fast(asked(tmp_path), searched(latency_ms=None))
