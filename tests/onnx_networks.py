"""Untrained networks all of whose parameters are random, so that none can be left out unnoticed."""

from __future__ import annotations

import torch
from torch import nn

from ensrepro.config import MambaIRShape
from ensrepro.export import Metadata
from ensrepro.export.network import INPUT, OUTPUT, model
from ensrepro.export.session import inference_session
from ensrepro.models.edge import EdgeBlock
from ensrepro.models.hybrid import NetworkShape, UNet, build
from ensrepro.models.mambair import SS2D
from ensrepro.space import RESTORMER, Space

TINY = NetworkShape(width=4, mambair=MambaIRShape(1.0, 2, 4))
SPREAD = 0.1  # of what is added to the initial values: outputs stay near 1


def busy(scan: SS2D, random: torch.Generator) -> None:
    """Steps of 0.05 to 1.3 that depend on the input: initial ones hardly show in the output."""
    scan.dt_projs_bias.uniform_(-3, 1, generator=random)
    scan.dt_projs_weight.normal_(generator=random)
    scan.x_proj_weight.normal_(std=scan.x_proj_weight.shape[2] ** -0.5, generator=random)


def quiet(block: EdgeBlock) -> None:
    """A smaller update: the residual connections of a stack would add up to outputs of 30."""
    block.conv.weight.div_(4)
    block.project_out.weight.div_(2)


def scattered(module: nn.Module, seed: int) -> nn.Module:
    """The module with noise on every parameter, in eval mode."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(SPREAD * torch.randn(parameter.shape, generator=random))
        for part in module.modules():
            if isinstance(part, SS2D):
                busy(part, random)
            elif isinstance(part, EdgeBlock):
                quiet(part)
    return module.eval()


def network(
    architecture: tuple[int, ...],
    shape: NetworkShape = TINY,
    seed: int = 0,
    space: Space = RESTORMER,
) -> UNet:
    """A random hybrid, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return scattered(build(architecture, shape, space), seed)


def computed(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What onnxruntime makes of (1, C, H, W) with a module that keeps the number of channels."""
    made = model(module, x.shape[1], x.shape[1])
    runtime = inference_session(made.SerializeToString(), threads=1)
    return torch.from_numpy(runtime.run([OUTPUT], {INPUT: x.numpy()})[0])


def metadata(net: UNet, **changed: str | int) -> Metadata:
    """What a file of `net` says, with some of it changed."""
    said = {
        "task": "denoise",
        "profile": "mini",
        "pair": "restormer-mambair",
        "architecture": "T 4 2 8 T T 4 2",
        "protocol": "sidd",
        "digest": "0123456789abcdef",
        "license": "CC-BY-4.0",
        "padding": "reflect",
        "width": net.shape.width,
        "multiple": net.multiple,
    }
    return Metadata(**(said | changed))
