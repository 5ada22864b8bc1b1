"""Results that are longer than caches are written past them.

An ordinary store reads the line of the cache that it writes to first, which for a Jacobian of many
megabytes takes longer than all else. Stores past the cache write whole lines: pieces of a row
must begin where a line does, so the first lanes of the first sweep may be no columns at all.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_new_ref
from numba.extending import intrinsic

from dualgrad.layout import LINE, X86_64, in_vectors
from dualgrad.pages import new_array
from dualgrad.types import DualType

#: Bytes from which a result is written past the caches, of which cores have some tens of megabytes.
STREAMED = 16 * 2**20


@intrinsic
def empty(typingctx: Any, shape: Any, dtype: Any) -> Any:
    """`np.empty` in C order, of a size or a tuple of sizes, from the start of a line on."""
    sizes = list(shape) if isinstance(shape, types.BaseTuple) else [shape]
    result = types.Array(dtype.instance_type, len(sizes), "C")

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        alone = not isinstance(shape, types.BaseTuple)
        given = [args[0]] if alone else cgutils.unpack_tuple(builder, args[0], len(sizes))
        cast = [
            context.cast(builder, size, ty, types.intp)
            for size, ty in zip(given, sizes, strict=True)
        ]
        array = new_array(context, builder, result, cast, LINE)
        return impl_ret_new_ref(context, builder, result, array._getvalue())

    return result(shape, dtype), codegen


def is_streamed(item: Any, d: Any) -> bool:
    """Whether lanes of a dual are lines of the cache in an array of such items."""
    of_floats = isinstance(d, DualType) and isinstance(d.base, types.Float)
    return of_floats and item == d.base and d.n * d.base.bitwidth % (8 * LINE) == 0


@intrinsic
def columns_before(typingctx: Any, out: Any, row: Any) -> Any:
    """How many items a row of a long matrix has from the start of a line to its first.

    Zero if rows begin at different places of a line.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = context.make_array(out)(context, builder, args[0])
        place = builder.urem(builder.ptrtoint(array.data, args[1].type), args[1].type(LINE))
        items = builder.udiv(place, array.itemsize)
        alike = _in_lines(context, builder, array, args[1])
        return builder.select(alike, items, items.type(0))

    return types.intp(out, types.intp), codegen


def _in_lines(context: Any, builder: Any, array: Any, row: Any) -> Any:
    """Whether an array is long, and its rows are whole lines."""
    intp = row.type
    size = builder.mul(array.nitems, array.itemsize)
    is_long = builder.icmp_signed(">=", size, intp(STREAMED))
    rest = builder.urem(builder.mul(row, array.itemsize), intp(LINE))
    return builder.and_(is_long, builder.icmp_signed("==", rest, intp(0)))


@intrinsic
def streams(typingctx: Any, out: Any, row: Any, offset: Any) -> Any:
    """Whether to write past the caches from item `offset` of each row on."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = context.make_array(out)(context, builder, args[0])
        begin = builder.ptrtoint(builder.gep(array.data, [args[2]]), args[1].type)
        rest = builder.urem(begin, begin.type(LINE))
        at_line = builder.icmp_signed("==", rest, rest.type(0))
        return builder.and_(_in_lines(context, builder, array, args[1]), at_line)

    return types.boolean(out, types.intp, types.intp), codegen


@intrinsic
def stream_lanes(typingctx: Any, out: Any, offset: Any, d: Any) -> Any:
    """Copy all lanes to a C-contiguous array past the caches, from item `offset`, at a line."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = context.make_array(out)(context, builder, args[0])
        target, past = builder.gep(array.data, [args[1]]), ir.IntType(32)(1)
        past = builder.module.add_metadata([past])
        for vector in in_vectors(builder, d.lanes, builder.extract_value(args[2], 1)):
            pointer = builder.bitcast(target, vector.type.as_pointer())
            builder.store(vector, pointer, align=LINE).set_metadata("nontemporal", past)
            target = builder.gep(target, [args[1].type(vector.type.count)])
        return context.get_dummy_value()

    return types.void(out, types.intp, d), codegen


@intrinsic
def end_stream(typingctx: Any) -> Any:
    """Let other threads see what was written past the caches before what is written from now on."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if X86_64:  # where else is weak order, fences are usual
            kind = ir.FunctionType(ir.VoidType(), [])
            fence = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse.sfence")
            builder.call(fence, [])
        return context.get_dummy_value()

    return types.void(), codegen
