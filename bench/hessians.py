"""Hessians of Rosenbrock's and Ackley's functions, beside JAX and CasADi where they are installed.

hyperjet, whose second-order numbers are the nearest relative of those here, is not among them: its
source distribution did not build with pip when this was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import dualgrad as dg
from bench.common import Target, Workload, into_out
from tests.complexstep import jacobians
from tests.programs import ackley_loop, d_ackley, d_rosenbrock, rosenbrock_loop, vec

FORWARD = "JAX, forward over forward"


def by_jax(name: str, x: np.ndarray) -> dict[str, Callable[[], Any]]:
    """The Hessian by JAX, compiled; nothing without JAX."""
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        return {}
    jax.config.update("jax_enable_x64", True)

    def rosenbrock(x):
        return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def ackley(x):
        r = jnp.sqrt(jnp.mean(x**2))
        cosines = jnp.mean(jnp.cos(2 * jnp.pi * x))
        return 20 + jnp.e - 20 * jnp.exp(-0.2 * r) - jnp.exp(cosines)

    f = {"Rosenbrock": rosenbrock, "Ackley": ackley}[name]
    at = jnp.asarray(x)
    ways = {"JAX, jax.hessian": jax.hessian(f), FORWARD: jax.jacfwd(jax.jacfwd(f))}
    return {
        way: partial(lambda h: h(at).block_until_ready(), jax.jit(h)) for way, h in ways.items()
    }


def by_casadi(name: str, x: np.ndarray) -> dict[str, Callable[[], Any]]:
    """The Hessian by CasADi's virtual machine, through its buffers; nothing without CasADi."""
    try:
        import casadi
    except ImportError:
        return {}
    v = casadi.SX.sym("v", x.size)
    if name == "Rosenbrock":
        f = casadi.sumsqr(10.0 * (v[1:] - v[:-1] ** 2)) + casadi.sumsqr(1 - v[:-1])
    else:
        r = casadi.sqrt(casadi.sumsqr(v) / x.size)
        cosines = casadi.sum1(casadi.cos(2 * np.pi * v)) / x.size
        f = 20 + np.e - 20 * casadi.exp(-0.2 * r) - casadi.exp(cosines)
    hessian = casadi.Function("hessian", [v], [casadi.densify(casadi.hessian(f, v)[0])])
    out = np.full((x.size, x.size), np.nan)
    buffer, evaluate = hessian.buffer()
    buffer.set_arg(0, memoryview(x))
    buffer.set_res(0, memoryview(out))

    def call() -> np.ndarray:
        evaluate()
        return out

    call.buffer = buffer  # type: ignore[attr-defined]  # which `evaluate` does not keep alive
    return {"CasADi": call}


def workloads(smoke: bool) -> Iterator[Workload]:
    n = 10 if smoke else 50
    x = vec(n)
    for name, f, d_f in (
        ("Rosenbrock", rosenbrock_loop, d_rosenbrock),
        ("Ackley", ackley_loop, d_ackley),
    ):
        jax = by_jax(name, x)
        yield Workload(
            f"{name} Hessian, n = {n}",
            {"primal": partial(f, x), "gradient": partial(dg.grad(f), x)},
            {"dualgrad": into_out(dg.hessian(f), x, shape=(n, n)), **jax, **by_casadi(name, x)},
            jacobians(d_f, x)[0],
            (Target("dualgrad", 0.5, of=FORWARD),) if jax else (),
        )
