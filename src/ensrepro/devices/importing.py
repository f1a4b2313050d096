"""What other tools print, as records: phones, and services that lend them.

Formats:

* `onnxruntime-perf-test`: the text that `onnxruntime_perf_test` of ONNX Runtime prints with `-s`,
  in seconds (performance_runner.cc and performance_result of its repository, 1.13 or newer);
* `ai-hub`: `profile_job.download_profile()` of Qualcomm AI Hub's client as JSON, in microseconds
  and bytes, with every single time in `all_inference_times`;
* `records`: an exchange file of ours, such as the page that measures in a browser gives.

The first two do not know the network; the ONNX file that was measured does (`export.Metadata`).
A percentile that so few runs do not show is left out, as `measuring` does.
AI Hub compiles that file first, for one of several runtimes, and its NPUs compute in other numbers
than the file has: runtime and dtype of a profile are what the person says, else unknown.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ensrepro import artifacts, config, exchange, records, timing
from ensrepro.devices.measuring import FEWEST_FOR_P90, FEWEST_FOR_P99
from ensrepro.exchange import Exchange
from ensrepro.export import Metadata
from ensrepro.records import IMPORTED, LARGEST, NETWORK, Record
from ensrepro.timing import UNKNOWN

PER_SECOND = 1e6  # microseconds
SHORTEST, LONGEST = 1e-3, 1e15  # microseconds that a run can take: a nanosecond, thirty years
MIB = 2**20
NUMBER = r"\s*:?\s*([-+.\deEna]+)"

# What a line of onnxruntime_perf_test begins with -> the field of the record, and the factor
LINES = {
    "P50 Latency": ("p50_ms", 1e3),
    "P90 Latency": ("p90_ms", 1e3),
    "P99 Latency": ("p99_ms", 1e3),
    "Total inference time cost": ("seconds", 1.0),
    "Total inference requests": ("n", 1),
}
THREADS = re.compile(r"^Setting intra_op_num_threads to (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Said:
    """What the person who measured tells, because the tools do not; empty or None: nothing."""

    device: str = ""
    cpu: str = ""
    runtime: str = ""
    version: str = ""
    threads: int | None = None
    resolution: str = ""
    dtype: str = ""


class Format(NamedTuple):
    """A tool's output: how it is read, and what its runtime and dtype are if nobody says more.

    An empty dtype is the form of the arithmetic that the ONNX file has.
    """

    read: Callable[[str, Path, Mapping[str, Any]], Record]
    runtime: str
    dtype: str


def drafted(said: Said, form: Format, metadata: Metadata, created: str) -> dict[str, Any]:
    """The fields of a record that the tool's output does not fix; checked with the others."""
    return {
        "device": said.device,
        "cpu": said.cpu or UNKNOWN,
        "runtime": said.runtime or form.runtime,
        "version": said.version or UNKNOWN,
        "threads": said.threads,
        "resolution": said.resolution,
        "dtype": said.dtype or form.dtype or metadata.form,
        "pair": metadata.pair,
        "task": metadata.task,
        "part": NETWORK,
        "architecture": metadata.architecture,
        "width": metadata.width,
        "weights": metadata.digest,
        "drift": None,
        "load": None,
        "peak_memory_mib": None,
        "source": IMPORTED,
        "created": created,
    }


def number(text: str, name: str, path: Path) -> float:
    """The number behind the name of a line; a ValueError if there is none."""
    found = re.search(rf"^{re.escape(name)}{NUMBER}", text, re.MULTILINE)
    try:
        value = float(found.group(1)) if found else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(
            f"{path} has no line {name!r} with a number; expected what onnxruntime_perf_test -s "
            "prints"
        )
    return value


def perf_test(text: str, path: Path, draft: Mapping[str, Any]) -> Record:
    """The record of what onnxruntime_perf_test printed."""
    row = dict(draft)
    for name, (field, factor) in LINES.items():
        row[field] = number(text, name, path) * factor
    row["n"] = int(row["n"])
    printed = THREADS.search(text)
    threads = int(printed.group(1)) if printed else None
    if threads and draft["threads"] not in (None, threads):
        raise ValueError(f"threads is {draft['threads']}; expected {threads}, which {path} says")
    row["threads"] = threads or draft["threads"]
    return records.checked(row, f"{path}")


class Profile(NamedTuple):
    """Of AI Hub: its summary, the microseconds of every run, the compute unit of every layer."""

    summary: Mapping[str, Any]
    times: list[float]
    units: list[str]


def profiled(text: str, path: Path) -> Profile:
    """What a profile says; a ValueError if it is none."""
    expected = "expected JSON with execution_summary and its all_inference_times, a list of numbers"
    try:
        content = json.loads(text)
        summary = content["execution_summary"]
        times, layers = summary["all_inference_times"], content.get("execution_detail") or []
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise ValueError(f"{path} is no profile of AI Hub; {expected}") from None
    if not isinstance(times, list) or not times:
        raise ValueError(f"{path} has no times in all_inference_times; expected a list of them")
    for one in times:
        if not isinstance(one, int | float) or not SHORTEST <= one <= LONGEST:
            raise ValueError(
                f"{path} has {one!r} in all_inference_times; expected microseconds, from "
                f"{SHORTEST:g} to {LONGEST:g}"
            )
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise ValueError(f"{path} has an execution_detail that is no list of layers; expected one")
    return Profile(summary, times, [str(layer.get("compute_unit", UNKNOWN)) for layer in layers])


def ai_hub(text: str, path: Path, draft: Mapping[str, Any]) -> Record:
    """The record of a profile that Qualcomm AI Hub gave."""
    found = profiled(text, path)
    took = timing.summarize([one / PER_SECOND for one in found.times])
    units = sorted(Counter(found.units).items())
    where = ", ".join(f"{n} layers on {unit}" for unit, n in units)
    peak = found.summary.get("estimated_inference_peak_memory")
    own = {
        "p50_ms": took.p50_ms,
        "p90_ms": took.p90_ms,
        "p99_ms": took.p99_ms,
        "n": took.n,
        "seconds": took.seconds,
        "drift": took.drift,
        "peak_memory_mib": peak / MIB if isinstance(peak, int) and 0 < peak <= LARGEST else None,
    }
    if timing.is_known(draft["runtime"]):  # else nothing is known, and two of it are not equal
        own["runtime"] = f"{draft['runtime']} of AI Hub" + (f", {where}" if where else "")
    return records.checked({**draft, **own}, f"{path}")


FORMATS: Mapping[str, Format] = {
    "onnxruntime-perf-test": Format(perf_test, "onnxruntime", ""),
    "ai-hub": Format(ai_hub, UNKNOWN, UNKNOWN),
}
OWN_FORMAT = "records"


def shown(record: Record) -> Record:
    """The record without the percentiles that its runs are too few for."""
    p90_ms = record.p90_ms if record.n >= FEWEST_FOR_P90 else None
    p99_ms = record.p99_ms if record.n >= FEWEST_FOR_P99 else None
    return replace(record, p90_ms=p90_ms, p99_ms=p99_ms)


def handed_on(path: Path, said: Said, metadata: Metadata | None) -> Exchange:
    """What a file of ours holds, as imported; a ValueError if anything was said beside it."""
    told = asdict(said) | {"model": metadata and metadata.architecture}
    for name, value in told.items():
        if value not in ("", None):
            raise ValueError(
                f"{name} is {value!r}; expected none, because a file of format {OWN_FORMAT} says "
                "itself what was measured"
            )
    found = exchange.read(path)
    own = [shown(replace(record, source=IMPORTED)) for record in found.records]
    return Exchange(own, found.comparisons)


def imported(path: Path, kind: str, said: Said, metadata: Metadata | None) -> Exchange:
    """What a file of one of the formats holds; `metadata` is that of the ONNX file."""
    if kind == OWN_FORMAT:
        return handed_on(path, said, metadata)
    form = config.named("format", kind, {**FORMATS, OWN_FORMAT: None})
    if not records.RESOLUTION.fullmatch(said.resolution):
        raise ValueError(f"resolution is {said.resolution!r}; expected the image's, as 256x256")
    if form is None or metadata is None:
        raise ValueError(f"model is missing; format {kind} needs the ONNX file that was measured")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file")
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text; expected the output of {kind}") from None
    record = form.read(text, path, drafted(said, form, metadata, artifacts.now()))
    return Exchange([shown(record)], [])
