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
# # 11 · The landscape
#
# **Goes beyond** section 3.4: the paper evaluates 500 of its architectures, here all of them have been measured.
#
# **Question.** What does a search over stages search in? Do the losses of single swaps add up, which stages get in each other's way, and do
# the two cheap numbers that stand for dear ones, penalty for latency and feature error for PSNR, deserve it?
#
# **Cost.** Seconds: everything is read from the table of all architectures, nothing is trained or measured here.
#
# **Look for** what a plain sum cannot predict: only there does a search have something to find out.

# %% tags=["parameters"]
task = "denoise"  # what is restored
profile = "mini"  # the scale: smoke, mini, small or paper
seed = 0  # unused: nothing here is drawn at random
out = ""  # folder for what this notebook writes; empty: the repository's results
penalty_table = "blocks"  # blocks, rank or transformers

# %%
import numpy as np

from ensrepro import landscape, pipeline
from ensrepro.figures import landscape as figures
from ensrepro.space import PENALTY_TABLES, RESTORMER
from ensrepro.tables import Column, say, show

run = pipeline.start(
    "11_landscape", task=task, profile=profile, seed=seed, out=out, penalty_table=penalty_table
)
drops = landscape.psnr_drops(run.bench.frame)
latency = landscape.grid(run.bench.frame, "latency_ms")
penalties = landscape.penalties(penalty_table)

# %%
better = int((drops < 0).sum())
say(
    (f"This profile has no table; the one of `{run.ctx.profile.table_of}` is read. " if run.truth is None else "")
    + f"{drops.size:,} architectures, each measured on the same {run.bench.result.n_images} validation images of {run.bench.result.side} pixels a side. "
    f"Drops go from {drops.min():.3f} to {drops.max():.2f} dB, half of them are below {np.median(drops):.2f} dB. "
    f"{better or 'None'} of the hybrids {'is' if better < 2 else 'are'} better than the teacher on these images."
)

# %% [markdown]
# ## The true front
#
# An architecture $c$ is on the front if none is at least as good in both objectives and better in one. With every architecture measured this is no
# longer an estimate: no search can do better *on these images*. On others it may look different. The best of many that differ by little is
# partly the luckiest.

# %%
front = landscape.true_front(drops, penalties)
say(
    f"The true front has **{len(front.numbers)} points** (of equal points the architecture with the lowest number stands for all). It dominates "
    f"{front.hypervolume:.3f} dB up to the reference point of {front.reference[0]:.3f} dB and penalty {front.reference[1]:.2f} (A13)."
)

# %%
knees = landscape.knees(drops)
ours = [row for row in knees if row.table == penalty_table]
run.show(
    figures.front(drops, penalties, front.numbers, {r.method: r.index for r in ours if r.max_drop_db is None}),
    "front",
    "Density of all architectures by penalty and PSNR drop, the true front as a stair line below them, and its knees.",
    "All architectures; the darker, the more. Below them the true front and its knee by each definition, without a cap.",
)

# %%
step = max(1, len(front.numbers) // 10)
rows = [
    {"stages": RESTORMER.label(RESTORMER.architecture(number)), "drop": drop, "penalty": penalty}
    for number, (drop, penalty) in zip(front.numbers[::step], front.points[::step], strict=True)
]
columns = [
    Column("stages", "e1 e2 e3 bt d3 d2 d1 rf"), Column("drop", "PSNR drop (dB)", ".3f"),
    Column("penalty", "penalty", ".1f"),
]
show(rows, columns, "Points along the true front. T: the teacher's blocks; a number: a surrogate of that depth.")

# %%
rows = [
    {"method": row.method, "cap": "none" if row.max_drop_db is None else f"{row.max_drop_db:g} dB",
     "stages": RESTORMER.label(RESTORMER.architecture(row.index)), "drop": row.psnr_drop,
     "penalty": row.penalty, "shift": row.shift, "flag": "differs" if row.disagrees else ""}
    for row in ours
]
columns = [
    Column("method", "knee"), Column("cap", "cap"), Column("stages", "e1 e2 e3 bt d3 d2 d1 rf"),
    Column("drop", "PSNR drop (dB)", ".3f"), Column("penalty", "penalty", ".1f"), Column("shift", "shift", ".2f"),
    Column("flag", ""),
]
show(rows, columns, "The knee of the true front, by definition and cap (A10); shift as in notebook 5.")

# %% [markdown]
# How lonely is the front? The *gap* of an architecture is what it drops more than the best one at no higher a penalty:
#
# $$g(c) = \mathrm{drop}(c) - \min_{p(c') \le p(c)} \mathrm{drop}(c').$$

# %%
slacks = (0.01, 0.05, 0.1, 0.2, 0.5)  # dB
within = {slack: int((front.gaps <= slack).sum()) for slack in slacks}
rows = [{"slack": slack, "n": n, "share": 100 * n / drops.size} for slack, n in within.items()]
columns = [
    Column("slack", "gap at most (dB)", "g"), Column("n", "architectures", "d"), Column("share", "% of all", ".2f"),
]
show(rows, columns, f"Architectures near the front, the {len(front.numbers)} on it included.")

# %% [markdown]
# ## Do losses add up?
#
# If stages did not care about each other, 22 measurements would give all drops:
#
# $$\widehat{\mathrm{drop}}(c) = \textstyle\sum_i \mathrm{drop}(\text{teacher with stage } i \text{ swapped to } c_i).$$
#
# A drop is a logarithm, though. Independent errors would add up as *squared* errors, which a drop multiplies by $10^{\mathrm{drop}/10}$:
#
# $$10^{\widehat{\mathrm{drop}}(c)/10} - 1 = \textstyle\sum_i \bigl(10^{\mathrm{drop}(\text{teacher with stage } i \text{ swapped to } c_i)/10} - 1\bigr).$$
#
# For comparison: the *best sum* has one number a choice too, but fitted to all drops by least squares; *best pairs* adds a number for each pair of choices.

# %%
limit = 1.0  # dB; what loses more is hardly worth fine-tuning
predictions = {
    "swaps, dB": landscape.added(landscape.single_swaps(drops)),
    "swaps, squared": landscape.squared_error_sum(drops),
    "best sum": landscape.model(drops, 1),
    "best pairs": landscape.model(drops, 2),
}
groups = {"all": drops < np.inf, f"below {limit:g} dB": drops < limit}
fits = {
    (name, group): landscape.fit(guess[mask], drops[mask])
    for name, guess in predictions.items()
    for group, mask in groups.items()
}

# %%
rows = [{"model": name, "group": group, **vars(fit)} for (name, group), fit in fits.items()]
columns = [
    Column("model", "prediction"), Column("group", "drops"), Column("n", "architectures", "d"),
    Column("rmse", "RMSE (dB)", ".3f"), Column("median_error", "median error (dB)", ".3f"),
    Column("bias", "bias (dB)", "+z.3f"), Column("spearman", "Spearman", ".3f"), Column("r2", "R²", ".3f"),
]
show(rows, columns, "Predicted against measured drops. R² compares with the group's own mean; below 0 the mean predicts better.")

# %%
panels = {
    f"{name}\n{group}": (predictions[name][mask], drops[mask])
    for name in ("swaps, dB", "swaps, squared")
    for group, mask in groups.items()
}
run.show(
    figures.predictions(panels),
    "predictions",
    "Four panels of predicted against measured PSNR drop: single swaps added in dB and as squared errors, for all and for small drops.",
    "Single swaps, added in dB and as squared errors, against the truth. Above the dashed line the sum is too pessimistic.",
)

# %% [markdown]
# ## Which stages interact?
#
# The table is complete, so the drop can be taken apart exactly, into a mean, a term a stage, a term a pair, and so on:
#
# $$\mathrm{drop}(c) = m + \textstyle\sum_i f_i(c_i) + \sum_{i<j} f_{ij}(c_i, c_j) + \dots$$
#
# Terms average to 0 over each of their choices and are orthogonal, hence the variances of all terms add up to that of the drop. (This is the
# functional analysis of variance, with all architectures equally likely.)

# %%
anova = landscape.anova(drops)
rows = [
    {"order": order, "own": 100 * own, "total": 100 * total}
    for order, own, total in zip(range(1, 9), np.diff(anova.r2, prepend=0), anova.r2, strict=True)
]
columns = [
    Column("order", "stages in a term", "d"), Column("own", "share of the variance (%)", ".3f"), Column("total", "up to here (%)", ".3f"),
]
show(rows, columns, "The variance of the drop by the number of stages that act together.")

# %%
run.show(
    figures.interactions(anova.interactions),
    "interactions",
    "Triangle of numbers, one a pair of stages: the standard deviation in dB of the pair's own term.",
    "How much two stages do to each other beyond what each does alone.",
)

# %%
pairs = [
    {"pair": f"{RESTORMER.stages[i].name}, {RESTORMER.stages[j].name}", "how": landscape.relation(i, j),
     "std": anova.interactions[i, j], "square": anova.interactions[i, j] ** 2}
    for i, j in zip(*np.triu_indices(len(RESTORMER.stages), 1), strict=True)
]
pairs.sort(key=lambda pair: -pair["std"])
columns = [Column("pair", "pair"), Column("how", "they are"), Column("std", "interaction (dB)", ".3f")]
show(pairs[:6], columns, "The pairs that interact most.")

# %%
whole = sum(pair["square"] for pair in pairs)
squares = {
    how: [pair["square"] for pair in pairs if pair["how"] == how]
    for how in (landscape.NEIGHBORS, landscape.SKIP, landscape.APART)
}
kinds = [
    {"how": how, "n": len(own), "rms": np.mean(own) ** 0.5, "share": 100 * sum(own) / whole}
    for how, own in squares.items()
]
columns = [
    Column("how", "two stages that are"), Column("n", "pairs", "d"),
    Column("rms", "interaction, root mean square (dB)", ".3f"), Column("share", "% of all pairs' variance", ".1f"),
]
show(kinds, columns, "Interactions by how two stages meet.")

# %% [markdown]
# ## Which stages matter?
#
# The *first-order Sobol index* of a stage is its own term's share of the variance, the *total* index the share of all terms it is part of.

# %%
run.show(
    figures.stages(landscape.mean_drops(drops), anova.first, anova.total),
    "stages",
    "Above, the mean PSNR drop of each choice of each stage; below, two bars a stage, its first-order and total Sobol index.",
    "Each dot is a mean over all architectures with this choice. Bars: what part of the drop's variance a stage decides.",
)

# %% [markdown]
# ## Does the penalty stand for latency?
#
# The penalty is meant to save measuring latency (A26). Kendall's $\tau$ is the share of pairs of architectures that both put in the same order minus the
# share that they put in opposite orders. The last column asks what matters in the end: how much of the area between drop and latency that *any* front dominates
# is left if architectures are chosen by penalty.

# %%
agreements = {table: landscape.agreement(drops, latency, landscape.penalties(table)) for table in PENALTY_TABLES}
fast = landscape.true_front(drops, latency)
rows = [{"table": table, **vars(found), "area": 100 * found.hypervolume} for table, found in agreements.items()]
columns = [
    Column("table", "penalty table"), Column("tau", "τ, all", ".3f"), Column("tau_front", "τ, its front", ".3f"),
    Column("n_front", "points of its front", "d"), Column("n_both", "of them on the front by latency", "d"),
    Column("area", "area kept (%)", ".1f"),
]
show(rows, columns, f"Penalty against measured latency. The front by latency has {len(fast.numbers)} points.")

# %%
run.show(
    figures.latency_front(drops, penalties, latency, front.numbers, fast.numbers),
    "latency",
    "Above, density of latency against penalty; below, of PSNR drop against latency; the architectures of both fronts are marked.",
    "All architectures, and those on the front by penalty and on the front by latency.",
)

# %% [markdown]
# The latencies of the table are sums over stages. For a sample of architectures the whole network was timed too:

# %%
sums = landscape.latency_fit(run.bench.sample)
say(
    f"Over {sums.n} networks the sum of the stages is {sums.median_error:.1%} off in the median and {sums.p90_error:.1%} at the 90th percentile; half of the "
    f"signed errors are below {sums.bias:+.1%}. The rank correlation (Spearman) is {sums.spearman:.3f}."
)
run.show(
    figures.latency_sums(run.bench.sample),
    "latency-sums",
    "Scatter of the sum of stage latencies against the latency of the whole network, with the line of equality.",
    "Whole networks against the sums of their stages.",
)

# %% [markdown]
# ## Does feature error stand for PSNR?
#
# A surrogate $S$ of a stage $T$ is distilled to a small relative error $e = \lVert S(x) - T(x)\rVert / \lVert T(x)\rVert$ of its features (notebook 3), which is
# known before any hybrid has been run. If squared errors simply passed through to the image, $\sum_i e_i(c_i)^2$ would rank all architectures.

# %%
errors = landscape.feature_errors(run.pool.result.rows)
swaps = landscape.single_swaps(drops)
alone = landscape.correlation(*(np.concatenate([part[1:] for part in parts]) for parts in (errors, swaps)))
together = landscape.correlation(landscape.added([part**2 for part in errors]), drops)
run.show(
    figures.features(errors, swaps, drops),
    "features",
    "Above, PSNR drop of each surrogate alone against its feature error; below, drop against summed squared errors for all architectures.",
    "Feature error as a predictor, for one swapped stage and for all architectures. A line runs from a stage's deepest surrogate to its shallowest, where its name is.",
)

# %% [markdown]
# ## What to notice

# %%
slack, every, few = 0.05, fits["swaps, dB", "all"], fits["swaps, dB", f"below {limit:g} dB"]
most, first, by = pairs[0], int(np.argmax(anova.total)), {kind["how"]: kind for kind in kinds}
say(
    f"* {within[slack]:,} architectures lie within {slack:g} dB of the front of {len(front.numbers)} points: "
    f"{within[slack] / len(front.numbers):.1f} for each point that a search could end on.\n"
    f"* Adding up single swaps in dB ranks all architectures with a Spearman of {every.spearman:.2f}, and those below {limit:g} dB with {few.spearman:.2f}. On average the sum is "
    f"{abs(every.bias):.2f} dB too {'high: swaps cost less together than one by one' if every.bias > 0 else 'low: swaps cost more together than one by one'}. "
    f"Added as squared errors they are {fits['swaps, squared', 'all'].rmse:.2f} dB off (root mean square) instead of {every.rmse:.2f} dB.\n"
    f"* One number a choice explains at best {anova.r2[0]:.1%} of the variance, pairs bring it to {anova.r2[1]:.1%}.\n"
    f"* {most['pair']} interact most, by {most['std']:.3f} dB; they are {most['how']}. Neighbors ({by['neighbors']['n']} of {len(pairs)} pairs) hold "
    f"{by['neighbors']['share']:.0f}% of the pairs' variance, skip partners ({by['skip partners']['n']}) {by['skip partners']['share']:.0f}%.\n"
    f"* {RESTORMER.stages[first].name} takes part in {anova.total[first]:.0%} of the variance, more than any other stage."
)

# %%
ours = agreements[penalty_table]
order = "the faster one more often than the slower one" if ours.tau > 0 else "no more often the faster one than the slower one"
chance = 2 / (RESTORMER.n_surrogates - 1) ** 0.5
say(
    f"* With τ = {ours.tau:+.2f}, of two architectures the one with the lower penalty is {order}. {ours.n_both} of {ours.n_front} points of the front by penalty "
    f"are also on the front by latency.\n"
    f"* Feature error and the drop of a surrogate alone: Spearman {alone:+.2f}; with {RESTORMER.n_surrogates} values, chance alone seldom exceeds ±{chance:.2f}. Summed over "
    f"stages, for all architectures: {together:+.2f}. More swapped stages make the sum larger whichever they are; that alone ranks a little."
)

# %% [markdown]
# ## Exercises
#
# ```{exercise}
# :label: ex-landscape-scale
#
# How additive a landscape is depends on the scale. Repeat the analysis of variance for the factor $10^{\mathrm{drop}/10}$ by which the squared error grows. Which
# pairs still interact?
# ```
#
# ```{solution} ex-landscape-scale
# :class: dropdown
#
#     squared = landscape.anova(10 ** (drops / 10))
#     print(anova.r2[:2], squared.r2[:2])
#     print(np.round(squared.interactions, 2))
#
# If the first number rises, part of the interaction was only the choice of scale; pairs that stand out on both scales do something to each other. (PSNR is averaged
# over images, so the factor is a geometric mean.)
# ```
#
# ```{exercise}
# :label: ex-landscape-weights
#
# A feature error of one half is deadly in one stage and harmless in another. Give each stage a weight, from a single measurement a stage, and see how well
# the weighted sum of squared feature errors ranks all architectures.
# ```
#
# ```{solution} ex-landscape-weights
# :class: dropdown
#
#     weights = [swap[1] / error[1] ** 2 for swap, error in zip(swaps, errors)]
#     weighted = landscape.added([w * error**2 for w, error in zip(weights, errors)])
#     print(landscape.correlation(weighted, drops), together)
#
# The weight is the drop per squared error of the deepest surrogate. If eight measurements lift the correlation to that of the sum of single swaps, the
# feature error knows how depth matters within a stage, and only the stage's importance was missing.
# ```

# %%
run.finish(
    {
        "front": front.numbers.tolist(),
        "hypervolume": front.hypervolume,
        "reference": list(front.reference),
        "within_db": {f"{slack:g}": n for slack, n in within.items()},
        "additive": {f"{name}, {group}": fit.rmse for (name, group), fit in fits.items()},
        "r2": anova.r2[:2].tolist(),
        "total_sobol": dict(zip([s.name for s in RESTORMER.stages], anova.total.tolist(), strict=True)),
        "tau": {table: found.tau for table, found in agreements.items()},
        "latency_sum_error": sums.median_error,
        "feature_error": {"alone": alone, "together": together},
    }
)
