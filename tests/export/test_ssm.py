"""Rules for state-space blocks: chunks and single steps, and the fast softplus."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from onnx_networks import computed, scattered
from torch import nn

from ensrepro.config import MambaIRShape
from ensrepro.export import ssm
from ensrepro.export.network import RULES
from ensrepro.models.mambair import VSSBlock

pytestmark = pytest.mark.usefixtures("one_thread")

NARROW = 8, MambaIRShape(1.0, 4, 16)
WIDE = 48, MambaIRShape(1.5, 16)  # the paper's, at full resolution
# 15 steps fill less than a chunk, 33 not quite three; one pixel has one step
SIZES = ((3, 5), (11, 3), (1, 1), (8, 8))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("channels", "shape"), [NARROW, WIDE], ids=["narrow", "wide"])
def test_a_mambair_block(channels: int, shape: MambaIRShape, size):
    block = scattered(VSSBlock(channels, shape), 0)
    x = torch.randn((1, channels, *size), generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        torch.testing.assert_close(computed(block, x), block(x), atol=5e-6, rtol=0)


def test_narrow_blocks_take_chunks_and_wide_ones_single_steps():
    narrow, wide = (VSSBlock(*block).self_attention for block in (NARROW, WIDE))
    assert ssm.steps_of_a_chunk(narrow) == ssm.CHUNK > 1
    assert ssm.steps_of_a_chunk(wide) == 1


class Softplus(nn.Module):
    """To be written by the rule below."""


def test_softplus_is_exact_and_never_overflows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(RULES, Softplus, lambda graph, _, x: ssm.softplus(graph, x))
    x = torch.cat([torch.linspace(-30, 30, 995), torch.tensor([-1e4, -100, 79.9, 88.8, 1e4])])
    x = x.reshape(1, 1, 40, 25)
    torch.testing.assert_close(computed(Softplus(), x), F.softplus(x), atol=2e-7, rtol=2e-7)


def test_large_steps_forget_and_small_ones_remember():
    block = scattered(VSSBlock(*NARROW), 0)
    x = torch.randn((1, 8, 6, 7), generator=torch.Generator().manual_seed(4))
    for bias in (-12.0, 100.0):  # steps of 6e-6 and of 100: decays of 1 - 6e-6 and of 0
        nn.init.constant_(block.self_attention.dt_projs_bias, bias)
        with torch.inference_mode():
            expected = block(x)
            torch.testing.assert_close(computed(block, x), expected, atol=5e-6, rtol=0)
