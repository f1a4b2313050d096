"""The ledger: what is written is found again, whatever happens to the file or beside it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensrepro.ledger import Answers, Evaluation, Key, Ledger, Metrics
from ensrepro.space import RESTORMER

KEY = Key("v" * 8, "w" * 8, "denoise", "smoke", "restormer-mambair", "1.0")
TEACHER = RESTORMER.teacher


def evaluation(number: int, psnr: float = 30.0) -> Evaluation:
    return Evaluation(RESTORMER.architecture(number), psnr, 0.9, 31.0 - psnr, 0.25)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "search" / "ledger.jsonl"


def test_opening_writes_nothing(path):
    assert len(Ledger(path, KEY)) == 0
    assert not path.exists()


def test_what_was_appended_is_read_back_exactly(path):
    rows = [
        Evaluation(RESTORMER.architecture(i), 30 + 1 / 3**i, 0.1 * i, 1e-17, i / 7)
        for i in range(9)
    ]
    ledger = Ledger(path, KEY)
    for row in rows:
        assert ledger.append(row) == row
    again = Ledger(path, KEY)
    assert list(again) == list(ledger) == rows
    assert again.get(rows[3].architecture) == rows[3]
    assert rows[3].architecture in again
    assert again.get(RESTORMER.cheapest) is None


def test_the_file_is_a_header_and_one_line_an_evaluation(path):
    Ledger(path, KEY).append(evaluation(5))
    header, row = [json.loads(line) for line in path.read_text().splitlines()]
    assert header["key"] == {
        "validation": "v" * 8,
        "weights": "w" * 8,
        "task": "denoise",
        "profile": "smoke",
        "pair": "restormer-mambair",
        "code_version": "1.0",
    }
    assert row["architecture"] == list(RESTORMER.architecture(5))
    assert (row["psnr"], row["psnr_drop"], row["seconds"]) == (30.0, 1.0, 0.25)


def test_an_architecture_is_recorded_once_and_the_first_value_stays(path):
    ledger = Ledger(path, KEY)
    ledger.append(evaluation(5))
    before = path.read_bytes()
    assert ledger.append(evaluation(5, psnr=29.0)) == evaluation(5)
    assert path.read_bytes() == before


def test_a_second_reader_sees_new_lines_and_does_not_repeat_them(path):
    one, two = Ledger(path, KEY), Ledger(path, KEY)
    one.append(evaluation(1))
    assert evaluation(1).architecture not in two
    two.refresh()
    assert two.get(evaluation(1).architecture) == evaluation(1)
    two.append(evaluation(2))
    assert one.append(evaluation(2, psnr=1.0)) == evaluation(2)
    assert len(Ledger(path, KEY)) == 2


@settings(max_examples=40)
@given(st.data())
def test_a_file_cut_anywhere_loses_at_most_the_torn_line(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("cut") / "ledger.jsonl"
    ledger = Ledger(path, KEY)
    for i in range(3):
        ledger.append(evaluation(i))
    whole = path.read_bytes()
    length = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:length])
    n_whole = max(whole[:length].count(b"\n") - 1, 0)
    resumed = Ledger(path, KEY)
    assert list(resumed) == [evaluation(i) for i in range(n_whole)]
    for i in range(3):
        resumed.append(evaluation(i))
    assert path.read_bytes() == whole


def test_a_torn_last_line_is_dropped_with_a_message(path, caplog):
    Ledger(path, KEY).append(evaluation(1))
    with path.open("ab") as file:
        file.write(b'{"architecture": [0, 0')
    with caplog.at_level(logging.WARNING):
        ledger = Ledger(path, KEY)
    assert "ledger.jsonl: the last line is torn (22 bytes)" in caplog.text
    assert len(ledger) == 1
    assert path.read_bytes().endswith(b"[0, 0")  # reading changes nothing
    ledger.append(evaluation(2))
    assert list(Ledger(path, KEY)) == [evaluation(1), evaluation(2)]


@pytest.mark.parametrize("field", ["validation", "weights", "task", "profile", "pair"])
def test_a_ledger_of_something_else_is_refused_by_name_with_both_values(path, field):
    Ledger(path, KEY).append(evaluation(1))
    before = path.read_bytes()
    ours = replace(KEY, **{field: "another"})
    sentence = rf"ledger.jsonl has {field} '{getattr(KEY, field)}'; this run has 'another'"
    with pytest.raises(ValueError, match=sentence):
        Ledger(path, ours)
    assert path.read_bytes() == before


def test_a_ledger_that_appeared_meanwhile_with_another_key_is_refused_on_append(path):
    ledger = Ledger(path, KEY)
    Ledger(path, replace(KEY, weights="another")).append(evaluation(1))
    with pytest.raises(ValueError, match="has weights 'another'; this run has 'wwwwwwww'"):
        ledger.append(evaluation(2))


def test_other_code_is_logged_and_recorded(path, caplog):
    Ledger(path, KEY).append(evaluation(1))
    with caplog.at_level(logging.WARNING):
        Ledger(path, replace(KEY, code_version="1.1")).append(evaluation(2))
    assert "has code_version '1.0'; this run has '1.1'" in caplog.text
    versions = [json.loads(line)["code_version"] for line in path.read_text().splitlines()[1:]]
    assert versions == ["1.0", "1.1"]


@pytest.mark.parametrize("content", [b"hello", b"hello\n", b'{"a": 1}\n', b"[1]\n", b"\x00" * 64])
def test_a_file_that_is_no_ledger_is_refused_and_kept(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"ledger.jsonl begins with .* expected a ledger"):
        Ledger(path, KEY)
    assert path.read_bytes() == content


def test_a_newer_format_is_refused(path):
    Ledger(path, KEY).append(evaluation(1))
    path.write_text(path.read_text().replace('{"ledger": 1', '{"ledger": 2'))
    with pytest.raises(ValueError, match="has ledger format 2; expected 1"):
        Ledger(path, KEY)


@pytest.mark.parametrize("line", ["garbage", '{"psnr": 1}', "[]", "", "null"])
def test_a_damaged_line_inside_is_named(path, line):
    ledger = Ledger(path, KEY)
    ledger.append(evaluation(1))
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=r"ledger.jsonl, line 3 is .* expected an evaluation"):
        Ledger(path, KEY)


@pytest.mark.parametrize("how", ["unlink", "truncate"])
def test_a_ledger_that_vanishes_or_shrinks_under_the_run_is_an_error(path, how):
    ledger = Ledger(path, KEY)
    ledger.append(evaluation(1))
    if how == "unlink":
        path.unlink()
    else:
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"ledger.jsonl (is gone|has 0 bytes); expected"):
        ledger.refresh()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "30"])
def test_only_finite_numbers_are_recorded(value):
    with pytest.raises(ValueError, match=r"psnr of architecture .* expected a finite number"):
        Evaluation(TEACHER, value, 0.9, 0.0, 1.0)


WRITER = """
import sys
from ensrepro.ledger import Evaluation, Key, Ledger
from ensrepro.space import RESTORMER
path, worker = sys.argv[1], int(sys.argv[2])
ledger = Ledger(path, Key("v" * 8, "w" * 8, "denoise", "smoke", "restormer-mambair", "1.0"))
for i in range(60):  # 40 of its own, 20 that every worker writes
    number = 1000 * worker + i if i % 3 else i
    ledger.append(Evaluation(RESTORMER.architecture(number), 30.0 + worker, 0.9, 1.0, 0.0))
"""


def test_four_processes_lose_nothing_and_duplicate_nothing(path):
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    workers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(worker)], env=here)
        for worker in range(1, 5)
    ]
    assert [worker.wait(timeout=600) for worker in workers] == [0] * 4
    shared = set(range(0, 60, 3))
    own = {1000 * worker + i for worker in range(1, 5) for i in range(60) if i % 3}
    numbers = [RESTORMER.index(row.architecture) for row in Ledger(path, KEY)]
    assert len(numbers) == len(set(numbers)) == 4 * 40 + 20
    assert set(numbers) == own | shared
    assert len(path.read_bytes().splitlines()) == 1 + len(numbers)


def test_answers_are_measured_once_and_in_sorted_order(path):
    calls = []

    def objective(architectures):
        calls.append(list(architectures))
        return [Metrics(30.0 - sum(a), 0.5) for a in architectures]

    batch = [RESTORMER.cheapest, TEACHER, RESTORMER.all_ssm, TEACHER]
    answers = Answers(objective, RESTORMER, Ledger(path, KEY))
    expected = [Metrics(30.0 - sum(a), 0.5) for a in batch]
    assert answers.of(batch) == expected
    assert answers.of(batch) == expected
    assert calls == [[TEACHER, RESTORMER.all_ssm, RESTORMER.cheapest]]
    assert answers.n_evaluated == 3
    assert Ledger(path, KEY).get(RESTORMER.all_ssm).psnr_drop == 8.0  # eight stages, 1 dB each


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ([], "objective returned 0 metrics for 1 architectures"),
        ([Metrics(float("nan"), 0.5)], "psnr of architecture T T T T T T T T is nan"),
        ([Metrics(30.0, float("inf"))], "ssim of architecture T T T T T T T T is inf"),
    ],
)
def test_an_objective_that_answers_nonsense_is_refused_and_not_recorded(path, answer, sentence):
    answers = Answers(lambda architectures: answer, RESTORMER, Ledger(path, KEY))
    with pytest.raises(ValueError, match=sentence):
        answers.of([TEACHER])
    assert not path.exists()
