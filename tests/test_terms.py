"""Derivatives of sums whose terms are known, against closed forms and the dense ones of the sum."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from numba import njit
from scipy.optimize import minimize

import dualgrad as dg


@njit
def rosenbrock(x, a=100.0):
    return a * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2


def d_rosenbrock(x, a=100.0):
    d, g = x[1:] - x[:-1] ** 2, np.zeros_like(x)
    g[1:] += 2 * a * d
    g[:-1] -= 4 * a * x[:-1] * d + 2 * (1 - x[:-1])
    return g


def dd_rosenbrock(x, a=100.0):
    main, beside = np.zeros_like(x), -4 * a * x[:-1]
    main[1:] += 2 * a
    main[:-1] += 12 * a * x[:-1] ** 2 - 4 * a * x[1:] + 2
    return np.diag(main) + np.diag(beside, 1) + np.diag(beside, -1)


X = np.random.default_rng(3).normal(size=9)
GRAD = dg.grad(rosenbrock, terms=True)
BOTH = dg.value_and_grad(rosenbrock, terms=True, chunk=2)
HESSIAN = dg.hessian(rosenbrock, terms=True, chunk=2)
ALL = dg.value_grad_and_hessian(rosenbrock, terms=True, chunk=2)
SPARSE = dg.sparse_hessian(rosenbrock, terms=True, chunk=2)


def close(found: Any, expected: Any) -> None:
    found = found.toarray() if hasattr(found, "toarray") else found
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("a", [100.0, 3.0])
def test_rosenbrock(n: int, a: float) -> None:
    x = X[:n]
    value = np.sum(rosenbrock(x, a))
    first, second = d_rosenbrock(x, a), dd_rosenbrock(x, a) if n > 1 else np.zeros((1, 1))
    close(GRAD(x, a), first)
    close(HESSIAN(x, a), second)
    close(SPARSE(x, a), second)
    for found in (BOTH(x, a), ALL(x, a)):
        close(found[0], value)
        close(found[1], first)
    close(ALL(x, a)[2], second)


def test_no_inputs() -> None:
    g = dg.value_and_grad(lambda x: x * x, terms=True)
    value, gradient = g(np.zeros(0))
    assert value == 0.0
    assert gradient.shape == (0,)
    assert SPARSE(X[:1]).shape == (1, 1)


def test_layouts_and_dtypes() -> None:
    fixed = X.copy()
    fixed.flags.writeable = False
    for x in (np.repeat(X, 2)[::2], X[::-1].copy()[::-1], fixed):
        close(GRAD(x), d_rosenbrock(X))

    def squares(x):
        return x * x * x

    x = np.arange(1, 5)
    for make, dtype, result, expected in [
        (dg.grad, np.float32, np.float32, 3 * x**2),
        (dg.grad, np.int64, np.float64, 3 * x**2),
        (dg.hessian, np.float32, np.float32, np.diag(6 * x)),
    ]:
        found = make(squares, terms=True)(x.astype(dtype))
        assert found.dtype == result
        np.testing.assert_array_equal(found, expected)


@njit
def triples(x, index, factors):
    """Terms of three inputs that are given, with an exponential of their weighted sum."""
    y = np.empty(index.shape[0], x.dtype)
    for m in range(y.size):
        s = 0.0
        for k in range(index.shape[1]):
            s += factors[m, k] * x[index[m, k]]
        y[m] = np.exp(s)
    return y


def d_triples(x, index, factors):
    """Gradient and Hessian of the sum."""
    rows = np.zeros((index.shape[0], x.size))
    np.put_along_axis(rows, index, factors, axis=1)
    value = np.exp(rows @ x)
    return rows.T @ value, rows.T @ (value[:, None] * rows)


@pytest.mark.parametrize("seed", range(4))
def test_random_terms(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = 20 + seed, 15 * (seed + 1)
    index = np.array([rng.choice(n, 3, replace=False) for _ in range(m)])
    args = rng.normal(size=n) / 4, index, rng.normal(size=(m, 3))
    first, second = d_triples(*args)
    # chunks that take several sweeps
    close(dg.grad(triples, terms=True, chunk=3)(*args), first)
    close(dg.hessian(triples, terms=True, chunk=3)(*args), second)
    found = dg.sparse_hessian(triples, terms=True, chunk=3, verify=True)(*args)
    assert found.nnz < second.size
    close(found, second)


@njit
def coupled(x):
    """A term of all inputs, one of none, others of one."""
    y = np.sin(x)
    y[0] = np.prod(x)
    y[1] = 3.0
    return y


def test_dense_and_empty_terms() -> None:
    x = X[:6]
    inputs = x[2:]
    product = np.prod(x)
    first = product / x
    first[2:] += np.cos(inputs)
    second = product / np.outer(x, x)
    np.fill_diagonal(second, 0.0)
    second[np.arange(2, 6), np.arange(2, 6)] -= np.sin(inputs)
    _, gradient, hessian = dg.value_grad_and_hessian(coupled, terms=True, chunk=2)(x)
    close(gradient, first)
    close(hessian, second)
    close(dg.sparse_hessian(coupled, terms=True, chunk=2)(x), second)


@njit
def branching(x, far):
    y = x * x
    if x[0] > 0:
        y[1] += x[3] * x[5] ** 2
    if far > 1.0:
        y[2] += x[0] ** 2 * far
    return y


def d_branching(x, far):
    """Gradient and Hessian of the sum."""
    first, second = 2 * x, 2 * np.eye(6)
    if x[0] > 0:
        first[[3, 5]] += x[5] ** 2, 2 * x[3] * x[5]
        second[5, 5] += 2 * x[3]
        second[[3, 5], [5, 3]] += 2 * x[5]
    if far > 1.0:
        first[0] += 2 * x[0] * far
        second[0, 0] += 2 * far
    return first, second


def test_a_pattern_that_changes() -> None:
    both = dg.value_grad_and_hessian(branching, terms=True, chunk=3)
    sparse = dg.sparse_hessian(branching, terms=True, chunk=3)
    here, there = np.abs(X[:6]), -np.abs(X[:6])
    # where x[5] is 0 the new entries of the gradient are 0, but not those of the Hessian
    zero = np.r_[here[:5], 0.0]
    for x, far in [(there, 0.0), (zero, 0.0), (there, 2.0), (here, 2.0), (zero, 2.0)]:
        first, second = d_branching(x, far)
        close(both(x, far)[1], first)
        close(both(x, far)[2], second)
        close(sparse(x, far), second)


def test_out() -> None:
    first, second = np.full(9, np.nan), np.full((9, 9), np.nan)
    wide = np.full((9, 18), np.nan)[:, ::2]
    assert GRAD(X, out=first) is first
    assert HESSIAN(X, out=second) is second
    close(first, d_rosenbrock(X))
    apart = np.full(18, np.nan)[::2]
    GRAD(X, out=apart)
    close(apart, first)
    assert np.isnan(apart.base[1::2]).all()
    for out in (second, wide):
        HESSIAN(2 * X, out=out)
        close(out, dd_rosenbrock(2 * X))
    _, g, h = ALL(X, out=(first, second))
    assert g is first
    assert h is second
    close(h, dd_rosenbrock(X))
    for transform, out, error in [
        (GRAD, np.empty(8), ValueError), (HESSIAN, np.empty((9, 8)), ValueError),
        (GRAD, np.empty(9, np.float32), TypeError), (HESSIAN, np.empty(9), ValueError),
    ]:  # fmt: skip
        with pytest.raises(error, match="out: it"):
            transform(X, out=out)


def test_out_argnum_and_argnums() -> None:
    def writes(a, x, y):
        for i in range(x.size):
            y[i] = a * x[i] ** 2

    buffer = np.full(9, np.nan)
    close(dg.grad(writes, 1, out_argnum=2, terms=True)(3.0, X, buffer), 6 * X)
    close(dg.hessian(writes, 1, out_argnum=2, terms=True)(3.0, X, buffer), 6 * np.eye(9))
    assert np.isnan(buffer).all()


def test_threads() -> None:
    index = np.stack([np.arange(7), np.arange(1, 8), np.arange(2, 9)], axis=1)
    args = X / 4, index, np.ones((7, 3))
    g = dg.value_and_grad(triples, terms=True, chunk=1, parallel=True)
    for _ in range(2):
        value, gradient = g(*args)
        close(value, np.sum(triples(*args)))
        close(gradient, d_triples(*args)[0])


# --------------------------------------------------------------------- compiled code, mapping


@njit
def descend(x, steps):
    for _ in range(steps):
        x = x - 1e-3 * GRAD(x)
    return x


@njit
def newton(x):
    value, gradient, hessian = ALL(x)
    return x - np.linalg.solve(hessian, gradient), value


@njit
def into(g, x, out):
    return g(x, out=out)


def test_inside_njit() -> None:
    expected = X
    for _ in range(3):
        expected = expected - 1e-3 * d_rosenbrock(expected)
    close(descend(X, 3), expected)
    step, value = newton(X)
    assert value == np.sum(rosenbrock(X))
    close(step, X - np.linalg.solve(dd_rosenbrock(X), d_rosenbrock(X)))
    out = np.empty(9)
    close(into(GRAD, X, out), d_rosenbrock(X))
    close(out, d_rosenbrock(X))


def test_vmap() -> None:
    points = np.array([X, 2 * X, X - 1])
    for row, x in zip(dg.vmap(GRAD, (0, None))(points, 3.0), points, strict=True):
        close(row, d_rosenbrock(x, 3.0))
    SPARSE(X)
    for row, x in zip(dg.vmap(SPARSE, (0, None))(points, 3.0), points, strict=True):
        close(row, SPARSE(x, 3.0).data)


def test_one_object_for_each_plan() -> None:
    for g in (GRAD, ALL, SPARSE):
        for twin in (copy.copy(g), copy.deepcopy(g), pickle.loads(pickle.dumps(g))):
            assert twin is g
    assert dg.grad(rosenbrock, terms=True) is GRAD
    assert dg.grad(rosenbrock, terms=True) is not BOTH


def test_minimize() -> None:
    found = minimize(BOTH, np.zeros(9), jac=True, hess=HESSIAN, method="trust-exact")
    np.testing.assert_allclose(found.x, 1.0, rtol=1e-4)


@pytest.mark.parametrize("make", [dg.grad, dg.value_and_grad, dg.hessian, dg.sparse_hessian])
def test_refuses(make: Any) -> None:
    def number(x):
        return np.sum(x * x)

    with pytest.raises(TypeError, match="terms=True the function must return an array of one"):
        make(number, terms=True)(X)
    with pytest.raises(TypeError, match="array of one dimension"):
        make(rosenbrock, terms=True)(2.0)
    with pytest.raises(TypeError):
        make(rosenbrock, (0, 1), terms=True)


def test_refuses_by_name() -> None:
    with pytest.raises(TypeError, match="terms=True has no cfunc"):
        GRAD.cfunc("float64(float64)")
    with pytest.raises(TypeError, match="cannot be differentiated"):
        dg.grad(lambda x: np.sum(GRAD(x)))(X)
    with pytest.raises(ValueError, match="leave pattern= out"):
        dg.sparse_hessian(rosenbrock, np.eye(9) > 0, terms=True)


@njit
def of_a_neighbour(x):
    y = np.zeros(x.size)
    for i in range(x.size):
        j = i + 1 if x[i] > 0.0 else i - 1
        y[i] = x[i] * x[j % x.size]
    return y


def test_threads_with_patterns_that_change() -> None:
    x = np.linspace(-1.0, 1.0, 12)
    g = dg.grad(of_a_neighbour, terms=True, parallel=True, chunk=2)
    for point in (x, -x):
        expected = dg.jacobian(of_a_neighbour)(point).sum(axis=0)
        np.testing.assert_allclose(g(point), expected, rtol=1e-14, atol=1e-14)
