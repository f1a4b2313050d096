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
# # 4 · Efficient Network Search
#
# **Reproduces** sections 3.4 and 3.5: the space of hybrids and the search over it, with the paper's 500 evaluations. **Adds** the true front,
# where all architectures of this pool have been measured ([notebook 11](11_landscape.ipynb)).
#
# **Question.** Which stages can be swapped *together*, and what is the least one has to give up for each step down in
# transformer blocks?
#
# **Cost.** In profile `mini`: seconds for most samplers and any seed where a table of all architectures answers for the networks (`denoise`), some minutes elsewhere; minutes
# for `gp` and `paper-ehvi`, whose models grow with every proposal. Without a table every new architecture is measured: some minutes in all.
#
# **Look for** how much of the transformer can go for next to nothing, where the price starts to rise, and whether a clever sampler beats a
# blind one.

# %% tags=["parameters"]
task = "denoise"  # what is restored
profile = "mini"  # the scale: smoke, mini, small or paper
seed = 0  # of the sampler
out = ""  # folder for what this notebook writes; empty: the repository's results
pair = "restormer-mambair"  # the two families, one of those that `python -m ensrepro list` prints
sampler = "exact-ehvi"  # or additive+exact-ehvi, additive, paper-ehvi, random, nsga2, nsga3, motpe, gp
n_trials = 0  # proposals; 0 takes the profile's number
penalty_table = "blocks"  # blocks, rank or transformers
latency_budget_ms = 0.0  # keep the front within this latency at the paper's width; 0: no budget

# %%
import numpy as np

from ensrepro import pareto, pipeline
from ensrepro.figures import search as figures
from ensrepro.figures.distillation import ALIVE_DB
from ensrepro.space import PENALTY_TABLES, penalty_saved
from ensrepro.tables import Column, say, show

run = pipeline.start(
    "04_search", task=task, profile=profile, seed=seed, out=out, pair=pair,
    sampler=sampler, n_trials=n_trials, penalty_table=penalty_table, latency_budget_ms=latency_budget_ms,
)
space = run.ctx.space

# %% [markdown]
# ## The space
#
# Each stage has the teacher's blocks or a surrogate of one of several depths; the paper's pair has eight stages. The number of hybrids is a product:

# %%
options = [
    {"stage": s.name, "blocks": s.n_blocks, "depths": ", ".join(map(str, s.depths)), "n": s.n_choices}
    for s in space.stages
]
columns = [
    Column("stage", "stage"), Column("blocks", "teacher blocks", "d"),
    Column("depths", "surrogate depths"), Column("n", "choices", "d"),
]
show(options, columns, "The choices of each stage.")
say(
    f"{' × '.join(str(n) for n in space.n_choices)} = **{space.n_architectures:,}** architectures from "
    f"{space.n_surrogates} surrogates (assumption A1)."
)

# %% [markdown]
# ## Two objectives
#
# An architecture $c = (c_1, c_2, \dots)$ has a choice for each stage. Both objectives are minimized:
#
# $$\min_c\;\bigl(\,\mathrm{PSNR}_{\text{teacher}} - \mathrm{PSNR}(c),\;\; \textstyle\sum_i p_i(c_i)\bigr).$$
#
# The first is measured on validation crops. The second is a table: the paper gives its order only, the values are ours
# ([A4](../book/assumptions.md)) and can be chosen by the parameter `penalty_table`.
#
# The default sampler uses that: it models the PSNR drop alone by a Gaussian process with mean $\mu(c)$ and deviation $\sigma(c)$, takes the
# penalty $p(c)$ as it is, and proposes the architecture whose *expected hypervolume improvement*
#
# $$\mathrm{EHVI}(c) = \int_{p(c)}^{p_{\text{ref}}} \mathrm{EI}\bigl(\mathrm{best}(q);\,\mu(c), \sigma(c)\bigr)\,dq$$
#
# is highest among all architectures not seen so far. $\mathrm{best}(q)$ is the least drop seen at no more than penalty $q$, a staircase, so the
# integral is a short sum and the maximum is exact.

# %%
found = run.search(sampler, n_trials, penalty_table, latency_budget_ms)
true_front = None if run.truth is None else run.truth.front(penalty_table, latency_budget_ms)
say(
    f"`{sampler}` proposed {found.n_trials} architectures, {found.n_unique} of them different: "
    f"{found.n_unique / space.n_architectures:.1%} of the space. Penalty: {PENALTY_TABLES[penalty_table].what}. "
    f"The front has {len(found.front)} points"
    + (f", the true one {len(true_front)}." if true_front is not None else "; the true one is not known.")
)

# %%
run.show(
    figures.front(found.points, found.front, true_front=true_front),
    "front",
    "Scatter of PSNR drop against penalty for every evaluated architecture, with the found and the true front as stair lines.",
    f"Every architecture that {sampler} evaluated, the front among them, and the true front where it is known.",
)

# %% [markdown]
# ## Along the front

# %%
step = max(1, len(found.front) // 8)
rows = [
    {
        "stages": space.label(space.architecture(found.architectures[i])),
        "drop": found.points[i, 0],
        "penalty": found.points[i, 1],
    }
    for i in found.front[::step]
]
show(
    rows,
    [Column("stages", space.heading), Column("drop", "PSNR drop (dB)", ".3f"),
     Column("penalty", "penalty", ".1f")],
    "Points along the front. T: the teacher's blocks; a number: a surrogate of that depth.",
)

# %% [markdown]
# ## Is the sampler better than chance?
#
# The *hypervolume* is the area that a front dominates, up to a fixed reference point (A13). It grows with every proposal that
# improves the front, so it shows how fast a sampler learns. `gp` is Optuna's; a repeated proposal counts, as in the paper.

# %%
searches = run.searches(sampler, n_trials, penalty_table, latency_budget_ms)
reference = pareto.reference_point(found.anchors)
known = true_front is not None
best = pareto.hypervolume(true_front, reference) if known else max(r.hypervolume[-1] for r in searches.values())
run.show(
    figures.convergence({name: r.hypervolume for name, r in searches.items()}, best if known else None),
    "convergence",
    "Dominated hypervolume over the number of proposals, one line a sampler, and that of the true front.",
    f"Hypervolume over proposals, seed {seed}.",
)

# %%
rows = [
    {"sampler": name, "hv": result.hypervolume[-1] / best, "unique": result.n_unique,
     "front": len(result.front)}
    for name, result in searches.items()
]
show(
    rows,
    [Column("sampler", "sampler"), Column("hv", f"hypervolume / {'true' if known else 'best'}", ".4f"),
     Column("unique", "different proposals", "d"), Column("front", "points on the front", "d")],
    f"After {found.n_trials} proposals with seed {seed}; one seed proves little, notebook 12 compares many on `denoise`.",
)

# %% [markdown]
# ## What to notice

# %%
free = [i for i in found.front if found.points[i, 0] <= 0.1] or found.front[:1]  # a budget may leave none
cheapest = min(free, key=lambda i: found.points[i, 1])
architecture = space.architecture(found.architectures[cheapest])
dead = [name for name, drop in run.teacher.result.identity_drops.items() if drop < ALIVE_DB]
idle = penalty_saved(architecture, dead, penalty_table, space)
gain = found.hypervolume[-1] / max(searches["random"].hypervolume[-1], 1e-9) - 1
say(
    f"* For {found.points[cheapest, 0]:.2f} dB, this search takes {1 - found.points[cheapest, 1] / found.points[0, 1]:.0%} of the teacher's penalty away: "
    f"`{space.label(architecture)}`. In idle stages ({', '.join(dead) or 'none'}) it saves {idle:.0%}: no merit of the surrogates.\n"
    f"* Of {found.n_trials} proposals {found.n_trials - found.n_unique or 'none'} repeated an earlier one; a repetition costs nothing but counts.\n"
    f"* {(np.array(found.psnr) > found.psnr[0]).sum()} of the proposals have a higher PSNR on these crops than the teacher, before any fine-tuning. Where that is many, the teacher is the weak side, and a negative drop is not won by surrogates.\n"
    f"* The hypervolume that `{sampler}` reached is {abs(gain):.1%} {'above' if gain > 0 else 'below or equal to'} that of random search"
    + (f" and {found.hypervolume[-1] / best:.2%} of the true front's.\n" if known else ".\n")
    + "* The penalty is known without measuring anything. A sampler that models it spends evaluations on what is in a table."
)

# %% [markdown]
# ## Exercises
#
# ```{exercise}
# :label: ex-search-additive
#
# Predict the PSNR drop of every evaluated architecture as the *sum* of the drops of its single swaps
# (`run.pool.result.rows`, notebook 3). How well does that do, and what does it say about the difficulty of this search?
# ```
#
# ```{solution} ex-search-additive
# :class: dropdown
#
#     alone = {(r["stage"], r["depth"]): r["psnr_drop"] for r in run.pool.result.rows}
#     guess = [
#         sum(alone[s.name, s.depth(c)] for s, c in zip(space.stages, space.architecture(i)) if c)
#         for i in found.architectures
#     ]
#     np.corrcoef(guess, found.points[:, 0])
#
# If the sum ranks well, a table of 22 numbers nearly solves the search: the front can be computed rather than searched for.
# ```
#
# ```{exercise}
# :label: ex-search-reference
#
# The hypervolume depends on its reference point. Compute it again for half the reference drop, for each sampler of `searches`. Does
# the order of the samplers change?
# ```
#
# ```{solution} ex-search-reference
# :class: dropdown
#
#     drop, price = reference
#     for name, result in searches.items():
#         print(name, pareto.hypervolume(result.points, (drop / 2, price)))
#
# A smaller reference drop looks only at good networks. If the order changes, a ranking of samplers by one reference point is weak.
# ```

# %%
run.finish(
    {
        "n_unique": found.n_unique,
        "hypervolume": {name: result.hypervolume[-1] for name, result in searches.items()},
        "front": [found.architectures[i] for i in found.front],
        "largest_drop": float(np.max(found.points[:, 0])),
        "reference": list(reference),
        "share_of_true": found.hypervolume[-1] / best if known else None,
    }
)
