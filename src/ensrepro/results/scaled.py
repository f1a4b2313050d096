"""What changes at our scale: networks of a profile against their teacher, on its test photos.

Tables 1 to 4 follow from the fine-tuned networks of each task, tables 5 and 6 from the headlines of
notebooks 08 and 10. A change is the mean over photos of a network minus that of the reference, and
its range that over seeds or draws. Only such changes may be held against the paper's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

from ensrepro import artifacts
from ensrepro.across import Outcome
from ensrepro.artifacts import Store
from ensrepro.claims.belonging import ABLATIONS, NOTEBOOK, UFORMER
from ensrepro.claims.results import Sources
from ensrepro.pipeline import Run
from ensrepro.results.places import ALL_SSM, COUNTERPARTS, HYBRID, LONGER
from ensrepro.results.rows import Kind, Measured, Row, Source
from ensrepro.steps import finetune
from ensrepro.steps.finetune import Finetuned

METRIC_UNITS = {"PSNR": ("psnr", "dB"), "SSIM": ("ssim", "")}
OF_TEACHER = "of the teacher's"  # unit of a latency
NOTEBOOK_OF_TASKS = "06_finetune"
TestRows = Sequence[Mapping[str, float]]

# Headline key of notebook 08 -> row of table 5; the first is what the others are held against.
ARMS = {
    "distilled": "Proposed model with FwKD",
    "random_weights": "Proposed model without FwKD",  # the paper starts all of it anew
    "random_hybrids": "Randomly designed Hybrid network",
    "equal_blocks": "Hybrid design with Equal blocks",
}
UFORMER_HYBRIDS = "Arch-1, Arch-2"  # the rows of table 6 that a hybrid of ours stands for


def photos(profile: str) -> str:
    """The benchmark of a row at our scale."""
    return f"test photos, profile {profile}"


def run_command(notebook: str, task: str, profile: str) -> str:
    """What makes the results of a notebook."""
    return f"python -m ensrepro run {notebook} --task {task} --profile {profile}"


def average(rows: TestRows, metric: str) -> float:
    """The mean over photos."""
    return mean(row[metric] for row in rows)


def change(values: Sequence[float], reference: float, source: Source, unit: str) -> Measured:
    """The mean of some values minus a reference, with the range of single ones."""
    changes = [value - reference for value in values]
    ends = min(changes), max(changes)
    return Measured(Kind.SCALE, mean(changes), *ends, len(changes), source, unit)


# ---- tables 1 to 4 ------------------------------------------------------------------------------


def source_of(store: Store, step: str, seeds: tuple[int, ...]) -> Source:
    """The manifest of a step, below the folder that its results lie in."""
    path = store.manifest(step)
    made = artifacts.read_json(path)["provenance"]
    roots = [root for root in (store.root, store.fallback) if root and path.is_relative_to(root)]
    name = path.relative_to(roots[0]).as_posix()
    return Source(name, made["commit"], made["profile"], seeds)


def networks(run: Run, made: Outcome) -> dict[str, tuple[list[TestRows], Source]]:
    """Name -> the test rows of each seed, and where they are."""

    def of(tuned: Sequence[Finetuned]) -> tuple[list[TestRows], Source]:
        results = [one.result for one in tuned]
        architecture = run.ctx.space.architecture(results[0].architecture)
        job = architecture, results[0].seed
        store, step = finetune.owner(run.ctx, job).store, finetune.job_name(run.ctx, job)
        seeds = tuple(result.seed for result in results)
        return [result.test for result in results], source_of(store, step, seeds)

    return {HYBRID: of(made.chosen), ALL_SSM: of([made.all_ssm]), LONGER: of([made.longer])}


def task_rows(run: Run, made: Outcome) -> list[Row]:
    """What each network of a task changes against its teacher."""
    task, profile = run.ctx.task.name, run.ctx.profile.name
    counterpart, teacher = COUNTERPARTS[task], run.teacher.result.test
    return [
        Row(
            counterpart.table,
            task,
            photos(profile),
            name,
            metric,
            measured=change(
                [average(rows, key) for rows in every], average(teacher, key), source, unit
            ),
            command=run_command(NOTEBOOK_OF_TASKS, task, profile),
            stands_for=counterpart.stands_for.get(name, ""),
        )
        for name, (every, source) in networks(run, made).items()
        for metric, (key, unit) in METRIC_UNITS.items()
    ]


def waiting_tasks(number: int, outcomes: Mapping[str, Outcome], profile: str) -> list[str]:
    """A sentence for each task of a table that has no fine-tuned networks on file."""
    return [
        f"{task}: no fine-tuned networks on file in profile {profile}; "
        f"`{run_command(NOTEBOOK_OF_TASKS, task, profile)}` makes them"
        for task, counterpart in COUNTERPARTS.items()
        if counterpart.table == number and task not in outcomes
    ]


# ---- tables 5 and 6 -----------------------------------------------------------------------------


def told_source(sources: Sources, task: str, file: str) -> Source:
    """Where a notebook's headline is."""
    content = sources.content(task, file)
    name = sources.path(task, file).relative_to(sources.root).as_posix()
    seed = content["parameters"]["seed"]
    return Source(name, content["provenance"]["commit"], sources.profile, (seed,))


def ablation_rows(sources: Sources, task: str) -> list[Row]:
    """Table 5: what each arm changes against the hybrid as the method makes it.

    A NotMeasuredError where notebook 08 has not been run, or tells of other networks.
    """
    psnr = {arm: sources.read(task, ABLATIONS, f"headline/psnr/{arm}").numbers() for arm in ARMS}
    source, reference = told_source(sources, task, ABLATIONS), mean(psnr["distilled"])
    asked = run_command(ABLATIONS.removesuffix(NOTEBOOK), task, sources.profile)
    return [
        Row(
            *(5, task, photos(sources.profile), arm.replace("_", " "), "PSNR"),
            measured=change(values, reference, source, "dB"),
            command=asked,
            stands_for=ARMS[arm],
        )
        for arm, values in psnr.items()
    ]


def uformer_rows(sources: Sources, task: str) -> list[Row]:
    """Table 6: PSNR of the hybrid against its Uformer, and its latency as a share of Uformer's.

    Both were timed whole, in turns; the latency's range is that of eight rounds of ten. A
    NotMeasuredError where notebook 10 has not been run.
    """

    def told(field: str) -> list[float]:
        return sources.read(task, UFORMER, f"headline/{field}").numbers()

    source = told_source(sources, task, UFORMER)
    share = [told(f"latency/{field}")[0] for field in ("ratio", "low", "high")]
    rounds = int(told("latency/rounds")[0])
    changes = {
        "PSNR": change(told("psnr/hybrid"), mean(told("psnr/teacher")), source, "dB"),
        "Latency": Measured(Kind.SCALE, *share, rounds, source, OF_TEACHER),
    }
    asked = run_command(UFORMER.removesuffix(NOTEBOOK), task, sources.profile)
    return [
        Row(
            *(6, task, photos(sources.profile), HYBRID, metric),
            measured=measured,
            command=asked,
            stands_for=UFORMER_HYBRIDS,
        )
        for metric, measured in changes.items()
    ]
