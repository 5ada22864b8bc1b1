"""Duals as Python sees them: NumPy's functions, compiled functions, and running without Numba."""

from __future__ import annotations

import copy
import math
import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import njit

import dualgrad as dg
from dualgrad import rules
from tests.complexstep import assert_same_bits
from tests.differences import jacobian as differences

X = np.array([[0.7, -1.3, 2.1], [1.9, 0.4, -0.6]])
SQUARE = np.array([[2.0, -1.0, 0.3], [0.5, 3.0, 0.1], [-0.2, 0.7, 1.5]])
NAMES = {"np": np, "X": X, "A": SQUARE, "pick": np.array([2, 0, 2])}


def check(f: Callable[..., Any], x: np.ndarray) -> None:
    """Values are those without duals; tangents are those of differences."""
    y, want = f(dg.seed(x)), f(x)
    assert isinstance(y, dg.Dual if np.ndim(want) == 0 else dg.DualArray)
    assert_same_bits(dg.value(y), want)
    assert dg.tangent(y).shape == np.shape(want) + (x.size,)
    got = dg.tangent(y).reshape(np.shape(want) + x.shape)
    expected, error = differences(f, x)
    np.testing.assert_array_less(abs(got - expected), 10 * error)


# ------------------------------------------------------------------------------ in NumPy

#: points inside the domains of functions that are not defined, or have a kink, at those of X
INSIDE = {
    **dict.fromkeys(("arcsin", "arccos", "arctanh"), X / 4),
    **dict.fromkeys(("sqrt", "log", "log2", "log10", "cbrt"), abs(X)),
    "log1p": abs(X),
    "arccosh": abs(X) + 1.5,
}


@pytest.mark.parametrize("name", [name for name in rules.UNARY if hasattr(np, name)])
def test_functions_of_one_argument(name: str) -> None:
    check(getattr(np, name), INSIDE.get(name, X))


@pytest.mark.parametrize("name", [*rules.BINARY, *rules.SELECT, "add", "subtract", "true_divide"])
def test_functions_of_two_arguments(name: str) -> None:
    f = getattr(np, name)
    x = abs(X)
    if name == "ldexp":
        check(lambda x: f(x, 3), x)
        return
    check(lambda x: f(x, 1.7), x)
    if name != "nextafter":
        check(lambda x: f(2.3, x), x)
        check(lambda x: f(x[0], x[1:] + 0.1), x)


EXPRESSIONS = """
x ** 2; x ** 3; x ** -2; x ** 0; abs(x) ** 0.5; x ** 2.0; 2 ** x; 1 / x; x // 1; x % 0.7; -x; +x
abs(x); x * X; X * x; X[0] - x; x @ A; A @ x.T; x @ x.T; x.dot(A); divmod(x, 0.8)[1]; x / x[0]
np.sum(x); np.sum(x, axis=0); x.sum(1, keepdims=True); np.mean(x, axis=1); x.mean(); np.cumsum(x)
np.sum(x, initial=5.0); np.add.reduce(x); np.multiply.reduce(x); np.multiply.outer(x[0], x[1])
np.prod(x); np.prod(x, axis=0); np.cumprod(x); np.cumprod(x, axis=1); x.var()
np.var(x, 1, ddof=1); np.std(x, axis=0); np.average(x, axis=1, weights=np.array([1.0, 2.0, 5.0]))
np.max(x); x.min(axis=1); np.average(x[0], weights=x[1] ** 2); np.max(x, axis=(0, 1))
np.amax(x, 0, keepdims=True); np.sum(a=x); np.maximum.reduce(x); np.minimum.reduce(x, axis=None)
np.sort(x); np.sort(x, axis=None); x.clip(-1, 1); np.dot(x[0], x[1]); np.vdot(x, x)
np.inner(x, x); np.outer(x[0], X[1]); np.kron(x, x[0]); np.trace(x); np.einsum("ij,ij->i", x, x)
np.einsum("ij,jk", x, A); np.tensordot(x, A, axes=1); np.cross(x, x[::-1])
np.convolve(x[0], x[1]); np.correlate(x[0], x[1]); np.matmul(x, x.T)
np.linalg.norm(x); np.linalg.norm(x, axis=1); np.linalg.norm(x[0], 1)
np.linalg.norm(x[0], np.inf); np.linalg.solve(A, x.T)
np.linalg.solve(A + np.outer(x[0], x[1]), x[0]); np.linalg.solve(x @ x.T, X)
np.linalg.inv(x @ x.T); np.linalg.det(x @ x.T); np.linalg.det(A * x[0])
np.where(x > 0, x, 0.1 * x); np.where(X > 0, 1.0, x); np.concatenate([x, X])
np.stack([x[0], x[1] * 2], axis=1); x.reshape(3, 2); np.hstack([x[:, 0], 1.0])
np.vstack((x, x[0])); np.append(x, 2.0); np.transpose(x); x.T[1]; x.ravel()
np.array([x[0, 0], 2 * x[1, 1]]) * x[0, :2]; np.diag(x[0]); np.tril(x); np.roll(x, 1)
np.flip(x, 1); np.take(x, pick, axis=1); x[:, pick]; x[X > 0]; x[..., None] * X[0]; x[::-1, ::2]
x.flatten(); x.copy(); np.repeat(x, 2, axis=0); np.tile(x, 2); np.squeeze(x[None])
np.expand_dims(x, 1); np.moveaxis(x, 0, 1); np.insert(x[0], 1, x[1, 1]); np.delete(x, 0, axis=1)
np.split(x, 3, axis=1)[1]; np.broadcast_to(x, (2, 2, 3)); np.full_like(x, 2) * x
np.zeros_like(x) + x; np.ones_like(x) * x; np.block([[x], [x]]); x.item(1, 2); np.real(x)
np.real(np.exp(1j * x)); np.abs(np.exp((1 + 2j) * x)); np.abs(np.fft.fft(x)); np.imag(x * 1j)
sum(x); sum(x[0]); max(x[0]); x.tolist()[1][0]; np.nansum(x); np.meshgrid(x[0], x[1])[0] * x[0, 0]
np.hypot(*x); np.arctan2(x[0], x[1]); x.astype(float)
np.select([X > 1, X < 0], [x, 2 * x], 3 * x); np.median(x); np.percentile(x, 30); np.diff(x[0])
np.interp(x, A[:, 2].cumsum() - 0.05, A[0]); np.linalg.qr(A * x[0])[1]; np.linalg.pinv(x); np.ptp(x)
"""
ALL = [e.strip() for line in EXPRESSIONS.strip().splitlines() for e in line.split(";")]


@pytest.mark.parametrize("e", ALL)
def test_numpy(e: str) -> None:
    check(eval(f"lambda x: {e}", NAMES), X)


QUESTIONS = """
x > 0.5; x[0] == x[1]; np.argmax(x); np.argsort(x, axis=1); x.shape; x.size; len(x); x.ndim
np.shape(x); np.isnan(x); np.any(x > 2); bool(x[0, 0]); int(x[0, 2]); np.allclose(x, X)
x.argmin(); np.nonzero(x)[0]; hash(x[0, 0]) == hash(0.7); round(x[0, 2]); math.floor(x[0, 2])
math.ceil(x[1, 0]); 0.7 in x; x.dtype; np.searchsorted(np.arange(3.0), x[0]); not x[0, 0]
np.isfinite(x[0, 0]); x[0].astype(int); x[0] != 0.7
"""


def test_questions() -> None:
    x = dg.seed(X)
    for e in (e.strip() for line in QUESTIONS.strip().splitlines() for e in line.split(";")):
        got, want = (eval(e, {**NAMES, "math": math, "x": it}) for it in (x, X))
        assert not isinstance(got, (dg.Dual, dg.DualArray)), e
        np.testing.assert_array_equal(got, want, err_msg=e)


def test_writing() -> None:
    x = dg.seed(X[0])
    y = np.zeros_like(x)
    y[0] = x[1] * x[2]
    y[1:] = [5.0, 6.0]
    y[2] += x[0]
    y *= 2.0
    np.testing.assert_array_equal(dg.value(y), 2 * np.array([X[0, 1] * X[0, 2], 5, 6 + X[0, 0]]))
    expected = 2 * np.array([[0, X[0, 2], X[0, 1]], [0, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(dg.tangent(y), expected)
    out = np.empty_like(x)
    assert np.sin(x, out=out) is out
    np.testing.assert_array_equal(dg.tangent(out), np.diag(np.cos(X[0])))
    np.sum(dg.seed(X)[:, :1] * np.ones(3), axis=0, out=(whole := dg.seed(X)[0]))
    np.testing.assert_array_equal(dg.tangent(whole)[2], [1, 0, 0, 1, 0, 0])
    np.copyto(out, x[::-1], where=np.array([True, False, False]))
    np.testing.assert_array_equal(dg.tangent(out)[0], [0, 0, 1])
    view = y.value
    view[0] = 7.0  # value and tangents are views
    assert y[0] == 7.0
    number = y[0]
    y[0] = 8.0
    assert number == 7.0  # a number is not


LOST = [
    "float(x[0])", "math.sin(x[0])", "buffer.__setitem__(0, x[0])", "buffer.__setitem__(0, x)",
    "operator.iadd(buffer, x)", "np.add(x, 1.0, out=buffer)", "np.asarray(x, float)",
    "np.copyto(buffer, x)", "complex(x[0])", "np.fill_diagonal(np.eye(3), x)",
    "np.concatenate([x, x], out=np.zeros(6))", "buffer.fill(x[0])",
    "np.sum(x, out=np.zeros(()))", "np.put(buffer, [0], x[:1])", "np.add.at(buffer, [0], x[0])",
    "np.sin(x, dtype=np.float16)", "x.fill(dg.Dual(x[0], 1.0))", "x * dg.Dual(1.0, [1.0, 2.0])",
    "np.concatenate([x, dg.seed(1.0) * np.ones(3)])", "x.__setitem__(0, 1j)",
    "np.unique(x[None], axis=0)", "dg.value('a')", "dg.seed(1j)", "dg.Dual('a', 1.0)",
]  # fmt: skip


@pytest.mark.parametrize("e", LOST)
def test_nothing_is_lost_in_silence(e: str) -> None:
    names = {**NAMES, "x": dg.seed(X[0]), "buffer": np.zeros(3), "math": math, "dg": dg}
    with pytest.raises((TypeError, ValueError)):  # NumPy turns one into the other
        eval(e, {**names, "operator": operator})


@pytest.mark.parametrize(
    "e", ["dg.Dual(X, 1.0)", "dg.DualArray(X, X)", "dg.Dual(1.0, [])", "dg.seed([])"]
)
def test_wrong_shapes(e: str) -> None:
    with pytest.raises(ValueError, match="dg"):
        eval(e, {"dg": dg, "X": X})


def test_numbers_do_not_change() -> None:
    for op in ("iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow"):
        x = dg.seed(2.5)
        y = getattr(operator, op)(x, 2.0)
        assert (x, dg.tangent(x)) == (2.5, 1.0), op
        assert y == getattr(operator, op)(2.5, 2.0)
    x = dg.seed(X)
    y = x
    y **= 2
    assert_same_bits(x.value, X**2)


def test_nan_and_lists() -> None:
    x = dg.DualArray([1.0, np.nan, 4.0], [[1.0], [10.0], [100.0]])
    for y, value, slope in ((np.nansum(x), 5.0, 101.0), (np.nanmean(x), 2.5, 50.5)):
        assert (y.value, y.tangent) == (value, slope)
    y = x + [x[0], 2.0, x[2]]
    np.testing.assert_array_equal(dg.tangent(y), [[2.0], [10.0], [200.0]])
    np.testing.assert_array_equal(np.where(x > 2)[0], [2])
    np.testing.assert_array_equal(np.where(x - x[0])[0], [1, 2])


def test_singular_points() -> None:
    """A tangent of zero stays zero, as in compiled code."""
    x = dg.DualArray([0.0, 0.0], [[1.0, 0.0], [0.0, 0.0]])
    cases: list[tuple[Any, float]] = [(np.sqrt, np.inf), (np.cbrt, np.inf), (np.abs, 0.0)]
    cases += [(lambda x: x**0.5, np.inf), (lambda x: np.hypot(x, 0.0), 0.0), (lambda x: x**0, 0.0)]
    cases += [(lambda x: np.maximum(x, 0.0), 0.0), (lambda x: np.maximum(0.0, x), 0.0)]
    for f, slope in cases:
        np.testing.assert_array_equal(dg.tangent(f(x)), [[slope, 0.0], [0.0, 0.0]])
    assert_same_bits(dg.tangent(np.linalg.norm(x)), np.zeros(2))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.complex64, np.complex128])
def test_precision(kind: type) -> None:
    """It is that of the values, as in NumPy."""
    x = dg.DualArray(np.array([1.5, 2.5], kind), [[1.0], [2.0]])
    for y in (x * 2.0, np.exp(x), x + 1, x[0] * x, np.sum(x), np.concatenate([x, x]), x @ x):
        assert dg.value(y).dtype == dg.tangent(y).dtype == kind
    y = njit(lambda x: x * x)(x)
    assert dg.value(y).dtype == dg.tangent(y).dtype == kind
    np.testing.assert_array_equal(dg.tangent(y), [[3.0], [10.0]])
    assert dg.Dual(1, 2).value.dtype == np.float64


def test_duals_of_duals() -> None:
    x = dg.Dual(dg.Dual(0.3, 1.0), dg.Dual(1.0, 0.0))
    for f, first, second in (
        (np.tanh, 1 - np.tanh(0.3) ** 2, -2 * np.tanh(0.3) * (1 - np.tanh(0.3) ** 2)),
        (lambda x: x**3.5, 3.5 * 0.3**2.5, 3.5 * 2.5 * 0.3**1.5),
        (lambda x: np.sum(np.stack([x, x * x]) ** 2), 2 * 0.3 + 4 * 0.3**3, 2 + 12 * 0.3**2),
        (lambda x: np.linalg.inv(np.stack([x]).reshape(1, 1))[0, 0], -(0.3**-2), 2 * 0.3**-3),
        (lambda x: np.prod(np.stack([x, x, 2 * x])), 6 * 0.3**2, 12 * 0.3),
        (njit(lambda x: x * x * x), 3 * 0.3**2, 6 * 0.3),
    ):
        y = f(x)
        assert y.value.tangent[0] == pytest.approx(first, rel=1e-14)
        assert y.tangent[0].value == pytest.approx(first, rel=1e-14)
        assert y.tangent[0].tangent[0] == pytest.approx(second, rel=1e-13)


def test_copies() -> None:
    for d in (dg.seed(X), dg.seed(2.0), dg.seed(X)[1, 1]):
        for twin in (copy.copy(d), copy.deepcopy(d), pickle.loads(pickle.dumps(d))):
            assert type(twin) is type(d)
            assert_same_bits(dg.tangent(twin), dg.tangent(d))
    x = dg.seed(X)
    copy.copy(x)[0] = 5.0
    assert x[0, 0] == 0.7
    names = {"Dual": dg.Dual, "DualArray": dg.DualArray}
    again = eval(repr(x), names)
    assert_same_bits(dg.tangent(again), dg.tangent(x))
    assert (
        repr(eval(repr(x[0, 1]), names)) == repr(x[0, 1]) == "Dual(-1.3, [0., 1., 0., 0., 0., 0.])"
    )
    assert f"{dg.Dual(1.23456, [1.0, 2.34567]):.3f}" == "Dual(1.235, [1.000, 2.346])"
    assert f"{x[0, 1]}" == repr(x[0, 1])


# ------------------------------------------------------------------------- compiled functions


@njit
def helper(x: Any) -> Any:
    return x * x


@njit
def buffers(x, k=3):  # type: ignore[no-untyped-def]
    y = np.zeros((2, k))
    for i in range(k):
        y[0, i] = helper(x[i]) * np.sin(x[0])
    y[1] = np.array([x[0], 2.0, x[1]])
    return y


@njit("float64(float32, float64)")
def declared(x: Any, y: Any) -> Any:
    return x * y


def test_compiled() -> None:
    check(buffers, X[0])
    assert [str(sig) for sig in buffers.signatures] == [
        "(Array(float64, 1, 'C', False, aligned=True), omitted(default=3))"
    ]  # what it has for plain numbers is as it was
    check(lambda x: buffers(x.T[0], 3), X.T.copy())  # any layout
    check(lambda x: buffers(x[::2], k=3), np.arange(6.0))
    x, y = dg.seed([1.5, 2.0])
    for given, value, tangents in (((x, y), 3.0, [2.0, 1.5]), ((x, 2.0), 3.0, [2.0, 0.0])):
        assert declared(*given) == value
        np.testing.assert_array_equal(dg.tangent(declared(*given)), tangents)
    assert declared(dg.Dual(1.1, 1.0), 1.0) == np.float64(np.float32(1.1))
    assert declared(1, 2) == 2.0
    assert not declared._can_compile


def test_compiled_takes_and_returns() -> None:
    x = dg.seed(X[0])

    @njit
    def many(t, d, *rest):  # type: ignore[no-untyped-def]
        return (t[0] * t[1][0], d, rest[0] * 2.0), t[1], np.exp(1j * d)

    (a, b, c), d, z = many((x[0], x), x[1], x[2], 3.0)
    assert (a.value, b.value, c.value) == (X[0, 0] ** 2, X[0, 1], 2 * X[0, 2])
    np.testing.assert_array_equal(dg.tangent(a), [2 * X[0, 0], 0, 0])
    np.testing.assert_array_equal(dg.tangent(c), [0, 0, 2])
    np.testing.assert_array_equal(dg.tangent(d), np.eye(3))
    np.testing.assert_allclose(dg.tangent(z), [0, 1j * np.exp(1j * X[0, 1]), 0], rtol=1e-15)


@njit
def fill(x: Any, y: Any) -> None:
    y[0] = 2.0 * x[1]


def test_compiled_writes_to_arguments() -> None:
    x, y = dg.seed(X[0]), dg.DualArray(np.ones(2), np.zeros((2, 3)))
    fill(x, y)
    np.testing.assert_array_equal(dg.value(y), [2 * X[0, 1], 1])
    np.testing.assert_array_equal(dg.tangent(y), [[0, 2, 0], [0, 0, 0]])
    with pytest.raises(dg.NotDifferentiable, match="passed for y holds plain numbers"):
        fill(x, np.zeros(2))
    fill(X[0], z := np.zeros(2))
    assert z[0] == 2 * X[0, 1]
    fill(X[0], y)  # numbers are constants
    np.testing.assert_array_equal(dg.tangent(y), np.zeros((2, 3)))
    frozen = x.copy()
    frozen._dualgrad_data.flags.writeable = False
    with pytest.raises(TypeError):
        fill(x, frozen)


def test_compiled_refuses() -> None:
    x = dg.seed(X[0])
    with pytest.raises(dg.NotDifferentiable, match=r"line \d+(.|\n)*no attribute nothing"):
        njit(lambda x: x.nothing)(x)
    with pytest.raises(dg.NotDifferentiable, match=r"np\.packbits has no derivative rule"):
        np.packbits(x)
    with pytest.raises(dg.NotDifferentiable, match="as an argument"):
        njit(lambda y: y * x[0])(1.0)
    with pytest.raises(ZeroDivisionError):
        njit(lambda x: x / 0)(x[0])


def test_transforms_of_points_that_are_duals() -> None:
    """One level more: a gradient carries tangents of its own."""
    x = dg.seed(X[0])
    got = dg.grad(lambda x: x[0] ** 2 * x[1] + x[2])(x)
    np.testing.assert_allclose(dg.value(got), [2 * X[0, 0] * X[0, 1], X[0, 0] ** 2, 1])
    hessian = [[2 * X[0, 1], 2 * X[0, 0], 0], [2 * X[0, 0], 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(dg.tangent(got), hessian)


def test_rules_of_ones_own() -> None:
    @dg.custom_jvp
    def f(x: Any) -> Any:
        return x * x

    f.defjvp(lambda x, dx: 100.0 * dx)
    assert f(3.0) == 9.0
    assert dg.tangent(f(dg.seed(3.0))) == 100.0


def test_parts_in_compiled_code() -> None:
    @njit
    def parts(x):  # type: ignore[no-untyped-def]
        return dg.value(x), dg.tangent(x)

    for x in (dg.seed(X), dg.seed(X)[0, 1], dg.seed(X).T, dg.seed(X) * 1j):
        value, tangent = parts(x)
        assert_same_bits(value, dg.value(x))
        assert_same_bits(tangent, dg.tangent(x))
    for x in (2.0, 3, X, np.float32(2.0), True, np.arange(3), 2j):
        value, tangent = parts(x)
        np.testing.assert_array_equal(value, x)
        np.testing.assert_array_equal(tangent, np.zeros(np.shape(x) + (1,)))
        assert_same_bits(tangent, dg.tangent(x))
        np.testing.assert_array_equal(dg.value(x), x)
    # a value is a constant: what depends on it alone has no derivative
    assert dg.derivative(lambda x: x * dg.value(x))(3.0) == 3.0
