"""Peak memory is that of a process of its own, and grows with what the network holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import ensrepro
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


@pytest.mark.skipif(not memory.STATUS.exists(), reason="the system keeps no such record")
def test_what_was_taken_and_given_back_before_does_not_hide_what_a_network_takes(tmp_path):
    path = tmp_path / "network.onnx"
    path.write_bytes(wide(64))
    code = f"""
import numpy as np
from ensrepro.devices import memory
spike = np.ones(512 * 2**20 // 8)  # 512 MiB, as an import may take for a moment
del spike
print(memory.grown_bytes({str(path)!r}, 3, 256, 1))
"""
    sources = os.environ | {"PYTHONPATH": str(Path(ensrepro.__file__).parents[1])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=sources)
    # the largest map has 4 * 64 * 256**2 bytes, 16 MiB; from the record before it were 0
    assert 16 * MIB <= int(done.stdout) < 256 * MIB
