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
# # 10 · Another teacher: Uformer
#
# **Reproduces** table 6 and the last paragraph of section 4.5: the same method with Uformer in Restormer's place, by a search that is called
# hardware-aware.
#
# **Question.** Is the method one for Restormer, or one for transformers? And does a search that sees latencies find a hybrid that is faster?
#
# **Cost.** In profile `mini` it reads the networks on file, if there are any, and restores nothing anew; training the pair from nothing takes hours, because
# Uformer's windows want patches of 128 pixels ([A35](../book/assumptions.md)). Latencies come from a device on file; where there is none with stages of this
# pair, this machine is measured, which takes a quarter of an hour and can be interrupted. In `smoke` two minutes.
#
# **Look for** where Uformer's time goes. Its stages do not cost alike, and neither do their surrogates.

# %% tags=["parameters"]
task = "denoise"  # what is restored; table 6 is about denoising
profile = "mini"  # the scale: smoke, mini, small or paper
seed = 0  # of the search whose candidates are taken
out = ""  # folder for what this notebook writes; empty: the repository's results
pair = "uformer-mambair"  # table 6's
n_trials = 0  # proposals of the search; 0 takes the profile's number
device = ""  # a device on file; here: this machine, measured now; empty: this machine or another with stages of the pair, else measured now

# %%
import numpy as np

from ensrepro import pareto, pipeline
from ensrepro.devices import sections, shelf, stage_sums
from ensrepro.figures import distillation
from ensrepro.figures import search as figures
from ensrepro.results import ablated, layout, paper_tables
from ensrepro.steps import finetune, knee, search
from ensrepro.tables import Column, say, show

run = pipeline.start(
    "10_uformer", task=task, profile=profile, seed=seed, out=out, pair=pair, n_trials=n_trials, device=device
)
space = run.ctx.space

# %% [markdown]
# ## The space
#
# Uformer is a U as Restormer is, with one level more. Its blocks attend within windows of 8 × 8 pixels, every other one shifted by half a window, instead of
# across channels. Which stages may be swapped, and by what, the paper does not say; the rule here is that of Restormer's space
# ([A34](../book/assumptions.md), A36).

# %%
stages = [
    {"stage": s.name, "blocks": s.n_blocks, "depths": ", ".join(map(str, s.depths)), "channels": run.ctx.shape.channels(s)}
    for s in space.stages
]
columns = [
    Column("stage", "stage"), Column("blocks", "teacher blocks", "d"),
    Column("depths", "surrogate depths"), Column("channels", "channels", "d"),
]
show(stages, columns, f"{space.n_architectures:,} architectures from {space.n_surrogates} surrogates.")

# %% [markdown]
# ## The teacher and its surrogates

# %%
drops = run.teacher.result.identity_drops
run.show(
    distillation.identity_drops(drops),
    "identity",
    "Bars of the PSNR that is lost when one stage of the Uformer becomes the identity, for nine stages.",
    "PSNR lost on the validation crops when one stage of the teacher becomes the identity.",
)

# %%
run.show(
    distillation.surrogates(run.pool.result.rows),
    "pool",
    "Two panels with a dot for each surrogate: PSNR drop and relative feature error, grouped by stage.",
    "Each surrogate alone in the teacher: PSNR drop on the validation crops, and relative feature error.",
)

# %% [markdown]
# ## What each choice costs in time
#
# Every choice of every stage is exported and timed in onnxruntime, in alternation with the teacher's, with random weights and, but in `smoke`, at the width of the released
# Uformer-B. A ratio is taken round by round, so it outlives a busy machine. The latency of a network is the sum of its parts ([A40](../book/assumptions.md)); whether
# a network is the sum of its stages is seen below, where some are timed whole.

# %%
table = stage_sums.stage_table(run.staged, run.ctx.pair, task=task)
rows = [
    {"stage": s.name, "teacher": table.parts[s.name, 0], "deepest": table.parts[s.name, 1] / table.parts[s.name, 0],
     "shallowest": table.parts[s.name, s.n_choices - 1] / table.parts[s.name, 0]}
    for s in space.stages
]
columns = [
    Column("stage", "stage"), Column("teacher", "teacher (ms)", ".1f"),
    Column("deepest", "deepest surrogate / teacher", ".2f"), Column("shallowest", "shallowest surrogate / teacher", ".2f"),
]
show(rows, columns, f"Measured: {sections.under(table.conditions)}.{table.remark(task)}")
say(sections.origin(run.staged))

# %% [markdown]
# ## A search with three objectives
#
# PSNR drop and penalty as before, and now the latency. Only the first has to be measured network by network. The figure shows the two that table 6 prints; the
# candidates are the knee and its neighbors in this plane, among what the sums call faster than the teacher; where that is nothing, those of the paper's own plane.

# %%
found = search.get(
    run.ctx, run.teacher, run.pool, n_trials=n_trials or None, seed=seed, minimizes_latency=True,
    known=search.Known(latency_ms=table.latency_ms, device=table.name), progress=run.terminal,
)
choice = knee.choose_fast(run.ctx, found)
plane = np.column_stack([found.points[:, 0], found.latency_ms])
among = "by drop and penalty, since nothing that was proposed is faster than the teacher" if choice.is_fallback else "among what is faster than the teacher"
run.show(
    figures.front(plane, pareto.front(plane), choice.rows[0], choice.rows, [space.label(a) for a in choice.candidates],
                  price=figures.LATENCY_LABEL),
    "front",
    "PSNR drop against latency for every evaluated architecture, with the front, its knee marked by a star and the candidates numbered.",
    f"{found.n_unique} architectures by PSNR drop and latency, a sum of stages; the knee and its neighbors, {among}.",
)

# %%
run.show(
    figures.architecture(choice.candidates, [str(k + 1) for k in range(len(choice.candidates))],
                         [f"{plane[row, 0]:.2f} dB" for row in choice.rows], space),
    "candidates",
    "One row of nine cells a candidate; a cell says T for the teacher or the depth of the surrogate.",
    "The candidates, stage by stage, and their PSNR drops before fine-tuning.",
)

# %% [markdown]
# ## Fine-tuning, and table 6
#
# As in [notebook 6](06_finetune.ipynb): the candidates are fine-tuned alike, the best by validation is taken, and the teacher gets the same extra steps, both with every
# seed of the profile. Then the chosen network is timed whole, in alternation with the teacher: it was chosen by sums of stages, and what was chosen by a number cannot be judged by it.

# %%
jobs = pipeline.jobs_of(run.ctx, choice)
tuned = dict(zip((job[0] for job in jobs), run.finetuned(jobs), strict=True))
best = finetune.best([tuned[a] for a in choice.candidates])
repeated = [run.finetuned(pipeline.seeds_of(run.ctx, one)) for one in (best, tuned[space.teacher])]
scores = ablated.beside(run.teacher.result.test, *([one.result for one in of] for of in repeated))
chosen = space.architecture(best.result.architecture)
networks = {f"candidate {k + 1}": tuned[a] for k, a in enumerate(choice.candidates)}
networks |= {"all-SSM": tuned[space.all_ssm], "teacher, longer": tuned[space.teacher]}
scored = {"teacher": (space.teacher, run.teacher.result.test)}
scored |= {name: (space.architecture(n.result.architecture), n.result.test) for name, n in networks.items()}

# %%
raced = {one: run.raced(table, one) for one in (chosen, space.cheapest)}
whole = raced[chosen]
turns = {space.teacher: 1.0} | {one: of.ratio.median for one, of in raced.items()}
rows = [
    {"name": name, "label": space.label(one), "psnr": np.mean([row["psnr"] for row in test]), "ssim": np.mean([row["ssim"] for row in test]),
     "sum": table.share(space.index(one)), "whole": turns.get(one)}
    for name, (one, test) in scored.items()
]
columns = [
    Column("name", "network"), Column("label", "encoder_1 to decoder_1"), Column("psnr", "PSNR (dB)", ".2f"), Column("ssim", "SSIM", ".3f"),
    Column("whole", "latency / teacher's, timed whole", ".2f"), Column("sum", "sum of stages / teacher's", ".2f"),
]
number = choice.candidates.index(chosen) + 1
show(rows, columns, f"Measured: test photos of profile {profile}, seed 0; latency {sections.under(whole.conditions)}; candidate {number} has the best validation PSNR.")

# %%
show(*layout.grid(paper_tables.printed(6)), paper_tables.title(6))

# %% [markdown]
# The printed latencies are of a phone, at an image size that is not given, and the PSNR of a test set that is not named. What can be compared is how much of
# Uformer's time a hybrid takes, and how much it loses.

# %%
n_fast = int(np.count_nonzero(table.latency_ms < table.latency_ms[0]))
off = stage_sums.sum_error(shelf.take(run.devices, run.staged.device), table, run.ctx.pair)
say(
    f"* Of {space.n_architectures:,} architectures {n_fast / space.n_architectures:.0%} are faster than the teacher by the sums.\n"
    f"* The chosen hybrid, `{space.label(chosen)}`, takes {whole.finding()}; by the sums it is {table.share(space.index(chosen)):.2f}.\n"
    f"* {ablated.beside_teachers(scores['psnr'])}\n"
    f"* {ablated.sums(off)}"
)

# %% [markdown]
# ## Exercises
#
# ```{exercise}
# :label: ex-uformer-penalty
#
# The penalty stands for the latency in the paper's own search. How well does it, for this pair? Correlate the ranks of the two over all architectures, and
# find, among those that the search evaluated, the two that the penalty puts in the wrong order by most.
# ```
#
# ```{solution} ex-uformer-penalty
# :class: dropdown
#
#     from ensrepro import landscape
#     print(landscape.correlation(landscape.penalties("blocks", space), table.latency_ms))
#     gaps = np.subtract.outer(found.penalty, found.penalty), np.subtract.outer(found.latency_ms, found.latency_ms)
#     worst = np.unravel_index(np.argmax(np.where(gaps[0] < 0, gaps[1], -np.inf)), gaps[0].shape)
#     print([(space.label(space.architecture(found.architectures[i])), found.penalty[i], found.latency_ms[i]) for i in worst])
#
# The correlation is over the whole space: what the search evaluated was chosen by penalty and latency, so it is no fair sample of it. A penalty counts blocks, whatever they cost. Where a block of one stage takes ten times as long as one of another, two architectures of equal penalty can
# differ by most of the teacher's latency.
# ```
#
# ```{exercise}
# :label: ex-uformer-plane
#
# Choose the knee by drop and penalty instead, with `knee.choose(run.ctx, found)`. Is it faster than the teacher, and than the one chosen by latency?
# ```
#
# ```{solution} ex-uformer-plane
# :class: dropdown
#
#     paper = knee.choose(run.ctx, found)
#     for name, one in (("penalty", paper), ("latency", choice)):
#         print(name, space.label(one.knee), plane[one.rows[0]], table.share(space.index(one.knee)))
#
# If the two differ, the proxy chose something else than the clock would. Compare the difference with the error of the sums before you make much of it.
# ```

# %%
run.finish(
    {
        "chosen": space.label(chosen),
        "is_fallback": choice.is_fallback,
        "latency": whole.row() | {"sum_ratio": table.share(space.index(chosen))},
        "latency_sum_error": off.largest if off else None,
        **{metric: one._asdict() for metric, one in scores.items()},
        "share_faster": n_fast / space.n_architectures,
    }
)
