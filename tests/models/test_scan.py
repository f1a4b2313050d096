from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ensrepro.models import _lanes, _scan_numba, _scan_torch, scan

GOLDEN = Path(__file__).parents[1] / "golden" / "scan.npz"
EXACT = ("reference", "torch", "numba")  # mamba_ssm runs on a GPU only


@pytest.fixture
def threads():
    """Sets torch's number of threads; the former one comes back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def sequences(length, *, channels=20, groups=2, states=3, steps="usual", dtype=torch.float32):
    """Random arguments of selective_scan; `large` steps reach 10 and decays reach exp(-100)."""
    random = torch.Generator().manual_seed(length)
    draw = partial(torch.randn, generator=random, dtype=torch.float64)
    total = groups * channels
    given = {
        "u": draw(2, total, length),
        "delta": draw(2, total, length) * {"usual": 1.5, "large": 3.0}[steps],
        "A": -torch.exp(0.5 * draw(total, states)) * torch.arange(1, states + 1),
        "B": draw(2, groups, states, length),
        "C": draw(2, groups, states, length),
        "D": draw(total),
        "delta_bias": draw(total) + {"usual": -3.0, "large": 1.0}[steps],
    }
    return {name: value.to(dtype).requires_grad_() for name, value in given.items()}


def image(height, width, *, channels=20, states=3, rank=2, dtype=torch.float32):
    """Random arguments of scan_2d."""
    random = torch.Generator().manual_seed(height * width)
    draw = partial(torch.randn, generator=random, dtype=torch.float64)
    given = {
        "x": draw(2, height, width, channels),
        "rows": 0.5 * draw(2, height, width, 4, rank + 2 * states),
        "step_weight": draw(4, channels, rank),
        "step_bias": draw(4, channels) - 3,
        "A": -torch.exp(0.5 * draw(4, channels, states)) * torch.arange(1, states + 1),
        "D": draw(4, channels),
    }
    return {name: value.to(dtype).requires_grad_() for name, value in given.items()}


def doubled(given):
    return {name: value.detach().double().requires_grad_() for name, value in given.items()}


def written_out(u, delta, A, B, C, D, delta_bias):
    """The recurrence in float64, one number at a time; independent of the library."""
    u, delta, A, B, C, D, bias = (
        x.detach().double().numpy() for x in (u, delta, A, B, C, D, delta_bias)
    )
    y = np.zeros_like(u)
    per_group = u.shape[1] // B.shape[1]
    for b, d in np.ndindex(*u.shape[:2]):
        g, h = d // per_group, np.zeros(A.shape[1])
        for t in range(u.shape[2]):
            dt = np.logaddexp(0, delta[b, d, t] + bias[d])
            h = np.exp(dt * A[d]) * h + dt * B[b, g, :, t] * u[b, d, t]
            y[b, d, t] = C[b, g, :, t] @ h + D[d] * u[b, d, t]
    return y


def walked(x, rows, step_weight, step_bias, A, D):
    """scan_2d in float64, walking the pixels in the four directions; independent of the library."""
    x, rows, W, bias, A, D = (
        v.detach().double().numpy() for v in (x, rows, step_weight, step_bias, A, D)
    )
    height, width = x.shape[1:3]
    by_rows = [(i, j) for i in range(height) for j in range(width)]
    by_columns = [(i, j) for j in range(width) for i in range(height)]
    y, rank, states = np.zeros_like(x), W.shape[2], A.shape[2]
    for k, path in enumerate((by_rows, by_columns, by_rows[::-1], by_columns[::-1])):
        h = np.zeros((x.shape[0], *A.shape[1:]))
        for i, j in path:
            low, B, C = np.split(rows[:, i, j, k], [rank, rank + states], axis=-1)
            dt = np.logaddexp(0, low @ W[k].T + bias[k])[..., None]
            h = np.exp(dt * A[k]) * h + dt * B[:, None] * x[:, i, j, :, None]
            y[:, i, j] += (h * C[:, None]).sum(-1) + D[k] * x[:, i, j]
    return y


def relative(found, expected):
    expected = torch.as_tensor(expected)
    found = found.detach().double()
    scale = expected.abs().max().clamp_min(1e-30)
    return float((found - expected).abs().max() / scale)


def gradients(function, given, weights):
    y = function(**given)
    return y.detach(), torch.autograd.grad(y, list(given.values()), weights.to(y.dtype))


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("backend", [*EXACT, "auto"])
def test_a_scan_equals_the_released_reference(backend):
    golden = {name: torch.from_numpy(value) for name, value in np.load(GOLDEN).items()}
    expected = golden.pop("y")
    assert relative(scan.selective_scan(**golden, backend=backend), expected) < 1e-6


@pytest.mark.parametrize("backend", EXACT)
@pytest.mark.parametrize("steps", ["usual", "large"])
def test_a_scan_is_the_recurrence_written_out(backend, steps):
    given = sequences(23, steps=steps)
    assert relative(scan.selective_scan(**given, backend=backend), written_out(**given)) < 1e-6


@pytest.mark.parametrize("steps", ["usual", "large"])
@pytest.mark.parametrize("length", [1, 7, 64, 65, 4096])
def test_all_backends_agree_with_a_float64_loop_in_values_and_gradients(length, steps):
    given = sequences(length, steps=steps)
    weights = torch.randn(given["u"].shape, generator=torch.Generator().manual_seed(1))
    exact = partial(scan.selective_scan, backend="reference")
    y, expected = gradients(exact, doubled(given), weights)
    for backend in ("torch", "numba"):
        found, slopes = gradients(partial(scan.selective_scan, backend=backend), given, weights)
        assert relative(found, y) < 1e-5
        for name, slope, reference in zip(given, slopes, expected, strict=True):
            assert relative(slope, reference) < 1e-4, (backend, name)


@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_the_gradients_of_a_scan_are_those_of_finite_differences(backend):
    given = sequences(11, channels=3, groups=2, states=2, dtype=torch.float64)
    scanned = lambda *values: scan.selective_scan(*values, backend=backend)  # noqa: E731
    assert torch.autograd.gradcheck(scanned, tuple(given.values()))


@pytest.mark.parametrize("backend", EXACT)
def test_softplus_is_torchs_up_to_and_beyond_its_threshold(backend):
    # One step from a zero state with A = 0 and B = C = 1 shows softplus(delta) itself.
    delta = torch.tensor([-100.0, -20, -1, -1e-3, 0, 1e-3, 1, 19.99, 20, 20.01, 50, 1e4])
    u = torch.ones(1, 12, 1)
    B, zero = torch.ones(1, 1, 1, 1), torch.zeros(12)
    y = scan.selective_scan(
        u, delta.view(1, -1, 1), zero[:, None], B, B, zero, zero, backend=backend
    )
    torch.testing.assert_close(y.flatten(), F.softplus(delta), rtol=3e-7, atol=1e-37)


@pytest.mark.parametrize("bound", [1, 40, 1000])
def test_the_torch_backend_is_the_same_in_any_number_of_segments(bound, monkeypatch):
    given = sequences(37, dtype=torch.float64)
    weights = torch.ones_like(given["u"])
    chunked = partial(scan.selective_scan, backend="torch")
    y, expected = gradients(chunked, given, weights)
    monkeypatch.setattr(_scan_torch, "_SEGMENT_ELEMENTS", {"cpu": bound})
    found, slopes = gradients(chunked, given, weights)
    torch.testing.assert_close(found, y)
    torch.testing.assert_close(slopes, expected)


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_strided_arguments_give_what_contiguous_ones_give(backend):
    given = {name: value.detach() for name, value in sequences(9).items()}
    strided = {name: value.mT.contiguous().mT for name, value in given.items() if value.ndim > 1}
    y = scan.selective_scan(**given, backend=backend)
    torch.testing.assert_close(scan.selective_scan(**given | strided, backend=backend), y)


# ---------------------------------------------------------------- images


@pytest.mark.parametrize("backend", EXACT)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1), (5, 8), (12, 7)])
def test_an_image_is_scanned_along_rows_and_columns_both_ways(backend, height, width):
    given = image(height, width)
    assert relative(scan.scan_2d(**given, backend=backend), walked(**given)) < 1e-6


@pytest.mark.parametrize("channels", [5, 16, 40])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_fused_kernel_agrees_with_float64_in_all_gradients(channels, n_threads, threads):
    threads(n_threads)
    given = image(13, 11, channels=channels, rank=3)
    weights = torch.randn(given["x"].shape, generator=torch.Generator().manual_seed(1))
    exact = partial(scan.scan_2d, backend="reference")
    y, expected = gradients(exact, doubled(given), weights)
    found, slopes = gradients(partial(scan.scan_2d, backend="numba"), given, weights)
    assert relative(found, y) < 1e-5
    for name, slope, reference in zip(given, slopes, expected, strict=True):
        assert relative(slope, reference) < 1e-4, name


def test_the_gradients_of_a_two_dimensional_scan_are_those_of_finite_differences():
    given = image(3, 4, channels=2, states=2, rank=1, dtype=torch.float64)
    assert torch.autograd.gradcheck(scan.scan_2d, tuple(given.values()))


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_the_fused_kernel_repeats_itself_bit_for_bit(n_threads, threads):
    threads(n_threads)
    given = {name: value[:1] if name in ("x", "rows") else value
             for name, value in image(16, 9, channels=40).items()}  # fmt: skip
    weights = torch.ones_like(given["x"])
    y, first = gradients(scan.scan_2d, given, weights)
    again, second = gradients(scan.scan_2d, given, weights)
    assert torch.equal(y, again)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_reading_orders_are_permutations_and_columns_stand_at_w_h_plus_h():
    rows, columns, back, up = scan.reading_orders(3, 5)
    assert rows.tolist() == list(range(15))
    # Time w H + h of the second order is the pixel in row h, column w.
    assert all(columns[w * 3 + h] == h * 5 + w for w in range(5) for h in range(3))
    assert back.tolist() == rows.tolist()[::-1]
    assert up.tolist() == columns.tolist()[::-1]


# ---------------------------------------------------------------- which backend, and refusals


def test_auto_takes_the_kernel_for_float32_and_tensors_for_float64():
    given = {name: value.detach() for name, value in image(4, 5).items()}
    assert torch.equal(scan.scan_2d(**given), scan.scan_2d(**given, backend="numba"))
    wide = doubled(given)
    assert torch.equal(scan.scan_2d(**wide), scan.scan_2d(**wide, backend="torch"))


SINGLE_ON_GPU = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float32)

# What the released kernel computes, by its own order of arguments.
FAKE_KERNEL = """
from ensrepro.models import scan

def selective_scan_fn(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False):
    assert z is None and delta_softplus
    return scan.selective_scan(u, delta, A, B, C, D, delta_bias, backend="reference")
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs a package mamba_ssm with the code given, for one test."""

    def forget():
        scan._imports_mamba_ssm.cache_clear()
        names = [name for name in sys.modules if name.split(".")[0] == "mamba_ssm"]
        return {name: sys.modules.pop(name) for name in names}

    def install(code):
        (tmp_path / "mamba_ssm" / "ops").mkdir(parents=True)
        (tmp_path / "mamba_ssm" / "ops" / "selective_scan_interface.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)

    before = forget()
    yield install
    forget()
    sys.modules.update(before)


def test_auto_takes_the_released_kernel_on_a_gpu_for_float32_only(package):
    package(FAKE_KERNEL)
    assert scan._resolve("auto", SINGLE_ON_GPU) == "mamba_ssm"
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        other = SimpleNamespace(device=torch.device("cuda"), dtype=dtype)
        assert scan._resolve("auto", other) == "torch"
        with pytest.raises(ValueError, match=f"got {dtype} on cuda; it needs torch.float32"):
            scan._resolve("mamba_ssm", other)


@pytest.mark.parametrize(
    "code",
    [
        "raise ImportError('undefined symbol: _ZN3c10')",
        "raise RuntimeError('built for another CUDA')",
        "import selective_scan_cuda_that_was_never_built",
    ],
)
def test_auto_does_without_a_released_kernel_that_is_installed_but_does_not_import(package, code):
    package(code)
    assert scan._resolve("auto", SINGLE_ON_GPU) == "torch"


def test_the_released_kernel_gets_its_arguments_in_its_own_order(package):
    package(FAKE_KERNEL)
    given = sequences(9)
    assert relative(scan._released(*given.values()), written_out(**given)) < 1e-6


def test_a_released_kernel_asked_for_by_name_says_what_to_install(package):
    package("raise ImportError")
    with pytest.raises(ImportError, match="install the extra 'gpu' or use backend 'torch'"):
        scan._released(*sequences(3).values())


def test_half_precision_runs_as_tensors():
    given = {name: value.detach() for name, value in sequences(8).items()}
    expected = written_out(**given)
    halves = {name: value.bfloat16() for name, value in given.items()}
    assert relative(scan.selective_scan(**halves), expected) < 0.1


def test_a_scan_keeps_states_only_for_gradients():
    given = image(6, 6)
    with torch.inference_mode():
        inferred = scan.scan_2d(**given)
    trained = scan.scan_2d(**given)
    assert inferred.grad_fn is None
    scanned = trained.grad_fn.next_functions[0][0]  # below the reshaping to an image
    states = scanned.saved_tensors[-1]
    assert states.shape[0] == len(given["x"])
    assert states.numel() > 0
    assert torch.equal(inferred, trained)
    frozen = scan.scan_2d(**{name: value.detach() for name, value in given.items()})
    assert not frozen.requires_grad


@pytest.mark.parametrize("name", ["u", "delta"])
@pytest.mark.parametrize("backend", EXACT)
def test_a_nan_is_never_swallowed(backend, name):
    given = {key: value.detach().clone() for key, value in sequences(6).items()}
    given[name][0, 3, 2] = float("nan")
    y = scan.selective_scan(**given, backend=backend)
    assert y[0, 3, 2:].isnan().all()
    assert y.isnan().sum() == 4  # its own channel from there on, nothing else


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"A": torch.ones(40, 4)}, ValueError, r"B has shape .2, 2, 3, 6.; expected .2, 2, 4, 6."),
        ({"C": torch.ones(2, 2, 3, 5)}, ValueError, r"C has shape .*; expected .2, 2, 3, 6."),
        ({"D": torch.ones(39)}, ValueError, r"D has shape .39,.; expected .40,."),
        ({"u": torch.ones(2, 40)}, ValueError, r"u .2, 40.,.* expected .B, G\*D, L."),
        ({"B": torch.ones(2, 3, 3, 6)}, ValueError, "cannot be cut into 3 groups"),
        ({"D": torch.ones(40).double()}, TypeError, "D is torch.float64; expected torch.float32"),
        ({"u": torch.ones(2, 40, 6).int()}, TypeError, "u is torch.int32; expected a floating"),
        ({"backend": "cuda"}, ValueError, "backend is 'cuda'; expected 'auto' or one of ref"),
        ({"backend": "mamba_ssm"}, ValueError, "on cpu; it needs torch.float32 on cuda"),
    ],
)
def test_a_scan_refuses_what_does_not_fit(change, error, sentence):
    with pytest.raises(error, match=sentence):
        scan.selective_scan(**sequences(6) | change)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"rows": torch.ones(2, 4, 5, 4, 7)}, ValueError, r"rows has shape .*; expected .*8\)"),
        ({"x": torch.ones(2, 0, 5, 20)}, ValueError, "none empty"),
        ({"A": torch.ones(4, 19, 3)}, ValueError, r"A has shape .*; expected .4, 20, 3."),
        ({"backend": "c++"}, ValueError, "backend is 'c\\+\\+'"),
    ],
)
def test_a_two_dimensional_scan_refuses_what_does_not_fit(change, error, sentence):
    with pytest.raises(error, match=sentence):
        scan.scan_2d(**image(4, 5) | change)


def test_the_kernel_refuses_float64():
    with pytest.raises(ValueError, match=r"'numba' got torch\.float64 on cpu"):
        scan.selective_scan(**sequences(6, dtype=torch.float64), backend="numba")


def test_a_process_may_fork_after_a_scan_on_two_threads():
    code = """
import os, torch
from ensrepro.models import scan
torch.set_num_threads(2)
x, rows = torch.ones(2, 4, 4, 16), torch.ones(2, 4, 4, 4, 5)
given = x, rows, torch.ones(4, 16, 1), torch.ones(4, 16), -torch.ones(4, 16, 2), torch.ones(4, 16)
y = scan.scan_2d(*given)
child = os.fork()
if child == 0:
    os._exit(0 if torch.equal(scan.scan_2d(*given), y) else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    source = Path(scan.__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(source)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=600)


def test_warming_up_compiles_both_kernels():
    assert scan.warm_up() > 0
    assert _scan_numba.forward.signatures
    assert _scan_numba.backward.signatures


def test_the_cached_file_changes_with_the_vectors_it_is_built_on():
    # Otherwise numba would go on using kernels compiled from an older _lanes.py.
    digest = hashlib.sha256(Path(_lanes.__file__).read_bytes()).hexdigest()
    assert digest.startswith(_scan_numba.LANES_DIGEST)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("backend", ["auto", "torch", "reference"])
def test_a_scan_on_a_gpu_is_the_recurrence_written_out(backend):
    given = sequences(23)
    moved = {name: value.detach().cuda() for name, value in given.items()}
    found = scan.selective_scan(**moved, backend=backend).cpu()
    assert relative(found, written_out(**given)) < 1e-5
