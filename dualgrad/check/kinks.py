"""Points where a function has a derivative to each side, and the two differ."""

from __future__ import annotations

from itertools import chain

import numpy as np

from dualgrad.check.problem import Problem
from dualgrad.check.references import finite
from dualgrad.check.references.reference import Method
from dualgrad.check.report import Remark


def on_kinks(
    suspects: np.ndarray, problem: Problem, lines: list[Problem] | None, given: np.ndarray,
    method: Method,
) -> tuple[np.ndarray, np.ndarray, list[Remark]]:  # fmt: skip
    """The entries that lie on a kink, those that are among its slopes, and the kinks by name."""
    if lines is None:
        return _slopes(suspects, problem, given, method)
    parts = [_slopes(suspects[k], line, given[k], method) for k, line in enumerate(lines)]
    kinked, inside, said = zip(*parts, strict=True)
    return np.stack(kinked), np.stack(inside), list(dict.fromkeys(chain(*said)))


def _slopes(
    suspects: np.ndarray, problem: Problem, given: np.ndarray, method: Method
) -> tuple[np.ndarray, np.ndarray, list[Remark]]:
    """Between two one-sided derivatives any value is as good as another."""
    smooth = _first_order(problem, method)
    columns = smooth.origin.size if smooth else 1
    claims = given.reshape(-1, max(columns, 1))
    kinked, inside = np.zeros(claims.shape, bool), np.zeros(claims.shape, bool)
    remarks = []
    found = _kinks(smooth, np.any(suspects.reshape(claims.shape), axis=0)) if smooth else {}
    for j, (left, right) in found.items():
        low, high = np.minimum(left, right), np.maximum(left, right)
        slack = 1e-6 * (high - low)
        kinked[:, j] = high - low > 1e-5 * (np.abs(left) + np.abs(right))
        inside[:, j] = (low - slack <= claims[:, j]) & (claims[:, j] <= high + slack)
        i = int(np.argmax(high - low))
        where = "on a line" if problem.v is not None else f"along entry {j} of x"
        text = f"{where}: output {i} has the slopes {left[i]:.6g} and {right[i]:.6g}"
        remarks.append(Remark("kink", text))
    return kinked.reshape(given.shape), inside.reshape(given.shape), remarks


def _first_order(problem: Problem, method: Method) -> Problem | None:
    """The problem, or that of the first derivatives for second ones."""
    if np.iscomplexobj(problem.y) or (problem.order == 2 and method != "dual"):
        return None
    if problem.order == 1:
        return problem
    from dualgrad.check.references.dual import first_derivative

    return (
        Problem(first_derivative(problem), problem.x, problem.args) if problem.v is None else None
    )


def _kinks(problem: Problem, suspects: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
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
