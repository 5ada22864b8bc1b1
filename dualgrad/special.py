"""Derivative rules of `scipy.special`, for the functions that Numba compiles for numbers.

Which these are is up to who teaches Numba: the package `numba-scipy` does. A rule holds by the
arguments that have a closed form; by the others (mostly orders) a function is refused by name.
This module is imported once `scipy.special` is, so that `import dualgrad` is not the slower.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special
from numba.core.errors import TypingError
from numba.extending import register_jitable

from dualgrad import rules
from dualgrad.calls import RECALLED, DualFunction, join, lower_dual
from dualgrad.scalars import SumOfPartials
from dualgrad.types import depth

LN10 = math.log(10.0)
SQRT_HALF = math.sqrt(0.5)
SQRT_2PI = math.sqrt(2.0 * math.pi)
TWO_PI = 2.0 * math.pi
SQRT_PI = math.sqrt(math.pi)

# -------------------------------------------------------------------------------- the table

#: Functions with the names of their arguments: the derivative by each that has one, in terms of
#: the arguments and the value y.
RULES: dict[str, dict[str, str]] = {
    # gamma functions
    "gamma(x)":           {"x": "y * digamma(x)"},
    "gammaln(x)":         {"x": "digamma(x)"},
    "loggamma(x)":        {"x": "digamma(x)"},
    "rgamma(x)":          {"x": "rgamma_slope(x, y)"},
    "psi(x)":             {"x": "trigamma(x)"},
    "beta(a, b)":         {"a": "y * (digamma(a) - digamma(a + b))",
                           "b": "y * (digamma(b) - digamma(a + b))"},
    "betaln(a, b)":       {"a": "digamma(a) - digamma(a + b)",
                           "b": "digamma(b) - digamma(a + b)"},
    "gammainc(a, x)":     {"x": "gamma_density(a, x)"},
    "gammaincc(a, x)":    {"x": "-gamma_density(a, x)"},
    "gammaincinv(a, p)":  {"p": "1.0 / gamma_density(a, y)"},
    "gammainccinv(a, p)": {"p": "-1.0 / gamma_density(a, y)"},
    "betainc(a, b, x)":       {"x": "beta_density(a, b, x)"},
    "betaincc(a, b, x)":      {"x": "-beta_density(a, b, x)"},
    "betaincinv(a, b, p)":    {"p": "1.0 / beta_density(a, b, y)"},
    "betainccinv(a, b, p)":   {"p": "-1.0 / beta_density(a, b, y)"},
    # error functions
    "erf(x)":             {"x": "ERF_SLOPE * np.exp(-x * x)"},
    "erfc(x)":            {"x": "-ERF_SLOPE * np.exp(-x * x)"},
    "erfcx(x)":           {"x": "erfcx_slope(x, y)"},
    "erfi(x)":            {"x": "ERF_SLOPE * np.exp(x * x)"},
    "erfinv(x)":          {"x": "np.exp(y * y) / ERF_SLOPE"},
    "erfcinv(x)":         {"x": "-np.exp(y * y) / ERF_SLOPE"},
    "dawsn(x)":           {"x": "dawsn_slope(x, y)"},
    "ndtr(x)":            {"x": "np.exp(-0.5 * x * x) / SQRT_2PI"},
    "ndtri(x)":           {"x": "SQRT_2PI * np.exp(0.5 * y * y)"},
    "log_ndtr(x)":        {"x": "2.0 / (SQRT_2PI * erfcx(-SQRT_HALF * x))"},
    "ndtri_exp(x)":       {"x": "0.5 * SQRT_2PI * erfcx(-SQRT_HALF * y)"},
    "owens_t(h, a)":      {"h": "-np.exp(-0.5 * h * h) * erf(SQRT_HALF * a * h) / (2.0 * SQRT_2PI)",
                           "a": "np.exp(-0.5 * h * h * (1.0 + a * a)) / (1.0 + a * a) / TWO_PI"},
    # Bessel functions
    "j0(x)":              {"x": "-j1(x)"},
    "j1(x)":              {"x": "0.5 * (j0(x) - jv(2.0, x))"},
    "jv(v, x)":           {"x": "0.5 * (jv(v - 1.0, x) - jv(v + 1.0, x))"},
    "jve(v, x)":          {"x": "0.5 * (jve(v - 1.0, x) - jve(v + 1.0, x))"},
    "y0(x)":              {"x": "-y1(x)"},
    "y1(x)":              {"x": "0.5 * (y0(x) - yv(2.0, x))"},
    "yn(n, x)":           {"x": "0.5 * (yn(n - 1, x) - yn(n + 1, x))"},
    "yv(v, x)":           {"x": "0.5 * (yv(v - 1.0, x) - yv(v + 1.0, x))"},
    "yve(v, x)":          {"x": "0.5 * (yve(v - 1.0, x) - yve(v + 1.0, x))"},
    "i0(x)":              {"x": "i1(x)"},
    "i1(x)":              {"x": "0.5 * (i0(x) + iv(2.0, x))"},
    "iv(v, x)":           {"x": "0.5 * (iv(v - 1.0, x) + iv(v + 1.0, x))"},
    "i0e(x)":             {"x": "i1e(x) - np.sign(x) * y"},
    "i1e(x)":             {"x": "0.5 * (i0e(x) + ive(2.0, x)) - np.sign(x) * y"},
    "ive(v, x)":          {"x": "0.5 * (ive(v - 1.0, x) + ive(v + 1.0, x)) - np.sign(x) * y"},
    "k0(x)":              {"x": "-k1(x)"},
    "k1(x)":              {"x": "-0.5 * (k0(x) + kv(2.0, x))"},
    "kn(n, x)":           {"x": "-0.5 * (kn(n - 1, x) + kn(n + 1, x))"},
    "kv(v, x)":           {"x": "-0.5 * (kv(v - 1.0, x) + kv(v + 1.0, x))"},
    "k0e(x)":             {"x": "y - k1e(x)"},
    "k1e(x)":             {"x": "y - 0.5 * (k0e(x) + kve(2.0, x))"},
    "kve(v, x)":          {"x": "y - 0.5 * (kve(v - 1.0, x) + kve(v + 1.0, x))"},
    "struve(v, x)":       {"x": "0.5 * (struve(v - 1.0, x) - struve(v + 1.0, x))"
                                " + struve_term(v, x)"},
    "modstruve(v, x)":    {"x": "0.5 * (modstruve(v - 1.0, x) + modstruve(v + 1.0, x))"
                                " + struve_term(v, x)"},
    "itstruve0(x)":       {"x": "struve(0.0, x)"},
    "itmodstruve0(x)":    {"x": "modstruve(0.0, x)"},
    "it2struve0(x)":      {"x": "-struve(0.0, x) / x"},
    "ber(x)":             {"x": "berp(x)"},
    "bei(x)":             {"x": "beip(x)"},
    "ker(x)":             {"x": "kerp(x)"},
    "kei(x)":             {"x": "keip(x)"},
    "kerp(x)":            {"x": "-kei(x) - y / x"},
    "keip(x)":            {"x": "ker(x) - y / x"},
    # integrals
    "expi(x)":            {"x": "np.exp(x) / x"},
    "exp1(x)":            {"x": "-np.exp(-x) / x"},
    "expn(n, x)":         {"x": "-expn(n - 1, x) if n > 0 else -np.exp(-x) * (1.0 + 1.0 / x) / x"},
    "spence(x)":          {"x": "spence_slope(x)"},
    "ellipk(m)":          {"m": "ellipk_slope(m, 1.0 - m)"},
    "ellipkm1(p)":        {"p": "-ellipk_slope(1.0 - p, p)"},
    "ellipe(m)":          {"m": "ellipe_slope(m)"},
    "ellipkinc(t, m)":    {"t": "1.0 / np.sqrt(1.0 - m * np.sin(t) ** 2)"},
    "ellipeinc(t, m)":    {"t": "np.sqrt(1.0 - m * np.sin(t) ** 2)"},
    "elliprf(a, b, c)":   {"a": "elliprd(b, c, a) / -6.0",
                           "b": "elliprd(c, a, b) / -6.0",
                           "c": "elliprd(a, b, c) / -6.0"},
    # logarithms, exponentials and their kin
    "logit(x)":           {"x": "1.0 / (x * (1.0 - x))"},
    "expit(x)":           {"x": "y * expit(-x)"},
    "log_expit(x)":       {"x": "expit(-x)"},
    "cbrt(x)":            {"x": "1.0 / (3.0 * y * y)"},
    "exp2(x)":            {"x": "LN2 * y"},
    "exp10(x)":           {"x": "LN10 * y"},
    "expm1(x)":           {"x": "np.exp(x)"},
    "exprel(x)":          {"x": "exprel_slope(x)"},
    "log1p(x)":           {"x": "1.0 / (1.0 + x)"},
    "powm1(x, p)":        {"x": "p * np.power(x, p - 1.0)",
                           "p": "(y + 1.0) * np.log(x)"},
    "xlogy(x, t)":        {"x": "np.log(t)",
                           "t": "x / t if x != 0.0 or t != 0.0 else 0.0"},
    "xlog1py(x, t)":      {"x": "np.log1p(t)",
                           "t": "x / (1.0 + t) if x != 0.0 or t != -1.0 else 0.0"},
    "boxcox(x, p)":       {"x": "np.power(x, p - 1.0)",
                           "p": "np.log(x) ** 2 * exprel_slope(p * np.log(x))"},
    "boxcox1p(x, p)":     {"x": "np.exp((p - 1.0) * np.log1p(x))",
                           "p": "np.log1p(x) ** 2 * exprel_slope(p * np.log1p(x))"},
    "inv_boxcox(x, p)":   {"x": "np.power(y, 1.0 - p)"},
    "inv_boxcox1p(x, p)": {"x": "np.exp((1.0 - p) * np.log1p(y))"},
    "entr(x)":            {"x": "-np.log(x) - 1.0"},
    "rel_entr(x, t)":     {"x": "np.log(x / t) + 1.0", "t": "-x / t"},
    "kl_div(x, t)":       {"x": "np.log(x / t)", "t": "(t - x) / t"},
    "huber(d, r)":        {"d": "max(abs(r) - d, 0.0)",
                           "r": "r if abs(r) <= d else d * np.sign(r)"},
    "pseudo_huber(d, r)": {"d": "d * huber_excess(r / d) ** 2 / np.hypot(1.0, r / d)",
                           "r": "r / np.hypot(1.0, r / d)"},
    "wrightomega(x)":     {"x": "y / (1.0 + y)"},
    # trigonometry
    "cosm1(x)":           {"x": "-np.sin(x)"},
    "sindg(x)":           {"x": "DEGREE * cosdg(x)"},
    "cosdg(x)":           {"x": "-DEGREE * sindg(x)"},
    "tandg(x)":           {"x": "DEGREE * (1.0 + y * y)"},
    "cotdg(x)":           {"x": "-DEGREE * (1.0 + y * y)"},
    "radian(d, m, s)":    {"d": "DEGREE", "m": "DEGREE / 60.0", "s": "DEGREE / 3600.0"},
    # distributions
    "stdtr(n, t)":        {"t": "student_density(n, t)"},
    "stdtrit(n, p)":      {"p": "1.0 / student_density(n, y)"},
    "chdtr(v, x)":        {"x": "0.5 * gamma_density(0.5 * v, 0.5 * x)"},
    "chdtrc(v, x)":       {"x": "-0.5 * gamma_density(0.5 * v, 0.5 * x)"},
    "chdtri(v, p)":       {"p": "-2.0 / gamma_density(0.5 * v, 0.5 * y)"},
    "fdtr(n, m, x)":      {"x": "ratio_density(n, m, x)"},
    "fdtrc(n, m, x)":     {"x": "-ratio_density(n, m, x)"},
    "fdtri(n, m, p)":     {"p": "1.0 / ratio_density(n, m, y)"},
    "gdtr(a, b, x)":      {"a": "x * gamma_density(b, a * x)",
                           "x": "a * gamma_density(b, a * x)"},
    "gdtrc(a, b, x)":     {"a": "-x * gamma_density(b, a * x)",
                           "x": "-a * gamma_density(b, a * x)"},
    "pdtr(k, m)":         {"m": "-gamma_density(np.floor(k) + 1.0, m)"},
    "pdtrc(k, m)":        {"m": "gamma_density(np.floor(k) + 1.0, m)"},
    "bdtr(k, n, p)":      {"p": "-beta_density(np.floor(k) + 1.0, n - np.floor(k), p)"},
    "bdtrc(k, n, p)":     {"p": "beta_density(np.floor(k) + 1.0, n - np.floor(k), p)"},
    "nbdtr(k, n, p)":     {"p": "beta_density(1.0 * n, k + 1.0, p)"},
    "nbdtrc(k, n, p)":    {"p": "-beta_density(1.0 * n, k + 1.0, p)"},
    # hypergeometric functions
    "hyp0f1(v, x)":       {"x": "hyp0f1(v + 1.0, x) / v"},
    "hyp1f1(a, b, x)":    {"x": "a / b * hyp1f1(a + 1.0, b + 1.0, x)"},
    "hyp2f1(a, b, c, x)": {"x": "a * b / c * hyp2f1(a + 1.0, b + 1.0, c + 1.0, x)"},
    "hyperu(a, b, x)":    {"x": "-a * hyperu(a + 1.0, b + 1.0, x)"},
    # piecewise constant
    "gammasgn(x)":        {"x": "0.0"},
    "round(x)":           {"x": "0.0"},
}  # fmt: skip

#: Orthogonal polynomials: the derivative by x, where it is not a constant.
POLYNOMIALS: dict[str, str] = {
    "eval_legendre(n, x)":       "0.5 * (n + 1) * eval_jacobi(n - 1, 1.0, 1.0, x)",
    "eval_sh_legendre(n, x)":    "(n + 1) * eval_jacobi(n - 1, 1.0, 1.0, 2.0 * x - 1.0)",
    "eval_jacobi(n, a, b, x)":  "0.5 * (n + a + b + 1) * eval_jacobi(n - 1, a + 1.0, b + 1.0, x)",
    "eval_chebyt(n, x)":         "n * eval_chebyu(n - 1, x)",
    "eval_chebyu(n, x)":         "2.0 * eval_gegenbauer(n - 1, 2.0, x)",
    "eval_chebyc(n, x)":         "n * eval_chebyu(n - 1, 0.5 * x)",
    "eval_chebys(n, x)":         "eval_gegenbauer(n - 1, 2.0, 0.5 * x)",
    "eval_sh_chebyt(n, x)":      "2.0 * n * eval_chebyu(n - 1, 2.0 * x - 1.0)",
    "eval_sh_chebyu(n, x)":      "4.0 * eval_gegenbauer(n - 1, 2.0, 2.0 * x - 1.0)",
    "eval_gegenbauer(n, a, x)":  "2.0 * a * eval_gegenbauer(n - 1, a + 1.0, x)",
    "eval_laguerre(n, x)":       "-eval_genlaguerre(n - 1, 1.0, x)",
    "eval_genlaguerre(n, a, x)": "-eval_genlaguerre(n - 1, a + 1.0, x)",
}  # fmt: skip
RULES |= {call: {"x": f"{rule} if n != 0 else 0.0"} for call, rule in POLYNOMIALS.items()}

# ------------------------------------------------------------------------- what rules call


def trigamma(x: Any) -> Any:
    """The derivative of digamma, by the same reflection, shift and series."""
    shift, sign = 0.0, 1.0
    if x <= 0.0:
        sine = np.sin(np.pi * (x - np.rint(x)))
        shift, sign = (np.pi / sine) ** 2, -1.0
        x = 1.0 - x
    total = 0.0
    while x < 10.0:
        total += 1.0 / (x * x)
        x += 1.0
    w = 1.0 / (x * x)
    tail = 5 / 66 - w * (691 / 2730 - w * (7 / 6 - w * (3617 / 510)))
    series = 1 / 6 - w * (1 / 30 - w * (1 / 42 - w * (1 / 30 - w * tail)))
    return shift + sign * (total + (1.0 + 0.5 / x + w * series) / x)


def rgamma_slope(x: Any, y: Any) -> Any:
    """-y digamma(x), which at the zeros of 1 / gamma is 0 times infinity."""
    if x <= 0.0 and x == np.floor(x):
        return scipy.special.gamma(1.0 - x) * np.cos(np.pi * x)
    return -y * rules.digamma(x)


def gamma_density(a: Any, x: Any) -> Any:
    """x^(a - 1) exp(-x) / gamma(a)."""
    return np.exp(scipy.special.xlogy(a - 1.0, x) - x - scipy.special.gammaln(a))


def beta_density(a: Any, b: Any, x: Any) -> Any:
    """x^(a - 1) (1 - x)^(b - 1) / beta(a, b)."""
    powers = scipy.special.xlogy(a - 1.0, x) + scipy.special.xlog1py(b - 1.0, -x)
    return np.exp(powers - scipy.special.betaln(a, b))


def student_density(n: Any, t: Any) -> Any:
    """The density of Student's t distribution."""
    scale = np.sqrt(n) * np.exp(scipy.special.betaln(0.5 * n, 0.5))
    return np.exp(-0.5 * (n + 1.0) * np.log1p(t * t / n)) / scale


def ratio_density(n: Any, m: Any, x: Any) -> Any:
    """The density of the F distribution."""
    u = n * x / m
    powers = scipy.special.xlogy(0.5 * n - 1.0, u) - 0.5 * (n + m) * np.log1p(u)
    return n / m * np.exp(powers - scipy.special.betaln(0.5 * n, 0.5 * m))


def tail_series(w: Any) -> Any:
    """The sum of 1 3 5 ... (2 n + 1) w^n, for |w| up to 1/200."""
    term = total = 1.0 + 0.0 * w
    for n in range(1, 16):
        term = term * (2 * n + 1) * w
        total += term
    return total


def erfcx_slope(x: Any, y: Any) -> Any:
    """2 x y - 2 / sqrt(pi), which cancels where erfcx is small."""
    if x > 10.0:
        return -tail_series(-0.5 / (x * x)) / (SQRT_PI * x * x)
    return 2.0 * x * y - rules.ERF_SLOPE


def dawsn_slope(x: Any, y: Any) -> Any:
    """1 - 2 x y, which cancels far out."""
    if abs(x) > 10.0:
        return -0.5 * tail_series(0.5 / (x * x)) / (x * x)
    return 1.0 - 2.0 * x * y


def struve_term(v: Any, x: Any) -> Any:
    """(x / 2)^v / (2 sqrt(pi) gamma(v + 3/2))."""
    return 0.5 * np.power(0.5 * x, v) * scipy.special.rgamma(v + 1.5) / SQRT_PI


def exprel_slope(x: Any) -> Any:
    """The derivative of (exp(x) - 1) / x, by its series where the formula cancels."""
    if abs(x) > 1.0:
        return (np.exp(x) - np.expm1(x) / x) / x
    total, term = 0.0 * x, 1.0 + 0.0 * x
    for k in range(20):
        total += term * ((k + 1.0) / (k + 2.0))
        term = term * x / (k + 2.0)
    return total


def spence_slope(x: Any) -> Any:
    """log(x) / (1 - x), by its series where that is 0 / 0."""
    d = 1.0 - x
    if abs(d) > 0.1:
        return np.log(x) / d
    total, power = 0.0 * d, 1.0 + 0.0 * d
    for k in range(1, 20):
        total -= power / k
        power = power * d
    return total


def elliptic_series(m: Any, second: Any) -> Any:
    """The derivative of the complete elliptic integral of the first or second kind near 0."""
    total, term = 0.0 * m, 0.5 * np.pi + 0.0 * m
    for n in range(1, 32):
        term = term * ((2.0 * n - 1.0) / (2.0 * n)) ** 2
        total += term * n * (1.0 / (1.0 - 2.0 * n) if second else 1.0)
        term = term * m
    return total


def ellipk_slope(m: Any, rest: Any) -> Any:
    """(E - (1 - m) K) / (2 m (1 - m)), with 1 - m as it is known best."""
    if abs(m) < 0.25:
        return elliptic_series(m, False)
    e, k = scipy.special.ellipe(m), scipy.special.ellipkm1(rest)
    return (e - rest * k) / (2.0 * m * rest)


def ellipe_slope(m: Any) -> Any:
    """(E - K) / (2 m)."""
    if abs(m) < 0.25:
        return elliptic_series(m, True)
    return (scipy.special.ellipe(m) - scipy.special.ellipk(m)) / (2.0 * m)


def huber_excess(q: Any) -> Any:
    """sqrt(1 + q²) - 1."""
    return q * q / (1.0 + np.hypot(1.0, q))


_HELPERS = (
    trigamma, rgamma_slope, gamma_density, beta_density, student_density, ratio_density,
    tail_series, erfcx_slope, dawsn_slope, struve_term, exprel_slope, spence_slope,
    elliptic_series, ellipk_slope, ellipe_slope, huber_excess,
)  # fmt: skip

# ------------------------------------------------------------------------ the table at work


def partials(call: str) -> list[Any]:
    """The partial derivatives of a function, None where the table has none."""
    parameters = call.rstrip(")").partition("(")[2]
    names = {**vars(scipy.special), **vars(rules), **globals()}
    found: list[Any] = []
    for parameter in parameters.split(", "):
        rule = RULES[call].get(parameter)
        source = f"lambda {parameters}, y: {rule}"
        found.append(None if rule is None else eval(source, names))
    return found


def _register(call: str) -> None:
    name, _, parameters = call.rstrip(")").partition("(")
    function = getattr(scipy.special, name)
    derivatives = partials(call)

    class Function(DualFunction):
        def generic(self, args: Any, kws: Any) -> Any:
            level = join(args)
            for ty, parameter, derivative in zip(
                args, parameters.split(", "), derivatives, strict=False
            ):
                if level and depth(ty) == level.depth and derivative is None:
                    raise TypingError(f"scipy.special.{name} has no derivative by {parameter}")
            return super().generic(args, kws)

    RECALLED[function] = SumOfPartials(derivatives)
    lower_dual(function, RECALLED[function], Function)


for _function in _HELPERS:
    register_jitable(_function)
for _call in RULES:
    if hasattr(scipy.special, _call.partition("(")[0]):
        _register(_call)
