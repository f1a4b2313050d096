"""The knee that latency chooses, and what is refused (A40)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ensrepro import search
from ensrepro.artifacts import Store
from ensrepro.config import PAIRS, PROFILES, TASKS
from ensrepro.space import RESTORMER, penalty
from ensrepro.steps import knee
from ensrepro.steps.context import Context
from ensrepro.steps.search import SearchSummary

pytestmark = pytest.mark.usefixtures("one_thread")

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
    store = Store("smoke", "denoise", tmp_path)
    profile = replace(PROFILES["smoke"], n_candidates=n)
    return Context(profile, TASKS["denoise"], PAIRS["restormer-mambair"], store)


def test_the_knee_is_faster_than_the_teacher_and_what_is_dominated_is_no_candidate(tmp_path: Path):
    choice = knee.choose_fast(asked(tmp_path), searched())
    # z between (0, 100) and (2, 60): 0.1 + 0.25, 0.05 + 0.875, 1 + 0 for rows 3, 4 and 1
    assert choice.rows[0] == 3
    assert set(choice.rows) == {1, 3, 4}
    assert choice.knee == (0, 3, 0, 0, 0, 0, 0, 0)
    assert choice.sensitivity == []
    assert not choice.is_fallback


def test_what_is_not_allowed_is_not_chosen(tmp_path: Path):
    allowed = [row != 3 for row in range(len(POINTS))]
    choice = knee.choose_fast(asked(tmp_path, 1), searched(allowed=allowed))
    assert choice.rows == (4,)  # z sums: 0.925; 1.0 of the cheapest, 1.2 of row 5


def test_where_nothing_is_faster_the_papers_choice_is_taken(tmp_path: Path):
    slow = tuple((a, drop, 100.0 + 10 * k) for k, (a, drop, _) in enumerate(POINTS))
    ctx, run = asked(tmp_path), searched(slow)
    choice = knee.choose_fast(ctx, run)
    assert choice.is_fallback
    assert replace(choice, is_fallback=False) == knee.choose(ctx, run)


def test_a_search_without_latencies_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="the search by exact-ehvi has no latencies"):
        knee.choose_fast(asked(tmp_path), searched(latency_ms=None))


def test_a_run_whose_penalty_is_a_latency_has_no_place_among_the_penalty_tables(tmp_path: Path):
    run = searched(penalty_table=search.LATENCY)
    with pytest.raises(ValueError, match="has the penalty table 'latency'; expected one of blocks"):
        knee.choose(asked(tmp_path), run)
