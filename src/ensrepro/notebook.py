"""Run a notebook strictly: its own parameters only, success only by the manifest it writes.

Papermill alone ignores a misspelt parameter, guesses types, wants its output folder to exist, and
calls a notebook completed whose kernel was killed. Here the parameters are those that the notebook
declares, with their types, and the only evidence of success is the manifest that its last cell
writes: fresh, and of these very parameters.
"""

from __future__ import annotations

import ast
import fcntl
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ensrepro import artifacts, config
from ensrepro.artifacts import Store

Value = str | int | float | bool
KINDS = {str: "text", bool: "true or false", int: "a whole number", float: "a finite number"}

# The kernel's own log only tells of its sockets, and of being interrupted when it is told to end.
# What the library writes to the terminal, its progress, stays there and enters no page.
QUIET_KERNEL = ["--log-level=50", "--IPKernelApp.capture_fd_output=False"]
SILENT_KERNEL = ["--IPKernelApp.no_stderr=True"]  # not that either

# What papermill notes in a notebook and would publish where a person's files lie.
PRIVATE_METADATA = ("input_path", "output_path", "environment_variables")


class UsageError(ValueError):
    """What the caller asked for cannot be understood; nothing was run."""


class RunError(RuntimeError):
    """A notebook ran and did not deliver."""


def closest(name: str, names: Sequence[str]) -> str:
    """A hint at the end of a sentence, or nothing."""
    matches = get_close_matches(name, names, n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def find(name: str, folder: Path) -> Path:
    """The notebook called `name`, with or without its ending."""
    names = sorted(path.stem for path in folder.glob("[0-9]*.ipynb"))
    stem = name.removesuffix(".ipynb")
    if stem not in names:
        known = ", ".join(names) or f"none, {folder} holds no notebook"
        raise UsageError(f"notebook is {name!r}; expected one of {known}{closest(stem, names)}")
    return folder / f"{stem}.ipynb"


def literal_assignment(statement: ast.stmt) -> tuple[str, Value]:
    """Name and value of `name = literal`; a ValueError for anything else."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=expression):
            value = ast.literal_eval(expression)
            if type(value) in KINDS:
                return name, value
    raise ValueError(ast.unparse(statement))


def declared_parameters(notebook: Path) -> dict[str, Value]:
    """Names and defaults in the one cell tagged `parameters`, read without running it."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1:
        raise UsageError(f"{notebook.name} has {len(tagged)} cells tagged parameters; expected one")
    declared: dict[str, Value] = {}
    for statement in ast.parse("".join(tagged[0]["source"])).body:
        try:
            name, default = literal_assignment(statement)
        except ValueError:
            raise UsageError(
                f"{notebook.name} has {ast.unparse(statement)!r} in its parameters cell; "
                "expected name = literal"
            ) from None
        declared[name] = default
    return declared


def title(notebook: Path) -> str:
    """The notebook's first heading, without its number; nothing if it has none."""
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        for line in "".join(cell["source"]).splitlines():
            if cell["cell_type"] == "markdown" and line.startswith("# "):
                return line.removeprefix("# ").split(" · ")[-1]
    return ""


def converted(name: str, text: str, default: Value) -> Value:
    """The text as a value of the default's type; never guessed from what it looks like."""
    try:
        match default:
            case str():
                return text
            case bool():
                return {"true": True, "false": False}[text.lower()]
            case int():
                return int(text)
            case _:
                if not math.isfinite(number := float(text)):
                    raise ValueError(text)
                return number
    except (KeyError, ValueError):
        raise UsageError(f"{name} is {text!r}; expected {KINDS[type(default)]}") from None


def check_values(values: Mapping[str, Value]) -> None:
    """A UsageError unless names and values are known ones, as far as no network is needed."""
    from ensrepro import parameters  # numpy and scipy, which a misspelt name need not wait for

    pair = values.get("pair", config.DEFAULT_PAIR)
    try:
        if "task" in values:
            config.named("task", values["task"], config.TASKS)
        if "profile" in values:
            config.check_data(config.named("profile", values["profile"], config.PROFILES))
        space = config.named("pair", pair, config.PAIRS).space
        parameters.check_values(space, values)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from None


def resolved_parameters(notebook: Path, given: Sequence[tuple[str, str]]) -> dict[str, Value]:
    """Every parameter of the notebook: as given, else its default; a UsageError for bad ones."""
    values = declared_parameters(notebook)
    seen: set[str] = set()
    for name, text in given:
        if name == "pair" and name not in values:
            raise UsageError(
                f"pair is {text!r}; expected none, since {notebook.stem} has no such parameter: "
                f"it is of {config.DEFAULT_PAIR}"
            )
        if name not in values:
            raise UsageError(
                f"{notebook.stem} has no parameter {name!r}; "
                f"expected one of {', '.join(values)}{closest(name, list(values))}"
            )
        if name in seen:
            raise UsageError(f"{name} is given twice; expected once")
        seen.add(name)
        values[name] = converted(name, text, values[name])
    check_values(values)
    if values.get("out"):
        values["out"] = str(Path(str(values["out"])).resolve())  # the notebook runs elsewhere
    return values


def output_folder(values: dict[str, Value]) -> Path:
    """Where the notebook puts its manifest: `out`, else the folder of profile, task and pair."""
    if values.get("out"):
        return Path(str(values["out"]))
    profile, task = str(values["profile"]), str(values["task"])
    suffix = config.PAIRS[str(values.get("pair", config.DEFAULT_PAIR))].suffix
    return Store(profile, task, artifacts.repository(), suffix=suffix).own(artifacts.RESULTS, "")


@contextmanager
def sole_run(folder: Path, stem: str) -> Iterator[None]:
    """Keep a second run of the notebook out of the folder; let go when the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f".{stem}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{stem} is already running into {folder}") from None
        yield


def execute(notebook: Path, target: Path, values: dict[str, Value], progress: bool) -> None:
    """Run the notebook through papermill in an empty folder; a RunError says what stopped it."""
    try:
        import papermill
    except ImportError as error:
        raise RunError(f"{error.name} is not installed; try pip install 'ensrepro[book]'") from None
    with tempfile.TemporaryDirectory() as nowhere:
        try:
            papermill.execute_notebook(
                str(notebook),
                str(target),
                parameters=values,
                kernel_name="python3",
                language="python",
                progress_bar=progress and sys.stderr.isatty(),
                cwd=nowhere,
                extra_arguments=QUIET_KERNEL if progress else [*QUIET_KERNEL, *SILENT_KERNEL],
            )
        except papermill.PapermillExecutionError as error:
            reason = str(error.evalue).strip() or "no message"
            raise RunError(
                f"{notebook.stem} stopped in cell {error.exec_count}: {error.ename}: {reason} "
                f"(see {target})"
            ) from None
        except RuntimeError as error:  # the kernel died; for lack of memory, as a rule
            raise RunError(f"{notebook.stem} was stopped: {error} (see {target})") from None


def accepted_manifest(path: Path, values: dict[str, Value], started: datetime) -> dict[str, Any]:
    """The manifest if this run wrote it; `out` may be told apart, it only says where."""
    try:
        content = json.loads(path.read_text("utf-8"))
        finished = datetime.fromisoformat(content["finished"])
        parameters, _ = dict(content["parameters"]), dict(content["headline"])
        if finished <= started:
            raise RunError(f"{path} is older than this run: the last cell was not reached")
    except FileNotFoundError:
        raise RunError(f"{path} was not written: the last cell was not reached") from None
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is not a notebook's manifest: {error!r}") from None
    for name in sorted((values.keys() | parameters.keys()) - {"out"}):
        if parameters.get(name) != values.get(name):
            raise RunError(
                f"{path} says {name}={parameters.get(name)!r}; expected {values.get(name)!r}"
            )
    return content


def publish(executed: Path, target: Path) -> None:
    """Replace `target` by the executed notebook, without the paths of this machine."""
    notebook = json.loads(executed.read_text("utf-8"))
    record = notebook["metadata"]["papermill"]
    for key in PRIVATE_METADATA:
        record.pop(key, None)
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    artifacts.write_bytes(target, text.encode())
    executed.unlink()


def run(
    notebook: Path, values: dict[str, Value], progress: bool = True
) -> tuple[Path, dict[str, Any]]:
    """Execute a notebook; its executed copy and accepted manifest, or a RunError.

    A page from an earlier run stays until this run is accepted; what a failed run got to is left
    beside it as NN_name.partial.ipynb.
    """
    folder = output_folder(values)
    with sole_run(folder, notebook.stem):
        partial = folder / f"{notebook.stem}.partial.ipynb"
        started = datetime.now(UTC)
        execute(notebook, partial, values, progress)
        manifest = accepted_manifest(folder / f"{notebook.stem}.manifest.json", values, started)
        target = folder / notebook.name
        publish(partial, target)
    return target, manifest
