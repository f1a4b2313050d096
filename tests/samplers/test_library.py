"""Optuna's samplers: told the right values, kept away from what is over the budget."""

from __future__ import annotations

import numpy as np
import pytest
import small_space
from small_space import SMALL, problem, proposals

from ensrepro.samplers.library import Study, optuna_sampler, quiet
from ensrepro.space import RESTORMER

DROPS = small_space.Additive(SMALL).drops
LATENCY = small_space.latencies(RESTORMER)


@pytest.mark.parametrize("name", ["nsga2", "nsga3", "motpe", "gp"])
def test_two_or_three_objectives_are_told_for_what_was_asked(name):
    for stated in (problem(), problem(latency=small_space.latencies())):
        study = Study(name, stated)
        found = proposals(study, DROPS, 8, 4)
        told = [trial.values for trial in study._study.trials]
        expected = np.column_stack([DROPS, stated.known])[found]
        assert told == expected.tolist()


def test_the_seed_is_passed_on():
    runs = [proposals(Study("nsga2", problem(seed=s)), DROPS, 40, 20) for s in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("name", ["nsga2", "motpe"])
def test_a_budget_keeps_the_sampler_within_it_more_and_more(name):
    budget = float(np.quantile(LATENCY, 0.1))
    drops = small_space.Additive(RESTORMER).drops
    stated = problem(RESTORMER, budget=budget)
    found = proposals(Study(name, stated), drops, 160, 20 if name == "nsga2" else 8, RESTORMER)
    late = stated.allowed[found[-40:]].mean()
    assert late > 0.3  # a tenth of all are within it


def test_populations_are_those_that_are_stated():
    with quiet():
        samplers = [optuna_sampler(name, 0) for name in ("nsga2", "nsga3")]
    assert [sampler._population_size for sampler in samplers] == [20, 20]
