"""The page "In your browser", opened in a headless Chromium from a file and from a server."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import Browser, needs_browser, serving
from skimage.io import imsave
from test_browser_models import BOOK, browser_models, copy_denoise, index_of, unpacked

from ensrepro import exchange, metrics, records, timing
from ensrepro.devices import commands, measuring, shelf
from ensrepro.export import Session

pytestmark = needs_browser

SCRIPTS = ("index.js", "engine.js", "measure.js", "page.js")
# A tile of 128 pixels is the largest square within this memory at width 8.
TILED_MIB = 128**2 * 4 * 112 * 8 / 2**20
HANGS = 600  # seconds; a guard, and no promise of speed
ENCODE = """((array) => {
  const bytes = new Uint8Array(array.buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 3e4) {
    text += String.fromCharCode(...bytes.subarray(i, i + 3e4));
  }
  return btoa(text);
})"""
RESTORED = f"""(async (kind, side) => {{
  const [{{ sample, networks }}] = ensreproBrowser.tasks;
  const {{ degraded }} = await ensreproEngine.sample(sample);
  const network = networks.find((one) => one.kind === kind);
  const runtime = await ensreproEngine.start();
  await runtime.load(network);
  const {{ picture }} = await ensreproEngine.restore(
    runtime, network, degraded, side, () => {{}}, new AbortController().signal);
  return {ENCODE}(picture.planes);
}})"""
PIXELS = f"""((which) => {{
  const canvas = document.querySelector(`[data-picture=${{which}}]`);
  const {{ data }} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return [canvas.height, canvas.width, {ENCODE}(data)];
}})"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The markup of in_your_browser.md in a plain page, with everything it loads."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(BOOK / "assets", folder, dirs_exist_ok=True)
    root = copy_denoise(tmp_path_factory.mktemp("repository"))
    browser_models.write(folder / "browser", root, "mini")
    text = (BOOK / "in_your_browser.md").read_text("utf-8")
    markup = re.findall(r"```\{raw\} html\n(.*?)\n```", text, re.DOTALL)
    (folder / "page.html").write_text(
        '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<title>In your browser</title><link rel="icon" href="data:,"><body>' + "\n".join(markup),
        encoding="utf-8",
    )
    return folder


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[str]:
    with serving(site) as address:
        yield address


@pytest.fixture(scope="module")
def expected(site: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What onnxruntime makes of the sample, by kind of network and by tiles; and the sample."""
    [task] = index_of(site / "browser")["tasks"]
    sample = task["sample"]
    shape = 2, sample["height"], sample["width"], 3
    degraded, clean = np.frombuffer(unpacked(site / "browser", sample["file"]), "u1").reshape(shape)
    found = {"degraded": degraded, "clean": clean}
    folder = tmp_path_factory.mktemp("onnx")
    for network in task["networks"]:
        path = folder / f"{network['file']}.onnx"
        path.write_bytes(unpacked(site / "browser", network["file"]))
        session = Session(path)
        found[f"{network['kind']} 256"] = session.restore(degraded)
        found[f"{network['kind']} 128"] = session.restore(degraded, memory_mib=TILED_MIB)
    return found


def wait(browser: Browser, condition: str) -> None:
    """Until an expression is true."""
    end = time.monotonic() + HANGS
    while not browser.run(condition):
        assert time.monotonic() < end, f"never true: {condition}"
        time.sleep(0.05)


def open_page(browser: Browser, address: str, width: int = 1280) -> None:
    """The page, when it shows the sample."""
    browser.open(f"{address}/page.html", width)
    wait(browser, "document.querySelector('#browser-restore figcaption').textContent !== ''")


def submit(browser: Browser, form: str, **values: object) -> None:
    """Fill a form in, submit it, and wait until it is done."""
    for name, value in values.items():
        field = f"document.querySelector('#{form} [name={name}]')"
        browser.run(f"{field}.value = {json.dumps(str(value))}")
    browser.run(f"document.getElementById('{form}').requestSubmit()")
    wait(browser, f"document.getElementById('{form}').ariaBusy === 'false'")


def choose_network(browser: Browser, position: int) -> None:
    browser.run(f"document.querySelector('[name=network]').selectedIndex = {position}")


def status(browser: Browser, form: str) -> str:
    return browser.run(f"document.querySelector('#{form} [role=status]').textContent")


def pixels(browser: Browser, which: str) -> np.ndarray:
    """A canvas, (H, W, 3)."""
    height, width, text = browser.run(f"{PIXELS}('{which}')")
    return np.frombuffer(base64.b64decode(text), "u1").reshape(height, width, 4)[..., :3]


def planes(text: str) -> np.ndarray:
    """What RESTORED gives, (H, W, 3)."""
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(3, 256, 256).transpose(1, 2, 0)


def give_photo(browser: Browser, path: Path) -> None:
    """Choose a file, as a visitor does in the dialog."""
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    node = browser.call("DOM.querySelector", nodeId=root, selector="#browser-photo")["nodeId"]
    browser.call("DOM.setFileInputFiles", files=[str(path)], nodeId=node)


# ---- restoring --------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["file", "server"])
def test_what_is_restored_is_what_onnxruntime_restores(
    way: str, browser: Browser, site: Path, server: str, expected: dict[str, np.ndarray]
):
    address = site.as_uri() if way == "file" else server
    open_page(browser, address)
    for kind in ("teacher", "mambair", "edge"):
        for side in (256, 128):
            found = planes(browser.run(f"{RESTORED}('{kind}', {side})"))
            np.testing.assert_allclose(found, expected[f"{kind} {side}"], rtol=0, atol=1e-3)
    assert browser.troubles() == []
    for url in browser.requests():
        assert url.startswith((address, "data:", "blob:", "about:"))


def test_tiles_change_the_result(expected: dict[str, np.ndarray]):
    change = np.abs(expected["teacher 128"] - expected["teacher 256"]).max()
    assert change > 1e-2  # or the test above could not tell them apart


def test_the_page_shows_what_was_restored_and_its_psnr(
    browser: Browser, site: Path, expected: dict[str, np.ndarray]
):
    open_page(browser, site.as_uri())
    np.testing.assert_array_equal(pixels(browser, "before"), expected["degraded"])
    for position, kind in enumerate(("teacher", "mambair")):
        choose_network(browser, position)
        submit(browser, "browser-restore", tile=256)
        shown = pixels(browser, "after") / 255
        np.testing.assert_allclose(shown, expected[f"{kind} 256"], rtol=0, atol=0.5 / 255 + 1e-3)
    table = browser.run("document.querySelector('#browser-restore table').innerText")
    printed = [float(value) for value in re.findall(r"(\S+) dB", table)]
    clean = expected["clean"] / 255
    right = [
        metrics.psnr(image, clean, "sidd")  # float RGB with peak 1, nothing rounded
        for image in (expected["degraded"] / 255, expected["teacher 256"], expected["mambair 256"])
    ]
    assert printed == pytest.approx(right, abs=0.0051)
    assert "PSNR over RGB" in table  # sidd's, not the protocol of every task
    assert f"{printed[2]:.2f} dB over RGB" in status(browser, "browser-restore")
    wait(browser, "!document.querySelector('#browser-restore [name=save]').hidden")


def test_networks_with_random_weights_restore_nothing(browser: Browser, site: Path):
    open_page(browser, site.as_uri())
    options = browser.run("[...document.querySelectorAll('[name=network] option')].map(String)")
    assert len(options) == 2


def test_a_photo_is_cut_to_its_middle_and_restored(browser: Browser, site: Path, tmp_path: Path):
    image = np.random.default_rng(0).integers(0, 256, (70, 301, 3), np.uint8)
    photo = tmp_path / "own.png"
    imsave(photo, image)
    open_page(browser, site.as_uri())
    browser.run("document.querySelector('[name=part]').value = '256'")
    give_photo(browser, photo)
    caption = "document.querySelector('#browser-restore figcaption').textContent"
    wait(browser, f"{caption} === 'own.png, 256 × 70 pixels.'")
    np.testing.assert_array_equal(pixels(browser, "before"), image[:, 22 : 22 + 256])
    choose_network(browser, 1)
    submit(browser, "browser-restore", tile=128)
    assert status(browser, "browser-restore").startswith("Restored by the MambaIR hybrid in ")
    assert pixels(browser, "after").shape == (70, 256, 3)  # 70 is no multiple of 8
    table = browser.run("document.querySelector('#browser-restore table').innerText")
    assert "PSNR" not in table  # there is no target


def test_transparency_becomes_white(browser: Browser, site: Path, tmp_path: Path):
    image = np.zeros((16, 16, 4), np.uint8)
    image[8:, :, 3] = 255
    photo = tmp_path / "half.png"
    imsave(photo, image, check_contrast=False)
    open_page(browser, site.as_uri())
    give_photo(browser, photo)
    caption = "document.querySelector('#browser-restore figcaption').textContent"
    wait(browser, f"{caption}.startsWith('half.png')")
    assert pixels(browser, "before")[:, 0].max(axis=1).tolist() == [255] * 8 + [0] * 8


def test_a_file_that_is_no_image_is_refused_and_the_picture_stays(
    browser: Browser, site: Path, tmp_path: Path, expected: dict[str, np.ndarray]
):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nno more")
    open_page(browser, site.as_uri())
    give_photo(browser, broken)
    wait(browser, "document.querySelector('#browser-restore [role=status]').textContent !== ''")
    told = "That did not work: broken.png is no image that this browser can read."
    assert status(browser, "browser-restore") == told
    np.testing.assert_array_equal(pixels(browser, "before"), expected["degraded"])


def test_canceling_stops_between_tiles_and_leaves_the_page_usable(browser: Browser, site: Path):
    open_page(browser, site.as_uri())
    browser.run("document.querySelector('[name=tile]').value = '128'")
    browser.run("document.getElementById('browser-restore').requestSubmit()")
    text = "document.querySelector('#browser-restore [role=status]').textContent"
    wait(browser, f"{text}.endsWith('of 9 tiles')")
    browser.run("document.querySelector('#browser-restore [name=cancel]').click()")
    wait(browser, "document.getElementById('browser-restore').ariaBusy === 'false'")
    assert status(browser, "browser-restore") == "Canceled."
    table = browser.run("document.querySelector('#browser-restore table').innerText")
    assert "teacher" not in table
    choose_network(browser, 1)
    submit(browser, "browser-restore", tile=256)
    assert status(browser, "browser-restore").startswith("Restored by the MambaIR hybrid")


def test_another_task_brings_its_own_sample_and_networks(
    browser: Browser, site: Path, tmp_path: Path
):
    shutil.copytree(site, tmp_path, dirs_exist_ok=True)
    index = index_of(site / "browser")
    [task] = index["tasks"]
    other = task | {"task": "other", "what": "rain", "networks": task["networks"][1:]}
    text = json.dumps(index | {"tasks": [task, other]})
    script = tmp_path / "browser" / "index.js"
    script.write_text(f"window.ensreproBrowser = {text};\n", encoding="utf-8")
    open_page(browser, tmp_path.as_uri())
    assert browser.run("document.querySelector('[name=task]').checkVisibility()")
    browser.run("document.querySelector('[name=task]').focus()")
    browser.press("ArrowDown")
    caption = "document.querySelector('#browser-restore figcaption').textContent"
    wait(browser, f"{caption}.startsWith('Sample for other: the test photo coffee with rain,')")
    names = "[...document.querySelectorAll('[name=network] option')].map((o) => o.value)"
    [name] = browser.run(names)
    assert name.startswith("MambaIR hybrid (")
    open_page(browser, site.as_uri())
    assert not browser.run("document.querySelector('[name=task]').checkVisibility()")


# ---- measuring --------------------------------------------------------------------------------


def measured(browser: Browser, **values: object) -> dict[str, Any]:
    """The record that the page offers after a measurement."""
    submit(browser, "browser-measure", **values)
    link = "document.querySelector('#browser-measure [name=save]')"
    wait(browser, f"!{link}.hidden")
    assert browser.run(f"{link}.download") == "ensrepro-latency.json"
    return json.loads(browser.run(f"fetch({link}.href).then((answer) => answer.text())"))


@pytest.mark.parametrize("way", ["file", "server"])
def test_measuring_yields_records(
    way: str, browser: Browser, site: Path, server: str, tmp_path: Path
):
    open_page(browser, site.as_uri() if way == "file" else server)
    made = measured(browser, side=64, runs=6, seconds=1, device="a test")
    networks = index_of(site / "browser")["tasks"][0]["networks"]
    (tmp_path / "ensrepro-latency.json").write_text(json.dumps(made), "utf-8")
    read, compared = exchange.read(tmp_path / "ensrepro-latency.json")  # which checks every field
    assert sum(record.seconds for record in read) >= 1
    for record, network in zip(read, networks, strict=True):
        assert record.n >= 6
        assert (record.device, record.resolution) == ("a test", "64x64")
        assert record.runtime == "onnxruntime-web"
        assert record.version.startswith("1.30.0 in Mozilla/5.0 (")
        assert "Chrome" in record.version
        assert (record.threads, record.dtype, record.load) == (1, "float32", None)
        assert record.cpu == "unknown"  # records.SCHEMA: where the system does not name it
        assert timing.untold(record.conditions) == ["cpu"]
        assert record.p90_ms is None or record.n >= measuring.FEWEST_FOR_P90
        assert record.p99_ms is None or record.n >= measuring.FEWEST_FOR_P99
        random = network["weights"] == "random"
        assert record.weights == (records.RANDOM if random else network["digest"])
        for name in ("pair", "task", "architecture", "width"):
            assert getattr(record, name) == network[name]
    assert len({record.n for record in read}) == 1  # they took turns
    teacher, *others = read
    for one, record in zip(compared, others, strict=True):
        assert one.is_of(record)
        assert one.refers_to(teacher)
        assert (one.n, one.reference_ms) == (record.n, teacher.p50_ms)
    imported = commands.bring_in(
        shelf.store_of("mini", tmp_path / "out"), tmp_path / "ensrepro-latency.json", "records"
    )
    result, _ = shelf.read(imported.path)
    assert result.comparisons == made["comparisons"]
    names = "[...document.querySelectorAll('#browser-measure tbody th')].map((th) => th.innerText)"
    assert browser.run(names) == [
        n["name"] + (" (random weights)" if n["weights"] == "random" else "") for n in networks
    ]
    assert browser.troubles() == []


def test_the_statistics_are_those_of_the_library(browser: Browser, site: Path):
    open_page(browser, site.as_uri())
    for n in (1, 7, 9, 10, 25, 30, 70, 99, 100, 130):
        times = np.random.default_rng(n).gamma(9, 0.01, n)  # seconds
        found = browser.run(f"ensreproMeasure.summarize({json.dumps((times * 1e3).tolist())})")
        unshown = {"p90_ms"} if n < measuring.FEWEST_FOR_P90 else set()
        unshown |= {"p99_ms"} if n < measuring.FEWEST_FOR_P99 else set()
        assert {key for key, value in found.items() if value is None} == unshown
        right = timing.summarize(times)
        known = {key: value for key, value in found.items() if key not in unshown}
        assert known == pytest.approx({key: getattr(right, key) for key in known}, rel=1e-9)


def test_a_device_without_a_name_is_no_other_visitor_s(browser: Browser, site: Path):
    open_page(browser, site.as_uri())
    [one, other] = (measured(browser, side=64, runs=5, seconds=1, device="") for _ in range(2))
    names = [{record["device"] for record in made["records"]} for made in (one, other)]
    assert all(re.fullmatch("unnamed device [0-9a-f]{8}", name) for [name] in names)
    assert names[0] != names[1]
    assert {record["p99_ms"] for record in one["records"] if record["n"] < 100} <= {None}
    table = "document.querySelector('#browser-measure tbody').innerText"
    assert "–" in browser.run(table)


def test_a_ratio_is_that_of_the_library(browser: Browser, site: Path):
    open_page(browser, site.as_uri())
    for n in range(1, 61):
        slow, fast = np.random.default_rng(n).gamma(9, 0.01, (2, n)).tolist()
        found = browser.run(f"ensreproMeasure.ratio({json.dumps(slow)}, {json.dumps(fast)})")
        right = timing.Alternation({"slow": slow, "fast": fast}).ratio("slow", "fast")
        assert found == pytest.approx(asdict(right), rel=1e-9), n


# ---- the page ---------------------------------------------------------------------------------


def test_the_slider_moves_with_the_keyboard(browser: Browser, site: Path):
    open_page(browser, site.as_uri())
    browser.run("document.querySelector('[name=slider]').focus()")
    browser.press("ArrowRight")
    shown = "document.querySelector('.browser-pictures').style.getPropertyValue('--shown')"
    assert browser.run(shown) == "51%"


def test_a_keyboard_can_start_and_cancel(browser: Browser, site: Path):
    open_page(browser, site.as_uri())
    browser.run("document.querySelector('#browser-measure [type=submit]').focus()")
    browser.press("Enter")
    wait(browser, "document.getElementById('browser-measure').ariaBusy === 'true'")
    assert browser.run("document.activeElement.name") == "cancel"
    browser.press("Enter")
    wait(browser, "document.getElementById('browser-measure').ariaBusy === 'false'")
    assert status(browser, "browser-measure") == "Canceled."
    assert browser.run("document.activeElement.type") == "submit"


def test_no_width_of_screen_scrolls_sideways(browser: Browser, site: Path):
    open_page(browser, site.as_uri(), 320)
    measured(browser, side=64, runs=5, seconds=1)
    for width in (320, 390, 768, 1280):
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.call("Emulation.setDeviceMetricsOverride", **size)
        assert browser.run("document.documentElement.scrollWidth") <= width


def test_controls_and_letters_are_large_enough_for_a_phone(browser: Browser, site: Path):
    open_page(browser, site.as_uri(), 390)
    controls = "[...document.querySelectorAll('select, button, input')]"
    visible = f"{controls}.filter((c) => c.checkVisibility())"
    assert browser.run(f"Math.min(...{visible}.map((c) => c.offsetHeight))") >= 36
    texts = "[...document.querySelectorAll('form *')].filter((e) => e.innerText)"
    sizes = f"{texts}.map((e) => parseFloat(getComputedStyle(e).fontSize))"
    assert browser.run(f"Math.min(...{sizes})") >= 12


def test_every_control_has_a_name(browser: Browser, site: Path):
    open_page(browser, site.as_uri())
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "combobox", "slider", "textbox", "spinbutton", "progressbar", "image"}
    found = [node for node in nodes if node.get("role", {}).get("value") in roles]
    assert len(found) > 10
    assert [node for node in found if not node.get("name", {}).get("value")] == []
    browser.call("Accessibility.disable")


def test_without_networks_the_page_says_so(browser: Browser, site: Path, tmp_path: Path):
    shutil.copytree(site, tmp_path, dirs_exist_ok=True)
    text = "There are no networks here."
    script = tmp_path / "browser" / "index.js"
    script.write_text(f'window.ensreproBrowser = {{"missing": "{text}"}};\n', encoding="utf-8")
    browser.open((tmp_path / "page.html").as_uri())
    assert browser.run("document.getElementById('browser-missing').textContent") == text
    for name in ("browser-app", "browser-measure"):
        assert browser.run(f"document.getElementById('{name}').hidden")
    assert browser.troubles() == []


def test_a_network_that_cannot_be_loaded_is_told(browser: Browser, site: Path, tmp_path: Path):
    shutil.copytree(site, tmp_path, dirs_exist_ok=True)
    (tmp_path / "browser" / "denoise-teacher.js").unlink()
    open_page(browser, tmp_path.as_uri())
    submit(browser, "browser-restore")
    told = "That did not work: denoise-teacher.js could not be loaded."
    assert status(browser, "browser-restore") == told
