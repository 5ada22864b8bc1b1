"""SciPy's finite differences of the function that Numba compiled, the fastest there is."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy import differentiate
from scipy.optimize import approx_fprime
from scipy.special import erf

from bench.common import Call, Made
from bench.peers import Problem

FORWARD, BEST = "SciPy, approx_fprime", "SciPy, differentiate"


def calls(problem: Problem) -> dict[str, Made]:
    if problem.kind == "hessian":
        return {BEST: Made(partial(hessian, problem), rtol=1e-4)}
    if problem.kind == "elementwise":
        return {BEST: Made(partial(elementwise, problem), rtol=1e-6)}
    if problem.mapped and problem.args:
        return {}  # SciPy has no way to say that they belong to the points
    if problem.mapped:
        return {BEST: Made(partial(mapped, problem), rtol=1e-4)}
    call = partial(approx_fprime, problem.x, problem.function, np.sqrt(np.finfo(float).eps))
    return {FORWARD: Made(lambda: partial(call, *problem.args), rtol=1e-3)}


def hessian(problem: Problem) -> Call:
    """SciPy asks for many points at once, which come last."""
    f = problem.written_for("scipy", np, erf)

    def at_many(x: Any) -> Any:
        return np.apply_along_axis(f, 0, x, *problem.args)

    return lambda: differentiate.hessian(at_many, problem.x).ddf


def elementwise(problem: Problem) -> Call:
    f = problem.written_for("scipy", np, erf)
    return lambda: (f(problem.x), differentiate.derivative(f, problem.x).df)


def mapped(problem: Problem) -> Call:
    f = problem.written_for("scipy", np, erf)
    x = np.ascontiguousarray(problem.x.T)
    return lambda: differentiate.jacobian(f, x, initial_step=0.02).df.T
