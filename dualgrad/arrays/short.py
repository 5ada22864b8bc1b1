"""Short arrays on the stack: nothing is allocated, and LLVM keeps their items in registers.

They are arrays like others, but that nothing counts who refers to them: `compile.short` knows which
end with the function that makes them.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic
from numba.np import arrayobj, npyimpl

from dualgrad.arrays.sums import broadcast
from dualgrad.layout import LINE


def _on_stack(context: Any, builder: Any, ty: types.Array, size: int) -> Any:
    """Emit an array with one axis, whose items are not set."""
    stored, intp = context.get_data_type(ty.dtype), context.get_value_type(types.intp)
    slot = cgutils.alloca_once(builder, ir.ArrayType(stored, size))
    slot.align = LINE
    array = context.make_array(ty)(context, builder)
    itemsize = intp(context.get_abi_sizeof(stored))
    arrayobj.populate_array(
        array, data=builder.bitcast(slot, stored.as_pointer()), shape=[intp(size)],
        strides=[itemsize], itemsize=itemsize, meminfo=None,
    )  # fmt: skip
    return array


@intrinsic(prefer_literal=True)
def on_stack(typingctx: Any, size: Any, item: Any) -> Any:
    """An array of so many items, which are not set."""
    ty = types.Array(item.instance_type, 1, "C")

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _on_stack(context, builder, ty, size.literal_value)._getvalue()

    return ty(size, item), codegen


@intrinsic(prefer_literal=True)
def zeros_on_stack(typingctx: Any, size: Any, item: Any) -> Any:
    """The same, filled with zeros."""
    ty = types.Array(item.instance_type, 1, "C")

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = _on_stack(context, builder, ty, size.literal_value)
        cgutils.memset(builder, array.data, builder.mul(array.itemsize, array.nitems), 0)
        return array._getvalue()

    return ty(size, item), codegen


@intrinsic
def gathered(typingctx: Any, items: Any) -> Any:
    """The items of a tuple as an array; an array is one already."""
    if isinstance(items, types.Array):
        return items(items), lambda context, builder, sig, args: impl_ret_borrowed(
            context, builder, items, args[0]
        )
    ty = types.Array(items.dtype, 1, "C")

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = _on_stack(context, builder, ty, len(items))
        _fill(context, builder, ty, array, args[0])
        return array._getvalue()

    return ty(items), codegen


@intrinsic
def gather(typingctx: Any, array: Any, items: Any) -> Any:
    """Write the items of a tuple into an array in C order that has as many."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _fill(
            context, builder, array, context.make_array(array)(context, builder, args[0]), args[1]
        )
        return context.get_dummy_value()

    return types.void(array, items), codegen


def _fill(context: Any, builder: Any, ty: types.Array, array: Any, items: Any) -> None:
    for k, item in enumerate(cgutils.unpack_tuple(builder, items)):
        pointer = cgutils.gep_inbounds(builder, array.data, k)
        arrayobj.store_item(context, builder, ty, item, pointer)


class ShortType(types.Array):
    """What Numba is told of the result of an array expression that has so many items."""

    def __init__(self, array: types.Array, size: int) -> None:
        self.array, self.size = array, size
        super().__init__(array.dtype, 1, "C", name=f"{size} items of {array}")

    @property
    def key(self) -> Any:
        """What it is told from others by."""
        return self.size, super().key


_build_array = npyimpl._build_array


def _build(context: Any, builder: Any, ty: Any, input_types: Any, inputs: Any) -> Any:
    """Let a loop write to the stack, as many times as its operands are known to have items."""
    if not isinstance(ty, ShortType):
        return _build_array(context, builder, ty, input_types, inputs)
    shapes = [getattr(it, "shape", ()) for it in inputs]
    [size] = broadcast(context, builder, 1, shapes)
    with cgutils.if_unlikely(builder, builder.icmp_signed("!=", size, size.type(ty.size))):
        message = "an array has another length than when its code was looked at"
        context.call_conv.return_user_exc(builder, RuntimeError, (message,))
    array = _on_stack(context, builder, ty.array, ty.size)
    return npyimpl._prepare_argument(context, builder, array._getvalue(), ty.array, "output")


npyimpl._build_array = _build
