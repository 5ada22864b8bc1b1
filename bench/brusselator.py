"""The Brusselator on a periodic grid: sparse Jacobians, and a stiff integration with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
from numba import njit
from scipy import integrate, sparse

import dualgrad as dg
from bench.common import Call, Target, Workload, into_csr
from bench.peers import installed, jax_of_one_thread
from dualgrad.sparse import colouring
from tests.patterns import brusselator as pattern_of
from tests.systems import DIFFUSION, A, B, brusselator, brusselator_start, d_brusselator

AGAIN, WRITE = "dualgrad, out=", "write of the nonzeros"
AT_ONCE = "dualgrad, a new function"  # compiled code is on disk; the pattern and colours are not
JAX, CASADI = "JAX, coloured jvp", "CasADi"
OURS, GROUPED, DENSE = "dualgrad", "differences, pattern given", "differences"


def by_jax(n: int, y: np.ndarray) -> dict[str, Call]:
    """The nonzeros by JAX: `jvp` mapped over the seeds of the same colours, and a gather."""
    jax = jax_of_one_thread()
    if jax is None:
        return {}
    jnp = jax.numpy

    def rates(y):
        c = y.reshape(n, n, 2)
        u, v = c[:, :, 0], c[:, :, 1]
        sides = jnp.roll(c, 1, 0) + jnp.roll(c, -1, 0) + jnp.roll(c, 1, 1) + jnp.roll(c, -1, 1)
        reaction = jnp.stack([B + u * u * v - (A + 1) * u, A * u - u * u * v], -1)
        return (reaction + DIFFUSION * n * n * (sides - 4 * c)).ravel()

    @cache
    def compiled() -> Call:
        pattern = pattern_of(n)
        colours = colouring.of_columns(pattern)
        seeds = jnp.asarray(np.equal.outer(np.arange(colours.max() + 1), colours), float)
        places = colours[pattern.indices], pattern.tocoo().row

        @jax.jit
        def nonzeros(y):
            products = jax.vmap(lambda seed: jax.jvp(rates, (y,), (seed,))[1])(seeds)
            return products[places]

        return partial(nonzeros, jnp.asarray(y))

    return {JAX: lambda: compiled()().block_until_ready()}


def by_casadi(n: int, y: np.ndarray) -> dict[str, Call]:
    """The nonzeros by CasADi: symbolic, then run by its virtual machine on our buffers."""
    casadi = installed("casadi")
    if casadi is None:
        return {}
    symbols = casadi.SX.sym("y", y.size)
    rates = brusselator.py_func(0.0, np.array(casadi.vertsplit(symbols), object))
    by_row = casadi.jacobian(casadi.vertcat(*rates), symbols).T  # CasADi keeps columns
    buffer, run = casadi.Function("nonzeros", [symbols], [by_row]).buffer()
    data = np.full(by_row.nnz(), np.nan)
    buffer.set_arg(0, memoryview(y))
    buffer.set_res(0, memoryview(data))

    def call(keep: Any = buffer) -> np.ndarray:  # `run` alone does not keep it alive
        run()
        return data

    return {CASADI: call}


def jacobians(n: int) -> Workload:
    y = brusselator_start(n)
    reference = d_brusselator(0.0, y)
    jacobian = dg.sparse_jacobian(brusselator, argnums=1)
    peers = {**by_jax(n, y), **(by_casadi(n, y) if n <= 32 else {})}
    return Workload(
        f"Brusselator Jacobian, N = {n}",
        {
            "primal": partial(brusselator, 0.0, y),
            WRITE: partial(np.copyto, np.empty(reference.nnz), reference.data),
        },
        {
            AGAIN: into_csr(jacobian, 0.0, y),
            OURS: lambda: jacobian(0.0, y).data,
            AT_ONCE: lambda: dg.sparse_jacobian(njit(brusselator.py_func), argnums=1)(0.0, y).data,
            **peers,
        },
        reference.data,
        (
            Target(AGAIN, 6.0, of="primal", beyond=WRITE),
            *([Target(AGAIN, 0.5, of=JAX)] if JAX in peers else []),
        ),
    )


def integration(n: int, until: float) -> Workload:
    start = brusselator_start(n)
    evaluations: dict[str, int] = {}

    def end(name: str, **how: Any) -> np.ndarray:
        evaluations[name] = 0

        def rates(t: float, y: np.ndarray) -> np.ndarray:
            evaluations[name] += 1  # SciPy does not count those for its differences
            return brusselator(t, y)

        solution = integrate.solve_ivp(
            rates, (0.0, until), start, method="BDF", rtol=1e-6, atol=1e-8, **how
        )
        return solution.y[:, -1]

    tight = integrate.solve_ivp(
        brusselator, (0.0, until), start, method="BDF", jac=d_brusselator, rtol=1e-9, atol=1e-11
    )
    jacobian = dg.sparse_jacobian(brusselator, argnums=1)
    ways: dict[str, Callable[[], Any]] = {
        OURS: partial(end, OURS, jac=jacobian),
        GROUPED: partial(end, GROUPED, jac_sparsity=sparse.csc_matrix(pattern_of(n))),
        DENSE: partial(end, DENSE),
    }
    return Workload(
        f"stiff Brusselator by BDF, N = {n}",
        {"primal": partial(brusselator, 0.0, start)},
        ways,
        tight.y[:, -1],
        (Target(OURS, 1.0, of=DENSE),),
        remark=lambda: f"evaluations: {', '.join(f'{k} {v}' for k, v in evaluations.items())}",
        rtol=1e-4,
    )


def workloads(smoke: bool) -> Iterator[Workload]:
    yield jacobians(4 if smoke else 32)
    if not smoke:
        yield jacobians(512)
    yield integration(*(4, 0.1) if smoke else (16, 1.0))
