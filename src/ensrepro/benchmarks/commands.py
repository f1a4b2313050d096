"""The commands `data list | check | unpack` and `evaluate`; what they need is imported when run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensrepro import config

if TYPE_CHECKING:
    from ensrepro.benchmarks.subjects import Subject


OUT_HELP = (
    "folder for OUT/NETWORK/BENCHMARK.json, the result, and .jsonl, its rows "
    "(default: results/mine/benchmarks)"
)


def list_command(_arguments: argparse.Namespace) -> None:
    """Print the benchmarks."""
    from ensrepro.benchmarks.catalog import BENCHMARKS

    for one in BENCHMARKS.values():
        number = one.n_images or "a list of"
        print(f"{one.name:<12} {one.task:<13} {number!s:>9} images  {one.protocol:<11} {one.note}")


def check_command(arguments: argparse.Namespace) -> None:
    """Say what of a benchmark is there; an incomplete one is an error."""
    from ensrepro.benchmarks import catalog, checking

    benchmark = catalog.benchmark(arguments.benchmark)
    found = checking.inspect(
        benchmark, arguments.root, layout=arguments.layout, decode=arguments.decode
    )
    print(checking.describe(found), flush=True)
    if not found.is_complete:
        raise ValueError(f"{benchmark.name} in {arguments.root} is not complete")


def unpack_command(arguments: argparse.Namespace) -> None:
    """Unpack an archive safely."""
    from ensrepro.benchmarks import unpacking

    n_files = unpacking.unpack(arguments.archive, arguments.root)
    print(f"{n_files} files in {arguments.root}")


def show(what: str, done: int, total: int) -> None:
    """One line on the terminal, written over."""
    print(f"\r{done}/{total} {what:<60.60}", end="", file=sys.stderr, flush=True)


def subject_of(arguments: argparse.Namespace, task: str) -> Subject:
    """What the arguments name: a released checkpoint, a profile's teacher, or the input itself."""
    from ensrepro.benchmarks import subjects

    size, device, pair = arguments.image_size, arguments.device, arguments.pair
    subjects.check_device(device)
    if pair is not None and arguments.profile is None:
        raise ValueError(f"pair is {pair}; expected none without --profile")
    if arguments.weights is not None:
        return subjects.from_file(arguments.weights, task, device=device, image_size=size)
    if size is not None:
        raise ValueError(f"image size is {size}; expected none without --weights of a Uformer")
    if arguments.profile is not None:
        return subjects.from_profile(
            task, arguments.profile, device=device, pair=pair or config.DEFAULT_PAIR
        )
    return subjects.unchanged(task)


def evaluate_command(arguments: argparse.Namespace) -> None:
    """Evaluate a released checkpoint, a profile's teacher or nothing on a benchmark."""
    from ensrepro.benchmarks import catalog

    benchmark = catalog.benchmark(arguments.benchmark)  # before what takes seconds to import
    from ensrepro import artifacts
    from ensrepro.benchmarks import checking, evaluation, perceptual, reports, subjects
    from ensrepro.benchmarks.evaluation import NOT_ASKED
    from ensrepro.benchmarks.layouts import Inference

    subject = subject_of(arguments, arguments.task or benchmark.task)
    subjects.check_fits(benchmark, subject)
    found = checking.inspect(benchmark, arguments.root, layout=arguments.layout)
    checking.require(found, partial=arguments.partial)  # before LPIPS fetches anything
    tiles = None if arguments.tile is None else Inference(tile=arguments.tile, margin=32)
    asked = "lpips" in benchmark.also
    place = Path(arguments.out or artifacts.repository() / "results/mine/benchmarks")
    result = evaluation.run(
        subject,
        found,
        place / subject.folder,
        partial=arguments.partial,
        inference=tiles,
        perceptual=perceptual.alexnet(download=arguments.download) if asked else NOT_ASKED,
        report=None if arguments.quiet else show,
    )
    print(("" if arguments.quiet else "\n") + reports.markdown([result]))


def add_data(commands: Any) -> None:
    """The command `data` with its own commands."""
    data = commands.add_parser("data", help="the real benchmarks on your disk", allow_abbrev=False)
    below = data.add_subparsers(metavar="command", required=True)
    listing = below.add_parser("list", help="print the benchmarks", allow_abbrev=False)
    listing.set_defaults(command=list_command)
    check = below.add_parser("check", help="say what is there and what is not", allow_abbrev=False)
    check.set_defaults(command=check_command)
    check.add_argument("benchmark", help="one of those that `data list` prints")
    check.add_argument("root", help="the folder that holds it")
    check.add_argument("--layout", help="how it lies there (default: what fits best)")
    check.add_argument("--decode", action="store_true", help="read every pixel, too")
    unpack = below.add_parser("unpack", help="unpack an archive safely", allow_abbrev=False)
    unpack.set_defaults(command=unpack_command)
    unpack.add_argument("archive", help="a zip or tar file")
    unpack.add_argument("root", help="the folder to unpack it in")


def add_evaluate(commands: Any) -> None:
    """The command `evaluate`."""
    evaluate = commands.add_parser(
        "evaluate", help="score a network on a real benchmark", allow_abbrev=False
    )
    evaluate.set_defaults(command=evaluate_command)
    evaluate.add_argument("benchmark", help="one of those that `data list` prints")
    evaluate.add_argument("root", help="the folder that holds it")
    what = evaluate.add_mutually_exclusive_group()
    what.add_argument("--weights", help="a released checkpoint (.pth)")
    what.add_argument(
        "--profile",
        choices=config.PROFILES,
        help="the teacher of a profile (default: the input itself)",
    )
    evaluate.add_argument(
        "--pair", choices=config.PAIRS, help=f"whose teacher (default: {config.DEFAULT_PAIR})"
    )
    evaluate.add_argument(
        "--task",
        choices=config.TASKS,
        help="what the network was trained for (default: the benchmark's)",
    )
    evaluate.add_argument(
        "--image-size", type=int, help="of a Uformer: side of the images it was trained on"
    )
    evaluate.add_argument("--layout", help="how the benchmark lies there (default: what fits best)")
    evaluate.add_argument("--partial", action="store_true", help="take a set that is not complete")
    evaluate.add_argument(
        "--tile", type=int, help="side of tiles, where whole images are too large"
    )
    evaluate.add_argument("--download", action="store_true", help="let LPIPS fetch its weights")
    evaluate.add_argument("--device", default="cpu", help="where the network runs (default: cpu)")
    evaluate.add_argument("--out", help=OUT_HELP)
    evaluate.add_argument("--quiet", action="store_true", help="show no progress")


def add(commands: Any) -> None:
    """Add both to a command line's subparsers."""
    add_data(commands)
    add_evaluate(commands)
