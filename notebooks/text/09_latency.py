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
# # 9 · Latency on a device
#
# **Reproduces** the latencies of section 4.1: four networks on a phone's CPU, which cannot be measured again, because resolution, precision,
# runtime and threads are not stated ([A23](../book/assumptions.md)). **Adds** the same comparison on a device that *is* stated, block by
# block, stage by stage and for whole networks, and a search that minimizes *measured* latency instead of a penalty.
#
# **Question.** Does a state-space block save time, and what would the search have found had it known the device?
#
# **Cost.** Seconds from the records on file; in profile `smoke` half a minute, because it measures tiny networks itself. Measuring a machine
# takes about an hour: `python -m ensrepro measure`. With `device="here"` this notebook measures the stages of its own machine first, minutes,
# and searches for it; what else is missing is said where it would stand. Networks have the paper's width and random weights, because latency hardly depends on
# them; they run as ONNX files of stock operators in onnxruntime, on the CPU.
#
# **Look for** the line at 1. Left of it, or below, something is faster than the Restormer part it replaces.

# %% tags=["parameters"]
task = "denoise"  # whose networks are searched
profile = "mini"  # the scale: smoke, mini, small or paper
seed = 0  # of the search
out = ""  # folder for what this notebook writes; empty: the repository's results
pair = "restormer-mambair"  # or restormer-edge: what the search is about
device = ""  # a device on file; here: this machine, measured now; empty: this machine if it is on file, else the first one
threads = 1  # of the runtime, a number that was measured
latency_budget_ms = 0.0  # keep the front within this latency; 0: no budget

# %%
from ensrepro import pipeline
from ensrepro.devices import imports, sections, shelf, stage_sums, tables
from ensrepro.figures import latency as figures
from ensrepro.tables import Column, say, show

run = pipeline.start(
    "09_latency", task=task, profile=profile, seed=seed, out=out, pair=pair,
    device=device, threads=threads, latency_budget_ms=latency_budget_ms,
)
searched = tables.pair_of(pair)
found = run.device
missing = sections.missing(found, searched, threads)

# %% [markdown]
# ## The device
#
# Things that are compared run in alternation, one run of each a round, and a ratio is taken round by round: what slows the machine down for a
# while hits both. The range beside a ratio encloses eight rounds of ten. Milliseconds have no such protection.

# %%
say(f"{sections.origin(found)} {sections.described(found, threads)}")

# %% [markdown]
# ## One block
#
# The premise of the paper is a statement about single blocks: in a network's place, a MambaIR block takes less time than a Restormer block, and
# the more so the larger the image. Each panel is one level of the network; the image side is that of the whole image.

# %%
blocks = tables.block_rows(found, threads)
if blocks:
    run.show(
        figures.blocks(blocks),
        "blocks",
        "One panel a level with the latency of a MambaIR block and of an edge block in multiples of a Restormer block's, over image side.",
        "Latency of one block in multiples of the Restormer block of the same level, over image side; bars enclose eight rounds of ten.",
    )

# %%
families = sorted({row["family"] for row in blocks} - {"restormer"})
say("\n".join(f"* {tables.finding(blocks, family, 'block')}" for family in families) or missing["blocks"])

# %% [markdown]
# ## A stage
#
# What a search chooses among is not a block but a whole stage: the teacher's blocks, or a stack of fewer or as many of the other kind.

# %%
table = None if missing["stages"] else stage_sums.stage_table(found, searched, threads, task=task)
columns = [Column("stage", "stage"), Column("teacher", "teacher", ".1f")]
columns += [
    Column(f"{family}_{depth}", f"{depth} {family}", ".1f")
    for family in ("mambair", "edge") for depth in (8, 6, 4, 2)
]
if table:
    rows = tables.stage_rows(found, table.side, threads)
    show(rows, columns, f"Median ms of each choice of each stage, image of {table.side} × {table.side} pixels (n/a: there is none).{table.remark(task)}")
else:
    say(missing["stages"])

# %% [markdown]
# ## Whole networks
#
# Each hybrid ran in alternation with the teacher of its own task. The architectures are those with surrogates everywhere, most blocks and fewest, and
# those that searches of this repository found. Peak memory is what the resident set of a process of its own grows by at most while it
# reads one file and runs one image.

# %%
networks = tables.network_rows(found, threads)
columns = [
    Column("family", "surrogates"), Column("task", "task"), Column("architecture", "e1 e2 e3 bt d3 d2 d1 rf"), Column("side", "side", "d"),
    Column("reference_ms", "teacher (ms)", ".1f"), Column("ratio", "times as long", ".2f"), Column("low", "from", ".2f"), Column("high", "to", ".2f"),
    Column("reference_peak_mib", "teacher, peak (MiB)", ".0f"), Column("peak_mib", "peak (MiB)", ".0f"),
]
if networks:
    show(networks, columns, f"Measured on {found.device}: hybrids against their teacher.")
else:
    say(missing["networks"])

# %%
published = tables.published_rows()
columns = [Column("network", "network"), Column("ms", "published (ms)", ".10g"), Column("ratio", "times as long", ".2f")]
show(published, columns, "Published: on the CPU of a Snapdragon 8 Elite.")
if networks:
    run.show(
        figures.networks(networks, published),
        "networks",
        "Latency of whole hybrids in multiples of their teacher's on this device, and below them the paper's four networks on a phone.",
        "Latency of whole networks in multiples of Restormer's: measured on this device, and as the paper prints them for its phone.",
    )

# %%
fastest = min(row["ratio"] for row in published)
say(
    "".join(f"* {tables.finding(networks, family, 'network')}\n" for family in sorted({row["family"] for row in networks}))
    + f"* The paper's fastest hybrid takes {fastest:.2f} of its Restormer's time. Only these ratios can be set side by side, and they are not one "
    "experiment either: the paper's phone, exporter, image size, precision and number of threads are not known, nor which blocks its hybrids have."
)

# %% [markdown]
# ## Phones and browsers
#
# What was measured elsewhere and [imported](../book/on_a_phone.md), of all devices. A ratio is given where networks took turns, or where the teacher's
# record has the same conditions and all of them are known: unknown threads are not the same as unknown threads.

# %%
columns = [
    Column("device", "device"), Column("family", "surrogates"), Column("architecture", "e1 e2 e3 bt d3 d2 d1 rf"), Column("width", "width", "d"),
    Column("resolution", "pixels"), Column("runtime", "runtime"), Column("threads", "threads"), Column("dtype", "dtype"), Column("n_files", "files", "d"),
    Column("ms", "ms", ".1f"), Column("ratio", "times as long", ".2f"), Column("low", "from", ".2f"), Column("high", "to", ".2f"), Column("basis", "ratio is"),
]
elsewhere = imports.rows(shelf.imported(run.devices))
if elsewhere:
    show(elsewhere, columns, "Imported: networks on other devices (n/a: not known, or no ratio).")
else:
    say("Nothing has been imported; `python -m ensrepro import-record` does it.")

# %% [markdown]
# ## Is a network the sum of its stages?
#
# A search needs the latency of every architecture, and nobody can time tens of thousands. The sum over the measured stages and the glue stands in
# for it. Networks that were timed whole say how good that is.

# %%
parts = tables.additivity(found, table, searched) if table else []
columns = [Column("architecture", "e1 e2 e3 bt d3 d2 d1 rf"), Column("sum", "sum of stages", ".2f"),
           Column("whole", "whole", ".2f"), Column("ratio", "sum / whole", ".2f")]
ratios = [row["ratio"] for row in parts]
if table and parts:
    show(parts, columns, f"Latency in multiples of the teacher's, image of {table.side} × {table.side} pixels.")
    say(f"Sums are {min(ratios):.2f} to {max(ratios):.2f} times the whole. Differences between architectures that are smaller than this range mean nothing.")
else:
    say(missing["stages"] or missing["networks"] or f"No whole network of {pair} was timed at the side of the stages, {table.side} pixels.")

# %% [markdown]
# ## The search, told about the device
#
# Equation 1 sums a penalty over the stages. Measured milliseconds are a sum over the stages too, so they can take its place as they are:
#
# $$\min_c\;\bigl(\,\mathrm{PSNR}_{\text{teacher}} - \mathrm{PSNR}(c),\;\; \textstyle\sum_i t_i(c_i)\bigr).$$
#
# Where every architecture's PSNR is known ([notebook 11](11_landscape.ipynb)), the exact front can be computed, and one sees what a search for this
# device finds of it, and what is left of the front that the penalty leads to.

# %%
known, wanting = None, missing["stages"]
if table:
    result = run.search(penalty_table="latency", latency_budget_ms=latency_budget_ms, device=table)
    numbers = [result.architectures[i] for i in result.front]
    wanting = f"The search proposed {result.n_unique} different architectures and found a front of {len(numbers)}; no table of all architectures of {task} is on file, so the exact one is not known."
if table and run.quality is not None:
    known = tables.tradeoff(run.quality, table, searched, latency_budget_ms)
    run.show(
        figures.tradeoff(known.points, known.exact, known.by_penalty, numbers),
        "tradeoff",
        "PSNR drop against latency of all architectures, with the exact front, the front by penalty, and what the search found.",
        f"Every architecture of {pair} on this device: PSNR of the small trained networks, latency at the width that was measured.",
    )
else:
    say(wanting)

# %%
columns = [Column("stages", "e1 e2 e3 bt d3 d2 d1 rf"), Column("drop", "PSNR drop (dB)", ".3f"),
           Column("ms", "latency (ms)", ".1f"), Column("ratio", "times the teacher's", ".2f")]
if known:
    rows = tables.front_rows(known, searched)
    show(rows, columns, "Along the exact front of PSNR and latency. T: the teacher's blocks; a number: a surrogate of that depth.")

# %% [markdown]
# ## What to notice

# %%
if known:
    say(
        f"* {tables.share_finding(known)}\n* {tables.fastest_finding(known, 0.1, searched)}\n* {tables.proxy_finding(known)}\n"
        f"* The search proposed {result.n_unique} different architectures and found a front of {len(numbers)} points, the exact one has {len(known.exact)}."
    )
else:
    say(f"Little about a search. {wanting}")

# %% [markdown]
# ## What is not comparable
#
# * **Milliseconds of different devices**, runtimes, versions, numbers of threads or image sizes. `records.ratio` refuses them.
# * **PSNR and latency of one row**: the former is that of a small trained twin, the latter that of the same architecture at the paper's width.
# * **Another runtime.** Stock onnxruntime runs the selective scan as a loop, position by position. A runtime with a fused scan, or the paper's
#   unnamed one, may rank these blocks otherwise. Measure there: [on a phone](../book/on_a_phone.md).
#
# ## Exercises
#
# ```{exercise}
# :label: ex-latency-budget
#
# Which architecture loses the least at no more than 80 % of the teacher's latency on this device, and which at 50 %? Use the points of `known`
# (of a device whose stages are on file, as those of the next exercise).
# ```
#
# ```{solution} ex-latency-budget
# :class: dropdown
#
#     import numpy as np
#
#     drop, ms = known.points.T
#     for share in (0.8, 0.5):
#         within = np.flatnonzero(ms <= share * ms[0])
#         if within.size:
#             n = within[drop[within].argmin()]
#             print(share, searched.space.label(searched.space.architecture(int(n))), drop[n])
#         else:
#             print(share, "no architecture of this pair is that fast here")
#
# For a pair whose surrogates are slower than what they replace, the second line may be all there is: no search finds what is not in the space.
# ```
#
# ```{exercise}
# :label: ex-latency-scan
#
# How much faster would the MambaIR stages have to become for half of all architectures to beat the teacher? Scale what each surrogate of a stage takes by
# one factor and look for it.
# ```
#
# ```{solution} ex-latency-scan
# :class: dropdown
#
#     import numpy as np
#     from ensrepro import costs
#
#     for factor in (1, 2, 4, 8, 16):
#         scaled = {key: ms / factor if key[1] else ms for key, ms in table.parts.items()}
#         ms = costs.summed(scaled, searched.space)
#         print(factor, np.mean(ms < ms[0]))
#
# The factor is what a fused kernel, or another block, has to deliver on this device before the paper's premise holds on it.
# ```

# %%
best = tables.fastest_within(known, 0.1) if known else None
counts = {family: tables.count(blocks, family) for family in families}
run.finish(
    {
        **sections.circumstances(found, threads),
        "blocks": {family: [count.least, count.most] for family, count in counts.items()},
        "networks": networks,
        "sum_over_whole": [min(ratios), max(ratios)] if ratios else None,
        "rank": known.rank if known else None,
        "share_faster": tables.n_faster(known) / len(known.points) if known else None,
        "hardware_aware": searched.space.label(searched.space.architecture(best.number)) if best and best.is_within else None,
    }
)
