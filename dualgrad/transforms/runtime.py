"""Small helpers of the kernels.

Those that every kernel needs are intrinsics where NumPy or Python has overloads for the same:
compiling these takes a tenth of the time of a small kernel.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic, register_jitable


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
