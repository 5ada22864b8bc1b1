"""Arrays of duals: the array functions whose own Numba code does not carry tangents.

Numba's indexing, shape and copying functions take arrays of duals as they are. What stands here
is registered with Numba on import, and what duals can do as scalars with it.
"""

from dualgrad import conversions, scalars  # noqa: F401
from dualgrad.arrays import (  # noqa: F401
    complexes,
    creation,
    elementwise,
    interpolation,
    linalg,
    memory,
    methods,
    opaque,
    polynomials,
    printing,
    products,
    reductions,
    selection,
    shape,
    statistics,
)
