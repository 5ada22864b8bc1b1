"""Second derivatives: hessian, value_grad_and_hessian, hvp, and what they nest with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit

import dualgrad as dg
from tests import programs
from tests.complexstep import assert_same_bits, jacobians
from tests.programs import vec
from tests.test_transforms import INPUTS, RANGE, read_only


def assert_close(got: Any, want: Any) -> None:
    assert np.shape(got) == np.shape(want)
    scale = np.max(np.abs(want), initial=1.0)
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-14 * scale)


@pytest.mark.parametrize(
    "f, d_f, n",
    [
        (programs.rosenbrock_loop, programs.d_rosenbrock, 37),
        (programs.rosenbrock_array, programs.d_rosenbrock, 2),
        (programs.ackley_loop, programs.d_ackley, 21),
        (programs.ackley_array, programs.d_ackley, 5),
    ],
)
def test_closed_forms(f, d_f, n):
    """Against the complex step on the gradient in closed form."""
    x = vec(n)
    [expected] = jacobians(d_f, x)
    value, gradient, hessian = dg.value_grad_and_hessian(f)(x)
    assert_same_bits(value, f(x))
    assert_close(gradient, d_f(x))
    assert_close(hessian, expected)
    np.testing.assert_array_equal(hessian, hessian.T)
    v = vec(n) - 0.3
    assert_close(dg.hvp(f)((x,), (v,)), expected @ v)


@njit
def cubed_sum(x):
    """(1 x0 + 2 x1 + ...)**3 / 6, in the order of C."""
    s = x.dtype.type(0)
    for k, v in enumerate(x.flat):
        s += x.dtype.type(k + 1) * v
    return s * s * s / x.dtype.type(6)


SECOND, HVP = dg.value_grad_and_hessian(cubed_sum, chunk=5), dg.hvp(cubed_sum, chunk=5)


@pytest.mark.parametrize("x", [*INPUTS.values(), read_only(RANGE)], ids=[*INPUTS, "read-only"])
def test_inputs_of_every_kind(x):
    exact = x.astype(float)
    weights = np.arange(1.0, x.size + 1).reshape(x.shape)
    s = np.sum(weights * exact)
    outer = np.multiply.outer(weights, weights)
    value, gradient, hessian = SECOND(x)
    dtype = np.float32 if x.dtype == np.float32 else np.float64
    wanted = s**3 / 6, s**2 / 2 * weights, s * outer
    for got, want in zip((value, gradient, hessian), wanted, strict=True):
        assert np.asarray(got).dtype == dtype or np.ndim(got) == 0
        np.testing.assert_allclose(got, want, rtol=1e-5 if dtype == np.float32 else 1e-13)
    if x.dtype.kind == "f":
        v = np.asarray(np.cos(exact), dtype)
        want = s * np.sum(weights * v) * weights
        got = HVP((x,), (v,))
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=1e-4 if dtype == np.float32 else 1e-12)


def several(a, x, b, y):
    """Numbers, an array and a matrix; every mixed derivative is there."""
    s = a * np.sin(b)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            s += x[j] ** 2 * y[i, j] * a + y[i, j] ** 3 * np.exp(b * x[j])
    return s


class TestArguments:
    args = (0.7, np.array([0.5, -0.3]), 0.4, np.array([[1.0, 2.0], [0.5, 3.0], [1.5, -1.0]]))

    def dense(self):
        """The Hessian by all arguments together, by nested complex steps of a closed form."""

        def gradient(z):
            a, x, b, y = z[0], z[1:3], z[3], z[4:].reshape(3, 2)
            d_a = np.sin(b) + np.sum(x**2 * y)
            d_x = np.sum(2 * x * y * a + y**3 * b * np.exp(b * x), 0)
            d_b = a * np.cos(b) + np.sum(y**3 * x * np.exp(b * x))
            d_y = x**2 * a + 3 * y**2 * np.exp(b * x)
            return np.concatenate((np.array([d_a]), d_x, np.array([d_b]), d_y.ravel()))

        flat = np.concatenate([np.ravel(it) for it in self.args])
        columns = [np.imag(gradient(flat + 1e-200j * unit)) / 1e-200 for unit in np.eye(flat.size)]
        return np.stack(columns, -1)

    @pytest.mark.parametrize("chunk", ["auto", 3, 1])
    def test_every_pair(self, chunk):
        argnums = (3, 0, 1, 2)
        found = dg.hessian(several, argnums, chunk=chunk)(*self.args)
        dense, starts = self.dense(), (0, 1, 3, 4)
        for row, p in zip(found, argnums, strict=True):
            for block, q in zip(row, argnums, strict=True):
                a, b = self.args[p], self.args[q]
                part = dense[starts[p] :, starts[q] :][: np.size(a), : np.size(b)]
                assert_close(block, part.reshape(np.shape(a) + np.shape(b)))

    def test_hvp(self):
        tangents = (0.3, np.array([1.0, -2.0]), None, np.full((3, 2), 0.5))
        direction = np.array([0.3, 1.0, -2.0, 0.0, *[0.5] * 6])
        product = self.dense() @ direction
        by_x, by_b = dg.hvp(several, argnums=(1, 2), chunk=3)(self.args, tangents)
        assert_close(by_x, product[1:3])
        assert_close(by_b, product[3])
        assert_close(dg.hvp(several, 3)(self.args, tangents), product[4:].reshape(3, 2))

    def test_out(self):
        x, expected = self.args[1], self.dense()[1:3, 1:3]
        for out in (
            np.full((2, 2), np.nan),
            np.full((2, 2), np.nan).T,
            np.full((4, 4), np.nan)[::2, ::2],
        ):
            assert dg.hessian(several, 1)(*self.args, out=out) is out
            assert_close(out, expected)
        gradient, hessian = np.full(2, np.nan), np.full((2, 2), np.nan)
        result = dg.value_grad_and_hessian(several, 1)(*self.args, out=(gradient, hessian))
        assert result[1] is gradient and result[2] is hessian
        assert_close(hessian, expected)
        tangents, out = (None, np.ones(2), None, None), np.full(2, np.nan)
        dg.hvp(several, 1)(self.args, tangents, out=out)
        assert_close(out, expected @ np.ones(2))
        with pytest.raises(ValueError, match=r"y.shape \+ x.shape \+ x.shape"):
            dg.hessian(several, 1)(*self.args, out=np.empty((2, 3)))
        with pytest.raises(ValueError, match="dimensions"):
            dg.hessian(several, 1)(*self.args, out=np.empty(2))
        assert np.array_equal(x, [0.5, -0.3])


class TestOutputs:
    x = np.array([0.5, -1.5, 2.0])

    def expected(self):
        """Of x[i]**2 * x[i+1], cyclic."""
        n, result = 3, np.zeros((3, 3, 3))
        for i in range(n):
            j = (i + 1) % n
            result[i, i, i] = 2 * self.x[j]
            result[i, i, j] = result[i, j, i] = 2 * self.x[i]
        return result

    def test_array(self):
        def f(x):
            return x**2 * np.roll(x, -1)

        value, jacobian, hessian = dg.value_grad_and_hessian(f)(self.x)
        assert_same_bits(value, njit(f)(self.x))
        assert_close(
            jacobian, np.diag(2 * self.x * np.roll(self.x, -1)) + np.roll(np.diag(self.x**2), 1, 1)
        )
        assert_close(hessian, self.expected())
        assert_close(
            dg.hessian(lambda x: f(x).reshape(3, 1).T, chunk=2)(self.x), self.expected()[None]
        )

    def test_written_into_an_argument(self):
        def f(t, x, dx):
            x *= 2.0
            for i in range(3):
                dx[i] = t * (x[i] / 2) ** 2 * x[(i + 1) % 3] / 2

        found = dg.hessian(f, 1, out_argnum=2)(3.0, self.x, np.full(3, np.nan))
        assert_close(found, 3 * self.expected())
        assert np.array_equal(self.x, [0.5, -1.5, 2.0])

    def test_hvp_of_a_function_that_writes_to_its_argument(self):
        def f(x):
            x[0] *= x[1]
            return x[0] * x[2]

        x = np.array([2.0, 3.0, 5.0])
        hessian = np.array([[0.0, 5.0, 3.0], [5.0, 0.0, 2.0], [3.0, 2.0, 0.0]])
        v = np.array([1.0, -1.0, 0.5])
        assert_close(dg.hvp(f, chunk=2)((x,), (v,)), hessian @ v)
        assert_close(dg.hessian(f, chunk=2)(x), hessian)
        assert np.array_equal(x, [2.0, 3.0, 5.0])

    def test_tuples_and_constants(self):
        def f(x):
            return x[0] * x[1], 2.0, x * x, np.ones(2)

        product, constant, squares, ones = dg.hessian(f)(self.x)
        assert_close(product, [[0, 1, 0], [1, 0, 0], [0, 0, 0]])
        assert_close(constant, np.zeros((3, 3)))
        assert_close(squares, 2 * np.einsum("ij,ik->ijk", np.eye(3), np.eye(3)))
        assert_close(ones, np.zeros((2, 3, 3)))

    def test_numbers(self):
        assert dg.hessian(lambda x: x**3)(2.0) == 12.0
        assert dg.value_grad_and_hessian(lambda x: x**3)(2.0) == (8.0, 12.0, 12.0)
        assert dg.hvp(lambda x: x**3)((2.0,), (0.5,)) == 6.0
        assert dg.hessian(lambda x: 1.0)(2.0) == 0.0

    def test_singular_points(self):
        """A lane that does not move stays zero where a derivative is infinite."""

        def f(x):
            return np.sqrt(x[0]) + x[1] ** 2

        found = dg.hessian(f)(np.array([0.0, 3.0]))
        assert np.array_equal(found[:, 1], [0.0, 2.0]) and not np.isfinite(found[0, 0])

        def g(x):
            return np.sqrt(x[0]) + x[1] / x[2] + np.exp(x[1])

        found = dg.hessian(g, chunk=2)(np.array([0.0, 3.0, 2.0]))
        expected = [[np.exp(3.0), -0.25], [-0.25, 0.75]]
        np.testing.assert_allclose(found[1:, 1:], expected, rtol=1e-15)
        assert not found[0, 1:].any() and not found[1:, 0].any() and not np.isfinite(found[0, 0])


class TestNesting:
    """Derivatives of a product of powers: every order has a closed form."""

    x = np.array([1.1, 0.7])

    @staticmethod
    def f(x):
        return x[0] ** 3 * x[1] ** 4

    def third(self):
        a, b = self.x
        aaa, aab, abb, bbb = 6 * b**4, 24 * a * b**3, 36 * a**2 * b**2, 24 * a**3 * b
        return np.array([[[aaa, aab], [aab, abb]], [[aab, abb], [abb, bbb]]])

    def test_two_ways_to_a_hessian(self):
        a, b = self.x
        expected = [[6 * a * b**4, 12 * a**2 * b**3], [12 * a**2 * b**3, 12 * a**3 * b**2]]
        assert_close(dg.hessian(self.f)(self.x), expected)
        assert_close(dg.jacobian(dg.grad(self.f))(self.x), expected)
        assert_close(dg.jacobian(njit(lambda x: dg_grad(x)))(self.x), expected)

    def test_third_derivatives(self):
        expected = self.third()
        assert_close(dg.jacobian(dg.hessian(self.f))(self.x), expected)
        assert_close(dg.hessian(dg.grad(self.f))(self.x), expected)
        v = np.array([0.3, -2.0])
        directed = dg.grad(lambda x: hvp_of_f((x,), (v,))[0])(self.x)
        assert_close(directed, (expected @ v)[0])

    def test_inside_njit_and_as_an_argument(self):
        @njit
        def curvature(h, x, v):
            return v @ h(x) @ v

        v = np.array([1.0, 2.0])
        expected = v @ dg.hessian(self.f)(self.x) @ v
        assert_close(curvature(dg.hessian(self.f), self.x, v), expected)
        assert_close(njit(lambda x, v: v @ hvp_of_f((x,), (v,)))(self.x, v), expected)


dg_grad, hvp_of_f = dg.grad(TestNesting.f), dg.hvp(TestNesting.f)


class TestRefused:
    @pytest.mark.parametrize(
        "make, args, error, message",
        [
            (
                lambda: dg.hvp(lambda x: x * 2),
                ((RANGE,), (RANGE,)),
                TypeError,
                "must return a number",
            ),
            (lambda: dg.hvp(cubed_sum), (RANGE, RANGE), TypeError, "two tuples"),
            (
                lambda: dg.hvp(cubed_sum),
                ((RANGE,), (None,)),
                TypeError,
                "no argument has a tangent",
            ),
            (lambda: dg.hvp(cubed_sum), ((RANGE,), (1.0,)), TypeError, "shape of its primal"),
            (lambda: dg.hvp(cubed_sum), ((RANGE,), (RANGE[1:],)), ValueError, "shape"),
            (lambda: dg.hvp(cubed_sum, 1), (), ValueError, "no number 1"),
            (lambda: dg.hessian(cubed_sum, (0, 0)), (), ValueError, "different arguments"),
            (lambda: dg.hessian(lambda x: None), (1.0,), TypeError, "returns None"),
        ],
    )
    def test_bad_input(self, make, args, error, message):
        with pytest.raises(error, match=message):
            make()(*args)
