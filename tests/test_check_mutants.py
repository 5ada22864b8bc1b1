"""Mutation test: errors planted in right Jacobians are found, and right ones are not accused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numba import njit

import dualgrad as dg
from tests.chkder import SYSTEMS


@njit
def units(x):
    """What a model in mixed units looks like: rows and columns of every size."""
    return np.array(
        [
            1e8 * x[0] * x[1] + np.exp(x[2]),
            1e-8 * x[1] ** 3 / x[0],
            np.sin(x[2]) - x[0] * 1e-5,
            1e-12 * x[2] * x[1],
        ]
    )


def d_units(x):
    return np.array(
        [
            [1e8 * x[1], 1e8 * x[0], np.exp(x[2])],
            [-1e-8 * x[1] ** 3 / x[0] ** 2, 3e-8 * x[1] ** 2 / x[0], 0],
            [-1e-5, 0, np.cos(x[2])],
            [0, 1e-12 * x[2], 1e-12 * x[1]],
        ]
    )


class Right(NamedTuple):
    f: Callable[[np.ndarray], np.ndarray]
    jacobian: Callable[[np.ndarray], np.ndarray]
    x: np.ndarray


def right_ones(per_function: int, seed: int) -> Iterator[Right]:
    """Right Jacobians: at the points of the literature, and at random ones of many sizes."""
    rng = np.random.default_rng(seed)
    for system in SYSTEMS:
        yield Right(system.f, system.jacobian, system.start)
        yield Right(system.f, system.jacobian, system.shifted)
        n = system.start.size
        for _ in range(per_function - 2):
            if system.name == "Chebyquad":  # whose polynomials are for 0 < x < 1
                x = rng.uniform(0.01, 0.99, n)
            else:
                x = rng.normal(size=n) * 10.0 ** rng.uniform(-3, 1)
            yield Right(system.f, system.jacobian, x)
    for _ in range(per_function):
        yield Right(units, d_units, rng.normal(size=3) * 10.0 ** rng.uniform(-3, 1, 3))


class Mutant(NamedTuple):
    right: Right
    jacobian: np.ndarray
    index: tuple[int, ...] | None  # of a single wrong entry


def mutants(seed: int = 1) -> Iterator[Mutant]:
    """Errors of the kinds that people make."""
    rng = np.random.default_rng(seed)
    for right in right_ones(4, seed):
        jac = right.jacobian(right.x)
        places = np.argwhere(jac)
        for size in 10.0 ** np.arange(-6, 0):
            index = tuple(map(int, rng.choice(places)))
            wrong = jac.copy()
            wrong[index] *= 1 + rng.choice([-1, 1]) * size
            yield Mutant(right, wrong, index)
        index = tuple(map(int, rng.choice(places)))
        flipped = jac.copy()
        flipped[index] *= -1
        yield Mutant(right, flipped, index)
        others = [-jac, *(np.roll(jac, shift, axis) for shift in (-1, 1) for axis in (0, 1))]
        if jac.shape[0] == jac.shape[1]:
            others.append(jac.T)
        for wrong in others:
            if not np.allclose(wrong, jac, rtol=1e-6, atol=0):  # some are symmetric, or circulant
                yield Mutant(right, wrong, None)


def test_planted_errors_are_found_and_named() -> None:
    tried = found = named = 0
    for mutant in mutants():
        report = dg.check_jacobian(
            mutant.right.f, mutant.jacobian, mutant.right.x, method="dual", raises=False
        )
        tried += 1
        found += not report.ok
        named += bool(report.bad) and mutant.index in (None, report.bad[0].index)
    assert tried > 500
    assert found >= 0.99 * tried
    assert named >= 0.99 * tried


def test_right_jacobians_are_not_accused() -> None:
    accused = []
    tried = 0
    for right in right_ones(667, seed=2):
        tried += 1
        report = dg.check_jacobian(right.f, right.jacobian, right.x, method="dual", raises=False)
        if not report.ok:
            accused.append(report)
    assert tried >= 10_000
    assert not accused, "\n".join(map(str, accused[:3]))
