"""Ackley's gradient: a sine and a cosine for each term, and n terms."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import dualgrad as dg
from bench.common import CHUNKED, Target, Workload, into, into_out
from bench.handwritten import ackley_analytic, ackley_chunked
from tests.programs import ackley_loop, d_ackley, vec

TARGETS = {1000: (Target("dualgrad", 0.25, of=CHUNKED),)}


def workloads(smoke: bool) -> Iterator[Workload]:
    for n in (10,) if smoke else (10, 100, 1000):
        x = vec(n)
        yield Workload(
            f"Ackley gradient, n = {n}",
            {"primal": partial(ackley_loop, x)},
            {
                "analytic": into(ackley_analytic, x, shape=x.shape),
                CHUNKED: into(ackley_chunked, x, shape=x.shape),
                "dualgrad": into_out(dg.grad(ackley_loop), x, shape=x.shape),
            },
            d_ackley(x),
            TARGETS.get(n, ()),
        )
