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
# # 5 · The knee and its neighbors
#
# **Reproduces** the last paragraph of section 3.5, *knee point analysis*, and the choice of five candidates in section 4.
#
# **Question.** The search returns a front, not a network. Which point of it do we take, and does the answer depend on how we ask?
#
# **Cost.** Seconds; it reads a search of [notebook 4](04_search.ipynb): by default that of exact EHVI, whose candidates notebook 6 trains.
#
# **Expect** that the knee moves with the range of the front, with the penalty's values and with the definition. The paper gives none of
# the three.

# %% tags=["parameters"]
task = "denoise"  # what is restored
profile = "mini"  # the scale: smoke, mini, small or paper
seed = 0  # of the search
out = ""  # folder for what this notebook writes; empty: the repository's results
pair = "restormer-mambair"  # the two families, one of those that `python -m ensrepro list` prints
sampler = "exact-ehvi"  # whose search is read: any of notebook 4
n_trials = 0  # its proposals; 0 takes the profile's number
penalty_table = "blocks"  # blocks, rank or transformers
latency_budget_ms = 0.0  # keep the front within this latency at the paper's width; 0: no budget
method = "chord"  # chord, l2 or chebyshev
rule = "nearest"  # nearest, rank or diverse

# %%
from ensrepro import pareto, pipeline
from ensrepro.figures import search as figures
from ensrepro.figures.distillation import ALIVE_DB
from ensrepro.steps import knee
from ensrepro.tables import Column, say, show

run = pipeline.start(
    "05_knee", task=task, profile=profile, seed=seed, out=out, pair=pair,
    sampler=sampler, n_trials=n_trials, penalty_table=penalty_table,
    latency_budget_ms=latency_budget_ms, method=method, rule=rule,
)
space = run.ctx.space
found = run.search(sampler, n_trials, penalty_table, latency_budget_ms)
true_front = None if run.truth is None else run.truth.front(penalty_table, latency_budget_ms)

# %% [markdown]
# ## A definition
#
# Let $z$ be a point of the front after normalization: $z = 0$ at the *ideal*, $z = 1$ at the *nadir*. Both are fixed by two
# architectures that every search evaluates, the teacher and the cheapest one (A10). The knee is the point farthest below the straight
# line between these two ends:
#
# $$\text{knee} = \arg\max_{z\,\in\,\text{front}} \Bigl(1 - \textstyle\sum_k z_k\Bigr).$$
#
# Its companions are the points of the front nearest to it in the same plane (A11).

# %%
choice = knee.choose(run.ctx, found, method=method, rule=rule)
run.show(
    figures.front(
        found.points, found.front, knee=choice.rows[0], candidates=choice.rows,
        labels=[space.label(architecture) for architecture in choice.candidates], true_front=true_front,
    ),
    "knee",
    "PSNR drop against penalty with the front, its knee marked by a star and the candidates numbered.",
    f"The front that {sampler} found, the true one where it is known, the knee by '{method}', and the candidates by '{rule}'.",
)

# %% [markdown]
# ## What the candidates look like

# %%
run.show(
    figures.architecture(
        choice.candidates,
        [f"{k + 1}" for k in range(len(choice.candidates))],
        [f"{found.points[row, 0]:.2f} dB" for row in choice.rows],
        space,
    ),
    "candidates",
    f"One row of {len(space.stages)} cells a candidate; a cell says T for the teacher or the depth of the surrogate.",
    "The candidates, stage by stage: T keeps the teacher's blocks, a number is the depth of a surrogate.",
)

# %%
rows = [
    {
        "n": k + 1,
        "stages": space.label(architecture),
        "kept": sum(c == 0 for c in architecture),
        "drop": found.points[row, 0],
        "penalty": found.points[row, 1],
    }
    for k, (architecture, row) in enumerate(zip(choice.candidates, choice.rows, strict=True))
]

# %%
columns = [
    Column("n", "candidate", "d"), Column("stages", space.heading),
    Column("kept", "teacher stages", "d"), Column("drop", "PSNR drop (dB)", ".3f"),
    Column("penalty", "penalty", ".1f"),
]
show(rows, columns, "The candidates, the knee first; drops before fine-tuning.")

# %% [markdown]
# ## How much of this is the definition?
#
# The same evaluations, read with other penalty values, other definitions of the knee, and with points discarded that lose more than a cap.
# *Shift* is the distance in the normalized plane to the knee by `chord` without a cap; a knee that is far from it is marked.

# %%
sensitivity = [
    {**row, "stages": space.label(space.architecture(row["architecture"])),
     "cap": "none" if row["max_drop_db"] is None else f"{row['max_drop_db']:g} dB",
     "flag": "differs" if row["disagrees"] else ""}
    for row in choice.sensitivity
]
columns = [
    Column("table", "penalty table"), Column("method", "knee"), Column("cap", "cap"),
    Column("stages", space.heading), Column("psnr_drop", "PSNR drop (dB)", ".3f"),
    Column("shift", "shift", ".2f"), Column("flag", ""),
]
show(sensitivity, columns, "The knee under other definitions.")

# %% [markdown]
# ## What to notice

# %%
others = len({row["architecture"] for row in sensitivity})
flagged = sum(row["disagrees"] for row in sensitivity)
dead = [name for name, drop in run.teacher.result.identity_drops.items() if drop < ALIVE_DB]
by_cap = {
    row["architecture"] for row in sensitivity if (row["table"], row["method"]) == (penalty_table, method)
}
say(
    f"* {len(sensitivity)} readings of the same evaluations give {others} different knees; {flagged} of the readings are more than {pareto.DISAGREEMENT:g} from ours, where 1 is the whole range of an objective.\n"
    + ("* No cap changes the knee of this run's penalties: " if len(by_cap) == 1 else f"* With this run's penalties and `{method}`, the caps give {len(by_cap)} different knees: ")
    + "a cap shortens the range of the front, and the knee is a property of the range.\n"
    f"* Idle stages ({', '.join(dead) or 'none here'}) save penalty at no loss: that a knee swaps them says nothing about their surrogates.\n"
    "* The candidates are neighbors in the plane of the two objectives, by construction. Whether their order survives fine-tuning is asked in notebook 6."
)

# %% [markdown]
# ## Exercises
#
# ```{exercise}
# :label: ex-knee-chord
#
# Show that for two objectives, normalized so that the ends of the front are $(0, 1)$ and $(1, 0)$, the point farthest from the line
# between them is the one with the smallest $z_1 + z_2$. Which fronts have no knee in this sense?
# ```
#
# ```{solution} ex-knee-chord
# :class: dropdown
#
# The line is $z_1 + z_2 = 1$; the signed distance of a point to it is $(1 - z_1 - z_2)/\sqrt 2$. On a front that bulges the other way every
# point has $z_1 + z_2 \ge 1$: the ends themselves win, and there is nothing to call a knee.
# ```
#
# ```{exercise}
# :label: ex-knee-diverse
#
# Ask for the candidates by the rule `diverse`. How many stages differ between them, and what do they cost in PSNR?
# ```
#
# ```{solution} ex-knee-diverse
# :class: dropdown
#
#     apart = knee.choose(run.ctx, found, rule="diverse")
#     for architecture, row in zip(apart.candidates, apart.rows):
#         print(space.label(architecture), found.points[row])
#
# `diverse` wants two stages of difference at least, and accepts points up to `pareto.FRONT_SLACK_DB` above the front for it.
# ```

# %%
run.finish(
    {
        "knee": space.label(choice.knee),
        "candidates": [space.index(a) for a in choice.candidates],
        "psnr_drop": float(found.points[choice.rows[0], 0]),
        "penalty": float(found.points[choice.rows[0], 1]),
        "different_knees": others,
        "slack_db": pareto.FRONT_SLACK_DB,
    }
)
