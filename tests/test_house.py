"""Rules of the house that a program can check: order of imports, sizes, what is never done."""

from __future__ import annotations

import ast
import graphlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ensrepro

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "ensrepro"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
    if path != SOURCE / "__init__.py"
}

# A module imports only what stands before it. A package stands for all modules in it.
ORDER = (
    *(
        "space",
        "schedules",
        "pareto",
        "landscape",
        "metrics",
        "config",
        "artifacts",
        "pages",
        "weights",
    ),
    *("timing", "records", "exchange", "runtime", "terminal", "paper", "seeds", "claims"),
    *(
        "models._lanes",
        "models._scan_numba",
        "models._scan_torch",
        "models.scan",
        "models.mambair",
    ),
    *("models.restormer", "models.uformer_windows", "models.uformer", "models.edge"),
    "models.hybrid",
    *("models.official", "models"),
    *("degrade", "classical", "data", "training", "distill", "png", "images", "ledger"),
    *("tiles", "scorer", "evaluate", "exhaustive", "ehvi", "samplers", "search", "parameters"),
    *("trials", "queue"),
    *("erf", "latency", "costs", "tables", "figures"),
    *(
        "steps",
        "export",
        "devices",
        "bench",
        "outlook",
        "truth",
        "comparison",
        "study",
        "notebook",
        "pipeline",
        "across",
        "curves",
        "fast",
        "sharing",
        "sharing_commands",
        "reproduce",
        "benchmarks",
        "restoring",
        "results",
        "devices.commands",
        "cli",
        "__main__",
    ),
)
# Results can be read, and the tables of the book built, where torch is not installed.
LIGHT = (
    *("space", "schedules", "pareto", "metrics", "config", "artifacts", "pages", "weights"),
    *("paper", "terminal", "seeds", "claims", "tables", "timing", "records", "exchange"),
)
HEAVY = ("torch", "numba", "optuna", "matplotlib", "papermill")

# Import name -> distribution, where the two differ.
DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "mamba_ssm": "mamba-ssm",
    "PIL": "pillow",
    "google": "protobuf",  # google.protobuf, whose error says that a file is no ONNX
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "llvmlite": "numba",  # numba is built on it and pins it
    "IPython": "ipython",
}
# Folders of a person's machine; a committed file that names one works nowhere else.
MACHINE_PATH = re.compile(r"(?<![\w./~-])/(?:home|Users|root|work|tmp|opt|var/folders)/[\w.]")
TEXT = {".py", ".md", ".ipynb", ".json", ".jsonl", ".toml", ".yml", ".cff", ".csv", ".txt", ".sh"}
GENERATED = {"_build", "__pycache__", "checkpoints", "data"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def entry(module: str) -> str | None:
    """The place of a module in ORDER: its own, else its package's."""
    parts = module.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((name for name in names if name in ORDER), None)


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """(full name, line) of everything a file imports, inside functions too.

    A name imported from a package of ours is the module of that name if there is one.
    """
    package = ["ensrepro", *path.relative_to(SOURCE).parent.parts]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                ours = full.removeprefix("ensrepro.") in MODULES
                yield (full if ours else base), node.lineno


def own_imports(path: Path) -> Iterator[tuple[str, int]]:
    """(module, line) of the imports of our own modules, without the leading `ensrepro.`."""
    for name, line in imported(path):
        if name.split(".")[0] == "ensrepro" and name != "ensrepro":
            yield name.removeprefix("ensrepro."), line


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def committed_text() -> Iterator[Path]:
    """Text files that are, or will be, committed."""
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix in TEXT)
    yield from (ROOT / name for name in ("Makefile", "LICENSE", ".ci/run"))
    for folder in ("src", "tests", "notebooks", "book", "results", "requirements", "benchmarks"):
        for here, below, names in os.walk(ROOT / folder):
            own = ("assets", "mine", "smoke")  # vendored, and runs that git ignores
            below[:] = [name for name in below if name not in GENERATED and name not in own]
            if Path(here) == ROOT / "book":
                below[:] = [name for name in below if name != "notebooks"]  # staged copies
            yield from (Path(here, name) for name in names if Path(name).suffix in TEXT)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_above_itself(module: str):
    place = entry(module)
    assert place, f"{module} has no place in ORDER"
    for name, line in own_imports(MODULES[module]):
        assert entry(name), f"{module}:{line} imports {name}, which has no place in ORDER"
        assert ORDER.index(entry(name)) <= ORDER.index(place), f"{module}:{line} imports {name}"


def test_no_import_leads_back():
    # prepare() raises CycleError and names the cycle
    graph = {
        module: {name for name, _ in own_imports(path) if name != module}
        for module, path in MODULES.items()
    }
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", [name for name in MODULES if name in LIGHT])
def test_a_light_module_imports_only_light_ones_and_no_torch(module: str):
    for name, line in imported(MODULES[module]):
        root = name.split(".")[0]
        assert root not in {"torch", "numba"}, f"{module}:{line} imports {name}"
        if root == "ensrepro" and name != "ensrepro":
            assert entry(name.removeprefix("ensrepro.")) in LIGHT, f"{module}:{line}: {name}"


def loaded_after(statement: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_the_package_loads_nothing_else():
    loaded = loaded_after("import ensrepro")
    assert "ensrepro" in loaded
    assert not loaded & {*HEAVY, "numpy", "pandas", "scipy", "skimage"}


def test_importing_all_light_modules_loads_no_torch():
    names = [f"ensrepro.{name}" for name in LIGHT if name in MODULES]
    assert len(names) >= 6
    loaded = loaded_after(f"import {', '.join(names)}")
    assert "numpy" in loaded  # the listing does see what is loaded
    assert not loaded & {"torch", "numba", "optuna", "papermill"}


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_a_module_is_short_and_so_are_its_functions(path: Path):
    assert len(path.read_text("utf-8").splitlines()) <= 300
    for function in functions(path):
        length = function.end_lineno - function.lineno + 1
        assert length <= 50, f"{function.name} has {length} lines"
        if function.name == "__init__":
            arguments = function.args
            n_parameters = len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs) - 1
            assert n_parameters <= 8, f"line {function.lineno}: {n_parameters} parameters"


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_a_module_says_what_it_is(path: Path):
    assert ast.get_docstring(tree(path))
    assert path.stem not in {"utils", "util", "helpers", "common", "misc"}


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_no_function_passes_unknown_keywords_on(path: Path):
    for function in functions(path):
        rest = function.args.kwarg.arg if function.args.kwarg else None
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        for call in calls:
            passed = [ast.unparse(k.value) for k in call.keywords if k.arg is None]
            assert rest is None or rest not in passed, f"{function.name}: {ast.unparse(call)}"


def dangers(path: Path) -> Iterator[str]:
    """Calls and imports that could run what a file or an argument contains."""
    for name, line in imported(path):
        if name.split(".")[0] in {"cPickle", "dill", "shelve", "marshal", "cloudpickle"}:
            yield f"line {line}: import {name}"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module == "pickle":
            yield f"line {node.lineno}: from pickle"
        # The module's exceptions may be caught; nothing else of it may be touched.
        attribute = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        if attribute.startswith("pickle.") and not attribute.endswith("Error"):
            yield f"line {node.lineno}: {attribute}"
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called in {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"}:
            yield f"line {node.lineno}: {called}"
        if called.endswith("torch.load") and keywords.get("weights_only") != "True":
            yield f"line {node.lineno}: {called} without weights_only=True"
        if keywords.get("allow_pickle") == "True" or "True" in keywords.get("shell", ""):
            yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_nothing_from_a_file_is_ever_executed(path: Path):
    assert list(dangers(path)) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.load(file)",
        "from pickle import loads",
        "import dill",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "yaml.load(text)",
        "subprocess.run(command, shell=True)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_the_check_for_execution_sees(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.modules[__name__], "SOURCE", tmp_path)
    (tmp_path / "bad.py").write_text(code)
    assert len(list(dangers(tmp_path / "bad.py"))) == 1


def test_no_committed_file_names_a_folder_of_a_machine():
    found = [
        f"{path.relative_to(ROOT)}:{n}"
        for path in committed_text()
        for n, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


def test_the_check_for_folders_sees_one():
    assert MACHINE_PATH.search('open("' + "/home" + '/ada/photo.png")')
    assert not MACHINE_PATH.search("https://example.org/home/ada")


def declared() -> set[str]:
    """Canonical names of every dependency in pyproject.toml, all extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = list(chain(project["dependencies"], *project["optional-dependencies"].values()))
    return {canonicalize_name(Requirement(line).name) for line in lines}


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_what_is_imported_is_declared(path: Path):
    roots = {name.split(".")[0] for name, _ in imported(path)}
    foreign = roots - set(sys.stdlib_module_names) - {"ensrepro"}
    names = {canonicalize_name(DISTRIBUTIONS.get(root, root)) for root in foreign}
    assert names <= declared(), f"not in pyproject.toml: {names - declared()}"


def test_what_is_declared_is_pinned_for_linux_and_macos():
    lines = [
        line
        for path in (ROOT / "requirements").glob("*.txt")
        for line in path.read_text("utf-8").splitlines()
        if not line.startswith(("#", "-r"))
    ]
    pins = {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}
    assert len(pins) == len(lines)  # nothing is pinned twice
    assert declared() - {"ensrepro", "mamba-ssm", "bm3d", "lpips", "torchvision"} <= pins.keys()
    for name, pin in pins.items():
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), f"{pin}: not one public version"
        assert not name.startswith(("nvidia-", "cuda-", "triton"))


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == ensrepro.__version__
    assert f"## {ensrepro.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_style_checker_finds_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", ROOT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
