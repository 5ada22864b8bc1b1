"""Plain compiled helpers of the kernels."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import overload, register_jitable

from dualgrad.compile.activity import is_buffer
from dualgrad.compile.promote import as_array_of


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
