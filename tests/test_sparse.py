"""Sparse Jacobians and Hessians: the numbers of the dense ones and of closed forms."""

from __future__ import annotations

import copy
import pickle
import threading
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from numba import njit
from numba.typed import List
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares
from scipy.sparse import coo_matrix, csc_array, csr_array, csr_matrix, diags_array
from scipy.sparse.linalg import spsolve

import dualgrad as dg
from dualgrad.sparse.arguments import copied, same
from dualgrad.transforms import parallel

X = np.random.default_rng(2).uniform(0.5, 2.0, 12)


@njit
def tridiagonal(x, a=2.0):
    y = np.empty_like(x)
    for i in range(x.size):
        y[i] = x[i] ** 3
        if i > 0:
            y[i] += a * np.sin(x[i - 1])
        if i < x.size - 1:
            y[i] -= x[i] * x[i + 1]
    return y


def d_tridiagonal(x, a=2.0):
    main, upper = 3 * x**2, -x[:-1]
    main[:-1] -= x[1:]
    return diags_array([a * np.cos(x[:-1]), main, upper], offsets=[-1, 0, 1]).toarray()


def band(n: int, lower: int, upper: int) -> np.ndarray:
    i, j = np.indices((n, n))
    return (i - j <= lower) & (j - i <= upper)


def check(found: Any, expected: Any, pattern: Any = None) -> None:
    """A sparse result has these numbers, and entries where they can be nonzero only."""
    assert isinstance(found, csr_array)
    assert np.all(np.diff(found.indices) > 0) or found.has_sorted_indices
    found.copy().check_format(full_check=True)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-13, atol=1e-13)
    if pattern is not None:
        expected_pattern = csr_array(pattern)
        np.testing.assert_array_equal(found.indptr, expected_pattern.indptr)
        np.testing.assert_array_equal(found.indices, expected_pattern.indices)


J = dg.sparse_jacobian(tridiagonal)


def test_finds_pattern_and_colours() -> None:
    check(J(X), d_tridiagonal(X), band(12, 1, 1))
    check(J(X, 3.0), d_tridiagonal(X, 3.0))
    check(J(x=X, a=3.0), d_tridiagonal(X, 3.0))
    assert J.pattern(X).dtype == bool
    np.testing.assert_array_equal(J.pattern(X).toarray(), band(12, 1, 1))
    colours = J.colors(X)
    assert sorted(set(colours)) == [0, 1, 2]
    summary = J.summary(X)
    assert (summary.shape, summary.nonzeros, summary.colours, summary.sweeps) == (
        (12, 12),
        34,
        3,
        1,
    )


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_small(n: int) -> None:
    g = dg.sparse_jacobian(tridiagonal, chunk=3)
    check(g(X[:n]), d_tridiagonal(X[:n]) if n else np.zeros((0, 0)))


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


@pytest.mark.parametrize(
    "x",
    [np.repeat(X, 2)[::2], X[::-1].copy()[::-1], read_only(X), np.tile(X, (2, 1)).T[:, 0]],
    ids=["strided", "reversed", "read-only", "column"],
)
def test_every_layout(x: np.ndarray) -> None:
    check(J(x), d_tridiagonal(X))


def test_dtypes() -> None:
    def squares(x):
        return x[1:] * x[:-1]

    g = dg.sparse_jacobian(squares)
    x = np.arange(1, 6)
    expected = (np.diag(x[:-1], 1) + np.diag(np.r_[x[1:], 0]))[:-1]
    for dtype, result in [(np.float32, np.float32), (np.int64, np.float64)]:
        found = g(x.astype(dtype))
        assert found.dtype == result
        np.testing.assert_array_equal(found.toarray(), expected)


# --------------------------------------------------------------------------------- patterns


@njit
def products(x, rows, columns, factors, m):
    """Each row the product of two sums of items of x, with structure and numbers that are given."""
    y = np.ones(m)
    for e in range(rows.size):
        y[rows[e]] *= 1.5 + factors[e] * np.sin(x[columns[e]])
    return y


def d_products(x, rows, columns, factors, m):
    expected = np.zeros((m, x.size))
    y = np.ones(m)
    np.multiply.at(y, rows, 1.5 + factors * np.sin(x[columns]))
    slopes = factors * np.cos(x[columns]) / (1.5 + factors * np.sin(x[columns]))
    np.add.at(expected, (rows, columns), y[rows] * slopes)
    return expected


def arrow(n: int, down: bool) -> np.ndarray:
    p = np.eye(n, dtype=bool)
    p[:, 0] = True
    p[0, :] |= not down
    return p


def scattered(m: int, n: int, density: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((m, n)) < density


def holes() -> np.ndarray:
    p = scattered(9, 14, 0.3, 1)
    p[[0, 4, 8]] = False
    p[:, [0, 3, 13]] = False
    return p


#: Each has another number of columns: a pattern that was found is kept for as long as it is right.
PATTERNS = {
    "band": band(40, 2, 5),
    "block": np.kron(np.eye(5, dtype=bool), np.ones((3, 4), bool)),
    "arrow": arrow(11, False),
    "half arrow": arrow(13, True),
    "empty rows and columns": holes(),
    "dense row": arrow(15, False)[:, ::-1] | np.eye(15, dtype=bool),
    "dense": np.ones((7, 39), bool),
    "empty": np.zeros((4, 6), bool),
    "no rows": np.zeros((0, 7), bool),
    **{f"random {k}": scattered(20 + k, 45 + k, 0.02 * (k + 1), k) for k in range(6)},
}

BY_PATTERN = dg.sparse_jacobian(products, chunk=8)


@pytest.mark.parametrize("name", PATTERNS)
def test_every_pattern(name: str) -> None:
    pattern = PATTERNS[name]
    m, n = pattern.shape
    rng = np.random.default_rng(m)
    x, (rows, columns) = rng.uniform(0.1, 1.0, n), np.nonzero(pattern)
    args = x, rows, columns, rng.uniform(0.2, 1.0, rows.size), m
    expected = d_products(*args)
    check(BY_PATTERN(*args), expected, pattern)
    for given in (pattern, csc_array(pattern), csr_matrix(pattern * 0.0 + pattern), "dense"):
        found = dg.sparse_jacobian(products, given, chunk=8, verify=True)(*args)
        check(found, expected, np.ones((m, n)) if isinstance(given, str) else pattern)


@pytest.mark.parametrize("chunk, parallel", [(1, False), (5, False), (2, True)])
def test_every_chunk(chunk: Any, parallel: bool) -> None:
    args = X[:8], *np.nonzero(np.ones((3, 8))), np.linspace(0.3, 0.9, 24), 3
    g = dg.sparse_jacobian(products, "dense", chunk=chunk, verify=False, parallel=parallel)
    check(g(*args), d_products(*args))


def test_forms_of_a_given_pattern() -> None:
    twice = coo_matrix((np.zeros(36), (np.r_[0:12, 0:12, 1:12, 0], np.r_[0:12, 0:12, 0:11, 0])))
    lower = dg.sparse_jacobian(lambda x: np.cumsum(x)[0] * x + np.sin(np.roll(x, 1)), twice)
    with pytest.raises(ValueError, match="misses a nonzero in row 0, column 11"):
        lower(X)
    g = dg.sparse_jacobian(tridiagonal, band(12, 1, 1))
    check(g(X), d_tridiagonal(X), band(12, 1, 1))
    with pytest.raises(ValueError, match="another number of columns"):
        g(X[:5])
    with pytest.raises(ValueError, match="another number of rows"):
        dg.sparse_jacobian(tridiagonal, band(12, 1, 1)[:5])(X)


# ------------------------------------------------------------------------------- comparisons


def square(v):
    return v * v


@njit
def counting(x, calls):
    calls[0] += 1.0
    return square(x) * x[0]


def test_every_entry_where_f_writes_and_calls_python() -> None:
    calls = List([0.0])
    found = dg.sparse_jacobian(counting, pattern="dense")(X, calls)
    expected = np.diag(2 * X * X[0])
    expected[:, 0] += X**2
    check(found, expected, np.ones((12, 12), bool))
    assert calls[0] == 0.0


def test_a_given_pattern_that_misses_a_nonzero() -> None:
    pattern = band(12, 1, 1)
    pattern[4, 5] = False
    g = dg.sparse_jacobian(tridiagonal, pattern)
    with pytest.raises(ValueError, match="misses a nonzero in row 4, column 5"):
        g(X)
    with pytest.raises(ValueError, match="misses a nonzero in row 4"):
        g(X)  # and again
    unchecked = dg.sparse_jacobian(tridiagonal, pattern, verify=False)(X).toarray()
    assert not np.allclose(unchecked, d_tridiagonal(X))


@njit
def meets_later(x):
    return x * x + x * x[::-1] ** 2


@pytest.mark.parametrize("parallel", [False, True])
def test_a_given_pattern_is_not_trusted_for_one_point(parallel: bool) -> None:
    """Where its missing entries are zero it is right, and then it is not."""
    given = dg.sparse_jacobian(meets_later, np.eye(12, dtype=bool), parallel=parallel, chunk=1)
    check(given(0.0 * X), np.zeros((12, 12)), np.eye(12))
    with pytest.raises(ValueError, match="misses a nonzero in row 0, column 11"):
        given(X)
    both = dg.sparse_jacobian(meets_later, np.eye(12) + np.eye(12)[::-1] > 0, parallel=parallel)
    check(both(X), np.diag(2 * X + X[::-1] ** 2) + np.diag(2 * X * X[::-1])[:, ::-1])


@njit
def of_some(x):
    y = np.zeros(2)
    for k in range(2):
        i = np.random.randint(0, x.size)
        y[k] = (i + 1) * (x[i] - 1.0) ** 2
    return y


@njit
def seed(k):
    np.random.seed(k)


def test_patterns_by_random_numbers() -> None:
    """Detection draws what the derivative draws, and neither draws more than one run of f."""
    jacobian, dense = dg.sparse_jacobian(of_some), dg.jacobian(of_some, chunk=4)
    gradient = dg.grad(of_some, terms=True)
    for k in range(4):
        found = []
        for call in (dense, jacobian, gradient):
            seed(k)
            found.append([call(X), call(X)])
        for expected, entries, sums in zip(*found, strict=True):
            np.testing.assert_allclose(entries.toarray(), expected, rtol=1e-13)
            np.testing.assert_allclose(sums, expected.sum(axis=0), rtol=1e-13)


@njit
def branching(x, far):
    y = x * x
    if x[0] > 0:
        y[1] += x[3] * x[5]
    if far > 1.0:
        y[2] += x[0] * far
    return y


def d_branching(x, far):
    expected = np.diag(2 * x)
    if x[0] > 0:
        expected[1, [3, 5]] += x[[5, 3]]
    if far > 1.0:
        expected[2, 0] += far
    return expected


def test_a_pattern_that_changes() -> None:
    g = dg.sparse_jacobian(branching, chunk=3)
    here, there = X[:6], np.r_[-1.0, X[1:6]]
    for x, far in [(there, 0.0), (here, 0.0), (there, 2.0), (here, 2.0), (here, np.nan)]:
        check(g(x, far), d_branching(x, far))
    given = dg.sparse_jacobian(branching, np.eye(6, dtype=bool), chunk=3)
    check(given(there, 0.0), d_branching(there, 0.0))
    with pytest.raises(ValueError, match="row 2, column 0"):
        given(there, 2.0)  # compared, as another argument differs


def test_same_arguments() -> None:
    zero, nan = np.zeros(3), np.full(3, np.nan)
    for a in (zero, nan, 1.5, np.nan, 2, True, "a", None, np.sin, (1, (zero, 2.0)), np.int8(3), 1j):
        assert same(copied(a), a)
    point = namedtuple("point", "x")(zero)
    assert same(copied(point), point)
    for a, b in [
        (zero, -zero), (0.0, -0.0), (zero, zero[:2]), (zero, zero.astype(np.float32)), (1, 1.0),
        (1, True), (np.sin, np.cos), ((1, zero), (1, nan)), ((1,), (1, 2)), ([1], [1]), (1j, -1j),
    ]:  # fmt: skip
        assert not same(a, b)
    kept = copied((zero,))
    zero[0] = 1.0
    assert not same(kept, (zero,))


def test_another_number_of_results() -> None:
    g = dg.sparse_jacobian(lambda x, m: x[:m] ** 2)
    for m in (3, 5, 0, 4):
        check(g(X, m), np.diag(2 * X)[:m])


def test_what_is_not_finite() -> None:
    x = np.array([0.0, 1.0, np.nan, np.inf])
    found = dg.sparse_jacobian(lambda x: np.sqrt(x), verify=True)(x).toarray()
    np.testing.assert_array_equal(np.diag(found), [np.inf, 0.5, np.nan, 0.0])


# ---------------------------------------------------------------------------------- results


def test_out() -> None:
    out = J(X)
    out.data[:] = np.nan
    assert J(2 * X, out=out) is out
    check(out, d_tridiagonal(2 * X))
    own = csr_array(band(12, 1, 1).astype(float))
    assert J(X, 2.0, out=own) is own
    check(own, d_tridiagonal(X))
    transposed = csc_array(band(12, 1, 1).astype(float))
    wide = csr_array(band(12, 1, 2).astype(float))
    for wrong in (wide, csr_array((3, 3)), np.zeros((12, 12)), transposed):
        with pytest.raises(ValueError, match="out must be a csr_array with the pattern"):
            J(X, out=wrong)
    with pytest.raises(TypeError, match="dtype"):
        J(X, out=csr_array(band(12, 1, 1).astype(np.float32)))


def strided(size: int) -> np.ndarray:
    return np.full(2 * size, np.nan)[::2]


@pytest.mark.parametrize("parallel", [False, True])
def test_entries_may_be_apart_in_memory(parallel: bool) -> None:
    """What lies between them stays what it is."""
    for chunk in ("auto", 2):
        jacobian = dg.sparse_jacobian(tridiagonal, parallel=parallel, chunk=chunk)
        out = jacobian(X).copy()
        out.data = strided(out.nnz)
        assert jacobian(X, out=out) is out
        check(out, d_tridiagonal(X))
        assert np.isnan(out.data.base[1::2]).all()
    hessian = dg.sparse_hessian(cubes)
    expected = hessian(X)
    out = expected.copy()
    out.data = strided(out.nnz)
    hessian(X, out=out)
    np.testing.assert_array_equal(out.data, expected.data)
    assert np.isnan(out.data.base[1::2]).all()


def test_entries_may_be_written_to_memory_of_arguments() -> None:
    """What the entries are compared with are the arguments as they were."""
    for given in ({}, {"pattern": np.eye(12, dtype=bool), "parallel": True}):
        c = np.linspace(1.0, 2.0, 12)
        g = dg.sparse_jacobian(lambda x, c: x**2 * c[0], verify=True, **given)
        wanted = 2 * np.diag(X * c)
        out = g(X, (c,))
        for _ in range(2):
            out.data[:] = c
            check(g(X, (out.data,), out=out), wanted)


def test_results_do_not_share_what_can_change() -> None:
    first, second = J(X), J(X)
    assert not np.shares_memory(first.data, second.data)
    first.data[0] = 0.0
    with pytest.raises(ValueError, match="read-only"):
        first.eliminate_zeros()
    own = first.copy()
    own.eliminate_zeros()
    check(J(X), d_tridiagonal(X))


@njit
def rhs(t, y, dy):
    dy[0] = -y[0] * t
    for i in range(1, y.size):
        dy[i] = y[i - 1] - y[i] ** 2


def test_out_argnum_and_argnums() -> None:
    y = X[:4]
    expected = np.diag(np.r_[-3.0, -2 * y[1:]]) + np.diag(np.ones(3), -1)
    for verify in (None, True):
        g = dg.sparse_jacobian(rhs, argnums=1, out_argnum=2, verify=verify)
        for garbage in (np.zeros(4), np.full(4, np.nan)):
            check(g(3.0, y, garbage), expected)


def test_constants_and_written_arguments() -> None:
    check(dg.sparse_jacobian(lambda x: np.ones(3), "dense")(X), np.zeros((3, 12)))

    def shifts(x):
        x[1] = x[0] * 2.0
        return x * x

    x = X[:3].copy()
    for chunk in (1, 4):
        expected = np.diag([2 * x[0], 0, 2 * x[2]])
        expected[1, 0] = 8 * x[0]
        check(dg.sparse_jacobian(shifts, "dense", chunk=chunk)(x), expected)
    np.testing.assert_array_equal(x, X[:3])


# --------------------------------------------------------------------- compiled code, mapping

FIXED = dg.sparse_jacobian(tridiagonal, band(12, 1, 1))


@njit
def total(x):
    return FIXED(x, 2.0).sum()


@njit
def call(jacobian, x):
    return jacobian(x)


def test_inside_njit_and_nested() -> None:
    expected = d_tridiagonal(X)
    np.testing.assert_allclose(total(X), expected.sum(), rtol=1e-13)
    J(X)
    np.testing.assert_allclose(call(J, X), expected[band(12, 1, 1)], rtol=1e-13)
    slope = dg.grad(total)(X)
    # each item is in its own row and those beside it
    by_hand = (
        6 * X - 2.0 * np.r_[np.sin(X[:-1]), 0.0] - np.r_[0, np.ones(11)] - np.r_[np.ones(11), 0]
    )
    np.testing.assert_allclose(slope, by_hand, rtol=1e-12)
    with pytest.raises(ValueError, match="another number of columns"):
        call(FIXED, X[:5])
    fresh = dg.sparse_jacobian(lambda x: x * 2.0)
    with pytest.raises(TypeError, match="compiled code needs its pattern"):
        call(fresh, X)


def test_compiled_code_compares() -> None:
    here, there = X[:6], np.r_[-1.0, X[1:6]]
    g = dg.sparse_jacobian(branching, np.eye(6, dtype=bool), chunk=3)
    mapped = dg.vmap(g, (0, None))
    np.testing.assert_allclose(mapped(np.array([there, there]), 0.0), 2 * np.array([there, there]))
    with pytest.raises(ValueError, match="misses a nonzero"):
        mapped(np.array([there, here]), 0.0)
    unchecked = dg.sparse_jacobian(branching, np.eye(6, dtype=bool), chunk=3, verify=False)
    assert dg.vmap(unchecked, (0, None))(np.array([there, here]), 0.0).shape == (2, 6)


def test_vmap() -> None:
    points = np.array([X, X + 1.0, X * 2.0])
    data = dg.vmap(FIXED, in_axes=(0, None))(points, 2.0)
    for row, x in zip(data, points, strict=True):
        np.testing.assert_array_equal(row, FIXED(x).data)


def test_one_object_for_each_plan() -> None:
    for g in (J, FIXED, dg.sparse_jacobian(tridiagonal, "dense", chunk=3)):
        for twin in (copy.copy(g), copy.deepcopy(g), pickle.loads(pickle.dumps(g))):
            assert twin is g
    assert dg.sparse_jacobian(tridiagonal) is J
    assert dg.sparse_jacobian(tridiagonal, csc_array(band(12, 1, 1))) is FIXED
    assert dg.sparse_jacobian(tridiagonal, band(12, 1, 2)) is not FIXED
    assert repr(J) == "sparse_jacobian(tridiagonal)"


def test_many_threads_call_at_once() -> None:
    g, results = dg.sparse_jacobian(tridiagonal, chunk=3), {}

    def work(k):
        results[k] = [g(X[: 4 + k] + n) for n in range(20)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, found in results.items():
        for n, matrix in enumerate(found):
            check(matrix, d_tridiagonal(X[: 4 + k] + n))


# ------------------------------------------------------------------------------------- SciPy


def test_scipy_takes_it() -> None:
    residual = tridiagonal(X, 0.2)
    step = spsolve(J(X, 0.2), residual)
    np.testing.assert_allclose(d_tridiagonal(X, 0.2) @ step, residual, rtol=1e-10)

    def distance(x, a):
        return tridiagonal(x, a) - residual

    fit = least_squares(distance, X + 0.01, jac=J, args=(0.2,), gtol=1e-14, xtol=1e-14)
    np.testing.assert_allclose(fit.x, X, rtol=1e-6)


def test_stiff_equation() -> None:
    @njit
    def diffusion(t, y):
        dy = -y * y
        dy[1:] += 400.0 * (y[:-1] - y[1:])
        dy[:-1] += 400.0 * (y[1:] - y[:-1])
        return dy

    y0 = 1.0 + np.sin(np.arange(30.0))
    jacobian = dg.sparse_jacobian(diffusion, argnums=1)
    options = dict(method="BDF", rtol=1e-7, atol=1e-9)
    with_ours = solve_ivp(diffusion, (0, 1), y0, jac=jacobian, **options)
    without = solve_ivp(diffusion, (0, 1), y0, **options)
    assert with_ours.success and with_ours.njev > 0
    np.testing.assert_allclose(with_ours.y[:, -1], without.y[:, -1], rtol=1e-5)


# ------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: dg.sparse_jacobian(tridiagonal)(2.0), TypeError, "array of one dimension"),
        (lambda: dg.sparse_jacobian(tridiagonal)(np.ones((2, 2))), TypeError, "one dimension"),
        (lambda: dg.sparse_jacobian(lambda x: x[0], np.eye(12) > 0)(X), TypeError, "returns float"),
        (
            lambda: dg.sparse_jacobian(lambda x: x * 1j, np.eye(12, dtype=bool))(X),
            TypeError,
            "real",
        ),
        (lambda: dg.sparse_jacobian(tridiagonal, "full"), ValueError, '"dense" is expected'),
        (lambda: dg.sparse_jacobian(tridiagonal, np.eye(3)), TypeError, "pattern: expected is"),
        (lambda: dg.sparse_jacobian(tridiagonal, np.ones(3, bool)), ValueError, "two dimensions"),
        (lambda: dg.sparse_jacobian(tridiagonal, verify="yes"), TypeError, "verify"),
        (lambda: dg.sparse_jacobian(tridiagonal, argnums=(0, 1)), TypeError, "argnums"),
        (lambda: dg.sparse_jacobian(rhs, argnums=2, out_argnum=2), ValueError, "both name"),
        (lambda: J.cfunc("float64(float64)"), TypeError, "has no cfunc"),
    ],
)
def test_bad_input(make: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


# ---------------------------------------------------------------------------------- Hessians


@njit
def network(x, i, j, w):
    """A number: a sum over pairs of inputs, and a power of a few."""
    s = x[0] ** 2 * np.sin(x[1])
    for k in range(i.size):
        s += w[k] * x[i[k]] ** 2 * x[j[k]]
    return s


def dd_network(x, i, j, w):
    h = np.zeros((x.size, x.size))
    np.add.at(h, (i, i), 2 * w * x[j])
    np.add.at(h, (i, j), 2 * w * x[i])
    np.add.at(h, (j, i), 2 * w * x[i])
    h[0, 0] += 2 * np.sin(x[1])
    h[[0, 1], [1, 0]] += 2 * x[0] * np.cos(x[1])
    h[1, 1] -= x[0] ** 2 * np.sin(x[1])
    return h


HESSIAN = dg.sparse_hessian(network, chunk=4)


@pytest.mark.parametrize("kind", ["chain", "arrow", "dense", "random"])
def test_hessian(kind: str) -> None:
    rng = np.random.default_rng(5)
    i, j = {
        "chain": (np.arange(9), np.arange(1, 10)),
        "arrow": (np.zeros(10, int), np.arange(1, 11)),
        "dense": np.triu_indices(7, 1),
        "random": rng.integers(0, 13, (2, 11)),
    }[kind]
    n = int(max(i.max(), j.max())) + 2  # and one that nothing depends on
    args = rng.uniform(0.5, 1.5, n), i, j, rng.normal(size=i.size)
    expected = dd_network(*args)
    found = HESSIAN(*args)
    check(found, expected)
    np.testing.assert_array_equal(found.toarray(), found.toarray().T)
    assert found.nnz <= np.count_nonzero(expected) + n
    check(dg.sparse_hessian(network, expected != 0, chunk=4, verify=True)(*args), expected)
    out = HESSIAN(*args)
    out.data[:] = np.nan
    assert HESSIAN(*args, out=out) is out
    check(out, expected)


def test_hessian_of_a_wrong_pattern() -> None:
    args = X, np.arange(9), np.arange(1, 10), np.ones(9)
    pattern = dd_network(*args) != 0
    pattern[4, 5] = pattern[5, 4] = False
    with pytest.raises(ValueError, match="misses a nonzero in row 4, column 5"):
        dg.sparse_hessian(network, pattern, chunk=4)(*args)
    pattern[4, 5] = True  # one of a pair is enough
    check(dg.sparse_hessian(network, pattern, chunk=4)(*args), dd_network(*args))
    with pytest.raises(ValueError, match="square"):
        dg.sparse_hessian(network, pattern[:5], chunk=4)(*args)
    with pytest.raises(TypeError, match="say terms=True"):
        dg.sparse_hessian(tridiagonal)(X)


@njit
def cubes(x):
    s = x.dtype.type(0)
    for v in x:
        s += v * v * v
    return s


def test_hessian_of_every_input() -> None:
    g = dg.sparse_hessian(cubes, chunk=2)
    for n in (0, 1, 3):
        check(g(X[:n]), np.diag(6 * X[:n]))
    check(g(np.repeat(X, 2)[::2]), np.diag(6 * X))
    found = g(np.arange(5, dtype=np.float32))
    assert found.dtype == np.float32
    check(found, np.diag(6.0 * np.arange(5)))
    g(X)
    np.testing.assert_allclose(dg.vmap(g)(np.array([X, 2 * X])), [6 * X, 12 * X])
    assert g.summary(X).sweeps == 6


def test_products_at_large_n_need_no_hessian() -> None:
    args = np.linspace(0.5, 1.5, 12), np.arange(9), np.arange(1, 10), np.ones(9)
    v = np.cos(args[0])
    product = dg.hvp(network)(args, (v, None, None, None))
    np.testing.assert_allclose(HESSIAN(*args) @ v, product, rtol=1e-12)


def signed(x):
    return np.sign(x[0]) * x


def flattened(x):
    y = x.ravel()  # of strided numbers it is a copy
    y[0] = 5.0
    return x * y[1]


def test_found_again_where_a_function_jumps() -> None:
    transform = dg.sparse_jacobian(signed)
    for first in (0.0, 1.0, 0.0, -2.0):
        x = np.array([first, 1.0, 2.0])
        np.testing.assert_array_equal(transform(x).toarray(), np.sign(first) * np.eye(3))


def test_found_again_for_other_strides() -> None:
    transform, x = dg.sparse_jacobian(flattened), np.arange(1.0, 9.0)[::2]
    for given in (x.copy(), x, x.copy()):
        np.testing.assert_array_equal(transform(given).toarray(), dg.jacobian(flattened)(given))


@njit
def one_item(x, record):
    return x[: record["k"] + 1][-1:] * x[0]


def test_found_again_for_another_record() -> None:
    transform, record = (
        dg.sparse_jacobian(one_item),
        np.array([(1, 2.0)], [("k", "i8"), ("v", "f8")]),
    )
    for record["k"][0] in (1, 2):
        found = transform(X, record[0]).toarray()
        np.testing.assert_array_equal(found, dg.jacobian(one_item)(X, record[0]))


def test_a_part_reads_its_own_colours():
    """Entries of the colours of other parts, whose lanes it has not, are theirs to write."""
    jacobian = dg.sparse_jacobian(tridiagonal, chunk=2, parallel=True)
    whole = jacobian(X)
    structure = jacobian._at((X,)).structure
    assert structure.count == 3
    colours = structure.colours[whole.indices]
    part = parallel._part(jacobian.plan, 2, [*jacobian.plan.params, *jacobian.plan.structure])
    for start, stop in ((0, 2), (2, 3)):
        data = np.full(whole.nnz, np.nan)
        nothing = np.empty(0), np.empty((2, 0))
        arrays = structure.arrays_for(2, False)
        part(X, 2.0, structure.colours, 3, *arrays, *nothing, data, start, stop)
        own = (start <= colours) & (colours < stop)
        np.testing.assert_array_equal(data[own], whole.data[own])
        assert np.isnan(data[~own]).all()
