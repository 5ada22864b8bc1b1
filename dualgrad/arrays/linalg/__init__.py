"""Linear algebra on arrays of duals, by derivative rules on BLAS and LAPACK.

The value is what Numba's function returns for the values. Tangents follow from it by a formula,
mostly of M. B. Giles, "An extended collection of matrix derivative results for forward and
reverse mode algorithmic differentiation" (2008), written here with products of duals by constant
matrices: all tangents of a call go through BLAS together. As a rule is plain NumPy on the base
type, it holds for duals of duals too.
"""

from dualgrad.arrays.linalg import (  # noqa: F401
    factor,
    leastsquares,
    norms,
    solve,
    spectral,
)
