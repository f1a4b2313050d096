# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     formats: notebooks///ipynb,notebooks/text///py:percent
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
# # 8 · Ablations
#
# **Reproduces** section 4.5 and table 5: is it the distillation, is it the search, or would any hybrid have done?
#
# **Question.** The paper compares its network with the same architecture trained from random weights, with a randomly drawn hybrid, and with one
# that replaces half of every stage. What does each of them lose when all are fine-tuned alike?
#
# **Adds** an arm that the paper lacks. From random weights *everything* is lost, the teacher's glue and remaining stages too. Surrogates that were never
# distilled, but sit inside the trained teacher, show what the distillation itself is worth. And one random hybrid is one draw: here there are many,
# and the paper's is placed among them.
#
# **Cost.** In profile `mini` the numbers are on file: seconds. To make them anew is two hours or more on two cores.
#
# **Look for** the distance between distilled and undistilled surrogates after fine-tuning, compared with the distance before it.

# %% tags=["parameters"]
task = "denoise"  # what is restored
profile = "mini"  # the scale: smoke, mini, small or paper
seed = 0  # of the search whose hybrid is taken, and of the draws
out = ""  # folder for what this notebook writes; empty: the repository's results
n_draws = 20  # hybrids drawn at random, at least 1; never more than the profile's proposals

# %%
import numpy as np

from ensrepro import pipeline
from ensrepro.figures import restoration as figures
from ensrepro.results import ablated, layout, paper_tables
from ensrepro.space import RESTORMER
from ensrepro.steps import ablation, finetune, knee
from ensrepro.tables import Column, say, show

run = pipeline.start("08_ablations", task=task, profile=profile, seed=seed, out=out, n_draws=n_draws)
choice = knee.choose(run.ctx, run.search())
best = finetune.best(run.finetuned([(architecture, 0) for architecture in choice.candidates]))
chosen = RESTORMER.architecture(best.result.architecture)

# %% [markdown]
# ## The arms
#
# All start from their own place and then see the same patches, at the same rate, for as many steps: those of the fine-tuning in
# [notebook 6](06_finetune.ipynb).
#
# | arm | stages that the hybrid keeps from the teacher | its surrogates |
# |---|---|---|
# | distilled | the teacher's | distilled: the method of the paper |
# | undistilled | the teacher's | as their distillation starts, each the identity |
# | random weights | random | random |
# | equal blocks | the first half of every stage | distilled, for the second half ([A38](../book/assumptions.md)) |

# %%
n_seeds = run.ctx.profile.n_seeds
parts = ablation.parts(run.ctx, run.teacher, run.pool, run.terminal)
jobs = [(arm, chosen, k) for arm in ablation.ARMS for k in range(n_seeds)]
made = ablation.get_many(run.ctx, parts, jobs, run.terminal)
arms = {ablated.DISTILLED: [f.result for f in run.finetuned(pipeline.seeds_of(run.ctx, best))]}
for arm, key in ablated.KEYS.items():
    arms[key] = [result for result in made if result.arm == arm]
names = ablated.NAMES

# %%
run.show(
    figures.finetune_curves(
        {names[arm]: [(0, results[0].before), *results[0].validation] for arm, results in arms.items()},
        {"teacher": run.ctx.psnr(run.teacher.net)},
    ),
    "curves",
    "Validation PSNR over the steps of fine-tuning, one line an arm, with the teacher as a horizontal line.",
    "Validation PSNR while each arm is fine-tuned, seed 0.",
)

# %%
rows = [
    {"arm": names[arm], "before": np.mean([r.before for r in results]), "after": np.mean([r.after for r in results]),
     "low": min(r.after for r in results), "high": max(r.after for r in results),
     "size": results[0].n_parameters / run.teacher.result.n_parameters, "n": len(results)}
    for arm, results in arms.items()
]
columns = [
    Column("arm", "arm"), Column("size", "parameters / teacher", ".0%"), Column("before", "before (dB)", ".2f"), Column("after", "after (dB)", ".2f"),
    Column("low", "lowest seed", ".2f"), Column("high", "highest seed", ".2f"), Column("n", "seeds", "d"),
]
show(rows, columns, "Validation PSNR, mean over the seeds.")

# %% [markdown]
# ## Hybrids drawn at random
#
# The search chose one architecture out of the whole space. The draws say what choosing is worth: each is a random list of choices, built from the same
# distilled pool and fine-tuned like the others, with one seed.

# %%
drawn = ablation.drawn(run.ctx, min(n_draws, run.ctx.profile.n_trials), seed)
draws = [f.result for f in run.finetuned([(architecture, 0) for architecture in drawn])]
found = ablated.gathered({**arms, ablated.DRAWS: draws}, chosen, drawn)
teacher = [np.mean([row["psnr"] for row in run.teacher.result.test])]
run.show(
    figures.bars({"teacher": teacher, **{names[arm]: psnr for arm, psnr in found.psnr.items()}}, baseline="teacher"),
    "bars",
    "Bars of the mean PSNR on the test photos against the teacher, for each arm, with a mark for every seed or draw.",
    "Mean PSNR on the test photos against the teacher; marks are seeds, or draws.",
)

# %% [markdown]
# ## Table 5
#
# First the paper's table as printed, then what the arms of this page measure. The paper's numbers are from its own scale and data. Only the order and
# the sign of differences can be compared.

# %%
show(*layout.grid(paper_tables.printed(5)), paper_tables.title(5))

# %%
columns = [
    Column("arm", "network"), Column("psnr", "PSNR (dB)", ".2f"), Column("ssim", "SSIM", ".3f"), Column("change", "PSNR against distilled (dB)", "+z.2f"),
    Column("low", "lowest", "+z.2f"), Column("high", "highest", "+z.2f"), Column("n", "networks", "d"),
]
caption = f"Measured: {task}, test photos, profile {profile}; means over seeds or draws."
show(ablated.lines(found), columns, f"{caption} Differences are taken seed by seed, those of the draws against the mean of the distilled hybrid.")

# %% [markdown]
# ## What to notice

# %%
say(ablated.findings(found))

# %% [markdown]
# ## Exercises
#
# ```{exercise}
# :label: ex-ablation-size
#
# A random hybrid may keep more transformer blocks than the chosen one, or fewer. List the draws and the chosen hybrid by penalty, with their test PSNR.
# How does the chosen one compare with its neighbors in the list?
# ```
#
# ```{solution} ex-ablation-size
# :class: dropdown
#
#     networks = zip(found.draw_penalties, found.psnr["random_hybrids"], map(RESTORMER.label, drawn))
#     own = (found.penalty, np.mean(found.psnr["distilled"]), "chosen")
#     for price, psnr, label in sorted([*networks, own]):
#         print(f"{price:5.1f} {psnr:6.2f} {label}")
#
# Networks of about the same penalty are the fair comparison. Table 5 does not allow it: it does not say which random hybrid was drawn.
# ```
#
# ```{exercise}
# :label: ex-ablation-longer
#
# Look at the end of the curve of random weights in the first figure. Can it tell whether more steps would help? What would you have to train to find out?
# ```
#
# ```{solution} ex-ablation-longer
# :class: dropdown
#
#     for part in ("pretraining", "teacher", "finetune"):
#         schedule = getattr(run.ctx.profile, part)
#         print(part, schedule.n_steps, schedule.lr, schedule.lr_min)
#
# Not by itself. The learning rate falls along a cosine to its least value at the last step, so a curve flattens at its end whether or not the network has
# learned all it can. The other arms also begin with what the teacher learned in steps of its own. To judge the architecture, train it from random weights with a longer schedule of
# its own, as many steps as teacher, surrogates and fine-tuning have together. What this arm shows is how far the same few steps get without any of that. How long the
# paper trained it, it does not say: the schedules are not given.
# ```

# %%
run.finish(found.headline(RESTORMER.label(chosen)))
