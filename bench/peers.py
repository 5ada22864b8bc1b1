"""Other packages that differentiate, where they are installed."""

from __future__ import annotations

import importlib
import os
from typing import Any


def jax_of_one_thread() -> Any:
    """JAX in double precision, or None. It must not have been imported before."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false " + os.environ.get(
        "XLA_FLAGS", ""
    )
    os.environ["NPROC"] = "1"  # the size of the pool of threads
    jax = installed("jax")
    if jax:
        jax.config.update("jax_enable_x64", True)
    return jax


def installed(name: str) -> Any:
    """The module, or None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
