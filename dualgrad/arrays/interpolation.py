"""Linear interpolation: Numba's code, with the slope at the sample points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import register_jitable
from numba.np import arraymath

from dualgrad.arrays.borrow import borrow, dual_overload


def _interp(x: Any, xp: Any, fp: Any) -> Any:
    """What Numba makes of `np.interp`. It returns `fp[j]` at `xp[j]`, which has no slope."""
    raise NotImplementedError("only for compiled code")


borrow(arraymath.np_interp, _interp, helpers="np_interp_impl_inner")


@register_jitable
def _with_slope(y: Any, x: Any, xp: Any, fp: Any) -> Any:
    """`y` with the slope to the right of the sample point that `x` is, if it is one."""
    j = np.searchsorted(xp, x, "right") - 1
    if 0 <= j < len(xp) - 1 and xp[j] == x:
        slope = (fp[j + 1] - fp[j]) / (xp[j + 1] - xp[j])
        if np.isfinite(slope):  # what is added is -0.0, which leaves any value as it is
            y += (x - xp[j]) * slope if np.signbit(slope) else -((xp[j] - x) * slope)
    return y


@dual_overload(np.interp)
def _interp_with_slopes(x: Any, xp: Any, fp: Any) -> Any:
    if isinstance(x, types.Number):

        def number(x: Any, xp: Any, fp: Any) -> Any:
            return _with_slope(_interp(x, xp, fp), x, np.asarray(xp), np.asarray(fp))

        return number

    def array(x: Any, xp: Any, fp: Any) -> Any:
        result = _interp(x, xp, fp)
        at, points, items = np.asarray(x), np.asarray(xp), np.asarray(fp)
        for i in range(result.size):
            result.flat[i] = _with_slope(result.flat[i], at.flat[i], points, items)
        return result

    return array
