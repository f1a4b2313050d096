"""The U-Net of stages: any architecture builds, and hybrids share the teacher's parts."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ensrepro.config import PAIRS, PROFILES, TASKS, MambaIRShape
from ensrepro.models.hybrid import (
    SHAPES,
    NetworkShape,
    assemble,
    build,
    network_shape,
    set_weights,
    surrogate_stage,
    teacher_stage,
)
from ensrepro.models.mambair import VSSBlock
from ensrepro.models.restormer import RestormerBlock
from ensrepro.models.uformer import LeWinBlock, UformerShape
from ensrepro.space import RESTORMER, UFORMER, Space, Stage

TINY = NetworkShape(width=8, mambair=MambaIRShape(1.0, 2, 16))
TINY_UFORMER = UformerShape(2, window=2, image_size=32, mambair=MambaIRShape(1.0, 2, 16))
# of each pair: shape, space, the teacher's block, sides of an image
EXPRESSIVE = {
    "restormer": (TINY, RESTORMER, RestormerBlock, (16, 24)),
    "uformer": (TINY_UFORMER, UFORMER, LeWinBlock, (32, 32)),
}
EXTREMES = (
    *(("restormer", a) for a in (RESTORMER.teacher, RESTORMER.all_ssm, RESTORMER.cheapest)),
    ("restormer", (0, 1, 0, 1, 0, 1, 0, 1)),
    ("restormer", (2, 0, 3, 0, 3, 0, 2, 0)),
    *(("uformer", a) for a in (UFORMER.teacher, UFORMER.all_ssm, UFORMER.cheapest)),
    ("uformer", (1, 0, 4, 0, 1, 0, 2, 0, 1)),
)
SAMPLE = tuple(
    (family, space.architecture(int(i)))
    for family, (_, space, *_) in EXPRESSIVE.items()
    for i in np.random.default_rng(0).choice(space.n_architectures, 6, replace=False)
)


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def on_meta(architecture, shape):
    with torch.device("meta"):
        return build(architecture, shape)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def teacher():
    torch.manual_seed(0)
    return build(RESTORMER.teacher, TINY).eval()


@pytest.fixture(scope="module")
def surrogates():
    torch.manual_seed(1)
    return {
        (stage.name, depth): surrogate_stage(stage, depth, TINY).eval()
        for stage in RESTORMER.stages
        for depth in stage.depths
    }


def images(n=2, h=16, w=24, channels=3):
    return torch.rand(n, channels, h, w, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=EXPRESSIVE)
def parts(request):
    """Teacher and surrogates of a pair, an image that fits, and some hybrid that mixes them."""
    shape, space, _, sides = EXPRESSIVE[request.param]
    torch.manual_seed(2)
    surrogates = {
        (stage.name, depth): surrogate_stage(stage, depth, shape).eval()
        for stage in space.stages
        for depth in stage.depths
    }
    mixed = {"restormer": (0, 2, 0, 4, 1, 0, 0, 2), "uformer": (0, 1, 0, 4, 1, 2, 0, 0, 1)}
    return SimpleNamespace(
        space=space,
        surrogates=surrogates,
        teacher=build(space.teacher, shape, space).eval(),
        images=images(1, *sides),
        mixed=mixed[request.param],
    )


# ---------------------------------------------------------------- the released networks


# Counted on the released implementations.
@pytest.mark.parametrize(
    ("architecture", "shape", "expected"),
    [
        (RESTORMER.teacher, NetworkShape(), 26_126_644),
        (RESTORMER.teacher, NetworkShape(norm="bias_free"), 26_111_668),
        (RESTORMER.teacher, NetworkShape(in_channels=6), 26_132_548),
        (RESTORMER.teacher, NetworkShape(48, "bias_free", 1, 1), 26_109_076),
        (RESTORMER.all_ssm, NetworkShape(mambair=MambaIRShape(1.5, 16)), 26_779_480),
        (RESTORMER.all_ssm, NetworkShape(mambair=MambaIRShape(2.0, 16)), 30_750_424),
    ],
)
def test_networks_have_the_released_number_of_parameters(architecture, shape, expected):
    assert parameters(on_meta(architecture, shape)) == expected


def test_everything_outside_the_stages_has_the_released_number_of_parameters():
    net = on_meta(RESTORMER.teacher, NetworkShape())
    assert parameters(net) - parameters(net.stages) == 3_797_424
    assert len(net.state_dict()) == 494
    assert len(on_meta(RESTORMER.teacher, NetworkShape(norm="bias_free")).state_dict()) == 406
    assert len(on_meta(RESTORMER.teacher, NetworkShape(in_channels=6)).state_dict()) == 495


# ---------------------------------------------------------------- every architecture


@pytest.mark.parametrize(("family", "architecture"), EXTREMES + SAMPLE)
def test_an_architecture_builds_with_the_blocks_it_names_and_runs(family, architecture):
    shape, space, expressive, sides = EXPRESSIVE[family]
    net = build(architecture, shape, space).eval()
    for stage, choice in zip(space.stages, architecture, strict=True):
        blocks = net.stages[stage.name]
        assert {type(block) for block in blocks} == {expressive if choice == 0 else VSSBlock}
        assert len(blocks) == stage.depth(choice)
    with torch.inference_mode():
        restored = net(images(2, *sides))
    assert restored.shape == (2, 3, *sides)
    assert restored.isfinite().all()


def test_the_size_of_a_network_is_the_sum_of_its_parts(teacher, surrogates):
    glue = parameters(teacher) - parameters(teacher.stages)
    table = [
        [parameters(teacher.stages[stage.name])]
        + [parameters(surrogates[stage.name, depth]) for depth in stage.depths]
        for stage in RESTORMER.stages
    ]
    for number in np.random.default_rng(1).choice(34_560, 12, replace=False):
        architecture = RESTORMER.architecture(int(number))
        expected = glue + sum(row[c] for row, c in zip(table, architecture, strict=True))
        assert parameters(on_meta(architecture, TINY)) == expected


@pytest.mark.parametrize("width", [2, 4, 10, 28])
@pytest.mark.parametrize("architecture", [RESTORMER.teacher, RESTORMER.cheapest])
def test_narrow_networks_work(width, architecture):
    net = build(architecture, NetworkShape(width, mambair=MambaIRShape(1.0, 2, 1))).eval()
    with torch.inference_mode():
        assert net(images(1, 8, 8)).isfinite().all()


def test_a_network_has_the_same_weights_for_the_same_seed():
    def made(seed):
        torch.manual_seed(seed)
        return build((0, 1, 0, 2, 0, 3, 0, 1), TINY).state_dict()

    one, two, other = made(0), made(0), made(1)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["stem.weight"], other["stem.weight"])


# ---------------------------------------------------------------- hybrids


def test_a_hybrid_of_teacher_choices_is_the_teacher(parts):
    hybrid = assemble(parts.teacher, parts.surrogates, parts.space.teacher)
    with torch.inference_mode():
        assert torch.equal(hybrid(parts.images), parts.teacher(parts.images))


def test_a_hybrid_shares_the_very_tensors_of_its_parts(parts):
    teacher = parts.teacher
    hybrid = assemble(teacher, parts.surrogates, parts.mixed)
    expected = {id(p) for n, p in teacher.named_parameters() if not n.startswith("stages.")}
    for stage, choice in zip(parts.space.stages, parts.mixed, strict=True):
        part = (
            teacher.stages[stage.name]
            if choice == 0
            else parts.surrogates[stage.name, stage.depth(choice)]
        )
        assert hybrid.stages[stage.name] is part
        expected |= {id(p) for p in part.parameters()}
    assert {id(p) for p in hybrid.parameters()} == expected
    assert not hybrid.training
    built = build(parts.mixed, teacher.shape, parts.space).state_dict()
    assert {n: t.shape for n, t in hybrid.state_dict().items()} == {
        n: t.shape for n, t in built.items()
    }


def test_surrogates_silenced_at_the_start_pass_the_features_of_any_stage_on(parts):
    for stage in parts.space.stages:
        surrogate = surrogate_stage(stage, stage.depths[0], parts.teacher.shape)
        for block in surrogate:
            block.zero_output()
        x = torch.rand(1, parts.teacher.shape.channels(stage), 4, 4)
        with torch.inference_mode():
            assert torch.equal(surrogate(x), x), stage.name


def test_assembling_leaves_the_teacher_as_it_was(teacher, surrogates):
    modules = dict(teacher.named_modules())
    assemble(teacher, surrogates, RESTORMER.cheapest)
    assert dict(teacher.named_modules()) == modules


def test_a_hybrid_equals_the_network_built_with_its_weights(teacher, surrogates):
    architecture = (1, 0, 2, 0, 3, 0, 2, 0)
    hybrid = assemble(teacher, surrogates, architecture)
    copy = build(architecture, TINY).eval()
    copy.load_state_dict(hybrid.state_dict())
    with torch.inference_mode():
        assert torch.equal(copy(images()), hybrid(images()))


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ((0,) * 7, "architecture has 7 choices; restormer has 8 stages"),
        ((0, 4, 0, 0, 0, 0, 0, 0), "encoder_2: choice 4 is not in 0..3"),
        ((0, 0, 0, -1, 0, 0, 0, 0), "bottleneck: choice -1 is not in 0..4"),
        ((0, 0, 0, 0, 0, 0, 0, 1.0), "refinement: choice 1.0 is not an integer"),
    ],
)
def test_a_bad_architecture_is_refused(teacher, surrogates, architecture, message):
    for call in (build, lambda a: assemble(teacher, surrogates, a)):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            call(architecture)
        assert message in str(caught.value)


# ---------------------------------------------------------------- ends and levels


def test_without_its_output_convolution_a_network_returns_its_input(teacher):
    net = build(RESTORMER.teacher, TINY).eval()
    torch.nn.init.zeros_(net.output.weight)
    with torch.inference_mode():
        assert torch.equal(net(images()), images())


def test_a_dual_pixel_network_adds_the_stem_and_not_the_image():
    torch.manual_seed(0)
    net = build(RESTORMER.cheapest, NetworkShape(4, in_channels=6)).eval()
    assert net.shape.is_dual_pixel
    assert net.skip_conv.weight.shape == (8, 4, 1, 1)
    pair = images(channels=6)
    with torch.inference_mode():
        found = net(pair)
        assert found.shape == (2, 3, 16, 24)
        torch.nn.init.zeros_(net.skip_conv.weight)
        without = net(pair)
        assert not torch.equal(found, without)
        torch.nn.init.zeros_(net.output.weight)
        assert torch.equal(net(pair), torch.zeros(2, 3, 16, 24))
    assert not hasattr(build(RESTORMER.cheapest, NetworkShape(4)), "skip_conv")


def test_stages_work_at_their_level_and_width(teacher):
    seen = {}
    handles = [
        module.register_forward_hook(
            lambda _, x, y, name=name: seen.update({name: (tuple(x[0].shape), tuple(y.shape))})
        )
        for name, module in teacher.stages.items()
    ]
    with torch.inference_mode():
        teacher(images())
    for handle in handles:
        handle.remove()
    # the U-Net of the paper's figure: width x 1, 2, 4, 8, 4, 2, 2, 2 at 1/1, 1/2, 1/4, 1/8, ...
    for name, channels, divisor in (
        ("encoder_1", 8, 1),
        ("encoder_2", 16, 2),
        ("encoder_3", 32, 4),
        ("bottleneck", 64, 8),
        ("decoder_3", 32, 4),
        ("decoder_2", 16, 2),
        ("decoder_1", 16, 1),
        ("refinement", 16, 1),
    ):
        expected = (2, channels, 16 // divisor, 24 // divisor)
        assert seen[name] == (expected, expected), name


def test_skips_lead_from_the_encoder_to_the_decoder_of_the_same_level(teacher):
    assert {name: RESTORMER.stages[i].name for name, i in teacher.skip_of.items()} == {
        "decoder_3": "encoder_3",
        "decoder_2": "encoder_2",
        "decoder_1": "encoder_1",
    }
    assert set(teacher.reduce) == {"decoder_3", "decoder_2"}  # assumption A18
    assert teacher.multiple == 8


def test_another_space_gives_another_network():
    space = Space(
        "two levels",
        (
            Stage("down", 1, 1, 0, 1, (1,)),
            Stage("deep", 2, 2, 1, 2, (2, 1)),
            Stage("up", 1, 1, 0, 2, (1,)),
        ),
    )
    net = build((0, 2, 1), TINY, space)
    assert net.multiple == 2
    assert net(images(1, 6, 10)).shape == (1, 3, 6, 10)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 8, 8), "image has shape (3, 8, 8); expected (B, 3, H, W)"),
        ((1, 4, 8, 8), "image has shape (1, 4, 8, 8); expected (B, 3, H, W)"),
        ((1, 3, 12, 8), "image is 12x8 pixels; expected multiples of 8"),
    ],
)
def test_an_image_that_does_not_fit_is_refused(teacher, shape, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        teacher(torch.zeros(shape))
    assert message in str(caught.value)


@pytest.mark.parametrize("width", [-8, 0, 1, 7])
def test_an_odd_width_is_refused(width):
    with pytest.raises(ValueError, match=f"width is {width}; expected an even number"):
        NetworkShape(width)


@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_numbers_of_channels_that_do_not_fit_together_are_refused(n):
    with pytest.raises(ValueError, match=f"in_channels is {n}; expected 3 or, for a dual-pixel"):
        NetworkShape(in_channels=n)


# ---------------------------------------------------------------- shapes and weights


def test_the_shape_of_a_profile_and_task():
    shape = network_shape(PROFILES["paper"], TASKS["denoise"])
    assert shape == NetworkShape(48, "bias_free", 3, 3, MambaIRShape(1.5, 16))


def test_a_uformer_is_never_wider_than_the_released_one():
    shapes = {
        name: network_shape(profile, TASKS["denoise"], PAIRS["uformer-mambair"])
        for name, profile in PROFILES.items()
    }
    widths = {name: shape.width for name, shape in shapes.items()}
    assert widths == {"smoke": 8, "mini": 8, "small": 16, "paper": 32}
    # assumption A34: Uformer-B, made for patches of 128 pixels, with the released MambaIR's blocks
    assert shapes["paper"] == UformerShape(32, 8, 128, True, MambaIRShape(1.5, 16))
    assert shapes["mini"] == replace(shapes["paper"], width=8, mambair=PROFILES["mini"].mambair)


def test_a_task_of_two_views_is_refused_for_uformer():
    with pytest.raises(
        ValueError, match=r"^task defocus_dual has 6 input channels; Uformer takes 3$"
    ):
        network_shape(PROFILES["mini"], TASKS["defocus_dual"], PAIRS["uformer-mambair"])


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_every_pair_has_a_shape_whose_images_are_those_that_it_says(pair):
    shape = network_shape(PROFILES["mini"], TASKS["denoise"], pair)
    assert type(shape) is SHAPES[pair.expressive, pair.efficient]
    with torch.device("meta"):
        assert build(pair.space.teacher, shape, pair.space).multiple == pair.multiple


def test_weights_are_set_by_name_and_refused_by_name(tmp_path):
    torch.manual_seed(0)
    stage, origin = RESTORMER.stage("encoder_1"), tmp_path / "a.safetensors"
    one, two = teacher_stage(stage, TINY), teacher_stage(stage, TINY)
    arrays = {name: t.half().numpy() for name, t in one.state_dict().items()}
    set_weights(two, arrays, origin)
    for name, tensor in two.state_dict().items():
        assert torch.equal(tensor, one.state_dict()[name].half().float()), name
    more = {**arrays, "other": arrays["0.attn.temperature"]}
    with pytest.raises(ValueError, match=r"a\.safetensors does not fit: 1 names differ, .* other"):
        set_weights(two, more, origin)
    bent = {**arrays, "0.attn.temperature": np.zeros((2, 1, 1), np.float16)}
    with pytest.raises(
        ValueError, match=r"temperature has shape \(2, 1, 1\), expected \(1, 1, 1\)"
    ):
        set_weights(two, bent, origin)


def test_one_step_of_training_lowers_the_loss_of_a_hybrid(teacher):
    torch.manual_seed(0)
    net = build((0, 2, 0, 4, 0, 2, 0, 1), TINY).train()
    x, target = images(1, 16, 16), images(1, 16, 16).flip(-1)
    before = (net(x) - target).abs().mean()
    before.backward()
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name
    torch.optim.SGD(net.parameters(), 1e-3).step()
    assert (net(x) - target).abs().mean() < before
