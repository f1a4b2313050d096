"""Sphinx extension: pages of the other tasks, from the same notebooks.

The book tells the method on one task. For each of the others in `ensrepro_other_tasks` it shows the
notebooks in PAGES as they ran there: the same words and code, that task as the parameter, and no
exercises, which are on the first task's page. They are staged in the git-ignored `book/tasks/` when
there is an executed copy in the results of that task.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ensrepro_book
import nbformat
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.config import Config

PAGES = ("03_distillation", "04_search", "05_knee", "06_finetune", "14_edge")
STAGED = "tasks"
EXERCISES = "## Exercises"
LINK_HERE, LINK_THERE = "](", "](../notebooks/"  # to another notebook


def name_of(task: str, notebook: str) -> str:
    """File name of a page, without its suffix."""
    return f"{task}_{notebook}"


def with_task(notebook: NotebookNode, task: str, first: str) -> NotebookNode:
    """A copy whose parameters name the task; `first` is the one that they named."""
    page = nbformat.from_dict(notebook)
    for cell in ensrepro_book.code_cells(page):
        if ensrepro_book.DECLARED in ensrepro_book.tags(cell):
            cell.source = cell.source.replace(f'task = "{first}"', f'task = "{task}"', 1)
    return page


def relinked(text: str, names: list[str]) -> str:
    """Links to other notebooks lead to the first task's pages."""
    for name in names:
        text = text.replace(f"{LINK_HERE}{name}.ipynb", f"{LINK_THERE}{name}.ipynb")
    return text


def shortened(page: NotebookNode, task: str, names: list[str]) -> NotebookNode:
    """The page up to its exercises; its title says the task."""
    kept = []
    for cell in page.cells:
        if cell.cell_type == "markdown" and cell.source.lstrip().startswith(EXERCISES):
            break
        kept.append(cell)
    page.cells = kept
    heading, _, rest = page.cells[0].source.partition("\n")
    page.cells[0].source = f"{heading} ({task})\n{rest}"
    for cell in page.cells:
        if cell.cell_type == "markdown":
            cell.source = relinked(cell.source, names)
    return ensrepro_book.relinked(page)


def stage(app: Sphinx, config: Config) -> None:
    """Write a page for each notebook and task with an executed copy."""
    book = Path(app.srcdir)
    root, folder = book.parent, book / STAGED
    folder.mkdir(exist_ok=True)
    names = [path.stem for path in (root / "notebooks").glob("*.ipynb")]
    written = set()
    for task in config.ensrepro_other_tasks:
        for name in PAGES:
            source = root / "notebooks" / f"{name}.ipynb"
            shown = {"profile": config.ensrepro_profile, "task": task}
            if not source.exists():
                continue
            result = ensrepro_book.result_of(root, source, shown)
            if not result.exists():
                continue
            page = ensrepro_book.page_of(source, result, shown, complete=True)
            page = shortened(with_task(page, task, config.ensrepro_task), task, names)
            target = folder / f"{name_of(task, name)}.ipynb"
            ensrepro_book.write_if_changed(page, target)
            written.add(target)
    for old in set(folder.glob("*.ipynb")) - written:
        old.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    """Entry point of Sphinx."""
    app.add_config_value("ensrepro_other_tasks", [], "env")
    app.connect("config-inited", stage, priority=ensrepro_book.SET_TOC + 1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
