"""The call forms of NumPy's functions that dualgrad is held to, and the page made from them.

One row is a function, a point, how its derivative is known, and call forms of it in terms of
`x`. A form may be several statements; the last one is the result. `python -m
tests.coverage_table` writes `docs/coverage.md`; with `--run` it runs the table in other ways.
"""

from __future__ import annotations

import argparse
import cmath
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import polynomial as poly

# ---------------------------------------------------------------------------------- points

POINTS = {
    "v": np.array([1.5, -2.0, 0.5, 3.0, 0.25, -1.25]),
    "up": np.array([0.25, 0.75, 1.5, 2.0, 3.5, 4.25]),  # positive and increasing
    "in": np.array([0.3, -0.7, 0.5, 0.1, -0.2, 0.8]),  # in (-1, 1)
    "m": np.array([[1.5, -2.0, 0.5, 0.75], [3.0, 0.25, -1.25, 2.25], [-0.5, 1.0, 4.0, -3.0]]),
    "c": np.array([[[1.5, -2.0], [0.5, 0.75]], [[3.0, 0.25], [-1.25, 2.25]]]),
    "nan": np.array([1.5, np.nan, 0.5, -2.0, np.nan, 3.0]),
    "nan2": np.array([[1.5, np.nan, 0.5], [-2.0, 4.0, 3.0]]),
    "s": np.array([0.7, 2.3, -1.1]),  # three scalars
    "t": np.array([0.0, 0.0, 1.0, 0.0, -1.0, 0.0]),  # zeros at both ends
}

#: names that the forms may use besides `x` and `np`
CONSTANTS: dict[str, Any] = {
    "W": np.array([0.5, 2.0, 1.0, 0.25, 3.0, 0.75]),
    "SQ": np.array([[1.0, 0.5], [0.25, 2.0]]),
    "GRID": np.array([-3.0, -1.0, 0.4, 1.0, 2.5, 5.0]),
    "I": np.array([2, 0, 5, 3]),
    "I2": np.array([[2, 0, 1, 3], [1, 1, 0, 2], [3, 2, 0, 0]]),
    "MASK": np.array([True, False, True, True, False, False]),
    "K": np.array([0, 2, 1, 0, 2, 5]),
    "CV": np.array([1.0 + 2.0j, -0.5j, 0.3 - 1.0j]),
    "CM": np.array([[3.0 + 1.0j, 1.0, -0.5j], [0.25j, 2.0 - 1.0j, 1.5], [-1.0, 0.5 + 0.5j, 4.0j]]),
    "cmath": cmath,
    "poly": poly,
    "sliding_window_view": np.lib.stride_tricks.sliding_window_view,
}

COMPLEX_STEP, DIFFERENCES, CONSTANT = "complex step", "differences", "zero"


class Row(NamedTuple):
    """Call forms of one function at one point; `reference` says how their derivative is known."""

    function: str
    point: str
    reference: str
    forms: tuple[str, ...]
    small: bool = False  # whether the forms take arrays of any size

    @property
    def name(self) -> str:
        return f"{self.function}-{self.point}"


def row(function: str, point: str, reference: str, *forms: str, small: bool = False) -> Row:
    return Row(function, point, reference, forms, small)


def compiled(rows: tuple[str, ...]) -> Callable[[Any], Any]:
    """The function of `x` whose results are those of the forms."""
    lines, results = ["def forms(x):"], []
    for k, form in enumerate(rows):
        *statements, result = form.split("; ")
        lines += [f"    {statement}" for statement in statements]
        lines.append(f"    r{k} = {result}")
        results.append(f"r{k}")
    lines.append(f"    return {', '.join(results)},")
    names = {"np": np, **CONSTANTS}
    exec("\n".join(lines), names)
    function: Callable[[Any], Any] = names["forms"]
    return function


# ------------------------------------------------------------------------------------ rows

_C, _D, _Z = COMPLEX_STEP, DIFFERENCES, CONSTANT

STATISTICS = [
    row(
        "sum",
        "m",
        _C,
        "np.sum(x)",
        "np.sum(x, 0)",
        "np.sum(x, axis=1)",
        "x.sum()",
        "x.sum(1)",
        "x.T.sum(axis=-1)",
        "x[::2, ::-1].sum()",
    ),
    row("prod", "m", _C, "np.prod(x)", "x.prod()", "np.prod(x[:, ::2])", small=True),
    row(
        "mean",
        "m",
        _C,
        "np.mean(x)",
        "x.mean()",
        "np.mean(x.T)",
        "np.mean(x[1])",
        "np.mean(x[0, 0])",
    ),
    row("var", "m", _D, "np.var(x)", "x.var()", "np.var(x[:, ::2])", "np.var(x[1])"),
    row("std", "m", _D, "np.std(x)", "x.std()", "np.std(x.T)", "np.std(x[1])"),
    row(
        "median",
        "v",
        _C,
        "np.median(x)",
        "np.median(x[:5])",
        "np.median(x[::-2])",
        "np.median(x.reshape(2, 3))",
    ),
    row(
        "percentile",
        "v",
        _D,
        "np.percentile(x, 30.0)",
        "np.percentile(x, 100)",
        "np.percentile(x, (25.0, 75.0))",
        "np.percentile(x, [10, 90])",
        "np.percentile(W, x[2] * 20)",
        "np.percentile(x, x[2] * 20)",
    ),
    row(
        "quantile",
        "v",
        _D,
        "np.quantile(x, 0.3)",
        "np.quantile(x, [0.25, 0.5])",
        "np.quantile(W, x[2])",
        "np.quantile(x[::2], np.array([0.1, 0.6]))",
    ),
    row(
        "average",
        "m",
        _C,
        "np.average(x)",
        "np.average(x[0], weights=x[1])",
        "np.average(x[1], weights=W[:4])",
        "np.average(W[:4], weights=x[2])",
        "np.average(x, weights=x * x)",
    ),
    row("ptp", "v", _C, "np.ptp(x)", "np.ptp(x[::2])", small=True),
    row(
        "min",
        "v",
        _C,
        "np.min(x)",
        "np.amin(x)",
        "x.min()",
        "np.min(x[::-2])",
        "np.min(x.reshape(2, 3))",
    ),
    row("max", "v", _C, "np.max(x)", "np.amax(x)", "x.max()", "np.max(x[::-2])", small=True),
    row("nansum", "nan", _D, "np.nansum(x)", "np.nansum(x[::-1])", small=True),
    row("nanprod", "nan", _D, "np.nanprod(x)", "np.nanprod(x[::-1])", small=True),
    row("nanmean", "nan", _D, "np.nanmean(x)", "np.nanmean(x[::-2])", small=True),
    row("nanvar", "nan", _D, "np.nanvar(x)", "np.nanvar(x[::-2])", small=True),
    row("nanstd", "nan", _D, "np.nanstd(x)", "np.nanstd(x[::-2])", small=True),
    row("nanmin", "nan", _D, "np.nanmin(x)", "np.nanmin(x[::-2])", small=True),
    row("nanmax", "nan", _D, "np.nanmax(x)", "np.nanmax(x[::-2])", small=True),
    row("nanmedian", "nan", _D, "np.nanmedian(x)", "np.nanmedian(x[::-2])", small=True),
    row(
        "nanpercentile",
        "nan",
        _D,
        "np.nanpercentile(x, 30.0)",
        "np.nanpercentile(x, (20, 60))",
        small=True,
    ),
    row(
        "nanquantile",
        "nan",
        _D,
        "np.nanquantile(x, 0.4)",
        "np.nanquantile(x, [0.2, 0.6])",
        small=True,
    ),
    row(
        "nancumsum",
        "nan",
        _D,
        "np.nancumsum(x)",
        "np.nancumsum(x[::-1])",
        "np.nancumsum(x.reshape(2, 3))",
        small=True,
    ),
    row("nancumprod", "nan", _D, "np.nancumprod(x)", "np.nancumprod(x[::-1])", small=True),
    row("nanargmin", "nan", _D, "x[np.nanargmin(x)]", "x[np.nanargmax(x)]"),
    row(
        "nan versions without nan",
        "v",
        _D,
        "np.nansum(x)",
        "np.nanprod(x)",
        "np.nanmean(x)",
        "np.nanvar(x)",
        "np.nanmin(x)",
        "np.nanmedian(x)",
    ),
    row(
        "cumsum",
        "m",
        _C,
        "np.cumsum(x)",
        "x.cumsum()",
        "np.cumsum(x, 0)",
        "np.cumsum(x, axis=1)",
        "x.cumsum(1)",
        "np.cumsum(x[:, ::2])",
    ),
    row("cumprod", "m", _C, "np.cumprod(x)", "x.cumprod()", "np.cumprod(x[:, ::2])", small=True),
    row(
        "diff",
        "m",
        _C,
        "np.diff(x)",
        "np.diff(x, 2)",
        "np.diff(x[0])",
        "np.diff(x.T, n=1)",
        "np.diff(x[0], 0)",
    ),
    row(
        "ediff1d",
        "v",
        _C,
        "np.ediff1d(x)",
        "np.ediff1d(x, x[0])",
        "np.ediff1d(x, to_end=x[:2], to_begin=x[1])",
        "np.ediff1d(x, None, 1.0)",
        "np.ediff1d(x.reshape(2, 3), W)",
    ),
    row("ediff1d of numbers", "v", _D, "np.ediff1d(W, x[:2])", "np.ediff1d(W, to_begin=x[0])"),
    row(
        "trapezoid",
        "v",
        _C,
        "np.trapezoid(x)",
        "np.trapezoid(x, GRID)",
        "np.trapezoid(W, x)",
        "np.trapezoid(x, x * x)",
        "np.trapezoid(x, dx=0.5)",
        "np.trapezoid(x, dx=x[0])",
        "np.trapezoid(x.reshape(2, 3))",
        "np.trapezoid(W, dx=x[0])",
    ),
    row(
        "cov",
        "m",
        _D,
        "np.cov(x)",
        "np.cov(x, rowvar=False)",
        "np.cov(x[0], x[1])",
        "np.cov(x, bias=True)",
        "np.cov(x, ddof=2)",
        "np.cov(x[0], W[:4])",
        "np.cov(W[:4], x[1])",
        "np.cov(x[0])",
    ),
    row(
        "corrcoef",
        "m",
        _D,
        "np.corrcoef(x)",
        "np.corrcoef(x[0], x[1])",
        "np.corrcoef(x, rowvar=False)",
        "np.corrcoef(W[:4], x[1])",
    ),
    row(
        "histogram",
        "v",
        _Z,
        "np.histogram(x)[0] * 1.0",
        "np.histogram(x, 3)[0] * 1.0",
        "np.histogram(x, 4, (-2.0, 3.0))[0] * 1.0",
        "np.histogram(x, GRID)[0] * 1.0",
        "np.histogram(x, 4, (-2.0, 3.0))[1]",
    ),
    row(
        "histogram edges",
        "v",
        _D,
        "np.histogram(x, 3)[1]",
        "np.histogram(W, GRID * x[0])[1]",
        "np.histogram(x, 4, (-2.0, x[3]))[1]",
    ),
    row(
        "bincount",
        "v",
        _D,
        "np.bincount(K, x)",
        "np.bincount(K, weights=x * x)",
        "np.bincount(K, x, 8)",
    ),
]

SELECTION = [
    row(
        "divmod",
        "v",
        _D,
        "np.divmod(x, 0.7)[1]",
        "np.divmod(5.3, x)[1]",
        "np.divmod(x * x, x + 7.0)[1]",
        "np.divmod(x.reshape(2, 3), x[0] * 0.3)[1]",
        "q = np.zeros(x.size); r = np.zeros(x.size); np.divmod(x, 0.7, q, r); r",
    ),
    row("divmod quotients", "v", _Z, "np.divmod(x, 0.7)[0]", "np.divmod(5.3, x)[0]"),
    row(
        "where",
        "v",
        _C,
        "np.where(x > 0.0, x, x * x)",
        "np.where(MASK, x, 0.0)",
        "np.where(MASK, 1, x)",
        "np.where(x[0] > 0.0, x, W)",
        "x[np.where(x > 0.0)]",
        "np.where(x[0] > 1.0, x[1], x[2])",
    ),
    row(
        "select",
        "v",
        _C,
        "np.select([x > 1.0, x > 0.0], [x, x * x], 0.0)",
        "np.select([MASK, x > 0.0], [x, x * 2.0], x[0])",
        "np.select((MASK,), (x,))",
    ),
    row("select of numbers", "v", _C, "np.select([MASK, x > 0.0], [W, GRID], x[0])"),
    row(
        "clip",
        "v",
        _D,
        "np.clip(x, -0.7, 1.7)",
        "x.clip(-0.7, 1.7)",
        "np.clip(x, None, 0.3)",
        "np.clip(x, GRID, 2.0)",
        "np.clip(x, x[4], x[0] * 1.1)",
    ),
    row(
        "nan_to_num",
        "v",
        _D,
        "np.nan_to_num(x)",
        "np.nan_to_num(x[0])",
        "np.nan_to_num(x, nan=1.0)",
        "np.nan_to_num(x, False)",
        "np.nan_to_num(x.reshape(2, 3))",
    ),
    row("nan_to_num by an active number", "v", _D, "np.nan_to_num(x, nan=x[0])"),
    row("sinc", "v", _D, "np.sinc(x)", "np.sinc(x[0])", "np.sinc(x.reshape(2, 3))"),
    row(
        "unwrap",
        "v",
        _D,
        "np.unwrap(x * 3.0)",
        "np.unwrap(x * 2.0, discont=1.0)",
        "np.unwrap(x * 2.0, period=4.0)",
        "np.unwrap(x.reshape(2, 3) * 4.0)",
    ),
    row("angle", "v", _Z, "np.angle(x)", "np.angle(x[0])", "np.angle(x, True)"),
    row(
        "round",
        "v",
        _Z,
        "np.round(x, 1)",
        "np.around(x * 1.3)",
        "np.round(x[0] * 1.3)",
        "np.around(x * 1.3, 0, np.zeros(6))",
    ),
    row(
        "sign",
        "v",
        _Z,
        "np.sign(x)",
        "np.floor(x * 1.3)",
        "np.rint(x * 1.3)",
        "np.trunc(x * 1.3)",
        "np.ceil(x * 1.3)",
        "np.spacing(x)",
    ),
    row(
        "isclose",
        "v",
        _C,
        "x[np.isclose(x, W)]",
        "x * np.isclose(x, x)",
        "x * np.isclose(x[0], 1.6)",
        "x * np.allclose(x, W, 0.1)",
        "x * np.allclose(x[0], x[1])",
        "x * np.array_equal(x, W)",
    ),
    row(
        "logical",
        "v",
        _D,
        "x * np.logical_and(x > 0.0, x)",
        "x * np.logical_not(x)",
        "x * np.isfinite(x)",
        "x * np.isnan(x[0])",
        "x * np.signbit(x)",
    ),
    row(
        "isreal",
        "v",
        _D,
        "x * np.isreal(x)",
        "x * np.iscomplex(x)",
        "x * np.isrealobj(x)",
        "x * np.iscomplexobj(x[0])",
        "x * np.isreal(x[0])",
    ),
    row("isposinf", "v", _D, "x * np.isposinf(x)", "x * np.isneginf(x)", "x * np.isposinf(x[0])"),
    row(
        "isscalar",
        "v",
        _C,
        "x * np.isscalar(x[0])",
        "x * np.isscalar(x)",
        "x * np.size(x)",
        "x * np.shape(x)[0]",
        "x * np.size(x[0])",
    ),
    row(
        "real",
        "v",
        _D,
        "np.real(x)",
        "x.real",
        "np.imag(x)",
        "x.imag + x",
        "np.real(x[0])",
        "np.imag(x[0]) + x[0]",
        "np.conj(x)",
        "x.conj()",
        "x.conjugate()",
    ),
    row(
        "interp in x",
        "v",
        _D,
        "np.interp(x, GRID, W)",
        "np.interp(x[0], GRID, W)",
        "np.interp(x, [-3.0, 1.0, 4.0], [0.5, 2.0, -1.0])",
        "np.interp(x.reshape(2, 3), GRID, W)",
    ),
    row(
        "interp in fp",
        "v",
        _D,
        "np.interp(W, GRID, x)",
        "np.interp(0.3, GRID, x)",
        "np.interp([-5.0, 0.4, 9.0], GRID, x)",
        "np.interp(1, GRID, x)",
    ),
    row("interp in xp", "up", _D, "np.interp(W * 1.1, x, GRID)", "np.interp(1.2, x, GRID)"),
    row(
        "interp in all",
        "up",
        _D,
        "np.interp(x * 1.1, x, x * x)",
        "np.interp(x[2] * 1.1, x, x * x)",
        "np.interp(x * 0.9, x, GRID)",
        "np.interp(x * 0.7, GRID, x)",
    ),
    row(
        "extract",
        "v",
        _C,
        "np.extract(MASK, x)",
        "np.extract(x > 0.0, x)",
        "x[np.flatnonzero(x > 0.0)]",
        "x[np.nonzero(x)]",
        "x[np.argwhere(x > 0.0)[:, 0]]",
        "x[MASK]",
        "x[x.nonzero()[0]]",
    ),
    row(
        "any",
        "v",
        _C,
        "x * np.any(x)",
        "x * np.all(x)",
        "x * x.any()",
        "x * x.all()",
        "x * np.count_nonzero(x)",
        "x * np.count_nonzero(x.reshape(2, 3), 1)[0]",
    ),
    row(
        "maximum",
        "v",
        _D,
        "np.maximum(x, W)",
        "np.fmax(x, 0.0)",
        "np.minimum(x, x[0])",
        "np.fmin(1, x)",
        "np.maximum(x, W, np.zeros(6))",
    ),
]

SORTING = [
    row(
        "sort",
        "v",
        _C,
        "np.sort(x)",
        "y = x.copy(); y.sort(); y",
        "np.sort(x[::-2])",
        "y = x.copy(); y[::2].sort(); y",
    ),
    row("sort of rows", "m", _C, "np.sort(x)", "y = x.copy(); y[0].sort(); y"),
    row(
        "argsort",
        "v",
        _C,
        "x[np.argsort(x)]",
        "x[x.argsort()]",
        "x[np.argsort(x, kind='mergesort')]",
        "x[x.argsort(kind='quicksort')]",
        "x[::-2][np.argsort(x[::-2])]",
    ),
    row(
        "partition",
        "v",
        _D,
        "np.partition(x, 2)[2]",
        "np.partition(x, (1, 3))[3]",
        "np.partition(x, 2)",
        "np.partition(x.reshape(2, 3), 1)",
    ),
    row("argpartition", "v", _D, "x[np.argpartition(x, 2)]", "x[np.argpartition(x, (1, 4))]"),
    row(
        "argmin",
        "v",
        _C,
        "x[np.argmin(x)]",
        "x[np.argmax(x)]",
        "x[x.argmin()]",
        "x[x.argmax()]",
        "x[np.argmin(x.reshape(2, 3), 0)]",
        "x[np.argmax(x.reshape(2, 3), axis=1)]",
    ),
    row(
        "searchsorted",
        "up",
        _D,
        "x[np.searchsorted(x, 1.7)]",
        "x * np.searchsorted(x, W * 1.1, 'right')",
        "x * np.searchsorted(GRID, x)",
        "x * np.searchsorted(GRID, x[0], side='right')",
    ),
    row(
        "digitize",
        "up",
        _D,
        "x * np.digitize(x, GRID)",
        "x * np.digitize(W * 1.1, x)",
        "x * np.digitize(1.0, x)",
    ),
    row(
        "take",
        "v",
        _C,
        "np.take(x, 2)",
        "np.take(x, I)",
        "x.take(I)",
        "np.take(x, [1, 0])",
        "np.take(x, (1, 2))",
        "np.take(x.reshape(2, 3), I2)",
        "np.take(x.reshape(2, 3), 1, axis=1)",
        "np.take(x.reshape(2, 3), I[:2] * 0, axis=0)",
    ),
    row(
        "take_along_axis",
        "m",
        _C,
        "np.take_along_axis(x, I2, 1)",
        "np.take_along_axis(x, np.argsort(x[0]).reshape(1, 4), axis=1)",
        "np.take_along_axis(x, np.array([1, 3]), None)",
        "np.take_along_axis(x.T, I2[:, :3].T[:3] % 3, 0)",
    ),
    row("unique", "v", _C, "np.unique(x)", "np.unique(x.reshape(2, 3))", small=True),
    row(
        "union1d",
        "v",
        _C,
        "np.union1d(x[:3], x[2:])",
        "np.union1d(x, W * 1.1)",
        "np.union1d(W * 1.1, x)",
    ),
    row("intersect1d", "v", _C, "np.intersect1d(x, x[2:])"),
    row("setdiff1d", "v", _C, "np.setdiff1d(x, x[2:])"),
    row("setxor1d", "v", _C, "np.setxor1d(x, x[2:])"),
    row(
        "isin",
        "v",
        _D,
        "x * np.isin(x, W * 1.1)",
        "x * np.isin(W * 1.1, x)",
        "x * np.isin(x, x[1:])",
    ),
]

SHAPE = [
    row(
        "reshape",
        "m",
        _C,
        "x.reshape(4, 3)",
        "x.reshape((2, 6))",
        "np.reshape(x, (6, 2))",
        "x.reshape(-1)",
        "x.reshape(12)",
        "np.reshape(x, -1)",
    ),
    row(
        "ravel",
        "m",
        _C,
        "x.ravel()",
        "np.ravel(x)",
        "x.T.ravel()",
        "x.flatten()",
        "x.T.flatten()",
        "np.ravel(x[:, ::2])",
    ),
    row(
        "transpose",
        "c",
        _C,
        "x.T",
        "np.transpose(x)",
        "x.transpose()",
        "np.transpose(x, (1, 2, 0))",
        "x.transpose(2, 0, 1)",
        "x.transpose((0, 2, 1))",
    ),
    row(
        "moveaxis",
        "c",
        _C,
        "np.permute_dims(x)",
        "np.moveaxis(x, 0, 2)",
        "np.moveaxis(x, (0, 1), (2, 0))",
        "np.swapaxes(x, 0, 2)",
        "np.swapaxes(x, -1, 1)",
    ),
    row(
        "expand_dims",
        "m",
        _C,
        "np.expand_dims(x, 0)",
        "np.expand_dims(x, -1)",
        "x[None]",
        "x[:, np.newaxis]",
        "np.expand_dims(x.T, 1)",
    ),
    row(
        "atleast_1d",
        "v",
        _C,
        "np.atleast_1d(x)",
        "np.atleast_2d(x)",
        "np.atleast_3d(x)",
        "np.atleast_1d(x[:2], W)[0]",
        "np.atleast_2d(x[:2], W)[0]",
        "np.atleast_1d(np.asarray(x[0]))",
    ),
    row(
        "broadcast_to",
        "v",
        _C,
        "np.broadcast_to(x, (2, 6))",
        "np.broadcast_to(x, (6,))",
        "np.broadcast_to(x[0], (2, 3))",
        "np.broadcast_to(x[0], 2)",
    ),
    row(
        "broadcast_arrays",
        "v",
        _C,
        "np.broadcast_arrays(x, W.reshape(6, 1))[0]",
        "np.broadcast_arrays(x.reshape(6, 1), x)[0]",
    ),
    row("flip", "m", _C, "np.flip(x)", "np.fliplr(x)", "np.flipud(x)", "np.flip(x[0])"),
    row(
        "rot90",
        "m",
        _C,
        "np.rot90(x)",
        "np.rot90(x, 2)",
        "np.rot90(x, k=3)",
        "np.rot90(x, -1)",
        "np.rot90(x, 0)",
    ),
    row("roll", "m", _C, "np.roll(x, 2)", "np.roll(x[0], -1)", "np.roll(x.T, 1)"),
    row(
        "repeat",
        "v",
        _C,
        "np.repeat(x, 2)",
        "x.repeat(3)",
        "np.repeat(x[0], 4)",
        "np.repeat(x, K)",
        "np.repeat(x, [1, 2, 0, 1, 1, 3])",
        "np.repeat(x.reshape(2, 3), 2)",
    ),
    row(
        "concatenate",
        "m",
        _C,
        "np.concatenate((x, x * 2.0))",
        "np.concatenate((x, W[:3].reshape(3, 1)), axis=1)",
        "np.concatenate((W, x[0]))",
        "np.concatenate((x.T, x.T), 0)",
        "np.concatenate((W[:1], x[0], W[1:2]))",
    ),
    row(
        "stack",
        "v",
        _C,
        "np.stack((x, x * x))",
        "np.stack((x, x), axis=1)",
        "np.stack((W, x))",
        "np.stack((x, W, x), 1)",
    ),
    row(
        "hstack",
        "v",
        _C,
        "np.hstack((x, x[:2]))",
        "np.hstack((W, x))",
        "np.hstack((x.reshape(2, 3), x.reshape(2, 3)))",
    ),
    row(
        "vstack",
        "v",
        _C,
        "np.vstack((x, x))",
        "np.vstack((W, x))",
        "np.vstack((x.reshape(2, 3), x.reshape(2, 3)))",
    ),
    # NumPy 2.5 has it no more, and a row of its own is left out there
    row("row_stack", "v", _C, "np.row_stack((W, x))"),
    row(
        "dstack",
        "v",
        _C,
        "np.dstack((x, x))",
        "np.dstack((W, x))",
        "np.dstack((x.reshape(2, 3), x.reshape(2, 3)))",
    ),
    row(
        "column_stack",
        "v",
        _C,
        "np.column_stack((x, x))",
        "np.column_stack((W, x))",
        "np.column_stack((x, x.reshape(6, 1)))",
    ),
    row(
        "split",
        "v",
        _C,
        "np.split(x, 2)[1]",
        "np.split(x, (1, 4))[1]",
        "np.array_split(x, 4)[1]",
        "np.array_split(x, [2, 3])[2]",
        "np.split(x.reshape(3, 2), 2, axis=1)[0]",
        "np.array_split(x, np.array([2, 3]))[0]",
    ),
    row("hsplit", "c", _C, "np.hsplit(x, 2)[1]", "np.vsplit(x, 2)[0]", "np.dsplit(x, 2)[1]"),
    row(
        "append",
        "v",
        _C,
        "np.append(x, x[0])",
        "np.append(x, W)",
        "np.append(W, x)",
        "np.append(x.reshape(2, 3), x.reshape(2, 3), axis=0)",
        "np.append(x, 1.0)",
    ),
    row(
        "insert",
        "v",
        _C,
        "np.insert(x, 2, x[0])",
        "np.insert(x, 2, 5.0)",
        "np.insert(x, (1, 3), x[:2])",
        "np.insert(x, 0, x)",
    ),
    row("insert into numbers", "v", _D, "np.insert(W, 2, x[0])"),
    row(
        "delete",
        "v",
        _C,
        "np.delete(x, 2)",
        "np.delete(x, -1)",
        "np.delete(x, [0, 3])",
        "np.delete(x, slice(1, 3))",
        "np.delete(x, np.array([1, 2]))",
    ),
    row(
        "resize",
        "v",
        _C,
        "np.resize(x, 8)",
        "np.resize(x, (2, 4))",
        "np.resize(x, 3)",
        "np.resize(x[0], 3)",
    ),
    row(
        "trim_zeros",
        "v",
        _D,
        "np.trim_zeros(np.append(np.zeros(2), x))",
        "np.trim_zeros(np.append(np.append(np.zeros(2), x), np.zeros(1)), 'f')",
        "np.trim_zeros(np.append(x, np.zeros(3)), trim='b')",
    ),
    row(
        "diag",
        "m",
        _C,
        "np.diag(x)",
        "np.diag(x, 1)",
        "np.diag(x[0])",
        "np.diag(x[0], k=-1)",
        "np.diagflat(x)",
        "np.diagflat(x[0], 1)",
        "np.diagflat(x[0, 0])",
    ),
    row(
        "tri",
        "m",
        _C,
        "np.tril(x)",
        "np.triu(x)",
        "np.tril(x, 1)",
        "np.triu(x, k=-1)",
        "np.tril(x[0])",
        "np.triu(x[0])",
        "np.tri(3, 4) * x",
        "np.tri(3, 4, 1)[:, ::-1] @ x.T",
    ),
    row(
        "tril_indices",
        "m",
        _C,
        "a, b = np.tril_indices(3); np.array([x[a[1], b[1]], x[a[4], b[4]]])",
        "np.tril_indices_from(x)[0] * x[0, 0]",
        "np.triu_indices_from(x, 1)[0] * x[0, 0]",
        "np.triu_indices(3)[1] * x[0, 0]",
        "np.indices((3, 4))[0] * x",
    ),
    row(
        "vander",
        "v",
        _C,
        "np.vander(x)",
        "np.vander(x, 3)",
        "np.vander(x, N=4, increasing=True)",
        small=True,
    ),
    row(
        "kron",
        "m",
        _C,
        "np.kron(x, SQ)",
        "np.kron(SQ, x)",
        "np.kron(x[0], x[1])",
        "np.kron(x[0], W)",
        "np.kron(x, x)",
    ),
    row("kron of a number", "v", _C, "np.kron(x[0], x)", "np.kron(x, 2.0)", "np.kron(x[0], W)"),
    row(
        "cross",
        "m",
        _C,
        "np.cross(x[0, :3], x[1, :3])",
        "np.cross(x[:, :3], W[:3])",
        "np.cross(W[:3], x[0, 1:])",
        "np.cross(x[:, :3], x[:, 1:])",
    ),
    row(
        "fill_diagonal",
        "m",
        _C,
        "y = x.copy(); np.fill_diagonal(y, x[0, 0]); y",
        "y = x.copy(); np.fill_diagonal(y, 2.0); y",
        "y = x.copy(); np.fill_diagonal(y, x[0]); y",
        "y = np.zeros((3, 3)); np.fill_diagonal(y, x[0, :3]); y",
        "y = x.copy().T; np.fill_diagonal(y, 1.0, wrap=True); y",
    ),
    row(
        "fill",
        "v",
        _C,
        "y = x.copy(); y.fill(x[0]); y",
        "y = np.zeros(3); y.fill(x[1]); y",
        "y = x.copy(); y[:] = 2.0; y",
        "y = x.copy(); y[1:3] = x[0]; y",
    ),
    row(
        "copy",
        "m",
        _C,
        "np.copy(x)",
        "x.copy()",
        "np.copy(x.T)",
        "np.ascontiguousarray(x.T)",
        "np.ascontiguousarray(x)",
        "np.asarray(x)",
        "x.T.copy()",
    ),
    row(
        "asfortranarray",
        "m",
        _D,
        "np.asfortranarray(x)",
        "np.asfortranarray(x.T)",
        "np.asfortranarray(x[0])",
        "np.ascontiguousarray(x[0, 0])",
        "np.asfortranarray(x[0, 0])",
        "np.asarray_chkfinite(x)",
        "x.astype(np.float64)",
    ),
    row(
        "squeeze",
        "m",
        _C,
        "x[:1, :, None][0]",
        "x[..., 1]",
        "x[::-1, 1:3]",
        "x[x[:, 0] > 0.0]",
        "x[np.array([2, 0])]",
        "x[1, I2[0]]",
        "x[I2[:, :3] % 3, 1]",
    ),
    row(
        "as_strided",
        "v",
        _D,
        "np.lib.stride_tricks.as_strided(x, (3, 2), (8, 16))",
        "x * x.itemsize",
        "x * x.nbytes",
        "x * x[::2].strides[0]",
        "x.reshape(2, 3).strides[0] * x",
    ),
    row(
        "sliding_window_view",
        "v",
        _D,
        "sliding_window_view(x, 3)",
        "sliding_window_view(x.reshape(2, 3), (2, 2))",
        "sliding_window_view(x.reshape(2, 3), 2, axis=1)",
    ),
    row(
        "iterators",
        "m",
        _C,
        "t = 0.0 * x[0, 0]\n    for i, e in np.ndenumerate(x): t += e * i[0]; t",
        "t = 0.0 * x[0, 0]\n    for i in np.ndindex(x.shape): t += x[i] * i[1]; t",
        "t = 0.0 * x[0, 0]\n    for e in x.flat: t += e * e; t",
        "t = 0.0 * x[0, 0]\n    for e in np.nditer(x): t += e.item() * e.item(); t",
        "t = 0.0 * x[0, 0]\n    for e in x: t += e[0]; t",
        "x.flat[x.size - 1] * x.T.flat[x.size // 3]",
    ),
    row(
        "nditer of two",
        "m",
        _D,
        "t = 0.0 * x[0, 0]\n    for e, f in np.nditer((x, W[:4])): t += e.item() * f.item(); t",
        "y = x.copy()\n    for e in np.nditer(y): e[()] = e.item() * 2.0; y",
        "y = x.copy(); y.flat[3] = x[0, 0] * x[1, 1]; y",
    ),
]

CREATION = [
    row(
        "zeros",
        "v",
        _D,
        "y = np.zeros(3); y[0] = x[0]; y",
        "y = np.empty(2); y[0] = x[0]; y[1] = 1.0; y",
        "y = np.ones((2, 2)); y[1] = x[:2]; y",
        "y = np.zeros_like(x); y[1] = x[0]; y",
        "y = np.ones_like(x); y[:2] = x[1]; y",
        "y = np.empty_like(W); y[:] = x; y",
    ),
    row(
        "full",
        "v",
        _D,
        "np.full(3, x[0])",
        "np.full((2, 2), x[1])",
        "np.full_like(W, x[1])",
        "np.full_like(x, 2.0) * x",
        "np.eye(6) * x",
        "np.identity(6) @ x",
        "np.eye(6, dtype=x.dtype) * x + np.identity(6, x.dtype)",
        "np.eye(3, 2, 1) * x[0]",
    ),
    row(
        "array",
        "v",
        _D,
        "np.array([x[0], 2.0])",
        "np.array([[x[0], x[1]], [1.0, x[2]]])",
        "np.array((x[1], 1))",
        "np.asarray([x[0], x[1]])",
        "np.asarray(x[0])",
    ),
    row(
        "linspace",
        "v",
        _D,
        "np.linspace(x[1], x[0], 5)",
        "np.linspace(0.0, x[0], 4)",
        "np.linspace(x[2], 1, 1)",
        "np.linspace(x[0], 2.0)",
    ),
    row(
        "arange",
        "v",
        _D,
        "np.arange(x[0], 4.1, 0.5)",
        "np.arange(0.0, 4.1, x[0])",
        "np.arange(x[0])",
    ),
    row(
        "logspace",
        "up",
        _D,
        "np.logspace(x[0], x[2], 5)",
        "np.logspace(0.0, x[0], num=3)",
        "np.logspace(x[0], 1)",
    ),
    row(
        "geomspace",
        "up",
        _D,
        "np.geomspace(x[0], x[2], 5)",
        "np.geomspace(1.0, x[2], num=3)",
        "np.geomspace(x[0], 8.0, 4)",
    ),
    row(
        "windows",
        "v",
        _C,
        "np.hanning(6) * x",
        "np.hamming(6) * x",
        "np.bartlett(6) * x",
        "np.blackman(6) * x",
        "np.kaiser(6, 2.0) * x",
    ),
    row("kaiser", "up", _D, "np.kaiser(6, x[0])", "np.kaiser(5, -x[2])", "np.kaiser(1, x[0])"),
]

RANDOM = [
    row(
        "random order",
        "v",
        _D,
        "np.random.seed(1); y = x.copy(); np.random.shuffle(y); y",
        "np.random.seed(2); np.random.permutation(x)",
        "np.random.seed(3); np.random.choice(x)",
        "np.random.seed(4); np.random.choice(x, 4)",
        "np.random.seed(5); np.random.choice(x, 3, False)",
    ),
]

POLYNOMIALS = [
    row(
        "convolve",
        "v",
        _C,
        "np.convolve(x, W)",
        "np.convolve(W, x)",
        "np.convolve(x, x[:3])",
        "np.convolve(x, W[:3], 'same')",
        "np.convolve(x, W[:3], mode='valid')",
        "np.convolve(x[::2], x[:2], 'full')",
        small=True,
    ),
    row(
        "correlate",
        "v",
        _D,
        "np.correlate(x, W)",
        "np.correlate(W, x, 'full')",
        "np.correlate(x, x[:3], 'full')",
        "np.correlate(x, W[:3], 'same')",
        "np.correlate(x, W[:3], mode='valid')",
        "np.correlate(x[:3], x, 'same')",
    ),
    row(
        "polyadd",
        "v",
        _D,
        "poly.polyadd(x, x[:3])",
        "poly.polyadd(x, W[:3])",
        "poly.polyadd(W[:2], x)",
        "poly.polyadd(x, 2.0)",
    ),
    row(
        "polysub",
        "v",
        _D,
        "poly.polysub(x, x[:3])",
        "poly.polysub(x, W[:3])",
        "poly.polysub(W[:2], x)",
        "poly.polysub(1.0, x)",
    ),
    row(
        "polymul",
        "v",
        _D,
        "poly.polymul(x, x[:3])",
        "poly.polymul(x, W[:3])",
        "poly.polymul(W[:2], x)",
        "poly.polymul(2.0, x)",
    ),
    row(
        "polydiv",
        "v",
        _D,
        "poly.polydiv(x, x[:3])[0]",
        "poly.polydiv(x, W[:3])[1]",
        "poly.polydiv(W, x[:2])[0]",
        "poly.polydiv(x, x[2:4])[1]",
    ),
    row(
        "polyval",
        "v",
        _D,
        "poly.polyval(x[0], x)",
        "poly.polyval(0.5, x)",
        "poly.polyval(x, W)",
        "poly.polyval(x, x)",
        "poly.polyval(W, x)",
        "poly.polyval(x.reshape(2, 3), x[:3])",
        "poly.polyval(x[0], W)",
        "poly.polyval(W, x.reshape(2, 3))",
        "poly.polyval(x, W, tensor=False)",
    ),
    row("polyint", "v", _D, "poly.polyint(x)", "poly.polyint(x, 2)"),
    row(
        "trimseq",
        "v",
        _D,
        "np.polynomial.polyutils.trimseq(x)",
        "np.polynomial.polyutils.as_series((x, W))[0]",
    ),
]

_HERMITIAN = "h = CM @ CM.conj().T + np.outer(x[:3] + 1j * x[3:], x[:3] - 1j * x[3:]); "
_GENERAL = "a = CM + np.outer(x[:3], CV); "
COMPLEX = [
    row(
        "arithmetic",
        "v",
        _D,
        "x + 1j * x[::-1]",
        "(1j * x + W) * (x - 2j)",
        "(1j * x + 1.0) / (x - 1j)",
        "-(1j * x)",
        "(x + 1j) ** 2",
        "(x + 1j) ** x",
        "1.0 / (x + 1j)",
        "z = x * 1j; z *= x; z += 2.0; z /= W; z",
        "complex(x[0], x[1])",
        "np.complex128(x[0])",
        "x.astype(np.complex128) * 1j",
        "np.maximum(1j * x + W, x)",
        "np.square(1j * x + 1.0)",
        "np.reciprocal(1j * x + 1.0)",
        "np.sign(x + 1j)",
        "np.nansum((x + 1j) * W)",
    ),
    row(
        "parts",
        "v",
        _D,
        "(x * (x + 2j)).real",
        "(x * (x + 2j)).imag",
        "np.real(x * (x + 2j)) + np.imag(x * (x + 2j))",
        "np.conj(x * (x + 2j))",
        "(x * (x + 2j)).conjugate()",
        "np.abs(x + 2j)",
        "abs(x[0] + 2j)",
        "np.angle(x + 2j)",
        "np.angle(x[0] + 2j, True)",
        "cmath.phase(x[0] + 2j)",
        "cmath.polar(x[0] + 2j)[0]",
        "cmath.rect(x[0], x[1])",
        "z = np.zeros(6, np.complex128); z.real[:] = x; z.imag[1:] = x[:5]; z * z",
        "z = np.empty(6, np.complex128); z[:] = x; r = z.real; z[0] = 5j + 3.0 * x[1]; r * r",
        "z = np.ones((2, 3), np.complex128); z.imag[1, ::2] = x[:2]; z.T.imag * x[1]",
        "z = np.full(3, 1j); z[1] = x[0]; z * z",
    ),
    row(
        "reductions",
        "v",
        _D,
        "np.sum(np.exp(1j * x))",
        "np.exp(1j * x).sum()",
        "np.sum(np.exp(1j * x).reshape(2, 3), axis=0)",
        "np.prod(x + 1j)",
        "np.mean(np.exp(1j * x))",
        "np.exp(1j * x).mean()",
        "np.cumsum(np.exp(1j * x))",
        "np.cumprod(x + 1j)",
        "np.var(np.exp(1j * x) * x)",
        "np.std(np.exp(1j * x) * x)",
        "np.max(x + 1j)",
        "np.min(x + 1j)",
        "np.sort(x + 1j)",
        "np.where(x > 0, x * 1j, W)",
        "np.diff(np.exp(1j * x))",
        "np.trapezoid(np.exp(1j * x))",
    ),
    row(
        "products",
        "v",
        _D,
        "np.dot(x[:3] + 1j, CV)",
        "np.vdot(x[:3] + 1j, CV)",
        "np.vdot(CV, x[:3] + 1j)",
        "np.vdot(x[:3] + 1j, x[3:] - 2j)",
        "CM @ (x[:3] + 1j)",
        "np.outer(x[:3], CV) @ CM",
        "np.outer(x[:3], CV) @ np.outer(CV, x[3:])",
        "np.trace(np.outer(x[:3], CV))",
        "np.kron(x[:2] + 1j, CV)",
        "np.linalg.matrix_power(np.outer(x[:3], CV), 2)",
        "np.convolve(x + 1j, CV)",
        "np.linalg.norm(x + 2j)",
        "np.linalg.norm((x + 2j)[::2])",
        "np.linalg.norm(np.outer(x, CV))",
    ),
    row(
        "linalg",
        "v",
        _D,
        "np.linalg.solve(CM, x[:3] + 1j)",
        f"{_GENERAL}np.linalg.solve(a, CV)",
        f"{_GENERAL}np.linalg.solve(a, np.outer(CV, x[3:]))",
        f"{_GENERAL}np.linalg.inv(a)",
        f"{_GENERAL}np.linalg.det(a)",
        f"{_GENERAL}np.linalg.slogdet(a)[0]",
        f"{_GENERAL}np.linalg.slogdet(a)[1]",
        f"{_GENERAL}np.linalg.pinv(a[:, :2])",
        f"{_GENERAL}np.linalg.pinv(a[:2])",
        f"{_GENERAL}np.linalg.cond(a)",
        f"{_GENERAL}np.linalg.norm(a, 2)",
    ),
    row(
        "factorisations",
        "v",
        _D,
        f"{_HERMITIAN}np.linalg.cholesky(h)",
        f"{_HERMITIAN}np.linalg.eigh(h)[0]",
        f"{_HERMITIAN}np.linalg.eigh(h)[1]",
        f"{_HERMITIAN}np.linalg.eigvalsh(h)",
        f"{_GENERAL}np.linalg.qr(a)[0]",
        f"{_GENERAL}np.linalg.qr(a)[1]",
        f"{_GENERAL}np.linalg.qr(a[:, :2])[0]",
        f"{_GENERAL}np.linalg.qr(a[:2])[1]",
    ),
    row(
        "eigenvalues",
        "v",
        _D,
        f"{_GENERAL}np.linalg.eig(a)[0]",
        f"{_GENERAL}np.linalg.eig(a)[1]",
        f"{_GENERAL}np.linalg.eigvals(a)",
        "np.roots(x[:4] + 1j)",
        "np.roots(np.array([1.0, -3.0 - x[2], 1.0 + x[4]]))",
    ),
]

ROWS: list[Row] = [
    *STATISTICS, *SELECTION, *SORTING, *SHAPE, *CREATION, *POLYNOMIALS, *COMPLEX, *RANDOM,
]  # fmt: skip

#: call forms that Numba compiles and dualgrad refuses: one each
REFUSED: list[Row] = [
    row("view", "v", "", "x.view(np.int64) * 1.0"),
    row("random draws", "up", "", "np.random.normal(x[0], 1.0)"),
    row("tobytes", "v", "", "x * x.tobytes()[0]"),
    row("frombuffer", "v", "", "np.frombuffer(x)"),
    row("svd", "v", "", "np.linalg.svd(CM + np.diag(x[:3]))[1]"),
    row("lstsq", "v", "", "np.linalg.lstsq(CM + np.diag(x[:3]), CV)[0]"),
    row("interp", "v", "", "np.interp(x, GRID, GRID * 1j)"),
]

#: functions that Numba compiles and that carry no derivative, and why
BY_NATURE: dict[str, str] = {
    "of integers": """np.bitwise_and np.bitwise_or np.bitwise_xor np.bitwise_not np.bitwise_invert
        np.bitwise_left_shift np.bitwise_right_shift np.invert np.left_shift np.right_shift np.gcd
        np.lcm""",
    "of shapes": "np.broadcast_shapes",
    "of dates": "np.isnat",
    "a random draw: a constant, and refused where a parameter of it is active": """np.random.beta
        np.random.binomial np.random.chisquare np.random.dirichlet np.random.exponential
        np.random.f np.random.gamma np.random.geometric np.random.gumbel np.random.hypergeometric
        np.random.laplace np.random.logistic np.random.lognormal np.random.logseries
        np.random.multinomial np.random.negative_binomial np.random.noncentral_chisquare
        np.random.normal np.random.pareto np.random.poisson np.random.power np.random.rand
        np.random.randint np.random.randn np.random.random np.random.random_sample np.random.ranf
        np.random.rayleigh np.random.sample np.random.standard_cauchy
        np.random.standard_exponential np.random.standard_gamma np.random.standard_normal
        np.random.standard_t np.random.triangular np.random.uniform np.random.vonmises
        np.random.wald np.random.weibull np.random.zipf""",
}

# ------------------------------------------------------------------------------------ page

PAGE = Path(__file__).parent.parent / "docs" / "coverage.md"

_HEAD = """# Coverage

What Numba compiles for floats, dualgrad differentiates. Each line below is a test: its value is
that of Numba's function bit for bit, its derivative that of an independent reference: the
complex step where the function is analytic, extrapolated differences where it is not, zero where
it is piecewise constant. `x` is active; the names in capitals are constants.

This page is made by `python -m tests.coverage_table` from the table that the tests run.
"""


def page() -> str:
    """The page: one line per function and call form."""
    return "\n".join([_HEAD, *_lines()]) + "\n"


def _lines() -> Iterator[str]:
    for title, rows in SECTIONS.items():
        yield f"## {title}\n"
        yield "| function | call form | derivative | reference |"
        yield "| --- | --- | --- | --- |"
        for it in rows:
            status = {CONSTANT: "zero", "": "refused"}.get(it.reference, "yes")
            for form in it.forms:
                text = " ".join(form.split()).replace("|", "\\|")
                yield f"| {it.function} | `{text}` | {status} | {it.reference or '-'} |"
        yield ""
    yield "## Without a derivative by nature\n"
    for reason, names in BY_NATURE.items():
        yield f"- {reason}: {', '.join(f'`{name}`' for name in names.split())}"


SECTIONS = {
    "Statistics and reductions": STATISTICS,
    "Elementwise and selection": SELECTION,
    "Sorting and searching": SORTING,
    "Shape": SHAPE,
    "Creation": CREATION,
    "Polynomials and convolution": POLYNOMIALS,
    "Complex numbers": COMPLEX,
    "Random order": RANDOM,
    "Refused": REFUSED,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the page of coverage, or run the table.")
    parser.add_argument("--run", metavar="WAYS", help="names of ways in tests/coverage_runs.py")
    parser.add_argument("--part", default="0/1", help="k/n: every n-th row from the k-th on")
    options = parser.parse_args()
    if options.run is None:
        PAGE.write_text(page())
        return
    from tests import coverage_runs

    first, step = map(int, options.part.split("/"))
    failed = False
    for row in coverage_runs.table.ROWS[first::step]:
        names = coverage_runs.usual(row) if options.run == "usual" else options.run.split(",")
        for name in names:
            for failure in coverage_runs.failures(row, name):
                failed = True
                print(failure, flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
