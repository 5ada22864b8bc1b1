"""What a reference is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from dualgrad.check.problem import Problem

Method = Literal["auto", "dual", "complex-step", "finite-difference"]


class Reference(NamedTuple):
    """A derivative, and a bound on the error of each entry: nan or inf where nothing is known."""

    method: Method
    values: np.ndarray
    error: np.ndarray


class Unusable(ValueError):
    """The method does not suit the function, and would give another derivative than its own."""


def rounding(
    problem: Problem, values: np.ndarray, derivative: Callable[[Any], np.ndarray]
) -> np.ndarray:
    """How far a derivative moves when each entry of the point moves by its last digits.

    This is what one that is computed in another order may differ by, if both are computed well:
    Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, section 1.5.
    """
    x = np.asarray(problem.x)
    size = np.abs(x)
    typical = min(1.0, float(np.max(size, initial=0.0)) or 1.0)
    step = 2 * np.finfo(x.dtype).eps * np.where(size > 0, size, typical)
    error = problem.eps * np.abs(values)
    rng = np.random.default_rng(0)
    for _ in range(2):
        moved = (x + rng.choice([-1.0, 1.0], x.shape) * step).astype(x.dtype)
        at = moved if isinstance(problem.x, np.ndarray) else type(problem.x)(moved)
        try:
            other = derivative(at)
        except Exception:  # the edge of the domain
            continue
        error = np.fmax(error, np.abs(other - values))
    # Infinities are exact; an undefined entry is not known at all.
    return np.where(np.isinf(values), 0.0, np.where(np.isnan(values), np.nan, error))
