"""Short arrays that end with the function that makes them: on the stack, and none is allocated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit, typeof, types
from numba.core.runtime import _nrt_python, rtsys

import dualgrad as dg
from dualgrad.arrays.seeds import _AsArray
from dualgrad.arrays.short import ShortType
from dualgrad.arrays.sums import TotalType
from dualgrad.compile.frontend import typed
from dualgrad.compile.short import MOST_ITEMS, returned_arrays, short_arrays
from dualgrad.types import DualType, SeedsType
from tests.complexstep import assert_same_bits, in_python, jacobians

X = np.array([0.3, 1.2, -0.7, 0.9])
DUAL = DualType(types.float64, 3)

# ----------------------------------------------------------------------------- right-hand sides


@njit
def literal(u, a):
    return np.array([u[1] * a, -np.sin(u[0]), u[2] * u[0]])


@njit
def empty(u, a):
    du = np.empty(3)
    du[0], du[1] = u[1] * a, -np.sin(u[0])
    for i in range(2, 3):
        du[i] = u[i] * u[0]
    return du


@njit
def zeros(u, a):
    du = np.zeros(3)
    for i in range(3):
        du[i] += u[(i + 1) % 3] * a
        du[i] -= u[i] ** 2
    du[1:] = a
    return du


@njit
def either(u, a):
    for v in u:
        if abs(v) > 1e3:
            return np.array([1.0, v, a])
    return np.array([u[2] * a, u[1], a])


@njit
def expression(u, a):
    return 2.0 * literal(u, a) + np.array([a]) * u


def runge_kutta(rhs: Any) -> Any:
    @njit
    def run(x, steps=5):
        u, a = x[:3], x[3]
        for _ in range(steps):
            k1 = rhs(u, a)
            k2 = rhs(u + 0.05 * k1, a)
            k3 = rhs(u + 0.05 * k2, a)
            k4 = rhs(u + 0.1 * k3, a)
            u = u + 0.1 / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return u

    return run


RATES = [literal, empty, zeros, either, expression]
RUNS = {rhs.__name__: runge_kutta(rhs) for rhs in RATES}


def solved(rhs: Any) -> Any:
    """The Jacobian of a run by the complex step."""

    def run(x: Any) -> Any:
        u, a, rates = x[:3], x[3], in_python(rhs)
        for _ in range(5):
            k1 = rates(u, a)
            k2 = rates(u + 0.05 * k1, a)
            k3 = rates(u + 0.05 * k2, a)
            k4 = rates(u + 0.1 * k3, a)
            u = u + 0.1 / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return u

    return jacobians(run, X)[0]


@pytest.mark.optimized
@pytest.mark.parametrize("rhs", RATES, ids=lambda f: f.__name__)
def test_runs(rhs: Any) -> None:
    run = RUNS[rhs.__name__]
    value, found = dg.value_and_jacobian(run, chunk=3, cache=False)(X)
    assert_same_bits(value, run(X))
    np.testing.assert_allclose(found, solved(rhs), rtol=1e-13, atol=1e-14)
    kinds = typeof(X[:3]), typeof(1.0)
    assert [*returned_arrays(typed(rhs, kinds), DUAL).values()] in ([3], [3, 3])


@pytest.mark.parametrize("rhs", RATES, ids=lambda f: f.__name__)
def test_nothing_is_allocated_but_the_state(rhs: Any) -> None:
    """One array in each step, and nothing in what it calls."""
    jacobian = dg.jacobian(RUNS[rhs.__name__], chunk=4, cache=False)
    _nrt_python.memsys_enable_stats()
    jacobian(X, 1)
    counts = []
    for steps in (10, 110):
        before = rtsys.get_allocation_stats()
        jacobian(X, steps)
        after = rtsys.get_allocation_stats()
        counts.append(after.alloc - before.alloc)
        assert after.free - before.free == after.alloc - before.alloc
    assert counts[1] - counts[0] == 100


# ----------------------------------------------------------------------------------- on the stack


@njit
def rows(x):
    out = np.zeros((3, 3))
    for i in range(3):
        k = literal(x * (i + 1.0), x[3])
        out[i] = k
        out[i, 1:] = k[1:] * 2
    return out


@njit
def written_by_other_names(x):
    k = np.array([x[0], x[1], x[2]])
    back, same = k[::-1], k
    back[0] = x[3] * x[3]
    same[1] *= x[0]
    return np.sum(k) * k[2] + back[1]


@njit
def of_one_item(x):
    one = np.array([x[0] * x[1]])
    pair = one + np.array([x[1], x[2]])
    for v in pair:
        one[0] += v
    return pair * one[0] + one


@njit
def repeated(x):
    one = np.array([x[0]])
    many = one * x
    return np.sum(many * many) + many[3]


@njit
def of_several_lengths(x):
    k = np.array([x[0], x[1], x[2]]) * 2.0
    m = k[0:2] + np.array([x[0], x[3]])
    s = x[0] * 0.1
    for w in m:
        s -= w * k[2]
    return s * m[1]


@njit
def deeper(u):
    r = literal(u, u[2])
    s = literal(r, r[0])
    return r * s


@njit
def deep(x):
    k = deeper(x)
    m = deeper(k)
    return np.mean(m) + k[0] * m.sum()


@njit
def products(x):
    k = np.array([x[0], x[1]])
    a = np.array([[x[2], 1.0], [0.5, x[3]]])
    return a @ k + np.dot(k, k) * np.dot(a, k) + np.max(k)


@njit
def unary(x):
    k = np.array([x[0], x[1]])
    half = k / 2.0
    minus = -half
    return np.sum(np.exp(minus) + k.T + k.reshape(2))


@njit
def loops(x):
    k = np.array([x[0], x[1], x[2]])
    s = k.size * 1.0
    for i, v in enumerate(k):
        s += i * v * v
    for a, b in zip(k, x):  # noqa: B905  (which Numba does not know)
        s += a * b * len(k)
    return s


@njit
def of_complex_numbers(x):
    z = np.array([x[0] + 1j * x[1], 1j * x[2]])
    w = z * z
    return (w[0] * w[1]).real


@njit
def with_whole_numbers(x):
    k = np.array([1, 2, 3])
    m = np.array([x[0], 1.0, 2.0])
    n = k * m
    return n[0] + m[1] * x[1] * n[2]


@njit
def ended(x):
    s = 0.0
    i = 0
    while True:
        k = np.array([x[i], s + 1.0])
        s += k[1] * k[0]
        i += 1
        if i == 3:
            break
    return s * k[1]


@njit
def maybe(x, i):
    if i > 0:
        return x
    return None


@njit
def of_optional(x):
    """Whose operand has a length that no type shows."""
    one = np.array([x[0]])
    many = one * maybe(x, 1)
    return many[0] + many[3]


ON_STACK = {
    rows: [3], written_by_other_names: [3], of_one_item: [1, 2, 2, 2], repeated: [1],
    of_several_lengths: [2, 2, 3, 3], of_optional: [1], deep: [3, 3], products: [2],
    unary: [2, 2, 2, 2, 2, 2], loops: [3], of_complex_numbers: [2, 2], with_whole_numbers: [3, 3],
    ended: [2],
}  # fmt: skip

# ------------------------------------------------------------------------------------ on the heap


@njit
def carried(x):
    k = np.array([x[0], x[1], x[2]])
    for _ in range(3):
        old = k
        k = np.array([old[1] * x[3], old[2], old[0]])
        k[0] += old[2]
    return k


@njit
def swapped(x):
    a, b = np.array([x[0], x[1]]), np.array([x[2], x[3]])
    for _ in range(3):
        a, b = b, a * b
    return a - b


@njit
def listed(x):
    found = []
    for i in range(3):
        k = np.array([x[i], x[i + 1] * x[0]])
        found.append(k)
    return found[0] * found[1] + found[2]


@njit
def in_a_tuple(x):
    k = np.array([x[2], x[3]])
    pair = (k, np.array([x[0], x[1]]))
    return pair[0] * pair[1]


@njit
def same(k):
    return k


@njit
def passed_through(x):
    r = np.zeros(2)
    first = r
    for i in range(3):
        k = same(np.array([x[i], x[i + 1]]))
        if i == 0:
            first = k
        r = r + k * first
    return r


@njit
def a_view(x):
    k = np.array([x[0], x[1] * x[2], x[3]])
    return k[1:]


@njit
def of_views(x):
    first, second = a_view(x), a_view(x * 2.0)
    return first * second


@njit
def chosen(x):
    k = np.array([x[0], x[1]]) if x.size == 4 else np.array([x[2], x[3]])
    return k * k


@njit
def kept_view(x):
    """What a view was of in an earlier turn."""
    s, view = 0.0, x
    for i in range(4):
        k = np.array([x[0] * i, s + x[1], x[i]])
        if i == 0:
            view = k[1:]
        s += view[0] * view[1]
    return s


@njit
def kept_view_of_one_name(x):
    s = 0.0
    for i in range(4):
        k = np.array([x[0] * i, s + x[1], x[i]])
        if i == 0:
            view = k[1:]
        s += view[0] * view[1]
    return s


@njit
def kept_iterator(x):
    s = 0.0
    for i in range(4):
        k = np.array([x[0] * i, s + x[1], x[i]])
        if i < 2:
            items = enumerate(k)
        s += k[1]
    for i, v in items:
        s += i * v
    return s


@njit
def one_by_one(k):
    for v in k:
        yield v * v


@njit
def kept_generator(x):
    s = 0.0
    for i in range(4):
        k = np.array([x[0] * i, s + x[1], x[i]])
        if i < 2:
            items = one_by_one(k)
        s += k[1]
    for v in items:
        s += v
    return s


@njit
def generated(x):
    for i in range(3):
        k = np.array([x[i], x[i + 1]])
        yield k[0]
        yield k[1] * k[0]


@njit
def of_generated(x):
    s = 0.0
    for v in generated(x):
        s += v * v
    return s


@njit
def recursive(u, n):
    if n == 0:
        return np.array([u[0], u[1] * u[0]])
    k = recursive(u * 1.5, n - 1)
    return np.array([k[1], k[0] + u[0]])


@njit
def too_long(x):
    k = np.zeros(MOST_ITEMS + 1)
    for i in range(k.size):
        k[i] = x[i % 4] * i
    return np.sum(k * k)


@njit
def grown(x):
    items = [x[0], x[1]]
    items.append(x[2] * x[3])
    k = np.array(items)
    return np.sum(k * k)


@njit
def of_a_generator(x):
    return np.sum(np.array([v * v for v in x]))


@njit
def generator_and_number(k):
    return one_by_one(k), 1.0


@njit
def kept_by_a_callee(x):
    s = 0.0
    kept = generator_and_number(x)
    for i in range(4):
        k = np.array([x[0] * (i + 1), s + x[1], x[2]])
        if i < 1:
            kept = generator_and_number(k)
        s += k[0]
    for v in kept[0]:
        s += v * v
    return s


@njit
def appended(kept, k):
    kept.append(k)
    return k[0]


@njit
def kept_in_an_argument(x):
    kept = [x]
    s = 0.0
    for i in range(3):
        k = np.array([x[i], s + x[3]])
        s += appended(kept, k)
    return s * kept[1][0] + kept[2][1]


ON_HEAP = [
    carried, swapped, listed, in_a_tuple, passed_through, a_view, of_views, chosen, kept_view,
    kept_view_of_one_name, kept_iterator, kept_generator, of_generated, too_long, grown,
    of_a_generator, kept_by_a_callee, kept_in_an_argument,
]  # fmt: skip


@pytest.mark.optimized
@pytest.mark.parametrize("f", [*ON_STACK, *ON_HEAP], ids=lambda f: f.__name__)
def test_derivatives(f: Any) -> None:
    found = sorted(short_arrays(typed(f, (typeof(X),)), f, DUAL, returned=False).values())
    assert found == ON_STACK.get(f, []), found
    is_number = np.ndim(f(X)) == 0
    transform = dg.value_and_grad if is_number else dg.value_and_jacobian
    value, slopes = transform(f, chunk=3, cache=False)(X)
    assert_same_bits(value, f(X))
    [expected] = differences(f) if f in HARD else jacobians(in_python(f), X)
    np.testing.assert_allclose(slopes, expected, rtol=1e-7 if f in HARD else 1e-13, atol=1e-8)


#: What does not run in Python with complex numbers.
HARD = [products, of_complex_numbers]


def differences(f: Any) -> list[Any]:
    steps = 1e-6 * np.eye(4)
    return [np.stack([(f(X + h) - f(X - h)) / 2e-6 for h in steps], axis=-1)]


def test_recursive_functions() -> None:
    """Theirs are on the heap: stacks are not endless."""
    code = typed(recursive, (typeof(X), typeof(3)))
    assert not short_arrays(code, recursive, DUAL, returned=False)
    f = njit(lambda x: recursive(x, 3))
    np.testing.assert_allclose(dg.jacobian(f, cache=False)(X), differences(f)[0], rtol=1e-8)


def test_all_of_a_function_are_no_longer_than_a_frame() -> None:
    @njit
    def f(x):
        a = np.zeros(30)
        b = np.zeros(31)
        c = np.zeros(32)
        d = np.zeros(29)
        for i in range(4):
            a[i], b[i], c[i], d[i] = x[i], x[i] ** 2, x[i] ** 3, x[i] ** 4
        return a[0] * b[1] * c[2] * d[3]

    code = typed(f, (typeof(X),))
    lengths = {
        lanes: sorted(short_arrays(code, f, DualType(types.float64, lanes), False).values())
        for lanes in (8, 15, 16, 500)
    }
    assert lengths == {8: [29, 30, 31, 32], 15: [29, 30, 31, 32], 16: [29, 30], 500: []}


def test_a_length_that_is_another_later() -> None:
    """Code is looked at once, and read again for another number of lanes."""
    names = {"np": np, "njit": njit, "N": 3}
    text = "@njit\ndef make(x):\n    k = np.zeros(N)\n    k[N - 1] = x[0] * x[1]\n    return k\n"
    exec(f"{text}@njit\ndef f(x):\n    r = make(x) * 2.0\n    return r[r.size - 1]", names)
    expected = [2 * X[1], 2 * X[0], 0.0, 0.0]
    np.testing.assert_allclose(dg.grad(names["f"], chunk=4, cache=False)(X), expected)
    names["N"] = 6
    with pytest.raises(RuntimeError, match="another length than when its code was looked at"):
        dg.grad(names["f"], chunk=2, cache=False)(X)


def test_lengths_are_checked() -> None:
    @njit
    def f(x):
        k = np.array([x[0], x[1], x[3]])
        return np.sum(x * (x + k))

    for run in (f, dg.grad(f, cache=False)):
        with pytest.raises(ValueError, match="unable to broadcast"):
            run(X)


def test_bounds_are_checked() -> None:
    @njit(boundscheck=True)
    def f(x, i):
        k = np.array([x[0], x[1], x[3]])
        return k[i] * k[-1]

    gradient = dg.grad(f, cache=False)
    np.testing.assert_allclose(gradient(X, 1), [0.0, X[3], 0.0, X[1]])
    np.testing.assert_allclose(gradient(X, -3), [X[3], 0.0, 0.0, X[0]])
    with pytest.raises(IndexError):
        gradient(X, 3)


def test_precision() -> None:
    @njit
    def f(x):
        k = np.array([x[0], x[1] * x[0]])
        m = k * k + np.float32(0.1)
        return m[0] * m[1]

    x = X.astype(np.float32)
    value, slopes = dg.value_and_grad(f, cache=False)(x)
    assert_same_bits(value, f(x))
    assert slopes.dtype == np.float32
    np.testing.assert_allclose(slopes, dg.grad(f)(X), rtol=1e-5)


def test_other_transforms() -> None:
    """Of the same run: each against first derivatives, or differences of them."""
    run = RUNS["expression"]
    jacobian = dg.jacobian(run, cache=False)
    first, v, h = jacobian(X), np.array([1.0, -2.0, 0.5, 3.0]), 1e-6
    np.testing.assert_allclose(dg.jvp(run)((X,), (v,))[1], first @ v, rtol=1e-13)
    second = dg.hessian(run, cache=False)(X)
    expected = [(jacobian(X + s) - jacobian(X - s)) / (2 * h) for s in h * np.eye(4)]
    np.testing.assert_allclose(second, np.moveaxis(expected, 0, -1), rtol=1e-6, atol=1e-8)
    points = np.stack([X, X + 0.1, X - 0.2])
    for point, found in zip(points, dg.vmap(dg.jacobian(run))(points), strict=True):
        np.testing.assert_allclose(found, jacobian(point), rtol=1e-14)
    np.testing.assert_allclose(dg.taylor(run, 2)(X, v)[1], first @ v, rtol=1e-12)
    sparse = dg.sparse_jacobian(run)
    np.testing.assert_array_equal(sparse.pattern(X).toarray(), first != 0.0)
    np.testing.assert_allclose(sparse(X).toarray(), first, rtol=1e-14)


def test_types_of_expressions_are_told_apart() -> None:
    """Numba takes types for one that have one class and one key, as long as one of them lives."""
    array = types.Array(DUAL, 1, "C")
    lengths = [ShortType(array, size) for size in (2, 3)]
    assert [it.size for it in lengths] == [2, 3]
    kinds = [TotalType(array, kind) for kind in ("sum", "mean")]
    assert [it.kind for it in kinds] == ["sum", "mean"]
    given = [SeedsType(types.Array(types.float64, 1, "C"), DUAL, probed=it) for it in (False, True)]
    seeds = [_AsArray(it) for it in given]
    assert [it.seeds for it in seeds] == given
