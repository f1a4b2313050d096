"""An exported network in fewer bits: float16 arithmetic, or 8-bit integers, by onnxruntime's tools.

Files already hold their weights in float16 (`network.stored`). Here the arithmetic changes too, and
with it the output; the file says which form of it it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ensrepro.export import files
from ensrepro.export.files import FORM
from ensrepro.export.network import INPUT
from ensrepro.runtime import required

if TYPE_CHECKING:
    import onnx

Images = Sequence[NDArray[np.float32]]  # (1, C_in, H, W) each, what activations are scaled by
FLOAT32 = files.FLOAT32


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network after onnxruntime's basic optimizations: weights in float32, casts gone."""
    onnx, onnxruntime = required("onnx"), required("onnxruntime")
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "folded.onnx")
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = path
        content = model.SerializeToString()
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return onnx.load(path)


def in_float16(model: onnx.ModelProto, images: Images) -> onnx.ModelProto:
    """All arithmetic in float16, but for operators that onnxruntime's tool leaves as they are."""
    del images
    float16 = required("onnxruntime.transformers.float16")
    made: onnx.ModelProto = float16.convert_float_to_float16(folded(model), keep_io_types=True)
    return made


def in_int8(model: onnx.ModelProto, images: Images, operators: Sequence[str]) -> onnx.ModelProto:
    """Operators of these kinds in 8 bit: weights by channel, activations by their range on images.

    Those inside a `Scan` stay as they are: onnxruntime's tool does not look into it.
    """
    onnx, quantization = required("onnx"), required("onnxruntime.quantization")

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.left: Iterator[NDArray[np.float32]] = iter(images)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self.left, None)
            return None if image is None else {INPUT: image}

    with TemporaryDirectory() as folder:
        plain, given, made = (Path(folder) / f"{name}.onnx" for name in ("plain", "given", "made"))
        onnx.save(model, plain)
        prepare = required("onnxruntime.quantization.shape_inference").quant_pre_process
        prepare(plain, given, skip_symbolic_shape=True)
        quantization.quantize_static(
            given,
            made,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(operators),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return onnx.load(made)


FORMS: Mapping[str, Callable[[onnx.ModelProto, Images], onnx.ModelProto]] = {
    FLOAT32: lambda model, _images: model,
    "float16": in_float16,
    "int8, convolutions": partial(in_int8, operators=("Conv",)),
    "int8, all products": partial(in_int8, operators=("Conv", "MatMul")),
}


def converted(model: onnx.ModelProto, form: str, images: Images) -> onnx.ModelProto:
    """The network in one of FORMS, with what the file says of itself; a ValueError lists them."""
    if form not in FORMS:
        raise ValueError(f"form is {form!r}; expected one of {', '.join(FORMS)}")
    if not images:
        raise ValueError("images is empty; expected at least one, which activations are scaled by")
    told = files.said_by(model)
    if (has := told.get(FORM, FLOAT32)) != FLOAT32:
        raise ValueError(f"model has the form {has!r} already; expected {FLOAT32}")
    made = FORMS[form](model, images)
    files.seal(made, {**told, FORM: form})
    return made
