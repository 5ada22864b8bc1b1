"""Matrices of power series: the few functions whose coefficients follow by a recurrence.

The value is what the function returns for the values, as in the rules for duals. With a constant
matrix those are right for series too: they are linear in what is left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import register_jitable

from dualgrad.arrays.linalg.parts import with_value, with_values
from dualgrad.arrays.products import in_c_order, value_part, zero
from dualgrad.arrays.views import as_duals, as_floats
from dualgrad.types import over


@register_jitable
def coefficients(series: Any) -> Any:
    """An array of series as one of numbers, with the coefficient for its first axis."""
    rows = as_floats(in_c_order(series))
    result = np.empty((rows.shape[-1],) + series.shape, rows.dtype)
    for k in range(len(result)):
        result[k] = rows[..., k]
    return result


@register_jitable
def with_coefficients(parts: Any, level: Any) -> Any:
    """The array of series with these coefficients."""
    rows = np.empty(parts.shape[1:] + (len(parts),), parts.dtype)
    for k in range(len(parts)):
        rows[..., k] = parts[k]
    return as_duals(rows, level)


@register_jitable
def _convolved(a: Any, x: Any, k: int) -> Any:
    """Coefficient k of the product of two matrices without the first of `a`."""
    total = np.dot(a[1], x[k - 1])
    for j in range(2, k + 1):
        total += np.dot(a[j], x[k - j])
    return total


def solve(level: Any) -> Any:
    """``A x = b``: coefficient by coefficient a system with the same matrix."""

    def solve(a: Any, b: Any) -> Any:
        matrix = value_part(a, level)
        value = np.linalg.solve(matrix, value_part(b, level))
        of_a, of_b = coefficients(a), coefficients(b.astype(level))
        x = np.empty((len(of_a),) + value.shape, value.dtype)
        x[0] = value
        for k in range(1, len(x)):
            x[k] = np.linalg.solve(matrix, of_b[k] - _convolved(of_a, x, k))
        return with_values(with_coefficients(x, level), value)

    return solve


@register_jitable
def _inverse(of_a: Any, value: Any) -> Any:
    """The coefficients of an inverse: ``A X = 1``."""
    x = np.empty_like(of_a)
    x[0] = value
    for k in range(1, len(x)):
        x[k] = np.dot(-x[0], _convolved(of_a, x, k))
    return x


def inv(level: Any) -> Any:
    """The inverse of a matrix."""

    def inv(a: Any) -> Any:
        value = np.linalg.inv(value_part(a, level))
        return with_values(with_coefficients(_inverse(coefficients(a), value), level), value)

    return inv


_SINGULAR = "the determinant of a singular matrix: its Taylor coefficients are not computed"


@register_jitable
def _log_det(a: Any, value: Any, level: Any) -> Any:
    """``(log|det A|)' = tr(A**-1 A')``, as a series whose value is zero."""
    of_a = coefficients(a)
    x = _inverse(of_a, np.linalg.inv(value))
    parts = np.zeros((len(x), 1), x.dtype)
    for k in range(1, len(x)):
        for j in range(1, k + 1):
            for i in range(len(a)):
                for m in range(len(a)):
                    parts[k, 0] += of_a[j, i, m] * x[k - j, m, i] * (j / k)
    return with_coefficients(parts, level)[0]


def slogdet(level: Any) -> Any:
    """Sign and logarithm of a determinant; the logarithm is a float64, as Numba has it."""
    start: Any = over(level, types.float64)

    def slogdet(a: Any) -> Any:
        x = value_part(a, level)
        sign, value = np.linalg.slogdet(x)
        if sign == 0:
            raise ValueError(_SINGULAR)
        return sign, with_value(zero(start) + _log_det(a, x, level), value)

    return slogdet


def det(level: Any) -> Any:
    """The exponential of its logarithm."""
    start: Any = over(level, types.float64)

    def det(a: Any) -> Any:
        x = value_part(a, level)
        value = np.linalg.det(x)
        if value == 0:
            raise ValueError(_SINGULAR)
        return with_value(np.exp(zero(start) + _log_det(a, x, level)) * value, value)

    return det


def cholesky(level: Any) -> Any:
    """By loops over series: the algorithm itself."""

    def cholesky(a: Any) -> Any:
        factor = np.linalg.cholesky(value_part(a, level))
        n = len(factor)
        result = np.zeros((n, n), level)
        for j in range(n):
            pivot = a[j, j]
            for k in range(j):
                pivot -= result[j, k] * result[j, k]
            result[j, j] = np.sqrt(pivot)
            for i in range(j + 1, n):
                item = a[i, j]
                for k in range(j):
                    item -= result[i, k] * result[j, k]
                result[i, j] = item / result[j, j]
        return with_values(result, factor)

    return cholesky


def norm(level: Any, value_of: Any) -> Any:
    """The root of the sum of squares, of items so scaled that none overflows."""

    def norm(a: Any) -> Any:
        size = value_of(a)
        total = zero(level)
        if size == 0:
            for item in a:
                total = np.hypot(total, item)
            return total
        for item in a:
            total += (item / size) * (item / size)
        return with_value(np.sqrt(total) * size, size)

    return norm
