"""The Lorenz system after 1000 steps of Runge and Kutta: sensitivities to start and parameters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numba import njit

import dualgrad as dg
from bench.common import Workload, into_out
from bench.peers import Problem, peers, written_with
from tests.complexstep import jacobians
from tests.programs import lorenz

DT = 1e-3
LEFT_OUT = ("torch, jacfwd", "autograd", "CasADi, VM", "CasADi, C")


@njit
def trajectory(p, steps):
    """Where it ends: `p` is the start, then sigma, rho and beta."""
    return lorenz(p[:3], p[3], p[4], p[5], DT, steps)


@njit
def trajectory_of_scalars(p, steps):
    """The same without an array in the loop."""
    x, y, z, sigma, rho, beta = p[0], p[1], p[2], p[3], p[4], p[5]
    for _ in range(steps):
        a1, b1, c1 = rates(x, y, z, sigma, rho, beta)
        h = DT / 2
        a2, b2, c2 = rates(x + h * a1, y + h * b1, z + h * c1, sigma, rho, beta)
        a3, b3, c3 = rates(x + h * a2, y + h * b2, z + h * c2, sigma, rho, beta)
        a4, b4, c4 = rates(x + DT * a3, y + DT * b3, z + DT * c3, sigma, rho, beta)
        x += DT / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
        y += DT / 6 * (b1 + 2 * b2 + 2 * b3 + b4)
        z += DT / 6 * (c1 + 2 * c2 + 2 * c3 + c4)
    return np.array([x, y, z])


@njit
def rates(x, y, z, sigma, rho, beta):
    return sigma * (y - x), x * (rho - z) - y, x * y - beta * z


def looped(p, steps):
    """For JAX, whose loops are functions."""
    import jax

    def rhs(u):
        x, y, z = u
        return np.array([p[3] * (y - x), x * (p[4] - z) - y, x * y - p[5] * z])

    def step(_, u):
        k1 = rhs(u)
        k2 = rhs(u + DT / 2 * k1)
        k3 = rhs(u + DT / 2 * k2)
        k4 = rhs(u + DT * k3)
        return u + DT / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    return jax.lax.fori_loop(0, steps, step, p[:3])


def workloads(smoke: bool) -> Iterator[Workload]:
    steps = 10 if smoke else 1000
    p = np.array([1.0, 1.0, 1.0, 10.0, 28.0, 8 / 3])
    scalars = dg.jacobian(trajectory_of_scalars, cache=False)
    yield Workload(
        f"Lorenz sensitivities, {steps} steps",
        {
            "primal": partial(trajectory, p, steps),
            "primal, scalars": partial(trajectory_of_scalars, p, steps),
        },
        {
            "dualgrad": into_out(dg.jacobian(trajectory, cache=False), p, steps, shape=(3, 6)),
            "dualgrad, scalars": into_out(scalars, p, steps, shape=(3, 6)),
            **peers(
                Problem("jacobian", trajectory, p, (steps,), versions={"jax": looped}), LEFT_OUT
            ),
        },
        jacobians(written_with({"np": np}, trajectory), p, steps)[0],
        rtol=1e-9,
        left_out=LEFT_OUT,
    )
