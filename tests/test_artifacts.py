"""Files: whole or not there, refused by name when they are of something else."""

from __future__ import annotations

import json
import math
import subprocess
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensrepro import artifacts
from ensrepro.artifacts import Provenance, Store


@dataclass(frozen=True)
class Answer:
    """A step's result, as steps have them: numbers, text, lists of rows."""

    psnr: float
    name: str
    rows: list


MADE = Provenance(
    "mini", "denoise", 0, "abc1234", "2026-01-01", 1.5, "a machine", 1, {"torch": "2"}
)
IDENTITY = {"profile": "mini", "task": "denoise", "seed": 0, "shape": {"width": 8}, "steps": [1, 2]}
ANSWER = Answer(24.25, "teacher", [{"stage": "encoder_1", "drop": 0.125}])


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "results" / "mini" / "denoise" / "teacher.json"
    artifacts.write_manifest(path, "teacher", IDENTITY, MADE, ANSWER)
    return path


# writing


def test_a_file_is_written_with_its_folders_and_readable_by_others(tmp_path):
    path = tmp_path / "a" / "b" / "c.bin"
    artifacts.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [file.name for file in path.parent.iterdir()] == ["c.bin"]


@pytest.mark.parametrize("failing", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_a_failing_write_leaves_the_old_file_whole_and_nothing_beside_it(
    failing, error, tmp_path, monkeypatch
):
    path = tmp_path / "c.bin"
    path.write_bytes(b"old")

    def fail(*arguments):
        raise error

    monkeypatch.setattr(artifacts.os, failing, fail)
    with pytest.raises(type(error)):
        artifacts.write_bytes(path, b"new" * 1000)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["c.bin"]


def test_the_file_is_complete_before_it_gets_its_name(tmp_path, monkeypatch):
    path, seen = tmp_path / "c.bin", []
    real = artifacts.os.replace

    def replaced(source, target):
        with open(source, "rb") as file:
            seen.append((path.exists(), file.read()))
        real(source, target)

    monkeypatch.setattr(artifacts.os, "replace", replaced)
    artifacts.write_bytes(path, b"new")
    assert seen == [(False, b"new")]


# manifests


def test_a_manifest_gives_back_what_was_written(manifest):
    assert artifacts.read_manifest(manifest, "teacher", Answer, IDENTITY) == ANSWER
    content = artifacts.read_json(manifest)
    assert set(content) == {"step", "identity", "provenance", "result"}
    assert content["step"] == "teacher"
    assert content["provenance"] == asdict(MADE)


def test_numbers_of_numpy_and_tuples_are_the_same_value_in_json(tmp_path):
    path = tmp_path / "a.json"
    answer = Answer(np.float64(0.1), "x", [np.int64(3), (np.float32(0.5), True)])
    identity = {"n": np.int64(3), "sizes": (1, 2), "lr": np.float64(0.1)}
    artifacts.write_manifest(path, "a", identity, MADE, answer)
    assert artifacts.read_manifest(path, "a", Answer, identity) == Answer(
        0.1, "x", [3, [0.5, True]]
    )
    again = {"n": 3, "sizes": [1, 2], "lr": 0.1}
    assert artifacts.read_manifest(path, "a", Answer, again)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_survives_exactly(tmp_path_factory, number):
    path = tmp_path_factory.mktemp("float") / "a.json"
    artifacts.write_manifest(path, "a", {"x": number}, MADE, Answer(number, "", []))
    assert artifacts.read_manifest(path, "a", Answer, {"x": number}).psnr == number


@pytest.mark.parametrize(
    ("changed", "key", "found", "expected"),
    [
        ({"profile": "paper"}, "profile", "'mini'", "'paper'"),
        ({"task": "derain"}, "task", "'denoise'", "'derain'"),
        ({"seed": 1}, "seed", "0", "1"),
        ({"shape": {"width": 16}}, "shape", "{'width': 8}", "{'width': 16}"),
        ({"steps": [1, 3]}, "steps", r"\[1, 2\]", r"\[1, 3\]"),
        ({"teacher": "0123"}, "teacher", "None", "'0123'"),
    ],
)
def test_a_manifest_made_from_other_values_is_refused(manifest, changed, key, found, expected):
    before = manifest.read_bytes()
    with pytest.raises(
        ValueError, match=rf"teacher\.json was made with {key}={found}, expected {expected}; move"
    ):
        artifacts.read_manifest(manifest, "teacher", Answer, IDENTITY | changed)
    assert manifest.read_bytes() == before


def test_a_manifest_made_from_more_values_than_asked_is_refused(manifest):
    fewer = {key: value for key, value in IDENTITY.items() if key != "seed"}
    with pytest.raises(ValueError, match="made with seed=0, expected None"):
        artifacts.read_manifest(manifest, "teacher", Answer, fewer)


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_a_manifest_with_other_fields_is_refused(manifest, change):
    content = json.loads(manifest.read_text())
    if change == "missing":
        del content["result"]["rows"]
    else:
        content["result"]["speed"] = 1
    manifest.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"teacher\.json holds the fields \[.*\], expected \["):
        artifacts.read_manifest(manifest, "teacher", Answer, IDENTITY)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, np.float32("nan")])
@pytest.mark.parametrize("where", ["result", "identity"])
def test_a_number_that_is_not_finite_is_never_written(tmp_path, number, where):
    path = tmp_path / "a.json"
    answer = replace(ANSWER, psnr=number) if where == "result" else ANSWER
    identity = IDENTITY | ({"lr": number} if where == "identity" else {})
    with pytest.raises(ValueError, match=r"a\.json is not written: .*JSON"):
        artifacts.write_manifest(path, "a", identity, MADE, answer)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_not_finite_is_never_read(manifest, constant):
    manifest.write_text(manifest.read_text().replace("24.25", constant))
    with pytest.raises(ValueError, match=rf"teacher\.json is not a manifest: it holds {constant}"):
        artifacts.read_manifest(manifest, "teacher", Answer, IDENTITY)


def test_a_value_that_json_does_not_have_is_refused(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(TypeError, match="type PosixPath has no place in a manifest"):
        artifacts.write_manifest(path, "a", {"where": tmp_path}, MADE, ANSWER)
    assert not path.exists()


def test_no_beginning_of_a_manifest_is_taken_for_a_manifest(manifest):
    content = manifest.read_bytes()
    assert content.endswith(b"}\n")
    for length in range(len(content) - 1):
        manifest.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"teacher\.json is not a manifest: "):
            artifacts.read_manifest(manifest, "teacher", Answer, IDENTITY)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\xff\xfe\x00", b"null", b"[]", b"{}", b'{"step": "teacher"}', b"[" * 100_000),
        b'{"step": "a", "identity": [], "provenance": {}, "result": {}}',
        b'{"step": "a", "identity": {}, "provenance": {}, "result": 3}',
        b'{"step": "a", "identity": {}, "provenance": {}, "result": {}, "more": 1}',
    ],
    ids=lambda content: content[:20].decode("latin1"),
)
def test_what_is_no_manifest_is_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json is not a manifest: "):
        artifacts.read_manifest(path, "a", Answer, {})


class Counted:
    """A computation that counts how often it is done, with another answer each time."""

    def __init__(self):
        self.n_calls = 0

    def __call__(self):
        self.n_calls += 1
        return Answer(float(self.n_calls), "x", []), MADE


def test_what_is_there_is_loaded_and_not_computed_again(tmp_path):
    path, compute = tmp_path / "deep" / "a.json", Counted()
    first = artifacts.load_or_run(path, "a", Answer, IDENTITY, compute)
    content, changed = path.read_bytes(), path.stat().st_mtime_ns
    second = artifacts.load_or_run(path, "a", Answer, IDENTITY, compute)
    assert first == second == Answer(1.0, "x", [])
    assert compute.n_calls == 1
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (content, changed)


def test_what_does_not_match_is_neither_computed_nor_written_over(manifest):
    compute, content = Counted(), manifest.read_bytes()
    with pytest.raises(ValueError, match="made with profile='mini', expected 'paper'"):
        artifacts.load_or_run(manifest, "teacher", Answer, IDENTITY | {"profile": "paper"}, compute)
    manifest.write_bytes(content[:50])
    with pytest.raises(ValueError, match="is not a manifest"):
        artifacts.load_or_run(manifest, "teacher", Answer, IDENTITY, compute)
    assert manifest.read_bytes() == content[:50]
    assert compute.n_calls == 0


def test_a_computation_that_fails_leaves_no_manifest(tmp_path):
    def fail():
        raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged"):
        artifacts.load_or_run(tmp_path / "a.json", "a", Answer, {}, fail)
    assert list(tmp_path.iterdir()) == []


# where files live


@pytest.fixture
def store(tmp_path):
    return Store("mini", "denoise", tmp_path / "mine", tmp_path / "committed")


def committed(store: Store, kind: str, name: str) -> Store:
    """The store that writes what `store` falls back to, with one file in it."""
    other = replace(store, root=store.fallback, fallback=None)
    artifacts.write_bytes(other.own(kind, name), b"committed")
    return other


def test_files_are_kept_by_kind_profile_and_task(store, tmp_path):
    assert store.manifest("pool") == tmp_path / "mine/results/mini/denoise/pool.json"
    assert store.weights("pool") == tmp_path / "mine/weights/mini/denoise/pool.safetensors"
    assert store.new_weights("pool") == store.weights("pool")
    assert store.checkpoint("pool") == tmp_path / "mine/checkpoints/mini/denoise/pool.pt"
    assert store.ledger("all") == tmp_path / "mine/results/mini/denoise/all.jsonl"
    assert not (tmp_path / "mine").exists()  # asking writes nothing


def test_a_pair_with_a_suffix_keeps_its_files_apart(store, tmp_path):
    other = replace(store, suffix="-uformer")
    assert other.manifest("pool") == tmp_path / "mine/results/mini/denoise-uformer/pool.json"
    assert other.checkpoint("pool").parent.name == "denoise-uformer"
    committed(store, artifacts.WEIGHTS, "pool.safetensors")
    assert not other.weights("pool").exists()
    own = committed(other, artifacts.WEIGHTS, "pool.safetensors")
    assert other.weights("pool") == own.weights("pool")
    assert "denoise-uformer" in str(own.weights("pool"))


def test_a_committed_file_is_read_until_there_is_an_own_one(store):
    other = committed(store, artifacts.WEIGHTS, "pool.safetensors")
    assert store.weights("pool") == other.weights("pool")
    assert store.new_weights("pool") != other.weights("pool")
    artifacts.write_bytes(store.new_weights("pool"), b"own")
    assert store.weights("pool").read_bytes() == b"own"


def test_committed_files_of_another_task_are_not_read(store):
    committed(replace(store, task="derain"), artifacts.RESULTS, "pool.json")
    assert not store.manifest("pool").exists()


def test_a_checkpoint_is_never_a_committed_file(store):
    committed(store, artifacts.CHECKPOINTS, "pool.pt")
    assert not store.checkpoint("pool").exists()


def test_a_committed_ledger_is_copied_once_and_never_appended_to(store):
    other = committed(store, artifacts.RESULTS, "all.jsonl")
    path = store.ledger("all")
    assert path.is_relative_to(store.root)
    with path.open("ab") as file:
        file.write(b" and own")
    assert store.ledger("all").read_bytes() == b"committed and own"
    assert other.ledger("all").read_bytes() == b"committed"


def test_the_ledger_of_the_repository_itself_stays_where_it_is(store):
    other = committed(store, artifacts.RESULTS, "all.jsonl")
    both = replace(other, fallback=other.root)
    assert both.ledger("all") == other.ledger("all")
    assert both.ledger("all").read_bytes() == b"committed"


# provenance


def test_provenance_says_when_where_and_with_what():
    made = artifacts.provenance("mini", "denoise", 3, 1.23456, 2)
    created = datetime.fromisoformat(made.created)
    assert created.utcoffset() == timedelta(0)
    assert abs(datetime.now(created.tzinfo) - created) < timedelta(hours=1)
    assert (made.profile, made.task, made.seed, made.threads) == ("mini", "denoise", 3, 2)
    assert made.seconds == 1.23
    assert made.machine
    assert made.versions["numpy"] == np.__version__
    assert set(made.versions) == set(artifacts.PACKAGES)
    assert artifacts.installed("no-such-package-at-all") == "absent"


@pytest.fixture
def fresh_commit():
    artifacts.commit.cache_clear()
    yield artifacts.commit
    artifacts.commit.cache_clear()


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_commit_is_marked_when_sources_differ_from_it(tmp_path, monkeypatch, fresh_commit):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("a = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    head = git(tmp_path, "rev-parse", "--short", "HEAD")
    monkeypatch.setattr(artifacts, "checkout", lambda: tmp_path)
    assert fresh_commit() == head
    (tmp_path / "result.json").write_text("{}")
    fresh_commit.cache_clear()
    assert fresh_commit() == head  # a result is no source
    (tmp_path / "src" / "a.py").write_text("a = 2\n")
    fresh_commit.cache_clear()
    assert fresh_commit() == f"{head}+"


def test_the_commit_of_somebody_elses_repository_is_not_taken(tmp_path, monkeypatch, fresh_commit):
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(artifacts, "checkout", lambda: None)
    assert artifacts.repository() == tmp_path
    assert fresh_commit() == "unknown"


def test_without_git_the_commit_is_unknown(tmp_path, monkeypatch, fresh_commit):
    monkeypatch.setattr(artifacts, "checkout", lambda: tmp_path)  # no repository in it
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert fresh_commit() == "unknown"
    fresh_commit.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fresh_commit() == "unknown"
