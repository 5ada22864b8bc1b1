"""Every rule against mpmath, and at the points where a derivative is a matter of decision.

The reference is a central difference in 800 digits, which knows nothing of our formulas. A rule
runs as plain Python, compiled, and in the engine: in every spelling of its function, with active
and constant arguments side by side.
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

import dualgrad as dg
from dualgrad import rules
from tests.complexstep import run

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in cast")

for helper in rules.HELPERS:
    register_jitable(helper)

NUMPY = functools.partial(njit, error_model="numpy")
RULES = [*rules.UNARY, *rules.BINARY]
EPS, TINY, INF, NAN = 2.0**-52, 2.0**-1022, math.inf, math.nan

# ------------------------------------------------------------------------ what is under test


def of_reals(name: str) -> list[Callable[..., Any]]:
    """The functions of that name that take real numbers; those of `cmath` make complex ones."""
    return [f for f in rules.functions(name) if getattr(f, "__module__", "") != "cmath"]


@functools.cache
def compiled(name: str) -> tuple[Callable[..., Any], list[Callable[..., Any]]]:
    """The function of that name and its derivative rules, as Numba compiles them."""
    return call(of_reals(name)[0]), [NUMPY(rule) for rule in plain(name)]


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


@functools.cache
def everything(name: str, spellings: int | None) -> tuple[Callable[..., Any], Any, list[str]]:
    """A compiled map of `name` over (x, y) in all forms, and which arguments each has active.

    The arguments are passed twice: x and y to differentiate by, c and d to hold constant.
    """
    functions = {f"f{k}": f for k, f in enumerate(of_reals(name)[:spellings])}
    forms = {"xy": "x[i], y[i]", "x": "x[i], d[i]", "y": "c[i], y[i]"}
    if is_unary(name):
        forms = {"x": "x[i]"}
    calls = [(f"o{k}", *call) for k, call in enumerate(itertools.product(functions, forms))]
    source = ["def everything(x, y, c, d):"]
    source += [f"    {out} = np.empty_like(x)" for out, *_ in calls]
    source += ["    for i in range(x.size):"]
    source += [f"        {out}[i] = {f}({forms[form]})" for out, f, form in calls]
    source += [f"    return ({', '.join(out for out, *_ in calls)},)"]
    namespace: dict[str, Any] = {"np": np, **functions}
    exec("\n".join(source), namespace)
    function = NUMPY(namespace["everything"])
    return function, dg.jvp(function), [form for *_, form in calls]


def is_unary(name: str) -> bool:
    return getattr(of_reals(name)[0], "nin", 1) == 1


def through_the_engine(
    name: str, inputs: Any, dtype: type = np.float64, spellings: int | None = None
) -> list[Any]:
    """For each argument the derivatives in all forms that have it active: forms by points.

    On the way: values are those of the function itself to the bit, tangents of their dtype,
    and a derivative by what the form holds constant is zero.
    """
    function, jvp, forms = everything(name, spellings)
    columns = [np.array(column) for column in zip(*inputs, strict=True)]
    columns = [c.astype(dtype) if c.dtype == np.float64 else c for c in columns]
    x, y = columns[0], columns[-1]
    values = function(x, y, x, y)
    result = []
    for k, letter in enumerate("xy"[: len(columns)]):
        if columns[k].dtype != dtype:  # nobody differentiates by an integer
            result.append([])
            continue
        tangents: list[Any] = [None] * 4
        for j, column in enumerate(columns):
            if column.dtype == dtype:
                tangents[j] = np.full_like(column, j == k)
        ours, slopes = jvp((x, y, x, y), tuple(tangents))
        for value, mine, form, slope in zip(values, ours, forms, slopes, strict=True):
            assert same(value, mine) and slope.dtype == dtype
            assert letter in form or (slope == 0).all()
        result.append([slope for form, slope in zip(forms, slopes, strict=True) if letter in form])
    return result


def same(a: Any, b: Any) -> bool:
    """Whether two arrays are equal in dtype, values and signs of zeros."""
    signs = [np.signbit(it)[~np.isnan(it)] for it in (a, b)]
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True) and np.array_equal(*signs)


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
        engine = through_the_engine(name, points(name))
        for i, point in enumerate(points(name)):
            args = [mp.mpf(x) for x in point]
            inputs = [np.float64(x) if isinstance(x, float) else x for x in point]
            ours = zip(derivatives(name, inputs), derivatives(name, inputs, True), strict=True)
            for k, (compiled_rule, python_rule) in enumerate(ours):
                results = [compiled_rule, python_rule, *(form[i] for form in engine[k])]
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


# The engine treats all functions alike: some will do for its precision.
IN_SINGLE = ("square", "sqrt", "exp", "log", "tan", "tanh", "gamma", "erf", "power", "hypot")


@pytest.mark.parametrize("name", RULES)
def test_float32(name: str) -> None:
    """In single precision a rule gives what it gives in double precision, rounded."""
    some = [p for p in points(name) if all(x == 0 or 1e-4 < abs(x) < 1e4 for x in p)]
    engine = None
    if name in IN_SINGLE:
        engine = through_the_engine(name, some, np.float32, spellings=1)
    for i, point in enumerate(some):
        single = [np.float32(x) if isinstance(x, float) else x for x in point]
        double = [np.float64(x) if isinstance(x, np.float32) else x for x in single]
        for k, expected in enumerate(np.float32(derivatives(name, double))):
            results = [np.float32(derivatives(name, single)[k])]
            results += [form[i] for form in engine[k]] if engine else []
            np.testing.assert_allclose(results, expected, rtol=1e-4, atol=1e-37, err_msg=str(point))


def all_at_once(calls: dict[str, Callable[..., Any]], arguments: str) -> Callable[..., Any]:
    """One compiled function of (t, x, y) that returns all the calls, as keys f0, f1, ..."""
    lines = [f"    r_{f} = {f}({arguments})" for f in calls]
    results = ", ".join(f"r_{f}" for f in calls)
    source = "\n".join(["def f(t, x, y):", *lines, f"    return ({results},)"])
    namespace: dict[str, Any] = dict(calls)
    exec(source, namespace)
    return NUMPY(namespace["f"])


@pytest.mark.parametrize("table", [rules.UNARY, rules.BINARY], ids=["unary", "binary"])
def test_second_derivative(table: dict[str, Any]) -> None:
    """Along the direction (1, 1), by nesting."""
    names = [name for name in table if name != "ldexp"]
    functions = {f"f_{name}": of_reals(name)[0] for name in names}
    unary = table is rules.UNARY
    f = all_at_once(functions, "x + t" if unary else "x + t, y + t")
    slopes, curvatures = dg.derivative(f), dg.derivative(dg.derivative(f))
    moderate = {n: {p for p in points(n) if all(0.05 < abs(x) < 40 for x in p)} for n in names}
    wanted = {n: {p for p in moderate[n] if n != "power" or p[0] > 0} for n in names}
    for point in sorted(set().union(*wanted.values())):
        ours = slopes(0.0, point[0], point[-1]), curvatures(0.0, point[0], point[-1])
        for name, *pair in zip(names, *ours, strict=True):
            if point in wanted[name]:
                with mp.workdps(200):
                    h = mp.mpf("1e-60")
                    moved = [[mp.mpf(x) + k * h for x in point] for k in (1, 0, -1)]
                    up, mid, down = (reference(name)(*args) for args in moved)
                    exact = float((up - down) / (2 * h)), float((up - 2 * mid + down) / h**2)
                message = f"{name} at {point}"
                np.testing.assert_allclose(pair, exact, rtol=1e-11, atol=1e-14, err_msg=message)


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
    inputs, expected = zip(*SINGULAR[name], strict=True)
    exact = zip(*expected, strict=True)
    for slopes, column in zip(through_the_engine(name, inputs), exact, strict=True):
        for form in slopes:
            np.testing.assert_allclose(form, column, rtol=1e-5, atol=TINY)


@pytest.mark.parametrize("name", rules.SELECT)
def test_select(name: str) -> None:
    """The condition holds where the function returns its first argument, ties included."""
    function, condition = call(of_reals(name)[0]), rules.selects(name)
    for selects in (condition, NUMPY(condition)):
        for x, y in itertools.product((-INF, -1.0, 0.0, 2.0, INF, NAN), repeat=2):
            np.testing.assert_equal(x if selects(x, y) else y, function(x, y))
            assert x != y or selects(x, y)
    inputs = [*itertools.product((-INF, -1.0, 0.0, 2.0, INF, NAN), repeat=2)]
    first = np.array([condition(x, y) for x, y in inputs])
    tie = np.array([x == y for x, y in inputs])
    in_x, in_y = through_the_engine(name, inputs)
    np.testing.assert_array_equal(in_x[0::2], [first] * len(in_x[0::2]))
    np.testing.assert_array_equal(in_x[1::2], [first & ~tie] * len(in_x[1::2]))
    np.testing.assert_array_equal(in_y, [~first] * len(in_y))


def test_piecewise_constant() -> None:
    """The derivative is zero, at the jumps and of what is no number, too."""
    every = [f for name in (*rules.CONSTANT, *rules.PREDICATE) for f in of_reals(name)]
    for arguments, unary in (("x + t", True), ("x + t, y - t", False)):
        arity = 1 if unary else 2
        calls = [f for f in every if getattr(f, "nin", 1) == arity]
        f = all_at_once({f"f{k}": call for k, call in enumerate(calls)}, arguments)
        transform = dg.value_and_derivative(f)
        special = (-INF, -2.0, -0.5, -0.0, 0.0, 0.3, 1.0, 2.5, INF, NAN)
        for point in itertools.product(special, repeat=arity):
            args = (0.0, point[0], point[-1])
            values, slopes = transform(*args)
            np.testing.assert_array_equal(values, f(*args))
            np.testing.assert_array_equal(slopes, 0)


# What the engine treats by itself, or integers only.
ELSEWHERE = {np.add, np.subtract, np.multiply, np.true_divide, np.divmod, math.frexp, math.gcd}


def test_nothing_is_missing() -> None:
    """The tables hold all that Numba has for floats, and nothing that it has not."""
    tables = (rules.UNARY, rules.BINARY, rules.SELECT, rules.CONSTANT, rules.PREDICATE)
    ours = {f for name in itertools.chain(*tables) for f in of_reals(name)}
    theirs = {f for f in supported_ufuncs if any("d" in loop[:2] for loop in get_ufunc_info(f))}
    theirs |= {f for f, _ in numba_math.globals if getattr(f, "__module__", None) == "math"}
    assert ours | ELSEWHERE == theirs
    assert sum(map(len, tables)) == len({*itertools.chain(*tables)})


@pytest.mark.parametrize("name", [*RULES, *rules.SELECT, *rules.CONSTANT, *rules.PREDICATE])
def test_all_spellings_agree(name: str) -> None:
    first, *others = of_reals(name)
    args = points(name)[4] if name in RULES else (1.25, 3.0)[: getattr(first, "nin", 2)]
    values = [call(f)(*args) for f in (first, *others)]
    np.testing.assert_array_equal(values, values[0])


def with_integers(x: Any) -> Any:
    y = x.copy()
    y *= 3
    y -= x // 2
    return 2 * x, x * x.size + 1, x / 3, y, np.hypot(x, 3), np.arctan2(2, x), (7 * x).sum()


def test_integers_leave_arrays_of_float32_as_they_are() -> None:
    for derivative in run(with_integers, np.array([0.3, 1.7, -2.6], np.float32))[:-1]:
        assert derivative.dtype == np.float32
