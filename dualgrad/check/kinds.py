"""Which check a derivative asks for, by its shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad.check import api
from dualgrad.check.given import is_operator
from dualgrad.check.problem import copied
from dualgrad.check.report import CheckReport

CHECKS: dict[str, Callable[..., CheckReport]] = {
    "derivative": api.check_derivative,
    "grad": api.check_grad,
    "jacobian": api.check_jacobian,
    "hessian": api.check_hessian,
    "jvp": api.check_jvp,
    "vjp": api.check_vjp,
}


def kind_of(f: Callable[..., Any], given: Any, x: Any, args: tuple[Any, ...]) -> str:
    """The name of the check: a Hessian by its axes, the rest by the argument and the result."""
    if np.ndim(x) == 0:
        return "derivative"
    y_shape = np.shape(f(copied(x), *map(copied, args)))
    call = callable(given) and not is_operator(given)
    value = given(copied(x), *map(copied, args)) if call else given
    shape = value.shape if hasattr(value, "shape") else np.shape(value)
    if shape == y_shape + 2 * np.shape(x):
        return "hessian"
    return "jacobian" if y_shape else "grad"
