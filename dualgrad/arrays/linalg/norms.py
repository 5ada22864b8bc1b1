"""Norms and condition numbers, and what Numba computes by loops: powers, traces, `np.kron`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import register_jitable
from numba.np import arrayobj, linalg

from dualgrad.arrays.borrow import borrow, dual_overload, level_of
from dualgrad.arrays.linalg import recurrences
from dualgrad.arrays.linalg.parts import with_value
from dualgrad.arrays.linalg.spectral import singular_values
from dualgrad.arrays.products import value_part, zero
from dualgrad.arrays.values import values, values_of
from dualgrad.types import DualType, PatternType, SeriesType, real_of


@dual_overload(np.linalg.norm)
def _norm_of_order(x: Any, ord: Any = None) -> Any:
    if arrayobj.is_nonelike(ord) or isinstance(level_of(x), PatternType):
        return None
    if getattr(x, "ndim", 0) == 2 and level_of(x) is not None:
        return _norm_of_matrix
    by_order = isinstance(ord, DualType) and getattr(x, "ndim", 0) == 1
    return _norm_by_order() if by_order else None


def _norm_of_matrix(x: Any, ord: Any = None) -> Any:
    p = values(ord)
    if abs(p) == 2 and x.size:
        return singular_values(x, p > 0, p < 0)[0 if p > 0 else -1]
    return _other_norm(x, p)


def _other_norm(x: Any, ord: Any) -> Any:
    raise NotImplementedError("only for compiled code")


def _norm_by_order() -> Any:
    """For vectors: Numba's code for orders 1 and 2 does not look at the order's tangent."""

    def norm(x: Any, ord: Any = None) -> Any:
        p = values(ord)
        if x.size == 0 or p == 0 or np.isinf(p):
            return np.linalg.norm(x, p)
        if p == 1 or p == 2:
            y = np.linalg.norm(x, p)
            size = values(y)
            if size == 0 or not np.isfinite(size):
                return y
            # a difference of zero, which has the slopes by the order alone; scaled, as it may be
            # that the general formula overflows
            return y + (_general(x / size, ord) - _general(x / size, p)) * size
        return _general(x, ord)

    return norm


@register_jitable
def _general(x: Any, p: Any) -> Any:
    total = 0.0 * p
    for item in x:
        total += abs(item) ** p
    return total ** (1.0 / p)


# Numba's loops over abs(x[i]), its singular values (a rule of `spectral`) and 2-norms (here)
borrow(linalg.norm_impl, np.linalg.norm, _other_norm)
borrow(linalg.cond_impl, np.linalg.cond)
# products of matrices, and sums
borrow(linalg.matrix_power_impl, np.linalg.matrix_power)
borrow(linalg.matrix_trace_impl, np.trace)


@dual_overload(linalg._oneD_norm_2)
def _norm(a: Any) -> Any:
    """``Re(x.H dx) / |x|``, and 0 at 0."""
    level: Any = level_of(a)
    if isinstance(level, PatternType):
        return None  # `dualgrad.arrays.opaque`
    start: Any = real_of(level)
    # BLAS sums strided items in another order than contiguous ones
    value = _value_of_contiguous(level) if a.layout in "CF" else _value_of_strided
    if isinstance(level, SeriesType):
        return recurrences.norm(level, value)

    def norm(a: Any) -> Any:
        size = value(a)
        total = zero(start)
        if size == 0:
            return with_value(total, size)
        for item in a:
            total += (item * (np.conj(values(item)) / size)).real
        return with_value(total, size)

    return norm


def _value_of_contiguous(level: Any) -> Any:
    @register_jitable
    def value(a: Any) -> Any:
        return linalg._oneD_norm_2(value_part(a, level))

    return value


@register_jitable
def _value_of_strided(a: Any) -> Any:
    return linalg._oneD_norm_2(values_of(a))


@dual_overload(np.linalg.matrix_rank)
def _matrix_rank(A: Any, tol: Any = None) -> Any:
    return lambda A, tol=None: np.linalg.matrix_rank(values(A), values(tol))


def _kron_of_arrays(a: Any, b: Any) -> Any:
    arrays = isinstance(a, types.Array) and isinstance(b, types.Array)
    return linalg.kron_impl(a, b) if arrays else None


borrow(_kron_of_arrays, np.kron)


@dual_overload(np.kron)
def _kron(a: Any, b: Any) -> Any:
    """Scalars, as matrices of one item, which is what Numba makes of them."""
    a_scalar, b_scalar = (not isinstance(ty, types.Array) for ty in (a, b))
    if a_scalar and b_scalar:
        return lambda a, b: np.kron(_one(a), _one(b))
    if a_scalar:
        return lambda a, b: np.kron(_one(a), b).reshape(b.shape)
    return (lambda a, b: np.kron(a, _one(b)).reshape(a.shape)) if b_scalar else None


@register_jitable
def _one(x: Any) -> Any:
    return np.full(1, x)
