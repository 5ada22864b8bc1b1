"""Patterns: exact where they can be, of every entry that is not zero, and known to be local."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numba import njit, vectorize

import dualgrad as dg
from dualgrad import rules, steering
from dualgrad.compile.frontend import as_dispatcher
from dualgrad.sparse import patterns
from dualgrad.sparse.detection import sets_in
from dualgrad.sparse.kernels import WORDS

SETS = sets_in(WORDS)
MATRIX = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.25], [0.5, 0.25, 5.0]])
ZEROS = np.zeros((3, 3))
ZEROS[0, 1] = ZEROS[2, 2] = 2.0


def dense(pattern: Any) -> list[str]:
    return ["".join(".x"[int(entry)] for entry in row) for row in pattern.toarray()]


def neighbours(x):
    y = np.zeros(x.size)
    for i in range(x.size):
        y[i] = 2.0 * x[i]
        if i > 0:
            y[i] += x[i - 1] ** 2
        if i < x.size - 1:
            y[i] -= np.sin(x[i + 1])
    return y


def arrow(x):
    y = np.empty(x.size)
    for i in range(x.size):
        y[i] = x[0] * x[i]
    y[0] = np.sum(x)
    return y


def blocks(x):
    return (x.reshape(-1, 3) @ MATRIX).ravel()


def some(x):
    y = np.zeros(5)
    y[1] = x[0] + x[0] * 0.0
    y[3] = x[2] - 1.0
    return y


@pytest.mark.parametrize("n", [1, 3, SETS, SETS + 1, 1000])
def test_band(n: int) -> None:
    found = dg.jacobian_pattern(neighbours)(np.zeros(n))
    wanted = sp.diags_array([np.ones(n - 1), np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1])
    assert found.has_sorted_indices
    assert found.dtype == bool
    assert np.array_equal(found.indices, wanted.tocsr().astype(bool).sorted_indices().indices)
    assert np.array_equal(found.indptr, wanted.tocsr().indptr)


@pytest.mark.parametrize("n", [2, 300])
def test_arrow(n: int) -> None:
    wanted = np.eye(n, dtype=bool)
    wanted[0], wanted[:, 0] = True, True
    assert np.array_equal(dg.jacobian_pattern(arrow)(np.zeros(n)).toarray(), wanted)


def test_blocks_of_many_inputs() -> None:
    found = dg.jacobian_pattern(blocks)(np.zeros(600))
    assert np.array_equal(found.toarray(), np.kron(np.eye(200), np.ones((3, 3))) > 0)


@pytest.mark.parametrize("seed", range(3))
def test_random_incidence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wanted = sp.random_array((70, 400), density=0.01, rng=rng, format="csr")

    found = dg.jacobian_pattern(_rows)(np.zeros(400), wanted.indptr, wanted.indices)
    assert np.array_equal(found.toarray(), wanted.toarray() != 0)


def _rows(x, indptr, indices):
    y = np.ones(indptr.size - 1)
    for i in range(y.size):
        for j in indices[indptr[i] : indptr[i + 1]]:
            y[i] *= np.cos(x[j])
    return y


def test_empty_rows_and_columns() -> None:
    assert dense(dg.jacobian_pattern(some)(np.zeros(4))) == ["....", "x...", "....", "..x.", "...."]


@pytest.mark.parametrize("n", [0, 2])
def test_no_entry(n: int) -> None:
    found = dg.jacobian_pattern(np.floor)(np.ones(n))
    assert (found.shape, found.nnz) == ((n, n), 0)


@dg.custom_jvp
def softplus(x):
    return np.log1p(np.exp(x))


@softplus.defjvp
def _(x, dx):
    return dx / (1.0 + np.exp(-x))


@vectorize
def product(a, b):
    return a * b


energy = dg.grad(njit(lambda x: np.sum(x[1:] * x[:-1] ** 2)))


@pytest.mark.parametrize(
    ("f", "wanted"),
    [
        (lambda x: ZEROS @ x, [".x.", "...", "..x"]),  # constant zeros
        (lambda x: np.linalg.solve(MATRIX, x * np.array([1.0, 0.0, 1.0])), ["x.x"] * 3),
        (lambda x: np.linalg.norm(x[:2]) * np.ones(1), ["xx."]),  # at 0, too
        (lambda x: np.linalg.eigvalsh(MATRIX * x[1])[:1], [".x."]),
        (lambda x: np.array([softplus(x[0]), softplus(x[1]) * x[2]]), ["x..", ".xx"]),
        (lambda x: product(x, x[::-1]), ["x.x", ".x.", "x.x"]),
        (lambda x: energy(x), ["xx.", "xxx", ".x."]),  # another transform inside
        (lambda x: (np.exp(1j * x) * x[0]).imag, ["x..", "xx.", "x.x"]),
        (lambda x: x.astype(np.float32)[1:] * x[0], ["xx.", "x.x"]),
        (lambda x: np.maximum(x, x[::-1]), ["x.x", ".x.", "x.x"]),  # either, elsewhere
        (lambda x: np.outer(x[:2], x[1:]), ["xx.", "x.x", ".x.", ".xx"]),  # in C order
        (lambda x: (x[0], x[1:] + x[0]), ["x..", "xx.", "x.x"]),  # one after another
        (lambda x: x[0] * x[2], ["x.x"]),
    ],
)
def test_exact(f: Any, wanted: list[str]) -> None:
    assert dense(dg.jacobian_pattern(f)(np.zeros(3))) == wanted


@pytest.mark.parametrize(
    ("f", "is_local"),
    [
        (neighbours, False),
        (lambda x: np.where(np.arange(x.size) > 1, x, 0.0), False),  # no input decides
        (lambda x: x if x[0] > 0.0 else 2.0 * x, True),
        (lambda x: np.sort(x), True),
        (lambda x: x * np.argmax(x), True),
        (lambda x: x * np.floor(x[0]), True),
        (lambda x: x[int(x[0]) :], True),
        (lambda x: np.clip(x, 0.0, 1.0), False),
        (lambda x: np.tanh(x) * np.linalg.norm(x), False),  # comparisons in rules do not count
    ],
)
def test_local(f: Any, is_local: bool) -> None:
    x = np.array([0.5, 0.25, 1.5])
    assert patterns.jacobian(as_dispatcher(f), (x,), 0, None).is_local == is_local


@pytest.mark.parametrize("name", [*rules.CONSTANT, "around", "divmod"])
def test_what_jumps_is_local(name: str) -> None:
    """Where it is zero a product with it is zero too, but not everywhere."""
    function = getattr(np, name)
    f = {
        "floor_divide": lambda x: function(x[0], 2.0) * x,
        "divmod": lambda x: divmod(x[0], 2.0)[0] * x,
    }.get(name, lambda x: function(x[0]) * x)
    found = patterns.jacobian(as_dispatcher(f), (np.zeros(3),), 0, None)
    assert found.is_local


@pytest.mark.parametrize("order", ["C", "F"])
def test_inputs_in_order(order: Any) -> None:
    x = np.zeros((2, 3), order=order)
    assert dense(dg.jacobian_pattern(_two)(x)) == ["..x...", "...x.."]
    strided = np.zeros((2, 6), np.float32, order=order)[:, ::2]
    assert dense(dg.jacobian_pattern(_two)(strided)) == ["..x...", "...x.."]


def _two(x):
    return np.array([x[0, 2], x[1, 0] * 3])


def test_number_and_argument() -> None:
    def f(a, x, y):
        y[0] = x
        y[2] = x * a

    finder = dg.jacobian_pattern(f, argnums=1, out_argnum=2)
    assert dense(finder(a=2.0, x=1.5, y=np.ones(3))) == ["x", ".", "x"]


def g(x):
    linear = 3.0 * x[4] - (x[5] / 2.0) ** 1
    return np.sin(x[0]) * x[1] + x[2] ** 2 + abs(x[3]) + linear + np.sum(x[5:] * x[5:]) * 0.0


@pytest.mark.parametrize(
    ("f", "wanted"),
    [
        (g, ["xx....", "x.....", "..x...", "......", "......", "......"]),
        (lambda x: x[0] / x[1] + softplus(x[3]), [".x....", "xx....", "......", "...x.."]),
        (lambda x: np.linalg.inv(MATRIX * x[1])[0, 0] + x[0] * x[2], ["..x", ".x.", "x"]),
        (lambda x: np.sum((np.exp(1j * x[:2]) * (1 + 2j)).imag), ["x.....", ".x...."]),
        (lambda x: energy(x)[1], ["x", "..x", ".x"]),
        (lambda x: np.maximum(x[0] * x[1], x[2]) * 2.0, [".x....", "x....."]),
    ],
)
def test_hessian(f: Any, wanted: list[str]) -> None:
    wanted = [row.ljust(6, ".") for row in wanted + [""] * (6 - len(wanted))]
    assert dense(dg.hessian_pattern(f)(np.arange(1.0, 7.0) * 0.0 + (f is not g))) == wanted


def terms(x):
    return 100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2


@pytest.mark.parametrize("n", [1, 2, 9, 200])
def test_hessian_of_terms(n: int) -> None:
    x = np.zeros(n)
    of_sum = dg.hessian_pattern(njit(lambda x: np.sum(terms(x))))
    found = dg.hessian_pattern(terms, terms=True)(x)
    rows, columns = np.indices((n, n))
    assert np.array_equal(found.toarray(), (abs(rows - columns) <= 1) & (n > 1))
    assert np.array_equal(found.toarray(), of_sum(x).toarray())


def test_terms_of_many_inputs() -> None:
    x = np.zeros(SETS + 3)
    found = dg.hessian_pattern(lambda x: np.array([np.prod(x)]), terms=True)(x)
    assert np.array_equal(found.toarray(), ~np.eye(x.size, dtype=bool))


def test_refused() -> None:
    with pytest.raises(TypeError, match="terms=True"):
        dg.hessian_pattern(neighbours)(np.zeros(2))
    with pytest.raises(ValueError, match="both name argument 0"):
        dg.jacobian_pattern(neighbours, out_argnum=0)
    with pytest.raises(TypeError, match="a function is expected"):
        dg.jacobian_pattern(3.0)  # type: ignore[arg-type]


def ordered(x):
    return np.sort(x)


def test_threads_take_turns() -> None:
    x = np.array([0.5, 0.25, 1.5])
    functions = [as_dispatcher(it) for it in (ordered, neighbours) for _ in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda f: patterns.jacobian(f, (x,), 0, None).is_local, functions)
    assert [*found] == [True] * 8 + [False] * 8


def test_watches_within_watches() -> None:
    with patterns.Watch() as outer:
        steering.exchange(True)
        with patterns.Watch() as inner:
            pass
    assert (outer.is_local, inner.is_local) == (True, False)
