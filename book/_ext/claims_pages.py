"""Directives of the pages "Verdict" and "Errata": tables made from the ledger of claims.

`claims-summary` counts the claims by status, `claims-cells` the cells of the paper's tables,
`claims-verdicts SECTION` tabulates a section of the ledger, `claims-inconsistent` what does not fit
together in the paper, `claims-errata SECTION` a section of the remarks. Numbers and statuses come
from `paper_data/`, `results/` and the checks of `ensrepro.claims`, at each build; entries that a
person judged by reading say so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from ensrepro import claims, paper
from ensrepro.claims import BY_READING, Status, Verdict, cells
from ensrepro.claims.records import Given
from ensrepro.tables import Column, markdown

PAGES = ("verdict", "errata")  # read at each build, since results may have arrived
NOTHING = "–"
LAST_DIGIT = "of them last digit off"  # right, since the cells that it follows from are rounded
SUBJECT = re.compile(r"[^,;:]+")  # what comes first in the title of a table
CLASSES = {
    Status.REPRODUCED: "reproduced",
    Status.CONTRADICTED: "contradicted",
    Status.UNDECIDED: "undecided",
    Status.COUNTED: "counted",
    Status.CONSISTENT: "consistent",
    Status.INCONSISTENT: "inconsistent",
    Status.QUOTED: "quoted",
}
MEANINGS = {
    Status.REPRODUCED: "our measurement shows the same",
    Status.CONTRADICTED: "our measurement shows otherwise",
    Status.UNDECIDED: "what our measurement shows is less than what is uncertain about it",
    Status.COUNTED: "it follows from formulas, a definition or how things are built; "
    "no measurement could have shown otherwise",
    Status.CONSISTENT: "the paper's own numbers bear it out",
    Status.INCONSISTENT: "the paper's own numbers or sentences do not fit together",
    Status.QUOTED: "none of these; what would decide it is named",
}


def badge(status: Status) -> str:
    """A status as Markdown, with a class that colors it."""
    return f"[{status}]{{.status .status-{CLASSES[status]}}}"


def read_mark(one: Verdict) -> str:
    """What says that a person judged an entry; nothing where numbers did."""
    return f"[{BY_READING}]{{.read}} " if one.is_read else ""


def literal(text: str) -> str:
    """Text whose characters Markdown leaves alone."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#$~" else c for c in text)


def capitalized(text: str) -> str:
    """A sentence with a capital first; names with an underscore, such as a stage's, stay."""
    first = text.split()[0]
    return text if "_" in first else text[0].upper() + text[1:]


def linked(one: Verdict, book: Path) -> str:
    """Where the evidence stands: the notebook if the book has it, and the manifests' fields.

    What was measured in another task than the book's first is on that task's page.
    """
    parts = []
    task = one.claim.given.task
    of_book = task == Given().task
    page = f"notebooks/{one.page}" if of_book else f"tasks/{task}_{one.page}"
    if one.page and (book / f"{page}.ipynb").exists():
        parts.append(f"[{page.rpartition('/')[2]}]({page}.ipynb)")
    fields: dict[str, list[str]] = {}
    for fact in one.facts:
        fields.setdefault(fact.file.rpartition("/")[2], []).append(fact.field)
    for file, names in fields.items():
        parts.append(f"`{file}`: {', '.join(f'`{name}`' for name in dict.fromkeys(names))}")
    return f" [{'; '.join(parts)}]{{.where}}" if parts else ""


def verdict_rows(made: Iterable[Verdict], book: Path) -> list[dict[str, str]]:
    """One row a claim; cells are Markdown."""
    return [
        {
            "claim": f"{literal(one.text)} [{literal(one.claim.place)}]{{.where}}",
            "published": literal(one.published) or NOTHING,
            "ours": literal(one.ours) or NOTHING,
            "evidence": f"{badge(one.status)} {read_mark(one)}{literal(capitalized(one.evidence))}"
            f"{linked(one, book)}",
        }
        for one in made
    ]


COLUMNS = (
    Column("claim", "claim"),
    Column("published", "published"),
    Column("ours", "ours"),
    Column("evidence", "status and evidence"),
)


def summary_rows(made: Sequence[Verdict]) -> list[dict[str, Any]]:
    """One row a status, with what it means; those judged by reading are counted apart."""
    counts, read = claims.summary(made), claims.summary(one for one in made if one.is_read)
    pending = claims.summary(one for one in made if one.is_pending)
    rows = []
    for status, n in counts.items():
        notes = [
            MEANINGS[status],
            *([f"{read[status]} of them {BY_READING}"] if read[status] else []),
            *([f"{pending[status]} of them wait for a result"] if pending[status] else []),
        ]
        rows.append({"status": badge(status), "n": n, "meaning": "; ".join(notes)})
    return [*rows, {"status": "all", "n": len(made), "meaning": ""}]


def finding_row(one: Verdict) -> dict[str, str]:
    """One row of the errata; cells are Markdown."""
    return {
        "where": literal(one.claim.place),
        "says": literal(one.text),
        "finding": f"{read_mark(one)}{literal(one.evidence)}",
    }


def cell_rows() -> list[dict[str, Any]]:
    """One row a table of the paper: how many of its cells have which status."""
    every = cells.verdicts()
    rows = []
    for number in paper.TABLES:
        of_table = cells.of_table(number, every)
        counts = Counter(one.status for one in of_table)
        rows.append(
            {
                "off": sum(one.is_last_digit_off for one in of_table),
                "table": f"{number} {SUBJECT.match(paper.describe(number)['title'])[0]}",
                "printed": len(of_table) - counts[None],
                **{CLASSES[status]: counts[status] for status in Status},
            }
        )
    keys = ("printed", "off", *CLASSES.values())
    total = {"table": "all"} | {key: sum(row[key] for row in rows) for key in keys}
    return [*rows, total]


class Ledger(SphinxDirective):
    """A table made from the ledger."""

    @property
    def book(self) -> Path:
        """The folder of the pages."""
        return Path(self.env.srcdir)

    def verdicts(self) -> tuple[Verdict, ...]:
        """All verdicts of the profile that the book shows."""
        return claims.verdicts(self.env.config.ensrepro_profile, self.book.parent)

    def table(self) -> str:
        """The table as Markdown."""
        raise TypeError("a ledger table says what it is")

    def run(self) -> list[nodes.Node]:
        container = nodes.container(classes=["ledger", self.name])
        lines = StringList(self.table().splitlines(), source=self.name)
        self.state.nested_parse(lines, 0, container)
        return [container]


class Summary(Ledger):
    """The number of claims of each status."""

    def table(self) -> str:
        return markdown(
            summary_rows(self.verdicts()),
            [Column("status", "status"), Column("n", "claims", "d"), Column("meaning", "")],
        )


class CellCounts(Ledger):
    """The number of cells of each status."""

    def table(self) -> str:
        columns = [
            Column("table", "table"),
            Column("printed", "cells", "d"),
            Column("consistent", "right", "d"),
            Column("off", LAST_DIGIT, "d"),
            Column("inconsistent", "wrong", "d"),
            Column("quoted", "quoted", "d"),
        ]
        return markdown(cell_rows(), columns)


class Verdicts(Ledger):
    """One section of the ledger; its title is the argument."""

    required_arguments = 1
    final_argument_whitespace = True

    def table(self) -> str:
        title = self.arguments[0]
        made = [one for one in self.verdicts() if one.section == title]
        if not made:
            raise self.error(f"the ledger has no section {title!r}")
        return markdown(verdict_rows(made, self.book), COLUMNS)


class Inconsistent(Ledger):
    """Claims and cells that do not fit together within the paper."""

    def table(self) -> str:
        rows = [finding_row(one) for one in self.verdicts() if one.status is Status.INCONSISTENT]
        for one in cells.verdicts():
            if one.status is Status.INCONSISTENT:
                where = f"table {one.cell.table}, {one.cell.dataset}"
                says = f"{one.cell.method}: a mean of cells beside it, {one.cell.metric}."
                rows.append({"where": where, "says": says, "finding": literal(one.because)})
        columns = [Column("where", "where"), Column("says", "says"), Column("finding", "finding")]
        return markdown(rows, columns)


class Errata(Ledger):
    """One section of the remarks; its title is the argument."""

    required_arguments = 1
    final_argument_whitespace = True

    def table(self) -> str:
        title = self.arguments[0]
        made = claims.errata(self.env.config.ensrepro_profile, self.book.parent)
        rows = [finding_row(one) for one in made if one.section == title]
        if not rows:
            raise self.error(f"the errata have no section {title!r}")
        columns = [Column("where", "where"), Column("says", "remark"), Column("finding", "numbers")]
        return markdown(rows, columns)


def outdated(app: Sphinx, env: BuildEnvironment, *changes: set[str]) -> list[str]:
    """The pages of the ledger are read at each build."""
    return [page for page in PAGES if page in env.found_docs]


def setup(app: Sphinx) -> dict[str, Any]:
    """Entry point of Sphinx."""
    app.add_directive("claims-summary", Summary)
    app.add_directive("claims-cells", CellCounts)
    app.add_directive("claims-verdicts", Verdicts)
    app.add_directive("claims-inconsistent", Inconsistent)
    app.add_directive("claims-errata", Errata)
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
