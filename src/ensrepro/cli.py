"""The command line: `python -m ensrepro run | list | claims | reproduce | bench | ...`.

Exit status: 0 done, 1 failed, 2 not understood, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ensrepro import artifacts, config, notebook, sharing_commands
from ensrepro.benchmarks import commands as benchmark_commands
from ensrepro.devices import commands as device_commands
from ensrepro.queue import QueueError
from ensrepro.restoring import commands as restoring_commands
from ensrepro.results import commands as results_commands

EXAMPLES = """\
examples:
  python -m ensrepro list
  python -m ensrepro run 05_knee --out results/mine/knee
  python -m ensrepro run 04_search -p sampler motpe -p seed 3 --out results/mine/motpe
  python -m ensrepro restore noisy.png -o restored.png
`python -m ensrepro COMMAND --help` tells the options of a command."""

WHERE_FILES_ARE = (
    "OUT holds the page NOTEBOOK.ipynb and NOTEBOOK.manifest.json, and below OUT/results, "
    "OUT/weights and OUT/checkpoints, in folders PROFILE/TASK, what had to be computed for it. "
    "What OUT lacks is read from the repository; only what neither has is computed. Without --out "
    "the repository is OUT, and page and manifest go into its results/PROFILE/TASK, over those "
    "that are committed."
)
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
    for name in ("task", "profile", "pair", "out"):
        if getattr(arguments, name) is not None:
            given.append((name, getattr(arguments, name)))
    values = notebook.resolved_parameters(source, given)
    shown = ", ".join(f"{name}={value}" for name, value in values.items() if value != "")
    if not arguments.quiet:
        print(f"{source.stem}: {shown}", flush=True)
    page, manifest = notebook.run(source, values, progress=not arguments.quiet)
    if not arguments.quiet:
        print(f"{source.stem}: {summary(manifest['headline'])}")
    print(shortest(page), flush=True)


def list_command(_arguments: argparse.Namespace) -> None:
    """Print the notebooks with their parameters, the tasks, the profiles and the pairs."""
    print("notebooks, with their parameters")
    for path in sorted(notebooks().glob("[0-9]*.ipynb")):
        declared = notebook.declared_parameters(path)
        print(f"  {path.stem:<18} {notebook.title(path)}")
        print(f"  {'':<18} {', '.join(f'{name}={value!r}' for name, value in declared.items())}")
    tables = {
        "tasks": {task.name: task.what for task in config.TASKS.values()},
        "profiles": {profile.name: profile.price for profile in config.PROFILES.values()},
        "pairs": {
            pair.name: f"{pair.expressive} and {pair.efficient}: "
            f"{pair.space.n_architectures:,} architectures, {pair.space.n_surrogates} surrogates"
            for pair in config.PAIRS.values()
        },
    }
    for heading, lines in tables.items():
        print(heading)
        for name, what in lines.items():
            print(f"  {name:<18} {what}")


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
    from ensrepro import bench, outlook
    from ensrepro.steps import context
    from ensrepro.terminal import Terminal

    terminal = Terminal()
    ctx = context.open_context(
        arguments.profile, arguments.task, arguments.out or "", arguments.pair
    )
    config.check_data(ctx.profile)
    outlook.Announcer(ctx, terminal).announce(outlook.of_table(ctx))
    made = bench.build(
        arguments.task,
        arguments.profile,
        pair=arguments.pair,
        out=arguments.out or "",
        processes=arguments.processes,
        progress=terminal,
    )
    result = made.result
    print(f"{result.n_rows} architectures on {result.n_images} crops: {result.file}")


def sentence(error: Exception) -> str:
    """What an error says to a person; a module that is not there is named with its remedy."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{error.name} is not installed; try make setup, or pip install 'ensrepro[book]'"
    return str(error)


def name_what(command: argparse.ArgumentParser) -> None:
    """Let a command be told the task, the profile and the pair."""
    command.add_argument("--task", choices=config.TASKS, default="denoise")
    command.add_argument("--profile", choices=config.PROFILES, default="mini")
    command.add_argument("--pair", choices=config.PAIRS, default=config.DEFAULT_PAIR)


def add_run(commands: Any) -> None:
    """`run`: one notebook."""
    run = commands.add_parser(
        "run",
        help="execute one notebook strictly, and train what it needs and is not on file",
        epilog=WHERE_FILES_ARE,
        allow_abbrev=False,
    )
    run.set_defaults(command=run_command)
    run.add_argument("notebook", help="its name, such as 04_search")
    run.add_argument("--task", help="one of those that `list` prints (default: denoise)")
    run.add_argument("--profile", help="the scale, one of those that `list` prints (default: mini)")
    run.add_argument("--pair", help="the two families, where the notebook has that parameter")
    run.add_argument("--out", help="folder for all files (default: the repository), see below")
    run.add_argument("--quiet", action="store_true", help="print the path of the page, or an error")
    run.add_argument(
        *("-p", "--parameter"),
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="any parameter of the notebook; may be given several times",
    )


def parser() -> argparse.ArgumentParser:
    """All commands; a shortened option is refused like any other unknown one."""
    top = argparse.ArgumentParser(
        "python -m ensrepro",
        description="The paper's method, its results and its networks, from the command line.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--traceback", action="store_true", help="show where an error came from")
    commands = top.add_subparsers(metavar="command", required=True)
    add_run(commands)
    listing = commands.add_parser(
        "list", help="print notebooks, tasks, profiles and pairs", allow_abbrev=False
    )
    listing.set_defaults(command=list_command)

    ledger = commands.add_parser(
        "claims", help="print the verdict on every claim of the paper", allow_abbrev=False
    )
    ledger.set_defaults(command=claims_command)
    ledger.add_argument("--profile", choices=config.PROFILES, default="mini")

    reproduce = commands.add_parser(
        "reproduce", help="train a task from nothing, report the differences", allow_abbrev=False
    )
    reproduce.set_defaults(command=reproduce_command)
    bench = commands.add_parser(
        "bench", help="measure every architecture of a task into a table", allow_abbrev=False
    )
    bench.set_defaults(command=bench_command)
    bench.add_argument("--processes", type=int, help="of one thread each (default: one a core)")
    bench.add_argument("--out", help=sharing_commands.OUT)
    search, work = sharing_commands.add(commands)
    benchmark_commands.add(commands)
    device_commands.add(commands)
    results_commands.add(commands)
    for command in (reproduce, bench, search, work, *restoring_commands.add(commands)):
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
