"""Checks of results can say yes and no, those of uncertain values also that they do not tell."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ledger_entries import ONE, RESULT_CHECKS, ROOT, TWO, Files, by_id, listed, told
from ledger_results import ANY, ablated, finetuned, results, searched, uformer

from ensrepro import claims
from ensrepro.claims import (
    Sources,
    Status,
    belonging,
    counted,
    measured,
    scores,
)
from ensrepro.claims.belonging import NotMeasuredError, job
from ensrepro.claims.doubt import Range, of_difference
from ensrepro.claims.records import Given
from ensrepro.config import TASKS, UFORMER_PAIR
from ensrepro.figures.distillation import ALIVE_DB
from ensrepro.space import RESTORMER, penalty


@pytest.mark.parametrize(
    ("draws", "status"),
    [
        # 21.90 to 22.66 around 22.28, two standard errors are 0.10: the hybrid's 22.4 and 22.6 dB
        # are above that, though single draws are above the hybrid
        ([21.90 + 0.04 * k for k in range(20)], Status.REPRODUCED),
        ([22.05 + 0.04 * k for k in range(20)], Status.UNDECIDED),  # around 22.43
        ([22.40 + 0.04 * k for k in range(20)], Status.CONTRADICTED),  # around 22.78
        ([21.0] * 19, Status.UNDECIDED),  # one draw too few
    ],
)
def test_random_draws_are_beaten_in_the_mean_and_not_one_and_all(
    draws: list[float], status: Status, tmp_path: Path
) -> None:
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "search-beats-random")
    one = claims.verdict(claim, "4.5", results(tmp_path, ablated(random_hybrids=draws)))
    assert one.status is status, one.evidence
    beaten = sum(draw < 22.5 for draw in draws)
    assert f"It is above {beaten} of {len(draws)} draws." in one.evidence
    assert "seeds;" not in one.evidence


def test_a_verdict_on_random_draws_takes_as_many_as_the_notebook_draws() -> None:
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "search-beats-random")
    text = (ROOT / "notebooks" / "text" / "08_ablations.py").read_text("utf-8")
    (n_draws,) = re.findall(r"(?m)^n_draws = (\d+)", text)
    assert claim.given.criterion == int(n_draws) == 20  # table 5 has one


def test_two_networks_of_several_seeds_are_held_against_each_other_seed_by_seed(
    tmp_path: Path,
) -> None:
    # the committed denoising: seeds lie 0.23 dB apart, and the hybrid is ahead with each of them
    x, y = [22.50, 22.58, 22.73], [22.41, 22.47, 22.58]
    given = replace(TWO, criterion=0.0, beside="headline/t", unit="dB")
    finding = scores.above(given, results(tmp_path, told(x=x, y=y, t=[22.635])))
    assert finding.holds is True
    assert finding.ours == "+0.12 dB"  # (0.09 + 0.11 + 0.15) / 3
    assert "+0.12 dB, +0.09 to +0.15 seed by seed over 3 seeds; asked for more" in finding.because
    beside = "Against t 22.64, which decides nothing: -0.03 dB, -0.25 to +0.21 within the spread"
    assert beside in finding.because  # 22.5 - 22.635 - 0.115 and so on


def test_a_table_and_a_verdict_tell_one_and_the_same_change() -> None:
    told = json.loads((ROOT / "results/mini/denoise/06_finetune.manifest.json").read_text("utf-8"))
    changes = told["headline"]["change"]["teacher, longer"]
    span = f"{min(changes):+.2f} to {max(changes):+.2f} seed by seed over {len(changes)} seeds"
    assert span in by_id()["denoise-above-teacher"].evidence


PROFILING = belonging.PROFILING


def profile(*rows: tuple[str, int, float]) -> dict[str, Any]:
    """MACs and memory (block, side, cost), alike."""
    return {
        "headline/costs": [
            {"block": b, "resolution": s, "macs": c, "peak_memory_mib": c, "p50_ms": None}
            for b, s, c in rows
        ]
    }


def latencies(small: float, large: float, drift: float = 1.25) -> dict[str, Any]:
    """MambaIR's latency over Restormer's at 8 and 16 pixels; it always has twice the MACs."""
    rows = [("mambair", 8, small), ("restormer", 8, 1.0), ("mambair", 16, large)]
    rows.append(("restormer", 16, 1.0))
    macs = {"mambair": 2, "restormer": 1}
    costs = [
        {"block": b, "resolution": s, "macs": macs[b], "peak_memory_mib": None, "p50_ms": ms}
        for b, s, ms in rows
    ]
    return {PROFILING: {"headline/costs": costs, "headline/drift": [1 / drift, 1.0]}}


def runs(**ratios: list[float]) -> dict[str, Any]:
    """A study of runs with 50 proposals, by sampler and final share of the true hypervolume."""
    return {
        "result/runs": [
            {
                "sampler": name.replace("_", "-"),
                "milestones": [{"count": 9, "ratio": 1 - ratio}, {"count": 50, "ratio": ratio}],
            }
            for name, every in ratios.items()
            for ratio in every
        ]
    }


def front_found(*ratios: float, count: int = 500) -> dict[str, Any]:
    """A study of the paper's sampler alone, by share of the true hypervolume."""
    made = [
        {"sampler": "paper-ehvi", "milestones": [{"count": count, "ratio": ratio}]}
        for ratio in ratios
    ]
    return {"study.json": {"result/runs": made}}


def bench(teacher_ms: float, surrogate_ms: float) -> dict[str, Any]:
    rows = [{"stage": "glue", "choice": 0, "latency_ms": 0.0}]
    for stage in RESTORMER.stages:
        for choice in range(stage.n_choices):
            ms = surrogate_ms if choice else teacher_ms
            rows.append({"stage": stage.name, "choice": choice, "latency_ms": ms})
    return {"result/costs": rows}


THREE = Given(
    file=ANY, fields=("headline/x/w", "headline/y/w", "headline/z/w"), criterion=0.25, resolution=1
)
MACS = Given(fields=("mambair", "restormer"))
BLOCKS = Given(fields=("macs", "mambair", "restormer"))
CHOSEN, KEPT = finetuned("2 2 2 2 2 2 2 2"), finetuned("T T T T T T T T")


def timed(teacher_ms: float, surrogate_ms: float) -> dict[str, Any]:
    """A chosen hybrid of surrogates only; sums are wrong by a tenth."""
    return {**CHOSEN, **told(x=0.1), "ens-bench.json": bench(teacher_ms, surrogate_ms)}


TURNS = Given(
    file=ANY, fields=("headline/m", "headline/l", "headline/h", "headline/n"), criterion=10
)


def in_turns(low: float, high: float, rounds: int = 10) -> dict[str, Any]:
    """So many times as long as the reference."""
    return told(m=(low + high) / 2, l=low, h=high, n=rounds)


def tuned(*gains: float) -> dict[str, Any]:
    """Candidates with these gains; the first has a second seed, which gains 0.2 dB."""
    files: dict[str, Any] = searched(*range(1, 1 + len(gains)))
    named = {job(n, 0): gain for n, gain in enumerate(gains, 1)} | {job(1, 1): 0.2}
    for name, gain in named.items():
        files[name] = {"result/before": 20.0, "result/after": 20.0 + gain}
    return files


def knee(drop: float) -> dict[str, Any]:
    """Half way between the penalties of the cheapest (6.4 = 0.4 x 16) and the teacher (44)."""
    files = searched(7, psnr=22.0 - drop)
    files[belonging.KNEE]["headline/penalty"] = 25.2
    return {**files, **told(x=3.0)}


def pool(n_surrogates: int) -> dict[str, Any]:
    rows = [{}] * n_surrogates
    return {"pool.json": {"result/rows": rows}, "ens-bench.json": {"result/n_rows": 34560}}


# check -> what it is given; results with which it holds, does not, and cannot tell
THREE_WAYS: dict[str, tuple[Given, Files, Files, Files]] = {
    "above": (
        TWO,  # asked for more than 0.5
        told(x=[2.9, 3.1], y=[2.1, 2.0]),  # 0.8 and 1.1, seed by seed
        told(x=[2.1, 2.3], y=[2.1, 2.0]),  # 0.0 and 0.3
        told(x=[2.5, 2.7], y=[2.1, 2.0]),  # 0.4 and 0.7
    ),
    "above_draws": (  # asked for 4 draws; those have a mean of 2.0, give or take 0.115
        replace(TWO, criterion=4),  # two standard errors: 2 sqrt(0.04 / 3) / sqrt(4)
        told(x=[2.15, 2.12], y=[1.9, 2.1, 2.1, 1.9]),
        told(x=[1.85, 1.88], y=[1.9, 2.1, 2.1, 1.9]),
        told(x=[2.15, 2.1], y=[1.9, 2.1, 2.1, 1.9]),
    ),
    "several_times": (
        replace(TWO, criterion=2.0, resolution=1),
        told(x=24, y=3),  # at least 23 / 4
        told(x=3, y=3),  # at most 4 / 2
        told(x=6, y=3),  # 5 / 4 to 7 / 2
    ),
    "gap_closed": (
        THREE,  # a quarter of 20 is 5
        told(x_w=0, y_w=20, z_w=7),
        told(x_w=0, y_w=20, z_w=4),
        told(x_w=0, y_w=20, z_w=5),
    ),
    "overtakes": (MACS, latencies(2, 0.7), latencies(2, 1.3), latencies(2, 0.9)),
    "orders_otherwise": (BLOCKS, latencies(2, 0.7), latencies(2, 1.3), latencies(2, 0.9)),
    "higher_in_every_stage": (
        TWO,
        told(x={"s": 2, "t": 6}, y={"s": 1, "t": 5, "u": 5}),
        told(x={"s": 0, "t": 4}, y={"s": 1, "t": 5}),
        told(x={"s": 2, "t": 4}, y={"s": 1, "t": 5}),
    ),
    "candidates_gain": (
        Given(),
        tuned(0.3, 0.1),
        {name: fields for name, fields in tuned(-0.3, -0.1).items() if "-s1" not in name},
        tuned(0.3, -0.1),
    ),
    "chosen_is_faster": (ONE, timed(10.0, 9.0), timed(10.0, 12.0), timed(10.0, 9.5)),
    "takes_less_time": (TURNS, in_turns(0.5, 0.6), in_turns(1.9, 2.1), in_turns(0.9, 1.1)),
    "beats_random": (
        Given(fields=("paper-ehvi", "random")),
        {"study.json": runs(paper_ehvi=[0.9, 0.86], random=[0.8, 0.85])},
        {"study.json": runs(paper_ehvi=[0.7, 0.75], random=[0.8, 0.85])},
        {"study.json": runs(paper_ehvi=[0.9, 0.84], random=[0.8, 0.85])},  # medians: 87 and 82.5 %
    ),
    "finds_front": (
        Given(fields=("paper-ehvi",), scalars=("n_evaluations",), criterion=0.99),
        front_found(0.995, 1.0),
        front_found(0.98, 0.985),
        front_found(0.98, 1.0),
    ),
}
# check -> what it is given; results with which it holds and does not: nothing here is uncertain
BOTH_WAYS: dict[str, tuple[Given, Files, Files]] = {
    "at_least": (ONE, told(x=0.5), told(x=0.49)),
    "share_at_most": (ONE, told(x=17280), told(x=17281)),
    "growth": (
        Given(fields=("vanilla",), criterion=2.0),
        {PROFILING: profile(("vanilla", 8, 1), ("vanilla", 16, 16))},
        {PROFILING: profile(("vanilla", 8, 1), ("vanilla", 16, 4))},
    ),
    "fewer_macs": (
        MACS,
        {PROFILING: profile(("mambair", 8, 1), ("restormer", 8, 2))},
        {PROFILING: profile(("mambair", 8, 2), ("restormer", 8, 2))},
    ),
    "less_memory": (
        MACS,
        {PROFILING: profile(("mambair", 8, 1), ("restormer", 8, 2))},
        {PROFILING: profile(("mambair", 8, 2), ("restormer", 8, 2))},
    ),
    "better_than_nothing": (
        TWO,  # stages that cost under 0.5 dB do not count
        told(
            x={"encoder_1": 2, "bottleneck": 0.4},
            y={"encoder_1 4": 1, "encoder_1 2": 1.9, "bottleneck 2": 0.5},
        ),
        told(x={"encoder_1": 2}, y={"encoder_1 4": 1, "encoder_1 2": 2}),
    ),
    "fewer_transformers": (Given(), CHOSEN, KEPT),
    "alternatives_keep_more": (Given(scalars=("equal_blocks_share",)), CHOSEN, KEPT),
    "plateau": (ONE, knee(1.4), knee(1.6)),
    "one_pool": (Given(), pool(22), pool(21)),
}


def test_every_check_of_results_is_tried_both_ways_or_three() -> None:
    assert {*BOTH_WAYS, *THREE_WAYS} == set(RESULT_CHECKS)
    assert not set(THREE_WAYS) & set(counted.CHECKS)


@pytest.mark.parametrize("name", [*THREE_WAYS, *BOTH_WAYS])
def test_a_check_of_results_can_say_yes_and_no_and_that_it_cannot_tell(
    name: str, tmp_path: Path
) -> None:
    given, *ways = THREE_WAYS[name] if name in THREE_WAYS else BOTH_WAYS[name]
    for holds, files in zip((True, False, None), ways, strict=False):
        finding = RESULT_CHECKS[name](given, results(tmp_path / str(holds), files))
        assert finding.holds is holds, finding.because
        assert finding.because.endswith(".")
        assert finding.facts
        with pytest.raises(NotMeasuredError):
            RESULT_CHECKS[name](given, Sources("mini", tmp_path))


def test_a_few_rounds_in_turns_decide_nothing_however_clear(tmp_path: Path) -> None:
    finding = measured.takes_less_time(TURNS, results(tmp_path, in_turns(0.1, 0.2, rounds=9)))
    assert finding.holds is None
    assert "in 9 rounds, of which a verdict takes 10" in finding.because


def test_a_hybrid_chosen_as_faster_can_be_contradicted_by_its_own_timing(tmp_path: Path) -> None:
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "uformer-pair-is-faster")
    files = uformer(ratio=1.3, low=1.2, high=1.4, rounds=10, sum_ratio=0.9)
    one = claims.verdict(claim, "4.5", results(tmp_path, files, UFORMER_PAIR))
    assert one.status is Status.CONTRADICTED, one.evidence
    assert "both were then timed whole" in one.evidence


def test_a_range_tells_only_if_it_lies_on_one_side() -> None:
    assert Range(1, 2).above(0) is True
    assert Range(-2, 0).above(0) is False  # at most 0 is not above it
    assert Range(-1, 1).above(0) is None
    assert of_difference(Range(1, 2), Range(0, 5)) == (-4, 2)


def test_one_run_each_decides_nothing_unless_the_artifact_has_a_spread(tmp_path: Path) -> None:
    given = replace(TWO, criterion=None)
    files = told(x=2.3, y=2.0, s=[5.0, 5.4])
    where = results(tmp_path, files)
    alone = scores.above(given, where)
    assert alone.holds is None
    assert "one run each" in alone.because
    near = scores.above(replace(given, spread="headline/s"), where)
    assert near.holds is None  # 0.3 apart where seeds spread by 0.4
    files = told(x=2.5, y=2.0, s=[5.0, 5.4])
    far = scores.above(replace(given, spread="headline/s"), results(tmp_path / "far", files))
    assert far.holds is True


@pytest.mark.parametrize(("ratio", "holds"), [(0.74, None), (0.72, True), (1.37, None)])
def test_a_latency_within_the_drift_of_its_series_shows_nothing(
    ratio: float, holds: bool | None, tmp_path: Path
) -> None:
    # series of the committed profile drifted by 1.3706; a block was "faster" by 0.77
    files = latencies(1.6, ratio, drift=1.3706)
    finding = RESULT_CHECKS["overtakes"](MACS, results(tmp_path, files))
    assert finding.holds is holds
    assert "drifted by up to 1.37 times" in finding.because


def test_a_block_that_loses_ground_as_images_grow_does_not_overtake(tmp_path: Path) -> None:
    assert RESULT_CHECKS["overtakes"](MACS, results(tmp_path, latencies(0.2, 0.7))).holds is False


def test_every_claim_on_latency_reads_what_is_uncertain_about_it() -> None:
    by_check = {"overtakes": "headline/drift", "orders_otherwise": "headline/drift"}
    by_check["chosen_is_faster"] = "headline/latency_sum_error"
    seen = set()
    for one in claims.verdicts():
        if one.claim.check in by_check:
            assert by_check[one.claim.check] in {fact.field for fact in one.facts}, one.claim.id
            seen.add(one.claim.check)
    assert seen == set(by_check)


def test_the_paper_is_not_credited_with_the_front_of_another_sampler(tmp_path: Path) -> None:
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "search-finds-the-front")
    files = front_found(0.984, 0.986, count=100)
    files["study.json"]["result/runs"] += [
        {"sampler": "exact-ehvi", "milestones": [{"count": 500, "ratio": 1.0}]}
    ]
    files[belonging.SEARCH] = {"headline/share_of_true": 1.0}
    one = claims.verdict(claim, "3.5", results(tmp_path, files))
    assert one.is_pending
    assert "paper-ehvi made 100 proposals at most" in one.evidence
    assert "the paper 500; after 100 it has 98.5% of the true hypervolume" in one.evidence


def test_what_holds_by_count_or_definition_is_not_said_to_be_reproduced() -> None:
    made = by_id()
    for name in (
        *("attention-is-quadratic", "ssm-is-linear", "restormer-is-linear"),
        *("restormer-fewer-flops-than-attention", "restormer-fewer-flops-than-mamba"),
        *("no-training-in-the-search", "plateau-at-the-knee", "fewer-transformer-blocks"),
    ):
        assert made[name].status is Status.COUNTED, name


def test_what_random_architectures_keep_is_counted_over_all_of_them() -> None:
    every = counted.by_transformers()
    assert every == Counter(int(penalty(one, "transformers")) for one in RESTORMER)
    # a stage keeps its blocks in one of its choices: 4/3 + 6/4 + 6/4 + 8/5 + 6/4 + 6/4 + 4/3 + 4/3
    average = sum(blocks * n for blocks, n in every.items()) / every.total()
    assert average == pytest.approx(11.6)
    one = by_id()["alternatives-overuse-transformers"]
    assert "a random one keeps 11.6 on average" in one.evidence
    assert one.status in (Status.REPRODUCED, Status.CONTRADICTED)


def test_a_receptive_field_says_of_which_stage_it_is() -> None:
    stage = json.loads((ROOT / "results/mini/denoise/02_erf.manifest.json").read_text("utf-8"))
    made = [one for one in by_id().values() if one.claim.id.startswith("erf-")]
    assert len(made) == 3
    for one in made:
        assert one.evidence.startswith(f"In {stage['headline']['stage']} alone: ")
        assert "headline/stage" in {fact.field for fact in one.facts}
        assert "one seed" in one.evidence


def test_a_pair_of_blocks_is_counted_once() -> None:
    entries = listed(claims.CLAIMS)
    pairs = [frozenset(c.given.fields) for c in entries if c.check == "fewer_macs"]
    assert len(set(pairs)) == len(pairs) == 2
    assert not [c.id for c in entries if "headline/macs_ratio" in c.given.fields]


def test_hybrids_are_compared_alike_in_all_tasks_with_the_teacher_trained_as_long() -> None:
    entries = [c for c in listed(claims.CLAIMS) if c.given.file == belonging.FINE_TUNING]
    scored = [c for c in entries if c.check == "above"]
    assert all("headline/test/teacher" not in c.given.fields for c in scored)
    near = {c.given.task: c.given for c in scored if c.given.criterion is not None}
    (uformer,) = (c.given for c in listed(claims.CLAIMS) if c.id == "uformer-pair-stays-close")
    moved = {"file": uformer.file, "task": "denoise"}
    fields = ("headline/psnr/hybrid", "headline/psnr/longer")
    moved |= {"fields": fields, "spread": fields[0], "beside": "headline/psnr/teacher"}
    assert uformer == replace(near["denoise"], **moved)
    over = {c.given.task: c.given for c in scored if c.id.endswith("-above-surrogates")}
    for one in (near, over):
        assert set(one) == set(TASKS)
        assert len({replace(given, task="") for given in one.values()}) == 1
    assert near["derain"].fields == ("headline/test/hybrid", "headline/test/longer")
    assert {c.given.spread for c in scored} == {"headline/test/hybrid"}  # all seeds of the chosen


def test_a_stage_is_idle_for_the_ledger_where_it_is_for_the_notebooks() -> None:
    lines = [c.given.criterion for c in listed(claims.CLAIMS) if c.check == "better_than_nothing"]
    assert lines == [ALIVE_DB]
