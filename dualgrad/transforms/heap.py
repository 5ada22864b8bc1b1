"""Memory that is freed between two calls stays with the process."""

from __future__ import annotations

from functools import cache

import numpy as np

#: Bytes; the GNU C library learns from nothing larger than 32 MiB.
LARGEST = 31 * 2**20


@cache
def keep_freed_memory() -> None:
    """Teach the C library's `malloc` to keep what has been freed, once for the process.

    That of GNU gives memory back to the system as soon as some hundred kilobytes at the end of the
    heap are free, and the next call would take them again page by page, which for arrays of duals
    takes several times as long as the arithmetic on them. Freeing one large block, which need not
    be touched, moves its thresholds to the size of the block and twice that (mallopt(3), on
    M_MMAP_THRESHOLD), as it does in every program that frees large arrays; the variables
    MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_ keep them fixed. Other libraries are left as
    they are.
    """
    np.empty(LARGEST, np.uint8)
