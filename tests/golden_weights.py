"""Name-seeded weights and inputs: the same numbers on every machine, so outputs can be compared.

`det(name, shape)` gives the float32 value of one parameter, `image(tag, shape)` the input of one
case. The golden values were computed once from these by the released implementations.
"""

import zlib

import numpy as np


def det(name: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    n = rng.standard_normal(shape, dtype=np.float32)
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "A_logs":
        return (np.log(np.arange(1, shape[-1] + 1, dtype=np.float32)) + 0.1 * n).astype(np.float32)
    if leaf in ("Ds", "skip_scale", "skip_scale2", "temperature"):
        return 1 + 0.1 * n
    if leaf == "dt_projs_bias":
        return -4 + 0.3 * n
    if leaf in ("x_proj_weight", "dt_projs_weight"):
        return n / np.float32(np.sqrt(shape[-1]))
    if leaf == "relative_position_bias_table":
        return 0.2 * n
    if "modulator" in name:
        return 0.1 * n
    if leaf == "bias":
        return 0.05 * n
    if len(shape) == 1:
        return 1 + 0.1 * n
    return n / np.float32(np.sqrt(int(np.prod(shape[1:]))))


def image(tag: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(tag.encode())))
    return rng.random(shape, dtype=np.float32)
