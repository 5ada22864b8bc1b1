"""Taylor coefficients against mpmath, in every function of the rule table and in programs."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from numba import njit
from numba.core import config

import dualgrad as dg
from dualgrad import rules
from dualgrad.calls import SERIES
from dualgrad.scalars import TANGENTS
from tests.test_rules import NUMPY, is_unary, reference

EPS = 2.0**-52

# --------------------------------------------------------------------- functions of the table

# A point is where a curve, a polynomial in t, is at t = 0, so that no recurrence has an easy life.
FIRST, SECOND = (0.6, -0.3, 0.2, 0.1), (-0.5, 0.2, 0.3, -0.1)
REALS = (-11.3, -1.3, -0.2, 0.4, 2.1, 5.7)
POSITIVE = (0.1, 0.3, 1.0, 2.7, 12.0, 1e3)
INSIDE = (-0.95, -0.6, -0.2, 0.1, 0.5, 0.9)
POINTS: dict[str, Any] = {
    **dict.fromkeys(("sqrt", "log", "log2", "log10"), POSITIVE),
    **dict.fromkeys(("arcsin", "arccos", "arctanh"), INSIDE),
    "arccosh": (1.1, 1.3, 2.0, 5.0, 12.0, 100.0),
    "log1p": (-0.9, -0.5, 0.1, 1.0, 5.0, 100.0),
    "tanh": (-12.0, -1.3, -0.2, 0.4, 2.1, 18.0),
    "gamma": (-3.4, -0.6, 0.5, 1.46, 7.3, 45.2),
    "lgamma": (-3.4, -0.6, 0.5, 1.46, 7.3, 45.2),
}
PAIRS = ((-1.3, 2.1), (0.4, 0.7), (2.1, -0.4), (-0.7, -1.5), (31.3, 2.0), (0.1, 3.5))
POINTS_OF_TWO: dict[str, Any] = {
    "power": ((0.3, -2.2), (0.4, 0.7), (2.1, -0.4), (1.7, 3.0), (30.0, 2.0), (0.8, 55.0)),
    "ldexp": ((-1.3, 2), (0.4, 0), (2.1, -3), (-0.7, 1), (30.0, 4), (0.1, -9)),
}


def curve(t: Any, start: Any, steps: Any) -> Any:
    """The value at t of a polynomial."""
    a, b, c, d = steps
    return start + t * (a + t * (b + t * (c + t * d)))


def points(name: str) -> Any:
    if is_unary(name):
        return [(x,) for x in POINTS.get(name, REALS)]
    return POINTS_OF_TWO.get(name, PAIRS)


@functools.cache
def along_curves(name: str, order: int) -> Any:
    """The coefficients of a function of the table, in all forms, at a point."""
    of_x, of_y = "curve(t, x, FIRST)", "curve(t, y, SECOND)"
    if is_unary(name):
        forms = [f"f({of_x})"]
    elif name == "ldexp":
        forms = [f"f({of_x}, int(y))"]
    else:
        forms = [f"f({of_x}, {of_y})", f"f({of_x}, y)", f"f(x, {of_y})"]
    names = dict(curve=NUMPY(curve), f=rules.functions(name)[0], FIRST=FIRST, SECOND=SECOND)
    function = NUMPY(eval(f"lambda t, x, y: ({', '.join(forms)},)", names))
    return function, dg.taylor(function, order)


def exact_coefficients(name: str, order: int, point: Any) -> list[list[Any]]:
    """Those of all forms, by differences of mpmath in many digits."""
    x, y = mp.mpf(point[0]), mp.mpf(point[-1])
    f = reference(name)
    first = functools.partial(curve, start=x, steps=[mp.mpf(it) for it in FIRST])
    second = functools.partial(curve, start=y, steps=[mp.mpf(it) for it in SECOND])
    forms: list[Callable[..., Any]]
    if is_unary(name):
        forms = [lambda t: f(first(t))]
    elif name == "ldexp":
        forms = [lambda t: f(first(t), y)]
    else:
        forms = [
            lambda t: f(first(t), second(t)), lambda t: f(first(t), y), lambda t: f(x, second(t))
        ]  # fmt: skip
    with mp.workdps(100):
        return [mp.taylor(form, 0, order) for form in forms]


def assert_close(got: Any, exact: Any, digits: float = 1e-12) -> None:
    """To so many digits of the coefficient, or of its larger neighbours, which it cancels in."""
    size = np.array([abs(float(it)) for it in exact])
    around = np.maximum(size, np.maximum(np.append(size[1:], 0.0), np.append(0.0, size[:-1])))
    exact = np.array([float(it) for it in exact])
    assert np.all(np.abs(got - exact) <= digits * around + 1e-300), (got, exact)


@pytest.mark.parametrize("name", [*rules.UNARY, *rules.BINARY])
def test_functions_of_the_table(name: str) -> None:
    function, taylor = along_curves(name, 20)
    for point in points(name):
        results = taylor(0.0, 1.0, point[0], point[-1])
        values = function(0.0, point[0], point[-1])
        exact = exact_coefficients(name, 20, point)
        for got, value, expected in zip(results, values, exact, strict=True):
            assert got.dtype == np.float64 and got[0] == value
            assert_close(got, expected)


def test_table_is_complete() -> None:
    """Every function of duals has coefficients; complex numbers have none."""
    importlib.import_module("dualgrad.series")
    assert TANGENTS.keys() - SERIES.keys() == {complex}


@pytest.mark.parametrize("f", [np.sqrt, np.log, np.arcsin, np.arctanh, np.arccosh, math.gamma])
def test_no_value_no_coefficients(f: Any) -> None:
    x = -2.0 if f is not math.gamma else -math.inf
    taylor = dg.taylor(NUMPY(lambda x: f(x * 1.0)), 3)
    assert np.isnan(taylor(x, 1.0)).all()
    constant = taylor(x, 0.0)
    assert np.isnan(constant[0]) and not constant[1:].any()


# ----------------------------------------------------------------------------------- programs


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many functions are compiled for a call each: that is most of their time."""
    monkeypatch.setattr(config, "OPT", config._OptLevel(0))


def by_contour(f: Callable[..., Any], x: Any, v: Any, order: int, radius: float = 0.2) -> Any:
    """Taylor coefficients by Cauchy's integral: exact up to rounding for analytic functions."""
    circle = np.exp(2j * np.pi * np.arange(64) / 64)
    values = np.array([f(x + radius * z * v) for z in circle])
    rows = [np.tensordot(circle**-k, values, 1).real / 64 / radius**k for k in range(order + 1)]
    return np.array(rows)


def assert_program(
    f: Callable[..., Any], x: Any, v: Any, order: int = 4, analytic: Any = None
) -> None:
    got, exact = dg.taylor(f, order)(x, v), by_contour(analytic or f, x, v, order)
    np.testing.assert_array_equal(got[0], njit(f)(x.copy()))
    scale = np.abs(exact).max()
    np.testing.assert_allclose(got[1:], exact[1:], rtol=1e-11, atol=1e-12 * scale)


X, V = np.array([0.3, -0.4, 1.2]), np.array([0.5, 1.0, -0.7])


def recursion(x):
    """A buffer, a constant table, a list, a helper, branches and a while loop."""
    return fill(x, np.zeros((2, 3)))


@njit
def fill(x, out):
    table = np.array([0.5, 2.0, 1.5])
    terms = [x[0]]
    s = 0.0
    for i in range(3):
        s += table[i] * x[i] * x[i]
        out[0, i] = helper(s, x[i])
        terms.append(out[0, i] * terms[-1])
        if x[i].real > 0.0:
            out[1, i] = np.exp(terms[-1]) / (2.0 + s)
        else:
            out[1, i] -= s**3
    k = 0
    while k < 2:
        out[1] *= x
        k += 1
    return out


@njit
def helper(s, x):
    return np.sin(s) * x + 1.0


def on_arrays(x):
    return np.cumsum(np.exp(x) * x[::-1])[1:] / np.sum(1.0 + x**2) + np.mean(x) * np.tanh(x[:2])


def test_programs() -> None:
    assert_program(recursion, X, V, analytic=lambda x: fill.py_func(x, np.zeros((2, 3), x.dtype)))
    assert_program(on_arrays, X, V)


A = np.array([[3.0, 0.5, -0.2], [0.1, 2.5, 0.4], [-0.3, 0.2, 4.0]])
B = np.array([[0.2, -0.5, 0.3], [0.7, 0.1, -0.4], [0.6, -0.2, 0.5]])
C = np.array([0.3, -1.1, 0.8])


def cholesky(a: Any) -> Any:
    """Of complex symmetric matrices, which LAPACK has not."""
    factor = np.zeros(a.shape, a.dtype)
    for j in range(len(a)):
        factor[j, j] = np.sqrt(a[j, j] - np.sum(factor[j, :j] ** 2))
        below = a[j + 1 :, j] - factor[j + 1 :, :j] @ factor[j, :j]
        factor[j + 1 :, j] = below / factor[j, j]
    return factor


PRODUCTS: dict[str, Any] = {
    "dot": (lambda a: np.dot(a[0], a[1]),),
    "vector": (lambda a: a @ a[0] + a[1] @ a,),
    "matrix": (lambda a: a @ a,),
    "constant": (lambda a: A @ a @ A + np.dot(a, C),),
    "vdot": (lambda a: np.vdot(a[0], a[1]), lambda a: np.dot(a[0], a[1])),
    "outer": (lambda a: np.outer(a[0], a[2]),),
    "kron": (lambda a: np.kron(a[:2], a[1:]),),
    "power": (lambda a: np.linalg.matrix_power(a, 5),),
    "inverse power": (lambda a: np.linalg.matrix_power(a, -2),),
    "solve": (lambda a: np.linalg.solve(a, C),),
    "solve matrices": (lambda a: np.linalg.solve(a.T, a * a),),
    "solve constant": (lambda a: np.linalg.solve(A, a[1] * a[2]),),
    "inv": (lambda a: np.linalg.inv(a),),
    "det": (lambda a: np.linalg.det(a),),
    "slogdet": (lambda a: np.linalg.slogdet(a)[1], lambda a: np.log(np.linalg.det(a))),
    "cholesky": (
        lambda a: np.linalg.cholesky(a @ a.T),
        lambda a: cholesky(a @ a.T),
    ),
    "norm": (lambda a: np.linalg.norm(a[1]), lambda a: np.sqrt(np.sum(a[1] ** 2))),
    "frobenius": (lambda a: np.linalg.norm(a), lambda a: np.sqrt(np.sum(a**2))),
    "cov": (lambda a: np.cov(a), lambda a: (a - a.mean(1)[:, None]) @ (a.T - a.mean(1)) / 2),
    "convolve": (lambda a: np.convolve(a[0], a[1]),),
}  # fmt: skip


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("name", PRODUCTS)
def test_linear_algebra(name: str) -> None:
    assert_program(PRODUCTS[name][0], A, B, analytic=PRODUCTS[name][-1])


def test_products_by_blas() -> None:
    """From a size on products with a constant are left to BLAS, and no others."""
    rng = np.random.default_rng(3)
    a, b, c = rng.normal(size=(3, 30, 30)) / 6
    assert_program(lambda a: a @ a, a, b)
    assert_program(lambda a: c @ a - a @ c, a, b)


# ------------------------------------------------------------------------- orders and nesting


def smooth(x):
    return np.exp(x) * np.sin(x) * x**1.5 / (1.0 + x * x)


SMOOTH = dg.taylor(smooth, 6)
SLOPE = dg.derivative(smooth)
EXACT = np.array(
    [
        float(it)
        for it in mp.taylor(
            lambda x: mp.exp(x) * mp.sin(x) * x ** mp.mpf(1.5) / (1 + x * x), mp.mpf(0.7), 8
        )
    ]
)


@pytest.mark.parametrize("order", [0, 1, 2, 8])
def test_orders(order: int) -> None:
    got = dg.taylor(smooth, order)(0.7, 1.0)
    assert got.shape == (order + 1,) and got[0] == njit(smooth)(0.7)
    np.testing.assert_allclose(got, EXACT[: order + 1], rtol=1e-13)


def test_order_30() -> None:
    f = dg.taylor(lambda x: np.exp(np.sin(x)) / np.sqrt(1.0 + x * x) + np.arctan(x), 30)
    with mp.workdps(80):
        exact = mp.taylor(
            lambda x: mp.exp(mp.sin(x)) / mp.sqrt(1 + x * x) + mp.atan(x), mp.mpf(0.4), 30
        )
    assert_close(f(0.4, 1.0), exact)


def test_first_and_second_derivatives() -> None:
    def f(x):
        return np.sum(np.exp(x) * x[0]) ** 2 / (1.0 + x[1] * x[2])

    value, slope = dg.jvp(f)((X,), (V,))
    got = dg.taylor(f, 2)(X, V)
    np.testing.assert_allclose(got, [value, slope, V @ dg.hessian(f)(X) @ V / 2], rtol=1e-13)


def test_derivative_of_taylor() -> None:
    by_point = dg.derivative(lambda x: SMOOTH(x, 1.0))
    np.testing.assert_allclose(by_point(0.7), EXACT[1:8] * np.arange(1, 8), rtol=1e-12)
    by_direction = dg.derivative(lambda v: SMOOTH(0.7, v))
    np.testing.assert_allclose(by_direction(1.0), EXACT[:7] * np.arange(7), rtol=1e-12)
    twice = dg.derivative(by_point)(0.7)
    factors = np.arange(1, 8) * np.arange(2, 9)
    np.testing.assert_allclose(twice[:7], EXACT[2:9] * factors, rtol=1e-12)


def test_taylor_of_transforms() -> None:
    got = dg.taylor(SLOPE, 6)(0.7, 1.0)
    np.testing.assert_allclose(got, EXACT[1:8] * np.arange(1, 8), rtol=1e-12)
    nested = dg.taylor(lambda x: SMOOTH(x, 1.0), 2)(0.7, 1.0)
    for k in range(3):
        expected = [math.comb(j + k, k) * EXACT[j + k] for j in range(7)]
        np.testing.assert_allclose(nested[k], expected, rtol=1e-11)


def test_a_point_is_one_of_many() -> None:
    got = dg.vmap(SMOOTH, in_axes=(0, None))(np.array([0.3, 0.7]), 1.0)
    np.testing.assert_allclose(got[1], EXACT[:7], rtol=1e-13)


# ---------------------------------------------------------------------------- singular points


@pytest.mark.parametrize(
    "f, x, v, expected",
    [
        (np.sqrt, 0.0, 1.0, [0, np.inf, -np.inf, np.inf]),
        (np.sqrt, 0.0, 0.0, [0, 0, 0, 0]),
        (np.log, 0.0, 0.0, [-np.inf, 0, 0, 0]),
        (lambda x: x**2.5, 0.0, 1.0, [0, 0, 0, np.inf]),
        (lambda x: x**2.5, 0.0, -1.0, [0, 0, 0, -np.inf]),
        (lambda x: x**3, 0.0, 2.0, [0, 0, 0, 8]),
        (lambda x: x**2.0, 0.0, 2.0, [0, 0, 4, 0]),
        (lambda x: x**0, 0.0, 2.0, [1, 0, 0, 0]),
        (lambda x: 0.0 ** (x + 1.0), 0.0, 2.0, [0, 0, 0, 0]),
        (lambda x: (x - 2.0) ** (x * 0.0 + 2.0), 0.0, 1.0, [4, -4, 1, 0]),
        (lambda x: (1e-9 + x + x * x) ** 3, 0.0, 1.0, [1e-27, 3e-18, 3e-9 + 3e-18, 1]),
        (abs, 0.0, 1.0, [0, 0, 0, 0]),
        (lambda x: abs(x * x), 0.0, 2.0, [0, 0, 4, 0]),
        (lambda x: abs(x * x * x - 1.0), 0.0, 1.0, [1, 0, 0, -1]),
        (lambda x: np.hypot(x, x), 0.0, 1.0, [0, 0, 0, 0]),
        (lambda x: np.hypot(x * x, 0.0), 0.0, 1.0, [0, 0, np.nan, np.nan]),
        (lambda x: max(0.0, x), 0.0, 1.0, [0, 0, 0, 0]),
        (lambda x: max(x * x, x), 3.0, 1.0, [9, 6, 1, 0]),
        (np.floor, 1.5, 1.0, [1, 0, 0, 0]),
    ],
)
def test_singular_points(f: Any, x: float, v: float, expected: Any) -> None:
    np.testing.assert_allclose(dg.taylor(f, 3)(x, v), expected, rtol=1e-6)


# ------------------------------------------------------------------------------ what is refused


@dg.custom_jvp
def with_rule(x):
    return x * x


@with_rule.defjvp
def _(x, dx):
    return 2.0 * x * dx


REFUSED: dict[str, Any] = {
    "eigh": lambda a: np.linalg.eigh(a)[0],
    "eigvalsh": lambda a: np.linalg.eigvalsh(a),
    "eig": lambda a: np.linalg.eig(a)[1],
    "eigvals": lambda a: np.linalg.eigvals(a),
    "svd": lambda a: np.linalg.svd(a)[1],
    "qr": lambda a: np.linalg.qr(a)[1],
    "pinv": lambda a: np.linalg.pinv(a),
    "lstsq": lambda a: np.linalg.lstsq(a, C)[0],
    "Taylor": lambda a: np.exp(a * 1j).real,
    "with_rule": lambda a: with_rule(a[0, 0]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(dg.NotDifferentiable, match=name):
        dg.taylor(REFUSED[name], 2)(A, B)


def test_refused_inside_another_transform() -> None:
    taylor = dg.taylor(with_rule, 2)
    with pytest.raises(dg.NotDifferentiable, match="with_rule"):
        dg.derivative(lambda x: taylor(x, 1.0))(2.0)
    with pytest.raises(dg.NotDifferentiable, match="with_rule"):
        dg.taylor(dg.derivative(with_rule), 2)(2.0, 1.0)


def test_determinant_of_a_singular_matrix() -> None:
    with pytest.raises(ValueError, match="singular"):
        dg.taylor(PRODUCTS["det"][0], 2)(np.ones((3, 3)), B)


# -------------------------------------------------------------------------------- the calls


def scaled(x, v, factor=2.0):
    return v * x * x, factor * x[0]


def test_further_arguments() -> None:
    taylor = dg.taylor(scaled, 2)
    squares, firsts = taylor(X, V, 3.0)
    np.testing.assert_allclose(squares, [3 * X * X, 6 * X * V, 3 * V * V])
    np.testing.assert_allclose(firsts, [2 * X[0], 2 * V[0], 0])
    _, firsts = taylor(X, v_=V, v=3.0, factor=5.0)
    np.testing.assert_allclose(firsts, [5 * X[0], 5 * V[0], 0])
    out = np.empty((3, 3)).T, np.empty(3)
    result = taylor(X, V, 3.0, out=out)
    assert result[0] is not None
    np.testing.assert_allclose(out[0], squares)


def into(x, y):
    y[0] = x[0] * x[1]
    y[1] = 4.0


def test_buffers() -> None:
    y = np.zeros(2)
    got = dg.taylor(into, 2, out_argnum=1)(X, V, y)
    cross = X[0] * V[1] + X[1] * V[0]
    np.testing.assert_allclose(got, [[X[0] * X[1], 4], [cross, 0], [V[0] * V[1], 0]])
    assert not y.any()


def test_types() -> None:
    got = dg.taylor(lambda x: np.exp(x) * np.sin(x), 6)(np.float32(0.7), np.float32(1.0))
    assert got.dtype == np.float32
    exact = [(np.exp(0.7 + 0.7j) * (1 + 1j) ** k).imag / math.factorial(k) for k in range(7)]
    np.testing.assert_allclose(got, exact, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(dg.taylor(lambda x: x**3, 3)(2, 1), [8, 12, 6, 1])
    np.testing.assert_array_equal(dg.taylor(lambda x: 3, 2)(2.0, 1.0), [3, 0, 0])
    fortran = np.asfortranarray(A)
    np.testing.assert_array_equal(dg.taylor(lambda a: a * a, 1)(fortran, B)[1], 2 * A * B)


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda: dg.taylor(smooth, -1), ValueError),
        (lambda: dg.taylor(smooth, 1.5), TypeError),
        (lambda: dg.taylor(smooth, True), TypeError),
        (lambda: dg.taylor(lambda: 1.0, 1), ValueError),
        (lambda: dg.taylor(into, 1, out_argnum=0), ValueError),
        (lambda: SMOOTH(1j, 1.0), TypeError),
        (lambda: SMOOTH(1.0, 1j), TypeError),
        (lambda: SMOOTH(X, 1.0), TypeError),
        (lambda: SMOOTH(X, V[:2]), ValueError),
        (lambda: SMOOTH(X, V, out=np.empty((7, 2))), ValueError),
        (lambda: SMOOTH(X, V, out=np.empty(7)), ValueError),
        (lambda: SMOOTH(X, V, out=np.empty((7, 3), np.float32)), TypeError),
    ],
)
def test_errors(call: Any, error: Any) -> None:
    with pytest.raises(error):
        call()
