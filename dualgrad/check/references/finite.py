"""References by finite differences: SciPy's, with extrapolation and an estimate of their error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad.check.problem import Problem
from dualgrad.check.references.reference import Reference

Function = Callable[[np.ndarray], np.ndarray]

#: First steps, and whether they are relative to each entry of the point or to the largest. The
#: later ones are for what does not converge from the first.
STEPS = ((2.0**-3, True), (2.0**-3, False), (2.0**-9, True), (2.0**-15, True))


def reference(problem: Problem) -> Reference:
    """The derivative and its error."""
    differentiate = jacobian if problem.order == 1 else hessian
    values, error = differentiate(problem.at, problem.origin, problem.scale)
    return Reference(
        "finite-difference", values.reshape(problem.shape), error.reshape(problem.shape)
    )


def jacobian(
    g: Function, z: np.ndarray, scale: np.ndarray, side: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The Jacobian of a function of vectors by `scipy.differentiate`, and its error.

    `side` is +1 or -1 for one-sided differences.
    """

    def by_scipy(many: Function, step: float) -> tuple[Any, Any, Any]:
        from scipy import differentiate

        result = differentiate.jacobian(
            many, np.zeros_like(z), initial_step=step, step_direction=side
        )
        smallest = step * 2.0 ** -np.asarray(result.nit, float)
        # One-sided formulas have weights in the hundreds.
        return result.df, result.error, (100 if side else 2) / smallest

    return _best(g, z, scale, by_scipy, order=1, side=side)


def hessian(g: Function, z: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The second derivatives likewise."""

    def by_scipy(many: Function, step: float) -> tuple[Any, Any, Any]:
        from scipy import differentiate

        results = [
            differentiate.hessian(lambda w: many(w)[i], np.zeros_like(z), initial_step=step)  # noqa: B023
            for i in range(len(many(np.zeros_like(z))))
        ]
        values, errors = (np.stack([it[key] for it in results]) for key in ("ddf", "error"))
        return values, errors, (16 / step) ** 2

    return _best(g, z, scale, by_scipy, order=2)


def _best(
    g: Function, z: np.ndarray, scale: np.ndarray,
    by_scipy: Callable[[Function, float], tuple[Any, Any, Any]], order: int, side: int = 0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Derivatives by each entry of `z`, and their error.

    Where a first step leads out of the domain, or to an error that says little, smaller ones are
    tried, and each entry keeps the best.
    """
    y = g(z)
    if np.iscomplexobj(y):
        real = _best(lambda w: np.real(g(w)), z, scale, by_scipy, order, side)
        imag = _best(lambda w: np.imag(g(w)), z, scale, by_scipy, order, side)
        return real[0] + 1j * imag[0], np.hypot(real[1], imag[1])
    shape = (y.size,) + z.shape * order
    if 0 in shape:
        return np.zeros(shape), np.zeros(shape)
    rough = noise(g, z, scale, side).reshape(-1, *(1,) * order)
    values, error = np.full(shape, np.nan), np.full(shape, np.inf)
    eps = np.finfo(z.dtype).eps
    for step, own in STEPS:
        sizes = scale if own else np.full_like(scale, np.max(scale))
        with np.errstate(all="ignore"):
            found, estimate, weight = map(np.asarray, by_scipy(_many(g, z, sizes, y), step))
            # The estimate is a difference of two approximations, and may be small by accident.
            estimate = 10 * estimate + weight * (rough + eps * np.abs(found))
            estimate = np.where(np.isfinite(found), estimate, np.inf)
        by = sizes if order == 1 else np.multiply.outer(sizes, sizes)
        better = estimate / by < error
        values[better], error[better] = (found / by)[better], (estimate / by)[better]
        size = np.max(np.abs(values), axis=tuple(range(1, order + 1)), keepdims=True)
        if np.all(error <= 0.1 * np.sqrt(eps) * size):
            break
    return values, error


def _many(g: Function, z: np.ndarray, scale: np.ndarray, y: np.ndarray) -> Function:
    """The function at many points at once, which lie along the first axis; nan where it fails."""

    def one(w: np.ndarray) -> np.ndarray:
        try:
            return g((z + w * scale).astype(z.dtype))
        except (ArithmeticError, ValueError):  # outside of the domain
            return np.full(y.shape, np.nan)

    def many(points: np.ndarray) -> np.ndarray:
        columns = [one(w) for w in points.reshape(z.size, -1).T]
        return np.stack(columns, axis=-1).reshape(-1, *points.shape[1:])

    return many


def noise(g: Function, z: np.ndarray, scale: np.ndarray, side: int = 0) -> np.ndarray:
    """The rounding error of each output, from fourth differences, where nothing else is left.

    A simple case of Moré and Wild, *Estimating computational noise*, SIAM J. Sci. Comput. 2011.
    """
    eps = np.finfo(z.dtype).eps
    size = eps * np.abs(g(z))
    places = range(-2, 3) if side == 0 else range(0, 5 * side, side)
    with np.errstate(all="ignore"):
        for step in (32 * eps, np.sqrt(eps), 3 * np.sqrt(eps)):
            try:
                a, b, c, d, e = (g((z + k * step * scale).astype(z.dtype)) for k in places)
            except (ArithmeticError, ValueError):  # the edge of the domain
                continue
            size = np.fmax(size, np.abs(a - 4 * b + 6 * c - 4 * d + e) / 8)
    return np.fmax(size, quantum(g, z, scale, side))


def quantum(g: Function, z: np.ndarray, scale: np.ndarray, side: int = 0) -> np.ndarray:
    """How high the steps are of each output that is a staircase: single precision, few digits.

    On one stair there is no noise to be seen. So the first change counts, unless there is one from
    the smallest move on, or no stair behind it either: that is a kink.
    """

    def moved(step: float) -> np.ndarray:
        return g((z + (side or 1) * step * scale).astype(z.dtype))

    y = g(z)
    height, level = np.zeros(y.shape), np.ones(y.shape, bool)
    smallest, largest = 32 * np.finfo(z.dtype).eps, STEPS[0][0]
    step = smallest
    while step < largest and np.any(level):
        try:
            there = moved(step)
            changed = level & (there != y)
            if step > smallest and np.any(changed):
                stair = (there == moved(step * 65 / 64)) | (there == moved(step * 63 / 64))
                height = np.where(changed & stair, np.abs(there - y), height)
        except (ArithmeticError, ValueError):  # the edge of the domain
            break
        level &= ~changed
        step *= 8
    return height


def difference(problem: Problem, index: tuple[int, ...], step: float) -> complex:
    """One entry of the derivative by a plain central difference, the step relative to scale."""
    row, *columns = _flat(problem, index)
    z, scale = problem.origin, problem.scale
    moves = [np.where(np.arange(z.size) == j, step * scale, 0.0) for j in columns]
    total: complex = 0.0
    for signs in np.ndindex((2,) * len(moves)):
        shift = sum(((1 - 2 * s) * move for s, move in zip(signs, moves, strict=True)), z)
        total += (-1) ** sum(signs) * problem.at(shift.astype(z.dtype))[row]
    return total / np.prod([2 * step * scale[j] for j in columns])


def _flat(problem: Problem, index: tuple[int, ...]) -> list[int]:
    """The row of an entry, and its column for each order of the derivative."""
    rows = len(problem.y_shape)
    if problem.v is not None:
        columns = [0] * problem.order
    else:
        shape = np.shape(problem.x)
        parts = np.reshape(index[rows:], (problem.order, len(shape)))
        columns = [int(np.ravel_multi_index(tuple(it), shape)) if shape else 0 for it in parts]
    row = np.ravel_multi_index(index[:rows], problem.y_shape) if rows else 0
    return [int(row), *columns]
