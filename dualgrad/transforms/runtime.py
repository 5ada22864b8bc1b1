"""Small helpers of the kernels.

Those that every kernel needs are intrinsics where NumPy or Python has overloads for the same:
compiling these takes a tenth of the time of a small kernel.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic, overload, register_jitable

from dualgrad.compile.activity import is_buffer
from dualgrad.compile.promote import as_array_of


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
        return lambda x: list(x)
    if isinstance(x, types.BaseTuple) and is_buffer(x):
        return lambda x: (private(x[0]), *private(x[1:]))
    return lambda x: x
