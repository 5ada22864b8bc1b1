"""What the rules share: operands, results, and the test for what has no derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic, overload, register_jitable
from numba.np import arrayobj
from numba.np.numpy_support import as_dtype

from dualgrad import lanes
from dualgrad.calls import join
from dualgrad.pages import new_array
from dualgrad.types import DualType, PatternType, SeriesType, depth, is_complex, primal, real_of


def matrix_level(
    name: str, *operands: Any, on_complex: bool = True, of_series: bool = False
) -> DualType | None:
    """The level at which a function of a matrix (and a right-hand side) differentiates.

    `on_complex` says whether its rule holds for complex matrices too, `of_series` whether there is
    one for power series, of which the rules for duals know the first coefficient alone. None for
    what Numba's own code is to refuse in its own words.
    """
    if not all(isinstance(ty, types.Array) for ty in operands) or operands[0].ndim != 2:
        return None
    if any(ty.ndim not in (1, 2) for ty in operands):
        return None
    if len({primal(ty.dtype) for ty in operands}) > 1:
        message = f"np.linalg.{name}() only supports inputs that have homogeneous dtypes."
        raise TypingError(message, highlighting=False)
    level = join([ty.dtype for ty in operands])
    if isinstance(level, PatternType):
        return None  # `dualgrad.arrays.opaque`
    if isinstance(level, SeriesType) and not of_series:
        raise TypingError(f"np.linalg.{name}() of a Taylor series", highlighting=False)
    if is_complex(operands[0].dtype) and not on_complex:
        raise TypingError(f"np.linalg.{name}() of complex numbers", highlighting=False)
    return level


def is_active(ty: Any, level: DualType) -> bool:
    """Whether an operand has tangents at this level."""
    return depth(ty.dtype) == level.depth


def epsilon(level: DualType) -> float:
    """The spacing of floats at one, in the precision of a dual."""
    return float(np.finfo(as_dtype(primal(real_of(level)))).eps)


@intrinsic
def with_value(typingctx: Any, x: Any, value: Any) -> Any:
    """The dual of another value, and of its type, with the tangents of `x`."""
    result = x.over(value)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        dual = cgutils.create_struct_proxy(result)(context, builder)
        tangents = builder.extract_value(args[0], 1)
        dual.value = args[1]
        dual.lanes = lanes.cast(context, builder, tangents, x.lanes, result.lanes)
        return dual._getvalue()

    return result(x, value), codegen


@register_jitable
def put_values(duals: Any, values: Any) -> Any:
    """Replace the values of an array of duals in place."""
    for index in np.ndindex(values.shape):
        duals[index] = with_value(duals[index], values[index])
    return duals


@intrinsic
def array_like(typingctx: Any, values: Any, item: Any) -> Any:
    """A new array of another type of items, in the shape and the layout of `values`."""
    layout = "F" if values.layout == "F" else "C"
    dtype = item.dtype if isinstance(item, types.DType) else item.instance_type
    result = types.Array(dtype, values.ndim, layout)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        shape = cgutils.unpack_tuple(
            builder, context.make_array(values)(context, builder, args[0]).shape
        )
        return new_array(context, builder, result, shape)._getvalue()

    return result(values, item), codegen


@register_jitable
def with_values(duals: Any, values: Any) -> Any:
    """The tangents of `duals` with other values, in the layout of these."""
    result = array_like(values, duals.dtype)
    for index in np.ndindex(values.shape):
        result[index] = with_value(duals[index], values[index])
    return result


@register_jitable
def from_lower(a: Any) -> Any:
    """The symmetric or Hermitian matrix of which LAPACK reads the lower triangle only."""
    n = len(a)
    result = np.empty((n, n), a.dtype)
    for i in range(n):
        for j in range(i):
            result[i, j], result[j, i] = a[i, j], np.conj(a[i, j])
        result[i, i] = a[i, i].real
    return result


def adjoint(a: Any) -> Any:
    """The transpose of a matrix, conjugate if it is complex."""
    raise NotImplementedError("only for compiled code")


@overload(adjoint)
def _adjoint(a):  # type: ignore[no-untyped-def]
    return (lambda a: np.conj(a).T) if is_complex(a.dtype) else lambda a: a.T


@intrinsic
def rows_of_floats(typingctx: Any, duals: Any) -> Any:
    """View a C-contiguous array of duals as a matrix of floats with a row for each dual."""
    ty = primal(duals.dtype)
    result = types.Array(ty, 2, "C")

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source = context.make_array(duals)(context, builder, args[0])
        view = context.make_array(result)(context, builder)
        itemsize, row = (
            context.get_abi_sizeof(context.get_data_type(it)) for it in (ty, duals.dtype)
        )
        intp = context.get_value_type(types.intp)
        arrayobj.populate_array(
            view,
            data=builder.bitcast(source.data, view.data.type),
            shape=[source.nitems, intp(row // itemsize)],
            strides=[intp(row), intp(itemsize)],
            itemsize=intp(itemsize),
            meminfo=source.meminfo,
            parent=source.parent,
        )
        return impl_ret_borrowed(context, builder, result, view._getvalue())

    return result(duals), codegen


@intrinsic
def plain(typingctx: Any, x: Any) -> Any:
    """The float at the bottom of a number."""
    ty = primal(x)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = args[0]
        for _ in range(depth(x)):
            value = builder.extract_value(value, 0)
        return value

    return ty(x), codegen


def sizes_of_tangents(duals: Any) -> Any:
    """The largest absolute tangent of each item of a matrix, at the outermost level."""
    raise NotImplementedError("only for compiled code")


@overload(sizes_of_tangents)
def _sizes_of_tangents(duals):  # type: ignore[no-untyped-def]
    if not is_complex(duals.dtype):
        return _sizes_of_real_tangents

    def by_parts(duals):  # type: ignore[no-untyped-def]
        real = _sizes_of_real_tangents(duals.real.copy())
        return np.maximum(real, _sizes_of_real_tangents(duals.imag.copy()))

    return by_parts


@register_jitable
def _sizes_of_real_tangents(duals):  # type: ignore[no-untyped-def]
    rows = rows_of_floats(duals)
    result = np.zeros(duals.shape)
    n = duals.shape[1]
    start = rows.shape[1] // (1 + lane_count(duals))
    for k in range(rows.shape[0]):
        for entry in rows[k, start:]:
            if not abs(entry) <= result[k // n, k % n]:  # nan counts as large
                result[k // n, k % n] = abs(entry)
    return result


@intrinsic
def lane_count(typingctx: Any, duals: Any) -> Any:
    """How many tangents the items of an array have."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.get_constant(types.intp, duals.dtype.n)

    return types.intp(duals), codegen
