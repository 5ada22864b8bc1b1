"""Complex numbers: the parts of an array, and functions that Numba writes in terms of parts."""

from __future__ import annotations

import cmath
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed, lower_getattr
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.cpython import cmathimpl
from numba.np import arrayobj

from dualgrad.arrays.borrow import borrow
from dualgrad.types import DualType, is_complex, real_of

borrow(cmathimpl.phase_impl, cmath.phase)
borrow(cmathimpl.polar_impl, cmath.polar)
borrow(cmathimpl.impl_cmath_rect, cmath.rect)


@infer_getattr
class DualParts(AttributeTemplate):
    """The parts of an array of duals: views of a complex one, as in NumPy."""

    key = types.Array
    metadata = {"target": "cpu"}

    def resolve(self, value: Any, attr: Any) -> Any:
        if not isinstance(value.dtype, DualType) or attr not in ("real", "imag"):
            return None
        if is_complex(value.dtype):
            return value.copy(dtype=real_of(value.dtype), layout="A")
        return value if attr == "real" else types.Array(value.dtype.base, value.ndim, "C")


# A later entry for the same type replaces the earlier one, which is Numba's.


@lower_getattr(types.Array, "real")
def _real(context: Any, builder: Any, ty: Any, value: Any) -> Any:
    if not isinstance(ty.dtype, DualType):
        return arrayobj.array_real_part(context, builder, ty, value)
    if is_complex(ty.dtype):
        return _part(context, builder, ty, value, 0)
    return impl_ret_borrowed(context, builder, ty, value)


@lower_getattr(types.Array, "imag")
def _imag(context: Any, builder: Any, ty: Any, value: Any) -> Any:
    if not isinstance(ty.dtype, DualType):
        return arrayobj.array_imag_part(context, builder, ty, value)
    if is_complex(ty.dtype):
        return _part(context, builder, ty, value, 1)
    base: Any = ty.dtype.base
    result = types.Array(base, ty.ndim, "C")
    return context.compile_internal(builder, lambda a: np.zeros(a.shape, base), result(ty), [value])


def _part(context: Any, builder: Any, ty: Any, value: Any, k: int) -> Any:
    """Every item is in memory a pair of duals: a view of the first or second of each."""
    array = context.make_array(ty)(context, builder, value)
    result = ty.copy(dtype=real_of(ty.dtype), layout="A")
    view = context.make_array(result)(context, builder)
    item = context.get_data_type(result.dtype)
    data = builder.bitcast(array.data, item.as_pointer())
    cgutils.copy_struct(
        view,
        array,
        {
            "data": builder.gep(data, [ir.IntType(32)(k)]),
            "itemsize": context.get_constant(types.intp, context.get_abi_sizeof(item)),
        },
    )
    return impl_ret_borrowed(context, builder, result, view._getvalue())
