"""Least squares and the pseudo-inverse.

G. H. Golub and V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares
problems whose variables separate" (1973), for matrices of full rank: only there is the
pseudo-inverse continuous.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

from dualgrad.arrays.borrow import dual_overload
from dualgrad.arrays.linalg.parts import (
    adjoint,
    epsilon,
    is_active,
    matrix_level,
    plain,
    sizes_of_tangents,
    with_value,
    with_values,
)
from dualgrad.arrays.linalg.spectral import svd_or_nan
from dualgrad.arrays.products import value_part
from dualgrad.types import depth

_RANK_DEFICIENT = (
    "the pseudo-inverse of a rank-deficient matrix has no derivative: drop dependent columns, or "
    "regularise"
)


@dual_overload(np.linalg.pinv)
def _pinv(a: Any, rcond: Any = 1.0e-15) -> Any:
    """``dP = -P dA P + P P.H dA.H (1 - A P) + (1 - P A) dA.H P.H P``."""
    level: Any = matrix_level("pinv", a)
    if level is None:
        return None
    eps = epsilon(level)

    def pinv(a: Any, rcond: Any = 1.0e-15) -> Any:
        x = value_part(a, level)
        p = np.linalg.pinv(x, rcond)
        if a.size == 0:
            return with_values(a.T, p)
        s = svd_or_nan(x, False)[1]
        if plain(s[-1]) <= max(rcond, max(a.shape) * eps) * plain(s[0]):
            raise ValueError(_RANK_DEFICIENT)
        slope = np.dot(np.dot(-p, a), p)
        # One of the projections is zero; which one, the shape says.
        if a.shape[0] > a.shape[1]:
            b = np.dot(np.dot(p, adjoint(p)), adjoint(a))
            slope = slope + (b - np.dot(np.dot(b, x), p))
        elif a.shape[0] < a.shape[1]:
            b = np.dot(adjoint(a), np.dot(adjoint(p), p))
            slope = slope + (b - np.dot(p, np.dot(x, b)))
        return with_values(slope, p)

    return pinv


@dual_overload(np.linalg.lstsq)
def _lstsq(a: Any, b: Any, rcond: Any = -1.0) -> Any:
    """``dx = P (db - dA x) + P P.T dA.T r + (1 - P A) dA.T P.T x``, r what is left of b.

    The sum of squares of r changes by ``2 r.T (db - dA x)``, as r is orthogonal to A.
    """
    level: Any = matrix_level("lstsq", a, b, on_complex=False)
    if level is None:
        return None
    eps = epsilon(level)
    misfit = _residual if is_active(a, level) else _copy_of_b
    singular_values = _slopes_of_singular_values if is_active(a, level) else _constants
    a_active = is_active(a, level)
    # With an active matrix the full rank is known, and its vectors may have no derivative.
    inverse = _inverse_by_svd if depth(a.dtype) - a_active == 0 else _inverse_by_rule

    def lstsq(a: Any, b: Any, rcond: Any = -1.0) -> Any:
        matrix, target = value_part(a, level), value_part(b, level)
        x, squares, rank, s = np.linalg.lstsq(matrix, target, rcond)
        m, n = a.shape
        if a_active and rank < min(m, n):
            raise ValueError(_RANK_DEFICIENT)
        u, sigma, vt = svd_or_nan(matrix, False)
        p = inverse(matrix, u, sigma, vt, rank)
        d = misfit(a, b, x)
        slope = np.dot(p, d)
        r = np.ascontiguousarray(target - np.dot(matrix, x))
        if a_active:
            if m > n:
                slope = slope + np.dot(np.dot(p, p.T), np.dot(a.T, r))
            elif m < n:
                g = np.dot(a.T, np.dot(p.T, x))
                slope = slope + (g - np.dot(p, np.dot(matrix, g)))
        changes = np.empty(len(squares), d.dtype)
        rows, slopes = r.reshape((m, r.size // m)), d.reshape((m, r.size // m))
        for k in range(len(squares)):
            total = slopes[0, k] * 0.0
            for i in range(m):
                total += slopes[i, k] * (2.0 * rows[i, k])
            changes[k] = with_value(total, squares[k])
        return with_values(slope, x), changes, rank, singular_values(a, u, vt, sigma, s, eps)

    return lstsq


@register_jitable
def _inverse_by_svd(matrix: Any, u: Any, sigma: Any, vt: Any, rank: Any) -> Any:
    return np.dot(vt[:rank].T / sigma[:rank], u[:, :rank].T.copy())


@register_jitable
def _inverse_by_rule(matrix: Any, u: Any, sigma: Any, vt: Any, rank: Any) -> Any:
    return np.linalg.pinv(matrix)


@register_jitable
def _residual(a: Any, b: Any, x: Any) -> Any:
    return np.ascontiguousarray(b - np.dot(a, x))


@register_jitable
def _copy_of_b(a: Any, b: Any, x: Any) -> Any:
    return b.copy()


@register_jitable
def _constants(a: Any, u: Any, vt: Any, sigma: Any, s: Any, eps: Any) -> Any:
    return s


@register_jitable
def _slopes_of_singular_values(a: Any, u: Any, vt: Any, sigma: Any, s: Any, eps: Any) -> Any:
    """nan where they are repeated: mostly nobody asks for them."""
    p = np.dot(np.dot(u.T, a), vt.T)
    apart = sizes_of_tangents(p + p.T)
    tolerance = max(a.shape) * eps * plain(sigma[0])
    result = np.empty(len(s), p.dtype)
    for i in range(len(s)):
        slope = p[i, i]
        for j in range(len(s)):
            if i != j and abs(plain(sigma[i]) - plain(sigma[j])) <= tolerance:
                slope = slope * (1.0 if apart[i, j] == 0 else np.nan)
        result[i] = with_value(slope, s[i])
    return result
