"""`python -m ensrepro measure` and `import-record`: what they are told, and what they print."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensrepro import artifacts, config
from ensrepro.artifacts import RESULTS, Store
from ensrepro.config import DEFAULT_PAIR

if TYPE_CHECKING:
    from ensrepro.devices.importing import Said

ALL = "all"
KINDS = ("blocks", "stages", "networks")
FORMATS = ("onnxruntime-perf-test", "ai-hub", "records")

Progress = Callable[[str, int, int], None]  # (what, done, of)


@dataclass(frozen=True)
class Done:
    """A manifest that is on file, and what there is to say of it."""

    path: Path
    remarks: list[str]


def quietness(before: float | None, load: float | None, is_quiet: bool | None) -> str:
    """One sentence about the machine."""
    if load is None or before is None:
        return "the system does not tell its load: nobody knows whether the machine was quiet"
    found = f"{before:.1f} other processes running before, load average {load:.2f} meanwhile"
    if is_quiet:
        return f"the machine was quiet: {found}"
    return f"the machine was NOT quiet: {found}; ratios hold roughly, milliseconds do not"


def measure(
    store: Store,
    *,
    what: str = ALL,
    threads: Sequence[int] = (1,),
    side: int | None = None,
    device: str = "",
    task: str = "denoise",
    pair: str = DEFAULT_PAIR,
    progress: Progress | None = None,
) -> list[Done]:
    """Measure this machine; what is on file, or was before a call was killed, is not done again.

    `pair` stands for all that share its teacher.
    """
    from ensrepro.devices import asking, measuring

    done = []
    name = device or artifacts.cpu_model()
    for kind in KINDS if what == ALL else (what,):
        for own_side in (side,) if side is not None else asking.sides(kind, store.profile, pair):
            for n in threads:
                whole = asking.Asked(kind, own_side, n, task, name, store, pair)
                for asked in asking.every(kind, whole):
                    result = measuring.get(asked, progress)
                    remark = quietness(result.load_before, result.load, result.is_quiet)
                    path = store.manifest(measuring.manifest_name(asked))
                    done.append(Done(path, [remark]))
    return done


def write_networks(folder: Path, task: str, store: Store, pair: str = DEFAULT_PAIR) -> list[Path]:
    """The networks as ONNX files with random weights, to be measured elsewhere."""
    from ensrepro.devices import found, subjects
    from ensrepro.export import Metadata, to_onnx
    from ensrepro.records import RANDOM

    profile = "smoke" if store.profile == "smoke" else "paper"
    of = subjects.family(pair)
    written = {}
    every = found.on_file(store, of.pairs)
    for group in subjects.groups(subjects.NETWORKS, of, 256, task, every):
        for one in group.subjects:
            if one.name in written:
                continue
            net: Any = subjects.made(one, profile, seed=0).module.eval()
            metadata = Metadata(
                task=one.task,
                profile=profile,
                pair=one.pair,
                architecture=one.architecture,
                protocol=config.TASKS[one.task].protocol,
                digest=RANDOM,
                license="CC-BY-4.0",
                padding=net.padding,
                width=net.shape.width,
                multiple=net.multiple,
            )
            label = one.architecture.replace(" ", "-")
            path = folder / f"{one.pair}-{one.task}-{label}.onnx"
            written[one.name] = to_onnx(net, path, metadata)
    return list(written.values())


def same_file(store: Store, target: Path) -> list[str]:
    """A sentence for each other device that the file of this manifest was imported for."""
    from ensrepro.devices import shelf

    others = [folder / target.name for folder in shelf.folders(store)]
    return [
        f"the same file is on file as {other}, which is to be deleted if that was a mistake"
        for other in others
        if other.exists() and other.parent.name != target.parent.name
    ]


def bring_in(
    store: Store, path: Path, kind: str, said: Said | None = None, model: Path | None = None
) -> Done:
    """Records of another tool's output, put on file under their device.

    A file that was imported before is imported anew if something else is said of it now.
    """
    from ensrepro.devices import importing, measuring, shelf
    from ensrepro.export import read_metadata

    said = said or importing.Said()
    if kind != importing.OWN_FORMAT and not said.device.strip():
        raise ValueError(f"device is {said.device!r}; expected its name, as 'Pixel 8'")
    metadata = read_metadata(model) if model is not None else None
    found = importing.imported(path, kind, said, metadata)
    names = sorted({record.device for record in found.records})
    if len(names) != 1:
        raise ValueError(f"{path} has records of {', '.join(names)}; expected one device")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    asked = {"format": kind, "file": digest, "model": asdict(metadata) if metadata else None}
    identity = artifacts.plain(asked | asdict(said))
    name = f"{measuring.slug(names[0])}/{shelf.IMPORTS}{digest}"
    target = store.manifest(name)
    if not target.exists() or artifacts.read_json(target)["identity"] != identity:
        records = [asdict(record) for record in found.records]
        comparisons = [asdict(comparison) for comparison in found.comparisons]
        result = measuring.DeviceResult(records, comparisons, None, None, None)
        made = artifacts.provenance(store.profile, measuring.FOLDER, 0, 0.0, 1)
        target = store.own(RESULTS, f"{name}.json")
        artifacts.write_manifest(target, measuring.STEP, identity, made, result)
    return Done(target, same_file(store, target))


def measure_command(arguments: argparse.Namespace) -> None:
    """Measure this machine, or write the networks for another one."""
    from ensrepro.devices import shelf
    from ensrepro.terminal import Terminal

    store = shelf.store_of(arguments.profile, arguments.out or "")
    if arguments.write_networks is not None:
        for path in write_networks(
            Path(arguments.write_networks), arguments.task, store, arguments.pair
        ):
            print(path)
        return
    done = measure(
        store,
        what=arguments.what,
        threads=arguments.threads,
        side=arguments.side,
        device=arguments.device or "",
        task=arguments.task,
        pair=arguments.pair,
        progress=Terminal(),
    )
    for one in done:
        print(f"{one.path}: {'; '.join(one.remarks)}")


def import_command(arguments: argparse.Namespace) -> None:
    """Put another tool's output on file."""
    from ensrepro.devices import shelf
    from ensrepro.devices.importing import Said

    said = Said(
        device=arguments.device or "",
        cpu=arguments.cpu or "",
        runtime=arguments.runtime or "",
        version=arguments.version or "",
        threads=arguments.threads,
        resolution=arguments.resolution or "",
        dtype=arguments.dtype or "",
    )
    store = shelf.store_of(arguments.profile, arguments.out or "")
    model = Path(arguments.model) if arguments.model else None
    done = bring_in(store, Path(arguments.file), arguments.format, said, model)
    print("; ".join([str(done.path), *done.remarks]))


def add(commands: Any) -> None:
    """Add both commands to the parser of all commands."""
    timed = commands.add_parser(
        "measure", help="measure the latency of networks on this machine", allow_abbrev=False
    )
    timed.set_defaults(command=measure_command)
    timed.add_argument("--what", choices=(*KINDS, ALL), default=ALL)
    timed.add_argument("--threads", type=int, nargs="+", default=[1], help="one result for each")
    timed.add_argument("--side", type=int, help="of the image in pixels (default: several)")
    timed.add_argument("--task", choices=config.TASKS, default="denoise")
    timed.add_argument(
        "--pair", choices=config.PAIRS, default=DEFAULT_PAIR, help="and all that share its teacher"
    )
    timed.add_argument(
        "--write-networks", metavar="FOLDER", help="write them as ONNX files, and measure nothing"
    )
    taken = commands.add_parser(
        "import-record", help="put a latency measured elsewhere on file", allow_abbrev=False
    )
    taken.set_defaults(command=import_command)
    taken.add_argument("file", help="what the tool printed or gave")
    taken.add_argument("--format", choices=FORMATS, required=True)
    taken.add_argument("--model", help="the ONNX file that was measured")
    taken.add_argument("--resolution", help="of the image, as 256x256")
    taken.add_argument("--cpu", help="the processor (default: unknown)")
    taken.add_argument("--runtime", help="what ran it (default: the tool's own, else unknown)")
    taken.add_argument("--version", help="of the runtime (default: unknown)")
    taken.add_argument("--threads", type=int, help="where the tool does not print them")
    taken.add_argument("--dtype", help="of the arithmetic (default: the tool's own, else unknown)")
    timed.add_argument("--device", help="its name in words (default: this processor)")
    taken.add_argument(
        "--device", help="its name in words, needed unless a file of format records says it"
    )
    for command in (timed, taken):
        command.add_argument("--profile", choices=config.PROFILES, default="mini")
        command.add_argument("--out", help="folder for results (default: the repository's)")
