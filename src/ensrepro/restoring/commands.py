"""The commands `restore` and `export`; what they need is imported when run."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ensrepro.restoring.runtimes import Asked

ARCH = (
    "teacher (default), knee (the chosen fine-tuned hybrid), or the number or label of an "
    "architecture whose fine-tuned weights are on file"
)


def asked(arguments: argparse.Namespace) -> Asked:
    """The network that the arguments name."""
    from ensrepro.restoring.runtimes import Asked

    return Asked(arguments.arch, arguments.task, arguments.profile, arguments.pair)


def target_of(arguments: argparse.Namespace) -> Path:
    """The file to write, which is given once."""
    given = [path for path in (arguments.target, arguments.output) if path is not None]
    if len(given) != 1:
        raise ValueError(f"{len(given)} files to write are given; expected one, by -o FILE.png")
    return Path(given[0])


def restore_command(arguments: argparse.Namespace) -> None:
    """Restore one image file."""
    from ensrepro import images
    from ensrepro.restoring import photos, progress, runtimes

    target = target_of(arguments)
    images.check_target(target)  # before a network is loaded
    with runtimes.opened(asked(arguments), arguments.runtime, arguments.threads) as ready:
        photos.restore(
            ready.net,
            arguments.source,
            target,
            right=arguments.right,
            tile=arguments.tile,
            watch=photos.unwatched
            if arguments.quiet
            else partial(progress.shown, ready=ready, stream=sys.stderr),
        )
    print(target)


def export_command(arguments: argparse.Namespace) -> None:
    """Write a trained network as an ONNX file."""
    from ensrepro import export, images
    from ensrepro.restoring import networks

    target = Path(arguments.target)
    images.check_target(target, ".onnx")
    trained = networks.get(
        arguments.arch, task=arguments.task, profile=arguments.profile, pair=arguments.pair
    )
    said = export.describe(trained.ctx, trained.architecture, trained.net)
    print(f"{export.to_onnx(trained.net, target, said)}: {trained.name}")


def add(commands: Any) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Add both to a command line's subparsers."""
    restore = commands.add_parser("restore", help="restore a photo", allow_abbrev=False)
    restore.set_defaults(command=restore_command)
    restore.add_argument("source", help="the degraded PNG or JPEG file")
    restore.add_argument("target", nargs="?", help="the PNG file to write; or -o")
    restore.add_argument("-o", "--output", metavar="FILE", help="the PNG file to write")
    restore.add_argument(
        "--right", metavar="FILE", help="of a dual-pixel photo: the right view (source: the left)"
    )
    restore.add_argument("--arch", default="teacher", help=f"{ARCH}; or an ONNX file (FILE.onnx)")
    restore.add_argument(
        "--tile", type=int, help="side of tiles (default: whole if 2 GiB of memory are enough)"
    )
    restore.add_argument("--runtime", choices=("torch", "onnx"), help="what runs the network")
    restore.add_argument("--threads", type=int, help="(default: as many as torch takes)")
    restore.add_argument("--quiet", action="store_true", help="say nothing on the way")
    export = commands.add_parser(
        "export", help="write a trained network as an ONNX file", allow_abbrev=False
    )
    export.set_defaults(command=export_command)
    export.add_argument("target", help="the ONNX file to write")
    export.add_argument("--arch", default="teacher", help=ARCH)
    return restore, export
