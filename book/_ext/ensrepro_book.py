"""Sphinx extension of this book: staged notebooks, and pages that ask nothing of the network.

Jupyter Book 1.x renders only files below the folder it is given, but the table of contents and the
notebooks belong at the top of the repository. Before Sphinx reads anything, this extension
  * points sphinx-external-toc at the top-level `_toc.yml`, and
  * writes each notebook into the git-ignored `book/notebooks/`: its cells as committed in
    `notebooks/`, its outputs from the executed copy in `results/<profile>/<task>/` if there is one.
While pages are written it drops scripts that would load code from elsewhere, and those set twice.
The directive `printed-oddities` tabulates the oddities that `paper_data/provenance.toml` lists.
"""

from __future__ import annotations

import tomllib
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

INJECTED = "injected-parameters"  # the tag of the cell that papermill adds
STAGED = "notebooks"
SET_TOC = 100  # before sphinx-external-toc reads its configuration at 900
AFTER_THEME = 990
PROVENANCE = Path("src", "ensrepro", "paper_data", "provenance.toml")

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


def page_of(source: Path, result: Path) -> NotebookNode:
    """What the book shows for one notebook; a warning says when its result cannot be trusted."""
    notebook = nbformat.read(source, as_version=4)
    if not result.exists():
        log.info("%s has no executed copy; shown without outputs", source.name)
        return notebook
    where = "/".join(result.parts[-4:])
    executed = nbformat.read(result, as_version=4)
    if problem := fault(executed):
        log.warning("%s: %s; run it again", where, problem)
    if same_code(notebook, executed):
        return with_outputs(notebook, executed)
    log.warning("%s was run from other code than notebooks/%s; run it again", where, source.name)
    return without_traces(executed)


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
    results = root / "results" / config.ensrepro_profile / config.ensrepro_task
    staged = book / STAGED
    staged.mkdir(exist_ok=True)
    sources = sorted((root / "notebooks").glob("*.ipynb"))
    for source in sources:
        write_if_changed(page_of(source, results / source.name), staged / source.name)
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


class PrintedOddities(SphinxDirective):
    """A table of the paper's numbers that do not fit together, from the file they are kept in."""

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.srcdir).parent / PROVENANCE
        self.env.note_dependency(str(path))
        oddities = tomllib.loads(path.read_text(encoding="utf-8"))["oddity"]
        lines = ["| where | kind | finding |", "|---|---|---|"]
        for o in oddities:
            cell = f"Table {o['table']}: {o['method']}, {o['dataset']}"
            where = cell if o["table"] else "Text"
            lines.append(f"| {where} | {o['kind']} | {o['finding']} |")
        container = nodes.container(classes=["oddities"])
        self.state.nested_parse(StringList(lines, source=str(path)), 0, container)
        return [container]


def setup(app: Sphinx) -> dict[str, Any]:
    """Entry point of Sphinx."""
    app.add_config_value("ensrepro_profile", "mini", "env")
    app.add_config_value("ensrepro_task", "denoise", "env")
    app.add_directive("printed-oddities", PrintedOddities)
    app.connect("config-inited", stage, priority=SET_TOC)
    app.connect("doctree-read", name_contents)
    app.connect("html-page-context", link_to_source, priority=SET_TOC)
    app.connect("html-page-context", filter_scripts, priority=AFTER_THEME)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
