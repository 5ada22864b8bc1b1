"""How many threads a process of the bench has: one, or all cores where `BENCH_THREADS` says so.

Libraries read their limits when they are imported, so this module comes before all of them.
"""

from __future__ import annotations

import os

VARIABLE = "BENCH_THREADS"
COUNT = int(os.environ.get(VARIABLE, "1"))
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

for _name in ("OPENBLAS", "OMP", "MKL", "NUMBA", "VECLIB_MAXIMUM"):
    os.environ[f"{_name}_NUM_THREADS"] = str(COUNT)
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # or it starts processes that stay
os.environ["NPROC"] = str(COUNT)  # the size of XLA's pool of threads
if COUNT == 1:
    _flags = "--xla_cpu_multi_thread_eigen=false"
    os.environ["XLA_FLAGS"] = f"{_flags} {os.environ.get('XLA_FLAGS', '')}".strip()
