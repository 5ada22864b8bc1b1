"""`print` of duals: what the primal prints, their values."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.core.imputils import lower_builtin
from numba.core.typing import signature
from numba.cpython.printimpl import print_item_impl_Any

from dualgrad.arrays.values import values_of
from dualgrad.types import DualType


@lower_builtin("print_item", DualType)
def _print_number(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    base = sig.args[0].base
    implementation = context.get_function("print_item", signature(types.none, base))
    return implementation(builder, [builder.extract_value(args[0], 0)])


@lower_builtin("print_item", types.Array)
def _print_array(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    array = sig.args[0]
    if not isinstance(array.dtype, DualType):
        return print_item_impl_Any(context, builder, sig, args)
    values = types.Array(array.dtype.base, array.ndim, "C")

    def copied(duals: Any) -> Any:
        return values_of(duals).copy()

    copy = context.compile_internal(builder, copied, values(array), args)
    implementation = context.get_function("print_item", signature(types.none, values))
    return implementation(builder, [copy])
