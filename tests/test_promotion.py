"""Buffers that active values reach hold duals, however they were made; tables stay floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit, prange

import dualgrad as dg

X = np.array([0.5, 1.25, 2.0])


# ------------------------------------------------------- every way to make a buffer, then fill it


@njit
def zeros(x):
    b = np.zeros(3)
    for i in range(3):
        b[i] = x[i] * x[0]
    return b


@njit
def zeros_shape_and_dtype(x):
    b = np.zeros((3, 1), np.float64)
    b[:, 0] = x * x[0]
    return b[:, 0]


@njit
def empty_keyword_dtype(x):
    b = np.empty(shape=3, dtype=np.float64)
    b[...] = x * x[0]
    return b


@njit
def ones(x):
    b = np.ones(3)
    b *= x
    b *= x[0]
    return b


@njit
def full(x):
    b = np.full(3, 2.0)
    for i in range(3):
        b[i] *= x[i] * x[0] / 2
    return b


@njit
def zeros_like_constant(x):
    t = np.array([1.0, 2.0, 3.0])
    b = np.zeros_like(t)
    for i in range(3):
        b[i] = x[i] * x[0]
    return b


@njit
def empty_like_active(x):
    b = np.empty_like(x)
    for i in range(3):
        b[i] = x[i] * x[0]
    return b


@njit
def arange(x):
    b = np.arange(3.0)
    for i in range(3):
        b[i] = x[i] * x[0]
    return b


@njit
def linspace(x):
    b = np.linspace(0.0, 1.0, 3)
    b[:] = x * x[0]
    return b


@njit
def array_literal(x):
    b = np.array([0.0, 1.0, 2.0])
    b[:] = x * x[0]
    return b


@njit
def copy_of_table(x):
    t = np.array([0.0, 1.0, 2.0])
    b = t.copy()
    b[:] = x * x[0]
    return b + t - t


@njit
def astype_of_integers(x):
    b = np.arange(3).astype(np.float64)
    for i in range(3):
        b[i] = x[i] * x[0]
    return b


@njit
def result_of_arithmetic(x):
    t = np.array([0.0, 1.0, 2.0])
    b = 2 * t + 1
    for i in range(3):
        b[i] = x[i] * x[0]
    return b


@njit
def list_of_floats(x):
    b = [0.0] * 3
    for i in range(3):
        b[i] = x[i] * x[0]
    return np.array([b[0], b[1], b[2]])


@njit
def list_literal(x):
    b = [0.0, 1.0, 2.0]
    for i in range(3):
        b[i] = x[i] * x[0]
    return np.array([b[0], b[1], b[2]])


@njit
def list_appended(x):
    b = []
    b.append(1.0)
    for i in range(2):
        b.append(x[i + 1] * x[0])
    b[0] = x[0] * x[0]
    return np.array([b[0], b[1], b[2]])


@njit
def comprehension(x):
    b = [0.0 for _ in range(3)]
    for i in range(3):
        b[i] = x[i] * x[0]
    return np.array([b[0], b[1], b[2]])


@njit
def fill(b, x):
    for i in range(3):
        b[i] = x[i] * x[0]


@njit
def filled_in_helper(x):
    b = np.zeros(3)
    fill(b, x)
    return b


@njit
def make(n):
    return np.zeros(n)


@njit
def make_twice_removed(n):
    t = make(n)
    return t


@njit
def returned_from_helper(x):
    b = make_twice_removed(3)
    b[:] = x * x[0]
    return b


@njit
def make_and_view(n):
    b = np.zeros(n)
    return b, b[1:]


@njit
def view_of_returned(x):
    b, tail = make_and_view(3)
    tail[:] = x[1:] * x[0]
    b[0] = x[0] * x[0]
    return b


@njit
def same(b):
    return b


@njit
def through_identity(x):
    b = np.zeros(3)
    c = same(b)
    c[:] = x * x[0]
    return b


@njit
def view_first(x):
    b = np.zeros((2, 3))
    row = b[1]
    part = row[1:]
    row[0] = x[0] * x[0]
    part[:] = x[1:] * x[0]
    return b.T[:, 1]


@njit
def reshaped_first(x):
    b = np.zeros(4)
    square = b.reshape((2, 2))
    square[0, :] = x[:2] * x[0]
    square[1, 0] = x[2] * x[0]
    return b[:3]


@njit
def view_by_another_name(x):
    b = np.zeros((1, 3))
    column = np.permute_dims(b)
    column[:, 0] = x * x[0]
    return b[0]


@njit
def chosen_by_branch(x):
    if x[0] > 100.0:
        b = np.ones(3)
    else:
        b = np.zeros(3)
    for i in range(3):
        b[i] = x[i] * x[0]
    return b


@njit
def active_or_constant(x):
    t = np.array([1.0, 2.0, 3.0])
    b = x if x[0] < 100.0 else t
    return b * x[0]


TABLE = np.array([1.0, 2.0, 3.0])


@njit
def active_or_global(x):
    b = x if x[0] < 100.0 else TABLE
    return b * x[0]


@njit
def tuple_of_buffers(x):
    pair = (np.zeros(3), np.zeros(2))
    pair[0][:] = x * x[0]
    return pair[0]


@njit
def list_of_buffers(x):
    rows = [np.zeros(3), np.ones(3)]
    rows[1][:] = x * x[0]
    return rows[1]


@njit
def swapped_buffers(x):
    a, b = np.zeros(3), np.zeros(3)
    a[:] = x
    for _ in range(2):
        b[:] = a
        a, b = b, a
    return a * x[0]


@njit
def scalar_accumulator_of_tuple(x):
    s = (0.0, 1.0)
    for i in range(3):
        s = (s[0] + 1.0, x[i])
    return x * x[0] + (s[0] - 3.0) + 0.0 * s[1]


@njit
def out_keyword(x):
    b = np.zeros(3)
    np.multiply(x, x[0], b)
    return b


@njit
def in_while(x):
    b = np.zeros(3)
    i = 0
    while i < 3:
        if x[i] > 1e9:
            break
        b[i] = x[i] * x[0]
        i += 1
    return b


@njit(parallel=True)
def parallel_loop(x):
    b = np.zeros(3)
    for i in prange(3):
        b[i] = x[i] * x[0]
    return b


@njit(fastmath=True)
def fastmath(x):
    b = np.zeros(3)
    for i in range(3):
        b[i] = x[i] * x[0]
    return b


@njit("float64[::1](float64[::1])")
def explicit_signature(x):
    b = np.zeros(3)
    for i in range(3):
        b[i] = x[i] * x[0]
    return b


@njit("void(float64[:], float64[:])")
def fill_any(b, x):
    for i in range(3):
        b[i] = x[i] * x[0]


@njit
def calls_explicit_signature(x):
    b = np.zeros(3)
    fill_any(b, x)
    return b


def plain_fill(b, x):
    for i in range(3):
        b[i] = x[i] * x[0]


def plain_python(x):
    b = np.zeros(3)
    plain_fill(b, x)
    return b


@njit
def fill_recursively(b, x, i):
    if i < 3:
        b[i] = x[i] * x[0]
        fill_recursively(b, x, i + 1)


@njit
def filled_recursively(x):
    b = np.zeros(3)
    fill_recursively(b, x, 0)
    return b


@njit
def local_closure(x):
    b = np.zeros(3)

    def put(i):
        b[i] = x[i] * x[0]

    for i in range(3):
        put(i)
    return b


def factory(scale):
    @njit
    def scaled(x):
        b = np.zeros(3)
        b[:] = x
        return b * scale(x)

    return scaled


made_by_factory = factory(njit(lambda x: x[0]))


@njit(inline="always")
def fill_inlined(b, x):
    for i in range(3):
        b[i] = x[i] * x[0]


@njit
def calls_inlined(x):
    b = np.zeros(3)
    fill_inlined(b, x)
    return b


@njit
def fill_by_default(x, b, scale=1.0, power=1):
    for i in range(3):
        b[i] = scale * x[i] * x[0] ** power


@njit
def keyword_arguments(x):
    b = np.zeros(3)
    fill_by_default(b=b, power=1, x=x)
    return b


@njit
def fill_star(b, *numbers):
    for i in range(3):
        b[i] = numbers[i] * numbers[0]


@njit
def star_arguments(x):
    b = np.zeros(3)
    fill_star(b, x[0], x[1], x[2])
    return b


FORMS = [
    zeros, zeros_shape_and_dtype, empty_keyword_dtype, ones, full, zeros_like_constant,
    empty_like_active, arange, linspace, array_literal, copy_of_table, astype_of_integers,
    result_of_arithmetic, list_of_floats, list_literal, list_appended, comprehension,
    filled_in_helper, returned_from_helper, view_of_returned, through_identity, view_first,
    reshaped_first, view_by_another_name, chosen_by_branch, active_or_constant, active_or_global,
    tuple_of_buffers, list_of_buffers, swapped_buffers, scalar_accumulator_of_tuple, out_keyword,
    in_while, parallel_loop, fastmath, explicit_signature, calls_explicit_signature, plain_python,
    filled_recursively, local_closure, made_by_factory, calls_inlined, keyword_arguments,
    star_arguments,
]  # fmt: skip


@pytest.mark.parametrize("f", FORMS, ids=lambda f: f.__name__)
def test_every_way_to_make_a_buffer(f: Any) -> None:
    value, jacobian = dg.value_and_jacobian(f, chunk=2)(X)
    np.testing.assert_array_equal(value, X * X[0])
    expected = np.diag(np.full(3, X[0]))
    expected[:, 0] += X
    np.testing.assert_allclose(jacobian, expected, rtol=1e-15)


def test_comprehension_or_argument_beside_duals() -> None:
    """An array of plain items that may hold duals is made of duals, as what it stands for is."""

    @njit
    def first(b, out):
        both = (b, out)
        return both[1][0] * both[0][1]

    @njit
    def f(x, w):
        return x * first(np.array([1.5 for _ in range(3)]) if w[0] > 4.0 else w, x)

    x = np.array([3.0, 1.0, 2.0])
    for w, factor in (([5.0, 0.5, 1.0], 1.5), ([1.0, 0.5, 1.0], 0.5)):
        expected = factor * (x[0] * np.eye(3) + np.outer(x, [1.0, 0.0, 0.0]))
        np.testing.assert_array_equal(dg.jacobian(f)(x, np.array(w)), expected)
