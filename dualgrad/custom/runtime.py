"""What a function with a rule of its own does with lanes at run time."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_new_ref
from numba.extending import intrinsic, register_jitable

from dualgrad.arrays.views import strided_part
from dualgrad.calls import pack
from dualgrad.conversions import is_nonzero
from dualgrad.lanes import spilled
from dualgrad.pages import new_array

# Lanes of a number that a loop goes over lie in memory of the kernel's own, on its stack: only
# the source of a kernel may call these, not a function that it calls.


@intrinsic
def lanes_of(typingctx: Any, d: Any) -> Any:
    """The lanes of a dual in memory."""
    result = types.CPointer(d.base)
    return result(d), lambda context, builder, sig, args: spilled(context, builder, d, args[0])


@intrinsic
def no_lanes(typingctx: Any, dual: Any) -> Any:
    """Memory for the lanes of a dual, all zero."""
    ty = dual.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        base = context.get_data_type(ty.base)
        slot = cgutils.alloca_once(builder, ir.ArrayType(base, ty.n))
        builder.store(ir.Constant(slot.type.pointee, None), slot)
        return builder.bitcast(slot, base.as_pointer())

    return types.CPointer(ty.base)(dual), codegen


@intrinsic
def get_lane(typingctx: Any, memory: Any, k: Any) -> Any:
    """The `k`-th of some lanes in memory."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.unpack_value(builder, memory.dtype, builder.gep(args[0], [args[1]]))

    return memory.dtype(memory, types.intp), codegen


@intrinsic
def put_lane(typingctx: Any, memory: Any, k: Any, number: Any) -> Any:
    """Set the `k`-th of some lanes in memory."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        item = context.cast(builder, args[2], number, memory.dtype)
        context.pack_value(builder, memory.dtype, item, builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(memory, types.intp, number), codegen


@intrinsic
def dual_of(typingctx: Any, value: Any, memory: Any, dual: Any) -> Any:
    """The dual of a value and its lanes in memory."""
    ty = dual.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        model = context.data_model_manager[ty.lanes]
        data = builder.bitcast(args[1], model.get_data_type().as_pointer())
        tangents = model.load_from_data_pointer(builder, data)
        value_in = context.cast(builder, args[0], value, ty.base)
        return pack(context, builder, ty, value_in, tangents)

    return ty(value, memory, dual), codegen


@intrinsic
def lane_view(typingctx: Any, duals: Any, k: Any) -> Any:
    """Lane `k` of an array of duals: a strided view of the same memory."""
    result = duals.copy(dtype=duals.dtype.base, layout="A")

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        index = builder.add(args[1], args[1].type(1))
        return strided_part(context, builder, duals, result, args[0], index)

    return result(duals, types.intp), codegen


@intrinsic
def zeros_for(typingctx: Any, array: Any, ty: Any) -> Any:
    """A new array of a type, of the shape of another, with all bits zero."""
    result = ty.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source = context.make_array(array)(context, builder, args[0])
        shape = cgutils.unpack_tuple(builder, source.shape, array.ndim)
        new = new_array(context, builder, result, shape)
        cgutils.memset(builder, new.data, builder.mul(new.itemsize, new.nitems), 0)
        return impl_ret_new_ref(context, builder, result, new._getvalue())

    return result(array, ty), codegen


@register_jitable
def any_nonzero(array: Any) -> Any:
    """Whether any item is not zero."""
    for index in np.ndindex(array.shape):  # noqa: SIM110  (Numba has no generators in `any`)
        if is_nonzero(array[index]):
            return True
    return False


@register_jitable
def differ(u: Any, v: Any) -> Any:
    """Whether two arrays of the same shape differ; nan is equal to nan."""
    for index in np.ndindex(u.shape):
        a, b = u[index], v[index]
        if a != b and not (a != a and b != b):
            return True
    return False
