"""What compiled code asks for by name: addresses of library routines.

They are looked up when compiled code first needs them, as Numba does with its own routines, so that
importing dualgrad does not import `scipy.linalg`. The names are known to every process that has
imported dualgrad, since code from disk may ask at once.
"""

from __future__ import annotations

import ctypes

import llvmlite.binding as llvm
from numba.extending import get_cython_function_address

BLAS_KINDS = "sd"
ADDRESS_OF_TRSM = "dualgrad_address_of_trsm"


@ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int)
def _address_of_trsm(kind: int) -> int:
    name = f"{BLAS_KINDS[kind]}trsm"
    address: int = get_cython_function_address("scipy.linalg.cython_blas", name)
    return address


llvm.add_symbol(ADDRESS_OF_TRSM, ctypes.cast(_address_of_trsm, ctypes.c_void_p).value)
