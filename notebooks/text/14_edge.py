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
# # 14 · A surrogate for CPUs
#
# **Adds** what the paper's premise (section 4.1) asks for on a computer's CPU: the same teacher, the same distillation, search and fine-tuning, but with the [edge block](../book/edge_block.md)
# in MambaIR's place. No part of the paper does this.
#
# **Question.** How fast can a hybrid be at a given loss of PSNR, once its blocks are really cheaper than those they replace? And is it the state of these blocks
# that makes them good?
#
# **Cost.** In profile `mini` seconds, from the networks and the measurements on file. Training the pair anew takes about an hour on two cores,
# measuring a machine's stages about ten minutes.
#
# **Look for** how far to the left of its teacher a hybrid can be and still stand at its height.

# %% tags=["parameters"]
task = "denoise"  # what is restored
profile = "mini"  # the scale: smoke, mini, small or paper
seed = 0  # of the searches
out = ""  # folder for what this notebook writes; empty: the repository's results
pair = "restormer-edge"  # held against the paper's pair
device = ""  # whose latencies: a device on file; here: this machine, measured now; empty: one on file

# %%
from ensrepro import across, curves, pipeline
from ensrepro.config import CONTROL, DEFAULT_PAIR
from ensrepro.devices import sections, stage_sums
from ensrepro.devices.tables import published_rows
from ensrepro.figures import curves as figures
from ensrepro.tables import Column, say, show

run = pipeline.start("14_edge", task=task, profile=profile, seed=seed, out=out, pair=pair, device=device)
paper, control = curves.of_pair(run, DEFAULT_PAIR), curves.of_pair(run, CONTROL)
space = run.ctx.space

# %% [markdown]
# ## The surrogates
#
# Each point is one of the surrogates, put alone into the same teacher. Three pools were distilled by the same recipe: of MambaIR blocks, of edge blocks, and of a *control*, edge
# blocks with as many parameters and no state, in which nothing is carried from one line to the next.

# %%
rows = curves.pool_rows([run, paper, control])
run.show(
    figures.pools(rows, pair, {DEFAULT_PAIR: "mambair", CONTROL: "stateless"}),
    "pools",
    "PSNR drop of each edge surrogate against that of the MambaIR surrogate and of the control at the same stage and depth, around the diagonal.",
    "What a surrogate costs alone, on the validation crops: edge blocks against MambaIR's, and against edge blocks without a state. Below the line the edge block costs less.",
)

# %%
names = {DEFAULT_PAIR: "MambaIR", pair: "edge", CONTROL: "edge, no state"}
columns = [Column("stage", "stage"), Column("depth", "blocks", "d")]
columns += [Column(name, f"{label} (dB)", ".3f") for name, label in names.items()]
columns += [Column(f"{name} seconds", f"{label}, training (s)", ".0f") for name, label in list(names.items())[:2]]
show(rows, columns, "PSNR that the teacher loses with one surrogate in it, and what the surrogate's own training took.")

# %%
for other, label in ((DEFAULT_PAIR, "MambaIR's"), (CONTROL, "those without a state")):
    gaps = [row[pair] - row[other] for row in rows]
    less = sum(gap < 0 for gap in gaps)
    say(f"Of {len(rows)} edge surrogates {less} cost less PSNR than {label}; the difference is {min(gaps):+.3f} to {max(gaps):+.3f} dB, {sum(gaps) / len(gaps):+.3f} dB in the mean.")

# %% [markdown]
# ## The curve
#
# The same search as in [notebook 4](04_search.ipynb) with this pool. Fine-tuned are the five candidates near the knee, the network of surrogates only, and four more along the front, down to the
# cheapest one: how much of a large drop comes back is seen only there. Of the paper's pair the networks of [notebook 6](06_finetune.ipynb) stand beside them. Latencies are sums of
# measured stages, shares of the teacher's.

# %%
ours, theirs = curves.curve_of(run), curves.curve_of(paper, is_whole=False)
tables = {one.ctx.pair.name: stage_sums.stage_table(run.staged, one.ctx.pair, task=task) for one in (run, paper)}
table = tables[pair]
points = curves.points(run, ours, table) + curves.points(paper, theirs, tables[DEFAULT_PAIR])
run.show(
    figures.speed(points, {pair: "edge", DEFAULT_PAIR: "mambair"}, curves.LOSS_DB),
    "curve",
    "Fine-tuned hybrids of both pairs by speed, in multiples of the teacher's, and by the change in PSNR on the test photos.",
    f"Fine-tuned hybrids of both pairs. Large marks are means over seeds; the dotted line is a loss of {curves.LOSS_DB:g} dB.",
)
say(sections.origin(run.staged) + table.remark(task))

# %%
columns = [
    Column("pair", "pair"), Column("stages", space.heading), Column("times", "times as fast", ".2f"),
    Column("before", "before (dB)", "+.2f"), Column("after", "after (dB)", "+.2f"), Column("change", "test (dB)", "+.2f"), Column("n", "seeds", "d"),
]
rows = [{**row, "times": 1 / row["share"]} for row in points]
show(rows, columns, f"Against the teacher trained as long: validation crops before and after fine-tuning, then the test photos. Speed: {sections.under(table.conditions)}.")

# %%
beaten = curves.dominated(points, DEFAULT_PAIR, pair)
n_theirs = sum(row["pair"] == DEFAULT_PAIR for row in points)
say(f"Of the {n_theirs} MambaIR hybrids {beaten} have an edge hybrid beside them that is faster and, on the test photos, no worse.")

# %% [markdown]
# ## How fast at a small loss
#
# For every task whose pool of edge surrogates is on file: the cheapest of the fine-tuned networks that loses at most a tenth of a decibel on the validation crops, fine-tuned with further seeds, judged on
# the test photos against the teacher with the same extra steps, and timed whole, in alternation with its teacher, at the paper's width. The weights of the timed network are random: the trained one is its narrow twin.

# %%
runs = {task: run} | {name: one for name, one in across.with_pool(across.with_teacher(run)).items() if name != task}
made = {name: ours if name == task else curves.on_file(one) for name, one in runs.items()}
fast = [curves.fast_row(runs[name], one, stage_sums.stage_table(run.staged, run.ctx.pair, task=name)) for name, one in made.items() if one]
columns = [
    Column("task", "task"), Column("stages", space.heading), Column("times", "times as fast", ".2f"), Column("low", "from", ".2f"), Column("high", "to", ".2f"),
    Column("change", "test (dB)", "+.2f"), Column("least", "lowest", "+.2f"), Column("most", "highest", "+.2f"), Column("n", "seeds", "d"), Column("n_longer", "of the teacher", "d"),
]
show(fast, columns, f"The cheapest hybrid within {curves.LOSS_DB:g} dB on the validation crops (n/a: none). The range of a speed encloses eight rounds of ten.")
noisy = [row["task"] for row in fast if row["raced"] and row["raced"]["is_noisy"]]
say(f"**The machine was not quiet** for {', '.join(noisy)}: these speeds are rough." if noisy else "")

# %%
paper_best = max(1 / row["ratio"] for row in published_rows())
goals = {5.0: "our aim, on two tasks at least", paper_best: "the paper's best on a phone, on every task"}
for times, what in goals.items():
    met = [row["task"] for row in fast if row["times"] is not None and row["times"] >= times and row["change"] >= -curves.LOSS_DB]
    say(f"* {times:.1f} times as fast at no more than {curves.LOSS_DB:g} dB, {what}: {len(met)} of {len(fast)} tasks ({', '.join(met) or 'none'}).")

# %%
short = [row for row in fast if row["times"] is not None and row["times"] < paper_best]
say("\n".join(
    f"* {row['task']} falls short of {paper_best:.1f} by a factor of {paper_best / row['times']:.1f}. What it keeps of its teacher bounds it: with surrogates that took no time at all "
    f"it would be {row['most_times']:.1f} times as fast. More could not be swapped for {curves.LOSS_DB:g} dB." for row in short
))

# %% [markdown]
# ## Is it the state?
#
# The fast hybrid of this task once more, from surrogates that have no state, fine-tuned with the same seeds.

# %%
if ours.fast:
    architecture = space.architecture(ours.fast[0].result.architecture)
    changes = {name: curves.change(seeds, ours.longer) for name, seeds in (("with a state", ours.fast), ("without", curves.same(control, architecture)))}
    rows = [{"name": name, **one._asdict()} for name, one in changes.items()]
    columns = [Column("name", "edge blocks"), Column("mean", "test (dB)", "+.2f"), Column("low", "lowest", "+.2f"),
               Column("high", "highest", "+.2f"), Column("n", "seeds", "d")]
    show(rows, columns, f"{space.label(architecture)}, against the teacher trained as long, on the test photos.")
    say(curves.verdict(*changes.values()))
else:
    say("No network of this task is that close to its teacher, so there is none to compare.")

# %% [markdown]
# What a network of this width restores from patches of this size is mostly local. A result for or against the state is one for these tasks at this scale; [the page of the
# block](../book/edge_block.md) says how far it could see.
#
# ## Exercises
#
# ```{exercise}
# :label: ex-edge-front
#
# The networks along the front were chosen by the penalty, which counts blocks. Choose them by the measured latency instead, with `curve.spread` over `table.latency_ms` of the front, and
# compare: which stage does the clock swap first that the penalty does not?
# ```
#
# ```{solution} ex-edge-front
# :class: dropdown
#
#     from ensrepro.steps import curve
#     found = run.search()
#     front = [found.architectures[row] for row in found.front]
#     picked = curve.spread([table.latency_ms[n] for n in front], table.latency_ms[0], curve.N_ALONG)
#     print([space.label(space.architecture(front[i])) for i in picked])
#     print([space.label(one) for one in curve.along(run.ctx, found)])
#
# A block at full resolution takes much longer than one in the bottleneck, and the penalty charges both alike. The clock begins with the outer stages.
# ```
#
# ```{exercise}
# :label: ex-edge-steps
#
# The whole advantage was bought with blocks that are cheaper, not with fewer of them. Which speed would the all-SSM network of MambaIR blocks need per block to be as fast as that of edge
# blocks? Read it from `table.parts` of the two pairs, stage by stage.
# ```
#
# ```{solution} ex-edge-steps
# :class: dropdown
#
#     for stage in space.stages:
#         ours_ms, theirs_ms = (tables[name].parts[stage.name, 1] for name in (pair, DEFAULT_PAIR))
#         print(stage.name, f"{theirs_ms / ours_ms:.1f}")
#
# By so much a fused scan would have to be faster than the loop that stock operators make of it.
# ```

# %%
best = (ours.fast or ours.chosen)[0].result.architecture
run.finish(
    {
        "chosen": space.label(space.architecture(best)),
        "fast": {row["task"]: {key: row[key] for key in curves.FAST} for row in fast},
        "points": points,
        "networks": [space.label(one) for one in ours.tuned],
        "dominated": [beaten, n_theirs],
        "surrogates": {other: [sum(row[pair] < row[other] for row in curves.pool_rows([run, paper, control])), space.n_surrogates] for other in (DEFAULT_PAIR, CONTROL)},
    }
)
