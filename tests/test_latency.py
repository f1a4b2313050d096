"""Timing with a clock that obeys, memory that can be counted by hand, and the profile of blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
import torch

from ensrepro import latency, timing
from ensrepro.config import MambaIRShape
from ensrepro.latency import BLOCKS, MEASURED
from ensrepro.models import scan
from ensrepro.models.counting import macs
from ensrepro.models.hybrid import NetworkShape, build
from ensrepro.models.mambair import VSSBlock
from ensrepro.space import RESTORMER
from ensrepro.tiles import MIB
from ensrepro.timing import Timing


class Clock:
    """Time that passes only when a run takes it."""

    def __init__(self, durations: Iterable[float]) -> None:
        self.now = 1000.0
        self.durations: Iterator[float] = iter(durations)
        self.n_runs = 0

    def __call__(self) -> float:
        return self.now

    def run(self) -> None:
        self.n_runs += 1
        self.now += next(self.durations)


def timed(durations: list[float], **limits: float) -> Timing:
    clock = Clock(durations)
    settings = {"min_runs": 1, "min_seconds": 0.0, "warm_up": 0} | limits
    return timing.measure(clock.run, clock=clock, **settings)


def test_percentiles_are_times_that_were_measured():
    # nearest rank: the smallest time that a share of 50, 90, 99 % of the runs does not exceed
    found = timed([k / 1000 for k in range(1, 101)], min_runs=100)
    assert (found.p50_ms, found.p90_ms, found.p99_ms) == pytest.approx((50.0, 90.0, 99.0))
    assert found.n == 100
    assert found.seconds == pytest.approx(5.05)


def test_order_of_the_runs_does_not_change_percentiles_but_drift():
    rising = timed([k / 1000 for k in range(1, 101)], min_runs=100)
    falling = timed([k / 1000 for k in range(100, 0, -1)], min_runs=100)
    assert falling.p90_ms == pytest.approx(rising.p90_ms)
    # medians of the last and first ten: 95.5 and 5.5 ms
    assert rising.drift == pytest.approx(95.5 / 5.5)
    assert falling.drift == pytest.approx(5.5 / 95.5)


def test_a_single_run_is_all_percentiles_and_has_no_drift():
    assert timed([0.25]) == Timing(*([pytest.approx(250.0)] * 3), 1, pytest.approx(0.25), 1.0)


def test_both_minima_have_to_be_reached():
    assert timed([0.5] * 100, min_runs=3).n == 3
    assert timed([0.5] * 100, min_runs=3, min_seconds=5.0).n == 10
    assert timed([0.5] * 100, min_runs=12, min_seconds=5.0).n == 12


def test_warm_up_runs_do_not_count():
    clock = Clock([9.0, 9.0, 0.5, 0.5])
    found = timing.measure(clock.run, min_runs=2, min_seconds=0, warm_up=2, clock=clock)
    assert (found.p99_ms, found.seconds, clock.n_runs) == (500.0, 1.0, 4)


def test_a_clock_too_coarse_to_see_a_run_gives_no_drift():
    assert math.isnan(timed([0.0, 0.0], min_runs=2).drift)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"min_runs": 0}, "min_runs is 0; expected at least 1"),
        ({"warm_up": -1}, "warm_up is -1; expected at least 0"),
        ({"min_seconds": -0.1}, "min_seconds is -0.1; expected a finite number, not negative"),
        ({"min_seconds": math.nan}, "min_seconds is nan; expected a finite number"),
        ({"min_seconds": math.inf}, "min_seconds is inf; expected a finite number"),
    ],
)
def test_impossible_limits_are_refused_before_anything_runs(limits, message):
    with pytest.raises(ValueError, match=message):
        timed([], **limits)


def test_a_ratio_compares_medians_under_equal_conditions():
    under = latency.conditions(64, 48)
    slow = replace(timed([0.3]), conditions=under)
    fast = replace(timed([0.1]), conditions=latency.conditions(64, 48))
    assert timing.ratio(slow, fast) == pytest.approx(3.0)


@pytest.mark.parametrize(
    "change",
    [
        {"resolution": "8x8"},
        {"dtype": "float16"},
        {"threads": 99},
        {"runtime": "onnxruntime"},
        {"version": "0"},
        {"cpu": "an abacus"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_ratio_of_timings_under_different_conditions_is_refused(change):
    under = latency.conditions(64, 48)
    ours, theirs = (replace(timed([0.1]), conditions=c) for c in (under, replace(under, **change)))
    name, value = next(iter(change.items()))
    with pytest.raises(ValueError, match=f"different conditions: {name} .* and {value}$"):
        timing.ratio(ours, theirs)


def test_a_ratio_needs_conditions():
    with pytest.raises(ValueError, match="no conditions"):
        timing.ratio(timed([0.1]), timed([0.1]))


def test_conditions_say_what_torch_is_set_to():
    under = latency.conditions(64, 48, torch.float16)
    assert (under.resolution, under.dtype, under.runtime) == ("64x48", "float16", "torch")
    assert under.threads == torch.get_num_threads()
    assert under.version == torch.__version__
    assert under.cpu


def allocate() -> None:
    """5 MiB at most: 3, then 3 + 2, then 2 + 1."""
    first = torch.empty(3 * 2**20, dtype=torch.uint8)
    second = torch.empty(2 * 2**20, dtype=torch.uint8)
    del first
    third = torch.empty(2**20, dtype=torch.uint8)
    del second, third


def test_peak_memory_is_the_largest_sum_that_was_alive():
    assert latency.peak_memory_mib(allocate) == 5.0


def test_peak_memory_does_not_count_what_was_there_before():
    x = torch.ones(2**20)
    assert latency.peak_memory_mib(lambda: x.add_(1)) == pytest.approx(0.0, abs=0.01)
    assert latency.peak_memory_mib(lambda: x + 1) == pytest.approx(4.0, abs=0.01)


FLOAT, INDEX = 4, 8  # bytes


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def scanned(batch: int, side: int, width: int, states: int, rank: int) -> list[torch.Tensor]:
    """Arguments of scan_2d."""
    x = torch.ones(batch, side, side, width)
    rows, A = torch.ones(batch, side, side, 4, rank + 2 * states), -torch.ones(4, width, states)
    return [x, rows, torch.ones(4, width, rank), torch.ones(4, width), A, torch.ones(4, width)]


def test_peak_memory_of_a_scan_is_its_output_and_the_reading_orders():
    given = scanned(batch=2, side=16, width=40, states=3, rank=2)
    n = 16 * 16
    expected = 4 * n * INDEX + 2 * n * 40 * FLOAT
    assert latency.peak_memory_mib(lambda: scan.scan_2d(*given)) == expected / MIB


@pytest.mark.usefixtures("one_thread")
def test_peak_memory_of_a_scan_for_gradients_has_states_and_gradients_too():
    given = [argument.requires_grad_() for argument in scanned(2, 16, 40, states=3, rank=2)]
    x, rows, *parameters = (argument.numel() for argument in given)
    n = 16 * 16
    # 40 channels are 3 tiles of 16; the state at the start of each of 4 chunks of 64 pixels
    states = 2 * 4 * 3 * 4 * 3 * 16
    forward = 4 * n * INDEX + (x + states) * FLOAT
    assert latency.peak_memory_mib(lambda: scan.scan_2d(*given)) == forward / MIB
    # before they are summed, there are gradients of the parameters for each of the two images, and
    # of the rows for each group of tiles; one thread has one group
    summed = x + 2 * rows + (2 + 1) * sum(parameters)
    ones = torch.ones_like(given[0])
    peak = latency.peak_memory_mib(lambda: torch.autograd.grad(scan.scan_2d(*given), given, ones))
    assert peak == (forward + summed * FLOAT) / MIB


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="convolutions take memory that is not counted"
)
def test_peak_memory_of_a_mambair_block_is_that_of_its_gated_scan():
    channels, side, shape = 32, 24, MambaIRShape(2.0, 2)
    block = VSSBlock(channels, shape).eval()
    with torch.inference_mode():
        peak = latency.peak_memory_mib(lambda: block(torch.ones(1, channels, side, side)))
    # Alive when the scan meets its gate: the block's input, the same scaled and normalized; of the
    # inner width, the scan's input with its gate, the convolved input, the scan's output, the same
    # normalized, the gate's SiLU, and the product of the last two.
    per_pixel = 3 * channels + (2 + 1 + 1 + 1 + 1 + 1) * 2 * channels
    assert peak == per_pixel * side**2 * FLOAT / MIB


def test_peak_memory_of_blocks_grows_with_pixels_and_of_vanilla_attention_with_their_square():
    peaks = {
        (cost.block, cost.resolution): cost.peak_memory_mib
        for cost in latency.profile_blocks(16, (16, 32), min_runs=1)
    }
    for block in ("restormer", "mambair"):
        assert 3.5 < peaks[block, 32] / peaks[block, 16] <= 4.5
    assert peaks["vanilla", 32] / peaks["vanilla", 16] > 8
    # both L x L matrices are in it
    assert peaks["vanilla", 32] > 2 * 4 * 1024**2 / 2**20


def test_vanilla_attention_stops_at_the_memory_bound_and_says_so():
    # 2 * 4 * 32**4 bytes are 8 MiB; 16 pixels take 0.5 MiB
    costs = latency.profile_blocks(
        8, (16, 32), blocks=("vanilla", "restormer"), memory_bound_gib=4 / 1024, min_runs=1
    )
    small, large, *others = costs
    assert small.status == MEASURED
    assert large.status == "not run: attention takes 0.00781 GiB, the bound is 0.00390625 GiB"
    assert large.timing is large.peak_memory_mib is large.row()["p50_ms"] is None
    assert large.macs > 8 * small.macs
    assert [cost.status for cost in others] == [MEASURED, MEASURED]


def test_a_profile_has_one_row_for_each_block_and_resolution():
    before = torch.get_num_threads()
    costs = latency.profile_blocks(8, (16,), min_runs=2, threads=1)
    assert torch.get_num_threads() == before
    assert [cost.block for cost in costs] == list(BLOCKS)
    for cost in costs:
        row = cost.row()
        expected = {"block", "resolution", "macs", "params", "peak_memory_mib", "p50_ms", "status"}
        assert row.keys() == expected
        assert row["p50_ms"] == cost.timing.p50_ms > 0
        assert cost.timing.n >= 2
        assert cost.timing.conditions.threads == 1
        assert cost.timing.conditions.resolution == "16x16"
        assert cost.macs == macs(BLOCKS[cost.block](8), (1, 8, 16, 16)).total


def test_profiling_leaves_the_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    latency.profile_blocks(8, (16,), blocks=("restormer",), min_runs=1)
    assert torch.equal(torch.rand(1), expected)


def test_an_unknown_block_is_refused():
    with pytest.raises(ValueError, match="block is 'swin'; expected one of vanilla, restormer"):
        latency.profile_blocks(8, (16,), blocks=("swin",))


def test_sides_are_those_up_to_the_largest():
    assert latency.sides(256) == (16, 32, 64, 128, 256)
    assert latency.sides(100, "mini") == (16, 32, 64)
    assert latency.sides(256, "smoke") == (16, 32)
    assert latency.sides(16, "smoke") == (16,)


@pytest.mark.parametrize("largest", [15, 513, -1, 0])
def test_a_resolution_out_of_range_is_refused(largest):
    with pytest.raises(ValueError, match=f"max_resolution is {largest}; expected 16 to 512"):
        latency.sides(largest)


@pytest.mark.parametrize("largest", ["256", 64.0, True, None])
def test_a_resolution_of_the_wrong_type_is_refused(largest):
    with pytest.raises(TypeError, match=r"max_resolution is .*; expected an integer"):
        latency.sides(largest)


def test_stage_costs_add_up_to_the_networks():
    shape = NetworkShape(mambair=MambaIRShape(1.5, 16))
    costs = latency.stage_costs(shape, 64)
    assert [cost.stage for cost in costs] == [stage.name for stage in RESTORMER.stages]
    with torch.device("meta"):
        teacher, hybrid = (
            macs(build(a, shape), (1, 3, 64, 64)).total
            for a in (RESTORMER.teacher, RESTORMER.all_ssm)
        )
    # glue is shared, so the networks differ by their stages alone
    deepest = sum(cost.surrogates[max(cost.surrogates)].total for cost in costs)
    assert hybrid - teacher == deepest - sum(cost.teacher.total for cost in costs)


def test_stage_costs_have_every_choice_and_are_linear_in_depth():
    for stage, cost in zip(
        RESTORMER.stages, latency.stage_costs(NetworkShape(16), 64), strict=True
    ):
        assert tuple(cost.surrogates) == stage.depths
        assert (cost.channels, cost.side) == (16 * stage.width_factor, 64 // 2**stage.level)
        per_block = {found.total / depth for depth, found in cost.surrogates.items()}
        assert len(per_block) == 1
