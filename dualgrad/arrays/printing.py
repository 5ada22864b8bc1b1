"""`print` and `str` of duals: what the primal shows."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.core.imputils import lower_builtin
from numba.core.typing import signature
from numba.cpython.printimpl import print_item_impl_Any

from dualgrad.arrays.borrow import dual_overload, duals, floats
from dualgrad.arrays.values import values


def _values(x: Any) -> Any:
    return values(x)


def _print(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    """Print the value part of what holds duals, and everything else as Numba does."""
    [ty] = sig.args
    if not any(True for _ in duals(ty)):
        return print_item_impl_Any(context, builder, sig, args)
    callee = context.typing_context.resolve_value_type(values)
    plain = callee.get_call_type(context.typing_context, (ty,), {}).return_type
    item = context.compile_internal(builder, _values, plain(ty), args)
    implementation = context.get_function("print_item", signature(types.none, plain))
    return implementation(builder, [item])


for _type in (types.Number, types.Array, types.BaseTuple, types.List):
    lower_builtin("print_item", _type)(_print)


@dual_overload(str)
def _str(object=""):  # type: ignore[no-untyped-def]
    """Numba has no text for floats: it shows their type."""
    text = f"<object type:{floats(object)}>"
    return lambda object="": text


@dual_overload(repr)
def _repr(obj):  # type: ignore[no-untyped-def]
    text = f"<object type:{floats(obj)}>"
    return lambda obj: text
