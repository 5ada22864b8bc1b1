"""autograd: reverse mode, recorded anew at each call."""

from __future__ import annotations

from functools import partial
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
from autograd.scipy.special import erf

from bench.common import Call, Made
from bench.peers import Problem


def value_and_slopes(f: Any) -> Any:
    """The value as well, for a function of each item by itself."""

    def both(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        vjp, value = autograd.make_vjp(f)(x)
        return value, vjp(np.ones_like(x))

    return both


WAYS = {
    "grad": autograd.grad,
    "jacobian": autograd.jacobian,
    "hessian": autograd.hessian,
    "elementwise": value_and_slopes,
}


def calls(problem: Problem) -> dict[str, Made]:
    f = problem.written_for("autograd", anp, erf)
    make = mapped if problem.mapped else plain
    return {"autograd": Made(partial(make, f, problem))}


def plain(f: Any, problem: Problem) -> Call:
    return partial(WAYS[problem.kind](f), problem.x, *problem.args)


def mapped(f: Any, problem: Problem) -> Call:
    """One sweep for each output over all points, which come last, where `f` does not see them."""
    x, *args = (np.ascontiguousarray(it.T) for it in (problem.x, *problem.args))
    if problem.kind == "grad":
        gradient = autograd.elementwise_grad(f)
        return lambda: gradient(x, *args).T
    count = len(f(x[:, 0], *(it[..., 0] for it in args)))
    rows = [autograd.elementwise_grad(lambda *a, i=i: f(*a)[i]) for i in range(count)]
    return lambda: np.stack([row(x, *args).T for row in rows], 1)
