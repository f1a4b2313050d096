"""Every architecture measured together, interrupted and shared, equals each measured alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tiny_networks
from tiny_networks import TREE

from ensrepro import evaluate, exhaustive
from ensrepro.exhaustive import Piece, Scores
from ensrepro.space import RESTORMER

pytestmark = pytest.mark.usefixtures("one_thread")

TWO_IMAGES = 2 * tiny_networks.HEIGHT * tiny_networks.WIDTH  # pixels of a micro-batch


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five images are three micro-batches: two of two images, one of one."""
    monkeypatch.setattr(exhaustive, "BATCH_PIXELS", TWO_IMAGES)


def measure_all(folder: Path, processes: int = 1, progress=None) -> Scores:
    pairs = tiny_networks.pairs()
    return exhaustive.measure_all(
        tiny_networks.measured, TREE, pairs, folder, processes=processes, progress=progress
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scores]:
    """A folder of pieces and what came out, made without an interruption by one process."""
    folder = tmp_path_factory.mktemp("pieces")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exhaustive, "BATCH_PIXELS", TWO_IMAGES)
        return folder, measure_all(folder)


@pytest.fixture
def copied(finished, tmp_path: Path) -> Path:
    """The same folder, to be damaged."""
    return Path(shutil.copytree(finished[0], tmp_path / "pieces"))


def test_all_together_equal_one_architecture_at_a_time(finished):
    found, work = finished[1].scores, tiny_networks.measured()
    assert found.shape == (48, 5, 2)
    for number, architecture in enumerate(TREE):
        [alone] = evaluate.measure(
            work.teacher, work.surrogates, [architecture], work.pairs, work.protocol
        )
        assert found[number].mean(axis=0) == pytest.approx(tuple(alone), abs=1e-6)
    assert len(np.unique(found[:, 0, 0])) == 48  # no two networks are the same one


def test_every_image_has_its_own_scores(finished):
    work, number = tiny_networks.measured(), 29
    for i, pair in enumerate(work.pairs):
        [alone] = evaluate.measure(
            work.teacher, work.surrogates, [TREE.architecture(number)], [pair], work.protocol
        )
        assert finished[1].scores[number, i] == pytest.approx(tuple(alone), abs=1e-6)


def test_two_processes_give_what_one_gives(finished, tmp_path):
    assert measure_all(tmp_path / "two", processes=2).scores.tolist() == (
        finished[1].scores.tolist()
    )


def test_what_is_done_is_not_done_again_and_the_time_it_took_is_kept(finished, monkeypatch):
    def refuse(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(exhaustive, "_run_in_worker", refuse)
    again = measure_all(finished[0])
    assert again.scores.tolist() == finished[1].scores.tolist()
    assert again.seconds == finished[1].seconds > 0


def test_progress_counts_pieces_from_those_that_were_there(copied):
    every = exhaustive.pieces(TREE, tiny_networks.pairs())
    for piece in every[-4:]:
        (copied / piece.name).unlink()
    seen = []
    measure_all(copied, progress=lambda *now: seen.append(now))
    assert seen == [("measure", done, 24) for done in (21, 22, 23, 24)]


def test_pieces_are_every_image_through_every_architecture_once():
    pairs = tiny_networks.pairs()
    pieces = exhaustive.pieces(TREE, pairs)
    assert len(pieces) == len({piece.name for piece in pieces}) == 3 * 2**exhaustive.PREFIX
    assert [(p.first, p.last) for p in pieces[:: 2**exhaustive.PREFIX]] == [(0, 2), (2, 4), (4, 5)]
    covered = Counter(
        (image, architecture)
        for piece in pieces
        for image in range(piece.first, piece.last)
        for architecture in exhaustive.suffixes(TREE, piece.prefix)
    )
    assert set(covered.values()) == {1}
    assert len(covered) == 5 * 48


def test_images_larger_than_a_batch_go_one_by_one(monkeypatch):
    monkeypatch.setattr(exhaustive, "BATCH_PIXELS", 1)
    pieces = exhaustive.pieces(TREE, tiny_networks.pairs())
    assert {piece.last - piece.first for piece in pieces} == {1}


def test_a_subtree_is_a_run_of_numbers():
    numbers = [RESTORMER.index(a) for a in exhaustive.suffixes(RESTORMER, (1, 2, 3))]
    assert numbers == list(range(numbers[0], numbers[0] + RESTORMER.n_architectures // 48))


def test_the_depth_first_walk_runs_a_fifth_of_the_stages():
    # 3 + 12 + 48 + 240 + 960 + 3840 + 11520 + 34560 nodes; 34560 architectures of 8 stages
    assert exhaustive.stage_runs(RESTORMER) == (51183, 276480)


def test_the_number_of_stage_runs_is_the_one_that_happens(monkeypatch):
    work, counted = tiny_networks.measured(), Counter()
    parts = [*work.teacher.stages.values(), *work.surrogates.values()]
    for part in parts:
        part.register_forward_hook(lambda *_: counted.update(["run"]))
    monkeypatch.setattr(exhaustive, "PREFIX", 0)
    exhaustive.run_piece(work, Piece(0, 1, ()))
    assert counted["run"] == exhaustive.stage_runs(TREE)[0]
    assert exhaustive.stage_runs(TREE) == (2 + 4 + 8 + 16 + 48, 48 * 5)


KILLED = """
import sys, time
from pathlib import Path
import tiny_networks
from ensrepro import exhaustive
def slow():
    run_piece = exhaustive.run_piece
    def slowly(*arguments):
        time.sleep(0.2)
        return run_piece(*arguments)
    exhaustive.run_piece = slowly
    return tiny_networks.measured()
if __name__ == "__main__":
    exhaustive.BATCH_PIXELS = int(sys.argv[2])
    exhaustive.measure_all(slow, tiny_networks.TREE, tiny_networks.pairs(), Path(sys.argv[1]),
                           processes=1)
"""


def alive(session: int) -> bool:
    """Whether a process of a session is left."""
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_run_goes_on_where_it_was_and_gives_the_same(finished, tmp_path):
    folder, script = tmp_path / "pieces", tmp_path / "killed.py"
    script.write_text(KILLED)
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(script), str(folder), str(TWO_IMAGES)]
    process = subprocess.Popen(command, env=here, start_new_session=True)
    while process.poll() is None and len(list(folder.glob("0*.npz"))) < 3:
        time.sleep(0.01)
    process.kill()  # alone: its worker has to see that by itself
    assert process.wait() == -signal.SIGKILL
    patience = time.monotonic() + 60
    while alive(process.pid) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not alive(process.pid)
    before = {path.name: path.read_bytes() for path in folder.glob("0*.npz")}
    assert 3 <= len(before) < 24
    (folder / ".000-002-000.npz.half").write_bytes(b"PK")  # what a write leaves if it is killed
    resumed = measure_all(folder)
    assert resumed.scores.tolist() == finished[1].scores.tolist()
    assert {name: (folder / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("how", ["cut", "empty", "flipped"])
def test_a_damaged_piece_is_refused_by_name(copied, how):
    path = copied / "002-004-101.npz"
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "cut": content[:middle],
            "empty": b"",
            "flipped": bytes([*content[:80], content[80] ^ 4, *content[81:]]),
        }[how]
    )
    with pytest.raises(ValueError, match=r"002-004-101\.npz is damaged .*; delete it") as caught:
        measure_all(copied)
    assert "\n" not in str(caught.value)
    path.unlink()
    assert np.isfinite(measure_all(copied).scores).all()


@pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: s[:, :1], lambda s: s * np.nan])
def test_a_piece_of_other_scores_is_refused_by_name(copied, change):
    path = copied / "002-004-101.npz"
    with np.load(path) as file:
        content = dict(file)
    np.savez(path, **(content | {"scores": change(content["scores"])}))
    with pytest.raises(ValueError, match=r"101\.npz holds scores of shape .* \(6, 2, 2\); delete"):
        measure_all(copied)


def test_a_piece_without_its_time_is_refused_by_name(copied):
    path = copied / "000-002-000.npz"
    np.savez(path, scores=np.ones((6, 2, 2)))
    with pytest.raises(ValueError, match=r"000-002-000\.npz is damaged"):
        measure_all(copied)
