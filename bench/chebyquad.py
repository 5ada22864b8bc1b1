"""Chebyquad's Jacobian: a full matrix, from a function that fills an array."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import dualgrad as dg
from bench.common import CHUNKED, Workload, into, into_out
from bench.handwritten import chebyquad_analytic, chebyquad_chunked
from tests.programs import chebyquad_inplace, d_chebyquad


def workloads(smoke: bool) -> Iterator[Workload]:
    jacobian = dg.jacobian(chebyquad_inplace, out_argnum=1)
    for n in (10,) if smoke else (10, 50, 200):
        x = np.arange(1, n + 1) / (n + 1)  # the usual start
        yield Workload(
            f"chebyquad Jacobian, n = {n}",
            {"primal": into(chebyquad_inplace, x, shape=(n,))},
            {
                "analytic": into(chebyquad_analytic, x, shape=(n, n)),
                CHUNKED: into(chebyquad_chunked, x, shape=(n, n)),
                "dualgrad": into_out(jacobian, x, np.empty(n), shape=(n, n)),
            },
            d_chebyquad(x),
        )
