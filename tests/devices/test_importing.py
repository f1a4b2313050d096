"""Other tools' output as records, on outputs of the documented formats.

PERF_TEST: the lines that onnxruntime_perf_test prints with `-s`, names and units as in
performance_runner.cc and performance_result of ONNX Runtime 1.13 and newer; the numbers are of the
size of a run that LUT-NN's artifact documents for a Pixel 6. AI_HUB: the object that
`qai_hub.ProfileJob.download_profile` gives, keys as its client makes them; microseconds and bytes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from device_records import exchange, row
from onnx_networks import TINY, metadata, network

from ensrepro import cli, records
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
SAID = Said("Pixel 6", "Tensor", "1.20.0", "256x256")


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
    (one,) = importing.imported(path, "onnxruntime-perf-test", SAID, said_by_the_file)
    assert (one.p50_ms, one.p90_ms, one.p99_ms) == pytest.approx((19.9047, 20.0251, 20.2704))
    assert (one.n, one.seconds, one.threads) == (100, 1.9918, 4)
    assert (one.device, one.cpu, one.version) == ("Pixel 6", "Tensor", "1.20.0")
    assert (one.architecture, one.task, one.width) == ("T 4 2 8 T T 4 2", "denoise", TINY.width)
    assert (one.drift, one.load, one.source) == (None, None, "imported")


def test_perf_test_that_does_not_tell_its_threads_leaves_them_open(tmp_path, said_by_the_file):
    path = put(tmp_path / "phone.txt", PERF_TEST.partition("\n")[2])
    (one,) = importing.imported(path, "onnxruntime-perf-test", SAID, said_by_the_file)
    assert one.threads is None


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
    (one,) = importing.imported(path, "ai-hub", SAID, said_by_the_file)
    # sorted 2.0 2.1 2.2 2.3 4.0 ms: the third is the median; drift 4.0 / 2.0
    assert (one.p50_ms, one.p99_ms, one.n) == pytest.approx((2.2, 4.0, 5))
    assert (one.drift, one.seconds) == pytest.approx((2.0, 0.0126))
    assert one.peak_memory_mib == 14.0
    assert one.runtime == "onnxruntime of AI Hub, 2 layers on CPU, 1 layers on NPU"
    assert one.threads is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nonsense", "profile.json is no profile of AI Hub"),
        ([], "profile.json is no profile of AI Hub"),
        ({"execution_summary": {}}, "expected JSON with execution_summary and its all_inference"),
        ({"execution_summary": {"all_inference_times": []}}, "has no times in all_inference_times"),
        ({"execution_summary": {"all_inference_times": [-5]}}, "has p50_ms=-0.005; expected a"),
        ({"execution_summary": {"all_inference_times": ["x"]}}, "is no profile of AI Hub"),
        ('{"execution_summary": {"all_inference_times": [NaN]}}', "has p50_ms=nan; expected a"),
    ],
    ids=["text", "a list", "no times", "empty", "negative", "words", "NaN"],
)
def test_a_profile_that_is_none_is_refused_by_its_file(
    content, message, tmp_path, said_by_the_file
):
    path = put(tmp_path / "profile.json", content)
    with pytest.raises(ValueError, match=message):
        importing.imported(path, "ai-hub", SAID, said_by_the_file)


def test_records_of_a_browser_are_taken_as_imported(tmp_path: Path):
    path = put(tmp_path / "page.json", exchange(row(source="measured here")))
    (one,) = importing.imported(path, "records", SAID, None)
    assert (one.device, one.source) == ("Pixel 8", "imported")


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
    found = shelf.take(shelf.store_of("mini", out), "pixel-6")
    (one,) = found.records
    assert (one.p50_ms, one.cpu, one.version) == (pytest.approx(19.9047), "unknown", "unknown")
    assert found.noisy == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"resolution": "256"}, "has resolution='256'; expected as 256x256"),
        ({"resolution": ""}, "has resolution=''; expected text"),
        ({"device": " "}, "device is ' '; expected its name"),
    ],
)
def test_what_was_not_told_is_refused_and_nothing_written(given, message, tmp_path, model):
    path, out = put(tmp_path / "phone.txt", PERF_TEST), tmp_path / "out"
    told = {"device": "Pixel 6", "resolution": "256x256", "model": model} | given
    with pytest.raises(ValueError, match=message):
        commands.bring_in(shelf.store_of("mini", out), path, "onnxruntime-perf-test", **told)
    assert not out.exists()


def test_records_of_several_devices_are_not_one_device(tmp_path: Path):
    path = put(tmp_path / "page.json", exchange(row(), row(device="Pixel 9")))
    with pytest.raises(ValueError, match="has records of Pixel 8, Pixel 9; expected one device"):
        commands.bring_in(shelf.store_of("mini", tmp_path / "out"), path, "records")


def test_the_commands_know_the_formats_of_the_importer():
    assert set(commands.FORMATS) == {*importing.FORMATS, importing.OWN_FORMAT}
    assert records.IMPORTED == "imported"
