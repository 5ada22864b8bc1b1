"""How many tangents a sweep carries, where the user does not say.

Called from Python it is no more than the first call needs (`tune.fitted`).
"""

from __future__ import annotations

import operator
from typing import Any

from numba.core import ir, types

from dualgrad.compile.callees import called_dispatcher, callee_name
from dualgrad.compile.frontend import Typed, is_object_mode, primal_type, typed
from dualgrad.types import duals_in

#: Lanes of the last sweep, for what is left and for small problems: one vector on AVX-512. Those of
#: the smallest, where a function is called with as few inputs first: half of that.
SMALL, SMALLEST = 8, 4
#: Lanes while there are columns for them. A matrix product wants more: they are the columns of its
#: GEMM. Factorisations do not: with 64 lanes an active 100 x 100 matrix leaves the cache, at
#: fourteen times the time. Nor do costly functions, whose values are recalled (`dualgrad.recall`).
LARGE, LARGE_OF_PRODUCTS = 32, 64
#: Lanes while there are columns for them at each of many points, where problems are small.
AT_POINT = 16
#: Lanes where numbers carry tangents already, of one transform, or of more: numbers, and the code
#: for them, grow with the product. Three times 32 lanes did not compile in minutes.
NESTED = SMALL, 4
#: Rows and columns of a Hessian in a sweep.
ROWS, COLUMNS = 8, 4
#: The same by how many transforms the numbers carry tangents of already: none, one, or more.
BLOCKS = (ROWS, COLUMNS), (4, 2), (4, 2)
#: Share of matrix products among all operations from which more lanes are better.
SHARE_OF_PRODUCTS = 0.05


def sizes(function: Any, argnums: tuple[int, ...], arg_types: Any) -> tuple[int, ...]:
    """The numbers of lanes of the sweeps of a kernel, the largest first."""
    if not any(isinstance(arg_types[k], types.Array) for k in argnums):
        return (len(argnums),)
    if nested := _level(arg_types):
        return (NESTED[nested - 1],)
    products, total = _operations(function, tuple(primal_type(ty) for ty in arg_types), set())
    return (LARGE_OF_PRODUCTS if products > SHARE_OF_PRODUCTS * total else LARGE), SMALL


def sizes_at_point(argnums: tuple[int, ...], arg_types: Any) -> tuple[int, ...]:
    """The same for a problem that is solved at many points."""
    if not any(isinstance(arg_types[k], types.Array) for k in argnums):
        return (len(argnums),)
    if nested := _level(arg_types):
        return (NESTED[nested - 1],)
    return AT_POINT, SMALL


def _level(arg_types: Any) -> int:
    """How many transforms gave tangents to these arguments: none, one, or two and more."""
    return min(2, max((dual.depth for ty in arg_types for dual in duals_in(ty)), default=0))


def rows(function: Any, argnums: tuple[int, ...], arg_types: Any, n: int | None) -> int:
    """The number of lanes that carry rows in a sweep for second derivatives."""
    if n is not None:
        return n
    if not any(isinstance(arg_types[k], types.Array) for k in argnums):
        return len(argnums)
    return BLOCKS[_level(arg_types)][0]


def block(
    function: Any, argnums: tuple[int, ...], arg_types: Any, n: int | None
) -> tuple[int, int]:
    """How many rows and columns of a Hessian a sweep computes."""
    count = rows(function, argnums, arg_types, n)
    return count, min(count, BLOCKS[_level(arg_types)][1])


def _operations(
    function: Any, arg_types: tuple[types.Type, ...], seen: set[Any]
) -> tuple[int, int]:
    """How many matrix products, and operations, the code of a function and its callees has."""
    if function in seen or hasattr(function, "for_duals") or is_object_mode(function):
        return 0, 0
    seen.add(function)
    code = typed(function, arg_types)
    products = total = 0
    for block in code.func_ir.blocks.values():
        for assign in block.find_insts(ir.Assign):
            if isinstance(assign.value, ir.Expr):
                more = _of_expression(code, assign.value, seen)
                products, total = products + more[0], total + more[1]
    return products, total


def _of_expression(code: Typed, expr: Any, seen: set[Any]) -> tuple[int, int]:
    if expr.op in ("binop", "inplace_binop", "unary"):
        return int(expr.fn is operator.matmul), 1
    if expr.op != "call":
        return 0, 0
    dispatcher = called_dispatcher(code, expr)
    if dispatcher is not None:
        return _operations(dispatcher, code.calltypes[expr].args, seen)
    return int(callee_name(code, expr) == "dot"), 1
