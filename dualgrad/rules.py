"""The derivative rules: one table, pure mathematics.

A rule is an expression in the arguments and the value already computed. It runs as plain
Python, is compiled by Numba for float32 and float64, and is differentiated itself when
transforms are nested. A form is therefore chosen to be accurate over the whole domain (no
cancellation, no overflow that the derivative does not have) and to be smooth where the
derivative is: a branch may choose between two formulas, but each must hold on both sides.

Where a function has no value (`log(-1)`) it has no derivative either, so a rule need not care.
"""

from __future__ import annotations

import cmath
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

LN2 = math.log(2.0)
LOG2E = 1.0 / math.log(2.0)
LOG10E = 0.4342944819032518  # 1 / log(10.0) is one unit in the last place off
DEGREE = math.pi / 180.0
ERF_SLOPE = 2.0 / math.sqrt(math.pi)

# -------------------------------------------------------------------------------- the table

#: Functions of x: the derivative, in terms of x and the value y. Adding 0.0 makes -0.0 a 0.0:
#: the slope at the edge of the domain is +inf, whichever zero it is.
UNARY: dict[str, str] = {
    "positive":   "1.0",
    "negative":   "-1.0",
    "conjugate":  "1.0",
    "absolute":   "np.sign(x)",
    "fabs":       "np.sign(x)",
    "deg2rad":    "DEGREE",
    "rad2deg":    "1.0 / DEGREE",
    "square":     "x + x",
    "reciprocal": "-y * y",
    "sqrt":       "0.5 / (y + 0.0)",
    "cbrt":       "1.0 / (3.0 * y * y)",
    "exp":        "y",
    "exp2":       "LN2 * y",
    "expm1":      "np.exp(x)",  # y + 1.0 cancels near -inf
    "log":        "1.0 / (x + 0.0)",
    "log2":       "LOG2E / (x + 0.0)",
    "log10":      "LOG10E / (x + 0.0)",
    "log1p":      "1.0 / (1.0 + x)",
    "sin":        "np.cos(x)",
    "cos":        "-np.sin(x)",
    "tan":        "1.0 + y * y",
    "arcsin":     "1.0 / np.sqrt((1.0 - x) * (1.0 + x))",
    "arccos":     "-1.0 / np.sqrt((1.0 - x) * (1.0 + x))",
    "arctan":     "1.0 / (1.0 + x * x)",
    "sinh":       "np.cosh(x)",
    "cosh":       "np.sinh(x)",
    "tanh":       "sech_squared(x)",
    "arcsinh":    "1.0 / np.hypot(1.0, x)",
    "arccosh":    "1.0 / (np.sqrt(x - 1.0) * np.sqrt(x + 1.0))",
    "arctanh":    "1.0 / ((1.0 - x) * (1.0 + x))",
    "erf":        "ERF_SLOPE * np.exp(-x * x)",
    "erfc":       "-ERF_SLOPE * np.exp(-x * x)",
    "gamma":      "y * digamma(x)",
    "lgamma":     "digamma(x)",
}  # fmt: skip

#: Those whose derivative is finite for every finite x, and so cheap that asking for more counts.
FINITE: frozenset[str] = frozenset(
    "positive negative conjugate absolute fabs deg2rad rad2deg square".split()
)

#: Those whose derivative is finite for every real x, but not for every complex one; and where it is
#: zero, at infinity, so are the derivatives of the formula above: it does not go by x * x.
BOUNDED: frozenset[str] = frozenset("sin cos tanh arcsinh".split())

#: The same for complex x, where the form above does not hold or is no good: an operator divides by
#: zero with an exception, and a difference of squares cancels. The sign of a zero imaginary part
#: says on which side of a branch cut x is, and must not be lost.
ANALYTIC: dict[str, str] = {
    "sqrt":    "0.5 * inverse(y)",
    "log":     "inverse(x)",
    "log2":    "LOG2E * inverse(x)",
    "log10":   "LOG10E * inverse(x)",
    "log1p":   "inverse(1.0 + x)",
    "tan":     "complex_sech_squared(turned(x))",
    "tanh":    "complex_sech_squared(x)",
    "arcsin":  "inverse(leg(x))",
    "arccos":  "-inverse(leg(x))",
    "arctan":  "inverse(x - 1j) * inverse(x + 1j)",
    "arcsinh": "inverse(leg(turned(x)))",
    "arccosh": "inverse(np.sqrt(x - 1.0) * np.sqrt(x - -1.0))",
    "arctanh": "inverse(1.0 - x) * inverse(1.0 + x)",
}  # fmt: skip

#: Functions of complex x that are not analytic: the derivatives by its real and imaginary part.
BY_PARTS: dict[str, tuple[str, str]] = {
    "absolute": ("cosine(x.real, y)",                  "cosine(x.imag, y)"),
    "sign":     ("(1.0 - y.real * y) * inverse(abs(x))", "(1j - y.imag * y) * inverse(abs(x))"),
}  # fmt: skip

#: Functions of x and y: the partial derivatives, in terms of x, y and the value z. The second
#: argument of `ldexp` is an integer. `fmod` and `remainder` subtract a whole multiple of y: x / y
#: may round up to the next one, so that the multiple is read off the value.
BINARY: dict[str, tuple[str, str]] = {
    "power":      ("power_in_base(x, y, z)",  "power_in_exponent(x, y, z)"),
    "hypot":      ("cosine(x, z)",            "cosine(y, z)"),
    "arctan2":    ("over_squares(y, x)",      "-over_squares(x, y)"),
    "logaddexp":  ("logistic(x - y)",         "logistic(y - x)"),
    "logaddexp2": ("logistic(LN2 * (x - y))", "logistic(LN2 * (y - x))"),
    "fmod":       ("1.0",                     "-np.rint((x - z) / y)"),
    "remainder":  ("1.0",                     "-np.rint((x - z) / y)"),
    "copysign":   ("np.sign(x) * np.copysign(1.0, y)", "0.0"),
    "nextafter":  ("1.0",                     "0.0"),
    "ldexp":      ("np.ldexp(1.0, y)",        "0.0"),
}  # fmt: skip

#: Those whose values cost so much (a cosine: a hundred products) that they had better be computed
#: rarely.
COSTLY: tuple[str, ...] = tuple(
    name
    for name in (*UNARY, *BINARY)
    if name not in {*FINITE, "sqrt", "reciprocal", "copysign", "nextafter", "ldexp"}
)

#: Functions whose value is one of x and y: where it is x. The second half is how each treats nan.
SELECT: dict[str, str] = {
    "maximum": "np.greater_equal(x, y) or x != x",
    "minimum": "np.less_equal(x, y) or x != x",
    "fmax":    "np.greater_equal(x, y) or y != y",
    "fmin":    "np.less_equal(x, y) or y != y",
}  # fmt: skip

#: Piecewise constant functions: the derivative is zero, at the jumps too.
CONSTANT: tuple[str, ...] = (
    "floor", "ceil", "trunc", "rint", "sign", "floor_divide", "spacing",
)  # fmt: skip

#: Questions about values; the answer is a boolean.
PREDICATE: tuple[str, ...] = (
    "isnan", "isinf", "isfinite", "signbit",
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
    "logical_not", "logical_and", "logical_or", "logical_xor",
)  # fmt: skip

# ------------------------------------------------------------------------- what rules call


def sech_squared(x: Any) -> Any:
    """1 / cosh(x)², by the exponential that cannot overflow. 1 - tanh(x)² cancels."""
    t = np.exp(-2.0 * x if x > 0.0 else 2.0 * x)
    return 4.0 * t / ((1.0 + t) * (1.0 + t))


def complex_sech_squared(x: Any) -> Any:
    """The same for complex x."""
    t = np.exp(-2.0 * x if x.real > 0.0 else 2.0 * x)
    return 4.0 * t * inverse((1.0 + t) * (1.0 + t))


def inverse(x: Any) -> Any:
    """1 / x; of zero it is no exception."""
    return np.true_divide(1.0, x)


def turned(x: Any) -> Any:
    """1j * x, with the signs of zeros."""
    return complex(-x.imag, x.real)


def leg(x: Any) -> Any:
    """sqrt(1 - x²) on the sheet of arcsin; the difference of complex numbers keeps signed zeros."""
    return np.sqrt(-(x - 1.0)) * np.sqrt(x - -1.0)


def logistic(d: Any) -> Any:
    """1 / (1 + exp(-d)), by the exponential that cannot overflow."""
    t = np.exp(-d if d > 0.0 else d)
    return (1.0 if d > 0.0 else t) / (1.0 + t)


def digamma(x: Any) -> Any:
    """The logarithmic derivative of gamma; it and its first two derivatives to the last digit."""
    return digamma_from(x, 10.0)


def digamma_from(x: Any, start: float) -> Any:
    """The same, more derivatives of which are right if the asymptotic series starts later.

    Reflected to the right half line, shifted to where the series has converged to the last digit,
    and summed there.
    """
    shift = 0.0
    if x <= 0.0:
        turn = np.pi * (x - np.rint(x))  # pi * x would have lost the fraction
        shift -= np.pi * np.cos(turn) / np.sin(turn)  # the tangent has poles of its own
        x = 1.0 - x
    while x < start:
        shift -= 1.0 / x
        x += 1.0
    w = 1.0 / (x * x)
    tail = 1 / 132 - w * (691 / 32760 - w * (1 / 12 - w * (3617 / 8160)))
    series = 1 / 12 - w * (1 / 120 - w * (1 / 252 - w * (1 / 240 - w * tail)))
    return np.log(x) - 0.5 / x - w * series + shift


def sinc_slope(x: Any, y: Any) -> Any:
    """d/dx of sin(πx) / (πx); near zero, where the quotient cancels, as a power series."""
    t = np.pi * x
    return sinc_slope_near_zero(t) if t * t < 4.0 else (np.cos(t) - y) / x


def complex_sinc_slope(x: Any, y: Any) -> Any:
    """The same for complex x."""
    t = np.pi * x
    return sinc_slope_near_zero(t) if abs(t) < 2.0 else (np.cos(t) - y) * inverse(x)


#: What is left of each coefficient of that series, 2k / (2k + 1)!, from the next one to it
_SINC_FACTORS = tuple((k + 1) / (k * (2 * k + 2) * (2 * k + 3)) for k in range(12, 0, -1))


def sinc_slope_near_zero(t: Any) -> Any:
    """π times the derivative of sin(t) / t, to the last digit of a few derivatives more."""
    s = t * t
    tail = 1.0 - s * _SINC_FACTORS[0]
    for factor in _SINC_FACTORS[1:]:
        tail = 1.0 - s * factor * tail
    return -np.pi / 3.0 * t * tail


def cosine(x: Any, z: Any) -> Any:
    """x / z for a leg x of hypotenuse z; 0 at the origin, where `hypot` has its kink."""
    return x / z if z > 0.0 and abs(x) < np.inf else np.sign(x)


def over_squares(x: Any, y: Any) -> Any:
    """x / (x² + y²) without the squares, which over- and underflow."""
    if abs(x) >= abs(y):
        return 1.0 / (x + y * (y / x))
    return x / y / (y + x * (x / y))


def power_in_base(x: Any, y: Any, z: Any) -> Any:
    """y x^(y - 1).

    z / x saves the second power, and is closer: y - 1 has a rounding error where y < 1. It fails
    where it, or z, leaves the range of numbers; for z the smallest float32 is the bound, as
    beyond it y - 1 is exact wherever the digits that z has lost are needed.
    """
    slope = z / x
    if not 0.0 < abs(slope) < np.inf or (y > 1.0 and abs(z) < 1.2e-38):
        slope = np.power(x, y - 1.0)
    # x^0 is 1 even at 0, inf and nan, where x^-1 is no finite number
    return y * slope if y != 0.0 or abs(slope) < np.inf else 0.0


def power_in_exponent(x: Any, y: Any, z: Any) -> Any:
    """x^y log(x).

    0^y is 0 for every y > 0, and so is its derivative. At 0^0 it jumps from 1 to 0 and the
    derivative is -inf. A negative base has real powers at the integers only, hence no derivative
    in y: log makes it nan. That harms no one who does not ask, as a constant exponent has no
    tangent. These are the choices of Ceres (jet.h), which has the full table of cases.
    """
    return 0.0 if z == 0.0 and (x == 0.0 or x == np.inf) else z * np.log(x)


def complex_power_in_base(x: Any, y: Any, z: Any) -> Any:
    """y x^(y - 1), by the value that is there already where nothing is lost."""
    if y == 0.0:
        return 0.0j * z
    size = abs(z)
    if x != 0.0 and 1e-30 < size < np.inf:
        return y * (z * inverse(x))
    return y * np.power(x, y - 1.0)


def complex_power_in_exponent(x: Any, y: Any, z: Any) -> Any:
    """x^y log(x), and 0 at a base of 0."""
    return 0.0j if z == 0.0 and x == 0.0 else z * np.log(x)


#: Plain functions that rules call; a compiler of rules has to know them.
HELPERS: tuple[Callable[..., Any], ...] = (
    sech_squared, complex_sech_squared, inverse, turned, leg, logistic, digamma, digamma_from,
    sinc_slope, complex_sinc_slope, sinc_slope_near_zero, cosine, over_squares,
    power_in_base, power_in_exponent, complex_power_in_base, complex_power_in_exponent,
)  # fmt: skip

# ------------------------------------------------------------------------ the table at work

#: Other names in `numpy`, `math` and `cmath`.
ALIASES: dict[str, tuple[str, ...]] = {
    "arcsin":  ("asin",),
    "arccos":  ("acos",),
    "arctan":  ("atan",),
    "arctan2": ("atan2",),
    "arcsinh": ("asinh",),
    "arccosh": ("acosh",),
    "arctanh": ("atanh",),
    "deg2rad": ("radians",),
    "rad2deg": ("degrees",),
    "power":   ("pow", "float_power"),
}  # fmt: skip

# Numba compiles none of these, and `math.remainder` is another function than `np.remainder`.
_NOT_IN_NUMBA = {getattr(math, name, None) for name in ("cbrt", "fmod", "remainder")}


def functions(name: str) -> tuple[Callable[..., Any], ...]:
    """All functions of `numpy`, `math` and `cmath` that go by `name`, as Numba compiles them."""
    names = (name, *ALIASES.get(name, ()))
    found = [getattr(module, alias, None) for module in (np, math, cmath) for alias in names]
    return tuple(f for f in dict.fromkeys(found) if f is not None and f not in _NOT_IN_NUMBA)


def derivative(name: str) -> Callable[..., Any]:
    """The derivative of a function of one real argument, as a function of x and the value y."""
    return function_of(f"d_{name}", "x, y", UNARY[name])


def analytic(name: str) -> Callable[..., Any]:
    """The derivative of a function of one complex argument."""
    return function_of(f"dz_{name}", "x, y", ANALYTIC.get(name, UNARY[name]))


def by_parts(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The derivatives of a function of a complex number by its real and its imaginary part."""
    by_real, by_imag = BY_PARTS[name]
    return function_of(f"dr_{name}", "x, y", by_real), function_of(f"di_{name}", "x, y", by_imag)


def partials(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The partial derivatives of a function of x and y, as functions of x, y and the value z."""
    in_x, in_y = BINARY[name]
    return function_of(f"dx_{name}", "x, y, z", in_x), function_of(f"dy_{name}", "x, y, z", in_y)


def derivatives(name: str) -> tuple[Callable[..., Any], ...]:
    """The derivatives of a function of one or two real arguments."""
    return partials(name) if name in BINARY else (derivative(name),)


def selects(name: str) -> Callable[..., Any]:
    """Whether a function that returns x or y returns x, as a function of both."""
    return function_of(f"selects_{name}", "x, y", SELECT[name])


@functools.cache
def function_of(name: str, arguments: str, expression: str) -> Callable[..., Any]:
    """The function of that name, with these arguments, that an expression is."""
    function: Callable[..., Any] = eval(f"lambda {arguments}: {expression}", globals())
    function.__name__ = function.__qualname__ = name
    function.is_expression = True  # type: ignore[attr-defined]
    return function
