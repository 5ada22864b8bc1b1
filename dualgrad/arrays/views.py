"""An array of duals and its floats are the same memory: views from one to the other."""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic
from numba.np import arrayobj


@intrinsic
def as_duals(typingctx: Any, floats: Any, dual: Any) -> Any:
    """View a C-contiguous float array of shape ``S + (1 + n,)`` as duals of shape ``S``."""
    ty = dual.instance_type
    result = types.Array(ty, floats.ndim - 1, "C")

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _reshaped(context, builder, floats, result, args[0])

    return result(floats, dual), codegen


@intrinsic
def as_floats(typingctx: Any, duals: Any) -> Any:
    """View a C-contiguous array of duals of shape ``S`` as floats of shape ``S + (1 + n,)``."""
    result = types.Array(duals.dtype.base, duals.ndim + 1, "C")

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _reshaped(context, builder, duals, result, args[0])

    return result(duals), codegen


def _reshaped(context: Any, builder: Any, source: Any, target: Any, value: Any) -> Any:
    """The same memory as an array of another item size, its last axis split off or merged."""
    array = context.make_array(source)(context, builder, value)
    view = context.make_array(target)(context, builder)
    intp = context.get_value_type(types.intp)
    shape = cgutils.unpack_tuple(builder, array.shape, source.ndim)
    strides = cgutils.unpack_tuple(builder, array.strides, source.ndim)
    itemsize = intp(context.get_abi_sizeof(context.get_data_type(target.dtype)))
    if target.ndim > source.ndim:
        shape, strides = [*shape, intp(1 + source.dtype.n)], [*strides, itemsize]
    else:
        shape, strides = shape[:-1], strides[:-1]
    arrayobj.populate_array(
        view,
        data=builder.bitcast(array.data, view.data.type),
        shape=shape,
        strides=strides,
        itemsize=itemsize,
        meminfo=array.meminfo,
        parent=array.parent,
    )
    return impl_ret_borrowed(context, builder, target, view._getvalue())


def strided_part(
    context: Any, builder: Any, source: Any, target: Any, value: Any, index: Any
) -> Any:
    """One base number of each dual of an array, in place: 0 is the value, then come the lanes."""
    array = context.make_array(source)(context, builder, value)
    view = context.make_array(target)(context, builder)
    data = builder.bitcast(array.data, view.data.type)
    itemsize = context.get_abi_sizeof(context.get_data_type(target.dtype))
    arrayobj.populate_array(
        view,
        data=builder.gep(data, [index]),
        shape=cgutils.unpack_tuple(builder, array.shape, source.ndim),
        strides=cgutils.unpack_tuple(builder, array.strides, source.ndim),
        itemsize=context.get_constant(types.intp, itemsize),
        meminfo=array.meminfo,
        parent=array.parent,
    )
    return impl_ret_borrowed(context, builder, target, view._getvalue())
