"""The sum of squared residuals of a damped oscillation, by its parameters: array expressions.

A loop by hand computes each residual and its derivatives and adds them up, with no array at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numba import njit

import dualgrad as dg
from bench.common import Workload, into, into_out
from bench.peers import Problem, peers

SIZES = 1_000, 100_000
LEFT_OUT = {
    1_000: ("CasADi, C", "numdifftools"),
    100_000: ("casadi", "num_dual", "numdifftools"),
}


@njit
def squares(p, t, y):
    model = p[0] * np.exp(-p[1] * t) * np.cos(p[2] * t + p[3])
    residual = y - model
    return np.sum(residual**2)


@njit
def squares_in_a_loop(p, t, y):
    total = 0.0
    for i in range(t.size):
        model = p[0] * np.exp(-p[1] * t[i]) * np.cos(p[2] * t[i] + p[3])
        total += (y[i] - model) ** 2
    return total


@njit
def analytic(p, t, y, out):
    out[:] = 0.0
    for i in range(t.size):
        decay, phase = np.exp(-p[1] * t[i]), p[2] * t[i] + p[3]
        wave, slope = decay * np.cos(phase), p[0] * decay * np.sin(phase)
        twice = 2.0 * (y[i] - p[0] * wave)
        out[0] -= twice * wave
        out[1] += twice * t[i] * p[0] * wave
        out[2] += twice * t[i] * slope
        out[3] += twice * slope
    return out


def workloads(smoke: bool) -> Iterator[Workload]:
    for count in (10,) if smoke else SIZES:
        p, t = np.array([1.5, 0.3, 2.0, 0.5]), np.linspace(0.0, 10.0, count)
        args = p, t, np.cos(2.0 * t) * np.exp(-0.25 * t)
        functions = squares, squares_in_a_loop, njit(fastmath=True)(squares.py_func)
        gradient, of_loop, fast = (dg.grad(f, cache=False) for f in functions)
        left_out = LEFT_OUT.get(count, ())
        yield Workload(
            f"curve fit gradient, 4 parameters, {count} points",
            {"primal": partial(squares, *args), "primal, loop": partial(squares_in_a_loop, *args)},
            {
                "analytic": into(analytic, *args, shape=p.shape),
                "dualgrad": into_out(gradient, *args, shape=p.shape),
                "dualgrad, loop": into_out(of_loop, *args, shape=p.shape),
                "dualgrad, fastmath=True": into_out(fast, *args, shape=p.shape),
                **peers(Problem("grad", squares, p, args[1:]), left_out),
            },
            analytic.py_func(*args, np.empty(4)),
            rtol=1e-10,
            left_out=left_out,
        )
