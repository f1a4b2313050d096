"""The architecture explorer: its data are the table's, and the page shows what the data say."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import shutil
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic_bench
from chromium import Browser, needs_browser, serving

from ensrepro import bench, landscape, pareto
from ensrepro.figures import style
from ensrepro.space import PENALTY_TABLES, RESTORMER, penalty

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
COST_COLUMNS = ("penalty", "latency_ms", "params", "macs")


def load(name: str) -> ModuleType:
    """A module of book/_ext, which is no package."""
    spec = importlib.util.spec_from_file_location(name, BOOK / "_ext" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


explorer_data = load("explorer_data")
SOURCE = explorer_data.Source("mini", "denoise", "1a2b3c4", "Costs are made up.")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return synthetic_bench.table(0)


@pytest.fixture(scope="module")
def data(frame: pd.DataFrame) -> dict[str, Any]:
    return explorer_data.data(frame, RESTORMER, SOURCE)


def unpacked(packed: dict[str, Any]) -> np.ndarray:
    """What the page makes of a packed column."""
    counts = np.frombuffer(base64.b64decode(packed["base64"]), dtype="<u2")
    return (packed["low"] + counts.astype(np.int64)) * packed["step"]


def drop_of(frame: pd.DataFrame) -> np.ndarray:
    return (frame.psnr[0] - frame.psnr).to_numpy()


# ---- the data ---------------------------------------------------------------------------------


def test_drop_and_ssim_are_the_columns_to_half_a_step(frame: pd.DataFrame, data: dict[str, Any]):
    # The drop is promised to 0.0005 dB; the SSIM is printed with four digits.
    for packed, column, promised in (
        (data["drop"], drop_of(frame), 0.0005),
        (data["ssim"], frame.ssim.to_numpy(), 0.00005),
    ):
        assert packed["step"] / 2 <= promised
        np.testing.assert_allclose(unpacked(packed), column, rtol=0, atol=packed["step"] * 0.5001)


def test_the_teacher_drops_by_exactly_nothing(data: dict[str, Any]):
    assert unpacked(data["drop"])[0] == 0


def test_the_sums_over_stages_are_the_cost_columns(frame: pd.DataFrame, data: dict[str, Any]):
    choices = np.array(list(RESTORMER))
    for cost in data["costs"]:
        key = cost["key"]
        total = cost["teacher"] + sum(
            np.array(added)[choices[:, i]] for i, added in enumerate(cost["swaps"])
        )
        if key in frame:
            expected = frame[key]
        else:
            expected = [penalty(architecture, key) for architecture in RESTORMER]
        np.testing.assert_allclose(total, expected, rtol=0, atol=1e-5 * cost["teacher"])


def test_every_penalty_table_can_be_shown(data: dict[str, Any]):
    keys = {"blocks" if c["key"] == "penalty" else c["key"] for c in data["costs"]}
    assert keys >= set(PENALTY_TABLES)


def cost_of(frame: pd.DataFrame, key: str) -> np.ndarray:
    """The cost of every architecture, by the table or by the library."""
    return frame[key].to_numpy() if key in frame else landscape.penalties(key).ravel()


def test_true_fronts_and_knee_are_those_of_the_library(frame: pd.DataFrame, data: dict[str, Any]):
    drop = drop_of(frame)
    for cost in data["costs"]:
        points = np.column_stack([drop, cost_of(frame, cost["key"])])
        assert cost["front"] == pareto.front(points).tolist()
    points = np.column_stack([drop, frame.penalty])
    anchors = pareto.Anchors.between(points[0], points[-1])
    assert data["named"] == {
        "teacher": 0,
        "cheapest": RESTORMER.n_architectures - 1,
        "all-SSM": RESTORMER.index(RESTORMER.all_ssm),
        "knee": pareto.knee(points, anchors),
    }


def test_choices_have_the_colors_of_the_figures_and_legible_ink(data: dict[str, Any]):
    for stage, shown in zip(RESTORMER.stages, data["stages"], strict=True):
        teacher, *surrogates = shown["choices"]
        assert (shown["name"], teacher["label"]) == (stage.name, "T")
        assert (teacher["blocks"], teacher["color"]) == (stage.n_blocks, style.COLORS["teacher"])
        assert [c["blocks"] for c in surrogates] == list(stage.depths)
        assert [c["color"] for c in surrogates] == [style.DEPTHS[d].color for d in stage.depths]
        for choice in shown["choices"]:
            pair = [explorer_data.luminance(choice[kind]) + 0.05 for kind in ("color", "ink")]
            assert max(pair) / min(pair) >= 4.5  # WCAG 2.2, 1.4.3, level AA


def test_luminance_of_black_white_and_pure_green():
    found = [explorer_data.luminance(c) for c in ("#000000", "#ffffff", "#00ff00")]
    assert found == pytest.approx([0, 1, 0.7152])  # the coefficient of green in WCAG 2


def test_the_caption_names_the_run_and_what_the_costs_are_of(data: dict[str, Any]):
    assert "profile mini, task denoise, commit 1a2b3c4" in data["caption"]
    assert data["caption"].endswith("Costs are made up.")


@pytest.mark.parametrize("name", [*COST_COLUMNS])
def test_a_column_that_is_not_additive_is_named(frame: pd.DataFrame, name: str):
    changed = frame[name].astype(float)
    changed.iloc[-1] *= 1.001
    with pytest.raises(ValueError, match=f"^column {name} is not additive: 2 2 2 2 2 2 2 2 has "):
        explorer_data.data(frame.assign(**{name: changed}), RESTORMER, SOURCE)


def test_rows_in_another_order_are_refused(frame: pd.DataFrame):
    swapped = frame.copy()
    swapped.iloc[[5, 6]] = frame.iloc[[6, 5]].to_numpy()
    found, expected = (re.escape(str(list(RESTORMER.architecture(i)))) for i in (6, 5))
    told = f"row 5 of the table is architecture {found}; expected {expected}"
    with pytest.raises(ValueError, match=told):
        explorer_data.data(swapped, RESTORMER, SOURCE)


def test_a_table_that_is_not_whole_is_refused(frame: pd.DataFrame):
    with pytest.raises(ValueError, match=r"no column ssim, macs$"):
        explorer_data.data(frame.drop(columns=["ssim", "macs"]), RESTORMER, SOURCE)
    with pytest.raises(ValueError, match="has 34559 rows; expected 34560"):
        explorer_data.data(frame.iloc[:-1], RESTORMER, SOURCE)
    with pytest.raises(ValueError, match="column ssim holds NaN"):
        explorer_data.data(frame.assign(ssim=np.nan), RESTORMER, SOURCE)


def test_a_span_that_16_bits_cannot_resolve_is_refused():
    values = np.array([0.0, 70.0])  # 65,535 steps of 0.001 dB are 65.5 dB
    with pytest.raises(ValueError, match=r"column psnr spans 70; expected at most 65535 steps"):
        explorer_data.quantize("psnr", values, 0.001)
    packed = explorer_data.quantize("psnr", values - 5, 0.002)
    assert unpacked(packed) == pytest.approx([-5, 65])


def test_the_script_sets_one_global_and_equal_tables_make_equal_scripts(
    frame: pd.DataFrame, data: dict[str, Any], tmp_path: Path
):
    first, again = tmp_path / "a" / "data.js", tmp_path / "again.js"
    explorer_data.write(first, frame, RESTORMER, SOURCE)
    explorer_data.write(again, frame, RESTORMER, SOURCE)
    assert first.read_bytes() == again.read_bytes()
    text = first.read_text(encoding="utf-8")
    begin, end = "window.ensreproExplorer = ", ";\n"
    assert text.startswith(begin)
    assert json.loads(text[len(begin) : -len(end)]) == data
    assert first.stat().st_size < 300_000


def test_a_table_can_be_written_from_the_command_line(frame: pd.DataFrame, tmp_path: Path):
    table, script, expected = (tmp_path / name for name in ("table.parquet", "a.js", "b.js"))
    table.write_bytes(bench.to_parquet(frame))
    explorer_data.main([str(table), str(script), "--profile", "mini"])
    assert "profile mini, task unknown" in script.read_text(encoding="utf-8")
    source = explorer_data.Source("mini", "unknown", "unknown")
    explorer_data.write(expected, frame, RESTORMER, source)
    assert script.read_bytes() == expected.read_bytes()


# ---- a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame) -> Path:
    """The markup of explorer.md in a plain page, with its script, style and data."""
    folder = tmp_path_factory.mktemp("site")
    markup = re.search(
        r"```\{raw\} html\n(.*?)\n```", (BOOK / "explorer.md").read_text("utf-8"), re.DOTALL
    )
    assert markup is not None
    (folder / "explorer.html").write_text(
        '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<title>Explorer</title><link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="_static/explorer.css">'
        '<script src="_static/explorer.js"></script>'
        f'<body><a href="#before">before</a>{markup[1]}<a id="after" href="#after">after</a>',
        encoding="utf-8",
    )
    (folder / "_static").mkdir()
    for name in ("explorer.js", "explorer.css"):
        shutil.copyfile(BOOK / "_static" / name, folder / "_static" / name)
    explorer_data.write(folder / "_static" / "explorer-data.js", frame, RESTORMER, SOURCE)
    return folder


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[str]:
    with serving(site) as address:
        yield f"{address}/explorer.html"


@pytest.fixture
def page(site: Path) -> str:
    return (site / "explorer.html").as_uri()


ACTIVE = "(({ id, name, tagName }) => id || name || tagName)(document.activeElement)"
FIGURES = """Object.fromEntries([...document.querySelectorAll("[data-figure]")].map((place) =>
    [place.dataset.figure, Number(place.querySelector("data").value)]))"""
SELECTS = "[...document.querySelectorAll('.explorer-stage select')]"
CHOOSE = f"""((choices) => {{
  {SELECTS}.forEach((select, i) => (select.selectedIndex = choices[i]));
  {SELECTS}.at(-1).dispatchEvent(new Event("change", {{ bubbles: true }}));
}})"""


def selected(browser: Browser) -> int:
    """The number of the architecture that the selectors show."""
    return RESTORMER.index(browser.run(f"{SELECTS}.map((select) => select.selectedIndex)"))


def push(browser: Browser, name: str) -> None:
    browser.run(f"document.querySelector('button[name=\"{name}\"]').click()")


def status(browser: Browser) -> str:
    return browser.run("document.querySelector('[role=status]').textContent")


def show_cost(browser: Browser, key: str) -> None:
    position = [cost.key for cost in explorer_data.COSTS].index(key)
    browser.run(f"""((cost) => {{
        cost.selectedIndex = {position};
        cost.dispatchEvent(new Event("change", {{ bubbles: true }}));
    }})(document.getElementById("explorer-cost"))""")


# ---- the page ---------------------------------------------------------------------------------


@needs_browser
@pytest.mark.parametrize("way", ["file", "server"])
def test_the_figures_are_those_of_the_table(
    way: str, browser: Browser, frame: pd.DataFrame, page: str, server: str
):
    browser.open(page if way == "file" else server)
    drop = drop_of(frame)
    rng = np.random.default_rng(0)
    for number in [0, len(frame) - 1, *rng.integers(0, len(frame), 24).tolist()]:
        browser.run(f"{CHOOSE}({list(RESTORMER.architecture(number))})")
        shown = browser.run(FIGURES)
        assert selected(browser) == number
        assert shown["drop"] == pytest.approx(drop[number], abs=0.0005)
        assert shown["ssim"] == pytest.approx(frame.ssim[number], abs=0.00005)
        for name in COST_COLUMNS:
            assert shown[name] == pytest.approx(frame[name][number], rel=1e-5)
        text = status(browser)
        assert text.startswith(f"{RESTORMER.label(RESTORMER.architecture(number))}: PSNR drop ")
        assert f"{frame.penalty[number]:g}," in text
    assert browser.troubles() == []


@needs_browser
def test_the_page_asks_nothing_of_another_host(browser: Browser, page: str):
    browser.open(page)
    assert browser.requests()
    assert all(url.startswith(("file:", "data:")) for url in browser.requests())


@needs_browser
@pytest.mark.parametrize("key", ["penalty", "latency_ms", "rank"])
def test_the_two_buttons_walk_along_the_true_front(
    key: str, browser: Browser, data: dict[str, Any], page: str
):
    browser.open(page)
    show_cost(browser, key)
    front = next(cost["front"] for cost in data["costs"] if cost["key"] == key)
    push(browser, "cheapest")
    assert front[-1] == selected(browser)  # by these costs, in this table
    walked = [selected(browser)]
    for _ in range(len(front) + 1):  # twice more than it goes
        push(browser, "better")
        walked.append(selected(browser))
    assert walked == [*reversed(front), front[0], front[0]]
    assert browser.run("document.querySelector('[name=better]').ariaDisabled") == "true"
    for number in front[1:]:
        push(browser, "cheaper")
        assert selected(browser) == number
        assert "On the true front of PSNR drop and " in status(browser)
    assert browser.troubles() == []


# What the page says of each architecture of a list, and where its two buttons lead from there.
# Without the plot, which would be drawn each time.
ANSWERS = f"""((list) => {{
  document.querySelector("figure").hidden = true;
  history.replaceState = () => {{}};
  return list.map((choices) => {{
    const led = (way) => {{
      {CHOOSE}(choices);
      document.querySelector(`button[name=${{way}}]`).click();
      return {SELECTS}.map((select) => select.selectedIndex);
    }};
    const [cheaper, better] = ["cheaper", "better"].map(led);
    {CHOOSE}(choices);
    const said = document.querySelector("[role=status]").textContent;
    return {{ cheaper, better, said, figures: {FIGURES} }};
  }});
}})"""


def said_gain(said: str) -> float | None:
    """How much less the front drops (dB), as the page says; None on the front."""
    if ". On the true front of PSNR drop and " in said:
        return None
    found = re.search(r"\. For no more .*, the true front has one that drops (.*) dB less\.$", said)
    assert found is not None, said
    return float(found[1])


@needs_browser
@pytest.mark.parametrize("key", ["penalty", "latency_ms", "rank"])
def test_the_page_compares_as_the_library_does(
    key: str, browser: Browser, frame: pd.DataFrame, data: dict[str, Any], page: str
):
    """From 300 architectures; most share their penalty, a sum of few values, with many others."""
    cost, drop = cost_of(frame, key), drop_of(frame)
    front = pareto.front(np.column_stack([drop, cost]))
    gaps = landscape.gaps(np.column_stack([drop, cost]))
    shown = unpacked(data["drop"])  # all that the page knows of the drop
    tolerance = 0.0005 + data["drop"]["step"]  # it prints three digits of a difference of two
    drawn = np.random.default_rng(0).choice(len(frame), 300 - len(front[:100]), replace=False)
    numbers = np.concatenate([front[:100], drawn])

    browser.open(page)
    show_cost(browser, key)
    answers = browser.run(f"{ANSWERS}({[list(RESTORMER.architecture(n)) for n in numbers]})")
    assert len(answers) == 300
    for n, answer in zip(numbers, answers, strict=True):
        gain = said_gain(answer["said"])
        assert (gain is None) == (n in front)
        assert (gain or 0) == pytest.approx(gaps[n], abs=tolerance)
        cheaper, better = front[cost[front] < cost[n]], front[shown[front] < shown[n]]
        expected = [*cheaper[:1], n][0], [*better[::-1], n][0]  # n: there is none
        assert tuple(RESTORMER.index(answer[way]) for way in ("cheaper", "better")) == expected
        assert answer["figures"]["penalty"] == frame.penalty[n]  # to the last bit


@needs_browser
def test_neighbors_on_the_front_are_stepped_to_however_little_they_differ(
    browser: Browser, frame: pd.DataFrame, data: dict[str, Any], site: Path, tmp_path: Path
):
    front = data["costs"][0]["front"]
    better, cheaper = front[1:3]
    psnr = frame.psnr.copy()
    psnr[cheaper] = psnr[better] - 1e-7  # far less than a step of the page's numbers
    changed = explorer_data.data(frame.assign(psnr=psnr), RESTORMER, SOURCE)
    assert changed["costs"][0]["front"][1:3] == [better, cheaper]
    shutil.copytree(site, tmp_path, dirs_exist_ok=True)
    explorer_data.write_script(tmp_path / "_static" / "explorer-data.js", changed)
    browser.open((tmp_path / "explorer.html").as_uri())
    push(browser, "teacher")
    for number in (better, cheaper):
        push(browser, "cheaper")
        assert selected(browser) == number
    push(browser, "better")
    assert selected(browser) == better


@needs_browser
def test_the_summary_says_how_far_the_true_front_is(
    browser: Browser, frame: pd.DataFrame, data: dict[str, Any], page: str
):
    browser.open(page)
    push(browser, "all-SSM")
    number, drop = data["named"]["all-SSM"], unpacked(data["drop"])
    assert selected(browser) == number
    best = drop[frame.penalty <= frame.penalty[number] + 1e-9].min()
    if number in data["costs"][0]["front"]:
        assert "On the true front" in status(browser)
    else:
        assert f"drops {drop[number] - best:.3f} dB less" in status(browser)


@needs_browser
def test_the_buttons_select_what_they_name(browser: Browser, data: dict[str, Any], page: str):
    browser.open(page)
    assert selected(browser) == data["named"]["knee"]  # where one begins
    for name, number in data["named"].items():
        push(browser, name)
        assert selected(browser) == number
    drawn = set()
    for _ in range(5):
        push(browser, "random")
        drawn.add(selected(browser))
    assert len(drawn) > 1  # equal five times by chance: one in 34,560 ** 4
    assert browser.troubles() == []


@needs_browser
@pytest.mark.parametrize("way", ["file", "server"])
def test_the_address_keeps_the_architecture_and_the_cost(
    way: str, browser: Browser, page: str, server: str
):
    address = page if way == "file" else server
    architecture = RESTORMER.architecture(12345)
    label = RESTORMER.label(architecture).replace(" ", "-")
    browser.open(address)
    assert browser.run("location.hash") == ""  # nothing is written before something is chosen
    browser.run(f"{CHOOSE}({list(architecture)})")
    assert browser.run("location.hash") == f"#architecture-{label}"
    show_cost(browser, "latency_ms")
    assert browser.run("location.hash") == f"#architecture-{label}_latency_ms"
    browser.open(browser.run("location.href"))
    assert selected(browser) == 12345
    shown = browser.run("document.getElementById('explorer-cost').selectedOptions[0].text")
    assert shown == "latency (ms)"
    # Typed into the page that is open; a hash is also a selector for scripts of the theme.
    browser.run_until_drawn("location.hash = '#architecture-T-T-T-T-T-T-T-2'")
    assert selected(browser) == 2
    assert browser.run("document.querySelector(location.hash)") is None
    assert browser.troubles() == []


@needs_browser
@pytest.mark.parametrize("end", ["T-T", "T-T-T-T-T-T-T-6", "T-T-T-T-T-T-T-T_watts", ""])
def test_an_address_that_names_nothing_is_answered_in_words(
    end: str, browser: Browser, data: dict[str, Any], page: str
):
    browser.open(f"{page}#architecture-{end}")
    assert status(browser).startswith("The address names no architecture of this space.")
    assert selected(browser) == data["named"]["knee"]
    assert browser.troubles() == []


@needs_browser
def test_the_address_of_a_heading_is_left_alone(browser: Browser, page: str):
    browser.open(f"{page}#after")
    assert browser.run("location.hash") == "#after"
    assert not status(browser).startswith("The address")


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_click_selects_the_nearest_point(
    width: int, browser: Browser, frame: pd.DataFrame, page: str
):
    browser.open(page, width)
    push(browser, "knee")
    browser.run("document.querySelector('canvas').scrollIntoView()")
    box = browser.run("document.querySelector('canvas').getBoundingClientRect().toJSON()")
    browser.click(box["right"] - 20, box["bottom"] - 55)  # the dearest and best
    assert selected(browser) == 0
    browser.click(box["left"] + 60, box["top"] + 14)  # the cheapest and worst
    assert selected(browser) == len(frame) - 1


@needs_browser
def test_everything_can_be_reached_and_used_by_keyboard_and_left_again(browser: Browser, page: str):
    browser.open(page)
    browser.run("document.querySelector('a').focus()")
    reached = []
    for _ in range(40):
        browser.press("Tab")
        reached.append(browser.run(ACTIVE))
        if reached[-1] == "after":
            break
        outline = browser.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", reached[-1]
    stages = [f"explorer-{stage.name}" for stage in RESTORMER.stages]
    named = ["teacher", "knee", "cheapest", "all-SSM", "random"]
    steps = ["explorer-cost", "cheaper", "better"]
    assert reached == [*stages, *named, *steps, "SUMMARY", "after"]  # the last one: of the table

    push(browser, "teacher")
    browser.run("document.getElementById('explorer-bottleneck').focus()")
    browser.press("ArrowDown")
    browser.press("ArrowDown")
    assert selected(browser) == RESTORMER.index(RESTORMER.swapped("bottleneck", 2))
    assert browser.run("document.activeElement.id") == "explorer-bottleneck"
    browser.run("document.querySelector('[name=cheapest]').focus()")
    browser.press("Enter")
    assert selected(browser) == RESTORMER.n_architectures - 1
    assert browser.run("document.activeElement.name") == "cheapest"


@needs_browser
def test_every_control_and_the_plot_have_a_name(browser: Browser, page: str):
    browser.open(page)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]
    unnamed = [role for role, name in named if not name]
    assert not {"combobox", "button", "image"} & set(unnamed)
    selectors = sorted(name for role, name in named if role == "combobox")
    assert selectors == sorted([*(s.name for s in RESTORMER.stages), "Cost in the plot"])
    assert "status" in [role for role, _ in named]
    [plot] = [name for role, name in named if role == "image"]
    assert "Scatter plot of all architectures: penalty (no unit) across" in plot


@needs_browser
def test_the_front_as_a_table_selects_too(browser: Browser, data: dict[str, Any], page: str):
    browser.open(page)
    front = data["costs"][0]["front"]
    assert browser.run("document.querySelectorAll('tbody tr').length") == len(front)
    browser.run("document.querySelector('details').open = true")
    browser.run_until_drawn("document.querySelectorAll('tbody a')[1].click()")
    assert selected(browser) == front[1]


PICTURE = """(() => {
  const canvas = document.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  let inked = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] < 255) continue; // the cloud is translucent
    sum += data[i] + data[i + 1] + data[i + 2];
    inked += 3;
  }
  return sum / inked;
})()"""


@needs_browser
def test_the_plot_follows_the_theme(browser: Browser, page: str):
    browser.open(page)
    light = browser.run(PICTURE)
    browser.run("document.documentElement.style.setProperty('--pst-color-text-base', '#ffffff')")
    browser.run_until_drawn("document.documentElement.dataset.theme = 'dark'")
    assert browser.run(PICTURE) > light  # the axes' ink is white


@needs_browser
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_width_of_screen_scrolls_sideways(width: int, browser: Browser, page: str):
    browser.open(page, width)
    show_cost(browser, "transformers")  # the longest name
    browser.run("document.querySelector('details').open = true")
    assert browser.run("document.documentElement.scrollWidth") <= width
    controls = "[...document.querySelectorAll('select, button')]"
    assert browser.run(f"Math.min(...{controls}.map((c) => c.offsetHeight))") >= 36
    texts = "[...document.querySelectorAll('#explorer-app *')]"
    sizes = f"{texts}.map((e) => parseFloat(getComputedStyle(e).fontSize))"
    assert browser.run(f"Math.min(...{sizes})") >= 12


@needs_browser
def test_without_a_table_the_page_says_so(browser: Browser, site: Path, tmp_path: Path):
    shutil.copytree(site, tmp_path, dirs_exist_ok=True)
    script = tmp_path / "_static" / "explorer-data.js"
    explorer_data.write_missing(script, "smoke", "derain")
    browser.open((tmp_path / "explorer.html").as_uri())
    text = "document.getElementById('explorer-missing').textContent"
    told = "There is no table of all architectures for profile smoke and task derain."
    assert browser.run(text) == told
    assert browser.run("document.getElementById('explorer-app').hidden")
    assert browser.troubles() == []


@needs_browser
def test_another_page_is_left_alone(browser: Browser, site: Path):
    other = site / "other.html"
    other.write_text('<!doctype html><script src="_static/explorer.js"></script><p>Text')
    browser.open(other.as_uri())
    assert browser.run("document.body.innerText") == "Text"
    assert browser.troubles() == []


def test_the_script_is_short_and_loads_nothing():
    text = (BOOK / "_static" / "explorer.js").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(lines) < 350
    assert max(map(len, lines)) <= 100
    for word in ("fetch(", "XMLHttpRequest", "import(", "http:", "https:", "eval("):
        assert word not in text


def test_the_solution_of_the_exercise_counts_the_values_of_the_penalty():
    values = {penalty(architecture, "transformers") for architecture in RESTORMER}
    solution = (BOOK / "explorer.md").read_text(encoding="utf-8").split("```{solution}")[1]
    assert f"{len(values)} values" in solution
    assert all(later - earlier in {2, 4} for earlier, later in pairwise(sorted(values)))
    assert set(range(0, 45, 2)) - values == {2, 42}
    for number in (0, 44, 2, 42):
        assert f" {number} " in solution or f" {number}:" in solution
