"""Products of vectors and matrices: every kind of operand against the product rule.

Operands are made from a point `t` by `bend`, so that all their tangents are dense.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import njit

import dualgrad as dg

# Numba warns of strided operands, as it does without dualgrad.
pytestmark = pytest.mark.filterwarnings("ignore:.*is faster on contiguous arrays")

T = np.array([0.7, -1.3, 0.4, 0.9])  # four inputs, by three lanes: two sweeps


@njit
def bend(t: Any, x: Any) -> Any:
    return x * t[0] + x * x * t[1] + t[2] + t[3]


def slopes(x: np.ndarray) -> list[np.ndarray]:
    """The derivative of `bend` by each item of `t`."""
    return [x, x * x, np.ones_like(x), np.ones_like(x)]


@njit
def as_it_is(x: Any) -> Any:
    return x


@njit
def transposed(x: Any) -> Any:
    return x.T


@njit
def strided_vector(x: Any) -> Any:
    return x[::-2]


@njit
def strided_matrix(x: Any) -> Any:
    return x[::2, ::2]


class Operand:
    """A vector or matrix of some layout that depends on `t` or is constant."""

    def __init__(self, layout: str, ndim: int, active: bool) -> None:
        self.layout, self.active = layout, active
        strided = strided_vector if ndim == 1 else strided_matrix
        view = self.view = dict(C=as_it_is, F=transposed, A=strided)[layout]
        if active:
            self.made = njit(lambda t, x: view(bend(t, x)))
        else:
            self.made = njit(lambda t, x: view(x))

    def stored(self, shape: tuple[int, ...], seed: int, dtype: Any = float) -> np.ndarray:
        """Random numbers from which `made` makes an array of this shape."""
        shape = dict(C=shape, F=shape[::-1], A=tuple(2 * n for n in shape))[self.layout]
        return np.random.default_rng(seed).normal(size=shape).astype(dtype)

    def value_and_slopes(self, x: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        value = self.made.py_func(T, x) if not self.active else self.view(bend.py_func(T, x))
        return value, [s * self.active for s in map(self.view.py_func, slopes(x))]


def check(
    product: Callable[..., Any], a: Operand, b: Operand, shapes: Any, reference: Any = None
) -> None:
    """Compare with the product rule, and the value bit for bit with what Numba returns."""
    make_a, make_b = a.made, b.made

    @njit
    def program(t: Any, x: Any, y: Any) -> Any:
        return product(make_a(t, x), make_b(t, y))

    scalar = np.ndim(program(T, a.stored(shapes[0][0], 1), b.stored(shapes[0][1], 2))) == 0
    differentiated = (dg.value_and_grad if scalar else dg.value_and_jacobian)(program, chunk=3)
    reference = reference or getattr(product, "py_func", product)
    for shape_a, shape_b in shapes:
        x, y = a.stored(shape_a, 1), b.stored(shape_b, 2)
        value, jacobian = differentiated(T, x, y)
        assert np.asarray(value).tobytes() == np.asarray(program(T, x, y)).tobytes()
        (u, du), (v, dv) = a.value_and_slopes(x), b.value_and_slopes(y)
        lanes = [reference(i, v) + reference(u, j) for i, j in zip(du, dv, strict=True)]
        expected = np.stack(lanes, axis=-1)
        assert jacobian.shape == expected.shape
        scale = 1e-13 * max(1, *shape_a, *shape_b)
        np.testing.assert_allclose(jacobian, expected, rtol=scale, atol=scale)


@njit
def dot(a: Any, b: Any) -> Any:
    return np.dot(a, b)


@njit
def matmul(a: Any, b: Any) -> Any:
    return a @ b


@njit
def vdot(a: Any, b: Any) -> Any:
    return np.vdot(a, b)


@njit
def method(a: Any, b: Any) -> Any:
    return a.dot(b)


@njit
def outer(a: Any, b: Any) -> Any:
    return np.outer(a, b)


@njit
def dot_into_vector(a: Any, b: Any) -> Any:
    out = np.empty(a.shape[0] if a.ndim == 2 else b.shape[1])
    np.dot(a, b, out)
    return out


@njit
def dot_into_matrix(a: Any, b: Any) -> Any:
    out = np.empty((a.shape[0], b.shape[1]))
    return np.dot(a, b, out=out)


@njit
def outer_into(a: Any, b: Any) -> Any:
    out = np.empty((a.size, b.size))
    np.outer(a, b, out)
    return out


# Shapes of every case: plain, of size one, empty in each axis, and on BLAS's side of the threshold.
VECTORS = [((n,), (n,)) for n in (3, 1, 0, 100)]
MATRIX_VECTOR = [((m, k), (k,)) for m, k in ((3, 4), (1, 1), (0, 3), (3, 0), (96, 101))]
VECTOR_MATRIX = [((k,), (k, n)) for k, n in ((3, 4), (1, 1), (0, 3), (3, 0), (96, 101))]
SIZES = ((3, 4, 2), (1, 1, 1), (0, 3, 2), (3, 0, 2), (2, 3, 0), (1, 5, 3), (3, 5, 1))
MATRICES = [((m, k), (k, n)) for m, k, n in (*SIZES, (21, 23, 25), (3, 90, 101), (1, 90, 101))]
OUTER = [((m,), (n,)) for m, n in ((3, 4), (1, 1), (0, 2), (2, 0))]
SHAPES = {(1, 1): VECTORS, (2, 1): MATRIX_VECTOR, (1, 2): VECTOR_MATRIX, (2, 2): MATRICES}

ACTIVE = {"left": (True, False), "right": (False, True), "both": (True, True)}
LAYOUTS = {(1, 1): ("CC", "AA"), (2, 1): ("FA", "CC", "AC"), (1, 2): ("AF", "CC", "CA"),
           (2, 2): ("FF", "CC", "FC", "CF", "AA")}  # fmt: skip
CASES = [
    pytest.param(ndims, layouts, active, id=f"{ndims[0]}d-{ndims[1]}d-{layouts}-{active}")
    for ndims in SHAPES
    for layouts in LAYOUTS[ndims]
    for active in ACTIVE
    if active == "both" or layouts in ("FA", "AF", "FF") or ndims == (1, 1)
]


@pytest.mark.parametrize("ndims, layouts, active", CASES)
def test_dot(ndims: tuple[int, int], layouts: str, active: str) -> None:
    a, b = (Operand(*it) for it in zip(layouts, ndims, ACTIVE[active], strict=True))
    check(dot, a, b, SHAPES[ndims])


@pytest.mark.parametrize("active", ("right", "both"))
@pytest.mark.parametrize(
    "product, ndims, reference",
    [
        (matmul, (2, 1), operator.matmul),
        (matmul, (1, 1), operator.matmul),
        (method, (2, 2), np.dot),
        (vdot, (1, 1), np.dot),
        (outer, (1, 1), np.outer),
        (dot_into_vector, (2, 1), np.dot),
        (dot_into_vector, (1, 2), np.dot),
        (dot_into_matrix, (2, 2), np.dot),
        (outer_into, (1, 1), np.outer),
    ],
)
def test_other_spellings(product: Any, ndims: Any, reference: Any, active: str) -> None:
    a, b = (Operand("C", ndim, on) for ndim, on in zip(ndims, ACTIVE[active], strict=True))
    check(product, a, b, OUTER if reference is np.outer else SHAPES[ndims], reference)


@pytest.mark.parametrize("ndims", SHAPES)
def test_single_precision(ndims: tuple[int, int]) -> None:
    @njit
    def program(x: Any, y: Any) -> Any:
        return np.dot(x, y)

    single = Operand("C", ndims[0], True), Operand("C", ndims[1], True)
    for shapes in SHAPES[ndims][:2]:
        x, y = (it.stored(shape, 1, np.float32) for it, shape in zip(single, shapes, strict=True))
        if ndims == (1, 1):
            value, (dx, dy) = dg.value_and_grad(program, argnums=(0, 1), chunk=3)(x, y)
        else:
            value, (dx, dy) = dg.value_and_jacobian(program, argnums=(0, 1), chunk=3)(x, y)
        assert np.asarray(value).tobytes() == np.asarray(program(x, y)).tobytes()
        assert dx.dtype == dy.dtype == np.float32
        # what the product rule gives for each item of x, and of y
        by_x = [np.dot(unit.reshape(x.shape), y) for unit in np.eye(x.size)]
        by_y = [np.dot(x, unit.reshape(y.shape)) for unit in np.eye(y.size)]
        for found, items, shape in ((dx, by_x, x.shape), (dy, by_y, y.shape)):
            expected = np.stack(items, axis=-1).reshape(np.shape(value) + shape)
            np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_outer_product_of_scalars_and_matrices() -> None:
    @njit
    def program(x: Any, w: Any) -> Any:
        y = np.outer(x[0], x)
        return y + np.outer(2.0, x) + np.outer(x[1], w)[:, :3] + np.outer(w * x[2], x)[2:3]

    x, w = np.array([1.0, 2.0, 3.0]), np.array([[4.0, 5.0], [6.0, 7.0]])
    value, jacobian = dg.value_and_jacobian(program, chunk=3)(x, w)
    assert value.tobytes() == program(x, w).tobytes()
    expected = np.zeros((1, 3, 3))
    expected[0] = (x[0] + 2 + w[1, 0] * x[2]) * np.eye(3)
    expected[0, :, 0] += x
    expected[0, :, 1] += w.ravel()[:3]
    expected[0, :, 2] += w[1, 0] * x
    np.testing.assert_allclose(jacobian, expected, rtol=1e-14)


@pytest.mark.parametrize(
    "product, shape_a, shape_b",
    [
        (dot, (2,), (3,)),
        (dot, (2, 2), (3,)),
        (dot, (2,), (3, 2)),
        (matmul, (2, 2), (3, 2)),
        (vdot, (3,), (2,)),
        (dot_into_vector, (2, 2), (3,)),
    ],
)
def test_sizes_that_do_not_match(product: Any, shape_a: Any, shape_b: Any) -> None:
    a, b = np.ones(shape_a), np.ones(shape_b)
    with pytest.raises(ValueError, match="incompatible") as of_primal:
        product(a, b)
    transform = dg.grad if len(shape_a) == len(shape_b) == 1 else dg.jacobian
    for argnum in (0, 1):
        with pytest.raises(ValueError) as raised:
            transform(product, argnums=argnum, chunk=3)(a, b)
        assert str(raised.value) == str(of_primal.value)


def test_output_of_the_wrong_size() -> None:
    @njit
    def program(a: Any, b: Any) -> Any:
        out = np.empty(len(a) + 1)
        np.dot(a, b, out)
        return out

    with pytest.raises(ValueError, match="incompatible output array size"):
        dg.jacobian(program, chunk=3)(np.ones((2, 3)), np.ones(3))


@pytest.mark.parametrize("n", [3, 101])
def test_second_derivatives(n: int) -> None:
    """Duals of duals, on both sides of the threshold."""
    random = np.random.default_rng(0)
    w, y = random.normal(size=(n, n)), random.normal(size=n)

    @njit
    def quadratic(x: Any, w: Any) -> Any:
        return x @ np.dot(w, x) + (x[:2] @ np.outer(x[:2], x[:2])) @ x[:2]

    gradient = dg.grad(quadratic, chunk=3)

    @njit
    def along(t: Any, w: Any, y: Any) -> Any:
        return gradient(t * y, w)

    expected = (w + w.T) @ y
    expected[:2] += 4 * 3 * 2.0**2 * (y[:2] @ y[:2]) * y[:2]
    np.testing.assert_allclose(dg.derivative(along)(2.0, w, y), expected, rtol=1e-11, atol=1e-12)


def test_complex_step_through_a_layer() -> None:
    @njit
    def layer(x: Any, w: Any, b: Any) -> Any:
        return np.tanh(w @ x + b) @ w.T

    random = np.random.default_rng(0)
    x, w, b = random.normal(size=4), random.normal(size=(5, 4)), random.normal(size=5)
    square, b = w.T @ w, b[:4]

    def stepped(x: Any) -> Any:
        return layer.py_func(x, square, b).imag / 1e-30

    expected = np.stack([stepped(x + 1e-30j * unit) for unit in np.eye(4)], axis=-1)
    np.testing.assert_allclose(dg.jacobian(layer, chunk=3)(x, square, b), expected, rtol=1e-13)


# Seeds: of their tangents few are not zero, and blocks of zeros are left out of products.


@njit
def left_product(x: Any, w: Any) -> Any:
    return w @ x


@njit
def right_product(x: Any, w: Any) -> Any:
    return x @ w


@njit
def square_of_product(x: Any, w: Any) -> Any:
    y = w @ x
    return y @ y


@pytest.mark.parametrize("dtype", [float, np.float32])
@pytest.mark.parametrize("chunk", ["auto", 21])
@pytest.mark.parametrize("order", "CF")
def test_seeds_give_the_matrix_itself(order: str, chunk: Any, dtype: Any) -> None:
    w = np.random.default_rng(0).normal(size=(133, 70)).astype(dtype, order)
    got = dg.jacobian(left_product, chunk=chunk)(np.ones(70, dtype), w)
    np.testing.assert_array_equal(got, w)
    got = dg.jacobian(right_product, chunk=chunk)(np.ones(133, dtype), w)
    np.testing.assert_array_equal(got, w.T)


@pytest.mark.parametrize("function", [left_product, right_product])
def test_seeds_of_a_matrix(function: Any) -> None:
    random = np.random.default_rng(1)
    w, x = random.normal(size=(40, 40)), random.normal(size=(40, 40))
    got = dg.jacobian(function)(x, w)
    by_both = [w, np.eye(40)] if function is left_product else [np.eye(40), w.T]
    np.testing.assert_array_equal(got, np.einsum("ih,jk->ijhk", *by_both))


def test_seeds_in_both_factors() -> None:
    """One product is added to the other; 94 rows are no whole number of those taken at once."""
    random = np.random.default_rng(3)
    x, w = random.normal(size=(2, 90)), random.normal(size=(90, 94))
    by_x, by_w = dg.jacobian(right_product, argnums=(0, 1))(x, w)
    np.testing.assert_array_equal(by_x, np.einsum("il,hj->ijlh", np.eye(2), w))
    np.testing.assert_array_equal(by_w, np.einsum("ih,jk->ijhk", x, np.eye(94)))


def test_seeds_of_second_derivatives() -> None:
    w = np.random.default_rng(2).normal(size=(80, 30))
    got = dg.hessian(square_of_product)(np.ones(30), w)
    np.testing.assert_allclose(got, 2 * w.T @ w, rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("n", [3, 21, 100])
def test_constants_into_memory_of_derivatives(n: int) -> None:
    """They overwrite the tangents, by loops or, where the product is large, by BLAS."""
    ones = np.ones((n, n))

    @njit
    def written_anew(x):  # type: ignore[no-untyped-def]
        matrix, vector = np.empty((n, n)), np.empty(n)
        np.dot(ones * x, ones, matrix)
        np.dot(ones * x, ones[0], vector)
        before = matrix[0, 0] + vector[0]
        np.dot(ones, ones, matrix)
        np.dot(ones, ones[0], vector)
        return before * matrix[n - 1, 0] * vector[n - 1]

    assert dg.value_and_derivative(written_anew)(1.5) == (3.0 * n**3, 2.0 * n**3)
