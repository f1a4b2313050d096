"""ONNX: any hybrid as one file of stock operators with its weights, and running such files.

    graph       nodes and weights under construction
    layers      rules for PyTorch's layers and the Restormer block
    ssm         rules for the selective scan and the MambaIR block
    edge        the rule for the edge block
    uformer     rules for the Uformer block
    network     the whole network; the table of all rules
    files       writing and reading files, and what they say of themselves
    session     running them in onnxruntime
    precision   the same network in fewer bits

A new block needs one rule in one of the tables RULES. Needs the extra `onnx`.
"""

from __future__ import annotations

from ensrepro.export.files import Metadata, describe, read_metadata, to_onnx
from ensrepro.export.graph import OPSET
from ensrepro.export.session import Session

__all__ = ["OPSET", "Metadata", "Session", "describe", "read_metadata", "to_onnx"]
