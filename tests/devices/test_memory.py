"""Peak memory is that of a process of its own, and grows with what the network holds."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ensrepro.devices import memory
from ensrepro.export.network import model

MIB = 2**20


def wide(channels: int) -> bytes:
    """A convolution from 3 channels to many and back: one large map in between."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), nn.Conv2d(channels, 3, 1))
    return model(layers.eval(), 3, 3).SerializeToString()


def test_a_network_takes_at_least_its_largest_map_and_not_the_parent_s_memory():
    ballast = torch.ones(256 * MIB // 4)  # 256 MiB that are not the network's
    side, channels = 256, 256
    peak = memory.peak_mib(wide(channels), 3, side, 1)
    largest = 4 * channels * side**2 / MIB  # 64 MiB
    assert largest <= peak < 3 * largest
    assert ballast.sum() > 0  # alive until here


def test_a_file_that_cannot_be_run_is_an_error_that_says_why():
    with pytest.raises(OSError, match=r"memory at 8 x 8 pixels was not measured: .* status 1: .+"):
        memory.peak_mib(b"nonsense", 3, 8, 1)
