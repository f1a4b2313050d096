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
from ensrepro import across, curves, data, distill, erf, fast, pipeline
from ensrepro.config import CONTROL, DEFAULT_PAIR
from ensrepro.devices import sections, stage_sums, tables
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
# How far does a distilled stage see? As in [notebook 2](02_erf.ipynb), from the gradient of the center pixel, for the first stage of the second level.

# %%
stage, depth = "encoder_2", 2
images = data.to_tensor([crop.degraded for crop in run.ctx.validation])
inputs = distill.stage_io(run.teacher.net, images)[stage].inputs
modules = {"teacher": run.teacher.net.stages[stage]}
modules |= {names[one.ctx.pair.name]: one.pool.surrogates[stage, depth] for one in (paper, run, control)}
rows = [{"stage": name, **erf.width(erf.receptive_field(module, inputs))._asdict()} for name, module in modules.items()]
columns = [Column("stage", stage), Column("radius_50", "radius of 50 % (px)", ".1f"), Column("radius_90", "radius of 90 % (px)", ".1f"),
           Column("effective_pixels", "effective pixels", ".0f")]
show(rows, columns, f"Width of the receptive field of {stage}, distilled surrogates of {depth} blocks, at the stage's own resolution, over {len(images)} validation crops.")

# %% [markdown]
# ## The curve
#
# Two searches of this pool: that of [notebook 4](04_search.ipynb), and one that minimizes milliseconds in place of the penalty, as in [notebook 9](09_latency.ipynb), since the penalty
# charges a block of the bottleneck as much as one at full resolution. Fine-tuned are the five candidates near the knee of the first, the network of surrogates only, and four
# along the front of each, down to the cheapest and the fastest: how much of a large drop comes back is seen only there. Of the paper's pair the networks of
# [notebook 6](06_finetune.ipynb) stand beside them; further along its front they would be slower still. Latencies are sums of measured stages, shares of the teacher's.

# %%
stages = {one.ctx.pair.name: stage_sums.stage_table(run.staged, one.ctx.pair, task=task) for one in (run, paper)}
table = stages[pair]
ours, theirs = curves.curve_of(run, table), curves.curve_of(paper)
points = curves.points(run, ours, table) + curves.points(paper, theirs, stages[DEFAULT_PAIR])
run.show(
    figures.speed(points, {pair: "edge", DEFAULT_PAIR: "mambair"}, curves.LOSS_DB),
    "curve",
    "Fine-tuned hybrids of both pairs by speed, in multiples of the teacher's, and by the change in PSNR on the test photos.",
    f"Fine-tuned hybrids of both pairs. Large marks are means over seeds; the dotted line is a loss of {curves.LOSS_DB:g} dB.",
)
say(sections.origin(run.staged) + table.remark(task))

# %%
columns = [
    Column("pair", "pair"), Column("stages", space.heading), Column("times", "times as fast", ".2f"), Column("before", "before (dB)", "+.2f"),
    Column("after", "after (dB)", "+.2f"), Column("change", "test (dB)", "+.2f"), Column("as_it_was", "test, teacher as it was (dB)", "+.2f"), Column("n", "seeds", "d"),
]
rows = [{**row, "times": 1 / row["share"]} for row in points]
show(rows, columns, f"Against the teacher trained as long: validation crops before and after fine-tuning, then the test photos. Speed: {sections.under(table.conditions)}.")

# %%
beaten = curves.dominated(points, DEFAULT_PAIR, pair)
n_theirs = sum(row["pair"] == DEFAULT_PAIR for row in points)
extra = [curves.tested(one) - ours.base for one in ours.longer]
say(
    f"* Of the {n_theirs} MambaIR hybrids {beaten} have an edge hybrid beside them that is faster and, on the test photos, no worse.\n"
    f"* The extra steps alone take the teacher to {min(extra):+.2f} to {max(extra):+.2f} dB on the test photos over its seeds. It was trained as long as a hybrid, so it is the fair "
    "reference; where they did it no good, a hybrid may seem to gain."
)

# %% [markdown]
# ## How fast at a small loss
#
# For every task whose pool of edge surrogates is on file: the fastest of the fine-tuned networks that loses at most a tenth of a decibel on the validation crops, in the mean over
# its seeds. It is judged on the test photos against the teacher with the same extra steps, and timed whole, in alternation with its teacher, at the paper's width. The
# weights of the timed network are random: the trained one is its narrow twin. Validation crops are few and small, test photos are whole: a network can stand well on the one and not on the other.

# %%
runs = {task: run} | {name: one for name, one in across.with_pool(across.with_teacher(run)).items() if name != task}
timed = {name: stage_sums.stage_table(run.staged, run.ctx.pair, task=name) for name in runs}
made = {name: ours if name == task else curves.on_file(one, timed[name]) for name, one in runs.items()}
found = [fast.row(one, made[name], timed[name]) for name, one in runs.items()]
columns = [
    Column("task", "task"), Column("stages", space.heading), Column("times", "times as fast", ".2f"), Column("low", "from", ".2f"), Column("high", "to", ".2f"), Column("times_2", "on 2 threads", ".2f"),
    Column("change", "test (dB)", "+.2f"), Column("least", "lowest", "+.2f"), Column("most", "highest", "+.2f"), Column("as_it_was", "teacher as it was (dB)", "+.2f"),
    Column("n", "seeds", "d"), Column("n_longer", "of the teacher", "d"),
]
show(found, columns, f"The fastest hybrid within {curves.LOSS_DB:g} dB on the validation crops (n/a: none). The range of a speed encloses eight rounds of ten.")
noisy = [row["task"] for row in found if row["raced"] and row["raced"]["is_noisy"]]
say(f"**The machine was not quiet** for {', '.join(noisy)}: these speeds are rough." if noisy else "")

# %%
paper_best = max(1 / row["ratio"] for row in tables.published_rows())
aims = [fast.aim(found, 5.0, "our aim on two tasks at least"), fast.aim(found, paper_best, "the paper's best on a phone, our aim on every task")]
blocks = {n: fast.blocks(tables.block_rows(run.staged, n), run.ctx.pair.efficient, table.side, n) for n in (1, 2)}
say("\n".join(f"* {line}" for line in [*aims, *fast.shortfalls(found, paper_best), *blocks.values()]))

# %% [markdown]
# ## Is it the state?
#
# The fast hybrid of this task once more (the chosen one, if none is fast enough), from surrogates that have no state, fine-tuned with the same seeds.

# %%
seeds = ours.fast or ours.chosen
architecture = space.architecture(seeds[0].result.architecture)
changes = {name: curves.change(own, ours.longer) for name, own in (("with a state", seeds), ("without", curves.same(control, architecture)))}
rows = [{"name": name, **one._asdict()} for name, one in changes.items()]
columns = [Column("name", "edge blocks"), Column("mean", "test (dB)", "+.2f"), Column("low", "lowest", "+.2f"), Column("high", "highest", "+.2f"), Column("n", "seeds", "d")]
show(rows, columns, f"{space.label(architecture)}, against the teacher trained as long, on the test photos.")
say(curves.verdict(*changes.values()))

# %% [markdown]
# What a network of this width restores from patches of this size is mostly local. A result for or against the state is one for these tasks at this scale; [the page of the
# block](../book/edge_block.md) says how far it could see.
#
# ## Exercises
#
# ```{exercise}
# :label: ex-edge-front
#
# The candidates near the knee were chosen by the penalty, which counts blocks, the others by measured milliseconds. Which stages does the clock swap that the penalty leaves to the
# teacher, and the other way round? Compare the two fronts.
# ```
#
# ```{solution} ex-edge-front
# :class: dropdown
#
#     from ensrepro.steps import curve
#     for name, result in (("penalty", run.search()), ("clock", run.search(penalty_table="latency", device=table))):
#         print(name, [space.label(one) for one in curve.along(run.ctx, result)])
#
# A block at full resolution takes much longer than one in the bottleneck, and the penalty charges both alike. What a swap saves in milliseconds is in `table.parts`.
# ```
#
# ```{exercise}
# :label: ex-edge-steps
#
# How much of the speed is due to blocks that are cheaper, and how much to fewer of them? Compare, stage by stage, the teacher, as many edge blocks as it has, and two of them. Which
# speed would a MambaIR block need to do the same?
# ```
#
# ```{solution} ex-edge-steps
# :class: dropdown
#
#     for stage in space.stages:
#         teacher_ms = table.parts[stage.name, 0]
#         many, few = (table.parts[stage.name, choice] for choice in (1, len(stage.depths)))
#         mambair = stages[DEFAULT_PAIR].parts[stage.name, 1]
#         print(f"{stage.name}: {stage.depths[0]} edge blocks {teacher_ms / many:.1f} x, {stage.depths[-1]} {teacher_ms / few:.1f} x, MambaIR behind by {mambair / many:.1f} x")
#
# The teacher's stage and the first choice of most stages have as many blocks: that column is what cheaper blocks buy. The rest is bought with depth, and paid in PSNR.
# ```

# %%
run.finish(
    {
        "chosen": space.label(space.architecture(ours.chosen[0].result.architecture)),
        "fast": {row["task"]: {key: row[key] for key in fast.KEYS} for row in found},
        "points": points,
        "networks": [space.label(one) for one in ours.tuned],
        "dominated": [beaten, n_theirs],
        "surrogates": {other: [sum(row[pair] < row[other] for row in curves.pool_rows([run, paper, control])), space.n_surrogates] for other in (DEFAULT_PAIR, CONTROL)},
    }
)
