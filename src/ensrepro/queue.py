"""Evaluations of one search shared by processes and machines, through a database (section 3.4).

One *coordinator* runs `search.run`, whose objective comes from a `Queue`; any number of *workers*
measure what it asks for. The queue is an Optuna study (`trials.py`), the values are PSNR and SSIM.

* Only coordinators make studies and add trials. Of an architecture's trials only the oldest that
  did not FAIL may be taken: two coordinators may add it at once, and it is still measured once.
* A worker writes a *sign* of life into its trial. A coordinator that has seen the same sign for
  `stale_seconds` of its own clock (no two machines compare theirs) fails the trial. A trial also
  fails with an error in its worker. The architecture is added once more; after MAX_ATTEMPTS the
  search ends. PRUNED trials count for nothing.

Optuna's own heartbeat is not used: it never finds a worker that was killed before its first beat,
and `Study.optimize`, which it needs, makes up a trial of its own where none is waiting.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import count
from math import isfinite
from typing import Any, Self

from ensrepro.ledger import IDENTITY, Answers, Key, Metrics, Objective
from ensrepro.space import RESTORMER, Architecture, Space
from ensrepro.trials import COMPLETE, FAIL, PRUNED, RUNNING, WAITING, Trial, Trials, reachable

FORMAT = 1  # written into the study; raised when an attribute changes its meaning
MAX_ATTEMPTS = 2  # one worker may die of a power cut; two died of the architecture
SIGNS_PER_STALE = 4  # signs of life within `stale_seconds`
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two looks into the queue

HEADER, FINISHED = "queue", "finished"  # attributes of the study
ATTEMPT, SIGN, ERROR = "attempt", "sign", "error"  # attributes of a trial

log = logging.getLogger(__name__)

Progress = Callable[[int], None]  # (architectures measured by this worker)
Attempts = dict[Architecture, list[Trial]]  # the trials of each architecture, oldest first


def _longer_pauses() -> Iterator[None]:
    """Wait, each time longer than the last."""
    pause = FIRST_PAUSE
    while True:
        time.sleep(pause)
        yield
        pause = min(1.5 * pause, LONGEST_PAUSE)


def _check_at_once(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"at_once is {value!r}; expected an integer >= 1")


@contextmanager
def _signs_of_life(trials: Trials, numbers: list[int], seconds: float) -> Iterator[None]:
    """A new sign in each of these trials every so many seconds, from a thread."""
    over = threading.Event()
    who = f"{socket.gethostname()}, process {os.getpid()}"

    def give() -> None:
        for n in count(1):
            if over.wait(seconds):
                return
            try:
                with reachable(trials.shown):
                    for number in numbers:
                        trials.annotate(number, SIGN, f"{who}, sign {n}")
            except ConnectionError as error:
                log.warning("%s", error)  # the next sign may get through

    thread = threading.Thread(target=give, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class QueueError(RuntimeError):
    """An architecture that no worker could measure."""


class Queue:
    """The evaluations called `name` in the database at `url`, which belong to `key` and `space`.

    A URL is sqlite:///file.db (for processes of one machine) or
    postgresql+psycopg://user@host/database. `objective` opens it for a coordinator and makes it if
    it is not there, `work` opens it for a worker; `with Queue(...) as shared` closes it. A queue of
    another key is refused. A worker counts as dead after `stale_seconds`.
    """

    def __init__(
        self, url: str, name: str, key: Key, space: Space = RESTORMER, *, stale_seconds: float = 60
    ) -> None:
        if not (isfinite(stale_seconds) and stale_seconds > 0):
            raise ValueError(f"stale_seconds is {stale_seconds}; expected a number above 0")
        self._header = {"format": FORMAT, "space": space.name, **asdict(key)}
        self._space = space
        self._stale_seconds = stale_seconds
        self._first_seen: dict[tuple[int, str | None], float] = {}  # of a trial's sign
        self._trials = Trials(url, name, space)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the database."""
        self._trials.close()

    def _open(self, *, make: bool) -> None:
        """Open the study, or make it and write our key into it; refuse one that is not ours."""
        self._trials.open(make=make)
        if HEADER not in self._trials.attributes():
            if not (make and self._trials.is_empty()):
                raise ValueError(f"{self._trials.shown} is no queue that a coordinator has made")
            self._trials.set_attribute(HEADER, self._header)
        theirs, ours = self._attributes()[HEADER]["code_version"], self._header["code_version"]
        if theirs != ours:
            log.warning("%s has code_version %r; this run has %r", self._trials.shown, theirs, ours)

    def _attributes(self) -> dict[str, Any]:
        """Those of the study; a ValueError names the field that makes it another search's."""
        attributes = self._trials.attributes()
        for name in ("format", "space", *IDENTITY):
            theirs, ours = attributes[HEADER][name], self._header[name]
            if theirs != ours:
                raise ValueError(
                    f"{self._trials.shown} has {name} {theirs!r}; this run has {ours!r}"
                )
        return attributes

    def _attempts(self) -> Attempts:
        """The trials that count."""
        found: Attempts = {}
        for trial in self._trials:
            if trial.state != PRUNED:
                found.setdefault(trial.architecture, []).append(trial)
        return found

    def _take(self, attempts: Attempts, n: int) -> dict[Architecture, int]:
        """The numbers of at most `n` trials that are now ours to measure, by architecture."""
        taken: dict[Architecture, int] = {}
        for architecture, trials in attempts.items():
            alive = [trial for trial in trials if trial.state != FAIL]
            measured = any(trial.state == COMPLETE for trial in alive)
            for trial in alive if measured else alive[:1]:
                if trial.state != WAITING or not self._trials.move(trial.number, RUNNING):
                    continue
                if measured:  # added twice: the answer on record stands
                    self._trials.move(trial.number, PRUNED)
                else:
                    taken[architecture] = trial.number
            if len(taken) == n:
                break
        return taken

    def _give_back(self, numbers: Iterable[int], state: str, error: str) -> None:
        for number in numbers:
            self._trials.annotate(number, ERROR, error)
            self._trials.move(number, state)

    def _measure(self, attempts: Attempts, answers: Answers, at_once: int) -> bool:
        """Measure what waits; False if nothing does."""
        taken = self._take(attempts, at_once)
        if not taken:
            return False
        numbers = list(taken.values())
        try:
            with _signs_of_life(self._trials, numbers, self._stale_seconds / SIGNS_PER_STALE):
                measured = answers.of(list(taken))
        except Exception as error:
            self._give_back(numbers, FAIL, f"{type(error).__name__}: {error}")
            raise
        except BaseException:  # a person stops the worker, which says nothing of the architecture
            self._give_back(numbers, PRUNED, "stopped")
            raise
        for number, metrics in zip(numbers, measured, strict=True):
            if not self._trials.move(number, COMPLETE, metrics):
                log.warning("trial %d of %s was given up meanwhile", number, self._trials.shown)
        return True

    def _fail_silent(self, attempts: Attempts, now: float) -> None:
        """Fail the trials whose worker has given no new sign for `stale_seconds`."""
        for trial in (trial for trials in attempts.values() for trial in trials):
            if trial.state == RUNNING:
                sign = trial.attributes.get(SIGN)
                since = self._first_seen.setdefault((trial.number, sign), now)
                if now - since > self._stale_seconds:
                    error = f"no sign of life for {self._stale_seconds} s, the last: {sign}"
                    self._give_back([trial.number], FAIL, error)

    def _add(self, architecture: Architecture, attempts: list[Trial], is_new: bool) -> None:
        """Put an architecture into the queue unless it is there; QueueError if it is hopeless."""
        if any(trial.state != FAIL for trial in attempts):
            return
        attempt = 1 + (attempts[-1].attributes[ATTEMPT] if attempts else 0)
        if attempt > MAX_ATTEMPTS:
            if not is_new:
                raise QueueError(
                    f"architecture {self._space.label(architecture)} has failed "
                    f"{MAX_ATTEMPTS} times in {self._trials.shown}, at last with: "
                    f"{attempts[-1].attributes[ERROR]}; a new start tries it again"
                )
            attempt = 1
        self._trials.add(architecture, {ATTEMPT: attempt})

    def _answer(
        self, wanted: list[Architecture], answers: Answers | None, at_once: int
    ) -> list[Metrics]:
        """The coordinator's part: add, watch over the workers, help them, collect."""
        pauses = _longer_pauses()
        for look in count():
            now = time.monotonic()  # taken before the look, else our own delay looks like a death
            attempts = self._attempts()
            known = {
                trial.architecture: trial.metrics
                for trials in attempts.values()
                for trial in reversed(trials)  # the oldest answer stands
                if trial.metrics is not None
            }
            missing = [architecture for architecture in wanted if architecture not in known]
            if not missing:
                break
            self._fail_silent(attempts, now)
            for architecture in missing:
                self._add(architecture, attempts.get(architecture, []), is_new=look == 0)
            if answers is not None and self._measure(attempts, answers, at_once):
                pauses = _longer_pauses()
            else:
                next(pauses)
        return [known[architecture] for architecture in wanted]

    def objective(self, measure: Objective | None = None, *, at_once: int = 1) -> Objective:
        """The coordinator's objective, for `search.run`: what it is asked, all workers measure.

        With `measure` the coordinator measures too, `at_once` architectures at a time, while it
        waits. The objective raises QueueError where an architecture has failed too often.
        """
        answers = None if measure is None else Answers(measure, self._space, None)
        _check_at_once(at_once)

        def evaluate(architectures: list[Architecture]) -> list[Metrics]:
            with reachable(self._trials.shown):
                self._attributes()
                return self._answer(architectures, answers, at_once)

        with reachable(self._trials.shown):
            self._open(make=True)
            self._trials.set_attribute(FINISHED, False)
        return evaluate

    def work(
        self,
        measure: Objective,
        *,
        idle_seconds: float,
        at_once: int = 1,
        progress: Progress | None = None,
    ) -> int:
        """A worker: measure what the coordinators ask for, and return how many that were.

        It ends when a coordinator has called `finish`, or after `idle_seconds` with nothing to do.
        `measure` gets `at_once` architectures in sorted order, or fewer. Its error ends the worker.
        A queue that no coordinator has made is refused, with the names of those that there are.
        """
        _check_at_once(at_once)
        answers = Answers(measure, self._space, None)
        pauses, last = _longer_pauses(), time.monotonic()
        with reachable(self._trials.shown):
            self._open(make=False)
            while True:
                finished = self._attributes().get(FINISHED, False)
                if self._measure(self._attempts(), answers, at_once):
                    pauses, last = _longer_pauses(), time.monotonic()
                    if progress is not None:
                        progress(answers.n_evaluated)
                elif finished or time.monotonic() - last >= idle_seconds:
                    return answers.n_evaluated
                else:
                    next(pauses)

    def finish(self) -> None:
        """Let the workers end once nothing waits; `objective` opens the queue again."""
        with reachable(self._trials.shown):
            self._open(make=False)
            self._trials.set_attribute(FINISHED, True)
