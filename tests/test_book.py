"""The book: one clean build of the site, and the numbers in its prose."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup, Tag

from ensrepro.config import PROFILES
from ensrepro.models.mambair import VSSBlock
from ensrepro.models.restormer import RestormerBlock
from ensrepro.space import RESTORMER, TEACHER, choice_penalty

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
BUILD = "from jupyter_book.cli.main import main; main()"
NEEDED = ("_config.yml", "_toc.yml", "book", "notebooks", "results", "src/ensrepro/paper_data")
OWN_PAGES = {"index", "search", "genindex"}  # made by Sphinx, not in the table of contents
ASSETS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass(frozen=True)
class Site:
    """A built site: its folder, its parsed pages by name, and what the build said."""

    html: Path
    pages: dict[str, BeautifulSoup]
    returncode: int
    output: str


def copy_tree(target: Path) -> None:
    """What the book is made of and nothing else, without leftovers of an earlier build."""

    def ignored(folder: str, names: list[str]) -> set[str]:
        leftovers = {"_build", "__pycache__", ".ipynb_checkpoints"}
        staged = {"notebooks"} if Path(folder) == ROOT / "book" else set()
        own = {n for n in names if n.startswith("mine")} if Path(folder) == RESULTS else set()
        return (leftovers | staged | own) & set(names)

    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=ignored)
        elif source.exists():
            shutil.copyfile(source, target / name)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    tree = tmp_path_factory.mktemp("book")
    copy_tree(tree)
    command = [sys.executable, "-c", BUILD, "build", "-W", "-n", "--keep-going", "book/"]
    run = subprocess.run(
        command,
        cwd=tree,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
    )
    html = tree / "_build" / "html"
    pages = {
        path.relative_to(html).with_suffix("").as_posix(): BeautifulSoup(
            path.read_text(encoding="utf-8"), "html.parser"
        )
        for path in sorted(html.rglob("*.html"))
        if "_static" not in path.parts
    }
    return Site(html, pages, run.returncode, run.stdout)


def toc_entries() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return [toc["root"], *chapters]


def elements(site: Site, *names: str) -> Iterator[tuple[str, Tag]]:
    for page, soup in site.pages.items():
        for element in soup.find_all(names):
            yield page, element


def is_external(link: str) -> bool:
    parts = urlsplit(link)
    return bool(parts.netloc) or parts.scheme in {"http", "https"}


def target(site: Site, page: str, link: str) -> Path:
    """The file that a relative link leads to."""
    path = unquote(urlsplit(link).path)
    here = site.html / f"{page}.html"
    return (here.parent / path).resolve() if path else here


def rows(table: Tag) -> list[list[str]]:
    """The cells of a table's body as text."""
    return [
        [" ".join(cell.get_text().split()) for cell in row.find_all("td")]
        for row in table.find_all("tr")
        if row.find("td")
    ]


def table_with(site: Site, page: str, header: str) -> list[list[str]]:
    """The one table of a page that has `header` among its column titles."""
    found = [
        table
        for table in site.pages[page].find_all("table")
        if header in [" ".join(th.get_text().split()) for th in table.find_all("th")]
    ]
    assert len(found) == 1
    return rows(found[0])


# ---- the built site ---------------------------------------------------------------------------


def test_the_book_builds_from_its_own_files_without_a_warning(site: Site) -> None:
    assert site.returncode == 0, site.output
    assert not re.search(r"\b(WARNING|ERROR|CRITICAL)\b", site.output), site.output


def test_there_is_one_page_for_each_entry_of_the_table_of_contents(site: Site) -> None:
    entries = toc_entries()
    assert len(entries) == len(set(entries))
    assert set(site.pages) - OWN_PAGES == set(entries)


def test_no_page_loads_anything_from_another_host(site: Site) -> None:
    for page, element in elements(site, *ASSETS):
        link = element.get(ASSETS[element.name])
        assert not (link and is_external(link)), f"{page}: {element}"


def test_only_one_page_loads_the_scripts_that_run_networks(site: Site) -> None:
    pages = {p for p, s in elements(site, "script") if "browser/" in (s.get("src") or "")}
    assert pages == {"in_your_browser"}
    assert not [s for _, s in elements(site, "script") if "onnxruntime" in (s.get("src") or "")]


def test_no_script_of_a_page_names_another_host(site: Site) -> None:
    for page, script in elements(site, "script"):
        assert "//" not in re.sub(r"(?m)^\s*//.*$", "", script.get_text()), f"{page}: {script}"


def test_no_style_sheet_loads_anything_from_another_host(site: Site) -> None:
    for sheet in site.html.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"""(url\(|@import)\s*["']?\s*(https?:)?//""", text), sheet.name


def test_every_script_style_and_image_of_a_page_exists(site: Site) -> None:
    for page, element in elements(site, *ASSETS):
        link = element.get(ASSETS[element.name])
        if link and not link.startswith("data:"):
            assert target(site, page, link).is_file(), f"{page}: {link}"


def test_every_page_has_a_favicon(site: Site) -> None:
    for page, soup in site.pages.items():
        if page != "index":  # redirects to the first page
            assert soup.find("link", rel="icon"), page


def test_every_image_has_an_alternative_text(site: Site) -> None:
    for page, image in elements(site, "img"):
        assert image.get("alt", "").strip(), f"{page}: {image}"


def test_every_internal_link_leads_to_a_page_and_an_anchor(site: Site) -> None:
    ids = {page: {e["id"] for e in soup.find_all(id=True)} for page, soup in site.pages.items()}
    for page, link in elements(site, "a"):
        href = link.get("href")
        if not href or is_external(href) or href.startswith(("mailto:", "javascript:")):
            continue
        path = target(site, page, href)
        assert path.is_file(), f"{page}: {href}"
        anchor = unquote(urlsplit(href).fragment)
        if anchor and path.suffix == ".html":
            name = path.relative_to(site.html.resolve()).with_suffix("").as_posix()
            assert anchor in ids[name], f"{page}: {href}"


def test_no_id_occurs_twice_on_a_page(site: Site) -> None:
    for page, soup in site.pages.items():
        ids = [element["id"] for element in soup.select("article [id]")]
        assert len(ids) == len(set(ids)), page


def test_every_exercise_has_a_solution_that_is_folded_away(site: Site) -> None:
    for page, soup in site.pages.items():
        exercises = soup.select("div.exercise")
        solutions = soup.select("div.solution")
        assert len(exercises) == len(solutions), page
        assert all("dropdown" in solution["class"] for solution in solutions), page


def test_an_executed_notebook_shows_its_outputs(site: Site) -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]
    results = RESULTS / config["ensrepro_profile"] / config["ensrepro_task"]
    for entry in toc_entries():
        if entry.startswith("notebooks/"):
            executed = (results / f"{Path(entry).name}.ipynb").exists()
            assert bool(site.pages[entry].select("div.cell_output")) == executed, entry


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium to open the pages with")
@pytest.mark.parametrize("page", ["idea", "ssm_and_attention"])
def test_formulas_are_set_without_a_network(site: Site, page: str, tmp_path: Path) -> None:
    dom = subprocess.run(
        [
            str(CHROMIUM),
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *(f"--user-data-dir={tmp_path}", "--host-resolver-rules=MAP * ~NOTFOUND"),
            *("--virtual-time-budget=8000", "--dump-dom", (site.html / f"{page}.html").as_uri()),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,  # a guard against hanging
        check=True,
    ).stdout
    shown = BeautifulSoup(dom, "html.parser")
    formulas = site.pages[page].select(".math")
    assert len(shown.select("mjx-container")) == len(formulas) > 0
    assert not shown.select("mjx-merror")


# ---- numbers in the prose ---------------------------------------------------------------------


def test_the_table_of_stages_is_the_search_space(site: Site) -> None:
    width = PROFILES["paper"].width
    expected = [
        [
            stage.name,
            str(stage.n_blocks),
            str(stage.heads),
            str(width * stage.width_factor),
            "full" if stage.level == 0 else f"1/{2**stage.level}",
            " ".join(["T", *map(str, stage.depths)]),
            f"{choice_penalty(stage, TEACHER):g}",
        ]
        for stage in RESTORMER.stages
    ]
    assert table_with(site, "idea", "penalty if T") == expected


def restormer_macs(channels: int, heads: int) -> int:
    """Per pixel: the weights of every convolution, and two products of C x C / heads."""
    block = RestormerBlock(channels, heads, "with_bias")
    weights = sum(p.numel() for name, p in block.named_parameters() if p.ndim == 4)
    return weights + 2 * channels**2 // heads


def mambair_macs(channels: int) -> tuple[int, int]:
    """Per pixel (without the scan, the scan); the channel gate works on one pixel of its own."""
    shape = PROFILES["paper"].mambair
    block = VSSBlock(channels, shape)
    other = ("A_logs", "dt_projs_bias", "cab.3.")
    weights = sum(
        p.numel()
        for name, p in block.named_parameters()
        if p.ndim > 1 and not any(part in name for part in other)
    )
    inner = shape.inner_width(channels)
    return weights, 4 * inner * (9 * shape.d_state + 1)


def test_the_costs_per_pixel_are_those_of_the_blocks(site: Site) -> None:
    printed = table_with(site, "ssm_and_attention", "multiply-adds per pixel")
    widths = [(48, 1), (96, 2), (192, 4), (384, 8)]
    teacher = [restormer_macs(*width) for width in widths]
    linear, scan = zip(*(mambair_macs(channels) for channels, _ in widths), strict=True)
    ratios = [(a + b) / t for a, b, t in zip(linear, scan, teacher, strict=True)]
    assert printed[0][1:] == [f"{n:,}" for n in teacher]
    assert printed[1][1:] == [f"{n:,}" for n in linear]
    assert printed[2][1:] == [f"{n:,}" for n in scan]
    assert printed[3][1:] == [f"{ratio:.2f}" for ratio in ratios]
