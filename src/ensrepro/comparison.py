"""What the runs of a study show over their seeds: medians, intervals, rank tests (section 3.5).

A *run* is a row as `study` makes it. No assumption is made on how values are distributed.

* An interval encloses the median with 95 % or more: two order statistics (exact, from the binomial
  distribution). Fewer than 6 runs have none.
* Counts to a target are censored: a run that never reached it lies above every count. Their median
  is the count at which half of the runs had reached it, and unknown if fewer than half did.
* Two samplers are compared after equally many proposals, by the Mann-Whitney U test, two-sided; a
  sampler whose runs are all the same is one value, which the sign test compares with the other's
  runs. p values are corrected by Holm's method over all comparisons of the study.
* *Superiority* is the probability that a run of the sampler beats one of the other's, ties half.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Row = dict[str, Any]

CONFIDENCE = 0.95
BASELINES = ("random", "exact-ehvi")
SIGNIFICANT = 0.05
TOLERANCE = 1e-9  # below which two medians of ratios are the same
QUANTITIES = (  # of a milestone, worth a median
    *("ratio", "ratio_different", "n_different", "recall"),
    *("knee_distance", "knee_distance_l2", "knee_distance_chebyshev"),
)


class Interval(NamedTuple):
    """A median and what encloses it; None: not known."""

    median: float | None
    low: float | None
    high: float | None


def rank_below(n: int) -> int:
    """Number of values left out on either side of the interval of n values; 0: no interval.

    The k-th smallest and the k-th largest enclose the median with probability 1 - 2 P(B < k), B
    binomial with n draws of one half.
    """
    return int(stats.binom.ppf((1 - CONFIDENCE) / 2, n, 0.5))


def enclosed(values: ArrayLike) -> Interval:
    """Median and interval of values (n,) with n >= 1."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    k = rank_below(len(ordered))
    low, high = (float(ordered[k - 1]), float(ordered[-k])) if k else (None, None)
    return Interval(float(np.median(ordered)), low, high)


def enclosed_counts(counts: Sequence[int | None]) -> Interval:
    """Median and interval of censored counts: None is above every count."""
    ordered = sorted(inf if count is None else float(count) for count in counts)
    k = rank_below(len(ordered))
    ends = [ordered[(len(ordered) - 1) // 2], *((ordered[k - 1], ordered[-k]) if k else (inf, inf))]
    return Interval(*(None if value == inf else value for value in ends))


def superiority(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Probability that one of ours is larger than one of theirs; a tie counts half."""
    ahead = np.sign(np.subtract.outer(np.asarray(ours), np.asarray(theirs)))
    return float((ahead.mean() + 1) / 2)


def rank_test(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Two-sided p of the Mann-Whitney U test; exact where no two values are equal."""
    both = np.concatenate([np.asarray(ours, np.float64), np.asarray(theirs, np.float64)])
    n_different = len(np.unique(both))
    if n_different == 1:
        return 1.0
    method = "exact" if n_different == len(both) else "asymptotic"
    return float(stats.mannwhitneyu(ours, theirs, alternative="two-sided", method=method).pvalue)


def sign_test(value: float, others: ArrayLike) -> float:
    """Two-sided p that the others' median is `value`; equal ones say nothing."""
    signs = np.sign(np.asarray(others) - value)
    n = int((signs != 0).sum())
    return float(stats.binomtest(int((signs > 0).sum()), n).pvalue) if n else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: any of the tests is wrong with at most the level's chance."""
    adjusted, largest = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[int(i)] = largest
    return adjusted


def samplers(runs: Sequence[Row]) -> list[str]:
    """The samplers of a study, in its order."""
    return list(dict.fromkeys(run["sampler"] for run in runs))


def of(runs: Sequence[Row], sampler: str) -> list[Row]:
    """The runs of a sampler; a ValueError if there are none."""
    found = [run for run in runs if run["sampler"] == sampler]
    if not found:
        names = ", ".join(samplers(runs)) or "no sampler"
        raise ValueError(f"sampler is {sampler!r}; the study has {names}")
    return found


def n_different(runs: Sequence[Row]) -> int:
    """How many of the runs proposed something else than the others."""
    return len({run["digest"] for run in runs})


def ignores_seed(runs: Sequence[Row]) -> bool:
    """Whether all of several runs are the same: then they are one observation."""
    return len(runs) > 1 and n_different(runs) == 1


def ratios(runs: Sequence[Row], sampler: str) -> NDArray[np.float64]:
    """(seeds, counts): the traces of a sampler."""
    return np.array([run["ratios"] for run in of(runs, sampler)])


def counts_of(runs: Sequence[Row], sampler: str) -> list[int]:
    """The milestones of a sampler."""
    return [milestone["count"] for milestone in of(runs, sampler)[0]["milestones"]]


def common_count(runs: Sequence[Row]) -> int:
    """The largest milestone that all samplers have."""
    shared = set.intersection(*(set(counts_of(runs, name)) for name in samplers(runs)))
    if not shared:
        raise ValueError("the samplers have no milestone in common; expected at least one")
    return max(shared)


def at(runs: Sequence[Row], sampler: str, count: int, key: str) -> list[Any]:
    """One quantity of a milestone, for every seed."""
    rows = [m for run in of(runs, sampler) for m in run["milestones"] if m["count"] == count]
    return [row[key] for row in rows]


def milestones(runs: Sequence[Row]) -> list[Row]:
    """For each sampler and milestone: count, seeds, and each of QUANTITIES, its _low and _high.

    Further the means over the seeds of on_front and true_candidates, and n_chosen. A quantity that
    a seed lacks (so many different architectures were never seen) is None.
    """
    table = []
    for sampler in samplers(runs):
        for count in counts_of(runs, sampler):
            row: Row = {"sampler": sampler, "count": count, "seeds": len(of(runs, sampler))}
            for key in QUANTITIES:
                values = at(runs, sampler, count, key)
                known = None not in values
                middle, low, high = enclosed(values) if known else Interval(None, None, None)
                row |= {key: middle, f"{key}_low": low, f"{key}_high": high}
            for key in ("on_front", "true_candidates"):
                row[key] = float(np.mean(at(runs, sampler, count, key)))
            row["n_chosen"] = max(map(len, at(runs, sampler, count, "candidates")))
            table.append(row)
    return table


def spoken(found: Interval, n_trials: int) -> str:
    """Censored counts in words: `63 (58 to 71)`, `more than 500`."""
    beyond = f"more than {n_trials}"
    if found.median is None:
        return beyond
    if found.low is None:  # too few runs
        return f"{found.median:.0f}"
    high = beyond if found.high is None else f"{found.high:.0f}"
    return f"{found.median:.0f} ({found.low:.0f} to {high})"


def to_target(runs: Sequence[Row], key: str = "proposals") -> list[Row]:
    """For each sampler and target: seeds, reached, n_trials, median, low, high, text.

    `key` is what is counted: proposals, or different (architectures).
    """
    table = []
    for sampler in samplers(runs):
        own = of(runs, sampler)
        for column in zip(*(run["targets"] for run in own), strict=True):
            values = [cell[key] for cell in column]
            found = enclosed_counts(values)
            table.append(
                {
                    "sampler": sampler,
                    "target": column[0]["target"],
                    "seeds": len(own),
                    "reached": sum(value is not None for value in values),
                    "n_trials": own[0]["n_trials"],
                    **found._asdict(),
                    "text": spoken(found, own[0]["n_trials"]),
                }
            )
    return table


def thinking(runs: Sequence[Row]) -> list[Row]:
    """For each sampler: n_trials, runs that differ, CPU seconds of a run and ms of a proposal."""
    table = []
    for sampler in samplers(runs):
        own = of(runs, sampler)
        seconds = enclosed([run["cpu_seconds"] for run in own])
        n_trials = own[0]["n_trials"]
        table.append(
            {
                "sampler": sampler,
                "n_trials": n_trials,
                "seeds": len(own),
                "different": n_different(own),
                "cpu_seconds": seconds.median,
                "cpu_low": seconds.low,
                "cpu_high": seconds.high,
                "ms_a_proposal": 1000 * float(seconds.median or 0) / n_trials,
            }
        )
    return table


def compared(runs: Sequence[Row], sampler: str, against: str, count: int) -> Row:
    """Two samplers' ratios after `count` proposals; p not yet corrected."""
    ours, theirs = at(runs, sampler, count, "ratio"), at(runs, against, count, "ratio")
    if ignores_seed(of(runs, sampler)):
        test, p = "sign", sign_test(ours[0], theirs)
    elif ignores_seed(of(runs, against)):
        test, p = "sign", sign_test(theirs[0], ours)
    else:
        test, p = "Mann-Whitney", rank_test(ours, theirs)
    return {
        "sampler": sampler,
        "against": against,
        "count": count,
        "gain": float(np.median(ours) - np.median(theirs)),
        "superiority": superiority(ours, theirs),
        "test": test,
        "p": p,
    }


def comparisons(runs: Sequence[Row], baselines: Sequence[str] = BASELINES) -> list[Row]:
    """Every sampler against each baseline at every common milestone; a pair is tested once.

    Keys: sampler, against, count, gain (of the median ratio), superiority, test, p, p_holm.
    """
    names = samplers(runs)
    rows = [
        compared(runs, sampler, against, count)
        for k, against in enumerate(baselines)
        if against in names
        for sampler in names
        if sampler not in baselines[: k + 1]
        for count in counts_of(runs, sampler)
        if count in counts_of(runs, against)
    ]
    adjusted = holm([row["p"] for row in rows])
    return [row | {"p_holm": p} for row, p in zip(rows, adjusted, strict=True)]


def below(runs: Sequence[Row], counts: Sequence[int], baseline: str = "random") -> list[Row]:
    """Whether a sampler is ever below the baseline after equally many proposals, row by sampler.

    Keys: sampler, n_counts compared, n_below (the median ratio is lower), worst (the largest loss)
    and worst_at, significant (milestones where it is lower beyond chance), never.
    """
    tests = [row for row in comparisons(runs) if row["against"] == baseline]
    floor, table = np.median(ratios(runs, baseline), axis=0), []
    for sampler in samplers(runs):
        if sampler == baseline:
            continue
        ours = np.median(ratios(runs, sampler), axis=0)
        n = min(len(ours), len(floor))
        loss = floor[:n] - ours[:n]
        table.append(
            {
                "sampler": sampler,
                "n_counts": n,
                "n_below": int((loss > TOLERANCE).sum()),
                "worst": max(0.0, float(loss.max())),
                "worst_at": counts[int(loss.argmax())] if loss.max() > TOLERANCE else None,
                "significant": [
                    row["count"]
                    for row in tests
                    if row["sampler"] == sampler
                    and row["p_holm"] < SIGNIFICANT
                    and row["superiority"] < 0.5
                ],
                "never": bool((loss <= TOLERANCE).all()),
            }
        )
    return table
