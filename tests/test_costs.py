"""What choices cost: sums, counts and a checkpoint that is used for the same conditions only."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from small_space import SMALL

from ensrepro import costs
from ensrepro.config import MambaIRShape
from ensrepro.costs import GLUE, Cost, Setting
from ensrepro.models.counting import macs, parameters
from ensrepro.models.hybrid import NetworkShape, build
from ensrepro.space import RESTORMER
from ensrepro.timing import Timing, summarize

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = NetworkShape(width=8, mambair=MambaIRShape(1.0, 2, 16))
SIDE = 16
N_CHOICES = 1 + 3 + 5 + 3  # of SMALL, with the glue


class Clock:
    """Stands in for `costs.timed`: its n-th call takes n ms, and nothing is run."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []
        self.warm_ups: list[int] = []

    def __call__(self, module, x, runs, seconds, warm_up) -> Timing:
        self.calls.append(tuple(x.shape))
        self.warm_ups.append(warm_up)
        return summarize([1e-3 * len(self.calls)] * 3)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(costs, "timed", found)
    return found


TINY_SETTING = Setting(TINY, SIDE)


def measure(checkpoint, setting=TINY_SETTING, space=SMALL, **arguments):
    given = {"n_networks": 3, "seed": 0, "checkpoint": checkpoint, **arguments}
    return costs.measure(setting, space, **given)


def test_a_column_is_the_exact_sum_over_stages_and_the_glue():
    rng = np.random.default_rng(0)
    rows = [Cost(GLUE, 0, 7, 11, 0.25, 1, 1.0)]
    for stage in SMALL.stages:
        for choice in range(stage.n_choices):
            params, operations = (int(n) for n in rng.integers(1, 2**40, 2))
            rows.append(Cost(stage.name, choice, params, operations, rng.random(), 1, 1.0))
    of = {(row.stage, row.choice): row for row in rows}
    for name in ("params", "macs", "latency_ms"):
        expected = [
            getattr(rows[0], name)
            + sum(getattr(of[s.name, c], name) for s, c in zip(SMALL.stages, a, strict=True))
            for a in SMALL
        ]
        found = costs.column(rows, name, SMALL)
        assert found.shape == (SMALL.n_architectures,)
        if name == "latency_ms":
            assert found == pytest.approx(np.array(expected), rel=1e-14)
        else:
            assert found.tolist() == expected


@pytest.mark.parametrize("in_channels", [3, 6])
def test_counts_of_all_architectures_are_those_of_whole_networks(clock, tmp_path, in_channels):
    shape = NetworkShape(8, "bias_free", in_channels, mambair=MambaIRShape(1.0, 2, 16))
    found = measure(tmp_path / "c.json", Setting(shape, SIDE), RESTORMER).costs
    params, operations = (costs.column(found, name, RESTORMER) for name in ("params", "macs"))
    for number in (0, RESTORMER.n_architectures - 1, *costs.sampled(RESTORMER, 4, seed=1)):
        network = build(RESTORMER.architecture(number), shape)
        assert params[number] == parameters(network)
        assert operations[number] == macs(network, (1, in_channels, SIDE, SIDE)).total


def test_every_choice_is_timed_once_at_its_own_resolution(clock, tmp_path):
    found = measure(tmp_path / "c.json")
    assert [(row.stage, row.choice) for row in found.costs] == [
        (GLUE, 0),
        *((stage.name, choice) for stage in SMALL.stages for choice in range(stage.n_choices)),
    ]
    own = {"encoder_1": (8, 16), "bottleneck": (16, 8), "refinement": (16, 16)}
    expected = [(1, 3, 16, 16)]
    expected += [(1, own[row.stage][0], *[own[row.stage][1]] * 2) for row in found.costs[1:]]
    assert clock.calls == expected + [(1, 3, 16, 16)] * 3
    assert set(clock.warm_ups) == {costs.WARM_UP}  # whole networks too
    assert [row.latency_ms for row in found.costs] == pytest.approx(range(1, N_CHOICES + 1))
    assert [row["number"] for row in found.networks] == costs.sampled(SMALL, 3, seed=0)
    assert [row["latency_ms"] for row in found.networks] == pytest.approx([13, 14, 15])


def test_sampled_networks_are_different_ones_by_the_seed_and_more_go_on_from_fewer():
    numbers = costs.sampled(RESTORMER, 100, seed=0)
    assert len(set(numbers)) == 100
    assert numbers == costs.sampled(RESTORMER, 100, seed=0) != costs.sampled(RESTORMER, 100, seed=1)
    assert costs.sampled(RESTORMER, 7, seed=0) == numbers[:7]


def test_more_networks_are_added_to_those_of_the_checkpoint(clock, tmp_path):
    fewer = measure(tmp_path / "c.json").networks
    more = measure(tmp_path / "c.json", n_networks=5).networks
    assert more[:3] == fewer
    assert [row["number"] for row in more] == costs.sampled(SMALL, 5, seed=0)


def test_what_the_checkpoint_holds_is_not_measured_again(clock, tmp_path):
    path, seen = tmp_path / "c.json", []

    def stop(what, done, of):
        seen.append((what, done, of))
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(path, progress=stop)
    assert seen[-1] == ("latency of choices", 5, N_CHOICES)
    whole = measure(path)
    assert len(clock.calls) == N_CHOICES + 3  # five before, the rest after
    assert measure(path) == whole
    assert len(clock.calls) == N_CHOICES + 3
    assert whole.costs[4].latency_ms == pytest.approx(5)


@pytest.mark.parametrize(
    ("setting", "seed"),
    [
        (Setting(TINY, 2 * SIDE), 0),
        (Setting(TINY, SIDE, threads=2), 0),
        (Setting(TINY, SIDE), 1),
        (Setting(NetworkShape(4, mambair=TINY.mambair), SIDE), 0),
    ],
    ids=["resolution", "threads", "seed", "width"],
)
def test_a_checkpoint_of_other_conditions_is_not_taken_up(clock, tmp_path, setting, seed):
    path = tmp_path / "c.json"
    measure(path)
    before = len(clock.calls)
    other = measure(path, setting, seed=seed)
    assert len(clock.calls) == 2 * before
    assert other == measure(path, setting, seed=seed)  # and the new one is


def test_another_version_of_torch_is_another_condition(clock, tmp_path, monkeypatch):
    path = tmp_path / "c.json"
    measure(path)
    monkeypatch.setattr(torch, "__version__", "0.0")
    measure(path)
    assert len(clock.calls) == 2 * (N_CHOICES + 3)
    assert json.loads(path.read_text())["identity"]["conditions"]["version"] == "0.0"


def test_progress_counts_choices_then_networks(clock, tmp_path):
    seen = []
    measure(tmp_path / "c.json", progress=lambda *now: seen.append(now))
    assert seen == [
        *(("latency of choices", n, N_CHOICES) for n in range(1, N_CHOICES + 1)),
        *(("latency of networks", n, 3) for n in range(1, 4)),
    ]


def test_conditions_say_that_freed_memory_is_kept():
    found = Setting(TINY, SIDE, threads=3).conditions()
    assert (found.resolution, found.threads) == ("16x16", 3)
    assert found.runtime == "torch, freed memory kept"


def test_what_is_timed_is_run_and_threads_are_left_as_they_were(tmp_path):
    torch.set_num_threads(1)
    setting = Setting(TINY, SIDE, threads=2, min_seconds=0.0)
    found = measure(tmp_path / "c.json", setting, n_networks=1)
    assert torch.get_num_threads() == 1
    assert all(row.latency_ms > 0 and row.n == costs.MIN_RUNS for row in found.costs)
    assert found.networks[0]["latency_ms"] > 0
