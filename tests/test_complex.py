"""Complex numbers between real inputs and their results, against mpmath and closed forms."""

from __future__ import annotations

import cmath
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from numba import njit
from numba.core import config

import dualgrad as dg
from tests.complexstep import assert_same_bits


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many functions are compiled for a call each: that is most of their time."""
    monkeypatch.setattr(config, "OPT", config._OptLevel(0))


#: expressions in complex z and real x, as Numba compiles them and as mpmath has them
FORMS: dict[str, str] = {
    "z * z": "z * z", "z * w": "z * w", "z / w": "z / w", "w / z": "w / z", "z - w": "z - w",
    "x * z": "x * z", "z / x": "z / x", "x / z": "x / z", "x - z": "x - z", "-z": "-z",
    "+z": "z", "2.0 + z": "2 + z", "z ** 2": "z**2", "z ** 3": "z**3", "z ** -2": "z**-2",
    "z ** 0": "z**0", "z ** 1.5": "z**mpf(1.5)", "z ** x": "z**x", "x ** z": "x**z",
    "z ** w": "z**w", "2 ** z": "2**z", "abs(z)": "fabs(z)", "z.real": "re(z)", "z.imag": "im(z)",
    "z.conjugate()": "conj(z)", "complex(x, z.real)": "mpc(x, re(z))", "complex(z)": "z",
    "np.conj(z) * z": "conj(z) * z", "np.abs(z)": "fabs(z)", "np.angle(z)": "arg(z)",
    "np.sign(z)": "z / fabs(z)", "np.square(z)": "z**2", "np.reciprocal(z)": "1 / z",
    "np.power(z, w)": "z**w", "np.true_divide(z, w)": "z / w",
    "np.sqrt(z)": "sqrt(z)", "np.exp(z)": "exp(z)", "np.exp2(z)": "2**z", "np.log(z)": "log(z)",
    "np.log2(z)": "log(z) / log(2)", "np.log10(z)": "log(z) / log(10)",
    "np.log1p(z)": "log(1 + z)", "np.expm1(z)": "exp(z) - 1", "np.sin(z)": "sin(z)",
    "np.cos(z)": "cos(z)", "np.tan(z)": "tan(z)", "np.sinh(z)": "sinh(z)", "np.cosh(z)": "cosh(z)",
    "np.tanh(z)": "tanh(z)", "np.arcsin(z)": "asin(z)", "np.arccos(z)": "acos(z)",
    "np.arctan(z)": "atan(z)", "np.arcsinh(z)": "asinh(z)", "np.arccosh(z)": "acosh(z)",
    "np.arctanh(z)": "atanh(z)",
    "cmath.sqrt(z)": "sqrt(z)", "cmath.exp(z)": "exp(z)", "cmath.log(z)": "log(z)",
    "cmath.log(z, w)": "log(z) / log(w)", "cmath.log10(z)": "log(z) / log(10)",
    "cmath.sin(z)": "sin(z)", "cmath.cos(z)": "cos(z)", "cmath.tan(z)": "tan(z)",
    "cmath.sinh(z)": "sinh(z)", "cmath.cosh(z)": "cosh(z)", "cmath.tanh(z)": "tanh(z)",
    "cmath.asin(z)": "asin(z)", "cmath.acos(z)": "acos(z)", "cmath.atan(z)": "atan(z)",
    "cmath.asinh(z)": "asinh(z)", "cmath.acosh(z)": "acosh(z)", "cmath.atanh(z)": "atanh(z)",
    "cmath.phase(z)": "arg(z)", "cmath.polar(z)[1]": "arg(z)", "cmath.rect(x, z.real)":
    "x * expj(re(z))",
}  # fmt: skip
#: where z goes from z0 along u, x = t + 0.75 and w = 1.5 + (t - 1.0) i, at t = 0
POINTS = [(0.6 + 0.8j, 1 + 0.5j), (-1.25 + 0.5j, 1j), (-0.75 - 2j, 1 - 1j), (0.3 - 0.01j, -0.5j)]


def _function() -> Callable[..., Any]:
    lines = ["def f(t, z0, u):", "    z = z0 + u * t", "    x = t + 0.75"]
    lines += ["    w = 1.5 + 1j * (t - 1.0)", f"    return {', '.join(FORMS)}"]
    names: dict[str, Any] = {"np": np, "cmath": cmath}
    exec("\n".join(lines), names)
    function: Callable[..., Any] = names["f"]
    return function


FUNCTION = _function()


def _exact(form: str, z0: complex, u: complex, order: int = 1) -> complex:
    """The derivative of a form along its path, by differences of many digits."""
    names = {name: getattr(mpmath, name) for name in dir(mpmath)}

    def along(t: Any) -> Any:
        z = mpmath.mpc(z0) + mpmath.mpc(u) * t
        w = mpmath.mpc(1.5, t - 1)
        return eval(FORMS[form], {**names, "z": z, "w": w, "x": t + mpmath.mpf(0.75)})

    with mpmath.workdps(60):
        return complex(mpmath.diff(along, 0, order))


@pytest.mark.parametrize("z0, u", POINTS)
def test_functions(z0: complex, u: complex) -> None:
    values, slopes = dg.value_and_derivative(FUNCTION)(0.0, z0, u)
    for form, value, want, slope in zip(
        FORMS, values, njit(FUNCTION)(0.0, z0, u), slopes, strict=True
    ):
        assert_same_bits(value, want)
        assert slope == pytest.approx(_exact(form, z0, u), rel=4e-14, abs=1e-15), form


def test_second_derivatives() -> None:
    [z0, u] = POINTS[1]
    curvatures = dg.derivative(dg.derivative(FUNCTION))(0.0, z0, u)
    for form, found in zip(FORMS, curvatures, strict=True):
        assert found == pytest.approx(_exact(form, z0, u, 2), rel=1e-12, abs=1e-13), form


CUTS = {
    "np.sqrt(z)": -2.0, "np.log(z)": -2.0, "np.log1p(z)": -2.0, "np.arcsin(z)": 2.0,
    "np.arccos(z)": 2.0, "np.arccosh(z)": 0.5, "np.arctanh(z)": 2.0, "np.arctan(z)": 2.0,
    "np.arcsinh(z)": 2.0,
}  # fmt: skip


@pytest.mark.parametrize("form, at", CUTS.items())
def test_branch_cuts(form: str, at: float) -> None:
    """The sign of a zero part says on which side of the cut a number lies; on both."""
    names: dict[str, Any] = {"np": np}
    turned = form in ("np.arctan(z)", "np.arcsinh(z)")
    parts = "side, t" if turned else "t, side"
    exec(f"def f(t, side):\n    z = complex({parts})\n    return {form}", names)
    f = names["f"]
    transform = dg.value_and_derivative(f)
    for x in (at, -at):
        for side in (0.0, -0.0):
            value, slope = transform(x, side)
            assert_same_bits(value, njit(f)(x, side))
            beside = np.copysign(1e-12, side)
            near, h = complex(beside, x) if turned else complex(x, beside), 1e-4
            step = 1j * h if turned else h
            ufunc = eval(form.split("(")[0], {"np": np})
            want = (
                8 * (ufunc(near + step) - ufunc(near - step))
                - (ufunc(near + 2 * step) - ufunc(near - 2 * step))
            ) / (12 * h)
            if abs(value - ufunc(near)) < 1e-9:  # Numba itself may take the other side
                assert slope == pytest.approx(want, rel=1e-8), (x, side)


def _singular(t):  # type: ignore[no-untyped-def]
    z = t * (1 + 2j)
    still = z * 0.0 + 4.0
    return abs(z), np.sqrt(still - 4.0 + 0j * t), np.abs(z), z**2, z**1, z * z.conjugate()


def test_at_zero() -> None:
    """`abs` has the derivative 0 at 0; a tangent that is zero stays zero through a singularity."""
    slopes = dg.derivative(_singular)(0.0)
    assert slopes == (0.0, 0.0, 0.0, 0.0, 1 + 2j, 0.0)
    assert dg.derivative(dg.derivative(lambda t: ((t * (1 + 2j)) ** 2).imag))(0.0) == 8.0
    assert not np.isfinite(dg.derivative(lambda t: np.sqrt(t * (1 + 2j)))(0.0))
    with pytest.raises(ZeroDivisionError):
        dg.derivative(lambda t: 1.0 / (t * 1j))(0.0)


# ------------------------------------------------------------------------------ programs


def mandelbrot(c):  # type: ignore[no-untyped-def]
    z, n = 0j, 0
    while n < 30 and abs(z) < 2.0:
        z = z * z + complex(c[0], c[1])
        n += 1
    return abs(z)


def roots_of_unity(x):  # type: ignore[no-untyped-def]
    """A discrete Fourier transform, filled item by item, then its power spectrum."""
    n = len(x)
    spectrum = np.zeros(n, np.complex128)
    for k in range(n):
        for j in range(n):
            spectrum[k] += x[j] * np.exp(-2j * np.pi * j * k / n)
    return spectrum.real**2 + spectrum.imag**2


@njit
def fill(z, x):  # type: ignore[no-untyped-def]
    z.real[:] = x
    z.imag[1:] = x[:-1]


def in_helper(x):  # type: ignore[no-untyped-def]
    z = np.zeros((2, len(x)), dtype=np.complex128)
    fill(z[0], x)
    fill(z[1], x * x)
    view = z[0].real
    z[0, 0] = 5.0 + 2j * x[1]
    return view * z[1].imag, z[0] * z[1]


def lists(x):  # type: ignore[no-untyped-def]
    items = [1j * t for t in x]
    items.append(2.0 + 0j)
    total = 0.0 * 1j
    for z in items:
        total += z * z if z.imag > 0.5 else z
    return total.real


def test_programs() -> None:
    x = np.array([0.7, 1.3, -0.4, 2.1])
    c = np.array([0.3, 0.1])
    dz, z = np.zeros(2, complex), 0j
    for _ in range(30):
        dz, z = 2 * z * dz + np.array([1, 1j]), z * z + complex(*c)
    value, slope = dg.value_and_grad(mandelbrot, chunk=3)(c)
    assert value == njit(mandelbrot)(c)
    np.testing.assert_allclose(slope, (z.conjugate() * dz).real / abs(z), rtol=1e-12)
    fourier = np.exp(-2j * np.pi * np.outer(range(4), range(4)) / 4)
    want = 2 * (np.conj(fourier @ x)[:, None] * fourier).real
    np.testing.assert_allclose(dg.jacobian(roots_of_unity, chunk=3)(x), want, atol=1e-12)
    np.testing.assert_array_equal(dg.grad(lists, chunk=3)(x), [-2 * 0.7, -2 * 1.3, 0.0, -2 * 2.1])


def test_parts_are_views() -> None:
    """What is written to an array after its part was taken is seen there, and the reverse."""
    x = np.array([0.7, 1.3, -0.4, 2.1])
    (first, second), (d_first, d_second) = dg.value_and_jacobian(in_helper, chunk=3)(x)
    for got, want in zip((first, second), njit(in_helper)(x), strict=True):
        assert_same_bits(got, want)
    one = np.eye(4)
    real, d_real = np.array([5.0, *x[1:]]), np.array([0 * one[0], *one[1:]])
    imag = np.array([2 * x[1], *x[:-1]])
    d_imag = np.array([2 * one[1], *one[:-1]])
    square, d_square = x * x, 2 * x[:, None] * one
    of_square = np.array([0.0, *square[:-1]])
    d_of_square = np.array([0 * one[0], *d_square[:-1]])
    want = d_real * of_square[:, None] + real[:, None] * d_of_square
    np.testing.assert_allclose(d_first, want, rtol=1e-14)
    z, dz = real + 1j * imag, d_real + 1j * d_imag
    w, dw = square + 1j * of_square, d_square + 1j * d_of_square
    want = dz * w[:, None] + z[:, None] * dw
    np.testing.assert_allclose(d_second, want, rtol=1e-14)


# ------------------------------------------------------------------------------- results


def test_complex_results() -> None:
    x, v = np.array([0.5, -1.0]), np.array([1.0, 2.0])
    want = np.diag(1j * np.exp(1j * x))
    turned = njit(lambda x: np.exp(1j * x))
    value, jacobian = dg.value_and_jacobian(turned, chunk=3)(x)
    np.testing.assert_allclose(value, np.exp(1j * x), rtol=1e-15)
    np.testing.assert_allclose(jacobian, want, rtol=1e-15)
    out = np.empty((2, 2), complex)
    assert dg.jacobian(turned, chunk=3)(x, out=out) is out
    np.testing.assert_allclose(out, want, rtol=1e-15)
    with pytest.raises(TypeError, match="complex128"):
        dg.jacobian(turned, chunk=3)(x, out=np.empty((2, 2)))
    y, dy = dg.jvp(lambda x: np.sum(np.exp(1j * x)))((x,), (v,))
    assert y == pytest.approx(np.sum(np.exp(1j * x)))
    assert dy == pytest.approx(np.sum(want @ v))
    assert dg.derivative(lambda t: (t * 1j, 2j))(1.5) == (1j, 0j)
    assert dg.derivative(dg.derivative(lambda t: 1j * t**3))(2.0) == 12j
    with pytest.raises(TypeError, match="returns complex numbers; return real"):
        dg.grad(lambda x: x[0] * 1j)(x)


@pytest.mark.parametrize("n", [1, 3, 8, 17])
def test_chunks(n: int) -> None:
    """Lanes of every number are read off in place, in whole sweeps and in part."""
    x, z = np.linspace(0.5, 2.0, 9), np.exp(1j * np.arange(9))
    found = dg.jacobian(lambda x: x * np.sum(x * z) * z, chunk=n)(x)
    want = np.diag(np.sum(x * z) * z) + np.outer(x * z, z)
    np.testing.assert_allclose(found, want, rtol=1e-13)


def test_constants_and_arguments() -> None:
    z, x = np.array([1 + 2j, 3j]), np.array([0.5, 2.0])
    found = dg.grad(lambda x, z: np.abs(np.sum(x * z)), chunk=3)(x, z)
    total = np.sum(x * z)
    np.testing.assert_allclose(found, (total.conjugate() * z).real / abs(total), rtol=1e-14)
    with pytest.raises(TypeError, match="'z' is complex"):
        dg.grad(lambda x, z: np.abs(np.sum(x * z)), argnums=1)(x, z)
    with pytest.raises(TypeError, match="complex"):
        dg.jvp(lambda x: x * x)((2.0,), (1j,))


def test_single_precision() -> None:
    @njit
    def f(x):
        z = np.exp(np.complex64(1j) * x) * x
        return z, np.abs(z), z.real

    x = np.array([0.5, 2.0], np.float32)
    values, slopes = dg.value_and_jacobian(f, chunk=3)(x)
    for got, want in zip(values, f(x), strict=True):
        assert_same_bits(got, want)
    assert [it.dtype for it in slopes] == [np.complex64, np.float32, np.float32]
    dz = np.exp(1j * x) * (1 + 1j * x)
    for got, want in zip(slopes, (dz, np.sign(x), dz.real), strict=True):
        np.testing.assert_allclose(got, np.diag(want), rtol=1e-5, atol=1e-6)


def test_inner_transform() -> None:
    """A transform inside a function, with complex constants that are active outside."""
    inner = dg.derivative(lambda t, z: abs(z * t * t))

    def outer(x):  # type: ignore[no-untyped-def]
        return inner(x, x * (3 + 4j))  # 2 x |z| = 10 x²

    assert dg.value_and_derivative(outer)(1.5) == pytest.approx((22.5, 30.0))


def _no_rule(x):  # type: ignore[no-untyped-def]
    return np.linalg.svd(np.outer(x, x + 1j))[1]


def _unknown_phase(x):  # type: ignore[no-untyped-def]
    h = np.diag(x + 0j)
    h[1, 2] = 1j * x[0]
    h[2, 1] = -1j * x[0]
    return np.linalg.eigh(h)


def test_refused() -> None:
    with pytest.raises(dg.NotDifferentiable, match=r"np\.linalg\.svd of a complex matrix"):
        dg.jacobian(_no_rule, chunk=3)(np.array([1.0, 2.0]))
    w, v = dg.jacobian(_unknown_phase, chunk=3)(np.array([1.0, 2.0, 4.0]))
    assert np.isfinite(w).all()
    assert np.isnan(v).any()
