"""How many tangents a sweep carries, where the user does not say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types

#: The numbers of lanes that are compiled: few, so that a second problem size finds its code.
SIZES = (8, 16, 32)


def for_types(plan: Any, arg_types: Any) -> int:
    """The number of lanes where only types are known: in compiled code."""
    given = [arg_types[k] for k in plan.argnums]
    if any(isinstance(ty, types.Array) for ty in given):
        return SIZES[0]
    return len(given)


def for_call(plan: Any, args: tuple[Any, ...]) -> int | None:
    """The number of lanes for a call from Python; None where the types decide."""
    n = 0
    for k in plan.argnums:
        if k >= len(args):
            return None
        n += np.size(args[k])
    if n == len(plan.argnums):
        return None
    for size in SIZES:
        if n <= size:
            return size
    return SIZES[-1]
