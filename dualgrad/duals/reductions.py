"""Reductions: extrema, products, variances, and those that leave nan out.

These are formulas for tangents alone; values are computed by NumPy (`formulas.with_value`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy

from dualgrad.duals.classes import plain, wrapped
from dualgrad.duals.convert import raw_of

np: Any = numpy  # whose type hints know nothing of duals


def _axes(a: Any, axis: Any) -> tuple[int, ...]:
    if axis is None or a.ndim == 0:
        return tuple(range(a.ndim))
    return tuple(k % a.ndim for k in (axis if isinstance(axis, tuple) else (axis,)))


def _over_rows(reduce_rows: Callable[..., Any]) -> Callable[..., Any]:
    """A reduction of any axes from one of the first axis.

    It is given the rows, which of their items count (None for all), and the initial number.
    """

    def reduction(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
        initial: Any = None, where: Any = True,
    ) -> Any:  # fmt: skip
        raw = raw_of(a)
        axes = _axes(raw, axis)
        kept = [k for k in range(raw.ndim) if k not in axes]
        shape = [math.prod(raw.shape[k] for k in axes), *(raw.shape[k] for k in kept)]

        def in_rows(it: Any) -> Any:
            return it.transpose(*axes, *kept).reshape(shape)

        mask = None if where is True else in_rows(np.broadcast_to(plain(where), raw.shape))
        result = reduce_rows(wrapped(in_rows(raw)), mask, initial)
        return np.expand_dims(result, axes) if keepdims else result

    return reduction


def extremum(argmost: Any) -> Callable[..., Any]:
    """The item that is the largest, or smallest; with `initial` one item more."""

    def most(rows: Any, mask: Any, initial: Any) -> Any:
        if initial is not None:
            first = np.broadcast_to(initial, (1, *rows.shape[1:]))
            counted = rows if mask is None else np.where(mask, rows, initial)
            rows = np.concatenate([first, counted])
        index = argmost(plain(rows), axis=0, keepdims=True)
        return wrapped(np.take_along_axis(raw_of(rows), index, 0)[0])

    reduction = _over_rows(most)

    def of_method(a: Any, axis: Any = None, out: Any = None, *args: Any, **kws: Any) -> Any:
        return reduction(a, axis, None, out, *args, **kws)

    return of_method


def folded(ufunc: Any) -> Callable[..., Any]:
    """``ufunc.reduce``: a ufunc of what came before and the next row."""

    def fold(rows: Any, mask: Any, initial: Any) -> Any:
        start = ufunc.identity if initial is None else initial
        if start is None:
            total, rows = rows[0], rows[1:]  # there is no mask then
        else:
            total = np.zeros(rows.shape[1:]) + start
        for k, row in enumerate(rows):
            step = ufunc(total, row)
            total = step if mask is None else np.where(mask[k], step, total)
        return total

    return _over_rows(fold)


prod = folded(np.multiply)


def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Products of all items so far."""
    a = wrapped(raw_of(a))
    if axis is None or a.ndim == 0:
        a, axis = np.ravel(a), 0
    return np.multiply.accumulate(a, axis)


def var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0,
    keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """The mean of squared distances from the mean; `correction` is a newer name of `ddof`."""
    a = wrapped(raw_of(a))
    counts = np.broadcast_to(plain(where), a.shape)
    if mean is None:
        mean = np.mean(a, axis=axis, keepdims=True, where=counts)
    d = a - mean
    total = np.sum((d * np.conjugate(d)).real, axis=axis, keepdims=keepdims, where=counts)
    number = np.sum(counts, axis=axis, keepdims=keepdims)
    return total / (number - (ddof if correction is None else correction))


def std(*args: Any, **kws: Any) -> Any:
    """The square root of `var`, of its parameters."""
    return np.sqrt(var(*args, **kws))


def without_nan(reduction: Callable[..., Any]) -> Callable[..., Any]:
    """The same reduction of the items that are numbers."""

    def reduced(a: Any, *args: Any, where: Any = True, **kws: Any) -> Any:
        return reduction(a, *args, where=where & ~np.isnan(a), **kws)

    return reduced


def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """The middle of the items that are numbers."""
    return np.nanquantile(a, 0.5, axis=axis, keepdims=keepdims)
