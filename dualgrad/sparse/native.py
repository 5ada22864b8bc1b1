"""What sparse derivatives need in compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload
from numba.np.numpy_support import as_dtype

WRONG = (
    "the pattern of a sparse derivative misses a nonzero; call the derivative from Python with "
    "these arguments, or give it the pattern by pattern="
)


def explains(x: Any, data: Any, error: Any) -> Any:
    """Raise a ValueError if the entries do not explain what they were compared with."""
    raise NotImplementedError("only for compiled code")


@overload(explains, strict=False)  # strict would compare type hints, which lambdas cannot have
def _explains(x: Any, data: Any, error: Any) -> Any:
    if not isinstance(data.dtype, types.Float):  # duals are not compared
        return lambda x, data, error: None
    floats = [ty.dtype for ty in (x, data) if isinstance(ty.dtype, types.Float)]
    tolerance = max(float(np.finfo(as_dtype(ty)).eps) for ty in floats) ** 0.75

    def check(x: Any, data: Any, error: Any) -> None:
        for line in range(0, error.shape[0], 2):
            for m in range(error.shape[1]):
                missing, size = abs(error[line, m]), error[line + 1, m]
                if missing > tolerance * size or (np.isnan(missing) and np.isfinite(size)):
                    raise ValueError(WRONG)

    return check
