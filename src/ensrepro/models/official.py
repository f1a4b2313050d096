"""Released checkpoints: read the file, infer the network, check every name and shape.

Restormer's released weights carry a non-commercial licence; they are read from the user's own copy,
never shipped. Glue and stages have other names there than here: PREFIXES has those of Restormer and
of the MambaIR U-Net, UFORMER_PREFIXES those of Uformer.
"""

from __future__ import annotations

import hashlib
import math
import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from statistics import mode
from types import MappingProxyType

import torch
from torch import Tensor

from ensrepro.config import MambaIRShape
from ensrepro.models.hybrid import NetworkShape, UNet, build
from ensrepro.models.uformer import UformerShape
from ensrepro.models.uformer_windows import relative_index
from ensrepro.space import RESTORMER, UFORMER, uformer_space

State = Mapping[str, Tensor]

# our prefix -> released prefix; block and tensor names below them are the same
PREFIXES = {
    "stem.": "patch_embed.proj.",
    "stages.encoder_1.": "encoder_level1.",
    "down.encoder_2.0.": "down1_2.body.0.",
    "stages.encoder_2.": "encoder_level2.",
    "down.encoder_3.0.": "down2_3.body.0.",
    "stages.encoder_3.": "encoder_level3.",
    "down.bottleneck.0.": "down3_4.body.0.",
    "stages.bottleneck.": "latent.",
    "up.decoder_3.0.": "up4_3.body.0.",
    "reduce.decoder_3.": "reduce_chan_level3.",
    "stages.decoder_3.": "decoder_level3.",
    "up.decoder_2.0.": "up3_2.body.0.",
    "reduce.decoder_2.": "reduce_chan_level2.",
    "stages.decoder_2.": "decoder_level2.",
    "up.decoder_1.0.": "up2_1.body.0.",
    "stages.decoder_1.": "decoder_level1.",
    "stages.refinement.": "refinement.",
    "skip_conv.": "skip_conv.",
    "output.": "output.",
}
UFORMER_PREFIXES = {
    "stem.": "input_proj.proj.",
    "stages.encoder_1.": "encoderlayer_0.blocks.",
    "down.encoder_2.": "dowsample_0.conv.0.",  # as it is spelled there
    "stages.encoder_2.": "encoderlayer_1.blocks.",
    "down.encoder_3.": "dowsample_1.conv.0.",
    "stages.encoder_3.": "encoderlayer_2.blocks.",
    "down.encoder_4.": "dowsample_2.conv.0.",
    "stages.encoder_4.": "encoderlayer_3.blocks.",
    "down.bottleneck.": "dowsample_3.conv.0.",
    "stages.bottleneck.": "conv.blocks.",
    "up.decoder_4.": "upsample_0.deconv.0.",
    "stages.decoder_4.": "decoderlayer_0.blocks.",
    "up.decoder_3.": "upsample_1.deconv.0.",
    "stages.decoder_3.": "decoderlayer_1.blocks.",
    "up.decoder_2.": "upsample_2.deconv.0.",
    "stages.decoder_2.": "decoderlayer_2.blocks.",
    "up.decoder_1.": "upsample_3.deconv.0.",
    "stages.decoder_1.": "decoderlayer_3.blocks.",
    "output.": "output_proj.proj.0.",
}
BIAS_TABLE = "attn.relative_position_bias_table"
INDEX = "attn.relative_position_index"  # released beside each table, though it is the same always
WRAPPERS = ("params", "state_dict")  # top-level keys under which releases keep the weights
LISTED = 10  # names listed in an error
# What reading a damaged or foreign file has been seen to raise.
BROKEN = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    AssertionError,
    struct.error,
)


def released_name(name: str, prefixes: Mapping[str, str] = PREFIXES) -> str:
    """Our parameter name -> the released one."""
    for ours, released in prefixes.items():
        if name.startswith(ours):
            return released + name.removeprefix(ours)
    raise ValueError(f"{name} has no released name")


def check_state(state: object, origin: object) -> None:
    """A ValueError unless `state` holds tensors by name."""
    if not isinstance(state, Mapping):
        kind = type(state).__name__
        raise ValueError(f"{origin} is no state dict: expected tensors by name, found {kind}")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            kind = type(tensor).__name__
            raise ValueError(f"{origin} is no state dict: {name!r} is {kind}, expected a tensor")


def listed(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def fill(
    net: UNet,
    state: State,
    prefixes: Mapping[str, str] = PREFIXES,
    constants: Mapping[str, Tensor] = MappingProxyType({}),
) -> UNet:
    """Copy released weights into `net`, built without memory on the device `meta`.

    `constants` are released with the weights, and must have these values. A ValueError lists
    missing, extra and misshapen names, those without finite numbers and other constants.
    """
    weights = {released_name(name, prefixes): t for name, t in net.state_dict().items()}
    own = {**weights, **constants}
    common = sorted(own.keys() & state.keys())
    fitting = [name for name in common if state[name].shape == own[name].shape]
    complaints = {
        "missing": sorted(own.keys() - state.keys()),
        "extra": sorted(state.keys() - own.keys()),
        "misshapen": [
            f"{name} {tuple(state[name].shape)}, expected {tuple(own[name].shape)}"
            for name in common
            if name not in fitting
        ],
        "without finite real numbers": sorted(
            name
            for name in state.keys() - constants.keys()
            if not state[name].is_floating_point() or not state[name].isfinite().all()
        ),
        "with other values than always": [
            name for name in fitting if name in constants and (state[name] != own[name]).any()
        ],
    }
    found = [f"{len(names)} {what}: {listed(names)}" for what, names in complaints.items() if names]
    if found:
        raise ValueError(f"state dict does not fit {net.shape}: " + "; ".join(found))
    net.to_empty(device="cpu")
    for name, tensor in net.state_dict().items():
        tensor.copy_(state[released_name(name, prefixes)])
    return net.eval()


def shape_of(state: State, name: str, n_dims: int) -> tuple[int, ...]:
    """Shape of a tensor that the network is inferred from."""
    check_state(state, "state")
    if name not in state:
        raise ValueError(f"state dict has no {name}; expected a released checkpoint")
    shape = tuple(state[name].shape)
    if len(shape) != n_dims:
        raise ValueError(f"{name} has shape {shape}; expected {n_dims} dimensions")
    return shape


def ends(state: State) -> tuple[int, int, int]:
    """(width, input channels, output channels) from the stem and the output convolution."""
    width, in_channels, *_ = shape_of(state, "patch_embed.proj.weight", 4)
    return width, in_channels, shape_of(state, "output.weight", 4)[0]


def restormer(state: State) -> UNet:
    """A released Restormer state dict -> the network in eval mode.

    Width, LayerNorm kind, channels and the dual-pixel variant are inferred. A ValueError lists
    missing, extra or misshapen names.
    """
    width, in_channels, out_channels = ends(state)
    with_bias = "encoder_level1.0.norm1.body.bias" in state
    shape = NetworkShape(
        width, "with_bias" if with_bias else "bias_free", in_channels, out_channels
    )
    with torch.device("meta"):
        net = build(RESTORMER.teacher, shape)
    return fill(net, state)


def mambair_unet(state: State) -> UNet:
    """A released MambaIR U-Net state dict -> the network in eval mode; expand, N are inferred."""
    width, in_channels, out_channels = ends(state)
    inner, channels = shape_of(state, "latent.0.self_attention.in_proj.weight", 2)
    _, d_state = shape_of(state, "latent.0.self_attention.A_logs", 2)
    mambair = MambaIRShape(expand=round(inner / 2 / channels, 2), d_state=d_state)
    shape = NetworkShape(width, "with_bias", in_channels, out_channels, mambair)
    with torch.device("meta"):
        net = build(RESTORMER.all_ssm, shape)
    return fill(net, state)


def uformer_blocks(state: State, stage: str) -> int:
    """How many blocks of a stage the state has something of, at least one."""
    block = re.compile(re.escape(UFORMER_PREFIXES[f"stages.{stage}."]) + r"(\d+)\.")
    return max(1, len({found[1] for name in state if (found := block.match(name))}))


def uformer_window(state: State) -> int:
    """Side of the windows that most bias tables, (2w - 1)^2 rows each, are for."""
    rows = [len(t) for name, t in state.items() if name.endswith(BIAS_TABLE) and t.ndim]
    if not rows:
        raise ValueError(f"state dict has no {BIAS_TABLE}; expected a released checkpoint")
    return (math.isqrt(mode(rows)) + 1) // 2


def uformer(state: State, image_size: int) -> UNet:
    """A released Uformer state dict -> the network in eval mode.

    `image_size` (pixels) is what the weights do not tell: it decides which windows are shifted. The
    released denoiser was trained with 128, the deblurrer with 256. Width, blocks a stage, window
    and modulators are inferred. A ValueError lists missing, extra or misshapen names.
    """
    width, in_channels, *_ = shape_of(state, "input_proj.proj.0.weight", 4)
    if in_channels != UformerShape.in_channels:
        raise ValueError(
            f"input_proj.proj.0.weight takes {in_channels} channels; expected "
            f"{UformerShape.in_channels}, since Uformer adds its output to the image"
        )
    convolutional = [name for name in state if ".attn.qkv.to_q.depthwise." in name]
    if convolutional:  # assumption A37
        raise ValueError(
            f"{convolutional[0]} belongs to a convolutional token projection; expected the linear "
            "one of Uformer T, S and B"
        )
    space = uformer_space([uformer_blocks(state, stage.name) for stage in UFORMER.stages])
    is_modulated = any(name.endswith(".modulator.weight") for name in state)
    shape = UformerShape(width, uformer_window(state), image_size, is_modulated)
    with torch.device("meta"):
        net = build(space.teacher, shape, space)
    names = (released_name(name, UFORMER_PREFIXES) for name in net.state_dict())
    index = relative_index(shape.window)
    constants = {n.replace(BIAS_TABLE, INDEX): index for n in names if n.endswith(BIAS_TABLE)}
    return fill(net, state, UFORMER_PREFIXES, constants)


def load(path: str | Path, sha256: str | None = None) -> dict[str, Tensor]:
    """The state dict in a released `.pth` file, by its released names.

    Only tensors are read (`weights_only`), so no pickle is executed. `params` and `state_dict`
    wrappers are opened and `module.` prefixes cut. A ValueError names the file and what is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    if sha256 is not None:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != sha256.lower():
            raise ValueError(f"{path} has SHA-256 {found}, expected {sha256.lower()}")
    try:
        with warnings.catch_warnings(action="ignore"):  # what matters of them raises as well
            content = torch.load(path, map_location="cpu", weights_only=True)
    except BROKEN as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"{path} is damaged or holds more than tensors: {reason}") from None
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    check_state(content, path)
    state = {name.removeprefix("module."): tensor for name, tensor in content.items()}
    if len(state) < len(content):
        raise ValueError(f"{path} has names both with and without the prefix module.")
    return state
