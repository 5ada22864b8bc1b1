"""Rosenbrock's gradient, from the loop form and from the array form."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import dualgrad as dg
from bench.common import CHUNKED, JAX, Target, Workload, into, into_out
from bench.handwritten import rosenbrock_analytic, rosenbrock_chunked
from bench.peers import Problem, peers
from tests.programs import d_rosenbrock, rosenbrock_array, rosenbrock_loop, vec

OURS, ARRAY = "dualgrad", "dualgrad, array form"
TARGETS = {
    10: (Target(OURS, 1.6, of=CHUNKED), Target(OURS, 0.15, of=JAX)),
    100: (Target(OURS, 12.0, of="primal"), Target(OURS, 0.2, of=JAX)),
    1000: (Target(OURS, 0.35, of=CHUNKED), Target(OURS, 0.2, of=JAX)),
}
LEFT_OUT = {1000: ("numdifftools",)}


def workloads(smoke: bool) -> Iterator[Workload]:
    for n in (10,) if smoke else TARGETS:
        x = vec(n)
        problem = Problem("grad", rosenbrock_array, x)
        yield Workload(
            f"Rosenbrock gradient, n = {n}",
            {
                "primal": partial(rosenbrock_loop, x),
                "primal, array form": partial(rosenbrock_array, x),
            },
            {
                "analytic": into(rosenbrock_analytic, x, shape=x.shape),
                CHUNKED: into(rosenbrock_chunked, x, shape=x.shape),
                OURS: into_out(dg.grad(rosenbrock_loop, cache=False), x, shape=x.shape),
                ARRAY: into_out(dg.grad(rosenbrock_array, cache=False), x, shape=x.shape),
                **peers(problem, LEFT_OUT.get(n, ())),
            },
            d_rosenbrock(x),
            (*TARGETS[n], Target(ARRAY, 2.0, of=OURS)),
            left_out=LEFT_OUT.get(n, ()),
        )
