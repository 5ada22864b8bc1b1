"""Which arrays are short, and end with the function that makes them.

A model of a few states makes arrays all the time: `np.array([...])`, what a function returns,
`u + h * k`. To allocate one, to count who refers to it and to free it take several times as long as
the arithmetic on three duals. Where the length is known, and an array is used item by item alone,
its items are on the stack (`arrays.short`); functions return them as tuples.

An analysis on typed intermediate representation, through all `@njit` callees. It errs on the side
of "no", which makes an ordinary array.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numba.core import ir, types
from numba.core.compiler_machinery import register_pass

from dualgrad.arrays.short import ShortType
from dualgrad.compile.callees import (
    WRITERS,
    called_dispatcher,
    callee_name,
    is_library,
    reached,
)
from dualgrad.compile.frontend import Pass, Typed, derived, is_object_mode, typed
from dualgrad.compile.itemwise import Uses, is_elementwise
from dualgrad.compile.statements import Statements
from dualgrad.types import DualType, is_view, over

#: Items of the longest, its bytes, and those of all of a function.
MOST_ITEMS, MOST_BYTES, MOST_BYTES_OF_ALL = 32, 4096, 16384

_LITERALS = frozenset("array asarray".split())
BY_LENGTH = frozenset("empty zeros".split())


def short_arrays(code: Typed, original: Any, dual: DualType, returned: bool) -> dict[str, int]:
    """The short arrays by the variables that they are assigned to first: how long they are.

    They are not used when the function has ended, or only if they are `returned` as items. A
    function that calls itself has none: stacks are not endless.
    """
    found = _small(_Short(code).local(returned), code, dual)
    return {} if not found or any(it is original for it, _ in reached(code)) else found


def returned_arrays(code: Typed, dual: DualType) -> dict[str, int]:
    """The variables that are returned, if all are short arrays of one length that are new: that."""
    return _small(_Short(code).returned(), code, dual)


def _small(found: dict[str, int], code: Typed, dual: DualType) -> dict[str, int]:
    """Those arrays whose duals fit, the smallest first."""
    sizes = {name: n * _size(over(dual, code.typemap[name].dtype)) for name, n in found.items()}
    total, small = 0, {}
    for name in sorted(found, key=lambda name: sizes[name]):
        total += sizes[name]
        if sizes[name] <= MOST_BYTES and total <= MOST_BYTES_OF_ALL:
            small[name] = found[name]
    return small


def _size(ty: Any) -> int:
    """Of a number, in bytes."""
    return (1 + ty.n) * _size(ty.base) if isinstance(ty, DualType) else int(ty.bitwidth) // 8


def returned_length(dispatcher: Any, arg_types: tuple[types.Type, ...]) -> int | None:
    """How many items the arrays have that a function returns, if they are short and new."""
    if hasattr(dispatcher, "effect") or is_object_mode(dispatcher):
        return None  # a transform, or a function with a rule of its own, has no code
    known = derived(dispatcher, "returned_length")
    if arg_types not in known:
        known[arg_types] = None  # where it calls itself
        lengths = _Short(typed(dispatcher, arg_types)).returned().values()
        known[arg_types] = next(iter(lengths), None)
    found: int | None = known[arg_types]
    return found


@register_pass(mutates_CFG=False, analysis_only=False)
class OnStack(Pass):
    """The pass that puts the results of array expressions there, once these are known."""

    _name = "dualgrad_on_stack"

    def run_pass(self, state: Any) -> bool:
        short = state.pipeline.short
        for block in state.func_ir.blocks.values() if short else ():
            for statement in block.find_insts(ir.Assign):
                expr, length = statement.value, short.get(statement.target.name)
                if length is not None and getattr(expr, "op", "") == "arrayexpr":
                    ty = ShortType(expr.ty, length)
                    statement.value = ir.Expr("arrayexpr", expr.loc, expr=expr.expr, ty=ty)
        return bool(short)


class _Short:
    """The short arrays of a function, and how long they are."""

    def __init__(self, code: Typed) -> None:
        self.code, self.statements = code, Statements(code)
        self.lengths: dict[str, int | None] = {}

    def local(self, returned: bool) -> dict[str, int]:
        """See `short_arrays`."""
        if self.code.func_ir.is_generator:  # whose variables live on between its items
            return {}
        found = {}
        for name in self.statements.made:
            length = self.length(name) if self._is_new(name) else None
            if length is not None and self._is_local(name, returned):
                found[name] = length
        return found

    def returned(self) -> dict[str, int]:
        """See `returned_arrays`."""
        found: dict[str, int] = {}
        for statement in self.statements.returns:
            cast = self.statements.value(statement.value.name)
            if getattr(cast, "op", "") != "cast":
                return {}
            name = cast.value.name
            length, root = self.length(name), self._root(name)
            if length is None or not self._is_new(root) or not self._is_local(root, True):
                return {}
            found[name] = length
        return found if len({*found.values()}) == 1 else {}

    # ------------------------------------------------------------------------------- lengths

    def length(self, name: str) -> int | None:
        """How many items an array has; None if that is not known, or too many."""
        if name not in self.lengths:
            self.lengths[name] = None  # where it is made of itself
            found = self._length(name)
            self.lengths[name] = found if found is not None and 0 < found <= MOST_ITEMS else None
        return self.lengths[name]

    def _length(self, name: str) -> int | None:
        ty, value = self.code.typemap.get(name), self.statements.value(name)
        if not isinstance(ty, types.Array) or ty.ndim != 1 or ty.layout != "C":
            return None
        if not isinstance(ty.dtype, (types.Float, types.Complex)):
            return None
        if isinstance(value, ir.Var):
            return self.length(value.name)
        if not isinstance(value, ir.Expr):
            return None
        if value.op == "cast":
            return self.length(value.value.name)
        if value.op == "call":
            return self._of_call(value)
        if value.op == "binop" and is_elementwise(value.fn):
            return self._of_operands([value.lhs, value.rhs])
        if value.op == "unary" and is_elementwise(value.fn):
            return self._of_operands([value.value])
        return None

    def _of_call(self, expr: ir.Expr) -> int | None:
        dispatcher = called_dispatcher(self.code, expr)
        if dispatcher is not None and expr.vararg is None:
            return returned_length(dispatcher, self.code.calltypes[expr].args)
        key = getattr(self.code.typemap[expr.func.name], "typing_key", None)
        plain = not expr.kws and expr.vararg is None
        if isinstance(key, np.ufunc):
            known = plain and len(expr.args) == key.nin and is_elementwise(key)
            return self._of_operands(expr.args) if known else None
        if not is_library(key) or not plain or len(expr.args) != 1:
            return None
        name = callee_name(self.code, expr)
        if name in _LITERALS:
            return self._of_literal(expr.args[0].name)
        length = self.code.typemap[expr.args[0].name]
        is_known = name in BY_LENGTH and isinstance(length, types.IntegerLiteral)
        return length.literal_value if is_known else None

    def _of_literal(self, name: str) -> int | None:
        """Of a list that nothing else has, which could have made it longer."""
        items = self.statements.value(name)
        if not isinstance(items, ir.Expr) or items.op != "build_list":
            return None
        if len(self.statements.of[name]) != 2:
            return None
        return len(items.items)

    def _of_operands(self, operands: list[ir.Var]) -> int | None:
        """Arrays of one item may be repeated for another whose length is not known.

        What is no number may be an array, or None.
        """
        numbers = types.Number, types.Boolean
        known = [
            self.length(var.name)
            for var in operands
            if not isinstance(self.code.typemap[var.name], numbers)
        ]
        longest = max((it for it in known if it is not None), default=None)
        return longest if longest != 1 or None not in known else None

    # ---------------------------------------------------------------------------------- uses

    def _root(self, name: str) -> str:
        """The variable that an array was given to first."""
        value = self.statements.value(name)
        if isinstance(value, ir.Expr) and value.op == "cast":
            value = value.value
        return self._root(value.name) if isinstance(value, ir.Var) else name

    def _is_new(self, name: str) -> bool:
        """Whether an array is made where a variable is assigned."""
        value = self.statements.value(name)
        return isinstance(value, ir.Expr) and value.op in ("call", "binop", "unary")

    def _is_local(self, name: str, returned: bool) -> bool:
        [made] = self.statements.made[name]
        return _Uses(self.statements, {name}, False, made=made, returned=returned).are_items()


class _Uses(Uses):
    """The uses of an array that is new: its items may be taken and set, as many as there are.

    Where a loop makes it anew, nothing has the one before: each variable has one assignment, which
    comes before all that use it, and those are not allowed that choose between several (`phi`).
    """

    def __init__(self, *args: Any, made: ir.Assign, returned: bool) -> None:
        super().__init__(*args)
        self.made, self.returned = made, returned

    def _is_allowed(self, statement: Any) -> bool:
        if isinstance(statement, ir.Return):
            return self.returned
        return statement is self.made or super()._is_allowed(statement)

    def _expression(self, expr: ir.Expr, target: str) -> bool:
        if expr.op == "cast" and self.returned:
            self.names.add(target)
            return True
        if expr.op == "binop" and expr.fn is operator.matmul:
            return True
        return super()._expression(expr, target)

    def _call(self, expr: ir.Expr, target: str) -> bool:
        """Whether a function does no more than the usual, or makes a number or product of it."""
        if super()._call(expr, target):
            return True
        if not is_library(self._key(expr)) or expr.kws or expr.vararg is not None:
            return False
        name = callee_name(self.code, expr)
        is_product = name == "dot" and len(expr.args) == 2
        return is_product or (self._is_number(target) and name not in WRITERS)

    def _sets(self, statement: Any) -> bool:
        """Whether items are set to a number, or copied to another array."""
        target, value = statement.target.name, statement.value.name
        if value in self.names:
            return target not in self.names and isinstance(self.code.typemap[target], types.Array)
        index = getattr(statement, "index_var", None) or statement.index
        name = getattr(index, "name", None)
        return self._is_number(value) and name is not None and is_view(self.code.typemap[name])
