"""Whether the arguments of one call are those of another: in type, shape and bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_FIXED = frozenset((float, int, bool, str, type(None)))


def copied(arg: Any) -> Any:
    """An argument as it is now, whatever is written to it later."""
    if isinstance(arg, tuple):
        return tuple(map(copied, arg)) if type(arg) is tuple else type(arg)(*map(copied, arg))
    return arg.copy() if isinstance(arg, (np.ndarray, np.void)) else arg


def apart(arg: Any, memory: np.ndarray) -> Any:
    """An argument in memory of its own, if it is not already."""
    if isinstance(arg, tuple):
        return copied(arg) if any(apart(it, memory) is not it for it in arg) else arg
    shares = isinstance(arg, np.ndarray) and np.may_share_memory(arg, memory)
    return arg.copy(order="K") if shares else arg


def same(a: Any, b: Any) -> bool:
    """Whether two arguments are the same; what can change unseen, as a list, never is."""
    if type(a) is not type(b):
        return False
    if a is b and type(a) in _FIXED:
        return True
    if isinstance(a, float):
        if a == b:
            return a != 0.0 or math.copysign(1.0, a) == math.copysign(1.0, b)
        return a != a and b != b
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and _same_bits(a, b)
    if isinstance(a, (complex, np.generic)):
        return np.asarray(a).tobytes() == np.asarray(b).tobytes()
    if callable(a):
        return a is b
    return isinstance(a, (int, str, type(None))) and a == b


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    if a.dtype.kind == "f" and a.itemsize in (4, 8):  # 0.0 equals -0.0, nan nothing
        a, b = a.view(f"i{a.itemsize}"), b.view(f"i{b.itemsize}")
    elif a.dtype.kind not in "biu":
        return a.tobytes() == b.tobytes()
    return np.array_equal(a, b)
