"""References by the complex step, for functions that are analytic and take complex numbers.

Martins, Sturdza and Alonso, *The complex-step derivative approximation*, ACM TOMS 29 (2003).
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from dualgrad.check.problem import Problem
from dualgrad.check.references import finite
from dualgrad.check.references.reference import Reference, Unusable, rounding

H = 1e-200
#: Directions in the complex plane: what is analytic has the same derivative along all.
ANGLES = (0.0, np.pi / 3, np.pi / 2)


def reference(problem: Problem) -> Reference:
    """The derivative; `Unusable` unless the function is seen to be analytic at the point."""
    if np.iscomplexobj(problem.y):
        raise Unusable("the function returns complex numbers")
    origin = problem.origin.astype(float)
    first = _jacobian(problem, origin)
    _verify(problem, origin, first)
    if problem.order == 1:

        def near(x: Any) -> np.ndarray:
            moved = replace(problem, x=x)
            return _jacobian(moved, moved.origin.astype(float)).reshape(problem.shape)

        values = first.reshape(problem.shape)
        error = rounding(problem, values, near)
    else:
        values, error = finite.jacobian(
            lambda z: _jacobian(problem, z).ravel(), origin, problem.scale
        )
    return Reference("complex-step", values.reshape(problem.shape), error.reshape(problem.shape))


def _at(problem: Problem, z: np.ndarray) -> np.ndarray:
    """The value at a complex vector, if the function keeps imaginary parts."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        return problem.at(z)


def _jacobian(problem: Problem, z: np.ndarray) -> np.ndarray:
    columns = []
    for j in range(z.size):
        moved = z.astype(complex)
        moved[j] += 1j * H
        columns.append(np.imag(_at(problem, moved)) / H)
    return np.stack(columns, axis=-1) if columns else np.zeros((problem.y.size, 0))


def _verify(problem: Problem, origin: np.ndarray, first: np.ndarray) -> None:
    """Differences along three directions of the plane agree with each other and the step.

    Along the real axis they are those of the function itself; the others are the equations of
    Cauchy and Riemann.
    """
    v = problem.scale * np.random.default_rng(0).uniform(0.5, 1.0, origin.size)
    claimed = first @ v
    for angle in ANGLES:
        turn = np.exp(1j * angle)

        def line(t: np.ndarray, turn: complex = turn) -> np.ndarray:
            if turn == 1:
                return problem.at(origin + t[0] * v)
            return np.asarray(_at(problem, origin + t[0] * turn * v) / turn, complex)

        found, error = (it[:, 0] for it in finite.jacobian(line, np.zeros(1), np.ones(1)))
        size = np.abs(found) + np.abs(claimed)
        enough = max(1e-3 * np.max(size), 1e-9 * np.max(np.abs(problem.y)))
        if not np.all(error <= enough):
            raise Unusable("whether the function is analytic cannot be told from differences")
        if not np.all(np.abs(found - claimed) <= error + np.sqrt(problem.eps) * size):
            raise Unusable("the function is not analytic at the point")
