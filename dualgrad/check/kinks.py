"""Points where a function has a derivative to each side, and the two differ."""

from __future__ import annotations

import numpy as np

from dualgrad.check.problem import Problem
from dualgrad.check.references import finite


def kinks(problem: Problem, suspects: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """The columns on a kink, each with the derivatives of all outputs to the left and right.

    One look along a random line tells of any kink. Where it sees none, only columns of
    `suspects` are looked at.
    """
    z, scale = problem.origin, problem.scale
    y = problem.at(z)
    with np.errstate(all="ignore"):
        v = scale * np.random.default_rng(0).uniform(0.5, 1.0, z.size)
        everywhere = _bends(problem, y, v)
        columns = np.arange(z.size) if everywhere else np.flatnonzero(suspects)
        found = {}
        for j in map(int, columns):
            unit = np.arange(z.size) == j
            if _bends(problem, y, unit * scale):
                sides = _sides(problem, z, unit, scale[j])
                if sides is not None:
                    found[j] = sides
    return found


def _bends(problem: Problem, y: np.ndarray, move: np.ndarray) -> bool:
    """Whether a second difference falls with the step: with its square it is curvature."""
    z = problem.origin
    step = np.cbrt(problem.eps)
    bends = []
    try:
        for h in (step, step / 4, step / 16):
            up, down = (problem.at((z + side * h * move).astype(z.dtype)) for side in (1, -1))
            bends.append(np.abs(up - 2 * y + down) / h)
    except (ArithmeticError, ValueError):  # the edge of the domain
        return False
    low, high = np.min(bends, axis=0), np.max(bends, axis=0)
    return bool(np.any((high < 1.2 * low) & (step * low > 64 * problem.eps * np.abs(y))))


def _sides(
    problem: Problem, z: np.ndarray, unit: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """The two one-sided derivatives along a column, if they surely differ."""

    def line(t: np.ndarray) -> np.ndarray:
        return problem.at((z + t[0] * unit).astype(z.dtype))

    origin, size = np.zeros(1, z.dtype), np.array([scale])
    (left, left_error), (right, right_error) = (
        finite.jacobian(line, origin, size, side) for side in (-1, 1)
    )
    jump = np.abs(right - left)
    sure = jump > 2 * (left_error + right_error) + 1e-5 * (np.abs(left) + np.abs(right))
    return (left[:, 0], right[:, 0]) if np.any(sure) else None
