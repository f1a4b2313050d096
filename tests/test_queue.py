"""The queue: what many processes measure together is what one would, and nothing twice."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path

import optuna
import postgres
import pytest
from sqlalchemy import NullPool

from ensrepro import search
from ensrepro.ledger import Key, Metrics, Objective
from ensrepro.queue import HEADER, Queue, QueueError
from ensrepro.space import RESTORMER, Architecture, Space
from ensrepro.trials import Trials

KEY = Key("v" * 8, "w" * 8, "denoise", "smoke", "restormer-mambair", "1.0")
TEACHER, CHEAPEST = RESTORMER.teacher, RESTORMER.cheapest
FEW = [RESTORMER.architecture(i) for i in range(0, 30, 5)]
PATIENCE = 300  # seconds until a test gives up waiting; nothing here takes long on an idle machine


def made_up(architecture: Architecture) -> Metrics:
    """Numbers with no short binary form, different for every architecture."""
    number = RESTORMER.index(architecture)
    return Metrics(30.0 - number / 7001, 0.9 - number / 70001)


def measure(architectures: list[Architecture]) -> list[Metrics]:
    return [made_up(architecture) for architecture in architectures]


class Recorder:
    """A `measure` that remembers every call."""

    def __init__(self) -> None:
        self.calls: list[list[Architecture]] = []

    def __call__(self, architectures: list[Architecture]) -> list[Metrics]:
        self.calls.append(list(architectures))
        return measure(architectures)


def process(role: str, url: str, log: Path) -> None:
    """What a process of its own does; `log` gets the number of all that it measures."""

    def logged(architectures: list[Architecture]) -> list[Metrics]:
        with log.open("a") as file:
            for architecture in architectures:
                print(RESTORMER.index(architecture), file=file)
        if role == "hang":
            time.sleep(3600)
        return measure(architectures)

    with Queue(url, "search", KEY) as shared:
        if role in {"work", "hang"}:
            shared.work(logged, idle_seconds=3600)
        else:
            result = searched(shared.objective(logged if role == "coordinate" else None))
            log.with_suffix(".psnr").write_text(" ".join(map(str, result.psnr)))
            shared.finish()


def searched(objective: Objective) -> search.SearchResult:
    return search.run(objective, sampler="nsga2", n_trials=24, seed=1)


@pytest.fixture(scope="module")
def context() -> multiprocessing.context.BaseContext:
    """Makes processes that share nothing but what was imported once for all of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "alembic.migration", "sqlalchemy.orm"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # read when its server starts
        nothing = context.Process()
        nothing.start()
        nothing.join()
        nothing.close()
    return context


@pytest.fixture
def start(context, tmp_path) -> Iterator:
    """Starts processes; returns each with its log. Those left over are killed."""
    started = []

    def start(role: str, url: str):
        log = tmp_path / f"{len(started)}.log"
        log.touch()
        started.append(context.Process(target=process, args=(role, url, log)))
        started[-1].start()
        return started[-1], log

    yield start
    for each in started:
        each.kill()
        each.join()
        each.close()


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[str]:
    with postgres.server() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/queue.db"
    return new_database(request.getfixturevalue("postgres_server"))


@pytest.fixture
def file_url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/queue.db"


def new_database(server: str) -> str:
    import psycopg

    name = f"test{time.monotonic_ns()}"
    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture
def opened() -> Iterator:
    """Opens queues called `search` and closes them after the test."""
    with ExitStack() as stack:
        yield lambda url, key=KEY, stale_seconds=60: stack.enter_context(
            Queue(url, "search", key, stale_seconds=stale_seconds)
        )


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def wait_for(condition) -> None:
    for _ in range(PATIENCE * 50):
        if condition():
            return
        time.sleep(0.02)
    raise TimeoutError


def measured(*logs) -> Counter[int]:
    """How often each architecture was measured, by number."""
    return Counter(int(line) for log in logs for line in log.read_text().split())


def storage_of(url: str) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(url, {"poolclass": NullPool})  # leaves nothing open


@cache
def study_of(url: str) -> optuna.Study:
    """The study as any program would see it."""
    return optuna.load_study(study_name="search", storage=storage_of(url))


def is_made(url: str) -> bool:
    """Whether a coordinator has begun, so that workers are let in."""
    trials = Trials(url, "search", RESTORMER)
    try:
        trials.open(make=False)
        return HEADER in trials.attributes()
    except ValueError:
        return False
    finally:
        trials.close()


def states(url: str) -> Counter[str]:
    return Counter(trial.state.name for trial in study_of(url).trials)


def take_and_die(url: str) -> None:
    """What is left of a worker killed right after it took a trial: RUNNING, without any sign."""
    wait_for(lambda: states(url)["WAITING"])
    study_of(url).ask()


def test_one_process_is_coordinator_and_worker_in_one(url, opened):
    shared = opened(url)
    alone = searched(measure)
    result = searched(shared.objective(measure))
    assert result.architectures == alone.architectures
    assert result.psnr.tolist() == alone.psnr.tolist()  # not a bit is lost in the database
    assert result.ssim.tolist() == alone.ssim.tolist()
    assert states(url) == {"COMPLETE": alone.n_unique}
    trial = study_of(url).trials[0]
    assert trial.params == dict.fromkeys([stage.name for stage in RESTORMER.stages], 0)
    assert trial.values == list(made_up(TEACHER))


def together(start, url: str, roles: list[str]) -> None:
    """Check what these processes measure, and that each coordinator finds what one alone finds.

    The coordinators come first in `roles`, and the others start once there is a study.
    """
    processes = []
    for role in roles:
        if role == "work":
            wait_for(lambda: is_made(url))
        processes.append(start(role, url))
    for each, _ in processes:
        each.join(PATIENCE)
    assert [each.exitcode for each, _ in processes] == [0] * len(roles)
    alone = searched(measure)
    for role, (_, log) in zip(roles, processes, strict=True):
        if role == "coordinate":
            psnr = log.with_suffix(".psnr").read_text().split()
            assert [float(word) for word in psnr] == alone.psnr.tolist()
    numbers = [RESTORMER.index(architecture) for architecture in alone.architectures]
    assert measured(*(log for _, log in processes)) == dict.fromkeys(numbers, 1)


def test_eight_processes_measure_each_architecture_once(file_url, start):
    together(start, file_url, ["coordinate"] * 2 + ["work"] * 6)


def test_processes_of_a_server_measure_each_architecture_once(postgres_server, start):
    together(start, new_database(postgres_server), ["coordinate"] * 2 + ["work"] * 2)


def test_of_many_that_reach_for_a_trial_one_gets_it(url, opened, background):
    batch = [RESTORMER.architecture(i) for i in range(16)]
    answer = background.submit(opened(url).objective(), batch)
    wait_for(lambda: states(url)["WAITING"] == len(batch))
    queues, recorders = [opened(url) for _ in range(4)], [Recorder() for _ in range(4)]
    barrier = threading.Barrier(4)

    def work(shared: Queue, recorder: Recorder) -> int:
        barrier.wait()
        return shared.work(recorder, idle_seconds=0)

    counts = list(background.map(work, queues, recorders))
    calls = [call for recorder in recorders for call in recorder.calls]
    assert sorted(calls) == [[architecture] for architecture in batch]
    assert sum(counts) == len(batch)
    assert answer.result(PATIENCE) == measure(batch)


def test_what_a_killed_worker_had_is_measured_by_another(url, start, opened, background):
    coordinator = opened(url, stale_seconds=0.5)
    answer = background.submit(coordinator.objective(), FEW)
    victim, log = start("hang", url)
    wait_for(lambda: measured(log))
    victim.kill()  # SIGKILL
    recorder = Recorder()
    others = background.submit(opened(url).work, recorder, idle_seconds=PATIENCE)
    assert answer.result(PATIENCE) == measure(FEW)
    coordinator.finish()
    assert others.result(PATIENCE) == len(FEW)
    assert sorted(recorder.calls) == [[architecture] for architecture in FEW]
    assert states(url) == {"COMPLETE": len(FEW), "FAIL": 1}


def test_a_coordinator_that_was_killed_continues_where_it_was(file_url, start, opened, background):
    victim, _ = start("wait", file_url)
    wait_for(lambda: is_made(file_url))
    recorder = Recorder()
    worker = background.submit(opened(file_url).work, recorder, idle_seconds=PATIENCE)
    wait_for(lambda: len(recorder.calls) > 5)
    victim.kill()  # SIGKILL
    victim.join()
    again = opened(file_url)
    result = searched(again.objective())
    again.finish()
    alone = searched(measure)
    assert result.architectures == alone.architectures
    assert worker.result(PATIENCE) == alone.n_unique
    assert Counter(call[0] for call in recorder.calls) == dict.fromkeys(alone.architectures, 1)
    assert states(file_url) == {"COMPLETE": alone.n_unique}


def test_a_trial_whose_workers_died_twice_ends_the_search(file_url, opened, background):
    shared = opened(file_url, stale_seconds=0.2)
    answer = background.submit(shared.objective(), [CHEAPEST])
    take_and_die(file_url)
    take_and_die(file_url)
    sentence = (
        r"architecture 2 2 2 2 2 2 2 2 has failed 2 times in study 'search' in .*queue.db, "
        r"at last with: no sign of life for 0.2 s, the last: None"
    )
    with pytest.raises(QueueError, match=sentence):
        answer.result(PATIENCE)
    assert states(file_url) == {"FAIL": 2}
    assert shared.objective(measure)([CHEAPEST]) == measure([CHEAPEST])  # a new start


def test_an_error_ends_its_worker_and_the_trial_goes_to_another(url, opened, background):
    def fails(architectures: list[Architecture]) -> list[Metrics]:
        raise MemoryError("the device is full")

    coordinator = opened(url)
    answer = background.submit(coordinator.objective(), FEW)
    with pytest.raises(MemoryError, match="the device is full"):
        opened(url).work(fails, idle_seconds=PATIENCE)
    recorder = Recorder()
    other = background.submit(opened(url).work, recorder, idle_seconds=PATIENCE)
    assert answer.result(PATIENCE) == measure(FEW)
    coordinator.finish()
    assert other.result(PATIENCE) == len(FEW)
    failed = [t.user_attrs["error"] for t in study_of(url).trials if t.state.name == "FAIL"]
    assert failed == ["MemoryError: the device is full"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_number_is_refused_and_the_search_says_why(file_url, opened, background, value):
    sentence = f"psnr of architecture T T T T T T T T is {value}; expected a finite number"
    answer = background.submit(opened(file_url).objective(), [TEACHER])
    for _ in range(2):
        with pytest.raises(ValueError, match=sentence):
            opened(file_url).work(lambda a: [Metrics(value, 0.5)], idle_seconds=PATIENCE)
    with pytest.raises(QueueError, match=f"has failed 2 times .* ValueError: {sentence}"):
        answer.result(PATIENCE)


def test_an_error_of_the_coordinators_own_measure_is_raised(file_url, opened):
    def fails(architectures: list[Architecture]) -> list[Metrics]:
        raise MemoryError("the device is full")

    with pytest.raises(MemoryError, match="the device is full"):
        opened(file_url).objective(fails)(FEW)
    assert states(file_url) == {"FAIL": 1, "WAITING": len(FEW) - 1}
    assert opened(file_url).objective(measure)(FEW) == measure(FEW)


def test_a_worker_stopped_by_hand_gives_its_trial_back_at_no_cost(file_url, opened, background):
    def stopped(architectures: list[Architecture]) -> list[Metrics]:
        raise KeyboardInterrupt

    coordinator = opened(file_url)
    answer = background.submit(coordinator.objective(), [TEACHER])
    for _ in range(3):  # more often than a trial may fail
        with pytest.raises(KeyboardInterrupt):
            opened(file_url).work(stopped, idle_seconds=PATIENCE)
    worker = background.submit(opened(file_url).work, measure, idle_seconds=PATIENCE)
    assert answer.result(PATIENCE) == measure([TEACHER])
    coordinator.finish()
    assert worker.result(PATIENCE) == 1
    assert states(file_url) == {"PRUNED": 3, "COMPLETE": 1}


def test_a_worker_shows_that_it_lives_while_it_measures(url, opened, background):
    def signs() -> set[str]:
        return {trial.user_attrs.get("sign") for trial in study_of(url).trials} - {None}

    def slow(architectures: list[Architecture]) -> list[Metrics]:
        seen: set[str] = set()
        wait_for(lambda: seen.update(signs()) or len(seen) >= 3)
        return measure(architectures)

    worker = opened(url, stale_seconds=0.2)  # gives a sign every 0.05 s
    coordinator = opened(url)  # judges by its own 60 s
    answer = background.submit(coordinator.objective(), [TEACHER])
    wait_for(lambda: states(url)["WAITING"])
    assert worker.work(slow, idle_seconds=0) == 1
    assert answer.result(PATIENCE) == measure([TEACHER])
    assert f"process {os.getpid()}, sign " in signs().pop()


def test_an_answer_after_the_trial_was_given_up_is_not_recorded(file_url, opened, caplog):
    def late(architectures: list[Architecture]) -> list[Metrics]:
        (running,) = [t for t in study_of(file_url).trials if t.state.name == "RUNNING"]
        study_of(file_url).tell(running.number, state=optuna.trial.TrialState.FAIL)
        return measure(architectures)

    recorder = Recorder()
    answers = iter([late, recorder])
    shared = opened(file_url)
    objective = shared.objective(lambda architectures: next(answers)(architectures))
    assert objective([TEACHER]) == measure([TEACHER])
    assert "trial 0 of study 'search'" in caplog.text
    assert "was given up meanwhile" in caplog.text
    assert recorder.calls == []  # this process still knows its answer
    assert states(file_url) == {"FAIL": 1, "COMPLETE": 1}


def test_an_architecture_added_twice_is_measured_once(url, opened, background):
    answer = background.submit(opened(url).objective(), FEW)
    wait_for(lambda: states(url)["WAITING"] == len(FEW))
    study = study_of(url)
    for trial in study.trials:  # as if a second coordinator had looked at the same moment
        study.add_trial(trial)
    recorder = Recorder()
    assert opened(url).work(recorder, idle_seconds=0) == len(FEW)
    assert answer.result(PATIENCE) == measure(FEW)
    assert sorted(recorder.calls) == [[architecture] for architecture in FEW]
    opened(url).work(recorder, idle_seconds=0)
    assert states(url) == {"COMPLETE": len(FEW), "PRUNED": len(FEW)}


def test_a_worker_may_measure_a_few_at_once(file_url, opened, background):
    answer = background.submit(opened(file_url).objective(), FEW)
    wait_for(lambda: states(file_url)["WAITING"] == len(FEW))
    recorder, done = Recorder(), []
    n = opened(file_url).work(recorder, idle_seconds=0, at_once=4, progress=done.append)
    assert n == len(FEW) == 6
    assert recorder.calls == [FEW[:4], FEW[4:]]  # neighbors, so that they share their first stages
    assert done == [4, 6]
    assert answer.result(PATIENCE) == measure(FEW)


def test_a_worker_ends_when_there_is_nothing_to_do_or_the_search_is_over(file_url, opened):
    shared = opened(file_url)
    shared.objective()
    assert shared.work(measure, idle_seconds=0) == 0
    shared.finish()
    assert opened(file_url).work(measure, idle_seconds=3600) == 0
    shared.objective()  # opens it again
    assert opened(file_url).work(measure, idle_seconds=0.1) == 0


def test_what_was_measured_is_there_for_the_next_search(file_url, opened):
    opened(file_url).objective(measure)(FEW)
    recorder = Recorder()
    assert opened(file_url).objective(recorder)([*FEW, CHEAPEST]) == measure([*FEW, CHEAPEST])
    assert recorder.calls == [[CHEAPEST]]


def test_a_worker_does_not_make_what_it_was_told_by_a_wrong_name(url, opened):
    opened(url).objective()
    sentence = r"study 'serach' in .* does not exist; expected one .* has made: 'search'$"
    with Queue(url, "serach", KEY) as misspelt:
        for _ in range(2):  # as long as it is so
            with pytest.raises(ValueError, match=sentence):
                misspelt.work(measure, idle_seconds=3600)
        with pytest.raises(ValueError, match=sentence):
            misspelt.finish()
        assert optuna.get_all_study_names(storage_of(url)) == ["search"]
        misspelt.objective()  # a coordinator may call its search so
        assert misspelt.work(measure, idle_seconds=0) == 0


def test_a_worker_that_comes_first_leaves_no_file(file_url, opened, tmp_path):
    sentence = r"study 'search' in .*queue.db does not exist; expected .* made: none so far$"
    early = opened(file_url)
    with pytest.raises(ValueError, match=sentence):
        early.work(measure, idle_seconds=3600)
    assert list(tmp_path.iterdir()) == []
    opened(file_url).objective()
    assert early.work(measure, idle_seconds=0) == 0


def test_a_queue_of_something_else_is_refused_by_name_with_both_values(file_url, opened):
    opened(file_url).objective()
    for field in ("validation", "weights", "task", "profile", "pair"):
        ours = getattr(KEY, field)
        sentence = rf"study 'search' in .*queue.db has {field} '{ours}'; this run has 'another'"
        other = opened(file_url, replace(KEY, **{field: "another"}))
        with pytest.raises(ValueError, match=sentence):
            other.objective()
        with pytest.raises(ValueError, match=sentence):
            other.work(measure, idle_seconds=0)


def test_a_queue_over_another_space_is_refused(file_url, opened):
    opened(file_url).objective()
    with (
        Queue(file_url, "search", KEY, Space("short", RESTORMER.stages[:2])) as short,
        pytest.raises(ValueError, match="has space 'restormer'; this run has 'short'"),
    ):
        short.objective()


def test_other_code_is_logged_not_refused(file_url, opened, caplog):
    opened(file_url).objective()
    with caplog.at_level(logging.WARNING):
        opened(file_url, replace(KEY, code_version="1.1")).objective()
    assert "has code_version '1.0'; this run has '1.1'" in caplog.text


def test_a_study_of_another_program_is_refused_and_left_alone(file_url, opened):
    study = optuna.create_study(storage=storage_of(file_url), study_name="search")
    study.enqueue_trial({"x": 1})
    sentence = r"study 'search' in .*queue.db is no queue that a coordinator has made"
    with pytest.raises(ValueError, match=sentence):
        opened(file_url).objective()
    with pytest.raises(ValueError, match=sentence):
        opened(file_url).work(measure, idle_seconds=0)
    assert study.user_attrs == {}
    assert len(study.trials) == 1


def test_at_once_must_be_a_count(file_url, opened):
    shared = opened(file_url)
    for at_once in (0, -1, 1.5, True):
        for call in (
            lambda n: shared.objective(measure, at_once=n),
            lambda n: shared.work(measure, idle_seconds=0, at_once=n),
        ):
            with pytest.raises(ValueError, match=r"at_once is .*; expected an integer >= 1"):
                call(at_once)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_stale_seconds_must_be_positive(file_url, seconds):
    with pytest.raises(ValueError, match=r"stale_seconds is .*; expected a number above 0"):
        Queue(file_url, "search", KEY, stale_seconds=seconds)


def test_it_is_quiet(file_url, opened, capfd):
    verbosity = optuna.logging.get_verbosity()
    opened(file_url).objective(measure)(FEW)
    opened(file_url).work(measure, idle_seconds=0)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == verbosity
