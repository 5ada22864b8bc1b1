"""NumPy on arrays of objects, for the peers whose numbers are objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Names:
    """NumPy whose new arrays hold objects; `larger` is the maximum of two of them."""

    def __init__(self, larger: Callable[[Any, Any], Any]) -> None:
        self.maximum = np.frompyfunc(larger, 2, 1)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def array(items: Any) -> np.ndarray:
        made = np.empty(len(items), object)
        for i, item in enumerate(items):  # as one, NumPy would look for items of the items
            made[i] = item
        return made
