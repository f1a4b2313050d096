"""What the page "In your browser" gets at a build: networks, samples, and the runtime."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
import shutil
import sys
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ensrepro import artifacts, config, data, export, pages
from ensrepro.figures import style
from ensrepro.space import RESTORMER
from ensrepro.steps import context, finetune

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
VENDOR = BOOK / "assets" / "vendor" / "onnxruntime-web"
DENOISE = Path("mini", "denoise")


def load(path: Path) -> ModuleType:
    """A file that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where its dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


browser_models = load(BOOK / "_ext" / "browser_models.py")


def index_of(folder: Path) -> dict[str, Any]:
    """What the index script sets."""
    text = (folder / "index.js").read_text(encoding="utf-8")
    begin, end = "window.ensreproBrowser = ", ";\n"
    assert text.startswith(begin)
    return json.loads(text[len(begin) : -len(end)])


def unpacked(folder: Path, name: str) -> bytes:
    """The file that a script brings, as the page unpacks it."""
    text = (folder / f"{name}.js").read_text(encoding="utf-8")
    match = re.fullmatch(rf'\(window\.ensreproFiles \?\?= {{}}\)\["{name}"\] = "(.*)";\n', text)
    assert match is not None
    return zlib.decompress(base64.b64decode(match[1], validate=True))


def copy_denoise(root: Path) -> Path:
    """A repository with the trained networks of the paper's pair for `denoise`, and no more."""
    for kind in (artifacts.RESULTS, artifacts.WEIGHTS):
        source, target = ROOT / kind / DENOISE, root / kind / DENOISE
        target.mkdir(parents=True)
        forms = ("teacher.*", "hybrid-*", "06_*.json")
        for path in (path for form in forms for path in source.glob(form)):
            shutil.copyfile(path, target / path.name)
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_denoise(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def made(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "browser"
    browser_models.write(folder, root, "mini")
    return folder


def networks_of(folder: Path) -> dict[str, dict[str, Any]]:
    [task] = index_of(folder)["tasks"]
    return {network["kind"]: network for network in task["networks"]}


def manifest(name: str) -> dict[str, Any]:
    path = ROOT / artifacts.RESULTS / DENOISE / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def chosen_name() -> str:
    """Name of the hybrid that is on file and was chosen."""
    chosen = manifest("06_finetune.manifest")["headline"]["chosen"]
    [index] = [i for i, a in enumerate(RESTORMER) if RESTORMER.label(a) == chosen]
    return f"hybrid-{index:05d}-s0"


# ---- the networks -----------------------------------------------------------------------------


def test_the_hybrid_is_the_one_that_the_notebook_chose(made: Path):
    """Whatever else was fine-tuned beside the candidates, and however well."""
    chosen = manifest("06_finetune.manifest")["headline"]["chosen"]
    assert networks_of(made)["mambair"]["architecture"] == chosen


def test_teacher_and_hybrid_are_the_trained_ones(made: Path):
    networks = networks_of(made)
    assert [n["weights"] for n in networks.values()] == ["trained", "trained", "random"]
    assert networks["teacher"]["digest"] == manifest("teacher")["result"]["digest"]
    assert networks["mambair"]["digest"] == manifest(chosen_name())["result"]["digest"]


def test_a_script_brings_the_onnx_file_that_the_index_describes(made: Path, tmp_path: Path):
    for network in networks_of(made).values():
        path = tmp_path / f"{network['file']}.onnx"
        path.write_bytes(unpacked(made, network["file"]))
        assert path.stat().st_size == network["bytes"]
        found = export.read_metadata(path, "denoise")
        assert {key: network[key] for key in vars(found)} == vars(found)


def test_an_edge_hybrid_that_was_not_trained_has_the_stages_of_the_other(made: Path):
    networks = networks_of(made)
    assert networks["edge"]["pair"] == "restormer-edge"
    assert networks["edge"]["architecture"] == networks["mambair"]["architecture"]


def test_a_trained_edge_hybrid_takes_the_place_of_the_random_one(tmp_path: Path):
    copy_denoise(tmp_path)
    ctx = browser_models.context_of(tmp_path, "mini", "denoise", "restormer-edge")
    architecture = ctx.space.swapped("encoder_1", 2)
    net = browser_models.random_network(ctx, architecture)
    job = (architecture, 0)
    name = finetune.job_name(ctx, job)
    context.save(net, ctx.store.new_weights(name), finetune.metadata(ctx, job))
    result = {"architecture": ctx.space.index(architecture), "after": 20.0}
    manifest = {"step": name, "identity": {}, "provenance": {}}
    content = manifest | {"result": result | {"digest": context.digest(net)}}
    path = ctx.store.own(artifacts.RESULTS, f"{name}.json")
    artifacts.write_bytes(path, json.dumps(content).encode())
    place = {"task": "denoise", "profile": "mini", "pair": "restormer-edge"}
    told = {"notebook": "06_finetune", "parameters": place, "finished": "", "provenance": {}}
    told |= {"headline": {"chosen": ctx.space.label(architecture)}}
    told_at = pages.manifest(ctx.store, "06_finetune")
    artifacts.write_bytes(told_at, json.dumps(told).encode())
    *_, edge = browser_models.networks(tmp_path, "mini", "denoise")
    assert edge.entry()["weights"] == "trained"
    assert edge.entry()["architecture"] == "2 T T T T T T T"
    assert edge.entry()["digest"] == context.digest(net)


def test_the_colors_are_those_of_the_figures(made: Path):
    kinds = {"teacher": "restormer", "mambair": "mambair", "edge": "edge"}
    assert index_of(made)["colors"] == {k: style.mark(v).color for k, v in kinds.items()}


def test_the_sample_is_the_middle_of_a_test_photo(made: Path):
    [task] = index_of(made)["tasks"]
    sample = task["sample"]
    [pair] = data.test_pairs("denoise", 1, 256)
    shape = 2, sample["height"], sample["width"], 3
    pixels = np.frombuffer(unpacked(made, sample["file"]), np.uint8).reshape(shape) / 255
    assert sample["photo"] == pair.name
    np.testing.assert_allclose(pixels, np.stack([pair.degraded, pair.clean]), atol=0.5001 / 255)


def test_every_task_of_one_photo_has_a_sample(tmp_path: Path):
    for task in config.TASKS.values():
        if task.in_channels == 3:
            sample = browser_models.write_sample(tmp_path, task.name)
            assert (sample["height"], sample["width"]) == (256, 256)


def test_equal_weights_make_equal_scripts(made: Path, root: Path, tmp_path: Path):
    browser_models.write(tmp_path, root, "mini")
    names = sorted(path.name for path in made.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        assert (tmp_path / name).read_bytes() == (made / name).read_bytes()


def test_without_weights_the_index_says_so(tmp_path: Path):
    browser_models.write(tmp_path / "browser", tmp_path, "smoke")
    told = "There are no trained networks of profile smoke to run."
    assert index_of(tmp_path / "browser") == {"missing": told}


def test_without_onnx_the_index_says_so(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "onnx", None)  # what an absent package looks like
    browser_models.write(tmp_path, root, "mini")
    assert list(index_of(tmp_path)) == ["missing"]
    assert "pip install 'ensrepro[onnx]'" in index_of(tmp_path)["missing"]


def test_weights_that_are_not_the_manifest_s_are_refused(tmp_path: Path):
    copy_denoise(tmp_path)
    name, folder = chosen_name(), tmp_path / artifacts.WEIGHTS / DENOISE
    other = folder / f"{name.removesuffix('0')}1.safetensors"  # of another seed
    shutil.copyfile(other, folder / f"{name}.safetensors")
    with pytest.raises(ValueError, match=rf"{name}\.safetensors has the digest \w+, expected"):
        list(browser_models.networks(tmp_path, "mini", "denoise"))


# ---- the runtime ------------------------------------------------------------------------------


def test_the_runtime_is_the_package_s_own_files():
    fetch = load(ROOT / "requirements" / "onnxruntime_web.py")
    text = (VENDOR / "runtime.js").read_text(encoding="utf-8")
    assert hashlib.sha256(text.encode()).hexdigest() == fetch.SHA256["runtime.js"]
    value = json.loads(text[text.index("= {") + 2 : -len(";\n")])
    assert value.pop("version") == fetch.VERSION
    assert list(value) == list(fetch.PARTS)
    for key, name in fetch.PARTS.items():
        content = zlib.decompress(base64.b64decode(value[key], validate=True))
        assert hashlib.sha256(content).hexdigest() == fetch.SHA256[name]


def test_the_licenses_are_beside_the_runtime_and_on_the_page():
    fetch = load(ROOT / "requirements" / "onnxruntime_web.py")
    page = (BOOK / "in_your_browser.md").read_text(encoding="utf-8")
    for name in fetch.TEXTS:
        content = (VENDOR / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == fetch.SHA256[name]
        assert f"vendor/onnxruntime-web/{name}" in page
    assert (VENDOR / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


def test_the_page_says_the_runtime_s_version_and_size():
    fetch = load(ROOT / "requirements" / "onnxruntime_web.py")
    page = (BOOK / "in_your_browser.md").read_text(encoding="utf-8")
    size = (VENDOR / "runtime.js").stat().st_size
    assert f"onnxruntime-web {fetch.VERSION} (" in page
    assert f"{size / 1e6:.1f} MB" in page
    assert size < 6e6  # what the repository may grow by


def test_the_scripts_are_short_and_request_nothing():
    for path in (BOOK / "assets" / "browser").glob("*.js"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) < 350
        assert max(map(len, lines)) <= 100
        for word in ("fetch(", "XMLHttpRequest", "import(", "http:", "https:", "eval("):
            assert word not in "\n".join(lines)
