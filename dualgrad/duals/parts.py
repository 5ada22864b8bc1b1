"""`value` and `tangent`: the parts of a dual, in Python and in compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload

from dualgrad.duals.classes import Duals, wrapped
from dualgrad.duals.convert import raw_of
from dualgrad.duals.storage import dtype_of, is_dual, tangent_of, type_of, value_of
from dualgrad.types import DualType


def value(d: Any) -> Any:
    """The value of a dual number, or of each in an array; a plain number is its own.

    Parameters
    ----------
    d : Dual, DualArray, number or array

    Returns
    -------
    float or ndarray
        For a `DualArray` a view in Python, a copy in `@njit` code. That of a dual of duals is
        dual in Python, and plain in `@njit` code, where it is a constant for all derivatives.

    Raises
    ------
    TypeError
        If `d` is neither a number nor an array of numbers.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> dg.value(dg.seed(np.array([3.0, 4.0])) ** 2)
    array([ 9., 16.])
    """
    if isinstance(d, Duals):
        return d.value
    raw = raw_of(d)
    if is_dual(raw):  # an array of objects
        return wrapped(value_of(raw))
    type_of(raw.dtype)  # raises for what is no number
    return d


def tangent(d: Any) -> Any:
    """The tangents of a dual number, or of each in an array, along a last axis.

    Parameters
    ----------
    d : Dual, DualArray, number or array

    Returns
    -------
    ndarray
        Of shape ``S + (n,)`` where `d` has shape ``S``. Plain numbers have one tangent, zero: it
        has shape ``S + (1,)``, which broadcasts with any number of tangents. For a `DualArray` it
        is a view in Python, a copy in `@njit` code.

    Raises
    ------
    TypeError
        If `d` is neither a number nor an array of numbers.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> dg.tangent(dg.seed(np.array([3.0, 4.0])) ** 2)
    array([[6., 0.],
           [0., 8.]])
    >>> dg.tangent(5.0)
    array([0.])
    """
    raw = raw_of(d)
    if is_dual(raw):
        return wrapped(tangent_of(raw))
    return np.zeros(raw.shape + (1,), dtype_of(type_of(raw.dtype)))


@overload(value, strict=False)
def _value(d: Any) -> Any:
    if isinstance(d, types.Array) and isinstance(d.dtype, DualType):
        from dualgrad.duals.compiled import values_of

        return lambda d: values_of(d)
    if isinstance(d, DualType):
        from dualgrad.conversions import value_of

        if isinstance(d.base, DualType):
            return lambda d: value(value_of(d))
        return lambda d: value_of(d)
    numbers = (types.Number, types.Boolean)
    item = d.dtype if isinstance(d, types.Array) else d
    return (lambda d: d) if isinstance(item, numbers) else None


@overload(tangent, strict=False)
def _tangent(d: Any) -> Any:
    item = d.dtype if isinstance(d, types.Array) else d
    if isinstance(item, DualType):
        from dualgrad.duals.compiled import tangents_of

        return lambda d: tangents_of(d)
    if not isinstance(item, (types.Number, types.Boolean)):
        return None
    dtype = item if isinstance(item, (types.Float, types.Complex)) else types.float64
    if isinstance(d, types.Array):
        return lambda d: np.zeros(d.shape + (1,), dtype)
    return lambda d: np.zeros(1, dtype)
