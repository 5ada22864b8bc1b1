"""Sums, products, means and extremes of arrays of duals: Numba's own loops, in its own order."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.imputils import lower_constant
from numba.np import arraymath
from numba.np.numpy_support import is_nonelike

from dualgrad import lanes
from dualgrad.arrays.borrow import borrow, dual_overload
from dualgrad.generated import generated
from dualgrad.types import DualType

borrow(arraymath.npy_min, np.min)
borrow(arraymath.npy_max, np.max)
borrow(arraymath.array_prod, np.prod)
borrow(arraymath.array_cumprod, np.cumprod)
borrow(arraymath.array_mean, np.mean)
borrow(arraymath.array_std, np.std)
borrow(arraymath.np_nansum, np.nansum)
borrow(arraymath.np_nanprod, np.nanprod)
borrow(arraymath.np_nanmin, np.nanmin)
borrow(arraymath.np_nanmax, np.nanmax)
borrow(arraymath.np_nancumsum, np.nancumsum)
borrow(arraymath.np_nancumprod, np.nancumprod)
borrow(arraymath._early_return_impl, arraymath._early_return)  # what np.ptp does with nan


@lower_constant(DualType)
def _constant(context: Any, builder: Any, ty: Any, value: Any) -> Any:
    """A dual without tangents. `np.sum` and `np.cumsum` start at one."""
    base = context.get_constant_generic(builder, ty.base, value)
    return ir.Constant(context.get_value_type(ty), [base, lanes.zero(context, ty.lanes)])


@dual_overload(np.sum)
def _sum_of_a_number(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    """Numba 0.67 sums a number by a dtype that a dual has not."""
    if isinstance(a, DualType) and is_nonelike(axis) and is_nonelike(dtype):
        return lambda a, axis=None, dtype=None: a
    return None


def _fold(function: Any) -> None:
    """Python's `min` or `max` of a tuple or of more than two numbers, from that of two."""

    @dual_overload(function)
    def typer(*items: Any) -> Any:
        one_tuple = len(items) == 1 and isinstance(items[0], types.BaseTuple)
        numbers = tuple(items[0]) if one_tuple else items
        if len(numbers) < 2 + (not one_tuple):
            return None
        if not all(isinstance(ty, (types.Number, types.Boolean)) for ty in numbers):
            return None
        prefix = "items[0]" if one_tuple else "items"
        source = f"{prefix}[0]"
        for k in range(1, len(numbers)):
            source = f"function({source}, {prefix}[{k}])"
        return generated(f"lambda *items: {source}", function=function)


for _function in (min, max):
    _fold(_function)
