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
# # 2 · Receptive fields
#
# **Reproduces** Figure 2: the effective receptive field of a transformer stage and of its state-space surrogate before and after
# distillation and fine-tuning, and the attention maps of teacher and hybrid.
#
# **Question.** The paper says that a state-space block starts out local, and that distillation hands the transformer's wide view on to it.
# Does it, and by how much?
#
# **Cost.** Under two minutes in profile `mini`, from the committed weights.
#
# **Look for** which of the maps is widest, and how little of it lies in the far field: most of the gradient sits close to the center in all of
# them.

# %% tags=["parameters"]
task = "denoise"  # what is restored
profile = "mini"  # the scale: smoke, mini, small or paper
seed = 0  # of the untrained surrogate and of the search whose hybrid is shown
out = ""  # folder for what this notebook writes; empty: the repository's results
stage = "encoder_2"  # the stage that is looked at

# %%
import numpy as np

from ensrepro import data, distill, erf, pipeline
from ensrepro.figures import receptive as figures
from ensrepro.space import RESTORMER
from ensrepro.steps import knee
from ensrepro.tables import Column, say, show

run = pipeline.start("02_erf", task=task, profile=profile, seed=seed, out=out, stage=stage)
chosen = RESTORMER.stage(stage)

# %% [markdown]
# ## What a receptive field is
#
# Take one pixel in the middle of what a stage puts out, and ask how much each pixel that goes in moves it: the gradient's absolute value,
# averaged over images and channels (A14),
#
# $$R(y, x) \propto \mathbb{E}\,\Bigl|\frac{\partial \sum_c S(u)_{c,\,\text{center}}}{\partial u_{y,x}}\Bigr| ,\qquad \sum_{y,x} R(y, x) = 1 .$$
#
# Its width is the radius $r_{90}$ of the disk around the center that holds 90 % of the gradient. Half of the gradient says little here: a
# stage is residual, and its identity path puts much of the gradient on the center pixel itself.

# %%
images = data.to_tensor([pair.degraded for pair in run.ctx.validation])
inputs = distill.stage_io(run.teacher.net, images)[stage].inputs
depth = chosen.depths[0]
(all_ssm,) = run.finetuned([(RESTORMER.all_ssm, 0)])
modules = {
    "teacher": run.teacher.net.stages[stage],
    "untrained": distill.untrained(chosen, depth, run.ctx.shape, seed),
    "distilled": run.pool.surrogates[stage, depth],
    "finetuned": all_ssm.net.stages[stage],
}
fields = {name: erf.receptive_field(module, inputs) for name, module in modules.items()}

# %%
widths = {name: erf.width(field) for name, field in fields.items()}
radii = {name: {0.5: w.radius_50, 0.9: w.radius_90} for name, w in widths.items()}
run.show(
    figures.maps(fields, radii),
    "maps",
    "Four maps on one logarithmic color scale: receptive field of the teacher's stage and of three states of its surrogate.",
    f"Receptive fields of {stage} ({depth} blocks in the surrogate), averaged over {len(images)} validation crops.",
)

# %%
spans = {
    name: erf.radius_interval(erf.gradient_maps(module, inputs), 0.9) for name, module in modules.items()
}
rows = [
    {"stage": name, **w._asdict(), "span": f"{spans[name].low:.1f} to {spans[name].high:.1f}"}
    for name, w in widths.items()
]
columns = [
    Column("stage", "stage"), Column("radius_50", "radius of 50 % (px)", ".1f"),
    Column("radius_90", "radius of 90 % (px)", ".1f"), Column("span", "95 % interval of it (px)"),
    Column("effective_pixels", "effective pixels", ".0f"),
]
show(rows, columns, f"Width of the receptive field of {stage}, measured in pixels at its own resolution.")

# %%
run.show(
    figures.growth({name: erf.growth(field) for name, field in fields.items()}),
    "growth",
    "Share of the gradient within a radius, one line for each of the four modules.",
    f"How the share of the gradient grows with the radius around the center, {stage}.",
)

# %% [markdown]
# An *untrained* surrogate here is one with MambaIR's own random start. The surrogates of the pool start with zeroed output projections (A20),
# as the identity, whose receptive field is a single pixel; that start would make the comparison a foregone conclusion.
#
# ## Where the attention goes
#
# Restormer attends across *channels*: its attention map says which channel listens to which, not which pixel. Beside it stands the
# norm of what the attention adds at each pixel, which is not an attention map but shows where it is at work.

# %%
choice = knee.choose(run.ctx, run.search())
(hybrid,) = run.finetuned([(choice.knee, 0)])
of_teacher = erf.channel_attention_maps(run.teacher.net, images[:1])
of_hybrid = erf.channel_attention_maps(hybrid.net, images[:1])
shared = [name for name in of_teacher if name in of_hybrid][:2]
attention = [
    figures.Attention(f"{who}, {name}", maps[name].channels[-1, 0], maps[name].spatial[-1, 0])
    for name in shared or list(of_teacher)[:1]
    for who, maps in (("teacher", of_teacher), ("hybrid", of_hybrid))
    if name in maps
]

# %%
run.show(
    figures.attention(attention),
    "attention",
    "For teacher and hybrid: weights between channels, head by head, and the norm of the attention's output over the pixels.",
    f"Attention of the last block of stages that teacher and hybrid ({RESTORMER.label(choice.knee)}) have in common.",
)

# %%
spread = {
    who: {name: erf.attention_spread(m.channels) for name, m in maps.items()}
    for who, maps in (("teacher", of_teacher), ("hybrid", of_hybrid))
}
rows = [
    {"stage": name, "teacher": spread["teacher"][name], "hybrid": spread["hybrid"].get(name)}
    for name in spread["teacher"]
]
columns = [
    Column("stage", "stage"), Column("teacher", "teacher", ".3f"), Column("hybrid", "hybrid", ".3f")
]
show(rows, columns, "How evenly the attention is spread over the channels, measured: 0 is one channel, 1 is all alike.")

# %% [markdown]
# ## What to notice

# %%
teacher_r, distilled_r = widths["teacher"].radius_90, widths["distilled"].radius_90
untrained_r, tuned_r = widths["untrained"].radius_90, widths["finetuned"].radius_90
holds = untrained_r < distilled_r < teacher_r and abs(tuned_r - teacher_r) < abs(distilled_r - teacher_r)
verdict = "holds" if holds else "does not hold"
ceiling = erf.width(np.full_like(fields["teacher"], 1 / fields["teacher"].size)).radius_90
say(
    f"* 90 % of the gradient lies within {teacher_r:.1f} px for the teacher's stage, {untrained_r:.1f} px for the untrained surrogate, "
    f"{distilled_r:.1f} px after distillation and {tuned_r:.1f} px after fine-tuning.\n"
    f"* The paper's order (an untrained block is local, distillation widens it, fine-tuning narrows the gap) **{verdict}** in this run, "
    "for this stage and this scale.\n"
    f"* A map of equal weights would have a radius of {ceiling:.1f} px here: the crop's size bounds every number above.\n"
    "* All four are measured on the teacher's inputs of this stage. A four-directional scan reaches every pixel in one block; how "
    "much *weight* far pixels get is a matter of the step sizes."
)

# %% [markdown]
# ## Exercises
#
# ```{exercise}
# :label: ex-erf-depth
#
# Repeat the measurement for another stage (parameter `stage`) and for the shallowest surrogate. Is a shallow surrogate narrower?
# ```
#
# ```{solution} ex-erf-depth
# :class: dropdown
#
#     for depth in chosen.depths:
#         print(depth, erf.width(erf.receptive_field(run.pool.surrogates[stage, depth], inputs)))
#
# Fewer blocks mean fewer 3x3 convolutions in a row, but each scan is global already. What you see is mostly how much of the teacher's
# mixing each depth could imitate.
# ```
#
# ```{exercise}
# :label: ex-erf-identity
#
# What receptive field does the identity have, and what is its $r_{50}$? Use it to say what a small $r_{50}$ means for a *residual*
# stage.
# ```
#
# ```{solution} ex-erf-identity
# :class: dropdown
#
# A single pixel, with radius 0. A residual stage is the identity plus a correction; when the correction is small, the center pixel itself
# holds more than half of the gradient, and the radius is 0 however far the correction reaches. That is why the 90 % radius stands
# beside it.
# ```

# %%
run.finish({"stage": stage, "width": {name: w._asdict() for name, w in widths.items()}, "spread": spread})
