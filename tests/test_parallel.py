"""`prange` and `parallel=True` in differentiated functions: they run one after another there."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba as nb
import numpy as np
import pytest
from numba import njit, prange

import dualgrad as dg
from tests import differences

X = np.array([1.5, 0.5, 2.0, -0.7, 1.1])


@njit(parallel=True)
def sum_reduction(x):
    s = 0.0
    for i in prange(x.size):
        s += x[i] * x[i] * i
    return s * np.ones(1)


@njit(parallel=True)
def product_reduction(x):
    s = 1.0
    for i in prange(x.size):
        s *= x[i] + 2.0
    return s * np.ones(1)


@njit(parallel=True)
def largest_reduction(x):
    largest, least = -np.inf, np.inf
    for i in prange(x.size):
        largest = max(largest, x[i] * x[i])
        least = min(least, x[i] * x[i])
    return largest * np.ones(1) + least


@njit(parallel=True)
def array_reduction(x):
    s = np.zeros(3)
    for i in prange(x.size):
        s += np.array([1.0, x[i], x[i] * x[i]]) * i
    return s


@njit(parallel=True)
def slice_reduction(x):
    s = np.zeros((2, x.size))
    for i in prange(x.size):
        s[:, i] += x[i] * x
    return s[0, :3] * s[1, :3]


@njit(parallel=True)
def scattered(x):
    out = np.empty((x.size, x.size))
    for i in prange(x.size):
        for j in range(x.size):
            out[i, j] = x[i] * np.sin(x[j])
    return out


@njit(parallel=True)
def nested_prange(x):
    out = np.zeros((x.size, 3))
    for i in prange(x.size):
        for j in prange(3):
            out[i, j] = x[i] ** (j + 1)
    return out


@njit(parallel=True)
def private_buffer(x):
    out = np.zeros(x.size)
    for i in prange(x.size):
        buffer = np.zeros(2)
        buffer[0] = x[i]
        buffer[1] = x[(i + 1) % x.size]
        out[i] = buffer[0] * buffer[1]
    return out


@njit(parallel=True)
def expressions(x):
    y = np.exp(x) * x + np.sum(x * x)
    return np.where(y > 3.0, y, x * y) / np.max(y)


@njit(parallel=True)
def filled(x):
    y = np.zeros(x.size)
    y[:] = x * x
    y[x > 1.0] = x[0]
    y += np.ones(x.size) * np.mean(x) + np.arange(x.size) * np.var(x)
    return y


@njit(parallel=True)
def by_thread(x):
    sums = np.zeros(nb.get_num_threads())
    for i in prange(x.size):
        sums[nb.get_thread_id()] += x[i] * x[i] * x[i]
    return np.ones(2) * sums.sum()


@njit(parallel=True)
def conditional(x):
    s, n = 0.0, 0
    for i in prange(x.size):
        if x[i] > 0.6:
            s += x[i] * x[i]
            n += 1
    return s / n * np.ones(1)


@njit(parallel=True)
def callee(x, out):
    for i in prange(x.size):
        out[i] = x[i] * x[i]
    return out.sum()


def called(x):
    out = np.zeros_like(x)
    return callee(x, out) * out


@njit(parallel=True)
def matrix_product(x):
    a = np.outer(x, x)
    out = np.zeros((x.size, x.size))
    for i in prange(x.size):
        for k in range(x.size):
            for j in range(x.size):
                out[i, j] += a[i, k] * a[j, k]
    return out


@njit(parallel={"prange": True, "reduction": False})
def options(x):
    s = 0.0
    for i in prange(1, x.size, 2):
        s += x[i] * x[i - 1]
    return s * np.ones(1)


@njit
def without_parallel(x):
    s = 0.0
    for i in nb.prange(x.size):
        s += x[i] * x[i]
    return s * np.ones(1)


@njit(parallel=True)
def own_threads(x):
    nb.set_num_threads(1)
    out = np.zeros(x.size)
    for i in prange(x.size):
        out[i] = x[i] * nb.get_num_threads()
    return out


FUNCTIONS = [
    sum_reduction, product_reduction, largest_reduction, array_reduction, slice_reduction,
    scattered, nested_prange, private_buffer, expressions, filled, by_thread, conditional, called,
    matrix_product, options, without_parallel, own_threads,
]  # fmt: skip


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_parallel_function(f: Callable[..., Any]) -> None:
    plain = getattr(f, "py_func", f)
    threads = nb.get_num_threads()
    sequential = njit(plain)
    expected, error = differences.jacobian(sequential, X)
    value, derivative = dg.value_and_jacobian(f, chunk=3)(X)
    nb.set_num_threads(threads)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(value, sequential(X), rtol=1e-15)  # sums in any order
    assert np.all(np.abs(derivative - expected) <= 10 * error + 1e-9 * np.abs(expected))


def test_gradient_and_nesting_of_a_parallel_function() -> None:
    @njit(parallel=True)
    def energy(x):
        s = 0.0
        for i in prange(x.size):
            s += x[i] ** 3
        return s

    gradient = dg.grad(energy, chunk=3)
    np.testing.assert_allclose(gradient(X), 3 * X**2, rtol=1e-15)
    np.testing.assert_allclose(dg.jacobian(gradient, chunk=3)(X), np.diag(6 * X), rtol=1e-15)


def test_transform_inside_a_parallel_loop() -> None:
    gradient = dg.grad(lambda x: np.sum(x**3), chunk=3)

    @njit(parallel=True)
    def rows(xs):
        out = np.empty_like(xs)
        for i in prange(len(xs)):
            out[i] = gradient(xs[i])
        return out

    xs = np.stack((X, X + 1.0, X * 2.0))
    np.testing.assert_allclose(rows(xs), 3 * xs**2, rtol=1e-15)


def test_first_calls_of_several_threads():
    def f(x, k):
        return np.sum(np.sin(x) ** 2 + k * x[0] * x)

    x = np.linspace(0.1, 1.0, 5)
    transforms = [dg.sparse_hessian(f), dg.grad(f), dg.hessian(f), dg.sparse_hessian(f)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda transform: transform(x, 2.0), transforms * 2))
    gradient = np.sin(2 * x) + 2.0 * x[0]
    gradient[0] += 2.0 * np.sum(x)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-14)
    for hessian in (found[0], found[3], found[4]):
        np.testing.assert_allclose(hessian.toarray(), found[2], rtol=1e-14)
