"""A space of 48 architectures and untrained networks of width 4, which other processes import."""

from __future__ import annotations

import numpy as np
import torch

from ensrepro.config import MambaIRShape
from ensrepro.data import Pair
from ensrepro.exhaustive import Measured
from ensrepro.models.hybrid import NetworkShape, build, surrogate_stage
from ensrepro.space import Space, Stage

SHAPE = NetworkShape(width=4, mambair=MambaIRShape(1.0, 2, 16))
TREE = Space(
    "tree",
    (
        Stage("encoder_1", 1, 1, 0, 1, (1,)),
        Stage("encoder_2", 1, 1, 1, 2, (1,)),
        Stage("bottleneck", 1, 2, 2, 4, (1,)),
        Stage("decoder_2", 1, 1, 1, 2, (1,)),
        Stage("refinement", 2, 1, 0, 2, (2, 1)),
    ),
)
N_IMAGES, HEIGHT, WIDTH = 5, 8, 12
PROTOCOL = "sidd"


def pairs() -> list[Pair]:
    """Images of noise: what networks make of them does not matter here."""
    rng = np.random.default_rng(0)
    images = rng.random((N_IMAGES, 2, HEIGHT, WIDTH, 3), dtype=np.float32)
    return [Pair(f"{i}", *two) for i, two in enumerate(images)]


def measured() -> Measured:
    """Every part of the space, the same in every process."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        teacher = build(TREE.teacher, SHAPE, TREE).eval()
        surrogates = {
            (stage.name, depth): surrogate_stage(stage, depth, SHAPE).eval()
            for stage in TREE.stages
            for depth in stage.depths
        }
    return Measured(teacher, surrogates, pairs(), PROTOCOL)
