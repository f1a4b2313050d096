"""The command line and the strict runner: what is refused, and what counts as success."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import types
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import ensrepro
from ensrepro import artifacts, cli, notebook
from ensrepro.training import DivergedError

PARAMETERS = 'task = "denoise"\nprofile = "smoke"\nseed = 0\nout = ""\nrate = 0.5\nfast = False'
# What `artifacts.finish_notebook` leaves, written by hand so that a test can spoil it.
FINISH = """
import json, pathlib
from datetime import datetime, timezone
finished = datetime.now(timezone.utc).isoformat(timespec="microseconds")
parameters = dict(task=task, profile=profile, seed=seed, out=out, rate=rate, fast=fast)
manifest = dict(notebook="01_trial", finished=finished, provenance={}, parameters=parameters,
                headline={"psnr_db": 30.12345, "front": [1, 2]})
"""
WRITE = '\npathlib.Path(out, "01_trial.manifest.json").write_text(json.dumps(manifest))'


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the command line takes for the repository."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(artifacts, "repository", lambda: tmp_path)
    return tmp_path


def write_notebook(checkout: Path, *cells: str, parameters: str = PARAMETERS) -> Path:
    """notebooks/01_trial.ipynb with a parameters cell and further code cells."""
    first = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    content = new_notebook(cells=[first, *map(new_code_cell, cells)])
    content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    path = checkout / "notebooks" / "01_trial.ipynb"
    nbformat.write(content, path)
    return path


def run(checkout: Path, *arguments: str) -> int:
    """The notebook's exit status; quiet, so that only errors are told."""
    return cli.main(["run", "01_trial", "--quiet", "--out", str(checkout / "mine"), *arguments])


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_run_passes_its_parameters_and_is_judged_by_the_manifest(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    write_notebook(checkout, FINISH + WRITE)
    given = ("-p", "seed", "7", "-p", "rate", "1e-3", "-p", "fast", "true")
    assert cli.main(["run", "01_trial", "--out", str(checkout / "mine"), *given]) == 0
    manifest = json.loads((checkout / "mine" / "01_trial.manifest.json").read_text())
    assert manifest["parameters"] == {
        "task": "denoise",
        "profile": "smoke",
        "seed": 7,
        "out": str(checkout / "mine"),
        "rate": 0.001,
        "fast": True,
    }
    assert "01_trial: psnr_db 30.12\n" in capsys.readouterr().out
    left = {path.name for path in (checkout / "mine").iterdir() if path.suffix != ".lock"}
    assert left == {"01_trial.ipynb", "01_trial.manifest.json"}


def test_the_page_does_not_say_where_on_this_machine_it_was_made(checkout: Path):
    write_notebook(checkout, "text = 'a photo'", FINISH + WRITE)
    assert run(checkout) == 0
    page = nbformat.read(checkout / "mine" / "01_trial.ipynb", as_version=4)
    record = page.metadata.papermill
    assert record.parameters.pop("out") == str(checkout / "mine")  # as asked for
    assert str(checkout) not in json.dumps(record)
    assert record.duration > 0  # the rest of the record stays


def test_results_go_to_a_folder_of_the_profile_and_task_by_default(checkout: Path):
    place = checkout / "results" / "smoke" / "denoise"
    write_notebook(checkout, FINISH + WRITE.replace("(out,", f"({str(place)!r},"))
    assert cli.main(["run", "01_trial", "--quiet"]) == 0
    assert (place / "01_trial.ipynb").exists()


def test_results_of_another_pair_go_to_a_folder_of_its_own(checkout: Path):
    place = checkout / "results" / "smoke" / "denoise-uformer"
    finish = FINISH.replace("fast=fast)", "fast=fast, pair=pair)")
    finish += WRITE.replace("(out,", f"({str(place)!r},")
    write_notebook(checkout, finish, parameters=PARAMETERS + '\npair = "uformer-mambair"')
    assert cli.main(["run", "01_trial", "--quiet"]) == 0
    assert (place / "01_trial.ipynb").exists()


def test_a_pair_is_refused_where_the_notebook_has_none(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    write_notebook(checkout)
    assert run(checkout, "--pair", "uformer-mambair") == 2
    assert complaint(capsys).endswith(
        "pair is 'uformer-mambair'; expected none, since 01_trial has no such parameter: "
        "it is of restormer-mambair"
    )


def test_an_unknown_pair_is_refused_before_anything_runs(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    write_notebook(checkout, parameters=PARAMETERS + '\npair = "uformer-mambair"')
    assert cli.main(["run", "01_trial", "--quiet", "-p", "pair", "uformer"]) == 2
    assert "pair is 'uformer'; expected one of restormer-mambair, uformer-mambair" in complaint(
        capsys
    )
    assert not (checkout / "results").exists()


def test_progress_on_the_terminal_enters_no_page(checkout: Path):
    talk = "import sys\nprint('3 of 4', file=sys.__stderr__, flush=True)\nprint('a result')"
    write_notebook(checkout, talk, FINISH + WRITE)
    assert run(checkout) == 0
    page = (checkout / "mine" / "01_trial.ipynb").read_text()
    outputs = [output for cell in nbformat.reads(page, 4).cells for output in cell.outputs]
    assert [output.text for output in outputs if output.output_type == "stream"] == ["a result\n"]


def test_a_quiet_run_prints_the_page_and_nothing_else(
    checkout: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Not even what the library writes to the terminal from inside the kernel."""
    monkeypatch.chdir(checkout)
    talk = (
        "import sys, warnings\nfrom ensrepro.terminal import Terminal\n"
        "Terminal()('train', 1, 2)\nTerminal().say('An hour.')\nprint('a result')"
    )
    write_notebook(checkout, talk, FINISH + WRITE)
    asked = ["run", "01_trial", "--out", "mine"]
    assert cli.main([*asked, "--quiet"]) == 0
    printed = capfd.readouterr()
    assert printed.out == "mine/01_trial.ipynb\n"
    assert printed.err == ""
    assert cli.main(asked) == 0
    printed = capfd.readouterr()
    assert printed.out.splitlines()[1:] == ["01_trial: psnr_db 30.12", "mine/01_trial.ipynb"]
    assert "train: 1/2\nAn hour.\n" in printed.err


def test_a_notebook_runs_in_an_empty_folder(checkout: Path):
    look = "import os\nassert os.listdir('.') == []"
    write_notebook(checkout, look, FINISH + WRITE)
    assert run(checkout) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-p", "tsak", "denoise"], ["tsak", "task, profile, seed", "did you mean 'task'?"]),
        (["-p", "seed", "abc"], ["seed is 'abc'", "a whole number"]),
        (["-p", "seed", "1.5"], ["seed is '1.5'", "a whole number"]),
        (["-p", "rate", "nan"], ["rate is 'nan'", "a finite number"]),
        (["-p", "fast", "1"], ["fast is '1'", "true or false"]),
        (["-p", "task", "1e3"], ["task is '1e3'", "denoise"]),
        (["--task", "denoize"], ["task is 'denoize'", "denoise"]),
        (["--profile", "paper"], ["profile is 'paper'", "data sets", "smoke, mini, small"]),
        (["--profile", "huge"], ["profile is 'huge'", "smoke", "mini", "paper"]),
        (["-p", "seed", "1", "-p", "seed", "2"], ["seed is given twice"]),
        (["--task", "denoise", "-p", "task", "denoise"], ["task is given twice"]),
        (["-p", "seed", "-1"], ["seed is -1", "an integer >= 0"]),
    ],
    ids=" ".join,
)
def test_a_bad_parameter_is_refused_in_one_sentence(
    arguments: list[str], words: list[str], checkout: Path, capsys: pytest.CaptureFixture[str]
):
    write_notebook(checkout, FINISH + WRITE)
    assert run(checkout, *arguments) == 2
    line = complaint(capsys)
    for word in words:
        assert word in line
    assert not (checkout / "mine").exists()  # nothing was run


def test_an_unknown_notebook_is_refused_with_the_known_ones(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    write_notebook(checkout)
    assert cli.main(["run", "01_trail"]) == 2
    assert complaint(capsys).endswith("expected one of 01_trial; did you mean '01_trial'?")


@pytest.mark.parametrize("option", ["--tsak", "--tas"])
def test_an_unknown_or_shortened_option_is_refused(option: str, checkout: Path):
    write_notebook(checkout, FINISH + WRITE)
    with pytest.raises(SystemExit) as caught:
        run(checkout, option, "denoise")
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "parameters",
    ["seed = 1 + 1", "import os", "a, b = (1, 2)", "seed = None", "seed = [1]", "seed: int = 1"],
)
def test_a_parameters_cell_of_other_than_literals_is_refused(
    parameters: str, checkout: Path, capsys: pytest.CaptureFixture[str]
):
    write_notebook(checkout, parameters=parameters)
    assert run(checkout) == 2
    assert f"01_trial.ipynb has {parameters!r} in its parameters cell" in complaint(capsys)


def test_negative_numbers_are_literals_too(checkout: Path):
    path = write_notebook(checkout, parameters="offset = -3\nrate = -1e-3")
    assert notebook.declared_parameters(path) == {"offset": -3, "rate": -0.001}


def test_an_error_in_a_cell_is_told_with_its_message(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    write_notebook(checkout, 'raise ValueError("sampler is 7; expected text")', FINISH + WRITE)
    assert run(checkout) == 1
    line = complaint(capsys)
    assert "ValueError: sampler is 7; expected text" in line
    assert "01_trial.partial.ipynb" in line


KILL = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize(
    "cells", [(KILL, FINISH + WRITE), (FINISH + WRITE, KILL)], ids=["before", "after"]
)
def test_a_killed_kernel_is_a_failure(
    cells: tuple[str, ...], checkout: Path, capsys: pytest.CaptureFixture[str]
):
    write_notebook(checkout, *cells)
    assert run(checkout) == 1
    assert "01_trial" in complaint(capsys)
    assert not (checkout / "mine" / "01_trial.ipynb").exists()


def test_a_notebook_that_writes_no_manifest_has_failed(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    write_notebook(checkout, "print('all cells completed')")
    assert run(checkout) == 1
    assert "was not written" in complaint(capsys)


def test_a_manifest_of_an_earlier_run_is_no_success_and_stays(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    write_notebook(checkout, FINISH + WRITE)
    assert run(checkout) == 0
    files = [checkout / "mine" / name for name in ("01_trial.ipynb", "01_trial.manifest.json")]
    before = [path.read_bytes() for path in files]
    write_notebook(checkout, "print('does not get to the end')")
    capsys.readouterr()
    assert run(checkout) == 1
    assert "older than this run" in complaint(capsys)
    assert [path.read_bytes() for path in files] == before


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({"parameters": {"seed": 1, "rate": 0.5}}, "says seed=1; expected 0"),
        ({"parameters": {"seed": 0}}, "says rate=None; expected 0.5"),
        ({"parameters": {"seed": 0, "rate": 0.5, "more": 1}}, "says more=1; expected None"),
        ({"finished": "2026-01-02T00:00:00+00:00"}, "is older than this run"),
        ({"finished": "2026-01-02T00:00:00.000001"}, "is not a notebook's manifest"),
        ({"finished": "today"}, "is not a notebook's manifest"),
        ({"headline": 30.1}, "is not a notebook's manifest"),
    ],
)
def test_a_manifest_of_another_run_is_no_success(
    spoil: dict[str, object], words: str, tmp_path: Path
):
    values = {"seed": 0, "rate": 0.5, "out": "here"}
    started = datetime(2026, 1, 2, tzinfo=UTC)
    good = {
        "finished": "2026-01-02T00:00:00.000001+00:00",
        "parameters": {"seed": 0, "rate": 0.5, "out": "there"},  # where it lies is no matter
        "headline": {},
    }
    path = tmp_path / "01_trial.manifest.json"
    path.write_text(json.dumps(good))
    assert notebook.accepted_manifest(path, values, started) == good
    path.write_text(json.dumps(good | spoil))
    with pytest.raises(notebook.RunError, match=re.escape(words)):
        notebook.accepted_manifest(path, values, started)


@pytest.mark.parametrize("text", ["", "[1]", '{"finished": ', '"' + "x" * 10_000])
def test_a_file_that_is_no_manifest_is_no_success(text: str, tmp_path: Path):
    path = tmp_path / "01_trial.manifest.json"
    path.write_text(text)
    with pytest.raises(notebook.RunError, match="is not a notebook's manifest"):
        notebook.accepted_manifest(path, {}, datetime(2026, 1, 2, tzinfo=UTC))


def test_two_runs_into_one_folder_exclude_each_other(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    write_notebook(checkout, FINISH + WRITE)
    with notebook.sole_run(checkout / "mine", "01_trial"):
        assert run(checkout) == 1
    assert "already running" in complaint(capsys)
    assert run(checkout) == 0


def test_an_interrupted_run_has_its_own_exit_status(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupt(*_arguments: object, **_options: object):
        raise KeyboardInterrupt

    write_notebook(checkout, FINISH + WRITE)
    monkeypatch.setattr(notebook, "execute", interrupt)
    assert run(checkout) == 130
    assert complaint(capsys) == "ensrepro: interrupted"


def test_list_prints_notebooks_tasks_and_profiles(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    write_notebook(checkout)
    assert cli.main(["list"]) == 0
    printed = capsys.readouterr().out
    for word in ("01_trial", "rate=0.5", "denoise", "smoke", "mini"):
        assert word in printed


def test_list_says_what_a_notebook_is_about(checkout: Path, capsys: pytest.CaptureFixture[str]):
    path = write_notebook(checkout)
    content = nbformat.read(path, 4)
    content.cells.insert(0, new_markdown_cell("Words\n\n# 7 · Wiener's filter\n\n## More"))
    nbformat.write(content, path)
    assert cli.main(["list"]) == 0
    assert re.search(r"^  01_trial +Wiener's filter$", capsys.readouterr().out, re.MULTILINE)


def test_help_ends_with_examples_that_are_understood(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    examples = re.findall(r"^  python -m ensrepro (.+)$", capsys.readouterr().out, re.MULTILINE)
    assert len(examples) >= 3
    for example in examples:
        cli.parser().parse_args(example.split())


def test_every_command_says_in_its_help_what_it_does_and_where_files_go(
    capsys: pytest.CaptureFixture[str],
):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    listed = re.findall(r"^    (\w+)  +\S", capsys.readouterr().out, re.MULTILINE)
    assert {"run", "list", "bench", "search", "work", "evaluate", "data"} <= set(listed)
    for name in ("run", "bench", "search", "work"):
        with pytest.raises(SystemExit):
            cli.main([name, "--help"])
        told = " ".join(capsys.readouterr().out.split())
        assert all(f"OUT/{folder}" in told for folder in ("results", "weights", "checkpoints"))
        assert re.search(r"lacks is read from the repository", told)


def test_reproduce_passes_on_what_was_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    calls: list[tuple[object, ...]] = []
    row = {"quantity": "knee", "committed": None, "reproduced": 30.12345, "difference": None}
    done = types.SimpleNamespace(rows=[row], n_found=2)
    reproduce = types.SimpleNamespace(
        reproduce=lambda *asked, pair: calls.append((*asked, pair)) or done
    )
    monkeypatch.setattr(ensrepro, "reproduce", reproduce, raising=False)
    monkeypatch.setitem(sys.modules, "ensrepro.reproduce", reproduce)
    assert cli.main(["reproduce", "--profile", "smoke"]) == 0
    told, *_, last = capsys.readouterr().out.splitlines()
    assert told == "2 results of an earlier call were taken as they are"
    assert last.split() == ["knee", "-", "30.12", "-"]
    assert calls == [("denoise", "smoke", "restormer-mambair")]


@pytest.mark.parametrize(
    ("command", "module", "function"),
    [
        (["bench"], "bench", "build"),
        (["search", "--storage", "sqlite:///x"], "sharing", "coordinate"),
        (["work", "a-search", "--storage", "sqlite:///x"], "sharing", "work"),
    ],
)
@pytest.mark.parametrize("pair", ["restormer-mambair", "uformer-mambair"])
def test_a_pair_is_passed_on_and_the_first_one_is_the_default(
    monkeypatch: pytest.MonkeyPatch, command: list[str], module: str, function: str, pair: str
):
    asked: list[object] = []

    def called(*_names: str, pair: str, **_options: object) -> None:
        asked.append(pair)
        raise ValueError("far enough")

    loaded = importlib.import_module(f"ensrepro.{module}")
    monkeypatch.setattr(loaded, function, called)
    given = [] if pair == "restormer-mambair" else ["--pair", pair]
    assert cli.main([*command, *given]) == 1
    assert asked == [pair]


def test_an_error_is_one_sentence_unless_its_origin_is_asked_for(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    assert cli.main(["run", "01_trial"]) == 2
    assert complaint(capsys).startswith("ensrepro: notebook is '01_trial'")
    with pytest.raises(notebook.UsageError):
        cli.main(["--traceback", "run", "01_trial"])


def fail_to_reproduce(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let `reproduce` end with the error as soon as it is called."""

    def reproduce(*_asked: str, pair: str) -> None:
        raise error

    module = types.SimpleNamespace(reproduce=reproduce)
    monkeypatch.setattr(ensrepro, "reproduce", module, raising=False)
    monkeypatch.setitem(sys.modules, "ensrepro.reproduce", module)


def test_a_training_that_diverges_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    fail_to_reproduce(monkeypatch, DivergedError("the loss is nan; lower the rate"))
    assert cli.main(["reproduce"]) == 1
    assert complaint(capsys) == "ensrepro: the loss is nan; lower the rate"


def test_an_error_of_our_own_making_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch):
    fail_to_reproduce(monkeypatch, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        cli.main(["reproduce"])


def test_a_package_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    # None in sys.modules is how Python itself says that a module is not to be had
    monkeypatch.delitem(sys.modules, "ensrepro.reproduce", raising=False)
    monkeypatch.delattr(ensrepro, "reproduce", raising=False)
    monkeypatch.setitem(sys.modules, "ensrepro.reproduce", None)
    assert cli.main(["reproduce"]) == 1
    assert complaint(capsys).startswith("ensrepro: ensrepro.reproduce is not installed")
    fail_to_reproduce(monkeypatch, ImportError("BM3D needs an optional package"))
    assert cli.main(["reproduce"]) == 1
    assert complaint(capsys) == "ensrepro: BM3D needs an optional package"


def test_the_package_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "ensrepro", "frobnicate"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "run" in done.stderr


def test_claims_prints_a_status_for_each_claim(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["claims"]) == cli.DONE
    printed = capsys.readouterr().out
    assert "speedup-deblurring" in printed
    assert "consistent arithmetic" in printed


def test_a_profile_that_was_never_run_leaves_its_claims_open(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["claims", "--profile", "paper"]) == cli.DONE
    counts = capsys.readouterr().out.splitlines()
    assert "   0  reproduced at our scale" in counts
