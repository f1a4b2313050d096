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
# # 7 · The paper's tables, and what stands beside them
#
# **Reproduces** tables 1 to 4 and figure 4 of section 4: deraining, motion deblurring, defocus deblurring and denoising.
#
# **Question.** Which numbers of these tables can be measured here, on what, and what do they come to?
#
# **Cost.** In profile `mini` it reads what the other notebooks made, and restores one small photo a task for the figure: a minute or two.
#
# **Look for** what may be compared with what. A published value is of real images and of wider networks than those here; only an evaluation of a
# released checkpoint on the same images, by the same protocol, may stand beside it. What networks at our scale have in common with the
# paper's is the *question*: how much does a hybrid lose against its own teacher, and against that teacher had it been trained as long?

# %% tags=["parameters"]
task = "denoise"  # the one whose networks are made if they are not on file
profile = "mini"  # the scale: smoke, mini, small or paper
seed = 0  # of the searches
out = ""  # folder for what this notebook writes; empty: the repository's results

# %%
from ensrepro import pipeline
from ensrepro.config import TASKS
from ensrepro.figures import qualitative
from ensrepro.results import paper_tables, scenes
from ensrepro.steps import knee
from ensrepro.tables import say

run = pipeline.start("07_results", task=task, profile=profile, seed=seed, out=out)
jobs = pipeline.jobs_of(run.ctx, knee.choose(run.ctx, run.search()))
run.finetuned(jobs)  # of this task: from their files, or trained now
found = paper_tables.on_file(run)

# %% [markdown]
# ## What is on file

# %%
waiting = [name for name in TASKS if name not in found.outcomes]
say(
    f"In profile `{profile}`, {len(found.outcomes)} of {len(TASKS)} tasks have fine-tuned networks: {', '.join(found.outcomes) or 'none'}. "
    f"Waiting: {', '.join(waiting) or 'none'}. On this disk there are {len(found.records)} evaluations on real benchmarks."
)

# %% [markdown]
# Each table comes in up to two parts. The first is the paper's, as printed, n/a where it prints none; an evaluation that
# `python -m ensrepro evaluate` leaves on your disk adds its own columns, and the difference, beside the published ones
# ([how to get there](../book/real_benchmarks.md)). The second is what networks of this profile change against *their* teacher on the test photos,
# next to the change that the paper prints for its own networks against Restormer. A hybrid has had more training in total than its teacher: so every
# change is told twice, against the teacher as it was and against `teacher, longer`, which had the same extra steps. Ours and the paper's differ in
# width, data and length of training, so they are never subtracted from each other: signs and orders of magnitude are all they share.
#
# ## Table 1: rain

# %%
paper_tables.show(1, found)

# %% [markdown]
# ## Table 2: motion blur

# %%
paper_tables.show(2, found)

# %% [markdown]
# ## Table 3: defocus

# %%
paper_tables.show(3, found)

# %% [markdown]
# ## Table 4: noise

# %%
paper_tables.show(4, found)

# %% [markdown]
# The tables are data, too: `python -m ensrepro tables --format csv` writes a line a cell, with the section that prints it, the ledger's verdict,
# the file that a measured value is from, its commit, profile and seeds, and the command that measures it. `--format latex` writes the tables for a paper.
#
# ## Figure 4: look at it
#
# Pictures are easily chosen to please. Here a rule chooses: the smallest test photo, and in it the square with most detail. The scores are those of
# the whole photo.

# %%
shown = scenes.scenes(found.runs, found.outcomes)
run.show(
    qualitative.comparison(shown),
    "figure-4",
    f"For {', '.join(scene.title for scene in shown)}: the whole input with a box, then the box degraded, restored by teacher, "
    "all-SSM network and hybrid, and clean.",
    "The most detailed square of the smallest test photo in each task; PSNR and SSIM of the whole photo.",
)

# %% [markdown]
# ## What to notice

# %%
rows = [row for number in (1, 2, 3, 4) for row in paper_tables.rows(number, found)]
changes = {
    (row.task, row.model, row.measured.against): row.measured for row in rows
    if row.measured and row.benchmark == paper_tables.photos(profile) and row.metric == "PSNR"
}
differences = [row.difference for row in rows if row.difference is not None]
lines = [
    f"* `{name}`: against the teacher with the same extra steps the hybrid is at {fair.value:+.2f} dB ({fair.low:+.2f} to {fair.high:+.2f}; "
    f"{fair.n} seeds of the hybrid, {fair.n_against} of the teacher), the all-SSM network at {changes[name, 'all-SSM', 'teacher, longer'].value:+.2f} dB. "
    f"Against the teacher as it was the hybrid is at {changes[name, 'hybrid', 'teacher'].value:+.2f} dB, the all-SSM network at "
    f"{changes[name, 'all-SSM', 'teacher'].value:+.2f} dB and the longer trained teacher at {changes[name, 'teacher, longer', 'teacher'].value:+.2f} dB."
    for name in found.outcomes for fair in (changes[name, "hybrid", "teacher, longer"],)
]
say("\n".join([*lines, f"* {len(differences)} published values have a measured one of their kind beside them."]))

# %% [markdown]
# ## Exercises
#
# ```{exercise}
# :label: ex-results-margin
#
# In the second part of a table the paper's own changes stand beside ours. How large are the paper's margins over Restormer, compared with the range over
# the seeds here? What would the paper have to print for its margins to say something?
# ```
#
# ```{solution} ex-results-margin
# :class: dropdown
#
#     from ensrepro.results import layout
#     for line in layout.scale_lines(rows):
#         print(line["task"], line["model"], line["against"], line["metric"], line["range"], "|", line["paper"])
#
# The ranges here are of small networks on a few photos, so they are no bound for the paper's. But they show that the seed alone moves a result by
# about as much as some published margins. Several runs with their spread, or an interval over the images of a benchmark, would tell.
# ```
#
# ```{exercise}
# :label: ex-results-average
#
# Table 1 has a column *Average*. Recompute it for every method from `paper_tables.printed(1)`. Which average is not over five sets, and what does that do to the
# ranking?
# ```
#
# ```{solution} ex-results-average
# :class: dropdown
#
#     values = {}
#     for row in paper_tables.printed(1):
#         if row.metric == "PSNR" and row.printed.text:
#             values.setdefault(row.model, {})[row.benchmark] = row.printed.value
#     for model, sets in values.items():
#         average = sets.pop("Average", None)
#         print(model, len(sets), round(sum(sets.values()) / len(sets), 2), average)
#
# A method without a value for one set is averaged over the others. If the missing set is a hard one, as Test100 is, its average rises without the
# method being any better.
# ```

# %%
run.finish(
    {
        "tasks": list(found.outcomes),
        "n_evaluations": len(found.records),
        "n_differences": len(differences),
        "psnr_change": {
            name: {reference: changes[name, "hybrid", reference].value for reference in ("teacher", "teacher, longer")}
            for name in found.outcomes
        },
    }
)
