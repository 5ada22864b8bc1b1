"""The clock: of the wall, or of the processor where `BENCH_CLOCK=cpu` says so.

The latter counts the work of all threads and of processes that ended. On a machine that others use
it still tells ratios; what a call waits for is missing from it.
"""

from __future__ import annotations

import os
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter, process_time

NAME = os.environ.get("BENCH_CLOCK", "wall")


def of_processor() -> float:
    ended = getrusage(RUSAGE_CHILDREN)
    return process_time() + ended.ru_utime + ended.ru_stime


clock = {"wall": perf_counter, "cpu": of_processor}[NAME]
