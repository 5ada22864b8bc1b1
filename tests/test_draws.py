"""Random numbers inside of a function: all sweeps of a call draw the same."""

import random

import numpy as np
import pytest
from numba import float64, njit
from numba.experimental import jitclass

import dualgrad as dg

N = 7
X = np.linspace(0.5, 1.5, N)


@njit
def seed(k):
    np.random.seed(k)
    random.seed(k)


@njit
def factor():
    return np.random.normal() + random.random()


@njit
def scaled_square(x):
    return np.sum(x**2) * factor()


@njit
def scaled_items(x):
    return x * factor()


@njit
def by_generator(x, rngs):
    return np.sum(x**2) * rngs[0].normal()


@jitclass([("drawn", float64)])
class Dice:
    def __init__(self, throw):
        self.drawn = factor() if throw else 1.0

    @property
    def thrown(self):
        return factor()

    def throw(self):
        return factor()

    @staticmethod
    def throw_any():
        return factor()


@njit
def by_method(x, dice):
    return np.sum(x**2) * dice.throw()


@njit
def by_static_method(x, dice):
    return np.sum(x**2) * dice.throw_any()


@njit
def by_property(x, dice):
    return np.sum(x**2) * dice.thrown


@njit
def by_constructor(x, dice):
    return np.sum(x**2) * Dice(True).drawn


gradient = dg.grad(scaled_square, chunk=2)


@njit
def gradient_and_next(x):
    return gradient(x), factor()


def test_sweeps_draw_the_same_and_a_call_draws_once():
    seed(1)
    first, second, third = factor(), factor(), factor()
    seed(1)
    np.testing.assert_allclose(gradient(X), 2 * X * first, rtol=1e-15)
    inner, after = gradient_and_next(X)
    np.testing.assert_allclose(inner, 2 * X * second, rtol=1e-15)
    assert after == third


@pytest.mark.parametrize(
    "transform, expected",
    [
        (dg.hessian(scaled_square, chunk=2), lambda r: 2 * r * np.eye(N)),
        (dg.jacobian(scaled_items, chunk=2, parallel=True), lambda r: r * np.eye(N)),
        (dg.sparse_jacobian(scaled_items, chunk=2), lambda r: r * np.eye(N)),
        (
            dg.sparse_jacobian(scaled_items, chunk=2, pattern=np.ones((N, N), bool)),
            lambda r: r * np.eye(N),
        ),
        (dg.sparse_hessian(scaled_square), lambda r: 2 * r * np.eye(N)),
    ],
    ids=["hessian", "parallel", "sparse", "dense pattern", "sparse hessian"],
)
def test_every_kind_of_sweeps(transform, expected):
    transform(X)  # a pattern is found by runs of its own
    seed(2)
    r = factor()
    seed(2)
    found = transform(X)
    found = found.toarray() if hasattr(found, "toarray") else found
    np.testing.assert_allclose(found, expected(r), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("f", [by_method, by_static_method, by_property, by_constructor])
def test_jitclasses_draw(f):
    seed(1)
    first, second = factor(), factor()
    seed(1)
    found = dg.grad(f, chunk=2)(X, Dice(False))
    np.testing.assert_allclose(found, 2 * X * first, rtol=1e-15)
    assert factor() == second


@njit
def cancelling(x):
    """A product with its derivative loses digits that the entries have."""
    y = np.empty(N)
    for k in range(N):
        y[k] = (1e20 * x[k] + x[(k + 1) % N] - 1e20 * x[k]) * factor()
    return y


@njit
def diagonal(x):
    y = np.empty(N)
    for k in range(N):
        y[k] = x[k] * factor()
    return y


BAND = np.eye(N, dtype=bool) | np.roll(np.eye(N, dtype=bool), 1, axis=1)


@pytest.mark.parametrize(
    "f, pattern, shift", [(diagonal, "dense", 0), (diagonal, None, 0), (cancelling, BAND, 1)]
)
def test_patterns_cost_no_draws(f, pattern, shift):
    seed(7)
    r, after = np.array([factor() for _ in range(N)]), factor()
    for _ in range(2):
        seed(7)
        found = dg.sparse_jacobian(f, pattern=pattern)(X).toarray()
        np.testing.assert_allclose(found, np.roll(np.diag(r), shift, axis=1), rtol=1e-15)
        assert factor() == after


def test_hvp():
    seed(3)
    r = factor()
    seed(3)
    product = dg.hvp(scaled_square, chunk=2)((X,), (np.ones(N),))
    np.testing.assert_allclose(product, np.full(N, 2 * r), rtol=1e-15)


def test_points_of_vmap_draw_one_after_another():
    seed(4)
    r = np.array([factor(), factor(), factor()])
    seed(4)
    found = dg.vmap(gradient)(np.stack([X, X, X]))
    np.testing.assert_allclose(found, r[:, None] * 2 * X, rtol=1e-15)


def test_generators():
    rng = np.random.default_rng(5)
    g = dg.grad(by_generator, chunk=2)
    found = [g(X, (rng,)) for _ in range(2)]
    expected = np.random.default_rng(5).normal(size=2)[:, None] * 2 * X
    np.testing.assert_allclose(found, expected, rtol=1e-15)
    # where one sweep does, nothing is copied
    rng = np.random.default_rng(5)
    np.testing.assert_allclose(dg.grad(by_generator)(X, (rng,)), expected[0], rtol=1e-15)


def test_threads_share_no_generator():
    @njit
    def scaled(x, rng):
        return x * rng.normal()

    with pytest.raises(TypeError, match="threads cannot share a generator of random numbers"):
        dg.jacobian(scaled, parallel=True)(X, np.random.default_rng(6))
