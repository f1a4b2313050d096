"""The transcription of the paper's numbers: complete, arithmetically sound, and nowhere else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import ensrepro
from ensrepro import paper
from ensrepro.space import RESTORMER

SOURCE = Path(ensrepro.__file__).parent
METHODS = {1: 14, 2: 15, 3: 17, 4: 9, 5: 4, 6: 3}  # counted in the printed tables
DATASETS = {1: 6, 2: 4, 3: 3, 4: 2, 5: 3, 6: 1}
METRICS = {1: 2, 2: 2, 3: 4, 4: 2, 5: 2, 6: 3}
MISSING = {1: 22, 2: 6, 3: 4, 4: 8, 5: 0, 6: 0}  # NA cells, counted in the printed tables
INDOOR, OUTDOOR = 37, 39  # scenes of the DPDD test set


def wide(number: int, metric: str) -> pd.DataFrame:
    table = paper.table(number)
    return table[table.metric == metric].pivot(index="method", columns="dataset", values="value")


def cell(number: int, method: str, dataset: str, metric: str) -> float:
    return float(wide(number, metric).loc[method, dataset])


def odd(number: int, dataset: str, kind: str) -> set[str]:
    return {o.method for o in paper.oddities(number) if (o.dataset, o.kind) == (dataset, kind)}


def half_digit(metric: str) -> float:
    return 0.005 if metric == "PSNR" else 0.0005


@pytest.mark.parametrize("number", paper.TABLES)
def test_every_cell_of_a_table_is_there_once(number):
    table = paper.table(number)
    assert list(table.columns) == ["method", "dataset", "metric", "value"]
    assert len(table) == METHODS[number] * DATASETS[number] * METRICS[number]
    assert not table.duplicated(["method", "dataset", "metric"]).any()
    assert table.value.isna().sum() == MISSING[number]
    assert (table.value.dropna() > 0).all()
    assert table.value.dtype == float


@pytest.mark.parametrize("number", paper.TABLES)
def test_values_are_in_the_range_of_their_metric(number):
    table = paper.table(number).dropna()
    for metric, low, high in [
        ("PSNR", 10, 45),
        ("SSIM", 0.5, 1),
        ("MAE", 0, 0.1),
        ("LPIPS", 0, 0.5),
    ]:
        assert table[table.metric == metric].value.between(low, high).all()


def test_rows_follow_the_printed_order():
    # First and last cells of each table, read from the paper.
    ends = {
        1: (("DerainNet", "Test100", 22.77), ("Ours", "Average", 0.936)),
        2: (("Xu et al.", "GoPro", 21.00), ("Ours", "RealBlur-R", 0.959)),
        3: (("JNBS", "Outdoor", 21.10), ("OursD", "Combined", 0.174)),
        4: (("DeamNet", "SIDD", 39.47), ("Ours", "SenseNoise", 0.923)),
        5: (
            ("Proposed model with FwKD", "GoPro", 33.08),
            ("Hybrid design with Equal blocks", "Rain100L", 0.968),
        ),
        6: (("Uformer", "not stated", 39.8), ("Arch-2", "not stated", 489.8)),
    }
    for number, (first, last) in ends.items():
        table = paper.table(number)[["method", "dataset", "value"]]
        assert tuple(table.iloc[0]) == first
        assert tuple(table.iloc[-1]) == last


def test_derain_averages_are_the_means_of_five_sets_but_for_the_listed_rows():
    found = set()
    for metric in ("PSNR", "SSIM"):
        table = wide(1, metric)
        sets = table.drop(columns="Average")
        complete = table[sets.notna().all(axis=1)]
        off = (complete.drop(columns="Average").mean(axis=1) - complete.Average).abs()
        # five rounded cells and one rounded mean: at most two half digits
        found |= set(off[off > 2 * half_digit(metric)].index)
    assert found == odd(1, "Average", "arithmetic") == {"SPAIR"}


def test_the_average_of_mambair_is_over_four_sets():
    table = wide(1, "PSNR")
    sets = table.drop(columns="Average").loc["MambaIR"]
    assert sets.notna().sum() == 4
    assert sets.mean() == pytest.approx(table.Average["MambaIR"], abs=0.01)
    incomplete = table[table.drop(columns="Average").isna().any(axis=1)]
    assert set(incomplete.Average.dropna().index) == odd(1, "Average", "protocol") == {"MambaIR"}


def test_combined_defocus_rows_weigh_indoor_and_outdoor_scenes_but_for_the_listed_rows():
    found = set()
    for metric in ("PSNR", "SSIM", "MAE", "LPIPS"):
        table = wide(3, metric).dropna()
        expected = (INDOOR * table.Indoor + OUTDOOR * table.Outdoor) / (INDOOR + OUTDOOR)
        off = (expected - table.Combined).abs()
        found |= set(off[off > 2 * half_digit(metric)].index)
    assert found == odd(3, "Combined", "arithmetic") == {"DPDNetS", "UformerD"}


@pytest.mark.parametrize("task", ["deblurring", "deraining", "denoising"])
def test_speedups_follow_from_the_latencies(task):
    ratio = paper.scalar("latency_restormer") / paper.scalar(f"latency_ens_{task}")
    assert ratio == pytest.approx(paper.scalar(f"speedup_ens_{task}"), abs=0.005)


def test_surrogates_of_the_stages_add_up_and_match_the_space():
    listed = {s.name: paper.scalar(f"surrogates_{s.name}") for s in RESTORMER.stages}
    assert listed == {s.name: len(s.depths) for s in RESTORMER.stages}
    assert sum(listed.values()) == paper.scalar("n_surrogates") == RESTORMER.n_surrogates
    assert len(RESTORMER.stages) == paper.scalar("n_stages")
    # the oddity: section 4 speaks of up to 8 variants, the list has at most 4
    assert max(listed.values()) < paper.scalar("variants_per_stage_max")


def test_the_ablation_repeats_the_main_tables():
    for table, dataset in ((2, "GoPro"), (4, "SIDD"), (1, "Rain100L")):
        for metric in ("PSNR", "SSIM"):
            ablation = cell(5, "Proposed model with FwKD", dataset, metric)
            assert ablation == cell(table, "Ours", dataset, metric)


def test_listed_typos_and_claims_are_what_the_tables_say():
    # one comparison for each oddity of kind typo or claim
    sense = wide(4, "PSNR").SenseNoise.drop("MIRNet")
    assert cell(4, "MIRNet", "SenseNoise", "PSNR") > sense.max() + 3
    assert wide(4, "SSIM").SenseNoise.idxmin() == "MIRNet"
    random, proposed = "Randomly designed Hybrid network", "Proposed model with FwKD"
    assert cell(5, random, "Rain100L", "PSNR") > cell(5, proposed, "Rain100L", "PSNR")
    assert cell(5, random, "Rain100L", "SSIM") < cell(5, proposed, "Rain100L", "SSIM")
    assert cell(2, "MambaIR(ours)", "HIDE", "PSNR") == cell(2, "SPAIR", "HIDE", "PSNR")
    assert cell(2, "MambaIR(ours)", "HIDE", "SSIM") < cell(2, "SPAIR", "HIDE", "SSIM") - 0.02
    for metric in ("PSNR", "SSIM", "MAE"):
        assert cell(3, "KBNetS", "Indoor", metric) == cell(3, "RestormerS", "Indoor", metric)
    for dataset in ("Test2800", "Test1200"):
        assert cell(1, "Ours", dataset, "PSNR") < cell(1, "Restormer", dataset, "PSNR")
    for kind in "SD":
        for metric, sign in (("PSNR", 1), ("SSIM", -1), ("LPIPS", 1)):
            ours, theirs = (
                cell(3, f"{method}{kind}", "Combined", metric) for method in ("Ours", "Restormer")
            )
            assert sign * (ours - theirs) > 0
    assert cell(6, "Uformer", "not stated", "PSNR") == round(cell(4, "Uformer", "SIDD", "PSNR"), 1)


def test_hybrid_latencies_in_the_text_are_those_of_table_6_cut_off():
    for number in (1, 2):
        printed = cell(6, f"Arch-{number}", "not stated", "Latency (ms)")
        assert int(printed) == paper.scalar(f"latency_uformer_hybrid_{number}")
        assert round(printed) != paper.scalar(f"latency_uformer_hybrid_{number}")
    uformer = cell(6, "Uformer", "not stated", "Latency (ms)")
    assert uformer == paper.scalar("latency_uformer") < paper.scalar("latency_restormer") / 10


def test_every_oddity_names_a_row_that_exists():
    assert len(paper.oddities()) >= 15
    names = " ".join(paper.scalars().name)
    for oddity in paper.oddities():
        assert oddity.kind in {"arithmetic", "typo", "claim", "protocol"}
        assert oddity.finding.endswith(".")
        if oddity.table == paper.IN_TEXT:
            assert oddity.dataset in names
        else:
            table = paper.table(oddity.table)
            assert ((table.method == oddity.method) & (table.dataset == oddity.dataset)).any()


def test_scalars_say_where_they_are_printed():
    scalars = paper.scalars()
    assert list(scalars.columns) == ["name", "value", "unit", "what", "where"]
    assert scalars.name.is_unique
    assert scalars.notna().all(axis=None)
    assert scalars["where"].str.contains("section").all()


def test_provenance_describes_the_six_tables():
    entries = paper.provenance()["table"]
    assert tuple(entry["number"] for entry in entries) == paper.TABLES
    assert {entry["file"] for entry in entries} == {p.name for p in SOURCE.rglob("table_*.csv")}


@pytest.mark.parametrize("number", [0, 7, -1, "1", None, True, 1.5])
def test_an_unknown_table_is_refused_in_a_sentence(number):
    with pytest.raises(ValueError, match=r"^table is .*; the paper has tables 1 to 6$"):
        paper.table(number)


def test_an_unknown_scalar_is_refused_with_the_names():
    with pytest.raises(ValueError, match="scalar is 'latency'; expected one of latency_restormer"):
        paper.scalar("latency")


def test_a_table_is_a_fresh_copy_each_time():
    changed = paper.table(1)
    changed["value"] = 0.0
    assert paper.table(1).value.max() > 1


def test_importing_the_numbers_loads_neither_torch_nor_pandas():
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r}); import ensrepro.paper; "
        "print({'torch', 'pandas'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def printed_numbers() -> set[str]:
    """Published values that are too specific to occur by chance: PSNR to 0.01 dB, latencies."""
    texts = set()
    for file in SOURCE.glob("paper_data/*.csv"):
        text = file.read_text(encoding="utf-8")
        texts |= set(re.findall(r"(?<=,)\d\d\.\d\d$", text, re.M))
        texts |= set(re.findall(r"(?<=,)\d{4,5}(?:\.\d\d)?(?=,ms)", text))
    return texts


def published_in(text: str, printed: set[str]) -> set[str]:
    return printed & set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]|,\d)", text.replace("_", "")))


def test_no_published_number_stands_in_code():
    printed = printed_numbers()
    assert {"40.04", "10119.52", "2973", "34.05"} <= printed  # the gate is not empty
    assert published_in("drop = 40.04 - best", printed) == {"40.04"}  # and it shuts
    for file in SOURCE.rglob("*.py"):
        assert not published_in(file.read_text(encoding="utf-8"), printed), file.name
