"""What changes at our scale: networks of a profile against their teacher, on its test photos.

Tables 1 to 4 follow from the fine-tuned networks of each task, tables 5 and 6 from the headlines of
notebooks 08 and 10. A change is the mean over photos of a network minus that of the reference, and
its range that over seeds or draws. A hybrid was trained longer in total than its teacher, so every
change is told twice: against the teacher as it was, and against the teacher with the same extra
steps. Only such changes may be held against the paper's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import NamedTuple

from ensrepro import artifacts, pages
from ensrepro.across import Outcome
from ensrepro.artifacts import Store
from ensrepro.claims.belonging import ABLATIONS, UFORMER
from ensrepro.claims.results import Sources
from ensrepro.pages import NOTEBOOK
from ensrepro.pipeline import Run
from ensrepro.results.places import ALL_SSM, COUNTERPARTS, HYBRID, LONGER
from ensrepro.results.rows import Kind, Measured, Row, Source
from ensrepro.seeds import Against, against
from ensrepro.steps import finetune
from ensrepro.steps.finetune import Finetuned

REFERENCE = "teacher"  # as it was; the other one is LONGER
METRIC_UNITS = {"PSNR": ("psnr", "dB"), "SSIM": ("ssim", "")}
OF_TEACHER = "of the teacher's"  # unit of a latency
NOTEBOOK_OF_TASKS = "06_finetune"
TestRows = Sequence[Mapping[str, float]]

# Headline key of notebook 08 -> row of table 5; the first is what the others are held against.
ARMS = {
    "distilled": "Proposed model with FwKD",
    "reinitialized": "",  # no row of the paper, which starts all of it anew (assumption A41)
    "random_weights": "Proposed model without FwKD",
    "random_hybrids": "Randomly designed Hybrid network",
    "equal_blocks": "Hybrid design with Equal blocks",
}
DRAWS = "random_hybrids"
UFORMER_HYBRIDS = "Arch-1, Arch-2"  # the rows of table 6 that a hybrid of ours stands for


def photos(profile: str) -> str:
    """The benchmark of a row at our scale."""
    return f"test photos, profile {profile}"


def average(rows: TestRows, metric: str) -> float:
    """The mean over photos."""
    return mean(row[metric] for row in rows)


def change(found: Against, source: Source, unit: str) -> Measured:
    """The mean change, with the range of single ones."""
    values = found.changes
    ends = min(values), max(values)
    told = found.reference, found.n_reference
    return Measured(Kind.SCALE, mean(values), *ends, len(values), source, unit, "", *told)


# ---- tables 1 to 4 ------------------------------------------------------------------------------


def source_of(store: Store, step: str, seeds: tuple[int, ...]) -> Source:
    """The manifest of a step, below the folder that its results lie in."""
    path = store.manifest(step)
    made = artifacts.read_json(path)["provenance"]
    roots = [root for root in (store.root, store.fallback) if root and path.is_relative_to(root)]
    name = path.relative_to(roots[0]).as_posix()
    return Source(name, made["commit"], made["profile"], seeds)


class Tuned(NamedTuple):
    """A network's test rows by seed, and where those of its first seed are."""

    rows: Mapping[int, TestRows]
    source: Source

    def by_seed(self, metric: str) -> dict[int, float]:
        """The mean over photos."""
        return {seed: average(rows, metric) for seed, rows in self.rows.items()}


def networks(run: Run, made: Outcome) -> dict[str, Tuned]:
    """The fine-tuned networks by name."""

    def of(tuned: Sequence[Finetuned]) -> Tuned:
        results = [one.result for one in tuned]
        architecture = run.ctx.space.architecture(results[0].architecture)
        job = architecture, results[0].seed
        store, step = finetune.owner(run.ctx, job).store, finetune.job_name(run.ctx, job)
        rows = {result.seed: result.test for result in results}
        return Tuned(rows, source_of(store, step, tuple(rows)))

    return {HYBRID: of(made.chosen), ALL_SSM: of([made.all_ssm]), LONGER: of(made.longer)}


def task_rows(run: Run, made: Outcome) -> list[Row]:
    """What each network of a task changes, against its teacher and the one trained as long."""
    task, profile = run.ctx.task.name, run.ctx.profile.name
    counterpart, tuned = COUNTERPARTS[task], networks(run, made)
    references = {REFERENCE: {0: run.teacher.result.test}, LONGER: tuned[LONGER].rows}
    return [
        Row(
            counterpart.table,
            task,
            photos(profile),
            name,
            metric,
            measured=change(
                against(
                    reference,
                    one.by_seed(key),
                    {seed: average(test, key) for seed, test in rows.items()},
                ),
                one.source,
                unit,
            ),
            command=pages.command(NOTEBOOK_OF_TASKS, task, profile),
            stands_for=counterpart.stands_for.get(name, ""),
        )
        for name, one in tuned.items()
        for reference, rows in references.items()
        if name != reference
        for metric, (key, unit) in METRIC_UNITS.items()
    ]


def waiting_tasks(number: int, outcomes: Mapping[str, Outcome], profile: str) -> list[str]:
    """A sentence for each task of a table that has no fine-tuned networks on file."""
    return [
        f"{task}: no fine-tuned networks on file in profile {profile}; "
        f"`{pages.command(NOTEBOOK_OF_TASKS, task, profile)}` makes them"
        for task, counterpart in COUNTERPARTS.items()
        if counterpart.table == number and task not in outcomes
    ]


# ---- tables 5 and 6 -----------------------------------------------------------------------------


def told_source(sources: Sources, task: str, file: str) -> Source:
    """Where a notebook's headline is."""
    content = sources.content(task, file)
    name = sources.name(task, file)
    seed = content["parameters"]["seed"]
    return Source(name, content["provenance"]["commit"], sources.profile, (seed,))


def by_seed(sources: Sources, task: str, file: str, field: str) -> dict[int, float]:
    """A field of a notebook's headline, whose values are in the order of the seeds."""
    return dict(enumerate(sources.read(task, file, f"headline/{field}").numbers()))


def ablation_rows(sources: Sources, task: str) -> list[Row]:
    """Table 5: what each arm changes against the hybrid as the method makes it.

    Seed by seed, as they saw the same patches; a draw against the mean. A NotMeasuredError where
    notebook 08 has not been run, or tells of other networks.
    """
    first, *others = ARMS
    source = told_source(sources, task, ABLATIONS)
    asked = pages.command(ABLATIONS.removesuffix(NOTEBOOK), task, sources.profile)
    made = []
    for metric, (key, unit) in METRIC_UNITS.items():
        told = {arm: by_seed(sources, task, ABLATIONS, f"{key}/{arm}") for arm in ARMS}
        told[DRAWS] = {-1 - n: draw for n, draw in told[DRAWS].items()}  # no seeds of the others
        made += [
            Row(
                *(5, task, photos(sources.profile), arm.replace("_", " "), metric),
                measured=change(against(first, told[arm], told[first]), source, unit),
                command=asked,
                stands_for=ARMS[arm],
            )
            for arm in others
        ]
    return made


def uformer_rows(sources: Sources, task: str) -> list[Row]:
    """Table 6: what the hybrid changes against its Uformer, and its latency as a share of that's.

    Both were timed whole, in turns; the latency's range is that of eight rounds of ten. A
    NotMeasuredError where notebook 10 has not been run.
    """

    def told(field: str) -> dict[int, float]:
        return by_seed(sources, task, UFORMER, field)

    source = told_source(sources, task, UFORMER)
    share = [told(f"latency/{field}")[0] for field in ("ratio", "low", "high")]
    rounds = int(told("latency/rounds")[0])
    of_teacher = {"unit": OF_TEACHER, "against": REFERENCE, "n_against": rounds}
    changes = [
        (metric, change(against(name, told(f"{key}/hybrid"), told(f"{key}/{field}")), source, unit))
        for metric, (key, unit) in METRIC_UNITS.items()
        for name, field in ((REFERENCE, "teacher"), (LONGER, "longer"))
    ]
    changes += [("Latency", Measured(Kind.SCALE, *share, rounds, source, **of_teacher))]
    asked = pages.command(UFORMER.removesuffix(NOTEBOOK), task, sources.profile)
    return [
        Row(
            *(6, task, photos(sources.profile), HYBRID, metric),
            measured=measured,
            command=asked,
            stands_for=UFORMER_HYBRIDS,
        )
        for metric, measured in changes
    ]
