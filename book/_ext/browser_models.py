"""Sphinx extension: the networks and samples of the page "In your browser", written at each build.

A page that is opened from a file may load scripts but no other data. So `browser/index.js` sets
`window.ensreproBrowser`, which lists tasks and networks (`browser/engine.js` describes it), and
each ONNX file and each sample travels as a script of its own that is loaded when it is asked for.
Networks are exported from the weights in the repository: of each task that has them the teacher and
the fine-tuned hybrid that was chosen. `restormer-edge` has random weights where none are on file,
and then is only timed, with the stages of the other hybrid; a trained one has its own. Without the
extra `onnx` the page says that it has no networks.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ensrepro.models.hybrid import UNet
    from ensrepro.space import Architecture
    from ensrepro.steps.context import Context

FOLDER = "browser"  # below the root of the site
GLOBAL, FILES = "ensreproBrowser", "ensreproFiles"
COLORS = {"teacher": "restormer", "mambair": "mambair", "edge": "edge"}  # kind -> of figures.style
NAMES = {"teacher": "Restormer teacher", "mambair": "MambaIR hybrid", "edge": "edge hybrid"}
SIDE = 256  # of a sample, pixels
SEED = 0  # of random weights
TRAINED, RANDOM = "trained", "random"
NEEDS_ONNX = (
    "This copy of the book was built without the packages onnx and onnxruntime, so it has no "
    "networks to run; pip install 'ensrepro[onnx]' and build it again."
)
NO_WEIGHTS = "There are no trained networks of profile {} to run."


class Hybrid(NamedTuple):
    """A fine-tuned hybrid."""

    architecture: Architecture
    net: UNet


@dataclass(frozen=True)
class Exported:
    """A network of the page; `file` is the script that brings it, `content` its ONNX file."""

    kind: str
    file: str
    weights: str
    content: bytes
    metadata: dict[str, Any]

    def entry(self) -> dict[str, Any]:
        """What the index says of it."""
        own = {"kind": self.kind, "name": NAMES[self.kind], "file": self.file}
        return own | {"weights": self.weights, "bytes": len(self.content), **self.metadata}


def packed(content: bytes) -> str:
    """Bytes as the page unpacks them: base64 of what zlib makes of them."""
    return b64encode(zlib.compress(content, 9)).decode("ascii")


def write_script(path: Path, statement: str) -> None:
    """A script of one statement."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{statement};\n", encoding="utf-8")


def write_file(folder: Path, name: str, content: bytes) -> None:
    """The script that brings a file to the page."""
    write_script(
        folder / f"{name}.js", f'(window.{FILES} ??= {{}})["{name}"] = "{packed(content)}"'
    )


def context_of(root: Path, profile: str, task: str, pair: str) -> Context:
    """The context whose files are below `root`; nothing is computed in it."""
    from ensrepro.steps import context

    opened = context.open_context(profile, task, pair=pair)
    return replace(opened, store=replace(opened.store, root=root), may_compute=False)


def hybrid(ctx: Context) -> Hybrid | None:
    """The chosen hybrid with its weights, if they are on file."""
    from ensrepro.steps import chosen, finetune

    found = chosen.on_file(ctx)
    if found is None:
        return None
    name, owner = finetune.job_name(ctx, found.job), finetune.owner(ctx, found.job)
    if not owner.store.weights(name).exists():
        return None
    return Hybrid(found.architecture, chosen.network(ctx, found))


def trained_teacher(ctx: Context) -> UNet | None:
    """The teacher with its weights, if they are on file."""
    from ensrepro import artifacts
    from ensrepro.models.hybrid import build
    from ensrepro.steps import context, teacher

    path, manifest = ctx.store.weights(teacher.STEP), ctx.store.manifest(teacher.STEP)
    if not (path.exists() and manifest.exists()):
        return None
    net = build(ctx.space.teacher, ctx.shape, ctx.space)
    digest = artifacts.read_json(manifest)["result"]["digest"]
    context.load(net, path, teacher.metadata(ctx, teacher.STEP), digest)
    return net.eval()


def random_network(ctx: Context, architecture: Architecture) -> UNet:
    """A network with random weights, which float16 holds exactly."""
    import torch

    from ensrepro.models.hybrid import build
    from ensrepro.steps import context

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        net = build(architecture, ctx.shape, ctx.space)
    context.round_to_half(net)
    return net.eval()


def exported(
    ctx: Context, kind: str, net: UNet, architecture: Architecture, weights: str
) -> Exported:
    """A network as the page gets it."""
    from ensrepro import export

    metadata = export.describe(ctx, architecture, net)
    with TemporaryDirectory() as folder:
        content = export.to_onnx(net, Path(folder) / "network.onnx", metadata).read_bytes()
    return Exported(kind, f"{ctx.task.name}-{kind}", weights, content, asdict(metadata))


def networks(root: Path, profile: str, task: str) -> Iterator[Exported]:
    """The networks of a task: none unless its teacher and its hybrid are on file."""
    from ensrepro.config import DEFAULT_PAIR, EDGE_PAIR

    ctx, edge = (context_of(root, profile, task, pair) for pair in (DEFAULT_PAIR, EDGE_PAIR))
    teacher, best, best_edge = trained_teacher(ctx), hybrid(ctx), hybrid(edge)
    if teacher is None or best is None:
        return
    yield exported(ctx, "teacher", teacher, ctx.space.teacher, TRAINED)
    yield exported(ctx, "mambair", best.net, best.architecture, TRAINED)
    if best_edge is not None:
        yield exported(edge, "edge", best_edge.net, best_edge.architecture, TRAINED)
    else:  # the same choice of stages as the MambaIR hybrid, so that the two can be compared
        net = random_network(edge, best.architecture)
        yield exported(edge, "edge", net, best.architecture, RANDOM)


def bytes_of(image: NDArray[np.float32]) -> bytes:
    """(H, W, 3) in [0, 1] as 8-bit values, row by row."""
    return (image.clip(0, 1) * 255).round().astype("u1").tobytes()


def write_sample(folder: Path, task: str) -> dict[str, Any]:
    """The middle of the first test photo: the degraded pixels, then the clean ones."""
    from ensrepro import data

    [pair] = data.test_pairs(task, 1, SIDE)
    name = f"{task}-sample"
    write_file(folder, name, bytes_of(pair.degraded) + bytes_of(pair.clean))
    height, width = pair.clean.shape[:2]
    return {"file": name, "photo": pair.name, "height": height, "width": width}


def write_task(folder: Path, root: Path, profile: str, task: str) -> dict[str, Any] | None:
    """The files of a task; what the index says of it, or None where nothing was trained."""
    from ensrepro.config import TASKS

    made = list(networks(root, profile, task))
    if not made:
        return None
    for one in made:
        write_file(folder, one.file, one.content)
    own = {"task": task, "what": TASKS[task].what, "sample": write_sample(folder, task)}
    return own | {"networks": [one.entry() for one in made]}


def index(folder: Path, root: Path, profile: str) -> dict[str, Any]:
    """Write all files, and say what there is."""
    from ensrepro.config import TASKS
    from ensrepro.figures import style
    from ensrepro.runtime import required

    try:
        required("onnx")
    except ImportError:
        return {"missing": NEEDS_ONNX}
    # a dual-pixel pair is no photo that a visitor has
    names = [task.name for task in TASKS.values() if task.in_channels == 3]
    tasks = [t for name in names if (t := write_task(folder, root, profile, name)) is not None]
    if not tasks:
        return {"missing": NO_WEIGHTS.format(profile)}
    colors = {kind: style.mark(of).color for kind, of in COLORS.items()}
    return {"profile": profile, "colors": colors, "tasks": tasks}


def write(folder: Path, root: Path, profile: str) -> None:
    """All scripts of the page's networks, into the folder of the built site."""
    made: Mapping[str, Any] = index(folder, root, profile)
    text = json.dumps(made, separators=(",", ":"), allow_nan=False)
    write_script(folder / "index.js", f"window.{GLOBAL} = {text}")


def write_shown(app: Any) -> None:
    """The networks of the profile that the book shows, into the site that is being built."""
    write(Path(app.outdir) / FOLDER, Path(app.srcdir).parent, app.config.ensrepro_profile)


def setup(app: Any) -> dict[str, Any]:
    """Entry point of Sphinx: the networks are written when a build begins."""
    app.connect("builder-inited", write_shown)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
