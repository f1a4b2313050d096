"""What the book is made of: its Sphinx extension, its drawings, its list of assumptions."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nbformat
import pytest
from docutils import nodes

from ensrepro.figures.distillation import ALIVE_DB
from ensrepro.pareto import DISAGREEMENT
from ensrepro.space import RESTORMER

ROOT = Path(__file__).resolve().parents[1]


def load(name: str) -> ModuleType:
    """A module of book/_ext, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "book" / "_ext" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


extension = load("ensrepro_book")
drawing = load("draw_figures")


@pytest.mark.parametrize("name", drawing.DRAWINGS)
def test_the_drawings_are_those_of_the_script(name: str) -> None:
    drawn = drawing.DRAWINGS[name]()
    assert (drawing.IMAGES / name).read_text(encoding="utf-8") == drawn


# ---- assumptions ------------------------------------------------------------------------------


def assumptions() -> dict[int, str]:
    """The text below each heading `## A<n> ...` of the page."""
    text = (ROOT / "book" / "assumptions.md").read_text(encoding="utf-8")
    parts = re.split(r"(?m)^## ", text)[1:]
    found = [(int(m[1]), part) for part in parts if (m := re.match(r"A(\d+) ", part))]
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    return dict(found)


def test_every_assumption_says_what_where_and_why() -> None:
    for number, text in assumptions().items():
        labels = re.findall(r"(?m)^(.+)\n: ", text)
        assert labels == ["The paper", "Here", "Why", "Code"], f"A{number}"


def test_every_assumption_that_the_code_cites_is_on_the_page() -> None:
    known = assumptions()
    for path in sorted((ROOT / "src").rglob("*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "ssumption" in line:
                cited = {int(number) for number in re.findall(r"\bA(\d+)\b", line)}
                assert cited <= set(known), f"{path.name}: {line.strip()}"


def test_every_assumption_is_cited_where_the_code_makes_it() -> None:
    source = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "src").rglob("*.py"))
    cited = {int(number) for number in re.findall(r"\bA(\d+)\b", source)}
    assert cited >= set(assumptions())


def test_every_place_in_the_code_that_the_page_names_exists() -> None:
    for number, text in assumptions().items():
        places = re.findall(r"`ensrepro\.([\w.]+)`", text.split("\nCode\n: ")[1])
        assert places, f"A{number} names no place"
        for place in places:
            words = place.split(".")
            paths = [ROOT / "src/ensrepro" / ("/".join(words[:n]) + ".py") for n in (1, 2)]
            paths.append(ROOT / "src/ensrepro" / words[0] / "__init__.py")
            module = next((p for p in paths if p.exists()), None)
            assert module, f"A{number}: there is no module ensrepro.{place}"
            if words[-1] != module.stem:
                definition = rf"(?m)^(def |class )?{words[-1]}\b"
                code = module.read_text(encoding="utf-8")
                assert re.search(definition, code), f"A{number}: {place}"


# ---- references and glossary ------------------------------------------------------------------


def prose() -> str:
    """All pages of the book and the words of the notebooks."""
    folders = ((ROOT / "book", "*.md"), (ROOT / "notebooks" / "text", "*.py"))
    pages = [path for folder, names in folders for path in sorted(folder.glob(names))]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def test_every_work_in_the_bibliography_is_cited_and_every_citation_is_in_it() -> None:
    listed = re.findall(r"(?m)^@\w+\{(\w+),$", (ROOT / "book/references.bib").read_text("utf-8"))
    assert len(listed) == len(set(listed)) > 20
    roles = re.findall(r"\{cite:[pt]\}`([^`]+)`", prose())
    cited = {key.strip() for role in roles for key in role.split(",")}
    assert cited == set(listed)


def test_the_words_of_the_glossary_are_in_order() -> None:
    page = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    entries = page.split("```{glossary}\n")[1].split("\n```")[0].split("\n\n")
    words = [entry.splitlines()[0] for entry in entries]
    assert words == sorted(words, key=str.casefold)


def test_the_numbers_of_the_glossary_are_those_of_the_code() -> None:
    page = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    assert f"at least {ALIVE_DB:g} dB, else dead" in page
    assert f"Above {DISAGREEMENT:g} it is flagged" in page


def test_the_short_names_of_stages_are_those_in_the_tables_of_the_notebooks() -> None:
    page = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    names = re.findall(r"(?m)^\| `(\w+)` \| `(\w+)` \|$", page)
    assert names == [(stage.short, stage.name) for stage in RESTORMER.stages]
    assert RESTORMER.heading == "e1 e2 e3 bt d3 d2 d1 rf"
    heading = " ".join(short for short, _ in names)
    tables = re.findall(r'Column\("stages", "([^"]+)"\)', prose())
    assert set(tables) == {heading}
    assert f"`{heading}`" in page


# ---- the extension ----------------------------------------------------------------------------

DECLARED = 'task = "denoise"\nprofile = "mini"\nseed = 0\nout = ""'
PARAMETERS = nbformat.v4.new_code_cell(DECLARED, metadata={"tags": ["parameters"]})


def notebook(*sources: str, title: str = "# Title") -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    heading = nbformat.v4.new_markdown_cell(title)
    return nbformat.v4.new_notebook(cells=[heading, nbformat.from_dict(PARAMETERS), *cells])


def executed(*sources: str, title: str = "# Title", **parameters: object) -> nbformat.NotebookNode:
    """The same as papermill leaves it: a cell with the parameters, counts, outputs, metadata."""
    ran = notebook(*sources, title=title)
    for count, cell in enumerate(ran.cells[1:], 1):
        cell.execution_count = count
        cell.outputs = [nbformat.v4.new_output("stream", text=f"output {count}")]
    tag = {"tags": [extension.INJECTED]}
    ran.cells.insert(2, nbformat.v4.new_code_cell('out = "/somewhere"', metadata=tag))
    given = {"out": "/somewhere"} | parameters
    ran.metadata["papermill"] = {"output_path": "/somewhere", "parameters": given}
    return ran


def staged(
    tmp_path: Path, name: str = "01_one.ipynb", profile: str = "mini"
) -> nbformat.NotebookNode:
    config = SimpleNamespace(ensrepro_profile=profile, ensrepro_task="denoise")
    extension.stage(SimpleNamespace(srcdir=str(tmp_path / "book")), config)
    assert config.external_toc_path == (tmp_path / "_toc.yml").as_posix()
    return nbformat.read(tmp_path / "book" / "notebooks" / name, as_version=4)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("book", "notebooks", "results/mini/denoise"):
        (tmp_path / folder).mkdir(parents=True)
    nbformat.write(notebook("1 + 1"), tmp_path / "notebooks" / "01_one.ipynb")
    chapters = "".join(f"- file: notebooks/{name}\n" for name in ("01_one", "02_two"))
    (tmp_path / "_toc.yml").write_text(chapters, "utf-8")
    return tmp_path


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(extension.log, "warning", lambda form, *words: said.append(form % words))
    return said


@pytest.fixture
def remarks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(extension.log, "info", lambda form, *words: said.append(form % words))
    return said


MISSING = (
    "results/mini/denoise/01_one.ipynb is missing; notebooks/01_one.ipynb is shown without outputs"
)


def test_a_book_without_any_result_shows_its_notebooks_as_they_are(
    tree: Path, warnings: list[str], remarks: list[str]
) -> None:
    (tree / "results/mini/denoise/teacher.json").write_text("{}")
    (tree / "results/mini/denoise/01_one.partial.ipynb").write_text("{}")
    page = staged(tree)
    assert [cell.source for cell in page.cells] == ["# Title", DECLARED, "1 + 1"]
    assert not any(cell.get("outputs") for cell in page.cells)
    assert warnings == []
    assert remarks == [MISSING]


def test_a_missing_result_among_others_is_a_warning(
    tree: Path, warnings: list[str], remarks: list[str]
) -> None:
    nbformat.write(notebook("2"), tree / "notebooks" / "02_two.ipynb")
    nbformat.write(executed("2"), tree / "results/mini/denoise/02_two.ipynb")
    page = staged(tree)
    assert not any(cell.get("outputs") for cell in page.cells)
    assert warnings == [MISSING]
    assert remarks == []


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"task": "derain"}, "task='derain'"),
        ({"profile": "smoke", "seed": 1}, "profile='smoke', seed=1"),
        ({"tsak": "denoise"}, "tsak='denoise'"),
    ],
    ids=["task", "profile and seed", "a name that is not declared"],
)
def test_outputs_of_other_parameters_are_not_shown(
    parameters: dict[str, object], told: str, tree: Path, warnings: list[str]
) -> None:
    ran = executed("1 + 1", **parameters)
    nbformat.write(ran, tree / "results/mini/denoise/01_one.ipynb")
    page = staged(tree)
    assert not any(cell.get("outputs") for cell in page.cells)
    assert warnings == [
        f"results/mini/denoise/01_one.ipynb was run with {told}, not what its page says; "
        "run it again"
    ]


def test_the_profile_and_task_of_the_book_are_no_other_parameters(
    tree: Path, warnings: list[str]
) -> None:
    # A book of another profile: its runs were given the profile, and the notebook declares `mini`.
    (tree / "results/small/denoise").mkdir(parents=True)
    ran = executed("1 + 1", task="denoise", profile="small", seed=0)
    nbformat.write(ran, tree / "results/small/denoise/01_one.ipynb")
    assert staged(tree, profile="small").cells[-1].outputs
    assert warnings == []
    # ... and a run that was given nothing is one of `mini`.
    nbformat.write(executed("1 + 1"), tree / "results/small/denoise/01_one.ipynb")
    staged(tree, profile="small")
    assert len(warnings) == 1
    assert "profile='mini'" in warnings[0]


def test_a_notebook_that_was_run_by_hand_has_the_parameters_that_it_declares(
    tree: Path, warnings: list[str]
) -> None:
    ran = executed("1 + 1")
    ran.cells.pop(2)
    del ran.metadata["papermill"]
    nbformat.write(ran, tree / "results/mini/denoise/01_one.ipynb")
    assert staged(tree).cells[-1].outputs
    assert warnings == []


def test_outputs_come_from_the_executed_copy_and_words_from_the_notebook(
    tree: Path, warnings: list[str]
) -> None:
    ran = executed("1 + 1", title="# An older title")
    nbformat.write(ran, tree / "results/mini/denoise/01_one.ipynb")
    page = staged(tree)
    assert [cell.source for cell in page.cells] == ["# Title", DECLARED, "1 + 1"]
    assert [cell.outputs[0].text for cell in page.cells[1:]] == ["output 1", "output 2"]
    assert "somewhere" not in nbformat.writes(page)
    assert warnings == []


def test_a_copy_that_was_run_from_other_code_is_shown_with_a_warning(
    tree: Path, warnings: list[str]
) -> None:
    nbformat.write(executed("1 + 2"), tree / "results/mini/denoise/01_one.ipynb")
    page = staged(tree)
    assert page.cells[-1].source == "1 + 2"
    assert "somewhere" not in nbformat.writes(page)
    assert warnings == [
        "results/mini/denoise/01_one.ipynb was run from other code than notebooks/01_one.ipynb; "
        "run it again"
    ]


def test_a_copy_with_a_failed_cell_is_refused(tree: Path, warnings: list[str]) -> None:
    ran = executed("1 / 0")
    error = {"ename": "ZeroDivisionError", "evalue": "division by zero", "traceback": []}
    ran.cells[-1].outputs = [nbformat.v4.new_output("error", **error)]
    nbformat.write(ran, tree / "results/mini/denoise/01_one.ipynb")
    nbformat.write(notebook("1 / 0"), tree / "notebooks/01_one.ipynb")
    staged(tree)
    assert warnings == [
        "results/mini/denoise/01_one.ipynb: code cell 2 failed with ZeroDivisionError: "
        "division by zero; run it again"
    ]


def test_a_copy_whose_kernel_died_is_refused(tree: Path, warnings: list[str]) -> None:
    ran = executed("1 + 1")
    ran.cells[-1].update(execution_count=None, outputs=[])
    nbformat.write(ran, tree / "results/mini/denoise/01_one.ipynb")
    staged(tree)
    assert warnings == ["results/mini/denoise/01_one.ipynb: code cell 2 did not run; run it again"]


def test_a_notebook_about_another_pair_is_read_from_that_pair_s_folder(
    tree: Path, warnings: list[str]
) -> None:
    own = f'{DECLARED}\npair = "restormer-edge"'
    source, ran = notebook("1 + 1"), executed("1 + 1")
    for made in (source, ran):
        made.cells[1].source = own
    nbformat.write(source, tree / "notebooks/01_one.ipynb")
    (tree / "results/mini/denoise-edge").mkdir()
    nbformat.write(ran, tree / "results/mini/denoise-edge/01_one.ipynb")
    assert staged(tree).cells[-1].outputs[0].text == "output 2"
    assert warnings == []


def test_a_notebook_that_is_gone_leaves_the_book(tree: Path) -> None:
    staged(tree)
    nbformat.write(notebook("2"), tree / "notebooks" / "02_two.ipynb")
    (tree / "notebooks" / "01_one.ipynb").unlink()
    staged(tree, "02_two.ipynb")
    assert [p.name for p in (tree / "book" / "notebooks").iterdir()] == ["02_two.ipynb"]


def test_a_notebook_that_is_no_chapter_stays_out_of_the_book(tree: Path, warnings: list[str]):
    nbformat.write(notebook("3 + 3"), tree / "notebooks" / "03_three.ipynb")
    staged(tree)
    assert [path.stem for path in (tree / "book" / "notebooks").iterdir()] == ["01_one"]
    assert warnings == []


def test_an_unchanged_page_is_not_written_again(tree: Path) -> None:
    staged(tree)
    path = tree / "book" / "notebooks" / "01_one.ipynb"
    os.utime(path, ns=(1, 1))
    staged(tree)
    assert path.stat().st_mtime_ns == 1


def test_a_page_keeps_each_script_once_and_drops_thebe() -> None:
    def script(filename: str = "", body: str = "") -> SimpleNamespace:
        return SimpleNamespace(filename=filename, attributes={"body": body} if body else {})

    toggle = script(body="let toggle = 1")
    scripts = [script("a.js"), script("a.js"), script("_static/sphinx-thebe.js"), toggle]
    scripts += [script(body='const THEBE_JS_URL = "x"'), script(body="let toggle = 1")]
    context = {"script_files": scripts}
    extension.filter_scripts(SimpleNamespace(), "intro", "page.html", context, None)
    assert context["script_files"] == [scripts[0], toggle]


@pytest.mark.parametrize(("page", "folder"), [("notebooks/01_one", ""), ("intro", "book")])
def test_links_to_the_source_leave_the_staged_copy_alone(page: str, folder: str) -> None:
    app = SimpleNamespace(config=SimpleNamespace(html_theme_options={}))
    extension.link_to_source(app, page, "page.html", {}, None)
    assert app.config.html_theme_options["path_to_docs"] == folder


def test_the_contents_of_exercises_have_names_of_their_own() -> None:
    doctree = nodes.container()
    for name in ("ex-one", "ex-two"):
        exercise = nodes.container(ids=[name])
        exercise += nodes.section(ids=["exercise-content"])
        doctree += exercise
    extension.name_contents(SimpleNamespace(), doctree)
    ids = [section["ids"] for section in doctree.findall(nodes.section)]
    assert ids == [["ex-one-content"], ["ex-two-content"]]


# ---- links ------------------------------------------------------------------------------------


def test_links_of_notebooks_lead_somewhere_in_the_repository_and_in_the_book(tree: Path) -> None:
    linked = nbformat.v4.new_markdown_cell("[A4](../book/assumptions.md), [5](05_knee.ipynb)")
    nbformat.write(
        nbformat.v4.new_notebook(cells=[linked, nbformat.from_dict(PARAMETERS)]),
        tree / "notebooks" / "01_one.ipynb",
    )
    text = staged(tree).cells[0].source
    assert text == "[A4](../assumptions.md), [5](05_knee.ipynb)"

    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = nbformat.read(path, as_version=4)
        prose = "\n".join(c.source for c in page.cells if c.cell_type == "markdown")
        for link in re.findall(r"\]\(([^)#:]+)\)", prose):
            assert (path.parent / link).exists(), f"{path.name}: {link}"
