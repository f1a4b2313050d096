"""Restoring images of any size, and measuring many hybrids as if each were run on its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ensrepro import artifacts, evaluate, metrics, tiles, weights
from ensrepro.config import MambaIRShape
from ensrepro.data import Pair
from ensrepro.models import hybrid
from ensrepro.models.hybrid import NetworkShape, assemble, build, surrogate_stage
from ensrepro.models.uformer import UformerShape
from ensrepro.space import RESTORMER, Space, Stage, uformer_space

TINY = NetworkShape(width=8, mambair=MambaIRShape(1.0, 2, 16))
ONE_STAGE = Space("one stage", (Stage("only", 1, 1, 0, 1, (1,)),))
SIZES = (1, 2, 7, 8, 9, 63, 65)


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


@pytest.fixture(scope="module")
def uformer():
    """One block a stage, windows of 2 pixels: images are squares of 32, 64, 96 ... pixels."""
    torch.manual_seed(0)
    shape, space = UformerShape(width=2, window=2, image_size=32), uformer_space((1,) * 9)
    return build(space.teacher, shape, space).eval()


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    images = rng.random((5, 2, 16, 24, 3), dtype=np.float32)  # five: not a multiple of MICRO_BATCH
    return [Pair(f"{i}", *two) for i, two in enumerate(images)]


def tiny_net(in_channels=3, *, identity=False):
    """One stage of one block at full resolution: multiple 1."""
    torch.manual_seed(0)
    shape = NetworkShape(2, in_channels=in_channels)
    net = build((0,), shape, ONE_STAGE).eval()
    if identity:
        nn.init.zeros_(net.output.weight)
    return net


def random_image(h, w, channels=3):
    return np.random.default_rng(h * 1000 + w).random((h, w, channels), dtype=np.float32)


# ---------------------------------------------------------------- any size


@pytest.mark.parametrize("size", SIZES)
def test_any_size_is_restored_and_keeps_its_size(teacher, size):
    for h, w in {(size, size), (size, 16), (8, size)}:
        restored = evaluate.restore(teacher, random_image(h, w))
        assert restored.shape == (h, w, 3)
        assert restored.dtype == np.float32
        assert 0 <= restored.min() <= restored.max() <= 1


@pytest.mark.parametrize("size", SIZES)
def test_padding_is_by_reflection_and_cropped_off(teacher, size):
    image = random_image(size, size)
    inside = np.arange(size + -size % 8)
    period = max(1, 2 * size - 2)  # 0 1 2 3 2 1 0 1 ...
    mirrored = np.minimum(inside % period, period - inside % period)
    padded = image[mirrored][:, mirrored]
    with torch.no_grad():
        whole = teacher(torch.from_numpy(padded).permute(2, 0, 1)[None])
    expected = whole[0].clamp(0, 1).permute(1, 2, 0).numpy()[:size, :size]
    np.testing.assert_allclose(evaluate.restore(teacher, image), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((128, 128), ((0, 0), (0, 0))),
        ((1, 1), ((63, 64), (63, 64))),
        ((100, 150), ((78, 78), (53, 53))),  # 256 = ceil(150 / 128) * 128
        ((720, 1280), ((280, 280), (0, 0))),  # GoPro
        ((129, 64), ((63, 64), (96, 96))),
    ],
)
def test_a_square_is_the_smallest_with_the_image_in_its_middle(size, expected):
    assert evaluate.to_square(*size, 128) == expected


@pytest.mark.parametrize("size", [(32, 32), (1, 1), (20, 50), (33, 7)])
def test_a_uformer_sees_an_image_in_the_middle_of_a_square_of_zeros(uformer, size):
    image, (h, w) = random_image(*size), size
    side = 64 if max(size) > 32 else 32
    top, left = (side - h) // 2, (side - w) // 2
    square = np.zeros((side, side, 3), np.float32)
    square[top : top + h, left : left + w] = image
    with torch.no_grad():
        whole = uformer(torch.from_numpy(square).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    expected = whole.clamp(0, 1).numpy()[top : top + h, left : left + w]
    np.testing.assert_allclose(evaluate.restore(uformer, image), expected, rtol=0, atol=1e-6)


def test_eight_bit_pixels_are_the_same_image_as_float_ones(teacher):
    image = np.random.default_rng(0).integers(0, 256, (17, 9, 3), np.uint8)
    expected = evaluate.restore(teacher, image.astype(np.float64) / 255)
    np.testing.assert_allclose(evaluate.restore(teacher, image), expected, rtol=0, atol=1e-6)


def test_sixteen_bit_pixels_are_the_same_image_as_float_ones(teacher):
    image = np.random.default_rng(0).integers(0, 65536, (80, 90, 3), np.uint16)
    expected = evaluate.restore(teacher, image.astype(np.float64) / 65535, tile=72)
    np.testing.assert_allclose(
        evaluate.restore(teacher, image, tile=72), expected, rtol=0, atol=1e-6
    )


def test_the_input_is_left_as_it_was(teacher):
    image = random_image(9, 9)
    before = image.copy()
    evaluate.restore(teacher, image)
    np.testing.assert_array_equal(image, before)


def test_a_dual_pixel_network_takes_six_channels_and_gives_three():
    net = tiny_net(6)
    assert evaluate.restore(net, random_image(5, 6, 6)).shape == (5, 6, 3)
    with pytest.raises(ValueError, match=r"shape \(5, 6, 3\); expected \(H, W, 6\)"):
        evaluate.restore(net, random_image(5, 6))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1, 255.0])
def test_a_single_bad_pixel_is_refused(teacher, bad):
    image = random_image(9, 9)
    image[4, 4, 1] = bad
    with pytest.raises(ValueError, match="image has"):
        evaluate.restore(teacher, image)


def test_a_network_that_gives_nan_is_not_silent():
    net = tiny_net()
    with torch.no_grad():
        net.output.weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        evaluate.restore(net, random_image(9, 9))


# ---------------------------------------------------------------- tiles

# MiB for which a network of width 2 gets tiles of 80 pixels
SMALL_MIB = 4 * tiles.VALUES_PER_PIXEL * 2 * 80**2 / tiles.MIB


def test_a_long_strip_is_cut_before_it_becomes_a_square(uformer):
    seen = []
    hook = uformer.register_forward_pre_hook(lambda _, x: seen.append(tuple(x[0].shape[2:])))
    mib = 4 * tiles.VALUES_PER_PIXEL * 2 * 96**2 / tiles.MIB  # tiles of 96 pixels
    try:
        restored = evaluate.restore(uformer, random_image(20, 300), memory_mib=mib)
    finally:
        hook.remove()
    assert restored.shape == (20, 300, 3)
    assert set(seen) == {(96, 96)}


class Seen(nn.Module):
    """Wraps a stage and remembers the sizes that came in."""

    def __init__(self, inside):
        super().__init__()
        self.inside, self.sizes = inside, []

    def forward(self, x):
        self.sizes.append(tuple(x.shape[2:]))
        return self.inside(x)


@pytest.mark.parametrize(("h", "w"), [(200, 170), (81, 300), (1, 20_000), (20_000, 1), (3, 9000)])
def test_a_large_image_goes_through_in_tiles_and_the_identity_gives_it_back(h, w):
    net = tiny_net(identity=True)
    net.stages["only"] = seen = Seen(net.stages["only"])
    image = random_image(h, w)
    restored = evaluate.restore(net, image, memory_mib=SMALL_MIB)
    np.testing.assert_allclose(restored, image, rtol=0, atol=1e-6)
    assert restored.max() <= 1
    assert len(seen.sizes) > 1
    assert all(a * b <= 80**2 for a, b in seen.sizes)


def test_white_stays_white_through_tiles():
    """Rounding must not lift a pixel above 1: the metrics would refuse the image."""
    net = tiny_net(identity=True)
    restored = evaluate.restore(net, np.ones((301, 205, 3), np.float32), memory_mib=SMALL_MIB)
    assert restored.max() <= 1
    np.testing.assert_allclose(restored, 1, atol=1e-6)


def test_an_image_that_fits_is_not_cut():
    net = tiny_net()
    net.stages["only"] = seen = Seen(net.stages["only"])
    evaluate.restore(net, random_image(80, 80), memory_mib=SMALL_MIB)
    assert seen.sizes == [(80, 80)]


def test_tiling_a_local_network_changes_nothing_away_from_seams():
    """A 3x3 stem and output without any stage: whole and tiled agree where tiles do not end."""
    net = tiny_net()
    net.stages["only"] = nn.Identity()
    image = random_image(170, 90)
    whole = evaluate.restore(net, image)
    tiled = evaluate.restore(net, image, memory_mib=SMALL_MIB)
    assert np.abs(tiled - whole).max() < 0.1  # only the outermost two pixels of a tile differ
    assert np.median(np.abs(tiled - whole)) < 1e-6


@pytest.mark.parametrize("tile", [72, 80])
def test_tiles_of_a_side_that_is_asked_for_are_those_of_the_memory_for_it(teacher, tile):
    image = random_image(100, 90)
    mib = 4 * tiles.VALUES_PER_PIXEL * 8 * tile**2 / tiles.MIB
    expected = evaluate.restore(teacher, image, memory_mib=mib)
    np.testing.assert_array_equal(evaluate.restore(teacher, image, tile=tile), expected)


def test_a_tile_larger_than_the_image_is_the_whole_image(teacher):
    image = random_image(100, 90)
    whole = evaluate.restore(teacher, image)
    np.testing.assert_array_equal(evaluate.restore(teacher, image, tile=104), whole)


def test_every_tile_is_reported_when_it_is_done(teacher):
    image, told = random_image(100, 90), []
    cut = evaluate.plan(teacher, 100, 90, tile=72)
    pieces = evaluate.restored_rows(teacher, image, cut, lambda *numbers: told.append(numbers))
    assert [len(piece) for piece in pieces] == [28, 72]  # the second row of tiles starts at 28
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    told.clear()
    cut = evaluate.plan(teacher, 100, 90)
    list(evaluate.restored_rows(teacher, image, cut, lambda *numbers: told.append(numbers)))
    assert told == [(1, 1)]


def test_thin_images_count_with_their_padding(teacher):
    """A 1-pixel side becomes 8 pixels; 8 x 800 pixels are no longer 6400."""
    mib = 4 * tiles.VALUES_PER_PIXEL * 8 * 72**2 / tiles.MIB
    sizes = []
    handle = teacher.stem.register_forward_hook(lambda _, x, __: sizes.append(x[0].shape[2:]))
    try:
        evaluate.restore(teacher, random_image(1, 700), memory_mib=mib)
    finally:
        handle.remove()
    assert len(sizes) > 1
    assert all(h * w <= 72**2 for h, w in sizes)


# ---------------------------------------------------------------- scores and baselines


def test_scores_are_those_of_the_named_protocol(pairs):
    results = evaluate.score(evaluate.degraded, pairs, "sidd")
    for result, pair in zip(results, pairs, strict=True):
        assert result.name == pair.name
        assert result.psnr == metrics.psnr(pair.degraded, pair.clean, "sidd")
        assert result.ssim == metrics.ssim(pair.degraded, pair.clean, "sidd")
    mean = evaluate.mean(results)
    assert mean.psnr == pytest.approx(sum(r.psnr for r in results) / 5)
    assert mean.ssim == pytest.approx(sum(r.ssim for r in results) / 5)


# ---------------------------------------------------------------- many hybrids


def some_architectures(n=6, seed=0):
    rng = np.random.default_rng(seed)
    numbers = rng.choice(RESTORMER.n_architectures, n, replace=False)
    drawn = [RESTORMER.architecture(int(i)) for i in numbers]
    return [*drawn, RESTORMER.teacher, RESTORMER.cheapest, RESTORMER.all_ssm]


def test_measuring_together_equals_running_each_hybrid_on_its_own(teacher, surrogates, pairs):
    architectures = some_architectures()
    found = evaluate.measure(teacher, surrogates, architectures, pairs, "sidd")
    for architecture, measured in zip(architectures, found, strict=True):
        net = assemble(teacher, surrogates, architecture)
        results = [evaluate.restore(net, pair.degraded) for pair in pairs]
        psnr = [metrics.psnr(r, p.clean, "sidd") for r, p in zip(results, pairs, strict=True)]
        ssim = [metrics.ssim(r, p.clean, "sidd") for r, p in zip(results, pairs, strict=True)]
        assert measured.psnr == pytest.approx(np.mean(psnr), abs=1e-6)
        assert measured.ssim == pytest.approx(np.mean(ssim), abs=1e-6)


def test_a_common_prefix_is_run_once(teacher, surrogates, pairs):
    counted = Counter()
    parts = {
        **{(name, 0): module for name, module in teacher.stages.items()},
        **surrogates,
    }
    handles = [
        module.register_forward_hook(lambda *_, key=key: counted.update([key]))
        for key, module in parts.items()
    ]
    architectures = [RESTORMER.swapped("refinement", i) for i in (0, 1, 2)]
    architectures.append(RESTORMER.swapped("decoder_1", 1))
    try:
        evaluate.measure(teacher, surrogates, architectures, pairs[:2], "sidd")
    finally:
        for handle in handles:
            handle.remove()
    # six stages once; decoder_1 as teacher and as surrogate; four different refinements
    expected = Counter({(stage.name, 0): 1 for stage in RESTORMER.stages})
    expected.update({("decoder_1", 4): 1, ("refinement", 4): 1, ("refinement", 2): 1})
    expected["refinement", 0] += 1
    assert counted == expected
    assert counted.total() == 12 < 4 * 8


def test_order_and_repetitions_of_what_is_asked_do_not_matter(teacher, surrogates, pairs):
    asked = some_architectures(3)
    forward = evaluate.measure(teacher, surrogates, asked, pairs[:2], "sidd")
    twice = evaluate.measure(teacher, surrogates, [*asked[::-1], asked[0]], pairs[:2], "sidd")
    assert twice[:-1][::-1] == forward
    assert twice[-1] == forward[0]


architectures = st.lists(
    st.integers(0, RESTORMER.n_architectures - 1).map(RESTORMER.architecture), max_size=12
)


@given(architectures)
def test_the_prefix_order_is_sorted_distinct_and_shares_as_much_as_stated(asked):
    order = evaluate.prefix_order(asked)
    assert [item.architecture for item in order] == sorted(set(asked))
    for i, (architecture, shared) in enumerate(order):
        if i == 0:
            assert shared == 0
        else:
            before = order[i - 1].architecture
            assert architecture[:shared] == before[:shared]
            assert architecture[shared] != before[shared]


def test_nothing_asked_is_nothing_measured_and_no_pairs_are_refused(teacher, surrogates, pairs):
    assert evaluate.measure(teacher, surrogates, [], pairs, "sidd") == []
    with pytest.raises(ValueError, match="pairs is empty"):
        evaluate.measure(teacher, surrogates, [RESTORMER.teacher], [], "sidd")


def test_a_surrogate_that_is_not_in_the_pool_is_named(teacher, surrogates, pairs):
    fewer = {key: module for key, module in surrogates.items() if key != ("encoder_2", 4)}
    wanted = RESTORMER.swapped("encoder_2", 2)
    with pytest.raises(ValueError, match="surrogates has none for encoder_2 of 4 blocks"):
        evaluate.measure(teacher, fewer, [wanted], pairs, "sidd")
    with pytest.raises(ValueError, match="surrogates has none for encoder_2 of 4 blocks"):
        hybrid.assemble(teacher, fewer, wanted)


@pytest.mark.parametrize("bad", [(0,) * 7, (0,) * 9, (3, *(0,) * 7), (0.0,) * 8])
def test_a_bad_architecture_is_refused(teacher, surrogates, pairs, bad):
    with pytest.raises(ValueError, match=r"architecture has|choice"):
        evaluate.measure(teacher, surrogates, [bad], pairs, "sidd")


def test_a_stage_that_does_nothing_costs_nothing_when_it_is_taken_out(pairs):
    torch.manual_seed(2)
    net = build(RESTORMER.teacher, TINY).eval()
    net.stages["bottleneck"] = nn.Identity()
    drops = evaluate.identity_drops(net, pairs, "sidd")
    assert list(drops) == [stage.name for stage in RESTORMER.stages]
    assert drops["bottleneck"] == 0
    assert all(drops[name] != 0 for name in drops if name != "bottleneck")


def test_identity_drops_are_those_of_the_network_with_that_stage_taken_out(teacher, pairs):
    base = evaluate.mean(evaluate.score(lambda x: evaluate.restore(teacher, x), pairs, "sidd"))
    without = assemble(
        teacher, {("encoder_2", 6): nn.Identity()}, RESTORMER.swapped("encoder_2", 1)
    )
    other = evaluate.mean(evaluate.score(lambda x: evaluate.restore(without, x), pairs, "sidd"))
    drops = evaluate.identity_drops(teacher, pairs, "sidd")
    assert drops["encoder_2"] == pytest.approx(base.psnr - other.psnr, abs=1e-6)
    some = evaluate.identity_drops(teacher, pairs, "sidd", ["decoder_1", "encoder_2"])
    assert some == pytest.approx({name: drops[name] for name in ("decoder_1", "encoder_2")})


# ---------------------------------------------------------------- trained networks


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that holds the weights of a `smoke` teacher, which makes images darker."""
    torch.manual_seed(0)
    net = build(RESTORMER.teacher, NetworkShape(8, "bias_free", mambair=MambaIRShape(1.0, 4, 16)))
    arrays = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    path = tmp_path / "weights" / "smoke" / "denoise" / "teacher.safetensors"
    metadata = {"step": "teacher", "profile": "smoke", "task": "denoise"}
    weights.save_weights(path, arrays, metadata)
    monkeypatch.setattr(artifacts, "repository", lambda: tmp_path)
    return tmp_path


def test_the_teacher_of_another_pair_is_that_of_its_own_folder(checkout):
    place = r"smoke/denoise-uformer/teacher\.safetensors does not exist; .* of uformer-mambair"
    with pytest.raises(FileNotFoundError, match=place):
        evaluate.trained_teacher("denoise", "smoke", "uformer-mambair")
    own = checkout / "weights" / "smoke" / "denoise-uformer" / "teacher.safetensors"
    own.parent.mkdir()
    own.write_bytes((checkout / "weights/smoke/denoise/teacher.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"denoise-uformer/teacher\.safetensors does not fit"):
        evaluate.trained_teacher("denoise", "smoke", "uformer-mambair")
    with pytest.raises(ValueError, match="pair is 'uformer'; expected one of restormer-mambair"):
        evaluate.trained_teacher("denoise", "smoke", "uformer")
