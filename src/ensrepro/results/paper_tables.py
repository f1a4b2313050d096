"""The paper's tables as tidy rows: what is printed, what was measured in its place, what waits.

`rows` is the data, `rendered` a table in the paper's layout. Published values come from
`paper_data/`, measured ones from evaluations on this disk and from results of a profile; each says
which file it is from. A result that arrives fills its cells, if it tells which network it is of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ensrepro import across, artifacts, config, pages, paper, pipeline, tables
from ensrepro.across import Outcome
from ensrepro.claims import cells
from ensrepro.claims.belonging import TEACHER_FILE, NotMeasuredError
from ensrepro.claims.results import Sources
from ensrepro.pipeline import Run
from ensrepro.results import evaluated, layout, places, scaled
from ensrepro.results.evaluated import Record
from ensrepro.results.rows import FIELDS, Printed, Row, flat

ABLATION, UFORMER = 5, 6
NO_WEIGHTS = (
    "are of networks whose weights `evaluate` does not read, or of which we know no published "
    "ones, such as the paper's own"
)
UNNAMED_SET = "cannot be evaluated: the paper names neither the test set nor the device's settings"
FROM_NOTEBOOKS = {  # table -> its rows at our scale, the notebook that tells them, its tasks
    ABLATION: (scaled.ablation_rows, "08_ablations", ("deblur", "denoise", "derain")),
    UFORMER: (scaled.uformer_rows, "10_uformer", ("denoise",)),
}
photos = scaled.photos  # the benchmark of a row at our scale


@dataclass(frozen=True)
class OnFile:
    """What there is to fill the tables with: evaluations, and the tasks of one profile.

    `runs` and `outcomes` are those of the tasks whose networks are fine-tuned.
    """

    profile: str
    records: Sequence[Record]
    runs: Mapping[str, Run]
    outcomes: Mapping[str, Outcome]
    sources: Sources


def on_file(run: Run, records: Path | None = None) -> OnFile:
    """Everything on this disk, as the notebook or command `run` sees it; nothing is computed."""
    root = artifacts.repository()
    runs = across.with_pool(across.with_teacher(run))
    outcomes = across.outcomes(runs, across.searched(runs))
    found = evaluated.records(records or root / evaluated.FOLDER, root)
    profile = run.ctx.profile.name
    store = run.ctx.store
    return OnFile(profile, found, runs, outcomes, Sources(profile, store.root, store.fallback))


def of_profile(profile: str, records: str | None = None) -> OnFile:
    """What is on file of a profile in the repository.

    A ValueError for a profile that was never run, a FileNotFoundError for a folder of `records`
    that is not there.
    """
    run = pipeline.start("tables", task="denoise", profile=profile)
    folder = artifacts.repository() / artifacts.RESULTS
    known = [name for name in config.PROFILES if any(folder.glob(f"{name}/*/{TEACHER_FILE}"))]
    if profile not in known:
        raise ValueError(
            f"profile {profile} was never run: {artifacts.RESULTS}/{profile} holds no teacher of "
            f"any task; expected one of {', '.join(known) or 'none'}"
        )
    if records is not None and not Path(records).is_dir():
        raise FileNotFoundError(f"{records} is no folder; expected one with evaluations")
    return on_file(across.of_task(run, "denoise"), None if records is None else Path(records))


def printed(number: int) -> list[Row]:
    """The cells of one table as the paper prints them, with the ledger's word on each."""
    about = paper.describe(number)
    place, made = f"table {number}, section {about['section']}", []
    for one in cells.of_table(number, cells.verdicts()):
        _, method, dataset, metric = one.cell
        where = places.place(number, method, dataset)
        value = Printed(cells.cell(one.cell), place, one.status or "", one.because)
        made.append(
            Row(
                *(number, where.task, dataset, method, metric, value),
                command=places.command(number, method, where),
            )
        )
    return made


def scaled_rows(number: int, found: OnFile) -> tuple[list[Row], list[str]]:
    """The rows of a table at our scale, and a sentence for each result that is not there."""
    if number not in FROM_NOTEBOOKS:
        made = [
            row
            for task, outcome in found.outcomes.items()
            if places.COUNTERPARTS[task].table == number
            for row in scaled.task_rows(found.runs[task], outcome)
        ]
        return made, scaled.waiting_tasks(number, found.outcomes, found.profile)
    make, notebook, tasks = FROM_NOTEBOOKS[number]
    made, missing = [], []
    for task in tasks:
        try:
            made += make(found.sources, task)
        except NotMeasuredError as error:
            asked = pages.command(notebook, task, found.profile)
            missing.append(f"{task}: {error}; `{asked}` makes it")
    return made, missing


def rows(number: int, found: OnFile) -> list[Row]:
    """All rows of one table, 1 to 6: the paper's cells, own evaluations, changes at our scale.

    A ValueError for another number.
    """
    of_paper = printed(number)
    return [
        *evaluated.filled(of_paper, found.records),
        *evaluated.own_rows(number, of_paper, found.records),
        *scaled_rows(number, found)[0],
    ]


def waiting(number: int, found: OnFile) -> list[str]:
    """What a table waits for, a sentence each."""
    of_paper = rows(number, found)
    can = [row for row in of_paper if row.printed and row.printed.text and row.command]
    lack = [row for row in can if row.measured is None]
    apart = [row for row in lack if not places.is_told_by_name(number, row.model)]
    lack = [row for row in lack if row not in apart]
    cannot = [row for row in of_paper if row.printed and row.printed.text and not row.command]
    sentences = []
    if lack:
        names = ", ".join(dict.fromkeys(row.model for row in lack))
        sentences.append(
            f"{len(lack)} cells of {names} wait for an evaluation on the real benchmark, such as "
            f"`{lack[0].command.split('; ')[0]}`"
        )
    if apart:
        names = ", ".join(dict.fromkeys(row.model for row in apart))
        sentences.append(
            f"{len(apart)} cells of {names} stay empty: no name of a file tells these networks, so "
            f"an evaluation, such as `{apart[0].command}`, gets a row of its own"
        )
    if cannot:
        sentences.append(f"{len(cannot)} cells {UNNAMED_SET if number == UFORMER else NO_WEIGHTS}")
    return [*sentences, *scaled_rows(number, found)[1]]


def doubts(number: int, found: OnFile) -> list[str]:
    """What is to be known of the measured values that stand in rows of the paper, a sentence each."""
    filled = [row for row in rows(number, found) if row.printed and row.measured]
    return list(dict.fromkeys(f"{row.model}: {row.measured.note}" for row in filled if row.measured))


def title(number: int) -> str:
    """The caption of a table in the paper's layout."""
    return f"Table {number} of the paper, as printed. {paper.describe(number)['title']}."


def scale_title(number: int, found: OnFile) -> str:
    """The caption of the table of changes at our scale."""
    against = (
        "the distilled hybrid"
        if number == ABLATION
        else "its teacher as it was, and against `teacher, longer`, which had the same extra steps,"
    )
    return (
        f"Table {number} at our scale, profile {found.profile}: what each network changes against "
        f"{against} on the test photos. Mean and range over n seeds or draws, seed by seed where "
        "both sides have several seeds, else against the mean; the reference has as many as the "
        "column n against says."
    )


def text(number: int, found: OnFile) -> str:
    """The table for a terminal, with what changes at our scale and what waits."""
    every = rows(number, found)
    parts = [title(number), tables.text(*layout.grid(every))]
    if lines := layout.scale_lines(every):
        parts += [scale_title(number, found), tables.text(lines, layout.SCALE_COLUMNS)]
    for heading, sentences in (("Note", doubts(number, found)), ("Waiting", waiting(number, found))):
        if sentences:
            parts.append("\n".join([f"{heading}:", *(f"* {one}" for one in sentences)]))
    return "\n\n".join(parts) + "\n"


def csv(number: int, found: OnFile) -> str:
    """The tidy rows as CSV, one line a cell, with source and provenance."""
    return tables.csv_text([flat(row) for row in rows(number, found)], FIELDS)


def latex(number: int, found: OnFile) -> str:
    """The table in the paper's layout for LaTeX, and that of changes at our scale."""
    every = rows(number, found)
    made = tables.latex(*layout.grid(every), title(number))
    lines = layout.scale_lines(every)
    if not lines:
        return made
    return f"{made}\n{tables.latex(lines, layout.SCALE_COLUMNS, scale_title(number, found))}"


FORMATS = {"text": (text, "txt"), "csv": (csv, "csv"), "latex": (latex, "tex")}


def rendered(number: int, found: OnFile, form: str) -> str:
    """A table in one of FORMATS."""
    render, _ = config.named("format", form, FORMATS)
    return render(number, found)


def show(number: int, found: OnFile) -> None:
    """Display a table in a notebook: as printed, at our scale, and what it waits for."""
    every = rows(number, found)
    tables.show(*layout.grid(every), title(number))
    if lines := layout.scale_lines(every):
        tables.show(lines, layout.SCALE_COLUMNS, scale_title(number, found))
    if sentences := [*doubts(number, found), *waiting(number, found)]:
        tables.say("\n".join(f"* Table {number}: {sentence}." for sentence in sentences))
