"""Products of arrays of duals: `np.dot`, `@`, `np.vdot` and `np.outer`.

The value part is the same product of the value parts, so it is what Numba returns, bit for bit.
Tangents are a loop over dual scalars, or matrix products by BLAS where each number is used many
times: seen as floats, an array of duals is a matrix with a row of tangents for every number.

What can be emitted in place is an intrinsic here: every overload called costs time to compile.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.core.imputils import impl_ret_borrowed, impl_ret_new_ref
from numba.extending import intrinsic, overload, register_jitable
from numba.np import arrayobj
from numba.np.linalg import check_blas_return, get_blas_kind

from dualgrad.arrays import blocks
from dualgrad.calls import join
from dualgrad.pages import new_array
from dualgrad.types import DualType, PatternType, SeriesType, depth, primal

#: From this many multiplications of a number by a dual on, one matrix product is left to BLAS.
#: Measured: below it the loop takes 0.4 to 1.0 of the time of BLAS, well above it 1.2 to 2.
BLAS_FROM = 8192
#: BLAS counts in C ints.
BLAS_UP_TO = 2**31 - 1

# ------------------------------------------------------------------------------------ operands


@intrinsic
def value_part(typingctx: Any, array: Any, dual: Any) -> Any:
    """The values of an operand, one level below `dual`, as a contiguous array.

    Fortran order is kept: the order of summation in BLAS depends on it, and with it the value.
    """
    active = depth(array.dtype) == dual.instance_type.depth
    layout: Any = "F" if array.layout == "F" and array.ndim > 1 else "C"
    item = array.dtype.base if active else array.dtype
    kept = not active and array.layout in "CF"
    result = array if kept else types.Array(item, array.ndim, layout)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if kept:
            return impl_ret_borrowed(context, builder, result, args[0])
        source = context.make_array(array)(context, builder, args[0])
        shape = cgutils.unpack_tuple(builder, source.shape, array.ndim)
        copy = new_array(context, builder, result, shape)
        with cgutils.loop_nest(builder, shape, intp=context.get_value_type(types.intp)) as index:
            pointer, target = (
                cgutils.get_item_pointer2(
                    context, builder, it.data, shape,
                    cgutils.unpack_tuple(builder, it.strides), ty.layout, index,
                )
                for ty, it in ((array, source), (result, copy))
            )  # fmt: skip
            value = arrayobj.load_item(context, builder, array, pointer)
            value = builder.extract_value(value, 0) if active else value
            context.pack_value(builder, item, value, target)
        return impl_ret_new_ref(context, builder, result, copy._getvalue())

    return result(array, dual), codegen


def _matrix(unit_axis: int) -> Any:
    """A view that makes a matrix of a vector, by an axis of length one, and leaves matrices."""

    @intrinsic
    def matrix(typingctx: Any, array: Any) -> Any:
        vector = array.ndim == 1
        result = array.copy(ndim=2, layout="C" if array.layout in "CF" else "A")
        result = result if vector else array

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            if not vector:
                return impl_ret_borrowed(context, builder, result, args[0])
            source = context.make_array(array)(context, builder, args[0])
            view = context.make_array(result)(context, builder)
            shape = [*cgutils.unpack_tuple(builder, source.shape)]
            strides = [*cgutils.unpack_tuple(builder, source.strides)]
            strides.insert(unit_axis, builder.mul(shape[0], strides[0]))
            shape.insert(unit_axis, shape[0].type(1))
            arrayobj.populate_array(
                view, data=source.data, shape=shape, strides=strides, itemsize=source.itemsize,
                meminfo=source.meminfo, parent=source.parent,
            )  # fmt: skip
            return impl_ret_borrowed(context, builder, result, view._getvalue())

        return result(array), codegen

    return matrix


row, column = _matrix(0), _matrix(1)


def _contiguous(layouts: str) -> Any:
    """An array in one of these layouts: itself, or a copy in C order."""

    @intrinsic
    def contiguous(typingctx: Any, array: Any) -> Any:
        kept = array.layout in layouts or (array.ndim == 1 and array.layout in "CF")
        result = array if kept else array.copy(layout="C", readonly=False)

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            if kept:
                return impl_ret_borrowed(context, builder, result, args[0])
            return arrayobj._array_copy(context, builder, sig, args)

        return result(array), codegen

    return contiguous


in_c_order, in_c_or_fortran_order = _contiguous("C"), _contiguous("CF")


# ------------------------------------------------------------------------------------ tangents


def _rows(context: Any, builder: Any, ty: Any, value: Any) -> tuple[blocks.Rows, Any, Any]:
    """An array of duals as rows of floats, how many duals are in a row, and lanes in a dual.

    There is a row for each index of the first axis, so that of a vector it holds one dual.
    """
    array = context.make_array(ty)(context, builder, value)
    sizes = (
        context.get_abi_sizeof(context.get_data_type(it))
        for it in (ty.dtype, ty.dtype.base, primal(ty.dtype))
    )
    dual_size, base_size, float_size = sizes
    stride = builder.extract_value(array.strides, 0)
    intp, pointer = stride.type, context.get_value_type(primal(ty.dtype)).as_pointer()
    start = builder.gep(builder.bitcast(array.data, cgutils.voidptr_t), [intp(base_size)])
    rows = blocks.Rows(
        builder.bitcast(start, pointer),
        builder.sdiv(stride, intp(float_size)),
        intp(dual_size // float_size),
    )
    duals = intp(1) if ty.ndim == 1 else cgutils.unpack_tuple(builder, array.shape, ty.ndim)[1]
    return rows, duals, intp((dual_size - base_size) // float_size)


def _distance(builder: Any, rows: blocks.Rows, length: Any) -> Any:
    """How far rows are apart, for BLAS; the stride of a single one can be anything."""
    return builder.select(builder.icmp_signed(">", rows.row, length), rows.row, length)


def _call_gemm(context: Any, builder: Any, operands: list[Any]) -> None:
    """Call BLAS as Numba does: letters are characters, and numbers that are no sizes addresses."""
    char, pointer = ir.IntType(8), cgutils.voidptr_t
    given = []
    for it in operands:
        if isinstance(it, str):
            it = char(ord(it))
        elif not isinstance(it.type, ir.IntType):
            by_address = isinstance(it.type, ir.PointerType)
            it = it if by_address else cgutils.alloca_once_value(builder, it)
            it = builder.bitcast(it, pointer)
        given.append(it)
    kind = ir.FunctionType(ir.IntType(32), [it.type for it in given])
    function = cgutils.get_or_insert_function(builder.module, kind, "numba_xxgemm")
    check_blas_return(context, builder, builder.call(function, given))


def _is_factor(factor: Any, duals: Any) -> bool:
    """Whether BLAS can multiply tangents by these values."""
    return (
        factor.ndim == 2
        and isinstance(factor.dtype, types.Float)
        and isinstance(duals.dtype, DualType)
    )


@intrinsic
def add_product(typingctx: Any, w: Any, x: Any, out: Any, beta: Any) -> Any:
    """``tangents of out = beta * tangents of out + w @ tangents of x``; nothing if x has none.

    `w` is a contiguous matrix of floats.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if not _is_factor(w, x) or depth(x.dtype) < depth(out.dtype):
            return context.get_dummy_value()
        factor = context.make_array(w)(context, builder, args[0])
        m, k = cgutils.unpack_tuple(builder, factor.shape, 2)
        by_row = w.layout == "C"
        ahead = (k, k.type(1)) if by_row else (k.type(1), m)
        x_rows, duals, lanes = _rows(context, builder, x, args[1])
        out_rows, _, _ = _rows(context, builder, out, args[2])
        kept = context.cast(builder, args[3], beta, w.dtype)
        done = blocks.multiply(
            builder, blocks.Rows(factor.data, *ahead), x_rows, out_rows, (m, k, duals, lanes), kept
        )
        with builder.if_then(builder.not_(done)):
            # BLAS takes matrices in Fortran order: as it sees them this is out.T = x.T @ w.T
            n = builder.add(builder.mul(builder.sub(duals, duals.type(1)), x_rows.item), lanes)
            kind, transpose = get_blas_kind(w.dtype), "n" if by_row else "t"
            one = context.get_constant(w.dtype, 1.0)
            operands = [
                kind, "n", transpose, n, m, k, one, x_rows.start, _distance(builder, x_rows, n),
                factor.data, k if by_row else m, kept, out_rows.start,
                _distance(builder, out_rows, n),
            ]  # fmt: skip
            _call_gemm(context, builder, operands)
        return context.get_dummy_value()

    return types.void(w, x, out, beta), codegen


@intrinsic
def zero(typingctx: Any, dual: Any) -> Any:
    """Zero as a dual."""
    ty = dual.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.get_value_type(ty)(None)

    return ty(dual), codegen


@intrinsic
def with_value(typingctx: Any, x: Any, value: Any) -> Any:
    """A dual with another value part."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.insert_value(args[0], args[1], 0)

    return x(x, x.base), codegen


def _size(ty: types.Type) -> int:
    """How many floats a number is."""
    return (1 + ty.n) * _size(ty.base) if isinstance(ty, DualType) else 1


def _tangents(a: types.Array, b: types.Array, level: DualType) -> Callable[..., None]:
    """The function that fills an array of duals with a product, given its values."""

    def values_are_plain(array: types.Array) -> bool:
        active = depth(array.dtype) == level.depth
        return array.ndim == 2 and isinstance(level.base if active else array.dtype, types.Float)

    a_active, b_active = (depth(it.dtype) == level.depth for it in (a, b))
    # the product of two series is not linear in their coefficients, and sets are no numbers
    by_blas = not (a_active and b_active and isinstance(level, SeriesType))
    by_blas &= not isinstance(level, PatternType)
    by_blas &= a_active or b_active  # else there is nothing to multiply, but tangents to clear
    by_blas &= (values_are_plain(a) or not b_active) and (values_are_plain(b) or not a_active)
    result, size = row if a.ndim == 1 else column, _size(level)
    most, kept = BLAS_UP_TO if by_blas else -1, 1.0 if b_active else 0.0

    @register_jitable
    def tangents(a: Any, b: Any, x: Any, y: Any, value: Any, out: Any) -> None:
        left, right, values, rows = row(a), column(b), result(value), result(out)
        m, n, k = rows.shape[0], rows.shape[1], left.shape[1]
        # BLAS is called once for the tangents of b, and for each row of a that has tangents
        products = n * k if a_active else m * n * k
        if products < BLAS_FROM or max(m * n, m * k, n * k) * size > most:
            for i in range(m):
                for j in range(n):
                    total = zero(level)
                    for h in range(k):
                        total += left[i, h] * right[h, j]
                    rows[i, j] = with_value(total, values[i, j])
            return
        add_product(x, in_c_order(b), out, 0.0)
        left, factor = in_c_or_fortran_order(left), y.T
        for i in range(m):
            add_product(factor, left[i], rows[i], kept)
        for i in range(m):
            for j in range(n):
                rows[i, j] = with_value(rows[i, j], values[i, j])

    return tangents


# ------------------------------------------------------------------------------------ products


def _level(name: str, *arrays: Any) -> Any:
    """The dual type at which a product differentiates; None if it is none of ours."""
    if not all(isinstance(ty, types.Array) for ty in arrays):
        return None
    level = join([ty.dtype for ty in arrays])
    if level is not None and len({primal(ty.dtype) for ty in arrays}) > 1:
        raise TypingError(f"{name} arguments must all have the same dtype")
    return level


def _inner(a: Any, b: Any, level: DualType) -> Callable[[Any, Any], Any]:
    def inner(a: Any, b: Any) -> Any:
        value = np.dot(value_part(a, level), value_part(b, level))
        total = zero(level)
        for k in range(len(a)):
            total += a[k] * b[k]
        return with_value(total, value)

    return inner


@overload(np.dot, target="cpu")
@overload(operator.matmul, target="cpu")
def _dot(a: Any, b: Any) -> Any:
    level = _level("np.dot()", a, b)
    if level is None or not {a.ndim, b.ndim} <= {1, 2}:
        return None
    if a.ndim == b.ndim == 1:
        return _inner(a, b, level)
    fill = _tangents(a, b, level)

    def dot(a: Any, b: Any) -> Any:
        x, y = value_part(a, level), value_part(b, level)
        value = np.dot(x, y)
        out = np.empty(value.shape, level)
        fill(a, b, x, y, value, out)
        return out

    return dot


@overload(np.vdot, target="cpu")
def _vdot(a: Any, b: Any) -> Any:
    level = _level("np.vdot()", a, b)
    if level is None or not a.ndim == b.ndim == 1:
        return None

    def vdot(a: Any, b: Any) -> Any:
        value = np.vdot(value_part(a, level), value_part(b, level))
        total = zero(level)
        for k in range(len(a)):
            total += np.conj(a[k]) * b[k]
        return with_value(total, value)

    return vdot


@overload(np.dot, target="cpu")
def _dot_into(a: Any, b: Any, out: Any) -> Any:
    level = _level("np.dot()", a, b, out)
    if level is None or {a.ndim, b.ndim} not in ({2}, {1, 2}) or out.layout != "C":
        return None
    if out.dtype != level:
        raise TypingError(f"np.dot() cannot write {level} into {out}")
    fill, base = _tangents(a, b, level), level.base

    def dot(a: Any, b: Any, out: Any) -> Any:
        x, y = value_part(a, level), value_part(b, level)
        value = np.dot(x, y, np.empty(out.shape, base))
        fill(a, b, x, y, value, out)
        return out

    return dot


@register_jitable
def _same(x: Any) -> Any:
    return x


def _in_array(ty: types.Type) -> Callable[[Any], Any]:
    """The function that puts a scalar dual into an array, the only kind that Numba's code takes."""
    if not isinstance(ty, DualType):
        return _same
    item: Any = ty

    @register_jitable
    def in_array(x: Any) -> Any:
        array = np.empty(1, item)
        array[0] = x
        return array

    return in_array


# Of arrays Numba makes an elementwise product, which carries duals; not so of scalars.


@overload(np.outer, target="cpu")
def _outer(a: Any, b: Any) -> Any:
    if not (isinstance(a, DualType) or isinstance(b, DualType)):
        return None
    left, right = _in_array(a), _in_array(b)

    def outer(a: Any, b: Any) -> Any:
        return np.outer(left(a), right(b))

    return outer


@overload(np.outer, target="cpu")
def _outer_into(a: Any, b: Any, out: Any) -> Any:
    if not (isinstance(a, DualType) or isinstance(b, DualType)):
        return None
    left, right = _in_array(a), _in_array(b)

    def outer(a: Any, b: Any, out: Any) -> Any:
        return np.outer(left(a), right(b), out)

    return outer
