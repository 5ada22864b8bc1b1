"""How many tangents a sweep carries, where the user does not say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types

#: The numbers of lanes that are compiled: few, so that a second problem size finds its code.
SIZES = (8, 16, 32)


def for_types(argnums: tuple[int, ...], arg_types: Any) -> int:
    """The number of lanes where only types are known: in compiled code."""
    if any(isinstance(arg_types[k], types.Array) for k in argnums):
        return SIZES[0]
    return len(argnums)


def for_call(argnums: tuple[int, ...], args: tuple[Any, ...]) -> int | None:
    """The number of lanes for a call from Python; None where the types decide."""
    if argnums[-1] >= len(args):
        return None
    n = 0
    scalars = True
    for k in argnums:
        x = args[k]
        if isinstance(x, np.ndarray):
            n += x.size
            scalars = False
        else:
            n += 1
    if scalars:
        return None
    for size in SIZES:
        if n <= size:
            return size
    return SIZES[-1]
