"""Indexing, assignment, views and iteration of every kind that Numba has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.complexstep import check


def integers(x: Any) -> Any:
    return x[0] * x[-1] + x[len(x) - 2]


def slices(x: Any) -> Any:
    return x[1:] * x[:-1], x[::2] + x[::-2], x[::-1] * 2.0, x[-3:-1], x[5:2]


def new_axes(x: Any) -> Any:
    return x[..., 1:3], x[1:, ...], x[None, :] * x[:, None], x[np.newaxis, 1:3]


def masks(x: Any) -> Any:
    mask = np.array([True, False, True, True, False, False, True])
    return x[mask] ** 2.0, x[x > 0.0], x[~mask]


def integer_arrays(x: Any) -> Any:
    return x[np.array([0, 3, 3, -1])] ** 2.0, np.take(x, np.array([1, 1])), x[np.array([2])]


def rows_and_columns(x: Any) -> Any:
    a = x[:6].reshape(2, 3)
    return a[1, 2] * a[0], a[:, 1], a[:, ::-1], a[-1][0] * a.T, a[0, 1:]


def mixed_indices(x: Any) -> Any:
    a = x[:6].reshape(2, 3)
    columns = np.array([2, 0])
    return a[np.array([1, 0, 1])], a[:, columns], a[1, columns], a[..., 0], a[1, ..., None]


def tuples(x: Any) -> Any:
    a = x[:6].reshape(2, 3)
    i = (1, 2)
    return a[i] * a[(0, 1)]


def assign_items(x: Any) -> Any:
    y = x.copy()
    y[0] = x[1] * x[2]
    y[-1] += x[0]
    y[3] *= y[2]
    y[4] /= x[0]
    return y


def assign_slices(x: Any) -> Any:
    y = x.copy()
    y[1:3] = x[3:5] * 2.0
    y[1:] -= x[:-1]
    y[3:5] *= 2.0
    y[::2] = x[0]
    y[::-3] = x[:3]
    return y


def assign_all(x: Any) -> Any:
    y, z = np.zeros(7), np.empty(7)
    y[...] = x
    y[:] = x * x
    y[2:5] = 1.0
    z.fill(x[1] * x[2])
    return y, z


def assign_masked(x: Any) -> Any:
    y = x.copy()
    y[x > 0.0] = x[0]
    y[np.array([0, 2])] = x[1:3]
    y[np.array([5, 6])] = x[1]
    return y


def assign_rows(x: Any) -> Any:
    y = np.zeros((2, 3))
    y[0] = x[:3]
    y[1, :] = x[0]
    y[:, 1] = x[3:5]
    y[:, 2:] = x[2]
    y[0, 0] = x[5]
    y[1] += y[0]
    return y


def assign_broadcast(x: Any) -> Any:
    y, z = np.zeros((2, 3)), np.zeros((2, 3))
    y[:] = x[:3]
    z[..., 0] = x[:2]
    z[1, ...] = x[1]
    return y, z


def assign_zero_dimensions(x: Any) -> Any:
    y = np.zeros(())
    y[()] = x[0] * x[1]
    return y[()] * 2.0


def through_views(x: Any) -> Any:
    y = x.copy()
    v = y[2:5]
    v[:] = x[0]
    v[1] *= x[1]
    w = y[::-1]
    w[0] = x[2] ** 2.0
    return y


def flat(x: Any) -> Any:
    a = x[:6].reshape(2, 3)
    y = np.empty((2, 3))
    y.flat[0] = x[6]
    for i in range(1, 6):
        y.flat[i] = a.T.flat[i] * 2.0
    return y


def shapes(x: Any) -> Any:
    a = x[:6].reshape(3, 2)
    return a.T * 1.0, a.ravel(), a.T.ravel(), a.flatten(), a.reshape((2, 3)), a.reshape(-1)


def transposes(x: Any) -> Any:
    a = x[:6].reshape(3, 2)
    return a.transpose(), np.transpose(a), np.ravel(a.T), a.T.copy()


def iteration(x: Any) -> Any:
    s = 0.0
    for v in x:
        s += v * v
    for i, v in enumerate(x):
        s += i * v
    for u, v in zip(x[1:], x[:-1]):  # noqa: B905  (Numba has no `strict`)
        s += u * v
    return s


def iteration_in_2d(x: Any) -> Any:
    a, s = x[:6].reshape(2, 3), 0.0
    for row in a:
        for v in row:
            s += v * v * v
    for v in a.flat:
        s += v
    for index in np.ndindex(a.shape):
        s += a[index] * 2
    for (i, j), v in np.ndenumerate(a):
        s += i * j * v
    return s


def nditer(x: Any) -> Any:
    s = 0.0
    for v in np.nditer(x[:6].reshape(2, 3)):
        s += v.item() ** 2
    for u, v in np.nditer((x[1:], x[:-1])):
        s += u.item() * v.item()
    return s


def items(x: Any) -> Any:
    return x[2:3].item() * x[0], x[:1].take(0)


def swaps(x: Any) -> Any:
    y = x.copy()
    y[0], y[1] = y[1], y[0]
    y[2], y[3] = y[3] * 2.0, y[2]
    t = y[4]
    y[4] = y[5]
    y[5] = t
    return y


def unpacking(x: Any) -> Any:
    a, b, c = x[0], x[1], x[2]
    p, q = (x[3] * a, b * c)
    return p * q


VECTOR = np.array([1.5, -2.0, 0.5, 3.0, 0.25, -1.0, 2.0])
FUNCTIONS = [
    integers, slices, new_axes, masks, integer_arrays, rows_and_columns, mixed_indices, tuples,
    assign_items, assign_slices, assign_all, assign_masked, assign_rows, assign_broadcast,
    assign_zero_dimensions, through_views, flat, shapes, transposes, iteration, iteration_in_2d,
    nditer, items, swaps, unpacking,
]  # fmt: skip


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_vector(f: Callable[..., Any]) -> None:
    check(f, VECTOR)


def read_only(x: np.ndarray) -> np.ndarray:
    x.flags.writeable = False
    return x


LAYOUTS = {
    "strided": np.repeat(VECTOR, 2)[::2],
    "reversed": VECTOR[::-1],
    "read-only": read_only(VECTOR.copy()),
}


@pytest.mark.parametrize("x", LAYOUTS.values(), ids=list(LAYOUTS))
@pytest.mark.parametrize("f", [slices, assign_masked, iteration], ids=lambda f: f.__name__)
def test_layouts(f: Callable[..., Any], x: np.ndarray) -> None:
    check(f, x)


def matrix(x: Any) -> Any:
    y = np.empty_like(x)
    y[:, 0], y[:, 1:] = x[:, -1] * x[0, 0], x[:, :-1]
    return y, x.T * x[1], x.ravel(), x.copy(), x.T[1], x[::-1, 1], x.flatten()


@pytest.mark.parametrize("order", ["C", "F"])
def test_matrix(order: Any) -> None:
    check(matrix, np.array([[1.5, -2.0, 0.5], [0.25, 3.0, -1.0], [2.0, 0.75, 1.25]], order=order))


def wrong_length(x: Any) -> Any:
    y = np.zeros(3)
    y[:] = x[:2]
    return y


def test_error_of_numba() -> None:
    with pytest.raises(ValueError, match="cannot assign slice"):
        check(wrong_length, VECTOR)
