"""Linear systems, inverse and determinant."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import register_jitable
from numba.np import linalg
from numba.np.linalg import _LAPACK, F_INT_nptype, get_blas_kind

from dualgrad.arrays.borrow import dual_overload
from dualgrad.arrays.linalg import recurrences
from dualgrad.arrays.linalg.parts import (
    is_active,
    lane_count,
    matrix_level,
    put_values,
    with_value,
    with_values,
)
from dualgrad.arrays.linalg.triangular import solve_factored
from dualgrad.arrays.products import value_part, zero
from dualgrad.arrays.views import as_floats
from dualgrad.types import SeriesType, is_complex, over

# ----------------------------------------------------------------------------------- systems


@dual_overload(np.linalg.solve)
def _solve(a: Any, b: Any) -> Any:
    """``dx = A**-1 (db - dA x)``: the tangents are right-hand sides of the same system."""
    level: Any = matrix_level("solve", a, b, of_series=True)
    if level is None:
        return None
    if isinstance(level, SeriesType) and is_active(a, level):
        return recurrences.solve(level)
    right_hand_side = _residual if is_active(a, level) else _copy_of_b
    finish = put_values if b.ndim == 1 else with_values
    if isinstance(level.base, types.Float):
        factor = _solver_with_factors(level.base)

        def solve(a: Any, b: Any) -> Any:
            x, lu, pivots = factor(value_part(a, level), value_part(b, level))
            r = right_hand_side(a, b, x)
            solve_factored(lu, pivots, _matrix_of(r))
            return finish(r, x)

    else:
        replace = _by_parts(level.base) if is_complex(level) else _in_place

        def solve(a: Any, b: Any) -> Any:
            matrix = value_part(a, level)
            x = np.linalg.solve(matrix, value_part(b, level))
            r = right_hand_side(a, b, x)
            replace(matrix, r)
            return finish(r, x)

    return solve


@register_jitable
def _in_place(matrix: Any, r: Any) -> None:
    """``r = matrix**-1 r`` for the tangents of right-hand sides."""
    rows = _matrix_of(r)
    rows[...] = np.linalg.solve(matrix, rows)


def _by_parts(item: Any) -> Any:
    """The same for complex numbers, which have their real and imaginary parts apart."""

    @register_jitable
    def by_parts(matrix: Any, r: Any) -> None:
        real, imag = r.real.copy(), r.imag.copy()
        real_rows, imag_rows = _matrix_of(real), _matrix_of(imag)
        rows = np.empty(real_rows.shape, item)
        rows.real[...], rows.imag[...] = real_rows, imag_rows
        rows = np.linalg.solve(matrix, rows)
        real_rows[...], imag_rows[...] = rows.real, rows.imag
        r.real[...], r.imag[...] = real, imag

    return by_parts


@register_jitable
def _residual(a: Any, b: Any, x: Any) -> Any:
    return b - np.dot(a, x)


@register_jitable
def _copy_of_b(a: Any, b: Any, x: Any) -> Any:
    return b.copy()


@register_jitable
def _matrix_of(r: Any) -> Any:
    """Right-hand sides as one matrix: a row for each equation, which holds tangents and values."""
    n = r.shape[0]
    return as_floats(r).reshape((n, (r.size // n if n else 0) * (1 + lane_count(r))))


def _solver_with_factors(dtype: Any) -> Any:
    """Numba's `np.linalg.solve`, the same calls of LAPACK, that gives the factors as well."""
    gesv, kind = _LAPACK().numba_xgesv(dtype), ord(get_blas_kind(dtype))

    @register_jitable
    def solver(a: Any, b: Any) -> Any:
        n = a.shape[-1]
        count = linalg._system_compute_nrhs(b)
        linalg._check_finite_matrix(a)
        linalg._check_finite_matrix(b)
        linalg._system_check_dimensionally_valid(a, b)
        lu = linalg._copy_to_fortran_order(a)
        x = np.empty((count, n), dtype=dtype).T
        pivots = np.empty(n, dtype=F_INT_nptype)
        if n > 0:
            linalg._system_copy_in_b(x, b, count)
            status = gesv(kind, n, count, lu.ctypes, n, pivots.ctypes, x.ctypes, n)
            linalg._inv_err_handler(status)
        linalg._dummy_liveness_func([lu.size, x.size, pivots.size])
        return linalg._solve_compute_return(b, x), lu, pivots

    return solver


@dual_overload(np.linalg.inv)
def _inv(a: Any) -> Any:
    """``d(A**-1) = -A**-1 dA A**-1``."""
    level: Any = matrix_level("inv", a, of_series=True)
    if level is None:
        return None
    if isinstance(level, SeriesType):
        return recurrences.inv(level)

    def inv(a: Any) -> Any:
        x = np.linalg.inv(value_part(a, level))
        return with_values(np.dot(np.dot(-x, a), x), x)

    return inv


# ------------------------------------------------------------------------------- determinants


@dual_overload(np.linalg.det)
def _det(a: Any) -> Any:
    """Jacobi's formula, ``d det A = tr(adj(A) dA)``; Numba's determinant is a float64."""
    level: Any = matrix_level("det", a, of_series=True)
    if level is None:
        return None
    if isinstance(level, SeriesType):
        return recurrences.det(level)
    start: Any = over(level, types.float64)
    nested = level.depth > 1

    def det(a: Any) -> Any:
        x = value_part(a, level)
        value = np.linalg.det(x)
        if value != 0:
            inverse = np.linalg.inv(x)
            if not (nested and _is_near_singular(x, inverse)):
                return with_value(_trace_of_product(inverse, a, zero(start)) * value, value)
        return with_value(_trace_of_product(_singular_adjugate(x), a, zero(start)), value)

    return det


@register_jitable
def _is_near_singular(x: Any, inverse: Any) -> bool:
    """Whether derivatives of ``det(A) inv(A)`` cancel: of their digits about as many are lost."""
    if len(x) == 0:
        return False
    largest, largest_of_inverse = np.abs(x[0, 0]), np.abs(inverse[0, 0])
    for i in range(len(x)):
        for j in range(len(x)):
            largest = max(largest, np.abs(x[i, j]))
            largest_of_inverse = max(largest_of_inverse, np.abs(inverse[i, j]))
    return not largest * largest_of_inverse < 1e6


@dual_overload(np.linalg.slogdet)
def _slogdet(a: Any) -> Any:
    """``d log|det A| = tr(A**-1 dA)``, and infinite where A is singular."""
    level: Any = matrix_level("slogdet", a, of_series=True)
    if level is None:
        return None
    if isinstance(level, SeriesType):
        return recurrences.slogdet(level)
    start: Any = over(level, types.float64)
    if is_complex(level):
        return _complex_slogdet(level, start)

    def slogdet(a: Any) -> Any:
        x = value_part(a, level)
        sign, value = np.linalg.slogdet(x)
        if sign == 0:
            return sign, np.log(np.linalg.det(a))
        return sign, with_value(_trace_of_product(np.linalg.inv(x), a, zero(start)), value)

    return slogdet


def _complex_slogdet(level: Any, start: Any) -> Any:
    """Of ``tr(A**-1 dA)`` the real part changes the logarithm, the imaginary part the phase."""

    def slogdet(a: Any) -> Any:
        x = value_part(a, level)
        sign, value = np.linalg.slogdet(x)
        if sign == 0:
            det = np.linalg.det(a)
            return with_value(np.sqrt(det), sign), with_value(np.log(det).real, value)
        slope = _trace_of_product(np.linalg.inv(x), a, zero(start) + 0j)
        return with_value(slope.imag * (1j * sign), sign), with_value(slope.real, value)

    return slogdet


@register_jitable
def _trace_of_product(x: Any, a: Any, start: Any) -> Any:
    total = start
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            total += a[i, j] * x[j, i]
    return total


@register_jitable
def _singular_adjugate(a: Any) -> Any:
    """By cofactors: slow, but it needs no inverse and serves derivatives of every order."""
    n = len(a)
    result = np.ones((n, n), a.dtype)
    minor = np.empty((n - 1, n - 1), a.dtype)
    for i in range(n):
        for j in range(n):
            for k in range(n - 1):
                for m in range(n - 1):
                    minor[k, m] = a[k + (k >= i), m + (m >= j)]
            cofactor = np.linalg.det(minor)
            result[j, i] = -cofactor if (i + j) % 2 else cofactor
    return result
