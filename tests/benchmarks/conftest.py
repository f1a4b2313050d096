"""Small networks in files, under their released names."""

from __future__ import annotations

import pytest
import torch

from ensrepro.models import official
from ensrepro.models.hybrid import NetworkShape, build
from ensrepro.models.uformer import UformerShape
from ensrepro.models.uformer_windows import relative_index
from ensrepro.space import RESTORMER, uformer_space


@pytest.fixture(scope="session")
def uformer_file(tmp_path_factory):
    """A small Uformer under its released names, in the wrapper of its training script."""
    torch.manual_seed(0)
    shape, space = UformerShape(2), uformer_space((1, 1, 1, 1, 2, 1, 1, 1, 1))
    net = build(space.teacher, shape, space)
    state = {}
    for name, tensor in net.state_dict().items():
        released = official.released_name(name, official.UFORMER_PREFIXES)
        state[f"module.{released}"] = torch.randn_like(tensor) * 0.2
        if released.endswith(official.BIAS_TABLE):
            index = released.replace(official.BIAS_TABLE, official.INDEX)
            state[f"module.{index}"] = relative_index(shape.window)
    path = tmp_path_factory.mktemp("weights") / "uformer.pth"
    torch.save({"epoch": 250, "state_dict": state}, path)
    return path


@pytest.fixture(scope="session")
def restormer_file(tmp_path_factory):
    """A released Restormer of width 8."""
    with torch.device("meta"):
        net = build(RESTORMER.teacher, NetworkShape(8, "with_bias", 3))
    state = {
        official.released_name(name): torch.full(tensor.shape, 0.01)
        for name, tensor in net.state_dict().items()
    }
    path = tmp_path_factory.mktemp("weights") / "deraining.pth"
    torch.save({"params": state}, path)
    return path
