"""Finite differences, which the demonstration compares with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import approx_fprime

Array = NDArray[np.float64]


def finite_differences(f: Callable[..., Any], x: Array, *args: Array) -> Array:
    """SciPy's two-point differences, with the step that its optimisers take."""
    step = np.sqrt(np.finfo(float).eps) * np.maximum(1.0, np.abs(x))
    return np.asarray(approx_fprime(x, f, step, *args))
