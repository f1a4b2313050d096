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
# so that a single one can be placed among them.
#
# **Cost.** In profile `mini` the numbers are on file: seconds. To make them anew is two hours or more on two cores.
#
# **Look for** the distance between distilled and undistilled surrogates after fine-tuning, compared with the distance before it.

# %% tags=["parameters"]
task = "denoise"  # what is restored
profile = "mini"  # the scale: smoke, mini, small or paper
seed = 0  # of the search whose hybrid is taken, and of the draws
out = ""  # folder for what this notebook writes; empty: the repository's results
n_draws = 20  # hybrids drawn at random; never more than the profile's proposals

# %%
import numpy as np

from ensrepro import paper, pipeline
from ensrepro.figures import restoration as figures
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
arms = {"distilled": [f.result for f in run.finetuned(pipeline.seeds_of(run.ctx, best))]}
for arm in ablation.ARMS:
    arms[arm] = [result for result in made if result.arm == arm]
names = {"distilled": "distilled", "fresh": "undistilled", "random": "random weights", "equal": "equal blocks"}

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
draws = run.finetuned([(a, 0) for a in ablation.drawn(run.ctx, min(n_draws, run.ctx.profile.n_trials), seed)])
test = {arm: [np.mean([row["psnr"] for row in r.test]) for r in results] for arm, results in arms.items()}
test["draws"] = [np.mean([row["psnr"] for row in f.result.test]) for f in draws]
teacher = [np.mean([row["psnr"] for row in run.teacher.result.test])]
names["draws"] = f"{len(draws)} random hybrids"
run.show(
    figures.bars({"teacher": teacher, **{names[arm]: values for arm, values in test.items()}}, baseline="teacher"),
    "bars",
    "Bars of the mean PSNR on the test photos against the teacher, for each arm, with a mark for every seed or draw.",
    "Mean PSNR on the test photos against the teacher; marks are seeds, or draws.",
)

# %% [markdown]
# ## Table 5
#
# The paper's numbers are from its own scale and data; ours from the task of this page. Only the order and the sign of differences can be compared.

# %%
published = {"denoise": "SIDD", "deblur": "GoPro", "derain": "Rain100L"}.get(task)
printed = {row.method: row.value for row in paper.table(5).itertuples() if row.metric == "PSNR" and row.dataset == published}
methods = {
    "distilled": "Proposed model with FwKD", "fresh": "", "random": "Proposed model without FwKD",
    "draws": "Randomly designed Hybrid network", "equal": "Hybrid design with Equal blocks",
}
rows = [
    {"arm": names[arm], "published": printed.get(method), "measured": np.mean(test[arm]), "low": min(test[arm]), "high": max(test[arm]), "n": len(test[arm])}
    for arm, method in methods.items()
]
columns = [
    Column("arm", "network"), Column("published", f"published, {published or 'no such task'} (dB)", ".2f"), Column("measured", f"measured, {task} (dB)", ".2f"),
    Column("low", "lowest", ".2f"), Column("high", "highest", ".2f"), Column("n", "networks", "d"),
]
show(rows, columns, "Table 5: the paper's PSNR beside ours on the test photos, means over seeds or draws.")

# %% [markdown]
# ## What to notice

# %%
after = {arm: np.array([r.after for r in results]) for arm, results in arms.items()}
before = {arm: np.mean([r.before for r in results]) for arm, results in arms.items()}
better = sum(value > np.mean(test["distilled"]) for value in test["draws"])
say(
    f"* Before fine-tuning distilled surrogates are {before['distilled'] - before['fresh']:+.2f} dB from undistilled ones; "
    f"after it, {after['distilled'].mean() - after['fresh'].mean():+.2f} dB, with seeds that spread over {np.ptp(after['distilled']):.2f} and {np.ptp(after['fresh']):.2f} dB.\n"
    f"* Random weights end {after['distilled'].mean() - after['random'].mean():.2f} dB lower. Of that, {after['fresh'].mean() - after['random'].mean():.2f} dB is what the teacher's own weights are worth, not the distillation.\n"
    f"* {better} of {len(draws)} random hybrids end above the chosen one on the test photos. They are not of its size: a draw that keeps more of the teacher has more to begin with."
)

# %% [markdown]
# ## Exercises
#
# ```{exercise}
# :label: ex-ablation-size
#
# A random hybrid may keep more transformer blocks than the chosen one. Plot the draws' test PSNR over their penalty, with the chosen hybrid in the same
# plot. Is it above the draws of its own penalty?
# ```
#
# ```{solution} ex-ablation-size
# :class: dropdown
#
#     from ensrepro.space import penalty
#     for f, psnr in zip(draws, test["draws"]):
#         architecture = RESTORMER.architecture(f.result.architecture)
#         print(RESTORMER.label(architecture), penalty(architecture), round(psnr, 2))
#     print(RESTORMER.label(chosen), penalty(chosen), np.mean(test["distilled"]))
#
# That is the fair comparison, and the paper does not make it: it does not print which random hybrid it drew.
# ```
#
# ```{exercise}
# :label: ex-ablation-longer
#
# The arm with random weights is far below after as many steps as the others. Is that a verdict on the architecture?
# ```
#
# ```{solution} ex-ablation-longer
# :class: dropdown
#
# No. It has had a few hundred steps, the teacher some thousands. Continue the curve in your mind: it still rises where the others are flat. What the
# arm shows is how much training the distillation and the teacher's weights save. The paper's training without distillation is as long as that with it,
# and its gap shows the same mixture of two causes.
# ```

# %%
run.finish(
    {
        "chosen": RESTORMER.label(chosen),
        "psnr": {
            "distilled": [float(v) for v in test["distilled"]], "reinitialized": [float(v) for v in test["fresh"]],
            "random_weights": [float(v) for v in test["random"]], "equal_blocks": [float(v) for v in test["equal"]],
            "random_hybrids": [float(v) for v in test["draws"]],
        },
    }
)
