"""onnxruntime, found and started: no torch, so that a process can measure the runtime alone."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

REMEDY = "try pip install 'ensrepro[onnx]'"
FATAL_ONLY = 4


def required(package: str) -> ModuleType:
    """An optional package; an ImportError says how to install one that is not there."""
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(f"{package} is not installed; {REMEDY}") from error


def inference_session(content: str | bytes, threads: int) -> Any:
    """onnxruntime's session of a file or of its content, on the CPU, with all optimizations."""
    onnxruntime = required("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL_ONLY  # errors are raised, and need not be printed too
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
