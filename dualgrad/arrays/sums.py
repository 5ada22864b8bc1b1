"""Array expressions whose items are added up where they are made: no array of them is."""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

import numpy as np
from numba.core import cgutils, types
from numba.core.typing import signature
from numba.np import npyimpl

from dualgrad.calls import pack
from dualgrad.lanes import zero
from dualgrad.types import primal


class TotalType(types.Array):
    """The type of an array of which only the sum is made, or the mean; it is no type of values."""

    def __init__(self, array: types.Array, kind: str) -> None:
        self.kind = kind
        super().__init__(array.dtype, array.ndim, array.layout, name=f"{kind} of {array}")

    @property
    def key(self) -> Any:
        """What it is told from others by."""
        return self.kind, super().key


class _Total:
    """What takes the place of an array that a loop writes to."""

    def __init__(self, context: Any, builder: Any, ty: TotalType, shape: list[Any]) -> None:
        self.context, self.builder, self.ty, self.shape = context, builder, ty, shape
        self.base_type = dual = ty.dtype
        nothing = context.get_constant_generic(builder, dual.base, 0)
        nothing = pack(context, builder, dual, nothing, zero(context, dual.lanes))
        self.sum = cgutils.alloca_once_value(builder, nothing)

    def store_data(self, indices: Any, item: Any) -> None:
        """Add the next item."""
        builder, dual = self.builder, self.base_type
        function = self.context.typing_context.resolve_value_type(operator.iadd)
        call = function.get_call_type(self.context.typing_context, (dual, dual), {})
        add = self.context.get_function(function, call)
        builder.store(add(builder, (builder.load(self.sum), item)), self.sum)

    @property
    def return_val(self) -> Any:
        """The sum of all items, or their mean as Numba computes it."""
        total = self.builder.load(self.sum)
        if self.ty.kind == "sum":
            return total
        dtype = np.dtype(str(primal(self.base_type)))
        nan = dtype.type(complex(np.nan, np.nan) if dtype.kind == "c" else np.nan)

        def mean(total: Any, size: int) -> Any:
            return nan if size == 0 else total / size  # rounded to the type of the result

        size = reduce(self.builder.mul, self.shape)
        of_size = signature(self.base_type, self.base_type, types.intp)
        return self.context.compile_internal(self.builder, mean, of_size, (total, size))


def broadcast(context: Any, builder: Any, ndim: int, shapes: list[Any]) -> list[Any]:
    """The shape of a loop over arrays of some shapes, as NumPy has it."""
    intp = context.get_value_type(types.intp)
    found = [intp(1)] * ndim
    for k, shape in enumerate(shapes):
        for axis, size in enumerate(shape, ndim - len(shape)):
            is_new = builder.icmp_signed("==", found[axis], intp(1))
            same = builder.icmp_signed("==", found[axis], size)
            fits = builder.or_(same, builder.icmp_signed("==", size, intp(1)))
            with cgutils.if_unlikely(builder, builder.not_(builder.or_(is_new, fits))):
                message = f"unable to broadcast argument {k} to output array"
                context.call_conv.return_user_exc(builder, ValueError, (message,))
            found[axis] = builder.select(is_new, size, found[axis])
    return found


_build_array = npyimpl._build_array


def _build(context: Any, builder: Any, ty: Any, input_types: Any, inputs: Any) -> Any:
    """Let a loop add up what it would write."""
    if not isinstance(ty, TotalType):
        return _build_array(context, builder, ty, input_types, inputs)
    shapes = [getattr(it, "shape", ()) for it in inputs]
    return _Total(context, builder, ty, broadcast(context, builder, ty.ndim, shapes))


npyimpl._build_array = _build
