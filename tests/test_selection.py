"""Selecting among items, and new arrays made from active numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.complexstep import check, run

VECTOR = np.array([1.5, -2.0, 0.5, 3.0, 0.25, -1.0, 2.0])


def where_arrays(x: Any) -> Any:
    table = np.full(7, 0.5)
    return np.where(x > 0.0, x, x * x), np.where(x > 0.0, x, table), np.where(x > 0.0, table, x)


def where_numbers(x: Any) -> Any:
    c = x > 0.0
    return np.where(c, x, 0.0), np.where(c, 1, x), np.where(c, x[0], x), np.where(c, x[0], x[1])


def where_broadcasts(x: Any) -> Any:
    a, row = x[:6].reshape(2, 3), x[:3] * 2.0
    column = (x[:2] > 0.0).reshape(2, 1)
    return np.where(column, a, row), np.where(a.T > 0.0, a.T, 2.0), np.where(x[:3] > 0.0, a, row)


def where_other_conditions(x: Any) -> Any:
    return np.where(x, x, 2.0), np.where(x[0] > 0.0, x, 2.0), x[np.where(x > 0.0)]


def branches(x: Any) -> Any:
    y = x if x[0] > 0.0 else x * 2.0
    z = x if x[0] < 0.0 else np.zeros(7)
    w = np.zeros(7) if x[0] < 0.0 else x
    return y * x, z + x[0], w * 1.0


def clip(x: Any) -> Any:
    return (
        np.clip(x, -0.7, 1.7),
        x.clip(-0.7, 1.7),
        np.clip(x, None, 0.3),
        np.clip(x, -0.5, None),
        x.clip(None, 1),
    )


def clip_between_arrays(x: Any) -> Any:
    low, high = np.full(7, -0.6), np.full(7, 1.6)
    return (
        np.clip(x, low, high),
        np.clip(x, low, 1.0),
        np.clip(x, -0.3, high),
        np.clip(x, low, None),
    )


def clip_by_active_bounds(x: Any) -> Any:
    low, table = np.minimum(x, 0.1), np.arange(7) * 0.3
    return (
        np.clip(x, x[4], 1.7),
        np.clip(table, x[4], x[0]),
        np.clip(x, low, x[2]),
        x.clip(None, low),
    )


def clip_into(x: Any) -> Any:
    y = x * x
    np.clip(x, -0.7, 1.7, y)
    return y


def rounded(x: Any) -> Any:
    return np.round(x[0], 1) * x[1], np.around(x * 10.0) * x, np.round(x, 1) * x


def literals(x: Any) -> Any:
    return (
        np.array([x[0], x[1] * 2.0, 1.0]),
        np.array([1, x[0]]),
        np.array([[x[0], x[1]], [x[2], 1.0]]),
        np.array((x[0], 1.0, x[1])),
        np.array(((x[0], 1.0), (2, x[1]))),
        np.array([v * v for v in x]),
    )


def as_arrays(x: Any) -> Any:
    return np.asarray(x) * 2.0, np.asarray([x[0], x[1]]), np.asarray((x[0], 1.0)), np.asarray(x[0])


def filled_like(x: Any) -> Any:
    y, z, w = np.zeros_like(x), np.ones_like(x), np.empty_like(x)
    w[:], y[0] = x, x[0]
    return y, z, w, np.full_like(x, x[0] * x[1]), np.full_like(x, 2.0), np.full_like(x[:2], x[1])


def copies(x: Any) -> Any:
    y, z = x.copy(), np.copy(x)
    y[0], z[1] = x[1] * x[1], 1.0
    return y, z, x.copy() * x


def linspaces(x: Any) -> Any:
    return np.linspace(x[0], x[1], 5), np.linspace(0.0, x[1], 4), np.linspace(x[2], 1, 1)


def identities(x: Any) -> Any:
    return np.eye(3) * x[0], np.identity(2) * x[1], np.diag(x[:3])


FUNCTIONS = [
    where_arrays, where_numbers, where_broadcasts, where_other_conditions, branches, clip,
    clip_between_arrays, clip_by_active_bounds, clip_into, rounded, literals, as_arrays,
    filled_like, copies, linspaces, identities,
]  # fmt: skip


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_vector(f: Callable[..., Any]) -> None:
    expected = None
    if f is rounded:  # NumPy rounds complex numbers part by part
        slope = [np.round(VECTOR * 10.0) * np.eye(7), np.round(VECTOR, 1) * np.eye(7)]
        expected = (np.round(VECTOR[0], 1) * np.eye(7)[1], *slope)
        expected[1][...] = np.diag(np.around(VECTOR * 10.0))
    elif f is as_arrays:
        e = np.eye(7)
        expected = (2 * e, e[:2], np.stack([e[0], 0 * e[0]]), e[0])
    check(f, VECTOR, expected=expected)


# Forms in which the complex step cannot follow: they name a float dtype.


def full(x: Any) -> Any:
    return np.full(3, x[0]), np.full((2, 2), x[1] * x[0]), np.full(3, x[0], dtype=np.float64)


def full_like_constant(x: Any) -> Any:
    return np.full_like(np.ones(3), x[1])


def converted(x: Any) -> Any:
    return x.astype(np.float64), x.copy().astype(np.float64) * 2.0


def arange(x: Any) -> Any:
    return np.arange(x[0], x[3], 0.4), np.arange(x[3]), np.arange(0.0, x[3], x[0])


def test_full() -> None:
    e = np.eye(7)
    product = e[0] * VECTOR[1] + e[1] * VECTOR[0]
    check(
        full,
        VECTOR,
        expected=(np.tile(e[0], (3, 1)), np.tile(product, (2, 2, 1)), np.tile(e[0], (3, 1))),
    )
    check(full_like_constant, VECTOR, expected=np.tile(e[1], (3, 1)))


def test_converted() -> None:
    check(converted, VECTOR, expected=(np.eye(7), 2 * np.eye(7)))


def test_arange() -> None:
    e = np.eye(7)
    expected = (np.tile(e[0], (4, 1)), np.zeros((3, 7)), np.outer(np.arange(2), e[0]))
    check(arange, VECTOR, expected=expected)


# ------------------------------------------------------------------------- nan, inf and ties

SPECIAL = np.array([np.nan, -0.0, 0.0, 1.0, -1.0, np.inf, -np.inf])


def special(x: Any) -> Any:
    low, high = np.zeros(7), np.ones(7)
    return (
        np.clip(x, 0.0, 1.0),
        np.clip(x, low, high),
        np.clip(x, 0.0, high),
        np.clip(x, low, 1.0),
        np.clip(x, -0.0, None),
        np.clip(x, np.nan, 1.0),
        np.where(x > 0.0, x, np.nan),
        np.where(x, x, -0.0),
    )


def test_special_values() -> None:
    """Values as Numba's; at a constant bound the derivative is zero, as it is beyond it."""
    jacobians = run(special, SPECIAL)
    for k, jacobian in enumerate(jacobians[:4]):
        np.testing.assert_array_equal(jacobian, np.diag([1.0, 0, 0, 0, 0, 0, 0]), err_msg=str(k))


def active_tie(x: Any) -> Any:
    return np.clip(x[:2], x[2], 5.0)


def test_tie_of_active_numbers_takes_the_array() -> None:
    check(active_tie, np.array([1.0, 0.0, 1.0]), expected=np.array([[1.0, 0, 0], [0, 0, 1.0]]))


def test_float32() -> None:
    x = VECTOR.astype(np.float32)
    for f in (where_numbers, clip, as_arrays, linspaces):
        run(f, x)
