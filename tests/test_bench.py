"""ENS-Bench: a table comes back as it was written or is refused; the committed one is true."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import small_space
import synthetic_bench
from small_space import SMALL

from ensrepro import artifacts, bench, costs, evaluate, exhaustive
from ensrepro.artifacts import Store
from ensrepro.bench import BenchResult
from ensrepro.config import PAIRS, PROFILES, TASKS
from ensrepro.models.hybrid import NetworkShape
from ensrepro.models.uformer import UformerShape
from ensrepro.space import RESTORMER, penalty
from ensrepro.steps import context, pool, teacher
from ensrepro.steps.context import Context

pytestmark = pytest.mark.usefixtures("one_thread")


def small_table() -> pd.DataFrame:
    """A made-up table of the 45 architectures of SMALL."""
    n, rng = SMALL.n_architectures, np.random.default_rng(0)
    scores = rng.random((n, 4, 2))
    return bench.table(
        scores, np.arange(n) + 2**40, np.arange(n) * 7, small_space.latencies(), SMALL
    )


def result_of(content: bytes, space=RESTORMER, **changed) -> BenchResult:
    """A manifest's result that fits a file."""
    made = BenchResult(
        file="ens-bench.parquet",
        sha256=hashlib.sha256(content).hexdigest(),
        format=bench.FORMAT,
        n_rows=space.n_architectures,
        schema=bench.schema(space),
        n_images=4,
        side=96,
        protocol="sidd",
        conditions={},
        load=1.0,
        costs=[],
        networks=[],
        seconds=1.0,
        processes=1,
    )
    return replace(made, **changed)


def write(path: Path, frame: pd.DataFrame, space=RESTORMER, **changed) -> BenchResult:
    """Write a table to `path` and give a result whose hash is right."""
    content = bench.to_parquet(frame)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return result_of(content, space, **changed)


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the made-up table of the whole space; its manifest."""
    manifest = tmp_path / "results/mini/denoise/ens-bench.json"
    result = write(manifest.with_name("ens-bench.parquet"), synthetic_bench.table())
    provenance = artifacts.provenance("mini", "denoise", 0, 1.0, 1)
    artifacts.write_manifest(manifest, bench.STEP, {"made": "up"}, provenance, result)
    monkeypatch.setattr(artifacts, "repository", lambda: tmp_path)
    return manifest


# ---------------------------------------------------------------- the table


def test_a_row_holds_the_mean_over_images_and_the_cost_of_its_architecture():
    frame = small_table()
    scores = np.random.default_rng(0).random((45, 4, 2))
    assert list(frame.columns) == [row["name"] for row in bench.schema(SMALL)]
    for number in (0, 17, 44):
        row = frame.iloc[number]
        architecture = SMALL.architecture(number)
        assert (row.encoder_1, row.bottleneck, row.refinement) == architecture
        assert (row.psnr, row.ssim) == pytest.approx(tuple(scores[number].mean(axis=0)))
        assert row.penalty == penalty(architecture, space=SMALL)
        assert (row.params, row.macs) == (number + 2**40, 7 * number)
        assert row.latency_ms == small_space.latencies()[number]


def test_the_schema_has_a_row_for_each_column_with_its_unit():
    rows = {row["name"]: row for row in bench.schema()}
    assert list(rows) == [
        *(stage.name for stage in RESTORMER.stages),
        *("psnr", "ssim", "penalty", "params", "macs", "latency_ms"),
    ]
    assert rows["psnr"]["unit"] == "dB"
    assert rows["latency_ms"]["unit"] == "ms"
    assert all(row["unit"] and row["meaning"] and row["type"] for row in rows.values())
    frame = small_table()
    types = {row["name"]: row["type"] for row in bench.schema(SMALL)}
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == types


def test_a_table_comes_back_from_its_file_bit_by_bit(tmp_path):
    frame, path = small_table(), tmp_path / "ens-bench.parquet"
    result = write(path, frame, SMALL)
    pd.testing.assert_frame_equal(bench.read(path, result, SMALL), frame, check_exact=True)
    assert bench.to_parquet(frame) == bench.to_parquet(frame.copy())


@pytest.mark.parametrize("how", ["cut", "empty", "changed"])
def test_a_damaged_file_is_refused_by_name(tmp_path, how):
    path = tmp_path / "ens-bench.parquet"
    result = write(path, small_table(), SMALL)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"cut": content[:-200], "empty": b"", "changed": content}[how])
    with pytest.raises(ValueError, match=r"ens-bench\.parquet is damaged or not the one") as caught:
        bench.read(path, result, SMALL)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "ens-bench.parquet"
    with pytest.raises(FileNotFoundError, match=r"ens-bench\.parquet does not exist; expected"):
        bench.read(path, result_of(b"", SMALL), SMALL)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda frame: frame[:-1], r"bench\.parquet has 44 rows; expected 45"),
        (lambda frame: frame.rename(columns={"psnr": "PSNR"}), r"bench\.parquet has the columns"),
        (lambda frame: frame.drop(columns="macs"), r"bench\.parquet has the columns"),
        (lambda frame: frame[frame.columns[::-1]], r"bench\.parquet has the columns"),
    ],
)
def test_a_whole_file_of_another_form_is_refused_by_name(tmp_path, change, sentence):
    path = tmp_path / "ens-bench.parquet"
    result = write(path, change(small_table()), SMALL)
    with pytest.raises(ValueError, match=sentence):
        bench.read(path, result, SMALL)


def test_another_format_is_refused(tmp_path):
    path = tmp_path / "ens-bench.parquet"
    result = write(path, small_table(), SMALL, format=bench.FORMAT + 1)
    with pytest.raises(ValueError, match=r"ens-bench\.parquet has format 2; expected 1"):
        bench.read(path, result, SMALL)


# ---------------------------------------------------------------- loading


def test_the_committed_table_is_loaded_by_name(committed):
    pd.testing.assert_frame_equal(bench.load("denoise"), synthetic_bench.table(), check_exact=True)
    found = bench.on_file(Store("mini", "denoise", committed.parents[3]))
    assert found.quality.tolist() == found.frame[["psnr", "ssim"]].to_numpy().tolist()
    assert found.latency_ms.tolist() == found.frame["latency_ms"].tolist()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"task": "dehaze"}, "task is 'dehaze'; expected one of denoise"),
        ({"profile": "Mini"}, "profile is 'Mini'; expected one of smoke, mini, small, paper"),
        ({"pair": "uformer"}, "pair is 'uformer'; expected one of restormer-mambair, uformer-m"),
        ({"task": None}, "task is None"),
    ],
)
def test_an_unknown_name_is_refused_with_the_allowed_ones(committed, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        bench.load(**{"task": "denoise", **arguments})


def test_without_a_table_the_command_that_makes_one_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "repository", lambda: tmp_path)
    command = r"ens-bench\.json does not exist; .*ensrepro bench --task denoise --profile small"
    with pytest.raises(FileNotFoundError, match=command):
        bench.load("denoise", profile="small")
    place = r"mini/denoise-uformer/ens-bench\.json does not exist; .* --pair uformer-mambair"
    with pytest.raises(FileNotFoundError, match=place):
        bench.load("denoise", "uformer-mambair")
    assert bench.on_file(Store("small", "denoise", tmp_path)) is None


def test_a_table_without_its_parquet_file_is_refused_by_name(committed):
    committed.with_name("ens-bench.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"ens-bench\.parquet does not exist"):
        bench.load("denoise")


def test_a_damaged_manifest_is_refused_by_name(committed):
    content = committed.read_text()
    committed.write_text(content[:-20])
    with pytest.raises(ValueError, match=r"ens-bench\.json is not a manifest"):
        bench.load("denoise")
    manifest = json.loads(content)
    del manifest["result"]["sha256"]
    committed.write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"ens-bench\.json holds the fields"):
        bench.load("denoise")


# ---------------------------------------------------------------- building


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A context in which networks exist and measuring them takes no time."""
    parts = SimpleNamespace(result=SimpleNamespace(digest="d" * 16), net=None, surrogates={})
    monkeypatch.setattr(teacher, "get", lambda *_: parts)
    monkeypatch.setattr(pool, "get", lambda *_: parts)

    def measure_all(make, space, pairs, folder, *, processes, progress):
        assert len(pairs) == 2  # of profile smoke
        parts.asked = make.args
        n = space.n_architectures
        psnr = 30 - np.arange(n) / n
        scores = np.stack([np.column_stack([psnr, psnr / 50])] * 2, axis=1)
        return exhaustive.Scores(scores, 12.5)

    def measure(setting, space, *, n_networks, seed, checkpoint, progress):
        parts.shape = setting.shape
        rows = [costs.Cost(costs.GLUE, 0, 10, 100, 1.0, 5, 1.0)]
        rows += [
            costs.Cost(stage.name, choice, 1, 10, 0.5, 5, 1.0)
            for stage in space.stages
            for choice in range(stage.n_choices)
        ]
        return costs.Measurements(rows, [{"number": 3, "latency_ms": 5.5}][:n_networks], 1.0)

    monkeypatch.setattr(exhaustive, "measure_all", measure_all)
    monkeypatch.setattr(costs, "measure", measure)
    store = Store("smoke", "denoise", tmp_path)
    return Context(PROFILES["smoke"], TASKS["denoise"], PAIRS["restormer-mambair"], store)


def test_a_built_table_is_found_again_and_nothing_is_measured_twice(pretended, monkeypatch):
    assert bench.find(pretended) is None
    made = bench.get(pretended, processes=2)
    assert len(made.frame) == made.result.n_rows == RESTORMER.n_architectures
    assert made.frame["psnr"][0] == 30.0
    assert set(made.frame["params"]) == {10 + 8}  # the glue and one a stage
    assert made.latency_ms[5] == 1.0 + 8 * 0.5
    assert made.result.networks == [{"number": 3, "latency_ms": 5.5, "sum_ms": 5.0}]
    assert (made.result.seconds, made.result.processes, made.result.n_images) == (12.5, 2, 2)
    assert made.result.conditions["resolution"] == "256x256"

    def refuse(*_, **__):
        raise AssertionError("measured again")

    monkeypatch.setattr(exhaustive, "measure_all", refuse)
    for again in (bench.get(pretended), bench.find(pretended)):
        assert again.result == made.result
        pd.testing.assert_frame_equal(again.frame, made.frame, check_exact=True)


@pytest.mark.parametrize(
    ("pair", "shape"),
    [
        ("restormer-mambair", NetworkShape(48, "bias_free")),
        ("uformer-mambair", UformerShape(32)),  # that of Uformer-B
    ],
)
def test_a_table_is_of_its_pairs_space_and_costs_are_those_of_its_full_width(
    pretended, pair, shape
):
    ctx = replace(pretended, pair=PAIRS[pair])
    made = bench.get(ctx)
    assert len(made.frame) == PAIRS[pair].space.n_architectures
    assert list(made.frame.columns)[:2] == ["encoder_1", "encoder_2"]
    parts = teacher.get()
    assert parts.shape == shape
    assert parts.asked == ("smoke", "denoise", pair, str(ctx.store.root))
    front = made.front()
    assert front[0].tolist() == [0.0, penalty(ctx.space.teacher, space=ctx.space)]
    assert front[-1, 1] == pytest.approx(penalty(ctx.space.cheapest, space=ctx.space))


def test_a_table_of_other_networks_is_refused(pretended, monkeypatch):
    bench.get(pretended)
    other = SimpleNamespace(result=SimpleNamespace(digest="e" * 16))
    monkeypatch.setattr(teacher, "get", lambda *_: other)
    with pytest.raises(ValueError, match=r"ens-bench\.json was made with networks='dddddddd"):
        bench.get(pretended)


@pytest.mark.parametrize("processes", [0, -1, 1.5, True, "2"])
def test_a_number_of_processes_that_is_none_is_refused(processes):
    with pytest.raises(ValueError, match=f"processes is {processes!r}; expected an integer >= 1"):
        bench.build("denoise", "smoke", processes=processes)


def test_a_profile_that_cannot_be_run_is_refused():
    with pytest.raises(ValueError, match="profile is 'paper'"):
        bench.build("denoise", "paper")


# ---------------------------------------------------------------- the committed table


@pytest.fixture(scope="module")
def denoise() -> pd.DataFrame:
    return bench.load("denoise")


def test_the_committed_table_has_a_row_for_each_architecture_in_order(denoise):
    assert len(denoise) == 34560
    choices = denoise[[stage.name for stage in RESTORMER.stages]].to_numpy()
    assert choices.tolist() == [list(a) for a in RESTORMER]
    values = denoise[["psnr", "ssim", "penalty", "params", "macs", "latency_ms"]].to_numpy(float)
    assert np.isfinite(values).all()
    assert (values > 0).all()
    assert denoise["penalty"].tolist() == [penalty(a) for a in RESTORMER]


def test_the_committed_table_agrees_with_what_searches_had_measured(denoise):
    path = artifacts.repository() / "results/mini/denoise/evaluations.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()[1:]]
    assert len(rows) > 1000
    numbers = [RESTORMER.index(row["architecture"]) for row in rows]
    found = denoise.iloc[numbers]
    assert found["psnr"].tolist() == pytest.approx([row["psnr"] for row in rows], abs=1e-4)
    assert found["ssim"].tolist() == pytest.approx([row["ssim"] for row in rows], abs=1e-5)


def test_the_committed_table_agrees_with_networks_measured_now(denoise):
    ctx = replace(context.open_context("mini", "denoise"), may_compute=False)
    trained = teacher.get(ctx)
    surrogates = pool.get(ctx, trained).surrogates
    numbers = costs.sampled(RESTORMER, 3, seed=5)
    found = evaluate.measure(
        trained.net,
        surrogates,
        [RESTORMER.architecture(number) for number in numbers],
        ctx.validation,
        ctx.task.protocol,
    )
    expected = denoise.iloc[numbers]
    assert [m.psnr for m in found] == pytest.approx(expected["psnr"].tolist(), abs=1e-4)
    assert [m.ssim for m in found] == pytest.approx(expected["ssim"].tolist(), abs=1e-5)


def test_the_committed_costs_are_those_of_the_columns(denoise):
    result = bench.on_file(Store("mini", "denoise", artifacts.repository())).result
    rows = [costs.Cost(**row) for row in result.costs]
    for name in ("params", "macs", "latency_ms"):
        found = costs.column(rows, name, RESTORMER)
        assert denoise[name].tolist() == pytest.approx(found.tolist(), rel=1e-12)
    assert result.conditions == asdict(costs.Setting(NetworkShape()).conditions()) | {
        key: result.conditions[key] for key in ("cpu", "version", "threads")
    }
