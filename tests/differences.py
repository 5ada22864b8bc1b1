"""Derivatives by differences, for functions that the complex step cannot follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def jacobian(f: Callable[[Any], Any], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Jacobian of `f` by central differences, extrapolated to step zero, and its error.

    The error is what the last step of the extrapolation changed, and the rounding of the values.
    """
    columns, errors = [], []
    for index in np.ndindex(x.shape):
        if not np.isfinite(x[index]):  # nothing is known, and nothing is asked
            columns.append(np.zeros(np.shape(f(x.copy()))))
            errors.append(columns[-1] + np.inf)
            continue
        tableau: list[np.ndarray] = []
        for h in (8e-3, 4e-3, 2e-3, 1e-3):
            up, down = x.copy(), x.copy()
            up[index] += h
            down[index] -= h
            high, low = (np.asarray(f(at)) * 1.0 for at in (up, down))
            row = [(high - low) / (up[index] - down[index])]
            for k, earlier in enumerate(tableau):
                row.append(row[k] + (row[k] - earlier) / (4.0 ** (k + 1) - 1.0))
            previous, tableau = tableau, row
        columns.append(tableau[-1])
        errors.append(np.abs(tableau[-1] - previous[-1]) + 1e-12 * (1.0 + np.abs(high)))
    shape = columns[0].shape + x.shape
    return np.stack(columns, -1).reshape(shape), np.stack(errors, -1).reshape(shape)


def second(f: Callable[[float], Any]) -> tuple[np.ndarray, np.ndarray]:
    """The second derivative of `f` at zero, in the same way."""
    middle = np.asarray(f(0.0), dtype=float)
    tableau: list[np.ndarray] = []
    for h in (4e-2, 2e-2, 1e-2, 5e-3):
        row = [((np.asarray(f(h)) - middle) + (np.asarray(f(-h)) - middle)) / (h * h)]
        for k, earlier in enumerate(tableau):
            row.append(row[k] + (row[k] - earlier) / (4.0 ** (k + 1) - 1.0))
        previous, tableau = tableau, row
    change = np.abs(tableau[-1] - previous[-1])
    return tableau[-1], 10.0 * change + 1e-7 * (1.0 + np.abs(middle))
