"""The paper's tables: every cell once, measured values only beside what is of their kind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from ledger_results import COMMIT, ablated, results, uformer

from ensrepro import artifacts, cli, paper, pipeline
from ensrepro.benchmarks.catalog import BENCHMARKS, DERAINING
from ensrepro.benchmarks.evaluation import Result
from ensrepro.claims.belonging import ABLATIONS, UFORMER
from ensrepro.claims.results import Sources
from ensrepro.config import UFORMER_PAIR
from ensrepro.results import evaluated, layout, paper_tables, places, scaled
from ensrepro.results.paper_tables import OnFile
from ensrepro.results.rows import FIELDS, Kind, Measured, Printed, Row, Source, flat
from ensrepro.seeds import Against

RESTORMER = {  # released file names, by benchmark
    **dict.fromkeys(DERAINING, "deraining.pth"),
    "gopro": "motion_deblurring.pth",
    "dpdd": "single_image_defocus_deblurring.pth",
    "dpdd-dual": "dual_pixel_defocus_deblurring.pth",
    "sidd": "real_denoising.pth",
}
DIGEST = "0123456789abcdef"


def evaluation(folder: Path, name: str, subject: str = "", **changed: Any) -> Path:
    """The file that an evaluation of a released checkpoint leaves, of 30 dB and SSIM 0.9."""
    benchmark, subject = BENCHMARKS[name], subject or RESTORMER[name]
    scores = {"psnr": 30.0, "ssim": 0.9, **dict.fromkeys(benchmark.also, 0.1)}
    labels = ["all", *(group for group, _ in benchmark.groups)]
    values = {
        "benchmark": name,
        "title": benchmark.title,
        "subject": subject,
        "task": benchmark.task,
        "protocol": benchmark.protocol,
        "layout": benchmark.layouts[0].name,
        "inference": str(benchmark.inference),
        "n_images": 10,
        "n_expected": 10,
        "is_partial": False,
        "groups": [{"group": label, "n_images": 10, **scores} for label in labels],
        "reasons": {},
        "packages": {},
        "rows": [],
    } | changed
    made = replace(artifacts.provenance("released", benchmark.task, 0, 1.0, 1), commit="abc1234")
    path = folder / f"{subject.removesuffix('.pth')}-{DIGEST}" / f"{name}.json"
    identity = {"benchmark": name, "has_lpips": False}
    artifacts.write_manifest(path, f"benchmark-{name}", identity, made, Result(**values))
    return path


def on_file(root: Path, outcomes: Any = None) -> OnFile:
    """Evaluations below `root`, and no fine-tuned networks."""
    records = evaluated.records(root / evaluated.FOLDER, root)
    return OnFile("mini", records, {}, outcomes or {}, Sources("mini", root))


def of(rows: list[Row], model: str, benchmark: str, metric: str) -> Row:
    (row,) = [r for r in rows if (r.model, r.benchmark, r.metric) == (model, benchmark, metric)]
    return row


# ---- rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", paper.TABLES)
def test_every_printed_cell_is_a_row_with_its_place_and_the_ledgers_word(number: int, tmp_path):
    rows = paper_tables.rows(number, on_file(tmp_path))
    expected = paper.table(number)
    assert [(r.model, r.benchmark, r.metric) for r in rows] == list(
        expected[["method", "dataset", "metric"]].itertuples(index=False, name=None)
    )
    for row, value in zip(rows, expected["value"], strict=True):
        assert row.printed.value == (None if value != value else value)
        assert row.printed.place.startswith(f"table {number}, section 4.")
        assert row.printed.because
        assert row.measured is row.difference is None


def test_a_value_at_our_scale_never_stands_beside_a_published_one():
    source = Source("results/x.json", "abc1234", "mini", (0,))
    ours = Measured(Kind.SCALE, -0.1, -0.2, 0.1, 3, source, "dB")
    cell = (4, "denoise", "SIDD", "Ours", "PSNR")
    with pytest.raises(ValueError, match=r"table 4, Ours, SIDD: .* expected a row of its own"):
        Row(*cell, Printed("40.04", "table 4"), ours)
    assert Row(*cell, None, ours).difference is None


def test_a_measured_value_without_evidence_is_refused():
    with pytest.raises(ValueError, match=r"value 30\.5 has no evidence; expected the file"):
        Measured(Kind.BENCHMARK, 30.5, 30.5, 30.5, 1, Source("", "abc1234", "released"))


def test_a_flat_row_has_every_field_and_all_digits():
    source = Source("results/x.json", "abc1234", "released")
    measured = Measured(Kind.BENCHMARK, 0.1 + 39.9, 40.0, 40.0, 1, source)
    row = Row(4, "denoise", "SIDD", "Ours", "PSNR", Printed("40.040", "table 4"), measured)
    values = flat(row)
    assert list(values) == [field.key for field in FIELDS]
    assert values["published"] == "40.040"  # as printed
    assert values["measured"] == 0.1 + 39.9
    assert values["difference"] == pytest.approx(-0.04)
    assert (values["manifest"], values["commit"]) == ("results/x.json", "abc1234")


# ---- evaluations on real data -----------------------------------------------------------------


def test_an_evaluation_of_a_released_restormer_fills_its_row(tmp_path: Path):
    folder = tmp_path / evaluated.FOLDER
    evaluation(folder, "gopro")
    row = of(paper_tables.rows(2, on_file(tmp_path)), "Restormer", "GoPro", "PSNR")
    assert row.difference == pytest.approx(30 - paper_tables_value(2, "Restormer", "GoPro"))
    assert row.measured.source == Source(
        f"{evaluated.FOLDER}/motion_deblurring-{DIGEST}/gopro.json", "abc1234", "released"
    )
    doubt = f"motion_deblurring.pth, SHA-256 {DIGEST}..., taken for the released one by its name"
    assert row.measured.note == doubt
    assert f"* Restormer: {doubt}\n" in paper_tables.text(2, on_file(tmp_path))
    # 30 dB where 32.92 are printed: no longer "quoted only"
    assert flat(row)["status"] == "evaluated on the benchmark"
    assert flat(row)["because"] == "Measured 30, printed 32.92: -2.9."
    untouched = of(paper_tables.rows(2, on_file(tmp_path)), "Restormer", "HIDE", "PSNR")
    assert flat(untouched)["status"] == "quoted only"
    others = [r for r in paper_tables.rows(2, on_file(tmp_path)) if r.measured]
    assert {(r.model, r.benchmark) for r in others} == {("Restormer", "GoPro")}


def paper_tables_value(table: int, method: str, dataset: str, metric: str = "PSNR") -> float:
    frame = paper.table(table).set_index(["method", "dataset", "metric"])["value"]
    return float(frame[method, dataset, metric])


def test_defocus_has_a_row_for_one_view_and_one_for_two_and_groups_of_scenes(tmp_path: Path):
    folder = tmp_path / evaluated.FOLDER
    for name in ("dpdd", "dpdd-dual"):
        evaluation(folder, name)
    measured = [row for row in paper_tables.rows(3, on_file(tmp_path)) if row.measured]
    assert {row.model for row in measured} == {"RestormerS", "RestormerD"}
    assert {row.benchmark for row in measured} == {"Outdoor", "Indoor", "Combined"}
    assert {row.metric for row in measured} == {"PSNR", "SSIM", "MAE", "LPIPS"}
    assert len(measured) == 2 * 3 * 4
    assert {row.task for row in measured if row.model.endswith("D")} == {"defocus_dual"}


def test_the_deraining_average_is_there_when_all_five_sets_are(tmp_path: Path):
    folder = tmp_path / evaluated.FOLDER
    for n, name in enumerate(DERAINING[:-1]):
        group = {"group": "all", "n_images": 10, "psnr": 30.0 + n, "ssim": 0.9}
        evaluation(folder, name, groups=[group])
    rows = paper_tables.rows(1, on_file(tmp_path))
    assert of(rows, "Restormer", "Average", "PSNR").measured is None
    evaluation(folder, DERAINING[-1])
    rows = paper_tables.rows(1, on_file(tmp_path))
    found = of(rows, "Restormer", "Average", "PSNR").measured
    assert found.value == pytest.approx((30 + 31 + 32 + 33 + 30) / 5)


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"is_partial": True, "n_images": 3}, "partial: 3 of 10 images"),
        ({"inference": "tiles of 256 pixels, 32 of each side dropped"}, "unlike the protocol"),
        ({"layout": "original-blur_gamma"}, "layout original-blur_gamma"),
        ({"subject": "mine.pth"}, "no released Restormer by its name"),
        # Restormer's, but not of this task
        ({"subject": "deraining.pth"}, "no released Restormer by its name"),
    ],
)
def test_what_is_not_comparable_has_a_row_of_its_own_without_a_difference(
    tmp_path: Path, changed: dict[str, Any], note: str
):
    evaluation(tmp_path / evaluated.FOLDER, "gopro", **changed)
    rows = [row for row in paper_tables.rows(2, on_file(tmp_path)) if row.measured]
    assert [row.metric for row in rows] == ["PSNR", "SSIM"]
    for row in rows:
        assert row.printed is row.difference is None
        assert row.measured.kind is Kind.APART
        assert note in row.measured.note
        assert DIGEST in row.model


def test_a_row_that_no_file_name_tells_does_not_wait_for_an_evaluation(tmp_path: Path):
    before = paper_tables.waiting(4, on_file(tmp_path))
    evaluation(tmp_path / evaluated.FOLDER, "sidd", "Uformer_B.pth")
    after = paper_tables.waiting(4, on_file(tmp_path))
    assert after == before
    restormers, apart, _ = before[:3]
    assert restormers.startswith("4 cells of Restormer wait for an evaluation")
    assert apart.startswith("6 cells of Uformer, MambaIR stay empty: no name of a file tells")
    assert "gets a row of its own" in apart
    (row, _) = [r for r in paper_tables.rows(4, on_file(tmp_path)) if r.measured]
    assert row.model == f"Uformer_B-{DIGEST}"
    assert row.measured.note == evaluated.UNKNOWN


def test_what_table_6_waits_for_is_a_test_set_and_not_weights(tmp_path: Path):
    (cells, _) = paper_tables.waiting(6, on_file(tmp_path))
    assert cells.startswith("9 cells cannot be evaluated: the paper names neither the test set")


def test_of_two_evaluations_the_whole_set_is_taken(tmp_path: Path):
    folder = tmp_path / evaluated.FOLDER
    whole = evaluation(folder, "gopro")
    part = evaluation(folder, "gopro", is_partial=True, n_images=3)
    part.rename(part.with_name("gopro-partial.json"))
    evaluation(folder, "gopro")
    (one,) = evaluated.records(folder, tmp_path)
    assert one.source.manifest == whole.relative_to(tmp_path).as_posix()


def test_two_networks_that_claim_one_row_are_named(tmp_path: Path):
    folder = tmp_path / evaluated.FOLDER
    first = evaluation(folder, "gopro")
    first.parent.rename(first.parent.with_name("motion_deblurring-other"))
    evaluation(folder, "gopro")
    with pytest.raises(ValueError, match="are both of Restormer; expected one of them"):
        paper_tables.rows(2, on_file(tmp_path))


def test_a_file_that_is_no_evaluation_is_named(tmp_path: Path):
    path = evaluation(tmp_path / evaluated.FOLDER, "gopro")
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(content | {"step": "teacher"}))
    with pytest.raises(ValueError, match=r"gopro\.json is of the step 'teacher'; expected an eval"):
        on_file(tmp_path)


def test_every_command_is_understood_and_names_a_released_file_of_the_task():
    for number in paper.TABLES:
        for row in paper_tables.printed(number):
            for command in filter(None, row.command.split("; ")):
                words = command.removeprefix("python -m ensrepro ").split()
                asked = cli.parser().parse_args(words)
                assert BENCHMARKS[asked.benchmark].task == row.task
                known = asked.weights.removesuffix(".pth") in places.RELEASED
                assert known == row.model.startswith("Restormer")
                if known:
                    assert asked.weights == RESTORMER.get(asked.benchmark, asked.weights)


def test_only_networks_with_weights_to_be_had_have_a_command():
    models = {
        (row.table, row.model)
        for number in paper.TABLES
        for row in paper_tables.printed(number)
        if row.command
    }
    assert models == {
        *((1, "Restormer"), (2, "Restormer"), (3, "RestormerS"), (3, "RestormerD")),
        *((4, "Restormer"), (4, "MambaIR"), (4, "Uformer")),
    }


# ---- our scale --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mini() -> OnFile:
    return paper_tables.of_profile("mini")


def test_changes_at_our_scale_are_those_that_notebook_6_tells(mini: OnFile):
    path = artifacts.repository() / "results/mini/denoise/06_finetune.manifest.json"
    told = json.loads(path.read_text("utf-8"))["headline"]["test"]
    (teacher,) = told["teacher"]
    rows = paper_tables.scaled_rows(4, mini)[0]
    rows = [row for row in rows if row.measured.against == "teacher"]
    for model, kind in (
        ("hybrid", "hybrid"),
        ("all-SSM", "all_ssm"),
        ("teacher, longer", "longer"),
    ):
        found = of(rows, model, "test photos, profile mini", "PSNR").measured
        if kind != "longer":  # its other seeds may be younger than what the notebook tells
            assert found.value == pytest.approx(mean(told[kind]) - teacher)
            assert found.low == pytest.approx(min(told[kind]) - teacher)
            assert found.high == pytest.approx(max(told[kind]) - teacher)
            assert found.n == len(told[kind])
        assert (found.n, found.n_against) == (len(found.source.seeds), 1)
        assert (artifacts.repository() / found.source.manifest).is_file()
        assert found.source.profile == "mini"


def test_every_change_is_told_against_both_teachers(mini: OnFile):
    rows = paper_tables.scaled_rows(4, mini)[0]
    told = [(row.model, row.measured.against) for row in rows if row.metric == "PSNR"]
    assert told == [
        *(("hybrid", "teacher"), ("hybrid", "teacher, longer")),
        *(("all-SSM", "teacher"), ("all-SSM", "teacher, longer")),
        ("teacher, longer", "teacher"),
    ]
    lines = layout.scale_lines(rows)
    assert [line["against"] for line in lines if line["metric"] == "PSNR"] == [b for _, b in told]


def test_a_change_is_told_with_its_range_and_what_it_is_against():
    paired = Against("teacher, longer", [-0.5, 1.0], 2)
    told = scaled.change(paired, Source("x.json", "c", "mini", (0, 1, 2)), "dB")
    assert (told.value, told.low, told.high, told.n) == (0.25, -0.5, 1.0, 2)
    assert (told.against, told.n_against) == ("teacher, longer", 2)


def test_a_task_without_networks_on_file_waits_and_says_how_to_make_them(tmp_path: Path):
    (sentence,) = paper_tables.scaled_rows(1, on_file(tmp_path))[1]
    assert sentence.startswith("derain: no fine-tuned networks on file in profile mini; ")
    assert "`python -m ensrepro run 06_finetune --task derain --profile mini`" in sentence


def test_the_ablation_is_held_against_the_distilled_hybrid(tmp_path: Path):
    arms = {"random_weights": [20.0, 20.4], "equal_blocks": [22.2, 22.3]}
    results(tmp_path, ablated(**arms, random_hybrids=[22.0, 22.9, 21.5]))
    rows, missing = paper_tables.scaled_rows(5, on_file(tmp_path))
    psnr, ssim = rows[:4], rows[4:]
    # the distilled hybrid has 22.4 and 22.6 dB, hence 22.5, and undistilled surrogates 22.0 twice
    assert [(r.model, r.stands_for, round(r.measured.value, 6), r.measured.n) for r in psnr] == [
        ("reinitialized", "", -0.5, 2),
        ("random weights", "Proposed model without FwKD", -2.3, 2),
        ("random hybrids", "Randomly designed Hybrid network", round(66.4 / 3 - 22.5, 6), 3),
        ("equal blocks", "Hybrid design with Equal blocks", -0.25, 2),
    ]
    assert {(r.measured.against, r.measured.n_against) for r in rows} == {("distilled", 2)}
    ends = [(round(r.measured.low, 6), round(r.measured.high, 6)) for r in psnr]
    # seed by seed, so that seeds that move together do not widen a range; draws around the mean
    assert ends == [(-0.6, -0.4), (-2.4, -2.2), (-1.0, 0.4), (-0.3, -0.2)]
    assert {r.metric for r in ssim} == {"SSIM"}
    for one, other in zip(psnr, ssim, strict=True):  # SSIM is a hundredth of PSNR in these
        assert other.measured.value == pytest.approx(one.measured.value / 100)
        assert (other.model, other.measured.unit) == (one.model, "")
    expected = Source("results/mini/denoise/08_ablations.manifest.json", COMMIT, "mini", (0,))
    assert rows[0].measured.source == expected
    assert [sentence.split(":")[0] for sentence in missing] == ["deblur", "derain"]
    lines = layout.scale_lines(rows)
    assert lines[0]["stands_for"] == "–"
    assert lines[0]["paper"] is None
    # printed: 39.69 against 40.04 dB on SIDD, 28.54 against 33.08 on GoPro, 35.39 against 39.37
    assert lines[1]["paper"] == "GoPro -4.54, SIDD -0.35, Rain100L -3.98"


def test_an_ablation_without_an_arm_waits_for_it(tmp_path: Path):
    files = ablated()
    for metric in ("psnr", "ssim"):
        del files[ABLATIONS][f"headline/{metric}"]["equal_blocks"]
    results(tmp_path, files)
    rows, missing = paper_tables.scaled_rows(5, on_file(tmp_path))
    assert rows == []
    assert "has no field headline/psnr/equal_blocks" in missing[1]


def test_an_ablation_of_other_networks_is_no_row(tmp_path: Path):
    files = ablated()
    files["ablation-equal-s1.json"] = {"result/test": [{"psnr": 99.0, "ssim": 0.9}]}
    results(tmp_path, files)
    rows, missing = paper_tables.scaled_rows(5, on_file(tmp_path))
    assert rows == []
    assert "tells another PSNR of equal_blocks than ablation-equal-s1.json holds" in missing[1]


def test_the_uformer_pair_has_changes_in_both_metrics_and_a_share_of_the_latency(tmp_path: Path):
    results(tmp_path, uformer(), UFORMER_PAIR)
    rows, missing = paper_tables.scaled_rows(6, on_file(tmp_path))
    assert missing == []
    # 20.9 and 21.2 dB against a teacher of 21.0, and of 21.1 with the same steps
    assert [(r.metric, r.measured.against, round(r.measured.value, 6)) for r in rows] == [
        ("PSNR", "teacher", 0.05),
        ("PSNR", "teacher, longer", -0.05),
        ("SSIM", "teacher", 0.0005),
        ("SSIM", "teacher, longer", -0.0005),
        ("Latency", "teacher", 0.75),
    ]
    measured = rows[-1].measured
    assert (measured.low, measured.high, measured.n) == (0.7, 0.8, 12)  # rounds in turns
    assert (rows[1].measured.n, rows[1].measured.n_against) == (2, 2)  # seed by seed
    assert rows[0].measured.source.manifest.startswith("results/mini/denoise-uformer/")
    psnr, _, ssim, _, latency = layout.scale_lines(rows)
    assert psnr["paper"] == "Arch-1 -0.2, Arch-2 +0.0"  # 39.6 and 39.8 against 39.8 dB
    assert ssim["paper"].startswith("Arch-1 ")
    assert latency["change"] == "0.75 of the teacher's"
    assert latency["paper"] == "Arch-1 0.66, Arch-2 0.74"  # 437.8 and 489.8 of 660 ms


def test_a_run_of_ones_own_fills_tables_5_and_6_too(tmp_path: Path, monkeypatch):
    repository, out = tmp_path / "repository", tmp_path / "out"
    monkeypatch.setattr(artifacts, "repository", lambda: repository)
    run = pipeline.start("07_results", task="denoise", profile="smoke", out=str(out))
    assert paper_tables.on_file(run).sources == Sources("smoke", out, repository)
    results(repository, ablated())
    found = OnFile("mini", [], {}, {}, Sources("mini", out, repository))
    (first, *_), _ = paper_tables.scaled_rows(5, found)
    assert (first.measured.n, first.measured.source.manifest) == (
        *(2, f"results/mini/denoise/{ABLATIONS}"),
    )
    told = repository / "results/mini/denoise" / ABLATIONS
    content = json.loads(told.read_text("utf-8"))
    for metric in ("psnr", "ssim"):
        del content["headline"][metric]["equal_blocks"][1]
    artifacts.write_bytes(out / ABLATIONS, json.dumps(content).encode())
    found = OnFile("mini", [], {}, {}, Sources("mini", out, repository))
    (*_, last), _ = paper_tables.scaled_rows(5, found)
    assert (last.model, last.measured.n) == ("equal blocks", 1)
    assert last.measured.source.manifest == ABLATIONS


@pytest.mark.parametrize(
    ("folder", "pair"), [("denoise", "uformer-mambair"), ("denoise-uformer", "restormer-edge")]
)
def test_results_of_another_pair_are_not_taken_for_uformers(tmp_path: Path, folder, pair):
    made = results(tmp_path, uformer(), UFORMER_PAIR).root / "results/mini/denoise-uformer"
    content = json.loads((made / UFORMER).read_text("utf-8"))
    content["parameters"]["pair"] = pair
    (made / UFORMER).write_text(json.dumps(content))
    made.rename(made.with_name(folder))
    rows, (sentence,) = paper_tables.scaled_rows(6, on_file(tmp_path))
    assert rows == []
    assert "is not there yet" in sentence or "is of another pair" in sentence


# ---- layout and files -------------------------------------------------------------------------


def test_the_layout_is_the_papers_until_something_is_measured(tmp_path: Path):
    lines, columns = layout.grid(paper_tables.rows(2, on_file(tmp_path)))
    assert [line["model"] for line in lines] == list(dict.fromkeys(paper.table(2)["method"]))
    titles = [(column.group, column.title) for column in columns]
    sets = ("GoPro", "HIDE", "RealBlur-R", "RealBlur-J")
    assert sorted(titles[1:]) == sorted((name, m) for name in sets for m in ("PSNR", "SSIM"))
    by_model = {line["model"]: line for line in lines}
    assert by_model["Xu et al."]["HIDE/PSNR/published"] is None  # NA is printed, never 0
    assert by_model["Ours"]["GoPro/PSNR/published"] == "33.08"
    assert by_model["Xu et al."]["GoPro/PSNR/published"] == "21.00"  # with its zeros


def test_a_measurement_adds_its_own_columns_and_no_others(tmp_path: Path):
    folder = tmp_path / evaluated.FOLDER
    evaluation(folder, "gopro")
    evaluation(folder, "hide", "mine.pth")
    lines, columns = layout.grid(paper_tables.rows(2, on_file(tmp_path)))
    added = [column.full_title for column in columns if ", " in column.title]
    assert added == [
        *("GoPro PSNR, measured", "GoPro PSNR, difference"),
        *("GoPro SSIM, measured", "GoPro SSIM, difference"),
        *("HIDE PSNR, measured", "HIDE SSIM, measured"),
    ]
    by_model = {line["model"]: line for line in lines}
    assert by_model["Restormer"]["GoPro/PSNR/measured"] == "30.00"
    assert by_model["Restormer"]["GoPro/PSNR/difference"] == "-2.92"  # printed: 32.92
    assert by_model[f"mine-{DIGEST}"]["HIDE/PSNR/measured"] == "30.00"
    assert by_model[f"mine-{DIGEST}"]["HIDE/PSNR/published"] is None


@pytest.mark.parametrize("number", paper.TABLES)
@pytest.mark.parametrize("form", paper_tables.FORMATS)
def test_every_table_is_rendered_the_same_twice(mini: OnFile, number: int, form: str):
    made = paper_tables.rendered(number, mini, form)
    assert made == paper_tables.rendered(number, mini, form)
    assert str(artifacts.repository()) not in made
    for method in dict.fromkeys(paper.table(number)["method"]):
        assert method in made


def test_tables_are_written_to_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    asked = ["tables", "--table", "4", "--format", "latex", "--out", str(tmp_path / "new")]
    assert cli.main(asked) == cli.DONE
    (path,) = (tmp_path / "new").iterdir()
    assert capsys.readouterr().out.strip() == str(path)
    assert path.name == "table_4.tex"
    assert path.read_text("utf-8").count(r"\begin{table}") == 2  # as printed, and at our scale


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["--profile", "small"], "profile small was never run: results/small holds no teacher"),
        (["--profile", "paper"], "profile is 'paper'"),
        (["--records", "nowhere"], "nowhere is no folder; expected one with evaluations"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(asked, expected, capsys):
    assert cli.main(["tables", *asked]) == cli.FAILED
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    assert expected in line


def test_a_table_that_the_paper_does_not_have_is_refused():
    with pytest.raises(ValueError, match="table is 7; the paper has tables 1 to 6"):
        paper_tables.printed(7)
    with pytest.raises(SystemExit) as caught:
        cli.main(["tables", "--table", "7"])
    assert caught.value.code == cli.NOT_UNDERSTOOD


def test_a_dataset_of_no_table_is_named():
    with pytest.raises(ValueError, match="table 3 has no dataset 'SIDD'; expected Outdoor, Indoor"):
        places.place(3, "OursS", "SIDD")
