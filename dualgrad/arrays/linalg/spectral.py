"""Eigenvalues and singular values with their vectors.

They have derivatives where they are simple. Where two coincide the vectors are not determined,
and the values go apart in ways that depend on the direction: that raises, unless the tangents
keep the vectors apart (``diag(x)``, whatever `x` is).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload, register_jitable
from numba.np import linalg, numpy_support

from dualgrad.arrays.borrow import dual_overload
from dualgrad.arrays.linalg.parts import (
    adjoint,
    epsilon,
    from_lower,
    matrix_level,
    plain,
    sizes_of_tangents,
    with_value,
    with_values,
)
from dualgrad.arrays.products import value_part
from dualgrad.types import complex_of, is_complex

# ----------------------------------------------------------- symmetric and Hermitian matrices


@register_jitable
def _coincide(w: Any, i: int, j: int, tolerance: Any) -> bool:
    return abs(plain(w[i]) - plain(w[j])) <= tolerance


@register_jitable
def _largest(values: Any) -> Any:
    result = 0.0
    for value in values.flat:
        result = max(result, abs(plain(value)))
    return result


@register_jitable
def _quotients(m: Any, w: Any, eps: Any) -> Any:
    """``m[i, j] / (w[j] - w[i])`` without the diagonal, as the rules for vectors have it."""
    n = len(w)
    tolerance, sizes = n * eps * _largest(w), sizes_of_tangents(m)
    negligible = 8 * n * eps * _largest(sizes)
    result = np.empty((n, n), m.dtype)
    for i in range(n):
        for j in range(n):
            if i == j:
                result[i, j] = m[i, j] * 0.0
            elif _coincide(w, i, j, tolerance):
                if not sizes[i, j] <= negligible:
                    raise ValueError(
                        "repeated eigenvalues have no derivative: use a function of the matrix "
                        "that does not tell them apart"
                    )
                result[i, j] = m[i, j] * 0.0
            else:
                result[i, j] = m[i, j] / (w[j] - w[i])
    return result


@register_jitable
def _diagonal(m: Any, values: Any) -> Any:
    result = np.empty(len(values), m.dtype)
    for i in range(len(values)):
        result[i] = with_value(m[i, i], values[i])
    return result


@dual_overload(np.linalg.eigh)
def _eigh(a: Any) -> Any:
    """``M = V.H dA V``: ``dw = diag(M)``, ``dV = V (M[i, j] / (w[j] - w[i]))``."""
    level: Any = matrix_level("eigh", a)
    if level is None:
        return None
    eps = epsilon(level)
    fix_phase = _keep_first_real if is_complex(level) else _nothing

    def eigh(a: Any) -> Any:
        w, v = np.linalg.eigh(value_part(a, level))
        m = np.dot(np.dot(adjoint(v), from_lower(a)), v)
        dv = np.dot(v, _quotients(m, w, eps))
        fix_phase(dv, v)
        return _diagonal(m.real, w), with_values(dv, v)

    return eigh


@register_jitable
def _keep_first_real(dv: Any, v: Any) -> None:
    """LAPACK makes the first component of each vector real. One that is zero says no phase: nan."""
    for j in range(len(v)):
        if v[0, j] == 0.0:
            dv[:, j] = dv[:, j] * np.nan
        else:
            _turn(dv, v, j, 0, 0.0)


@register_jitable
def _nothing(dv: Any, v: Any) -> None:
    pass


@dual_overload(np.linalg.eigvalsh)
def _eigvalsh(a: Any) -> Any:
    level: Any = matrix_level("eigvalsh", a)
    if level is None:
        return None
    eps = epsilon(level)

    def eigvalsh(a: Any) -> Any:
        x = value_part(a, level)
        w, v = np.linalg.eigh(x)
        m = np.dot(np.dot(adjoint(v), from_lower(a)), v)
        _quotients(m, w, eps)  # raises
        return _diagonal(m.real, np.linalg.eigvalsh(x))

    return eigvalsh


# -------------------------------------------------------------------------- general matrices


def _eigen_level(level: Any) -> Any:
    """The level of eigenvalues and vectors: complex, but for real matrices before NumPy 2.5."""
    return complex_of(level) if numpy_support.numpy_version >= (2, 5) else level


@dual_overload(np.linalg.eig)
def _eig(a: Any) -> Any:
    """``M = V**-1 dA V``, as for symmetric matrices; then vectors keep the length one."""
    level: Any = matrix_level("eig", a)
    if level is None:
        return None
    eps, item = epsilon(level), _eigen_level(level)
    normalise = _keep_length_and_phase if is_complex(item) else _keep_length

    def eig(a: Any) -> Any:
        w, v = np.linalg.eig(value_part(a, level))
        m = np.dot(np.dot(np.linalg.inv(v), a.astype(item)), v)
        dv = np.dot(v, _quotients(m, w, eps))
        normalise(dv, v)
        return _diagonal(m, w), with_values(dv, v)

    return eig


@register_jitable
def _keep_length(dv: Any, v: Any) -> None:
    overlaps = np.dot(v.T, dv)
    for j in range(v.shape[1]):
        for i in range(v.shape[0]):
            dv[i, j] = dv[i, j] - v[i, j] * overlaps[j, j]


@register_jitable
def _keep_length_and_phase(dv: Any, v: Any) -> None:
    """LAPACK makes the largest component of each vector real."""
    overlaps = np.dot(adjoint(v), dv)
    for j in range(v.shape[1]):
        k = 0
        for i in range(v.shape[0]):
            size = abs(plain(v[i, j])) if plain(v[i, j]).imag == 0.0 else 0.0
            if size > abs(plain(v[k, j])) or plain(v[k, j]).imag != 0.0:
                k = i
        _turn(dv, v, j, k, overlaps[j, j].real)


@register_jitable
def _turn(dv: Any, v: Any, j: int, k: int, along: Any) -> None:
    """Take the multiple of a vector from its tangent that changes length and phase of item k."""
    change = along + 1j * (dv[k, j] / v[k, j]).imag
    for i in range(v.shape[0]):
        dv[i, j] = dv[i, j] - v[i, j] * change


@dual_overload(np.linalg.eigvals)
def _eigvals(a: Any) -> Any:
    level: Any = matrix_level("eigvals", a)
    if level is None:
        return None
    eps, item = epsilon(level), _eigen_level(level)

    def eigvals(a: Any) -> Any:
        x = value_part(a, level)
        values = np.linalg.eigvals(x)
        w, v = np.linalg.eig(x)
        m = np.dot(np.dot(np.linalg.inv(v), a.astype(item)), v)
        _quotients(m, w, eps)  # raises
        # LAPACK need not list them in the same order with and without vectors
        result = np.empty(len(values), m.dtype)
        taken = np.zeros(len(values), np.bool_)
        for i in range(len(values)):
            best = -1
            for j in range(len(values)):
                if not taken[j] and (best < 0 or abs(w[j] - values[i]) < abs(w[best] - values[i])):
                    best = j
            taken[best] = True
            result[i] = with_value(m[best, best], values[i])
        return result

    return eigvals


# --------------------------------------------------------------------------- singular values


@register_jitable
def _rotations(p: Any, s: Any, eps: Any, size: Any, strict: Any) -> Any:
    """The antisymmetric ``U.T dU`` and ``V.T dV``, given ``p = U.T dA V``."""
    n = len(s)
    tolerance = size * eps * plain(s[0])
    sizes = sizes_of_tangents(p + p.T)
    negligible = 8 * size * eps * _largest(sizes_of_tangents(p))
    of_u, of_v = np.empty((n, n), p.dtype), np.empty((n, n), p.dtype)
    for i in range(n):
        for j in range(n):
            if i == j:
                of_u[i, j] = of_v[i, j] = p[i, j] * 0.0
            elif _coincide(s, i, j, tolerance):
                known = sizes[i, j] <= negligible
                if strict and not known:
                    raise ValueError(
                        "repeated singular values have no derivative: use a function of the "
                        "matrix that does not tell them apart"
                    )
                of_u[i, j] = of_v[i, j] = p[i, j] * (0.0 if known else np.nan)
            else:
                gap = (s[j] - s[i]) * (s[j] + s[i])
                of_u[i, j] = (p[i, j] * s[j] + p[j, i] * s[i]) / gap
                of_v[i, j] = (p[i, j] * s[i] + p[j, i] * s[j]) / gap
    return of_u, of_v


@register_jitable
def _outside(a: Any, u: Any, v: Any, s: Any, p: Any) -> Any:
    """The part of dU outside the span of U: ``(1 - U U.T) dA V / s``."""
    result = np.dot(a, v) - np.dot(u, p)
    for i in range(result.shape[0]):
        for j in range(len(s)):
            result[i, j] = result[i, j] / s[j]
    return result


@register_jitable
def _beyond(u: Any, k: int, du: Any) -> Any:
    """Tangents of the vectors that a full matrix has beyond the first `k`: only if it is one.

    They have to stay orthogonal to the first, which leaves nothing open if there is one of them.
    """
    if u.shape[1] == k:
        return du
    if u.shape[1] > k + 1:
        raise ValueError("svd(): the last vectors are not unique; use full_matrices=False")
    first, last = u[:, :k].copy(), u[:, k:].copy()
    result = np.empty(u.shape, du.dtype)
    result[:, :k] = du
    result[:, k:] = np.dot(first, np.dot(-du.T, last))
    return result


def _svd_rule(a: Any, strict: bool) -> Any:
    """``P = U.T dA V``: ``ds = diag(P)`` and the rules of Giles for the vectors."""
    level: Any = matrix_level("svd", a, on_complex=False)
    if level is None:
        return None
    eps = epsilon(level)
    decompose: Any = np.linalg.svd if strict else svd_or_nan

    def svd(a: Any, full_matrices: Any = 1) -> Any:
        x = value_part(a, level)
        u, s, vt = decompose(x, full_matrices)
        m, n, k = a.shape[0], a.shape[1], len(s)
        if plain(s[k - 1]) <= max(m, n) * eps * plain(s[0]):
            raise ValueError("svd() has no derivative here: the matrix is rank-deficient")
        # all in C order: fewer types of products to compile
        all_u, all_v = u.copy(), vt.T.copy()
        first_u, first_v = all_u[:, :k].copy(), all_v[:, :k].copy()
        p = np.dot(np.dot(first_u.T, a), first_v)
        of_u, of_v = _rotations(p, s, eps, max(m, n), strict)
        du, dv = np.dot(first_u, of_u), np.dot(first_v, of_v)
        if m > k:
            du = du + _outside(a.copy(), first_u, first_v, s, p)
        if n > k:
            dv = dv + _outside(a.T.copy(), first_v, first_u, s, p.T.copy())
        du, dv = _beyond(all_u, k, du), _beyond(all_v, k, dv)
        return with_values(du, u), _diagonal(p, s), with_values(dv.T, vt)

    return svd


@dual_overload(np.linalg.svd)
def _svd(a: Any, full_matrices: Any = 1) -> Any:
    return _svd_rule(a, strict=True)


def svd_or_nan(a: Any, full_matrices: Any = 1) -> Any:
    """`np.linalg.svd` with nan for tangents that do not exist, for who may not need them."""
    raise NotImplementedError("only for compiled code")


@dual_overload(svd_or_nan)
def _svd_or_nan(a: Any, full_matrices: Any = 1) -> Any:
    return _svd_rule(a, strict=False)


@overload(svd_or_nan)
def _svd_of_floats(a, full_matrices=1):  # type: ignore[no-untyped-def]
    return lambda a, full_matrices=1: np.linalg.svd(a, full_matrices)


def singular_values(a: Any, first: bool, last: bool) -> Any:
    """All singular values, of which the first is used, or the last, or both."""
    raise NotImplementedError("only for compiled code")


@overload(singular_values)
def _singular_values_of_floats(a, first, last):  # type: ignore[no-untyped-def]
    return lambda a, first, last: linalg._compute_singular_values(a)


@dual_overload(singular_values)
def _singular_values(a: Any, first: Any, last: Any) -> Any:
    """Those that are not used may be repeated.

    A singular value of zero has the derivative zero there, like an absolute value.
    """
    level: Any = matrix_level("svd", a)
    if level is None:
        return None
    eps = epsilon(level)

    def of_matrix(a: Any, first: Any, last: Any) -> Any:
        x = value_part(a, level)
        values = singular_values(x, first, last)
        u, s, vt = svd_or_nan(x, False)
        p = np.dot(np.dot(adjoint(u), a), adjoint(vt))
        n, size = len(s), max(a.shape)
        sizes, all_sizes = sizes_of_tangents(p + adjoint(p)), sizes_of_tangents(p)
        negligible, tolerance = 8 * size * eps * _largest(all_sizes), size * eps * plain(s[0])
        for i in range(n):
            if plain(s[i]) <= tolerance * 0.0:
                p[i, i] = p[i, i] * 0.0
                continue
            used = (first and i == 0) or (last and i == n - 1)
            for j in range(n if used else 0):
                coincide = i != j and _coincide(s, i, j, tolerance)
                if coincide and not sizes[i, j] <= negligible:
                    raise ValueError(
                        "repeated singular values have no derivative: this norm or condition "
                        "number has a kink here"
                    )
        return _diagonal(p.real, values)

    return of_matrix


@dual_overload(linalg._compute_singular_values)
def _of_condition_numbers(a: Any) -> Any:
    known = matrix_level("svd", a) is not None
    return (lambda a: singular_values(a, True, True)) if known else None
