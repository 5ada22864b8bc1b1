"""Rules of `scipy.special`, against mpmath and against differences of SciPy's own values.

Numba learns the functions from `numba-scipy` if that is installed, and from this file if not: it
takes the addresses of the same C functions.
"""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import re
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special as sc
from numba import njit, types
from numba.extending import get_cython_function_address, overload
from scipy.special import cython_special

import dualgrad as dg
from dualgrad import special

NUMBERS = {
    "double": (types.float64, ctypes.c_double),
    "float": (types.float32, ctypes.c_float),
    "long": (types.int64, ctypes.c_long),
}


def kernels() -> dict[str, dict[tuple[types.Type, ...], Any]]:
    """The C functions of SciPy by name and types of arguments."""
    found: dict[str, dict[tuple[types.Type, ...], Any]] = {}
    for symbol, capsule in cython_special.__pyx_capi__.items():
        parts = re.search(r'"([^"(]+) \((.*)\)"', str(capsule))
        assert parts is not None
        names = [parts[1], *re.sub("(, )?int __pyx_skip_dispatch", "", parts[2]).split(", ")]
        if all(name in NUMBERS for name in names):
            address = get_cython_function_address("scipy.special.cython_special", symbol)
            function = ctypes.CFUNCTYPE(*(NUMBERS[name][1] for name in names))(address)
            arguments = tuple(NUMBERS[name][0] for name in names[1:])
            name = re.sub(r"^__pyx_fuse(_\d)*", "", symbol)
            found.setdefault(name, {})[arguments] = function
    return found


def teach(name: str, by_types: dict[tuple[types.Type, ...], Any]) -> None:
    """Let Numba compile calls of one function."""

    @overload(getattr(sc, name))
    def typer(*args):  # type: ignore[no-untyped-def]
        function = by_types.get(args)
        return None if function is None else lambda *args: function(*args)


if importlib.util.find_spec("numba_scipy") is None:
    for _name, _by_types in kernels().items():
        if hasattr(sc, _name):
            teach(_name, _by_types)


def arguments(call: str) -> tuple[str, list[str]]:
    name, _, parameters = call.rstrip(")").partition("(")
    return name, parameters.split(", ")


def points(call: str) -> list[list[float]]:
    """Places in the domain of a function."""
    name, parameters = arguments(call)
    rng = np.random.default_rng(1)
    places = []
    for trial in range(4):
        place = []
        for parameter in parameters:
            x = rng.uniform(0.1, 0.9)
            if name in ("log_ndtr", "ndtri_exp"):
                x = -rng.uniform(0.1, 3.0)
            elif name.endswith(("boxcox", "boxcox1p", "powm1")):
                x = rng.uniform(0.5, 2.0)
            elif parameter == "v":
                x = trial + 0.5
            elif parameter == "n" and name.startswith(("bdtr", "nbdtr")):
                x = 6.0
            elif parameter in "nk":
                x = (1.0, 3.0, 2.0, 4.0)[trial]
            elif parameter in "abc" and name != "owens_t":
                x = rng.uniform(0.6, 2.5)
            place.append(x)
        places.append(place)
    return places


def difference(name: str, place: list[float], k: int) -> float:
    """The derivative of SciPy's function by argument `k`, by extrapolated differences."""
    h = 1e-3 * max(abs(place[k]), 0.1)

    def slope(h: float) -> float:
        low, high = list(place), list(place)
        low[k] -= h
        high[k] += h
        return float(getattr(sc, name)(*high) - getattr(sc, name)(*low)) / (high[k] - low[k])

    row = [slope(h / 2**i) for i in range(4)]
    for order in range(1, 4):
        row = [b + (b - a) / (4**order - 1) for a, b in itertools.pairwise(row)]
    return row[0]


def function_of(call: str) -> Any:
    name, parameters = arguments(call)
    names = ", ".join(parameters)
    return eval(f"lambda {names}: sc.{name}({names})", {"sc": sc})


@pytest.mark.parametrize("call", special.RULES)
def test_rule_by_differences(call: str) -> None:
    name, parameters = arguments(call)
    active = tuple(k for k, it in enumerate(parameters) if it in special.RULES[call])
    f = function_of(call)
    primal = njit(f)
    transform = dg.value_and_derivative(f, argnums=active)
    for place in points(call):
        value, derivatives = transform(*place)
        assert value == primal(*place)
        for k, derivative in zip(active, derivatives, strict=True):
            expected = difference(name, place, k)
            assert abs(derivative - expected) <= 1e-7 * max(1.0, abs(expected))


#: functions of one number in mpmath, and where a formula could lose digits
EXACT = [
    ("erfcx(x)", lambda x: mpmath.exp(x * x) * mpmath.erfc(x), [-3.0, 0.0, 9.9, 10.1, 50.0, 1e4]),
    ("erfi(x)", mpmath.erfi, [-2.0, 0.0, 3.0]),
    ("erfinv(x)", mpmath.erfinv, [-0.999, 0.0, 0.9]),
    ("dawsn(x)", lambda x: mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(-x * x) * mpmath.erfi(x),
     [0.0, -3.0, 9.9, 10.1, 20.0]),
    ("log_ndtr(x)", lambda x: mpmath.log(mpmath.erfc(-x / mpmath.sqrt(2)) / 2),
     [-100.0, -5.0, 0.0, 8.0]),
    ("gammaln(x)", mpmath.loggamma, [0.01, 1.0, 2.0, 170.0]),
    ("rgamma(x)", mpmath.rgamma, [-3.0, -2.5, 0.0, -1.0 + 1e-9, 1.0, 5.5]),
    ("psi(x)", lambda x: mpmath.psi(0, x), [-2.5, 0.1, 1.0, 9.9, 50.0]),
    ("ellipk(m)", mpmath.ellipk, [-2.0, 0.0, 1e-12, 0.24, 0.26, 0.999]),
    ("ellipkm1(p)", lambda p: mpmath.ellipk(1 - p), [1e-12, 0.3, 0.9, 1.0]),
    ("ellipe(m)", mpmath.ellipe, [-2.0, 0.0, 1e-12, 0.24, 0.26, 0.999]),
    ("spence(x)", lambda x: mpmath.polylog(2, 1 - x), [0.5, 0.95, 1.0 + 1e-9, 1.08, 1.5]),
    ("exprel(x)", lambda x: mpmath.expm1(x) / x if x else mpmath.mpf(1),
     [-30.0, -1.01, -0.99, 1e-9, 0.99, 1.01, 20.0]),
    ("expit(x)", lambda x: 1 / (1 + mpmath.exp(-x)), [-700.0, 0.0, 40.0]),
    ("log_expit(x)", lambda x: -mpmath.log1p(mpmath.exp(-x)), [-40.0, 0.0, 40.0]),
    ("j1(x)", lambda x: mpmath.besselj(1, x), [0.0, 1e-6, 2.0, 30.0]),
    ("i1(x)", lambda x: mpmath.besseli(1, x), [-1.0, 0.0, 5.0]),
    ("k0e(x)", lambda x: mpmath.exp(x) * mpmath.besselk(0, x), [0.1, 3.0, 20.0]),
    ("expi(x)", mpmath.ei, [-3.0, 0.1, 5.0]),
    ("wrightomega(x)", lambda x: mpmath.lambertw(mpmath.exp(x)), [-3.0, 0.0, 4.0]),
    ("cosm1(x)", lambda x: mpmath.cos(x) - 1, [-1.0, 1e-9, 3.0]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "exact", "places"), EXACT, ids=lambda it: str(it)[:12])
def test_rule_by_mpmath(call: str, exact: Any, places: list[float]) -> None:
    derivative = dg.derivative(function_of(call))
    with mpmath.workdps(60):
        for x in places:
            expected = float(mpmath.re(mpmath.diff(exact, mpmath.mpf(x))))
            np.testing.assert_allclose(derivative(x), expected, rtol=2e-13, atol=1e-300)


SECOND = [
    ("jv(v, x)", 1, (1.5, 0.7)), ("gammainc(a, x)", 1, (2.3, 1.1)), ("psi(x)", 0, (0.4,)),
    ("ellipk(m)", 0, (0.1,)), ("ellipe(m)", 0, (0.6,)), ("spence(x)", 0, (1.0,)),
    ("dawsn(x)", 0, (12.0,)), ("xlogy(x, t)", 1, (0.3, 2.0)), ("exprel(x)", 0, (0.0,)),
    ("betainc(a, b, x)", 2, (1.5, 2.5, 0.4)), ("eval_legendre(n, x)", 1, (3.0, 0.4)),
    ("hyp2f1(a, b, c, x)", 3, (0.5, 1.5, 2.5, 0.3)), ("kv(v, x)", 1, (0.5, 1.2)),
]  # fmt: skip


@pytest.mark.parametrize(("call", "k", "place"), SECOND, ids=lambda it: str(it)[:12])
def test_second_derivative(call: str, k: int, place: tuple[float, ...]) -> None:
    first = dg.derivative(function_of(call), argnums=k)
    second = dg.derivative(first, argnums=k)
    low, high = list(place), list(place)
    h = 1e-4 * max(abs(place[k]), 0.1)
    low[k], high[k] = low[k] - h, high[k] + h
    expected = (first(*high) - first(*low)) / (2 * h)
    np.testing.assert_allclose(second(*place), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("f", "names"),
    [
        (lambda x: sc.jv(x, 2.0), r"scipy.special.jv(.|\n)* by v (.|\n)*custom_jvp"),
        (lambda x: sc.agm(x, 2.0), r"agm(.|\n)*custom_jvp"),
        (lambda x: sc.gammainc(x, x), r"scipy.special.gammainc(.|\n)* by a "),
    ],
)
def test_without_a_rule_is_refused(f: Any, names: str) -> None:
    with pytest.raises(dg.NotDifferentiable, match=names):
        dg.derivative(f)(1.5)


def test_float32() -> None:
    value, derivative = dg.value_and_derivative(lambda x: sc.expit(x))(np.float32(0.5))
    assert derivative.dtype == np.float32 if hasattr(derivative, "dtype") else True
    np.testing.assert_allclose(derivative, value * (1 - value), rtol=1e-6)


def test_import_stays_light() -> None:
    import subprocess
    import sys

    code = "import sys, dualgrad; print('scipy.special' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
