"""Polynomials and convolutions."""

from __future__ import annotations

import numpy as np
from numba.np import arraymath
from numba.np.polynomial import polynomial_functions as numba_poly
from numpy.polynomial import polynomial as poly
from numpy.polynomial import polyutils

from dualgrad.arrays.borrow import borrow

borrow(arraymath._np_correlate_core_impl, arraymath._np_correlate_core, helpers="_dot_wrap")
borrow(numba_poly.polyutils_as_series, polyutils.as_series)
borrow(numba_poly.roots_impl, np.roots)
borrow(numba_poly.poly_polyval, poly.polyval)
borrow(numba_poly.poly_polyint, poly.polyint)
