"""Pages of the other tasks: what ran, with its own task, and without the first task's exercises."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = "1 + 1"


@pytest.fixture(scope="module")
def extension():
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        import task_pages
    finally:
        sys.path.pop(0)
    return task_pages


def notebook(task: str, executed: bool) -> nbformat.NotebookNode:
    markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    cells = [
        markdown("# 4 · Search\n\nSee [the knee](05_knee.ipynb) and [A4](../book/assumptions.md)."),
        code('task = "denoise"\nprofile = "mini"', metadata={"tags": ["parameters"]}),
        code(CODE),
        markdown("## Exercises\n\n```{exercise}\n:label: ex-one\n```"),
        code("run.finish()"),
    ]
    ran = nbformat.v4.new_notebook(cells=cells)
    if executed:
        for count, cell in enumerate((c for c in cells if c.cell_type == "code"), 1):
            cell.execution_count = count
            cell.outputs = [nbformat.v4.new_output("stream", text=f"output {count} of {task}")]
        ran.metadata["papermill"] = {"parameters": {"task": task}}
    return ran


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("book", "notebooks", "results/mini/deblur"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("04_search", "05_knee"):
        nbformat.write(notebook("denoise", False), tmp_path / "notebooks" / f"{name}.ipynb")
    ran = notebook("deblur", True)
    nbformat.write(ran, tmp_path / "results/mini/deblur/04_search.ipynb")
    return tmp_path


def staged(extension, tree: Path, *tasks: str) -> list[str]:
    config = SimpleNamespace(
        ensrepro_profile="mini", ensrepro_task="denoise", ensrepro_other_tasks=list(tasks)
    )
    extension.stage(SimpleNamespace(srcdir=str(tree / "book")), config)
    return sorted(path.name for path in (tree / "book" / "tasks").glob("*"))


def test_only_what_ran_has_a_page(extension, tree):
    assert staged(extension, tree, "deblur", "derain") == ["deblur_04_search.ipynb"]
    assert staged(extension, tree) == []  # and a page that is no longer asked for goes


def test_a_page_shows_its_own_task_and_outputs_and_no_exercises(extension, tree):
    staged(extension, tree, "deblur")
    page = nbformat.read(tree / "book/tasks/deblur_04_search.ipynb", as_version=4)
    assert [cell.cell_type for cell in page.cells] == ["markdown", "code", "code"]
    heading, parameters, code = page.cells
    assert heading.source.splitlines()[0] == "# 4 · Search (deblur)"
    assert "[the knee](../notebooks/05_knee.ipynb)" in heading.source
    assert "[A4](../assumptions.md)" in heading.source
    assert parameters.source == 'task = "deblur"\nprofile = "mini"'
    assert code.source == CODE
    assert code.outputs[0].text == "output 2 of deblur"


def test_a_run_of_another_task_is_not_shown_as_this_one(extension, tree, monkeypatch):
    said: list[str] = []
    log = extension.ensrepro_book.log
    monkeypatch.setattr(log, "warning", lambda form, *words: said.append(form % words))
    nbformat.write(notebook("derain", True), tree / "results/mini/deblur/04_search.ipynb")
    staged(extension, tree, "deblur")
    page = nbformat.read(tree / "book/tasks/deblur_04_search.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in page.cells)
    assert "task='derain'" in said[0]


def test_every_page_of_the_table_of_contents_has_its_run(extension):
    """A page that is listed and was never run would be a broken book."""
    listed = [
        line.split("tasks/")[1].strip()
        for line in (ROOT / "_toc.yml").read_text("utf-8").splitlines()
        if "file: tasks/" in line
    ]
    for page in listed:
        task, name = next(
            (page.removesuffix(f"_{name}"), name) for name in extension.PAGES if page.endswith(name)
        )
        assert (ROOT / "results" / "mini" / task / f"{name}.ipynb").exists(), page
