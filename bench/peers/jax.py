"""JAX: forward mode compiled by XLA, and reverse mode for information."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special
import numpy as np

from bench.common import JAX, Call, Made
from bench.peers import Problem

jax.config.update("jax_enable_x64", True)

REVERSE = "JAX, reverse"
OVER = "JAX, forward over forward"
WAYS: dict[str, dict[str, Any]] = {
    "grad": {JAX: jax.jacfwd, REVERSE: jax.grad},
    "jacobian": {JAX: jax.jacfwd, REVERSE: jax.jacrev},
    "hessian": {OVER: lambda f: jax.jacfwd(jax.jacfwd(f)), "JAX, jax.hessian": jax.hessian},
    "elementwise": {"JAX, jvp": lambda f: lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))},
}


def calls(problem: Problem) -> dict[str, Made]:
    f = problem.written_for("jax", jnp, jax.scipy.special.erf)
    mapped = jax.vmap if problem.mapped else lambda g: g
    return {
        name: Made(partial(compiled, mapped(way(f)), problem.x, *problem.args))
        for name, way in WAYS[problem.kind].items()
    }


def compiled(g: Any, *args: Any) -> Call:
    """A call of `g` on JAX's own arrays that waits for the result; numbers are constants."""
    constant = [i for i, it in enumerate(args) if not isinstance(it, np.ndarray)]
    call = jax.jit(g, static_argnums=constant)
    at = [jnp.asarray(it) if isinstance(it, np.ndarray) else it for it in args]
    return lambda: jax.block_until_ready(call(*at))
