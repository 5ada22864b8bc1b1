"""Every rule against mpmath, and at the points where a derivative is a matter of decision.

The reference is a central difference in 800 digits, which knows nothing of our formulas.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from numba import njit
from numba.core.typing.mathdecl import registry as numba_math
from numba.core.typing.npydecl import supported_ufuncs
from numba.extending import register_jitable
from numba.np.ufunc_db import get_ufunc_info

from dualgrad import rules

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in cast")

for helper in rules.HELPERS:
    register_jitable(helper)

NUMPY = functools.partial(njit, error_model="numpy")
RULES = [*rules.UNARY, *rules.BINARY]
EPS, TINY, INF, NAN = 2.0**-52, 2.0**-1022, math.inf, math.nan

# ------------------------------------------------------------------------ what is under test


@functools.cache
def compiled(name: str) -> tuple[Callable[..., Any], list[Callable[..., Any]]]:
    """The function of that name and its derivative rules, as Numba compiles them."""
    return call(rules.functions(name)[0]), [NUMPY(rule) for rule in plain(name)]


def call(f: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled call of `f`. (Numba compiles neither ufuncs nor builtins as they are.)"""
    return NUMPY(lambda *args: f(*args))


def plain(name: str) -> tuple[Callable[..., Any], ...]:
    return (rules.derivative(name),) if name in rules.UNARY else rules.partials(name)


def derivatives(name: str, args: Any, python: bool = False) -> list[float]:
    """The derivatives of a function in each of its arguments."""
    function, slopes = compiled(name)
    if python:
        slopes = list(plain(name))
    with np.errstate(all="ignore"):
        return [slope(*args, args[0].dtype.type(function(*args))) for slope in slopes]


# -------------------------------------------------------------------------------- references

REFERENCES: dict[str, Callable[..., Any]] = {
    "positive":   lambda x: x,
    "negative":   lambda x: -x,
    "conjugate":  lambda x: x,
    "absolute":   abs,
    "fabs":       abs,
    "deg2rad":    mp.radians,
    "rad2deg":    mp.degrees,
    "square":     lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "cbrt":       lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "exp2":       lambda x: mp.mpf(2) ** x,
    "log2":       lambda x: mp.log(x, 2),
    "erfc":       lambda x: 1 - mp.erf(x),
    "lgamma":     lambda x: mp.loggamma(x).real,
    "fmod":       lambda x, y: x - y * (mp.floor(x / y) if x / y > 0 else mp.ceil(x / y)),
    "remainder":  lambda x, y: x - y * mp.floor(x / y),
    "copysign":   lambda x, y: abs(x) * mp.sign(y),
    "nextafter":  lambda x, y: x,
    "ldexp":      lambda x, y: x * mp.mpf(2) ** mp.nint(y),
    "logaddexp":  lambda x, y: mp.log(mp.exp(x) + mp.exp(y)),
    "logaddexp2": lambda x, y: mp.log(mp.mpf(2) ** x + mp.mpf(2) ** y, 2),
}  # fmt: skip


def reference(name: str) -> Callable[..., Any]:
    spelling = next(iter(rules.ALIASES.get(name, (name,))))
    return REFERENCES.get(name) or getattr(mp, {"pow": "power"}.get(spelling, spelling))


def slope(function: Callable[..., Any], k: int) -> Callable[..., Any]:
    """The partial derivative in argument `k` by a central difference."""

    def difference(*args: Any) -> Any:
        h = min(abs(args[k]) or 1, 1) * mp.mpf("1e-60")
        up, down = [[*args[:k], args[k] + step, *args[k + 1 :]] for step in (h, -h)]
        return (function(*up) - function(*down)) / (2 * h)

    return difference


# ------------------------------------------------------------------------------------ points


def both_signs(*points: float) -> tuple[float, ...]:
    return points + tuple(-x for x in points)


REALS = both_signs(1e-300, 1e-20, 1e-8, 0.1, 0.7, 1.0, 1.5, 3.0, 12.3, 33.0, 100.5, 350.0)
HUGE = both_signs(700.0, 711.0, 1e5, 1e17, 1e100, 1e200, 1e300)
POSITIVE = (1e-310, 1e-300, 1e-20, 0.1, 1 - 2.0**-53, 1.0, 1 + 2.0**-52, 2.5, 1e5, 1e160, 1e308)
ABOVE_ONE = (1 + 2.0**-52, 1 + 1e-9, 1.1, 2.0, 30.0, 1e10, 1e160, 1e308)
INSIDE = both_signs(1e-300, 1e-9, 0.3, 0.5, 0.9, 1 - 1e-9, 1 - 2.0**-53)
GAMMA = (1e-300, 1e-5, 0.3, 1.0, 1.46, 1.4616321449683622, 2.0, 5.5, 9.9, 10.0, 30.5, 171.0)
GAMMA += (-1e-300, -1e-9, -0.5, -0.504, -1.1, -1.573, -2 + 1e-9, -2.5, -3 - 1e-9, -33.3, -170.5)

DOMAINS: dict[str, tuple[float, ...]] = {
    **dict.fromkeys(("sqrt", "log", "log2", "log10"), POSITIVE),
    **dict.fromkeys(("arcsin", "arccos", "arctanh"), INSIDE),
    "arccosh": ABOVE_ONE,
    "log1p": (*POSITIVE[1:], *(x for x in INSIDE if x < 0.0)),
    "gamma": GAMMA,
    "lgamma": (*GAMMA, 1e5, 1e100, 1e300, -1e5 - 0.3, -1e10 - 0.25),
}

Pairs = list[tuple[float, ...]]
MIXED = both_signs(1e-300, 1e-9, 0.7, 1.0, 3.0, 1e9, 1e300)
PLANE: Pairs = [*itertools.product(MIXED, MIXED)]
EXPONENTS = both_signs(1e-20, 0.1, 0.5, 1.0, 1.1, 2.0, 3.7)
PLANES: dict[str, Pairs] = {
    "power": [
        *itertools.product((1e-300, 1e-150, 1e-9, 0.7, 1.0, 1 + 1e-9, 3.0, 1e9, 1e300), EXPONENTS),
        *itertools.product((-1e-150, -0.7, -3.0, -1e9), (2.0, 3.0, -1.0, -2.0, 33.0)),
        (1e-160, 2.0), (1e160, 2.0), (-1e160, 2.0), (1e-108, 3.0), (1e103, 3.0), (1e3, 102.6),
        (0.5, 1074.0), (1.0001, -7.2e6), (1e-310, 0.5), (1e-310, 1.1), (1e300, 1.02),
    ],
    "fmod": [(x, y) for x in (7.3, -7.3, 1.0, 1e15) for y in (0.1, 2.0, -2.0, 3.7, 1e300)],
    "logaddexp": [*itertools.product(both_signs(0.1, 3.0, 33.0, 300.0, 1000.0), repeat=2)],
    "ldexp": [*itertools.product(MIXED, (-1000, -3, 0, 5, 1000))],
}  # fmt: skip
PLANES["remainder"], PLANES["logaddexp2"] = PLANES["fmod"], PLANES["logaddexp"]


def points(name: str) -> Pairs:
    if name in rules.BINARY:
        return PLANES.get(name, PLANE)
    return [(x,) for x in DOMAINS.get(name, REALS + HUGE)]


# ------------------------------------------------------------------------------------- tests


@pytest.mark.parametrize("name", RULES)
def test_derivative(name: str) -> None:
    """A few units in the last place, times the condition of the derivative where that is bad."""
    function = reference(name)
    wrong = []
    with mp.workdps(800):
        for point in points(name):
            args = [mp.mpf(x) for x in point]
            inputs = [np.float64(x) if isinstance(x, float) else x for x in point]
            ours = zip(derivatives(name, inputs), derivatives(name, inputs, True), strict=True)
            for k, results in enumerate(ours):
                partial = slope(function, k)
                exact = partial(*args)
                if isinstance(exact, mp.mpc):
                    assert np.isnan(results).all()
                    continue
                change = sum(abs(x * slope(partial, j)(*args)) for j, x in enumerate(args))
                bound = 4 * EPS * (abs(exact) + change) + TINY
                for result in results:
                    if result != float(exact) and not abs(result - exact) <= bound:
                        wrong.append((point, k, result, float(exact)))
    assert not wrong


@pytest.mark.parametrize("name", RULES)
def test_float32(name: str) -> None:
    """In single precision a rule gives what it gives in double precision, rounded."""
    for point in points(name):
        single = [np.float32(x) if isinstance(x, float) else x for x in point]
        double = [np.float64(x) if isinstance(x, np.float32) else x for x in single]
        if all(x == 0 or 1e-4 < abs(x) < 1e4 for x in single):
            expected = np.float32(derivatives(name, double))
            result = np.float32(derivatives(name, single))
            np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-37, err_msg=str(point))


# A list for each name, as a dictionary would take 0.0 and -0.0 for one point.
SINGULAR: dict[str, list[tuple[tuple[float, ...], tuple[float, ...]]]] = {
    "absolute":   [((0.0,), (0,)), ((-0.0,), (0,)), ((INF,), (1,)), ((-INF,), (-1,))],
    "fabs":       [((0.0,), (0,)), ((-0.0,), (0,)), ((INF,), (1,)), ((-INF,), (-1,))],
    "sqrt":       [((0.0,), (INF,)), ((-0.0,), (INF,)), ((INF,), (0,))],
    "cbrt":       [((0.0,), (INF,)), ((-0.0,), (INF,)), ((INF,), (0,)), ((-INF,), (0,))],
    "reciprocal": [((0.0,), (-INF,)), ((-0.0,), (-INF,)), ((INF,), (0,)), ((-INF,), (0,))],
    "exp":        [((0.0,), (1,)), ((INF,), (INF,)), ((-INF,), (0,))],
    "exp2":       [((INF,), (INF,)), ((-INF,), (0,))],
    "expm1":      [((-0.0,), (1,)), ((INF,), (INF,)), ((-INF,), (0,))],
    "log":        [((0.0,), (INF,)), ((-0.0,), (INF,)), ((INF,), (0,))],
    "log2":       [((0.0,), (INF,)), ((-0.0,), (INF,)), ((INF,), (0,))],
    "log10":      [((0.0,), (INF,)), ((-0.0,), (INF,)), ((INF,), (0,))],
    "log1p":      [((-0.0,), (1,)), ((-1.0,), (INF,)), ((INF,), (0,))],
    "sin":        [((0.0,), (1,)), ((INF,), (NAN,))],
    "cos":        [((0.0,), (0,)), ((INF,), (NAN,))],
    "tan":        [((0.0,), (1,)), ((INF,), (NAN,))],
    "arcsin":     [((0.0,), (1,)), ((1.0,), (INF,)), ((-1.0,), (INF,))],
    "arccos":     [((0.0,), (-1,)), ((1.0,), (-INF,)), ((-1.0,), (-INF,))],
    "arctan":     [((-0.0,), (1,)), ((INF,), (0,)), ((-INF,), (0,))],
    "sinh":       [((0.0,), (1,)), ((INF,), (INF,)), ((-INF,), (INF,))],
    "cosh":       [((0.0,), (0,)), ((INF,), (INF,)), ((-INF,), (-INF,))],
    "tanh":       [((0.0,), (1,)), ((-0.0,), (1,)), ((INF,), (0,)), ((-INF,), (0,))],
    "arcsinh":    [((0.0,), (1,)), ((INF,), (0,)), ((-INF,), (0,))],
    "arccosh":    [((1.0,), (INF,)), ((INF,), (0,))],
    "arctanh":    [((-0.0,), (1,)), ((1.0,), (INF,)), ((-1.0,), (INF,))],
    "erf":        [((0.0,), (rules.ERF_SLOPE,)), ((INF,), (0,)), ((-INF,), (0,))],
    "erfc":       [((0.0,), (-rules.ERF_SLOPE,)), ((INF,), (0,)), ((-INF,), (0,))],
    "gamma":      [((0.0,), (-INF,)), ((INF,), (INF,))],
    "lgamma":     [((0.0,), (-INF,)), ((INF,), (INF,))],
    "hypot":      [((0.0, 0.0), (0, 0)), ((0.0, -0.0), (0, 0)), ((1.0, 0.0), (1, 0)),
                   ((INF, 1.0), (1, 0)), ((-INF, 1.0), (-1, 0)), ((3.0, -INF), (0, -1))],
    "arctan2":    [((0.0, 0.0), (NAN, NAN)), ((0.0, 2.0), (0.5, 0)), ((0.0, -2.0), (-0.5, 0)),
                   ((2.0, 0.0), (0, -0.5)), ((1.0, INF), (0, 0)), ((INF, 1.0), (0, 0))],
    "logaddexp":  [((2.0, 2.0), (0.5, 0.5)), ((INF, 1.0), (1, 0)), ((-INF, 1.0), (0, 1))],
    "logaddexp2": [((2.0, 2.0), (0.5, 0.5)), ((INF, 1.0), (1, 0)), ((-INF, 1.0), (0, 1))],
    "copysign":   [((0.0, -1.0), (0, 0)), ((-0.0, 1.0), (0, 0)), ((2.0, -0.0), (-1, 0)),
                   ((-2.0, 0.0), (-1, 0)), ((-2.0, -INF), (1, 0))],
    "fmod":       [((1.0, 0.1), (1, -9)), ((-1.0, 0.1), (1, 9)), ((2.0, INF), (1, 0))],
    "remainder":  [((1.0, 0.1), (1, -9)), ((-1.0, 3.0), (1, 1)), ((-1e-20, 1.0), (1, 1)),
                   ((2.0, INF), (1, 0))],
    "power":      [((0.0, 0.0), (0, -INF)), ((-0.0, 0.0), (0, -INF)), ((1e-310, 0.0), (0, -713.8)),
                   ((INF, 0.0), (0, INF)), ((NAN, 0.0), (0, NAN)), ((-2.0, 0.0), (0, NAN)),
                   ((0.0, 1.0), (1, 0)), ((-0.0, 1.0), (1, 0)), ((5e-324, 1.0), (1, 0)),
                   ((INF, 1.0), (1, INF)), ((0.0, 1.5), (0, 0)), ((0.0, 2.0), (0, 0)),
                   ((-0.0, 3.0), (0, 0)), ((0.0, 0.5), (INF, 0)), ((-0.0, 0.5), (INF, 0)),
                   ((0.0, -1.0), (-INF, -INF)), ((-0.0, -1.0), (-INF, INF)),
                   ((INF, 2.0), (INF, INF)), ((INF, 0.5), (0, INF)), ((INF, -1.0), (0, 0)),
                   ((-INF, 2.0), (-INF, NAN)), ((-2.0, 3.0), (12, NAN)), ((-0.5, 1e4), (0, NAN)),
                   ((1.0, INF), (INF, 0))],
}  # fmt: skip


@pytest.mark.parametrize("name", SINGULAR)
def test_singular_points(name: str) -> None:
    for point, expected in SINGULAR[name]:
        args = [np.float64(x) for x in point]
        for python in (False, True):
            result = derivatives(name, args, python)
            np.testing.assert_allclose(result, expected, rtol=1e-5, atol=TINY, err_msg=str(point))


@pytest.mark.parametrize("name", rules.SELECT)
def test_select(name: str) -> None:
    """The condition holds where the function returns its first argument, ties included."""
    function, condition = call(rules.functions(name)[0]), rules.selects(name)
    for selects in (condition, NUMPY(condition)):
        for x, y in itertools.product((-INF, -1.0, 0.0, 2.0, INF, NAN), repeat=2):
            np.testing.assert_equal(x if selects(x, y) else y, function(x, y))
            assert x != y or selects(x, y)


# What the engine treats by itself, or integers only.
ELSEWHERE = {np.add, np.subtract, np.multiply, np.true_divide, np.divmod, math.frexp, math.gcd}


def test_nothing_is_missing() -> None:
    """The tables hold all that Numba has for floats, and nothing that it has not."""
    tables = (rules.UNARY, rules.BINARY, rules.SELECT, rules.CONSTANT, rules.PREDICATE)
    ours = {f for name in itertools.chain(*tables) for f in rules.functions(name)}
    theirs = {f for f in supported_ufuncs if any("d" in loop[:2] for loop in get_ufunc_info(f))}
    theirs |= {f for f, _ in numba_math.globals if getattr(f, "__module__", None) == "math"}
    assert ours | ELSEWHERE == theirs
    assert sum(map(len, tables)) == len({*itertools.chain(*tables)})


@pytest.mark.parametrize("name", [*RULES, *rules.SELECT, *rules.CONSTANT, *rules.PREDICATE])
def test_all_spellings_agree(name: str) -> None:
    first, *others = rules.functions(name)
    args = points(name)[4] if name in RULES else (1.25, 3.0)[: getattr(first, "nin", 2)]
    values = [call(f)(*args) for f in (first, *others)]
    np.testing.assert_array_equal(values, values[0])
