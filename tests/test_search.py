"""The search on landscapes whose true front is known, and across interruptions."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

from ensrepro import pareto, search
from ensrepro.ledger import Key, Ledger, Metrics
from ensrepro.space import RESTORMER, Space, Stage, penalty

KEY = Key("v" * 8, "w" * 8, "denoise", "smoke", "restormer-mambair", "1.0")
SMALL = Space(
    "small",
    (
        Stage("encoder_1", 4, 1, 0, 1, (4, 2)),
        Stage("bottleneck", 8, 8, 1, 2, (8, 6, 4, 2)),
        Stage("refinement", 4, 1, 0, 2, (4, 2)),
    ),
)
TEACHER_PSNR = 32.0


class Additive:
    """Each stage costs its own part of the PSNR; counts what it is asked for."""

    def __init__(self, space: Space, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.space = space
        # smaller surrogates cost more; a lognormal sensitivity a stage
        self.costs = [
            rng.lognormal(-2, 1) * np.concatenate([[0.0], np.sort(rng.random(n - 1)) + 0.2])
            for n in space.n_choices
        ]
        self.calls: list[list[tuple[int, ...]]] = []

    def drop(self, architecture: tuple[int, ...]) -> float:
        return float(sum(cost[c] for cost, c in zip(self.costs, architecture, strict=True)))

    def __call__(self, architectures: list[tuple[int, ...]]) -> list[Metrics]:
        self.calls.append(list(architectures))
        return [Metrics(TEACHER_PSNR - self.drop(a), 0.9) for a in architectures]

    @property
    def asked(self) -> list[tuple[int, ...]]:
        return [a for call in self.calls for a in call]

    def true_front(self) -> list[tuple[float, float]]:
        """By a sweep over rising penalties, independent of `pareto`: (psnr_drop, penalty)."""
        rows = sorted((round(penalty(a, space=self.space), 9), self.drop(a)) for a in self.space)
        found, best = [], np.inf
        for price, drop in rows:
            if drop < best - 1e-9:
                found, best = [*found, (drop, price)], drop
        return found[::-1]


def quick(sampler: str, **arguments) -> search.SearchResult:
    """A run that is short enough for its sampler; only the last of `gp` is not random."""
    settings = {"n_trials": 11 if sampler == "gp" else 50, "seed": 3, **arguments}
    return search.run(Additive(RESTORMER), sampler=sampler, **settings)


@pytest.mark.parametrize("sampler", search.SAMPLERS)
def test_the_first_two_proposals_are_the_teacher_and_the_cheapest(sampler):
    result = quick(sampler, n_trials=2)
    assert result.architectures == (RESTORMER.teacher, RESTORMER.cheapest)
    assert result.drop[0] == 0.0
    # 8 stages x 2 surrogate blocks x 0.4 = 6.4; the teacher has 44 blocks
    assert result.anchors == pareto.Anchors((0.0, 6.4), (result.drop[1], 44.0))


@pytest.mark.parametrize("sampler", search.SAMPLERS)
def test_the_same_seed_gives_the_same_proposals(sampler):
    one, two = quick(sampler), quick(sampler)
    assert one.architectures == two.architectures
    assert one.hypervolume.tolist() == two.hypervolume.tolist()


@pytest.mark.parametrize("sampler", ["random", "nsga2", "nsga3", "motpe"])
def test_another_seed_gives_other_proposals(sampler):
    assert quick(sampler).architectures != quick(sampler, seed=4).architectures


@pytest.mark.parametrize("sampler", ["random", "nsga2", "motpe"])
def test_a_shorter_run_is_the_beginning_of_a_longer_one(sampler):
    assert quick(sampler, n_trials=33).architectures == quick(sampler).architectures[:33]


@pytest.mark.parametrize("sampler", ["random", "nsga2", "nsga3", "motpe"])
def test_every_number_belongs_to_its_architecture(sampler):
    result = quick(sampler)
    landscape = Additive(RESTORMER)
    assert len(result.architectures) == result.settings.n_trials
    assert result.drop == pytest.approx([landscape.drop(a) for a in result.architectures])
    assert result.penalty == pytest.approx([penalty(a) for a in result.architectures])
    assert result.n_unique == len(set(result.architectures)) == result.n_evaluated
    assert result.hypervolume[-1] == pytest.approx(
        pareto.hypervolume(result.points, pareto.reference_point(result.anchors))
    )
    ends = {tuple(result.points[i]) for i in result.front}
    assert ends == {tuple(p) for p in result.points[pareto.front(result.points)]}


def test_random_draws_every_architecture_once_and_finds_the_true_front():
    landscape = Additive(SMALL)
    result = search.run(landscape, space=SMALL, sampler="random", n_trials=SMALL.n_architectures)
    assert sorted(result.architectures) == list(SMALL)
    assert sorted(landscape.asked) == list(SMALL)
    found = [tuple(p) for p in result.points[list(result.front)]]
    assert np.array(found) == pytest.approx(np.array(landscape.true_front()))


@pytest.mark.parametrize("seed", range(3))
def test_nsga2_finds_more_than_random_and_never_more_than_there_is(seed):
    landscape = Additive(RESTORMER, seed)
    runs = {
        name: search.run(landscape, sampler=name, n_trials=200, seed=seed)
        for name in ("random", "nsga2")
    }
    reference = pareto.reference_point(runs["random"].anchors)
    truth = pareto.hypervolume(landscape.true_front(), reference)
    assert runs["random"].hypervolume[-1] < runs["nsga2"].hypervolume[-1] <= truth + 1e-9


def test_equal_penalties_are_equal_numbers():
    # sums of 1 and 0.4 taken stage by stage differ in the last bit; distinct ones differ by 0.2
    result = quick("random", n_trials=2000)
    sums = np.unique(result.penalty)
    assert np.diff(sums).min() > 0.1


def test_repeated_proposals_count_but_are_not_measured_again():
    landscape = Additive(SMALL)
    result = search.run(landscape, space=SMALL, sampler="nsga2", n_trials=100)
    assert len(result.architectures) == 100
    assert len(landscape.asked) == len(set(landscape.asked)) == result.n_unique
    assert result.n_unique <= SMALL.n_architectures < 100
    assert len(result.front) == len({tuple(result.points[i]) for i in result.front})


def test_each_batch_is_asked_in_one_sorted_call():
    landscape = Additive(RESTORMER)
    search.run(landscape, sampler="random", n_trials=25, batch=10)
    assert [len(call) for call in landscape.calls] == [10, 10, 5]
    assert all(call == sorted(call) for call in landscape.calls)


@pytest.mark.parametrize("table", ["blocks", "rank", "transformers"])
def test_the_penalty_table_is_the_one_asked_for(table):
    result = quick("nsga2", penalty_table=table)
    assert result.penalty == pytest.approx([penalty(a, table) for a in result.architectures])


def test_the_batch_is_the_samplers_own_unless_given():
    assert search.settings(RESTORMER, "motpe", 50, 0, "blocks").batch == 8
    assert quick("motpe", n_trials=2).settings == search.Settings("motpe", 2, 3, "blocks", 8)
    assert quick("random", n_trials=2, batch=1).settings.batch == 1


def test_progress_counts_proposals():
    seen = []
    quick("random", n_trials=30, progress=lambda done, n: seen.append((done, n)))
    assert seen == [(20, 30), (30, 30)]


@pytest.mark.parametrize("sampler", ["random", "nsga2", "motpe"])
def test_a_second_run_on_the_same_ledger_measures_nothing(tmp_path, sampler):
    first = quick(sampler, ledger=Ledger(tmp_path / "l.jsonl", KEY))
    content = (tmp_path / "l.jsonl").read_bytes()
    landscape = Additive(RESTORMER)
    again = search.run(
        landscape, sampler=sampler, n_trials=50, seed=3, ledger=Ledger(tmp_path / "l.jsonl", KEY)
    )
    assert landscape.calls == []
    assert again.n_evaluated == 0
    assert again.architectures == first.architectures
    assert again.psnr.tolist() == first.psnr.tolist()
    assert (tmp_path / "l.jsonl").read_bytes() == content


def test_a_ledger_of_other_architectures_does_not_change_the_proposals(tmp_path):
    ledger = Ledger(tmp_path / "l.jsonl", KEY)
    quick("random", ledger=ledger)
    assert quick("nsga2", ledger=ledger).architectures == quick("nsga2").architectures


def test_an_objective_that_fails_keeps_what_was_measured_before(tmp_path):
    landscape = Additive(RESTORMER)

    def failing(architectures):
        if len(landscape.calls) == 2:
            raise KeyboardInterrupt
        return landscape(architectures)

    ledger = Ledger(tmp_path / "l.jsonl", KEY)
    with pytest.raises(KeyboardInterrupt):
        search.run(failing, sampler="nsga2", n_trials=60, seed=3, ledger=ledger)
    assert len(Ledger(tmp_path / "l.jsonl", KEY)) == len(landscape.asked)
    resumed = search.run(landscape, sampler="nsga2", n_trials=60, seed=3, ledger=ledger)
    assert len(landscape.asked) == len(set(landscape.asked))
    assert resumed.architectures == quick("nsga2", n_trials=60).architectures


SLOW_RUN = """
import sys, time
from ensrepro import search
from ensrepro.ledger import Key, Ledger, Metrics
def objective(architectures):
    time.sleep(0.05)
    return [Metrics(32.0 - sum(a) / 10, 0.9) for a in architectures]
key = Key("v" * 8, "w" * 8, "denoise", "smoke", "restormer-mambair", "1.0")
search.run(objective, n_trials=400, seed=1, batch=4, ledger=Ledger(sys.argv[1], key))
"""


def test_a_killed_search_resumes_and_ends_with_the_same_sequence(tmp_path):
    path = tmp_path / "l.jsonl"
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", SLOW_RUN, str(path)], env=here)
    while process.poll() is None and not (path.exists() and path.read_bytes().count(b"\n") > 20):
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL  # it was still running
    n_before = len(Ledger(path, KEY))

    def objective(architectures):
        return [Metrics(32.0 - sum(a) / 10, 0.9) for a in architectures]

    arguments = {"n_trials": 400, "seed": 1, "batch": 4}
    resumed = search.run(objective, **arguments, ledger=Ledger(path, KEY))
    straight = search.run(objective, **arguments)
    assert resumed.architectures == straight.architectures
    assert resumed.hypervolume.tolist() == straight.hypervolume.tolist()
    assert resumed.n_evaluated == straight.n_evaluated - n_before
    assert n_before >= 20


def test_optuna_stays_quiet_and_is_left_as_it_was(caplog, capfd):
    import optuna

    before = optuna.logging.get_verbosity()
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.DEBUG):
        warnings.simplefilter("always")
        quick("nsga3")
        quick("motpe")
    assert [str(w.message) for w in caught if "optuna" in str(w.category).lower()] == []
    assert capfd.readouterr().err == ""
    assert optuna.logging.get_verbosity() == before


def test_importing_the_search_imports_no_sampler():
    code = "import sys, ensrepro.search; print({'optuna', 'torch'} & set(sys.modules))"
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = subprocess.run(
        [sys.executable, "-c", code], env=here, capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"sampler": "cma"}, "sampler is 'cma'; expected one of random, nsga2, nsga3, motpe, gp"),
        ({"penalty_table": "flops"}, "penalty_table is 'flops'; expected one of blocks"),
        ({"n_trials": 0}, "n_trials is 0; expected an integer >= 2"),
        ({"n_trials": -5}, "n_trials is -5"),
        ({"n_trials": 50.0}, "n_trials is 50.0"),
        ({"n_trials": True}, "n_trials is True"),
        ({"seed": -1}, "seed is -1; expected an integer >= 0"),
        ({"batch": 0}, "batch is 0; expected an integer >= 1"),
        ({"sampler": "random", "n_trials": 34561}, "n_trials is 34561; random draws without"),
    ],
)
def test_bad_arguments_get_one_sentence_before_anything_is_measured(arguments, sentence):
    landscape = Additive(RESTORMER)
    with pytest.raises(ValueError, match=sentence):
        search.run(landscape, **arguments)
    assert landscape.calls == []


def test_a_psnr_that_is_not_finite_is_refused_by_naming_the_architecture():
    def objective(architectures):
        return [Metrics(np.nan if a == RESTORMER.cheapest else 30.0, 0.9) for a in architectures]

    with pytest.raises(ValueError, match="psnr of architecture 2 2 2 2 2 2 2 2 is nan"):
        search.run(objective, n_trials=20)


def test_a_landscape_without_a_range_says_so():
    with pytest.raises(ValueError, match=r"the anchors are .* the ideal below the nadir"):
        search.run(lambda batch: [Metrics(30.0, 0.9) for _ in batch], n_trials=20)
