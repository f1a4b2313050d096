"""Sphinx extension of this book: staged notebooks, and pages that ask nothing of the network.

Jupyter Book 1.x renders only files below the folder it is given, but the table of contents and the
notebooks belong at the top of the repository. Before Sphinx reads anything, this extension
  * points sphinx-external-toc at the top-level `_toc.yml`, and
  * writes each notebook of that table into the git-ignored `book/notebooks/`: its cells as
    committed in `notebooks/`, its outputs from the executed copy in `results/<profile>/<task>/`, or
    in the folder of the pair that it is about, if there is one and it is a run of this code with
    the declared parameters.
While pages are written it drops scripts that would load code from elsewhere, and those set twice.
The directives `published-latencies` and `published-quality` print the paper's own numbers from the
files of `paper_data/`.
"""

from __future__ import annotations

import ast
import csv
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from docutils.statemachine import StringList
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

DECLARED = "parameters"  # the tag of the cell that holds a notebook's parameters
INJECTED = "injected-parameters"  # the tag of the cell that papermill adds
PLACE = "out"  # the parameter that says where a run's files go, and changes no result
STAGED = "notebooks"
LINK, LINK_IN_BOOK = (
    "](../book/",
    "](../",
)  # to a page, from `notebooks/` and from `book/notebooks/`
SET_TOC = 100  # before sphinx-external-toc reads its configuration at 900
AFTER_THEME = 990
PAPER_DATA = Path("src", "ensrepro", "paper_data")
LATENCIES = {
    "Restormer": "latency_restormer",
    "hybrid for motion deblurring": "latency_ens_deblurring",
    "hybrid for deraining": "latency_ens_deraining",
    "hybrid for denoising": "latency_ens_denoising",
}
# What is restored -> the table's file and the dataset in it.
QUALITIES = {
    "motion deblurring, GoPro": ("table_2_motion_deblurring.csv", "GoPro"),
    "deraining, mean of five sets": ("table_1_deraining.csv", "Average"),
    "denoising, SIDD": ("table_4_denoising.csv", "SIDD"),
}

log = logging.getLogger(__name__)


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells that an author wrote."""
    return [c for c in notebook.cells if c.cell_type == "code" and INJECTED not in tags(c)]


def fault(executed: NotebookNode) -> str | None:
    """What keeps an executed copy from being a result: a failed cell, or one that never ran."""
    for number, cell in enumerate(code_cells(executed), 1):
        errors = [o for o in cell.outputs if o.output_type == "error"]
        if errors:
            return f"code cell {number} failed with {errors[0].ename}: {errors[0].evalue}"
        if cell.execution_count is None and cell.source.strip():
            return f"code cell {number} did not run"
    return None


def same_code(notebook: NotebookNode, executed: NotebookNode) -> bool:
    """Whether an executed copy was made from the notebook's code as it is now."""
    ours, theirs = ([c.source.strip() for c in code_cells(n)] for n in (notebook, executed))
    return ours == theirs


def declared(notebook: NotebookNode) -> dict[str, object]:
    """The parameters that a notebook declares, with their defaults."""
    cells = [c.source for c in code_cells(notebook) if DECLARED in tags(c)]
    statements = ast.parse("\n".join(cells)).body
    return {s.targets[0].id: ast.literal_eval(s.value) for s in statements}


def other_parameters(
    notebook: NotebookNode, executed: NotebookNode, shown: dict[str, str]
) -> dict[str, object]:
    """The parameters of a run that are not what the page says, which is the defaults and `shown`.

    Papermill records the parameters it was given; those it was not given had their defaults.
    """
    defaults = declared(notebook)
    expected = defaults | {name: value for name, value in shown.items() if name in defaults}
    ran = declared(executed) | executed.metadata.get("papermill", {}).get("parameters", {})
    return {n: v for n, v in ran.items() if n != PLACE and (n not in expected or v != expected[n])}


def without_traces(executed: NotebookNode) -> NotebookNode:
    """A copy that shows no sign of papermill: no injected cell, no record of paths and times."""
    page = nbformat.from_dict(executed)
    page.cells = [c for c in page.cells if INJECTED not in tags(c)]
    for part in (page, *page.cells):
        part.metadata.pop("papermill", None)
        part.metadata.pop("execution", None)
    return page


def with_outputs(notebook: NotebookNode, executed: NotebookNode) -> NotebookNode:
    """The committed cells with the outputs of a run of the same code."""
    page = nbformat.from_dict(notebook)
    for cell, ran in zip(code_cells(page), code_cells(executed), strict=True):
        cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
    return page


def page_of(source: Path, result: Path, shown: dict[str, str], complete: bool) -> NotebookNode:
    """What the book shows for one notebook; a warning says when its result cannot be trusted.

    `shown` are the profile and task of the book. `complete`: every notebook should have a copy.
    """
    notebook = nbformat.read(source, as_version=4)
    where = "/".join(result.parts[-4:])
    if not result.exists():
        say = log.warning if complete else log.info
        say("%s is missing; notebooks/%s is shown without outputs", where, source.name)
        return notebook
    executed = nbformat.read(result, as_version=4)
    if problem := fault(executed):
        log.warning("%s: %s; run it again", where, problem)
    if not same_code(notebook, executed):
        form = "%s was run from other code than notebooks/%s; run it again"
        log.warning(form, where, source.name)
        return without_traces(executed)
    if other := other_parameters(notebook, executed, shown):
        given = ", ".join(f"{name}={value!r}" for name, value in other.items())
        log.warning("%s was run with %s, not what its page says; run it again", where, given)
        return notebook  # the page would show these parameters' outputs below other parameters
    return with_outputs(notebook, executed)


def relinked(page: NotebookNode) -> NotebookNode:
    """The page with links to the book's pages that lead there from where it is staged."""
    for cell in page.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace(LINK, LINK_IN_BOOK)
    return page


def result_of(root: Path, source: Path, shown: dict[str, str]) -> Path:
    """Where a run of the notebook with the parameters of its page leaves its executed copy."""
    from ensrepro import artifacts, config

    told = declared(nbformat.read(source, as_version=4)).get("pair", config.DEFAULT_PAIR)
    suffix = config.PAIRS[str(told)].suffix
    store = artifacts.Store(shown["profile"], shown["task"], root, suffix=suffix)
    return store.own(artifacts.RESULTS, source.name)


def write_if_changed(page: NotebookNode, path: Path) -> None:
    """Leaves an equal file alone, so that Sphinx does not read it again."""
    text = nbformat.writes(page)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def stage(app: Sphinx, config: Config) -> None:
    """Points Sphinx at the table of contents and writes the notebooks into the book."""
    book = Path(app.srcdir)
    root = book.parent
    config.external_toc_path = (root / "_toc.yml").as_posix()
    shown = {"profile": config.ensrepro_profile, "task": config.ensrepro_task}
    staged = book / STAGED
    staged.mkdir(exist_ok=True)
    chapters = (root / "_toc.yml").read_text(encoding="utf-8")
    everything = sorted((root / "notebooks").glob("*.ipynb"))
    sources = [path for path in everything if f"{STAGED}/{path.stem}\n" in chapters]
    results = {source: result_of(root, source, shown) for source in sources}
    complete = any(result.exists() for result in results.values())
    for source, result in results.items():
        page = page_of(source, result, shown, complete)
        write_if_changed(relinked(page), staged / source.name)
    for old in set(staged.glob("*.ipynb")) - {staged / source.name for source in sources}:
        old.unlink()


def link_to_source(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Repository and launch links lead to `notebooks/`, not to the copy inside the book."""
    staged = pagename.startswith(f"{STAGED}/")
    app.config.html_theme_options["path_to_docs"] = "" if staged else "book"


def name_contents(app: Sphinx, doctree: nodes.document) -> None:
    """Gives the content of each exercise an id of its own; sphinx-exercise gives all the same."""
    for section in doctree.findall(nodes.section):
        if section["ids"] in (["exercise-content"], ["solution-content"]):
            section["ids"] = [f"{section.parent['ids'][0]}-content"]


def keep_script(script: object, seen: set[tuple[str, str]]) -> bool:
    """Whether a page needs a script: not twice, and not thebe, which loads itself from a CDN."""
    key = (
        str(getattr(script, "filename", None) or ""),
        str(getattr(script, "attributes", {}).get("body") or ""),
    )
    if key in seen or "thebe" in "".join(key).lower():
        return False
    seen.add(key)
    return True


def filter_scripts(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Applies `keep_script` to the scripts of one page."""
    seen: set[tuple[str, str]] = set()
    context["script_files"] = [s for s in context.get("script_files", []) if keep_script(s, seen)]


class PaperTable(SphinxDirective):
    """A Markdown table made from a file of `paper_data`, where the paper's numbers are kept."""

    def lines(self) -> list[str]:
        """The table, line by line."""
        raise TypeError("a paper table says what its lines are")

    def read(self, path: Path) -> str:
        """The text of a file of the repository; the page depends on it."""
        full = Path(self.env.srcdir).parent / path
        self.env.note_dependency(str(full))
        return full.read_text(encoding="utf-8")

    def rows(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV file in `paper_data`."""
        return list(csv.DictReader(self.read(PAPER_DATA / name).splitlines()))

    def run(self) -> list[nodes.Node]:
        container = nodes.container(classes=[self.name])
        self.state.nested_parse(StringList(self.lines(), source=self.name), 0, container)
        return [container]


class PublishedLatencies(PaperTable):
    """The paper's latencies and their ratios to Restormer's."""

    def lines(self) -> list[str]:
        values = {row["name"]: row["value"] for row in self.rows("scalars.csv")}
        base = float(values[LATENCIES["Restormer"]])
        lines = ["| published | latency (ms) | times as fast as Restormer |", "|---|---:|---:|"]
        for what, name in LATENCIES.items():
            lines.append(f"| {what} | {values[name]} | {base / float(values[name]):.2f} |")
        return lines


class PublishedQuality(PaperTable):
    """The paper's PSNR and SSIM of Restormer and of its hybrids."""

    def lines(self) -> list[str]:
        lines = ["| published | Restormer (dB, SSIM) | hybrid (dB, SSIM) |", "|---|---:|---:|"]
        for what, (file, dataset) in QUALITIES.items():
            values = {
                (row["method"], row["metric"]): row["value"]
                for row in self.rows(file)
                if row["dataset"] == dataset
            }
            cells = [f"{values[m, 'PSNR']}, {values[m, 'SSIM']}" for m in ("Restormer", "Ours")]
            lines.append(f"| {what} | {' | '.join(cells)} |")
        return lines


def setup(app: Sphinx) -> dict[str, Any]:
    """Entry point of Sphinx."""
    app.add_config_value("ensrepro_profile", "mini", "env")
    app.add_config_value("ensrepro_task", "denoise", "env")
    app.add_directive("published-latencies", PublishedLatencies)
    app.add_directive("published-quality", PublishedQuality)
    app.connect("config-inited", stage, priority=SET_TOC)
    app.connect("doctree-read", name_contents)
    app.connect("html-page-context", link_to_source, priority=SET_TOC)
    app.connect("html-page-context", filter_scripts, priority=AFTER_THEME)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
