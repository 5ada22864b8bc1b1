"""Ackley's gradient: a sine and a cosine for each term, and n terms."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import dualgrad as dg
from bench.common import CHUNKED, JAX, Target, Workload, into, into_out
from bench.handwritten import ackley_analytic, ackley_chunked
from bench.peers import Problem, peers
from tests.programs import ackley_array, ackley_loop, d_ackley, vec

TARGETS = {
    10: (Target("dualgrad", 0.15, of=JAX),),
    100: (Target("dualgrad", 0.2, of=JAX),),
    1000: (Target("dualgrad", 0.25, of=CHUNKED), Target("dualgrad", 0.2, of=JAX)),
}
LEFT_OUT = {1000: ("numdifftools",)}


def workloads(smoke: bool) -> Iterator[Workload]:
    for n in (10,) if smoke else TARGETS:
        x = vec(n)
        gradient, of_array = (dg.grad(f, cache=False) for f in (ackley_loop, ackley_array))
        yield Workload(
            f"Ackley gradient, n = {n}",
            {"primal": partial(ackley_loop, x)},
            {
                "analytic": into(ackley_analytic, x, shape=x.shape),
                CHUNKED: into(ackley_chunked, x, shape=x.shape),
                "dualgrad": into_out(gradient, x, shape=x.shape),
                "dualgrad, array form": into_out(of_array, x, shape=x.shape),
                **peers(Problem("grad", ackley_array, x), LEFT_OUT.get(n, ())),
            },
            d_ackley(x),
            TARGETS[n],
            left_out=LEFT_OUT.get(n, ()),
        )
