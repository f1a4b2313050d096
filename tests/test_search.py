"""The search on landscapes whose true front is known, and across interruptions."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from functools import partial

import numpy as np
import pytest
from small_space import SMALL, Additive, latencies

from ensrepro import pareto, search
from ensrepro.ledger import Key, Ledger, Metrics
from ensrepro.samplers import DEFAULT, SAMPLERS, WITHOUT_REPEATS
from ensrepro.space import RESTORMER, penalty

KEY = Key("v" * 8, "w" * 8, "denoise", "smoke", "restormer-mambair", "1.0")
FEW = {"gp": 11, "paper-ehvi": 18, "exact-ehvi": 32, "additive+exact-ehvi": 32}  # the last by model
FAST = ("random", "additive", "nsga2", "nsga3", "motpe")

pytestmark = pytest.mark.usefixtures("one_thread")


def quick(sampler: str, **arguments) -> search.SearchResult:
    """A run that is short enough for its sampler, on an additive landscape."""
    settings = {"n_trials": FEW.get(sampler, 50), "seed": 3, **arguments}
    return search.run(Additive(RESTORMER), sampler=sampler, **settings)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_first_two_proposals_are_the_teacher_and_the_cheapest(sampler):
    result = quick(sampler, n_trials=2)
    assert result.architectures == (RESTORMER.teacher, RESTORMER.cheapest)
    assert result.drop[0] == 0.0
    # 8 stages x 2 surrogate blocks x 0.4 = 6.4; the teacher has 44 blocks
    assert result.anchors == pareto.Anchors((0.0, 6.4), (result.drop[1], 44.0))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_gives_the_same_proposals(sampler):
    one, two = quick(sampler), quick(sampler)
    assert one.architectures == two.architectures
    assert one.hypervolume.tolist() == two.hypervolume.tolist()


@pytest.mark.parametrize("sampler", ["random", "exact-ehvi", "nsga2", "nsga3", "motpe"])
def test_another_seed_gives_other_proposals(sampler):
    assert quick(sampler).architectures != quick(sampler, seed=4).architectures


@pytest.mark.parametrize("sampler", ["random", "additive", "nsga2", "motpe"])
def test_a_shorter_run_is_the_beginning_of_a_longer_one(sampler):
    assert quick(sampler, n_trials=33).architectures == quick(sampler).architectures[:33]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_number_belongs_to_its_architecture(sampler):
    result = quick(sampler)
    landscape = Additive(RESTORMER)
    assert len(result.architectures) == result.settings.n_trials
    assert result.drop == pytest.approx([landscape.drop(a) for a in result.architectures])
    assert result.penalty == pytest.approx([penalty(a) for a in result.architectures])
    assert result.n_unique == len(set(result.architectures)) == result.n_evaluated
    assert sampler not in WITHOUT_REPEATS or result.n_unique == len(result.architectures)
    assert result.points.shape == (len(result.architectures), 2)
    assert result.allowed.all()
    assert result.hypervolume[-1] == pytest.approx(
        pareto.hypervolume(result.points, pareto.reference_point(result.anchors))
    )
    ends = {tuple(result.points[i]) for i in result.front}
    assert ends == {tuple(p) for p in result.points[pareto.front(result.points)]}


def test_without_a_name_the_sampler_is_exact_ehvi():
    assert DEFAULT == "exact-ehvi"
    result = search.run(Additive(SMALL), space=SMALL, n_trials=2)
    assert result.settings == search.Settings("exact-ehvi", 2, 0, "blocks", 8)


@pytest.mark.parametrize("sampler", WITHOUT_REPEATS)
def test_as_many_trials_as_architectures_draw_each_once_and_find_the_true_front(sampler):
    landscape = Additive(SMALL)
    result = search.run(landscape, space=SMALL, sampler=sampler, n_trials=SMALL.n_architectures)
    assert sorted(result.architectures) == list(SMALL)
    assert sorted(landscape.asked) == list(SMALL)
    found = result.points[list(result.front)]
    assert found == pytest.approx(np.array(landscape.true_front()))


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
ledger = Ledger(sys.argv[1], key)
search.run(objective, sampler="nsga2", n_trials=400, seed=1, batch=4, ledger=ledger)
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

    arguments = {"sampler": "nsga2", "n_trials": 400, "seed": 1, "batch": 4}
    resumed = search.run(objective, **arguments, ledger=Ledger(path, KEY))
    straight = search.run(objective, **arguments)
    assert resumed.architectures == straight.architectures
    assert resumed.hypervolume.tolist() == straight.hypervolume.tolist()
    assert resumed.n_evaluated == straight.n_evaluated - n_before
    assert n_before >= 20


KILLS_ITSELF = """
import os, signal, sys
import small_space
from ensrepro import search
from ensrepro.ledger import Key, Ledger
class Killing(Ledger):
    def append(self, evaluation):
        if len(self) == int(sys.argv[2]):
            with self.path.open("ab") as file:
                file.write(b'{"architecture": [0, 1')  # half a line
            os.kill(os.getpid(), signal.SIGKILL)
        return super().append(evaluation)
key = Key("v" * 8, "w" * 8, "denoise", "smoke", "restormer-mambair", "1.0")
space = small_space.SMALL
search.run(small_space.Additive(space), space=space, n_trials=32, ledger=Killing(sys.argv[1], key))
"""


@pytest.fixture(scope="module")
def uninterrupted() -> search.SearchResult:
    return search.run(Additive(SMALL), space=SMALL, n_trials=32)


# 13 is before the first model and 21 after it; neither is where a batch of 8 ends
@pytest.mark.parametrize("n_before", [13, 21])
def test_a_killed_exact_ehvi_search_ends_with_the_same_sequence(tmp_path, uninterrupted, n_before):
    path = tmp_path / "l.jsonl"
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLS_ITSELF, str(path), str(n_before)]
    assert subprocess.run(command, env=here, check=False).returncode == -signal.SIGKILL
    landscape, ledger = Additive(SMALL), Ledger(path, KEY)
    assert len(ledger) == n_before
    resumed = search.run(landscape, space=SMALL, n_trials=32, ledger=ledger)
    assert resumed.architectures == uninterrupted.architectures
    assert resumed.hypervolume.tolist() == uninterrupted.hypervolume.tolist()
    assert len(landscape.asked) == resumed.n_evaluated == 32 - n_before


# ---------------------------------------------------------------- latency

LATENCY = latencies()
MEDIAN_MS = float(np.median(LATENCY))


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "paper-ehvi"])
def test_the_front_keeps_to_the_latency_budget_and_so_does_the_hypervolume(sampler):
    n_trials = FEW.get(sampler, 24) if sampler not in WITHOUT_REPEATS else 20
    result = search.run(
        Additive(SMALL),
        space=SMALL,
        sampler=sampler,
        n_trials=n_trials,
        latency_ms=LATENCY,
        latency_budget_ms=MEDIAN_MS,
    )
    own = LATENCY[[SMALL.index(a) for a in result.architectures]]
    assert result.allowed.tolist() == (own <= MEDIAN_MS).tolist()
    assert not result.allowed.all()  # the anchors are measured all the same
    assert result.front
    assert (own[list(result.front)] <= MEDIAN_MS).all()
    within = result.points[result.allowed]
    ends = {tuple(p) for p in within[pareto.front(within)]}
    assert {tuple(result.points[i]) for i in result.front} == ends
    reference = pareto.reference_point(result.anchors)
    assert result.hypervolume[-1] == pytest.approx(pareto.hypervolume(within, reference))
    if sampler in ("random", "exact-ehvi"):
        assert result.allowed[2:].all()


@pytest.mark.parametrize("sampler", ["random", "nsga2", "exact-ehvi", "additive"])
def test_a_largest_drop_bounds_the_front_and_the_hypervolume(sampler):
    landscape = Additive(SMALL)
    most = float(np.median(landscape.drops))
    run = partial(search.run, landscape, space=SMALL, sampler=sampler, n_trials=24)
    result = run(max_drop_db=most)
    assert (result.drop[list(result.front)] <= most).all()
    assert result.allowed.tolist() == (result.drop <= most).tolist()
    price = pareto.reference_point(result.anchors)[1]
    inside = result.points[result.allowed]
    assert result.hypervolume[-1] == pytest.approx(pareto.hypervolume(inside, (most, price)))


def test_the_papers_sampler_takes_no_budget():
    with pytest.raises(ValueError, match=r"max_drop_db is 0\.5; paper-ehvi takes none"):
        search.run(Additive(SMALL), space=SMALL, sampler="paper-ehvi", max_drop_db=0.5)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_latency_as_an_objective_is_a_third_column(sampler):
    result = search.run(
        Additive(SMALL),
        space=SMALL,
        sampler=sampler,
        n_trials=FEW.get(sampler, 24),
        latency_ms=LATENCY.tolist(),
        minimizes_latency=True,
    )
    own = LATENCY[[SMALL.index(a) for a in result.architectures]]
    assert result.points.shape == (len(own), 3)
    assert result.points[:, 2].tolist() == own.tolist()
    assert result.settings.minimizes_latency
    ends = {tuple(p) for p in result.points[pareto.front(result.points)]}
    assert {tuple(result.points[i]) for i in result.front} == ends
    assert len(result.anchors.ideal) == 3


@pytest.mark.parametrize("sampler", ["exact-ehvi", "nsga2", "random"])
def test_latency_in_the_penalty_s_place_is_the_second_column(sampler):
    result = search.run(
        Additive(SMALL),
        space=SMALL,
        sampler=sampler,
        n_trials=40,
        penalty_table=search.LATENCY,
        latency_ms=LATENCY,
    )
    numbers = [SMALL.index(a) for a in result.architectures]
    assert result.points.shape[1] == 2
    assert result.points[:, 1].tolist() == LATENCY[numbers].tolist()


def test_exact_ehvi_finds_the_whole_front_of_drop_and_latency_in_40_of_45():
    landscape = Additive(SMALL)
    result = search.run(
        landscape, space=SMALL, n_trials=40, penalty_table=search.LATENCY, latency_ms=LATENCY
    )
    every = np.column_stack([landscape.drops, LATENCY])
    reference = pareto.reference_point(result.anchors)
    exact = pareto.hypervolume(every, reference)
    assert result.hypervolume[-1] == pytest.approx(exact, rel=1e-6)


def test_latency_in_the_penalty_s_place_has_to_be_known():
    with pytest.raises(ValueError, match="expected a finite latency for each of 45"):
        search.run(Additive(SMALL), space=SMALL, n_trials=2, penalty_table=search.LATENCY)


def test_a_latency_that_is_not_asked_about_changes_nothing():
    given, plain = (
        search.run(Additive(SMALL), space=SMALL, sampler="nsga2", n_trials=60, latency_ms=latency)
        for latency in (LATENCY, None)
    )
    assert given.points.shape == (60, 2)
    assert given.architectures == plain.architectures


def test_as_many_trials_as_there_are_within_the_budget_are_possible_and_one_more_is_not():
    arguments = {"space": SMALL, "latency_ms": LATENCY, "latency_budget_ms": MEDIAN_MS}
    reachable = set(np.flatnonzero(LATENCY <= MEDIAN_MS)) | {0, 44}
    for sampler in ("random", "exact-ehvi"):
        n = len(reachable)
        result = search.run(Additive(SMALL), sampler=sampler, n_trials=n, **arguments)
        assert {SMALL.index(a) for a in result.architectures} == reachable
        landscape = Additive(SMALL)
        with pytest.raises(ValueError, match=f"n_trials is {n + 1}; {sampler} draws without"):
            search.run(landscape, sampler=sampler, n_trials=n + 1, **arguments)
        assert landscape.calls == []


def test_a_front_without_anything_within_the_budget_says_so():
    fastest = float(LATENCY.min())
    assert LATENCY[[0, 44]].min() > fastest
    result = search.run(
        Additive(SMALL), space=SMALL, n_trials=2, latency_ms=LATENCY, latency_budget_ms=fastest
    )
    assert result.hypervolume.tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="none of 2 proposals is within latency_budget_ms"):
        _ = result.front


def test_the_least_budget_that_is_named_is_enough():
    latency = LATENCY - LATENCY.min() + 10.0000004  # six digits would be too few
    arguments = {"space": SMALL, "n_trials": 2, "latency_ms": latency}
    landscape = Additive(SMALL)
    with pytest.raises(ValueError, match=r"latency_budget_ms is 1; expected at least") as caught:
        search.run(landscape, **arguments, latency_budget_ms=1.0)
    assert landscape.calls == []
    named = float(str(caught.value).split("at least ")[1].split(",")[0])
    assert search.run(landscape, **arguments, latency_budget_ms=named).allowed.sum() == 0
    assert latency.min() <= named < latency.min() + 0.01


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"latency_budget_ms": -1.0}, "latency_budget_ms is -1.0; expected a number above 0"),
        ({"latency_budget_ms": 0}, "latency_budget_ms is 0; expected a number above 0"),
        ({"latency_budget_ms": float("nan")}, "latency_budget_ms is nan; expected"),
        ({"latency_budget_ms": float("inf")}, "latency_budget_ms is inf; expected"),
        ({"latency_ms": None}, r"latency_ms has shape \(0,\); expected a finite latency for each"),
        ({"latency_ms": LATENCY[:-1]}, r"latency_ms has shape \(44,\); .* each of 45 arch"),
        ({"latency_ms": LATENCY[None]}, r"latency_ms has shape \(1, 45\)"),
        ({"latency_ms": np.where(LATENCY > MEDIAN_MS, np.nan, LATENCY)}, "expected a finite"),
    ],
)
def test_a_bad_budget_or_latency_gets_one_sentence_before_anything_is_measured(arguments, sentence):
    landscape = Additive(SMALL)
    given = {"latency_ms": LATENCY, "latency_budget_ms": MEDIAN_MS, **arguments}
    with pytest.raises(ValueError, match=sentence) as caught:
        search.run(landscape, space=SMALL, n_trials=8, **given)
    assert "\n" not in str(caught.value)
    assert landscape.calls == []


# ---------------------------------------------------------------- what is refused and kept quiet


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
    unwanted = "{'botorch', 'optuna', 'torch'}"
    code = f"import sys, ensrepro.search; print({unwanted} & set(sys.modules))"
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = subprocess.run(
        [sys.executable, "-c", code], env=here, capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"sampler": "cma"}, "sampler is 'cma'; expected one of exact-ehvi, additive"),
        ({"penalty_table": "flops"}, "penalty_table is 'flops'; expected one of blocks"),
        ({"n_trials": 0}, "n_trials is 0; expected an integer >= 2"),
        ({"n_trials": -5}, "n_trials is -5"),
        ({"n_trials": 50.0}, "n_trials is 50.0"),
        ({"n_trials": True}, "n_trials is True"),
        ({"seed": -1}, "seed is -1; expected an integer >= 0"),
        ({"batch": 0}, "batch is 0; expected an integer >= 1"),
        ({"sampler": "random", "n_trials": 34561}, "n_trials is 34561; random draws without"),
        ({"n_trials": 34561}, "n_trials is 34561; exact-ehvi draws without .* 34560 architectures"),
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


@pytest.mark.parametrize("sampler", ["random", "exact-ehvi"])
def test_a_landscape_without_a_range_says_so(sampler):
    with pytest.raises(ValueError, match=r"the anchors are .* the ideal below the nadir"):
        search.run(lambda batch: [Metrics(30.0, 0.9) for _ in batch], sampler=sampler, n_trials=20)
