"""Which arrays are used item by item alone, so that their duals need not be in memory.

An analysis on typed intermediate representation, through all `@njit` callees. It errs on the side
of "no": what is not known to be a use of items, or a view, makes an ordinary array.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba.core import ir, types

from dualgrad.compile.callees import (
    call_arguments,
    called_dispatcher,
    callee_name,
    folded_arguments,
    is_library,
)
from dualgrad.compile.frontend import Typed, derived, is_object_mode, typed
from dualgrad.compile.statements import Statements
from dualgrad.types import is_item, is_view

_SHAPES = frozenset("size shape ndim".split())
_RESHAPES = frozenset("reshape ravel".split())
_LOOPS = enumerate, zip
_SUMS = frozenset("sum mean".split())
_LIKE = frozenset("empty_like zeros_like".split())
_BY_SHAPE = frozenset("empty zeros".split())


def is_itemwise(
    dispatcher: Any, arg_types: tuple[types.Type, ...], k: int, written: bool = False
) -> bool:
    """Whether a function does no more with an argument than to take items, or to set them.

    Array expressions, loops and sums take items.
    """
    if hasattr(dispatcher, "effect") or is_object_mode(dispatcher):
        return False  # a transform, or a function with a rule of its own, has no code
    known = derived(dispatcher, "itemwise")
    call = arg_types, k, written
    if call not in known:
        known[call] = False  # where it calls itself
        code = typed(dispatcher, arg_types)
        statements = Statements(code)
        names = {name for name in statements.made if _is_argument(statements.value(name), k)}
        is_array = all(isinstance(code.typemap[name], types.Array) for name in names)  # no `*args`
        known[call] = is_array and Uses(statements, names, written).are_items()
    found: bool = known[call]
    return found


def allocation(code: Typed) -> ir.Assign | None:
    """The allocation of the result of a function that does no more with it than to set items."""
    statements = Statements(code)
    roots = {_origin(statements, it.value.name) for it in statements.returns}
    if len(roots) != 1:
        return None
    [statement, *others] = statements.made.get(roots.pop(), [None])
    if statement is None or others or not _allocates(code, statement):
        return None
    uses = Uses(statements, {statement.target.name}, written=True, result=statement)
    return statement if uses.are_items() else None


def is_zeros(code: Typed, allocation: ir.Assign) -> bool:
    """Whether an allocation is filled with zeros."""
    return callee_name(code, allocation.value).startswith("zeros")


def is_like(code: Typed, allocation: ir.Assign) -> bool:
    """Whether it takes its shape from another array."""
    return callee_name(code, allocation.value) in _LIKE


def _is_argument(value: Any, k: int) -> bool:
    return isinstance(value, ir.Arg) and value.index == k


def _origin(statements: Statements, name: str) -> str:
    """The variable of which another is a name or another shape."""
    while True:
        value = statements.value(name)
        if isinstance(value, ir.Var):
            name = value.name
        elif isinstance(value, ir.Expr) and value.op == "cast":
            name = value.value.name
        elif isinstance(value, ir.Expr) and value.op == "call":
            method = statements.value(value.func.name)
            if not (isinstance(method, ir.Expr) and method.op == "getattr"):
                return name
            if method.attr not in _RESHAPES:
                return name
            name = method.value.name
        else:
            return name


def _allocates(code: Typed, statement: ir.Assign) -> bool:
    """Whether a statement is a call of NumPy that makes an array of floats in C order."""
    expr, ty = statement.value, code.typemap[statement.target.name]
    if not isinstance(expr, ir.Expr) or expr.op != "call" or expr.vararg is not None:
        return False
    key = getattr(code.typemap[expr.func.name], "typing_key", None)
    if not is_library(key) or len(expr.args) not in (1, 2) or set(dict(expr.kws)) - {"dtype"}:
        return False
    of_floats = isinstance(ty, types.Array) and isinstance(ty.dtype, types.Float)
    if not of_floats or ty.layout != "C" or ty.ndim == 0:
        return False
    given = code.typemap[expr.args[0].name]
    if callee_name(code, expr) in _LIKE:
        return isinstance(given, types.Array) and given.ndim == ty.ndim
    return callee_name(code, expr) in _BY_SHAPE and is_item(given, ty.ndim)


def is_elementwise(function: Any) -> bool:
    """Whether a ufunc or operator has a rule, and takes each item of an array by itself."""
    from dualgrad.arrays.elementwise import OPERATORS  # which code on disk does not need
    from dualgrad.scalars import TANGENTS

    known = function in OPERATORS or (isinstance(function, np.ufunc) and function.nout == 1)
    return known and function in TANGENTS


def _place_of(at: Any) -> tuple[str, str | None]:
    """The names of the array and of the index of an item that is taken or set."""
    parts = at._kws if isinstance(at, ir.Expr) else vars(at)
    array = parts["value"] if isinstance(at, ir.Expr) else at.target
    index = parts.get("index_var") or parts["index"]
    return array.name, getattr(index, "name", None)


def _takes(statement: Any, name: str) -> bool:
    """Whether a statement uses the value of a variable."""
    taken = [var.name for var in statement.list_vars()]
    if isinstance(statement, ir.Assign):
        taken.remove(statement.target.name)
    return name in taken


@dataclass
class Uses:
    """All uses of an array, by any of its names."""

    statements: Statements
    names: set[str]
    written: bool
    #: the allocation, if it is what the function returns
    result: ir.Assign | None = None
    #: bound methods that give it another shape
    methods: set[str] = field(default_factory=set)
    #: what loops over it take its items from
    iterators: set[str] = field(default_factory=set)

    @property
    def code(self) -> Typed:
        """The function."""
        return self.statements.code

    def are_items(self) -> bool:
        """Whether all of them are uses of one item, or of the shape."""
        size = 0
        while size != len(self.followed):
            size = len(self.followed)
            statements = [it for name in self.followed for it in self.statements.of[name]]
            if not all(map(self._is_allowed, statements)):
                return False
        if self.result is not None and not all(map(self._is_allowed, self.statements.returns)):
            return False
        return all(len(self.statements.made[name]) == 1 for name in self.followed)

    @property
    def followed(self) -> set[str]:
        """The variables whose uses are looked at."""
        return self.names | self.methods | self.iterators

    def _is_allowed(self, statement: Any) -> bool:
        if isinstance(statement, ir.Return):  # of one of its names, or of another array
            return self.result is not None and statement.value.name in self.names
        if isinstance(statement, (ir.SetItem, ir.StaticSetItem)):
            return self._sets(statement)
        if statement is self.result:
            return True
        if not isinstance(statement, ir.Assign):
            return False
        value, target = statement.value, statement.target.name
        if isinstance(value, ir.Arg):
            return True
        if isinstance(value, ir.Var):
            (self.iterators if value.name in self.iterators else self.names).add(target)
            return True
        if not isinstance(value, ir.Expr):
            return False
        if any(var.name in self.iterators for var in value.list_vars()):
            return self._is_of_loop(value, target)
        if isinstance(self.code.typemap[target], types.IteratorType):
            self.iterators.add(target)
        return self._expression(value, target)

    def _is_of_loop(self, expr: ir.Expr, target: str) -> bool:
        """Whether an iterator is used in a loop, or by another one, and not kept."""
        if expr.op == "iternext":
            return True
        self.iterators.add(target)
        is_call = expr.op == "call" and not expr.kws and expr.vararg is None
        return expr.op == "getiter" or (is_call and self._key(expr) in _LOOPS)

    def _key(self, expr: ir.Expr) -> Any:
        """What is called, if it is no method."""
        return getattr(self.code.typemap[expr.func.name], "typing_key", None)

    def _expression(self, expr: ir.Expr, target: str) -> bool:
        if expr.op == "call":
            return self._call(expr, target)
        if expr.op == "cast" and self.result is not None:
            self.names.add(target)
            return True
        if expr.op == "getattr":
            if expr.attr in _RESHAPES and self._is_in_c_order(expr.value.name):
                self.methods.add(target)
                return True
            if expr.attr in _SUMS and self._is_summed(expr.value.name, expr.attr):
                self.methods.add(target)
                return True
            if expr.attr == "T" and not self.written:
                self.names.add(target)
                return True
            return expr.attr in _SHAPES
        if expr.op in ("getitem", "static_getitem") and self._is_item(expr.value.name, expr):
            return not self.written or self._is_changed(expr, target)
        if self.written:
            return False
        if expr.op in ("getitem", "static_getitem"):
            return self._is_view(expr, target)
        if expr.op == "getiter":
            return self._has_one_axis(expr.value.name)
        return expr.op in ("binop", "unary") and is_elementwise(expr.fn)

    def _is_view(self, expr: ir.Expr, target: str) -> bool:
        """Whether a part of the array is taken by slices."""
        name, index = _place_of(expr)
        if name not in self.names or index is None or not is_view(self.code.typemap[index]):
            return False
        self.names.add(target)
        return True

    def _is_changed(self, item: ir.Expr, target: str) -> bool:
        """Whether an item is taken to add something to it, or subtract, and for nothing else."""
        for block in self.code.func_ir.blocks.values():
            body = [it for it in block.body if not isinstance(it, ir.Del)]
            for start, statement in enumerate(body):
                if isinstance(statement, ir.Assign) and statement.value is item:
                    return self._ends_in_change(body[start:], target)
        return False

    def _ends_in_change(self, body: list[Any], item: str) -> bool:
        """Whether the item that the first statement takes goes back changed to where it was."""
        change, changed = None, None
        for statement in body[1:]:
            if change is None and _takes(statement, item):
                change = statement.value
                if getattr(change, "op", "") != "inplace_binop" or change.lhs.name != item:
                    return False
                changed = statement.target.name
                is_sum = change.fn in (operator.iadd, operator.isub)
                if not is_sum or change.rhs.name == item or not self._is_number(change.rhs.name):
                    return False
            elif changed is not None and _takes(statement, changed):
                goes_back = isinstance(statement, (ir.SetItem, ir.StaticSetItem))
                goes_back = goes_back and statement.value.name == changed
                same = goes_back and _place_of(statement) == _place_of(body[0].value)
                return same and self._users_of(item) == self._users_of(changed) == 1
            elif any(var.name in self.followed for var in statement.list_vars()):
                return False  # it may set the item
        return False

    def _users_of(self, name: str) -> int:
        """How many statements use a variable."""
        return sum(_takes(statement, name) for statement in self.statements.of[name])

    def _is_number(self, name: str) -> bool:
        return isinstance(self.code.typemap[name], (types.Number, types.Boolean))

    def _is_in_c_order(self, name: str) -> bool:
        ty = self.code.typemap[name]
        return isinstance(ty, types.Array) and ty.layout == "C"

    def _is_summed(self, name: str, how: str) -> bool:
        """Whether the sum or mean of an array can be that of its items."""
        in_order = self._has_one_axis(name) or self._is_in_c_order(name)
        rounded = how == "mean" and self.code.typemap[name].dtype != types.float64
        return in_order and not rounded and not self.written

    def _has_one_axis(self, name: str) -> bool:
        ty = self.code.typemap[name]
        return isinstance(ty, types.Array) and ty.ndim == 1

    def _is_item(self, name: str, at: Any) -> bool:
        """Whether an index takes one item of an array, and not a part of it."""
        _, index = _place_of(at)
        if name not in self.names or index is None:
            return False
        return is_item(self.code.typemap[index], self.code.typemap[name].ndim)

    def _sets(self, statement: Any) -> bool:
        """Whether one item is set to a number."""
        if not self.written or statement.value.name in self.names:
            return False
        is_number = self._is_number(statement.value.name)
        return is_number and self._is_item(statement.target.name, statement)

    def _call(self, expr: ir.Expr, target: str) -> bool:
        given = {var.name for var in call_arguments(expr)}
        if expr.func.name in self.methods:
            # np.reshape has an option, and so has ravel
            if expr.kws or expr.vararg is not None or not given.isdisjoint(self.names):
                return False
            if self._is_number(target):
                return not expr.args
            self.names.add(target)
            return self._is_in_c_order(target)
        dispatcher = called_dispatcher(self.code, expr)
        if dispatcher is not None:
            return self._passes_on(expr, dispatcher)
        key = self._key(expr)
        if key is len:
            return True
        if key in _LOOPS and not self.written and not expr.kws and expr.vararg is None:
            return all(map(self._has_one_axis, given & self.names))
        if isinstance(key, np.ufunc) and not self.written and is_elementwise(key):
            return len(expr.args) == key.nin and not expr.kws and expr.vararg is None
        alone = len(expr.args) == 1 and not expr.kws and expr.vararg is None and not self.written
        if not alone or not is_library(key):
            return False
        name, given_name = callee_name(self.code, expr), expr.args[0].name
        if name in _SUMS:
            return self._is_summed(given_name, name)
        return name in _LIKE and self._is_in_c_order(given_name)

    def _passes_on(self, expr: ir.Expr, dispatcher: Any) -> bool:
        """Whether a function that is called makes no other use of it."""
        if expr.vararg is not None:
            return False
        arg_types = self.code.calltypes[expr].args
        for k, group in enumerate(folded_arguments(self.code, expr)):
            is_given = any(var.name in self.names for var in group)
            if is_given and len(group) != 1:
                return False
            if is_given and not is_itemwise(dispatcher, arg_types, k, self.written):
                return False
        return True
