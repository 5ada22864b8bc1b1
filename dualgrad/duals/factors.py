"""Factorisations of matrices of duals: Cholesky, QR, eigenvalues, singular vectors, least squares.

These are formulas for tangents (`formulas.with_value`). They start from the factors that NumPy
computes, and so belong to the signs and phases that LAPACK has chosen. Matrices are the last two
axes; the rules are those of `dualgrad.arrays.linalg`.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy

from dualgrad.duals.classes import plain, wrapped
from dualgrad.duals.convert import raw_of
from dualgrad.duals.linalg import adjoint, lanes, of_matrix, rounding, svdvals
from dualgrad.duals.ufuncs import dual, split
from dualgrad.errors import NotDifferentiable

np: Any = numpy  # whose type hints know nothing of duals


def _repeated(what: str) -> NoReturn:
    raise ValueError(
        f"repeated {what} have no derivative: use a function of the matrix that does not "
        "tell them apart"
    )


def _refused(name: str, what: str, way_out: str) -> NoReturn:
    raise NotDifferentiable(
        f"np.linalg.{name} of dual numbers takes no {what}\n  way out: {way_out}"
    )


def _columns(x: Any) -> Any:
    """A number for each column of a matrix with tangents along a last axis."""
    return x[..., None, :, None]


def _product(*factors: Any) -> Any:
    """A product of matrices, of which one has tangents along a last axis."""
    [k] = [k for k, it in enumerate(factors) if isinstance(it, _Tangents)]
    left, right = factors[:k], factors[k + 1 :]

    def of_lane(t: Any) -> Any:
        for it in reversed(left):
            t = it @ t
        for it in right:
            t = t @ it
        return t

    return lanes(of_lane, factors[k].of)


class _Tangents:
    def __init__(self, of: Any) -> None:
        self.of = of


def _sizes(t: Any) -> Any:
    return np.max(np.abs(plain(t)), axis=-1, initial=0.0)


def _parted(values: Any, t: Any, tolerance: float, what: str) -> Any:
    """Which two values differ; the tangents of others, off the diagonal, must be negligible."""
    sizes, at = _sizes(t), plain(values)
    negligible = 8 * tolerance * np.max(sizes, axis=(-2, -1), initial=0.0)
    largest = np.max(np.abs(at), axis=-1, initial=0.0)
    gaps = np.abs(at[..., None, :] - at[..., :, None])
    same = gaps <= tolerance * largest[..., None, None]
    off_diagonal = ~np.eye(at.shape[-1], dtype=bool)
    if np.any(same & off_diagonal & ~(sizes <= negligible[..., None, None])):
        _repeated(what)
    return ~same & off_diagonal


def _inverse_where(mask: Any, x: Any) -> Any:
    """``1 / x``, and zero elsewhere, for each tangent."""
    return np.where(mask, 1.0 / np.where(mask, x, 1.0), 0.0)[..., None]


# ------------------------------------------------------------------------------ triangles


def _from_lower(t: Any) -> Any:
    """The symmetric or Hermitian matrix that LAPACK sees in the lower triangle."""
    lower = np.tril(t, -1)
    return lower + adjoint(lower) + (t * np.eye(t.shape[-1])).real


def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """``dL = L low(L**-1 dA L**-H)``, `low` the lower triangle with half its diagonal."""
    value, da = of_matrix(a)
    factor = np.linalg.cholesky(value, **({"upper": True} if upper else {}))
    low = adjoint(factor) if upper else factor
    inverse = np.linalg.inv(low)

    def slope(da: Any) -> Any:
        s = inverse @ _from_lower(adjoint(da) if upper else da) @ adjoint(inverse)
        change = low @ (np.tril(s, -1) + 0.5 * s * np.eye(s.shape[-1]))
        return adjoint(change) if upper else change

    return dual(factor, lanes(slope, da), da.shape[-1])


def qr(a: Any, mode: Any = "reduced") -> Any:
    """From the leading square of R: ``X = dA R**-1``, ``dQ = Q W + (1 - Q Q.H) X``, W the
    antihermitian matrix with the lower triangle of ``Q.H X``, as R has a real diagonal; then
    ``dR = Q.H dA - W R``.
    """
    value, da = of_matrix(a)
    m, n = value.shape[-2:]
    if mode not in ("reduced", "r", "complete") or (mode == "complete" and m > n):
        _refused("qr", f"mode={mode!r} here", "use mode='reduced'")
    q, r = np.linalg.qr(value)
    k = q.shape[-1]
    steps = np.abs(np.diagonal(plain(r), axis1=-2, axis2=-1))
    if np.any(steps <= rounding(value) * np.max(steps, axis=-1, initial=0.0, keepdims=True)):
        raise ValueError(
            "qr() has no derivative here: the leading columns are linearly dependent; drop or "
            "reorder columns"
        )
    inverse, q_adjoint = np.linalg.inv(r[..., :, :k]), adjoint(q)

    def turn(p: Any) -> Any:
        lower = np.tril(p, -1)
        w = lower - adjoint(lower)
        return w + 1j * (p * np.eye(k)).imag if plain(p).dtype.kind == "c" else w

    def of_q(da: Any) -> Any:
        x = da[..., :, :k] @ inverse
        p = q_adjoint @ x
        return x + q @ (turn(p) - p)

    def of_r(da: Any) -> Any:
        projected = q_adjoint @ da
        return np.triu(projected - turn(projected[..., :, :k] @ inverse) @ r)

    lane_count = da.shape[-1]
    triangle = dual(r, lanes(of_r, da), lane_count)
    return triangle if mode == "r" else (dual(q, lanes(of_q, da), lane_count), triangle)


# ---------------------------------------------------------------------------- eigenvalues


def eigh(a: Any, UPLO: str = "L") -> Any:
    """``M = V.H dA V``: ``dw = diag(M)``, ``dV = V (M[i, j] / (w[j] - w[i]))``."""
    value, da = of_matrix(a)
    w, v = np.linalg.eigh(value, UPLO)
    upper = UPLO.upper() == "U"
    symmetric = lanes(lambda t: _from_lower(adjoint(t) if upper else t), da)
    m = _product(adjoint(v), _Tangents(symmetric), v)
    dv = _vectors(w, v, m, rounding(value))
    if plain(v).dtype.kind == "c":  # LAPACK makes the first component of each vector real
        turned = (dv / v[..., None]).imag[..., :1, :, :]
        dv = dv - v[..., None] * (1j * np.where(v[..., :1, :, None] == 0, np.nan, turned))
    n = da.shape[-1]
    return dual(w, _diagonal(m).real, n), dual(v, dv, n)


def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """Those that come with vectors: their derivatives need these."""
    return np.linalg.eigh(a, UPLO)[0]


def eig(a: Any) -> Any:
    """``M = V**-1 dA V``, as for symmetric matrices; then vectors keep the length one."""
    value, da = of_matrix(a)
    w, v = np.linalg.eig(value)
    m = _product(np.linalg.inv(v), _Tangents(da), v)
    dv = _vectors(w, v, m, rounding(value))
    change = np.sum(np.conjugate(v)[..., None] * dv, axis=-3, keepdims=True).real
    if plain(v).dtype.kind == "c":  # LAPACK makes the largest component of each vector real
        at = plain(v)
        k = np.argmax(np.where(at.imag == 0.0, np.abs(at), -1.0), axis=-2)[..., None, :, None]
        change = change + 1j * np.take_along_axis((dv / v[..., None]).imag, k, axis=-3)
    n = da.shape[-1]
    return dual(w, _diagonal(m), n), dual(v, dv - v[..., None] * change, n)


def eigvals(a: Any) -> Any:
    """In the order of NumPy's, which need not be that of eigenvalues with vectors."""
    value, _ = of_matrix(a)
    wanted, (w, _) = plain(np.linalg.eigvals(value)), np.linalg.eig(a)
    at = plain(w)
    order = np.zeros(wanted.shape, int)
    for stack in np.ndindex(wanted.shape[:-1]):
        left = list(range(wanted.shape[-1]))
        for k, it in enumerate(wanted[stack]):
            nearest = min(left, key=lambda j: abs(at[stack][j] - it))
            left.remove(nearest)
            order[(*stack, k)] = nearest
    return np.take_along_axis(w, order, axis=-1)


def _vectors(w: Any, v: Any, m: Any, tolerance: float) -> Any:
    mask = _parted(w, m, tolerance, "eigenvalues")
    return _product(v, _Tangents(m * _inverse_where(mask, w[..., None, :] - w[..., :, None])))


def _diagonal(m: Any) -> Any:
    return np.moveaxis(np.diagonal(m, axis1=-3, axis2=-2), -2, -1)


# ------------------------------------------------------------------------ singular values


def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """``P = U.T dA V``: ``ds = diag(P)`` and the rules of Giles for the vectors."""
    if not compute_uv:
        return svdvals(a)
    value, da = of_matrix(a)
    if hermitian:
        _refused("svd", "hermitian=", "use np.linalg.eigh")
    if plain(value).dtype.kind == "c":
        _refused("svd", "complex matrix", "use np.linalg.svdvals, or eigh of a.conj().T @ a")
    m, n = value.shape[-2:]
    k = min(m, n)
    beyond = full_matrices and m != n
    if beyond and max(m, n) > k + 1:
        raise ValueError("svd(): the last vectors are not unique; use full_matrices=False")
    all_u, s, all_vt = np.linalg.svd(value, bool(full_matrices))
    u, v = all_u[..., :, :k], adjoint(all_vt[..., :k, :])
    tolerance = rounding(value)
    if np.any(plain(s)[..., -1:] <= tolerance * plain(s)[..., :1]):
        raise ValueError("svd() has no derivative here: the matrix is rank-deficient")
    p = _product(adjoint(u), _Tangents(da), v)
    turned = np.swapaxes(p, -3, -2)
    mask = _parted(s, p + turned, tolerance, "singular values")
    row, column = s[..., :, None], s[..., None, :]
    over = _inverse_where(mask, (column - row) * (column + row))
    row, column = row[..., None], column[..., None]
    du = _product(u, _Tangents((p * column + turned * row) * over))
    dv = _product(v, _Tangents((p * row + turned * column) * over))
    du = du + (_product(_Tangents(da), v) - _product(u, _Tangents(p))) / _columns(s)
    da_v = _product(_Tangents(np.swapaxes(da, -3, -2)), u)
    dv = dv + (da_v - _product(v, _Tangents(turned))) / _columns(s)
    if beyond and m > n:
        du = _with_last(du, u, all_u[..., :, k:])
    if beyond and m < n:
        dv = _with_last(dv, v, adjoint(all_vt[..., k:, :]))
    count = da.shape[-1]
    dvt = np.swapaxes(dv, -3, -2)
    return dual(all_u, du, count), dual(s, _diagonal(p), count), dual(all_vt, dvt, count)


def _with_last(t: Any, first: Any, last: Any) -> Any:
    """A vector beyond the first stays orthogonal to them, which leaves nothing open for one."""
    more = lanes(lambda t: -first @ (np.swapaxes(t, -2, -1) @ last), t)
    return np.concatenate([t, more], axis=-2)


_RANK_DEFICIENT = (
    "the pseudo-inverse of a rank-deficient matrix has no derivative: drop dependent columns, or "
    "regularise"
)


def _check_rank(a: Any, share: Any) -> None:
    """Whether singular values are above a share of the largest."""
    s = np.linalg.svd(plain(a), compute_uv=False)
    least = np.maximum(0.0 if share is None else share, rounding(a))
    if np.any(s[..., -1:] <= least * s[..., :1]):
        raise ValueError(_RANK_DEFICIENT)


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """``dP = -P dA P + P P.H dA.H (1 - A P) + (1 - P A) dA.H P.H P``."""
    value, da = of_matrix(a)
    share = rcond if rtol is None else rtol
    _check_rank(value, None if share is None else np.asarray(share)[..., None])
    p = np.linalg.pinv(value)
    m, n = value.shape[-2:]

    def slope(da: Any) -> Any:
        change = -(p @ da @ p)
        if m > n:  # one of the projections is zero; which one, the shape says
            b = p @ adjoint(p) @ adjoint(da)
            change = change + (b - b @ value @ p)
        elif m < n:
            b = adjoint(da) @ adjoint(p) @ p
            change = change + (b - p @ (value @ b))
        return change

    return dual(p, lanes(slope, da), da.shape[-1])


def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """``dx = P (db - dA x) + P P.H dA.H r + (1 - P A) dA.H P.H x``, r what is left of b.

    The sum of squares of r changes by ``2 r.H (db - dA x)``, as r is orthogonal to A.
    """
    (a, b), (da, db) = split([wrapped(raw_of(it)) for it in (a, b)])
    x, squares, rank, values = np.linalg.lstsq(a, b, rcond)
    m, n = a.shape
    share = rounding(a) if rcond is None else max(rcond, 0.0)
    if da is not None:
        _check_rank(a, share)
    p = np.linalg.pinv(a, share)
    rest = b - a @ x

    def misfit(da: Any, db: Any) -> Any:
        change = 0.0 if db is None else db
        return change if da is None else change - da @ x

    def slope(da: Any, db: Any) -> Any:
        change = p @ misfit(da, db)
        if da is not None and m > n:
            change = change + p @ (adjoint(p) @ (adjoint(da) @ rest))
        elif da is not None and m < n:
            g = adjoint(da) @ (adjoint(p) @ x)
            change = change + (g - p @ (a @ g))
        return change

    def of_squares(da: Any, db: Any) -> Any:
        return np.atleast_1d(np.sum(2.0 * (np.conjugate(rest) * misfit(da, db)).real, axis=0))

    t = lanes(slope, da, db)
    count = t.shape[-1]
    if np.size(squares):
        squares = dual(squares, lanes(of_squares, da, db), count)
    if da is not None:
        values = dual(values, lanes(lambda da: _of_values(a, da), da), count)
    return dual(x, t, count), squares, rank, values


def _of_values(a: Any, da: Any) -> Any:
    """Singular values come along; nan where they are not unique."""
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    at = plain(s)
    same = np.abs(at[:, None] - at) <= rounding(a) * np.max(at, initial=0.0)
    slopes = np.diagonal(adjoint(u) @ da @ adjoint(vh)).real
    return np.where(np.sum(same, axis=0) > 1, np.nan, slopes)
