"""What Numba would compile for duals, or fail on in ways of its own, and cannot be differentiated.

Whatever else has no derivative rule fails in type inference, by a report that `explain` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from numba.core import ir, types
from numba.core.errors import UnsupportedError
from numba.core.extending import _Intrinsic

from dualgrad.compile.packages import is_users

if TYPE_CHECKING:
    from dualgrad.compile.activity import Activity


class Refusal(NamedTuple):
    """A construct, how it is found, and what to tell of it."""

    found: Callable[[Activity, Any], bool]
    what: str
    reason: str
    way_out: str


def _type(activity: Activity, var: Any) -> Any:
    return activity.code.typemap.get(var.name)


def _is_set(activity: Activity, statement: Any) -> bool:
    return (
        isinstance(statement, ir.Assign)
        and isinstance(_type(activity, statement.target), types.Set)
        and activity.is_active(statement.target.name)
    )


def _has_active_key(activity: Activity, statement: Any) -> bool:
    return any(activity.is_active(key.name) for key in _keys(activity, statement))


def _keys(activity: Activity, statement: Any) -> Iterator[Any]:
    """The keys under which a statement stores something in a dictionary."""
    value = getattr(statement, "value", None)
    if isinstance(statement, ir.StoreMap):
        yield statement.key
    elif isinstance(statement, ir.SetItem):
        if isinstance(_type(activity, statement.target), types.DictType):
            yield statement.index
    elif isinstance(value, ir.Expr) and value.op == "build_map":
        yield from (key for key, _ in value.items)
    elif isinstance(value, ir.Expr) and value.op == "call":
        kind = _type(activity, value.func)
        if isinstance(kind, types.BoundFunction) and isinstance(kind.this, types.DictType):
            for first in value.args[:1]:
                if not isinstance(_type(activity, first), types.DictType):  # as of `update`
                    yield first


def _calls_an_address(activity: Activity, statement: Any) -> bool:
    value = getattr(statement, "value", None)
    return (
        isinstance(value, ir.Expr)
        and value.op == "call"
        and isinstance(_type(activity, value.func), types.FunctionType)
        and activity.called(value) is None
        and any(activity.is_active(var.name) for var in value.list_vars())
    )


def _calls_an_intrinsic(activity: Activity, statement: Any) -> bool:
    value = getattr(statement, "value", None)
    if not isinstance(value, ir.Expr) or value.op != "call":
        return False
    key = getattr(_type(activity, value.func), "typing_key", None)
    if not isinstance(key, _Intrinsic) or not is_users(key._defn):
        return False
    return any(activity.is_active(var.name) for var in value.list_vars())


REFUSALS = [
    Refusal(
        _calls_an_intrinsic,
        "an intrinsic",
        "an @intrinsic writes machine code for the types of its arguments, which dual numbers "
        "do not have",
        "give a function that calls it a rule with dg.custom_jvp",
    ),
    Refusal(
        _is_set,
        "a set of numbers that depend on what is differentiated by",
        "a set compares and orders its items by their bytes, which carry no derivatives",
        "use a list or an array",
    ),
    Refusal(
        _has_active_key,
        "a key that depends on what is differentiated by",
        "the keys of a dictionary carry no derivatives",
        "use a constant key, such as an integer, and keep the number in the value",
    ),
    Refusal(
        _calls_an_address,
        "a function of which only the address is known",
        "a cfunc, or one of several functions, is passed around as an address, which has no code "
        "to compile for derivatives",
        "call each function by its name, in a branch of its own; pass @njit functions without "
        "signatures, several as a tuple read by literal_unroll",
    ),
]


def refuse(activity: Activity) -> None:
    """Raise for the first construct of a function that cannot be differentiated."""
    for block in activity.code.func_ir.blocks.values():
        for statement in block.body:
            for refusal in REFUSALS:
                if refusal.found(activity, statement):
                    raise UnsupportedError(refusal.what, statement.loc)
