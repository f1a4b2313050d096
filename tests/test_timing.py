"""The harness: alternation, ratios by round, limits. `test_latency` has `measure` and `ratio`."""

from __future__ import annotations

import math

import pytest

from ensrepro import timing


class Machine:
    """A clock that moves on by what a run takes; `slowdown` grows with every run."""

    def __init__(self, growth: float = 0.0) -> None:
        self.now, self.slowdown, self.growth = 0.0, 1.0, growth
        self.order: list[str] = []
        self.rests: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.rests.append(seconds)

    def run(self, name: str, seconds: float):
        def take() -> None:
            self.order.append(name)
            self.now += seconds * self.slowdown
            self.slowdown += self.growth

        return take


def race(machine: Machine, takes: dict[str, float], **given: float) -> timing.Alternation:
    limits = {"min_rounds": 3, "min_seconds": 0.0, "warm_up": 0, **given}
    runs = {name: machine.run(name, seconds) for name, seconds in takes.items()}
    return timing.alternate(runs, clock=machine.clock, sleep=machine.sleep, **limits)


def test_each_round_starts_with_the_next_subject():
    machine = Machine()
    race(machine, {"a": 1, "b": 1, "c": 1}, min_rounds=4)
    assert "".join(machine.order) == "abcbcacababc"


def test_a_machine_that_slows_down_to_a_third_hardly_moves_the_ratio():
    # two runs a round, each 1 % of the first speed slower than the one before: the ratio of a round
    # is off by 1 % at the most, to one side and then to the other
    raced = race(Machine(growth=0.01), {"slow": 2, "fast": 1}, min_rounds=100)
    found = raced.ratio("slow", "fast")
    assert found.median == pytest.approx(2.0, rel=0.005)
    assert found.low > 1.98
    assert found.high < 2.02
    assert found.n == 100
    assert raced.timing("slow").drift > 2.5  # and the drift is seen


def test_a_spread_encloses_eight_rounds_of_ten():
    times = {"slow": [float(i) for i in range(1, 12)], "fast": [1.0] * 11}
    found = timing.Alternation(times).ratio("slow", "fast")
    # ratios 1 to 11: percentiles 10, 50, 90 of eleven equidistant values are the 2nd, 6th, 10th
    assert (found.low, found.median, found.high) == pytest.approx((2, 6, 10))


@pytest.mark.parametrize("n", [5, 7, 10, 12])
def test_the_ends_of_a_spread_are_ratios_of_rounds(n: int):
    ratios = [2.0 + i * i for i in range(n)]
    found = timing.Alternation({"slow": ratios, "fast": [1.0] * n}).ratio("slow", "fast")
    # nearest ranks, as the percentiles of a timing: the smallest that 10 and 90 % do not exceed
    assert found.low == ratios[math.ceil(n / 10) - 1]
    assert found.high == ratios[math.ceil(9 * n / 10) - 1]


def test_rounds_go_on_until_both_minima_are_reached():
    assert race(Machine(), {"a": 1, "b": 1}, min_rounds=2, min_seconds=9).timing("a").n == 5
    assert race(Machine(), {"a": 1, "b": 1}, min_rounds=7, min_seconds=9).timing("a").n == 7


def test_warm_up_and_rest_do_not_count():
    machine = Machine()
    raced = race(machine, {"a": 1, "b": 3}, warm_up=2, rest=0.25)
    assert len(machine.order) == 2 * 2 + 3 * 2
    assert machine.rests == [0.25] * 6  # before every run that counts
    assert raced.timing("b").p99_ms == 3000.0
    assert raced.timing("a").seconds == 3.0


def test_all_timings_have_the_conditions_of_the_alternation():
    under = timing.Conditions("8x8", "float32", 1, "onnxruntime", "1", "an abacus")
    raced = timing.Alternation({"a": [1.0], "b": [2.0]}, under)
    assert timing.ratio(raced.timing("b"), raced.timing("a")) == 2.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_rounds": 0}, "min_rounds is 0; expected at least 1"),
        ({"warm_up": -1}, "warm_up is -1; expected at least 0"),
        ({"rest": -0.5}, "rest is -0.5; expected at least 0"),
        ({"min_seconds": math.nan}, "min_seconds is nan; expected a finite number"),
    ],
)
def test_impossible_limits_are_refused_before_anything_runs(given, message):
    machine = Machine()
    with pytest.raises(ValueError, match=message):
        race(machine, {"a": 1}, **given)
    assert machine.order == []


def test_nothing_to_time_is_refused():
    with pytest.raises(ValueError, match="runs is empty"):
        race(Machine(), {})
