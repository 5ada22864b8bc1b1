"""The functions of "The Matrix Calculus You Need For Deep Learning" (Parr and Howard, 2018).

Each derivative stands beside the closed form that the article derives by hand.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit
from numpy.typing import NDArray

import dualgrad as dg
from dualgrad.demo.table import section, table

Array = NDArray[np.float64]


@njit
def f_and_g(v: Array) -> Array:
    """The article's f(x, y) = 3 x^2 y and g(x, y) = 2 x + y^8, stacked."""
    x, y = v
    return np.array([3 * x**2 * y, 2 * x + y**8])


@njit
def neuron(w: Array, b: float, x: Array) -> float:
    """One unit of a network: weights, bias, rectifier."""
    return max(0.0, np.dot(w, x) + b)


def derivatives() -> Iterator[tuple[str, str, Array, Array]]:
    """Name and point of each derivative, what dualgrad computes, and its closed form."""
    x, y = point = np.array([1.5, 0.5])
    closed = np.array([[6 * x * y, 3 * x**2], [2, 8 * y**7]])
    yield "d(f, g) / d(x, y)", f"x = {x}, y = {y}", dg.jacobian(f_and_g)(point), closed

    w, x = np.array([0.5, -1.0, 2.0]), np.array([3.0, 1.0, 0.25])
    gradient = dg.grad(neuron, argnums=(0, 1))
    for b, active in ((0.5, 1.0), (-1.5, 0.0)):
        dw, db = gradient(w, b, x)
        at = f"w . x + b = {np.dot(w, x) + b}"
        yield "d neuron / d w", at, dw, active * x
        yield "d neuron / d b", at, np.asarray(db), np.asarray(active)


def show(a: Array) -> str:
    """An array on one line, in the shortest digits that tell its numbers apart."""
    return np.array2string(a, separator=", ", floatmode="unique").replace("\n", "")


def report() -> str:
    """The derivatives beside their closed forms, as a table."""
    rows = [["derivative", "at", "dualgrad", "closed form", "error"]]
    for name, at, computed, closed in derivatives():
        error = np.max(np.abs(computed - closed))
        rows.append([name, at, show(computed), show(closed), f"{error:.1g}"])
    return section(
        "Derivatives beside their closed forms",
        "f = 3 x^2 y, g = 2 x + y^8, neuron = max(0, w . x + b)\n",
        table("<<<<>", rows),
    )
