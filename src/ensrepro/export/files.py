"""ONNX files: written once and whole, with what they are; foreign and damaged ones are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import ensrepro
from ensrepro import artifacts
from ensrepro.evaluate import PADDINGS
from ensrepro.export import network
from ensrepro.models.hybrid import UNet
from ensrepro.runtime import required
from ensrepro.steps import context
from ensrepro.steps.context import Context

PRODUCER = "ensrepro"
NUMBERS = ("width", "multiple")  # fields of the metadata that are no text
WEIGHTS_LICENSE = "CC-BY-4.0"  # of weights that were trained here


@dataclass(frozen=True)
class Metadata:
    """What a file says of the network in it.

    `architecture` is its label, stage by stage; `digest` that of its weights; `width` the number of
    the stem's channels. Height and width of what it takes must be multiples of `multiple`;
    `padding` says how other images are made so, one of evaluate.PADDINGS.
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


def to_onnx(net: UNet, path: str | Path, metadata: Metadata) -> Path:
    """Write one ONNX file with the weights in it; a FileExistsError if it exists and differs.

    Input `image` (1, C_in, height, width), output `restored` (1, C_out, height, width), float32 in
    [0, 1]; the output is not clipped. Operators are those of ONNX itself, of the opset OPSET.
    """
    path = Path(path)
    model = network.model(net, net.shape.in_channels, net.shape.out_channels)
    model.producer_name, model.producer_version = PRODUCER, ensrepro.__version__
    model.doc_string = "Image restoration; see the metadata for task, architecture and license"
    for key, value in asdict(metadata).items():
        model.metadata_props.add(key=key, value=str(value))
    content = model.SerializeToString(deterministic=True)
    if path.exists() and path.read_bytes() != content:
        raise FileExistsError(f"{path} exists and holds something else; move it away")
    artifacts.write_bytes(path, content)
    return path


def read_metadata(path: str | Path, task: str = "") -> Metadata:
    """What a file says of itself; a ValueError if it is damaged, foreign, or of another task."""
    onnx = required("onnx")
    from google.protobuf.message import DecodeError

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file")
    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError:
        raise ValueError(f"{path} is damaged or no ONNX file") from None
    found = {prop.key: prop.value for prop in model.metadata_props}
    missing = [field.name for field in fields(Metadata) if field.name not in found]
    if missing:
        raise ValueError(
            f"{path} does not say its {missing[0]}; expected an ONNX file that ensrepro wrote"
        )
    if task and found["task"] != task:
        raise ValueError(f"{path} is for the task {found['task']!r}, expected {task!r}")
    if found["padding"] not in PADDINGS:
        known = ", ".join(PADDINGS)
        raise ValueError(f"{path} has padding={found['padding']!r}, expected one of {known}")
    values = {field.name: found[field.name] for field in fields(Metadata)}
    for name in NUMBERS:
        if not values[name].isdecimal() or int(values[name]) < 1:
            raise ValueError(f"{path} has {name}={values[name]!r}, expected an integer >= 1")
    return Metadata(**(values | {name: int(values[name]) for name in NUMBERS}))
