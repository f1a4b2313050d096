"""One network in two runtimes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ensrepro import evaluate, export
from ensrepro.restoring import networks, runtimes
from ensrepro.restoring.runtimes import Asked
from ensrepro.steps import context

pytestmark = pytest.mark.usefixtures("one_thread")

HYBRID = Asked("2844", profile="smoke")
IMAGE = np.random.default_rng(0).integers(0, 65536, (75, 80, 3), np.uint16)


@pytest.mark.parametrize("tile", [None, 72])
def test_both_runtimes_restore_alike_to_the_tolerance_of_the_export(tile, checkout):
    results = []
    for runtime in (None, "torch", "onnx"):
        with runtimes.opened(HYBRID, runtime) as ready:
            assert ready.runtime == (runtime or "torch")
            results.append(evaluate.restore(ready.net, IMAGE, tile=tile))
    default, in_torch, in_onnx = results
    np.testing.assert_array_equal(default, in_torch)
    np.testing.assert_allclose(in_onnx, in_torch, rtol=0, atol=1e-4)
    assert np.abs(in_torch - IMAGE / 65535).max() > 0.01  # the network does something


def test_an_onnx_file_is_run_as_it_is(checkout, tmp_path):
    trained = networks.get("2844", task="denoise", profile="smoke")
    said = export.describe(trained.ctx, trained.architecture, trained.net)
    path = str(export.to_onnx(trained.net, str(tmp_path / "net.onnx"), said))
    assert export.read_metadata(path).digest == context.digest(trained.net)
    with runtimes.opened(Asked(path)) as ready:
        expected = evaluate.restore(trained.net, IMAGE)
        np.testing.assert_allclose(evaluate.restore(ready.net, IMAGE), expected, rtol=0, atol=1e-4)
        assert ready.name.startswith("T T 2 2 2 T T T of denoise")
    for asked, runtime, message in (
        (Asked(path, "derain"), None, "is for the task 'denoise', expected 'derain'"),
        (Asked(path, profile="paper"), None, "is of the profile 'smoke', expected 'paper'"),
        (
            Asked(path, profile="smoke", pair="uformer-mambair"),
            None,
            "is of the pair 'restormer-mambair', expected 'uformer-mambair'",
        ),
        (Asked(path), "torch", "runtime is 'torch'; expected 'onnx'"),
    ):
        with pytest.raises(ValueError, match=message), runtimes.opened(asked, runtime):
            pass


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_threads_are_those_asked_for_and_afterwards_those_before(runtime, checkout):
    with runtimes.opened(HYBRID, runtime, 2) as ready:
        assert ready.threads == 2
        if runtime == "torch":
            assert torch.get_num_threads() == 2
        else:
            assert ready.net.runtime.get_session_options().intra_op_num_threads == 2
    assert torch.get_num_threads() == 1
    with pytest.raises(ValueError, match="threads is 0"), runtimes.opened(HYBRID, runtime, 0):
        pass
