"""The benchmarks as values: what the paper's tables and the rest of the library expect of them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import ensrepro
from ensrepro import config, metrics, paper
from ensrepro.benchmarks import catalog
from ensrepro.benchmarks.catalog import BENCHMARKS, DERAINING
from ensrepro.benchmarks.layouts import TARGET, Inference

SOURCE = Path(ensrepro.__file__).parent


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=BENCHMARKS)
def test_a_benchmark_agrees_with_its_task_and_protocol(benchmark):
    task = config.TASKS[benchmark.task]
    assert benchmark.in_channels == task.in_channels
    assert benchmark.protocol in metrics.PROTOCOLS
    if benchmark.name not in ("gopro", "hide", "realblur-j", "realblur-r", "sensenoise"):
        assert benchmark.protocol == task.protocol
    assert benchmark.title.split(",")[0] in metrics.PROTOCOLS[benchmark.protocol].what or (
        benchmark.is_training
    )


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=BENCHMARKS)
def test_every_layout_pairs_one_target_by_fields_that_are_known(benchmark):
    for layout in benchmark.layouts:
        assert [view.role for view in layout.views].count(TARGET) == 1
        assert layout.views[-1].role == TARGET
        if layout.listing is None:  # the first view's fields say which files belong together
            for view in layout.views:
                assert set(view.fields) <= set(layout.views[0].fields), (layout.name, view)


def test_every_benchmark_of_the_papers_tables_is_there():
    printed = set()
    for number in (1, 2, 4):
        printed |= set(paper.table(number)["dataset"]) - {"Average"}
    assert printed <= {benchmark.title for benchmark in BENCHMARKS.values()}
    groups = {group for group, _ in catalog.benchmark("dpdd").groups}
    assert {name.lower() for name in paper.table(3)["dataset"]} == groups | {"combined"}
    means = set(paper.table(1)["dataset"]) - {"Average"}
    assert {catalog.benchmark(name).title for name in DERAINING} == means


def test_an_unknown_benchmark_is_refused_with_the_names():
    with pytest.raises(ValueError, match=r"benchmark is 'bsd68'; expected one of gopro, hide"):
        catalog.benchmark("bsd68")


def test_no_value_is_made_from_a_bare_list_of_texts():
    """Four texts in a row that a reader has to count: `*("a", "b", ...)` in a call."""
    found = [
        f"{path.name}:{call.lineno}"
        for path in (SOURCE / "benchmarks").glob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        for given in call.args
        if isinstance(given, ast.Starred) and isinstance(given.value, ast.Tuple)
    ]
    assert found == []


def test_tiles_that_their_margins_use_up_are_refused():
    with pytest.raises(ValueError, match="tile is 64; expected at least 129 pixels"):
        Inference(tile=64, margin=64)


def test_no_step_of_the_method_can_see_a_test_image():
    """Only the command line, which nothing imports, and what prints tables reach the benchmarks."""
    reaching = set()
    for path in SOURCE.rglob("*.py"):
        text = ast.parse(path.read_text("utf-8"))
        names = [n.module or "" for n in ast.walk(text) if isinstance(n, ast.ImportFrom)]
        names += [
            f"{n.module}.{alias.name}"
            for n in ast.walk(text)
            if isinstance(n, ast.ImportFrom)
            for alias in n.names
        ]
        names += [a.name for n in ast.walk(text) if isinstance(n, ast.Import) for a in n.names]
        if any(name.startswith("ensrepro.benchmarks") for name in names):
            reaching.add(path.relative_to(SOURCE).parts[0])
    assert "benchmarks" in reaching  # the search does see imports
    assert reaching <= {"benchmarks", "results", "cli.py"}
