"""The Jacobian of relu(w @ x + b) in x; with w constant it can be one matrix product."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numba import njit

import dualgrad as dg
from bench.common import CHUNKED, JAX, Target, Workload, into, into_out
from bench.handwritten import dense_layer_analytic, dense_layer_chunked
from bench.peers import Problem, peers

LEFT_OUT = ("CasADi, C", "num-dual", "numdifftools")


@njit
def dense_layer(x, w, b):
    return np.maximum(w @ x + b, 0.0)


@njit
def gemm(w, columns, out):
    return np.dot(w, columns, out)


def workloads(smoke: bool) -> Iterator[Workload]:
    n = 10 if smoke else 256
    random = np.random.default_rng(0)
    x, b, w = random.normal(size=n), random.normal(size=n), random.normal(size=(n, n))
    left_out = () if smoke else LEFT_OUT
    product = f"one GEMM, {n} x {n + 1}"
    yield Workload(
        f"dense layer Jacobian, {n} x {n}",
        {
            "primal": partial(dense_layer, x, w, b),
            product: into(gemm, w, random.normal(size=(n, n + 1)), shape=(n, n + 1)),
        },
        {
            "analytic": into(dense_layer_analytic, x, w, b, shape=(n, n)),
            CHUNKED: into(dense_layer_chunked, x, w, b, shape=(n, n)),
            "dualgrad": into_out(dg.jacobian(dense_layer, cache=False), x, w, b, shape=(n, n)),
            **peers(Problem("jacobian", dense_layer, x, (w, b)), left_out),
        },
        np.where(w @ x + b > 0, w.T, 0.0).T,
        (Target("dualgrad", 1.3, of=product), Target("dualgrad", 1.0, of=JAX)),
        left_out=left_out,
    )
