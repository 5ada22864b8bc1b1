"""The Taylor test: what a derivative leaves of the function falls faster than the step."""

from __future__ import annotations

import numpy as np

from dualgrad.check.problem import Problem

STEPS = 2.0 ** -np.arange(2.0, 16.0)


def slope(problem: Problem, given: np.ndarray) -> float:
    """The slope of the remainder against the step, in logarithms; nan if all of it is rounding.

    For a derivative of order one along a direction, ``|f(x + h v) - f(x) - h f'(x) v|`` falls with
    the square of the step if it is right, and with the step if it is wrong. For order two it is
    ``|f(x + h v) - 2 f(x) + f(x - h v) - h**2 v f''(x) v|``: the fourth power, and the square.
    """
    y = problem.at(problem.origin)
    scale = problem.scale[0]
    rate = given.ravel()
    sizes, kept = [], []
    with np.errstate(all="ignore"):
        for step in STEPS * scale:
            up = problem.at(np.array([step]))
            if problem.order == 1:
                remainder = up - y - step * rate
            else:
                remainder = up - 2 * y + problem.at(np.array([-step])) - step**2 * rate
            noise = 200 * problem.eps * np.linalg.norm(np.abs(up) + np.abs(y))
            size = float(np.linalg.norm(remainder))
            if size > noise and np.isfinite(size):
                sizes.append(size)
                kept.append(step)
    if len(sizes) < 3:
        return float("nan")
    slopes = np.diff(np.log(sizes)) / np.diff(np.log(kept))
    return float(np.median(slopes[-4:]))  # the smallest steps show the leading term
