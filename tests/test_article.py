"""Parr and Howard, *The Matrix Calculus You Need For Deep Learning* (arXiv:1802.01528).

A test for each of its sections, against the closed form that the section derives.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numba import njit

import dualgrad as dg

W = np.array([0.7, -1.3, 2.1, 0.4])
X = np.array([1.5, 0.8, -0.6, 2.0])
N = X.size


def close(result: Any, expected: Any) -> None:
    assert np.shape(result) == np.shape(expected)
    np.testing.assert_allclose(result, expected, rtol=1e-14, atol=1e-15)


def test_scalar_derivative_rules() -> None:
    def f(x: float) -> Any:
        return 99.0, 3 * x, x**3, x**2 + 3 * x, x**2 - 3 * x, x**2 * x, (x**2 + 3 * x) / 9

    x = 1.7
    rules = (0, 3, 3 * x**2, 2 * x + 3, 2 * x - 3, x**2 + x * 2 * x, (2 * x + 3) / 9)
    close(dg.derivative(f)(x), rules)


def test_vector_calculus_and_partial_derivatives() -> None:
    def f(x: float, y: float) -> float:
        return 3 * x**2 * y

    x, y = 1.3, -0.7
    close(dg.derivative(f, argnums=(0, 1))(x, y), (6 * y * x, 3 * x**2))


def test_matrix_calculus() -> None:
    """The gradients of f = 3 x² y and g = 2 x + y⁸ are the rows of a Jacobian."""

    def f(p: Any) -> Any:
        x, y = p
        return np.array([3 * x**2 * y, 2 * x + y**8])

    x, y = 1.3, -0.7
    close(dg.jacobian(f)(np.array([x, y])), [[6 * y * x, 3 * x**2], [2, 8 * y**7]])


def test_generalization_of_the_jacobian() -> None:
    """All shapes of input and output: numbers and vectors."""
    close(dg.derivative(lambda x: x * x)(1.5), 3.0)
    close(dg.derivative(lambda x: W * x)(1.5), W)
    close(dg.grad(lambda x: np.sum(W * x))(X), W)
    close(dg.jacobian(lambda x: np.array([x[0] * x[1], x[2], 1.0]))(X).shape, (3, N))


def test_derivative_of_the_identity() -> None:
    close(dg.jacobian(lambda x: x)(X), np.eye(N))


def test_element_wise_binary_operations() -> None:
    """The Jacobians are diagonal."""

    def f(w: Any, x: Any) -> Any:
        return w + x, w - x, w * x, w / x, np.maximum(w, x), np.where(w > x, w, x)

    ones, larger = np.ones(N), W > X
    by_w = ones, ones, X, 1 / X, larger, larger
    by_x = ones, -ones, W, -W / X**2, ~larger, ~larger
    for slopes, *diagonals in zip(dg.jacobian(f, argnums=(0, 1))(W, X), by_w, by_x, strict=True):
        for jacobian, diagonal in zip(slopes, diagonals, strict=True):
            close(jacobian, np.diag(diagonal))


def test_scalar_expansion() -> None:
    z = 1.7
    add = dg.jacobian(lambda x, z: x + z)(X, z), dg.derivative(lambda z, x: x + z)(z, X)
    mul = dg.jacobian(lambda x, z: x * z)(X, z), dg.derivative(lambda z, x: x * z)(z, X)
    close(add[0], np.eye(N))
    close(add[1], np.ones(N))
    close(mul[0], np.eye(N) * z)
    close(mul[1], X)


def test_vector_sum_reduction() -> None:
    z = 1.7
    close(dg.grad(lambda x: np.sum(x))(X), np.ones(N))
    close(dg.grad(lambda x: np.sum(7 * x))(X), np.full(N, 7))
    close(dg.grad(lambda x, z: np.sum(x * z))(X, z), np.full(N, z))
    close(dg.derivative(lambda z, x: np.sum(x * z))(z, X), np.sum(X))


def test_single_variable_chain_rule() -> None:
    """y = sin(x²), and the nested y = ln(sin(x³)²) with its intermediate results."""

    def nested(x: float) -> float:
        u1 = x**3
        u2 = math.sin(u1)
        u3 = u2**2
        return math.log(u3)

    x = 1.1
    close(dg.derivative(lambda x: math.sin(x**2))(x), 2 * x * math.cos(x**2))
    close(dg.derivative(nested)(x), 6 * x**2 * math.cos(x**3) / math.sin(x**3))


def test_single_variable_total_derivative_chain_rule() -> None:
    """x reaches y on several paths: y = x + x², y = x x², y = sin(x + x²)."""

    def total(x: float) -> Any:
        u1 = x**2
        u2 = x + u1
        return u2, x * u1, math.sin(u2)

    x = 0.9
    close(dg.derivative(total)(x), (1 + 2 * x, 3 * x**2, math.cos(x + x**2) * (1 + 2 * x)))


@njit
def inner(x: Any) -> Any:
    return np.array([x[0] ** 2, 3 * x[1] * x[2], math.exp(x[3]) * x[0]])


@njit
def outer(g: Any) -> Any:
    return np.array([math.log(g[0]), math.sin(g[1]) * g[2]])


@pytest.mark.parametrize("chunk", [1, 3])
def test_vector_chain_rule(chunk: int) -> None:
    """J(f o g) = J(f) J(g); by hand for the article's f of one number."""

    def both(x: Any) -> Any:
        return outer(inner(x))

    whole = dg.jacobian(both, chunk=chunk)(X)
    parts = dg.jacobian(outer, chunk=chunk)(inner(X)), dg.jacobian(inner, chunk=chunk)(X)
    close(whole, parts[0] @ parts[1])

    x = 0.9
    g = np.array([x**2, 3 * x])
    slopes = dg.derivative(lambda x: np.array([np.log(x**2), np.sin(3 * x)]))(x)
    close(slopes, np.diag([1 / g[0], np.cos(g[1])]) @ [2 * x, 3])


@njit
def activation(w: Any, b: float, x: Any) -> float:
    return max(0, np.dot(w, x) + b)


def test_gradient_of_neuron_activation() -> None:
    """(x, 1) where w . x + b > 0, and zero elsewhere: at the kink as well."""
    transform = dg.value_and_grad(activation)
    in_b = dg.derivative(activation, argnums=1)
    for shift, active in ((1.0, True), (-1.0, False), (0.0, False)):
        b = shift - np.dot(W, X)
        value, in_w = transform(W, b, X)
        close(value, max(0, np.dot(W, X) + b))
        close(in_w, X * active)
        close(in_b(W, b, X), float(active))


def test_gradient_of_the_neural_network_loss() -> None:
    """The mean square of the errors e = y - max(0, w . x + b) over a batch."""

    @njit
    def loss(w: Any, b: float, inputs: Any, targets: Any) -> float:
        total = 0.0
        for i in range(targets.size):
            total += (targets[i] - activation(w, b, inputs[i])) ** 2
        return total / targets.size

    rng = np.random.default_rng(1)
    inputs, targets, b = rng.normal(size=(20, N)), rng.normal(size=20), 0.3
    z = inputs @ W + b
    active = z > 0
    assert 0 < active.sum() < 20
    errors = np.where(active, z - targets, 0)  # the article's e_i, which it calls an error term
    close(dg.grad(loss)(W, b, inputs, targets), 2 / 20 * inputs.T @ errors)
    close(dg.derivative(loss, argnums=1)(W, b, inputs, targets), 2 / 20 * np.sum(errors))
