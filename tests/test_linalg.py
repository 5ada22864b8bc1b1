"""Linear algebra: values bit for bit those of Numba, Jacobians against independent references."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from numba import njit

import dualgrad as dg
from tests import differences
from tests.complexstep import assert_same_bits, jacobians, outputs

# Numba warns of strided operands, as it does without dualgrad.
pytestmark = pytest.mark.filterwarnings("ignore:.*is faster on contiguous arrays")


def matrix(m: int, n: int, seed: int = 0, dtype: Any = float) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(m, n)).astype(dtype)


CONSTANT = matrix(5, 5, seed=9)
CONSTANT.flags.writeable = False
SQUARE = tuple(matrix(n, n, seed=n) for n in (1, 2, 5))


class Program:
    """A function with its Jacobian and the primal, each compiled once."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f, self.primal = f, njit(f)
        self.differentiated = dg.value_and_jacobian(f, chunk=3)

    def jacobians(self, x: np.ndarray) -> tuple[Any, ...]:
        before = x.copy()
        value, derivative = self.differentiated(x)
        for got, want in zip(outputs(value), outputs(self.primal(x)), strict=True):
            assert_same_bits(got, want)
        assert_same_bits(x, before)
        return outputs(derivative)

    def check_by_complex_step(self, x: np.ndarray) -> None:
        for got, want in zip(self.jacobians(x), jacobians(self.f, x), strict=True):
            scale = max(1.0, np.max(np.abs(want), initial=0.0))
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12 * scale)

    def check_by_differences(self, x: np.ndarray) -> None:
        for k, got in enumerate(self.jacobians(x)):
            want, error = differences.jacobian(lambda z, k=k: outputs(self.primal(z))[k], x)
            assert np.shape(got) == np.shape(want)
            scale = max(1.0, np.max(np.abs(want), initial=0.0))
            assert np.max(error, initial=0.0) < 1e-6 * scale, "a bad point for differences"
            assert np.all(np.abs(got - want) <= 10 * error + 1e-10 * scale), f"output {k}"


# ------------------------------------------------------------------- analytic: complex step


def test_solve() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        c = CONSTANT[: len(x), : len(x)]
        return (
            np.linalg.solve(x, x[0]),
            np.linalg.solve(x, np.ones(len(x))),
            np.linalg.solve(x.T, x[:, ::-1] * x),
            np.linalg.solve(c, x[::-1]),
            np.linalg.solve(x[::-1, ::-1], c),
        )

    program = Program(f)
    for x in SQUARE:
        program.check_by_complex_step(x)


def test_inverse_and_powers() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        return (
            np.linalg.inv(x),
            np.linalg.inv(x.T)[::-1],
            np.linalg.matrix_power(x, 0) * x,
            np.linalg.matrix_power(x, 5),
            np.linalg.matrix_power(x, -3),
        )

    program = Program(f)
    for x in SQUARE:
        program.check_by_complex_step(x)


def test_determinants() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        sign, logarithm = np.linalg.slogdet(x)
        return np.array([np.linalg.det(x), np.linalg.det(x.T[::-1]), sign, logarithm])

    def by_hand(x):  # type: ignore[no-untyped-def]
        y, turned = np.linalg.det(x), np.linalg.det(x.T[::-1])
        return np.array([y, turned, 0.0, 0.5 * np.log(y * y)])

    program = Program(f)
    for x in SQUARE:
        (got,), (want,) = program.jacobians(x), jacobians(by_hand, x)
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)


def test_trace_and_kron() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        c = np.ones((2, 3))
        return (
            np.array([np.trace(x), np.trace(x, 1), np.trace(x.T, -1)]),
            np.kron(x, c),
            np.kron(c, x),
            np.kron(x, x),
            np.kron(x[0, 0], x),
            np.kron(x[0], 2.0),
        )

    program = Program(f)
    for x in SQUARE[:2]:
        program.check_by_complex_step(x)


# --------------------------------------------------------------------- the rest: differences


def cholesky(x):  # type: ignore[no-untyped-def]
    """LAPACK reads the lower triangle only, and so do the rules."""
    y = np.dot(x, x.T) + np.diag(np.arange(1.0, len(x) + 1.0))
    for i in range(len(y)):
        y[i, i + 1 :] = x[i, 0]
    return np.linalg.cholesky(y), np.linalg.cholesky(np.asfortranarray(y))


def eigh(x):  # type: ignore[no-untyped-def]
    y = x + x.T
    for i in range(len(y)):
        y[i, i + 1 :] = x[i, 0]
    w, v = np.linalg.eigh(y)
    return w, v, np.linalg.eigvalsh(y.T + y)


def eig(x):  # type: ignore[no-untyped-def]
    y = np.dot(x, x.T)
    for i in range(len(y)):
        y[i] *= i + 1.0
    w, v = np.linalg.eig(y)
    return w, v, np.linalg.eigvals(y)


def svd(x):  # type: ignore[no-untyped-def]
    """Squares, as the signs of vectors may change on the way of the differences."""
    u, s, vt = np.linalg.svd(x)
    thin_u, thin_s, thin_vt = np.linalg.svd(x, full_matrices=False)
    product = np.dot(thin_u * thin_s, thin_vt)
    return u * u, s, vt * vt, thin_u * thin_u, thin_s, thin_vt * thin_vt, product


def qr(x):  # type: ignore[no-untyped-def]
    return np.linalg.qr(x)


def pinv(x):  # type: ignore[no-untyped-def]
    return np.linalg.pinv(x)


def lstsq(x):  # type: ignore[no-untyped-def]
    solution, squares, rank, s = np.linalg.lstsq(x, x[:, 0] * x[:, 0] + 1.0)
    solutions, _, _, _ = np.linalg.lstsq(x, np.ones((len(x), 2)))
    constant, left, _, _ = np.linalg.lstsq(np.ones((len(x), 1)), x)
    return solution, squares, s * rank, solutions, constant, left


def vector_norms(x):  # type: ignore[no-untyped-def]
    y = x.ravel()
    z = np.empty(10)
    z[0], z[1] = np.linalg.norm(y), np.linalg.norm(y[::2])
    z[2], z[3] = np.linalg.norm(y, 2), np.linalg.norm(y, 1)
    z[4], z[5] = np.linalg.norm(y, np.inf), np.linalg.norm(y, -np.inf)
    z[6], z[7] = np.linalg.norm(y, 0), np.linalg.norm(y, 3)
    z[8], z[9] = np.linalg.norm(y, -1.5), np.linalg.norm(y, 0.5)
    return z


def matrix_norms(x):  # type: ignore[no-untyped-def]
    z = np.empty(10)
    z[0], z[1] = np.linalg.norm(x), np.linalg.norm(x[::2, ::-1])
    z[2], z[3] = np.linalg.norm(x, 2), np.linalg.norm(x, -2)
    z[4], z[5] = np.linalg.norm(x, 1), np.linalg.norm(x, -1)
    z[6], z[7] = np.linalg.norm(x, np.inf), np.linalg.norm(x, -np.inf)
    z[8], z[9] = np.linalg.norm(x.T), np.linalg.matrix_rank(x) * x[0, 0]
    return z


def cond(x):  # type: ignore[no-untyped-def]
    z = np.empty(5)
    z[0], z[1] = np.linalg.cond(x), np.linalg.cond(x, -2)
    z[2], z[3] = np.linalg.cond(x, 1), np.linalg.cond(x, -1)
    z[4] = np.linalg.cond(x, np.inf)
    return z


TALL, WIDE = matrix(4, 3), matrix(3, 4)
ANY = (*SQUARE, TALL, WIDE)


@pytest.mark.parametrize(
    "f, points",
    [
        (cholesky, SQUARE), (eigh, SQUARE), (eig, SQUARE), (svd, ANY), (qr, ANY), (pinv, ANY),
        (lstsq, ANY), (vector_norms, SQUARE), (matrix_norms, ANY), (cond, SQUARE),
    ],
)  # fmt: skip
def test_by_differences(f: Callable[..., Any], points: tuple[np.ndarray, ...]) -> None:
    program = Program(f)
    for x in points:
        program.check_by_differences(x)


# -------------------------------------------------------------------------- special points


def test_second_derivatives() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        y = np.linalg.solve(x, x[0] * x[1])
        w, v = np.linalg.eigh(x + x.T)
        return (
            np.sum(y * y)
            + np.sum(np.linalg.inv(x) * x * x)
            + np.linalg.det(x)
            + w[0] * v[1, 0] * v[1, 0]
        )

    gradient = dg.grad(f, chunk=3)

    @njit
    def along(x):  # type: ignore[no-untyped-def]
        return gradient(x)

    x = matrix(3, 3, seed=1) + 2 * np.eye(3)
    want, error = differences.jacobian(along, x)
    got = dg.jacobian(along, chunk=3)(x)
    assert np.all(np.abs(got - want) <= 10 * error + 1e-10 * np.max(np.abs(want)))
    np.testing.assert_allclose(got, got.transpose(2, 3, 0, 1), rtol=1e-9, atol=1e-9)


def test_single_precision() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        w = np.linalg.eigh(np.dot(x, x.T))[0]
        return (
            np.linalg.solve(x, x[0] + x[1]),
            np.linalg.inv(x),
            np.linalg.cholesky(np.dot(x, x.T)),
            w,
        )

    single = Program(f)
    x = (matrix(3, 3, seed=4) + 3 * np.eye(3)).astype(np.float32)
    for got, want in zip(
        single.jacobians(x), outputs(dg.jacobian(f, chunk=3)(x.astype(float))), strict=True
    ):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_empty_matrices() -> None:
    def f(t):  # type: ignore[no-untyped-def]
        x = np.zeros((0, 0)) * t[0]
        y = np.linalg.solve(x, x[:, :0]).size + np.linalg.inv(x).size + np.linalg.cholesky(x).size
        w, v = np.linalg.eigh(x)
        y += w.size + v.size + np.linalg.eigvalsh(x).size + np.linalg.pinv(x).size
        return (
            y + np.linalg.det(x) + np.linalg.slogdet(x)[1] + np.linalg.norm(x) + np.trace(x) + t[1]
        )

    t = np.array([2.0, 3.0])
    value, gradient = dg.value_and_grad(f, chunk=3)(t)
    assert value == njit(f)(t) == 4.0
    assert gradient.tolist() == [0.0, 1.0]


def test_hessian_of_a_determinant_near_zero() -> None:
    """Rounding leaves 7e-18 of a determinant that is 0: its inverse is all rounding."""
    a = np.arange(1.0, 10.0).reshape(3, 3) / 10
    found = dg.hessian(njit(lambda a: np.linalg.det(a)))(a)
    expected = np.zeros((3, 3, 3, 3))
    for i, j, k in itertools.permutations(range(3)):
        for p, q, r in itertools.permutations(range(3)):
            sign = np.linalg.det(np.eye(3)[[i, j, k]] @ np.eye(3)[[p, q, r]].T)
            expected[i, p, j, q] = round(sign) * a[k, r]
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-15)
    assert dg.hessian(njit(lambda a: np.linalg.det(a)))(np.empty((0, 0))).shape == (0, 0, 0, 0)


def test_determinant_of_a_singular_matrix() -> None:
    def det(x):  # type: ignore[no-untyped-def]
        return np.linalg.det(x)

    def slogdet(x):  # type: ignore[no-untyped-def]
        return np.linalg.slogdet(x)[1]

    x = np.array([[1.0, 2.0], [2.0, 4.0]])
    value, gradient = dg.value_and_grad(det, chunk=3)(x)
    assert value == 0
    assert gradient.tolist() == [[4.0, -2.0], [-2.0, 1.0]]
    assert dg.grad(det, chunk=3)(np.zeros((3, 3))).tolist() == np.zeros((3, 3)).tolist()
    value, gradient = dg.value_and_grad(slogdet, chunk=3)(x)
    assert value == -np.inf
    assert gradient.tolist() == [[np.inf, -np.inf], [-np.inf, np.inf]]


def test_spectral_norm_beside_repeated_values() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        return np.linalg.norm(x, 2)

    def g(x):  # type: ignore[no-untyped-def]
        return np.linalg.norm(x, -2)

    x, unit = np.diag([3.0, 1.0, 1.0]), np.diag([1.0, 0.0, 0.0])
    np.testing.assert_array_equal(dg.grad(f)(x), unit)
    np.testing.assert_array_equal(dg.grad(g)(np.diag([0.5, 2.0, 2.0])), unit)
    hessian = dg.hessian(f)(x).reshape(9, 9)
    # of sqrt of the first eigenvalue of A.T A: only the items beside the first have curvature
    pair = np.array([[3.0, 1.0], [1.0, 3.0]]) / 8.0  # s1 and s2 times 1 / (s1^2 - s2^2)
    expected = np.zeros((9, 9))
    for k in (1, 2):
        expected[np.ix_([k, 3 * k], [k, 3 * k])] = pair
    np.testing.assert_allclose(hessian, expected, atol=1e-15)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, -1.0, 2.5])
def test_norm_by_its_order(p: float) -> None:
    x = np.array([1.0, -2.0, 3.0])

    @njit
    def norm(p, x):  # type: ignore[no-untyped-def]
        return np.linalg.norm(x, p)

    def exact(p: Any) -> Any:
        return mp.fsum(mp.mpf(abs(it)) ** p for it in x) ** (1 / p)

    with mp.workdps(50):
        first, second = float(mp.diff(exact, p)), float(mp.diff(exact, p, 2))
    value, slope = dg.value_and_derivative(norm)(p, x)
    assert value == norm(p, x)
    assert slope == pytest.approx(first, rel=1e-14)
    assert dg.derivative(dg.derivative(norm))(p, x) == pytest.approx(second, rel=1e-13)
    by_both = dg.grad(norm, argnums=(0, 1))(p, x)
    np.testing.assert_allclose(by_both[0], first, rtol=1e-14)
    np.testing.assert_array_equal(by_both[1], dg.grad(norm, argnums=1)(p, x))


@pytest.mark.parametrize("p", [1.0, 2.0, -2.0, -np.inf])
def test_norm_of_a_constant_matrix_by_an_active_order(p: float) -> None:
    """There are but these orders: it is no function of it, and may be an active number."""

    @njit
    def norm(x, p, y):  # type: ignore[no-untyped-def]
        return np.linalg.norm(x, p * (y / y)) * y

    x = np.array([[1.0, 2.0], [3.0, 5.0]])
    value, slope = dg.value_and_derivative(norm, 2)(x, p, 2.0)
    assert (value, slope) == (norm(x, p, 2.0), np.linalg.norm(x, p))


def test_norm_by_its_order_of_large_and_small_numbers() -> None:
    @njit
    def norm(p, x):  # type: ignore[no-untyped-def]
        return np.linalg.norm(x, p)

    slope = dg.derivative(norm)(2.0, np.array([3.0, 4.0]))
    for scale in (1e200, 1e-200):
        found = dg.value_and_derivative(norm)(2.0, scale * np.array([3.0, 4.0]))
        np.testing.assert_allclose(found, [5.0 * scale, slope * scale], rtol=1e-14)
    value, _ = dg.value_and_derivative(norm)(1.0, np.array([np.inf, 1.0]))
    assert value == np.inf


def test_norm_at_zero() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        return np.linalg.norm(x) + np.linalg.norm(x[0], 2) + np.linalg.norm(x, 2)

    assert dg.grad(f, chunk=3)(np.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]


def test_repeated_values_that_stay_apart() -> None:
    """Tangents that do not mix the vectors leave the derivative well defined."""

    def f(t):  # type: ignore[no-untyped-def]
        y = np.diag(t)
        return np.linalg.eigvalsh(y), np.linalg.eigh(y)[0], np.linalg.svd(y)[1]

    for jacobian in dg.jacobian(f, chunk=3)(np.full(3, 2.0)):
        assert np.sort(np.argmax(jacobian, axis=1)).tolist() == [0, 1, 2]
        np.testing.assert_allclose(np.sort(jacobian)[:, ::-1], [[1, 0, 0]] * 3, atol=1e-15)


def _first_eigenvalue(x):  # type: ignore[no-untyped-def]
    return np.linalg.eigvalsh(x)[0]


def _vector(x):  # type: ignore[no-untyped-def]
    return np.linalg.eigh(x)[1][0, 0]


def _eigenvalue(x):  # type: ignore[no-untyped-def]
    return np.linalg.eigvals(x)[0].real


def _singular_value(x):  # type: ignore[no-untyped-def]
    return np.linalg.svd(x)[1][0]


def _norm(x):  # type: ignore[no-untyped-def]
    return np.linalg.norm(x, 2)


def _pinv(x):  # type: ignore[no-untyped-def]
    return np.linalg.pinv(x)[0, 0]


def _lstsq(x):  # type: ignore[no-untyped-def]
    return np.linalg.lstsq(x, np.ones(len(x)))[0][0]


def _qr(x):  # type: ignore[no-untyped-def]
    return np.linalg.qr(x)[1][0, 0]


@pytest.mark.parametrize(
    "f, x, message",
    [
        (_first_eigenvalue, np.eye(3), "repeated eigenvalues"),
        (_vector, np.eye(3), "repeated eigenvalues"),
        (_eigenvalue, np.eye(3), "repeated eigenvalues"),
        (_singular_value, np.eye(3), "repeated singular values"),
        (_singular_value, np.outer([1.0, 2.0], [3.0, 4.0]), "rank-deficient"),
        (_singular_value, matrix(4, 2), "full_matrices=False"),
        (_norm, np.eye(3), "repeated singular values"),
        (_pinv, np.ones((3, 2)), "rank-deficient"),
        (_lstsq, np.ones((3, 2)), "rank-deficient"),
        (_qr, np.ones((3, 2)), "linearly dependent"),
    ],
)
def test_where_there_is_no_derivative(f: Any, x: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dg.grad(f, chunk=3)(x)


def test_least_squares_need_no_gap_between_singular_values() -> None:
    x = 2.0 * np.linalg.qr(matrix(4, 3))[0]

    def solution(x):  # type: ignore[no-untyped-def]
        return np.linalg.lstsq(x, np.array([1.0, 2.0, 3.0, -1.0]))[0]

    def inverse(x):  # type: ignore[no-untyped-def]
        return np.linalg.pinv(x)

    for f in (solution, inverse):
        first = dg.jacobian(f, chunk=1)  # compiled faster than more lanes
        want, error = differences.jacobian(f, x)
        assert np.all(np.abs(first(x) - want) <= 10 * error + 1e-11)
    first = dg.jacobian(solution, chunk=1)
    want, error = differences.jacobian(first, x)
    assert np.all(np.abs(dg.jacobian(first, chunk=1)(x) - want) <= 10 * error + 1e-10)


def test_errors_are_those_of_the_primal() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        return np.linalg.solve(x, np.ones(2))

    def g(x):  # type: ignore[no-untyped-def]
        return np.linalg.cholesky(x)

    bad = [np.ones((2, 2)), np.full((2, 2), np.nan), np.ones((3, 3))]
    for function, points in ((f, bad), (g, [-np.eye(2), np.ones((2, 3))])):
        jacobian = dg.jacobian(function, chunk=3)
        for x in points:
            with pytest.raises(np.linalg.LinAlgError) as of_primal:
                njit(function)(x)
            with pytest.raises(np.linalg.LinAlgError) as raised:
                jacobian(x)
            assert str(raised.value) == str(of_primal.value)


def test_constants_stay_with_numba() -> None:
    def f(t):  # type: ignore[no-untyped-def]
        return np.linalg.solve(CONSTANT, np.linalg.eigh(CONSTANT)[0])[0] * t

    assert dg.derivative(f)(2.0) == njit(f)(1.0)
