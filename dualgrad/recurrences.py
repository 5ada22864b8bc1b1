"""Recurrences for the coefficients of power series: pure mathematics, like the rules.

A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 13.

A series is an array of its coefficients, the value first. A recurrence is given those of its
operands and of the result, whose value is there already, and fills in the rest; parameters beyond
are room for series of its own. Each takes O(order²) operations. It runs as plain Python and is
compiled by Numba, for arrays of floats and, where transforms are nested, of duals.

A coefficient that does not exist is inf or nan, as IEEE arithmetic has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad.rules import LN2

# -------------------------------------------------------------------------------- arithmetic


def product(x: Any, y: Any, z: Any) -> None:
    """``z = x y``."""
    for k in range(1, len(z)):
        total = x[0] * y[k]
        for j in range(1, k + 1):
            total += x[j] * y[k - j]
        z[k] = total


def quotient(x: Any, y: Any, z: Any) -> None:
    """``z = x / y``, from ``y z = x``."""
    for k in range(1, len(z)):
        total = x[k] - y[k] * z[0]
        for j in range(1, k):
            total -= y[j] * z[k - j]
        z[k] = total / y[0]


def reciprocal(x: Any, z: Any) -> None:
    """``z = 1 / x``."""
    for k in range(1, len(z)):
        total = x[k] * z[0]
        for j in range(1, k):
            total += x[j] * z[k - j]
        z[k] = -total / x[0]


def square(x: Any, z: Any) -> None:
    """``z = x²``."""
    product(x, x, z)


def multiply(x: Any, y: Any) -> None:
    """``x = x y`` in place, the last coefficient first; `y` may be `x` itself."""
    for k in range(len(x) - 1, -1, -1):
        total = x[0] * y[k]
        for j in range(1, k + 1):
            total += x[j] * y[k - j]
        x[k] = total


# ------------------------------------------------------- solutions of differential equations


def integral(x: Any, g: Any, z: Any) -> None:
    """``z' = g x'``."""
    for k in range(1, len(z)):
        total = k * x[k] * g[0]
        for j in range(1, k):
            total += j * x[j] * g[k - j]
        z[k] = total / k


def integral_of_two(x: Any, y: Any, p: Any, q: Any, z: Any) -> None:
    """``z' = p x' + q y'``."""
    for k in range(1, len(z)):
        total = k * (x[k] * p[0] + y[k] * q[0])
        for j in range(1, k):
            total += j * (x[j] * p[k - j] + y[j] * q[k - j])
        z[k] = total / k


def exponential(x: Any, z: Any) -> None:
    """``z' = z x'``."""
    integral(x, z, z)  # coefficient k needs those before k alone


def exponential_of_two(x: Any, z: Any) -> None:
    """``z' = log(2) z x'``."""
    for k in range(1, len(z)):
        total = k * x[k] * z[0]
        for j in range(1, k):
            total += j * x[j] * z[k - j]
        z[k] = LN2 * total / k


def logarithm(x: Any, z: Any) -> None:
    """``x z' = x'``."""
    for k in range(1, len(z)):
        total = k * x[k]
        for j in range(1, k):
            total -= j * z[j] * x[k - j]
        z[k] = total / (k * x[0])


def _pair(x: Any, s: Any, c: Any, sign: float) -> None:
    """``s' = c x'`` and ``c' = sign s x'``."""
    for k in range(1, len(s)):
        of_s = k * x[k] * c[0]
        of_c = k * x[k] * s[0]
        for j in range(1, k):
            of_s += j * x[j] * c[k - j]
            of_c += j * x[j] * s[k - j]
        s[k], c[k] = of_s / k, sign * of_c / k


def sine(x: Any, z: Any, c: Any) -> None:
    """``z' = cos(x) x'``."""
    c[0] = np.cos(x[0])
    _pair(x, z, c, -1.0)


def cosine(x: Any, z: Any, s: Any) -> None:
    """``z' = -sin(x) x'``."""
    s[0] = np.sin(x[0])
    _pair(x, s, z, -1.0)


def hyperbolic_sine(x: Any, z: Any, c: Any) -> None:
    """``z' = cosh(x) x'``."""
    c[0] = np.cosh(x[0])
    _pair(x, z, c, 1.0)


def hyperbolic_cosine(x: Any, z: Any, s: Any) -> None:
    """``z' = sinh(x) x'``."""
    s[0] = np.sinh(x[0])
    _pair(x, s, z, 1.0)


def tangent(x: Any, z: Any, g: Any) -> None:
    """``z' = g x'`` with ``g = 1 + z²``."""
    g[0] = 1.0 + z[0] * z[0]
    for k in range(1, len(z)):
        total = k * x[k] * g[0]
        for j in range(1, k):
            total += j * x[j] * g[k - j]
        z[k] = total / k
        total = z[0] * z[k]
        for j in range(1, k + 1):
            total += z[j] * z[k - j]
        g[k] = total


# ------------------------------------------------------------------------- roots and powers


def square_root(x: Any, z: Any) -> None:
    """``z² = x``."""
    twice = z[0] + z[0] + 0.0  # of -0.0 it is 0.0: the slope at the edge is +inf
    for k in range(1, len(z)):
        total = x[k]
        for j in range(1, k):
            total = total - z[j] * z[k - j]
        z[k] = total / twice


def cube_root(x: Any, z: Any) -> None:
    """``x z' = z x' / 3``."""
    _power(x, 1.0 / 3.0, z)


def _power(x: Any, a: Any, z: Any) -> None:
    """``x z' = a z x'``."""
    for k in range(1, len(z)):
        total = a * k * x[k] * z[0]
        for j in range(1, k):
            total += (a * j - (k - j)) * x[j] * z[k - j]
        z[k] = total / (k * x[0])


def integer_power(x: Any, n: Any, z: Any, base: Any, result: Any) -> None:
    """By repeated squaring: ``x z' = n z x'`` is no good near zeros of x, where z has no pole."""
    if n < 0:
        base[0] = 1.0 / x[0]
        reciprocal(x, base)
    else:
        base[:] = x
    result[:] = 0.0
    result[0] = 1.0
    left = abs(n)
    while left > 0:
        if left % 2 == 1:
            multiply(result, base)
        left //= 2
        if left > 0:
            multiply(base, base)
    z[1:] = result[1:]


def real_power(x: Any, a: Any, z: Any, base: Any, result: Any) -> None:
    """``z = x^a``."""
    if is_constant(a) and a == np.rint(a) and abs(a) < 2.0**31:
        integer_power(x, int(a), z, base, result)
    elif x[0] == 0.0:
        _power_at_zero(x, a, z)
    else:
        _power(x, a, z)


def _power_at_zero(x: Any, a: Any, z: Any) -> None:
    """Derivatives vanish up to order a, and are infinite from there on."""
    coefficient = 1.0
    for k in range(1, len(z)):
        coefficient *= (a - (k - 1)) / k
        if k < a:
            z[k] = 0.0
        elif x[1] == 0.0:
            z[k] = np.nan
        else:
            z[k] = np.inf * coefficient * np.sign(x[1]) ** k


def general_power(x: Any, y: Any, z: Any, log: Any, h: Any) -> None:
    """``z' = z (y log(x))'``.

    The derivative of 0^y by y is zero for y > 0, as for duals.
    """
    if not moves(y):
        real_power(x, y[0], z, log, h)
    elif x[0] == 0.0 and y[0] > 0.0 and not moves(x):
        z[1:] = 0.0
    else:
        log[0] = np.log(x[0])
        logarithm(x, log)
        product(y, log, h)
        exponential(h, z)


# --------------------------------------------------------------------------- absolute values


def absolute(x: Any, z: Any) -> None:
    """``z = x`` or ``z = -x``; at a kink, as for duals, zero: the mean of both sides."""
    k = _leading(x)
    sign = np.sign(x[k]) if k % 2 == 0 else 0.0 * x[k]
    for j in range(1, len(z)):
        z[j] = sign * x[j]


def _leading(x: Any) -> Any:
    """The number of the first coefficient that is not zero, of the last if all are."""
    for k in range(len(x)):
        if x[k] != 0.0:
            return k
    return len(x) - 1


def hypotenuse(x: Any, y: Any, z: Any, u: Any, v: Any, w: Any) -> None:
    """``w² = u² + v²`` for all over the value of the hypotenuse, so that no square overflows."""
    if z[0] == 0.0:
        _hypotenuse_at_zero(x, y, z)
        return
    for k in range(len(z)):
        u[k], v[k] = x[k] / z[0], y[k] / z[0]
    w[0] = 1.0
    for k in range(1, len(z)):
        total = u[0] * u[k] + v[0] * v[k]
        for j in range(1, k + 1):
            total += u[j] * u[k - j] + v[j] * v[k - j]
        for j in range(1, k):
            total -= w[j] * w[k - j]
        w[k] = 0.5 * total
        z[k] = w[k] * z[0]


def _hypotenuse_at_zero(x: Any, y: Any, z: Any) -> None:
    """At the kink zero, as for duals. Elsewhere it costs orders to find the coefficients: nan."""
    k = min(_leading(x), _leading(y))
    for j in range(1, len(z)):
        z[j] = 0.0 if k % 2 == 1 or j < k else np.nan


# -------------------------------------------------------------------------------- the tables

#: Functions of x with a recurrence of their own, by their names in `dualgrad.rules`.
UNARY: dict[str, Callable[..., None]] = {
    "absolute":   absolute,
    "fabs":       absolute,
    "square":     square,
    "reciprocal": reciprocal,
    "sqrt":       square_root,
    "cbrt":       cube_root,
    "exp":        exponential,
    "exp2":       exponential_of_two,
    "log":        logarithm,
    "sin":        sine,
    "cos":        cosine,
    "tan":        tangent,
    "sinh":       hyperbolic_sine,
    "cosh":       hyperbolic_cosine,
}  # fmt: skip

#: Functions whose derivative is an expression in x alone: that of the series x, by the other
#: recurrences, is integrated. None is for what the rule says; 40 is where the asymptotic series of
#: `digamma` is right to the last digit with some thirty derivatives.
SLOPES: dict[str, str | None] = {
    **dict.fromkeys(
        "expm1 log2 log10 log1p arcsin arccos arctan tanh arcsinh arccosh arctanh erf erfc".split()
    ),
    "lgamma": "digamma_from(x, 40.0)",
}

#: That of `np.sinc`, which is no function of the table: it is made of others.
SINC_SLOPE = "sinc_slope(x, np.sin(np.pi * x) / (np.pi * x))"

#: Functions that are the exponential of a function with a slope.
LOGARITHMIC_SLOPES: dict[str, str] = {"gamma": "digamma_from(x, 40.0)"}

#: Functions of x and y whose partial derivatives do not use the value.
PARTIALS: tuple[str, ...] = ("arctan2", "logaddexp", "logaddexp2")

#: Functions that are linear, piecewise: the rules of duals hold for every coefficient.
LINEAR: tuple[str, ...] = (
    "positive", "negative", "conjugate", "deg2rad", "rad2deg",
    "fmod", "remainder", "copysign", "nextafter", "ldexp",
)  # fmt: skip


# ------------------------------------------------------------------------- what they ask for


def moves(x: Any) -> Any:
    """Whether a series is more than its value."""
    for k in range(1, len(x)):  # noqa: SIM110  (Numba has no generators in `any`)
        if is_nonzero(x[k]):
            return True
    return False


def is_nonzero(x: Any) -> Any:
    """Whether a number, or any tangent of its own, is not zero."""
    return x != 0.0


def is_constant(x: Any) -> Any:
    """Whether a number has no tangent of its own that is not zero."""
    return True


def without_value(z: Any) -> None:
    """A function has no derivative where it has no value."""
    for k in range(1, len(z)):
        z[k] = z[0]


#: Plain functions that a compiler of recurrences has to know.
FUNCTIONS: tuple[Callable[..., Any], ...] = (
    product, quotient, reciprocal, square, multiply, integral, integral_of_two, exponential,
    exponential_of_two, logarithm, _pair, sine, cosine, hyperbolic_sine, hyperbolic_cosine, tangent,
    square_root, cube_root, _power, integer_power, real_power, _power_at_zero, general_power,
    absolute, _leading, hypotenuse, _hypotenuse_at_zero, moves, without_value,
)  # fmt: skip
