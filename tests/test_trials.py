"""Trials in a database: what its address may be, and what is said where it cannot be used."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import postgres
import pytest

from ensrepro.space import RESTORMER
from ensrepro.trials import COMPLETE, FAIL, RUNNING, Trials

EXPECTED = r"; expected sqlite:///file.db or postgresql\+psycopg://user@host/database"


def opened(url: str, name: str = "search") -> Trials:
    trials = Trials(url, name, RESTORMER)
    trials.open(make=True)
    return trials


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("queue.db", "is not a URL"),
        ("postgresql+psycopg://me:secret@host:port/name", "is not a URL"),
        ("mysql://host/name", "begins with mysql:"),
        ("postgresql://host/name", "begins with postgresql:"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_an_address_of_no_use_is_refused(url, sentence):
    with pytest.raises(ValueError, match=f"the database's address {sentence}{EXPECTED}") as error:
        opened(url)
    assert "secret" not in str(error.value)


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ImportError, match=r"pip install 'ensrepro\[distributed\]'"):
        opened("postgresql+psycopg://localhost/name")


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    sentence = r"study 'search' in .*missing/queue.db cannot be used: unable to open"
    with pytest.raises(ConnectionError, match=sentence):
        opened(f"sqlite:///{tmp_path}/missing/queue.db")


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path):
    path = tmp_path / "queue.db"
    path.write_text("a letter, not a database\n" * 100)
    before = path.read_bytes()
    with pytest.raises(ConnectionError, match=r"queue.db cannot be used: file is not a database"):
        opened(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_server_that_is_not_there_is_one_sentence(tmp_path):
    pytest.importorskip("psycopg", exc_type=ImportError)
    url = f"postgresql+psycopg://me:secret@/name?host={tmp_path}"
    with pytest.raises(ConnectionError, match=r"study 'search' in .* cannot be used: ") as error:
        opened(url)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_a_database_that_is_not_there_is_named():
    with (
        postgres.server() as address,
        pytest.raises(ConnectionError, match='database "nowhere" does not exist'),
    ):
        opened(address.replace("/postgres?", "/nowhere?"))


def test_a_study_that_is_not_there_is_refused_with_the_newest_ten(tmp_path):
    url = f"sqlite:///{tmp_path}/queue.db"
    for n in range(12):
        opened(url, f"search-{n}").close()
    missing = Trials(url, "serach", RESTORMER)
    newest = ", ".join(f"'search-{n}'" for n in range(11, 1, -1))
    with pytest.raises(ValueError, match=f"has made: {newest} and 2 older ones$"):
        missing.open(make=False)
    missing.close()
    one = Trials(url, "search-0", RESTORMER)
    one.open(make=False)
    assert list(one) == []
    one.close()


def test_closing_what_was_never_opened_does_nothing(tmp_path):
    Trials(f"sqlite:///{tmp_path}/queue.db", "search", RESTORMER).close()
    assert list(tmp_path.iterdir()) == []


def test_a_name_with_braces_and_percents_is_a_name(tmp_path):
    trials = opened(f"sqlite:///{tmp_path}/{{a}} 50%.db")
    trials.add(RESTORMER.cheapest, {})
    trials.close()
    assert (tmp_path / "{a} 50%.db").exists()


def test_eight_may_open_a_new_database_at_once(tmp_path):
    url = f"sqlite:///{tmp_path}/queue.db"
    with ThreadPoolExecutor(8) as pool:
        all_trials = list(pool.map(opened, [url] * 8))
    all_trials[0].add(RESTORMER.cheapest, {"attempt": 1})
    for trials in all_trials:
        (trial,) = trials
        assert (trial.number, trial.architecture) == (0, RESTORMER.cheapest)
        assert trial.attributes == {"attempt": 1}
        trials.close()


def test_a_trial_is_taken_once_and_ends_once(tmp_path):
    one, two = (opened(f"sqlite:///{tmp_path}/queue.db") for _ in range(2))
    one.add(RESTORMER.teacher, {})
    assert one.move(0, RUNNING)
    assert not two.move(0, RUNNING)
    assert two.move(0, FAIL)
    assert not one.move(0, COMPLETE, (30.0, 0.9))
    one.annotate(0, "sign", "too late")
    (trial,) = two
    assert (trial.state, trial.metrics, trial.attributes) == (FAIL, None, {})
    one.close()
    two.close()
