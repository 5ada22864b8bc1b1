"""Dual scalars: every operation of Python and Numba on numbers, its edge cases and its errors.

Operations are written as text beside their derivative in closed form, and are compiled by the
dozen: as one function that returns all of them, or one that is told which of them to return.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable
from typing import Any

import mpmath
import numpy as np
import pytest
from numba import njit
from numba.core.base import BaseContext

import dualgrad as dg

INF, NAN = math.inf, math.nan
NAMES = {"math": math, "np": np, "nan": NAN, "inf": INF}


def define(source: str, **options: Any) -> Any:
    namespace: dict[str, Any] = dict(NAMES)
    exec(source, namespace)
    return njit(**options)(namespace["f"])


def together(expressions: Iterable[str], parameters: str = "x", **options: Any) -> Any:
    """A function that returns all of the expressions."""
    lines = [f"    y{k} = {e}\n" for k, e in enumerate(expressions)]
    results = "".join(f"y{k}, " for k in range(len(lines)))
    return define(f"def f({parameters}):\n{''.join(lines)}    return ({results})", **options)


def one_of(expressions: Iterable[str], **options: Any) -> Any:
    """A function that returns the `k`-th of the expressions in the items of `x`."""
    cases = "".join(f"    if k == {k}: return {e}\n" for k, e in enumerate(expressions))
    unpack = "    x, y, z = a[0], a[1], a[2]\n"
    return define(f"def f(a, k):\n{unpack}{cases}    return a[0]\n", **options)


def outcome(f: Callable[..., Any], *args: Any) -> Any:
    """What a call returns, or the exception that it raises."""
    try:
        return f(*args)
    except Exception as error:
        return type(error), error.args


def bits(x: Any) -> Any:
    """What equals between numbers that are the same to the bit, sign of zero included."""
    return type(x), np.float64(x).tobytes() if x == x else "nan"


# ------------------------------------------------------------------------------- arithmetic

#: operation, and its derivative by x
MIXED = {
    "x + v": "1", "v + x": "1", "x - v": "1", "v - x": "-1", "x * v": "v", "v * x": "v",
    "x / v": "1 / v", "v / x": "-v / x**2", "x // v": "0", "v // x": "0",
    "x % v": "1", "v % x": "-(v // x)", "-x % v": "-1", "divmod(x, v)[0]": "0",
    "divmod(x, v)[1]": "1", "divmod(v, x)[1]": "-(v // x)",
    "x ** v": "v * x**(v - 1)", "v ** x": "v**x * math.log(v)", "pow(x, v)": "v * x**(v - 1)",
    "max(x, v)": "x > v", "max(v, x)": "x > v", "min(x, v)": "x < v", "min(v, x, 7)": "x < v",
    "math.pow(x, v)": "v * x**(v - 1)", "math.atan2(x, v)": "v / (x**2 + v**2)",
    "np.arctan2(v, x)": "-v / (x**2 + v**2)", "np.hypot(v, x)": "x / math.hypot(x, v)",
    "np.maximum(v, x)": "x > v", "np.power(v, x)": "v**x * math.log(v)",
    "np.copysign(x, v)": "1", "np.divmod(x, v)[1]": "1", "np.fmod(x, v)": "1",
    "(x < v) * x": "x < v", "(v <= x) * x": "v <= x", "(x == v) * x": "0", "(v != x) * x": "1",
    "(x > v) * x": "x > v", "(v >= x) * x": "v >= x",
}  # fmt: skip
SOME = ("v + x", "x - v", "v * x", "x / v", "v / x", "v % x", "x ** v", "max(v, x)")
TYPES = (
    np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
    np.float32, np.float64, np.bool_,
)  # fmt: skip


def check_mixed(expressions: Iterable[str], kind: type, kinds: tuple[type, ...]) -> None:
    x, constants = kind(2.7), [k(3) for k in kinds]
    names = [f"v{k}" for k in range(len(kinds))]
    rows = [(e, name) for name in names for e in expressions]
    texts = [e.replace("v", name).replace(f"di{name}", "div") for e, name in rows]
    f = together(texts, ", ".join(["x", *names]))
    values, slopes = dg.value_and_derivative(f)(x, *constants)
    primal = f(x, *constants)
    types = f.nopython_signatures[0].return_type
    for (e, n), value, slope, same, ty in zip(rows, values, slopes, primal, types, strict=True):
        v = constants[names.index(n)]
        assert bits(value) == bits(same), (e, type(v))
        given = {"x": float(x), "v": float(v), "math": math}
        exact = float(eval(MIXED[e], given))
        accuracy = 1e-14 if str(ty) == "float64" else 1e-6
        assert slope == pytest.approx(exact, rel=accuracy, abs=0), (e, type(v))
        assert str(ty) == "float64" or slope == np.float32(slope), (e, type(v))


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("other", [np.int64, np.float32, np.bool_])
def test_arithmetic(kind: type, other: type) -> None:
    """Values to the bit and derivatives of their type, with the constant on either side."""
    skip = ("%", "//", "divmod") if other is np.bool_ else ()  # compared where they are smooth
    check_mixed([e for e in MIXED if not any(s in e for s in skip)], kind, (other,))


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_all_types_mix(kind: type) -> None:
    check_mixed(SOME, kind, TYPES)


#: operation at x = 2.3, and its derivative
UNARY = {
    "-x": "-1", "+x": "1", "abs(x)": "1", "abs(-x)": "1", "float(x) * x": "2 * x", "int(x)": "0",
    "int(x) * x": "2", "round(x)": "0", "round(x) * x": "2", "round(x, 1) * x": "2.3",
    "round(-x)": "0", "math.floor(x) * x": "2", "math.ceil(x) * x": "3", "math.trunc(x) * x": "2",
    "bool(x) * x": "1", "(not x) * x": "0", "(x and x * 3)": "3", "(x or x * 3)": "1",
    "(3 * x if x else x)": "3", "(3 * x if not x else x)": "1", "(x if 0 < x < 3 else -x)": "1",
    "x.real * x": "2 * x", "x.imag + x": "1", "x.conjugate() * x": "2 * x",
    "np.conj(x) * np.real(x)": "2 * x", "np.imag(x)": "0", "np.sign(x) * x": "1",
    "np.float64(x) * x": "2 * x", "sum((x, 2, x * x))": "1 + 2 * x", "sum([x, x])": "2",
    "max(x, 1, x * x)": "2 * x", "min(3.0, x, x * x)": "1", "max((x, 1.0, 5.0, x * x))": "2 * x",
    "(1, 2, 3)[int(x)] * x": "3", "x ** int(x)": "2 * x", "math.gcd(int(x), 4) * x": "2",
    "math.frexp(x)[0]": "0.25", "math.frexp(x)[1] * x": "2", "math.ldexp(x, 3)": "8",
    "np.isnan(x) * x": "0", "math.isfinite(x) * x": "1", "x * x": "2 * x", "x * x * x": "3 * x**2",
    "x ** 0": "0", "x ** 1": "1", "x ** 2": "2 * x", "x ** 5": "5 * x**4", "x ** -2": "-2 * x**-3",
    "x ** 13": "13 * x**12", "x ** 64": "64 * x**63",
    "x ** 0.5": "0.5 * x**-0.5", "x ** x": "x**x * (1 + math.log(x))", "x / x": "0", "x - x": "0",
    "x % x": "-0.0", "x // x": "0", "math.sin(x) ** 2 + np.cos(x) ** 2": "0",
    "math.erf(x) + math.erfc(x)": "0", "np.log(math.exp(x))": "1", "np.sinc(x * 0)": "0",
    "np.where(x > 1, x, 3 * x).item()": "1", "np.around(x, 1) * x": "2.3",
    "[x, 2 * x][1] + (x, 3 * x)[1]": "5",
}  # fmt: skip


def test_unary() -> None:
    x, f = 2.3, together(UNARY)
    values, slopes = dg.value_and_derivative(f)(x)
    for e, value, slope, same in zip(UNARY, values, slopes, f(x), strict=True):
        assert bits(value) == bits(same), e
        exact = eval(UNARY[e], {"x": x, "math": math})
        assert slope == pytest.approx(exact, rel=1e-13, abs=1e-14), e


@pytest.mark.parametrize("kind", [float, np.float32])
def test_literal_powers(kind: Any) -> None:
    """Emitted as products up to the exponent from which Numba calls `pow`."""
    exponents = (1, 2, 3, 31, 0xFFFF, 0x10000, 0x10001)
    f, x = together([f"x ** {n}" for n in exponents]), kind(1.0001)
    values, slopes = dg.value_and_derivative(f)(x)
    curves = dg.derivative(dg.derivative(f))(x)
    for n, value, slope, curve, same in zip(exponents, values, slopes, curves, f(x), strict=True):
        assert bits(value) == bits(same), n
        power = mpmath.mpf(float(x)) ** (n - 1)
        accuracy = 5 * n * float(np.finfo(kind).eps)
        assert slope == pytest.approx(float(n * power), rel=accuracy), n
        assert curve == pytest.approx(float(n * (n - 1) * power / float(x)), rel=accuracy), n


def test_in_place_and_loops() -> None:
    def f(x: float) -> float:
        y = 3
        y += x
        y *= x
        y -= 1
        y /= 2 * x
        y **= 2
        y %= 100.0
        z = y * 8
        z //= 0.5
        w = x
        while w:  # x is a whole number of quarters
            w -= 0.25
            y += x
        return y + z * x + w

    x = 2.0
    inner, outer = (x * x + 3 * x - 1) / (2 * x), 0.5 + 0.5 / x**2
    value, slope = dg.value_and_derivative(f)(x)
    assert value == njit(f)(x) == f(x)
    z = inner**2 * 8 // 0.5
    assert slope == pytest.approx(2 * inner * outer + 8 + z + 1, rel=1e-14)


# ------------------------------------------------------------- powers, kinks, singular points

#: x, y, and the derivatives of x**y by x and y
POWERS = [
    (2.0, 3.0, 12, 8 * math.log(2)), (2.0, -1.0, -0.25, 0.5 * math.log(2)),
    (2.0, 0.0, 0, math.log(2)), (2.0, 0.5, 0.5**1.5, 2**0.5 * math.log(2)), (1.0, 7.0, 7, 0),
    (0.0, 3.0, 0, 0), (0.0, 2.0, 0, 0), (0.0, 1.0, 1, 0), (0.0, 0.0, 0, -INF), (0.0, 0.5, INF, 0),
    (-2.0, 3.0, 12, NAN), (-2.0, 2.0, -4, NAN), (-2.0, 1.0, 1, NAN), (-2.0, 0.0, 0, NAN),
    (-2.0, -1.0, -0.25, NAN), (-2.0, -2.0, 0.25, NAN), (-2.0, 0.5, NAN, NAN),
]  # fmt: skip
FORMS = ("x ** y", "x ** d", "c ** y", "pow(x, y)", "math.pow(x, d)", "np.power(c, y)")
WHOLE = ("x ** n", "m ** y", "x ** np.int8(n)", "np.power(x, n)", "math.pow(m, y)", "x ** n * 1")


def test_powers() -> None:
    """Zero, positive and negative base; float and integer; either or both active."""
    floats = together(FORMS, "x, y, c, d")
    whole = together(WHOLE, "x, y, m, n")
    for f, given, forms in ((floats, float, FORMS), (whole, int, WHOLE)):
        transform = dg.value_and_derivative(f, argnums=(0, 1))
        for x, y, *slopes in POWERS:
            if given(y) != y:
                continue
            args = (x, y, given(x), given(y))
            values, all_slopes = transform(*args)
            for k, form in enumerate(forms):
                assert bits(values[k]) == bits(f(*args)[k]), (form, args)
                # the derivative by an argument that the form does not have is zero
                exact = [s if name in form else 0 for name, s in zip("xy", slopes, strict=True)]
                message = f"{form} at {args}"
                np.testing.assert_allclose(all_slopes[k], exact, rtol=1e-14, err_msg=message)


#: expression, (x, y, z), its gradient: what does not move is not drawn into what is singular
SINGULAR = [
    ("math.sqrt(x) + y", (0, 1, 2), (INF, 1, 0)),
    ("np.sqrt(x * y) + z", (0, 4, 2), (INF, 0, 1)),
    ("np.sqrt(x - x) + z", (3, 4, 2), (0, 0, 1)),
    ("np.log(x) + y", (0, 1, 2), (INF, 1, 0)),
    ("math.log(x * 0) + y", (0, 1, 2), (0, 1, 0)),
    ("x ** y + y * z", (0, 1.5, 2), (0, 2, 1.5)),
    ("x ** 0.5 + y * z", (0, 1.5, 2), (INF, 2, 1.5)),
    ("np.hypot(x, y) + z", (0, 0, 2), (0, 0, 1)),
    ("math.hypot(x, y)", (3, 4, 2), (0.6, 0.8, 0)),
    ("abs(x) + z", (0, 0, 2), (0, 0, 1)),
    ("np.abs(x) + math.fabs(y)", (-0.0, 0, 2), (0, 0, 0)),
    ("np.arcsin(x) + y", (1, 2, 2), (INF, 1, 0)),
    ("math.acos(x) + y", (-1, 2, 2), (-INF, 1, 0)),
    ("np.arctanh(x) + y", (1, 2, 2), (INF, 1, 0)),
    ("np.arccosh(x) + y", (1, 2, 2), (INF, 1, 0)),
    ("np.cbrt(x) + y", (0, 2, 2), (INF, 1, 0)),
    ("np.log1p(x) + y", (-1, 2, 2), (INF, 1, 0)),
    ("math.tan(x) + y", (0, 2, 2), (1, 1, 0)),
    ("math.atan2(x, y) + z", (0, 0, 2), (NAN, NAN, 1)),
    ("max(0, x) + z", (0, 0, 2), (0, 0, 1)),
    ("max(x, 0.0) + z", (0, 0, 2), (0, 0, 1)),
    ("min(0, x) + min(x, 0)", (0, 0, 2), (0, 0, 0)),
    ("np.maximum(x, 0.0) + np.fmax(0.0, x)", (0, 0, 2), (0, 0, 0)),
    ("max(x, y)", (2, 2, 2), (1, 0, 0)),
    ("min(y, x)", (2, 2, 2), (0, 1, 0)),
    ("max(x, y, z)", (1, 3, 2), (0, 1, 0)),
    ("min(x, y, z, 7.0)", (4, 3, 2), (0, 0, 1)),
    ("np.minimum(x, y) * z", (2, 2, 3), (3, 0, 2)),
    ("np.fmin(x, y) * z", (NAN, 2, 3), (0, 3, 2)),
    ("np.sign(x) * z + math.floor(y)", (0, 1, 3), (0, 0, 0)),
    ("x + y * z", (NAN, 2, 3), (1, 3, 2)),
    ("x * 2 + y * z", (INF, 2, 3), (2, 3, 2)),
    ("math.exp(x) + y * z", (NAN, 2, 3), (NAN, 3, 2)),
    ("math.exp(x) + y * z", (-INF, 2, 3), (0, 3, 2)),
    ("np.tanh(x) + y * z", (INF, 2, 3), (0, 3, 2)),
]  # fmt: skip
#: the same with divisions by zero, under the error model of NumPy
DIVISIONS = [
    ("1 / x + y", (0, 1, 2), (-INF, 1, 0)),
    ("y / x + z", (0, 1, 2), (-INF, INF, 1)),
    ("y / (x - x) + z", (3, 1, 2), (0, INF, 1)),
    ("x / 0.0 + z", (0, 1, 2), (INF, 0, 1)),
    ("x // y + z", (1, 0, 2), (0, 0, 1)),
    ("x % y + z", (1, 0, 2), (NAN, NAN, 1)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "options"),
    [(SINGULAR, {}), (DIVISIONS, {"error_model": "numpy"})],
    ids=["singular", "divisions"],
)
def test_strong_zeros_and_kinks(table: list[Any], options: dict[str, Any]) -> None:
    f = one_of((e for e, *_ in table), **options)
    transform = dg.value_and_grad(f, chunk=3)
    for k, (e, point, exact) in enumerate(table):
        value, slopes = transform(np.array(point, dtype=float), k)
        assert bits(value) == bits(f(np.array(point, dtype=float), k)), e
        np.testing.assert_allclose(slopes, exact, rtol=1e-14, err_msg=f"{e} at {point}")


# ------------------------------------------------------------------------ errors of functions

RISKY = (
    "x / y", "1 / y", "x / 0.0", "x // y", "1 // y", "x % y", "1 % y", "divmod(x, y)[1]",
    "divmod(2, y)[0]", "x ** -1", "x ** -2.0", "y ** -1", "y ** -0.5", "z ** int(x)",
    "np.divide(x, y)", "np.remainder(x, y)", "np.floor_divide(x, y)", "np.reciprocal(y)",
    "math.sqrt(-x)", "math.log(-x)", "math.log(y)", "math.acos(2 * x)", "math.atanh(x)",
    "math.gamma(y)", "math.lgamma(-x)", "math.exp(x * 1000)", "math.pow(y, -x)", "np.fmod(x, y)",
    "(1.0, 2.0)[int(y)] * x", "int(x) / int(y) * x", "int(x) // int(y) * x",
)  # fmt: skip


@pytest.mark.parametrize("model", ["python", "numpy"])
def test_errors_are_those_of_the_function(model: str) -> None:
    """Raised where the primal raises them, with the same words, and nowhere else."""
    f = one_of(RISKY, error_model=model)
    transform = dg.value_and_grad(f, chunk=3)
    raised = set()
    for point in ((1.0, 0.0, -0.0), (1.0, 2.0, 3.0), (NAN, 0.0, INF), (1.0, NAN, 0.0)):
        for k, e in enumerate(RISKY):
            if "int" in e and NAN in point:
                continue
            args = (np.array(point), k)
            expected, result = outcome(f, *args), outcome(transform, *args)
            if isinstance(expected, tuple):
                assert result == expected, e
                raised.add(e)
            else:
                assert bits(result[0]) == bits(expected), (e, point, result)
    assert raised >= ({"x / y", "x // y", "x % y", "y ** -1"} if model == "python" else set())


class Exponent(enum.IntEnum):
    TWO = 2


@njit
def by_member(x, k):
    return x**k + x**Exponent.TWO


def test_exponents_of_enumerations():
    assert dg.value_and_derivative(by_member)(1.5, Exponent.TWO) == (4.5, 6.0)


class Refused(Exception):
    pass


def test_exceptions_of_the_function_pass_through() -> None:
    def f(x: float, k: int) -> float:
        if k == 1:
            raise ValueError("no solution", 3)
        if k == 2:
            raise Refused("by the user")
        return x * x

    compiled = njit(f)
    transform = dg.derivative(compiled)
    assert transform(3.0, 0) == 6
    for k, kind in ((1, ValueError), (2, Refused)):
        assert outcome(transform, 3.0, k) == outcome(compiled, 3.0, k)
        assert outcome(transform, 3.0, k)[0] is kind


def test_fastmath() -> None:
    def f(x: float, y: float) -> float:
        return math.sqrt(x) * y + x / y - math.exp(-x * y) * x**3 + max(x, y) + math.log(x) / 3

    x, y = 1.7, 0.6
    exact = (
        0.5 * y / x**0.5 + 1 / y - math.exp(-x * y) * (3 * x**2 - y * x**3) + 1 + 1 / (3 * x),
        x**0.5 - x / y**2 + math.exp(-x * y) * x**4,
    )
    slopes = dg.derivative(njit(fastmath=True)(f), argnums=(0, 1))(x, y)
    np.testing.assert_allclose(slopes, exact, rtol=1e-14)


# ---------------------------------------------------------- conversions that lose a derivative

TABLE = np.zeros(3)


def test_a_dual_never_becomes_a_float_in_silence() -> None:
    """It becomes an integer, which is piecewise constant, or the function is refused."""

    def whole(x: float) -> float:
        numbers = np.zeros(2, np.int64)
        numbers[0] = x
        return numbers[0] * x + len(range(int(x)))

    assert dg.value_and_derivative(whole)(2.75) == (4 + 1.5 * 1 + 2, 2)

    def table(x: float) -> float:
        TABLE[0] = x
        return TABLE[0]

    with pytest.raises(dg.NotDifferentiable):
        dg.derivative(table)(2.0)


#: conversion of x = 2.7, and its derivative
CONVERSIONS = {
    "np.float64(x)": "1", "np.float32(x)": "1", "np.float32(x) * x": "np.float32(x) + x",
    "np.int64(x) * x": "2", "np.uint8(x) * x": "2", "np.bool_(x) * x": "1",
    "np.float64(np.int64(x))": "0", "np.float64(np.float32(x) * 2)": "2",
}  # fmt: skip


def test_conversions() -> None:
    x, f = 2.7, together(CONVERSIONS)
    values, slopes = dg.value_and_derivative(f)(x)
    for e, value, slope, same in zip(CONVERSIONS, values, slopes, f(x), strict=True):
        assert bits(value) == bits(same), e
        assert slope == pytest.approx(eval(CONVERSIONS[e], {"x": x, "np": np}), rel=1e-7), e
    assert dg.value_and_derivative(lambda x: np.complex128(x).real)(x) == (x, 1.0)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_second_derivatives(kind: type) -> None:
    """Duals over duals, by nesting."""
    table = {
        "x ** 3": "6 * x", "1 / x": "2 / x**3", "math.sin(x)": "-math.sin(x)",
        "x * x * x": "6 * x", "x ** x": "x**x * ((1 + math.log(x))**2 + 1 / x)", "x % 2 * x": "2",
        "np.sqrt(x)": "-0.25 * x**-1.5", "max(x, 1.0) * x": "2", "abs(-x) * x": "2",
        "math.hypot(x, 1.0)": "(x * x + 1)**-1.5", "np.cosh(x)": "math.cosh(x)",
        "round(x) * x": "0", "x ** 2.5": "3.75 * x**0.5", "3 ** x": "3**x * math.log(3)**2",
        "math.atan2(x, 2)": "-4 * x / (4 + x * x)**2", "divmod(x * x, 2)[1]": "2",
        "x.real * x.conjugate()": "2", "float(x) * x": "2", "sum((x, x * x))": "2",
    }  # fmt: skip
    x = kind(1.3)
    slopes = dg.derivative(dg.derivative(together(table)))(x)
    for (e, exact), slope in zip(table.items(), slopes, strict=True):
        expected = eval(exact, {"x": float(x), "math": math})
        assert slope == pytest.approx(expected, rel=1e-13 if kind is np.float64 else 1e-5), e


def test_rules_that_are_expressions_compile_no_function(monkeypatch):
    """Those with a branch do, and all where the original allows approximations."""
    compiled = []
    usual = BaseContext.compile_subroutine

    def compile_subroutine(self, builder, impl, *args, **kws):
        compiled.append(impl.__name__)
        return usual(self, builder, impl, *args, **kws)

    monkeypatch.setattr(BaseContext, "compile_subroutine", compile_subroutine)

    def several(x):
        return np.sqrt(x) * np.log(x) / (1.0 + np.exp(x)) + np.tanh(x)

    slope = dg.derivative(njit(several), cache=False)
    step = 1e-30j
    assert math.isclose(slope(0.7), several(0.7 + step).imag / 1e-30, rel_tol=1e-14)
    assert {it for it in compiled if it.startswith("d_")} == {"d_tanh"}
    fast = dg.derivative(njit(fastmath=True)(several), cache=False)
    assert math.isclose(fast(0.7), slope(0.7), rel_tol=1e-14)
    assert {"d_sqrt", "d_log", "d_exp", "reciprocal_of_second"} <= set(compiled)


def sinc(x):
    return np.sinc(x)


SINC = njit(sinc)
SINC_ONCE = dg.value_and_derivative(SINC)
SINC_TWICE = dg.derivative(dg.derivative(SINC))
SINC_SERIES = dg.taylor(SINC, 6)


@pytest.mark.parametrize("x", [0.0, 1e-300, -1e-10, 1e-5, 0.3, 0.63, 0.64, -1.0, 2.5, 40.25])
def test_sinc(x: float) -> None:
    """Its quotient is 0 / 0 at zero, and cancels near it, in each derivative more."""
    with mpmath.workdps(50):
        exact = [float(it) for it in mpmath.taylor(mpmath.sincpi, mpmath.mpf(x), 6)]
    value, slope = SINC_ONCE(x)
    found = SINC_SERIES(x, 1.0)
    assert value == found[0] == SINC(x)
    np.testing.assert_allclose(slope, exact[1], rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(SINC_TWICE(x), 2.0 * exact[2], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-15)


def test_sinc_of_complex_numbers() -> None:
    f = njit(lambda x: np.sinc(complex(x, 0.5 * x)))
    for x in (0.0, 1e-9, 0.3, 1.7):
        with mpmath.workdps(50):
            first, second = mpmath.taylor(lambda t: mpmath.sincpi(t * (1 + 0.5j)), x, 2)[1:]
            exact = complex(first), complex(2 * second)
        np.testing.assert_allclose(dg.derivative(f)(x), exact[0], rtol=1e-13, atol=1e-20)
        np.testing.assert_allclose(dg.derivative(dg.derivative(f))(x), exact[1], rtol=1e-13)


@pytest.mark.parametrize(
    "f, x, slope",
    [
        ("x**-1", 1e-170, -INF), ("x**-2", 1e-110, -INF), ("np.power(x, -1)", 0.0, -INF),
        ("x**-3", INF, 0.0), ("x**0", INF, 0.0), ("x**0", NAN, 0.0), ("np.power(x, 0)", -INF, 0.0),
        ("math.pow(x, 0)", 0.0, 0.0), ("x**n", NAN, 0.0),
    ],
)  # fmt: skip
def test_whole_powers_whose_slope_leaves_the_range(f: str, x: float, slope: float) -> None:
    """The slope of a power that is a number is one, and its computation raises nothing."""
    assert dg.derivative(define(f"def f(x, n=0): return {f}"))(x) == slope
