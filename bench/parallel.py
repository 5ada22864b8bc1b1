"""What all cores bring: points and columns spread over threads, beside those of the peers.

These run in a process of their own, as no library changes the number of its threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import dualgrad as dg
from bench import black_scholes, bundle_adjustment
from bench.chebyquad import LEFT_OUT, recurrence, scanned
from bench.common import Call, Workload, into, into_out
from bench.peers import PEERS, Problem, peers
from bench.threads import COUNT
from tests.programs import chebyquad, chebyquad_inplace, d_chebyquad

#: Of the others none has threads of its own.
THREADED = ("jax", "torch")


def workload(
    name: str,
    primal: Call,
    transform: Callable[[bool], Any],
    args: tuple[Any, ...],
    problem: Problem,
    reference: np.ndarray,
    left_out: tuple[str, ...] = (),
) -> Workload:
    """`transform(parallel)` beside itself and the peers."""
    call = partial(into_out, shape=reference.shape)
    without = [peer for peer in PEERS if peer not in THREADED]
    return Workload(
        f"{name}, {COUNT} threads",
        {"primal, one thread": primal},
        {
            "dualgrad, parallel=True": call(transform(True), *args),
            "dualgrad, one thread": call(transform(False), *args),
            **peers(problem, [*without, *left_out]),
        },
        reference,
        left_out=tuple(name for name in left_out if name.startswith(THREADED)),
    )


def workloads(smoke: bool) -> Iterator[Workload]:
    count = 100 if smoke else 10_000
    function = bundle_adjustment.reprojection
    x, observed = bundle_adjustment.observations(count)
    jacobian = dg.jacobian(function, chunk=12, cache=False)
    yield workload(
        f"reprojection Jacobians, {count} observations",
        partial(dg.vmap(function), x, observed),
        lambda parallel: dg.vmap(jacobian, parallel=parallel, cache=False),
        (x, observed),
        Problem("jacobian", function, x, (observed,), mapped=True),
        bundle_adjustment.complex_step(x, observed),
    )

    xs = black_scholes.options(100 if smoke else 100_000)
    gradient = dg.grad(black_scholes.price, cache=False)
    yield workload(
        f"Black-Scholes Greeks, {len(xs)} options",
        into(black_scholes.prices, xs, shape=(len(xs),)),
        lambda parallel: dg.vmap(gradient, parallel=parallel, cache=False),
        (xs,),
        Problem("grad", black_scholes.price, xs, mapped=True),
        black_scholes.greeks(xs),
    )

    n = 10 if smoke else 200
    start = np.arange(1, n + 1) / (n + 1)
    yield workload(
        f"chebyquad Jacobian, n = {n}",
        into(chebyquad_inplace, start, shape=(n,)),
        lambda parallel: dg.jacobian(
            chebyquad_inplace, out_argnum=1, parallel=parallel, cache=False
        ),
        (start, np.empty(n)),
        Problem("jacobian", chebyquad, start, versions={"jax": scanned, "torch": recurrence}),
        d_chebyquad(start),
        LEFT_OUT.get(n, ()),
    )
