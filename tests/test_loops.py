"""`@guvectorize` and `@stencil` functions in differentiated ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import float64, guvectorize, int64, njit, stencil, vectorize

import dualgrad as dg
from tests import differences

X = np.linspace(0.5, 2.0, 9) ** 2
M = np.arange(12.0).reshape(2, 2, 3)
V = np.array([0.5, -1.0, 2.0])


@njit
def product(a, b):
    buffer = np.zeros(2)
    buffer[0] = a * b
    return buffer.sum()


@guvectorize([(float64[:], float64[:, :], float64, float64[:])], "(n),(m,n),()->(m)")
def scaled(x, a, s, out):
    for i in range(a.shape[0]):
        out[i] = 0.0
        for j in range(x.size):
            out[i] += a[i, j] * product(x[j], x[j]) / s


@guvectorize("(n)->()")
def squares(x, out):
    total = 0.0
    for v in x:
        total += v * v
    out[0] = total


@guvectorize("(n)->(n),()")
def twice(x, out, total):
    total[0] = 0.0
    for i in range(x.size):
        out[i] = 2.0 * x[i]
        total[0] += x[i] ** 3


@guvectorize([(int64, float64[:], float64[:])], "(),(n)->(n)", writable_args=("x",))
def writes_its_input(k, x, out):
    for i in range(x.size):
        out[i] = x[i] ** k
        x[i] = 1.0 / x[i]


def gufunc_of_vectors(x):
    out = np.empty(2)
    scaled(x[:3], M[0], 2, out)
    return out


def gufunc_broadcast(x):
    out = np.empty((3, 2))
    scaled(x.reshape(3, 3), M[1], x[0], out)
    return out


def gufunc_over_two_dimensions(x):
    rows = np.stack((x[:3], x[3:6], x[6:], x[:3] * x[6:])).reshape(2, 2, 3)
    out = np.empty((2, 2, 2))
    scaled(rows, M[0], x[:4].reshape(2, 2), out)
    return out


def gufunc_of_slices(x):
    out = np.zeros((2, 6))
    scaled(x.reshape(3, 3).T[:2], M[:, ::-1, ::-1], np.ones(2), out[:, ::3])
    return out


def gufunc_to_number(x):
    out = np.zeros(())
    squares(x, out)
    return out[()] * x[0]


def gufunc_to_numbers(x):
    out = np.zeros((3, 1))
    squares(x.reshape(3, 1, 3), out)
    return out


def gufunc_with_two_outputs(x):
    out, total = np.zeros((3, 3)), np.zeros(3)
    twice(x.reshape(3, 3), out, total)
    return out * total


def gufunc_that_writes(x):
    y, out = x * x, np.zeros_like(x)
    writes_its_input(3, y, out)
    return y * out


def gufunc_in_place(x):
    y, total = x * 1.0, np.zeros(())
    twice(y, y, total)
    return y * total[()]


def gufunc_of_constants(x):
    out = np.zeros(2)
    scaled(V, M[0], 2.0, out)
    return out * x[0]


@stencil
def neighbours(a):
    return a[-1] * a[1] + a[0]


@stencil(cval=2.5)
def corners(a):
    return a[-1, 0] * a[0, 1] + a[1, -1]


@stencil(neighborhood=((-2, 1),))
def window(a):
    total = 0.0
    for i in range(-2, 2):
        total += product(a[i], a[i])
    return total


@stencil(neighborhood=((-1, 1),))
def sliced(a):
    return np.sum(a[-1:2]) * a[0]


@stencil(neighborhood=((-1, 1), (0, 1)), cval=-1.0)
def block(a):
    if a[0, 0] > 1.0:
        return a[0, 1] * a[0, 1]
    b = a
    return np.max(b[-1:2, 0:2]) * b[0, 0]


@stencil(standard_indexing=("w",))
def weighted(a, w):
    return a[-1] * w[0] + a[1] * w[1]


@stencil
def two_arrays(a, b):
    return a[-1] * b[1] + a.shape[0]


@stencil
def forward(a):
    return a[1] * a[2]


def stencil_of_one_dimension(x):
    return neighbours(x)


def stencil_of_two_dimensions(x):
    return corners(x.reshape(3, 3))


def stencil_with_window(x):
    return window(x)


def stencil_with_slices(x):
    return sliced(x)


def stencil_with_block(x):
    return block(x.reshape(3, 3))


def stencil_with_weights(x):
    return weighted(x, x * x)


def stencil_of_constants(x):
    return weighted(x, V) * neighbours(X)


def stencil_of_two_arrays(x):
    return two_arrays(x, np.append(x, x[0])) + two_arrays(X, x)


def stencil_with_out(x):
    out = np.ones(x.size)
    neighbours(x, out=out)
    return out * out


def stencil_with_out_and_cval(x):
    out = np.ones((3, 3))
    return corners(x.reshape(3, 3), out=out) + out


def stencil_of_the_other_order(x):
    return corners(np.asfortranarray(x.reshape(3, 3)))


def stencil_written_inside(x):
    return stencil(lambda a: a[-1] * a[1] + a[0])(x)


def stencil_one_sided(x):
    return forward(x)


def stencil_twice(x):
    return neighbours(neighbours(x))


FUNCTIONS = [
    gufunc_of_vectors, gufunc_broadcast, gufunc_over_two_dimensions, gufunc_of_slices,
    gufunc_to_number, gufunc_to_numbers, gufunc_with_two_outputs, gufunc_that_writes,
    gufunc_in_place, gufunc_of_constants, stencil_of_one_dimension, stencil_of_two_dimensions,
    stencil_with_window, stencil_with_slices, stencil_with_block, stencil_with_weights,
    stencil_of_constants, stencil_of_two_arrays, stencil_with_out, stencil_with_out_and_cval,
    stencil_of_the_other_order, stencil_written_inside, stencil_one_sided, stencil_twice,
]  # fmt: skip


@pytest.mark.parametrize("f", FUNCTIONS)
def test_loops_of_numba(f: Callable[..., Any]) -> None:
    primal = njit(f)
    expected, error = differences.jacobian(primal, X)
    transform = dg.value_and_grad if f is gufunc_to_number else dg.value_and_jacobian
    value, derivative = transform(f, chunk=4)(X)
    np.testing.assert_array_equal(value, primal(X))
    assert np.abs(expected).max() > 0.1
    assert np.all(np.abs(derivative - expected) <= 10 * error + 1e-9 * np.abs(expected))


def test_second_derivative() -> None:
    @njit
    def f(x):
        out = np.zeros(())
        squares(neighbours(x), out)
        return out[()]

    hessian = dg.jacobian(dg.grad(f, chunk=4), chunk=4)(X)
    expected, error = differences.jacobian(dg.grad(f, chunk=4), X)
    assert np.all(np.abs(hessian - expected) <= 10 * error + 1e-9)


def wrong_loop(x):
    out = np.zeros((2, 2))
    scaled(x.reshape(3, 3), M[0], 1.0, out)
    return out


def too_small(x):
    return two_arrays(x, x[1:])


@pytest.mark.parametrize("f", [wrong_loop, too_small])
def test_errors_are_those_of_numba(f: Callable[..., Any]) -> None:
    with pytest.raises(ValueError) as by_numba:
        njit(f)(X)
    with pytest.raises(ValueError) as by_dualgrad:
        dg.jacobian(f, chunk=4)(X)
    assert str(by_dualgrad.value) == str(by_numba.value)


def test_mismatch_of_core_dimensions_of_equal_signature() -> None:
    @guvectorize([(float64[:], float64[:], float64[:])], "(n),(n)->()")
    def dot(x, y, out):
        out[0] = 0.0
        for i in range(x.size):
            out[0] += x[i] * y[i]

    def f(x, y):
        out = np.zeros(())
        dot(x, y, out)
        return out[()]

    np.testing.assert_allclose(dg.grad(f, chunk=4)(X, X), X, rtol=1e-15)
    with pytest.raises(ValueError, match="core dimensions"):
        dg.grad(f, chunk=4)(X, X[1:])


def test_fastmath_is_kept() -> None:
    @vectorize(fastmath=True)
    def by_item(x):
        return (x + 1e16) - 1e16

    @guvectorize([(float64[:], float64[:])], "(n)->(n)", fastmath=True)
    def by_row(x, out):
        for i in range(x.size):
            out[i] = (x[i] + 1e16) - 1e16

    @njit
    def f(x):
        out = np.empty_like(x)
        by_row(x, out)
        return by_item(x), out

    values, _ = dg.value_and_jacobian(f, chunk=4)(X)
    for value, expected in zip(values, f(X), strict=True):
        np.testing.assert_array_equal(value, expected)
