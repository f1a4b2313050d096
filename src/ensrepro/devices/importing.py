"""What other tools print, as records: phones, and services that lend them.

Formats:

* `onnxruntime-perf-test`: the text that `onnxruntime_perf_test` of ONNX Runtime prints with `-s`,
  in seconds (performance_runner.cc and performance_result of its repository, 1.13 or newer);
* `ai-hub`: `profile_job.download_profile()` of Qualcomm AI Hub's client as JSON, in microseconds
  and bytes, with every single time in `all_inference_times`;
* `records`: an exchange file of ours, such as the page that measures in a browser gives.

The first two do not know the network; the ONNX file that was measured does (`export.Metadata`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ensrepro import artifacts, config, records, timing
from ensrepro.export import Metadata
from ensrepro.records import IMPORTED, NETWORK, Record

UNKNOWN = "unknown"
PER_SECOND, PER_MS = 1e6, 1e3  # microseconds
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
    """What the person who measured tells: the tools do not."""

    device: str
    cpu: str
    version: str
    resolution: str


def drafted(said: Said, metadata: Metadata, created: str) -> dict[str, Any]:
    """The fields of a record that the tool's output does not fix; checked with the others."""
    return {
        "device": said.device,
        "cpu": said.cpu,
        "runtime": "onnxruntime",
        "version": said.version,
        "threads": None,
        "resolution": said.resolution,
        "dtype": "float32",
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
        return float(found.group(1)) if found else float("missing")
    except ValueError:
        raise ValueError(
            f"{path} has no line {name!r} with a number; expected what onnxruntime_perf_test -s "
            "prints"
        ) from None


def perf_test(text: str, path: Path, draft: Mapping[str, Any]) -> Record:
    """The record of what onnxruntime_perf_test printed."""
    row = dict(draft)
    for name, (field, factor) in LINES.items():
        row[field] = number(text, name, path) * factor
    row["n"] = int(row["n"])
    threads = THREADS.search(text)
    row["threads"] = int(threads.group(1)) if threads else None
    return records.checked(row, f"{path}")


def ai_hub(text: str, path: Path, draft: Mapping[str, Any]) -> Record:
    """The record of a profile that Qualcomm AI Hub gave."""
    try:
        content = json.loads(text)
        summary = content["execution_summary"]
        times = [float(one) for one in summary["all_inference_times"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no profile of AI Hub ({error!r}); expected JSON with execution_summary and "
            "its all_inference_times"
        ) from None
    if not times:
        raise ValueError(f"{path} has no times in all_inference_times; expected at least one")
    took = timing.summarize([one / PER_SECOND for one in times])
    layers = content.get("execution_detail") or []
    units = Counter(str(layer.get("compute_unit", UNKNOWN)) for layer in layers)
    where = ", ".join(f"{n} layers on {unit}" for unit, n in sorted(units.items()))
    peak = summary.get("estimated_inference_peak_memory")
    own = {
        "runtime": f"{draft['runtime']} of AI Hub" + (f", {where}" if where else ""),
        "p50_ms": took.p50_ms,
        "p90_ms": took.p90_ms,
        "p99_ms": took.p99_ms,
        "n": took.n,
        "seconds": took.seconds,
        "drift": took.drift,
        "peak_memory_mib": peak / MIB if isinstance(peak, int) and peak > 0 else None,
    }
    return records.checked({**draft, **own}, f"{path}")


FORMATS: Mapping[str, Callable[[str, Path, Mapping[str, Any]], Record]] = {
    "onnxruntime-perf-test": perf_test,
    "ai-hub": ai_hub,
}
OWN_FORMAT = "records"


def imported(path: Path, kind: str, said: Said, metadata: Metadata | None) -> list[Record]:
    """The records of a file of one of the formats; `metadata` is that of the ONNX file."""
    if kind == OWN_FORMAT:
        return [replace(record, source=IMPORTED) for record in records.read(path)]
    read = config.named("format", kind, {**FORMATS, OWN_FORMAT: None})
    if metadata is None:
        raise ValueError(f"model is missing; format {kind} needs the ONNX file that was measured")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file")
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text; expected the output of {kind}") from None
    return [read(text, path, drafted(said, metadata, artifacts.now()))]  # type: ignore[misc]
