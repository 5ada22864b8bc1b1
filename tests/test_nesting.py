"""Transforms inside transforms: perturbations of different depths are never confused.

Every pair of an inner and an outer transform differentiates ``H(x) = x * (D(2, x) + D(x, x))``,
where D is a derivative by y of ``x**2 * y**3``, in which x is held constant. Confusion would add
to it what depends on x.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import njit

import dualgrad as dg


def of_numbers(y, x):
    return x * x * y**3


def of_array(v, x):
    return x * x * v[0] ** 3 + 0.0 * v[1]


def to_array(y, x):
    return np.array([x * x * y**3, x])


by_y, value_and_by_y = dg.derivative(of_numbers), dg.value_and_derivative(of_numbers)
by_array, by_array_1 = dg.grad(of_array, chunk=3), dg.grad(of_array, chunk=1)
column, push = dg.jacobian(lambda v, x: to_array(v[0], x), chunk=1), dg.jvp(of_numbers)
both, second_of_array = dg.derivative(of_numbers, argnums=(1, 0)), dg.hessian(of_array, chunk=2)
second, second_push = dg.derivative(by_y), dg.hvp(of_numbers)
mapped = dg.vmap(by_y, in_axes=(0, None))


def with_out(y, x):
    out = np.empty(2)
    by_array(np.array([y, x]), x, out=out)
    return out[0]


@njit
def held(x):
    return (dg.value(x[0]) - 0.5) * x[1] ** 2 + np.sum(dg.value(x) * x[::-1] ** 2)


def test_values_are_constants_for_all_derivatives():
    x, expected = np.array([2.0, 3.0]), np.diag([6.0, 2 * (2.0 - 0.5) + 4.0])
    columns = [dg.hvp(held)((x,), (direction,)) for direction in np.eye(2)]
    nested = dg.jacobian(dg.grad(held))(x)
    for found in (dg.hessian(held)(x), dg.sparse_hessian(held)(x).toarray(), columns, nested):
        np.testing.assert_array_equal(found, expected)


@njit
def call(f, y, x):
    return f(y, x)


FIRST: dict[str, Callable[..., Any]] = {
    "derivative": lambda y, x: by_y(y, x),
    "value_and_derivative": lambda y, x: value_and_by_y(y, x)[1],
    "argnums": lambda y, x: both(y, x)[1],
    "grad": lambda y, x: by_array(np.array([y, x]), x)[0],
    "grad, one lane": lambda y, x: by_array_1(np.array([y, x]), x)[0],
    "grad, out": with_out,
    "jacobian": lambda y, x: column(np.array([y]), x)[0, 0],
    "jvp": lambda y, x: push((y, x), (1.0, None))[1],
    "jvp, zero tangent": lambda y, x: push((y, x), (1.0, 0.0))[1],
    "jvp, tangent that depends on x": lambda y, x: push((y, x), (x, 0.0))[1] / x,
    "vmap": lambda y, x: mapped(np.array([y, x]), x)[0],
    "passed to a function": lambda y, x: call(by_y, y, x),
}
SECOND: dict[str, Callable[..., Any]] = {
    "derivative of derivative": lambda y, x: second(y, x),
    "hessian": lambda y, x: second_of_array(np.array([y, x]), x)[0, 0],
    "hvp": lambda y, x: second_push((y, x), (1.0, None)),
}


def outer_function(inner: Callable[..., Any]) -> Any:
    inner = njit(inner) if inner is with_out else inner
    return lambda x: x * (inner(2.0, x) + inner(x, x))


# H for D = 3 x^2 y^2 is 12 x^3 + 3 x^5; for D = 6 x^2 y it is 12 x^3 + 6 x^4
X = 1.25
EXPECTED = {
    1: (36 * X**2 + 15 * X**4, 72 * X + 60 * X**3),
    2: (36 * X**2 + 24 * X**3, 72 * X + 72 * X**2),
}
OUTER: dict[str, tuple[int, Callable[..., Any]]] = {
    "derivative": (1, lambda h: dg.derivative(h)(X)),
    "grad": (1, lambda h: dg.grad(lambda x: h(x[0]) + 0.0 * x[1], chunk=3)(np.array([X, 5.0]))[0]),
    "jacobian": (1, lambda h: dg.jacobian(lambda x: x * h(x[0]), chunk=3)(np.array([X]))[0, 0]),
    "jvp": (1, lambda h: dg.jvp(h)((X,), (1.0,))[1]),
    "vmap": (1, lambda h: dg.vmap(dg.derivative(h))(np.array([0.5, X]))[1]),
    "hessian": (2, lambda h: dg.hessian(h)(X)),
    "hvp": (2, lambda h: dg.hvp(h)((X,), (1.0,))),
    "derivative of derivative": (2, lambda h: dg.derivative(dg.derivative(h))(X)),
    "vmap of hessian": (2, lambda h: dg.vmap(dg.hessian(h))(np.array([0.5, X]))[1]),
}


def check(inner: str, outer: str) -> None:
    kind = 1 if inner in FIRST else 2
    h = outer_function({**FIRST, **SECOND}[inner])
    order, transform = OUTER[outer]
    expected = EXPECTED[kind][order - 1]
    if outer == "jacobian":  # of x h(x)
        value = 12 * X**3 + (3 * X**5 if kind == 1 else 6 * X**4)
        expected = value + X * expected
    assert transform(h) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("inner", [*FIRST, *SECOND])
def test_inner_transforms(inner: str) -> None:
    check(inner, "derivative")


@pytest.mark.parametrize("outer", [*OUTER][1:])
@pytest.mark.parametrize("inner", ["grad", "hvp"])
def test_outer_transforms(inner: str, outer: str) -> None:
    check(inner, outer)


def test_the_classic() -> None:
    """d/dx [x d/dy (x + y)] is 1; with confusion it would be 2."""
    slope = dg.derivative(lambda y, x: x + y)
    assert dg.derivative(lambda x: x * slope(1.0, x))(3.0) == 1.0
    assert dg.derivative(lambda x: x * slope(x, x))(3.0) == 1.0
    assert dg.derivative(lambda x: x * slope(2.0 * x, x))(3.0) == 1.0


def test_three_levels() -> None:
    """d/dx [x d/dy [y d/dz (x y z)]] at z = y = x is d/dx [2 x^3]."""
    inner = dg.derivative(lambda z, y, x: x * y * z)
    middle = dg.derivative(lambda y, x: y * inner(x, y, x))
    outer = dg.derivative(lambda x: x * middle(x, x))
    assert outer(1.5) == 6 * 1.5**2
    # and with the innermost at what the middle one varies: y d/dz (x y z^2) = 2 x y^3
    inner_2 = dg.derivative(lambda z, y, x: x * y * z * z)
    middle_2 = dg.derivative(lambda y, x: y * inner_2(y, y, x))
    outer_2 = dg.derivative(lambda x: x * middle_2(x, x))
    assert outer_2(1.5) == pytest.approx(6 * 4 * 1.5**3, rel=1e-15)


@pytest.mark.parametrize("outer", [1, 2, 3])
@pytest.mark.parametrize("inner", [1, 2])
def test_equal_numbers_of_lanes(inner: Any, outer: Any) -> None:
    gradient = dg.grad(lambda v, x: x[0] * x[1] * v[0] ** 2 * v[1], chunk=inner)
    found = dg.grad(lambda x: x[0] * np.sum(gradient(x, x)), chunk=outer)(np.array([1.25, 0.75]))
    # of 2 a^3 b^2 + a^4 b
    a, b = 1.25, 0.75
    by_hand = [6 * a**2 * b**2 + 4 * a**3 * b, 4 * a**3 * b + a**4]
    np.testing.assert_allclose(found, by_hand, rtol=1e-14)


def of_list(y, xs):
    return xs[0] * xs[1] * y**3


by_y_of_list = dg.derivative(of_list)


@pytest.mark.parametrize(
    "make, power",
    [
        (lambda x: [x, x], 3),
        (lambda x: (x, x), 3),
        (lambda x: (x, 1.25), 2),
        (lambda x: np.array([x, x]), 3),
        (lambda x: np.full(2, x)[::-1], 3),
    ],
)
def test_values_passed_in_containers(make: Callable[..., Any], power: int) -> None:
    make = njit(make)
    found = dg.derivative(lambda x: x * by_y_of_list(2.0, make(x)))(X)
    assert found == pytest.approx(power * 12 * X**2, rel=1e-15)


def test_a_function_inside_uses_a_variable() -> None:
    def direct(x):
        def inner(y):
            return x * x * y**3

        return x * inner(x)

    assert dg.derivative(direct)(X) == pytest.approx(6 * X**5, rel=1e-15)


def test_constants_captured_in_python() -> None:
    """As in Numba: a function that is made anew captures anew."""

    def captured(scale: float) -> Any:
        return dg.derivative(lambda y: scale * y * y)

    assert [captured(scale)(1.0) for scale in (1.0, 2.0, 3.0)] == [2.0, 4.0, 6.0]
    slope = captured(3.0)
    assert dg.derivative(lambda x: x * slope(x))(2.0) == 24.0


CAPTURES = {
    "a lambda": lambda x: x * dg.derivative(lambda y: x + y)(1.0),
    "made inside": lambda x: x * dg.derivative(of_one)(x),
    "jvp made inside": lambda x: dg.jvp(of_one)((x,), (1.0,))[1],
}


def of_one(y):
    return y * y


@pytest.mark.parametrize("f", CAPTURES.values(), ids=CAPTURES)
def test_transforms_made_inside_are_refused(f: Any) -> None:
    with pytest.raises(dg.NotDifferentiable, match=r"make it outside|make x an argument") as raised:
        dg.derivative(f)(3.0)
    assert "test_nesting.py" in str(raised.value)


def test_tangents_are_differentiated_too() -> None:
    """d/dx of a jvp whose tangent is x**2: of x^2 3 y^2 x^2 at y = x."""
    push_along = dg.derivative(lambda x: push((x, x), (x * x, 0.0))[1])
    assert push_along(X) == pytest.approx(18 * X**5, rel=1e-15)
    product = dg.hvp(lambda v: v[0] ** 3 * v[1])

    def along(x):
        v = np.array([x, 2.0])
        return product((v,), (np.array([x, 1.0]),))[0]  # 6 x 2 x + 3 x^2

    assert dg.derivative(along)(X) == pytest.approx(30 * X, rel=1e-15)


def test_inside_compiled_code() -> None:
    outer = dg.derivative(lambda x: x * (by_y(2.0, x) + by_y(x, x)))

    @njit
    def total(points):
        s = 0.0
        for x in points:
            s += outer(x)
        return s

    assert total(np.array([X, X])) == pytest.approx(2 * EXPECTED[1][0], rel=1e-15)


def test_jacobians_of_jacobians() -> None:
    """With as many lanes at each level as at the first, compilation did not end."""

    def f(x):
        return x[0] ** 3 * x[1] + x[1] ** 2 * x[2]

    third = dg.jacobian(dg.jacobian(dg.grad(f)))(np.array([2.0, 3.0, 5.0]))
    expected = np.zeros((3, 3, 3))
    for where, value in (((0, 0, 0), 6 * 3.0), ((0, 0, 1), 6 * 2.0), ((1, 1, 2), 2.0)):
        for index in itertools.permutations(where):
            expected[index] = value
    np.testing.assert_array_equal(third, expected)
    np.testing.assert_array_equal(dg.jacobian(dg.hessian(f))(np.array([2.0, 3.0, 5.0])), expected)
