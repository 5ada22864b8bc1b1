"""Linear algebra on duals: inverses and solutions, determinants, norms, singular values.

Matrices are the last two axes. Where a function has formulas for its tangents alone, its value is
computed by NumPy (`formulas.with_value`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy

from dualgrad.duals.classes import plain, wrapped
from dualgrad.duals.convert import raw_of
from dualgrad.duals.ufuncs import dual, split, strongly_scaled

np: Any = numpy  # whose type hints know nothing of duals


def lanes(of_lane: Callable[..., Any], *tangents: Any) -> Any:
    """What is linear in tangents, for each of them; None stands for those of a constant."""
    count = next(t.shape[-1] for t in tangents if t is not None)
    rows = [of_lane(*(None if t is None else t[..., k] for t in tangents)) for k in range(count)]
    return np.stack(rows, axis=-1)


def of_matrix(a: Any) -> tuple[Any, Any]:
    """The values and the tangents of a matrix, or of a stack of them."""
    [value], [tangent] = split([wrapped(raw_of(a))])
    return value, tangent


# ---------------------------------------------------------------------- inverses, determinants


def solve(a: Any, b: Any) -> Any:
    """``a (dx) = db - da x``"""
    (a, b), (da, db) = split([wrapped(raw_of(it)) for it in (a, b)])
    x = np.linalg.solve(a, b)
    vector = np.ndim(x) < np.ndim(a)  # or vectors: which they are, NumPy 2 says by another rule

    def slope(da: Any, db: Any) -> Any:
        right = np.zeros(np.shape(b)) if db is None else db
        if not vector:
            return np.linalg.solve(a, right if da is None else right - da @ x)
        moved = 0.0 if da is None else (da @ x[..., None])[..., 0]
        return np.linalg.solve(a, (right - moved)[..., None])[..., 0]

    t = lanes(slope, da, db)
    return dual(x, t, t.shape[-1])


def inv(a: Any) -> Any:
    """``-inv(a) da inv(a)``"""
    value, da = of_matrix(a)
    x = np.linalg.inv(value)
    return dual(x, lanes(lambda da: -(x @ da @ x), da), da.shape[-1])


def det(a: Any) -> Any:
    """``trace(cofactors(a).T da)``, also of a singular matrix."""
    value, da = of_matrix(a)
    return dual(np.linalg.det(value), _slopes_of_det(value, da), da.shape[-1])


def _slopes_of_det(value: Any, da: Any) -> Any:
    """By Laplace's formula, which holds for singular matrices too."""
    slope = _cofactors(value)
    return lanes(lambda da: np.sum(slope * da, axis=(-2, -1)), da)


def _cofactors(a: Any) -> Any:
    size = a.shape[-1]
    if size == 0:
        return a
    rows = [[_minor(a, i, j) for j in range(size)] for i in range(size)]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _minor(a: Any, i: int, j: int) -> Any:
    rest = np.delete(np.delete(a, i, axis=-2), j, axis=-1)
    return (-1.0) ** (i + j) * np.linalg.det(rest)


# ------------------------------------------------------------------------------ singular values


def svdvals(x: Any) -> Any:
    """Singular values, the largest first."""
    return _singular_values(x, slice(None))


def rounding(x: Any) -> float:
    """How far rounding may part values of a matrix that are equal, relative to the largest."""
    return max(x.shape[-2:]) * float(np.finfo(plain(x).dtype).eps)


def _singular_values(a: Any, wanted: Any) -> Any:
    """``diag(U.H da V)``; a value of zero has the derivative zero, like an absolute value.

    Of those `wanted` none may coincide with another one, unless their tangents do not part them.
    """
    value, da = of_matrix(a)
    u, s, vh = np.linalg.svd(value, full_matrices=False)
    left, right = adjoint(u), adjoint(vh)
    p = lanes(lambda da: left @ da @ right, da)
    sizes, tolerance = plain(s), rounding(value)
    turned = np.swapaxes(np.conjugate(p), -3, -2)
    parting = np.max(np.abs(plain(p + turned)), axis=-1)
    negligible = 8 * tolerance * np.max(np.abs(plain(p)), axis=(-3, -2, -1), initial=0.0)
    largest = np.max(sizes, axis=-1, initial=0.0)[..., None, None]
    same = np.abs(sizes[..., None] - sizes[..., None, :]) <= tolerance * largest
    same &= ~np.eye(sizes.shape[-1], dtype=bool) & (sizes[..., None] > 0.0)
    if np.any((same & ~(parting <= negligible[..., None, None]))[..., wanted, :]):
        raise ValueError(
            "repeated singular values have no derivative: this norm or condition number has a "
            "kink here"
        )
    slopes = np.einsum("...iik->...ik", p).real
    return dual(s, np.where((sizes > 0.0)[..., None], slopes, 0.0), da.shape[-1])


def adjoint(a: Any) -> Any:
    """The conjugate transpose."""
    return np.conjugate(np.swapaxes(a, -2, -1))


# ---------------------------------------------------------------------------------------- norms


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Norms of vectors by their items, of matrices by those or by singular values."""
    x = wrapped(raw_of(x))
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if ord is None:
        result = _by_sum(x, 2, axes)
    elif len(axes) == 1:
        result = _of_vectors(x, ord, axes[0])
    else:
        result = _of_matrices(np.moveaxis(x, axes, (-2, -1)), ord)
    return np.expand_dims(result, axes) if keepdims else result


def _of_vectors(x: Any, ord: Any, axis: int) -> Any:
    if ord == 0:
        return np.sum(plain(x) != 0, axis=axis).astype(x.dtype)
    if ord in (np.inf, -np.inf):
        return _most(np.abs(x), ord, axis)
    return _by_sum(x, ord, axis)


def _by_sum(x: Any, ord: float, axis: Any) -> Any:
    """``sum(abs(x) ** ord) ** (1 / ord)`` in units in which no power over- or underflows."""
    size = np.abs(x)
    if ord == 1:
        return np.sum(size, axis=axis)
    largest = np.max(plain(size), axis=axis, initial=0.0, keepdims=True)
    unit = np.where((largest > 0.0) & (largest < np.inf), largest, 1.0)
    scaled = size / unit
    total = np.sum(scaled * scaled if ord == 2 else scaled**ord, axis=axis)
    root = np.sqrt(total) if ord == 2 else total ** (1.0 / ord)
    return root * unit.reshape(root.shape)


def _of_matrices(x: Any, ord: Any) -> Any:
    if ord == "fro":
        return _by_sum(x, 2, (-2, -1))
    if ord == "nuc":
        return np.sum(_singular_values(x, slice(0)), axis=-1)
    if ord in (2, -2):
        k = 0 if ord > 0 else -1
        return _singular_values(x, slice(0, 1) if ord > 0 else slice(-1, None))[..., k]
    sums = np.sum(np.abs(x), axis=-2 if abs(ord) == 1 else -1)  # of columns, or rows
    return _most(sums, ord, -1)


def _most(sizes: Any, ord: Any, axis: int) -> Any:
    return np.max(sizes, axis=axis, initial=0.0) if ord > 0 else np.min(sizes, axis=axis)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """That of the last two axes."""
    return norm(x, ord, (-2, -1), keepdims)


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Several axes are one."""
    x = wrapped(raw_of(x))
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(k % x.ndim for k in axes)
    kept = [k for k in range(x.ndim) if k not in axes]
    shape = [*(x.shape[k] for k in kept), math.prod(x.shape[k] for k in axes)]
    rows = np.reshape(np.transpose(x, (*kept, *axes)), shape)
    result = _of_vectors(rows, ord, -1)
    return np.expand_dims(result, axes) if keepdims else result


def cond(x: Any, p: Any = None) -> Any:
    """The norm of a matrix times that of its inverse, by the ratio of singular values for 2."""
    if p in (None, 2, -2):
        first, second = (-2, 2) if p == -2 else (2, -2)
        return matrix_norm(x, ord=first) / matrix_norm(x, ord=second)
    return matrix_norm(x, ord=p) * matrix_norm(np.linalg.inv(x), ord=p)


def slogdet(a: Any) -> Any:
    """``d log(det(a)) = trace(inv(a) da)``: its real part is that of the logarithm.

    Of a singular matrix it is infinite, or zero where the determinant does not change.
    """
    value, da = of_matrix(a)
    sign, logarithm = np.linalg.slogdet(value)
    singular = plain(sign) == 0.0
    x = np.linalg.inv(np.where(singular[..., None, None], np.eye(value.shape[-1]), value))
    change = lanes(lambda da: np.einsum("...ij,...ji->...", x, da), da)
    if np.any(singular):
        of_det = strongly_scaled(_slopes_of_det(value, da), np.where(singular, np.inf, 0.0))
        change = np.where(singular[..., None], of_det, change)
    of_sign = sign[..., None] * (1j * change.imag) if plain(value).dtype.kind == "c" else None
    n = da.shape[-1]
    return dual(sign, of_sign, n), dual(logarithm, change.real, n)
