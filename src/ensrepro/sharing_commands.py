"""The commands `search` and `work`; what they need is imported when run."""

from __future__ import annotations

import argparse
from typing import Any

from ensrepro import notebook

OUT = (
    "folder for new files, below OUT/results, OUT/weights and OUT/checkpoints; what it lacks is "
    "read from the repository (default: the repository)"
)


def search_command(arguments: argparse.Namespace) -> None:
    """Coordinate one search whose architectures other processes help to measure."""
    asked = {"sampler": arguments.sampler, "seed": arguments.seed}
    asked |= {} if arguments.n_trials is None else {"n_trials": arguments.n_trials}
    notebook.check_values({**asked, "profile": arguments.profile, "pair": arguments.pair})
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


def add(commands: Any) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Add both to a command line's subparsers; they still lack task, profile and pair."""
    search = commands.add_parser(
        "search", help="coordinate one search that several processes share", allow_abbrev=False
    )
    search.set_defaults(command=search_command)
    search.add_argument("--sampler", default="exact-ehvi", help="one of notebook 04's")
    search.add_argument("--n-trials", type=int, help="proposals (default: the profile's number)")
    search.add_argument("--seed", type=int, default=0)
    work = commands.add_parser(
        "work", help="measure architectures for such a search", allow_abbrev=False
    )
    work.set_defaults(command=work_command)
    work.add_argument("name", help="of the search; `search` prints it")
    work.add_argument("--idle-seconds", type=float, default=600.0, help="wait for work so long")
    for command in (search, work):
        command.add_argument("--out", help=OUT)
        command.add_argument(
            "--storage", required=True, help="sqlite:///FILE or postgresql+psycopg://HOST/DATABASE"
        )
    return search, work
