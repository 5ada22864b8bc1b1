"""What a call costs beyond the arithmetic: a gradient of two variables."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numba import njit

import dualgrad as dg
from bench.common import Target, Workload, into, into_out
from bench.handwritten import rosenbrock_analytic
from tests.programs import d_rosenbrock, rosenbrock_loop

STEP = 1e-3
gradient = dg.grad(rosenbrock_loop)


@njit
def analytic(x):
    return rosenbrock_analytic(x, np.empty_like(x))


def summed(g):
    """The sum of `g` over many points: a new one each time, or LLVM calls `g` only once."""

    @njit
    def over_points(x, count):
        x = x.copy()
        s0 = s1 = 0.0
        for _ in range(count):
            x[0] += STEP
            y = g(x)
            s0 += y[0]
            s1 += y[1]
        return np.array([s0, s1])

    return over_points


@njit
def summed_primal(x, count):
    x = x.copy()
    s = 0.0
    for _ in range(count):
        x[0] += STEP
        s += rosenbrock_loop(x)
    return s


def workloads(smoke: bool) -> Iterator[Workload]:
    x = np.array([-1.2, 1.0])
    yield Workload(
        "gradient of two variables, called from Python",
        {"primal": partial(rosenbrock_loop, x)},
        {
            "analytic": into(rosenbrock_analytic, x, shape=x.shape),
            "dualgrad": partial(gradient, x),
            "dualgrad, out=": into_out(gradient, x, shape=x.shape),
        },
        d_rosenbrock(x),
        (Target("dualgrad", 1.5e-6, beyond="primal"),),
    )

    count = 10 if smoke else 1000
    by_hand, by_dualgrad = summed(analytic), summed(gradient)
    yield Workload(
        "gradient of two variables, called inside njit",
        {"primal": partial(summed_primal, x, count)},
        {
            "analytic": partial(by_hand, x, count),
            "dualgrad": partial(by_dualgrad, x, count),
        },
        np.sum([d_rosenbrock(x + [STEP * i, 0.0]) for i in range(1, count + 1)], axis=0),
        (Target("dualgrad", 100e-9, beyond="primal"),),
        repeats=count,
    )
