"""What a program can learn of the memory of an array: as it is for floats, or refused.

An item of an array of duals is longer than a float. Sizes and strides in bytes are those of the
floats, and a view by strides takes them as such; what reads the bytes themselves is refused.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.core.imputils import lower_builtin, lower_getattr
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic
from numba.np import arrayobj

from dualgrad.types import DualType, primal

#: attributes and methods that give away the bytes
_BYTES = frozenset("view tobytes ctypes data __hash__".split())


@infer_getattr
class DualMemory(AttributeTemplate):
    """Refuses what reads the bytes of an array of duals."""

    key = types.Array
    metadata = {"target": "cpu"}

    def resolve(self, value: Any, attr: Any) -> Any:
        if attr in _BYTES and isinstance(value.dtype, DualType):
            raise TypingError(f"the bytes of an array (.{attr}) carry no derivatives")
        return None


_frombuffer = arrayobj.np_frombuffer._defn


@intrinsic
def _guarded_frombuffer(
    typingctx: Any, buffer: Any, dtype: Any, count: Any, offset: Any, retty: Any
) -> Any:
    if isinstance(getattr(buffer, "dtype", None), DualType):
        raise TypingError("the bytes of an array (np.frombuffer) carry no derivatives")
    return _frombuffer(typingctx, buffer, dtype, count, offset, retty)


arrayobj.np_frombuffer = _guarded_frombuffer


def _sizes(context: Any, ty: Any) -> tuple[int, int]:
    """The sizes of an item and of its value at the bottom."""
    return tuple(
        context.get_abi_sizeof(context.get_data_type(it)) for it in (ty.dtype, primal(ty.dtype))
    )


# A later lowering for the same type replaces the earlier one, which is Numba's.


@lower_getattr(types.Array, "itemsize")
def _itemsize(context: Any, builder: Any, ty: Any, value: Any) -> Any:
    if not isinstance(ty.dtype, DualType):
        return arrayobj.array_itemsize(context, builder, ty, value)
    return context.get_constant(types.intp, _sizes(context, ty)[1])


@lower_getattr(types.Array, "nbytes")
def _nbytes(context: Any, builder: Any, ty: Any, value: Any) -> Any:
    if not isinstance(ty.dtype, DualType):
        return arrayobj.array_nbytes(context, builder, ty, value)
    array = context.make_array(ty)(context, builder, value)
    size = context.get_constant(types.intp, _sizes(context, ty)[1])
    return builder.mul(array.nitems, size)


@lower_getattr(types.Array, "strides")
def _strides(context: Any, builder: Any, ty: Any, value: Any) -> Any:
    if not isinstance(ty.dtype, DualType):
        return arrayobj.array_strides(context, builder, ty, value)
    array = context.make_array(ty)(context, builder, value)
    whole, part = (context.get_constant(types.intp, n) for n in _sizes(context, ty))
    strides = cgutils.unpack_tuple(builder, array.strides, ty.ndim)
    return cgutils.pack_array(
        builder, [builder.mul(builder.sdiv(stride, whole), part) for stride in strides]
    )


@lower_builtin(arrayobj.reshape_unchecked, types.Array, types.BaseTuple, types.BaseTuple)
def _reshape_unchecked(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    """What `as_strided` and `sliding_window_view` make their views by."""
    ty = sig.args[0]
    if isinstance(ty.dtype, DualType):
        whole, part = (context.get_constant(types.intp, n) for n in _sizes(context, ty))
        strides = cgutils.unpack_tuple(builder, args[2])
        scaled = [builder.sdiv(builder.mul(stride, whole), part) for stride in strides]
        args = [*args[:2], cgutils.pack_array(builder, scaled)]
        sig = sig.replace(args=(*sig.args[:2], types.UniTuple(types.intp, len(scaled))))
    return arrayobj.impl_shape_unchecked(context, builder, sig, args)
