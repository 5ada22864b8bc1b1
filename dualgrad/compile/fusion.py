"""Array expressions in one loop: without arrays that nothing but another one, or a sum, uses.

Numba makes one loop of an expression. Of `model = a * np.exp(-b * t)`, `r = y - model` and
`np.sum(r**2)` it makes four, and two arrays, each written once and read once. With duals in them
these are many times as long; here that is one loop, and no array. Items are the same, to the last
bit, and are added in the same order.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numba.core import ir, postproc, types
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NopythonRewrites

from dualgrad.arrays.sums import TotalType
from dualgrad.compile.frontend import Pass
from dualgrad.compile.short import OnStack
from dualgrad.types import DualType, primal

_FUNCTIONS = {np.sum: "sum", np.mean: "mean"}
_METHODS = frozenset(_FUNCTIONS.values())
#: Expressions and calls that write to nothing, given what is no object with methods of its own.
_PURE = frozenset(
    "arrayexpr getattr getitem static_getitem typed_getitem binop unary cast build_tuple".split()
)
_PURE_FUNCTIONS = {slice, len, *_FUNCTIONS}
_PLAIN = (
    types.Number, types.Boolean, types.ArrayCompatible, types.BaseTuple, types.Module,
    types.SliceType, types.NoneType,
)  # fmt: skip
#: What costs no more than to read an item from memory.
_CHEAP = {operator.add, operator.sub, operator.mul, operator.neg, operator.pos}
#: What items are in an array and in the middle of an expression alike.
_EXACT = types.float64, types.complex128


@register_pass(mutates_CFG=False, analysis_only=False)
class _Fuse(Pass):
    _name = "dualgrad_fuse"

    def run_pass(self, state: Any) -> bool:
        if state.func_ir.is_generator:  # whose type says which variables live on
            return False
        blocks = state.func_ir.blocks.values()
        users = Counter(name for block in blocks for it in block.body for name in _names(it))
        found = [_Block(state.typemap, block, users).fuse() for block in blocks]
        if any(found):
            postproc.PostProcessor(state.func_ir).run()  # some variables are gone
        return any(found)


def fuse(pm: Any) -> None:
    """Let a pipeline do so, once array expressions are known."""
    pm.add_pass_after(OnStack, NopythonRewrites)
    pm.add_pass_after(_Fuse, NopythonRewrites)


class _Block:
    """Assignments of a block by the names of their targets.

    `users` says how many statements name a variable.
    """

    def __init__(self, typemap: Any, block: Any, users: Counter[str]) -> None:
        self.typemap, self.block, self.users = typemap, block, users

    def fuse(self) -> bool:
        """Whether there was anything to fuse."""
        self.made = {it.target.name: it for it in self.block.find_insts(ir.Assign)}
        gone = self._join()
        self.made = {it.target.name: it for it in self.block.find_insts(ir.Assign)}
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

    # ---------------------------------------------------------------- expressions in another

    def _join(self) -> set[str]:
        """Let arrays that one expression uses be a part of it; their names."""
        arrays: dict[str, ir.Assign] = {}  # what they are made of is as it was
        gone: set[str] = set()
        body = []
        for statement in self.block.body:
            if not self._is_pure(statement):
                arrays.clear()
            if isinstance(statement, ir.Assign):
                target = statement.target.name
                if _is_expression(statement.value):
                    like = self._alike(arrays, self.typemap[target])
                    tree = _joined(statement.value.expr, like, gone)
                    expr = ir.Expr("arrayexpr", statement.loc, expr=tree, ty=statement.value.ty)
                    statement = ir.Assign(expr, statement.target, statement.loc)
                arrays = {key: it for key, it in arrays.items() if target not in _names(it)}
                if _is_expression(statement.value) and self._is_for_one(statement):
                    arrays[target] = statement
            body.append(statement)
        if gone:
            self.block.body = [it for it in body if not _makes(it, gone)]
        return gone

    def _alike(self, arrays: dict[str, ir.Assign], ty: types.Array) -> dict[str, ir.Assign]:
        """Those arrays whose items an expression needs once each, or that cost nothing.

        An array that is broadcast is made once, and its items are used many times. An axis of one
        item shows in no type.
        """
        return {
            name: made
            for name, made in arrays.items()
            if self.typemap[name].ndim == ty.ndim
            and (ty.ndim == 1 or _functions(made.value.expr) <= _CHEAP)
        }

    def _is_for_one(self, made: ir.Assign) -> bool:
        """Whether one more statement names an array, and may have its items unrounded."""
        ty = self.typemap[made.target.name]
        if not isinstance(ty.dtype, DualType) or self.users[made.target.name] != 2:
            return False
        numbers = [self.typemap[it.name] for it in made.value.list_vars()]
        numbers = [primal(getattr(it, "dtype", it)) for it in numbers]
        single = types.float32, types.complex64, types.float16
        return primal(ty.dtype) in _EXACT and not any(it in single for it in numbers)

    def _is_pure(self, statement: Any) -> bool:
        """Whether a statement writes to no array, as far as is known."""
        if not isinstance(statement, ir.Assign):
            return isinstance(statement, ir.Del)
        value = statement.value
        if not isinstance(value, ir.Expr):
            return isinstance(value, (ir.Const, ir.Global, ir.FreeVar, ir.Var, ir.Arg))
        if value.op != "call":
            kinds = [self.typemap.get(it.name) for it in value.list_vars()]
            return value.op in _PURE and all(isinstance(it, _PLAIN) for it in kinds)
        function = self.typemap.get(value.func.name)
        if isinstance(function, types.BoundFunction):
            return isinstance(function.this, types.Array) and self._method(value) is not None
        key = getattr(function, "typing_key", None)
        if isinstance(key, np.ufunc):
            return len(value.args) == key.nin and not value.kws and value.vararg is None
        is_math = getattr(key, "__module__", "") == math.__name__
        return isinstance(function, types.Function) and (key in _PURE_FUNCTIONS or is_math)

    # -------------------------------------------------------------------------------- sums

    def _sums(self) -> Iterator[tuple[ir.Assign, str, str, str]]:
        """Calls, the arrays that they add up, bound methods, and what is made of them."""
        for call in self.made.values():
            if not isinstance(call.value, ir.Expr) or call.value.op != "call":
                continue
            found = self._function(call.value) or self._method(call.value)
            if found is not None and self._is_alone(call, *found[:2]):
                yield call, *found

    def _function(self, call: ir.Expr) -> tuple[str, str, str] | None:
        """Of a call of a function of one array: that, nothing, and what is made of it."""
        function = self.typemap.get(call.func.name)
        alone = len(call.args) == 1 and not call.kws and call.vararg is None
        key = function.typing_key if alone and isinstance(function, types.Function) else None
        return (call.args[0].name, "", _FUNCTIONS[key]) if key in _FUNCTIONS else None

    def _method(self, call: ir.Expr) -> tuple[str, str, str] | None:
        """Of a call of a method without arguments: what has it, its name, and likewise."""
        made = self.made.get(call.func.name)
        value: Any = None if made is None else made.value
        if call.args or call.kws or call.vararg is not None or not isinstance(value, ir.Expr):
            return None
        if value.op != "getattr" or value.attr not in _METHODS:
            return None
        return value.value.name, call.func.name, value.attr

    def _is_alone(self, call: ir.Assign, array: str, method: str) -> bool:
        """Whether a call has all of an array, which is made in the order in which it is added."""
        made, ty = self.made.get(array), self.typemap.get(array)
        if self.users[array] != 2 or self.users[method] not in (0, 2):
            return False
        if made is None or not _is_expression(made.value) or not isinstance(ty.dtype, DualType):
            return False
        layouts = {getattr(self.typemap[it.name], "layout", "C") for it in made.value.list_vars()}
        in_order = ty.ndim == 1 or (ty.layout == "C" and "F" not in layouts)
        return in_order and ty.dtype == self.typemap[call.target.name]


def _is_expression(value: Any) -> bool:
    return isinstance(value, ir.Expr) and value.op == "arrayexpr"


def _joined(tree: Any, arrays: dict[str, ir.Assign], gone: set[str]) -> Any:
    """An expression with those of arrays in their place, where each is named once, or squared."""
    leaves = Counter(it.name for it in _leaves(tree))

    def joined(it: Any) -> Any:
        if isinstance(it, ir.Var) and it.name in arrays and leaves[it.name] == 1:
            gone.add(it.name)
            return arrays[it.name].value.expr
        if not isinstance(it, tuple):
            return it
        function, operands = it
        names = [it.name for it in operands if isinstance(it, ir.Var)]
        is_square = function is operator.mul and len(names) == 2 and len({*names}) == 1
        if is_square and names[0] in arrays and leaves[names[0]] == 2:
            gone.add(names[0])
            return np.square, [arrays[names[0]].value.expr]
        return function, [joined(one) for one in operands]

    return joined(tree)


def _functions(tree: Any) -> set[Any]:
    """The functions of an expression."""
    if not isinstance(tree, tuple):
        return set()
    return {tree[0]}.union(*map(_functions, tree[1]))


def _leaves(tree: Any) -> Iterator[ir.Var]:
    """The variables of an expression."""
    if isinstance(tree, tuple):
        for operand in tree[1]:
            yield from _leaves(operand)
    elif isinstance(tree, ir.Var):
        yield tree


def _makes(statement: Any, names: set[str]) -> bool:
    return isinstance(statement, ir.Assign) and statement.target.name in names


def _names(statement: Any, deletions: bool = False) -> set[str]:
    """The variables that a statement names."""
    if isinstance(statement, ir.Del):
        return {statement.value} if deletions else set()
    return {it.name for it in statement.list_vars()}
