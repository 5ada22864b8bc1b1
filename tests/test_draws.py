"""Random numbers inside of a function: all sweeps of a call draw the same."""

import random

import numpy as np
import pytest
from numba import njit

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
