"""What an entry of a sparse derivative costs, from a thousand unknowns to a million."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

import dualgrad as dg
from bench.common import Target, Workload, into, into_csr, into_out
from bench.handwritten import rosenbrock_analytic
from tests.programs import d_rosenbrock, vec
from tests.systems import d_tridiagonal, rosenbrock_terms, tridiagonal

WRITE = "write of the nonzeros"
jacobian = dg.sparse_jacobian(tridiagonal)
gradient = dg.grad(rosenbrock_terms, terms=True)


def workloads(smoke: bool) -> Iterator[Workload]:
    for n in (10,) if smoke else (10**3, 10**4, 10**5, 10**6):
        x = vec(n)
        reference = d_tridiagonal(x)
        yield Workload(
            f"tridiagonal Jacobian, n = {n}, each nonzero",
            {
                "primal": partial(tridiagonal, x),
                WRITE: partial(np.copyto, np.empty(reference.nnz), reference.data),
            },
            {"dualgrad": into_csr(jacobian, x)},
            reference.data,
            repeats=reference.nnz,
        )
        yield Workload(
            f"Rosenbrock gradient by terms, n = {n}, each item",
            {"primal": partial(rosenbrock_terms, x)},
            {
                "analytic": into(rosenbrock_analytic, x, shape=x.shape),
                "dualgrad": into_out(gradient, x, shape=x.shape),
            },
            d_rosenbrock(x),
            (Target("dualgrad", 6.0, of="primal"),) if n == 10**6 else (),
            repeats=n,
        )
