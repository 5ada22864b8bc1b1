"""Functions that use arrays item by item: their Jacobians need no arrays of duals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit, typeof
from scipy.sparse import csr_array

import dualgrad as dg
from dualgrad.compile.frontend import typed
from dualgrad.compile.itemwise import allocation, is_itemwise
from dualgrad.sparse import columns
from dualgrad.transforms.columns import Columns
from dualgrad.transforms.pushforward import Pushforward
from tests.complexstep import assert_same_bits, jacobians
from tests.programs import d_rosenbrock

X = np.random.default_rng(5).uniform(0.5, 2.0, 12)


# ------------------------------------------ item by item: both arrays are used in no other way


@njit
def empty_like(x):
    y = np.empty_like(x)
    for i in range(len(x)):
        y[i] = x[i] * np.sin(x[i - 1])
    return y


@njit
def zeros_in_part(x):
    y = np.zeros(x.size + 2)
    for i in range(1, x.shape[0], 3):
        y[i] = x[i] ** 2
        y[-i] = 3.0 * x[-i] + x[0]
        y[0] = 1
    return y


@njit
def zeros_like(x):
    y = np.zeros_like(x)
    for i in range(x.ndim, x.size):
        y[i - 1] = x[i]
    return y


@njit
def by_shape(x):
    y = np.empty((x.size,))
    for i in range(x.size):
        y[np.uint8(i)] = x[np.int16(i)] / x[0]
    return y


@njit
def on_a_grid(x):
    u = x.reshape(3, -1)
    y = np.empty((4, 3))
    for i in range(3):
        for j in range(u.shape[1]):
            y[j, -1 - i] = u[i, j] * u[(i + 1) % 3, j - 1]
    return y.ravel()


@njit
def in_other_shapes(x):
    y = np.zeros(x.size)
    u, w = x.reshape((2, 2, 3)), y.reshape((6, 2))
    same = u.reshape((3, 4))
    for i in range(6):
        w[i, 1] = u[i % 2, 1, i % 3] ** 3 - same[i % 3, 2]
    return y.reshape(12)


@njit
def increased(x):
    y = np.zeros_like(x)
    for i in range(x.size):
        y[i] += x[i] ** 2
        y[i - 1] -= x[i] * x[2]
        y[0] += 2
        y[3] += x[i]
    return y


@njit
def increased_after(x):
    y = np.empty(x.size)
    for i in range(x.size):
        y[i] = np.exp(x[i])
        if i > 0:
            y[i] += x[i - 1]
        if i < x.size - 1:
            y[i] -= x[i] * x[i + 1]
    return y


@njit
def begun_again(x):
    for k in range(2):
        y = np.zeros(x.size)
        for i in range(x.size):
            y[i] += x[i] * x[i - k]
    return y


@njit
def set_twice(x):
    y = np.empty_like(x)
    for i in range(x.size):
        y[i] = x[(i + 1) % x.size]
        y[i] = 5.0
        y[i] = x[i] * x[i]
    return y


@njit
def aliases(x):
    u = x
    y = np.empty_like(u)
    z = y
    for i in range(u.size):
        z[i] = u[i] * 2.0
    return y


@njit
def item_of(u, i):
    return u[i] * u[i - 1]


def plain(u, i):
    return item_of(u, i) + u[0]


@njit
def put(y, u, i, scale=1.0):
    y[i] = item_of(u, i) * scale
    y[i] += u[2]


@njit
def by_helpers(x):
    y = np.empty_like(x)
    for i in range(x.size):
        put(y, x, i, scale=2.0)
        y[i] -= plain(x, i)
    return y


@njit
def constant_but_one(x):
    y = np.empty(3)
    y[0], y[1], y[2] = 1.5, x[4], 2
    return y


@njit(fastmath=True)
def allowed_approximations(x):
    y = np.empty_like(x)
    for i in range(x.size):
        y[i] = np.cos(x[i]) * x[0]
    return y


@njit
def through_locals(x):
    y = np.empty_like(x)
    before = x[0]
    for i in range(x.size):
        now = x[i]
        y[i] = now - before if now > 1.0 else now * before
        before = now
    return y


@njit
def corners(x):
    u = x.reshape(3, 4)[1:, ::2].T
    y = np.zeros((2, 2))
    for i in range(2):
        for j in range(2):
            y[i, j] = u[i, j] * u[-1, 0]
    return y.reshape(-1)


@njit
def reversed_rows(x):
    u = x[::-1]
    y = np.empty(4)
    for i in range(4):
        row = x.reshape(4, 3)[i]
        y[i] = row[0] * u[i] + row[1:][-1]
    return y


@njit
def in_loops_of_several(x):
    y = np.zeros(x.size)
    for i, item in enumerate(x):
        y[i] += item**2
    for i, item in enumerate(x[2:], 2):
        y[i] -= item * x[i - 2]
    for i, (one, other, factor) in enumerate(zip(x, x[1:], np.arange(12.0))):  # noqa: B905
        y[i] += one * other * factor
    return y


@njit
def summed_up(x):
    y = np.zeros(4)
    u = x.reshape(3, 4)
    y[0] = np.sum(x) * x[0] + x.sum() ** 2
    y[1] = u.sum() * np.mean(x)
    y[2] = x[1:].mean() * np.sum(x[::-3])
    y[3] = u[1].sum() + np.sum(u[:, 2]) ** 2 + np.mean(u)
    return y


BOTH = [
    empty_like, zeros_in_part, zeros_like, by_shape, on_a_grid, in_other_shapes, increased,
    increased_after, set_twice, aliases, by_helpers, constant_but_one, allowed_approximations,
    through_locals, corners, reversed_rows,
    in_loops_of_several, summed_up,
]  # fmt: skip


# --------------------------------------------------- the results are used in other ways as well


@njit
def read_again(x):
    y = np.empty_like(x)
    y[0] = x[1]
    for i in range(1, x.size):
        y[i] = y[i - 1] * x[i]
        y[i - 1] = x[i]
    return y


@njit
def scaled_items(x):
    y = np.ones(x.size)
    z = np.empty(x.size)
    for i in range(x.size):
        z[i] = x[i]
        z[i] *= x[i - 1]
        y[i] = z[i]
    return z


@njit
def added_to_itself(x):
    y = np.zeros(x.size)
    for i in range(x.size):
        y[i] += x[i]
        y[i] = y[i] + y[i]
    return y


@njit
def moved(x):
    y = np.zeros(x.size)
    for i in range(x.size - 1):
        y[i] += x[i]
        item = y[i]
        item += x[i + 1]
        y[i + 1] = item
    return y


@njit
def setting(y, i, item):
    y[i] = item * item
    return item


@njit
def changed_meanwhile(x):
    y = np.zeros(x.size)
    for i in range(x.size):
        y[i] += setting(y, i, x[i])
    return y


@njit
def sliced_result(x):
    y = np.zeros(x.size)
    for i in range(x.size):
        y[i] = x[i] * 3.0
    y[2:5] = 7.0
    return y


@njit
def one_of_two(x):
    y, z = np.zeros(x.size), np.zeros(x.size)
    for i in range(x.size):
        y[i], z[i] = x[i], x[i] * x[0]
    return y if x[0] < 1e3 else z


@njit
def two_returns(x):
    y = np.zeros(x.size)
    for i in range(x.size):
        if x[i] > 1e3:
            return np.zeros(x.size)
        y[i] = x[i] * x[i]
    return y


@njit
def scratch(x):
    z = np.empty(x.size)
    for i in range(x.size):
        z[i] = x[i] * x[0]
    return z[1:] - z[:-1]


@njit
def copied(x):
    z = np.empty(x.size)
    for i in range(x.size):
        z[i] = x[i] * x[0]
    return z.copy()


@njit
def of_ones(x):
    y = np.ones(x.size)
    for i in range(0, x.size, 2):
        y[i] = x[i] * x[0]
    return y


@njit
def expression(x):
    return 100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2


@njit
def of_grids(x):
    u = x.reshape(3, 4)
    inner = u[1:-1, 1:-1]
    flow = u[2:, 1:-1] + u[:-2, 1:-1] - 2.0 * inner + np.sin(u[1:-1, 2:]) * np.sqrt(u[1:-1, :-2])
    return (-flow / inner).ravel()


@njit
def broadcast(x):
    c = np.linspace(1.0, 2.0, 3)
    u = x.reshape(4, 3)
    return (u * c + x[:3] - u[:, :1] * x[3] + u.T[0, :1]).ravel()


@njit
def into_a_slice(x):
    y = np.zeros_like(x)
    y[1:-1] = x[2:] * x[:-2] - np.exp(-x[1:-1])
    y[0] = np.sum(x[:2] * x[2])
    return y


@njit
def in_fortran_order(x):
    u = x.reshape(3, 4).T
    return (u * u[:, ::-1] + u).ravel()


@njit
def with_numbers(x):
    scale = x[0] * x[1]
    return scale * x[2:6] + x[5] / x[6:10]


@njit
def unary(x):
    return -x + np.tanh(x) * (+x[0])


@njit
def steps(x):
    return x[::2] * x[1::2] + x[::-2] ** 3


@njit
def compared(x):
    return np.where(x > 1.0, x * x, 2.0 * x)


@njit
def in_a_loop(x):
    y = np.zeros(2)
    for item in x:
        y[0] += item * item
    for item in x[::-2]:
        y[1] = y[1] * 0.5 + item**3
    return y


SEEDS = [
    begun_again, read_again, scaled_items, added_to_itself, moved, changed_meanwhile,
    sliced_result, one_of_two, two_returns, scratch, copied, of_ones, expression, of_grids,
    in_a_loop, broadcast, into_a_slice, in_fortran_order, with_numbers, unary, steps, compared,
]  # fmt: skip


# --------------------------------------------------------- the argument is used in other ways


@njit
def in_place(x):
    y = np.ones(x.size)
    y[1:] *= x[:-1]
    return y


@njit
def summed(x):
    return np.cumsum(x)


@njit
def picked(x):
    return x[np.array([3, 1, 2])] * x[:3]


@njit
def masked(x):
    return x[x > 1.0] ** 2


@njit
def stored(x):
    y = np.zeros(4)
    y[1:] = x[:3]
    return y


@njit
def another_axis(x):
    return (x[:, np.newaxis] * x[:3]).ravel()


@njit
def with_out(x):
    y = np.zeros(12)
    np.multiply(x, x, y)
    return y


@njit
def returned(x):
    return x


@njit
def rows(x):
    y = np.zeros(2)
    for row in x.reshape(3, 4):
        y[0] += row[0] * row[3]
    return y


@njit
def summed_by_axis(x):
    return np.sum(x.reshape(3, 4), axis=0)


@njit
def summed_in_fortran_order(x):
    return np.sum(x.reshape(3, 4).T) * x


@njit
def written(x):
    y = np.zeros(x.size)
    for i in range(x.size):
        x[i] *= 2.0
        y[i] = x[i] * x[i - 1]
    return y


@njit
def chosen(x):
    u = x if x[0] < 1e3 else np.ones(12)
    y = np.zeros(x.size)
    for i in range(x.size):
        y[i] = u[i] * u[i]
    return y


@njit
def by_itself(x, i):
    return x[i] if i < 3 else by_itself(x, i - 1) * x[i]


@njit
def recursive(x):
    y = np.empty(4)
    for i in range(4):
        y[i] = by_itself(x, i)
    return y


@njit
def in_a_tuple(x):
    both = (x, x)
    y = np.empty(x.size)
    for i in range(x.size):
        y[i] = both[0][i] * both[1][0]
    return y


@njit
def any_number(*xs):
    return xs[0][1] * xs[0][2]


@njit
def by_star(x):
    y = np.empty(x.size)
    for i in range(x.size):
        y[i] = any_number(x) + x[i]
    return y


NEITHER = [
    in_place, summed, picked, masked, stored, another_axis, with_out, returned,
    rows, summed_by_axis, summed_in_fortran_order, written, chosen, recursive, in_a_tuple, by_star,
]  # fmt: skip


@pytest.mark.parametrize("f", [*BOTH, *SEEDS, *NEITHER], ids=lambda f: f.__name__)
def test_which_arrays_are_in_memory(f: Any) -> None:
    kinds = (typeof(X),)
    assert is_itemwise(f, kinds, 0) == (f not in NEITHER)
    if f not in NEITHER:
        assert (allocation(typed(f, kinds)) is not None) == (f in BOTH)


def check(jacobian: Any, f: Any, x: np.ndarray) -> csr_array:
    """The numbers of the complex step, and no entries but those of the pattern."""
    [expected] = jacobians(f.py_func, x.astype(float))
    found = jacobian(x)
    tolerance = 1e-5 if x.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(found.toarray(), expected, rtol=tolerance, atol=tolerance)
    out = found.copy()
    for _ in range(2):  # whatever is there before
        out.data[:] = np.nan
        assert jacobian(x, out=out) is out
        np.testing.assert_array_equal(out.data, found.data)
    return found


@pytest.mark.parametrize("f", [*BOTH, *SEEDS, *NEITHER], ids=lambda f: f.__name__)
def test_jacobians(f: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if f not in NEITHER:  # else another kernel would be as right
        monkeypatch.delattr(columns.Compressed, "_body")
    check(dg.sparse_jacobian(f, cache=False, verify=False), f, X)


@pytest.mark.parametrize("f", [*BOTH, *SEEDS], ids=lambda f: f.__name__)
def test_compared(f: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern that is given is compared at each call, in a lane of the same sweep."""
    monkeypatch.delattr(columns.Compressed, "_body")
    [dense] = jacobians(f.py_func, X)
    pattern = dense != 0.0
    check(dg.sparse_jacobian(f, pattern=pattern, cache=False), f, X)
    row, column = np.argwhere(pattern)[-1]
    pattern[row, column] = False
    with pytest.raises(ValueError, match=f"misses a nonzero in row {row}, column {column}"):
        dg.sparse_jacobian(f, pattern=pattern, cache=False)(X)


LAYOUTS = {
    "read-only": X.copy(),
    "strided": np.repeat(X, 2)[::2],
    "single": X.astype(np.float32),
    "integers": np.arange(1, 13),
}
LAYOUTS["read-only"].setflags(write=False)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("f", [empty_like, increased, expression], ids=lambda f: f.__name__)
def test_inputs(f: Any, name: str) -> None:
    x = LAYOUTS[name]
    found = check(dg.sparse_jacobian(f), f, x)
    assert found.dtype == np.result_type(f(x).dtype, np.float32)


@njit
def in_double(x):
    y = np.zeros(x.size)
    for i in range(x.size):
        y[i] += x[i] * x[i - 1]
    return y


def test_precision_of_the_result() -> None:
    """The entries are of the precision of the array that the function makes."""
    assert check(dg.sparse_jacobian(in_double), in_double, X.astype(np.float32)).dtype == np.float64


@pytest.mark.parametrize("n", [0, 1, 2, 3, 1000])
def test_sizes(n: int) -> None:
    x = np.linspace(0.5, 1.5, n)
    found = dg.sparse_jacobian(empty_like)(x)
    assert found.shape == (n, n)
    if n > 1:
        rows = np.arange(n)
        np.testing.assert_allclose(found[rows, rows], np.sin(x[rows - 1]), rtol=1e-14)
        np.testing.assert_allclose(
            found[rows, rows - 1], x * np.cos(x[rows - 1]), rtol=1e-14, atol=1e-15
        )


@njit
def banded(x, width):
    y = np.zeros(x.size)
    for i in range(x.size):
        for j in range(max(0, i - width), i + 1):
            y[i] += x[j] * x[j]
    return y


@pytest.mark.parametrize("width", [0, 1, 6, 15, 31, 40])
def test_numbers_of_colours(width: int) -> None:
    """One sweep has all of up to 32; with more arrays of duals are made."""
    x = np.linspace(0.5, 1.5, 60)
    jacobian = dg.sparse_jacobian(banded)
    i, j = np.indices((60, 60))
    expected = np.where((j <= i) & (j >= i - width), 2.0 * x, 0.0)
    np.testing.assert_array_equal(jacobian(x, width).toarray(), expected)
    np.testing.assert_array_equal(jacobian(x, width).toarray(), expected)


@njit
def constant(x):
    y = np.empty(x.size)
    for i in range(x.size):
        y[i] = 3.0
    return y


@pytest.mark.parametrize("x", [X, X.astype(np.float32), np.arange(12)], ids=lambda x: str(x.dtype))
def test_patterns_of_nothing_and_of_everything(x: np.ndarray) -> None:
    for parallel in (False, True):
        nothing = dg.sparse_jacobian(constant, pattern=np.zeros((12, 12), bool), parallel=parallel)(
            x
        )
        assert nothing.nnz == 0
    found = dg.sparse_jacobian(increased, pattern="dense")(x)
    np.testing.assert_allclose(found.toarray(), jacobians(increased.py_func, x.astype(float))[0])


def test_very_many_lanes() -> None:
    """A table of as many unit vectors would be longer than any cache."""
    x = np.linspace(0.5, 1.5, 60)
    expected = dg.sparse_jacobian(banded)(x, 6)
    found = dg.sparse_jacobian(banded, chunk=2000, cache=False)(x, 6)
    np.testing.assert_array_equal(found.toarray(), expected.toarray())


@njit
def into(y, x, a):
    for i in range(1, y.size):
        y[i] += a * x[i - 1] * x[i]
    y[2] = x[0]


@njit
def into_read(y, x, a):
    for i in range(y.size):
        y[i] = y[i] * x[i] * a


@pytest.mark.parametrize("y", [np.ones(12), np.ones(24)[::2]], ids=["C", "strided"])
@pytest.mark.parametrize("f", [into, into_read], ids=lambda f: f.__name__)
def test_results_in_an_argument(f: Any, y: np.ndarray) -> None:
    jacobian = dg.sparse_jacobian(f, argnums=1, out_argnum=0)

    def returning(x: np.ndarray) -> np.ndarray:
        result = np.ones(12)
        f.py_func(result, x, 2.0)
        return result

    [expected] = jacobians(returning, X)
    found = jacobian(y, X, 2.0)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-14)
    assert np.all(y == 1.0)
    out = found.copy()
    out.data[:] = np.nan
    np.testing.assert_array_equal(jacobian(y, X, 2.0, out=out).data, found.data)


def test_out_in_the_memory_of_the_argument() -> None:
    """Entries are written while the argument is still read: then of a copy."""
    jacobian = dg.sparse_jacobian(empty_like)
    expected = jacobian(X)
    out = expected.copy()
    x = out.data[3:15]
    x[:] = X
    np.testing.assert_array_equal(jacobian(x, out=out).data, expected.data)


@njit
def of_size(x, n):
    y = np.zeros(n)
    for i in range(n):
        y[i] = x[i % x.size] ** 2
    return y


def test_another_number_of_results() -> None:
    jacobian = dg.sparse_jacobian(of_size)
    for n in (12, 40, 3):
        expected = np.zeros((n, 12))
        expected[np.arange(n), np.arange(n) % 12] = 2.0 * X[np.arange(n) % 12]
        np.testing.assert_allclose(jacobian(X, n).toarray(), expected, rtol=1e-15)


@njit(boundscheck=True)
def outside(x, n):
    y = np.zeros(x.size)
    for i in range(n):
        y[i] += x[i]
    return y


def test_errors_are_those_of_the_function() -> None:
    jacobian = dg.sparse_jacobian(outside)
    np.testing.assert_array_equal(jacobian(X, 12).toarray(), np.eye(12))
    with pytest.raises(IndexError, match="index is out of bounds"):
        jacobian(X, 13)
    jacobian = dg.sparse_jacobian(wrong_shape)
    np.testing.assert_array_equal(jacobian(X, 3).toarray(), np.eye(1, 12))
    for function in (wrong_shape, jacobian):
        with pytest.raises(ValueError, match="total size of new array must be unchanged"):
            function(X, 5)


@njit
def wrong_shape(x, n):
    y = np.empty(1)
    y[0] = x.reshape(n, 4)[0, 0]
    return y


@njit
def terms(x):
    t = np.empty(x.size - 1)
    for i in range(t.size):
        t[i] = 100.0 * (x[i + 1] - x[i] ** 2) ** 2
        t[i] += (1.0 - x[i]) ** 2
    return t


@pytest.mark.parametrize("f", [terms, expression], ids=lambda f: f.__name__)
def test_terms_of_a_sum(f: Any) -> None:
    assert is_itemwise(f, (typeof(X),), 0)
    found = dg.grad(f, terms=True)
    np.testing.assert_allclose(found(X), d_rosenbrock(X), rtol=1e-13)
    value, gradient = dg.value_and_grad(f, terms=True)(X)
    np.testing.assert_allclose(value, f(X).sum(), rtol=1e-15)
    np.testing.assert_array_equal(gradient, found(X))


def test_within_another_transform() -> None:
    jacobian = dg.sparse_jacobian(increased_after)

    @njit
    def total(x):
        return np.sum(jacobian(x) ** 2)

    jacobian(X)
    found = dg.grad(total)(X)
    expected = np.empty(12)
    dense = dg.jacobian(increased_after)
    for k in range(12):
        up, down = X.copy(), X.copy()
        up[k], down[k] = X[k] + 1e-5, X[k] - 1e-5
        expected[k] = (np.sum(dense(up) ** 2) - np.sum(dense(down) ** 2)) / 2e-5
    np.testing.assert_allclose(found, expected, rtol=1e-6)


# ----------------------------------------------------------------------------- dense Jacobians


@pytest.mark.parametrize("f", [*BOTH, *SEEDS], ids=lambda f: f.__name__)
def test_dense_jacobians(f: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Columns, "duals")
    [expected] = jacobians(f.py_func, X)
    found = dg.jacobian(f, chunk=5, cache=False)(X)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


@njit
def of_several(a, u, w, t):
    s = np.prod(w) + a[()]
    for i in range(u.shape[0]):
        for j in range(u.shape[1]):
            s += u[i, j] * t[j] ** i * u[i - 1, j] / a.item()
    return s, u[0] * t + w[0]


def test_arguments_of_all_kinds() -> None:
    """One without axes, a matrix, a vector that has duals, as `np.prod` takes it, and one more."""
    args = np.array(2.0), X[:6].reshape(2, 3), X[6:9], X[9:]
    kinds = tuple(map(typeof, args))
    assert [is_itemwise(of_several, kinds, k) for k in range(4)] == [False, True, False, True]
    argnums = 1, 3, 2, 0
    found = dg.jacobian(of_several, argnums=argnums, chunk=4)(*args)
    for k, argnum in enumerate(argnums):
        before, after = args[:argnum], args[argnum + 1 :]

        def of_one(x: Any) -> Any:
            return of_several.py_func(*before, x, *after)  # noqa: B023  (called in this loop)

        for row, expected in zip(found, jacobians(of_one, args[argnum]), strict=True):
            np.testing.assert_allclose(row[k], expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", LAYOUTS)
def test_dense_inputs(name: str) -> None:
    x = LAYOUTS[name]
    [expected] = jacobians(expression.py_func, x.astype(float))
    found = dg.jacobian(expression)(x)
    tolerance = 1e-5 if x.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    assert found.dtype == np.result_type(expression(x).dtype, np.float32)


@pytest.mark.parametrize("n", [0, 1, 8, 33, 70])
@pytest.mark.parametrize("chunk", ["auto", 1, 7, 40, 100])
def test_numbers_of_columns(n: int, chunk: Any) -> None:
    x = np.linspace(0.5, 1.5, n)
    expected = np.diag(np.sin(x[np.arange(n) - 1])) if n else np.empty((0, 0))
    rows = np.arange(n)
    expected[rows, rows - 1] += x * np.cos(x[rows - 1])
    for parallel in (False, True):
        found = dg.jacobian(empty_like, chunk=chunk, parallel=parallel)(x)
        np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-15)


def test_dense_out_in_the_memory_of_the_argument() -> None:
    """A sweep writes its columns before the next one reads the argument."""
    jacobian = dg.jacobian(empty_like, chunk=5)
    expected = jacobian(X)
    out = np.empty((12, 12))
    x = out[0]
    x[:] = X
    np.testing.assert_array_equal(jacobian(x, out=out), expected)


def test_values_of_dense_jacobians() -> None:
    for f in (on_a_grid, expression):
        value, found = dg.value_and_jacobian(f, chunk=5)(X)
        np.testing.assert_array_equal(value, f(X))
        np.testing.assert_array_equal(found, dg.jacobian(f, chunk=5)(X))


@njit
def totals(x):
    u = x.reshape(5, -1)
    return np.sum(x), np.mean(x), np.sum(u), np.mean(x.reshape(-1, 1)), np.sum(x[::-1]), u[2].sum()


@pytest.mark.parametrize("x", [np.empty(0), -np.zeros(5), np.geomspace(1e-9, 1e9, 1000)], ids=len)
def test_sums_are_those_of_numba(x: np.ndarray) -> None:
    """Rounding shows the order; nothing has the mean nan."""
    for single in (x, x.astype(np.float32)):
        values, found = dg.value_and_jacobian(totals, chunk=8)(single)
        for value, row, expected in zip(values, found, totals(single), strict=True):
            assert_same_bits(value, expected)
            assert row.dtype == single.dtype
            assert {*row.tolist()} <= {0.0, row.max(initial=0.0)}  # of items that are left out


# ------------------------------------------------------------------------------------ directions


@pytest.mark.parametrize("f", [*BOTH, *SEEDS], ids=lambda f: f.__name__)
def test_directions(f: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tangents are read where they are: no array of duals is made of an argument."""
    monkeypatch.delattr(Pushforward, "seed")
    [dense] = jacobians(f.py_func, X)
    direction = np.cos(np.arange(12.0))
    value, found = dg.jvp(f, cache=False)((X,), (direction,))
    np.testing.assert_allclose(value, f.py_func(X), rtol=1e-14)
    np.testing.assert_allclose(found, dense @ direction, rtol=1e-13, atol=1e-13)


def test_directions_of_all_kinds() -> None:
    """Some are read where they are, some are not, and one argument has none."""
    args = np.array(2.0), X[:6].reshape(2, 3), X[6:9], X[9:]
    along = tuple(np.asarray(np.cos(it)) for it in args)
    layouts = along, (along[0], np.asfortranarray(along[1]), None, along[3][::-1])
    for tangents in layouts:
        value, found = dg.jvp(of_several)(args, tangents)
        expected = 0.0, 0.0
        for k, tangent in enumerate(tangents):
            if tangent is not None:
                parts = dg.jacobian(of_several, argnums=k)(*args)
                axes = tangent.ndim
                expected = tuple(
                    it + np.tensordot(part, tangent, axes)
                    for it, part in zip(expected, parts, strict=True)
                )
        for mine, its, number in zip(found, expected, of_several(*args), strict=True):
            np.testing.assert_allclose(mine, its, rtol=1e-13)
            assert np.shape(mine) == np.shape(number)
        assert_same_bits(value[0], of_several(*args)[0])


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
def test_inputs_of_directions(name: str, kind: Any) -> None:
    x, tangent = LAYOUTS[name], np.arange(12).astype(kind)
    if not {x.dtype.kind, tangent.dtype.kind} & {"f"}:
        with pytest.raises(TypeError, match="no argument has a tangent"):
            dg.jvp(expression)((x,), (tangent,))
        return
    [dense] = jacobians(expression.py_func, x.astype(float))
    value, found = dg.jvp(expression)((x,), (tangent,))
    assert found.dtype == value.dtype == np.result_type(expression(x).dtype, np.float32)
    tolerance = 1e-5 if x.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(found, dense @ tangent, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", [(11,), (13,), (1,), (0,)])
def test_directions_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="its shape is not that of primals"):
        dg.jvp(empty_like)((X,), (np.ones(shape),))


@pytest.mark.parametrize("n", [0, 1, 2, 33])
def test_a_direction_in_compiled_code(n: int) -> None:
    along = dg.jvp(empty_like)

    @njit
    def twice(x, t):
        return along((x,), (t,))[1] + along((t,), (x,))[1]

    x, t = np.linspace(0.5, 1.5, n), np.linspace(2.0, 3.0, n)
    expected = along((x,), (t,))[1] + along((t,), (x,))[1]
    np.testing.assert_array_equal(twice(x, t), expected)
