"""The notebooks: paired, small, without outputs, strict about their parameters; and all run."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import papermill
import pytest

from ensrepro import cli, config, notebook

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = (
    "01_profiling",
    "02_erf",
    "03_distillation",
    "04_search",
    "05_knee",
    "06_finetune",
    "07_results",
    "08_ablations",
    "09_latency",
    "10_uformer",
    "11_landscape",
    "12_samplers",
    "13_tasks",
    "14_edge",
)
COMMON = {"task": "denoise", "profile": "mini", "seed": 0, "out": ""}
PATH = re.compile(r"\.{1,2}/|~/|(results|weights|notebooks|book|src)/|\S+\.(json|png|csv|npz)$")
each = pytest.mark.parametrize("name", NOTEBOOKS)


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_cells(name: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(name).cells if cell.cell_type == "code"]


def test_exactly_the_expected_notebooks_are_there():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NOTEBOOKS)
    assert sorted(path.stem for path in (FOLDER / "text").glob("*.py")) == sorted(NOTEBOOKS)


@each
def test_a_notebook_and_its_text_twin_say_the_same(name: str):
    def essence(nb: nbformat.NotebookNode) -> list[tuple[str, str, list[str]]]:
        return [(c.cell_type, c.source, sorted(c.metadata.get("tags", []))) for c in nb.cells]

    assert essence(jupytext.read(FOLDER / "text" / f"{name}.py")) == essence(read(name))


@each
def test_a_notebook_is_committed_without_outputs(name: str):
    for cell in code_cells(name):
        assert cell.outputs == []
        assert cell.execution_count is None
    kernel = read(name).metadata.kernelspec  # papermill runs nothing without both
    assert (kernel.name, kernel.language) == ("python3", "python")


@each
def test_the_first_code_cell_holds_the_parameters(name: str):
    first, *others = code_cells(name)
    assert first.metadata.tags == ["parameters"]
    assert not any("parameters" in cell.metadata.get("tags", []) for cell in others)
    declared = notebook.declared_parameters(FOLDER / f"{name}.ipynb")
    assert {key: declared.get(key) for key in COMMON} == COMMON
    assert len(declared.keys() - {"pair"}) <= len(COMMON) + 6


@each
def test_the_notebook_tells_the_story_and_the_library_does_the_work(name: str):
    cells = code_cells(name)
    assert len(cells) <= 25
    for number, cell in enumerate(cells):
        where = f"code cell {number}"
        assert len(cell.source.splitlines()) <= 15, where
        assert not re.search(r"^\s*[!%]", cell.source, re.MULTILINE), where
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        nodes = list(ast.walk(ast.parse(cell.source)))
        assert not any(isinstance(node, kinds) for node in nodes), where
        texts = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        paths = [text for text in texts if PATH.match(text)]
        assert paths == [], f"{where}: a path means another file in another folder"


@each
def test_a_notebook_says_at_the_top_what_it_reproduces_and_ends_with_exercises(name: str):
    cells = [cell.source for cell in read(name).cells if cell.cell_type == "markdown"]
    opening = "\n".join(cells[:2])
    assert re.search(r"^# ", opening, re.MULTILINE)
    assert re.search(r"section|figure|table", opening, re.IGNORECASE)
    text = "\n".join(cells)
    assert len(re.findall(r"\{exercise(?:-start)?\}", text)) == 2
    solutions = re.findall(r"\{solution(?:-start)?\}[^`]*", text)
    assert len(solutions) == 2
    assert all(":class: dropdown" in solution for solution in solutions)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all smoke runs, so that a notebook finds what an earlier one left there."""
    return tmp_path_factory.mktemp("smoke results")  # with a space, as many folders have


@each
def test_a_notebook_runs_in_profile_smoke(
    name: str, smoke: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["run", name, "--task", "denoise", "--profile", "smoke", "--out", str(smoke)]
    status = cli.main([*command, "--quiet"])
    assert status == cli.DONE, capsys.readouterr().err
    manifest = json.loads((smoke / f"{name}.manifest.json").read_text("utf-8"))
    assert manifest["notebook"] == name
    assert manifest["parameters"]["profile"] == "smoke"
    assert manifest["headline"]
    assert manifest["provenance"]["task"] == "denoise"
    page = nbformat.read(smoke / f"{name}.ipynb", as_version=4)
    ran = [cell for cell in page.cells if cell.cell_type == "code" and cell.source.strip()]
    assert all(cell.execution_count for cell in ran)
    shown = "".join(out.get("data", {}).get("text/html", "") for c in ran for out in c.outputs)
    pictures = re.findall(r"<img[^>]*>", shown)
    assert pictures, "a notebook shows at least one figure"
    assert all(re.search(r'alt="[^"]{20,}"', picture) for picture in pictures)
    outputs = json.dumps([cell.outputs for cell in ran])
    assert str(smoke) not in outputs, "a page tells nothing of the machine that made it"


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("05_knee", {"task": "denoize"}, list(config.TASKS)),
        ("05_knee", {"profile": "tiny"}, list(config.PROFILES)),
        ("04_search", {"sampler": "nsga4"}, ["random", "nsga2"]),
        ("05_knee", {"seed": "abc"}, ["seed", "abc"]),
        ("05_knee", {"task": 1000.0}, ["task", "1000.0"]),
    ],
    ids=["task", "profile", "sampler", "text for a number", "number for a text"],
)
def test_a_notebook_refuses_a_bad_parameter_in_one_sentence(
    name: str, parameters: dict[str, object], expected: list[str], tmp_path: Path
):
    # Through papermill itself, which checks nothing: the notebook has to.
    with pytest.raises(papermill.PapermillExecutionError) as caught:
        papermill.execute_notebook(
            FOLDER / f"{name}.ipynb",
            tmp_path / "page.ipynb",
            parameters={"profile": "smoke", "out": str(tmp_path)} | parameters,
            progress_bar=False,
            cwd=tmp_path,
        )
    assert caught.value.ename in {"ValueError", "TypeError"}
    assert "\n" not in caught.value.evalue
    for word in expected:
        assert word in caught.value.evalue
    left = [path.name for path in tmp_path.iterdir()]
    assert left == ["page.ipynb"], "nothing is computed before all parameters are checked"


@pytest.mark.parametrize("page", ["README.md", "book/how_to_read.md"])
def test_the_printed_papermill_command_works_on_a_fresh_clone(page: str):
    text = (ROOT / page).read_text("utf-8").replace("\\\n", " ")
    (command,) = re.findall(r"^papermill (.+)$", text, re.MULTILINE)
    source, target, *options = command.split()
    assert (ROOT / source).is_file()
    folder = (ROOT / target).parent
    assert (folder / ".gitkeep").is_file(), "git keeps no empty folder"
    given = {name: value for _, name, value in zip(*[iter(options)] * 3, strict=True)}
    assert given.pop("out") == str(Path(target).parent), "else committed manifests are replaced"
    assert given.keys() <= notebook.declared_parameters(ROOT / source).keys()


def test_the_two_ways_to_run_a_notebook_do_not_write_one_file():
    text = (ROOT / "README.md").read_text("utf-8")
    (strict,) = re.findall(r"^make run NB=(\S+) .*--out ([^\s\"]+)", text, re.MULTILINE)
    (papermill_page,) = re.findall(r"^papermill \S+ (\S+)", text, re.MULTILINE)
    name, folder = strict
    assert f"{folder}/{name}.ipynb" != papermill_page
    assert folder.startswith("results/mine/"), "else git would see the files"


NUMBERS = (
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
COUNTED = {
    "notebooks": len(NOTEBOOKS),
    "tasks": len(config.TASKS),
    "profiles": len(config.PROFILES),
    "pairs": len(config.PAIRS),
}


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "book/how_to_read.md", "book/intro.md"]
)
def test_what_a_page_counts_is_as_many_as_there_are(page: str):
    text = " ".join((ROOT / page).read_text("utf-8").split())
    for what, n in COUNTED.items():
        said = re.findall(rf"\b({'|'.join(NUMBERS)}|\d+) {what}\b", text, re.IGNORECASE)
        assert {NUMBERS.index(s.lower()) + 2 if s.isalpha() else int(s) for s in said} <= {n}, what


def test_the_readme_names_every_task_and_pair():
    text = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in (*config.TASKS, *config.PAIRS) if f"`{name}`" not in text] == []


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_git_keeps_the_folder_for_runs_of_your_own_and_ignores_what_is_in_it():
    def ignored(path: str) -> bool:
        command = ["git", "check-ignore", "--quiet", "--no-index", path]
        return subprocess.run(command, cwd=ROOT, check=False).returncode == 0

    assert not ignored("results/mine/.gitkeep")
    assert ignored("results/mine/04_search.ipynb")
    assert ignored("results/mine/weights/mini/denoise/teacher.safetensors")
    assert not ignored("results/mini/denoise/04_search.ipynb")


def test_papermill_without_an_output_path_prints_the_notebook(smoke: Path, tmp_path: Path):
    source = str(FOLDER / "05_knee.ipynb")
    parameters = [*("-p", "profile", "smoke"), *("-p", "out", str(smoke))]
    (smoke / "05_knee.manifest.json").unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "papermill", source, *parameters, "--no-progress-bar"],
        stdin=subprocess.DEVNULL,  # a pipe would be read as the notebook
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert nbformat.reads(done.stdout, as_version=4).cells
    assert (smoke / "05_knee.manifest.json").exists()
