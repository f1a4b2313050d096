# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     notebook_metadata_filter: kernelspec,jupytext,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 12 · What a search costs
#
# **Examines** the search of section 3.5 and its 500 evaluations: by itself a search cannot say how far from the best it stopped.
#
# **Question.** How many architectures must be measured to find the true front, and does it matter who proposes them?
#
# **Cost.** Seconds where the study is on file. To repeat it takes a minute or two for the cheap samplers and much longer for those that fit
# Gaussian processes; nothing is trained, and a run measures nothing: every answer is in a table.
#
# **Look for** the count at which each sampler reaches 99 % of the truth, for samplers that are below random, and for what the five candidates
# have to do with the true knee.

# %% tags=["parameters"]
task = "denoise"  # what is restored
profile = "mini"  # the scale: smoke, mini, small or paper
seed = 0  # of the architectures that are timed; the study has its own seeds
out = ""  # folder for what this notebook writes; empty: the repository's results

# %%
import time

import numpy as np

from ensrepro import comparison, evaluate, pipeline
from ensrepro.figures import study as figures
from ensrepro.search import SAMPLERS
from ensrepro.space import RESTORMER
from ensrepro.tables import Column, say, show

run = pipeline.start("12_samplers", task=task, profile=profile, seed=seed, out=out)
study = run.study
runs = study.runs

# %% [markdown]
# ## The truth
#
# All architectures were measured once, so the true front is known, and a sampler can be judged by what it would have found. With
# $H(A)$ the hypervolume of a set of architectures up to the fixed reference point (A13), and $c_1, \dots, c_n$ a sampler's proposals,
#
# $$r_n = \frac{H(\{c_1, \dots, c_n\})}{H(\text{all architectures})} .$$
#
# A repeated proposal counts, as in the paper (A22). A sampler sees only what it asked for.

# %%
say(
    (f"This profile has no table; the one of `{run.ctx.profile.table_of}` is read. " if run.truth is None else "")
    + f"{len(run.bench.frame):,} architectures are measured. The true front has {len(study.front)} points, and its knee is "
    f"`{RESTORMER.label(RESTORMER.architecture(study.candidates[0]))}`. Reference point: a drop of {study.reference[0]:.3f} dB and a "
    f"penalty of {study.reference[1]:.2f}."
)

# %%
spent = comparison.thinking(runs)
rows = [{**row, "what": SAMPLERS[row["sampler"]]} for row in spent]
show(
    rows,
    [Column("sampler", "sampler"), Column("what", "what it does"), Column("seeds", "runs", "d"),
     Column("different", "runs that differ", "d"), Column("n_trials", "proposals a run", "d")],
    "The study. A sampler with fewer proposals is one whose every further proposal costs more than the last.",
)

# %% [markdown]
# ## Convergence

# %%
run.show(
    figures.convergence({name: comparison.ratios(runs, name) for name in comparison.samplers(runs)}, study.counts),
    "convergence",
    "Ratio of the dominated hypervolume to that of the true front over proposals, and the share still missing on a logarithmic axis.",
    "Above: the ratio to the true front's hypervolume; below: what is missing to 1. Lines are medians over seeds, bands their middle half.",
)

# %% [markdown]
# ## How many proposals to the truth?
#
# A run that never reaches a target tells that its count is *larger* than the run was long. The median is therefore the count by which half
# of the runs were there; where fewer were, it is only known to be more than the budget. In brackets: an interval that encloses the median with 95 % or
# more.

# %%
reached = comparison.to_target(runs)
rows = [
    {"sampler": name} | {f"{row['target']:g}": row["text"] for row in reached if row["sampler"] == name}
    for name in comparison.samplers(runs)
]
targets = list(dict.fromkeys(row["target"] for row in reached))
show(
    rows,
    [Column("sampler", "sampler"), *(Column(f"{t:g}", f"proposals to {100 * t:g} %") for t in targets)],
    "Proposals to a share of the true hypervolume, median over seeds.",
)

# %%
target = 0.99
took = {
    name: [cell["proposals"] for r in comparison.of(runs, name) for cell in r["targets"] if cell["target"] == target]
    for name in comparison.samplers(runs)
}
run.show(
    figures.to_target(took, {row["sampler"]: row["n_trials"] for row in spent}, target),
    "to-target",
    "One row a sampler, one dot a seed: proposals to 99 % of the true hypervolume; hollow marks at the end are seeds that never got there.",
    "Proposals to 99 % of the true hypervolume, one dot a seed; bar: the count by which half of the seeds were there.",
)

# %% [markdown]
# ## What do the paper's 500 evaluations buy?
#
# Medians over seeds, with an interval that encloses the median with 95 % or more. A dash: not run that far, because its models grow with each proposal.

# %%
cells = {
    (row["sampler"], row["count"]): f"{row['ratio']:.3f}"
    + ("" if row["ratio_low"] is None else f" ({row['ratio_low']:.3f} to {row['ratio_high']:.3f})")
    for row in comparison.milestones(runs)
}
counts = sorted({count for _, count in cells})
rows = [
    {"sampler": name} | {str(n): cells.get((name, n), "-") for n in counts} for name in comparison.samplers(runs)
]
show(
    rows, [Column("sampler", "sampler"), *(Column(str(n), f"after {n} proposals") for n in counts)],
    "Share of the true hypervolume.",
)

# %%
longest = max(study.counts)
at_end = [row for row in comparison.milestones(runs) if row["count"] == longest]
show(
    at_end,
    [Column("sampler", "sampler"), Column("ratio", "ratio", ".4f"), Column("ratio_low", "from", ".4f"),
     Column("ratio_high", "to", ".4f"), Column("recall", "true front found", ".0%"),
     Column("n_different", "different architectures", ".0f")],
    f"After {longest} proposals, medians over seeds; from, to: the interval of the ratio.",
)

# %% [markdown]
# ## Is any sampler below random?
#
# A sampler that thinks should never do worse than one that does not. Two questions: is its median ever lower after equally many proposals, and is it
# lower *beyond chance* at one of the milestones? For the latter: a rank test (Mann-Whitney, two-sided), corrected for all comparisons of the study
# (Holm).

# %%
below = comparison.below(runs, study.counts)
rows = [{**row, "beyond": ", ".join(map(str, row["significant"])) or "none"} for row in below]
show(
    rows,
    [Column("sampler", "sampler"), Column("n_counts", "counts compared", "d"), Column("n_below", "of them below random", "d"),
     Column("worst", "largest loss of ratio", ".4f"), Column("worst_at", "at count", "d"),
     Column("beyond", "below beyond chance at")],
    "Each sampler against random at equal numbers of proposals.",
)

# %%
common = comparison.common_count(runs)
tests = [row for row in comparison.comparisons(runs) if row["count"] == common]
show(
    tests,
    [Column("sampler", "sampler"), Column("against", "against"), Column("gain", "gain of the median ratio", "+.4f"),
     Column("superiority", "probability of superiority", ".2f"), Column("test", "test"), Column("p_holm", "p (Holm)", ".2g")],
    f"After {common} proposals, the largest count that all samplers have. Superiority 0.5: neither is ahead.",
)

# %% [markdown]
# ## How far are the chosen five from the true knee?
#
# The front is only a means. What goes on to fine-tuning are the knee and its four companions (A10, A11), chosen among what a run has seen.

# %%
equal = [row for row in comparison.milestones(runs) if row["count"] == common]
show(
    equal,
    [Column("sampler", "sampler"), Column("knee_distance", "distance to the true knee", ".3f"),
     Column("knee_distance_low", "from", ".3f"), Column("knee_distance_high", "to", ".3f"),
     Column("knee_distance_l2", "by l2", ".3f"), Column("knee_distance_chebyshev", "by chebyshev", ".3f"),
     Column("on_front", "of the five on the true front", ".1f"),
     Column("true_candidates", "among the true five", ".1f")],
    f"What each sampler would hand on after {common} proposals: distances as medians (by chord; and by the other definitions of A10), the five as means.",
)

# %%
run.show(
    figures.knee_distance({name: comparison.at(runs, name, common, "knee_distance") for name in comparison.samplers(runs)}),
    "knee-distance",
    "One row a sampler, one dot a seed: normalized distance between the knee that the run found and the true knee.",
    f"Distance of the knee found from the true one after {common} proposals, one dot a seed; bar: median.",
)

# %% [markdown]
# ## Thinking and measuring
#
# A clever sampler thinks longer about each proposal. Whether that matters depends on what a measurement costs, so some are made here and now.

# %%
picked = np.random.default_rng(seed).choice(RESTORMER.n_architectures, 4, replace=False)
architectures = [RESTORMER.architecture(i) for i in sorted(picked)]
start = time.process_time()
evaluate.measure(run.teacher.net, run.pool.surrogates, architectures, run.ctx.validation, run.ctx.task.protocol)
measuring = (time.process_time() - start) / len(architectures)
rows = [{**row, "share": row["ms_a_proposal"] / 1000 / measuring} for row in spent]
show(
    rows,
    [Column("sampler", "sampler"), Column("n_trials", "proposals", "d"), Column("cpu_seconds", "thinking, a run (CPU s)", ".1f"),
     Column("ms_a_proposal", "thinking, a proposal (CPU ms)", ".1f"), Column("share", "thinking / measuring", ".1%")],
    f"CPU time of the sampler alone, median over seeds. Measuring one architecture takes {measuring:.2f} CPU s (measured on the spot).",
)

# %% [markdown]
# ## What to notice

# %%
there = sorted((row["median"], row["sampler"]) for row in reached if row["target"] == target and row["median"])
lower = [row["sampler"] for row in below if row["significant"]]
early = [row["sampler"] for row in below if not row["never"]]
nearest = min(row["knee_distance"] for row in equal)
best = [f"`{row['sampler']}`" for row in equal if row["knee_distance"] == nearest]
say(
    f"* To {target:.0%} of the truth: " + (f"`{there[0][1]}` is first, after {there[0][0]:.0f} proposals, {there[0][0] / RESTORMER.n_architectures:.2%} of the "
    f"space; {len(there)} of {len(spent)} samplers get there in half of their runs." if there else "no sampler gets there in half of its runs.")
    + f"\n* Below random at some count: {', '.join(early) or 'none'}; beyond chance at a milestone: {', '.join(lower) or 'none'}. Every sampler but "
    "a computed one starts with draws at random, so the first counts are luck.\n"
    f"* After {common} proposals the knee is nearest to the true one with {', '.join(best)}: {nearest:.3f} in the median.\n"
    f"* Thinking costs between {min(row['share'] for row in rows):.1%} and {max(row['share'] for row in rows):.1%} of measuring here. On full-size images the "
    "measurements grow and the thinking does not.\n* One table, of one task at this scale: another landscape may rank the samplers differently."
)

# %% [markdown]
# ## Exercises
#
# ```{exercise}
# :label: ex-samplers-different
#
# Count different architectures instead of proposals: how many does each sampler need then? Which of the two counts is the fair one?
# ```
#
# ```{solution} ex-samplers-different
# :class: dropdown
#
#     for row in comparison.to_target(runs, "different"):
#         print(row["sampler"], row["target"], row["text"])
#
# A repeated proposal costs nothing where answers are kept, so different architectures are what is paid for. But a sampler that keeps
# repeating itself has to be stopped at some point, and the paper counts evaluations. Both are given; neither hides the other.
# ```
#
# ```{exercise}
# :label: ex-samplers-random
#
# Random search draws $n$ of $N$ architectures without replacement, the teacher and the cheapest among them. What share of the true
# front does it find on average? Compare with the measured one.
# ```
#
# ```{solution} ex-samplers-random
# :class: dropdown
#
# Of the front's $F$ points let $e$ be those two, if they are on it. Each of the others is drawn with probability $(n - 2)/(N - 2)$:
#
#     N, F = RESTORMER.n_architectures, len(study.front)
#     e = sum(RESTORMER.index(a) in study.front for a in (RESTORMER.teacher, RESTORMER.cheapest))
#     n = comparison.counts_of(runs, "random")[-1]
#     print((e + (F - e) * (n - 2) / (N - 2)) / F, np.mean(comparison.at(runs, "random", n, "recall")))
#
# Recall is hard on a search that comes close: a point next to the front dominates almost as much as one on it, and does not count.
# ```

# %%
run.finish(
    {
        "front": len(study.front),
        "to_target": {row["sampler"]: row["text"] for row in reached if row["target"] == target},
        "ratio": {row["sampler"]: row["ratio"] for row in at_end},
        "never_below_random": {row["sampler"]: row["never"] for row in below},
        "below_beyond_chance": {row["sampler"]: row["significant"] for row in below},
        "knee_distance": {row["sampler"]: row["knee_distance"] for row in equal},
        "thinking_ms": {row["sampler"]: row["ms_a_proposal"] for row in spent},
        "measuring_seconds": measuring,
    }
)
