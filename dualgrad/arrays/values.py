"""Functions whose result depends on the values alone: indices, truth, order.

They are given the value part of their arrays, seen in place, so that what they do with nan and
ties is what Numba does for floats.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic, overload
from numba.np import arraymath, arrayobj

from dualgrad.arrays.borrow import dual_overload
from dualgrad.arrays.views import strided_part
from dualgrad.calls import decides
from dualgrad.conversions import value_of
from dualgrad.generated import generated
from dualgrad.types import DualType, is_complex, primal


@intrinsic
def values_of(typingctx: Any, array: Any) -> Any:
    """The value part of an array of duals, one level down: a strided view of the same memory.

    Of complex numbers it is a copy, as the parts of a value do not lie side by side.
    """
    result = array.copy(dtype=array.dtype.base, layout="A")
    if is_complex(array.dtype):
        copied = types.Array(array.dtype.base, array.ndim, "C")
        return copied(array), _copied_values

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        decides(builder, array.dtype)
        first = context.get_constant(types.intp, 0)
        return strided_part(context, builder, array, result, args[0], first)

    return result(array), codegen


def _copied_values(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    item = sig.return_type.dtype

    def copied(array: Any) -> Any:
        result = np.empty(array.shape, item)
        for index in np.ndindex(array.shape):
            result[index] = value_of(array[index])
        return result

    return context.compile_internal(builder, copied, sig, args)


def values(x: Any) -> Any:
    """The value part of a number, an array, a tuple or a list; anything else is itself."""
    raise NotImplementedError("only for compiled code")


@overload(values)
def _values(x):  # type: ignore[no-untyped-def]
    if isinstance(x, types.Array) and isinstance(x.dtype, DualType):
        return lambda x: values_of(x)
    if isinstance(x, DualType):
        return lambda x: value_of(x)
    if isinstance(x, types.List):
        return lambda x: [values(it) for it in x]
    if isinstance(x, (types.Tuple, types.UniTuple)):
        items = ", ".join(f"values(x[{k}])" for k in range(len(x)))
        return generated(f"lambda x: ({items},)", values=values)
    return lambda x: x


#: function -> its parameters, first those that count by their values
VALUE_ONLY = {
    np.argmin: ("a", "axis=None"),
    np.argmax: ("a", "axis=None"),
    np.nanargmin: ("a", "axis=None"),
    np.nanargmax: ("a", "axis=None"),
    np.all: ("a", ""),
    np.any: ("a", ""),
    np.count_nonzero: ("a", "axis=None"),
    np.searchsorted: ("a, v", "side='left'"),
    np.digitize: ("x, bins", "right=False"),
    np.allclose: ("a, b", "rtol=1e-05, atol=1e-08, equal_nan=False"),
    np.isclose: ("a, b", "rtol=1e-05, atol=1e-08, equal_nan=False"),
    np.array_equal: ("a1, a2", ""),
    np.isrealobj: ("x", ""),
    np.iscomplexobj: ("x", ""),
    np.isscalar: ("element", ""),
    np.isposinf: ("x", "out=None"),
    np.isneginf: ("x", "out=None"),
    np.isin: ("element, test_elements", "assume_unique=False, invert=False"),
}


def _register(function: Any, by_value: str, others: str) -> None:
    """Overload a function for duals: it is itself, applied to values."""
    given = [f"values({name})" for name in by_value.split(", ")]
    given += [part.split("=")[0] for part in others.split(", ") if part]
    source = f"lambda {by_value}, {others}: function({', '.join(given)})"
    on_values = generated(source, function=function, values=values)

    @dual_overload(function)
    @functools.wraps(on_values)
    def typer(*args: Any, **kws: Any) -> Any:
        return on_values


for _function, (_by_value, _others) in VALUE_ONLY.items():
    _register(_function, _by_value, _others)


@dual_overload(np.divmod)
def _divmod(x: Any, y: Any, out1: Any = None, out2: Any = None) -> Any:
    """The quotient is a whole number, by values; the rest is `np.remainder`."""
    if isinstance(out1, types.Array):

        def into(x: Any, y: Any, out1: Any = None, out2: Any = None) -> Any:
            quotient = np.divmod(values(x), values(y))[0]
            out1[...], out2[...] = quotient, np.remainder(x, y)
            return out1, out2

        return into
    return lambda x, y, out1=None, out2=None: (
        np.divmod(values(x), values(y))[0],
        np.remainder(x, y),
    )


# Sorting and the nan-functions choose their code by the dtype: duals are floats to them.

_lt_implementation, _get_isnan = arrayobj.lt_implementation, arraymath.get_isnan


def _lt(dtype: Any) -> Any:
    return _lt_implementation(primal(dtype))


def _isnan(dtype: Any) -> Any:
    return np.isnan if isinstance(dtype, DualType) else _get_isnan(dtype)


arrayobj.lt_implementation, arraymath.get_isnan = _lt, _isnan
