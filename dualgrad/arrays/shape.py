"""Arrays made from the items of others, where Numba asks what dtype they have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.np import arraymath, arrayobj

from dualgrad.arrays.borrow import borrow, dual_overload, level_of
from dualgrad.arrays.values import values
from dualgrad.types import DualType, over

borrow(arraymath.np_vander, np.vander)
borrow(arraymath._cross_impl, arraymath._cross)
borrow(arraymath.np_fill_diagonal, np.fill_diagonal)
borrow(arraymath.numpy_unwrap, np.unwrap)
borrow(arraymath.ov_np_angle, np.angle)
borrow(arrayobj.nan_to_num_impl, np.nan_to_num)
borrow(arraymath.ol_np_finfo, np.finfo)  # the largest number, for `nan_to_num`


@dual_overload(arraymath._asarray)
def _asarray(x: Any) -> Any:
    """A number as an array of one item, by which Numba's code takes numbers for arrays."""
    if not isinstance(x, DualType):
        return None
    item: Any = x

    def asarray(x: Any) -> Any:
        array = np.empty(1, item)
        array[0] = x
        return array

    return asarray


borrow(arraymath.np_ediff1d, np.ediff1d)


@dual_overload(np.ediff1d)
def _ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Of an array of numbers: the result has its dtype, so it becomes dual with the ends."""
    if not isinstance(ary, types.Array) or not isinstance(ary.dtype, types.Float):
        return None
    dual: Any = over(level_of(to_end, to_begin), ary.dtype)
    return lambda ary, to_end=None, to_begin=None: np.ediff1d(ary.astype(dual), to_end, to_begin)


@dual_overload(np.insert)
def _insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """Into an array of numbers: the result has its dtype, so it becomes dual with the values."""
    if not isinstance(arr, types.Array) or not isinstance(arr.dtype, types.Float):
        return None
    dual: Any = over(level_of(values), arr.dtype)
    return lambda arr, obj, values, axis=None: np.insert(arr.astype(dual), obj, values, axis)


@dual_overload(np.trim_zeros)
def _trim_zeros(filt: Any, trim: Any = "fb") -> Any:
    """A slice, as long as that of the values. Numba's code compares items with strings."""
    if not isinstance(filt, types.Array):
        return None

    def trim_zeros(filt: Any, trim: Any = "fb") -> Any:
        first, last, sides = 0, len(filt), trim.lower()
        if "f" in sides:
            first = last - len(np.trim_zeros(values(filt), "f"))
        if "b" in sides:
            last = len(np.trim_zeros(values(filt), "b"))
        return filt[first:last]

    return trim_zeros
