"""Files find their partners by name or by the authors' list, never by the order of a directory."""

from __future__ import annotations

import pytest
from benchmark_folders import FOLDERS, build, folder

from ensrepro.benchmarks import checking, pairing
from ensrepro.benchmarks.layouts import View, expression


def kinds(found):
    return [problem.kind for problem in found.problems]


@pytest.mark.parametrize("one", FOLDERS, ids=lambda f: f"{f.benchmark}-{f.layout}")
def test_every_layout_is_recognized_and_paired(tmp_path, one):
    benchmark = build(one, tmp_path, bits=16 if one.benchmark == "dpdd-dual" else 8)
    found = checking.inspect(benchmark, tmp_path)
    assert found.problems == ()
    assert found.layout.name == one.layout
    assert tuple(sample.name for sample in found.samples) == one.names
    paired = {tuple(sample.files.values()) for sample in found.samples}
    assert paired == {tuple(tmp_path / path for path in image) for image in one.images}
    assert found.is_complete
    assert found.n_expected == len(one.images)
    assert checking.describe(found).endswith("\ncomplete")


def test_a_layout_may_be_asked_for(tmp_path):
    benchmark = build(folder("gopro", "original-blur"), tmp_path)
    found = checking.inspect(benchmark, tmp_path, layout="original-blur_gamma")
    assert found.samples[0].files["input"].parent.name == "blur_gamma"
    with pytest.raises(ValueError, match="layout is 'flat'; gopro has released, original-blur, "):
        checking.inspect(benchmark, tmp_path, layout="flat")


def test_heavy_and_light_rain_are_never_taken_for_one_another(tmp_path):
    """Both original archives hold the same names; only their folders tell which is which."""
    bases = {"rain100h": "rain_heavy_test", "rain100l": "rain_light_test"}
    tiny = {name: build(folder(name, "original"), tmp_path) for name in bases}
    for name, base in bases.items():
        found = checking.inspect(tiny[name], tmp_path)
        assert (found.base, found.is_complete) == (tmp_path / base, True)
    for name, other in (("rain100h", "rain100l"), ("rain100l", "rain100h")):
        build(folder(other, "original"), tmp_path / other)
        assert checking.inspect(tiny[name], tmp_path / other).n_images == 0


def test_the_other_blur_of_gopro_is_read_only_when_it_is_asked_for(tmp_path):
    """Published numbers are of `blur`; one frame that it lacks makes `blur_gamma` no substitute."""
    one = folder("gopro", "original-blur")
    benchmark = build(one, tmp_path)
    (tmp_path / one.images[0][0]).unlink()
    found = checking.inspect(benchmark, tmp_path)
    assert found.layout.name == "original-blur"
    assert not found.is_complete
    assert "--layout original-blur_gamma" in checking.describe(found)
    assert checking.inspect(benchmark, tmp_path, layout="original-blur_gamma").is_complete


def test_one_missing_file_shifts_no_other_pair(tmp_path):
    """MATLAB scripts pair by position; here the neighbors keep their partners."""
    names = [f"{n:02d}" for n in range(6)]
    one = folder("test100")
    images = tuple(tuple(f"{side}/{n}.png" for side in ("input", "target")) for n in names)
    benchmark = build(type(one)("test100", "released", images, tuple(names)), tmp_path)
    (tmp_path / "target/01.png").unlink()
    (tmp_path / "input/04.png").unlink()
    found = checking.inspect(benchmark, tmp_path)
    assert [sample.name for sample in found.samples] == ["00", "02", "03", "05"]
    for sample in found.samples:
        assert sample.files["input"].stem == sample.files["target"].stem
    assert {p.kind: p.what for p in found.problems} == {
        "missing": "target of 01",
        "extra": "target/04.png has no input",
    }
    assert not found.is_complete


def test_a_file_that_was_fetched_twice_is_named_and_left_out(tmp_path):
    """The known case: older uploads of Test2800 hold 926_10(1).jpg."""
    benchmark = build(folder("test2800"), tmp_path)
    for side in ("input", "target"):
        path = tmp_path / f"Datasets/test/Test2800/{side}/926_10.jpg"
        path.with_stem("926_10(1)").write_bytes(path.read_bytes())
    found = checking.inspect(benchmark, tmp_path)
    assert [p for p in found.problems if p.kind != "duplicate"] == []
    assert [p.what for p in found.problems] == ["input/926_10(1).jpg", "target/926_10(1).jpg"]
    assert [sample.name for sample in found.samples] == ["926_2", "926_10"]


def test_one_name_with_two_suffixes_is_a_duplicate(tmp_path):
    benchmark = build(folder("test100"), tmp_path)
    place = tmp_path / "Datasets/test/Test100/input"
    (place / "2.jpg").write_bytes((place / "2.png").read_bytes())
    found = checking.inspect(benchmark, tmp_path)
    assert found.problems == (("duplicate", "input/2.jpg and input/2.png"),)
    assert [sample.name for sample in found.samples] == ["10"]


def test_without_the_authors_list_training_scenes_are_not_taken_for_test_scenes(tmp_path):
    benchmark = build(folder("realblur-j", "original"), tmp_path)
    (tmp_path / "RealBlur_J_test_list.txt").unlink()
    found = checking.inspect(benchmark, tmp_path)
    assert found.n_images == 0
    assert kinds(found) == ["list"]
    assert "RealBlur_J_test_list.txt does not exist" in found.problems[0].what


def test_a_listed_image_that_is_not_there_is_missing(tmp_path):
    one = folder("realblur-j", "original")
    benchmark = build(one, tmp_path)
    (tmp_path / one.images[0][1]).unlink()
    found = checking.inspect(benchmark, tmp_path)
    assert found.problems == (("missing", "target of scene050-2"),)


def test_a_line_that_names_no_image_of_the_layout_is_refused(tmp_path):
    one = folder("realblur-j", "original")
    benchmark = build(one, tmp_path)
    path = tmp_path / "RealBlur_J_test_list.txt"
    path.write_text(path.read_text().replace("gt/gt_2", "gt/groundtruth2"))
    found = checking.inspect(benchmark, tmp_path)
    assert kinds(found) == ["list"]
    assert "groundtruth2.png'; expected {scene}/gt/gt_{m}" in found.problems[0].what


def test_an_image_that_is_listed_twice_is_refused(tmp_path):
    benchmark = build(folder("realblur-j", "original"), tmp_path)
    path = tmp_path / "RealBlur_J_test_list.txt"
    path.write_text(path.read_text() + path.read_text().splitlines()[0])
    assert kinds(checking.inspect(benchmark, tmp_path)) == ["list"]


def test_two_scenes_in_one_line_of_a_list_are_refused(tmp_path):
    benchmark = build(folder("realblur-j", "original"), tmp_path)
    path = tmp_path / "RealBlur_J_test_list.txt"
    path.write_text(path.read_text().replace("scene050/blur/blur_2", "scene051/blur/blur_2"))
    assert kinds(checking.inspect(benchmark, tmp_path)) == ["list"]


def test_camera_names_are_not_paired_by_their_order(tmp_path):
    """Source and target of DPDD have different numbers; without the lists nothing tells pairs."""
    one = folder("dpdd", "original")
    benchmark = build(one, tmp_path)
    (tmp_path / one.arrays[0][0]).unlink()
    found = checking.inspect(benchmark, tmp_path)
    assert found.n_images == 0
    assert "test_src.npy and test_trg.npy" in checking.describe(found)


def test_hidden_files_of_other_systems_are_no_images(tmp_path):
    benchmark = build(folder("test100"), tmp_path)
    (tmp_path / "Datasets/test/Test100/input/._2.png").write_bytes(b"resource fork")
    (tmp_path / "Datasets/test/Test100/input/Thumbs.db").write_bytes(b"previews")
    assert checking.inspect(benchmark, tmp_path).is_complete


def test_names_are_sorted_as_people_count():
    names = ["10", "9", "a2", "a10", "a", "scene2-10", "scene2-9"]
    assert sorted(names, key=pairing.natural) == [
        "9",
        "10",
        "a",
        "a2",
        "a10",
        "scene2-9",
        "scene2-10",
    ]


def test_what_stands_in_brackets_may_be_absent():
    view = View("left", "inputL/{name}[_L]")
    assert view.values("inputL/1P0A0917_L") == view.values("inputL/1P0A0917") == ("1P0A0917",)
    assert expression("rain-{n}").fullmatch("norain-1") is None


def test_other_files_in_a_folder_of_all_splits_do_no_harm(tmp_path):
    one = folder("realblur-j", "original")
    benchmark = build(one, tmp_path)
    source = tmp_path / one.images[0][0]
    source.with_name("preview.png").write_bytes(source.read_bytes())
    assert checking.inspect(benchmark, tmp_path).is_complete
    plain = build(folder("test100"), tmp_path / "plain")
    (tmp_path / "plain/Datasets/test/Test100/input/notes.png").write_bytes(source.read_bytes())
    found = checking.inspect(plain, tmp_path / "plain")
    assert found.problems == (("missing", "target of notes"),)
