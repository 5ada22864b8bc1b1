"""The gradient of a Kalman filter's likelihood: a level and its trend, seen with noise.

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

STEP = np.array([[1.0, 1.0], [0.0, 1.0]])
LEFT_OUT = ("torch, jacfwd", "CasADi, C")


@njit
def likelihood(p, seen):
    """Minus its logarithm, but for constants."""
    state, spread, total = np.zeros(2), 10.0 * np.eye(2), 0.0
    for k in range(len(seen)):
        state, spread, term = observed(p, state, spread, seen[k])
        total += term
    return total


@njit
def observed(p, state, spread, seen):
    """The state and its covariance after one more observation, and what that adds."""
    move = STEP * np.array([1.0, p[3]])
    state = move @ state
    spread = move @ spread @ move.T + np.diag(np.exp(p[:2]))
    variance = spread[0, 0] + np.exp(p[2])
    surprise = seen - state[0]
    gain = spread[0] / variance
    term = 0.5 * (np.log(variance) + surprise * surprise / variance)
    return state + gain * surprise, spread - np.outer(gain, spread[0]), term


def scanned(p, seen):
    """For JAX, which unrolls loops of Python."""
    import jax

    def step(carry, y):
        state, spread, term = observed(p, *carry, y)
        return (state, spread), term

    return np.sum(jax.lax.scan(step, (np.zeros(2), 10.0 * np.eye(2)), seen)[1])


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
