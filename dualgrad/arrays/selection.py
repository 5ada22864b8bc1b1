"""Selecting among items: `np.where`, `np.clip`, `np.round`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload, register_jitable
from numba.np import arraymath, arrayobj

from dualgrad.arrays.borrow import borrow, dual_overload, level_of
from dualgrad.arrays.values import values
from dualgrad.conversions import value_of
from dualgrad.types import DualType, over

borrow(arraymath.ov_np_where_x_y, np.where)


@dual_overload(np.clip)
def _clip(a: Any, a_min: Any, a_max: Any, out: Any = None) -> Any:
    """Numba's code where bounds are numbers; its code for arrays wants one dtype for all.

    The result has the dtype of `a`.
    """
    level = level_of(a, a_min, a_max)
    if level is None or not isinstance(a, types.Array):
        return None
    if not isinstance(a.dtype, DualType):
        if not isinstance(a.dtype, types.Float):
            return None  # the result holds integers
        dual = over(level, a.dtype)
        return lambda a, a_min, a_max, out=None: np.clip(a.astype(dual), a_min, a_max, out)
    if any(isinstance(bound, types.Array) for bound in (a_min, a_max)):
        if arrayobj.is_nonelike(a_min):
            return _clip_between_arrays(_HIGH)
        return _clip_between_arrays(_LOW if arrayobj.is_nonelike(a_max) else _BOTH)
    return arrayobj.np_clip(a, a_min, a_max, out)


def _clip_between_arrays(clamp: Any) -> Any:
    def clip(a, a_min, a_max, out=None):  # type: ignore[no-untyped-def]
        low, high = _bound(a, a_min), _bound(a, a_max)
        shape = np.broadcast_shapes(a.shape, low.shape, high.shape)
        if out is None and shape != a.shape:
            raise IndexError("clip: the bounds have a larger shape than the array")
        if out is not None and out.shape != shape:
            raise ValueError("clip: the shape of `out` is not that of the result")
        result = np.empty_like(a) if out is None else out
        items = np.broadcast_to(a, shape)
        low, high = np.broadcast_to(low, shape), np.broadcast_to(high, shape)
        for index in np.ndindex(shape):
            result[index] = clamp(items[index], low[index], high[index])
        return result

    return clip


_BOTH = register_jitable(lambda item, low, high: min(max(item, low), high))
_LOW = register_jitable(lambda item, low, high: max(item, low))
_HIGH = register_jitable(lambda item, low, high: min(item, high))


def _bound(a: Any, bound: Any) -> Any:
    """A bound as an array; where there is none, the items stand in."""
    raise NotImplementedError("only for compiled code")


@overload(_bound)
def _bound_overload(a, bound):  # type: ignore[no-untyped-def]
    if isinstance(bound, types.Array):
        return lambda a, bound: bound
    if arrayobj.is_nonelike(bound):
        return lambda a, bound: a
    if isinstance(bound, DualType):
        return lambda a, bound: np.full_like(a, bound)
    # it stays constant: at a tie of an active number with a constant the derivative is zero
    return lambda a, bound: np.full_like(values(a), bound)


@dual_overload(np.round, np.around)
def _round(a: Any, decimals: Any = 0, out: Any = None) -> Any:
    """A rounded number is constant. Arrays are rounded number by number by Numba's code."""
    if not isinstance(a, DualType) or not arrayobj.is_nonelike(out):
        return None
    return lambda a, decimals=0, out=None: np.round(value_of(a), decimals)
