"""Rosenbrock's gradient, from the loop form and from the array form."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import dualgrad as dg
from bench.common import CHUNKED, Target, Workload, into, into_out
from bench.handwritten import rosenbrock_analytic, rosenbrock_chunked
from tests.programs import d_rosenbrock, rosenbrock_array, rosenbrock_loop, vec

TARGETS = {
    10: Target("dualgrad", 1.6, of=CHUNKED),
    100: Target("dualgrad", 12.0, of="primal"),
    1000: Target("dualgrad", 0.4, of=CHUNKED),
}


def workloads(smoke: bool) -> Iterator[Workload]:
    array_form = Target("dualgrad, array form", 2.0, of="dualgrad")
    for n in (10,) if smoke else TARGETS:
        x = vec(n)
        yield Workload(
            f"Rosenbrock gradient, n = {n}",
            {
                "primal": partial(rosenbrock_loop, x),
                "primal, array form": partial(rosenbrock_array, x),
            },
            {
                "analytic": into(rosenbrock_analytic, x, shape=x.shape),
                CHUNKED: into(rosenbrock_chunked, x, shape=x.shape),
                "dualgrad": into_out(dg.grad(rosenbrock_loop), x, shape=x.shape),
                "dualgrad, array form": into_out(dg.grad(rosenbrock_array), x, shape=x.shape),
            },
            d_rosenbrock(x),
            (TARGETS[n], array_form),
        )
