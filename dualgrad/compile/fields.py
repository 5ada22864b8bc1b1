"""Arrays that are fields of records and of linked jitclasses: they cannot hold duals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from numba.core import ir, types
from numba.core.errors import UnsupportedError

from dualgrad.compile.activity import Activity
from dualgrad.compile.callees import is_fresh
from dualgrad.compile.frontend import Typed, carries_dual
from dualgrad.compile.promote import promoted
from dualgrad.types import DualType

_OWNERS = (types.ClassInstanceType, types.Record)


def refuse_writes_to_fields(
    code: Typed, activity: Activity, dual: DualType, arg_types: Sequence[types.Type]
) -> None:
    """Refuse what would write derivatives to an array of what stays as it is.

    A function that is given the array, or returns it, works on a copy that can hold them.
    """
    owners, holders = set(), set()
    for name, ty in code.typemap.items():
        if _stays(getattr(ty, "dtype", ty), dual):
            owners.add(activity.group(name))
    if not owners:
        return
    statements = [it for block in code.func_ir.blocks.values() for it in block.body]
    for it in statements:
        if isinstance(it, ir.Assign) and _holds_duals(it, code, activity, dual, arg_types):
            holders.add(activity.group(it.target.name))
    for it in statements:
        stores = isinstance(it, ir.SetAttr) and _stays(code.typemap[it.target.name], dual)
        if stores and _is_active_array(it.value.name, code, activity):
            raise UnsupportedError("derivatives for an array of a field", it.loc)
        for name in _written_by(it, activity):
            if activity.is_active(name) and activity.group(name) in owners - holders:
                raise UnsupportedError("derivatives for an array of a field", it.loc)


def _stays(ty: types.Type, dual: DualType) -> bool:
    return isinstance(ty, _OWNERS) and promoted(ty, dual) == ty


def _is_active_array(name: str, code: Typed, activity: Activity) -> bool:
    return isinstance(code.typemap[name], types.Array) and activity.is_active(name)


def _holds_duals(
    assign: Any, code: Typed, activity: Activity, dual: DualType, arg_types: Sequence[types.Type]
) -> bool:
    """Whether a variable is given a buffer of duals, and not one that it had before."""
    ty, value = code.typemap.get(assign.target.name), assign.value
    if ty is None or promoted(ty, dual) == ty:
        return False
    if isinstance(value, ir.Arg):
        return carries_dual(arg_types[value.index])
    if not isinstance(value, ir.Expr):
        return False
    called = activity.called(value) if value.op == "call" else None
    if called is None:
        return is_fresh(value, code)
    effect, _ = activity.effect_of(value, called, result=True)
    return not any(-1 in group for group in effect.shared)


def _written_by(statement: Any, activity: Activity) -> Iterator[str]:
    """The arrays to which a statement may write derivatives."""
    if isinstance(statement, (ir.SetItem, ir.StaticSetItem)):
        if activity.is_active(statement.value.name):
            yield statement.target.name
        return
    value = getattr(statement, "value", None)
    if isinstance(value, ir.Expr) and value.op == "call":
        yield from activity.made_active_by(value)
    if isinstance(value, ir.Expr) and value.op == "inplace_binop":
        yield value.lhs.name
