"""What a user's program looks like to `mypy --strict`: every public name, results annotated."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import dualgrad as dg

Array = npt.NDArray[np.float64]


def wave(t: float, speed: float) -> float:
    return t * t * speed


def energy(x: Array) -> float:
    return float(x @ x)


def forces(x: Array) -> Array:
    return 2.0 * x


def terms(x: Array) -> Array:
    return (x[1:] - x[:-1]) ** 2


def rates(t: float, y: Array, dy: Array) -> None:
    dy[:] = -t * y


def first_derivatives(x: Array) -> Array:
    slope: float = dg.derivative(wave)(1.0, 2.0)
    both: tuple[float, float] = dg.derivative(wave, argnums=(0, 1))(1.0, 2.0)
    gradient: Array = dg.grad(energy, chunk=4, parallel=True)(x)
    of_terms: Array = dg.grad(terms, terms=True)(x)
    matrix: Array = dg.jacobian(forces, chunk="auto")(x, out=np.empty((3, 3)))
    filled: Array = dg.jacobian(rates, argnums=1, out_argnum=2, cache=False)(0.0, x, np.empty(3))
    value, direction = dg.jvp(forces)((x,), (x,))
    y, dy = dg.value_and_derivative(wave)(1.0, 2.0)
    e, g = dg.value_and_grad(energy)(x)
    f, j = dg.value_and_jacobian(forces)(x)
    print(value, direction, y, dy, e, f, j, filled)
    total: Array = (slope + both[0]) * (gradient + of_terms) + matrix[0] + g
    return total


def higher_derivatives(x: Array) -> Array:
    hessian: Array = dg.hessian(energy)(x)
    product: Array = dg.hvp(energy)((x,), (x,))
    e, g, h = dg.value_grad_and_hessian(energy)(x)
    coefficients: Array = dg.taylor(energy, 3)(x, x)
    total: Array = hessian @ product + h @ g + e + coefficients[0]
    return total


def sparse_derivatives(x: Array) -> Any:
    jacobian = dg.sparse_jacobian(terms, verify=False)
    pattern = jacobian.pattern(x)
    colours: npt.NDArray[Any] = jacobian.colors(x)
    print(jacobian.summary(x), pattern.nnz, colours.max(), dg.hessian_pattern(energy)(x).nnz)
    given = dg.sparse_jacobian(terms, dg.jacobian_pattern(terms)(x))
    return given(x).T @ given(x) + dg.sparse_hessian(terms, terms=True)(x)


def at_many_points(points: Array) -> Array:
    ready: Callable[[], Any] = partial(dg.grad(energy), points[0])
    ready()
    mapped = dg.vmap(dg.tune(dg.grad(energy), points[0]), in_axes=0, parallel=True)
    address: int = dg.derivative(wave).cfunc("float64(float64, float64)").address
    print(address)
    result: Array = mapped(points)
    return result


def dual_numbers(x: Array) -> Array:
    one = dg.Dual(2.0, [1.0, 0.0])
    several = dg.DualArray(x, np.eye(3))
    product = one * one + 1.0
    values: Array = dg.value(np.sin(several))
    tangents: Array = dg.tangent(dg.seed(x))
    print(product.value, product.tangent, several.tangents, several[0], one.shape)
    total: Array = values + tangents[0]
    return total


@dg.custom_jvp
def softplus(x: float) -> float:
    return float(np.log1p(np.exp(x)))


@softplus.defjvp
def softplus_rule(x: float, dx: float) -> float:
    return float(dx / (1.0 + np.exp(-x)))


def checks(x: Array) -> bool:
    reports: list[dg.CheckReport] = [
        dg.check_derivative(softplus, lambda x: softplus_rule(x, 1.0), 1.0),
        dg.check_grad(energy, forces, x, method="finite-difference", rtol=1e-6),
        dg.check_jacobian(forces, 2.0 * np.eye(3), x, raises=False, mode="fast"),
        dg.check_hessian(energy, 2.0 * np.eye(3), x),
        dg.check_jvp(forces, lambda x, v: 2.0 * v, x, x),
        dg.check_vjp(forces, lambda x, u: 2.0 * u, x, x),
    ]
    try:
        dg.check_grad(energy, 3.0 * x, x)
    except dg.DerivativeMismatch as mismatch:
        worst = mismatch.report.worst
        if worst is not None:
            index: tuple[int, ...] = worst.index
            print(index, worst.score)
    except dg.NotDifferentiable as error:
        print(error)
    value: float = softplus(0.0)
    return value > 0.0 and all(report.ok for report in reports)


def kept_code() -> Path:
    dg.clear_cache()
    print(dg.__version__)
    return dg.cache_dir()
