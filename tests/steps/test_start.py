"""Teachers that start from the teacher of another task."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ensrepro import data
from ensrepro.artifacts import Store
from ensrepro.config import PAIRS, PROFILES, TASKS
from ensrepro.steps import context, teacher
from ensrepro.steps.context import Context

pytestmark = pytest.mark.usefixtures("one_thread")


def context_of(task: str, root: Path) -> Context:
    store = Store("smoke", task, root)
    return Context(PROFILES["smoke"], TASKS[task], PAIRS["restormer-mambair"], store)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The teachers of `denoise`, `deblur` and `defocus_dual`, each from the one before it."""
    root = tmp_path_factory.mktemp("smoke")
    last = teacher.get(context_of("defocus_dual", root))  # trains the two before it first
    before = {task: teacher.get(context_of(task, root)) for task in ("denoise", "deblur")}
    return SimpleNamespace(root=root, **before, defocus_dual=last)


def test_each_teacher_names_the_one_that_it_started_from(made):
    assert made.deblur.result.start == made.denoise.result.digest
    assert made.defocus_dual.result.start == made.deblur.result.digest
    assert len({made.denoise.result.digest, made.deblur.result.digest}) == 2


def test_all_that_two_networks_share_is_inherited(made):
    net, digest = teacher.start(context_of("deblur", made.root))
    assert digest == made.denoise.result.digest
    earlier, own = made.denoise.net.state_dict(), net.state_dict()
    for name, tensor in earlier.items():
        assert torch.equal(own[name], tensor), name
    fresh = own.keys() - earlier.keys()  # its norms subtract the mean and have a bias
    assert fresh
    assert all(name.endswith("body.bias") and not own[name].any() for name in fresh)


def test_equal_views_give_what_one_image_gave(made):
    dual, _ = teacher.start(context_of("defocus_dual", made.root))
    single = made.deblur.net
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    twice = torch.cat([image, image], dim=1)
    assert torch.allclose(dual.stem(twice), single.stem(image), atol=1e-6)


def test_a_dual_pixel_network_starts_by_passing_its_views(made):
    """Least squares: no other convolution passes these views better."""
    ctx = context_of("defocus_dual", made.root)
    net, _ = teacher.start(ctx)
    views, _ = data.training_batch(
        "defocus_dual", teacher.PATCHES_SEED, 0, ctx.profile.teacher.phase_at(0)
    )
    wanted = views.unflatten(1, (2, 3)).mean(1)

    def error(weight: torch.Tensor) -> float:
        with torch.no_grad():
            seen = torch.nn.functional.conv2d(net.stem(views), weight)
            return float((net.output(seen) - wanted).square().mean())

    found = net.skip_conv.weight.detach()
    assert error(found) < 0.2 * error(torch.zeros_like(found))
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        nearby = found + 0.01 * torch.randn(found.shape, generator=generator) * found.abs().mean()
        assert error(found) <= error(nearby) * (1 + 1e-4)


def test_another_start_is_another_teacher(made, tmp_path):
    shutil.copytree(made.root, tmp_path, dirs_exist_ok=True)
    path = Store("smoke", "denoise", tmp_path).manifest("teacher")
    content = json.loads(path.read_text())
    content["result"]["digest"] = "0" * 16
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"started from weights of the digest .*{'0' * 16}"):
        teacher.get(context_of("deblur", tmp_path))


def test_what_the_earlier_task_was_trained_with_is_part_of_the_identity(made):
    ctx = context_of("deblur", made.root)
    profile = ctx.profile
    longer = replace(
        profile, pretraining=replace(profile.pretraining, lr=2 * profile.pretraining.lr)
    )
    assert teacher.identity(ctx) != teacher.identity(replace(ctx, profile=longer))


def test_a_profile_without_a_first_training_starts_every_task_from_random_weights(made):
    ctx = context_of("deblur", made.root)
    plain = replace(ctx, profile=replace(ctx.profile, pretraining=None))
    net, digest = teacher.start(plain)
    assert digest == ""
    assert context.digest(net) == context.digest(teacher.untrained(ctx))
