"""Chebyquad's Jacobian: a full matrix, from a function that fills an array."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import dualgrad as dg
from bench.common import CHUNKED, JAX, Target, Workload, into, into_out
from bench.handwritten import chebyquad_analytic, chebyquad_chunked
from bench.peers import Problem, peers
from tests.programs import chebyquad, chebyquad_inplace, d_chebyquad

AT_MOST = {10: 0.1, 50: 0.25, 200: 0.3}
UNROLLED = ("torch", "autograd", "casadi", "num_dual")
LEFT_OUT = {
    50: ("torch, jacfwd", "CasADi, C"),
    200: ("torch, jacfwd", "CasADi, C", "num-dual", "autograd", "numdifftools"),
}


def offset(i: int) -> float:
    """What the integral of the polynomial adds to the i-th equation, counted from 0."""
    return 1.0 / ((i + 1) ** 2 - 1) if i % 2 else 0.0


def recurrence(x):
    """A list of equations instead of a buffer, for those who cannot write to one."""
    before, row, twice = 1.0, 2 * x - 1, 4 * x - 2
    equations = []
    for i in range(len(x)):
        equations.append(np.sum(row) / len(x) + offset(i))
        before, row = row, twice * row - before
    return np.array(equations)


def scanned(x):
    """For JAX, which unrolls loops of Python: 200 of them compile for long."""
    import jax

    def step(rows, _):
        before, row = rows
        return (row, (4 * x - 2) * row - before), np.sum(row)

    _, sums = jax.lax.scan(step, (np.ones_like(x), 2 * x - 1), None, length=x.size)
    return sums / x.size + np.array([offset(i) for i in range(x.size)])


def workloads(smoke: bool) -> Iterator[Workload]:
    jacobian = dg.jacobian(chebyquad_inplace, out_argnum=1, cache=False)
    for n in (10,) if smoke else (10, 50, 200):
        x = np.arange(1, n + 1) / (n + 1)  # the usual start
        versions = {"jax": scanned, **dict.fromkeys(UNROLLED, recurrence)}
        problem = Problem("jacobian", chebyquad, x, versions=versions)
        yield Workload(
            f"chebyquad Jacobian, n = {n}",
            {"primal": into(chebyquad_inplace, x, shape=(n,))},
            {
                "analytic": into(chebyquad_analytic, x, shape=(n, n)),
                CHUNKED: into(chebyquad_chunked, x, shape=(n, n)),
                "dualgrad": into_out(jacobian, x, np.empty(n), shape=(n, n)),
                **peers(problem, LEFT_OUT.get(n, ())),
            },
            d_chebyquad(x),
            (Target("dualgrad", AT_MOST[n], of=JAX),),
            left_out=LEFT_OUT.get(n, ()),
        )
