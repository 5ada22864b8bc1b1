"""How memory is taken from the system, which for long arrays can take longer than what is computed.

Arrays of duals are many times as long as those of the function that is differentiated.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

#: Bytes; the GNU C library learns from nothing larger than 32 MiB.
LARGEST = 31 * 2**20
#: Bytes from which on pages of two megabytes are asked for, as NumPy does.
HUGE = 4 * 2**20
ADVICE = 14  # MADV_HUGEPAGE of Linux


@cache
def keep_freed_memory() -> None:
    """Teach the C library's `malloc` to keep what has been freed, once for the process.

    That of GNU gives memory back to the system as soon as some hundred kilobytes at the end of the
    heap are free, and the next call would take them again page by page, which for arrays of duals
    takes several times as long as the arithmetic on them. Freeing one large block, which need not
    be touched, moves its thresholds to the size of the block and twice that (mallopt(3), on
    M_MMAP_THRESHOLD), as it does in every program that frees large arrays; the variables
    MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_ keep them fixed. Other libraries are left as
    they are.
    """
    with suppress(MemoryError):
        np.empty(LARGEST, np.uint8)


def new_array(context: Any, builder: Any, ty: types.Array, shape: Any, align: int = 0) -> Any:
    """Emit the allocation of an array in C or Fortran order, not filled.

    Numba's own calls functions that would have to be compiled, and found again in other processes.
    """
    from numba.np import arrayobj  # a tenth of a second, which loading code from disk need not take

    intp = context.get_value_type(types.intp)
    itemsize = intp(context.get_abi_sizeof(context.get_data_type(ty.dtype)))
    align = max(align, context.get_preferred_array_alignment(ty.dtype))
    in_memory = range(ty.ndim) if ty.layout == "F" else range(ty.ndim)[::-1]
    size, strides, too_long = itemsize, [itemsize] * ty.ndim, ir.IntType(1)(0)
    for axis in in_memory:
        strides[axis] = size
        product = builder.smul_with_overflow(size, shape[axis])
        size = builder.extract_value(product, 0)
        too_long = builder.or_(too_long, builder.extract_value(product, 1))
    with builder.if_then(too_long, likely=False):
        context.call_conv.return_user_exc(builder, ValueError, ("array is too big",))
    memory = context.nrt.meminfo_alloc_aligned(builder, size, align)
    data = context.nrt.meminfo_data(builder, memory)
    _ask_for_huge_pages(builder, data, size)
    array = context.make_array(ty)(context, builder)
    data = builder.bitcast(data, context.get_data_type(ty.dtype).as_pointer())
    arrayobj.populate_array(
        array, data=data, shape=shape, strides=strides, itemsize=itemsize, meminfo=memory
    )
    return array


def _ask_for_huge_pages(builder: Any, data: Any, size: Any) -> None:
    """Emit the advice to the system to give a long array in huge pages.

    There are 512 times fewer of them to fault on. `size` is in bytes.
    """
    if sys.platform != "linux":
        return
    intp, page = size.type, 4096
    with builder.if_then(builder.icmp_signed(">=", size, intp(HUGE)), likely=False):
        begin = builder.ptrtoint(data, intp)
        first = builder.and_(builder.add(begin, intp(page - 1)), intp(-page))
        length = builder.and_(builder.sub(builder.add(begin, size), first), intp(-page))
        kind = ir.FunctionType(ir.IntType(32), [intp, intp, ir.IntType(32)])
        advise = cgutils.get_or_insert_function(builder.module, kind, "madvise")
        builder.call(advise, [first, length, ir.IntType(32)(ADVICE)])
