"""Hessians of Rosenbrock's and Ackley's functions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import dualgrad as dg
from bench.common import Target, Workload, into_out
from bench.peers import Problem, peers
from tests.complexstep import jacobians
from tests.programs import (
    ackley_array,
    ackley_loop,
    d_ackley,
    d_rosenbrock,
    rosenbrock_array,
    rosenbrock_loop,
    vec,
)

FUNCTIONS = {
    "Rosenbrock": (rosenbrock_loop, rosenbrock_array, d_rosenbrock),
    "Ackley": (ackley_loop, ackley_array, d_ackley),
}

LEFT_OUT = ("SciPy, differentiate",)


def workloads(smoke: bool) -> Iterator[Workload]:
    n = 10 if smoke else 50
    x = vec(n)
    for name, (f, array_form, d_f) in FUNCTIONS.items():
        hessian = dg.hessian(f, cache=False)
        yield Workload(
            f"{name} Hessian, n = {n}",
            {"primal": partial(f, x), "gradient": partial(dg.grad(f), x)},
            {
                "dualgrad": into_out(hessian, x, shape=(n, n)),
                **peers(Problem("hessian", array_form, x), LEFT_OUT),
            },
            jacobians(d_f, x)[0],
            (Target("dualgrad", 0.3, of="JAX, forward over forward"),),
            left_out=LEFT_OUT,
        )
