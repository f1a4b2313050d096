"""Training: the schedule in closed form, one step, and a run that survives being killed."""

from __future__ import annotations

import copy
import logging
import math
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ensrepro import training
from ensrepro.config import Phase, Schedule
from ensrepro.training import (
    DivergedError,
    History,
    fit,
    learning_rate,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
    update,
)

SCHEDULE = Schedule(
    (Phase(14, 3, 8), Phase(7, 2, 12)), lr=1e-2, hold=0.3, warmup=3, checkpoint_every=3
)
HERE = Path(__file__).resolve().parent
# A run in a process of its own that says after each step how far it is, and waits to be killed.
CHILD = """
import sys, torch
from pathlib import Path
from test_training import SCHEDULE, batch, network
from ensrepro.training import fit
torch.set_num_threads(1)
def say(done, history):
    print(done, flush=True)
    if done >= int(sys.argv[2]):
        sys.stdin.read()
fit(network(), batch, SCHEDULE, seed=0, checkpoint=Path(sys.argv[1]), progress=say)
"""


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.GELU(), nn.Conv2d(4, 3, 1))


def batch(step: int, phase: Phase) -> tuple[torch.Tensor, torch.Tensor]:
    """(batch, 3, patch, patch) each; a pure function of the step."""
    generator = torch.Generator().manual_seed(step)
    inputs = torch.rand(phase.batch, 3, phase.patch, phase.patch, generator=generator)
    return inputs, inputs.flip(1) * 0.5


def never(step: int, phase: Phase) -> tuple[torch.Tensor, torch.Tensor]:
    raise AssertionError(f"a batch was asked for at step {step}")


def same(a: nn.Module, b: nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in another order have other last bits; a resumed run has the same number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def uninterrupted() -> tuple[nn.Module, History]:
    torch.set_num_threads(1)
    net = network()
    return net, fit(net, batch, SCHEDULE, seed=0)


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """Of a finished run of SCHEDULE: `.pt` after step 21, `.previous` after step 18."""
    path = tmp_path / "checkpoints" / "net.pt"
    fit(network(), batch, SCHEDULE, seed=0, checkpoint=path)
    return path


# the learning rate


def test_the_rate_warms_up_holds_and_falls_along_a_cosine():
    schedule = Schedule((Phase(100, 1, 8),), lr=1.0, lr_min=0.1, hold=0.4, warmup=10)
    rates = [learning_rate(schedule, step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert rates[10:41] == [1.0] * 31
    assert rates[70] == pytest.approx(0.55)  # half the way: the mean of lr and lr_min
    assert rates[99] == pytest.approx(0.1 + 0.45 * (1 + math.cos(math.pi * 59 / 60)))
    assert learning_rate(schedule, 100) == pytest.approx(0.1)


def test_the_fall_is_that_of_torchs_cosine_annealing():
    schedule = Schedule((Phase(50, 1, 8),), lr=3e-4, lr_min=1e-6)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=3e-4)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=1e-6)
    for step in range(50):
        assert learning_rate(schedule, step) == pytest.approx(annealing.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        annealing.step()


@given(
    n=st.integers(1, 60),
    hold=st.floats(0, 1),
    warmup=st.integers(0, 20),
    lr_min=st.floats(1e-6, 1e-3),
)
def test_the_rate_never_leaves_its_bounds_and_never_rises_again(n, hold, warmup, lr_min):
    schedule = Schedule((Phase(n, 1, 8),), 1e-3, lr_min, hold, warmup)
    rates = [learning_rate(schedule, step) for step in range(n)]
    assert all(0 < rate <= 1e-3 * (1 + 1e-9) for rate in rates)
    after = rates[warmup:]
    assert all(a >= b * (1 - 1e-9) >= lr_min * (1 - 2e-9) for a, b in pairwise(after))


# one step


def test_one_step_lowers_the_loss_on_its_batch():
    for seed in range(5):
        net, data = network(), batch(seed, Phase(1, 4, 16))
        optimizer = torch.optim.AdamW(net.parameters())
        before = update(net, optimizer, data, lr=1e-3, clip=1.0)
        after = nn.functional.l1_loss(net(data[0]), data[1]).item()
        assert after < before


def test_the_loss_is_the_mean_absolute_error_before_the_step():
    net, data = network(), batch(0, Phase(1, 2, 8))
    expected = (net(data[0]) - data[1]).abs().mean().item()
    assert update(net, torch.optim.AdamW(net.parameters()), data, 1e-3, 1.0) == expected


def test_the_first_step_is_adams_in_closed_form():
    net, data = network(), batch(0, Phase(1, 2, 8))
    start = copy.deepcopy(net)
    fit(
        net, lambda step, phase: data, replace(SCHEDULE, phases=(Phase(1, 2, 8),), clip=1e9), seed=0
    )
    nn.functional.l1_loss(start(data[0]), data[1]).backward()
    lr, decay = SCHEDULE.lr / SCHEDULE.warmup, SCHEDULE.weight_decay
    for moved, weight in zip(net.parameters(), start.parameters(), strict=True):
        # AdamW, first step: both moments are of one gradient, so their ratio is its sign
        expected = weight * (1 - lr * decay) - lr * weight.grad / (weight.grad.abs() + 1e-8)
        assert torch.allclose(moved, expected, rtol=1e-5, atol=1e-7)


def test_gradients_are_clipped_to_the_schedules_norm():
    net, data = network(), batch(0, Phase(1, 2, 8))
    update(net, torch.optim.AdamW(net.parameters()), data, lr=0.0, clip=1e9)
    free = torch.cat([p.grad.flatten() for p in net.parameters()])
    clip = free.norm().item() / 10
    update(net, torch.optim.AdamW(net.parameters()), data, lr=0.0, clip=clip)
    clipped = torch.cat([p.grad.flatten() for p in net.parameters()])
    assert clipped.norm().item() == pytest.approx(clip, rel=1e-4)
    assert torch.allclose(clipped, free / 10, rtol=1e-4)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_leaves_the_weights_alone(value):
    net, (inputs, targets) = network(), batch(0, Phase(1, 2, 8))
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.1)
    targets[0, 0, 0, 0] = value
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf) at a learning rate of 0\.5"):
        update(net, optimizer, (inputs, targets), lr=0.5, clip=1.0)
    assert same(net, network())


class Root(nn.Module):
    """sqrt(w x): finite at w = 0, where its slope is not."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return (self.w * x).sqrt()


def test_a_gradient_that_is_not_finite_leaves_the_weights_alone():
    net = Root()
    data = torch.ones(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    with pytest.raises(DivergedError, match=r"the gradient is (nan|inf)"):
        update(net, torch.optim.AdamW(net.parameters()), data, lr=1e-3, clip=1.0)
    assert net.w.item() == 0


def test_a_diverged_run_keeps_its_last_good_checkpoint(tmp_path):
    def poisoned(step, phase):
        inputs, targets = batch(step, phase)
        return inputs, targets * (math.nan if step == 8 else 1)

    path, net, upto = tmp_path / "net.pt", network(), network()
    with pytest.raises(DivergedError):
        fit(net, poisoned, SCHEDULE, seed=0, checkpoint=path)
    state = load_checkpoint(path)
    assert state["step"] == 6
    optimizer = torch.optim.AdamW(upto.parameters(), weight_decay=SCHEDULE.weight_decay)
    for step in range(8):
        data = batch(step, SCHEDULE.phase_at(step))
        update(upto, optimizer, data, learning_rate(SCHEDULE, step), SCHEDULE.clip)
    assert same(net, upto)


# a whole run


def test_a_run_asks_for_every_batch_once_with_its_phase_and_learns():
    asked = []

    def recorded(step, phase):
        asked.append((step, phase))
        return batch(step, phase)

    net = network()
    history = fit(
        net, recorded, replace(SCHEDULE, phases=(Phase(60, 3, 8), Phase(9, 2, 12))), seed=0
    )
    assert asked == [(i, Phase(60, 3, 8)) for i in range(60)] + [
        (i, Phase(9, 2, 12)) for i in range(60, 69)
    ]
    assert len(history.losses) == 69
    assert sum(history.losses[-10:]) < 0.7 * sum(history.losses[:10])
    assert history.seconds > 0
    assert not net.training


def test_validation_comes_at_its_interval_and_at_the_end_in_eval_mode():
    modes, reported = [], []

    def validate(net):
        modes.append(net.training)
        return float(len(modes))

    def trained(step, phase):
        assert net.training
        return batch(step, phase)

    net = network()
    history = fit(
        net,
        trained,
        SCHEDULE,
        seed=0,
        validate=validate,
        validate_every=10,
        progress=lambda done, history: reported.append((done, len(history.losses))),
    )
    assert history.validation == [(10, 1.0), (20, 2.0), (21, 3.0)]
    assert modes == [False] * 3
    assert reported == [(i, i) for i in range(1, 22)]


def test_validation_and_checkpoints_do_not_change_the_weights(tmp_path, uninterrupted):
    net = network()
    fit(net, batch, SCHEDULE, seed=0, checkpoint=tmp_path / "a.pt", validate=lambda net: 0.0)
    assert same(net, uninterrupted[0])


# killed and resumed


def killed_at(step: int, path: Path) -> None:
    """Start or resume the run in a child and kill it with SIGKILL after `step` steps."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(HERE.parent / "src"), str(HERE)]),
        "OMP_NUM_THREADS": "1",
    }
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(step)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert any(int(line) == step for line in child.stdout)  # it now waits
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL


def test_a_killed_run_ends_with_the_same_weights_bit_for_bit(tmp_path, uninterrupted):
    path, net = tmp_path / "net.pt", network()
    for step, kept in ((7, 6), (17, 15)):  # twice, in either phase, between two checkpoints
        killed_at(step, path)
        assert load_checkpoint(path)["step"] == kept
    asked = []

    def recorded(step, phase):
        asked.append(step)
        return batch(step, phase)

    history = fit(net, recorded, SCHEDULE, seed=0, checkpoint=path)
    assert asked == list(range(15, 21))  # less than one interval was lost
    assert same(net, uninterrupted[0])
    assert history.losses == uninterrupted[1].losses


@pytest.mark.parametrize("step", range(1, 21))
def test_a_run_stopped_after_any_step_ends_with_the_same_weights(step, tmp_path, uninterrupted):
    def stop(done, history):
        if done == step:
            raise KeyboardInterrupt

    path, net = tmp_path / "net.pt", network()
    with pytest.raises(KeyboardInterrupt):
        fit(network(), batch, SCHEDULE, seed=0, checkpoint=path, progress=stop)
    history = fit(
        net, batch, SCHEDULE, seed=0, checkpoint=path, validate=lambda net: 1.5, validate_every=9
    )
    assert same(net, uninterrupted[0])
    assert history.losses == uninterrupted[1].losses
    assert history.validation[-1] == (21, 1.5)


def test_a_finished_run_is_not_repeated(checkpoint, uninterrupted):
    net = network()
    history = fit(net, never, SCHEDULE, seed=0, checkpoint=checkpoint)
    assert same(net, uninterrupted[0])
    assert history.losses == uninterrupted[1].losses
    assert not net.training


def test_a_checkpoint_made_from_something_else_is_refused(tmp_path):
    path = tmp_path / "net.pt"
    fit(network(), batch, SCHEDULE, seed=0, checkpoint=path, made_from={"teacher": "0a"})
    fit(network(), never, SCHEDULE, seed=0, checkpoint=path, made_from={"teacher": "0a"})
    for other, sentence in (
        ({"teacher": "0b"}, "its teacher is '0a', expected '0b'"),
        (None, "its teacher is '0a', expected None"),
        ({"teacher": "0a", "pool": "1"}, "its pool is None, expected '1'"),
    ):
        with pytest.raises(ValueError, match=rf"net\.pt belongs to another training: {sentence}"):
            fit(network(), never, SCHEDULE, seed=0, checkpoint=path, made_from=other)


def test_a_checkpoint_of_another_schedule_or_seed_is_refused_with_both_sides(checkpoint):
    content = checkpoint.read_bytes()
    faster = replace(SCHEDULE, lr=5e-2)
    with pytest.raises(ValueError, match=r"net\.pt belongs to another training: its sch") as caught:
        fit(network(), never, faster, seed=0, checkpoint=checkpoint)
    assert repr(SCHEDULE) in str(caught.value)
    assert repr(faster) in str(caught.value)
    with pytest.raises(ValueError, match="its seed is 0, expected 1; delete it to start anew"):
        fit(network(), never, SCHEDULE, seed=1, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == content


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (nn.Conv2d(3, 3, 1), r"0\.bias is \(4,\), expected absent"),
        (
            nn.Sequential(nn.Conv2d(3, 5, 3), nn.GELU(), nn.Conv2d(5, 3, 1)),
            r"0\.bias is \(4,\), expected \(5,\)",
        ),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(checkpoint, other, sentence):
    with pytest.raises(ValueError, match=rf"net\.pt fits another network: {sentence}"):
        fit(other, never, SCHEDULE, seed=0, checkpoint=checkpoint)


# damaged files


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_newest_checkpoint_falls_back_to_the_one_before_it(
    share, checkpoint, uninterrupted, caplog
):
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: int(share * len(content))])
    with caplog.at_level(logging.WARNING, logger="ensrepro.training"):
        assert load_checkpoint(checkpoint)["step"] == 18
    assert "net.pt is no whole checkpoint: " in caplog.text
    net = network()
    fit(net, batch, SCHEDULE, seed=0, checkpoint=checkpoint)
    assert same(net, uninterrupted[0])
    assert load_checkpoint(checkpoint)["step"] == 21


def equal(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return a == b


def test_a_wrong_bit_is_seen_or_does_no_harm(checkpoint):
    content, whole = checkpoint.read_bytes(), read_checkpoint(checkpoint)
    errors = []
    for place in range(3, 8 * len(content), 8 * len(content) // 250):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        checkpoint.write_bytes(damaged)
        try:
            assert equal(read_checkpoint(checkpoint), whole)
        except ValueError as error:
            errors.append(str(error))
    assert len(errors) > 20  # much of the file is padding
    assert all("net.pt is no " in error and "\n" not in error for error in errors)


def test_an_entry_that_became_a_folder_is_seen(checkpoint):
    # torch.load would take such an entry's tensor from memory that nobody wrote
    content = checkpoint.read_bytes()
    places = [m.start() + 38 for m in re.finditer(rb"PK\x01\x02", content)]  # external attributes
    assert len(places) > 10
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        checkpoint.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"net\.pt is no whole checkpoint: "):
            read_checkpoint(checkpoint)


def test_a_wrong_bit_in_a_weight_is_seen(checkpoint):
    content = checkpoint.read_bytes()
    weight = network()[0].weight.detach() * 0 + read_checkpoint(checkpoint)["model"]["0.weight"]
    place = content.index(weight.numpy().tobytes())
    for offset in range(0, weight.numel() * 4, 37):
        damaged = bytearray(content)
        damaged[place + offset] ^= 1
        checkpoint.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"the checksum of .* is wrong"):
            read_checkpoint(checkpoint)


def test_a_training_is_not_silently_done_over_when_no_checkpoint_reads(checkpoint):
    for path in (checkpoint, checkpoint.with_suffix(".previous")):
        path.write_bytes(b"not a checkpoint")
    with pytest.raises(
        ValueError, match=r"net\.pt is no whole .*; .*net\.previous is no whole .*; delete"
    ):
        fit(network(), never, SCHEDULE, seed=0, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == b"not a checkpoint"


def test_no_checkpoint_at_all_is_a_new_run(tmp_path):
    assert load_checkpoint(tmp_path / "net.pt") is None


def test_a_crash_between_the_two_renamings_loses_one_interval(checkpoint, monkeypatch):
    real = os.replace

    def crash(source, target):
        if ".partial" in str(source):
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(training.os, "replace", crash)
    state = read_checkpoint(checkpoint)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(checkpoint, {**state, "step": 24})
    assert not checkpoint.exists()
    assert load_checkpoint(checkpoint)["step"] == 21


def test_a_failing_write_leaves_both_checkpoints_whole_and_nothing_beside_them(
    checkpoint, monkeypatch
):
    def full(state, file):
        file.write(b"PK half a checkpoint")
        raise OSError("no space left on device")

    before = {path.name: path.read_bytes() for path in checkpoint.parent.iterdir()}
    state = read_checkpoint(checkpoint)
    monkeypatch.setattr(training.torch, "save", full)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(checkpoint, state)
    assert {path.name: path.read_bytes() for path in checkpoint.parent.iterdir()} == before
    assert set(before) == {"net.pt", "net.previous"}


class Gadget:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("as_zip", [True, False])
def test_code_hidden_in_a_checkpoint_is_not_executed(checkpoint, tmp_path, as_zip):
    canary = tmp_path / "executed"
    state = read_checkpoint(checkpoint)
    for path in (checkpoint, checkpoint.with_suffix(".previous")):
        hidden = {**state, "history": Gadget(canary)}
        torch.save(hidden, path, _use_new_zipfile_serialization=as_zip)
    with pytest.raises(ValueError, match=r"net\.pt is no whole checkpoint: "):
        fit(network(), never, SCHEDULE, seed=0, checkpoint=checkpoint)
    assert not canary.exists()
    torch.load(checkpoint, weights_only=False)  # the gadget is live
    assert canary.exists()


@pytest.mark.parametrize("content", [{"step": 3}, [1, 2], network().state_dict()])
def test_a_file_of_tensors_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "net.pt"
    torch.save(content, path)
    with pytest.raises(
        ValueError, match=r"net\.pt is no checkpoint: expected the keys \['history'"
    ):
        fit(network(), never, SCHEDULE, seed=0, checkpoint=path)
