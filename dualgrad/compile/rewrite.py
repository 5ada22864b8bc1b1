"""Rewrite a function's intermediate representation so that its buffers can hold duals.

An allocation that an active value can reach is followed by a copy into duals, a call of an
`@njit` function that is handed something active becomes a call of its clone. All else stays.
"""

from __future__ import annotations

import collections
import functools
import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import vectorize
from numba.core import ir, ir_utils, types
from numba.core.errors import UnsupportedError
from numba.extending import register_jitable
from numba.np.ufunc.dufunc import DUFunc
from numba.typed import Dict, List

from dualgrad.arrays.short import gathered, on_stack, zeros_on_stack
from dualgrad.arrays.values import values
from dualgrad.compile.activity import Activity
from dualgrad.compile.buffers import is_buffer
from dualgrad.compile.callees import call_arguments, called_dispatcher, callee_name, is_fresh
from dualgrad.compile.fields import refuse_writes_to_fields
from dualgrad.compile.frontend import Typed, carries_dual
from dualgrad.compile.promote import converted, promote, promoted
from dualgrad.compile.results import kept_results
from dualgrad.compile.short import BY_LENGTH, returned_arrays, short_arrays
from dualgrad.compile.statements import Statements
from dualgrad.compile.unrolled import item_of_type
from dualgrad.instances import new_instance
from dualgrad.types import DualType, over


@register_jitable
def empty_list(item: Any) -> Any:
    """An empty typed list of items of a type."""
    return List.empty_list(item)


@register_jitable
def empty_dict(key: Any, value: Any) -> Any:
    """An empty typed dictionary of keys and values of two types."""
    return Dict.empty(key, value)


@register_jitable
def empty_array(count: int, dtype: Any) -> Any:
    """A new array with one axis."""
    return np.empty(count, dtype)


@functools.cache
def items_of_array(count: int) -> Any:
    """The class of the tuples that are returned in place of arrays of so many items."""
    return collections.namedtuple("ItemsOfArray", [f"item{k}" for k in range(count)])


def is_items(ty: Any) -> bool:
    """Whether a type is that of such a tuple."""
    return isinstance(ty, types.NamedUniTuple) and ty.instance_class is items_of_array(ty.count)


_CONTAINERS = (types.List, types.ListType, types.DictType)


class Rewriter:
    """Rewrites one function for one set of argument types."""

    def __init__(
        self,
        code: Typed,
        original: Any,
        dual: DualType,
        activity: Activity,
        arg_types: Sequence[types.Type],
        clone_of: Callable[..., Any],
        as_items: bool = False,
    ) -> None:
        self.code, self.original = code, original
        self.dual, self.activity = dual, activity
        self.arg_types, self.clone_of, self.as_items = arg_types, clone_of, as_items

    def run(self) -> None:
        func_ir = self.code.func_ir
        self.users = Statements(self.code).of
        self.effect = self.activity.summary(len(self.arg_types))
        refuse_writes_to_fields(self.code, self.activity, self.dual, self.arg_types)
        self.kept = kept_results(self.code, self.arg_types)
        self.literals = self._array_literals()
        self.returned = self._returned() if self.as_items else {}
        self.short = short_arrays(self.code, self.original, self.dual, bool(self.returned))
        for block in func_ir.blocks.values():
            body: list[Any] = []
            for statement in block.body:
                body += self._statement(statement, block.scope)
            block.body = body
        for block in func_ir.blocks.values():
            for assign in block.find_insts(ir.Assign):
                if isinstance(assign.value, ir.Expr) and assign.value.op == "phi":
                    self._join(assign.target, assign.value)
        func_ir._definitions = ir_utils.build_definitions(func_ir.blocks)

    def _statement(self, statement: Any, scope: Any) -> list[Any]:
        new = _Builder(scope, statement.loc)
        if isinstance(statement, (ir.SetItem, ir.StaticSetItem, ir.StoreMap)):
            self._store(statement, new)
        if isinstance(statement, (ir.DynamicRaise, ir.DynamicTryRaise)):
            self._raise(statement, new)
        if not isinstance(statement, ir.Assign):
            return [*new.body, statement]
        loc, target, value = statement.loc, statement.target, statement.value
        if target.name in self.kept:
            return self.kept[target.name]
        if target.name in self.literals and self.activity.is_active(target.name):
            return [ir.Assign(ir.Expr.build_tuple(value.items, loc), target, loc)]
        if isinstance(value, ir.Expr) and value.op == "call":
            value = self._call(value, target, new)
        elif isinstance(value, ir.Expr) and value.op == "typed_getitem":
            if self.activity.is_active(value.value.name):
                value = new.call(item_of_type, value.value, value.index, new.constant(value.dtype))
        elif isinstance(value, ir.Expr) and value.op == "build_tuple":
            if not self._is_compared(target.name):
                value = ir.Expr.build_tuple(self._alike(value.items, new), value.loc)
        elif isinstance(value, ir.Expr) and value.op == "build_list":
            value = ir.Expr.build_list(self._as_items(target, value.items, new), value.loc)
        elif isinstance(value, ir.Expr) and value.op == "build_map" and self._is_container(target):
            items = [(key, new.promoted(item, self.dual)) for key, item in value.items]
            value = _with_items(value, items)
        elif isinstance(value, ir.Expr) and value.op == "cast":
            value = self._result(value, new)
        if self._is_allocation(statement.value) and self.activity.is_active(target.name):
            made = callee_name(self.code, value) if getattr(value, "op", "") == "call" else ""
            if target.name in self.short and made in BY_LENGTH:
                room = self._room(zeros_on_stack, target.name, self.short[target.name], new)
                return [*new.body, ir.Assign(room, target, loc)]
            value = new.call(promote, new.assign(value), new.constant(self.dual))
        return [*new.body, ir.Assign(value, target, loc)]

    def _result(self, cast: Any, new: _Builder) -> Any:
        """A number that is returned: a dual if another is, as recursive calls may know it alone.

        Of a short array the items are returned.
        """
        if cast.value.name in self.returned:
            items = new.items(cast.value, self.returned[cast.value.name])
            tuple_ = new.call(items_of_array(len(items)), *items)
            return ir.Expr.cast(new.assign(tuple_), cast.loc)
        if not self.effect.active_result or len(self.activity.returns) == 1:
            return cast
        value = self._joined(cast.value, self.code.return_type, new)
        return ir.Expr.cast(value, cast.loc)

    def _joined(self, var: Any, kind: Any, new: _Builder) -> Any:
        """What joins something active in a variable of a type, with duals where Numba needs them.

        It makes no common type of two named tuples, of which in one `a` may be active, in the
        other `b`: both are given duals everywhere.
        """
        if isinstance(kind, types.BaseNamedTuple):
            return new.promoted(var, self.dual)
        if isinstance(kind, (types.Float, types.Complex)) and not self.activity.is_active(var.name):
            return new.assign(new.call(converted, var, new.constant(over(self.dual, kind))))
        return var

    def _join(self, target: Any, phi: Any) -> None:
        """A number that is active on one way into a variable is a dual on every way.

        Type inference would see the float first, and an array that it makes from a float cannot
        turn into one of duals.
        """
        if not self.activity.is_active(target.name):
            return
        kind = self.code.typemap[target.name]
        for k, var in enumerate(phi.incoming_values):
            if isinstance(var, ir.Var):
                block = self.code.func_ir.blocks[phi.incoming_blocks[k]]
                new = _Builder(block.scope, phi.loc)
                phi.incoming_values[k] = self._joined(var, kind, new)
                block.body[-1:-1] = new.body

    def _alike(self, items: Sequence[Any], new: _Builder) -> list[Any]:
        """The items of a tuple or list: those of one type, which a loop may pass over, stay so."""
        kinds = {types.unliteral(self.code.typemap[var.name]) for var in items}
        active = [self.activity.is_active(var.name) for var in items]
        if len(kinds) != 1 or not any(active):
            return list(items)
        [kind] = kinds
        mixed = isinstance(kind, types.Float) and not all(active)
        if not mixed and not isinstance(kind, types.BaseTuple):
            return list(items)
        return [new.promoted(var, self.dual) for var in items]

    def _as_items(self, target: Any, items: Sequence[Any], new: _Builder) -> list[Any]:
        """The items of a list: whole numbers in one that is to hold derivatives are duals, too."""
        item = getattr(self.code.typemap[target.name], "dtype", None)
        kinds = [self.code.typemap[var.name] for var in items]
        if (
            isinstance(item, (types.Float, types.Complex))
            and self.activity.is_active(target.name)
            and any(isinstance(kind, (types.Integer, types.Boolean)) for kind in kinds)
        ):
            dual = new.constant(over(self.dual, item))
            return [new.assign(new.call(converted, var, dual)) for var in items]
        return self._alike(items, new)

    def _store(self, statement: Any, new: _Builder) -> None:
        """What goes into a container of duals must be one: its first item decides its type."""
        container = statement.dct if isinstance(statement, ir.StoreMap) else statement.target
        if self._is_container(container) or self._is_comprehension(container):
            statement.value = new.promoted(statement.value, self.dual)

    def _raise(self, statement: Any, new: _Builder) -> None:
        """An exception takes values to Python, as that of the original does."""
        items = list(statement.exc_args or ())
        for k, var in enumerate(items):
            if isinstance(var, ir.Var):
                items[k] = self._plain(var, new)
        statement.exc_args = statement.exc_args and tuple(items)

    def _plain(self, var: Any, new: _Builder) -> Any:
        """The value of what may hold duals."""
        for _ in range(self.dual.depth if self.activity.is_active(var.name) else 0):
            var = new.assign(new.call(values, var))
        return var

    def _is_comprehension(self, var: Any) -> bool:
        """Whether a variable is an array of derivatives that Numba makes of a comprehension.

        Its items decide its type, too, so that a copy into duals would come too early.
        """
        made = ir_utils.guard(ir_utils.get_definition, self.code.func_ir, var)
        of_items = isinstance(made, ir.Expr) and made.op == "call"
        of_items = of_items and callee_name(self.code, made) == "empty_inferred"
        return bool(of_items) and self.activity.is_active(var.name)

    def _makes_it_empty(self, expr: Any, kind: Any) -> bool:
        """Whether a call makes an empty container: `List()`, or a method given types."""
        if isinstance(kind, types.BoundFunction):
            return callee_name(self.code, expr) in ("empty", "empty_list")
        return not call_arguments(expr)

    def _empty(self, target: Any, expr: Any, new: _Builder) -> Any:
        """An empty container with its type said: it could not be guessed from the first item."""
        ty = self.code.typemap[target.name]
        if isinstance(ty, types.ListType):
            return new.call(empty_list, new.constant(promoted(ty.item_type, self.dual)))
        if isinstance(ty, types.DictType):
            value = new.constant(promoted(ty.value_type, self.dual))
            return new.call(empty_dict, new.constant(ty.key_type), value)
        return expr

    def _is_container(self, var: Any) -> bool:
        """Whether a variable is a list or dictionary that holds derivatives."""
        ty = self.code.typemap.get(var.name)
        ty = ty.this if isinstance(ty, types.BoundFunction) else ty
        return isinstance(ty, _CONTAINERS) and self.activity.is_active(var.name)

    def _is_compared(self, name: str) -> bool:
        """Whether a tuple is only given to `min` or `max`, to which a constant is not a dual."""
        calls = [
            user.value
            for user in self.users[name]
            if not isinstance(user, ir.Assign) or user.target.name != name
            if isinstance(getattr(user, "value", None), ir.Expr) and user.value.op == "call"
        ]
        return len(calls) == len(self.users[name]) - 1 and all(
            callee_name(self.code, call) in ("min", "max") for call in calls
        )

    def _array_literals(self) -> dict[str, list[Any]]:
        """The lists that only stand in ``np.array([...])``, also one in another: their items.

        They become tuples: that saves the list, and Numba's own way to save it takes the name of
        the dtype for one of NumPy's.
        """
        lists: dict[str, Any] = {}
        for block in self.code.func_ir.blocks.values():
            for statement in block.body:
                value = getattr(statement, "value", None)
                if isinstance(value, ir.Expr) and value.op == "build_list" and value.items:
                    lists[statement.target.name] = statement
        found: set[str] = set()
        while True:
            more = {
                name
                for name, made in lists.items()
                if name.startswith("$")
                and all(
                    user is made or self._is_array_literal(user, name, found)
                    for user in self.users[name]
                )
            }
            if more == found:
                return {name: lists[name].value.items for name in found}
            found = more

    def _is_array_literal(self, statement: Any, name: str, found: set[str]) -> bool:
        value = getattr(statement, "value", None)
        if not isinstance(value, ir.Expr):
            return False
        if value.op == "build_list":
            return statement.target.name in found
        return (
            value.op == "call"
            and [var.name for var in value.args[:1]] == [name]
            and callee_name(self.code, value) in ("array", "asarray")
        )

    def _is_allocation(self, value: Any) -> bool:
        """Whether an expression makes a buffer of floats, or is a constant one.

        With an active operand it makes duals by itself; and a copy in between would keep Numba
        from fusing array expressions.
        """
        if isinstance(value, ir.Arg):
            return not carries_dual(self.arg_types[value.index])
        if isinstance(value, (ir.Global, ir.FreeVar)):
            return isinstance(value.value, np.ndarray)
        if not isinstance(value, ir.Expr) or (value.op == "build_list" and not value.items):
            return False
        given = any(self.activity.is_active(var.name) for var in value.list_vars())
        return is_fresh(value, self.code) and (value.op == "build_list" or not given)

    def _call(self, expr: Any, target: Any, new: _Builder) -> Any:
        """A call with what it needs for duals: a clone, a dual dtype, promoted items."""
        kind = self.code.typemap[expr.func.name]
        wanted = self.activity.is_active(target.name)
        given = any(self.activity.is_active(var.name) for var in call_arguments(expr))
        dispatcher = called_dispatcher(self.code, expr)
        if dispatcher is not None:
            if not given and not wanted:
                return expr
            buffer = is_buffer(self.code.typemap[target.name])
            short = wanted and target.name in self.short
            result = self.dual if wanted and buffer else None
            clone = self.clone_of(dispatcher, result, as_items=short)
            fixed = positional(dispatcher)
            args = [*expr.args[:fixed], *self._alike(expr.args[fixed:], new)]
            call = _with(expr, func=new.constant(clone), args=args)
            return new.call(gathered, new.assign(call)) if short else call
        if isinstance(kind, types.NumberClass) and given:
            lifted = self._lifted(kind)
            return expr if lifted is None else new.call(converted, *expr.args, new.constant(lifted))
        items = self.literals.get(expr.args[0].name) if expr.args else None
        if items is not None and given and self._are_numbers(items):
            return self._filled(target.name, items, new)
        key = getattr(kind, "typing_key", None)
        if isinstance(key, DUFunc) and given:
            return _with(expr, func=new.constant(for_any_types(key)))
        if key is new_instance and wanted:
            ty = promoted(self.code.typemap[target.name], self.dual)
            return new.call(new_instance, new.constant(ty))
        if self._is_container(target) and self._makes_it_empty(expr, kind):
            return self._empty(target, expr, new)
        if isinstance(kind, types.BoundFunction):
            if self._is_container(expr.func):
                keys = 1 if isinstance(kind.this, types.DictType) else 0
                args = [new.promoted(var, self.dual) for var in expr.args[keys:]]
                return _with(expr, args=[*expr.args[:keys], *args])
            given = given or self.activity.is_active(expr.func.name)
        elif self._is_container(target):
            expr = _with(expr, args=[new.promoted(var, self.dual) for var in expr.args])
        if not (given or wanted):
            return expr
        args = [self._dual_dtype(var, new) for var in expr.args]
        kws = [(name, self._dual_dtype(var, new)) for name, var in expr.kws]
        return _with(expr, args=args, kws=kws)

    def _returned(self) -> dict[str, int]:
        """The short arrays that are returned, if they hold duals: how many.

        A caller that only reads the items had better get a tuple: the array would cost as much as
        a small function.
        """
        found = returned_arrays(self.code, self.dual)
        return found if all(map(self.activity.is_active, found)) else {}

    def _are_numbers(self, items: list[Any]) -> bool:
        kinds = [self.code.typemap[var.name] for var in items]
        return all(isinstance(kind, (types.Number, types.Boolean)) for kind in kinds)

    def _filled(self, name: str, items: list[Any], new: _Builder) -> Any:
        """``np.array([...])`` of numbers: an array to which they are written one by one."""
        room = on_stack if name in self.short else empty_array
        array = new.assign(self._room(room, name, len(items), new))
        for k, item in enumerate(items):
            new.body.append(ir.SetItem(array, new.constant(k), item, array.loc))
        return array

    def _room(self, function: Any, name: str, count: int, new: _Builder) -> Any:
        """The call of what makes an array of so many items for a variable."""
        item = promoted(self.code.typemap[name].dtype, self.dual)
        return new.call(function, new.constant(count), new.constant(item))

    def _dual_dtype(self, var: Any, new: _Builder) -> Any:
        """A dtype argument that names a float, naming the dual instead."""
        ty = self.code.typemap.get(var.name)
        if isinstance(ty, (types.NumberClass, types.DType)):
            lifted = self._lifted(ty)
            return var if lifted is None else new.constant(lifted)
        return var

    def _lifted(self, ty: Any) -> DualType | None:
        dtype = ty.instance_type if isinstance(ty, types.NumberClass) else ty.dtype
        carries = isinstance(dtype, (types.Float, types.Complex))
        return over(self.dual, dtype) if carries else None


class _Builder:
    """Collects the statements that a rewritten statement needs before it."""

    def __init__(self, scope: Any, loc: Any) -> None:
        self.scope, self.loc = scope, loc
        self.body: list[Any] = []

    def assign(self, value: Any) -> Any:
        var = self.scope.redefine("$dualgrad", self.loc)
        self.body.append(ir.Assign(value, var, self.loc))
        return var

    def constant(self, value: Any) -> Any:
        return self.assign(ir.Global("$dualgrad", value, self.loc))

    def promoted(self, var: Any, dual: DualType) -> Any:
        return self.assign(self.call(promote, var, self.constant(dual)))

    def items(self, array: Any, count: int) -> list[Any]:
        """Those of an array that has so many."""
        indices = [self.constant(k) for k in range(count)]
        return [self.assign(ir.Expr.getitem(array, index, self.loc)) for index in indices]

    def call(self, function: Any, *args: Any) -> Any:
        return ir.Expr.call(self.constant(function), args, (), self.loc)


def _with_items(expr: Any, items: list[Any]) -> Any:
    """A dictionary display with other items."""
    return ir.Expr.build_map(
        items, expr.size, expr._kws.get("literal_value"), expr._kws.get("value_indexes"), expr.loc
    )


@functools.cache
def for_any_types(function: DUFunc) -> DUFunc:
    """A `@vectorize` function without the signatures that it may be restricted to."""
    if function._frozen and any(
        types.float32 in sig.args for sig in function._dispatcher.overloads
    ):
        # its arguments may be rounded to float32, which a function of any types does not do
        raise UnsupportedError("@vectorize with float32 signatures")
    fastmath = function.targetoptions.get("fastmath", False)
    return vectorize(fastmath=fastmath)(function._dispatcher.py_func)


def positional(dispatcher: Any) -> int:
    """How many arguments an `@njit` function takes before `*args`."""
    parameters = inspect.signature(dispatcher.py_func).parameters.values()
    return len(list(itertools.takewhile(lambda it: it.kind != it.VAR_POSITIONAL, parameters)))


def _with(expr: Any, **changes: Any) -> Any:
    """A call expression with some parts replaced."""
    parts = {"func": expr.func, "args": expr.args, "kws": expr.kws, **changes}
    return ir.Expr.call(
        parts["func"], list(parts["args"]), tuple(parts["kws"]), expr.loc, vararg=expr.vararg,
        varkwarg=expr._kws.get("varkwarg"), target=expr._kws.get("target"),
    )  # fmt: skip
