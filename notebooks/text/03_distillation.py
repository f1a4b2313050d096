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
# # 3 · Distillation
#
# **Reproduces** section 3.3, *Feature-wise Distillation*, and the pool of surrogates of section 3.4: 22 for the paper's pair.
#
# **Question.** Can a stack of state-space blocks stand in for a whole stage of the transformer, without
# anything else in the network noticing?
#
# **Cost.** In profile `mini` the committed pool is read and one surrogate is distilled before your eyes: under
# a minute. Distilling the whole pool anew is part of `make reproduce`.
#
# **Expect** that the surrogates of some stages cost next to nothing and those of others a good part of a decibel,
# and that the feature error alone does not tell you which.

# %% tags=["parameters"]
task = "denoise"  # what is restored
profile = "mini"  # the scale: smoke, mini, small or paper
seed = 0  # of the surrogate that is distilled here
out = ""  # folder for what this notebook writes; empty: the repository's results
pair = "restormer-mambair"  # the two families, one of those that `python -m ensrepro list` prints
stage = "encoder_3"  # the stage whose surrogate is distilled here
depth = 2  # its number of state-space blocks

# %%
import numpy as np

from ensrepro import data, distill, pipeline
from ensrepro.config import Phase
from ensrepro.figures import distillation as figures
from ensrepro.steps import pool
from ensrepro.tables import Column, say, show

run = pipeline.start(
    "03_distillation", task=task, profile=profile, seed=seed, out=out, pair=pair, stage=stage, depth=depth
)
space, family = run.ctx.space, run.ctx.pair.efficient

# %% [markdown]
# ## The teacher, and whether its stages are worth imitating
#
# A surrogate can only be judged on a stage that does something. So the first thing to measure is the teacher itself: each
# of its stages is replaced by the identity in turn. A stage that can go without a loss is *idle*: that a surrogate of it costs
# little is no merit of the surrogate, and a search over it shows nothing.
#
# Idle stages are no accident. Noise that is independent from pixel to pixel is gone after averaging a few of them, and shallow stages see
# enough pixels for that. So the noise of the task `denoise` is that of a night shot behind a color filter ([A15](../book/assumptions.md)):
# neighbors share it, and more of it is left at coarse scales, where the deep stages work. In the same hope rain was given a veil that changes
# slowly over the image (A30), and blur a width (A31, A32). What the deepest of them can add is another matter. In Restormer each
# block of the two stages around the bottleneck looks two pixels around with its depthwise convolutions; at a quarter of the size and six blocks
# deep, one such stage already looks as far as a small training patch reaches. That is an argument, not a measurement. Whether the bottleneck finds anything
# left to do is what the bars say.

# %%
drops = run.teacher.result.identity_drops
run.show(
    figures.identity_drops(drops),
    "identity",
    "Bars of the PSNR that is lost when one stage of the teacher becomes the identity, stage by stage.",
    "PSNR lost on the validation crops when one stage of the teacher becomes the identity.",
)

# %%
dead = [name for name, drop in drops.items() if drop < figures.ALIVE_DB]
harmful = [name for name in dead if drops[name] <= -figures.ALIVE_DB]
verdict = f"The others are idle here: **{', '.join(dead)}**. What their surrogates cost says little about the surrogates." if dead else "So all of them are alive."
if harmful:
    verdict += f" Without {' or '.join(harmful)} the teacher is even better by that much or more: on these crops the stage does harm."
say(
    f"{len(drops) - len(dead)} of {len(drops)} stages are worth {figures.ALIVE_DB:g} dB or more to this teacher. {verdict}"
)

# %% [markdown]
# ## One surrogate
#
# Let $x$ be what enters a stage of the teacher and $T(x)$ what leaves it. The surrogate $S$ maps the same shape to
# the same shape. It is a stack of state-space blocks, MambaIR's or those of the other family that `pair` names, and is trained to
#
# $$\min_S\; \mathbb{E}\,\lVert S(x) - T(x)\rVert_1 .$$
#
# Three choices in this formula are ours, because the paper leaves them open: a whole stage is imitated, not a block
# ([A2](../book/assumptions.md)), in L1 (A3), and $x$ comes from the undisturbed teacher (A5). The teacher is run once a patch, and
# its features are kept; the surrogate then trains on them alone.

# %%
chosen = space.stage(stage)
patches, _ = data.training_batch(task, seed, 0, Phase(1, 64, run.ctx.profile.distillation.patch))
features = distill.stage_io(run.teacher.net, patches)[stage]
live = distill.distill(
    chosen, depth, run.ctx.shape, features, run.ctx.profile.distillation, seed=seed
)

# %%
run.show(
    figures.losses({live.key: live.history.losses}),
    "losses",
    "The L1 distance between surrogate and teacher features over the training steps.",
    f"Distillation of {stage} into {depth} blocks of {family}, trained in this very run.",
)

# %%
images = data.to_tensor([pair.degraded for pair in run.ctx.validation])
unseen = distill.stage_io(run.teacher.net, images)[stage]
fidelity = distill.fidelity(live.module.eval(), unseen)
say(
    f"On features of photos that it has not seen, this surrogate is off by {fidelity.relative_error:.1%} of the "
    f"features' norm, and explains {fidelity.explained:.1%} of what the stage changes."
)

# %% [markdown]
# ## The pool
#
# The same for every stage and depth of the space, with more patches; each surrogate on its own. Two numbers are kept of each: how
# far its features are from the teacher's, and what the restored image loses when *this one stage* is swapped.

# %%
rows = run.pool.result.rows
run.show(
    figures.surrogates(rows),
    "pool",
    f"Two panels with a dot for each of the {len(rows)} surrogates: PSNR drop and relative feature error, grouped by stage.",
    "Each surrogate alone in the teacher: PSNR drop on the validation crops, and relative feature error.",
)

# %%
columns = [
    Column("stage", "stage"),
    Column("depth", "blocks", "d"),
    Column("n_parameters", "parameters", ",d"),
    Column("relative_error", "relative error", ".3f"),
    Column("explained", "explained", ".1%"),
    Column("psnr_drop", "PSNR drop (dB)", ".3f"),
    Column("seconds", "seconds", ".0f"),
]
show(rows, columns, f"The pool of {len(rows)} surrogates of {family}, measured: each alone in the teacher.")

# %% [markdown]
# ## What to notice

# %%
living = [row for row in rows if row["stage"] not in dead] or rows
whose = "the stages that are alive" if len(dead) < len(drops) else "all stages, none of which is alive"
error = np.array([row["relative_error"] for row in living])
drop = np.array([row["psnr_drop"] for row in living])
ranks = np.corrcoef(error.argsort().argsort(), drop.argsort().argsort())[0, 1]
worst, kindest = living[int(drop.argmax())], living[int(drop.argmin())]
n_better = sum(row["psnr_drop"] <= -figures.ALIVE_DB for row in rows)
against = pool.opposed(living)

# %%
order = f"Even within a stage the two are in opposite order in {', '.join(against)}" if against else "Within a stage they agree at least in part"
better = f"* {n_better} of the {len(rows)} swaps make the teacher *better* on these crops. That says more about a teacher that was trained for a short time than about surrogates.\n"
say(
    f"* Among {whose}, the dearest swap is {worst['stage']} with {worst['depth']} blocks ({worst['psnr_drop']:.2f} dB), the kindest "
    f"{kindest['stage']} with {kindest['depth']} ({kindest['psnr_drop']:.3f} dB).\n"
    f"* Over their surrogates the rank correlation between feature error and PSNR drop is {ranks:.2f}. An error is relative to "
    "its own stage's features, a decibel is not, so the two need not agree between stages. "
    f"{order}.\n{better if n_better else ''}"
    "* A surrogate is trained on the features of the undisturbed teacher. In a hybrid it meets the features of other surrogates instead; "
    "this mismatch is what fine-tuning has to repair, in notebook 6."
)

# %% [markdown]
# ## Exercises
#
# ```{exercise}
# :label: ex-distill-depth
#
# In which stages does a deeper surrogate lose *less* PSNR than a shallower one by more than 0.02 dB? Use `rows`. What would you
# tell the search about the others?
# ```
#
# ```{solution} ex-distill-depth
# :class: dropdown
#
#     for name in drops:
#         print(name, {r["depth"]: round(r["psnr_drop"], 3) for r in rows if r["stage"] == name})
#
# Where depth does not pay, the shallow surrogate dominates the deeper ones: it loses as little and costs less. The search finds
# that out by itself, but those choices are dead weight in its space.
# ```
#
# ```{exercise}
# :label: ex-distill-blind
#
# `distill.fidelity` reports the share that is *explained*, $1 - \lVert T-S\rVert^2 / \lVert T-x\rVert^2$. Why is $T-x$ in
# the denominator and not $T$? What does an explained share of zero mean?
# ```
#
# ```{solution} ex-distill-blind
# :class: dropdown
#
# A stage is residual: most of $T(x)$ is $x$ itself, which a surrogate that does nothing returns too. Against $\lVert T\rVert$ doing
# nothing looks good; against the change $\lVert T-x\rVert$ it scores exactly zero.
# ```

# %%
run.finish(
    {
        "identity_drops": drops,
        "live": {"relative_error": fidelity.relative_error, "explained": fidelity.explained},
        "swap_drops": {f"{row['stage']} {row['depth']}": row["psnr_drop"] for row in rows},
    }
)
