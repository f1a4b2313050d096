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
# # 13 · Five tasks side by side
#
# **Reproduces** the breadth of section 4: the same method, from distillation to fine-tuning, on noise, rain, motion blur and defocus. The other
# notebooks show one task each; this one lays them next to each other.
#
# **Question.** Does one recipe serve all tasks? Do different tasks need different stages of the transformer, and is an architecture that was found
# for one of them any good for another? The paper itself uses one of its architectures for two tasks.
#
# **Cost.** Seconds in profile `mini`; it reads what the other notebooks made, and measures a handful of architectures anew.
#
# **Look for** stages that one task cannot do without and another does not notice.

# %% tags=["parameters"]
task = "denoise"  # the one whose samples are drawn at three strengths
profile = "mini"  # the scale: smoke, mini, small or paper
seed = 0  # of the searches
out = ""  # folder for what this notebook writes; empty: the repository's results

# %%
from ensrepro import across, pipeline
from ensrepro.config import TASKS
from ensrepro.figures import restoration, tasks
from ensrepro.figures.distillation import ALIVE_DB
from ensrepro.space import RESTORMER
from ensrepro.tables import Column, say, show

run = pipeline.start("13_tasks", task=task, profile=profile, seed=seed, out=out)
run.teacher  # of this task: from its file, or trained now
runs = across.with_teacher(run)

# %% [markdown]
# ## What is restored
#
# Every degradation is made from a clean photo by the physics of how it comes about, in linear light: photons are counted behind a color filter
# ([A15](../book/assumptions.md)), drops add the light of the sky (A30), the camera turns during the exposure (A31), the lens spreads points over disks
# (A32). A dual-pixel sensor sees two views through the two halves of the lens; here they are shown averaged.

# %%
everything = {name: across.sample(name, 0.8, 128) for name in TASKS}
crops = [restoration.Crop(name, *seen) for name, seen in everything.items()]
run.show(
    restoration.photos([[*crops, restoration.Crop("clean", across.clean_sample(128))]]),
    "samples",
    "The same crop of a photo in night noise, in rain, blurred by camera motion and by defocus, and clean.",
    "One photo in every task, rather severe; PSNR by each task's own protocol.",
)

# %%
strengths = {f"strength {value:g}": across.sample(task, value, 128) for value in (0.0, 0.5, 1.0)}
run.show(
    restoration.photos([[restoration.Crop(name, *seen) for name, seen in strengths.items()]]),
    "strengths",
    f"The same crop in the task {task} at three strengths, from mild to severe.",
    f"The task {task} at strengths 0, 0.5 and 1: training draws from the whole range, evaluation spreads evenly over it.",
)

# %% [markdown]
# ## The teachers

# %%
rows = across.teacher_rows(runs)
columns = [
    Column("task", "task"), Column("start", "starts from"), Column("protocol", "protocol"),
    Column("input", "input (dB)", ".2f"), Column("teacher", "teacher (dB)", ".2f"),
    Column("gain", "gain (dB)", "+.2f"), Column("minutes", "minutes", ".0f"),
]
show(rows, columns, "Mean PSNR on the test photos, and the time of each teacher's own training. Protocols differ, so rows cannot be compared in dB.")
say(
    f"{len(rows)} of {len(TASKS)} tasks have a teacher in profile {profile}. "
    f"The smallest gain over the degraded input is {min(row['gain'] for row in rows):.2f} dB."
)

# %%
worth = across.identity_drops(runs)
stages = [stage.name for stage in RESTORMER.stages]
run.show(
    tasks.heat(worth, list(runs), stages, "PSNR drop (dB)"),
    "identity",
    "A table of tasks and stages, darker where the teacher loses more PSNR without the stage.",
    "PSNR that each teacher loses on its validation crops when one stage becomes the identity.",
)
idle = [f"{name} in `{t}`" for t, line in zip(runs, worth, strict=True) for name, drop in zip(stages, line, strict=True) if drop < ALIVE_DB]
say(f"Idle, with less than {ALIVE_DB:g} dB: {', '.join(idle) or 'none'}. A swap there says nothing about the surrogate.")

# %%
tried = across.tried_rows(runs, ALIVE_DB)
columns = [Column("task", "task"), Column("what", "tried instead"), Column("idle", "idle stages (dB)")]
if tried:
    show(tried, columns, "Teachers given up for those above: the same recipe on another degradation. Below zero, the teacher is better without the stage.")

# %% [markdown]
# More steps are the other thing to try. [Notebook 6](06_finetune.ipynb) trains each teacher on, as long as its hybrids are fine-tuned.

# %%
longer = across.longer_rows(across.with_pool(runs), ALIVE_DB)
columns = [Column("task", "task"), Column("stage", "idle stage"), Column("teacher", "teacher (dB)", "+.3f"), Column("longer", "trained longer (dB)", "+.3f")]
if longer:
    show(longer, columns, "What the teacher loses without each of its idle stages, as it is used here and trained on.")
    n_awake = sum(row["longer"] >= ALIVE_DB for row in longer)
    say(f"Of {len(longer)} idle stages {n_awake} {'wakes' if n_awake == 1 else 'wake'} when the teacher is trained on.")

# %% [markdown]
# ## The surrogates

# %%
pools = across.with_pool(runs)
names = [f"{name} {depth}" for name, depth in RESTORMER.surrogates]
if pools:
    run.show(
        tasks.heat(across.swap_drops(pools).T, names, list(pools), "PSNR drop (dB)"),
        "swaps",
        "A table of surrogates and tasks, darker where the teacher loses more PSNR with this surrogate in it.",
        "PSNR that each teacher loses on its validation crops with one surrogate, named by stage and blocks, in place of a stage.",
    )
else:
    say("No task has a pool on file yet.")

# %% [markdown]
# ## Whose architecture fits whom
#
# Every task has its own search, and every search its own knee. But an architecture is only a list of choices: it can be built from the parts of any
# task. Rows are the knees, columns the tasks in which they are tried, each with the parts of that task and before fine-tuning.

# %%
found = across.searched(pools)
rows = [
    {"task": name, "stages": RESTORMER.label(search.choice.knee), "drop": search.knee_point[0], "penalty": search.knee_point[1],
     "front": len(search.found.front)}
    for name, search in found.items()
]
columns = [
    Column("task", "task"), Column("stages", "e1 e2 e3 bt d3 d2 d1 rf"), Column("drop", "PSNR drop (dB)", ".3f"),
    Column("penalty", "penalty", ".1f"), Column("front", "points on the front", "d"),
]
if found:
    show(rows, columns, "The knee of the default sampler's front, on the validation crops.")

# %%
if found:
    moved = across.transfer(pools, [search.choice.knee for search in found.values()])
    run.show(
        tasks.heat(moved, [f"knee of {name}" for name in found], list(pools), "PSNR drop (dB)", "tried in"),
        "transfer",
        "A table of knees and tasks, darker where the architecture found for one task loses more PSNR in the other.",
        "PSNR drop on the validation crops of each task, for the knee of every task.",
    )
    show(
        across.transfer_rows(moved, list(found), list(pools)),
        [Column("task", "task"), Column("own", "its own knee (dB)", ".3f"), Column("least", "best knee of another task (dB)", ".3f"),
         Column("most", "worst knee of another task (dB)", ".3f")],
        "PSNR drop in each task, by whose knee is tried.",
    )

# %% [markdown]
# The knees do not have one penalty, so a knee that loses less may simply be the larger network. Read the table of knees beside it.
#
# ## After fine-tuning

# %%
rows = across.final_rows(pools, found)
columns = [
    Column("task", "task"), Column("architecture", "hybrid"), Column("size", "parameters / teacher", ".0%"),
    Column("input", "input", ".2f"), Column("teacher", "teacher", ".2f"), Column("longer", "teacher, longer", ".2f"),
    Column("hybrid", "hybrid", ".2f"), Column("all_ssm", "all-SSM", ".2f"),
]
if rows:
    show(rows, columns, "Mean PSNR (dB) on the test photos, seed 0. The hybrid is the candidate with the best validation PSNR.")
    say("One seed each. Notebook 7 has several, and they can differ by more than two columns of this table do.")
else:
    say("No task has fine-tuned candidates on file yet.")

# %% [markdown]
# ## Exercises
#
# ```{exercise}
# :label: ex-tasks-depth
#
# Which of the tasks needs the deep stages most, and which the shallow ones? Before you look at the table of idle stages, argue from the pictures: over
# how many pixels is what was lost spread?
# ```
#
# ```{solution} ex-tasks-depth
# :class: dropdown
#
#     deep = [stages.index(name) for name in ("encoder_3", "bottleneck", "decoder_3")]
#     for name, line in zip(runs, worth):
#         print(name, line[deep].sum() / line.sum())
#
# One would expect blur and veil to need them most, for they spread over more pixels. Here that is not what is measured: compare `denoise`, whose noise neighbors
# share. The reach of a degradation does not say what a short training makes of the deep stages.
# ```
#
# ```{exercise}
# :label: ex-tasks-physics
#
# All degradations happen in linear light. Blur the photo in the sRGB values of the file instead, by the same disk. Where in the picture is the
# difference largest, and why would a network that was trained on it fail on real photos?
# ```
#
# ```{solution} ex-tasks-physics
# :class: dropdown
#
#     from ensrepro.degrade import light, to_linear, to_srgb
#     from ensrepro.degrade.defocus import disk
#     photo, kernel = everything["denoise"].image, disk(6.0, 21)
#     physical = to_srgb(next(light.blurred(to_linear(photo), [kernel], 21)))
#     print(abs(physical - next(light.blurred(photo, [kernel], 21))).mean())
#
# Around highlights: a lens adds light, and the transfer curve is steepest in the dark, so a bright point spreads into a bright disk. Averaging the
# values of a file makes it a gray one. A network that has learned to turn gray disks into points leaves the bright ones alone.
# ```

# %%
run.finish(
    {
        "tasks": list(runs),
        "smallest_gain": min(row["gain"] for row in across.teacher_rows(runs)),
        "knees": {name: RESTORMER.label(search.choice.knee) for name, search in found.items()},
        "final": {row["task"]: {k: row[k] for k in ("teacher", "longer", "hybrid", "all_ssm")} for row in rows},
    }
)
