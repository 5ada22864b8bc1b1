"""New arrays of duals: literals, copies of numbers, and ranges with active ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.core.typing import npydecl
from numba.np import arraymath, arrayobj

from dualgrad.arrays.borrow import borrow, dual_overload, level_of
from dualgrad.pages import new_array
from dualgrad.types import DualType, over

borrow(arrayobj.numpy_linspace, np.linspace)
borrow(arrayobj.np_arange, np.arange)
borrow(arrayobj.numpy_eye, np.eye)
borrow(arrayobj.impl_np_identity, np.identity)
borrow(arraymath.np_kaiser, np.kaiser, helpers="_i0n")


@dual_overload(np.asarray)
def _asarray(a: Any, dtype: Any = None) -> Any:
    if not isinstance(a, (types.Number, types.Boolean)):
        return None
    item = a if arrayobj.is_nonelike(dtype) else dtype.instance_type

    def asarray(a: Any, dtype: Any = None) -> Any:
        array = np.empty((), item)
        array[()] = a
        return array

    return asarray


@dual_overload(np.full_like)
def _full_like(a: Any, fill_value: Any, dtype: Any = None) -> Any:
    """The dtype is that of `a`, and dual where the number to fill with is."""
    level = level_of(fill_value)
    if level is None or not arrayobj.is_nonelike(dtype):
        return None
    item = getattr(a, "dtype", a)
    if not isinstance(item, (types.Float, types.Complex)):
        return None  # a dual already, or an integer
    dual: Any = over(level, item)
    return lambda a, fill_value, dtype=None: np.full_like(a, fill_value, dual)


_parse_nested_sequence = npydecl._parse_nested_sequence


def _parse(context: Any, ty: Any) -> Any:
    """Let the items of a literal be duals, which are no NumPy dtype."""
    return (0, ty) if isinstance(ty, DualType) else _parse_nested_sequence(context, ty)


npydecl._parse_nested_sequence = arrayobj._parse_nested_sequence = _parse

_empty_nd_impl = arrayobj._empty_nd_impl


def _new(context: Any, builder: Any, ty: Any, shape: Any) -> Any:
    """Allocate arrays of duals as ours are: the long ones in huge pages."""
    allocate = new_array if isinstance(ty.dtype, DualType) else _empty_nd_impl
    return allocate(context, builder, ty, shape)


arrayobj._empty_nd_impl = arraymath._empty_nd_impl = _new
