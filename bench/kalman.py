"""The gradient of a Kalman filter's likelihood: a level and its trend, of which one is seen.

The local linear trend model of Durbin and Koopman, *Time Series Analysis by State Space Methods*,
section 3.2. The parameters are the logarithms of three variances and a factor that damps the trend.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numba import njit

import dualgrad as dg
from bench.common import Workload, into_out
from bench.peers import Problem, peers, written_with
from tests.complexstep import jacobians

LEFT_OUT = ("torch, jacfwd", "CasADi, C")


@njit
def likelihood(p, seen):
    """Minus its logarithm, but for constants."""
    state, total = (0.0, 0.0, 10.0, 0.0, 10.0), 0.0
    for k in range(len(seen)):
        state, term = observed(p, state, seen[k])
        total += term
    return total


@njit
def observed(p, state, seen):
    """Level, trend and their covariance after one more observation, and what that adds."""
    level, trend, a, b, c = state
    level, trend = level + trend, p[3] * trend
    a, b, c = a + 2.0 * b + c + np.exp(p[0]), p[3] * (b + c), p[3] * p[3] * c + np.exp(p[1])
    variance, surprise = a + np.exp(p[2]), seen - level
    up, turn = a / variance, b / variance
    after = level + up * surprise, trend + turn * surprise, a - up * a, b - up * b, c - turn * b
    return after, 0.5 * (np.log(variance) + surprise * surprise / variance)


def scanned(p, seen):
    """For JAX, which unrolls loops of Python."""
    import jax

    start = tuple(np.array([0.0, 0.0, 10.0, 0.0, 10.0]))
    return np.sum(jax.lax.scan(lambda state, y: observed(p, state, y), start, seen)[1])


def observations(count: int) -> np.ndarray:
    """A level that drifts, and errors of a tenth."""
    random = np.random.default_rng(0)
    trend = np.cumsum(0.05 * random.normal(size=count))
    return np.cumsum(trend) + 0.1 * random.normal(size=count)


def workloads(smoke: bool) -> Iterator[Workload]:
    count = 10 if smoke else 200
    p, seen = np.array([-4.0, -6.0, -4.0, 0.95]), observations(count)
    gradient = dg.grad(likelihood, cache=False)
    problem = Problem("grad", likelihood, p, (seen,), versions={"jax": scanned})
    yield Workload(
        f"Kalman filter likelihood gradient, {count} observations",
        {"primal": partial(likelihood, p, seen)},
        {
            "dualgrad": into_out(gradient, p, seen, shape=p.shape),
            **peers(problem, LEFT_OUT),
        },
        jacobians(written_with({"np": np}, likelihood), p, seen)[0],
        rtol=1e-10,
        left_out=LEFT_OUT,
    )
