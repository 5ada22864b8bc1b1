"""Items of tuples in loops that `literal_unroll` writes out, one for each type of items."""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.core.imputils import impl_ret_new_ref
from numba.extending import intrinsic

from dualgrad.calls import join
from dualgrad.compile.frontend import primal_type
from dualgrad.compile.promote import promote, promoted
from dualgrad.types import duals_in


def _plain(ty: types.Type) -> types.Type:
    """A type without what is known of values, and of where lists come from."""
    return types.List(_plain(ty.dtype)) if isinstance(ty, types.List) else types.unliteral(ty)


@intrinsic
def item_of_type(typingctx: Any, items: Any, index: Any, primal: Any) -> Any:
    """The item at an index, which is of a type but for duals; all of that type have duals here.

    Numba reads memory as what it took the item to be before there were duals.
    """
    kind = _plain(primal_type(primal.instance_type))  # some have duals for Numba, too
    places = [k for k, ty in enumerate(items) if _plain(primal_type(ty)) == kind]
    if not places:
        raise TypingError(f"literal_unroll: no item is {kind}")
    level = join([dual for k in places for dual in duals_in(items[k])])
    result = kind if level is None else promoted(kind, level)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        found = cgutils.alloca_once_value(builder, context.get_constant_null(result))
        for k in places:
            with builder.if_then(builder.icmp_signed("==", args[1], args[1].type(k))):
                item, ty = builder.extract_value(args[0], k), items[k]
                if level is None:
                    copy = context.cast(builder, item, ty, result)
                    context.nrt.incref(builder, result, copy)
                else:
                    copy = context.compile_internal(
                        builder, lambda x: promote(x, level), result(ty), [item]
                    )
                builder.store(copy, found)
        return impl_ret_new_ref(context, builder, result, builder.load(found))

    return result(items, index, primal), codegen
