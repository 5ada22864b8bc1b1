"""Functions of vectors: taken where the original allows approximations, close, and nowhere else."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from typing import Any

import mpmath
import numpy as np
import pytest
from numba import njit

import dualgrad as dg
from dualgrad import vectormath
from dualgrad.transforms import batch_columns
from tests.complexstep import jacobians

needed = pytest.mark.skipif(not vectormath.version(), reason="the C library has no libmvec")
X = np.linspace(0.05, 0.95, 29)  # whole vectors, and some points more


def all_of_them(x):
    """Every function of one number, and those of two, of numbers in their domains."""
    return (
        math.acos(x), math.acosh(1 + x), math.asin(x), math.asinh(x), math.atan(x), math.atanh(x),
        math.cos(x), math.cosh(x), math.erf(x), math.erfc(x), np.exp(x), np.exp2(x),
        np.expm1(x), np.log(x), np.log10(x), np.log1p(x), np.log2(x), np.sin(x), np.sinh(x),
        np.tan(x), np.tanh(x), math.atan2(x, 0.3), np.hypot(x, 0.7), x**1.7,
    )  # fmt: skip


def by_mpmath(x: Any) -> Any:
    """The same at 50 digits."""
    m = mpmath
    return (
        m.acos(x), m.acosh(1 + x), m.asin(x), m.asinh(x), m.atan(x), m.atanh(x),
        m.cos(x), m.cosh(x), m.erf(x), m.erfc(x), m.exp(x), m.mpf(2) ** x,
        m.expm1(x), m.log(x), m.log10(x), m.log1p(x), m.log(x, 2), m.sin(x), m.sinh(x),
        m.tan(x), m.tanh(x), m.atan2(x, m.mpf(0.3)), m.hypot(x, m.mpf(0.7)), x ** m.mpf(1.7),
    )  # fmt: skip


@needed
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_function(dtype):
    mapped = dg.vmap(dg.value_and_derivative(njit(fastmath=True)(all_of_them)))
    x = X.astype(dtype)
    values, slopes = mapped(x)
    llvm = mapped.inspect_llvm(mapped.signatures[0])
    if dtype == np.float64:  # of others Numba computes some in double precision
        for name in vectormath.UNARY + vectormath.BINARY:
            assert f"_{name}(<" in llvm, name
    rtol = 16 * np.finfo(dtype).eps
    with mpmath.workdps(50):
        points = [mpmath.mpf(float(it)) for it in x]
        for k, (value, slope) in enumerate(zip(values, slopes, strict=True)):
            wanted = [by_mpmath(it)[k] for it in points]
            np.testing.assert_allclose(value, np.array(wanted, float), rtol, rtol)
            wanted = [mpmath.diff(lambda z, k=k: by_mpmath(z)[k], it) for it in points]
            np.testing.assert_allclose(slope, np.array(wanted, float), 4 * rtol, rtol)


@needed
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_at_the_ends_of_the_domains(dtype):
    """The one flag `afn` promises infinities and nan where the exact function has them."""
    ends = [0.0, 5e-324, 1e-310, 0.5, 1.0, 2.0, 88.8, 709.9, 745.2, 3e5, 1e22, 1e308, np.inf]
    ends += [np.nan]
    x = np.resize([sign * end for end in ends for sign in (1, -1)], 64).astype(dtype)
    flags = ({"error_model": "numpy"}, {"error_model": "numpy", "fastmath": {"afn"}})
    exact, close = (dg.vmap(dg.value_and_derivative(njit(**it)(all_of_them)))(x) for it in flags)
    rtol = 32 * np.finfo(dtype).eps
    for wanted, found in zip(exact, close, strict=True):
        for k, (want, got) in enumerate(zip(wanted, found, strict=True)):
            np.testing.assert_allclose(got, want, rtol, 0.0, err_msg=str(k))


def wave(x):
    return np.exp(-x * x) * np.sin(3.0 * x) / (1.0 + np.tanh(x))


@needed
@pytest.mark.parametrize("flags", [True, {"afn"}, {"nnan", "afn"}])
def test_loops_over_duals(flags):
    """A product with a vector, by vectors; the helper has no flags of its own."""
    helper = njit(wave)

    @njit(fastmath=flags, error_model="numpy")
    def waves(x):
        out = np.empty_like(x)
        for i in range(x.size):
            out[i] = np.exp(x[i]) * helper(x[i])
        return out

    product = dg.jvp(waves)
    value, slope = product((X,), (np.ones_like(X),))
    llvm = product.inspect_llvm(product.signatures[0])
    assert "_exp(<" in llvm
    with mpmath.workdps(50):

        def exactly(x):
            bump = mpmath.exp(-x * x) * mpmath.sin(3 * x) / (1 + mpmath.tanh(x))
            return mpmath.exp(x) * bump

        wanted = np.array([exactly(mpmath.mpf(it)) for it in X], float)
        slopes = np.array([mpmath.diff(exactly, mpmath.mpf(it)) for it in X], float)
    np.testing.assert_allclose(value, wanted, rtol=1e-14)
    np.testing.assert_allclose(slope, slopes, rtol=1e-13, atol=1e-14)


@needed
def test_from_disk(tmp_path):
    """Another process finds the functions that the code calls."""
    lines = [
        "import numpy as np, dualgrad as dg",
        "from numba import njit",
        "f = njit(fastmath=True)(lambda x: np.exp(np.sin(x)))",
        "print(dg.vmap(dg.derivative(f))(np.linspace(0.1, 0.9, 33)).tolist())",
    ]
    command = [sys.executable, "-c", "\n".join(lines)]
    variables = {**os.environ, "DUALGRAD_CACHE_DIR": str(tmp_path)}
    printed = [subprocess.check_output(command, env=variables) for _ in range(2)]
    assert printed[0] == printed[1]
    assert b"_ZGV" in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_helpers_take_the_flags_of_their_caller():
    """As Numba has it, but whoever else calls them has them without."""
    helper = njit(wave)

    def product(x):
        return x * helper(x)

    for flags in (True, False):
        mapped = dg.vmap(dg.derivative(njit(fastmath=flags)(product)))
        mapped(X)
        found = "_ZGV" in mapped.inspect_llvm(mapped.signatures[0])
        assert found == (flags and bool(vectormath.version()))


def test_not_without_leave():
    """To the last bit where nothing is allowed, even after the same with leave."""
    for flags in (True, False, {"contract", "nnan"}):
        f = njit(fastmath=flags)(wave)
        mapped = dg.vmap(dg.value_and_derivative(f))
        values, _ = mapped(X)
        assert ("_ZGV" in mapped.inspect_llvm(mapped.signatures[0])) == (
            flags is True and bool(vectormath.version())
        )
        if flags is False:
            np.testing.assert_array_equal(values, [f(x) for x in X])


@needed
@pytest.mark.parametrize("place", ["active", "constant", "helper"])
def test_functions_that_numba_compiles_once(place):
    """It keeps its own code for `hypot` and integer powers, whatever the flags of the first are."""

    @njit
    def helper(x):
        return math.hypot(x, 1.2) ** 3

    def f(x, c):
        if place == "active":
            return math.hypot(x, c) ** 3
        if place == "constant":
            return x * math.hypot(c, 1.5) ** 3
        return c * helper(x)

    for flags in (False, True):
        original = njit(fastmath=flags)(f)
        mapped = dg.vmap(dg.value_and_derivative(original), in_axes=(0, 0))
        values, _ = mapped(X, X)
        assert ("_hypot(<" in mapped.inspect_llvm(mapped.signatures[0])) == flags
        if not flags:
            np.testing.assert_array_equal(values, [original(x, x) for x in X])


P, T = np.array([1.5, 0.3, 2.0, 0.5]), np.linspace(0.0, 3.0, 203)


def squares(p, t):
    residual = np.cos(t) - p[0] * np.exp(-p[1] * t) * np.cos(p[2] * t + p[3])
    return np.sum(residual**2)


def squares_in_a_loop(p, t):
    total = 0.0
    for i in range(t.size):
        model = p[0] * np.exp(-p[1] * t[i]) * np.cos(p[2] * t[i] + p[3])
        total += (np.cos(t[i]) - model) ** 2
    return total


def model(p, t):
    return p[0] * np.exp(-p[1] * t) * np.cos(p[2] * t + p[3])


def recurrence(p, t):
    """Each turn needs the one before."""
    total = p[0]
    for i in range(t.size):
        total = p[1] * np.sin(total) + p[2] * t[i] - p[3]
    return total


FLAGS = [True, {"reassoc", "afn"}, {"reassoc"}, {"afn"}, False]


@pytest.mark.optimized
@pytest.mark.parametrize("flags", FLAGS, ids=["fast", "both", "reassoc", "afn", "exact"])
@pytest.mark.parametrize("f", [squares, squares_in_a_loop, model, recurrence])
def test_few_parameters(f, flags):
    """Terms are in vectors where they may be added in another order, and LLVM can."""
    is_number = f is not model
    transform = dg.value_and_grad if is_number else dg.value_and_jacobian
    of_fast, of_usual = (transform(njit(fastmath=it)(f), cache=False) for it in (flags, False))
    value, slopes = of_fast(P, T)
    [expected] = jacobians(f, P, T)
    np.testing.assert_allclose(value, f(P, T), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(slopes, expected, rtol=1e-11, atol=1e-12)
    llvm = of_fast.inspect_llvm(of_fast.signatures[0])
    if vectormath.version() and flags != {"reassoc"}:  # with which LLVM may do as it likes
        wanted = flags in (True, {"reassoc", "afn"}) and f is not recurrence
        assert ("point_28" in llvm, bool(re.search("call.* @_ZGV", llvm))) == (wanted, wanted)
    many = np.concatenate([P, P])
    np.testing.assert_allclose(of_fast(many, T)[1], of_usual(many, T)[1], rtol=1e-11, atol=1e-12)


def test_few_parameters_by_other_transforms():
    f = njit(fastmath=True)(squares)
    first, v = dg.grad(f)(P, T), np.array([1.0, -0.5, 0.2, 0.1])
    np.testing.assert_allclose(dg.jvp(f)((P, T), (v, None))[1], first @ v, rtol=1e-12)
    np.testing.assert_allclose(dg.grad(f, parallel=True)(P, T), first, rtol=1e-12)
    nested = dg.jacobian(dg.grad(f))(P, T)
    np.testing.assert_allclose(nested, dg.hessian(njit(squares))(P, T), rtol=1e-10, atol=1e-10)
    by_numbers = njit(fastmath=True)(lambda a, b, t: np.sum(a * np.exp(-b * t)))
    found = dg.grad(by_numbers, argnums=(0, 1))(1.5, 0.3, T)
    e = np.exp(-0.3 * T)
    np.testing.assert_allclose(found, [e.sum(), (-1.5 * T * e).sum()], rtol=1e-12)


def test_nothing_is_tried_without_loops(monkeypatch):
    """Or each function of numbers would be compiled twice."""

    @njit(fastmath=True)
    def f(p):
        return np.exp(p[0]) * np.array([p[1], p[2]])[0]

    looked = []
    monkeypatch.setattr(batch_columns, "in_vectors", lambda kernel: looked.append(kernel))
    np.testing.assert_allclose(dg.grad(f, cache=False)(np.ones(3)), [np.e, np.e, 0.0])
    assert not looked
    helper = njit(lambda p: np.sum(p))
    dg.grad(njit(fastmath=True)(lambda p: helper(2.0 * p)), cache=False)(np.ones(3))
    assert len(looked) == 1
