"""C callbacks: `cfunc` of a transform, and transforms in callbacks of one's own."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from numba import njit
from scipy import LowLevelCallable, integrate

import dualgrad as dg

POINTER = ctypes.POINTER(ctypes.c_double)


def pointer(x: np.ndarray) -> Any:
    return x.ctypes.data_as(POINTER)


@njit
def bump(x):
    return math.exp(-x * x) * math.sin(3.0 * x)


@njit
def rosenbrock(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


@njit
def circle_and_cubic(x):
    return np.array([x[0] ** 2 + x[1] ** 2 - 4.0, x[1] - x[0] ** 3])


X, V = np.array([1.5, 2.0]), np.array([1.0, -3.0])
# of rosenbrock, by hand
VALUE = 0.25 + 100 * 0.0625
GRADIENT = [-2 * (1 - 1.5) - 400 * 1.5 * (2 - 2.25), 200 * (2 - 2.25)]
HESSIAN = np.array([[2 - 400 * (2 - 2.25) + 800 * 2.25, -600], [-600, 200]])


def test_quadrature_of_a_derivative() -> None:
    callback = dg.derivative(bump).cfunc("float64(float64)")
    integral, error = integrate.quad(LowLevelCallable(callback.ctypes), -0.5, 1.25)
    assert error < 1e-8
    assert integral == pytest.approx(bump(1.25) - bump(-0.5), rel=1e-14)


def test_it_is_what_numba_makes() -> None:
    transform = dg.derivative(bump)
    callback = transform.cfunc("float64(float64)")
    assert callback is transform.cfunc("float64(float64)")
    assert callback.address == ctypes.cast(callback.ctypes, ctypes.c_void_p).value
    assert callback.native_name.startswith("cfunc")
    assert callback(0.5) == callback.ctypes(0.5) == transform(0.5)
    second = dg.derivative(transform).cfunc(numba.float64(numba.float64))
    assert second.ctypes(0.5) == dg.derivative(transform)(0.5)


@pytest.mark.parametrize(
    "make, signature, shapes, args, expected",
    [
        (dg.grad, "void(CPointer(float64), CPointer(float64))", ((2,), (2,)), [X], GRADIENT),
        (dg.hessian, "void(CPointer(float64), CPointer(float64))", ((2,), (2, 2)), [X], HESSIAN),
        (
            dg.hvp, "void(CPointer(float64), CPointer(float64), CPointer(float64))",
            ((2,), (2,), (2,)), [X, V], HESSIAN @ V,
        ),
        (
            dg.value_and_grad, "float64(CPointer(float64), CPointer(float64))", ((2,), (2,)), [X],
            GRADIENT,
        ),
    ],
)  # fmt: skip
def test_arrays(
    make: Callable[..., Any], signature: str, shapes: Any, args: list[Any], expected: Any
) -> None:
    callback = make(rosenbrock).cfunc(signature, shapes)
    out = np.full(np.shape(expected), np.nan)
    value = callback.ctypes(*map(pointer, args), pointer(out))
    np.testing.assert_allclose(out, expected, rtol=1e-15)
    assert value == (VALUE if make is dg.value_and_grad else None)


def test_numbers() -> None:
    callback = dg.hvp(bump).cfunc("float64(float64, float64)")
    assert callback.ctypes(0.5, 2.0) == dg.hvp(bump)((0.5,), (2.0,))

    def power(x, n=2, scale=1.0):
        return scale * x**n

    assert dg.derivative(power).cfunc("float64(float64)").ctypes(3.0) == 6.0
    cube = dg.derivative(power).cfunc("float64(float64, int32, float64)")
    assert cube.ctypes(2.0, 3, 0.5) == 6.0
    assert dg.derivative(power).cfunc("float32(float32)").ctypes(3.0) == 6.0


@pytest.mark.parametrize(
    "transform, signature, shapes, message",
    [
        (dg.derivative(bump), "int64(float64)", (), "float64, which a C function cannot return"),
        (dg.derivative(bump), "void(float64)", (), "cannot return as none"),
        (dg.derivative(bump), "(float64,)", (), "lacks the type"),
        (dg.derivative(bump), "float64(float64, float64, float64)", (), "too many positional"),
        (dg.value_and_derivative(bump), "float64(float64)", (), "write a function for numba.cfunc"),
        (dg.jvp(bump), "float64(float64, float64)", (), "write a function for numba.cfunc"),
        (dg.grad(rosenbrock), "void(CPointer(float64))", (), "1 pointers and shapes has 0"),
        (dg.grad(rosenbrock), "float64(CPointer(float64))", ((2,),), "a pointer after"),
    ],
)
def test_refused(transform: Any, signature: str, shapes: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        transform.cfunc(signature, shapes)


def test_a_function_without_a_derivative_is_refused_when_it_is_made() -> None:
    with pytest.raises(dg.NotDifferentiable, match="no_such_function"):
        dg.derivative(lambda x: no_such_function(x)).cfunc("float64(float64)")  # noqa: F821


gradient = dg.grad(rosenbrock)


@numba.cfunc("float64(intc, CPointer(float64), CPointer(float64))")
def of_any_size(n, x, out):
    gradient(numba.carray(x, n), out=numba.carray(out, n))
    return rosenbrock(numba.carray(x, n))


def test_in_a_callback_of_ones_own() -> None:
    out = np.empty(2)
    assert of_any_size.ctypes(2, pointer(X), pointer(out)) == VALUE
    np.testing.assert_allclose(out, GRADIENT, rtol=1e-15)


SOLVERS = r"""
#include <math.h>

double newton(double (*f)(double), double (*df)(double), double x) {
    for (int i = 0; i < 50; i++) {
        double step = f(x) / df(x);
        x -= step;
        if (fabs(step) <= 1e-16 * fabs(x)) break;
    }
    return x;
}

void newton2(void (*f)(double *, double *), void (*jac)(double *, double *), double *x) {
    double y[2], j[4];
    for (int i = 0; i < 50; i++) {
        f(x, y);
        jac(x, j);
        double det = j[0] * j[3] - j[1] * j[2];
        x[0] -= (j[3] * y[0] - j[1] * y[1]) / det;
        x[1] -= (j[0] * y[1] - j[2] * y[0]) / det;
    }
}
"""


@pytest.fixture(scope="module")
def solvers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    directory = tmp_path_factory.mktemp("solvers")
    source, library = directory / "solvers.c", directory / "solvers.so"
    source.write_text(SOLVERS)
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-lm"], check=True)
    return ctypes.CDLL(str(library))


def test_newton_s_method_in_c(solvers: Any) -> None:
    kepler = njit(lambda e: e - 0.3 * math.sin(e) - 1.0)
    value = numba.cfunc("float64(float64)")(kepler.py_func)
    slope = dg.derivative(kepler).cfunc("float64(float64)")
    solvers.newton.restype = ctypes.c_double
    solvers.newton.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_double]
    root = solvers.newton(value.address, slope.address, 1.0)
    assert root - 0.3 * math.sin(root) == pytest.approx(1.0, rel=1e-15)


@numba.cfunc("void(CPointer(float64), CPointer(float64))")
def circle_and_cubic_in_c(x, y):
    numba.carray(y, 2)[:] = circle_and_cubic(numba.carray(x, 2))


def test_newton_s_method_in_c_for_a_system(solvers: Any) -> None:
    jacobian = dg.jacobian(circle_and_cubic).cfunc(
        "void(CPointer(float64), CPointer(float64))", shapes=((2,), (2, 2))
    )
    x = np.array([1.0, 1.0])
    solvers.newton2.argtypes = [ctypes.c_void_p, ctypes.c_void_p, POINTER]
    solvers.newton2.restype = None
    solvers.newton2(circle_and_cubic_in_c.address, jacobian.address, pointer(x))
    np.testing.assert_allclose(circle_and_cubic(x), 0.0, atol=1e-14)


def test_an_exception_is_reported_and_the_result_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    @njit
    def picky(x):
        if x > 1.0:
            raise ValueError("too large for me")
        return x * x

    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda it: reported.append(repr(it.exc_value)))
    callback = dg.derivative(picky).cfunc("float64(float64)")
    assert callback.ctypes(0.5) == 1.0
    assert not reported
    assert callback.ctypes(2.0) == 0.0
    assert reported == ["ValueError('too large for me')"]
