"""A function with a rule of its own, written out for duals: its value once, its rule by lanes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import typeof
from numba.core import types

from dualgrad.arrays import opaque
from dualgrad.arrays.products import zero
from dualgrad.arrays.values import values_of
from dualgrad.calls import join
from dualgrad.compile.buffers import is_buffer
from dualgrad.compile.clone import clone_of
from dualgrad.compile.explain import readable
from dualgrad.compile.frontend import primal_type
from dualgrad.compile.promote import as_array_of, copy_into, promote, promoted
from dualgrad.conversions import is_nonzero, value_of
from dualgrad.custom import runtime
from dualgrad.custom.jvp import effect_of_code
from dualgrad.errors import NotDifferentiable
from dualgrad.transforms.copies import private
from dualgrad.transforms.extents import extents_meet
from dualgrad.transforms.sweep import compiled, indented
from dualgrad.types import DualType, PatternType, SeriesType, depth, duals_in, primal

#: What the source may call.
NAMES: dict[str, Any] = {"np": np, "NotDifferentiable": NotDifferentiable} | {
    function.__name__: function
    for function in (
        as_array_of, copy_into, private, promote, value_of, values_of, zero, runtime.any_nonzero,
        runtime.differ, runtime.dual_of, runtime.get_lane, is_nonzero, runtime.lane_view,
        runtime.lanes_of, runtime.no_lanes, extents_meet, runtime.put_lane, runtime.zeros_for,
    )
}  # fmt: skip


def kernel(function: Any, arg_types: Any) -> Any:
    """The function for these types as a Python function."""
    level = join([dual for ty in arg_types for dual in duals_in(ty)])
    if level is None:
        names = ", ".join(f"a{k}" for k in range(len(arg_types)))
        return compiled("custom_jvp", f"def kernel({names}): return f({names})", {"f": function})
    if isinstance(level, PatternType):
        return _of_patterns(function, arg_types, level)
    written = ByLanes(function, arg_types, level)
    text = written.source()  # which also says what names it uses
    return compiled("custom_jvp", text, {**NAMES, **written.names})


def _of_patterns(function: Any, arg_types: Any, level: PatternType) -> Any:
    """The function on values; its result depends on all that it is given."""
    effect = effect_of_code(function, tuple(map(primal_type, arg_types)))
    if any(effect.written_args):
        raise refused(
            function, f"the pattern of {function.__name__}", "it writes to its arguments",
            "give the pattern with pattern=",
        )  # fmt: skip
    names = [f"a{k}" for k in range(len(arg_types))]
    given = ", ".join(f"below({name}, level)" for name in names)
    text = (
        f"def kernel({', '.join(names)}):\n"
        f"    return spread(f({given}), together(({', '.join(names)},)))"
    )
    f = function if level.depth == 1 else function.for_duals()
    known = {"below": opaque.below, "spread": opaque.spread, "together": opaque.together}
    return compiled("custom_jvp", text, {**known, "f": f, "level": level})


@dataclass
class Part:
    """What the function and its rule are given: the source of a value, and its type.

    A part is an argument, or an item of one that is a tuple.
    """

    value: str
    type: types.Type
    value_for_rule: str
    type_for_rule: types.Type
    tangent: str
    tangent_type: types.Type

    @classmethod
    def same(cls, value: str, ty: types.Type, tangent: str, tangent_type: types.Type) -> Part:
        """A part of which the rule gets the same value as the function."""
        return cls(value, ty, value, ty, tangent, tangent_type)


class ByLanes:
    """The source of the function for duals of one level.

    Variables are named by a letter and the number of an argument, and for a part of a tuple also
    its number there: ``a`` argument, ``p`` its value, ``w`` a copy for a rule that writes to it,
    ``t`` its tangent, ``m`` its lanes in memory; ``y`` value of the result, ``z`` its tangent,
    ``l`` its lanes in memory, ``r`` result.
    """

    def __init__(self, function: Any, arg_types: Any, level: DualType) -> None:
        if function.rule is None:
            raise refused(
                function, f"{function.__name__} has no rule", "its derivative is not given yet",
                f"decorate a function that computes it with @{function.__name__}.defjvp",
            )  # fmt: skip
        if isinstance(level, SeriesType):
            raise refused(
                function, f"{function.__name__} in a Taylor series",
                "its rule gives the first derivative alone", "differentiate its code instead",
            )  # fmt: skip
        self.function, self.level = function, level
        self.names: dict[str, Any] = {"level": level}
        self.types = [
            typeof(ty.value) if isinstance(ty, types.Omitted) else types.unliteral(ty)
            for ty in arg_types
        ]
        primals = tuple(primal_type(ty) for ty in self.types)
        tangents = tuple(tangent_type(ty) for ty in primals)
        # Where the values hold duals too, it is called with copies once more, and checked there.
        self.at_bottom = level.depth == 1
        effect = effect_of_code(function, primals)
        self.written = [self.at_bottom and it for it in effect.written_args]
        self.written_by_rule = effect_of_code(function.rule, primals + tangents).written_args
        self.arrays: list[str] = []  # that the function is given
        self.results: list[str] = []  # arrays that it returns
        self.nonzero: list[str] = []  # conditions, one of which holds if a lane is not all zero
        # The lines of the source, in this order: before and after the call of the function, ...
        self.before: list[str] = []
        self.checks: list[str] = []
        self.room: list[str] = []
        # ... and, for each lane, ahead of the call of the rule, if it is called, and after it.
        self.in_lane: list[str] = []
        self.if_nonzero: list[str] = []
        self.store: list[str] = []

    def source(self) -> str:
        parameters = [f"a{k}" for k in range(len(self.types))]
        parts = [self._part(f"{k}", f"a{k}", ty, k) for k, ty in enumerate(self.types)]
        f = self.function if self.at_bottom else self.function.for_duals()
        rule = clone_of(self.function.rule)
        self.names |= {"f": f, "rule": rule, "n": self.level.n}
        y = returned(f, [it.type for it in parts])
        z = returned(rule, [it.type_for_rule for it in parts] + [it.tangent_type for it in parts])
        result = self._result("", "y", y, "z", z)
        values = ", ".join(it.value for it in parts)
        for_rule = ", ".join([it.value_for_rule for it in parts] + [it.tangent for it in parts])
        rule_call = [*self.if_nonzero, f"z = rule({for_rule})", *self.store]
        body = [*self.before, f"y = f({values})", *self.checks, *self._sharing(), *self.room]
        body.append("for k in range(n):")
        body += indented([*self.in_lane, f"if {' or '.join(self.nonzero)}:", *indented(rule_call)])
        body.append(f"return {result}")
        return "\n".join([f"def kernel({', '.join(parameters)}):", *indented(body)])

    # ---------------------------------------------------------------------------- arguments

    def _part(self, name: str, given: str, ty: types.Type, k: int) -> Part:
        """One argument, the `k`-th, or a part of it: what is called `given`, of type `ty`."""
        if isinstance(ty, types.BaseTuple):
            parts = [self._part(f"{name}_{i}", f"{given}[{i}]", it, k) for i, it in enumerate(ty)]
            return self._tuple(name, ty, parts)
        if isinstance(ty, types.Array) and isinstance(ty.dtype, (types.Number, types.Boolean)):
            return self._array(name, given, ty, k)
        if depth(ty) == self.level.depth:
            return self._number(name, given, ty)
        if isinstance(ty, (types.Number, types.Boolean)):
            self.names[f"T{name}"] = ty
            zero = f"zero(T{name})" if isinstance(ty, DualType) else f"T{name}(0)"
            return Part.same(given, ty, zero, ty)
        if any(True for _ in duals_in(ty)):
            raise refused(
                self.function, f"argument {self._parameter(k)!r} is {readable(str(ty))}",
                "a rule is given derivatives of numbers, arrays and tuples of them",
                "pass an array",
            )  # fmt: skip
        if self.written[k] and is_buffer(ty):
            raise refused(*self._writes(k))
        copied = self.written_by_rule[k] and is_buffer(ty)
        return Part(given, ty, f"private({given})" if copied else given, ty, "None", types.none)

    def _tuple(self, name: str, ty: Any, parts: list[Part]) -> Part:
        def joined(sources: Iterator[str]) -> str:
            return self._tuple_source(name, ty, list(sources))

        return Part(
            joined(it.value for it in parts),
            tuple_type(ty, [it.type for it in parts]),
            joined(it.value_for_rule for it in parts),
            tuple_type(ty, [it.type_for_rule for it in parts]),
            joined(it.tangent for it in parts),
            tuple_type(ty, [it.tangent_type for it in parts]),
        )

    def _tuple_source(self, name: str, ty: Any, items: list[str]) -> str:
        """The source of a tuple of some items, a named tuple if `ty` is one."""
        if isinstance(ty, types.BaseNamedTuple):
            self.names[f"C{name}"] = ty.instance_class
            return f"C{name}({', '.join(items)})"
        return f"({''.join(f'{it}, ' for it in items)})"

    def _number(self, name: str, given: str, ty: Any) -> Part:
        self.before += [f"p{name} = value_of({given})", f"m{name} = lanes_of({given})"]
        self.in_lane.append(f"t{name} = get_lane(m{name}, k)")
        self.nonzero.append(f"is_nonzero(t{name})")
        return Part.same(f"p{name}", ty.base, f"t{name}", ty.base)

    def _array(self, name: str, given: str, ty: Any, k: int) -> Part:
        active = depth(ty.dtype) == self.level.depth
        dtype = ty.dtype.base if active else ty.dtype
        # Fortran order is kept: the order of summation depends on it, and with it the value.
        copy = types.Array(dtype, ty.ndim, "F" if ty.layout == "F" and ty.ndim > 1 else "C")
        self.names |= {f"P{name}": copy, f"D{name}": dtype}
        part = Part.same(f"p{name}", copy, f"t{name}", copy)
        zeros = f"t{name} = zeros_for({given}, P{name})"
        if active or self.written[k]:
            own = f"values_of({given})" if active else given
            self.before += [f"p{name} = zeros_for({given}, P{name})", f"copy_into(p{name}, {own})"]
            if self.written[k]:
                self.checks += raising(f"differ(p{name}, {own})", text(*self._writes(k)))
        else:
            part.value, part.type = part.value_for_rule, part.type_for_rule = given, ty
        if active:
            self.before.append(zeros)
            self.in_lane.append(f"copy_into(t{name}, lane_view({given}, k))")
            self.nonzero.append(f"any_nonzero(t{name})")
        else:
            again = self.written_by_rule[len(self.types) + k]
            (self.if_nonzero if again else self.before).append(zeros)
        if self.written_by_rule[k]:
            self.if_nonzero.append(f"w{name} = as_array_of({part.value}, D{name})")
            part.value_for_rule, part.type_for_rule = f"w{name}", copy
        self.arrays.append(part.value)
        return part

    def _parameter(self, k: int) -> str:
        return list(self.function._compiler.pysig.parameters)[k]

    # ------------------------------------------------------------------------------ results

    def _result(self, name: str, y: str, ty: Any, z: str, tangent: Any) -> str:
        """The source of the result, or of a part of it, whose value is `y` and tangent is `z`."""
        if isinstance(ty, types.BaseTuple):
            if not isinstance(tangent, types.BaseTuple) or len(tangent) != len(ty):
                raise self._mismatch(ty, tangent)
            items = [
                self._result(f"{name}_{i}", f"{y}[{i}]", it, f"{z}[{i}]", other)
                for i, (it, other) in enumerate(zip(ty, tangent, strict=True))
            ]
            return self._tuple_source(f"r{name}", ty, items)
        is_array = isinstance(ty, types.Array)
        item = ty.dtype if is_array else ty
        if is_array:
            self.results.append(y)
        if isinstance(item, (types.Integer, types.Boolean)):
            return y
        if not isinstance(item, (types.Float, DualType)):
            raise refused(
                self.function, f"{self.function.__name__} returns {readable(str(ty))}",
                "real numbers, arrays of them and tuples of these can have a rule",
                "return one of them",
            )  # fmt: skip
        narrow = is_narrower(getattr(tangent, "dtype", tangent), item)
        if narrow or not is_real(tangent, ty.ndim if is_array else None):
            raise self._mismatch(ty, tangent)
        if is_array:
            self.room.append(f"r{name} = promote({y}, level)")
            message = f"the rule of {self.function.__name__} returned another shape than its value"
            self.store += raising(f"{z}.shape != {y}.shape", message, "ValueError")
            self.store.append(f"copy_into(lane_view(r{name}, k), {z})")
            return f"r{name}"
        self.names[f"R{name}"] = promoted(item, self.level)
        self.room.append(f"l{name} = no_lanes(R{name})")
        self.store.append(f"put_lane(l{name}, k, {z})")
        return f"dual_of({y}, l{name}, R{name})"

    def _sharing(self) -> Iterator[str]:
        """Refuse a result that is not the function's own: the dual results are copies."""
        if not self.at_bottom:
            return
        name = self.function.__name__
        message = text(
            self.function, f"{name} returns memory that is not its own",
            "its result shares memory with an argument or with another result",
            "return a copy",
        )  # fmt: skip
        shared = [*itertools.product(self.results, self.arrays)]
        for pair in (*shared, *itertools.combinations(self.results, 2)):
            yield from raising(f"extents_meet({', '.join(pair)})", message)

    # ----------------------------------------------------------------------------- refusals

    def _writes(self, k: int) -> tuple[Any, str, str, str]:
        name = self.function.__name__
        return (
            self.function, f"{name} writes into its argument {self._parameter(k)!r}",
            "its rule says nothing of what is written",
            "write into a copy, and return it",
        )  # fmt: skip

    def _mismatch(self, ty: types.Type, tangent: types.Type) -> NotDifferentiable:
        name = self.function.__name__
        return refused(
            self.function.rule, f"the rule of {name} returns {readable(str(tangent))}",
            f"{name} returns {readable(str(ty))}, and a tangent is of the same kind",
            f"return the tangent of what {name} returns, in the same shape",
        )  # fmt: skip


def returned(function: Any, arg_types: Sequence[types.Type]) -> types.Type:
    """The type of what a dispatcher returns."""
    call = types.Dispatcher(function).get_call_type(function.typingctx, tuple(arg_types), {})
    return types.unliteral(call.return_type)


def tangent_type(ty: types.Type) -> types.Type:
    """The type of the tangent of a value without duals."""
    if isinstance(ty, types.BaseTuple):
        return tuple_type(ty, [tangent_type(it) for it in ty])
    if isinstance(ty, types.Array) and isinstance(ty.dtype, (types.Number, types.Boolean)):
        return ty.copy(layout="C" if ty.layout == "A" else ty.layout, readonly=False)
    return ty if isinstance(ty, (types.Number, types.Boolean)) else types.none


def tuple_type(like: Any, items: list[types.Type]) -> types.Type:
    """A tuple of items of some types, a named tuple if `like` is one."""
    if isinstance(like, types.BaseNamedTuple):
        return types.BaseTuple.from_types(items, like.instance_class)
    return types.Tuple(items)


def is_real(ty: Any, ndim: int | None) -> bool:
    """Whether it is an array of real numbers with so many dimensions; for None, a number."""
    if ndim is not None:
        return isinstance(ty, types.Array) and ty.ndim == ndim and is_real(ty.dtype, None)
    return isinstance(ty, (types.Integer, types.Float, types.Boolean, DualType))


def is_narrower(tangent: Any, item: Any) -> bool:
    """Whether a tangent is of a float type with fewer digits than the value."""
    a, b = primal(tangent), primal(item)
    return isinstance(a, types.Float) and isinstance(b, types.Float) and a.bitwidth < b.bitwidth


def raising(condition: str, message: str, error: str = "NotDifferentiable") -> list[str]:
    """The lines that raise an error under a condition."""
    return [f"if {condition}:", f"    raise {error}({message!r})"]


def refused(*what: Any) -> NotDifferentiable:
    """The error for what cannot have a rule, or be one."""
    return NotDifferentiable(text(*what))


def text(function: Any, what: str, reason: str, way_out: str) -> str:
    """What is refused, of which function, why, and what helps."""
    code = function.py_func.__code__
    lines = [f"dg.custom_jvp: {what}"]
    if code.co_filename != "<string>":  # that of a function of C
        lines.append(
            f'  File "{code.co_filename}", line {code.co_firstlineno}, in {function.__name__}'
        )
    return "\n".join([*lines, f"  reason:  {reason}", f"  way out: {way_out}"])
