"""Trials of architectures in a database: an Optuna study that many processes may change at once.

A *trial* is one attempt to measure one architecture. Its states are Optuna's: WAITING until someone
takes it, RUNNING at whoever did, then COMPLETE (measured), FAIL or PRUNED. A trial that has ended
never changes again. Processes compete in `Trials.move` alone, and one of them wins. Numbers follow
the order in which trials were added: whoever sees a trial sees all older ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ensrepro.ledger import Metrics
from ensrepro.space import Architecture, Space

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import URL, Connection

WAITING, RUNNING, COMPLETE, FAIL, PRUNED = "WAITING", "RUNNING", "COMPLETE", "FAIL", "PRUNED"

LOCK_SECONDS = 60  # how long one process waits for another's transaction on an SQLite file
OPEN_ATTEMPTS = 10  # processes that make the tables at the same moment disturb one another
MOST_NAMES = 10  # of studies in a sentence


@dataclass(frozen=True)
class Trial:
    """One attempt to measure one architecture; `metrics` once it is COMPLETE."""

    number: int
    architecture: Architecture
    state: str
    metrics: Metrics | None
    attributes: dict[str, Any]


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Without Optuna's line about a new study."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


@contextmanager
def reachable(shown: str) -> Iterator[None]:
    """A ConnectionError of one sentence where the database of `shown` fails."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        cause = error if isinstance(error, SQLAlchemyError) else error.__cause__
        reason = " ".join(str(getattr(cause, "orig", cause)).split()) or repr(cause)
        raise ConnectionError(f"{shown} cannot be used: {reason}") from error


def _is_file(address: URL) -> bool:
    return address.drivername == "sqlite"


def _address(url: str) -> URL:
    """The URL in parts; a ValueError says what is expected, without repeating a password."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    expected = "expected sqlite:///file.db or postgresql+psycopg://user@host/database"
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(f"the database's address is not a URL; {expected}") from None
    if address.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise ValueError(f"the database's address begins with {address.drivername}:; {expected}")
    if _is_file(address) and address.database in {None, "", ":memory:"}:
        raise ValueError(f"the database's address names no file; {expected}")
    return address


def _lock_whole_transactions(storage: RDBStorage) -> None:
    """Make every transaction on an SQLite file exclusive from its first statement.

    Optuna reads a trial's state and then writes it. By default SQLite locks only at the write: two
    processes can both find a trial WAITING and both take it. PostgreSQL locks the row at the read.
    """
    from sqlalchemy import event

    def no_implicit_begin(connection: Any, record: object) -> None:
        connection.isolation_level = None

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(storage.engine, "connect", no_implicit_begin)
    event.listen(storage.engine, "begin", begin)
    storage.engine.dispose()  # the connections so far know nothing of this


def _open(address: URL) -> RDBStorage:
    """The storage at this address; its tables are made where there are none."""
    import sqlalchemy
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage

    arguments: dict[str, Any] = {"pool_pre_ping": True}  # a server may have been restarted
    if _is_file(address):
        arguments = {"connect_args": {"timeout": LOCK_SECONDS}}
    try:
        probe = sqlalchemy.create_engine(address)
    except ImportError as error:
        raise ImportError(
            "PostgreSQL needs the package psycopg: pip install 'ensrepro[distributed]'"
        ) from error
    sqlalchemy.inspect(probe).get_table_names()  # what cannot be read is not tried again below
    probe.dispose()
    url = address.render_as_string(hide_password=False)
    url = url.replace("{", "{{").replace("}", "}}")  # Optuna takes it for a format string
    for attempt in count(1):
        try:
            storage = RDBStorage(url, arguments)
            break
        except (sqlalchemy.exc.SQLAlchemyError, StorageInternalError):
            if attempt == OPEN_ATTEMPTS:
                raise
            time.sleep(0.1 * attempt)
    if _is_file(address):
        _lock_whole_transactions(storage)
    return storage


class Trials:
    """The trials in the study `name` of the database at `url`, once `open` has found or made it.

    A URL is sqlite:///file.db (for processes of one machine) or
    postgresql+psycopg://user@host/database. Each process opens its own.
    """

    def __init__(self, url: str, name: str, space: Space) -> None:
        import optuna

        self._name, self._address = name, _address(url)
        is_file = _is_file(self._address)
        place = self._address.database if is_file else self._address.render_as_string()
        self.shown = f"study {name!r} in {place}"
        self._storage: RDBStorage | None = None
        self._distributions = {
            stage.name: optuna.distributions.CategoricalDistribution(range(stage.n_choices))
            for stage in space.stages
        }

    def _may_exist(self) -> bool:
        """False for a file that is not there, which SQLite would make."""
        return not _is_file(self._address) or Path(self._address.database).exists()

    def _refuse(self, names: list[str]) -> NoReturn:
        """Say that the study is not among these, oldest first."""
        newest = ", ".join(map(repr, names[: -MOST_NAMES - 1 : -1])) or "none so far"
        more = f" and {len(names) - MOST_NAMES} older ones" if len(names) > MOST_NAMES else ""
        raise ValueError(
            f"{self.shown} does not exist; expected one that a coordinator has made: {newest}{more}"
        )

    def open(self, *, make: bool) -> None:
        """Open the study; one that is not there is made, or refused with the names of the others.

        It may be called again. Where nothing is to be made, no file is made either.
        """
        import optuna

        with reachable(self.shown), _quiet_optuna():
            if self._storage is None:
                if not (make or self._may_exist()):
                    self._refuse([])
                self._storage = _open(self._address)
            names = optuna.get_all_study_names(self._storage)
            if not make and self._name not in names:
                self._refuse(names)
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=self._name,
                directions=["maximize", "maximize"],  # PSNR, SSIM
                load_if_exists=True,
            )
            self._study_id = self._storage.get_study_id_from_name(self._name)

    def close(self) -> None:
        """Close the connections to the database, if there are any."""
        if self._storage is not None:
            self._storage.remove_session()
            self._storage.engine.dispose()

    def is_empty(self) -> bool:
        """Whether nothing was ever added."""
        return not self._study.get_trials(deepcopy=False)

    def attributes(self) -> dict[str, Any]:
        """What was written about the whole study."""
        return self._study.user_attrs

    def set_attribute(self, name: str, value: object) -> None:
        """Write something about the whole study that JSON can hold."""
        self._study.set_user_attr(name, value)

    def __iter__(self) -> Iterator[Trial]:
        """All trials as they are now, oldest first."""
        for trial in self._study.get_trials(deepcopy=False):
            yield Trial(
                trial.number,
                tuple(int(trial.params[name]) for name in self._distributions),
                trial.state.name,
                Metrics(*trial.values) if trial.state.name == COMPLETE else None,
                trial.user_attrs,
            )

    def add(self, architecture: Architecture, attributes: dict[str, Any]) -> None:
        """Append a WAITING trial."""
        import optuna

        self._study.add_trial(
            optuna.create_trial(
                state=optuna.trial.TrialState.WAITING,
                params=dict(zip(self._distributions, architecture, strict=True)),
                distributions=self._distributions,
                user_attrs=attributes,
            )
        )

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def move(self, number: int, state: str, metrics: Metrics | None = None) -> bool:
        """Bring a trial into another state; False if it has ended.

        Into RUNNING only a WAITING trial moves, and only for one process: False for all others.
        """
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        try:
            return self._storage.set_trial_state_values(
                self._id(number), TrialState[state], metrics
            )
        except UpdateFinishedTrialError:
            return False

    def annotate(self, number: int, name: str, value: object) -> None:
        """Write something about a trial, unless it has ended."""
        from optuna.exceptions import UpdateFinishedTrialError

        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_user_attr(self._id(number), name, value)
