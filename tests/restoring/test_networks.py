"""Which network a name means, and what is said of one that is not there."""

from __future__ import annotations

import pytest
import torch

from ensrepro.models.hybrid import build
from ensrepro.restoring import networks
from ensrepro.space import RESTORMER
from ensrepro.steps import context

pytestmark = pytest.mark.usefixtures("one_thread")

LABEL = "T T 2 2 2 T T T"


def test_the_teacher_is_what_is_meant_without_a_name(checkout):
    found = networks.get(task="denoise", profile="smoke")
    assert found.architecture == RESTORMER.teacher
    assert found.name == "teacher of denoise (smoke)"
    assert not found.net.training


@pytest.mark.parametrize("arch", ["2844", LABEL])
def test_a_hybrid_is_known_by_number_and_label_and_is_that_of_the_first_seed(arch, checkout):
    found = networks.get(arch, task="denoise", profile="smoke")
    assert (found.architecture, found.name) == (
        (0, 0, 3, 4, 3, 0, 0, 0),
        f"{LABEL} of denoise (smoke)",
    )
    torch.manual_seed(1)  # that of the hybrid's first seed in conftest.py
    expected = build(found.architecture, found.ctx.shape)
    context.round_to_half(expected)
    assert context.digest(found.net) == context.digest(expected)


@pytest.mark.parametrize("arch", ["77", "T T T T T T T T", "T T", "T T 3 2 2 T T T", "best", ""])
def test_another_architecture_lists_what_is_on_file(arch, checkout):
    with pytest.raises(
        ValueError, match=r"expected what denoise has on file in profile smoke"
    ) as e:
        networks.get(arch, task="denoise", profile="smoke")
    assert str(e.value).startswith(f"arch is {arch!r};")
    assert str(e.value).endswith(f": teacher, 2844 ({LABEL})")


def test_a_task_without_weights_names_those_that_have_some_and_what_trains_it(checkout):
    with pytest.raises(FileNotFoundError) as caught:
        networks.get(task="derain", profile="smoke")
    assert str(caught.value).endswith(
        "expected a trained teacher of restormer-mambair for derain; in profile smoke are trained: "
        "restormer-mambair, restormer-edge, restormer-stateless (denoise, defocus_dual); "
        "python -m ensrepro run 03_distillation --task derain --profile smoke trains this one, "
        "which may take hours"
    )
    with pytest.raises(FileNotFoundError, match=r"smoke --pair uformer-mambair trains this one"):
        networks.get(task="derain", profile="smoke", pair="uformer-mambair")


@pytest.mark.parametrize(
    ("pair", "command"),
    [
        ("restormer-mambair", "06_finetune --task denoise --profile smoke chooses"),
        ("restormer-edge", "14_edge --task denoise --profile smoke --pair restormer-edge chooses"),
    ],
)
def test_a_knee_that_was_not_chosen_yet_is_told_with_what_would_choose_it(pair, command, checkout):
    before = sorted(checkout.rglob("*"))
    with pytest.raises(FileNotFoundError, match=f"no chosen hybrid of {pair} .*{command}"):
        networks.get("knee", task="denoise", profile="smoke", pair=pair)
    assert sorted(checkout.rglob("*")) == before  # and nothing was begun


def test_weights_of_another_run_are_not_taken_for_the_hybrids(checkout):
    folder = checkout / "weights" / "smoke" / "denoise"
    first, second = (folder / f"hybrid-02844-s{seed}.safetensors" for seed in (1, 2))
    own = first.read_bytes()
    first.write_bytes(second.read_bytes())
    try:
        with pytest.raises(ValueError, match=r"hybrid-02844-s1\.safetensors has the digest \w+, e"):
            networks.get("2844", task="denoise", profile="smoke")
    finally:
        first.write_bytes(own)


def test_a_profile_without_data_or_an_unknown_name_is_refused(checkout):
    with pytest.raises(ValueError, match="profile is 'paper'"):
        networks.get(task="denoise", profile="paper")
    with pytest.raises(ValueError, match="task is 'dehaze'; expected one of denoise"):
        networks.get(task="dehaze", profile="smoke")
