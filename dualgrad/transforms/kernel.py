"""The kernel of a transform: seed a chunk of tangents, call the clone, read the lanes off.

One kernel is written, as Python source, for each transform, types of arguments and number of
lanes; Numba compiles it like any other function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload, register_jitable

from dualgrad.compile.activity import Summary, is_buffer, summarise
from dualgrad.compile.clone import clone_of, duals_in
from dualgrad.compile.frontend import primal_type
from dualgrad.compile.promote import as_array_of, copy_into, promote, promoted, with_primal
from dualgrad.scalars import join, value_of
from dualgrad.transforms.lanes_io import lane, seeded, set_seed, store_lanes
from dualgrad.types import DualType, depth, primal


@dataclass(frozen=True)
class Plan:
    """What a transform computes: everything about it but the types of its arguments."""

    function: Any  # the dispatcher of f
    name: str  # "derivative", "grad" or "jacobian"
    argnums: tuple[int, ...]
    one_argument: bool  # argnums was given as a number: results are not wrapped in a tuple
    out_argnum: int | None
    with_value: bool


# ---------------------------------------------------------------------- helpers of kernels


@register_jitable
def place(i: Any, shape: Any) -> Any:
    """Where the item that is the `i`-th in C order is in Fortran order."""
    place, stride = 0, 1
    for axis in range(len(shape)):
        below = 1
        for other in range(axis + 1, len(shape)):
            below *= shape[other]
        place += (i // below) % shape[axis] * stride
        stride *= shape[axis]
    return place


def private(x: Any) -> Any:
    """A copy of a buffer that a sweep may write to; anything else is itself."""
    raise NotImplementedError("only for compiled code")


@overload(private)
def _private(x: Any) -> Any:
    if isinstance(x, types.Array):
        return lambda x: x.copy()
    if isinstance(x, types.List):
        return lambda x: [item for item in x]
    if isinstance(x, types.BaseTuple) and is_buffer(x):
        return lambda x: (private(x[0]), *private(x[1:]))
    return lambda x: x


# ------------------------------------------------------------------------------ the source


@dataclass(frozen=True)
class Input:
    """An argument that the transform differentiates by."""

    k: int  # its number among the arguments, and the suffix of its variables
    type: types.Type
    dual: DualType

    @property
    def is_array(self) -> bool:
        return isinstance(self.type, types.Array)

    @property
    def size(self) -> str:
        return f"a{self.k}.size" if self.is_array else "1"

    @property
    def layout(self) -> str:
        """The layout of its duals: that of the argument, since NumPy sums in memory order."""
        return "F" if self.type.layout == "F" else "C"

    @property
    def buffer(self) -> types.Type:
        return types.Array(self.dual, self.type.ndim, self.layout)


@dataclass(frozen=True)
class Output:
    """A result of `f`: a number, an array, or one of a tuple of them."""

    i: int
    type: types.Type
    level: int

    @property
    def is_array(self) -> bool:
        return isinstance(self.type, types.Array)

    @property
    def item(self) -> Any:
        return self.type.dtype if self.is_array else self.type

    @property
    def active(self) -> bool:
        """Whether it depends on the inputs at all, as far as its type knows."""
        return depth(self.item) == self.level


class Kernel:
    """The source of one kernel and the names that it uses."""

    def __init__(self, plan: Plan, params: list[str], arg_types: Any, n: int) -> None:
        self.plan, self.params, self.n = plan, params, n
        *self.types, self.out = arg_types
        self.names: dict[str, Any] = {"np": np} | {
            function.__name__: function
            for function in (seeded, lane, promote, store_lanes, private, place, value_of,
                             as_array_of, copy_into, set_seed)
        }  # fmt: skip
        outer = join([dual for ty in self.types for dual in duals_in(ty)])
        self.inputs = [self._input(k, outer) for k in plan.argnums]
        self.dual = max((it.dual for it in self.inputs), key=depth)
        self.names["dual"] = self.dual
        self.effect = self._effect()
        self.call, result = self._call()
        self.outputs = self._outputs(result)

    # -------------------------------------------------------------- types and effects of f

    def _input(self, k: int, outer: DualType | None) -> Input:
        ty = self.types[k]
        base = differentiable(ty, self.params[k])
        dual = DualType(base if outer is None else with_primal(outer, base), self.n)
        self.names[f"D{k}"] = dual
        return Input(k, ty, dual)

    def _effect(self) -> Summary:
        """What the activity analysis says of the arguments of `f`."""
        primals = []
        for k, ty in enumerate(self.types):
            if k in self.plan.argnums:
                item = primal(with_primal(self.dual, differentiable(ty, self.params[k])))
                ty = ty.copy(dtype=item) if isinstance(ty, types.Array) else item
            primals.append(primal_type(ty))
        active = [k in (*self.plan.argnums, self.plan.out_argnum) for k in range(len(primals))]
        active = [on or any(True for _ in duals_in(ty)) for on, ty in zip(active, self.types)]
        return summarise(self.plan.function, tuple(primals), tuple(active), False)

    def _call(self) -> tuple[str, types.Type]:
        """The call of the clone, and the type of what it returns."""
        clone = self.names["f"] = clone_of(self.plan.function)
        given: list[tuple[str, str, types.Type]] = []
        inputs = {it.k: it for it in self.inputs}
        for k, (name, ty) in enumerate(zip(self.params, self.types, strict=True)):
            if isinstance(ty, types.Omitted):
                continue
            if k in inputs:
                it = inputs[k]
                given.append((name, f"d{k}", it.buffer if it.is_array else it.dual))
            elif k == self.plan.out_argnum:
                given.append((name, "b", promoted(ty, self.dual)))
            elif self.effect.active_args[k] and is_buffer(ty):
                given.append((name, f"promote(a{k}, dual)", promoted(ty, self.dual)))
            elif self.effect.written_args[k]:
                given.append((name, f"private(a{k})", ty))
            else:
                given.append((name, f"a{k}", ty))
        dispatcher = types.Dispatcher(clone)
        typing = clone.typingctx
        kws = {name: ty for name, _, ty in given}
        signature = dispatcher.get_call_type(typing, (), kws)
        arguments = ", ".join(f"{name}={expression}" for name, expression, _ in given)
        return f"f({arguments})", signature.return_type

    def _outputs(self, result: types.Type) -> list[Output]:
        if self.plan.out_argnum is not None:
            result = promoted(self.types[self.plan.out_argnum], self.dual)
        self.one_output = not isinstance(result, types.BaseTuple)
        items = [result] if self.one_output else list(result)
        check_outputs(self.plan, result, items)
        return [Output(i, ty, self.dual.depth) for i, ty in enumerate(items)]

    # -------------------------------------------------------------------------- the source

    def source(self) -> str:
        """The kernel as Python source."""
        parameters = ", ".join([*(f"a{k}" for k in range(len(self.types))), "out"])
        total = " + ".join(it.size for it in self.inputs)
        body = [*self._prepare(), f"total = {total}", "start = 0", "while True:"]
        sweep = [*self._seed(), f"y = {self.call}", *self._name_outputs()]
        sweep += ["if start == 0:", *_indented(self._allocate())]
        sweep += [line for o in self.outputs for it in self.inputs for line in self._read(o, it)]
        sweep += [*self._unseed(), f"start += {self.n}", "if start >= total:", "    break"]
        body += [*_indented(sweep), f"return {self._result()}"]
        return "\n".join([f"def kernel({parameters}):", *_indented(body)])

    def function(self) -> Callable[..., Any]:
        """The kernel as a Python function, ready to be compiled."""
        exec(compile(self.source(), f"<dualgrad {self.plan.name}>", "exec"), self.names)
        kernel: Callable[..., Any] = self.names["kernel"]
        return kernel

    def _prepare(self) -> Iterator[str]:
        """Buffers of duals for the arguments that are arrays, and where each starts."""
        before = "0"
        for it in self.inputs:
            k = it.k
            yield f"o{k} = {before}"
            before = f"o{k} + {it.size}"
            if not it.is_array:
                continue
            yield f"d{k} = as_array_of(a{k}, D{k})"

    def _is_written(self, it: Input) -> bool:
        return self.effect.written_args[it.k]

    def _seed(self) -> Iterator[str]:
        for it in self.inputs:
            k = it.k
            if not it.is_array:
                yield f"d{k} = seeded(a{k}, o{k} - start, D{k})"
                continue
            if self._is_written(it):
                yield f"copy_into(d{k}, a{k})"
            yield from self._set_seeds(it, "1.0")
        if self.plan.out_argnum is not None:
            yield f"b = promote(a{self.plan.out_argnum}, dual)"

    def _unseed(self) -> Iterator[str]:
        for it in self.inputs:
            if it.is_array and not self._is_written(it):
                yield from self._set_seeds(it, "0.0")

    def _set_seeds(self, it: Input, value: str) -> Iterator[str]:
        k = it.k
        place = f"place(i, a{k}.shape)" if it.layout == "F" else "i"
        yield f"c{k} = start - o{k}"
        yield f"for i in range(max(c{k}, 0), min(c{k} + {self.n}, a{k}.size)):"
        yield f"    set_seed(d{k}, {place}, i - c{k}, {value})"

    def _name_outputs(self) -> Iterator[str]:
        result = "y" if self.plan.out_argnum is None else "b"
        for o in self.outputs:
            yield f"y{o.i} = {result if self.one_output else f'{result}[{o.i}]'}"
            if o.is_array:
                yield f"g{o.i} = y{o.i}.ravel()"

    def _allocate(self) -> Iterator[str]:
        """What the first sweep does: it knows the shapes of the results."""
        yield "pass"
        for o in self.outputs:
            if self.plan.with_value:
                yield from self._value(o)
            for it in self.inputs:
                yield from self._cell(o, it)

    def _value(self, o: Output) -> Iterator[str]:
        i = o.i
        if not o.active:
            yield f"v{i} = y{i}{'.copy()' if o.is_array else ''}"
        elif not o.is_array:
            yield f"v{i} = value_of(y{i})"
        else:
            self.names[f"V{i}"] = o.item.base
            yield f"v{i} = np.empty(y{i}.shape, V{i})"
            yield f"w{i} = v{i}.ravel()"
            yield f"for m in range(g{i}.size):"
            yield f"    w{i}[m] = value_of(g{i}[m])"

    def _cell(self, o: Output, it: Input) -> Iterator[str]:
        """Allocate the derivative of one output by one input, or take `out` for it."""
        cell = f"{o.i}_{it.k}"
        dtype = o.item.base if o.active else it.dual.base
        self.names[f"R{cell}"] = dtype
        shape = " + ".join(
            f"{name}.shape" for name, has in ((f"y{o.i}", o.is_array), (f"a{it.k}", it.is_array)) if has
        )
        ndim = (o.type.ndim if o.is_array else 0) + (it.type.ndim if it.is_array else 0)
        out = self._out(o, it)
        if out is None and not shape:
            yield f"r{cell} = R{cell}(0.0)"
            return
        if out is None:
            yield f"r{cell} = np.{'empty' if o.active else 'zeros'}({shape}, R{cell})"
        else:
            expression, ty = out
            check_out(ty, dtype, ndim)
            yield f"r{cell} = {expression}"
            yield f"if r{cell}.shape != {shape or '()'}:"
            yield "    raise ValueError('out: its shape is not y.shape + x.shape of the result')"
            if not o.active:
                yield f"r{cell}[...] = 0.0"
        yield f"h{cell} = r{cell}.{'ravel()' if self._is_contiguous(o, it) else 'flat'}"

    def _out(self, o: Output, it: Input) -> tuple[str, types.Type] | None:
        """The part of `out` that belongs to one output and one input."""
        expression, ty = "out", self.out
        if isinstance(ty, (types.NoneType, types.Omitted)):
            return None
        wrapped = [(o.i, self.one_output)]
        wrapped += [(self.plan.argnums.index(it.k), self.plan.one_argument)]
        for index, alone in wrapped:
            if not alone:
                if not isinstance(ty, types.BaseTuple) or index >= len(ty):
                    raise TypeError("out: a tuple is expected, of the structure of the result")
                expression, ty = f"{expression}[{index}]", ty[index]
        return expression, ty

    def _is_contiguous(self, o: Output, it: Input) -> bool:
        out = self._out(o, it)
        return out is None or out[1].layout == "C"

    def _read(self, o: Output, it: Input) -> Iterator[str]:
        """Copy the lanes of one output to the columns of one input."""
        if not o.active:
            return
        cell = f"{o.i}_{it.k}"
        item, indent, row = f"y{o.i}", "", ""
        if not it.is_array:
            yield f"q = o{it.k} - start"
            yield f"if 0 <= q < {self.n}:"
            if o.is_array:
                yield f"    for m in range(g{o.i}.size):"
                yield f"        h{cell}[m] = lane(g{o.i}[m], q)"
            elif self._out(o, it) is None:
                yield f"    r{cell} = lane({item}, q)"
            else:
                yield f"    h{cell}[0] = lane({item}, q)"
            return
        yield f"c = start - o{it.k}"
        yield "first = max(0, -c)"
        yield f"stop = min({self.n}, a{it.k}.size - c)"
        yield "if first < stop:"
        if o.is_array:
            yield f"    for m in range(g{o.i}.size):"
            item, indent, row = f"g{o.i}[m]", "    ", f"m * a{it.k}.size + "
        if self._is_contiguous(o, it):
            yield f"    {indent}store_lanes(h{cell}, {row}c + first, {item}, first, stop)"
        else:
            yield f"    {indent}for q in range(first, stop):"
            yield f"        {indent}h{cell}[{row}c + q] = lane({item}, q)"

    def _result(self) -> str:
        rows = [
            _tuple([f"r{o.i}_{it.k}" for it in self.inputs], self.plan.one_argument)
            for o in self.outputs
        ]
        derivative = _tuple(rows, self.one_output)
        if not self.plan.with_value:
            return derivative
        return f"{_tuple([f'v{o.i}' for o in self.outputs], self.one_output)}, {derivative}"


def _tuple(items: list[str], alone: bool) -> str:
    return items[0] if alone else f"({', '.join(items)},)"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


# ---------------------------------------------------------------------------------- checks


def differentiable(ty: types.Type, name: str) -> types.Type:
    """The scalar type, possibly dual, in which to differentiate by an argument of type `ty`."""
    item = ty.dtype if isinstance(ty, types.Array) else types.unliteral(ty)
    if isinstance(item, (types.Float, DualType)):
        return item
    if isinstance(item, (types.Integer, types.Boolean)):
        return types.float64
    if isinstance(item, types.Complex):
        raise TypeError(
            f"argument {name!r} is complex; differentiate by its real and imaginary parts instead"
        )
    raise TypeError(
        f"argument {name!r} has type {ty}; a transform differentiates by numbers and arrays of "
        "numbers (see argnums)"
    )


def check_outputs(plan: Plan, result: types.Type, items: list[types.Type]) -> None:
    """Refuse a kind of result that a transform is not for."""
    if isinstance(result, types.NoneType):
        raise TypeError(
            f"dg.{plan.name}: the function returns None; return the result, or name the argument "
            "that it writes the result to with out_argnum="
        )
    for ty in items:
        item = ty.dtype if isinstance(ty, types.Array) else ty
        if not isinstance(item, (types.Number, types.Boolean)):
            raise TypeError(
                f"dg.{plan.name}: the function returns {primal_type(ty)}; expected are numbers, "
                "arrays of numbers, or a tuple of them"
            )
        if isinstance(item, types.Complex):
            raise TypeError(
                f"dg.{plan.name}: the function returns complex numbers; return real and "
                "imaginary parts instead"
            )
    scalar = isinstance(result, (types.Number, types.Boolean))
    if plan.name == "grad" and not scalar:
        raise TypeError(
            f"dg.grad: the function must return a number, and returns {primal_type(result)}; "
            "use dg.jacobian"
        )
    if plan.name == "jacobian" and scalar:
        raise TypeError(
            "dg.jacobian: the function must return an array, and returns a number; use dg.grad"
        )


def check_out(ty: types.Type, dtype: types.Type, ndim: int) -> None:
    """Refuse an `out` that cannot take the result."""
    if not isinstance(ty, types.Array):
        raise TypeError(f"out: an array of {dtype} is expected, not {ty}")
    if ty.dtype != dtype:
        raise TypeError(f"out: its dtype must be that of the result, {dtype}, not {ty.dtype}")
    if ty.ndim != ndim:
        raise ValueError(f"out: it must have {ndim} dimensions, y.ndim + x.ndim, not {ty.ndim}")
    if not ty.mutable:
        raise TypeError("out: the array is read-only")
