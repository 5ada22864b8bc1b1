"""Small helpers of the kernels.

Those that every kernel needs are intrinsics where NumPy or Python has overloads for the same:
compiling these takes a tenth of the time of a small kernel.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.core.imputils import impl_ret_new_ref
from numba.extending import intrinsic, overload, register_jitable

from dualgrad.compile.activity import is_buffer
from dualgrad.compile.promote import as_array_of, each


def _extreme(comparison: str) -> Any:
    @intrinsic
    def extreme(typingctx: Any, *sizes: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            items = [
                context.cast(builder, item, ty, types.intp)
                for item, ty in zip(
                    cgutils.unpack_tuple(builder, args[0], len(sizes)), sizes, strict=True
                )
            ]
            result = items[0]
            for it in items[1:]:
                first = builder.icmp_signed(comparison, result, it)
                result = builder.select(first, result, it)
            return result

        return types.intp(types.StarArgTuple(sizes)), codegen

    return extreme


#: `max` and `min` of sizes.
largest, smallest = _extreme(">"), _extreme("<")


@register_jitable
def place(i: Any, shape: Any) -> Any:
    """Where the item that is the `i`-th in C order is in Fortran order."""
    place, stride = 0, 1
    for axis in range(len(shape)):
        below = 1
        for other in range(axis + 1, len(shape)):
            below *= shape[other]
        place += (i // below) % shape[axis] * stride
        stride *= shape[axis]
    return place


def private(x: Any) -> Any:
    """A copy of a buffer that a sweep may write to; anything else is itself."""
    raise NotImplementedError("only for compiled code")


@overload(private, strict=False)  # strict would compare type hints, which lambdas cannot have
def _private(x: Any) -> Any:
    if isinstance(x, types.Array):
        if x.layout == "A" and isinstance(x.dtype, types.Number):
            item = x.dtype
            return lambda x: as_array_of(x, item)  # a copy that is of any layout, too
        return lambda x: x.copy()
    if isinstance(x, types.List):
        return lambda x: [private(it) for it in x]
    if isinstance(x, types.Set):
        return lambda x: x.copy()
    if isinstance(x, (types.ListType, types.DictType)):
        return _private_items(x)
    if isinstance(x, types.BaseTuple) and is_buffer(x):
        return each(x, "private(x[{}])", {"private": private}, "x")
    if isinstance(x, types.ClassInstanceType):
        return lambda x: _copied_instance(x)
    return lambda x: x


def _private_items(container: Any) -> Any:
    is_list = isinstance(container, types.ListType)
    if not is_buffer(container.item_type if is_list else container.value_type):
        return lambda x: x.copy()

    def list_of_copies(x: Any) -> Any:
        copy = x.copy()
        for k in range(len(copy)):
            copy[k] = private(copy[k])
        return copy

    def dict_of_copies(x: Any) -> Any:
        copy = x.copy()
        for key in x:
            copy[key] = private(x[key])
        return copy

    return list_of_copies if is_list else dict_of_copies


@intrinsic
def _copied_instance(typingctx: Any, instance: Any) -> Any:
    """A copy of an instance of a jitclass, and of all that it holds."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        from numba.experimental.jitclass import base as jitclass  # who passes one has imported it

        fields = instance.get_data_type()
        size = context.get_abi_sizeof(context.get_data_type(fields))
        free = jitclass.imp_dtor(context, builder.module, instance)
        memory = context.nrt.meminfo_alloc_dtor(
            builder, context.get_constant(types.uintp, size), free
        )
        source = context.make_helper(builder, instance, value=args[0])
        copy = context.make_helper(builder, instance)
        copy.meminfo = memory
        data = context.nrt.meminfo_data(builder, memory)
        copy.data = builder.bitcast(data, copy.data.type)
        here, there = (
            context.make_data_helper(builder, fields, ref=it.data) for it in (source, copy)
        )
        for name, ty in instance.struct.items():
            field = jitclass._mangle_attr(name)
            value = context.compile_internal(
                builder, lambda x: private(x), ty(ty), [getattr(here, field)]
            )
            setattr(there, field, value)
        return impl_ret_new_ref(context, builder, instance, copy._getvalue())

    return instance(instance), codegen
