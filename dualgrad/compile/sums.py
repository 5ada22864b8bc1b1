"""Sums and means of array expressions: one loop that adds items up, without an array of them.

`np.sum((y - model) ** 2)` makes an array of as many duals as there are data, to read each of them
once. Numba makes one of as many floats; items are added in the same order here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numba.core import ir, postproc, types
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NopythonRewrites

from dualgrad.arrays.sums import TotalType
from dualgrad.compile.frontend import Pass
from dualgrad.types import DualType

_FUNCTIONS = {np.sum: "sum", np.mean: "mean"}


@register_pass(mutates_CFG=False, analysis_only=False)
class _FuseSums(Pass):
    _name = "dualgrad_fuse_sums"

    def run_pass(self, state: Any) -> bool:
        blocks = state.func_ir.blocks.values()
        users = Counter(name for block in blocks for it in block.body for name in _names(it))
        found = [_Block(state.typemap, block, users).fuse() for block in blocks]
        if any(found):
            postproc.PostProcessor(state.func_ir).run()  # some variables are gone
        return any(found)


def fuse_sums(pm: Any) -> None:
    """Let a pipeline do so, once array expressions are known."""
    pm.add_pass_after(_FuseSums, NopythonRewrites)


class _Block:
    """Assignments of a block by the names of their targets.

    `users` says how many statements name a variable.
    """

    def __init__(self, typemap: Any, block: Any, users: Counter[str]) -> None:
        self.typemap, self.block, self.users = typemap, block, users
        self.made = {it.target.name: it for it in block.find_insts(ir.Assign)}

    def fuse(self) -> bool:
        """Compute each sum in place of its array; whether there were any."""
        gone: set[str] = set()
        for call, array, method, kind in [*self._sums()]:
            made = self.made[array]
            ty = TotalType(self.typemap[array], kind)
            expr = ir.Expr("arrayexpr", made.loc, expr=made.value.expr, ty=ty)
            total = ir.Assign(expr, call.target, call.loc)
            kept = (it for it in self.block.body if it is not call)
            self.block.body = [total if it is made else it for it in kept]
            gone |= {array, method}
        self.block.body = [it for it in self.block.body if gone.isdisjoint(_names(it, True))]
        return bool(gone)

    def _sums(self) -> Iterator[tuple[ir.Assign, str, str, str]]:
        """Calls, the arrays that they add up, bound methods, and what is made of them."""
        for call in self.made.values():
            expr = call.value
            if not isinstance(expr, ir.Expr) or expr.op != "call":
                continue
            if expr.kws or expr.vararg is not None or len(expr.args) > 1:
                continue
            function = self.typemap.get(expr.func.name)
            if isinstance(function, types.Function) and expr.args:
                kind = _FUNCTIONS.get(function.typing_key, "")
                array, method = expr.args[0].name, ""
            elif isinstance(function, types.BoundFunction) and not expr.args:
                kind, array, method = *self._bound(expr.func.name), expr.func.name
            else:
                continue
            alone = self.users[array] == 2 and self.users[method] in (0, 2)
            if alone and kind in _FUNCTIONS.values() and self._is_expression(array, call):
                yield call, array, method, kind

    def _bound(self, name: str) -> tuple[str, str]:
        """The name of a method, and of what has it."""
        value: Any = self.made[name].value if name in self.made else None
        is_getattr = isinstance(value, ir.Expr) and value.op == "getattr"
        return (value.attr, value.value.name) if is_getattr else ("", "")

    def _is_expression(self, array: str, call: ir.Assign) -> bool:
        """Whether an array is made by an expression, in the order in which it is added up."""
        made, ty = self.made.get(array), self.typemap.get(array)
        if made is None or not made.target.is_temp or getattr(made.value, "op", "") != "arrayexpr":
            return False
        if not isinstance(ty.dtype, DualType) or ty.dtype != self.typemap[call.target.name]:
            return False
        layouts = {getattr(self.typemap[it.name], "layout", "C") for it in made.value.list_vars()}
        return ty.ndim == 1 or (ty.layout == "C" and "F" not in layouts)


def _names(statement: Any, deletions: bool = False) -> set[str]:
    """The variables that a statement names."""
    if isinstance(statement, ir.Del):
        return {statement.value} if deletions else set()
    return {it.name for it in statement.list_vars()}
