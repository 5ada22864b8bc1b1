"""Sums, means and parts of array expressions, which are one loop without arrays of their items."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit

import dualgrad as dg
from dualgrad.arrays import sums
from dualgrad.types import DualType
from tests.complexstep import assert_same_bits, jacobians

X = np.random.default_rng(3).uniform(0.5, 2.0, 12)


@njit
def squares(x):
    return np.sum((x[1:] - x[:-1]) ** 2)


@njit
def mean(x):
    return np.mean(np.exp(x) * 2.0)


@njit
def methods(x):
    return (x * x[::-1]).sum() - np.sin(x).mean()


@njit
def of_numbers(x):
    return np.sum(x[0] * np.exp(-x[1] * np.linspace(0.0, 2.0, 50)))


@njit
def of_matrices(x):
    u = x.reshape(3, 4)
    return (np.mean(u * u) + np.sum(u * x[:4]) + np.sum(u[:, :1] / u[:1]),)


@njit
def nested(x):
    return np.sum(x**2 / np.sum(x * x[0]))


@njit
def in_branches(x):
    s = 0.0
    for k in range(3):
        s += np.sum(x**k) if k != 1 else np.mean(x * x)
    return s


@njit
def of_buffers(x):
    y = np.empty(x.size)
    for i in range(x.size):
        y[i] = x[i] * x[i - 1]
    y[2] = 3.0
    return np.sum((y - 1.0) ** 2) * y.mean()


@njit
def several(x):
    return np.sum(x * x), np.mean(-x), np.sum(x > 1.0)


@njit
def in_single(x):
    a = x.astype(np.float32)
    return np.sum(a * a), np.mean(np.sqrt(a))


@njit
def in_steps(x):
    model = x[0] * np.exp(-x[1] * np.linspace(0.0, 2.0, 50))
    residual = 1.0 - model
    return np.sum(residual**2)


@njit
def squared(x):
    r = x - 1.0
    s = -r * np.sin(r[0] * 2.0)
    return np.mean(s * s) + r[1]


@njit
def of_views(x):
    left, right = x[:-1], x[1:]
    slope = (right - left) / 0.5
    n = len(left)
    curve = np.sqrt(1.0 + slope * slope)
    return curve.sum() / n


@njit
def of_columns(x):
    u = x.reshape(3, 4)
    scale = 1.0 / np.sum(u * u)
    v = u[:, :1] * 2.0
    w = v * u
    return np.sum(w * w * scale)


FUSED = [
    squares, mean, methods, of_numbers, of_matrices, nested, in_branches, several, in_steps,
    of_views, of_columns,
]  # fmt: skip


# ------------------------------------------------- arrays that have to be what they were before


@njit
def written_meanwhile(x):
    t = x * x
    y = t.copy()
    r = y * x
    y[2] = 7.0
    return np.sum(r + y)


@njit
def doubled(a):
    a *= 2.0
    return a[0]


@njit
def written_by_another(x):
    y = x * 1.0
    y[0] = 3.0
    r = y * x
    first = doubled(y)
    return np.sum(r * first) + np.sum(y)


@njit
def grown_in_place(x):
    y = x * x
    y[0] = x[1]
    r = y + 1.0
    y += x
    return np.sum(r * y)


@njit
def renamed(x):
    r = x * x
    other = r
    other[1] = x[0]
    return np.sum(r + 1.0)


@njit
def in_a_loop(x):
    total = 0.0
    y = x * 1.0
    for k in range(3):
        r = y + k
        total += np.sum(r * r)
        y = r * 0.5
    return total + y[0]


@njit
def in_another_block(x):
    r = x * x
    s = r - 1.0
    if x[0] > 0.1:
        return np.sum(s * r) + s[0]
    return np.sum(s)


@njit
def named_again(x):
    r = x * x
    r = r + x
    r = r * r
    return r.sum() + r.size


@njit
def with_shape(x):
    r = x * x
    return np.sum(np.ones(r.shape) * r) * r.mean()


@njit
def steps(x):
    r = x * x * 2.0
    q = r + 1.0
    yield x[0]
    yield np.sum(r)
    t = q * x
    yield x[1]
    yield t.sum()


@njit
def of_a_generator(x):
    s = 0.0
    for item in steps(x):
        s = s * 0.5 + item
    return s


# --------------------------------------------------------------- with an array, as it was before


@njit
def broadcast(x):
    factors = np.exp(x)
    columns = np.sin(x.reshape(12, 1))
    return np.sum(np.ones((3, 12)) * factors) + np.sum(columns * np.ones((12, 3)))


@njit
def twice(x):
    y = x * x
    return np.sum(y) + y[0]


@njit
def by_axis(x):
    return np.sum(x.reshape(3, 4) ** 2, axis=0)


@njit
def with_dtype(x):
    return np.sum(x * x, 0)


@njit
def in_fortran_order(x):
    u = np.asfortranarray(x.reshape(3, 4))
    return np.sum(u * u * 1e8 + u), np.mean(u.T / u.T[0, 0])


@njit
def chosen(x):
    return np.sum(x**2 if x[0] > 0.0 else x)


@njit
def largest(x):
    return np.max(x * x) + (x * x).prod()


ARRAYS = [
    of_buffers, twice, by_axis, with_dtype, in_fortran_order, chosen, largest, squared,
    written_meanwhile, written_by_another, grown_in_place, renamed, in_a_loop, in_another_block,
    named_again, with_shape, of_a_generator, broadcast,
]  # fmt: skip


def value_and_derivative(f: Any, x: np.ndarray, **options: Any) -> tuple[tuple[Any, ...], Any]:
    """The results of a function, as a tuple, and their derivatives."""
    if np.ndim(value := f(x)) or isinstance(value, tuple):
        results, found = dg.value_and_jacobian(f, **options)(x)
        return (results, found) if isinstance(results, tuple) else ((results,), (found,))
    results, found = dg.value_and_grad(f, **options)(x)
    return (results,), (found,)


def check(f: Any, x: np.ndarray) -> None:
    results, found = value_and_derivative(f, x, chunk=8, cache=False)
    same_results(f, x, results)
    for part, want in zip(found, jacobians(f.py_func, x), strict=True):
        np.testing.assert_allclose(part, want, rtol=1e-13, atol=1e-14)


def same_results(f: Any, x: np.ndarray, results: tuple[Any, ...]) -> None:
    value = f(x)
    expected = value if isinstance(value, tuple) else (value,)
    for part, want in zip(results, expected, strict=True):
        assert_same_bits(part, want)


@pytest.mark.parametrize("f", FUSED, ids=lambda f: f.__name__)
def test_without_arrays(f: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    build = sums._build_array

    def no_duals(context: Any, builder: Any, ty: Any, *args: Any) -> Any:
        assert not isinstance(ty.dtype, DualType)
        return build(context, builder, ty, *args)

    monkeypatch.setattr(sums, "_build_array", no_duals)
    check(f, X)


def test_what_is_broadcast_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    build, made = sums._build_array, []

    def noted(context: Any, builder: Any, ty: Any, *args: Any) -> Any:
        made.append(ty)
        return build(context, builder, ty, *args)

    monkeypatch.setattr(sums, "_build_array", noted)
    dg.grad(broadcast, chunk=3, cache=False)(X)
    assert sorted(ty.ndim for ty in made if isinstance(ty.dtype, DualType)) == [1, 2]


@pytest.mark.parametrize("f", ARRAYS, ids=lambda f: f.__name__)
def test_with_arrays(f: Any) -> None:
    check(f, X)


def test_second_derivatives() -> None:
    found = dg.hessian(squares)(X)
    expected = 4.0 * np.eye(12) - 2.0 * np.eye(12, k=1) - 2.0 * np.eye(12, k=-1)
    expected[0, 0] = expected[-1, -1] = 2.0
    np.testing.assert_allclose(found, expected, atol=1e-13)
    np.testing.assert_allclose(dg.hvp(squares)((X,), (X,)), expected @ X, atol=1e-12)


def test_precision() -> None:
    """Sums of float32 are rounded at each item, means of them once more."""
    x = np.random.default_rng(1).uniform(0.1, 2.0, 1000).astype(np.float32)
    results, found = value_and_derivative(in_single, x)
    same_results(in_single, x, results)
    assert [it.dtype for it in found] == [np.float32] * 2
    np.testing.assert_allclose(found[0], 2 * x, rtol=1e-6)
    np.testing.assert_allclose(found[1], 0.5 / np.sqrt(x) / x.size, rtol=1e-5)


@njit
def rounded(x):
    thrice = x * 3  # which numbers would not be rounded after
    y = thrice * 1.1
    z = y - np.float32(0.3)
    return np.sum(z * 1e3)


def test_intermediate_arrays_are_rounded() -> None:
    """What is kept in single precision in between is rounded, as it is in Numba's array."""
    x = np.random.default_rng(2).uniform(0.1, 2.0, 1000).astype(np.float32)
    for one in (x, x.astype(float)):
        results, found = value_and_derivative(rounded, one)
        same_results(rounded, one, results)
        np.testing.assert_allclose(found[0], 3300.0, rtol=1e-6)


@njit
def complex_mean(x):
    z = x * 1j
    return np.mean(z * z), np.sum(np.exp(z))


def test_complex_numbers() -> None:
    results, found = value_and_derivative(complex_mean, X)
    same_results(complex_mean, X, results)
    np.testing.assert_allclose(found[0], -2.0 * X / 12, rtol=1e-14)
    np.testing.assert_allclose(found[1], 1j * np.exp(1j * X), rtol=1e-14)


@pytest.mark.parametrize("f", [squares, mean, methods, complex_mean], ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [0, 1])
def test_short(f: Any, n: int) -> None:
    x = np.ones(n)
    results, found = value_and_derivative(f, x)
    same_results(f, x, results)
    assert {part.shape for part in found} == {(n,)}


@njit
def of_two(x, y):
    return np.sum(x * y)


def test_shapes() -> None:
    """Those that fit are broadcast; others raise what Numba raises."""
    u = X.reshape(3, 4)
    gradient = dg.grad(of_two)
    for y in (np.float64(2.0), np.ones((1, 1)), X[:3, np.newaxis], X[:4], u):
        np.testing.assert_allclose(gradient(u, y), np.broadcast_to(y, (3, 4)), rtol=1e-15)
    np.testing.assert_allclose(gradient(X[:4], u), u.sum(axis=0), rtol=1e-15)
    assert gradient(np.empty((0, 4)), X[:4]).shape == (0, 4)
    for function in (of_two, gradient):
        with pytest.raises(ValueError, match="unable to broadcast argument 1 to output array"):
            function(u, X[:3])


@pytest.mark.parametrize("order", ["C", "F"])
def test_order_of_addition(order: Any) -> None:
    """Rounding shows in which order items are added: as Numba does."""
    rng = np.random.default_rng(7)
    u, v = (rng.normal(size=(40, 50)) * 10.0 ** rng.integers(-8, 8, (40, 50)) for _ in range(2))
    for y in (v, np.asfortranarray(v), v[:, :1], np.asfortranarray(v)[::-1]):
        x = np.array(u, order=order)
        value, found = dg.value_and_grad(of_two)(x, y)
        assert_same_bits(value, of_two(x, y))
        np.testing.assert_array_equal(found, np.broadcast_to(y, u.shape))
