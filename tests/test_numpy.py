"""NumPy's functions on duals, form by form: values as NumPy's, tangents as differences."""

from __future__ import annotations

import ast
import inspect
import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

import dualgrad as dg
from dualgrad.duals import functions, ufuncs
from tests.complexstep import assert_same_bits
from tests.differences import jacobian as differences

X = np.array([[0.7, -1.3, 2.1], [1.9, 0.4, -0.6]])
A = np.array([[2.0, -1.0, 0.3], [0.5, 3.0, 0.1], [-0.2, 0.7, 1.5]])
NAMES = {"np": np, "X": X, "A": A, "G": np.array([-1.0, 0.5, 3.0]), "pick": np.array([0, 2, 0])}

#: The first form of each function is run for arrays of every kind.
FORMS = """
np.pad(x, 1); np.pad(x, ((1, 0), (2, 1)), constant_values=3.0); np.pad(x, 2, mode="edge")
np.pad(x, 1, mode="reflect"); np.pad(x, 1, mode="reflect", reflect_type="odd")
np.pad(x, 1, mode="symmetric"); np.pad(x, 3, mode="wrap"); np.pad(x, 2, mode="mean")
np.pad(x, 2, mode="linear_ramp", end_values=1.5); np.pad(x, 2, mode="mean", stat_length=2)
np.pad(x, 2, mode="maximum"); np.pad(x, 2, mode="minimum"); np.pad(x, 2, mode="median")
np.pad(x, 1, mode="empty")[1:-1, 1:-1]; np.pad(x, 1, constant_values=x[0, 0])
np.pad(x[0], 2, constant_values=(x[0, 0], x[1, 1])); np.gradient(x); np.gradient(x[0])
np.gradient(x, axis=1); np.gradient(x[0], 0.5); np.gradient(x[0], np.array([0.0, 1.0, 3.0]))
np.gradient(x, 2.0, 0.5); np.gradient(x, axis=(0, 1)); np.gradient(X[0], np.cumsum(x[1] + 1.0))
np.gradient(x[0], edge_order=2); np.gradient(x, x[0, 0], axis=1)
np.gradient(x, 1.0, np.array([0.0, 1.0, 4.0])); np.gradient(x[:1], axis=1, edge_order=2)
np.polyval(x[0], x[1]); np.polyval(x[0], 2.0); np.polyval(X[0], x); np.polyval(x[0], X)
np.polyval([x[0, 0], 2.0], x[1]); np.polyval(x[0], x[0, 0])
np.polyval(np.poly1d([1.0, 2.0, 3.0]), x); np.median(x); np.median(x, axis=1)
np.median(x, 0, keepdims=True); np.median(x[:, :2], axis=(0, 1)); np.percentile(x, 30)
np.percentile(x, [30, 50], axis=1); np.percentile(x, 40, method="weibull"); np.quantile(x, 0.3)
np.quantile(x, 0.3, method="lower"); np.quantile(x, 0.7, axis=0, keepdims=True)
np.quantile(x, x[0, 0]); np.quantile(X[0], x[0, 0])
np.quantile(x[0], 0.3, weights=np.array([1.0, 2.0, 3.0]), method="inverted_cdf"); np.nanmedian(x)
np.nanmedian(np.where(X < 1, x, np.nan), axis=1); np.nanpercentile(x, 30)
np.nanpercentile(np.where(X < 1, x, np.nan), 30, axis=1); np.nanquantile(x, 0.4, axis=0)
np.nanquantile(np.where(X < 1, x, np.nan), [0.2, 0.6]); np.cov(x); np.cov(x[0], x[1])
np.cov(x, aweights=np.array([1.0, 2.0, 3.0])); np.cov(x, ddof=0)
np.corrcoef(x[:, :2].T * x[:, 1:].T + A[:2, :2]); np.corrcoef(np.vstack([x, x[0] * x[1]])); np.i0(x)
np.sinc(x); np.unwrap(3 * x); np.unwrap(4 * x, axis=0, period=5.0); np.angle(x + 1j)
np.trim_zeros(x[0]); np.trim_zeros(np.maximum(x[1], 0)); np.vander(x[0])
np.vander(x[0], 2, increasing=True); np.ediff1d(x); np.ediff1d(x, to_end=x[0, :2], to_begin=1.0)
np.diff(x); np.diff(x, 2); np.diff(x, axis=0); np.diff(x, prepend=1.0)
np.diff(x, append=x[:, :1], axis=1); np.diff(X, prepend=x[:, :1])
np.diff(x, n=2, axis=0, prepend=X[:1], append=1.0); np.diff(x, 0); np.nan_to_num(x)
np.nan_to_num(np.where(X < 1, x, np.nan), nan=2.0); np.nanmax(x)
np.nanmax(np.where(X < 1, x, np.nan), axis=0, initial=-9.0); np.nanmin(x, axis=1); np.nanprod(x)
np.nanprod(np.where(X < 1, x, np.nan), axis=1); np.nansum(x, axis=1); np.nanvar(x, axis=0)
np.nanvar(np.where(X < 1, x, np.nan)); np.nanstd(x); np.nanstd(x, ddof=1, axis=1)
np.nanmean(x, axis=0, keepdims=True); np.nancumsum(np.where(X < 1, x, np.nan), axis=1)
np.nancumprod(np.where(X < 1, x, np.nan), axis=1); np.nancumprod(x)
np.apply_along_axis(lambda z: z[0] * z, 1, x); np.apply_along_axis(np.sum, 0, x)
np.apply_over_axes(np.sum, x, [0, 1]); np.piecewise(x, [X < 0], [1.0, lambda z: z * z])
np.piecewise(x, [X < 0, X >= 0], [lambda z: z**2, lambda z: 3 * z]); np.ix_(x[0], X[1])[0]
np.real_if_close(x); np.real_if_close(x + 0j); np.sort_complex(x); np.poly(x[0])
np.poly(np.outer(x[0], x[1]) + A); np.polyadd(x[0], x[1, :2]); np.polysub(x[0], X[1, :2])
np.polymul(x[0], x[1]); np.polydiv(x[0], x[1, :2]); np.polyder(x[0]); np.polyint(x[0])
np.polyint(x[0], 2, k=[1.0, x[0, 0]]); np.roots(x[0] + np.array([1.0, 0.0, -9.0])); np.ptp(x)
np.ptp(x, axis=1); np.unique(x); np.unique(x, return_index=True); np.union1d(x[0], x[1])
np.setxor1d(x[0], x[1]); np.unique_values(x); np.unique_all(x); np.unique_inverse(x)
np.unique_counts(x); np.partition(x, 1); np.partition(x, 1, axis=0); np.partition(x, 2, axis=None)
np.linspace(x[0, 0], x[0, 1], 5); np.linspace(x[0], x[1], 4); np.linspace(x[0], 2.0, 4, axis=1)
np.linspace(x[0], x[1], 4, retstep=True); np.linspace(0, x[0, 0], 4, endpoint=False)
np.logspace(x[0, 0], x[0, 1], 5); np.logspace(x[0], x[1], 3, base=2.0)
np.geomspace(x[0, 0], x[0, 2], 5); np.geomspace(x[0, 0], x[0, 2], 5, endpoint=False)
np.histogram(x, bins=3); np.histogram(x, weights=x)[0]
np.histogram(X, density=True, weights=x + 3)[0]
np.histogram(X, weights=x, bins=3, range=(-2, 3))[0]; np.histogram_bin_edges(x, 4)
np.histogram2d(X[0], X[1], weights=x[0])[0]; np.histogramdd(X.T, weights=x[0])[0]
np.bincount(pick, weights=x[0]); np.bincount(pick, x[0], 5); np.dot(b=x[0], a=x)
np.interp(x, np.cumsum(A[:, 2]) - 0.05, A[0]); np.interp(X, G, x[0])
np.interp(0.3, np.cumsum(x[1] + 1.0), x[0]); np.interp(x, G, x[0], period=4.0)
np.interp(x, [-1.0, 0.5, 1.0], x[0], left=x[1, 1], right=7.0); np.interp(x, G, x[0] + 1j * x[1])
np.interp(x, [0.5], x[0, :1]); np.interp(x[0, 0], G, X[0]); np.average(x, axis=1, keepdims=True)
np.average(x, weights=X + 3, returned=True); np.average(x, axis=0, weights=np.array([1.0, 2.0]))
np.average(x, weights=x + 3); np.modf(x); np.modf(x[0, 0]); np.frexp(x); np.frexp(x[0, 0])
np.frexp(x * 1e-310); np.ldexp(x, 3); np.ldexp(x, np.array([1, -2, 0])); np.heaviside(x, 0.5)
np.heaviside(X, x); np.heaviside(0 * X, x); np.divmod(x, 0.7); np.divmod(2.0, x)
np.sin(x, dtype=float); np.add(x, 1, dtype=complex); np.max(x, initial=0.5)
np.max(x, axis=1, initial=1.0); np.max(x, where=X < 1, initial=-5.0)
np.max(x[:, :0], axis=1, initial=2.0); np.max(x, axis=(0, 1), keepdims=True); x.max(initial=3.0)
np.max(x, axis=(1, 0), keepdims=True); np.max(x[0, 0]); np.max(x + 1j, axis=0); np.max(x, axis=())
np.min(x, axis=0, where=X > 0, initial=9.0); np.min(x, initial=x[0, 0])
np.min(x[0], where=X[0] > 9, initial=x[1, 1]); np.prod(x); np.prod(x, initial=2.0)
np.prod(x, where=X > 0); np.prod(x, axis=(0, 1)); np.prod(x[0, 0])
np.prod(x, axis=0, where=X > 0, initial=3.0, keepdims=True); x.prod(axis=1, initial=x[0, 0])
np.prod(x[:0]); np.prod(x[:, :0], axis=1); np.prod(x, 1, None, None, True); np.prod(x[:, 0:1] - 0.7)
np.sum(x, where=X > 0); np.sum(x, axis=1, where=X > 0, initial=2.0); np.sum(x, initial=x[0, 0])
np.sum(x[:0], axis=0); np.sum(x[0, 0]); np.sum(x, axis=()); np.sum(x, dtype=np.float32) * 1.0
np.sum(x[:, :0]); np.mean(x, axis=1, where=X > -1); np.var(x, where=X > 0)
np.std(x, axis=1, where=X > -1); np.var(x, mean=X.mean()); np.var(x, 1, None, None, 1)
np.std(x, correction=1); np.var(x + 1j * x**2); np.cumsum(x, axis=1, dtype=float)
np.cumprod(x, 1, float); np.cumprod(x); np.cumprod(x[0, 0]); np.cumulative_sum(x[0])
np.cumulative_sum(x, axis=1, include_initial=True); np.cumulative_prod(x, axis=0)
np.cumulative_prod(x[0], include_initial=True); np.add.reduce(x, where=X > 0)
np.maximum.reduce(x, axis=1, initial=0.0); np.multiply.reduce(x, 1, initial=2.0)
np.subtract.reduce(x, axis=1); np.hypot.reduce(x, axis=1, where=X > 0)
np.logaddexp.reduce(x, axis=None); np.true_divide.reduce(x, axis=0); np.fmax.reduce(x)
np.add.reduce(x, dtype=complex); np.add.accumulate(x); np.multiply.accumulate(x, axis=1)
np.maximum.accumulate(x, axis=1); np.minimum.accumulate(x); np.subtract.accumulate(x, 1)
np.hypot.accumulate(x, axis=1); np.add.accumulate(x[0, :0]); np.add.reduceat(x[0], [0, 2, 1])
np.multiply.reduceat(x, [0, 1], axis=1); np.maximum.reduceat(x, [0, 2], axis=1)
np.subtract.outer(x[0], x); np.power.outer(abs(x[0]), x[1]); np.power.outer(x[0], [2, 3])
np.hypot.outer(x, x[0], dtype=float); np.arctan2.outer(x[0, 0], x[1]); np.astype(x, complex)
x.astype(float, "F"); x[0, 0].astype(complex); x[0, 0].reshape(1); x[0, 0].ravel()
x[0, 0].clip(0, 0.5); x[0, 0].sum(); x[0, 0].mean(); x[0, 0].copy(); np.average(x[0, 0])
np.atleast_1d(2.0, x[0])[1]; np.zeros_like(x, complex) + x; np.full_like(x, 2.0, dtype=complex) * x
(x + 1j) ** x; np.concatenate([x, X], dtype=complex); np.min(x[0, 0], axis=0)
np.cumprod(x[0, 0], axis=0); np.median(x, keepdims=True)
np.take_along_axis(x, np.argsort(X, axis=1), axis=1); np.tensordot(x, x, axes=([0], [0]))
"""

MOVES = """
np.diagonal(x, 1); np.matrix_transpose(x); np.diagflat(x); np.resize(x, (2, 4)); np.flipud(x)
np.atleast_1d(x[0, 0]); np.atleast_2d(x[0]); np.atleast_3d(x); np.unstack(x); np.hsplit(x, 3)
np.rollaxis(x, 1); np.column_stack([x[0], x[1]]); np.vsplit(x, 2); np.fliplr(x)
np.choose([0, 1, 0], [x[0], x[1]]); np.rot90(x); np.swapaxes(x, 0, 1); np.array_split(x, 2, axis=1)
np.dstack([x, X]); np.dsplit(x[..., None], 1); np.compress([True, False, True], x, axis=1)
np.extract(X > 0, x); np.triu(x); np.setdiff1d(x[0], A[0]); np.intersect1d(x[0], x[0]); np.fix(x)
np.round(x, 1); np.around(x); np.amin(x, axis=1); np.fft.ifft(x); np.fft.rfft(x); np.fft.irfft(x)
np.fft.fft2(x); np.fft.ifft2(x); np.fft.fftn(x); np.fft.ifftn(x); np.fft.fftshift(x)
np.fft.ifftshift(x); np.trapz(x[0], x[1]); np.product(x, axis=0); np.cumproduct(x); np.round_(x)
np.trapezoid(x[0], x[1]); np.asfarray(x); np.msort(x)
"""

#: NumPy has `permute_dims` since it says by another rule what vectors are that are solved for.
LINALG = """
np.linalg.norm(x); np.linalg.norm(x, 1); np.linalg.norm(x, -1); np.linalg.norm(x, np.inf)
np.linalg.norm(x, -np.inf); np.linalg.norm(x, 2); np.linalg.norm(x, -2); np.linalg.norm(x, "nuc")
np.linalg.norm(x, "fro"); np.linalg.norm(x[0], 3); np.linalg.norm(x[0], 0.5)
np.linalg.norm(x[0], -1); np.linalg.norm(x[0], -np.inf); np.linalg.norm(x[0], 0)
np.linalg.norm(x, 3, axis=1); np.linalg.norm(x, np.inf, axis=0, keepdims=True)
np.linalg.norm(x, 2, keepdims=True); np.linalg.norm(np.stack([x, x * x]), 2, axis=(1, 2))
np.linalg.norm(np.stack([x, x * x]), 1, axis=(0, 2))
np.linalg.norm(np.stack([x, x * x]), "nuc", axis=(2, 0), keepdims=True)
np.linalg.norm(x + 1j * x**2, 2); np.linalg.norm(x + 1j * x**2, "nuc")
np.linalg.norm(x + 1j * x[::-1], 3, axis=0); np.linalg.norm(x[0] + 1j); np.linalg.norm(x, axis=1)
np.linalg.matmul(x, x.T); np.linalg.outer(x[0], x[1]); np.linalg.cross(x, x[::-1])
np.linalg.trace(x); np.linalg.trace(x, offset=1); np.linalg.diagonal(x); np.linalg.vecdot(x, X)
np.linalg.vecdot(x + 1j, x * 2j); np.linalg.tensordot(x, x, axes=([1], [1]))
np.linalg.matrix_transpose(x); np.linalg.vector_norm(x); np.linalg.vector_norm(x, axis=1, ord=3)
np.linalg.vector_norm(x, axis=(0, 1), keepdims=True, ord=np.inf); np.linalg.matrix_norm(x)
np.linalg.matrix_norm(np.stack([x, 2 * x]), ord=2); np.linalg.matrix_norm(x, ord=-1, keepdims=True)
np.linalg.svdvals(x); np.linalg.svdvals(np.stack([x, x**2])); np.linalg.svd(x, compute_uv=False)
np.linalg.multi_dot([x, A, x.T]); np.linalg.multi_dot([x[0], A, A, x[1]]); np.linalg.cond(x)
np.linalg.cond(x @ x.T, 1); np.linalg.cond(x, -2); np.linalg.cond(x @ x.T, "fro")
np.linalg.cond(np.stack([x @ x.T, X @ X.T])); np.linalg.matrix_power(x @ x.T, 3)
np.linalg.matrix_power(x @ x.T, -1); np.linalg.matrix_power(x @ x.T, 0); np.linalg.slogdet(x @ x.T)
np.linalg.slogdet(np.stack([x @ x.T, x[:, :2]])); np.linalg.slogdet(x @ x.T + 1j * X[:, :2])
np.linalg.tensorinv((A * x[0]).reshape(3, 3), ind=1); np.linalg.tensorsolve(A * x[0], x[1])
np.linalg.det(x @ x.T); np.linalg.det(np.stack([x @ x.T, x[:, :2]]))
np.linalg.det(x @ x.T + 1j * X[:, :2]); np.linalg.inv(np.stack([x @ x.T, x[:, :2]]))
np.linalg.solve(np.stack([x @ x.T, x[:, :2]]), x[:, :2])
np.linalg.solve(np.stack([x @ x.T, x[:, :2]]), x[None])
np.linalg.solve(np.stack([x @ x.T, x[:, :2]]), np.permute_dims(x[0, :2]))
np.linalg.solve(np.stack([x @ x.T, x[:, :2]]), np.permute_dims(x, (0, 1)))
np.fft.rfft2(x); np.fft.irfft2(x); np.fft.rfftn(x); np.fft.irfftn(x); np.fft.hfft(x)
np.fft.ihfft(x)
"""

FACTORS = """
np.linalg.cholesky(x @ x.T + A[:2, :2].T); np.linalg.cholesky(np.stack([x @ x.T, 2 * x @ x.T]))
np.linalg.cholesky(x @ x.T, upper=True); np.linalg.cholesky(hermitian(x))
np.linalg.cholesky(hermitian(x), upper=True); np.linalg.qr(x); np.linalg.qr(x.T)
np.linalg.qr(x.T, mode="r"); np.linalg.qr(x, "complete"); np.linalg.qr(np.stack([x, x * x + 1]))
np.linalg.qr(x.T + 1j * x.T ** 2); np.linalg.qr(x + 1j * x ** 2); np.linalg.eigh(x @ x.T)
np.linalg.eigh(A * x[0]); np.linalg.eigh(A * x[0], "U"); np.linalg.eigvalsh(x @ x.T)
np.linalg.eigvalsh(A * x[0], UPLO="U"); np.linalg.eigh(np.stack([x @ x.T, x[:, :2]]))
np.linalg.eigh(A * x[0] + 1j * A * x[1]); np.linalg.eigvalsh(A * x[0] + 1j * A * x[1])
np.linalg.eig(A * x[0]); np.linalg.eig(x @ x.T); np.linalg.eigvals(A * x[0])
np.linalg.eigvals(np.outer(x[0], x[1]) + A); np.linalg.eig(np.outer(x[0], x[1]) + A)
np.linalg.eig(A * x[0] + 1j * A * x[1]); np.linalg.eig(x[:, :2])
np.linalg.eigvals(np.stack([x[:, :2], x[:, 1:]])); np.linalg.eig(np.stack([x[:, :2], x[:, 1:]]))
np.linalg.svd(x); np.linalg.svd(x, full_matrices=False); np.linalg.svd(x.T)
np.linalg.svd(np.stack([x, x * x]), False); np.linalg.svd(A * x[0])
np.linalg.svd(np.stack([x, x * x])); np.linalg.pinv(x); np.linalg.pinv(x.T)
np.linalg.pinv(A * x[0]); np.linalg.pinv(np.stack([x, x * x])); np.linalg.pinv(x + 1j * x ** 2)
np.linalg.pinv(x, rcond=1e-10); np.linalg.pinv(x @ x.T, hermitian=True)
np.linalg.pinv(x.T, rtol=1e-12); np.linalg.lstsq(x.T, x[0])[0]; np.linalg.lstsq(x.T, A)
np.linalg.lstsq(x, x[:, 0]); np.linalg.lstsq(A, x.T); np.linalg.lstsq(A[:, :2], x.T)
np.linalg.lstsq(x.T, A[0]); np.linalg.lstsq(A * x[0], x[1])
np.linalg.lstsq(x.T + 1j * x.T ** 2, x[0]); np.linalg.lstsq(np.ones((3, 2)), x[0])[0]
np.polyfit(x[0], x[1], 2); np.polyfit(np.arange(3.0), x[0], 1); np.polyfit(np.arange(3.0), x.T, 1)
np.roots(x[0] + np.array([1, 0, -9.0]))
"""


def hermitian(x: Any) -> Any:
    """A positive Hermitian matrix."""
    turn = np.outer(x[0, :2], [0, 1])
    return x @ x.T + 1j * (turn - turn.T) + 3 * np.eye(2)


def _forms(text: str) -> list[str]:
    """Those of functions, and of their keywords, that this NumPy has."""
    forms = [form.strip() for line in text.strip().splitlines() for form in line.split(";")]
    return [form for form in forms if form and all(map(_is_there, ast.walk(ast.parse(form))))]


def _is_there(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not ast.unparse(node.func).startswith("np."):
        return True
    try:
        function = operator.attrgetter(ast.unparse(node.func).removeprefix("np."))(np)
        parameters = inspect.signature(function).parameters
    except AttributeError:
        return False
    except ValueError:  # written in C
        return True
    takes_any = any(it.kind is it.VAR_KEYWORD for it in parameters.values())
    return takes_any or all(it.arg in parameters for it in node.keywords)


ALL = _forms(FORMS + MOVES + LINALG + FACTORS)


def _function(form: str) -> Callable[..., Any]:
    f: Callable[..., Any] = eval(f"lambda x: {form}", {**NAMES, "hermitian": hermitian})
    return f


def _flat(result: Any) -> list[Any]:
    """The arrays and numbers that a function returns, which may be a tuple or list of them."""
    return (
        [it for item in result for it in _flat(item)]
        if isinstance(result, (tuple, list))
        else [result]
    )


def check(f: Callable[..., Any], x: np.ndarray, seeds: Any, slack: float = 0.0) -> None:
    """Values are those without duals, tangents those of differences; whole numbers have none.

    The tangents of `seeds` are the identity, and its values those of `x`.
    """
    found, wanted = _flat(f(seeds)), _flat(f(x))
    assert len(found) == len(wanted)
    for k, (y, want) in enumerate(zip(found, wanted, strict=True)):
        assert_same_bits(dg.value(y), want)
        if np.asarray(want).dtype.kind not in "fc":
            assert not isinstance(y, (dg.Dual, dg.DualArray))
            continue
        assert isinstance(y, dg.Dual if np.ndim(want) == 0 else dg.DualArray)
        assert dg.tangent(y).dtype == np.asarray(want).dtype
        got = dg.tangent(y).reshape(np.shape(want) + x.shape)
        expected, error = differences(lambda z, k=k: _flat(f(z))[k], x.astype(float))
        error = 10 * error + slack * (1.0 + abs(expected))
        np.testing.assert_array_less(abs(got - expected), error)


@pytest.mark.parametrize("form", ALL)
def test_forms(form: str) -> None:
    check(_function(form), X, dg.seed(X))


# --------------------------------------------------------------------------- kinds of arrays


def _strided(d: Any) -> Any:
    return np.repeat(d, 2, axis=-1)[..., ::2]


def _fortran(d: Any) -> Any:
    return d.T.copy().T


def _read_only(d: Any) -> Any:
    d._dualgrad_data.flags.writeable = False
    return d


KINDS = {"strided": _strided, "fortran": _fortran, "read-only": _read_only}
FIRST = [*{re.split(r"\(", form)[0]: form for form in reversed(ALL)}.values()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FIRST)
def test_kinds(form: str, kind: str) -> None:
    """The values are those of an array of the same order whose items lie side by side."""
    f, seeds = _function(form), KINDS[kind](dg.seed(X))
    check(f, np.copy(seeds.value), seeds)


@pytest.mark.parametrize("form", FIRST)
def test_single_precision(form: str) -> None:
    x = X.astype(np.float32)
    found, wanted, exact = (_flat(_function(form)(it)) for it in (dg.seed(x), x, dg.seed(X)))
    for y, want, best in zip(found, wanted, exact, strict=True):
        assert_same_bits(dg.value(y), want)
        if np.asarray(want).dtype.kind in "fc":
            assert dg.tangent(y).dtype == np.asarray(want).dtype
            np.testing.assert_allclose(dg.tangent(y), dg.tangent(best), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("form", FIRST)
def test_second_derivatives(form: str) -> None:
    """Tangents of tangents, by differences of those of duals that are not nested."""
    f = _function(form)
    found, wanted = _flat(f(dg.seed(dg.seed(X)))), _flat(f(X))
    for k, (y, want) in enumerate(zip(found, wanted, strict=True)):
        assert_same_bits(dg.value(dg.value(y)), want)
        if np.asarray(want).dtype.kind in "fc":
            got = dg.tangent(dg.tangent(y))
            expected, error = differences(lambda z, k=k: dg.tangent(_flat(f(dg.seed(z)))[k]), X)
            np.testing.assert_array_less(abs(got.reshape(expected.shape) - expected), 10 * error)


# ---------------------------------------------------------------------------- closed forms


def _tangent(y: Any) -> Any:
    return dg.tangent(y).reshape(np.shape(y) + X.shape)


def test_norms_in_closed_form() -> None:
    u, _, vh = np.linalg.svd(X, full_matrices=False)
    x = dg.seed(X)
    for ord, slope in (
        (2, np.outer(u[:, 0], vh[0])),
        (-2, np.outer(u[:, 1], vh[1])),
        ("nuc", u @ vh),
        (1, np.sign(X) * [0, 0, 1]),
        (np.inf, np.sign(X) * [[1], [0]]),
    ):
        np.testing.assert_allclose(_tangent(np.linalg.norm(x, ord)), slope, rtol=1e-13, atol=1e-15)
    eye = dg.seed(np.eye(2))  # the sum of singular values has no kink where they coincide
    np.testing.assert_allclose(dg.tangent(np.linalg.norm(eye, "nuc")), [1, 0, 0, 1], atol=1e-15)
    forms = """
    np.linalg.norm(a, 2); np.linalg.norm(a, -2); np.linalg.svdvals(a); np.linalg.cond(a)
    np.linalg.svd(a, compute_uv=False)
    """
    for form in _forms(forms):
        with pytest.raises(ValueError, match="repeated singular values"):
            eval(form, {"np": np, "a": eye})
    once = dg.DualArray(np.diag([2.0, 2.0]), np.diag([3.0, 3.0])[..., None])  # do not part
    assert dg.tangent(np.linalg.norm(once, 2)) == 3.0


def test_norms_at_zero_and_of_any_size() -> None:
    zero = dg.seed(np.zeros((2, 2)))
    for ord in (None, 1, -1, 2, np.inf, "nuc", "fro"):
        y = np.linalg.norm(zero, ord)
        assert y == 0.0
        np.testing.assert_array_equal(dg.tangent(y), np.zeros(4))
    for ord in (1, 2, 3, np.inf):
        np.testing.assert_array_equal(dg.tangent(np.linalg.norm(zero[0], ord)), np.zeros(4))
        for size in (1e-200, 1e200):
            with np.errstate(all="ignore"):
                got = dg.tangent(np.linalg.norm(dg.DualArray(X[0] * size, np.eye(3)), ord))
            want = dg.tangent(np.linalg.norm(dg.seed(X[0]), ord))
            np.testing.assert_allclose(got, want, rtol=1e-13)


def test_parts_of_floats() -> None:
    x = dg.DualArray([3.75, -0.3, 0.0, np.inf, 5e-324], np.ones((5, 1)))
    fraction, whole = np.modf(x)
    np.testing.assert_array_equal(dg.tangent(fraction), np.ones((5, 1)))
    np.testing.assert_array_equal(dg.tangent(whole), np.zeros((5, 1)))
    mantissa, exponent = np.frexp(x)
    assert exponent.dtype == np.frexp(X)[1].dtype
    scale = dg.tangent(mantissa)[:, 0]
    np.testing.assert_array_equal(scale[:4], [0.25, 2.0, 1.0, 1.0])
    assert scale[4] == np.inf  # 2 ** 1073
    np.testing.assert_array_equal(dg.tangent(np.heaviside(x, x)).ravel(), [0, 0, 1, 0, 0])


def test_ties_and_defaults() -> None:
    """Between a constant and a dual a tie has derivative zero, between duals it is the first's."""
    x = dg.seed([2.0, 2.0, 1.0])
    np.testing.assert_array_equal(dg.tangent(np.max(x)), [1, 0, 0])
    np.testing.assert_array_equal(dg.tangent(np.max(x, initial=2.0)), [0, 0, 0])
    np.testing.assert_array_equal(dg.tangent(np.maximum.accumulate(x)), [[1, 0, 0]] * 3)
    np.testing.assert_array_equal(
        dg.tangent(np.interp([1.0, 2.0], [1.0, 2.0], x[1:])), [[0, 1, 0], [0, 0, 1]]
    )
    at_knots = np.interp(x, [1.0, 2.0], [3.0, 7.0])  # the slope to the right
    np.testing.assert_array_equal(dg.tangent(at_knots), np.diag([0, 0, 4.0]))


def test_errors_are_those_of_numpy() -> None:
    x = dg.seed(X)
    for form in (
        "np.max(x[:, :0])", "np.sum(x, axis=5)", "np.pad(x, -1)", "np.gradient(x, axis=3)",
        "np.quantile(x, 1.5)", "np.linalg.norm(x, 3)", "np.prod(x, axis=(0, 0))",
        "np.max(x, where=X > 0)", "np.polyfit(x[0], x[1], -1)",
        "np.linalg.svd(x[0])", "np.interp(x, [], [])", "np.diff(x, -1)", "np.median(x, 7)",
        "np.linspace(x[0], x[1], -3)", "np.subtract.reduce(x, axis=(0, 1))", "np.linalg.det(x)",
        "np.add.reduceat(x, [9])", "np.bincount(x[0])", "np.take_along_axis(x, pick, 0)",
    ):  # fmt: skip
        with pytest.raises(Exception) as want:
            eval(form, {**NAMES, "x": X})
        with pytest.raises(type(want.value)) as got:
            eval(form, {**NAMES, "x": x})
        assert str(got.value) == str(want.value), form


# ------------------------------------------------------------------------------- in place


def test_writing_in_place() -> None:
    x = dg.seed(X)
    for call in (
        lambda a, v: np.put_along_axis(a, np.array([[2], [0]]), v[:, :1], 1),
        lambda a, v: np.put_along_axis(a, np.array([[1], [2]]), v[:, :1], axis=1),
        lambda a, v: np.put(a, [4, 1], v[0, :2]),
        lambda a, v: np.place(a, X > 0, v[0]),
        lambda a, v: np.putmask(a, X > 0, v),
        lambda a, v: np.putmask(a, mask=X > 0, values=v),
        lambda a, v: np.copyto(src=v[::-1], dst=a),
        lambda a, v: np.copyto(a, v[::-1], where=X > 0),
        lambda a, v: np.add.at(a, ([0, 1, 0], [0, 2, 0]), v[1]),
        lambda a, v: np.multiply.at(a, (slice(None), [0, 0, 1]), v),
        lambda a, v: np.negative.at(a, ([0], [1])),
        lambda a, v: np.maximum.at(a, X > 0, v[1, 1]),
        lambda a, v: np.cumsum(v, axis=1, out=a),
        lambda a, v: np.max(v, axis=0, out=a[1]),
        lambda a, v: np.max(v, 0, a[1]),
        lambda a, v: np.add.accumulate(v, out=a),
        lambda a, v: np.modf(v, out=(a, np.zeros_like(a))),
        lambda a, v: a.partition(1),
        lambda a, v: np.nan_to_num(a, copy=False),
        lambda a, v: np.sin(X, out=a),
        lambda a, v: np.cumsum(X, axis=1, out=a),
        lambda a, v: np.concatenate([v[1:], v[:1]], 0, a),
        lambda a, v: np.dot(v, A, a),
        lambda a, v: np.modf(v, a),
    ):  # fmt: skip

        def written(z: Any, call: Any = call) -> Any:
            a = z * 2.0
            call(a, z)
            return a

        check(written, X, x)


def test_what_is_written_has_the_type_of_the_target() -> None:
    x = dg.DualArray(X.astype(np.float32), np.ones((2, 3, 1)))
    np.copyto(x, dg.DualArray(X[::-1], 2 * np.ones((2, 3, 1))))
    assert_same_bits(dg.value(x), X[::-1].astype(np.float32))
    np.testing.assert_array_equal(dg.tangent(x), np.full((2, 3, 1), 2.0))
    for call in ("np.copyto(x, 1j * x)", "np.put_along_axis(x, pick[None], 1j, 0)"):
        with pytest.raises(TypeError, match="cannot hold a complex one"):
            eval(call, {**NAMES, "x": x})
    for call in ("np.put_along_axis(X, pick[None], x, 0)", "np.multiply.at(X.copy(), 0, x)"):
        with pytest.raises(dg.NotDifferentiable, match="cannot hold a dual number"):
            eval(call, {**NAMES, "x": x})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_shapes_are_set() -> None:
    """NumPy's own code did so."""
    x = dg.seed(X)
    y = x[:]
    y.shape = (3, 2)
    assert x.shape == (2, 3)
    np.testing.assert_array_equal(y.tangents.reshape(6, 6), np.eye(6))
    with pytest.raises(AttributeError, match="ncompatible shape"):
        x.T.shape = (6,)


QUESTIONS = """
np.isneginf(x); np.isposinf(x); np.flatnonzero(x > 0); np.flatnonzero(x); np.nanargmin(x)
np.nanargmax(x, axis=1); np.size(x); np.array_equiv(x, X); np.array_equal(x, X); np.isclose(x, X)
np.iscomplex(x); np.isreal(x); np.lexsort(x); np.isrealobj(x); np.iscomplexobj(x + 1j)
np.count_nonzero(x, axis=0); np.argwhere(x); np.can_cast(x, int); np.result_type(x, 1j)
np.common_type(x, x[0]); np.min_scalar_type(x[0, 0]); np.diag_indices_from(x[:, :2])
np.tril_indices_from(x); np.triu_indices_from(x, 1); np.einsum_path("ij,jk", x, A)
np.linalg.matrix_rank(x); np.shares_memory(x, x[0]); np.shares_memory(x[0], x[1])
np.may_share_memory(x, A); np.isfortran(x); np.logical_or.accumulate(x)
np.greater.outer(x[0], x[1]); np.sum(x, dtype=int); np.isin(x, [0.4]); np.argpartition(x, 1)
np.broadcast_arrays(x[0, 0], [1, 2])[1]; np.meshgrid(x[0], [1, 2])[1]; np.digitize(x, G)
np.in1d(x, [0.4]); np.alltrue(x); np.sometrue(x, axis=0)
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("form", _forms(QUESTIONS))
def test_questions(form: str) -> None:
    f = _function(form)
    for got, want in zip(_flat(f(dg.seed(X))), _flat(f(X)), strict=True):
        assert not isinstance(got, (dg.Dual, dg.DualArray))
        np.testing.assert_array_equal(got, want)


def test_types_are_those_of_numpy() -> None:
    """Where numbers of several types meet; plain Python numbers are weak."""
    x = X.astype(np.float32)
    d = dg.DualArray(x, np.ones((2, 3, 1)))
    for form in (
        "np.where(X > 0, x, 1.0)", "np.where(X > 0, x, X)", "np.append(x, 2.0)",
        "np.insert(x[0], 1, X[0, 0])", "np.concatenate([x, X])", "np.select([X > 0], [x], 2.0)",
        "np.where(X > 0, x, 1j)", "np.stack([x[0], [1, 2, 3]])",
    ):  # fmt: skip
        got, want = (eval(form, {**NAMES, "x": it}) for it in (d, x))
        assert_same_bits(dg.value(got), want)
        assert dg.tangent(got).dtype == want.dtype
        assert np.isin(dg.tangent(got), [0, 1]).all()


REFUSED = """
np.unique(x, axis=0); np.bitwise_and(x, x); np.bitwise_count(x); np.gcd(x, x); np.gcd.reduce(x)
np.array2string(x); np.packbits(x); np.save('x', x); np.bitwise_or.at(x, 0, x)
"""


@pytest.mark.parametrize("form", _forms(REFUSED))
def test_refused(form: str) -> None:
    """A short message that names the function."""
    with pytest.raises((dg.NotDifferentiable, ValueError)) as caught:
        _function(form)(dg.seed(X))
    name = form.split("(")[0].removeprefix("np.")
    assert name in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


def test_matrices_without_derivatives() -> None:
    """Vectors that are not unique, and ranks that change."""
    names = {"np": np, "a": dg.seed(np.eye(2)), "b": dg.seed(np.ones((3, 2))), "x": dg.seed(X)}
    names |= {"tall": dg.seed(np.arange(8.0).reshape(4, 2)), "d": dg.seed(np.arange(2.0))}
    for form, text in (
        ("eigh(a)", "repeated eigenvalues"), ("eigvalsh(a)", "repeated eigenvalues"),
        ("eig(a)", "repeated eigenvalues"), ("eigvals(a)", "repeated eigenvalues"),
        ("svd(a)", "repeated singular values"), ("svd(b)", "rank-deficient"),
        ("svd(tall)", "not unique"), ("qr(b)", "linearly dependent"), ("pinv(b)", "rank-deficient"),
        ("lstsq(b, x[0])", "rank-deficient"), ("qr(tall, 'complete')", "np.linalg.qr .* mode="),
        ("svd(a, hermitian=True)", "np.linalg.svd .* hermitian="), ("qr(x, 'raw')", "mode='raw'"),
        ("svd(x + 1j)", "np.linalg.svd .* complex"), ("cholesky(-a)", "not positive definite"),
        ("inv(b.T @ b)", "Singular"),
    ):  # fmt: skip
        with pytest.raises((ValueError, dg.NotDifferentiable), match=text):
            eval(f"np.linalg.{form}", names)
    _, v = np.linalg.eigh(np.diag(names["d"] * 0 + 1.0))  # which vectors, the tangents say
    np.testing.assert_array_equal(dg.tangent(v), np.zeros((2, 2, 2)))
    parted = dg.DualArray(np.eye(2), np.diag([1.0, 2.0])[..., None])
    np.testing.assert_array_equal(dg.tangent(np.linalg.eigh(parted)[0]), [[1], [2]])
    # without an active matrix its rank is of no account
    deficient = np.linalg.lstsq(np.ones((3, 2)), names["x"][0])
    np.testing.assert_allclose(dg.tangent(deficient[0])[:, :3], np.full((2, 3), 1 / 6))


def test_determinants_of_singular_matrices() -> None:
    ones = dg.seed(np.ones((2, 2)))
    np.testing.assert_array_equal(dg.tangent(np.linalg.det(ones)), [1, -1, -1, 1])
    sign, logarithm = np.linalg.slogdet(np.stack([ones, ones * [2.0, 1.0], np.eye(2) + 0.0 * ones]))
    np.testing.assert_array_equal(dg.value(logarithm), [-np.inf, -np.inf, 0.0])
    np.testing.assert_array_equal(dg.tangent(sign), np.zeros((3, 4)))
    infinite = np.inf * np.array([1, -1, -1, 1])
    np.testing.assert_array_equal(dg.tangent(logarithm), [infinite, infinite, np.zeros(4)])
    b = dg.seed(np.ones((3, 2)))  # its determinant does not change
    np.testing.assert_array_equal(dg.tangent(np.linalg.slogdet(b.T @ b)[1]), np.zeros(6))
    zero = dg.seed(np.zeros((1, 1)))
    np.testing.assert_array_equal(dg.tangent(np.linalg.det(zero)), [1])


INPUTS = [
    np.zeros(0), np.zeros((0, 3)), np.zeros((3, 0)), np.array(1.5), np.array([[2.0]]), X, A,
    np.array([np.nan, 1.0, -np.inf]), np.arange(12.0).reshape(3, 2, 2) ** 1.5, X + 1j * X[::-1],
]  # fmt: skip
CALLS = """
f(x); f(x, 1); f(x, axis=0); f(x, axis=-1); f(x, axis=(0,)); f(x, axis=None); f(x, keepdims=True)
f(p, x); f(x, p); f(x, 0.5); f(x, 3); f(2, x); f(x, [0]); f(x, p, 0); f(x, dtype=np.float32)
"""
#: What is made of another argument than the first.
OF_ANOTHER = (np.compress, np.extract, np.isneginf, np.isposinf, np.where)
#: What NumPy does not ask: an empty polynomial, and second arguments.
NOT_ASKED = (np.roots, np.linalg.matrix_rank, np.linalg.norm)
#: What memory holds that nothing was written to: NumPy's own results differ from call to call.
UNDEFINED = (np.fft.irfft, np.fft.hfft, np.empty_like)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", _forms(CALLS))
def test_any_call(call: str) -> None:
    """Functions of anything: values and dtypes are NumPy's, with tangents; or it is refused."""
    ours = (dg.NotDifferentiable, ValueError)  # vectors that are not unique are a ValueError
    for function in functions.RULES:
        for plain in INPUTS:
            if function in NOT_ASKED and ("f(p" in call or not plain.size):
                continue
            given = {"f": function, "p": plain.copy(), "np": np}
            number = dg.DualArray(plain, np.ones(plain.shape + (2,)))
            try:
                want = _flat(eval(call, {**given, "x": plain.copy()}))
            except Exception:
                continue
            where = f"{function.__name__} of {plain.shape}"
            try:
                found = _flat(eval(call, {**given, "x": number if plain.ndim else number[()]}))
            except ours as error:
                assert len(str(error).splitlines()) < 3, where
                continue
            for y, exact in zip(found, want, strict=True):
                if not isinstance(exact, (np.ndarray, np.generic)):
                    continue
                assert dg.value(y).dtype == exact.dtype, where
                if function not in UNDEFINED:
                    np.testing.assert_array_equal(dg.value(y), exact, err_msg=where)
                if exact.dtype.kind in "fc" and "f(x" in call and function not in OF_ANOTHER:
                    assert isinstance(y, (dg.Dual, dg.DualArray)), where


#: Functions of text, files, bits, dates and indices of whole numbers.
NO_NUMBERS = """
array2string array_repr array_str save savez savez_compressed savetxt datetime_as_string
busday_count busday_offset is_busday packbits unpackbits ravel_multi_index unravel_index
""".split()


def test_every_function_is_told_of() -> None:
    """What asks its arguments what to do has a rule, and a form here or in the tests of duals."""
    texts = [(Path(__file__).parent / it).read_text() for it in ("test_numpy.py", "test_duals.py")]
    called = set(re.findall(r"[\w\])]\.([\w.]+)[(,.]", "".join(texts)))
    names: dict[Any, set[str]] = {}
    for prefix, module in (("", np), ("linalg.", np.linalg), ("fft.", np.fft)):
        for name in module.__all__:
            function = getattr(module, name)
            if isinstance(function, type(np.sum)) and name not in NO_NUMBERS:
                names.setdefault(function, set()).update((name, prefix + name))
            if isinstance(function, np.ufunc) and function.types[0][0] not in "?bM":
                assert function in {*ufuncs.TANGENTS, *ufuncs.PLAIN, *functions.PRODUCTS}, name
    assert not [given for function, given in names.items() if function not in functions.RULES]
    assert not [given for given in names.values() if not given & called]


def test_results_have_names() -> None:
    a = dg.seed(A)
    assert_same_bits(dg.value(np.linalg.svd(a).S), np.linalg.svd(A).S)
    assert_same_bits(dg.value(np.linalg.eigh(a).eigenvalues), np.linalg.eigh(A).eigenvalues)
    assert_same_bits(dg.value(np.linalg.qr(a).R), np.linalg.qr(A).R)
    for form in _forms("np.unique_all(a).values"):
        assert_same_bits(dg.value(eval(form, {"np": np, "a": a})), np.unique(A))


@pytest.mark.parametrize("x", [0.0, 1e-10, 0.3, 0.64, 2.5])
def test_sinc_and_its_second_derivative(x):
    with mpmath.workdps(40):
        value, slope, half = (float(it) for it in mpmath.taylor(mpmath.sincpi, x, 2))
    nested = np.sinc(dg.Dual(dg.Dual(x, 1.0), dg.Dual(1.0, 0.0)))
    np.testing.assert_allclose(dg.value(dg.value(nested)), value, rtol=1e-15)
    np.testing.assert_allclose(dg.tangent(dg.value(nested)), [slope], rtol=1e-14, atol=1e-30)
    second = dg.tangent(dg.tangent(nested))
    np.testing.assert_allclose(np.ravel(second), [2 * half], rtol=1e-13)
