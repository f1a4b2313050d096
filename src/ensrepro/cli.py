"""The command line: `python -m ensrepro run | list | claims | reproduce | bench | ...`.

Exit status: 0 done, 1 failed, 2 not understood, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ensrepro import artifacts, config, notebook
from ensrepro.benchmarks import commands as benchmark_commands
from ensrepro.devices import commands as device_commands
from ensrepro.queue import QueueError

DONE, FAILED, NOT_UNDERSTOOD, INTERRUPTED = 0, 1, 2, 130


def notebooks() -> Path:
    """The folder of the notebooks; they belong to the checkout, not to an installed package."""
    return artifacts.repository() / "notebooks"


def shortest(path: Path) -> str:
    """The path from the current folder if it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def summary(headline: dict[str, Any]) -> str:
    """The single numbers and words of a notebook's headline, in one line."""
    single = {name: value for name, value in headline.items() if not isinstance(value, dict | list)}
    return ", ".join(f"{name} {number(value)}" for name, value in single.items()) or "done"


def number(value: object) -> str:
    """A float with four digits, anything else as it is; a dash for nothing."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def run_command(arguments: argparse.Namespace) -> None:
    """Execute one notebook strictly."""
    source = notebook.find(arguments.notebook, notebooks())
    given = [(name, text) for name, text in arguments.parameter]
    for name in ("task", "profile", "out"):
        if getattr(arguments, name) is not None:
            given.append((name, getattr(arguments, name)))
    values = notebook.resolved_parameters(source, given)
    shown = ", ".join(f"{name}={value}" for name, value in values.items() if value != "")
    print(f"{source.stem}: {shown}", flush=True)
    page, manifest = notebook.run(source, values, progress=not arguments.quiet)
    print(f"{source.stem}: {summary(manifest['headline'])}\n{shortest(page)}", flush=True)


def list_command(_arguments: argparse.Namespace) -> None:
    """Print the notebooks with their parameters, the tasks, the profiles and the pairs."""
    rows = {"notebooks": [], "tasks": [], "profiles": [], "pairs": []}
    for path in sorted(notebooks().glob("[0-9]*.ipynb")):
        declared = notebook.declared_parameters(path)
        rows["notebooks"].append((path.stem, ", ".join(f"{k}={v!r}" for k, v in declared.items())))
    rows["tasks"] += [(task.name, task.what) for task in config.TASKS.values()]
    rows["profiles"] += [(profile.name, profile.price) for profile in config.PROFILES.values()]
    rows["pairs"] += [
        (
            name,
            f"{pair.space.n_architectures:,} architectures, {pair.space.n_surrogates} surrogates",
        )
        for name, pair in config.PAIRS.items()
    ]
    for heading, lines in rows.items():
        print(heading)
        for name, what in lines:
            print(f"  {name:<16} {what}")


def claims_command(arguments: argparse.Namespace) -> None:
    """Print how many claims of the paper have which status, and the status of each."""
    from ensrepro import claims

    print(claims.report(arguments.profile))


def reproduce_command(arguments: argparse.Namespace) -> None:
    """Redo a task from nothing and report the differences from what is committed."""
    from ensrepro.reproduce import reproduce
    from ensrepro.training import DivergedError

    try:
        done = reproduce(arguments.task, arguments.profile, pair=arguments.pair)
    except DivergedError as error:
        raise notebook.RunError(str(error)) from error
    if done.n_found:
        print(f"{done.n_found} results of an earlier call were taken as they are")
    columns = ("quantity", "committed", "reproduced", "difference")
    lines = [columns, *([number(row[column]) for column in columns] for row in done.rows)]
    width = max(len(line[0]) for line in lines)
    for name, *numbers in lines:
        print(f"{name:<{width}}", *(f"{text:>12}" for text in numbers))


def bench_command(arguments: argparse.Namespace) -> None:
    """Measure every architecture of a task."""
    from ensrepro import bench, pipeline

    made = bench.build(
        arguments.task,
        arguments.profile,
        pair=arguments.pair,
        out=arguments.out or "",
        processes=arguments.processes,
        progress=pipeline.show_progress,
    )
    result = made.result
    print(f"{result.n_rows} architectures on {result.n_images} crops: {result.file}")


def search_command(arguments: argparse.Namespace) -> None:
    """Coordinate one search whose architectures other processes help to measure."""
    from ensrepro import sharing

    found = sharing.coordinate(
        arguments.storage,
        task=arguments.task,
        profile=arguments.profile,
        pair=arguments.pair,
        out=arguments.out or "",
        sampler=arguments.sampler,
        n_trials=arguments.n_trials,
        seed=arguments.seed,
    )
    print(f"{found.sampler}: {found.n_unique} architectures, {len(found.front)} on the front")


def work_command(arguments: argparse.Namespace) -> None:
    """Measure what a search asks for."""
    from ensrepro import sharing

    n = sharing.work(
        arguments.storage,
        arguments.name,
        task=arguments.task,
        profile=arguments.profile,
        pair=arguments.pair,
        idle_seconds=arguments.idle_seconds,
        out=arguments.out or "",
    )
    print(f"{n} architectures measured")


def restore_command(arguments: argparse.Namespace) -> None:
    """Restore one image file."""
    from ensrepro import evaluate

    source, target = Path(arguments.source), Path(arguments.target)
    evaluate.restore_file(source, target, arguments.task, arguments.profile, arguments.pair)
    print(shortest(target))


def sentence(error: Exception) -> str:
    """What an error says to a person; a module that is not there is named with its remedy."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{error.name} is not installed; try make setup, or pip install 'ensrepro[book]'"
    return str(error)


def sharing_commands(commands: Any) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """`search` and `work`: one search on many machines."""
    search = commands.add_parser(
        "search", help="coordinate a search that workers share", allow_abbrev=False
    )
    search.set_defaults(command=search_command)
    search.add_argument("--sampler", default="exact-ehvi", help="one of notebook 04's")
    search.add_argument("--n-trials", type=int, help="proposals (default: the profile's number)")
    search.add_argument("--seed", type=int, default=0)
    work = commands.add_parser("work", help="measure for such a search", allow_abbrev=False)
    work.set_defaults(command=work_command)
    work.add_argument("name", help="of the search; `search` prints it")
    work.add_argument("--idle-seconds", type=float, default=600.0, help="wait for work so long")
    for command in (search, work):
        command.add_argument("--out", help="folder for results (default: results/PROFILE/TASK)")
        command.add_argument(
            "--storage", required=True, help="sqlite:///FILE or postgresql+psycopg://HOST/DATABASE"
        )
    return search, work


def name_what(command: argparse.ArgumentParser) -> None:
    """Let a command be told the task, the profile and the pair."""
    command.add_argument("--task", choices=config.TASKS, default="denoise")
    command.add_argument("--profile", choices=config.PROFILES, default="mini")
    command.add_argument("--pair", choices=config.PAIRS, default=config.DEFAULT_PAIR)


def parser() -> argparse.ArgumentParser:
    """All commands; a shortened option is refused like any other unknown one."""
    top = argparse.ArgumentParser("python -m ensrepro", allow_abbrev=False)
    top.add_argument("--traceback", action="store_true", help="show where an error came from")
    commands = top.add_subparsers(metavar="command", required=True)
    run = commands.add_parser("run", help="execute one notebook strictly", allow_abbrev=False)
    run.add_argument("notebook", help="its name, such as 04_search")
    run.add_argument("--task", help="one of those that `list` prints")
    run.add_argument("--profile", help="the scale, one of those that `list` prints")
    run.add_argument("--out", help="folder for the results (default: results/PROFILE/TASK)")
    run.add_argument("--quiet", action="store_true", help="show no progress")
    run.add_argument(
        *("-p", "--parameter"),
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="any parameter of the notebook; may be given several times",
    )
    run.set_defaults(command=run_command)

    listing = commands.add_parser("list", help="print notebooks, tasks and profiles")
    listing.set_defaults(command=list_command)

    ledger = commands.add_parser(
        "claims", help="print the verdict on every claim of the paper", allow_abbrev=False
    )
    ledger.set_defaults(command=claims_command)
    ledger.add_argument("--profile", choices=config.PROFILES, default="mini")

    reproduce = commands.add_parser(
        "reproduce", help="redo a task from nothing, report the differences", allow_abbrev=False
    )
    reproduce.set_defaults(command=reproduce_command)
    restore = commands.add_parser("restore", help="restore one image file", allow_abbrev=False)
    restore.set_defaults(command=restore_command)
    restore.add_argument("source", help="the degraded image")
    restore.add_argument("target", help="the PNG file to write")
    bench = commands.add_parser(
        "bench", help="measure every architecture of a task", allow_abbrev=False
    )
    bench.set_defaults(command=bench_command)
    bench.add_argument("--processes", type=int, help="of one thread each (default: one a core)")
    bench.add_argument("--out", help="folder for the results (default: results/PROFILE/TASK)")
    search, work = sharing_commands(commands)
    benchmark_commands.add(commands)
    device_commands.add(commands)
    for command in (reproduce, bench, search, work, restore):
        name_what(command)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    arguments = parser().parse_args(argv)  # exits with 2 by itself
    try:
        arguments.command(arguments)
    except KeyboardInterrupt:
        print("ensrepro: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (notebook.RunError, QueueError, ValueError, TypeError, OSError, ImportError) as error:
        if arguments.traceback:
            raise
        print(f"ensrepro: {sentence(error)}", file=sys.stderr)
        return NOT_UNDERSTOOD if isinstance(error, notebook.UsageError) else FAILED
    return DONE
