"""ONNX files: written once and whole, with what they are; foreign and damaged ones are refused.

What a file says of itself are the fields of `Metadata` and, under GRAPH, the digest of all else in
it, by which damage is found.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import ensrepro
from ensrepro import artifacts
from ensrepro.evaluate import PADDINGS
from ensrepro.export import network
from ensrepro.models.hybrid import UNet
from ensrepro.records import RANDOM
from ensrepro.runtime import required
from ensrepro.steps import context
from ensrepro.steps.context import Context

if TYPE_CHECKING:
    import onnx

PRODUCER = "ensrepro"
FLOAT32 = "float32"  # form of the arithmetic, unless `precision.converted` changed it
FORM, GRAPH = "form", "graph"  # keys that files did not always have
NUMBERS = ("width", "multiple")  # fields of the metadata that are no text
NUMBER = re.compile(r"[1-9][0-9]{0,3}")
WEIGHTS_LICENSE = "CC-BY-4.0"  # of weights that were trained here


@dataclass(frozen=True)
class Metadata:
    """What a file says of the network in it.

    `architecture` is its label, stage by stage; `digest` that of the weights in float32; `width`
    the number of the stem's channels. Height and width of what it takes must be multiples of
    `multiple`; `padding` says how other images are made so, one of evaluate.PADDINGS. `form` is
    that of the arithmetic, one of precision.FORMS.
    """

    task: str
    profile: str
    pair: str
    architecture: str
    protocol: str
    digest: str
    license: str
    padding: str
    width: int
    multiple: int
    form: str = FLOAT32


def describe(
    ctx: Context, architecture: Sequence[int], net: UNet, license: str = WEIGHTS_LICENSE
) -> Metadata:
    """The metadata of a network of this context."""
    return Metadata(
        task=ctx.task.name,
        profile=ctx.profile.name,
        pair=ctx.pair.name,
        architecture=ctx.space.label(architecture),
        protocol=ctx.task.protocol,
        digest=context.digest(net),
        license=license,
        padding=net.padding,
        width=net.shape.width,
        multiple=net.multiple,
    )


def digest_of(model: onnx.ModelProto) -> str:
    """The digest of a file but for what it says of itself."""
    bare = type(model)()
    bare.CopyFrom(model)
    bare.ClearField("metadata_props")
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()[:16]


def seal(model: onnx.ModelProto, said: Mapping[str, str]) -> None:
    """Let a model say this of itself, and its digest."""
    del model.metadata_props[:]
    for key, value in {**said, GRAPH: digest_of(model)}.items():
        model.metadata_props.add(key=key, value=value)


def to_onnx(net: UNet, path: str | Path, metadata: Metadata) -> Path:
    """Write one ONNX file with the weights in it; a FileExistsError if it exists and differs.

    Input `image` (1, C_in, height, width), output `restored` (1, C_out, height, width), float32 in
    [0, 1]; the output is not clipped. Operators are those of ONNX itself, of the opset OPSET.
    """
    path = Path(path)
    model = network.model(net, net.shape.in_channels, net.shape.out_channels)
    model.producer_name, model.producer_version = PRODUCER, ensrepro.__version__
    model.doc_string = "Image restoration; see the metadata for task, architecture and license"
    seal(model, {key: str(value) for key, value in asdict(metadata).items()})
    content = model.SerializeToString(deterministic=True)
    if path.exists() and path.read_bytes() != content:
        raise FileExistsError(f"{path} exists and holds something else; move it away")
    artifacts.write_bytes(path, content)
    return path


def said_by(model: onnx.ModelProto) -> dict[str, str]:
    """What a model says of itself."""
    return {prop.key: prop.value for prop in model.metadata_props}


def remedy(found: Mapping[str, str]) -> str:
    """The command that writes a file anew which says all but what older ones did not."""
    of = f"--task {found['task']} --pair {found['pair']}"
    if found["digest"] == RANDOM:
        return f"python -m ensrepro measure --write-networks FOLDER {of}"
    own = found["architecture"]
    arch = "teacher" if set(own.split()) == {"T"} else f"'{own}'"
    return f"python -m ensrepro export NEW.onnx --arch {arch} {of} --profile {found['profile']}"


def check_said(path: Path, found: Mapping[str, str], task: str) -> None:
    """A ValueError if a file does not say everything, or what no network of the task says."""
    names = [field.name for field in fields(Metadata)]
    missing = [name for name in (*names, GRAPH) if name not in found]
    if missing and set(missing) <= {FORM, GRAPH}:
        raise ValueError(
            f"{path} does not say its {missing[0]}; expected a file of this version of ensrepro, "
            f"which {remedy(found)} writes"
        )
    if missing:
        raise ValueError(
            f"{path} does not say its {missing[0]}; expected an ONNX file that ensrepro wrote"
        )
    if task and found["task"] != task:
        raise ValueError(f"{path} is for the task {found['task']!r}, expected {task!r}")
    if found["padding"] not in PADDINGS:
        known = ", ".join(PADDINGS)
        raise ValueError(f"{path} has padding={found['padding']!r}, expected one of {known}")
    for name in NUMBERS:
        if not NUMBER.fullmatch(found[name]):
            raise ValueError(f"{path} has {name}={found[name]!r}, expected an integer, 1 to 9999")


def read_metadata(path: str | Path, task: str = "") -> Metadata:
    """What a file says of itself; a ValueError if it is damaged, foreign, or of another task."""
    onnx = required("onnx")
    from google.protobuf.message import DecodeError

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file")
    try:  # whatever its name ends in
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except DecodeError:
        raise ValueError(f"{path} is damaged or no ONNX file") from None
    found = said_by(model)
    check_said(path, found, task)
    if (own := digest_of(model)) != found[GRAPH]:
        raise ValueError(
            f"{path} is damaged or was changed: its graph has the digest {own}, expected "
            f"{found[GRAPH]}"
        )
    values = {field.name: found[field.name] for field in fields(Metadata)}
    return Metadata(**(values | {name: int(values[name]) for name in NUMBERS}))
