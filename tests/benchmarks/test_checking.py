"""Benchmarks that are not whole: what is wrong is said, ten at most, with the total."""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from benchmark_folders import BLOCKS, CLEAN, NOISY, H, W, build, folder, write_blocks, write_image
from PIL import Image as Pillow
from scipy.io import savemat

from ensrepro.benchmarks import blocks, checking
from ensrepro.benchmarks.catalog import benchmark


def one_line(found, **how):
    """The refusal of an evaluation."""
    with pytest.raises(ValueError, match="is not complete") as caught:
        checking.require(found, **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_ten_problems_are_listed_with_the_total(tmp_path):
    names = [f"{n}" for n in range(14)]
    images = tuple((f"input/{n}.png", f"target/{n}.png") for n in names)
    one = replace(folder("test1200"), images=images, names=tuple(names))
    tiny = build(one, tmp_path)
    for n in names[:12]:
        (tmp_path / f"target/{n}.png").unlink()
    found = checking.inspect(tiny, tmp_path)
    report = checking.describe(found)
    assert report.count("  missing: target of ") == 10
    assert "problems: 12 (12 missing)\n" in report
    assert "\n  and 2 more\n" in report
    assert "images: 2 usable, 14 expected\n" in report
    assert report.endswith("\nnot complete")
    refusal = one_line(found)
    assert "2 usable images, 14 expected; 12 problems: missing: target of 0;" in refusal
    assert refusal.endswith("missing: target of 9; and 2 more")  # as people count


def test_a_set_of_another_number_of_images_is_not_complete(tmp_path):
    """Test100 has 98 images: a folder of 100 is another set."""
    tiny = build(folder("test100"), tmp_path)
    assert not checking.inspect(replace(tiny, n_images=98), tmp_path).is_complete
    assert not checking.inspect(replace(tiny, n_images=1), tmp_path).is_complete
    assert benchmark("test100").n_images == 98


@pytest.mark.parametrize("name", ["gopro", "sidd", "sensenoise", "dpdd-dual"])
def test_an_empty_folder_says_what_was_expected(tmp_path, name):
    found = checking.inspect(benchmark(name), tmp_path)
    assert found.n_images == 0
    report = checking.describe(found)
    assert "expected files like " in report
    assert benchmark(name).layouts[0].views[0].pattern in report
    one_line(found)
    one_line(found, partial=True)  # nothing is no part


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent does not exist; expected the folder"):
        checking.inspect(benchmark("gopro"), tmp_path / "absent")


def test_an_archive_is_not_a_folder(tmp_path):
    path = tmp_path / "GoPro.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("input/1.png", b"")
    with pytest.raises(ValueError, match=r"GoPro\.zip is an archive; expected a folder"):
        checking.inspect(benchmark("gopro"), path)
    path.write_bytes(b"hello")
    with pytest.raises(NotADirectoryError, match="is a file; expected the folder"):
        checking.inspect(benchmark("gopro"), path)


@pytest.mark.parametrize(("name", "suffix"), [("test100", ".png"), ("test2800", ".jpg")])
def test_a_half_downloaded_image_is_found_by_its_header(tmp_path, name, suffix):
    one = folder(name)
    tiny = build(one, tmp_path)
    path = tmp_path / one.images[1][0]
    assert path.suffix == suffix
    path.write_bytes(path.read_bytes()[:-50])
    found = checking.inspect(tiny, tmp_path)
    assert found.problems == (("damaged", f"{path} is cut off after {path.stat().st_size} bytes"),)
    assert found.n_images == len(one.images) - 1
    path.write_bytes(b"")
    assert checking.inspect(tiny, tmp_path).problems == (("damaged", f"{path} is empty"),)


def test_damage_within_a_file_is_found_when_it_is_decoded(tmp_path):
    one = folder("test100")
    tiny = build(one, tmp_path)
    path = tmp_path / one.images[0][1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    assert checking.inspect(tiny, tmp_path).is_complete  # its header and length are right
    found = checking.inspect(tiny, tmp_path, decode=True)
    assert [problem.kind for problem in found.problems] == ["damaged"]
    assert str(path) in found.problems[0].what
    assert [sample.name for sample in found.samples] == ["10"]


def test_images_of_another_size_are_refused(tmp_path):
    one = folder("gopro")
    tiny = build(one, tmp_path)
    path = tmp_path / one.images[0][0]
    Pillow.open(path).resize((W + 1, H)).save(path)
    (problem,) = checking.inspect(tiny, tmp_path).problems
    assert problem.kind == "wrong size"
    assert problem.what.endswith(f"input {W + 1}x{H} and target {W}x{H}; expected one size")
    for side in one.images[0]:
        Pillow.new("RGB", (H, H)).save(tmp_path / side)
    (problem,) = checking.inspect(tiny, tmp_path).problems
    assert problem.what.endswith(f"target {H}x{H}; expected {W}x{H}")


def test_an_image_on_its_side_has_the_right_size(tmp_path):
    tiny = build(folder("gopro"), tmp_path, size=(W, H))
    assert checking.inspect(replace(tiny, size=(H, W)), tmp_path).is_complete


def test_a_dual_pixel_set_of_8_bits_is_refused_and_a_single_one_is_not(tmp_path):
    dual = build(folder("dpdd-dual"), tmp_path / "dual", bits=8)
    found = checking.inspect(dual, tmp_path / "dual")
    assert {problem.kind for problem in found.problems} == {"wrong depth"}
    assert len(found.problems) == 9
    assert found.problems[0].what.endswith("_L.png has 8 bits a channel; expected 16")
    for bits in (8, 16):
        single = build(folder("dpdd"), tmp_path / f"{bits}", bits=bits)
        assert checking.inspect(single, tmp_path / f"{bits}").is_complete


def test_a_photo_of_16_bits_in_an_8_bit_set_is_refused(tmp_path):
    one = folder("gopro")
    tiny = build(one, tmp_path)
    write_image(tmp_path / one.images[0][0], np.zeros((H, W, 3), np.uint16))
    (problem,) = checking.inspect(tiny, tmp_path).problems
    assert problem.what.endswith("has 16 bits a channel; expected 8")


def changed_by_one_byte(path):
    """The same file but for its last byte; its size and its time stay."""
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=times)


def test_a_file_of_other_content_and_the_same_size_makes_another_set(tmp_path):
    one = folder("test2800")
    found = checking.inspect(build(one, tmp_path), tmp_path)
    before = found.digest()
    assert checking.inspect(found.benchmark, tmp_path).digest() == before
    for path in one.images[0]:
        changed_by_one_byte(tmp_path / path)
        assert found.digest() != before
        before = found.digest()


def test_a_changed_file_of_blocks_makes_another_set(tmp_path):
    found = checking.inspect(write_blocks(tmp_path), tmp_path)
    before = found.digest()
    changed_by_one_byte(tmp_path / f"{CLEAN}.mat")
    assert found.digest() != before


# ---------------------------------------------------------------- SIDD


def test_blocks_are_the_images_of_sidd(tmp_path):
    tiny = write_blocks(tmp_path / "test/SIDD")
    found = checking.inspect(tiny, tmp_path, decode=True)
    assert found.is_complete
    assert [sample.name for sample in found.samples] == [
        *("01-01", "01-02", "01-03", "02-01", "02-02", "02-03")
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(blocks=v.pop(NOISY)), f"holds the variables blocks; expected {NOISY}"),
        (
            lambda v: v.update({NOISY: v[NOISY][:1]}),
            r"uint8 of shape \(1, 3, 16, 16, 3\); expected",
        ),
        (lambda v: v.update({NOISY: v[NOISY] / 255.0}), r"is double of shape .*; expected uint8"),
    ],
    ids=["no variable", "fewer scenes", "not uint8"],
)
def test_a_mat_file_of_something_else_is_refused_by_name(tmp_path, change, message):
    found = checking.inspect(write_blocks(tmp_path, change), tmp_path)
    assert found.n_images == 0
    (problem,) = found.problems
    assert problem.what.startswith(str(tmp_path / f"{NOISY}.mat"))
    with pytest.raises(ValueError, match=message):
        blocks.read(tmp_path / f"{NOISY}.mat", BLOCKS)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_half_downloaded_mat_file_is_refused_by_name(tmp_path, share):
    tiny = write_blocks(tmp_path)
    path = tmp_path / f"{CLEAN}.mat"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    found = checking.inspect(tiny, tmp_path, decode=True)
    assert found.n_images == 0
    assert {problem.kind for problem in found.problems} == {"damaged"}
    assert all(problem.what.startswith(str(path)) for problem in found.problems)


def test_a_mat_file_of_version_7_3_is_refused_by_name(tmp_path):
    tiny = write_blocks(tmp_path)
    path = tmp_path / f"{CLEAN}.mat"
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"  # 2.0: HDF5
    path.write_bytes(header + b"\x89HDF" + bytes(600))
    (problem,) = checking.inspect(tiny, tmp_path).problems
    assert problem.what.startswith(f"{path} is no MATLAB file that can be read")


def test_half_of_sidd_is_missing(tmp_path):
    tiny = write_blocks(tmp_path)
    (tmp_path / f"{CLEAN}.mat").unlink()
    found = checking.inspect(tiny, tmp_path)
    assert [problem.kind for problem in found.problems] == ["missing"]
    assert found.n_images == 0


def test_another_variable_beside_the_right_one_does_no_harm(tmp_path):
    tiny = write_blocks(tmp_path, lambda v: v.update(note=np.arange(3)))
    assert checking.inspect(tiny, tmp_path, decode=True).is_complete


def test_objects_in_a_mat_file_are_never_taken_for_blocks(tmp_path):
    write_blocks(tmp_path)
    savemat(tmp_path / f"{NOISY}.mat", {NOISY: np.array(["a", 1], dtype=object)})
    with pytest.raises(ValueError, match="is cell of shape"):
        blocks.read(tmp_path / f"{NOISY}.mat", BLOCKS)
