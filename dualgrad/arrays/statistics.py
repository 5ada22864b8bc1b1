"""Order statistics, covariances and histograms: Numba's code, with duals for its buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.np import arraymath, arrayobj

from dualgrad.arrays.borrow import borrow, dual_overload, level_of
from dualgrad.arrays.products import zero

_PERCENTILES = "_collect_percentiles _collect_percentiles_inner"

borrow(arraymath.np_median, np.median)
borrow(arraymath.np_percentile, np.percentile, helpers=_PERCENTILES)
borrow(arraymath.np_quantile, np.quantile, helpers=_PERCENTILES)
borrow(arraymath.np_nanpercentile, np.nanpercentile, helpers=_PERCENTILES)
borrow(arraymath.np_nanquantile, np.nanquantile, helpers=_PERCENTILES)
borrow(arraymath.np_cov, np.cov)
borrow(arraymath.np_corrcoef, np.corrcoef)
borrow(arraymath.np_bincount, np.bincount)


@dual_overload(np.histogram)
def _histogram(a: Any, bins: Any = 10, range: Any = None) -> Any:
    """Numba's code, which finds the range of the items by a loop that starts at infinity."""
    if not arrayobj.is_nonelike(range) or not isinstance(bins, (int, types.Integer)):
        return None
    level: Any = level_of(a)

    def histogram(a: Any, bins: Any = 10, range: Any = None) -> Any:
        low, high = zero(level) + np.inf, zero(level) - np.inf
        items: Any = np.nditer(a)
        for view in items:
            v = view.item()
            if low > v:
                low = v
            if high < v:
                high = v
        return np.histogram(a, bins, (low, high))

    return histogram
