"""What a function does many times: terms of a sum, say, or products of matrices."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numba.core import ir, types
from numba.core.analysis import compute_cfg_from_blocks

from dualgrad.compile.callees import callee_name, reached
from dualgrad.compile.frontend import Typed, typed


def has_terms(function: Any, arg_types: tuple[types.Type, ...]) -> bool:
    """Whether it, with the `@njit` functions that it calls, has loops and no linear algebra."""
    code = typed(function, arg_types)
    codes = [code, *(its for _, its in reached(code))]
    return set[str]().union(*map(_kinds, codes)) == {"loop"}


def _kinds(code: Typed) -> set[str]:
    found = {"loop"} if compute_cfg_from_blocks(code.func_ir.blocks).loops() else set()
    for block in code.func_ir.blocks.values():
        for assign in block.find_insts(ir.Assign):
            if isinstance(assign.value, ir.Expr):
                is_array = isinstance(code.typemap[assign.target.name], types.Array)
                found |= _kinds_of(code, assign.value, is_array)
    return found


def _kinds_of(code: Typed, expr: ir.Expr, is_array: bool) -> set[str]:
    if expr.op in ("binop", "inplace_binop", "unary"):
        if expr.fn is operator.matmul:
            return {"algebra"}
        return {"loop"} if is_array else set()
    if expr.op != "call":
        return set()
    key = getattr(code.typemap[expr.func.name], "typing_key", None)
    if isinstance(key, np.ufunc):
        return {"loop"} if is_array else set()
    in_algebra = "linalg" in str(getattr(key, "__module__", ""))
    return {"algebra"} if in_algebra or callee_name(code, expr) == "dot" else set()
