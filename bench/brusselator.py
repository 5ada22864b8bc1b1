"""The Brusselator on a periodic grid: sparse Jacobians, and a stiff integration with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numba import njit
from scipy import integrate, sparse

import dualgrad as dg
from bench.common import JAX, Call, Made, Target, Workload, into_csr, into_out
from bench.peers import Problem, installed, peers, written_with
from dualgrad.sparse import colouring
from tests.patterns import brusselator as pattern_of
from tests.systems import DIFFUSION, A, B, brusselator, brusselator_start, d_brusselator

AGAIN, WRITE = "dualgrad, out=", "write of the nonzeros"
AT_ONCE = "dualgrad, a new function"  # compiled code is on disk; the pattern and colours are not
COLOURED, VM, C = "JAX, coloured jvp", "CasADi, sparse VM", "CasADi, sparse C"
OURS, GROUPED, DENSE = "dualgrad", "differences, pattern given", "differences"
LEFT_OUT = {32: (C,), 256: (VM, C), 512: (VM, C)}
DENSE_LEFT_OUT = {
    8: ("CasADi, C",),
    32: ("torch, jacfwd", "autograd", "CasADi, VM", "CasADi, C", "num-dual", "numdifftools"),
}


@njit
def of_state(y):
    return brusselator(0.0, y)


def of_grid(y):
    """The same as an expression of whole grids."""
    n = round((len(y) // 2) ** 0.5)
    c = y.reshape(n, n, 2)
    u, v = c[:, :, 0], c[:, :, 1]
    sides = np.roll(c, 1, 0) + np.roll(c, -1, 0) + np.roll(c, 1, 1) + np.roll(c, -1, 1)
    reaction = np.stack([B + u * u * v - (A + 1) * u, A * u - u * u * v], -1)
    return (reaction + DIFFUSION * n * n * (sides - 4 * c)).ravel()


def by_jax(n: int, y: np.ndarray) -> Call:
    """The nonzeros by JAX: `jvp` mapped over the seeds of the same colours, and a gather."""
    from bench.peers.jax import compiled, jax

    rates = written_with({"np": jax.numpy}, of_grid)
    pattern = pattern_of(n)
    colours = colouring.of_columns(pattern)
    seeds = np.equal.outer(np.arange(colours.max() + 1), colours).astype(float)
    places = colours[pattern.indices], pattern.tocoo().row

    def nonzeros(y: Any) -> Any:
        products = jax.vmap(lambda seed: jax.jvp(rates, (y,), (seed,))[1])(seeds)
        return products[places]

    return compiled(nonzeros, y)


def by_casadi(y: np.ndarray, compile_it: bool) -> Call:
    """The nonzeros by CasADi."""
    from bench.peers.casadi import casadi, into, jit

    symbols = casadi.SX.sym("y", y.size)
    rates = brusselator.py_func(0.0, np.array(casadi.vertsplit(symbols), object))
    by_row = casadi.jacobian(casadi.vertcat(*rates), symbols).T  # CasADi keeps columns
    nonzeros = casadi.Function("nonzeros", [symbols], [by_row], jit() if compile_it else {})
    return into(nonzeros, np.full(by_row.nnz(), np.nan), y)


def sparse_peers(n: int, y: np.ndarray) -> dict[str, Made]:
    ways = {}
    if installed("jax"):
        ways[COLOURED] = Made(partial(by_jax, n, y))
    if installed("casadi"):
        ways |= {VM: Made(partial(by_casadi, y, False)), C: Made(partial(by_casadi, y, True))}
    return {name: way for name, way in ways.items() if name not in LEFT_OUT.get(n, ())}


def jacobians(n: int) -> Workload:
    y = brusselator_start(n)
    reference = d_brusselator(0.0, y)
    jacobian = dg.sparse_jacobian(brusselator, argnums=1, cache=False)
    return Workload(
        f"Brusselator sparse Jacobian, N = {n}",
        {
            "primal": partial(brusselator, 0.0, y),
            WRITE: partial(np.copyto, np.empty(reference.nnz), reference.data),
        },
        {
            AGAIN: into_csr(jacobian, 0.0, y),
            OURS: lambda: jacobian(0.0, y).data,
            AT_ONCE: lambda: dg.sparse_jacobian(njit(brusselator.py_func), argnums=1)(0.0, y).data,
            **sparse_peers(n, y),
        },
        reference.data,
        (
            Target(AGAIN, 6.0, of="primal", beyond=WRITE),
            *([Target(AGAIN, 0.5, of=COLOURED), Target(AGAIN, 0.6, of=VM)] if n == 32 else []),
        ),
        left_out=LEFT_OUT.get(n, ()),
    )


def dense_jacobians(n: int) -> Workload:
    """All of them, as if nobody knew how few there are."""
    y = brusselator_start(n)
    reference = d_brusselator(0.0, y).toarray()
    jacobian = dg.jacobian(brusselator, argnums=1, cache=False)
    left_out = DENSE_LEFT_OUT.get(n, ())
    versions = dict.fromkeys(("jax", "torch", "autograd"), of_grid)
    return Workload(
        f"Brusselator dense Jacobian, N = {n}",
        {
            "primal": partial(brusselator, 0.0, y),
            "write of the matrix": partial(np.copyto, np.empty_like(reference), reference),
        },
        {
            OURS: into_out(jacobian, 0.0, y, shape=reference.shape),
            "dualgrad, without out=": partial(jacobian, 0.0, y),
            **peers(Problem("jacobian", of_state, y, versions=versions), left_out),
        },
        reference,
        (Target(OURS, 0.1, of=JAX),) if n == 32 else (),
        left_out=left_out,
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
    for n in (4,) if smoke else (8, 32):
        yield dense_jacobians(n)
    for n in (4,) if smoke else (32, 256, 512):
        yield jacobians(n)
    yield integration(*(4, 0.1) if smoke else (16, 1.0))
