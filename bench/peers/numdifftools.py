"""numdifftools: differences of many steps, extrapolated."""

from __future__ import annotations

from functools import partial

import numdifftools

from bench.common import Made
from bench.peers import Problem

WAYS = {
    "grad": numdifftools.Gradient,
    "jacobian": numdifftools.Jacobian,
    "hessian": numdifftools.Hessian,
}


def calls(problem: Problem) -> dict[str, Made]:
    if problem.mapped or problem.kind not in WAYS:
        return {}  # a call from Python for each point
    derivative = WAYS[problem.kind](problem.function)
    rtol = 1e-4 if problem.kind == "hessian" else 1e-6
    return {"numdifftools": Made(lambda: partial(derivative, problem.x, *problem.args), rtol)}
