"""References by dual numbers: the function compiled once more, right to rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad.check.problem import Problem
from dualgrad.check.references.reference import Reference, Unusable, rounding
from dualgrad.transforms import api, higher


def reference(problem: Problem) -> Reference:
    """The derivative, and what rounding the point may change in it."""
    transform = _transform(problem)
    value, derivative = transform(problem.x)
    # Compiled code holds a frozen copy of global arrays, and its own random numbers.
    size = np.max(np.abs(problem.y), initial=0.0, where=np.isfinite(problem.y))
    tolerance = np.sqrt(problem.eps)
    if not np.allclose(value, problem.y, tolerance, tolerance * size, equal_nan=True):
        raise Unusable("the function returns something else when it is compiled")
    error = rounding(problem, derivative, lambda x: transform(x)[1])
    return Reference("dual", derivative, error)


def first_derivative(problem: Problem) -> Callable[..., Any]:
    """The function of which a Hessian is the Jacobian."""
    if np.ndim(problem.x) == 0:
        return api.derivative(problem.f)
    return (api.grad if problem.y.ndim == 0 else api.jacobian)(problem.f)


def _transform(problem: Problem) -> Callable[[Any], tuple[np.ndarray, np.ndarray]]:
    """The function of `x` that returns the value and the derivative."""
    f, args, u = problem.f, problem.args, problem.u
    if problem.v is not None:
        return _along(problem)
    if problem.order == 2:
        transform = higher.value_grad_and_hessian(f)
    elif np.ndim(problem.x) == 0:
        transform = api.value_and_derivative(f)
    elif problem.y.ndim == 0:
        transform = api.value_and_grad(f)
    else:
        transform = api.value_and_jacobian(f)

    def call(x: Any) -> tuple[np.ndarray, np.ndarray]:
        value, *_, derivative = transform(x, *args)
        derivative = np.asarray(derivative)
        if u is not None:
            derivative = np.tensordot(u, derivative, axes=np.ndim(u))
        return np.asarray(value), derivative

    return call


def _along(problem: Problem) -> Callable[[Any], tuple[np.ndarray, np.ndarray]]:
    """Likewise along a direction."""
    v, u = problem.v, problem.u
    tangents = (v, *(None for _ in problem.args))
    transform = (api.jvp if problem.order == 1 else higher.hvp)(problem.f)

    def call(x: Any) -> tuple[np.ndarray, np.ndarray]:
        result = transform((x, *problem.args), tangents)
        if problem.order == 2:
            return problem.y, np.sum(v * np.asarray(result))
        value, derivative = map(np.asarray, result)
        return value, derivative if u is None else np.sum(u * derivative)

    return call
