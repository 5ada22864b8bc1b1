"""Cores that are kept awake while others are timed.

A core that sleeps takes long to wake, on virtual machines tens of microseconds. JAX hands a call of
more than a few microseconds to a thread of its own, on another core, and would wait for that each
time: where a program has other work to do it does not.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from bench.threads import CORES

# It yields to whatever else there is to do, and ends with the process that has started it.
_IDLE = """
import os
if hasattr(os, "nice"):
    os.nice(19)
parent = os.getppid()
while os.getppid() == parent:
    pass
"""


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """All cores but one have something to do of the least priority: for timings of one thread.

    Threads that wait for each other by yielding would yield to it.
    """
    idle = [subprocess.Popen([sys.executable, "-c", _IDLE]) for _ in range(CORES - 1)]
    try:
        yield
    finally:
        for process in idle:
            process.kill()
            process.wait()
