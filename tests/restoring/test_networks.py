"""Which network a name means, and what is said of one that is not there."""

from __future__ import annotations

import pytest
import torch

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
    expected = networks.build(found.architecture, found.ctx.shape)
    context.round_to_half(expected)
    assert context.digest(found.net) == context.digest(expected)


@pytest.mark.parametrize("arch", ["77", "T T T T T T T T", "T T", "T T 3 2 2 T T T", "best", ""])
def test_another_architecture_lists_what_is_on_file(arch, checkout):
    with pytest.raises(
        ValueError, match=r"expected what denoise has on file in profile smoke"
    ) as e:
        networks.get(arch, task="denoise", profile="smoke")
    assert str(e.value).startswith(f"arch is {arch!r};")
    assert str(e.value).endswith(f": teacher, knee, 2844 ({LABEL})")


def test_a_task_without_weights_names_those_that_have_some_and_what_trains_it(checkout):
    with pytest.raises(FileNotFoundError) as caught:
        networks.get(task="derain", profile="smoke")
    assert str(caught.value) == (
        "derain has no trained network of restormer-mambair in profile smoke; tasks that have one: "
        "denoise, defocus_dual; python -m ensrepro run 03_distillation --task derain "
        "--profile smoke trains it, which may take hours"
    )
    with pytest.raises(FileNotFoundError, match=r"have one: none; .* --pair uformer-mambair train"):
        networks.get(task="derain", profile="smoke", pair="uformer-mambair")


def test_a_knee_that_was_not_chosen_yet_is_told_with_what_would_choose_it(checkout):
    with pytest.raises(FileNotFoundError, match=r"no chosen hybrid .*06_finetune --task denoise"):
        networks.get("knee", task="denoise", profile="smoke")
    assert not (checkout / "results").exists()  # and nothing was begun


def test_a_profile_without_data_or_an_unknown_name_is_refused(checkout):
    with pytest.raises(ValueError, match="profile is 'paper'"):
        networks.get(task="denoise", profile="paper")
    with pytest.raises(ValueError, match="task is 'dehaze'; expected one of denoise"):
        networks.get(task="dehaze", profile="smoke")
