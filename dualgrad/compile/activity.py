"""Which variables of a function can hold derivatives, which buffers share memory.

An activity analysis on typed intermediate representation. It errs on the side of "active": a
buffer that is promoted without need costs time, one that is not would lose a derivative (and
is caught by type inference, since no dual converts to a float).
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numba.core import ir, types
from numba.core.errors import NumbaError

from dualgrad.compile.buffers import can_carry, is_buffer
from dualgrad.compile.callees import (
    COMPARERS,
    READERS,
    UFUNCS,
    VIEWS,
    WRITERS,
    call_arguments,
    called_dispatcher,
    callee_name,
    folded_arguments,
    is_builtin,
    is_fresh,
    is_library,
    may_draw,
    outputs,
)
from dualgrad.compile.frontend import Typed, derived, is_object_mode, typed
from dualgrad.compile.overloads import holds_users, is_of_user, is_users_method
from dualgrad.compile.refusals import refuse
from dualgrad.instances import new_instance


class Summary(NamedTuple):
    """What a call does to its arguments, as seen by the caller."""

    active_args: tuple[bool, ...] = ()
    written_args: tuple[bool, ...] = ()
    active_result: bool = False
    shared: tuple[frozenset[int], ...] = ()  # arguments, and -1 for the result
    draws: bool = False  # it may draw random numbers, other than by a generator that it is given

    @classmethod
    def nothing(cls, n: int) -> Summary:
        return cls((False,) * n, (False,) * n)


@dataclass
class Activity:
    """The analysis of one function, run to its fixed point on construction.

    `active_args` says which arguments are active on entry, `active_result` that the caller will
    write derivatives into what is returned.
    """

    code: Typed
    active_args: tuple[bool, ...]
    active_result: bool = False
    _parent: dict[str, str] = field(default_factory=dict)
    _active: set[str] = field(default_factory=set)
    _written: set[str] = field(default_factory=set)
    #: in which variables a write to one of them may be seen
    _seen_in: dict[str, set[str]] = field(default_factory=dict)
    _draws: bool = False
    _changed: bool = True

    def __post_init__(self) -> None:
        self.arg_names: dict[int, str] = {}
        self.returns: list[str] = []
        while self._changed:
            self._changed = False
            for block in self.code.func_ir.blocks.values():
                for statement in block.body:
                    self._visit(statement)
        refuse(self)

    # ------------------------------------------------------------------------- questions

    def is_active(self, name: str) -> bool:
        return self._find(name) in self._active and can_carry(self._type(name))

    def called(self, expr: Any) -> Any:
        """The `@njit` function that is called, if it is one."""
        return called_dispatcher(self.code, expr)

    def is_written(self, name: str) -> bool:
        """Whether the buffer that a variable stands for is written to, by whatever name."""
        written, reached = list(self._written), set(self._written)
        while written:
            more = self._seen_in.get(written.pop(), set()) - reached
            reached |= more
            written += more
        return name in reached

    def group(self, name: str) -> str:
        """What stands for all the variables that may share memory with one."""
        return self._find(name)

    def made_active_by(self, expr: Any) -> Iterator[str]:
        """The arguments to which an `@njit` function that is called writes derivatives."""
        dispatcher = called_dispatcher(self.code, expr)
        if dispatcher is None:
            return
        effect, params = self.effect_of(expr, dispatcher)
        for group, active, written in zip(
            params, effect.active_args, effect.written_args, strict=True
        ):
            if active and written:
                yield from (name for name in group if is_buffer(self._type(name)))

    def summary(self, n_args: int) -> Summary:
        names = [self.arg_names.get(k, "") for k in range(n_args)]
        groups: dict[str, set[int]] = {}
        for k, name in [*enumerate(names), *((-1, name) for name in self.returns)]:
            if name and is_buffer(self._type(name)):
                groups.setdefault(self._find(name), set()).add(k)
        return Summary(
            tuple(bool(name) and self.is_active(name) for name in names),
            tuple(bool(name) and self.is_written(name) for name in names),
            any(self.is_active(name) for name in self.returns),
            tuple(frozenset(group) for group in groups.values() if len(group) > 1),
            self._draws,
        )

    # ------------------------------------------------------------------------ union-find

    def _type(self, name: str) -> types.Type | None:
        return self.code.typemap.get(name)

    def _find(self, name: str) -> str:
        while name in self._parent:
            name = self._parent[name]
        return name

    def _share(self, names: Iterable[str], view: str | None = None) -> None:
        """The buffers among these variables may share memory.

        A `view` is an array that is all or a part of one of the other arrays: what is written to
        it is written to that. But what is written to that need not be in the view, which may be
        one of another array. Of other buffers none is known to be the whole: a list may be given
        an array by any of its names.
        """
        buffers = [name for name in names if is_buffer(self._type(name))]
        arrays = all(isinstance(self._type(name), types.Array) for name in buffers)
        for name in buffers:
            if view is None or not arrays or name == view:
                self._seen_in.setdefault(name, set()).update(buffers)
        roots = {self._find(name) for name in buffers}
        if len(roots) < 2:
            return
        root, *others = sorted(roots)
        for other in others:
            self._parent[other] = root
        if roots & self._active:
            self._active.add(root)
        self._changed = True

    def _activate(self, name: str) -> None:
        root = self._find(name)
        if root not in self._active and can_carry(self._type(name)):
            self._active.add(root)
            self._changed = True

    def _flow(self, sources: Iterable[str], target: str) -> None:
        if any(self.is_active(name) for name in sources):
            self._activate(target)

    def _write(self, target: str, sources: Iterable[str]) -> None:
        """Values of `sources` are stored into the buffer `target`."""
        if not is_buffer(self._type(target)):
            return
        if target not in self._written:
            self._written.add(target)
            self._changed = True
        self._flow(sources, target)

    # ------------------------------------------------------------------------ statements

    def _visit(self, statement: Any) -> None:
        if isinstance(statement, ir.Assign):
            self._assign(statement.target.name, statement.value)
        elif isinstance(statement, (ir.SetItem, ir.StaticSetItem, ir.StoreMap)):
            owner = statement.dct if isinstance(statement, ir.StoreMap) else statement.target
            self._write(owner.name, [statement.value.name])
            if not isinstance(self._type(owner.name), types.Array):  # an array copies its items
                self._share([owner.name, statement.value.name])
        elif isinstance(statement, ir.SetAttr):
            self._write(statement.target.name, [statement.value.name])
            self._share([statement.target.name, statement.value.name])
        elif isinstance(statement, ir.DelItem):
            self._write(statement.target.name, [])
        elif isinstance(statement, (ir.Return, ir.Yield)):
            self._result(statement.value.name)

    def _result(self, name: str) -> None:
        if name not in self.returns:
            self.returns.append(name)
            self._changed = True
            self._share(self.returns)  # they are of one type: all hold duals, or none
        if self.active_result and is_buffer(self._type(name)):
            self._activate(name)

    def _assign(self, target: str, value: Any) -> None:
        if isinstance(value, ir.Arg):
            self.arg_names[value.index] = target
            if self.active_args[value.index]:
                self._activate(target)
        elif isinstance(value, ir.Var):
            self._alias(target, [value.name])
        elif isinstance(value, ir.Yield):
            self._result(value.value.name)
        elif isinstance(value, ir.Expr):
            self._expression(target, value)

    def _alias(self, target: str, sources: list[str]) -> None:
        self._share([target, *sources], view=target)
        self._flow(sources, target)

    def _expression(self, target: str, expr: Any) -> None:
        operands = [var.name for var in expr.list_vars()]
        if self._may_be_of_user(expr):
            self._unknown(target, operands)
        elif expr.op == "call":
            self._call(target, expr)
        elif expr.op == "inplace_binop":
            self._write(expr.lhs.name, [expr.rhs.name])
            self._alias(target, [expr.lhs.name])
            self._flow(operands, target)
        elif expr.op == "phi":
            known = [var.name for var in expr.incoming_values if isinstance(var, ir.Var)]
            self._alias(target, [name for name in known if self._type(name) is not None])
        elif expr.op in ("getitem", "static_getitem", "typed_getitem"):
            self._alias_or_copy(target, [expr.value.name], fresh=self._is_copy(expr))
        else:
            if expr.op == "getattr" and expr.attr == "ctypes":  # whoever has the address may write
                self._write(expr.value.name, [])
            self._alias_or_copy(target, operands, fresh=is_fresh(expr, self.code))

    def _may_be_of_user(self, expr: Any) -> bool:
        """Whether an operator may be code of a user's that is not known."""
        if expr.op in ("getitem", "static_getitem", "typed_getitem", "getiter"):
            return is_of_user(self._type(expr.value.name))
        if expr.op not in ("binop", "unary", "inplace_binop") or expr.fn is operator.is_:
            return False
        return any(holds_users(self._type(var.name)) for var in expr.list_vars())

    def _unknown(self, target: str, args: list[str], draws: bool = True) -> None:
        """What we know nothing of may draw, and store anything anywhere."""
        self._draws |= draws
        for arg in args:
            self._write(arg, args)
        self._share([target, *args])
        self._flow(args, target)

    def _alias_or_copy(self, target: str, sources: list[str], fresh: bool) -> None:
        if not fresh:
            self._share([target, *sources], view=target)
        self._flow(sources, target)

    def _is_copy(self, expr: Any) -> bool:
        """Whether an item is taken by an array of indices, which copies."""
        index = expr._kws.get("index_var") or expr._kws.get("index")
        index_type = self._type(index.name) if isinstance(index, ir.Var) else None
        items = index_type if isinstance(index_type, types.BaseTuple) else [index_type]
        return any(isinstance(item, types.Array) for item in items)

    # ----------------------------------------------------------------------------- calls

    def _call(self, target: str, expr: Any) -> None:
        kind = self._type(expr.func.name)
        args = [var.name for var in call_arguments(expr)]
        dispatcher = called_dispatcher(self.code, expr)
        if dispatcher is not None:
            self._call_dispatcher(target, expr, dispatcher)
            return
        name = callee_name(self.code, expr)
        if isinstance(kind, types.BoundFunction):
            receiver = expr.func.name
            compares = name in COMPARERS and any(holds_users(self._type(arg)) for arg in args)
            if compares or is_users_method(kind):
                self._unknown(target, [receiver, *args])
                return
            array = isinstance(kind.this, types.Array)
            if (name in WRITERS) if array else (name not in READERS):
                self._write(receiver, args)
            self._alias_or_copy(target, [receiver, *args], fresh=array and name not in VIEWS)
            if not array:
                self._share([receiver, *args])
            return
        key = getattr(kind, "typing_key", None)
        self._draws |= key is not None and may_draw(key)
        if key is new_instance:
            return
        if isinstance(kind, (types.NamedTupleClass, types.TypeRef)):
            self._share([target, *args])  # they are constructors
            self._flow(args, target)
        elif isinstance(kind, (types.NumberClass, types.DType, types.ExceptionClass)):
            self._flow(args, target)
        elif (
            key is None
            or any(is_of_user(self._type(arg)) for arg in args)
            or self._calls_what_acts([self._type(arg) for arg in args])
        ):
            self._unknown(target, args)
        elif isinstance(key, UFUNCS):
            for output in args[key.nin :]:
                self._write(output, args[: key.nin])
                self._share([target, output])
            self._flow(args, target)
        elif is_library(key):
            if name in WRITERS and args:
                self._write(args[0], args[1:])
            for output in outputs(expr, name):
                self._write(output.name, args)
                self._share([target, output.name])
            self._alias_or_copy(target, args, fresh=name not in VIEWS and not is_builtin(key))
        else:
            self._unknown(target, args, may_draw(key))

    def _calls_what_acts(self, arg_types: list[Any]) -> bool:
        """Whether `map`, `sorted` or the like may be given a function that writes or draws."""
        iterables = [it for it in arg_types if isinstance(it, types.IterableType)]
        for kind in arg_types:
            if isinstance(kind, types.FunctionType):
                return True
            if not isinstance(kind, types.Dispatcher):
                continue
            try:
                items = tuple(it.iterator_type.yield_type for it in iterables)
                effect = summarise(kind.dispatcher, items, (False,) * len(items), False)
            except (NumbaError, TypeError):  # it is called with something else
                return True
            if effect.draws or any(effect.written_args):
                return True
        return False

    def effect_of(
        self, expr: Any, dispatcher: Any, result: bool = False
    ) -> tuple[Summary, list[list[str]]]:
        """What a call does, and the variables that each parameter is given."""
        params = [[var.name for var in group] for group in folded_arguments(self.code, expr)]
        active = tuple(any(self.is_active(name) for name in group) for group in params)
        return summarise(dispatcher, self.code.calltypes[expr].args, active, result), params

    def _call_dispatcher(self, target: str, expr: Any, dispatcher: Any) -> None:
        effect, params = self.effect_of(expr, dispatcher, self.is_active(target))
        for group, becomes_active, written in zip(
            params, effect.active_args, effect.written_args, strict=True
        ):
            for name in group:
                if written:
                    self._write(name, [])
                if becomes_active and is_buffer(self._type(name)):
                    self._activate(name)
        for shared in effect.shared:
            members = [name for k in shared if k >= 0 for name in params[k]]
            self._share([*members, *([target] if -1 in shared else [])])
        if effect.active_result:
            self._activate(target)
        self._draws |= effect.draws


#: Of calls whose analysis has begun and depends on one that has not ended: see `summarise`.
_assumed: dict[Any, Summary] = {}


def summarise(
    dispatcher: Any, arg_types: tuple[types.Type, ...], active: tuple[bool, ...], result: bool
) -> Summary:
    """The effect of a call of an `@njit` function on its arguments and result."""
    if hasattr(dispatcher, "effect"):  # a transform, or a function with a rule of its own
        return dispatcher.effect(arg_types, active)
    if is_object_mode(dispatcher) and not (any(active) or result):
        return Summary((False,) * len(active), (True,) * len(active))
    return summary_of_code(dispatcher, arg_types, active, result)


def summary_of_code(
    dispatcher: Any, arg_types: tuple[types.Type, ...], active: tuple[bool, ...], result: bool
) -> Summary:
    """The effect of running the code of a function."""
    call = (arg_types, active, result)
    known: Summary | None = derived(dispatcher, "summaries").get(call)
    if known is None:
        known = _assumed.get((dispatcher, *call))
    if known is not None:
        return known
    # Recursion: assume that the function does nothing, and repeat until that is consistent,
    # forgetting each time what was concluded from the assumption.
    n = len(arg_types)
    code = typed(dispatcher, arg_types)
    earlier = len(_assumed)
    found = Summary.nothing(n)
    try:
        while _assumed.get((dispatcher, *call)) != found:
            _forget(earlier)
            _assumed[(dispatcher, *call)] = found
            found = Activity(code, active, result).summary(n)
    except BaseException:
        _forget(earlier)
        raise
    if earlier == 0:  # nothing is left that could change
        for (function, *key), summary in _assumed.items():
            derived(function, "summaries")[tuple(key)] = summary
        _forget(0)
    return found


def _forget(earlier: int) -> None:
    """Keep only the first assumptions."""
    while len(_assumed) > earlier:
        _assumed.popitem()
