"""Results of which only the entries of a sparse Jacobian are kept: `f` allocates no array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba.core import ir, types

from dualgrad.compile.frontend import Typed
from dualgrad.compile.itemwise import allocation, is_like, is_zeros
from dualgrad.types import SeedsType


def kept_results(code: Typed, arg_types: Sequence[types.Type]) -> dict[str, list[Any]]:
    """What takes the place of the assignments to some variables.

    The array that goes with an argument is that which is allocated for the result; the argument is
    used without it.
    """
    arguments = [
        (block.scope, statement)
        for block in code.func_ir.blocks.values()
        for statement in block.find_insts(ir.Assign)
        if isinstance(statement.value, ir.Arg) and _has_entries(arg_types[statement.value.index])
    ]
    if not arguments:
        return {}
    from dualgrad.entries import allocated
    from dualgrad.seeds import without_entries

    [(scope, argument)] = arguments
    result = allocation(code)
    assert result is not None  # the kernel has asked
    given = scope.redefine("$dualgrad", argument.loc)
    place = ir.Assign(argument.value, given, argument.loc)
    shape, zeros = result.value.args[0], ir.Const(is_zeros(code, result), result.loc)
    if is_like(code, result):
        shape = ir.Expr.getattr(shape, "shape", result.loc)
    return {
        argument.target.name: [place, *_call(scope, argument, without_entries, given)],
        result.target.name: _call(scope, result, allocated, given, shape, zeros),
    }


def _has_entries(ty: Any) -> bool:
    return isinstance(ty, SeedsType) and ty.entries is not None


def _call(scope: Any, statement: ir.Assign, function: Any, *args: Any) -> list[Any]:
    """The statements that assign the result of a call to the target of another statement."""
    loc, body, variables = statement.loc, [], []
    for value in (ir.Global("$dualgrad", function, loc), *args):
        if not isinstance(value, ir.Var):
            var = scope.redefine("$dualgrad", loc)
            body.append(ir.Assign(value, var, loc))
            value = var
        variables.append(value)
    called, *given = variables
    return [*body, ir.Assign(ir.Expr.call(called, given, (), loc), statement.target, loc)]
