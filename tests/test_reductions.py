"""Sums, products, means and extremes, as functions and as methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import njit

import dualgrad as dg
from tests.complexstep import assert_same_bits, check, run

RANDOM = np.random.default_rng(2)
CUBE = RANDOM.normal(size=(2, 3, 2))


def sums(x: Any) -> Any:
    return np.sum(x), x.sum(), np.sum(x.T), x[::-1].sum(), np.sum(x[:, ::2]), np.sum(x, (0, 1, 2))


def sums_by_axis(x: Any) -> Any:
    return np.sum(x, 0), x.sum(axis=-1), x.sum(1), np.sum(x, axis=(0, 2)), x[:, ::-1].T.sum(axis=1)


def sums_of_dtype(x: Any) -> Any:
    return (
        np.sum(x, dtype=np.float64),
        x.sum(0, np.float64),
        x.sum(dtype=np.float64),
        np.sum(x, axis=()),
    )


def means(x: Any) -> Any:
    return np.mean(x), x.mean(), x.T.mean(), x[:, ::2].mean()


def products(x: Any) -> Any:
    return np.prod(x), x.prod(), x.T.prod(), np.prod(x[:, ::-2])


def cumulated(x: Any) -> Any:
    return np.cumsum(x), x.cumsum(), np.cumsum(x, axis=1), np.cumprod(x), x.cumprod()


def extremes(x: Any) -> Any:
    return np.min(x), np.amin(x.T), x.min(), np.max(x), np.amax(x[::-1]), x.max()


def by_index(x: Any) -> Any:
    v = x.ravel()
    return v[np.argmin(v)], v[x.argmax()], v[x.argmin(axis=0)[0, 1]], v[np.argsort(v)], np.sort(v)


def of_values(x: Any) -> Any:
    v = np.sort(x.ravel())
    found = np.searchsorted(v, v[3]) + np.count_nonzero(x > 0.0) + np.nonzero(v > 0.0)[0][0]
    return found * x, np.any(x) * x, x.all() * x, np.allclose(x, x) * x, np.array_equal(x, v) * x


def of_scalars(x: Any) -> Any:
    a, b = x[0, 0, 0], x[1, 0, 1]
    return np.sum(a), np.mean(a), np.prod(a), np.min(a), np.max(b)


FORMS = [sums, sums_by_axis, sums_of_dtype, means, products, cumulated, extremes]


@pytest.mark.parametrize("f", FORMS, ids=lambda f: f.__name__)
def test_cube(f: Callable[..., Any]) -> None:
    check(f, CUBE)


@pytest.mark.parametrize("f", [sums_by_axis, extremes], ids=lambda f: f.__name__)
def test_fortran_order(f: Callable[..., Any]) -> None:
    check(f, np.asfortranarray(CUBE))


@pytest.mark.parametrize("f", [by_index, of_values, of_scalars], ids=lambda f: f.__name__)
def test_cube_by_value(f: Callable[..., Any]) -> None:
    check(f, CUBE)


def every(x: Any) -> Any:
    return np.sum(x), np.mean(x), np.prod(x), np.min(x), x.max(), x.sum(axis=0), np.cumsum(x)


@pytest.mark.parametrize(
    "x",
    [np.array([0.7]), np.repeat(RANDOM.normal(size=7), 2)[::-2]],
    ids=["one", "strided"],
)
def test_vectors(x: np.ndarray) -> None:
    check(every, x)


def test_order_of_summation() -> None:
    """Values whose sum depends on the order of its terms."""
    x = RANDOM.normal(size=(30, 40)) * 10.0 ** RANDOM.integers(-12, 12, size=(30, 40))
    for order in ("C", "F"):
        run(sums_and_means, np.array(x, order=order))


def sums_and_means(x: Any) -> Any:
    return x.sum(), np.mean(x), x.sum(axis=0), x.sum(axis=1), x.T.sum(), x[::3, 1::2].sum()


def test_product_with_zeros() -> None:
    x = np.array([2.0, 0.0, -3.0, 0.0])
    check(np_prod, x, expected=np.zeros(4))
    x[1] = 5.0
    check(np_prod, x, expected=np.array([0.0, 0.0, 0.0, -30.0]))


def np_prod(x: Any) -> Any:
    return np.prod(x)


# -------------------------------------------------------------------------- nan, inf and ties


def minimum(x: Any) -> Any:
    return np.min(x)


def minimum_method(x: Any) -> Any:
    return x.min()


def maximum(x: Any) -> Any:
    return np.max(x)


def maximum_method(x: Any) -> Any:
    return x.max()


def python_minimum(x: Any) -> Any:
    return min(x)


def python_maximum(x: Any) -> Any:
    return max(x)


EXTREMES = [
    minimum, minimum_method, maximum, maximum_method, python_minimum, python_maximum,
]  # fmt: skip
SPECIAL = [
    [1.0, np.nan, 3.0, 0.5, 7.0],
    [np.nan, 1.0, 2.0, 0.0, 1.0],
    [1.0, 0.5, np.nan, -1.0, np.nan],
    [np.inf, 1.0, -np.inf, 2.0, -np.inf],
    [1.0, 3.0, 1.0, 3.0, 2.0],
    [-0.0, 0.0, -0.0, 0.0, 0.0],
    [0.0, -0.0, 0.0, -0.0, -0.0],
]


@pytest.mark.parametrize("x", SPECIAL, ids=str)
@pytest.mark.parametrize("f", EXTREMES, ids=lambda f: f.__name__)
def test_extreme_is_the_item_that_numba_returns(f: Callable[..., Any], x: list[float]) -> None:
    array = np.array(x)
    tagged = njit(first_item_like(f))(array)
    check_gradient = np.zeros(5)
    check_gradient[tagged] = 1.0
    assert_same_bits(run(f, array)[0], check_gradient)


def first_item_like(f: Callable[..., Any]) -> Callable[..., Any]:
    """The index of the item that `f` returns, from its sign bit and its value."""
    compiled = njit(f)

    def index(x: Any) -> Any:
        value = compiled(x)
        for i in range(x.size):
            equal = x[i] == value or (np.isnan(x[i]) and np.isnan(value))
            if equal and np.signbit(x[i]) == np.signbit(value):
                return i
        return -1

    return index


def nan_aware(x: Any) -> Any:
    return np.sort(x), x[np.argsort(x)], x[np.argmin(x)], x[np.argmax(x)], np.ptp(x)


def nan_skipping(x: Any) -> Any:
    v = np.sort(x)
    at = np.searchsorted(v, x)
    return v[at % x.size], x[np.nanargmin(x)], x[np.nanargmax(x)]


@pytest.mark.parametrize("x", SPECIAL[:4], ids=str)
@pytest.mark.parametrize("f", [nan_aware, nan_skipping], ids=lambda f: f.__name__)
def test_order_with_nan(f: Callable[..., Any], x: list[float]) -> None:
    run(f, np.array(x))


# ------------------------------------------------------------------------------------- empty


def empty_sum(x: Any) -> Any:
    return x[:0].sum() + x[0]


def empty_product(x: Any) -> Any:
    return np.prod(x[:0]) * x[0]


def empty_axis(x: Any) -> Any:
    return x.reshape(1, -1)[:0].sum(axis=0)


def empty_mean(x: Any) -> Any:
    return np.mean(x[:0]) * x[0]


def test_empty() -> None:
    x = np.array([2.0, 3.0])
    for f in (empty_sum, empty_product):
        check(f, x)
    check(empty_axis, x, expected=np.zeros((2, 2)))
    run(empty_mean, x)


def empty_minimum(x: Any) -> Any:
    return np.min(x[:0])


def empty_maximum(x: Any) -> Any:
    return x[:0].max()


def axis_out_of_bounds(x: Any) -> Any:
    return np.sum(x, axis=2)


def empty_argument_of_argmin(x: Any) -> Any:
    return x[np.argmin(x[:0])]


@pytest.mark.parametrize(
    "f",
    [empty_minimum, empty_maximum, axis_out_of_bounds, empty_argument_of_argmin],
    ids=lambda f: f.__name__,
)
def test_errors_of_numba(f: Callable[..., Any]) -> None:
    x = np.array([2.0, 3.0])
    with pytest.raises(Exception) as primal:
        njit(f)(x)
    with pytest.raises(primal.type) as dual:
        dg.grad(f, chunk=3)(x)
    assert str(dual.value) == str(primal.value)


# ---------------------------------------------------------------------------- Python's functions


def python_sum(x: Any) -> Any:
    pair = (x[0], x[1] * x[2])
    return sum(x), sum(pair), sum([x[0], x[1]]), sum([x[0] * x[0], x[1]], x[2]), sum(x, 2.0)


def python_of_numbers(x: Any) -> Any:
    return (
        min(x[0], x[1]), max(x[0], x[1] * x[2]), max(x[0], 0.0), min(1, x[1]),
        max(x[0], x[1], x[2]), min(x[0], 2, x[1], 0.5), max((x[0], x[1], x[2])),
        min([x[0], x[1], x[2]]), max((x[2], 1.0)),
    )  # fmt: skip


def test_python_functions() -> None:
    x = np.array([1.5, -2.0, 0.25])
    check(python_sum, x)
    rows = [[0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]]
    check(python_of_numbers, x, expected=tuple(np.array([*rows, [0, 0, 0]], dtype=float)))


def hinge(x: Any) -> Any:
    return max(x[0], 0.0), max(0.0, x[0]), max(0.0, x[0], -1.0), min((x[0], 0.0)), max(x[0], x[1])


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_ties_of_python_functions(zero: float) -> None:
    nothing = np.zeros(2)
    first = np.array([1.0, 0.0])
    check(hinge, np.array([zero, zero]), expected=(nothing, nothing, nothing, nothing, first))


# -------------------------------------------------------------------------------- other types


def test_float32() -> None:
    x = CUBE.astype(np.float32)
    for jacobian in run(every_form, x):
        assert jacobian.dtype == np.float32


def every_form(x: Any) -> Any:
    return np.sum(x), x.mean(), x.prod(), x.min(), np.max(x), np.cumprod(x)


def outer(x: Any) -> Any:
    return inner(x * x)


inner = dg.grad(lambda z: np.prod(z) + np.max(z) * z.mean() + z.min() * z.sum(), chunk=3)


def test_nested() -> None:
    """The Hessian of a sum of reductions, by two levels of duals."""
    x = np.array([1.5, 0.5, 2.0])
    z = x * x
    pairs = np.prod(z) / np.outer(z, z) * (1 - np.eye(3))
    biggest, smallest = np.eye(3)[2], np.eye(3)[1]
    hessian = pairs + np.add.outer(biggest, biggest) / 3 + np.add.outer(smallest, smallest)
    got = dg.jacobian(outer, chunk=3)(x)
    np.testing.assert_allclose(got, hessian * (2 * x), rtol=1e-14)
