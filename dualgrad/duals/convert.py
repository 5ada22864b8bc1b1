"""Between what users hold and the arrays that dual numbers are stored in."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.duals.storage import common, lifted, type_of


def raw_of(x: Any) -> Any:
    """The array behind a number, an array, or a list of them; structured if there are duals."""
    own = getattr(x, "_dualgrad_data", None)
    if own is not None:
        return own
    array = np.asarray(x)
    return gathered(array) if array.dtype == object else array


def gathered(objects: Any) -> Any:
    """An array of Python objects, duals and numbers, as one of duals."""
    items = [raw_of(it) for it in objects.ravel()] if objects.ndim else []
    if not items or any(it.dtype == object or it.shape for it in items):
        raise TypeError("numbers are expected")
    ty = common(type_of(it.dtype) for it in items)
    return np.stack([lifted(it, ty) for it in items]).reshape(objects.shape)
