"""vmap and parallel=True: the same numbers as a loop in Python, for every way to map."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import numpy as np
import pytest
from numba import njit

import dualgrad as dg
from dualgrad.transforms import batch_columns


def tilted(x, a):
    """A number, of an array and a number."""
    return a * x[0] ** 2 * np.sin(x[1]) + x[2]


def bent(x, a):
    """An array of two."""
    return np.array([a * x[0] * x[1], np.exp(a) * x[2]])


X = np.random.default_rng(1).normal(size=(7, 3))
A = np.linspace(0.5, 2.0, 7)


def leaves(result: Any) -> list[np.ndarray]:
    if isinstance(result, tuple):
        return [leaf for item in result for leaf in leaves(item)]
    return [np.asarray(result)]


def compare(got: Any, points: list[Any]) -> None:
    """`got` is what the results at the points are when stacked."""
    for stacked, *single in zip(leaves(got), *map(leaves, points), strict=True):
        np.testing.assert_array_equal(stacked, np.stack(single))


TRANSFORMS = {
    "function": njit(tilted),
    "function of arrays": njit(bent),
    "grad": dg.grad(tilted),
    "grad, two": dg.value_and_grad(tilted, (1, 0)),
    "grad, small chunk": dg.value_and_grad(tilted, chunk=2),
    "derivative": dg.derivative(bent, 1),
    "jacobian": dg.jacobian(bent),
    "jacobian, all": dg.value_and_jacobian(bent, (0, 1)),
    "hessian": dg.value_grad_and_hessian(tilted),
    "vmap": dg.vmap(dg.grad(lambda x, a: a * x * x), (0, None)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize(
    "in_axes, x, a", [(0, X, A), ((1, None), X.T, 2.0), ((-1, 0), X.T.copy(), A)]
)
def test_every_kind_of_transform(name, in_axes, x, a):
    g = TRANSFORMS[name]
    each = [
        g(np.ascontiguousarray(row), b) for row, b in zip(X, np.broadcast_to(a, 7), strict=True)
    ]
    compare(dg.vmap(g, in_axes)(x, a), each)


def test_products():
    tangents = np.cos(X)
    g = dg.jvp(tilted)
    got = dg.vmap(g, ((0, None), 0))((X, 2.0), (tangents, A))
    compare(got, [g((x, 2.0), (v, b)) for x, v, b in zip(X, tangents, A, strict=True)])
    h = dg.hvp(tilted)
    got = dg.vmap(h, ((0, None), (0, None)))((X, 2.0), (tangents, None))
    compare(got, [h((x, 2.0), (v, None)) for x, v in zip(X, tangents, strict=True)])


def test_constant_results_and_written_arguments():
    def f(x, n):
        x[0] = x[0] * n
        return x[0] * x[1], 1.0

    g, before = dg.value_and_jacobian(f), X.copy()
    compare(dg.vmap(g, (0, None))(X, 3), [g(x, 3) for x in X])
    np.testing.assert_array_equal(X, before)


def test_out():
    expected = dg.vmap(dg.grad(tilted))(X, A)
    for out in (
        np.full((7, 3), np.nan),
        np.full((3, 7), np.nan).T,
        np.full((14, 6), np.nan)[::2, ::2],
    ):
        assert dg.vmap(dg.grad(tilted))(X, A, out=out) is out
        np.testing.assert_array_equal(out, expected)
    out = (np.full(7, np.nan), np.full((7, 3), np.nan))
    dg.vmap(dg.value_and_grad(tilted))(X, A, out=out)
    np.testing.assert_array_equal(out[1], expected)
    stacked = np.full((7, 2), np.nan)
    dg.vmap(bent)(X, A, out=stacked)
    compare(stacked, [njit(bent)(x, a) for x, a in zip(X, A, strict=True)])
    for function in (dg.grad(tilted), bent):
        with pytest.raises(ValueError, match="out: its shape"):
            dg.vmap(function)(X, A, out=np.empty((8, 3)))
        with pytest.raises(ValueError, match="dimensions"):
            dg.vmap(function)(X, A, out=np.empty(7))


def either(x, a):
    """One of two arrays of three, not all items of which depend on `x`."""
    if x[0] > a - 1.0:
        return np.array([x[0] * x[1], 2, a])
    y = np.array([a / x[2], 0.5, x[1]])
    return y


def looked_at(x, a):
    """An array that is more than returned."""
    y = np.array([a * x[0], x[1] - x[2]])
    y[1] *= y[0]
    return y


def written(x, a, y):
    """Results in an argument."""
    y[0], y[1] = x[0] / a, x[1] * x[2]


@pytest.mark.parametrize("x", [X, X.T.copy().T, X.astype(np.float32)])
@pytest.mark.parametrize("f", [bent, either, looked_at, lambda x, a: (a * x[1], x[0], a)])
def test_lanes_for_just_the_inputs(f, x):
    g = dg.value_and_jacobian(f, chunk=3)
    a = A.astype(x.dtype)
    points = [g(np.ascontiguousarray(row), b) for row, b in zip(x, a, strict=True)]
    compare(dg.vmap(g)(x, a), points)
    plain = dg.vmap(dg.jacobian(f, chunk=3))
    compare(plain(x, a), [jacobian for _, jacobian in points])
    compare(plain(x[:, :2].repeat(2, axis=1), a), [
        dg.jacobian(f)(row[[0, 0, 1, 1]], b) for row, b in zip(x, a, strict=True)
    ])  # fmt: skip


def test_lanes_for_just_the_inputs_of_a_function_that_writes():
    g = dg.jacobian(written, chunk=3, out_argnum=2)
    y = np.full(2, np.nan)
    expected = np.zeros((7, 2, 3))
    expected[:, 0, 0] = 1.0 / A
    expected[:, 1, 1], expected[:, 1, 2] = X[:, 2], X[:, 1]
    np.testing.assert_allclose(dg.vmap(g, (0, 0, None))(X, A, y), expected, rtol=1e-15)
    assert np.isnan(y).all()


@njit
def turned(x, y, angle):
    c, s = np.cos(angle), np.sin(angle)
    return c * x - s * y, s * x + c * y


def between(angle, x, scale):
    """A number, an array and a constant, of two numbers with an array between them."""
    u, v = turned(x[0], x[1], angle)
    shift = 0.0
    for i in range(2, x.size):
        shift += x[i] / (1.0 + i)
    return scale * u, np.array([v + shift, 2.0, scale * shift]), 3.0


@pytest.mark.parametrize("argnums", [(0, 1, 2), (2, 1, 0), (1, 0), (0, 2), 2])
@pytest.mark.parametrize("dtype", [float, np.float32])
def test_numbers_beside_an_array(argnums, dtype):
    """The seeds of numbers and of one array are known to the compiler if its size is, too."""
    angle, scale = A.astype(dtype), A[::-1].astype(dtype) - 1
    x = np.random.default_rng(2).normal(size=(7, 6)).astype(dtype)
    columns = {0: angle[:, None], 1: x, 2: scale[:, None]}
    chosen = argnums if isinstance(argnums, tuple) else (argnums,)
    g = dg.value_and_jacobian(between, argnums, chunk=sum(columns[k].shape[1] for k in chosen))
    values, rows = dg.vmap(g)(angle, x, scale)
    c, s, shift = np.cos(angle), np.sin(angle), (x[:, 2:] / np.arange(3.0, 7.0)).sum(axis=1)
    u, v = c * x[:, 0] - s * x[:, 1], s * x[:, 0] + c * x[:, 1]
    zero, zeros = 0 * c, [0 * c] * 4
    by_x = [scale * c, -scale * s, *zeros], [s, c, *(1.0 / np.arange(3.0, 7.0)[:, None] + zeros)]
    by_x += ([zero, zero, *(scale / np.arange(3.0, 7.0)[:, None])],)
    wanted = {  # of scale * u, v + shift, scale * shift
        0: (-scale * v, u, zero),
        1: tuple(np.stack(np.broadcast_arrays(*row), axis=1) for row in by_x),
        2: (u, zero, shift),
    }
    rtol = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(values[0], scale * u, rtol=rtol)
    rows = rows if isinstance(argnums, tuple) else [(row,) for row in rows]
    for place, k in enumerate(chosen):
        number, array, constant = (row[place] for row in rows)
        assert number.dtype == dtype
        np.testing.assert_allclose(number, wanted[k][0], rtol, atol=rtol)
        np.testing.assert_allclose(array[:, 0], wanted[k][1], rtol, atol=rtol)
        np.testing.assert_allclose(array[:, 2], wanted[k][2], rtol, atol=rtol)
        assert not array[:, 1].any() and not constant.any()


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 9])
def test_numbers_in_other_chunks(chunk):
    """As many lanes as there are numbers, or fewer, or more."""

    def f(x, y, z):
        return x * y**2, np.exp(y * z)

    x, y, z = X.T
    g = dg.vmap(dg.jacobian(f, (0, 1, 2), chunk=chunk))
    of_first, of_second = g(x, y, z)
    np.testing.assert_allclose(of_first, (y**2, 2 * x * y, 0 * z), rtol=1e-14)
    np.testing.assert_allclose(of_second, np.exp(y * z) * (0 * x, z, y), rtol=1e-14)
    h = dg.vmap(dg.grad(lambda v, y, z: v[0] * y + np.sum(v) * z, (0, 1, 2), chunk=chunk))
    by_v, by_y, by_z = h(X, y, z)
    expected = np.repeat(z[:, None], 3, axis=1)
    expected[:, 0] += y
    np.testing.assert_allclose(by_v, expected, rtol=1e-14)
    np.testing.assert_allclose(by_y, x, rtol=1e-14)
    np.testing.assert_allclose(by_z, X.sum(axis=1), rtol=1e-14)


def test_sizes_of_the_first_call():
    """Those of several arrays are known from it; others are right as well."""

    def seen(camera, point):
        return np.array([camera[0] * point[0] + camera[-1], point[-1] * np.sum(camera)])

    mapped = dg.vmap(dg.jacobian(seen, (0, 1)))
    for sizes in ((3, 2), (2, 3), (4, 1), (3, 2), (9, 8)):
        camera, point = (np.random.default_rng(n).normal(size=(5, n)) for n in sizes)
        by_camera, by_point = np.zeros((5, 2, sizes[0])), np.zeros((5, 2, sizes[1]))
        by_camera[:, 0, 0] = point[:, 0]
        by_camera[:, 0, -1] += 1.0
        by_camera[:, 1] = point[:, -1:]
        by_point[:, 0, 0], by_point[:, 1, -1] = camera[:, 0], camera.sum(axis=1)
        for got, wanted in zip(mapped(camera, point), (by_camera, by_point), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-14, atol=1e-15)
    assert len(mapped.signatures) == 1


def test_lanes_fitted_to_the_first_call():
    """Without a chunk the kernel has as many lanes as the first call has inputs, and takes any."""

    def expected(points):
        rows = np.zeros((*points.shape[:1], 2, points.shape[1]))
        rows[:, 0] = points[:, :1]
        rows[:, 0, 0] += points.sum(axis=1)
        rows[:, 1, -1] = np.cos(points[:, -1])
        return rows

    for first in (11, 3):

        @njit
        def scaled(x):
            return np.array([np.sum(x) * x[0], np.sin(x[-1])])

        mapped = dg.vmap(dg.jacobian(scaled))
        for n in (first, 1, 8, 9, 16, 17, 30):
            points = np.random.default_rng(n).normal(size=(5, n))
            np.testing.assert_allclose(mapped(points), expected(points), rtol=1e-14)
        assert len(mapped.signatures) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_dtypes(dtype):
    x = np.arange(6).reshape(2, 3).astype(dtype)
    got = dg.vmap(dg.grad(lambda x: np.sum(x * x)))(x)
    assert got.dtype == (np.float32 if dtype == np.float32 else np.float64)
    np.testing.assert_array_equal(got, 2 * x)


def test_no_points():
    assert dg.vmap(dg.grad(tilted))(X[:0], A[:0]).shape == (0, 3)
    assert dg.vmap(tilted)(X[:0], A[:0]).shape == (0,)
    assert dg.vmap(dg.grad(tilted), parallel=True)(X[:0], A[:0]).shape == (0, 3)
    for function in (dg.jacobian(bent), bent):
        with pytest.raises(ValueError, match="no points"):
            dg.vmap(function)(X[:0], A[:0])


def test_inside_njit_and_nested():
    inner = dg.vmap(dg.grad(tilted))

    @njit
    def total(g, x, a):
        return np.sum(g(x, a))

    np.testing.assert_allclose(total(inner, X, A), np.sum(inner(X, A)))
    # the derivative of a sum of gradients by the factor that all have is their part of it
    scaled = dg.derivative(lambda s: np.sum(mapped_grad(X, s * A)))(1.0)
    without = inner(X, np.zeros(7))
    np.testing.assert_allclose(scaled, np.sum(inner(X, A) - without), rtol=1e-13)


mapped_grad = dg.vmap(dg.grad(tilted))


@pytest.mark.parametrize(
    "make, args, error, message",
    [
        (lambda: dg.vmap(tilted, 1), (X, A), ValueError, "has no axis 1"),
        (lambda: dg.vmap(tilted), (X, 1.0), ValueError, "give it None"),
        (lambda: dg.vmap(tilted, (None, None)), (X[0], 1.0), ValueError, "maps no argument"),
        (lambda: dg.vmap(tilted, (0, 0, 0)), (X, A), ValueError, "3 entries for 2 arguments"),
        (lambda: dg.vmap(tilted), (X, A[1:]), ValueError, "different lengths"),
        (lambda: dg.vmap(dg.grad(tilted), (2, 0)), (X, A), ValueError, "has no axis 2 to map"),
        (lambda: dg.vmap(tilted, "0"), (), TypeError, "an axis, None or a tuple"),
        (lambda: dg.vmap(lambda x: None), (X,), TypeError, "returns none"),
        (lambda: dg.vmap(3), (), TypeError, "a function is expected"),
        (lambda: dg.vmap("{}".format), (X,), TypeError, "does not know the parameters"),
    ],
)
def test_bad_input(make, args, error, message):
    with pytest.raises(error, match=message):
        make()(*args)


# --------------------------------------------------------------------------------- parallel


def waves(x, a):
    """An array of 37, each item of all inputs, and a number."""
    y = np.zeros(37)
    for i in range(37):
        for j in range(x.size):
            y[i] += np.sin(a * x[j] + i)
    return y, a * np.sum(x)


@pytest.fixture(scope="module", params=[0, (1, 0)], ids=["one", "two"])
def both(request):
    return [dg.value_and_jacobian(waves, request.param, parallel=p) for p in (False, True)]


class TestParallel:
    x = np.linspace(0.0, 1.0, 150)

    @pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 40, 150])
    def test_columns(self, both, n):
        one, many = (leaves(g(self.x[:n], 1.5)) for g in both)
        for a, b in itertools.zip_longest(one, many):
            np.testing.assert_array_equal(a, b)

    def test_out(self):
        expected = dg.grad(lambda x: np.sum(np.sin(x)))(self.x)
        out = np.full(150, np.nan)
        assert dg.grad(lambda x: np.sum(np.sin(x)), parallel=True)(self.x, out=out) is out
        np.testing.assert_array_equal(out, expected)

    @pytest.mark.parametrize("f", [tilted, dg.value_and_grad(tilted), dg.hessian(tilted)])
    def test_points(self, f):
        x, a = np.tile(X, (30, 1)), np.tile(A, 30)
        one, many = (leaves(dg.vmap(f, parallel=p)(x, a)) for p in (False, True))
        for got, want in zip(many, one, strict=True):
            np.testing.assert_array_equal(got, want)

    def test_exceptions_pass_through(self):
        def root(x):
            if x[0] < 0.0:
                raise ValueError("a negative number")
            return np.sqrt(x[0])

        x = np.arange(50.0).reshape(50, 1)
        x[33] = -1.0
        with pytest.raises(ValueError, match="a negative number"):
            dg.vmap(dg.grad(root), parallel=True)(x)

    def test_many_threads_call_at_once(self):
        g, results = dg.grad(lambda x: np.sum(x**3)), {}
        g(self.x)

        def work(k):
            results[k] = [g(self.x + k) for _ in range(50)]

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for k, found in results.items():
            for got in found:
                np.testing.assert_allclose(got, 3 * (self.x + k) ** 2, rtol=1e-14)


# ------------------------------------------------------------------------- points in vectors


def ratios(x):
    """Divisions, which Numba checks unless it is told that they are NumPy's."""
    return x[0] / x[1] + np.exp(x[2] / x[3]) * x[4] / x[5]


def d_ratios(x):
    e = np.exp(x[2] / x[3])
    return np.array([
        1 / x[1], -x[0] / x[1] ** 2, e * x[4] / (x[3] * x[5]),
        -e * x[2] * x[4] / (x[3] ** 2 * x[5]), e / x[5], -e * x[4] / x[5] ** 2,
    ])  # fmt: skip


@pytest.mark.parametrize("options, attempts", [
    ({"fastmath": True, "error_model": "numpy"}, [True]),
    ({"fastmath": True}, [False]),  # a check leaves the loop
    ({"error_model": "numpy"}, []),  # `exp` is computed number by number
])  # fmt: skip
def test_tangents_in_scalars_where_it_pays(options, attempts, monkeypatch):
    found = []

    def in_vectors(kernel, asked=batch_columns.in_vectors):
        found.append(asked(kernel))
        return found[-1]

    monkeypatch.setattr(batch_columns, "in_vectors", in_vectors)
    points = np.random.default_rng(3).uniform(0.5, 2.0, size=(37, 6))
    mapped = dg.vmap(dg.value_and_grad(njit(**options)(ratios)))
    values, rows = mapped(points)
    np.testing.assert_allclose(values, ratios(points.T), rtol=1e-14)
    np.testing.assert_allclose(rows, d_ratios(points.T).T, rtol=1e-13)
    assert found == attempts


def inner(x):
    """What a point may be full of: complex numbers, matrices, derivatives, sorting, rules."""
    z = (x[0] + 1j * x[1]) ** 2 / (x[2] - 1j)
    a = np.array([[x[0], 1.0], [x[1], 3.0 + x[2]]])
    y = np.linalg.solve(a, np.sort(x)[:2])
    slope = dg_derivative(x[0], x[1])
    return np.array([z.real, abs(z), y[0] * y[1], slope, np.linalg.norm(x), np.sum(a @ a)])


dg_derivative = dg.derivative(lambda s, t: s * s * np.sin(s * t))


def shared(x):
    """The argument itself, a view of it, and complex numbers."""
    return x, x[::-1], x[1], (x[0] + 2j * x[1]) * x, (x[2] - 1j) ** 3


@pytest.mark.parametrize("more", [0, 2, 6])  # tangents in scalars, in one vector, in two
def test_results_that_are_the_argument_or_complex(more):
    points = np.random.default_rng(5).normal(size=(9, 3 + more))
    n = points.shape[1]
    values, rows = dg.vmap(dg.value_and_jacobian(shared, chunk=n))(points)
    for value, wanted in zip(values, zip(*map(shared, points), strict=True), strict=True):
        np.testing.assert_allclose(value, np.stack(wanted), rtol=1e-14)
    unit = np.eye(n)
    wanted = [np.broadcast_to(it, (9, *it.shape)) for it in (unit, unit[::-1], unit[1])]
    z = points[:, 0] + 2j * points[:, 1]
    wanted += [z[:, None, None] * unit + points[:, :, None] * (unit[0] + 2j * unit[1])]
    wanted += [3.0 * (points[:, 2, None] - 1j) ** 2 * unit[2]]
    for row, expected in zip(rows, wanted, strict=True):
        np.testing.assert_allclose(row, expected, rtol=1e-13)
    written = points.copy()
    square = dg.vmap(dg.grad(lambda x: np.sum(x**2), chunk=n))
    np.testing.assert_allclose(square(written, out=written), 2.0 * points, rtol=1e-15)


def test_points_of_three_numbers():
    points = np.random.default_rng(4).uniform(0.5, 2.0, size=(9, 3))
    jacobian = dg.value_and_jacobian(inner)
    values, rows = dg.vmap(jacobian)(points)
    for value, row, point in zip(values, rows, points, strict=True):
        expected = jacobian(point)
        np.testing.assert_array_equal(value, expected[0])
        np.testing.assert_allclose(row, expected[1], rtol=1e-13, atol=1e-14)


@njit
def as_long_as_it_says(x):
    return np.ones(int(x[0])) * x[1]


@njit
def two_or_three(x):
    if x[0] > 1.0:
        return np.array([x[0], x[1]])
    return np.array([x[0], x[1], 1.0])


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("f", [as_long_as_it_says, two_or_three])
def test_results_of_other_shapes_at_other_points(f, parallel):
    """Their memory was written past its end, and one item stood for as many as there should be."""
    points = np.array([[1.0, 3.0], [2.0, 3.0], [1.0, 3.0]])
    for mapped in (f, dg.jacobian(f), dg.value_and_jacobian(f, chunk=1), dg.hessian(f)):
        for given in (points[:2], points[1:]):
            with pytest.raises(ValueError, match=r"not have the same shape|shape must be that of"):
                dg.vmap(mapped, parallel=parallel)(given)


@njit
def with_default(x, a=2.0):
    return np.sum(x * x) * a


@pytest.mark.parametrize("parallel", [False, True])
def test_arguments_left_at_their_defaults(parallel):
    points = np.arange(6.0).reshape(3, 2)
    for f, expected in (
        (with_default, 2 * np.sum(points**2, 1)),
        (dg.grad(with_default), 4 * points),
    ):
        np.testing.assert_array_equal(dg.vmap(f, parallel=parallel)(points), expected)
