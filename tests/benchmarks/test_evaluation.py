"""Evaluating a network on tiny benchmarks: protocols, resuming, partial sets, groups, tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmark_folders import FOLDERS, NOISY, build, folder, write_blocks
from PIL import Image as Pillow
from torch import nn

from ensrepro import metrics
from ensrepro.benchmarks import checking, evaluation, reports, subjects
from ensrepro.benchmarks.catalog import BENCHMARKS, DERAINING
from ensrepro.benchmarks.layouts import Inference
from ensrepro.benchmarks.subjects import Subject
from ensrepro.config import TASKS
from ensrepro.models import official
from ensrepro.models.hybrid import NetworkShape
from ensrepro.models.hybrid import build as build_net
from ensrepro.space import RESTORMER

pytestmark = pytest.mark.usefixtures("one_thread")
EVALUATED = [
    f for f in FOLDERS if not BENCHMARKS[f.benchmark].is_training and "realblur" not in f.benchmark
]


def random_net(task: str) -> nn.Module:
    """An untrained Restormer of width 8 whose output stays near its input."""
    shape = NetworkShape(8, TASKS[task].norm, TASKS[task].in_channels)
    torch.manual_seed(0)
    net = build_net(RESTORMER.teacher, shape).eval()
    with torch.no_grad():
        net.output.weight.mul_(0.1)
    return net


def subject(task: str, run=None, name: str = "net", digest: str = "0123") -> Subject:
    net = random_net(task) if run is None else run
    with_no_gradient = lambda image: net(image).detach()  # noqa: E731
    return Subject(name, task, TASKS[task].in_channels, digest, with_no_gradient)


def open_8(path: Path) -> np.ndarray:
    return np.asarray(Pillow.open(path).convert("RGB"))


def inspected(one, root: Path, **how):
    bits = 16 if one.benchmark == "dpdd-dual" else 8
    return checking.inspect(build(one, root, bits=bits), root, **how)


def open_16(path: Path) -> np.ndarray:
    cv2 = pytest.importorskip("cv2", reason="the other reader of 16 bit")
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1]


def run_by_hand(net: Subject, degraded: np.ndarray, margin: int) -> np.ndarray:
    """Mirror a margin and what lacks to a multiple of 8, run, cut both off, clip; (H, W, 3)."""
    h, w = degraded.shape[:2]
    around = np.pad(degraded, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    below = [(0, -n % 8) for n in around.shape[:2]]
    padded = np.pad(around, (*below, (0, 0)), mode="reflect")
    restored = net.run(torch.from_numpy(padded).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    return restored.numpy()[margin : margin + h, margin : margin + w].clip(0, 1)


@pytest.mark.parametrize("one", EVALUATED, ids=lambda f: f"{f.benchmark}-{f.layout}")
def test_a_benchmark_is_evaluated_by_its_own_protocol(tmp_path, one):
    """The rows against the definition: pad, run, crop, clip, round where files are saved, score."""
    found = inspected(one, tmp_path / "data")
    net = subject(found.benchmark.task)
    result = evaluation.run(net, found, tmp_path / "out")
    protocol = metrics.PROTOCOLS[found.benchmark.protocol]
    read, peak = (open_16, 65535) if found.benchmark.read_bits == 16 else (open_8, 255)
    for sample, row in zip(found.samples, result.rows, strict=True):
        *inputs, target = sample.files.values()
        clean = read(target).astype(np.float32) / peak
        degraded = np.dstack([read(path) for path in inputs]).astype(np.float32) / peak
        restored = run_by_hand(net, degraded, found.benchmark.inference.margin)
        if protocol.quantization == "8-bit":
            restored, clean = np.rint(restored * 255).astype(np.uint8), read(target)
        expected = metrics.scores(restored, clean, protocol.name)
        assert row["image"] == sample.name
        assert row["psnr"] == pytest.approx(expected.psnr, abs=1e-3)
        assert row["ssim"] == pytest.approx(expected.ssim, abs=1e-4)
        assert row.get("mae", expected.mae) == pytest.approx(expected.mae, abs=1e-6)
    assert not result.is_partial
    assert result.groups[0]["psnr"] == pytest.approx(np.mean([r["psnr"] for r in result.rows]))


def test_realblur_is_aligned_before_it_is_scored(tmp_path):
    pytest.importorskip("cv2", reason="ECC alignment is OpenCV's")
    data = pytest.importorskip("skimage.data")
    photo = data.astronaut()
    found = inspected(folder("realblur-j"), tmp_path / "data")
    for sample in found.samples:
        Pillow.fromarray(photo[103:183, 98:178]).save(sample.files["input"])
        Pillow.fromarray(photo[100:180, 100:180]).save(sample.files["target"])
    found = checking.inspect(found.benchmark, tmp_path / "data")
    result = evaluation.run(subjects.unchanged("deblur"), found, tmp_path / "out")
    expected = metrics.scores(photo[103:183, 98:178], photo[100:180, 100:180], "realblur")
    assert result.rows[0]["psnr"] == pytest.approx(expected.psnr)
    plain = metrics.psnr(photo[103:183, 98:178], photo[100:180, 100:180], "matlab_rgb")
    assert result.rows[0]["psnr"] > plain + 5


def test_every_block_of_sidd_is_an_image(tmp_path):
    tiny = write_blocks(tmp_path / "data")
    found = checking.inspect(tiny, tmp_path / "data")
    result = evaluation.run(subjects.unchanged("denoise"), found, tmp_path / "out")
    from scipy.io import loadmat

    clean = loadmat(tmp_path / "data/ValidationGtBlocksSrgb.mat")["ValidationGtBlocksSrgb"]
    noisy = loadmat(tmp_path / f"data/{NOISY}.mat")[NOISY]
    for row, (i, j) in zip(result.rows, np.ndindex(2, 3), strict=True):
        x, y = noisy[i, j] / np.float64(255), clean[i, j] / np.float64(255)
        assert row["image"] == f"{i + 1:02d}-{j + 1:02d}"
        assert row["psnr"] == pytest.approx(metrics.psnr(x, y, "sidd"), abs=1e-4)
        assert row["ssim"] == pytest.approx(metrics.ssim(x, y, "sidd"), abs=1e-4)


# ---------------------------------------------------------------- resuming


class Counted:
    """The identity that counts its calls and fails at one of them."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.n_calls, self.fail_at = 0, fail_at

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        if self.n_calls == self.fail_at:
            raise KeyboardInterrupt
        self.n_calls += 1
        return image


def test_an_interrupted_evaluation_goes_on_where_it_was(tmp_path):
    found = inspected(folder("test2800", "original"), tmp_path / "data")
    once = evaluation.run(subject("derain", Counted()), found, tmp_path / "once")
    with pytest.raises(KeyboardInterrupt):
        evaluation.run(subject("derain", Counted(fail_at=2)), found, tmp_path / "out")
    rows = tmp_path / "out/test2800.jsonl"
    assert len(rows.read_bytes().splitlines()) == 3
    with rows.open("ab") as file:
        file.write(b'{"image": "902-1", "psn')  # what a crash may leave
    rest = Counted()
    result = evaluation.run(subject("derain", rest), found, tmp_path / "out")
    assert rest.n_calls == 1
    assert result.rows == once.rows
    on_file = [json.loads(line) for line in rows.read_text().splitlines()[1:]]
    shown = [{name: row[name] for name in row if name != "files"} for row in on_file]
    assert shown == once.rows  # the torn line is gone
    none = Counted(fail_at=0)
    assert evaluation.run(subject("derain", none), found, tmp_path / "out") == result
    manifest = json.loads((tmp_path / "out/test2800.json").read_text())
    assert manifest["provenance"]["task"] == "derain"
    assert manifest["identity"]["weights"] == "0123"


def test_rows_of_other_weights_or_other_files_are_never_mixed(tmp_path):
    one = folder("test100")
    found = inspected(one, tmp_path / "data")
    with pytest.raises(KeyboardInterrupt):
        evaluation.run(subject("derain", Counted(1)), found, tmp_path / "out")
    other = subject("derain", Counted(), digest="4567")
    with pytest.raises(ValueError, match=r"test100\.jsonl was made with weights='0123', now"):
        evaluation.run(other, found, tmp_path / "out")
    random = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Pillow.fromarray(random).save(tmp_path / "data" / one.images[0][0])  # whose row is on file
    changed, again = checking.inspect(found.benchmark, tmp_path / "data"), Counted()
    result = evaluation.run(subject("derain", again), changed, tmp_path / "out")
    assert again.n_calls == 2
    anew = evaluation.run(subject("derain", Counted()), changed, tmp_path / "new")
    assert result.rows == anew.rows
    Pillow.fromarray(random[::-1]).save(tmp_path / "data" / one.images[0][0])
    changed = checking.inspect(found.benchmark, tmp_path / "data")
    with pytest.raises(ValueError, match=r"test100\.json was made with files="):
        evaluation.run(subject("derain", Counted()), changed, tmp_path / "out")


def test_a_part_is_followed_by_a_fuller_one_that_restores_only_what_is_new(tmp_path):
    one = folder("test2800", "original")
    tiny = build(one, tmp_path / "data")
    hidden = [tmp_path / "data" / one.images[n][0] for n in (1, 2)]
    kept = [path.read_bytes() for path in hidden]
    for path in hidden:
        path.unlink()
    calls, results = [], []
    for path, content in zip([None, *hidden], [b"", *kept], strict=True):
        if path is not None:
            path.write_bytes(content)
        found, net = checking.inspect(tiny, tmp_path / "data"), Counted()
        run = evaluation.run(subject("derain", net), found, tmp_path / "out", partial=True)
        calls.append(net.n_calls)
        results.append(run)
    assert calls == [1, 1, 1]
    assert [(r.n_images, r.n_expected, r.is_partial) for r in results] == [
        (1, 3, True),
        (2, 3, True),
        (3, 3, False),
    ]
    assert results[1].rows[0] == results[0].rows[0]
    assert "| 1 (partial: 1 of 3) |" in reports.markdown(results[:1])
    assert "| 2 (partial: 2 of 3) |" in reports.markdown(results[1:2])
    names = sorted(path.name for path in (tmp_path / "out").glob("*.json"))
    assert [name.rsplit("-", 1)[0] for name in names[:2]] == [
        "test2800-partial-1-of-3",
        "test2800-partial-2-of-3",
    ]
    assert names[2] == "test2800.json"
    for path in hidden[:1]:  # the same number of images, but others
        path.unlink()
    found, net = checking.inspect(tiny, tmp_path / "data"), Counted()
    assert (
        evaluation.run(subject("derain", net), found, tmp_path / "out", partial=True).n_images == 2
    )
    assert net.n_calls == 0


def test_images_are_read_one_at_a_time(tmp_path, monkeypatch):
    found = inspected(folder("test2800", "original"), tmp_path / "data")
    events = []
    read = evaluation.Reader.pair

    def pair(self, sample):
        events.append("read")
        return read(self, sample)

    monkeypatch.setattr(evaluation.Reader, "pair", pair)

    def run(image):
        events.append("run")
        return image

    evaluation.run(subject("derain", run), found, tmp_path / "out")
    assert events == ["read", "run"] * 3


# ---------------------------------------------------------------- what is refused


def test_a_partial_set_is_refused_unless_asked_for_and_then_every_table_says_so(tmp_path):
    one = folder("test100")
    tiny = build(one, tmp_path)
    (tmp_path / one.images[1][1]).unlink()
    found = checking.inspect(tiny, tmp_path)
    same = subjects.unchanged("derain")
    with pytest.raises(ValueError, match=r"not complete: 1 usable images, 2 expected; .*of 10"):
        evaluation.run(same, found, tmp_path / "out")
    result = evaluation.run(same, found, tmp_path / "out", partial=True)
    assert (result.n_images, result.n_expected, result.is_partial) == (1, 2, True)
    assert not (tmp_path / "out/test100.json").exists()  # never in the place of a whole one
    table = reports.markdown([result])
    assert "| 1 (partial: 1 of 2) |" in table
    assert "PARTIAL, 1 of 2 images; not comparable" in table


def test_a_dual_pixel_benchmark_refuses_a_network_of_three_channels(tmp_path):
    found = inspected(folder("dpdd-dual"), tmp_path)
    three = replace(subjects.unchanged("defocus_dual"), in_channels=3)
    with pytest.raises(
        ValueError, match="input takes 3 channels; dpdd-dual is a dual-pixel pair, 6 channels"
    ):
        evaluation.run(three, found, tmp_path / "out")


def test_a_network_of_another_task_is_refused(tmp_path):
    found = inspected(folder("gopro"), tmp_path)
    with pytest.raises(
        ValueError, match="gopro is a benchmark of the task deblur; input was trained for derain"
    ):
        evaluation.run(subjects.unchanged("derain"), found, tmp_path / "out")


def test_a_training_set_is_never_evaluated(tmp_path):
    found = inspected(folder("rain13k"), tmp_path)
    assert found.is_complete
    with pytest.raises(ValueError, match="rain13k is a training set"):
        evaluation.run(subjects.unchanged("derain"), found, tmp_path / "out")


def test_an_image_that_is_its_own_target_is_refused(tmp_path):
    one = folder("test100")
    found = inspected(one, tmp_path)
    source, target = (tmp_path / path for path in one.images[0])
    source.write_bytes(target.read_bytes())
    with pytest.raises(ValueError, match="2: restored and target are the same"):
        evaluation.run(subjects.unchanged("derain"), found, tmp_path / "out")


def test_an_output_of_another_shape_is_refused(tmp_path):
    found = inspected(folder("test100"), tmp_path)
    wrong = subject("derain", lambda image: image[:, :2])
    with pytest.raises(
        ValueError, match=r"net returned shape \(16, 24, 2\); expected \(16, 24, 3\)"
    ):
        evaluation.run(wrong, found, tmp_path / "out")


# ---------------------------------------------------------------- checkpoints


def test_a_released_checkpoint_is_evaluated_from_its_file(tmp_path):
    net = random_net("deblur")
    state = {official.released_name(name): t for name, t in net.state_dict().items()}
    path = tmp_path / "motion_deblurring.pth"
    torch.save({"params": state}, path)
    found = inspected(folder("gopro"), tmp_path / "data")
    result = evaluation.run(subjects.from_file(path, "deblur"), found, tmp_path / "out")
    ours = evaluation.run(subject("deblur", net), found, tmp_path / "ours")
    assert result.subject == "motion_deblurring.pth"
    assert [row["psnr"] for row in result.rows] == [row["psnr"] for row in ours.rows]
    rain = inspected(folder("test100"), tmp_path / "rain")
    with pytest.raises(ValueError, match=r"motion_deblurring\.pth was trained for deblur"):
        evaluation.run(subjects.from_file(path, "derain"), rain, tmp_path / "out")


# ---------------------------------------------------------------- tiles


def test_tiles_with_a_margin_give_what_the_whole_image_gives():
    """A 5x5 filter sees two pixels, less than the margin of eight: no seam can show."""
    torch.manual_seed(0)
    net = subject("denoise", nn.Conv2d(3, 3, 5, padding=2, padding_mode="reflect"))
    image = np.random.default_rng(0).random((48, 72, 3), dtype=np.float32)
    whole = evaluation.restore(net, image, Inference())
    for tile in (24, 32, 64, 128):
        tiled = evaluation.restore(net, image, Inference(tile=tile, margin=8))
        np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-6)


def test_other_tiles_than_the_protocols_are_told_in_the_table(tmp_path):
    found = inspected(folder("gopro"), tmp_path)
    tiles = Inference(tile=32, margin=8)
    result = evaluation.run(subjects.unchanged("deblur"), found, tmp_path / "o", inference=tiles)
    assert "run on tiles of 32 pixels" in reports.markdown([result])
    again = evaluation.run(subjects.unchanged("deblur"), found, tmp_path / "p")
    assert "tiles" not in reports.markdown([again])


# ---------------------------------------------------------------- groups, means


def with_labels(base: Path, indoor: list[int], outdoor: list[int]) -> None:
    np.save(base / "indoor_labels.npy", np.array(indoor))
    np.save(base / "outdoor_labels.npy", np.array(outdoor))


def test_indoor_and_outdoor_scenes_are_means_of_their_own(tmp_path):
    one = folder("dpdd")
    found = inspected(one, tmp_path)
    with_labels(found.base, [3, 1], [2])
    result = evaluation.run(subjects.unchanged("defocus"), found, tmp_path / "out")
    psnr = [row["psnr"] for row in result.rows]
    means = {group["group"]: group["psnr"] for group in result.groups}
    assert means["indoor"] == pytest.approx((psnr[0] + psnr[2]) / 2)
    assert means["outdoor"] == pytest.approx(psnr[1])
    assert means["all"] == pytest.approx((2 * means["indoor"] + means["outdoor"]) / 3)
    assert len({round(value, 3) for value in means.values()}) == 3


def test_groups_by_number_are_not_guessed_when_an_image_is_missing(tmp_path):
    one = folder("dpdd")
    found = inspected(one, tmp_path)
    with_labels(found.base, [1, 3], [2])
    (tmp_path / one.images[0][1]).unlink()
    partial = checking.inspect(found.benchmark, tmp_path)
    same = subjects.unchanged("defocus")
    result = evaluation.run(same, partial, tmp_path / "out", partial=True)
    assert [group["group"] for group in result.groups] == ["all"]
    assert "groups are given by number" in result.reasons["groups"]


@pytest.mark.parametrize(("indoor", "outdoor"), [([1, 2], [2]), ([0, 1], [2]), ([1], [2])])
def test_groups_that_do_not_divide_the_images_are_refused(tmp_path, indoor, outdoor):
    found = inspected(folder("dpdd"), tmp_path)
    with_labels(found.base, indoor, outdoor)
    with pytest.raises(ValueError, match=r"indoor_labels\.npy and .*; expected 1 to 3, each once"):
        evaluation.run(subjects.unchanged("defocus"), found, tmp_path / "out")


def test_the_deraining_average_is_the_plain_mean_of_five_means(tmp_path):
    """Sets of 98 to 2800 images count the same (table 1)."""
    results = []
    for name in DERAINING:
        found = inspected(folder(name), tmp_path / name)
        results.append(evaluation.run(subjects.unchanged("derain"), found, tmp_path / "out"))
    big = replace(results[0], groups=[results[0].groups[0] | {"psnr": 50.0, "n_images": 2800}])
    results[0] = big
    expected = np.mean([result.groups[0]["psnr"] for result in results])
    found = evaluation.average(results, DERAINING)
    assert found["psnr"] == pytest.approx(expected)
    assert f"| average | input | all | mean of 5 sets | {expected:.2f} |" in reports.markdown(
        results
    )
    with pytest.raises(ValueError, match="results lack test100; expected one of each"):
        evaluation.average(results[1:], DERAINING)
    mixed = [replace(big, subject="another"), *results[1:]]
    with pytest.raises(ValueError, match="results are of another and input; expected one subject"):
        evaluation.average(mixed, DERAINING)
    part = [replace(big, is_partial=True, n_expected=3), *results[1:]]
    assert "mean of 5 sets (partial)" in reports.markdown(part)


def test_a_metric_that_one_image_lacks_has_no_mean():
    rows = [{"lpips": 0.1}, {"lpips": None}]
    assert evaluation.mean(rows, "lpips") is None
    assert evaluation.mean([], "psnr") is None
