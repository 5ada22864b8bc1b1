"""The Jacobian of np.linalg.solve(a, b) in b, and in a diagonal added to a: 100 tangents.

The floor is one factorisation and the triangular solves for all right-hand sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numba import njit

import dualgrad as dg
from bench.common import Target, Workload, into_out


@njit
def solve(b, a):
    return np.linalg.solve(a, b)


@njit
def solve_shifted(x, a, b):
    return np.linalg.solve(a + np.diag(x), b)


def workloads(smoke: bool) -> Iterator[Workload]:
    n = 10 if smoke else 100
    random = np.random.default_rng(0)
    a, b = random.normal(size=(n, n)) + n * np.eye(n), random.normal(size=n)
    block = np.asfortranarray(random.normal(size=(n, n + 1)))
    floor = f"one solve, {n} right-hand sides"
    one_sweep = f"dualgrad, chunk={n}"
    inverse = np.linalg.inv(a)
    yield Workload(
        f"linear system, Jacobian by b, {n} x {n}",
        {"primal": partial(solve, b, a), floor: partial(solve, block, a)},
        {
            one_sweep: into_out(dg.jacobian(solve, chunk=n), b, a, shape=(n, n)),
            "dualgrad": into_out(dg.jacobian(solve), b, a, shape=(n, n)),
        },
        inverse,
        (Target(one_sweep, 1.5, of=floor),),
    )
    yield Workload(
        f"linear system, Jacobian by a diagonal, {n} x {n}",
        {"primal": partial(solve_shifted, b, a, b), floor: partial(solve, block, a)},
        {"dualgrad": into_out(dg.jacobian(solve_shifted), b, a, b, shape=(n, n))},
        -np.linalg.inv(a + np.diag(b)) * np.linalg.solve(a + np.diag(b), b),
    )
