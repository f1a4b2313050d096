"""A 16-lane float32 vector for numba, so that inner loops are vector code on every machine.

Numba's own vectorizer unrolls short inner loops into scalars; here each operation is one LLVM
vector instruction, which becomes one AVX-512, two AVX2 or four NEON ones. Inside compiled code
`load` and `splat` make such values, + - * / combine them (a product that feeds a sum becomes one
multiply-add), `store` and `total` take them apart. `take`, `gather` and their inverses move tiles
of sixteen channels between maps and work arrays of (steps, 16).

numba's cache on disk watches only the file of the cached function, `_scan_numba.py`; its constant
LANES_DIGEST makes that file change with this one.
"""

from __future__ import annotations

import operator
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

N_LANES = 16

_F = np.float32
LOG2_E = _F(1.4426950408889634)
# Minimax fits made for this file (Lawson's weighted least squares, relative error), last one first:
# 2**f = 1 + f (0.69.. + f (...)) on [-1/2, 1/2] to 9.2e-8, exactly 1 at f = 0;
_EXP2 = (_F(0.00967151264), _F(0.0555073374), _F(0.240222421), _F(0.693146978), _F(1))
_EXP2_LAST = _F(0.00132647272)
# log(1 + w) = s (2 + s**2 (0.66.. + s**2 (...))), s = w / (2 + w) on [0, 1/3], to 4.5e-9.
_LOG = (_F(0.280018053), _F(0.400215272), _F(0.666664163), _F(2))
_LOG_LAST = _F(0.280119867)

_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, N_LANES)
_INTEGERS = ir.VectorType(ir.IntType(32), N_LANES)


class Lanes(types.Type):
    """The numba type of sixteen float32 values."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


LANES = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _VECTOR)


def _spread(builder, scalar):
    """All lanes equal to an LLVM float."""
    empty = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, empty, ir.Constant(_INTEGERS, [0] * N_LANES))


def _address(context, builder, kind, array, index):
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _call(builder, name, arguments, result=_VECTOR, flags=()):
    signature = ir.FunctionType(result, [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, signature, name)
    return builder.call(function, arguments, fastmath=flags)


@intrinsic
def load(typing_context, array, index):
    """Lanes from sixteen neighbors of a C-contiguous float32 array, from a flat index."""

    def generate(context, builder, signature, arguments):
        return builder.load(_address(context, builder, signature.args[0], *arguments), align=4)

    return LANES(array, types.intp), generate


@intrinsic
def store(typing_context, array, index, value):
    """Write lanes to sixteen neighbors of a C-contiguous float32 array, from a flat index."""

    def generate(context, builder, signature, arguments):
        address = _address(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, LANES), generate


@intrinsic
def splat(typing_context, scalar):
    """Sixteen copies of one float32."""

    def generate(context, builder, signature, arguments):
        return _spread(builder, arguments[0])

    return LANES(types.float32), generate


@intrinsic
def total(typing_context, value):
    """The sum of the lanes, as a tree (always the same one)."""

    def generate(context, builder, signature, arguments):
        start = ir.Constant(_FLOAT, 0.0)
        name = f"llvm.vector.reduce.fadd.v{N_LANES}f32"
        return _call(builder, name, [start, arguments[0]], _FLOAT, ("reassoc",))

    return types.float32(LANES), generate


def _unary(name):
    @intrinsic
    def operation(typing_context, value):
        def generate(context, builder, signature, arguments):
            return _call(builder, f"llvm.{name}.v{N_LANES}f32", arguments)

        return LANES(LANES), generate

    return operation


def _binary(name):
    @intrinsic
    def operation(typing_context, left, right):
        def generate(context, builder, signature, arguments):
            return getattr(builder, name)(*arguments, flags=("contract",))

        return LANES(LANES, LANES), generate

    return operation


magnitude, nearest = _unary("fabs"), _unary("rint")
_add, _subtract, _multiply, _divide = (_binary(n) for n in ("fadd", "fsub", "fmul", "fdiv"))


@intrinsic
def where_less(typing_context, left, right, yes, no):
    """Lane by lane `yes` where left < right, else `no` (so a NaN takes `no`)."""

    def generate(context, builder, signature, arguments):
        return builder.select(builder.fcmp_ordered("<", *arguments[:2]), *arguments[2:])

    return LANES(LANES, LANES, LANES, LANES), generate


@intrinsic
def power_of_two(typing_context, exponent):
    """2**n for whole n in -126..127, made from its bits."""

    def generate(context, builder, signature, arguments):
        whole = builder.fptosi(arguments[0], _INTEGERS)
        biased = builder.add(whole, ir.Constant(_INTEGERS, [127] * N_LANES))
        bits = builder.shl(biased, ir.Constant(_INTEGERS, [23] * N_LANES))
        return builder.bitcast(bits, _VECTOR)

    return LANES(LANES), generate


def _define(python_operator, vector_operation):
    @overload(python_operator)
    def _(left, right):
        if left is LANES and right is LANES:
            return lambda left, right: vector_operation(left, right)
        return None


_define(operator.add, _add)
_define(operator.sub, _subtract)
_define(operator.mul, _multiply)
_define(operator.truediv, _divide)


class Tile(NamedTuple):
    """The parameters of sixteen channels for one order, or their gradients."""

    A: np.ndarray  # (N, N_LANES)
    step_weight: np.ndarray  # (R, N_LANES)
    step_bias: np.ndarray  # (1, N_LANES)
    skip: np.ndarray  # (1, N_LANES)


_function = njit(error_model="numpy", boundscheck=False)


@_function
def exp2(z):
    """2**z, held within the normal float32 numbers; NaN stays NaN."""
    low, high = splat(_F(-126)), splat(_F(127))
    z = where_less(z, low, low, z)
    z = where_less(high, z, high, z)
    whole = nearest(z)
    f = z - whole
    value = splat(_EXP2_LAST)
    for coefficient in _EXP2:
        value = value * f + splat(coefficient)
    return value * power_of_two(whole)


@_function
def softplus(v):
    """log(1 + exp(v)); in float32 it equals v beyond torch's threshold of 20."""
    w = exp2(magnitude(v) * splat(-LOG2_E))
    s = w / (splat(_F(2)) + w)
    value = splat(_LOG_LAST)
    for coefficient in _LOG:
        value = value * (s * s) + splat(coefficient)
    zero = splat(_F(0))
    return where_less(v, zero, zero, v) + value * s


@_function
def softplus_slope(v):
    """The derivative of softplus, 1 / (1 + exp(-v))."""
    w = exp2(magnitude(v) * splat(-LOG2_E))
    return where_less(v, splat(_F(0)), w, splat(_F(1))) / (splat(_F(1)) + w)


@_function
def take(source, p, first, target):
    """target (M, N_LANES) = channels first.. of source (P, D, M), zero beyond the last channel."""
    target[:] = 0
    for d in range(min(N_LANES, source.shape[1] - first)):
        for m in range(source.shape[2]):
            target[m, d] = source[p, first + d, m]


@_function
def gather(source, b, positions, first, target):
    """target[t] = source[b, positions[t], first..] of a (B, L, D) map, zero beyond its channels."""
    n_positions, n_channels = source.shape[1:]
    if first + N_LANES <= n_channels:
        start = b * n_positions * n_channels + first
        for t in range(positions.size):
            store(target, t * N_LANES, load(source, start + positions[t] * n_channels))
    else:
        target[:] = 0
        for t in range(positions.size):
            for d in range(n_channels - first):
                target[t, d] = source[b, positions[t], first + d]


@_function
def scatter_add(source, b, positions, first, target):
    """Add source (T, N_LANES) to the positions of a (B, L, D) map."""
    n_positions, n_channels = target.shape[1:]
    if first + N_LANES <= n_channels:
        start = b * n_positions * n_channels + first
        for t in range(positions.size):
            i = start + positions[t] * n_channels
            store(target, i, load(target, i) + load(source, t * N_LANES))
    else:
        for t in range(positions.size):
            for d in range(n_channels - first):
                target[b, positions[t], first + d] += source[t, d]


@_function
def put(source, b, k, first, target):
    """The inverse of `take`, into a (B, K, D, M) gradient."""
    for d in range(min(N_LANES, target.shape[2] - first)):
        for m in range(target.shape[3]):
            target[b, k, first + d, m] = source[m, d]


@_function
def empty_tiles(A, step_weight, n_tiles):
    """Zeros for n_tiles tiles of parameters such as A (P, D, N) and step_weight (P, D, R)."""
    return Tile(
        np.zeros((n_tiles, A.shape[2], N_LANES), np.float32),
        np.zeros((n_tiles, step_weight.shape[2], N_LANES), np.float32),
        np.zeros((n_tiles, 1, N_LANES), np.float32),
        np.zeros((n_tiles, 1, N_LANES), np.float32),
    )


@_function
def pick(tiles, i):
    """One of several tiles."""
    return Tile(tiles.A[i], tiles.step_weight[i], tiles.step_bias[i], tiles.skip[i])
