"""Other tools' output as records, on outputs that are composed after the documentation.

PERF_TEST: the lines that onnxruntime_perf_test prints with `-s`, names and units as in
performance_runner.cc and performance_result of ONNX Runtime 1.13 and newer; the numbers are of the
size of a run that LUT-NN's artifact documents for a Pixel 6. AI_HUB: the object that
`qai_hub.ProfileJob.download_profile` gives, keys as its client makes them; microseconds and bytes.
Neither was recorded.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from device_records import exchanged, row
from device_records import network as comparison
from onnx_networks import TINY, metadata, network

from ensrepro import cli, records
from ensrepro.artifacts import Store
from ensrepro.devices import commands, importing, shelf
from ensrepro.devices.importing import Said
from ensrepro.export import to_onnx
from ensrepro.space import RESTORMER

PERF_TEST = """\
Setting intra_op_num_threads to 4
Session creation time cost: 0.0508382 s
First inference time cost: 24 ms
Total inference time cost: 1.9918 s
Total inference requests: 100
Average inference time cost: 19.918 ms
Total inference run time: 1.99202 s
Number of inferences per second: 50.2002
Avg CPU usage: 12 %
Peak working set size: 109531136 bytes
Avg CPU usage:12
Peak working set size:109531136
Runs:100
Min Latency: 0.0197812 s
Max Latency: 0.0202704 s
P50 Latency: 0.0199047 s
P90 Latency: 0.0200251 s
P95 Latency: 0.0201534 s
P99 Latency: 0.0202704 s
P999 Latency: 0.0202704 s
"""
AI_HUB = {
    "execution_summary": {
        "estimated_inference_time": 2000,
        "estimated_inference_peak_memory": 14_680_064,
        "first_load_time": 311_671,
        "first_load_peak_memory": 14_786_560,
        "warm_load_time": 198_597,
        "warm_load_peak_memory": 14_573_568,
        "inference_memory_peak_range": [12_000_000, 14_680_064],
        "all_inference_times": [2000, 2100, 2300, 2200, 4000],
    },
    "execution_detail": [
        {"name": "a", "type": "Conv", "compute_unit": "CPU", "execution_time": 900},
        {"name": "b", "type": "Scan", "compute_unit": "CPU", "execution_time": 800},
        {"name": "c", "type": "Add", "compute_unit": "NPU", "execution_time": 300},
    ],
}
SAID = Said(device="Pixel 6", cpu="Tensor", version="1.20.0", resolution="256x256")
HYBRID = "2 2 2 2 2 2 2 2"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A file of ours, whose metadata say `T 4 2 8 T T 4 2` of restormer-mambair for denoise."""
    net = network(RESTORMER.cheapest)
    return to_onnx(net, tmp_path / "network.onnx", metadata(net))


@pytest.fixture
def said_by_the_file():
    return metadata(network(RESTORMER.cheapest))


def put(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_perf_test_gives_percentiles_in_ms_and_its_threads(tmp_path: Path, said_by_the_file):
    path = put(tmp_path / "phone.txt", PERF_TEST)
    (one,), _ = importing.imported(path, "onnxruntime-perf-test", SAID, said_by_the_file)
    assert (one.p50_ms, one.p90_ms, one.p99_ms) == pytest.approx((19.9047, 20.0251, 20.2704))
    assert (one.n, one.seconds, one.threads) == (100, 1.9918, 4)
    assert (one.device, one.cpu, one.version) == ("Pixel 6", "Tensor", "1.20.0")
    assert (one.architecture, one.task, one.width) == ("T 4 2 8 T T 4 2", "denoise", TINY.width)
    assert (one.drift, one.load, one.source) == (None, None, "imported")
    assert (one.runtime, one.dtype) == ("onnxruntime", "float32")


def test_the_arithmetic_is_that_of_the_file_unless_somebody_says_more(tmp_path, said_by_the_file):
    path, half = put(tmp_path / "phone.txt", PERF_TEST), replace(said_by_the_file, form="float16")
    (one,), _ = importing.imported(path, "onnxruntime-perf-test", SAID, half)
    assert one.dtype == "float16"
    told = replace(SAID, dtype="bfloat16")  # as another execution provider may compute
    (one,), _ = importing.imported(path, "onnxruntime-perf-test", told, half)
    assert one.dtype == "bfloat16"


@pytest.mark.parametrize(
    ("n", "known"),
    [(9, (False, False)), (10, (True, False)), (99, (True, False)), (100, (True,) * 2)],
)
def test_percentiles_that_so_few_runs_do_not_show_are_left_out(
    n, known, tmp_path, said_by_the_file
):
    """As in what is measured here: one of n runs is slower than the percentile."""
    text = PERF_TEST.replace("requests: 100", f"requests: {n}")
    path = put(tmp_path / "phone.txt", text)
    (one,), _ = importing.imported(path, "onnxruntime-perf-test", SAID, said_by_the_file)
    assert (one.p90_ms is not None, one.p99_ms is not None) == known
    own = row(n=n, seconds=n * 0.11)
    (one,), _ = importing.imported(put(path, exchanged(own)), "records", Said(), None)
    assert (one.p90_ms, one.p99_ms) == tuple(
        ms if is_known else None for ms, is_known in zip((110.0, 120.0), known, strict=True)
    )


def test_perf_test_that_does_not_tell_its_threads_leaves_them_open(tmp_path, said_by_the_file):
    path = put(tmp_path / "phone.txt", PERF_TEST.partition("\n")[2])
    (one,), _ = importing.imported(path, "onnxruntime-perf-test", SAID, said_by_the_file)
    assert one.threads is None
    told = replace(SAID, threads=2)
    (one,), _ = importing.imported(path, "onnxruntime-perf-test", told, said_by_the_file)
    assert one.threads == 2


def test_threads_that_the_tool_printed_otherwise_are_refused(tmp_path, said_by_the_file):
    path, told = put(tmp_path / "phone.txt", PERF_TEST), replace(SAID, threads=2)
    with pytest.raises(ValueError, match=r"threads is 2; expected 4, which .*phone.txt says"):
        importing.imported(path, "onnxruntime-perf-test", told, said_by_the_file)


@pytest.mark.parametrize("name", importing.LINES)
def test_perf_test_without_a_line_is_refused_by_file_and_line(name, tmp_path, said_by_the_file):
    lines = [line for line in PERF_TEST.splitlines() if not line.startswith(name)]
    path = put(tmp_path / "phone.txt", "\n".join(lines))
    with pytest.raises(ValueError, match=f"phone.txt has no line '{name}' with a number"):
        importing.imported(path, "onnxruntime-perf-test", SAID, said_by_the_file)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("P50 Latency: 0.0199047", "P50 Latency: 0.3", "has p50_ms=300.0; expected at most p90_ms"),
        ("P99 Latency: 0.0202704", "P99 Latency: -1", "has p99_ms=-1000.0; expected a number"),
        ("P99 Latency: 0.0202704", "P99 Latency: nan", "no line 'P99 Latency' with a number|nan"),
        ("requests: 100", "requests: 1e999", "no line 'Total inference requests' with a number"),
        ("P50 Latency: 0.0199047", "P50 Latency: 1e307", "has p50_ms=inf; expected a number"),
        ("requests: 100", "requests: 0", "has n=0; expected a whole number >= 1"),
        ("cost: 1.9918", "cost: 0.1", "has seconds=0.1; expected at least"),
    ],
)
def test_impossible_times_of_perf_test_are_refused(old, new, message, tmp_path, said_by_the_file):
    assert old in PERF_TEST
    path = put(tmp_path / "phone.txt", PERF_TEST.replace(old, new))
    with pytest.raises(ValueError, match=f"phone.txt.*({message})"):
        importing.imported(path, "onnxruntime-perf-test", SAID, said_by_the_file)


def test_ai_hub_gives_every_time_its_memory_and_where_the_layers_ran(tmp_path, said_by_the_file):
    path = put(tmp_path / "profile.json", AI_HUB)
    (one,), _ = importing.imported(path, "ai-hub", SAID, said_by_the_file)
    # sorted 2.0 2.1 2.2 2.3 4.0 ms: the third is the median; drift 4.0 / 2.0
    assert (one.p50_ms, one.n) == pytest.approx((2.2, 5))
    assert (one.drift, one.seconds) == pytest.approx((2.0, 0.0126))
    assert one.peak_memory_mib == 14.0
    assert one.threads is None


def test_ai_hub_does_not_tell_its_runtime_nor_the_arithmetic(tmp_path, said_by_the_file):
    path = put(tmp_path / "profile.json", AI_HUB)
    (one,), _ = importing.imported(path, "ai-hub", SAID, said_by_the_file)
    assert (one.runtime, one.dtype) == ("unknown", "unknown")
    with pytest.raises(ValueError, match="cannot be compared: unknown dtype, threads, runtime"):
        records.ratio(one, one)
    told = replace(SAID, runtime="TFLite", dtype="float16", threads=4)
    (one,), _ = importing.imported(path, "ai-hub", told, said_by_the_file)
    assert one.runtime == "TFLite of AI Hub, 2 layers on CPU, 1 layers on NPU"
    assert (one.dtype, records.ratio(one, one)) == ("float16", 1.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nonsense", "profile.json is no profile of AI Hub"),
        ([], "profile.json is no profile of AI Hub"),
        ({"execution_summary": {}}, "expected JSON with execution_summary and its all_inference"),
        ({"execution_summary": {"all_inference_times": []}}, "has no times in all_inference_times"),
        (
            {"execution_summary": {"all_inference_times": [-5]}},
            "has -5 in all_inference_times; exp",
        ),
        ({"execution_summary": {"all_inference_times": ["x"]}}, "has 'x' in all_inference_times"),
        ({"execution_summary": {"all_inference_times": "123"}}, "has no times in all_inference_"),
        ('{"execution_summary": {"all_inference_times": [NaN]}}', "has nan in all_inference_times"),
        # the first times of a drift
        ({"execution_summary": {"all_inference_times": [0, 9]}}, "has 0 in all_inference_times"),
        ({"execution_summary": {"all_inference_times": [10**400]}}, "in all_inference_times; exp"),
        ({"execution_summary": 5}, "is no profile of AI Hub"),
        (AI_HUB | {"execution_detail": [3]}, "has an execution_detail that is no list of layers"),
        (AI_HUB | {"execution_detail": {"a": 1}}, "has an execution_detail that is no list of lay"),
        ("[" * 10_000, "is no profile of AI Hub"),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_a_profile_that_is_none_is_refused_by_its_file(
    content, message, tmp_path, said_by_the_file
):
    path = put(tmp_path / "profile.json", content)
    with pytest.raises(ValueError, match=message):
        importing.imported(path, "ai-hub", SAID, said_by_the_file)


def test_records_of_a_browser_are_taken_as_imported(tmp_path: Path):
    hybrid = row(pair="restormer-edge", architecture=HYBRID, source="measured here")
    compared = comparison("restormer-edge", HYBRID, 50.0, 100.0)
    content = exchanged(row(source="measured here"), hybrid, comparisons=[compared])
    path = put(tmp_path / "page.json", content)
    found = importing.imported(path, "records", Said(), None)
    assert [(one.device, one.source) for one in found.records] == [("Pixel 8", "imported")] * 2
    assert [asdict(one) for one in found.comparisons] == [compared]
    store = shelf.store_of("mini", tmp_path / "out")
    commands.bring_in(store, path, "records")
    assert shelf.take(store, "pixel-8").comparisons == [compared]
    (file,) = shelf.imported(store)
    assert file == found


@pytest.mark.parametrize(
    ("option", "value"),
    [("device", "Pixel 9"), ("cpu", "G4"), ("runtime", "x"), ("version", "1"), ("threads", "2"),
     ("resolution", "8x8"), ("dtype", "int8"), ("model", "network.onnx")],
)  # fmt: skip
def test_what_is_said_beside_a_file_that_says_it_itself_is_refused(
    option, value, tmp_path: Path, model: Path, capsys
):
    path, out = put(tmp_path / "page.json", exchanged(row())), tmp_path / "out"
    told = str(model) if option == "model" else value
    command = ["import-record", str(path), "--format", "records", "--out", str(out)]
    assert cli.main([*command, f"--{option}", told]) != cli.DONE
    assert f"{option} is " in capsys.readouterr().err
    assert not out.exists()


def test_the_model_is_needed_where_the_tool_does_not_know_it(tmp_path: Path):
    path = put(tmp_path / "phone.txt", PERF_TEST)
    with pytest.raises(ValueError, match="model is missing; format onnxruntime-perf-test needs"):
        importing.imported(path, "onnxruntime-perf-test", SAID, None)


def test_the_command_puts_a_phone_s_output_on_file(tmp_path: Path, model: Path, capsys):
    path, out = put(tmp_path / "phone.txt", PERF_TEST), tmp_path / "out"
    said = ["--device", "Pixel 6", "--model", str(model), "--resolution", "256x256"]
    command = ["import-record", str(path), "--format", "onnxruntime-perf-test", *said]
    assert cli.main([*command, "--out", str(out)]) == cli.DONE, capsys.readouterr().err
    assert cli.main([*command, "--out", str(out)]) == cli.DONE  # twice is once
    assert len(list(out.rglob("imported-*.json"))) == 1
    found = shelf.take(shelf.store_of("mini", out), "pixel-6")
    (one,) = found.records
    assert (one.p50_ms, one.cpu, one.version) == (pytest.approx(19.9047), "unknown", "unknown")
    assert found.noisy == []


def test_an_import_that_is_repeated_with_corrected_options_replaces_the_first(tmp_path, model):
    path, store = put(tmp_path / "phone.txt", PERF_TEST), shelf.store_of("mini", tmp_path / "out")
    wrong = Said(device="Pixel 6", resolution="256x256", cpu="Tenser")
    commands.bring_in(store, path, "onnxruntime-perf-test", wrong, model)
    right = replace(wrong, cpu="Tensor")
    done = commands.bring_in(store, path, "onnxruntime-perf-test", right, model)
    assert done.remarks == []
    (one,) = shelf.take(store, "pixel-6").records
    assert one.cpu == "Tensor"
    other = commands.bring_in(
        store, path, "onnxruntime-perf-test", replace(right, device="Pixel 7"), model
    )
    (remark,) = other.remarks
    assert (
        remark
        == f"the same file is on file as {done.path}, which is to be deleted if that was a mistake"
    )


def test_a_committed_import_is_corrected_beside_it(tmp_path, model):
    path, committed = put(tmp_path / "phone.txt", PERF_TEST), tmp_path / "repository"
    wrong = Said(device="Pixel 6", resolution="256x256")
    first = commands.bring_in(
        Store("mini", "devices", committed), path, "onnxruntime-perf-test", wrong, model
    )
    before = first.path.read_bytes()
    store = Store("mini", "devices", tmp_path / "out", committed)
    commands.bring_in(store, path, "onnxruntime-perf-test", replace(wrong, cpu="Tensor"), model)
    assert first.path.read_bytes() == before
    assert [one.cpu for one in shelf.take(store, "pixel-6").records] == ["Tensor"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"resolution": "256"}, "resolution is '256'; expected the image's, as 256x256"),
        ({"resolution": ""}, "resolution is ''; expected the image's, as 256x256"),
        ({"threads": 0}, "has threads=0; expected a whole number >= 1"),
        ({"device": " "}, "device is ' '; expected its name"),
    ],
)
def test_what_was_not_told_is_refused_and_nothing_written(given, message, tmp_path, model):
    path, out = put(tmp_path / "phone.txt", PERF_TEST.partition("\n")[2]), tmp_path / "out"
    told = Said(**{"device": "Pixel 6", "resolution": "256x256"} | given)
    with pytest.raises(ValueError, match=message):
        commands.bring_in(shelf.store_of("mini", out), path, "onnxruntime-perf-test", told, model)
    assert not out.exists()


def test_records_of_several_devices_are_not_one_device(tmp_path: Path):
    path = put(tmp_path / "page.json", exchanged(row(), row(device="Pixel 9")))
    with pytest.raises(ValueError, match="has records of Pixel 8, Pixel 9; expected one device"):
        commands.bring_in(shelf.store_of("mini", tmp_path / "out"), path, "records")


def test_the_commands_know_the_formats_of_the_importer():
    assert set(commands.FORMATS) == {*importing.FORMATS, importing.OWN_FORMAT}
    assert records.IMPORTED == "imported"


def test_the_help_of_an_import_does_not_offer_this_processor(capsys):
    for command, told in (("measure", True), ("import-record", False)):
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        assert ("(default: this processor)" in " ".join(capsys.readouterr().out.split())) is told
