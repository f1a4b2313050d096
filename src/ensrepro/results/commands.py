"""The command `tables`: the paper's tables, printed or written to files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ensrepro import artifacts, config, paper

FORMS = ("text", "csv", "latex")


def tables_command(arguments: argparse.Namespace) -> None:
    """Print tables, or write a file for each."""
    from ensrepro.results import paper_tables

    found = paper_tables.of_profile(arguments.profile, arguments.records)
    chosen = paper.TABLES if arguments.table is None else (arguments.table,)
    for number in chosen:
        made = paper_tables.rendered(number, found, arguments.format)
        if arguments.out is None:
            print(made, end="" if number == chosen[-1] else "\n")
            continue
        ending = paper_tables.FORMATS[arguments.format][1]
        path = Path(arguments.out) / f"table_{number}.{ending}"
        artifacts.write_bytes(path, made.encode())
        print(path)


def add(commands: Any) -> None:
    """Add it to a command line's subparsers."""
    command = commands.add_parser(
        "tables", help="the paper's tables, with what was measured", allow_abbrev=False
    )
    command.set_defaults(command=tables_command)
    command.add_argument("--table", type=int, choices=paper.TABLES, help="default: all six")
    command.add_argument(
        "--format", choices=FORMS, default="text", help="csv: one line a cell, with its source"
    )
    command.add_argument("--out", help="folder for files; existing ones are replaced")
    command.add_argument("--profile", choices=config.PROFILES, default="mini")
    command.add_argument(
        "--records", help="folder of evaluations (default: results/mine/benchmarks)"
    )
