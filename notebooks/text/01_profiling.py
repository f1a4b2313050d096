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
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1 · Profiling blocks
#
# **Reproduces** figure 1 and the argument of section 4.1: MACs, peak memory and latency of single blocks as the image grows.
#
# **Question.** What does a block cost, and do multiply-accumulates (MACs) tell how long it takes?
#
# **Cost.** Seconds in profile `smoke`; otherwise well under a minute on one CPU core, and some 2.5 GiB of memory while vanilla attention
# runs. Blocks have the paper's width and random weights, since values do not change the cost; nothing is trained. Timings belong to the
# machine, so this notebook always measures anew.
#
# **Expect** vanilla attention to leave the picture first, and two blocks that both grow with the number of pixels. The paper
# finds a MambaIR block faster than a Restormer block *on a phone*, although it computes more. Whether that holds here is what the last panel shows.

# %% tags=["parameters"]
task = "denoise"  # what is restored; blocks cost the same in every task
profile = "mini"  # the scale: smoke, mini, small or paper
seed = 0  # of the random weights
out = ""  # folder for what this notebook writes; empty: the repository's results
max_resolution = 256  # side of the largest image, 16 to 512 pixels; smoke stops earlier

# %%
from ensrepro import latency, paper, pipeline, timing
from ensrepro.config import PROFILES
from ensrepro.figures import profiling as figures
from ensrepro.models.counting import macs
from ensrepro.models.hybrid import NetworkShape
from ensrepro.tables import Column, say, show

run = pipeline.start(
    "01_profiling", task=task, profile=profile, seed=seed, out=out, max_resolution=max_resolution
)
sides = latency.sides(max_resolution, profile)
width = PROFILES["paper"].width

# %% [markdown]
# ## What a block computes
#
# An image of $H \times W$ pixels has $L = HW$ positions of $C$ channels. Three ways to let positions influence each other, and their MACs:
#
# $$
# \underbrace{2\,L^2 C}_{\text{vanilla attention}}\qquad
# \underbrace{2\,L\,C^2 / m}_{\text{Restormer's MDTA, } m \text{ heads}}\qquad
# \underbrace{L\,(9 \cdot 4 D N + 4 D)}_{\text{four scans, state } N,\ \text{inner width } D}
# $$
#
# The first is quadratic in $L$, the others are linear. Around them stand convolutions and linear layers, which are linear in $L$ too:
# [what a pixel costs](../book/ssm_and_attention.md) adds them all up. The scan's nine operations a state entry are a convention;
# a counter that does not know the scan leaves it out without a word.

# %%
largest = sides[-1]
counts = {
    name: macs(block(width), (1, width, largest, largest))
    for name, block in latency.BLOCKS.items()
}
rows = [
    {"block": name, "layers": (m.convolution + m.linear) / 1e9, "attention": m.attention / 1e9,
     "scan": m.scan / 1e9, "total": m.total / 1e9}
    for name, m in counts.items()
]
titles = {"layers": "convolutions, linear layers", "attention": "attention", "scan": "scan", "total": "total"}
columns = [Column("block", "block"), *(Column(key, title, ".3f") for key, title in titles.items())]
show(rows, columns, f"Billions of MACs of one block, {width} channels, {largest} × {largest} pixels.")

# %% [markdown]
# ## What a block costs
#
# Every block runs alone, on one thread. *Peak memory* is the largest sum that torch's allocator held at once during a forward pass,
# without parameters and input; scratch memory inside a library is not seen. *Latency* is the median of repeated passes. Vanilla attention
# holds two $L \times L$ matrices; where these would pass the memory bound, it is not run.

# %%
costs = latency.profile_blocks(width, sides, seed=seed)
run.show(
    figures.costs([cost.row() for cost in costs]),
    "costs",
    "Three panels of MACs, peak memory and latency against image side, with one line each for vanilla attention, Restormer and MambaIR.",
    f"MACs, peak memory and latency of one block of {width} channels with random weights, over image side.",
)

# %%
by_name = {(cost.block, cost.resolution): cost for cost in costs}
pairs = [(by_name["mambair", side], by_name["restormer", side]) for side in sides]
rows = [
    {"side": ours.resolution, "macs": ours.macs / theirs.macs,
     "memory": ours.peak_memory_mib / theirs.peak_memory_mib,
     "latency": timing.ratio(ours.timing, theirs.timing)}
    for ours, theirs in pairs
]
columns = [Column("side", "image side (pixels)", "d"), Column("macs", "MACs", ".2f"),
           Column("memory", "peak memory", ".2f"), Column("latency", "latency", ".2f")]
show(rows, columns, "MambaIR block / Restormer block. Below 1, the state-space block is the cheaper one.")

# %%
timings = [cost.timing for cost in costs if cost.timing]
under, drifts = timings[-1].conditions, [one.drift for one in timings]
say(
    f"Measured with {under.runtime} {under.version}, {under.dtype}, {under.threads} thread, on {under.cpu}. The last runs of a "
    f"series took {min(drifts):.2f} to {max(drifts):.2f} times as long as its first: on a quiet machine both are near 1, and "
    "ratios closer to 1 than these mean little."
)

# %% [markdown]
# ## What a stage costs
#
# A network is eight stages at four resolutions. What replacing a stage can save depends on where it stands, and on how many blocks its
# surrogate has. The search of notebook 4 chooses among these columns:

# %%
image_side = 256  # the size at which MACs of restoration networks are customarily given
stages = latency.stage_costs(NetworkShape(width), image_side)
rows = [
    {"stage": c.stage, "channels": c.channels, "side": c.side, "teacher": c.teacher.total / 1e9}
    | {f"surrogate {depth}": c.surrogates[depth].total / 1e9 if depth in c.surrogates else None for depth in (8, 6, 4, 2)}
    for c in stages
]
columns = [Column("stage", "stage"), Column("channels", "channels", "d"), Column("side", "side", "d"),
           Column("teacher", "teacher", ".1f"), *(Column(f"surrogate {d}", f"{d} MambaIR", ".1f") for d in (8, 6, 4, 2))]
show(rows, columns, f"Billions of MACs of each stage and of its surrogates (n/a: there is none), image of {image_side} × {image_side} pixels.")

# %% [markdown]
# ## What the paper reports
#
# Figure 1 of the paper has no printed values. Its section 4.1 gives latencies of whole networks on a phone, without resolution,
# precision or threads ([A23](../book/assumptions.md)); they are not to be compared with the milliseconds above.

# %%
published = paper.scalars()
rows = published[published.name.str.match("latency_(restormer|ens)")].to_dict("records")
fastest = min(row["value"] for row in rows)
columns = [Column("what", "network"), Column("value", "published (ms)", ".10g"), Column("where", "where")]
show(rows, columns, "Published latencies.")

# %% [markdown]
# ## What to notice

# %%
top, first = pairs[-1], pairs[0]
attention = counts["vanilla"].attention / counts["vanilla"].total
say(
    f"* At {largest} pixels a side, attention is {attention:.1%} of the vanilla block's MACs; twice the side costs it sixteen times as much.\n"
    f"* At that side the MambaIR block has {top[0].macs / top[1].macs:.2f} times the MACs of the Restormer block and takes "
    f"**{timing.ratio(top[0].timing, top[1].timing):.2f} times as long** on this machine ({timing.ratio(first[0].timing, first[1].timing):.2f} at "
    f"{sides[0]} pixels). The paper's premise, less time in spite of more MACs, is a statement about a device. It has to be measured there.\n"
    f"* Peak memory is {top[0].peak_memory_mib / top[1].peak_memory_mib:.2f} times that of the Restormer block. In the paper's figure 1 Restormer "
    "needs the least; the scan here never stores its states, which is why the two can come out otherwise."
)

# %%
whole = sum(c.teacher.total for c in stages)
wide = sum(c.teacher.total for c in stages if c.stage in ("decoder_1", "refinement"))
deepest, shallowest = (
    sum(c.surrogates[pick(c.surrogates)].total < c.teacher.total for c in stages) for pick in (max, min)
)
say(
    f"* Two stages of eight, `decoder_1` and `refinement`, do {wide / whole:.0%} of the work of the teacher's stages.\n"
    f"* Counted in MACs, a surrogate with as many blocks as the teacher saves something in {deepest} of {len(stages)} stages, the smallest "
    f"surrogate in {shallowest}. Where it does not, any gain has to come from the device.\n"
    f"* The paper's hybrids are up to {paper.scalar('latency_restormer') / fastest:.1f} times as fast as Restormer (published, on a phone)."
)

# %% [markdown]
# ## Exercises
#
# ```{exercise}
# :label: ex-profiling-crossover
#
# From which image side on does the attention of the vanilla block cost more MACs than everything else in that block? Derive it from the
# formula first, then check it with the counter.
# ```
#
# ```{solution} ex-profiling-crossover
# :class: dropdown
#
# Let $r$ be the MACs per pixel of everything else. Then $2 L^2 C = r L$, so $L = r / 2C$ and the side is the square root of that.
#
#     m = counts["vanilla"]
#     r = (m.total - m.attention) / largest**2
#     (r / (2 * width)) ** 0.5
#
# With both terms proportional to $C^2$ and $C$, the crossing side grows like $\sqrt{C}$: wide layers at low resolution can afford attention
# over pixels, narrow layers at full resolution cannot.
# ```
#
# ```{exercise}
# :label: ex-profiling-state
#
# Our smaller profiles use a leaner MambaIR block: expansion 1 and 4 state entries. Count and time it at 64 pixels, beside the Restormer
# block's numbers above. Does the latency fall by the same factor as the MACs?
# ```
#
# ```{solution} ex-profiling-state
# :class: dropdown
#
#     import torch
#     from ensrepro.config import MambaIRShape
#     from ensrepro.models.mambair import VSSBlock
#
#     x = torch.rand(1, width, 64, 64)
#     for shape in (MambaIRShape(), MambaIRShape(expand=1.0, d_state=4)):
#         block = VSSBlock(width, shape).eval()
#         with torch.inference_mode():
#             taken = timing.measure(lambda: block(x), min_runs=10, min_seconds=0.5, warm_up=2)
#         print(shape, macs(block, x.shape).total / 1e9, taken.p50_ms)
#
# Most of the MACs that go are the scan's. Convolutions, norms and the change of layout between them stay, and MACs show little of
# the last two, so time need not fall by the same factor. Run the loop three times before you believe a factor: on a busy machine
# two runs of the same block differ by more than one would like, and then nothing has been shown.
# ```

# %%
run.finish(
    {
        "macs_ratio": top[0].macs / top[1].macs,
        "memory_ratio": top[0].peak_memory_mib / top[1].peak_memory_mib,
        "latency_ratio": timing.ratio(top[0].timing, top[1].timing),
        "drift": [min(drifts), max(drifts)],
        "costs": [cost.row() for cost in costs],
    }
)
