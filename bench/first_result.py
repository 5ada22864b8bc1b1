"""How long a new process waits: for the import, and for its first gradient."""

from __future__ import annotations

import atexit
import compileall
import inspect
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dualgrad
from bench.common import JAX, Target, Workload
from bench.peers import installed
from tests.programs import d_rosenbrock, rosenbrock_loop, vec

N = 10
PRIMAL = f"""
import numpy as np
from numba import njit
{inspect.getsource(rosenbrock_loop.py_func)}
x = np.array({vec(N).tolist()})
print(rosenbrock_loop(x))
"""
GRADIENT = f"""
{PRIMAL.replace("print(rosenbrock_loop(x))", "")}
import dualgrad as dg
print(dg.grad(rosenbrock_loop)(x).tolist())
"""
BY_JAX = f"""
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_enable_x64", True)
def f(x): return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
print(jax.jit(jax.jacfwd(f))(np.array({vec(N).tolist()})).tolist())
"""
FIRST, SECOND = "dualgrad, first gradient", "dualgrad, first gradient, second process"


def run(code: str, cache: str | None = None) -> Any:
    """What a new Python prints, with what others compiled in the directory `cache`, or nothing."""
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=Path(__file__).parent.parent, check=True, text=True,
            env={**os.environ, "DUALGRAD_CACHE_DIR": cache or empty}, capture_output=True,
        )  # fmt: skip
    return json.loads(done.stdout or "null")


def workloads(smoke: bool) -> Iterator[Workload]:
    compileall.compile_dir(Path(dualgrad.__file__).parent, quiet=1)  # as pip has done to the others
    kept = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, kept)
    jax = {JAX: lambda: run(BY_JAX)} if installed("jax") else {}
    yield Workload(
        "first result of a new process",
        {
            "import numba": lambda: run("import numba"),
            "import dualgrad": lambda: run("import dualgrad"),
            "the function by Numba": lambda: run(PRIMAL),
        },
        {FIRST: lambda: run(GRADIENT), SECOND: lambda: run(GRADIENT, kept), **jax},
        d_rosenbrock(vec(N)),
        (
            Target(FIRST, 2.5),
            Target(FIRST, 1.0, of=JAX),
            Target("import dualgrad", 0.1, beyond="import numba"),
            Target(SECOND, 0.35, beyond="import numba"),
            Target(SECOND, 0.5, of=JAX),
        ),
    )
